"""All that real deliveries hold, among 2,000 ordinary activities: each is right, or has a reason.

What has to become of each record is written by hand beside it, and so are the totals.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.store import ledger
from tests.pipeline.warehouse import NOW, checks
from tests.pipeline.worlds import FEATURES, SILVER, World, plain_run

pytestmark = pytest.mark.slow

HORIZON = date(2024, 6, 30)
ATHLETES, DAYS = 100, 20


@dataclass(frozen=True)
class Kind:
    """What one kind of delivery looks like, and what becomes of it.

    Attributes:
        files: what is delivered, by path.
        published: by activity, columns of silver.
        features: by activity, columns of activity_features.
        refused: for each record that is set aside, its reasons.
        dispositions: how many records become what else.
    """

    files: Mapping[str, bytes]
    published: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    features: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    refused: Sequence[str] = ()
    dispositions: Mapping[str, int] = field(default_factory=dict)


def lines(*values: Any) -> bytes:
    texts = (one if isinstance(one, str) else json.dumps(one) for one in values)
    return "".join(f"{text}\n" for text in texts).encode()


def run(activity: int, day: str = "2024-06-10", **fields: Any) -> dict[str, Any]:
    """10 km in 3,000 s; the athlete is the activity's id without its last digit."""
    return plain_run(activity, activity // 10, day, **fields)


def export(athlete: int, header: str, *rows: str, encoding: str = "utf-8") -> dict[str, bytes]:
    text = "\n".join([header, *rows]) + "\n"
    return {f"strava_export/athlete_id={athlete}/activities.csv": text.encode(encoding)}


def by_place(width: int, **cells: str) -> str:
    """A row of so many columns, with cells by their place such as `c5`."""
    row = [""] * width
    for name, cell in cells.items():
        row[int(name[1:])] = cell
    return ",".join(f'"{cell}"' if "," in cell else cell for cell in row)


def repeated_header(width: int, *first: str) -> str:
    """Of a language that nobody knows, with elapsed time and distance twice, as of today."""
    names = [*first, *(f"k{place}" for place in range(len(first), width))]
    names[15], names[17] = names[5], names[6]
    return ",".join(names)


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_csv", ".csv"), content)
    return packed.getvalue()


ENGLISH = (
    "Activity ID,Activity Date,Activity Name,Activity Type,Elapsed Time,Distance,Max Heart Rate,"
    "Elapsed Time,Moving Time,Distance,Max Heart Rate,Average Heart Rate"
)
DUTCH = (
    "Activiteits-ID,Datum van activiteit,Naam activiteit,Activiteitstype,Verstreken tijd,Afstand,"
    "Verstreken tijd,Beweegtijd,Afstand"
)
# In a row of today's layout by place: id, date, name, type, both elapsed times, both distances.
TODAY = {"c2": "pass", "c5": "3000", "c6": "10.00", "c15": "3000.0", "c16": "2990.0"}
TODAY |= {"c17": "10001.5"}
PLAIN = {"distance_m": 10001.5, "moving_time_s": 2990, "elapsed_time_s": 3000}

EXPORTS = {
    "English: a swim, a cropped run, an e-bike, a dry strap": Kind(
        export(
            901,
            ENGLISH,
            '9010,"Jun 3, 2024, 6:00:00 AM",a,Swim,1900,"1,500",,1900.0,1800.0,1500.0,,',
            '9011,"Jun 4, 2024, 6:00:00 AM",b,Run,3000,10.00,,4000.0,2900.0,13000.0,,',
            '9012,"Jun 5, 2024, 6:00:00 AM",c,E-Bike Ride,3600,20.00,,3600.0,3500.0,20000.0,,',
            '9013,"Jun 6, 2024, 6:00:00 AM",d,Run,3000,10.00,0,3000.0,2900.0,10000.0,0.0,0.0',
        ),
        published={
            9010: {"sport_family": "swim", "distance_m": 1500.0, "moving_time_s": 1800},
            # What the athlete has left of it.
            9011: {"distance_m": 10000.0, "elapsed_time_s": 3000, "moving_time_s": 2900},
            9012: {"sport_family": "ride", "distance_m": 20000.0},
            9013: {"average_heartrate_bpm": None, "max_heartrate_bpm": None},
        },
    ),
    "Dutch: months and types": Kind(
        export(
            902,
            DUTCH,
            '9020,15 mrt. 2024 09:00:00,a,Hardloopsessie,3000,"10,00",3000.0,2990.0,10001.5',
            '9021,1 mei 2024 08:07:36,b,Zwemmen,1900,"1.500",1900.0,1800.0,1500.0',
        ),
        published={
            9020: {"sport_family": "run", "local_day": date(2024, 3, 15), **PLAIN},
            9021: {"sport_family": "swim", "local_day": date(2024, 5, 1), "distance_m": 1500.0},
        },
    ),
    "Swedish: by the place of what its header repeats": Kind(
        export(
            903,
            repeated_header(99, "id", "datum", "namn", "typ", "text", "tid", "distans"),
            by_place(99, c0="9030", c1="3 maj 2024 07:00:00", c3="Löpning", **TODAY),
        ),
        published={9030: {"sport_family": "other", "local_day": date(2024, 5, 3), **PLAIN}},
    ),
    "Japanese and Korean: by the evidence of a record": Kind(
        export(
            904,
            ",".join(f"列{place}" for place in range(99)),
            by_place(99, c0="9040", c1="2024年6月1日 9:01:41", c3="ラン", **TODAY),
            by_place(99, c0="9041", c1="2024년 6월 2일 오전 3:01:41", c3="달리기", **TODAY),
        ),
        published={
            9040: {"local_day": date(2024, 6, 1), **PLAIN},
            9041: {"local_day": date(2024, 6, 2), **PLAIN},
        },
    ),
    "before July 2019: metres, and no moving time": Kind(
        export(
            905,
            "id,date,name,type,description,elapsed_time,distance,commute,gear,filename",
            "9050,2018-09-12 15:02:23,a,Ride,,783,3681.0,true,,x.gpx",
            "9051,2018-09-13 15:02:23,b,Rowing,,600,1500.0,false,,x.gpx",
        ),
        published={
            9050: {"distance_m": 3681.0, "moving_time_s": 783, "is_commute": True},
            9051: {"distance_m": 1500.0, "moving_time_s": 600},
        },
    ),
    "semicolons": Kind(
        export(
            906,
            ENGLISH.replace(",", ";"),
            "9060;2024-06-03 06:00:00;a;Run;3000;10,00;;3000,0;2990,0;10001,5;;",
        ),
        published={9060: PLAIN},
    ),
    "a layout that nobody knows": Kind(
        export(
            907, ",".join(f"x{place}" for place in range(40)), by_place(40, c0="9070", c5="3000")
        ),
        refused=["layout_unknown"],
    ),
    "an archive": Kind(
        {
            "strava_export/athlete_id=908/export_908.zip": zipped(
                activities_csv=(
                    ENGLISH + '\n9080,"Jun 3, 2024, 6:00:00 AM",a,Run,3000,10.00,,3000.0,2990.0,'
                    "10001.5,,\n"
                ).encode(),
                media__activities_csv=b"no export",
            )
        },
        published={9080: PLAIN},
    ),
}

API = {
    "an answer without data": Kind(
        {
            "strava_api/limit.json": lines(
                {"message": "Rate Limit Exceeded", "errors": [{"resource": "Application"}]}
            )
        },
        dispositions={"ignored": 1},
    ),
    "UTF-16, objects line by line in .json, a page a line": Kind(
        {
            "strava_api/wide.jsonl": lines(run(9110)).decode().encode("utf-16"),
            "strava_api/lines.json": lines(run(9111, "2024-06-11"), run(9112, "2024-06-12")),
            "strava_api/pages.jsonl": lines([run(9113, "2024-06-13")], [run(9114, "2024-06-14")]),
        },
        published={number: {"distance_m": 10000.0} for number in range(9110, 9115)},
    ),
    "measures that are not possible": Kind(
        {
            "strava_api/measures.jsonl": lines(
                run(9120, average_heartrate=150, max_heartrate=255),
                run(9121, "2024-06-11", average_heartrate=150, max_heartrate=149),
                run(9122, "2024-06-12", total_elevation_gain=-3, average_cadence=-1),
                run(9123, "2024-06-13", moving_time=0, elapsed_time=3600, distance=0),
            )
        },
        published={
            9120: {"average_heartrate_bpm": 150.0, "max_heartrate_bpm": None},
            9121: {"average_heartrate_bpm": None, "max_heartrate_bpm": None},
            9122: {"elevation_gain_m": None, "average_cadence_rpm": None},
            9123: {"moving_time_s": 3600},
        },
    ),
    "fast, too fast, slow": Kind(
        {
            "strava_api/speeds.jsonl": lines(
                run(9130, distance=800, moving_time=125, elapsed_time=125),
                run(9131, "2024-06-11", distance=21_097.5, moving_time=3450, elapsed_time=3450),
                run(9132, "2024-06-12", distance=20_000, moving_time=1200, elapsed_time=1200),
                run(
                    *(9133, "2024-06-13"),
                    **{"distance": 12, "moving_time": 1800, "average_heartrate": 140},
                ),
            ),
            "athlete_settings/913.jsonl": lines(
                {"athlete_id": 913, "valid_from": "2024-01-01", "threshold_pace_s_per_km": "4:00"}
                | {"hr_max_bpm": 190, "hr_rest_bpm": 50}
            ),
        },
        published={9130: {}, 9131: {}, 9133: {"distance_m": 12.0}},
        features={
            9130: {"tss_method": "pace", "threshold_pace_min_km": 4.0},
            9133: {"tss_method": "hr", "intensity_factor": None},
        },
        refused=["run_speed_max"],
    ),
    "of the future": Kind(
        {
            "strava_api/ahead.jsonl": lines(
                # It came on 1 July 2026: until 3 July it may last.
                run(9140, "2026-06-30", moving_time=266_000, elapsed_time=266_000, distance=2e5),
                run(9141, "2026-06-30", moving_time=345_600, elapsed_time=345_600, distance=2e5),
                run(9142, "2026-07-04"),
                run(9143, updated_at="2026-07-03T00:00:00Z"),
            )
        },
        published={9140: {"moving_time_s": 266_000}},
        refused=["end_not_ahead", "start_date_present", "change_time_ahead"],
    ),
    "an offset in a label": Kind(
        {
            "strava_api/labels.jsonl": lines(
                {
                    name: value
                    for name, value in run(9150, timezone="(GMT-08:00)").items()
                    if name != "start_date_local"
                }
            )
        },
        # 06:00 in UTC is 22:00 of the day before.
        published={9150: {"local_day": date(2024, 6, 9)}},
    ),
    "two devices, and one that ran for five days": Kind(
        {
            "strava_api/devices.jsonl": lines(
                run(9160),
                run(9161, start_date="2024-06-10T06:00:30Z", average_heartrate=150),
                run(9162, "2024-06-20", moving_time=432_000, elapsed_time=432_000, distance=3e5),
            )
        },
        published={9160: {}, 9161: {}, 9162: {}},
        features={
            9160: {"is_duplicate_recording": True, "is_restricted": True},
            9161: {"is_duplicate_recording": False},
            9162: {"is_duplicate_recording": False},
        },
    ),
    "one bad file": Kind(
        {
            "strava_api/bad.jsonl": lines(
                *(run(9170 + n, f"2024-06-{n + 1:02d}") for n in range(5)),
                *(
                    run(9175 + n, f"2024-05-{n + 1:02d}", moving_time=3200, elapsed_time=3100)
                    for n in range(25)
                ),
            )
        },
        published={9170 + n: {} for n in range(5)},
        refused=["moving_within_elapsed"] * 25,
    ),
}


def change(op: str, place: int | None, image: Any, **source: Any) -> dict[str, Any]:
    of_log = {"connector": "postgresql", "name": "app", "table": "activities"}
    of_log |= {"ts_ms": 1_720_000_000_000 + (place or 0), "lsn": place} | source
    return {"op": op, "before" if op == "d" else "after": image, "source": of_log, "ts_ms": 0}


TOAST = "__debezium_unavailable_value"
CHANGES = {
    "what is about no activity": Kind(
        {
            "cdc/noise.jsonl": lines(
                "null",
                {"ts_ms": 1_720_000_000_000},
                {"status": "END", "id": "571:1", "event_count": 1, "ts_ms": 1_720_000_000_000},
                {"op": "m", "source": {"connector": "postgresql", "lsn": 1}, "message": {}},
                change("d", 5, {"id": 9200}, table="photos"),
            ),
            "cdc/9200.jsonl": lines(change("c", 1, run(9200))),
        },
        published={9200: {}},
        dispositions={"ignored": 5},
    ),
    "redelivered, and left out": Kind(
        {
            "cdc/again.jsonl": lines(
                change("c", 10, run(9210, name="first")),
                change("u", 11, run(9210, name=TOAST, distance=9000.0)),
                change("c", 10, run(9210, name="first")) | {"ts_ms": 1_790_000_000_000},
                # Nothing has ever said what it is called.
                change("u", 12, run(9211, name=TOAST)),
                {"op": "t", "source": {"connector": "postgresql", "table": "activities"}},
            )
        },
        published={9210: {"name": "first", "distance_m": 9000.0}},
        refused=["encoding_unknown", "table_truncated"],
        dispositions={"duplicate": 1, "superseded": 1},
    ),
}
KINDS = EXPORTS | API | CHANGES


def ordinary() -> Iterator[dict[str, Any]]:
    for athlete in range(1, ATHLETES + 1):
        for day in range(1, DAYS + 1):
            yield plain_run(100_000 + 100 * athlete + day, athlete, date(2024, 6, day))


@dataclass
class Found:
    """What the run has made: rows by activity, reasons, and the ledger's row of silver."""

    silver: dict[int, dict[str, Any]]
    features: dict[int, dict[str, Any]]
    reasons: Counter[tuple[str, ...]]
    bronze: Mapping[str, int]
    entry: ledger.Entry
    warnings: dict[str, float]


@pytest.fixture(scope="module")
def found(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Found:
    world = World(quick_spark, tmp_path_factory.mktemp("real") / "world", HORIZON)
    world.deliver("strava_api/ordinary.jsonl", *ordinary())
    for kind in KINDS.values():
        for path, content in kind.files.items():
            _put(world.root / "landing" / path, content)
    entries = world.run()
    path = str(world.warehouse / "ops" / "quarantine")
    quarantine = quick_spark.read.format("delta").load(path).collect()
    judged = checks(quick_spark, world.warehouse)
    warned = (v for v in judged if v["table_name"] == SILVER and v["verdict"] == "WARN")
    return Found(
        silver={row["activity_id"]: row for row in world.published(SILVER).values()},
        features={row["activity_id"]: row for row in world.published(FEATURES).values()},
        reasons=Counter(tuple(q["reasons"]) for q in quarantine if not q["resolved_by"]),
        bronze=entries["bronze.strava_activities"].dispositions or {},
        entry=entries[SILVER],
        warnings={v["check_name"]: v["observed"] for v in warned},
    )


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_read_right(found: Found, kind: str) -> None:
    for activity, cells in KINDS[kind].published.items():
        assert found.silver[activity].items() >= cells.items(), activity
    for activity, cells in KINDS[kind].features.items():
        assert found.features[activity].items() >= cells.items(), activity


def test_what_is_published_is_what_should_be(found: Found) -> None:
    expected = {one["id"] for one in ordinary()}
    expected |= {activity for kind in KINDS.values() for activity in kind.published}
    assert found.silver.keys() == expected
    assert len(expected) == 2000 + 37
    assert found.features.keys() == expected


def test_what_is_set_aside_has_its_reason(found: Found) -> None:
    expected = Counter((reason,) for kind in KINDS.values() for reason in kind.refused)
    assert found.reasons == expected
    assert expected.total() == 32


def test_every_record_is_counted(found: Found) -> None:
    assert found.bronze["ignored"] == 6
    kinds = KINDS.values()
    dispositions = sum((Counter(kind.dispositions) for kind in kinds), Counter[str]())
    assert found.entry.dispositions == {
        "current": 2037,
        "quarantined": 32 - 2,
        # The layout and the truncation say nothing of fields.
        "unreadable": 2,
        "duplicate": dispositions["duplicate"],
        "superseded": dispositions["superseded"],
        "deletion": 0,
        "ignored": 0,
    }


def test_what_is_odd_is_told(found: Found) -> None:
    counted = {
        "measure_out_of_range": 3,
        # The hour of yoga, and what was exported before July 2019.
        "moving_time_unknown": 3,
        "delivery_broken": 1,
        "end_not_ahead": 1,
        "run_speed_max": 1,
        "moving_within_elapsed": 25,
    }
    assert found.warnings.items() >= counted.items()
    assert "bad.jsonl (25 of 30 records broken)" in (found.entry.message or "")
