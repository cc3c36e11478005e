"""What `make demo-online` chooses, and that it fails when the store is wrong: without Spark."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from paceline.online.sync import sync
from scripts import demo_online
from tests.online.gold import DAY, ROLLING, noon
from tests.online.stores import Place

NOW = noon(DAY) + timedelta(minutes=1)
SILENT, ALONE, DOUBLED, LAST, EDITED = range(1, 6)


def activity(number: int, athlete: int, day: date, **values: Any) -> dict[str, Any]:
    start = datetime(day.year, day.month, day.day, 7, tzinfo=UTC)
    return {
        **{"athlete_id": athlete, "activity_id": number, "local_day": day, "start_date": start},
        **{"distance_m": 5000.0, "sport_family": "run", "source": "strava_api", "records": 1},
        **{"is_duplicate_recording": False, **values},
    }


def days_ago(days: int) -> date:
    return DAY - timedelta(days=days)


ACTIVITIES = [
    activity(11, SILENT, days_ago(0), distance_m=0.0),
    activity(21, ALONE, days_ago(7)),  # before the week of the served row
    activity(22, ALONE, DAY + timedelta(days=1)),  # after it
    activity(31, DOUBLED, days_ago(0)),
    activity(32, DOUBLED, days_ago(0), is_duplicate_recording=True),
    activity(41, LAST, days_ago(3)),
    activity(42, LAST, days_ago(1), sport_family="ride", source="strava_export"),
    activity(51, EDITED, days_ago(2)),  # the last one is not an earlier one
    activity(52, EDITED, days_ago(3), sport_family="ride"),
    activity(53, EDITED, days_ago(4), source="strava_export"),
    activity(54, EDITED, days_ago(5), records=2),
    activity(55, EDITED, days_ago(6)),
]


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a demo, of which the script reads and writes all that it does."""
    monkeypatch.chdir(tmp_path)
    for folder in ("demo/landing/strava_api", "demo/online"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path / "demo"


def write(table: str, rows: list[dict[str, Any]]) -> None:
    path = demo_online.WAREHOUSE / demo_online.TABLES[table]
    write_deltalake(str(path), pa.Table.from_pylist(rows))


def test_what_is_delivered_changes_the_served_rows(demo: Path) -> None:
    write("silver", ACTIVITIES)
    write("gold", ACTIVITIES)
    write(
        "rolling",
        [
            {"athlete_id": athlete, "as_of_date": day, "event_timestamp": noon(day)}
            for athlete in (SILENT, ALONE, DOUBLED, LAST, EDITED)
            for day in (days_ago(1), DAY, DAY + timedelta(days=1))
        ],
    )
    changed = 1_700_000_000_000_000
    payload = json.dumps({"id": 55, "distance": 5000.0, "name": "Run"})
    write(
        "bronze",
        [
            {"activity_id": one["activity_id"], "payload": payload, "change_time_us": changed + n}
            for one in ACTIVITIES
            for n in range(one["records"])
        ],
    )
    deleted, edited = demo_online.chosen(NOW)
    assert (deleted["activity_id"], edited["activity_id"]) == (42, 55)

    demo_online.deliver(deleted, edited)
    (deletion,) = (demo / "landing/cdc").glob("*.jsonl")
    change = json.loads(deletion.read_text())
    assert (change["op"], change["before"]) == ("d", {"activity_id": 42, "athlete_id": LAST})
    assert change["source"]["ts_ms"] * 1000 > changed
    (correction,) = (demo / "landing/strava_api").glob("*.jsonl")
    record = json.loads(correction.read_text())
    assert datetime.fromisoformat(record.pop("updated_at")).timestamp() * 1e6 > changed
    assert record == {"id": 55, "distance": 4500.0, "name": "Run", "athlete": {"id": EDITED}}


def test_it_fails_when_the_store_is_wrong(
    demo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(demo)
    shutil.copytree(place.repo.directory, demo_online.FEASTS)
    monkeypatch.setattr(demo_online, "OURS", place.repo.directory)
    monkeypatch.setattr(demo_online, "TABLES", {"rolling": ROLLING.replace(".", "/")})
    monkeypatch.setattr(demo_online, "materialize", lambda **_: None)
    place.gold.put_days(LAST, [days_ago(1), DAY], distance_km_7d=7.25)
    place.gold.seal()
    sync(place.online, place.reader, NOW)
    before = dict.fromkeys(demo_online.FEATURES, 1)
    demo_online.STORY.write_text(json.dumps({LAST: before}))

    demo_online.main("after")
    shown = capsys.readouterr().out
    row = [str(LAST), "distance_km_7d", "7.25", "7.25", "None", "wrong"]
    assert row in [line.split() for line in shown.splitlines()]
    assert "Wrong values: 0 in paceline's store, 3 in Feast's own" in shown

    demo_online.STORY.write_text(json.dumps({LAST: demo_online.gold([LAST], NOW)[LAST]}))
    with pytest.raises(SystemExit, match="have not reached gold"):
        demo_online.main("after")

    place.gold.put_days(LAST, [DAY], distance_km_7d=7.5)
    with pytest.raises(SystemExit, match="differs from gold"):
        demo_online.main("after")
