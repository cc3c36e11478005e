"""What is odd in the generated landing zone, found again by looking at each record by itself."""

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import pytest

from paceline.generate import generate
from paceline.generate.export import export_csv
from paceline.sources.export_dates import instant
from tests.unit.test_generate import Landing, extracted, local_day, owner, read


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    root = tmp_path_factory.mktemp("oddities") / "landing"
    return read(root, generate(root, athletes=40, days=730, seed=7))


def started(record: dict) -> datetime:
    return datetime.fromisoformat(record["start_date"][:19]).replace(tzinfo=UTC)


def lasts(record: dict) -> timedelta:
    return timedelta(seconds=record["elapsed_time"])


def sport(record: dict) -> str:
    return record.get("sport_type", record["type"])


# What a record shows of each oddity.
SIGNS: dict[str, Callable[[dict], bool]] = {
    "zero_heartrate": lambda r: r.get("average_heartrate") == r.get("max_heartrate") == 0,
    "heartrate_without_sensor": lambda r: not r["has_heartrate"] and r.get("max_heartrate", 0) > 0,
    "zero_power": lambda r: 0 in (r.get("average_cadence"), r.get("average_watts")),
    "average_over_maximum": lambda r: (
        100 < r.get("max_heartrate", 300) < r.get("average_heartrate", 0) < 240
    ),
    "negative_gain": lambda r: -90 <= r["total_elevation_gain"] < 0,
    "zero_moving_time": lambda r: (
        r["moving_time"] == 0 < r["elapsed_time"] and sport(r) in {"WeightTraining", "Workout"}
    ),
    "treadmill_drift": lambda r: (
        sport(r) == "Run" and r["trainer"] is True and 4 < r["distance"] < 33
    ),
    "fast_race": lambda r: r["distance"] == 800 and 118 <= r["moving_time"] <= 130,
    "e_bike": lambda r: sport(r) in {"EBikeRide", "EMountainBikeRide"},
    "multi_day_run": lambda r: r["moving_time"] > 3 * 86_400,
}


@pytest.mark.parametrize("kind", SIGNS)
def test_odd_activities_are_there(landing: Landing, kind: str) -> None:
    found = {record["id"] for record in landing.sound if SIGNS[kind](record)}
    # An activity that came with an old export, or with numbers as text, is counted but not here.
    counted = landing.summary.kinds[kind]
    assert counted >= 4
    assert 0.7 * counted <= len(found) <= counted


def test_the_first_two_athletes_are_ordinary(landing: Landing) -> None:
    odd = {record["id"] for record in landing.sound if any(sign(record) for sign in SIGNS.values())}
    owners = {
        owner(path, record) for path, _, record in landing.lines if record and record["id"] in odd
    }
    assert len(owners) > 30
    assert owners.isdisjoint({1001, 1002})


def test_labels_without_region_and_no_local_start(landing: Landing) -> None:
    found: dict[str, set[int]] = defaultdict(set)
    for record in landing.objects:
        if "start_date_local" not in record:
            has_region = "/" in record["timezone"]
            found["no_local_start" if has_region else "label_without_region"].add(record["id"])
            assert ("utc_offset" in record) is has_region
    for kind, ids in found.items():
        assert landing.summary.kinds[kind] == len(ids) > 3


def test_a_second_device_has_recorded_the_same(landing: Landing) -> None:
    by_id = {record["id"]: record for record in landing.sound if "updated_at" not in record}
    pairs = [(by_id[key - 50], by_id[key]) for key in by_id if key % 100 > 50 and key - 50 in by_id]
    assert 0.7 * landing.summary.kinds["second_device"] <= len(pairs)
    together = others = 0
    for watch, phone in pairs:
        assert sport(watch).removeprefix("Trail") == sport(phone).removeprefix("Trail")
        assert not {"average_heartrate", "average_cadence", "average_watts"} & phone.keys()
        overlap = min(started(watch) + lasts(watch), started(phone) + lasts(phone)) - max(
            started(watch), started(phone)
        )
        together += 2 * overlap > max(lasts(watch), lasts(phone))
        others += phone["distance"] != watch["distance"]
    # Of a few, one was moved to another day later; two distances may be equal by chance.
    assert min(together, others) >= 0.9 * len(pairs)


