"""Real athletes through both jobs: hit rates and totals that were counted outside this project."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
from pathlib import Path

import pytest

from paceline.features import functions
from paceline.pipeline import jobs
from paceline.store import ledger
from tests.pipeline.warehouse import NOW, checks, content, run

pytestmark = [pytest.mark.real, pytest.mark.slow]

API, EXPORT = 1, 2
FIXTURES = 9_000_000_000  # ids of the detailed fixtures begin here, up to 9,000,000,999


@pytest.fixture(scope="module")
def landing(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("real") / "landing"
    api = root / "strava_api"
    api.mkdir(parents=True)
    shutil.copy(shared_data / "strava-api-single-athlete" / "summary_activities.jsonl", api)
    for path in (shared_data / "strava-api-detailed-fixtures").glob("*.json"):
        shutil.copy(path, api)
    export = root / "strava_export" / f"athlete_id={EXPORT}"
    export.mkdir(parents=True)
    shutil.copy(shared_data / "strava-bulk-export-a" / "activities.csv", export)
    # A file may not come from after the run, whatever the day on which the test itself runs.
    for path in filter(Path.is_file, root.rglob("*")):
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    return root


@pytest.fixture(scope="module")
def published(spark, landing, contracts):
    warehouse = landing.parent / "warehouse"
    entries = run(spark, landing, warehouse, horizon="2025-12-31")
    tables = {
        table.name: [
            dict(zip(contracts[table.name].column_names, row, strict=True))
            for row in content(spark, warehouse, table.name)
        ]
        for table in jobs.TABLES
    }
    refused = spark.read.format("delta").load(str(warehouse / "ops" / "quarantine")).collect()
    return entries, tables, refused, checks(spark, warehouse)


def of_set(rows, athlete, *, fixtures=False):
    """The rows of one data set: the fixtures have ids of their own."""
    return [
        row
        for row in rows
        if row["athlete_id"] == athlete
        and (FIXTURES < row["activity_id"] < FIXTURES + 1000 and athlete == API) == fixtures
    ]


def test_every_record_is_received_and_judged(published):
    entries, tables, _, _ = published
    assert len(tables["bronze.strava_activities"]) == 1132 + 5 + 1845
    silver = entries["silver.strava_activities"]
    assert silver.rows_read == 1132 + 5 + 1845
    assert silver.dispositions["current"] == 1132 + 5 + 1844
    assert silver.status == ledger.PUBLISHED


def test_one_ride_is_quarantined(published):
    _, _, refused, _ = published
    (ride,) = refused
    assert ride["reasons"] == ["ride_speed_max"]  # 53 km in 118 s
    assert json.loads(ride["key"])["athlete_id"] == EXPORT
    assert ride["broken_values"]["moving_time_s"] == "118"


def test_long_elapsed_times_are_warnings(published):
    _, _, _, verdicts = published
    (warned,) = (v for v in verdicts if v["check_name"] == "elapsed_over_24h")
    # 26 in the file, and one of them is the quarantined ride.
    assert (warned["observed"], warned["verdict"]) == (25, "WARN")


def test_totals_of_the_runs(published):
    _, tables, _, _ = published
    features = tables["feature_store.activity_features"]
    for athlete, runs, km, tss in (
        (API, 908, 9423.154, 57142.33),
        (EXPORT, 643, 3818.766, 25774.38),
    ):
        found = [row for row in of_set(features, athlete) if row["sport_family"] == "run"]
        assert len(found) == runs
        assert math.fsum(row["distance_km"] or 0 for row in found) == pytest.approx(km, abs=5e-4)
        assert math.fsum(row["estimated_tss"] or 0 for row in found) == pytest.approx(tss, abs=5e-3)


def test_ids_beyond_32_bits_and_local_days(published):
    _, tables, _, _ = published
    api = of_set(tables["silver.strava_activities"], API)
    assert len(api) == 1132
    assert sum(row["activity_id"] > 2**31 for row in api) == 988
    differs = [r for r in api if r["local_day"] != r["start_date"].date()]
    assert len(differs) == 32


def test_first_and_last_days(published):
    _, tables, _, _ = published
    silver = tables["silver.strava_activities"]
    for athlete, first, last in (
        (API, "2017-10-01", "2025-10-19"),
        (EXPORT, "2014-10-05", "2025-08-25"),
    ):
        days = [str(row["local_day"]) for row in of_set(silver, athlete)]
        assert (min(days), max(days)) == (first, last)


def test_older_fixtures_without_sport_type(published):
    _, tables, _, _ = published
    fixtures = of_set(tables["silver.strava_activities"], API, fixtures=True)
    assert sorted(row["sport_type"] for row in fixtures) == ["Hike", "Ride", "Run", "Run", "Swim"]


def test_splits_of_the_fixtures(published, shared_data):
    _, tables, _, _ = published
    expected = {}
    for path in (shared_data / "strava-api-detailed-fixtures").glob("*.json"):
        activity = json.loads(path.read_text())
        for kind, field in (("split", "splits_metric"), ("lap", "laps")):
            for position, child in enumerate(activity.get(field) or [], start=1):
                index = child.get("split") or child.get("lap_index") or position
                expected[(activity["id"], kind, index)] = child["distance"]
    found = {
        (row["activity_id"], row["kind"], row["sub_index"]): row["distance_m"]
        for row in tables["silver.strava_sub_activity"]
    }
    assert found == expected


def test_another_programs_load_where_the_definitions_agree(shared_data):
    """Where that export states an intensity, its load is 100 x hours x intensity squared.

    Its own threshold is hidden in the intensity, so the pace that had this intensity stands for it;
    its load is a whole number, so half a point of rounding is no difference.
    """
    differences = []
    with (shared_data / "intervals-icu-runs" / "runs.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if not row["intensity"] or not row["load"] or float(row["intensity"]) <= 0:
                continue
            pace = functions.pace_min_km(float(row["dist_m"]) / 1000, int(row["mov_s"]))
            threshold = pace * float(row["intensity"]) / 100
            tss = functions.estimated_tss(pace, threshold, int(row["mov_s"]))
            differences.append(abs(tss - float(row["load"])))
    assert len(differences) == 766
    assert sorted(differences)[len(differences) // 2] < 0.5
