"""An erased athlete is in no file of the store any more, or the erasure says that it may be."""

from __future__ import annotations

import struct
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from paceline.online.repository import repository
from paceline.online.store import ErasedOnline, Online, opened
from paceline.online.sync import sync
from tests.online.gold import DAY, noon
from tests.online.stores import Place, redis_server

GONE, KEPT = 7_216_354_981_205, 8_127_453_690_114
NOW = noon(DAY) + timedelta(hours=1)


def filled(place: Place) -> Place:
    for athlete in (GONE, KEPT):
        place.gold.put_days(athlete, [DAY])
        place.gold.put_activity(athlete, athlete * 10, NOW - timedelta(hours=2))
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    return place


def erased(online: Online) -> ErasedOnline:
    with online.store.lock():
        return online.store.erase(GONE)


def naming(athlete: int, folder: Path) -> set[str]:
    """The files that name an athlete, by the bytes of the key."""
    wanted = struct.pack("<q", athlete)
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.name for file in files if wanted in file.read_bytes()}


def test_sqlite_leaves_no_free_page_with_the_athlete(tmp_path: Path) -> None:
    place = filled(Place(tmp_path))
    data = place.repo.sqlite_path.parent
    # Some builds of sqlite overwrite what they delete, and others leave it in free pages.
    place.online.store._connection.execute("PRAGMA secure_delete = OFF")  # type: ignore[attr-defined]
    with place.online.store.lock():
        for view in place.online.views.values():
            place.online.store.delete(view, [GONE])
    assert naming(GONE, data) == {"online.db"}
    assert erased(place.online) == ErasedOnline(0, are_files_rewritten=True)
    assert naming(GONE, data) == set()
    assert naming(KEPT, data) == {"online.db"}


def test_redis_writes_its_log_and_its_snapshot_anew(tmp_path: Path) -> None:
    files = tmp_path / "redis"
    files.mkdir()
    settings = ["--save", "3600 1", "--appendonly", "yes", "--rdbcompression", "no"]
    with redis_server(files, *settings) as port:
        place = filled(Place(tmp_path / "place", port))
        Redis(port=port).save()
        before = naming(GONE, files)
        assert "dump.rdb" in before
        assert any(name.startswith("appendonly.aof") for name in before)
        assert erased(place.online) == ErasedOnline(1, are_files_rewritten=True)
        assert naming(GONE, files) == set()
        assert "dump.rdb" in naming(KEPT, files)
        assert any(name.startswith("appendonly.aof") for name in naming(KEPT, files))


def test_a_redis_that_hides_its_settings_erases_and_says_so(redis: int, tmp_path: Path) -> None:
    place = filled(Place(tmp_path, redis))
    Redis(port=redis).acl_setuser(
        "guest", enabled=True, passwords=["+open"], keys=["*"], commands=["+@all", "-config"]
    )
    text = place.repo.file.read_text(encoding="utf-8")
    place.repo.file.write_text(text.replace("db=0", "db=0,username=guest,password=open"))
    online = opened(repository(place.repo.directory))
    assert erased(online) == ErasedOnline(1, are_files_rewritten=False)
    assert set(place.read({GONE, KEPT})["athlete_rolling"]) == {KEPT}
    assert online.store.eviction_policy() == "noeviction"


@pytest.mark.parametrize("is_rewritten", [True, False])
def test_the_certificate_says_what_became_of_the_files(
    is_rewritten: bool, caplog: pytest.LogCaptureFixture
) -> None:
    from paceline.cli.erase import _online_part

    part = _online_part(ErasedOnline(2, is_rewritten))
    assert part == {"online_rows": 2, "online_files_rewritten": is_rewritten}
    assert ("may name the athlete" in caplog.text) is not is_rewritten