def test_runs_over_days_and_through_a_night(landing: Landing) -> None:
    nights = [record for record in landing.sound if record["name"] == "Through the night"]
    assert landing.summary.kinds["overnight_run"] == len({record["id"] for record in nights})
    for record in nights:
        assert record["timezone"] == "(GMT-10:00) Pacific/Honolulu"
        if "start_date_local" in record:
            assert record["start_date_local"][11:] == "23:00:00Z"
        noon = datetime.combine(local_day(record) + timedelta(days=1), time(12), UTC)
        assert noon < started(record) + lasts(record) < noon + timedelta(hours=4)
    huts = [record for record in landing.sound if record["name"] == "From hut to hut"]
    assert landing.summary.kinds["multi_day_run"] == len({record["id"] for record in huts})
    assert {record["moving_time"] // 86_400 for record in huts} <= {3, 4, 5}


def test_one_small_file_is_broken(landing: Landing) -> None:
    (path,) = (landing.root / "strava_api").rglob("*_retry.jsonl")
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert landing.summary.kinds["broken_delivery"] == 1
    assert [record["moving_time"] is None for record in records].count(True) == 20
    assert len(records) == 25
    before = {
        record["id"]
        for name, _, record in landing.lines
        if record and not name.endswith("_retry.jsonl") and extracted(name) < extracted(path.name)
    }
    # Numbers may have come as text.
    assert sum(record["id"] in before for record in records) >= 24


def export_of(landing: Landing, athlete: int) -> list[list[str]]:
    folder = landing.root / "strava_export" / f"athlete_id={athlete}"
    text = next(folder.rglob("activities.csv")).read_text(encoding="utf-8")
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    ("athlete", "header", "sports"),
    [
        (1006, ["Activiteits-ID", "Datum van activiteit"], {"Wandeling", "Zwemmen"}),
        (1014, ["Aktivitets-ID", "Aktivitetsdatum"], {"Löpning", "Weight Training"}),
        (1022, ["活动 ID", "活动日期"], {"跑步", "骑行"}),
        (1030, ["id", "date"], {"Ride", "E-Bike Ride", "Run"}),
    ],
)
def test_exports_in_other_languages_and_of_the_first_layout(
    landing: Landing, athlete: int, header: list[str], sports: set[str]
) -> None:
    first, *rows = export_of(landing, athlete)
    assert first[:2] == header
    assert sports <= {row[3] for row in rows}
    by_id = {record["id"]: record for record in landing.sound if "updated_at" not in record}
    shared = [(row, by_id[int(row[0])]) for row in rows if int(row[0]) in by_id]
    assert shared
    for row, record in shared:
        assert instant(row[1]) is not None
        assert local_day(record) - date.fromisoformat(str(instant(row[1]))[:10]) in {
            timedelta(days=days) for days in (-1, 0, 1)
        }
    if header[0] == "id":
        assert len(first) == 10
        assert all(float(row[6]) == pytest.approx(r["distance"], rel=0.1) for row, r in shared)


def test_cropped_activities_and_swims_in_metres(landing: Landing) -> None:
    found: Counter[str] = Counter()
    for folder in sorted((landing.root / "strava_export").iterdir()):
        first, *rows = export_of(landing, int(folder.name.split("=")[1]))
        if len(first) == 10:
            continue
        for row in rows:
            found["export_cropped"] += float(row[5]) < float(row[15] or 0) - 1
            is_swim = row[3] in {"Swim", "Zwemmen", "Simning", "游泳"}
            found["export_swim_in_metres"] += is_swim
            assert not is_swim or row[6].replace(",", "").replace(".", "").isdigit()
    for kind, count in found.items():
        assert landing.summary.kinds[kind] == count > 3


RECORD = {
    "id": 7,
    "name": "a",
    "sport_type": "Run",
    "start_date": "2025-03-02T13:05:09Z",
    "distance": 10_050.0,
    "moving_time": 2990,
    "elapsed_time": 3000,
    "max_speed": 4.1,
    "average_speed": 3.2,
    "total_elevation_gain": 12.0,
    "manual": True,
    "commute": False,
}
SWIM = RECORD | {"sport_type": "Swim", "distance": 1500.0}


@pytest.mark.parametrize(
    ("variant", "record", "cells"),
    [
        ("plain", RECORD, ["Mar 2, 2025, 1:05:09 PM", "a", "Run", "", "3000", "10.05"]),
        ("plain", SWIM, ["Mar 2, 2025, 1:05:09 PM", "a", "Swim", "", "3000", "1,500"]),
        ("narrow_space", SWIM, ["Mar 2, 2025, 1:05:09\u202fPM", "a", "Swim", "", "3000", "1,500"]),
        ("german", RECORD, ["2025-03-02 13:05:09", "a", "Run", "", "3000", "10,05"]),
        ("german", SWIM, ["2025-03-02 13:05:09", "a", "Swim", "", "3000", "1.500"]),
        ("dutch", RECORD, ["2 mrt 2025, 13:05:09", "a", "Hardloopsessie", "", "3000", "10,05"]),
        ("dutch", SWIM, ["2 mrt 2025, 13:05:09", "a", "Zwemmen", "", "3000", "1.500"]),
        ("swedish", RECORD, ["2 mars 2025, 13:05:09", "a", "Löpning", "", "3000", "10,05"]),
        ("swedish", SWIM, ["2 mars 2025, 13:05:09", "a", "Simning", "", "3000", "1\xa0500"]),
        ("chinese", RECORD, ["2025年3月2日 13:05:09", "a", "跑步", "", "3000", "10.05"]),
        ("first_layout", RECORD, ["2025-03-02 13:05:09", "a", "Run", "", "3000", "10050.0"]),
    ],
)
def test_an_export_in_each_variant(variant: str, record: dict, cells: list[str]) -> None:
    content, _ = export_csv([record], variant, lambda: 0.5, lambda: 0.5)
    _, row = csv.reader(io.StringIO(content.decode(), newline=""))
    assert row[1:7] == cells


def test_a_cropped_activity_has_other_first_values() -> None:
    content, kinds = export_csv([RECORD], "dutch", lambda: 0.5, lambda: 0.0)
    _, row = csv.reader(io.StringIO(content.decode(), newline=""))
    # Four tenths are left.
    assert [row[at] for at in (5, 6, 15, 16, 17)] == ["1200", "4,02", "3000.0", "1196.0", "10050.0"]
    assert kinds["export_cropped"] == 1
