"""What happens around a store: other projects, lost views, old copies, zones, bad addresses."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import sleep

import pytest
from redis import Redis

from paceline.cli.main import exit_code, paceline
from paceline.errors import LockedError, PacelineError, UsageError
from paceline.online import verify as verifying
from paceline.online.push import push
from paceline.online.redis_store import RedisStore
from paceline.online.repository import apply, repository
from paceline.online.store import ErasedOnline, opened
from paceline.online.sync import sync
from paceline.online.verify import verify
from paceline.online.views import CONF as CONF_VARIABLE
from paceline.online.views import WAREHOUSE
from tests.conftest import CONF
from tests.online.gold import ACTIVITIES, DAY, ROLLING, Gold, noon
from tests.online.stores import Place, activity

DAYS = [DAY + timedelta(days=n) for n in range(3)]
NOW = noon(DAYS[-1]) + timedelta(hours=1)
EVERYBODY = {1, 2, 3}


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Place:
    return filled(Place(tmp_path))


@pytest.fixture
def on_redis(tmp_path: Path, redis: int) -> Place:
    return filled(Place(tmp_path, redis))


def filled(place: Place) -> Place:
    for athlete in (1, 2):
        place.gold.put_days(athlete, DAYS)
        place.gold.put_activity(athlete, athlete * 10, NOW - timedelta(hours=athlete))
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    return place


def changed(place: Place, old: str, new: str) -> None:
    """The file of the repository with another text; opened and registered again."""
    text = place.repo.file.read_text(encoding="utf-8")
    assert old in text
    place.repo.file.write_text(text.replace(old, new))
    registered(place)


def registered(place: Place, conf: Path = CONF) -> None:
    place.repo = repository(place.repo.directory)
    apply(place.repo, {WAREHOUSE: str(place.gold.root), CONF_VARIABLE: str(conf)})
    place.online = opened(place.repo)


def reasons(place: Place) -> list[str | None]:
    """Why everybody was compared; afterwards the store is right."""
    done = sync(place.online, place.reader, NOW)
    place.check(NOW, EVERYBODY)
    assert not any(view.wrong for view in verify(place.online, place.reader))
    return [view.reason for view in done]


def test_two_projects_in_one_file_do_not_share_a_cursor(on_sqlite: Place) -> None:
    changed(on_sqlite, "project: paceline", "project: paceline_two")
    assert reasons(on_sqlite) == ["nothing has been synced yet"] * 2
    changed(on_sqlite, "project: paceline_two", "project: paceline")
    assert reasons(on_sqlite) == [None, None]


def test_a_view_that_was_taken_away_and_put_back_is_filled_again(on_sqlite: Place) -> None:
    features = on_sqlite.repo.directory / "features.py"
    text = features.read_text(encoding="utf-8")
    features.write_text(f"{text}\ndel last_activity\n")
    place = {WAREHOUSE: str(on_sqlite.gold.root), CONF_VARIABLE: str(CONF)}
    apply(on_sqlite.repo, place)
    features.write_text(text)
    registered(on_sqlite)
    assert reasons(on_sqlite) == [None, "the store has lost the view"]
    assert reasons(on_sqlite) == [None, None]


def test_a_teardown_leaves_a_store_that_is_filled_again(on_redis: Place) -> None:
    on_redis.online.feast.teardown()
    registered(on_redis)
    assert reasons(on_redis) == ["the store has lost the view"] * 2


def test_a_view_that_is_rightly_empty_is_not_compared_each_time(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.gold.put_days(1, DAYS)
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    before = place.online.store.state()
    assert reasons(place) == [None, None]
    assert place.online.store.state() == before


def test_a_warehouse_that_was_restored_has_another_history(
    on_sqlite: Place, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    shutil.copytree(on_sqlite.gold.root, backup)
    on_sqlite.gold.put_days(1, DAYS[-1:], acwr=0.5)
    sync(on_sqlite.online, on_sqlite.reader, NOW)
    shutil.rmtree(on_sqlite.gold.root)
    shutil.copytree(backup, on_sqlite.gold.root)
    on_sqlite.gold.rows[ROLLING].pop((1, DAYS[-1].toordinal()))
    on_sqlite.gold.put_days(1, DAYS[-1:])
    for value in (0.1, 0.2):
        on_sqlite.gold.put_days(2, DAYS[-1:], acwr=value)
    # The row of the backup is still there beside the one that was put.
    on_sqlite.gold.delete(ROLLING, [(1, DAYS[-1].toordinal())])
    assert reasons(on_sqlite)[0] == f"{ROLLING} has another history"


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def test_another_time_zone_is_noticed(on_sqlite: Place, zone: pytest.MonkeyPatch) -> None:
    zone.setenv("TZ", "America/New_York")
    time.tzset()
    with pytest.raises(UsageError, match="time zone UTC"):
        verify(on_sqlite.online, on_sqlite.reader)
    assert reasons(on_sqlite) == ["the time zone of the machine has changed"] * 2
    assert reasons(on_sqlite) == [None, None]


def test_redis_does_not_depend_on_the_zone(on_redis: Place, zone: pytest.MonkeyPatch) -> None:
    zone.setenv("TZ", "America/New_York")
    time.tzset()
    assert reasons(on_redis) == [None, None]


def test_the_heartbeat_does_not_break_a_transaction(on_redis: Place) -> None:
    store = RedisStore(on_redis.online.feast, lock_seconds=0.3)
    with store.lock():
        for _ in range(10):
            store._transaction(lambda queue: (sleep(0.12), queue.set("x", 1)))


def test_whom_a_push_names_is_looked_for_in_the_warehouse_of_the_store(
    on_sqlite: Place, tmp_path: Path
) -> None:
    other = Place(tmp_path / "other")
    lines, contract = [activity(on_sqlite, 1, 99, NOW)], other.gold.contracts[ACTIVITIES]
    for look in (
        lambda: push(on_sqlite.online, other.reader, contract, lines, NOW),
        lambda: verify(on_sqlite.online, other.reader),
    ):
        with pytest.raises(UsageError, match=f"not for {other.gold.root}"):
            look()


def with_column(tmp_path: Path, name: str) -> Path:
    """The contracts with one column more in the rolling table."""
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    contract = conf / "contracts" / f"{ROLLING}.odcs.yaml"
    text = contract.read_text(encoding="utf-8")
    column = text[text.index("      - name: acwr\n") : text.index("      - name: acwr_uncoupled\n")]
    contract.write_text(text.replace(column, column + column.replace("acwr", name, 1)))
    return conf


def test_a_view_that_has_changed_since_the_sync_is_no_proof(
    on_sqlite: Place, tmp_path: Path
) -> None:
    registered(on_sqlite, with_column(tmp_path, "acwr_new"))
    with pytest.raises(UsageError, match="has changed since the last sync"):
        verify(on_sqlite.online, on_sqlite.reader)
    # Gold does not have the column yet, and nothing is begun.
    with pytest.raises(UsageError, match="has no column acwr_new yet"):
        sync(on_sqlite.online, on_sqlite.reader, NOW)
    assert on_sqlite.online.store.state().intent is None


def test_an_activity_table_that_no_rolling_row_is_made_from_yet(on_sqlite: Place) -> None:
    on_sqlite.gold.create(ACTIVITIES)
    on_sqlite.gold.put_activity(1, 11, NOW)
    assert reasons(on_sqlite) == [None, f"{ACTIVITIES} is another table"]


def test_gold_that_is_gone_at_the_cursor(on_sqlite: Place) -> None:
    for file in on_sqlite.gold.root.joinpath(*ROLLING.split(".")).glob("*.parquet"):
        file.unlink()
    with pytest.raises(PacelineError, match=r"can no longer be read \(.*\): run"):
        verify(on_sqlite.online, on_sqlite.reader)


def test_a_sync_beside_a_verification_is_no_difference(
    on_sqlite: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = verifying._compared

    def beside(*arguments: object) -> object:
        on_sqlite.gold.put_days(1, DAYS[-1:], acwr=None)
        sync(on_sqlite.online, on_sqlite.reader, NOW)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(verifying, "_compared", beside)
    with pytest.raises(LockedError, match="meanwhile: verify again"):
        verify(on_sqlite.online, on_sqlite.reader)


def test_an_unfinished_sync_is_not_blamed_on_others(
    on_sqlite: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_sqlite.gold.put_days(1, DAYS[-1:], acwr=None)
    monkeypatch.setattr(on_sqlite.online.store, "finish", lambda cursor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sync(on_sqlite.online, on_sqlite.reader, NOW)
    with pytest.raises(PacelineError, match="A sync was not finished"):
        verify(on_sqlite.online, on_sqlite.reader)


def test_a_row_that_somebody_else_has_written_is_repaired_when_everybody_is_compared(
    on_sqlite: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_sqlite.online.store.lock():
        on_sqlite.online.store.delete(on_sqlite.online.views["athlete_rolling"], [1])
    assert ran(on_sqlite, "verify") == 1
    assert "run `paceline online sync --everybody`" in capsys.readouterr().err
    assert ran(on_sqlite, "sync", "--everybody") == 0
    assert "1 written, 0 deleted (everybody was compared: it was asked for)" in (
        capsys.readouterr().out
    )
    assert ran(on_sqlite, "verify") == 0


def ran(place: Place, command: str, *more: str) -> int:
    where = ["--warehouse", str(place.gold.root), "--repo", str(place.repo.directory)]
    return exit_code(paceline, ["online", command, *more, *where])


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


def test_a_password_before_the_address_is_in_no_lineage(on_redis: Place) -> None:
    address = on_redis.repo.online_store["connection_string"].partition(",")[0]
    changed(on_redis, address, f"password=secret,{address}")
    assert on_redis.repo.dataset("a_view") == (f"redis://{address}", "paceline.a_view")


@pytest.mark.parametrize("text", ["h", "redis://:secret@h:1", "h:1,i:1", "db=0", "h:port"])
def test_an_address_that_is_none(
    on_redis: Place, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = str(on_redis.repo.file.read_text(encoding="utf-8"))
    address = on_redis.repo.online_store["connection_string"].partition(",socket")[0]
    on_redis.repo.file.write_text(old.replace(address, text))
    assert ran(on_redis, "status") == 2
    said = one_sentence(capsys)
    assert "is no host:port with options" in said
    assert "secret" not in said


def test_an_option_that_redis_does_not_know(
    on_redis: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    old = on_redis.repo.file.read_text(encoding="utf-8")
    on_redis.repo.file.write_text(old.replace("db=0", "databse=0"))
    assert ran(on_redis, "status") == 2
    assert "connection_string of Redis cannot be used" in one_sentence(capsys)


def test_a_redis_that_does_not_answer(
    on_redis: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "paceline.online.repository._SECONDS", {"socket_connect_timeout": 1, "socket_timeout": 0.1}
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = on_redis.repo.online_store["connection_string"].partition(",")[0]
        old = on_redis.repo.file.read_text(encoding="utf-8")
        silent_address = f"127.0.0.1:{silent.getsockname()[1]}"
        on_redis.repo.file.write_text(old.replace(address, silent_address))
        assert ran(on_redis, "status") == 1
    assert "Redis does not answer" in one_sentence(capsys)


def test_a_redis_without_memory(
    on_redis: Place, redis: int, capsys: pytest.CaptureFixture[str]
) -> None:
    on_redis.gold.put_days(3, DAYS)
    client = Redis(port=redis)
    client.config_set("maxmemory", "1kb")
    try:
        assert ran(on_redis, "sync") == 1
    finally:
        client.config_set("maxmemory", "0")
    assert "Redis does not take writes (OutOfMemoryError): give it more memory" in (
        one_sentence(capsys)
    )
    assert ran(on_redis, "sync") == 0
    assert ran(on_redis, "verify") == 0


def test_a_user_of_redis_who_may_not_do_all(
    on_redis: Place, redis: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rights = (
        "+@read +@write +@connection +@transaction +info +scan +config|get +bgrewriteaof +bgsave"
    )
    granted = rights.split()
    user = Redis(port=redis)
    user.acl_setuser("few", enabled=True, passwords=["+open"], keys=["*"], commands=granted)
    old = on_redis.repo.file.read_text(encoding="utf-8")
    on_redis.repo.file.write_text(old.replace("db=0", "db=0,username=few,password=open"))
    assert ran(on_redis, "sync") == 2
    assert "lacks a right that a sync needs" in one_sentence(capsys)
    user.delete("paceline:paceline:lock")
    # With this one they are those of the documentation.
    user.acl_setuser("few", enabled=True, commands=["+@scripting"])
    on_redis.gold.put_days(3, DAYS)
    for command in ("sync", "verify", "check", "status"):
        assert ran(on_redis, command) == 0
    online = opened(repository(on_redis.repo.directory))
    with online.store.lock():
        assert online.store.erase(1) == ErasedOnline(1, are_files_rewritten=True)


@pytest.mark.parametrize("text", ["import nosuchmodule", "def", "raise SystemExit(3)"])
def test_definitions_that_cannot_be_loaded(
    on_sqlite: Place, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (on_sqlite.repo.directory / "features.py").write_text(text)
    assert ran(on_sqlite, "apply") == 2
    assert f"The definitions in {on_sqlite.repo.directory} cannot be loaded" in (
        one_sentence(capsys)
    )


def test_a_registry_that_cannot_be_read(
    on_sqlite: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    (on_sqlite.repo.directory / "data/registry.db").write_bytes(b"\xff" * 99)
    assert ran(on_sqlite, "sync") == 1
    assert "delete the registry and run `paceline online apply`" in one_sentence(capsys)


def test_nothing_is_registered_for_a_warehouse_that_is_not_there(
    tmp_path: Path, on_sqlite: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    on_sqlite.gold = Gold(tmp_path / "other")
    shutil.rmtree(on_sqlite.gold.root)
    assert ran(on_sqlite, "apply") == 2
    assert "is empty: run" in one_sentence(capsys)
