"""A sync makes the store equal to gold, by writing what differs and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from paceline.errors import LockedError
from paceline.online.redis_store import RedisStore
from paceline.online.store import entity_key, opened
from paceline.online.sync import Synced, _batches, micros, sync
from paceline.online.verify import Wrong, verify
from paceline.online.views import ROLLING as SERVED
from tests.online.gold import ACTIVITIES, DAY, ROLLING, noon
from tests.online.stores import Place

ATHLETES = range(1, 6)
DAYS = [DAY + timedelta(days=n) for n in range(10)]
# Between two noons, so that the last day counts and nothing becomes known by waiting an hour.
NOW = noon(DAYS[-1]) + timedelta(hours=3)
EVERYBODY = {*ATHLETES, 7, 99}


@pytest.fixture
def filled(place: Place) -> Place:
    """Five athletes with ten days each, synced."""
    for athlete in ATHLETES:
        place.gold.put_days(athlete, DAYS)
        place.gold.put_activity(athlete, athlete * 10, NOW - timedelta(days=athlete))
    place.gold.seal()
    counts(sync(place.online, place.reader, NOW), (5, 0), (5, 0))
    place.check(NOW, EVERYBODY)
    return place


def counts(done: list[Synced], rolling: tuple[int, int], last: tuple[int, int]) -> None:
    """How many athletes were written and deleted, by view."""
    assert [(view.written, view.deleted) for view in done] == [rolling, last]


def again(place: Place, now: datetime = NOW) -> list[Synced]:
    done = sync(place.online, place.reader, now)
    place.check(now, EVERYBODY)
    assert all(not view.wrong for view in verify(place.online, place.reader))
    return done


def test_nothing_has_changed(filled: Place) -> None:
    cursor = filled.online.store.state()
    done = again(filled)
    counts(done, (0, 0), (0, 0))
    assert [view.compared for view in done] == [0, 0]
    assert filled.online.store.state() == cursor


def test_the_newest_row_is_corrected_and_its_instant_stays(filled: Place) -> None:
    filled.gold.put_days(2, DAYS[-1:], acwr=None, tss_7d=1 / 3)
    done = again(filled)
    counts(done, (1, 0), (0, 0))
    assert [view.reason for view in done] == [None, None]
    assert done[0].compared == 1


def test_an_old_row_is_corrected(filled: Place) -> None:
    filled.gold.put_days(2, DAYS[:3], tss_7d=5.0)
    done = again(filled)
    counts(done, (0, 0), (0, 0))
    assert done[0].compared == 1


def test_the_newest_rows_vanish(filled: Place) -> None:
    filled.gold.delete(ROLLING, [(3, day.toordinal()) for day in DAYS[-2:]])
    counts(again(filled), (1, 0), (0, 0))


def test_an_athlete_is_erased(filled: Place) -> None:
    filled.gold.delete(ROLLING, [(4, day.toordinal()) for day in DAYS])
    filled.gold.delete(ACTIVITIES, [(4, 40)])
    filled.gold.seal()
    counts(again(filled), (0, 1), (0, 1))


def test_an_athlete_comes_with_rows_of_the_past_only(filled: Place) -> None:
    filled.gold.put_days(7, DAYS[:4])
    counts(again(filled), (1, 0), (0, 0))


def test_a_row_counts_from_its_noon_on(filled: Place) -> None:
    tomorrow = DAYS[-1] + timedelta(days=1)
    filled.gold.put_days(1, [tomorrow])
    counts(again(filled), (0, 0), (0, 0))
    counts(again(filled, noon(tomorrow) - timedelta(microseconds=1)), (0, 0), (0, 0))
    done = again(filled, noon(tomorrow))
    counts(done, (1, 0), (0, 0))
    assert done[0].compared == 1


def test_the_last_activity_is_that_of_the_rolling_rows(filled: Place) -> None:
    before = filled.expected(NOW)["last_activity"]
    filled.gold.put_activity(1, 11, NOW - timedelta(minutes=1))
    counts(sync(filled.online, filled.reader, NOW), (0, 0), (0, 0))
    assert filled.read(EVERYBODY)["last_activity"] == before
    filled.gold.seal()
    counts(again(filled), (0, 0), (1, 0))


def test_of_two_activities_that_end_together_the_greater_number_is_the_last(
    filled: Place,
) -> None:
    end = NOW - timedelta(hours=1)
    filled.gold.put_activity(5, 52, end, sport_family="ride")
    filled.gold.put_activity(5, 51, end)
    filled.gold.seal()
    again(filled)
    assert filled.read({5})["last_activity"][5]["activity_id"] == 52


def test_a_duplicate_recording_is_no_last_activity(filled: Place) -> None:
    filled.gold.put_activity(1, 12, NOW - timedelta(hours=1), is_duplicate_recording=True)
    filled.gold.seal()
    counts(again(filled), (0, 0), (0, 0))
    filled.gold.put_activity(1, 12, NOW - timedelta(hours=1))
    filled.gold.seal()
    counts(again(filled), (0, 0), (1, 0))


def test_the_clock_goes_back(filled: Place) -> None:
    earlier = NOW - timedelta(days=2)
    done = again(filled, earlier)
    assert done[0].reason == "the clock has gone back"
    counts(done, (5, 0), (0, 1))


def test_a_table_is_made_anew(filled: Place) -> None:
    filled.gold.create(ROLLING)
    filled.gold.put_days(1, DAYS[:2])
    done = again(filled)
    assert done[0].reason == f"{ROLLING} is another table"
    counts(done, (1, 4), (0, 0))


def test_the_change_feed_is_gone(filled: Place) -> None:
    filled.gold.put_days(2, DAYS[-1:], tss_7d=2.0)
    for file in filled.gold.root.rglob("_change_data/*.parquet"):
        file.unlink()
    done = again(filled)
    assert done[0].reason.startswith("the change feed cannot be read")
    counts(done, (1, 0), (0, 0))


def test_tampering_is_found_and_the_next_full_sync_repairs_it(filled: Place) -> None:
    store, view = filled.online.store, filled.online.views["athlete_rolling"]
    with store.lock():
        assert store.delete(view, [2, 99]) == 1
    rolling, _ = verify(filled.online, filled.reader)
    assert rolling.wrong == (Wrong(2, "missing"),)
    counts(again(filled, NOW - timedelta(seconds=1)), (1, 0), (0, 0))


def test_a_store_that_holds_too_much_or_another_value_is_wrong(filled: Place) -> None:
    name = ROLLING
    del filled.gold.rows[name][(1, DAYS[-1].toordinal())]
    other = Place(filled.gold.root.parent / "other")
    other.gold.put_days(1, DAYS[-1:], tss_7d=0.1)
    other.gold.put_days(99, DAYS)
    position = other.reader.newest(name)

    view = filled.online.views["athlete_rolling"]
    columns = [feature.name for feature in view.features]
    rows = other.reader.rows(SERVED, position, micros(NOW), columns, None)
    with filled.online.store.lock():
        for batch in _batches(rows, view):
            filled.online.store.write(view, batch)
    rolling, _ = verify(filled.online, filled.reader)
    assert {wrong.athlete_id: wrong.what for wrong in rolling.wrong} == {
        1: "tss_7d",
        99: "should not be there",
    }


def test_a_second_sync_waits_for_nobody(filled: Place) -> None:
    other = opened(filled.repo)
    with filled.online.store.lock(), pytest.raises(LockedError, match="in use"):
        sync(other, filled.reader, NOW)
    counts(sync(other, filled.reader, NOW), (0, 0), (0, 0))


WRITES = ("begin", "write", "delete", "finish")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", WRITES)
def test_a_crash_at_any_write_is_repaired_by_the_next_sync(
    filled: Place, step: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = NOW + timedelta(days=1)
    # Synced before it counts, so that no change feed tells of it later.
    filled.gold.put_days(5, [DAYS[-1] + timedelta(days=1)])
    again(filled)
    filled.gold.put_days(2, DAYS[-1:], tss_7d=2.0)
    filled.gold.delete(ROLLING, [(3, day.toordinal()) for day in DAYS])
    crash_at(filled, step, when, monkeypatch, later)
    # The clock is put back meanwhile, so that what was written lies beyond the next instant.
    again(filled, NOW + timedelta(hours=1))
    again(filled, later)


@pytest.mark.parametrize("second", WRITES)
def test_two_crashes_in_a_row_are_repaired(
    filled: Place, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = NOW + timedelta(days=1)
    filled.gold.put_days(5, [DAYS[-1] + timedelta(days=1)])
    again(filled)
    filled.gold.delete(ROLLING, [(3, day.toordinal()) for day in DAYS])
    crash_at(filled, "write", "after", monkeypatch, later)
    filled.gold.put_days(1, DAYS[-1:], tss_7d=1.5)
    crash_at(filled, second, "before", monkeypatch, NOW + timedelta(minutes=1))
    again(filled, NOW + timedelta(minutes=2))


def crash_at(
    place: Place, step: str, when: str, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    real = getattr(place.online.store, step)

    def crashing(*arguments: object) -> None:
        if when == "after":
            real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place.online.store, step, crashing)
        with pytest.raises(KeyboardInterrupt):
            sync(place.online, place.reader, now)


def test_a_redis_that_is_emptied_is_filled_again(redis: int, tmp_path: Path) -> None:
    place = Place(tmp_path, redis)
    place.gold.put_days(1, DAYS)
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    Redis(port=redis).flushall()
    done = again(place)
    assert done[0].reason == "nothing has been synced yet"
    counts(done, (1, 0), (0, 0))


def test_a_sync_that_lost_its_lock_writes_nothing(
    redis: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, redis)
    place.gold.put_days(1, DAYS)
    place.gold.seal()
    real = place.online.store.write

    def stalled(*arguments: object) -> None:
        # As after a minute of standing still, when another sync has come and gone.
        place.online.store._client.delete(place.online.store._lock.name)
        place.gold.put_days(1, DAYS[-1:], tss_7d=9.0)
        sync(opened(place.repo), place.reader, NOW)
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(place.online.store, "write", stalled)
        with pytest.raises(LockedError, match="was lost"):
            sync(place.online, place.reader, NOW)
    place.check(NOW, EVERYBODY)
    counts(again(place), (0, 0), (0, 0))


def test_a_project_whose_name_ends_alike_is_left_alone(redis: int, tmp_path: Path) -> None:
    place = Place(tmp_path, redis)
    place.gold.put_days(1, DAYS)
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    feast = place.online.feast
    feast.config.project = "dev_paceline"
    assert RedisStore(feast).athletes(place.online.views["athlete_rolling"]) == set()
    feast.config.project = "line"
    assert RedisStore(feast).athletes(place.online.views["athlete_rolling"]) == set()


def test_a_feature_that_a_view_no_longer_has_leaves_the_store(filled: Place) -> None:
    view = filled.online.views["athlete_rolling"]
    view.features = [feature for feature in view.features if feature.name != "acwr"]
    done = sync(filled.online, filled.reader, NOW)
    assert done[0].reason == "the view has changed"
    counts(done, (0, 0), (0, 0))
    online = filled.online.feast._get_provider().online_store

    ((_, held),) = online.online_read(filled.online.feast.config, view, [entity_key(1)], ["acwr"])
    assert "acwr" not in held or not held["acwr"].SerializeToString()


def test_an_instant_is_kept_to_the_microsecond_and_by_sqlite_to_the_second(place: Place) -> None:
    end = datetime(2024, 6, 5, 7, 8, 9, 123457, tzinfo=UTC)
    place.gold.put_days(1, DAYS[:1])
    place.gold.put_activity(1, 1, end)
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    is_sqlite = place.repo.store_type == "sqlite"
    kept = end.replace(microsecond=0) if is_sqlite else end
    assert place.read({1})["last_activity"][1]["event_timestamp"] == kept
    counts(sync(place.online, place.reader, NOW - timedelta(seconds=1)), (0, 0), (0, 0))
    assert not any(view.wrong for view in verify(place.online, place.reader))


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_an_hour_that_the_zone_of_the_machine_skips_is_written_once(
    place: Place, berlin: None
) -> None:
    place.gold.put_days(1, DAYS[:1])
    place.gold.put_activity(1, 1, datetime(2024, 3, 31, 2, 30, tzinfo=UTC))
    place.gold.seal()
    counts(sync(place.online, place.reader, NOW), (1, 0), (1, 0))
    counts(sync(place.online, place.reader, NOW - timedelta(seconds=1)), (0, 0), (0, 0))
    assert not any(view.wrong for view in verify(place.online, place.reader))
