"""`paceline online check` finds what would make a prediction wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from paceline.cli.main import exit_code, paceline
from paceline.online.repository import repository
from paceline.online.store import opened
from paceline.online.sync import sync
from tests.conftest import CONF
from tests.online.gold import DAY, ROLLING
from tests.online.stores import Place, free_port, until_open

NOW = datetime.now(UTC)
GOOD = {"registry": True, "store": True, "sync": True, "rows": True}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """What is looked at is the same in every store."""
    return Place(tmp_path)


@pytest.fixture
def filled(place: Place) -> Place:
    """Two athletes, synced."""
    place.gold.put_days(1, [DAY])
    place.gold.put_days(2, [DAY])
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    return place


def checked(
    place: Place, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, dict[str, bool], dict[str, str]]:
    """The exit code, and by check whether it is good, and what was found."""
    capsys.readouterr()
    where = ["--warehouse", str(place.gold.root), "--repo", str(place.repo.directory)]
    code = exit_code(paceline, ["online", "check", "--json", *where, *more])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return (
        code,
        {finding["check"]: finding["is_good"] for finding in found},
        {finding["check"]: finding["what"] for finding in found},
    )


def test_all_is_well(filled: Place, capsys: pytest.CaptureFixture[str]) -> None:
    code, good, what = checked(filled, capsys)
    assert (code, good) == (0, GOOD)
    assert what["rows"] == "2 rows equal those of gold"
    assert what["sync"].endswith("gold has nothing newer")
    filled.gold.put_days(1, [DAY], acwr=None)
    _, good, what = checked(filled, capsys)
    assert good == GOOD
    assert what["sync"].endswith("gold is newer in 1 of its tables")


def test_a_sample_is_compared(filled: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(filled, capsys, "--sample", "1")[2]["rows"] == "1 rows equal those of gold"


def test_a_row_that_was_tampered_with(filled: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with filled.online.store.lock():
        filled.online.store.delete(filled.online.views["athlete_rolling"], [2])
    code, good, what = checked(filled, capsys)
    assert (code, good) == (1, GOOD | {"rows": False})
    assert "1 of the compared rows differ from gold" in what["rows"]


def test_nothing_synced(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    code, good, what = checked(place, capsys)
    assert (code, good) == (1, GOOD | {"sync": False, "rows": False})
    assert "has never been filled" in what["sync"]


def test_a_sync_that_was_not_finished(filled: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with filled.online.store.lock():
        filled.online.store.begin("{}")
    code, good, what = checked(filled, capsys)
    assert (code, good) == (1, GOOD | {"sync": False})
    assert "has an unfinished sync" in what["sync"]


def test_a_contract_that_has_changed_since(
    filled: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    contract = conf / "contracts" / f"{ROLLING}.odcs.yaml"
    text = contract.read_text(encoding="utf-8")
    column = text[text.index("      - name: acwr\n") : text.index("      - name: acwr_uncoupled\n")]
    contract.write_text(text.replace(column, column + column.replace("acwr", "acwr_new", 1)))
    code, good, what = checked(filled, capsys, "--conf", str(conf))
    assert (code, good) == (1, GOOD | {"registry": False})
    assert "athlete_rolling has other features than its contract" in what["registry"]


def test_another_warehouse(
    filled: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(filled.gold.root, other)
    code, good, _ = checked(filled, capsys, "--warehouse", str(other))
    assert (code, good["registry"]) == (1, False)


def test_a_view_that_is_missing(filled: Place, capsys: pytest.CaptureFixture[str]) -> None:
    filled.online.feast.delete_feature_service("train_time_v1")
    code, good, what = checked(filled, capsys)
    assert (code, good) == (1, GOOD | {"registry": False})
    assert "The registry has no train_time_v1" in what["registry"]


def test_a_redis_that_drops_rows(
    redis: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path, redis)
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    assert checked(place, capsys)[:2] == (0, GOOD)
    client = Redis(port=redis)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        code, good, what = checked(place, capsys)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert (code, good) == (1, GOOD | {"store": False})
    assert "by its policy allkeys-lru" in what["store"]


def test_a_store_that_is_down_ends_the_look(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.repo.sqlite_path.write_bytes(b"no database at all, but long enough to be one" * 40)
    code, good, what = checked(place, capsys)
    assert (code, good) == (1, {"registry": False})
    assert "cannot be used" in what["registry"]


def test_a_server_is_asked(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.gold.put_days(1, [DAY])
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    nobody = "http://127.0.0.1:1"
    code, good, what = checked(place, capsys, "--server", nobody)
    assert (code, good) == (1, GOOD | {"server": False})
    assert f"No feature server answers at {nobody}" in what["server"]
    with feature_server(place.repo.directory) as address:
        assert checked(place, capsys, "--server", address)[:2] == (0, GOOD | {"server": True})
        # Gold and the store know another row; a server of another store would not.
        place.gold.put_days(1, [DAY + timedelta(days=1)])
        sync(place.online, place.reader, NOW)
        assert checked(place, capsys, "--server", f"{address}/")[0] == 0
        moved = place.repo.sqlite_path.with_name("moved.db")
        shutil.copy(place.repo.sqlite_path, moved)
        place.gold.put_days(1, [DAY + timedelta(days=2)])
        text = place.repo.file.read_text(encoding="utf-8")
        place.repo.file.write_text(text.replace("data/online.db", "data/moved.db"))
        sync(opened(repository(place.repo.directory)), place.reader, NOW)
        code, good, what = checked(place, capsys, "--server", address)
        assert (code, good) == (1, GOOD | {"server": False})
        assert "serves other rows than the store holds" in what["server"]


@contextmanager
def feature_server(repo: Path) -> Iterator[str]:
    """Feast's own server, on a free port of the loopback."""
    port = free_port()
    feast = Path(sys.executable).with_name("feast")
    command = [feast, "-c", repo, "-f", repo / "serve.yaml", "serve", "-p", str(port)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
    ) as server:
        try:
            until_open(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
