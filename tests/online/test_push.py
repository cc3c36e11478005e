"""A push shows an activity that has just ended; the next sync makes the view equal to gold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from paceline.errors import LockedError, UsageError
from paceline.online.push import Pushed, push
from paceline.online.store import opened
from paceline.online.sync import sync
from paceline.online.verify import Wrong, verify
from paceline.store.erasures import Erased
from tests.online.gold import ACTIVITIES, DAY
from tests.online.stores import Place, activity

END = datetime(2024, 6, 20, 9, 30, 15, tzinfo=UTC)
NOW = END + timedelta(hours=3)


@pytest.fixture
def filled(place: Place) -> Place:
    return filling(place)


def filling(place: Place) -> Place:
    """Two athletes with an activity each, synced."""
    for athlete in (1, 2):
        place.gold.put_days(athlete, [DAY])
        place.gold.put_activity(athlete, athlete * 10, END - timedelta(days=1))
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    return place


def pushed(place: Place, *lines: str) -> Pushed:
    return push(place.online, place.reader, place.gold.contracts[ACTIVITIES], lines, NOW)


def shown(place: Place) -> dict[int, int]:
    """By athlete, the activity that is served."""
    rows = place.read({1, 2, 3})["last_activity"]
    return {athlete: row["activity_id"] for athlete, row in rows.items()}


def test_an_activity_is_shown_until_a_sync_makes_the_view_equal_to_gold(filled: Place) -> None:
    rolling = filled.read({1, 2, 3})["athlete_rolling"]
    assert pushed(filled, activity(filled, 1, 11, END), "", activity(filled, 3, 31, END)) == Pushed(
        2, 0
    )
    assert shown(filled) == {1: 11, 2: 20, 3: 31}
    assert filled.read({1, 2, 3})["athlete_rolling"] == rolling
    compared = verify(filled.online, filled.reader)
    assert [view.wrong for view in compared] == [(), ()]
    assert [view.pushed for view in compared] == [(), (1, 3)]
    # Gold has the one by now; the other never came.
    filled.gold.put_activity(1, 11, END)
    filled.gold.seal()
    done = sync(filled.online, filled.reader, NOW)
    assert [(view.compared, view.written, view.deleted) for view in done] == [(0, 0, 0), (2, 0, 1)]
    filled.check(NOW, {1, 2, 3})
    assert [view.pushed for view in verify(filled.online, filled.reader)] == [(), ()]


def test_the_same_version_and_instant_again_takes_back_what_was_pushed(filled: Place) -> None:
    pushed(filled, activity(filled, 2, 21, END))
    sync(filled.online, filled.reader, NOW)
    filled.check(NOW, {1, 2})
    state = filled.online.store.state()
    assert (state.intent, state.pushed) == (None, frozenset())


def test_only_what_ends_later_is_written(filled: Place) -> None:
    earlier = activity(filled, 1, 9, END - timedelta(days=2))
    as_late = activity(filled, 2, 99, END - timedelta(days=1))
    assert pushed(filled, earlier, as_late) == Pushed(0, 2)
    assert shown(filled) == {1: 10, 2: 20}
    assert filled.online.store.state().pushed == frozenset()
    # Of two of one athlete the later one counts, in whichever order they come.
    hour = timedelta(hours=1)
    both = activity(filled, 1, 12, END), activity(filled, 1, 11, END - hour)
    assert pushed(filled, *both) == Pushed(1, 0)
    assert shown(filled)[1] == 12


def test_values_are_those_that_gold_will_have(filled: Place) -> None:
    values = {"estimated_tss": 1 / 3, "elevation_gain_m": None}
    pushed(filled, activity(filled, 1, 11, END, **values))
    filled.gold.put_activity(1, 11, END, **values)
    filled.gold.seal()
    done = sync(filled.online, filled.reader, NOW)
    assert (done[1].compared, done[1].written) == (1, 0)


def test_a_pushed_athlete_who_differs_in_another_view_is_wrong(filled: Place) -> None:
    pushed(filled, activity(filled, 1, 11, END))
    with filled.online.store.lock():
        filled.online.store.delete(filled.online.views["athlete_rolling"], [1])
    rolling, last = verify(filled.online, filled.reader)
    assert rolling.wrong == (Wrong(1, "missing"),)
    assert (last.wrong, last.pushed) == ((), (1,))


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Place:
    """What is refused does not reach a store."""
    return filling(Place(tmp_path))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"no_such_feature": 1}, "Line 2 has 'no_such_feature', which the view last_activity"),
        ({"estimated_tss": "much"}, "Line 2 has a value of estimated_tss that is no DOUBLE"),
        ({"estimated_tss": float("nan")}, "Line 2 has a value of estimated_tss that is not finite"),
        ({"athlete_id": 2**63}, "Line 2 has a value of athlete_id that is no BIGINT"),
        ({"athlete_id": True}, "Line 2 has a value of athlete_id that is no BIGINT"),
        ({"athlete_id": None}, "Line 2 has no athlete_id"),
        ({"athlete_id": None, "local_day": None}, "Line 2 has no athlete_id, local_day"),
        ({"athlete_id": 0}, "Line 2 has an athlete_id below 1"),
        ({"estimated_tss": 10**400}, "Line 2 has a value of estimated_tss that is no DOUBLE"),
        ({"sport_family": "\ud800"}, "Line 2 has a value of sport_family that is no STRING"),
        ({"event_timestamp": "0001-01-01T00:00:00+14:00"}, "Line 2 ends before 1970"),
        ({"event_timestamp": "2024-06-20T09:30:15"}, "event_timestamp that is no TIMESTAMP"),
        ({"event_timestamp": (NOW + timedelta(seconds=1)).isoformat()}, "Line 2 ends later than"),
        ({"is_duplicate_recording": True}, "Line 2 is a duplicate recording"),
    ],
)
def test_what_is_no_row_of_the_view(on_sqlite: Place, change: dict[str, Any], part: str) -> None:
    wrong = json.dumps(json.loads(activity(on_sqlite, 2, 21, END)) | change)
    refuses(on_sqlite, part, activity(on_sqlite, 1, 11, END), wrong)


@pytest.mark.parametrize(("text", "part"), [("{", "is no JSON"), ("[1]", "is no JSON object")])
def test_rubbish(on_sqlite: Place, text: str, part: str) -> None:
    refuses(on_sqlite, f"Line 2 {part}", activity(on_sqlite, 1, 11, END), text)
    refuses(on_sqlite, "Line 1 is no JSON", "[" * 100_000)
    refuses(on_sqlite, "Line 1 is no JSON", '{"athlete_id": 1, "athlete_id": 2}')


def test_a_file_of_another_encoding(on_sqlite: Place, tmp_path: Path) -> None:
    given = tmp_path / "given.jsonl"
    given.write_bytes(activity(on_sqlite, 1, 11, END).encode("utf-16"))
    before, contract = shown(on_sqlite), on_sqlite.gold.contracts[ACTIVITIES]
    with given.open(encoding="utf-8") as lines, pytest.raises(UsageError, match="are no UTF-8"):
        push(on_sqlite.online, on_sqlite.reader, contract, lines, NOW)
    assert shown(on_sqlite) == before


def test_an_erased_athlete_is_not_shown_again(on_sqlite: Place) -> None:
    filled = on_sqlite
    erased = Erased("ab" * 32)
    values = [erased.salt, erased.hash("athlete", 3), erased.hash("activity", 77)]
    rows = pa.table({"kind": ["salt", "athlete", "activity"], "value": values})
    write_deltalake(str(filled.gold.root / "ops/erasures"), rows)
    refuses(filled, "Line 1 is of an athlete who was erased", activity(filled, 3, 31, END))
    refuses(filled, "Line 1 is of an athlete who was erased", activity(filled, 1, 77, END))
    assert pushed(filled, activity(filled, 1, 11, END)) == Pushed(1, 0)


def refuses(place: Place, part: str, *lines: str) -> None:
    """Nothing is written, and the sentence says why."""
    before = shown(place)
    with pytest.raises(UsageError, match="nothing was pushed") as refused:
        pushed(place, *lines)
    assert part in str(refused.value)
    assert shown(place) == before
    assert place.online.store.state().pushed == frozenset()


def test_no_push_beside_a_sync(filled: Place) -> None:
    contract, lines = filled.gold.contracts[ACTIVITIES], [activity(filled, 1, 11, END)]
    with filled.online.store.lock(), pytest.raises(LockedError):
        push(opened(filled.repo), filled.reader, contract, lines, NOW)


def test_a_crash_between_the_note_and_the_write(
    filled: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled.online.store
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "write", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pushed(filled, activity(filled, 1, 11, END))
    assert store.state().pushed == {1}
    sync(filled.online, filled.reader, NOW)
    filled.check(NOW, {1, 2})
    assert store.state().pushed == frozenset()


def test_an_erasure_forgets_what_was_pushed(filled: Place) -> None:
    pushed(filled, activity(filled, 1, 11, END), activity(filled, 3, 31, END))
    store = filled.online.store
    with store.lock():
        store.erase(3)
    assert shown(filled) == {1: 11, 2: 20}
    assert store.state().pushed == {1}
