"""The warehouse of an earlier release goes on: its runs follow changes, and its rows are right.

`tests/fixtures/warehouse.py` makes its archive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from paceline.cli import status
from paceline.cli.opening import opened
from paceline.cli.plan import plan
from paceline.cli.verify import verify_tables
from paceline.errors import PacelineError
from paceline.pipeline.jobs import JOBS, TABLES
from paceline.store.ledger import Entry
from tests.fixtures import records, warehouse
from tests.pipeline.new_columns import JOBS_AFTER, RECIPES, promise
from tests.pipeline.warehouse import NOW
from tests.pipeline.worlds import FEATURES, PARTS, ROLLING, SILVER, World, told

pytestmark = pytest.mark.slow

# They hold an edit, a late activity that wakes a dormant athlete, and the correction of a record in
# quarantine.
NEWS = [
    records.edited(records.activity(records.ANNA, 4, "2026-06-18"), "2026-06-25", distance=9500.0),
    records.activity(records.DANA, 2, "2026-04-28"),
    records.edited(records.activity(records.ERIK, 4, "2026-06-14"), "2026-06-25"),
]
NEW_COLUMNS = {
    "bronze.strava_activities": ("change_log", "change_position", "change_id"),
    PARTS: ("source",),
    FEATURES: ("is_duplicate_recording", "is_restricted", "extra_class", "extra_rain_mm"),
}
PERMISSION = "generated data"
# Such a path belongs to one machine.
PLACES = re.compile(r"/(?:work|root|home|Users)/")


@dataclass
class Story:
    """Entries of the catch-up and of the run with news, and the rows before and after the first."""

    world: World
    caught_up: dict[str, Entry]
    rows: list[dict[str, list[tuple[object, ...]]]]
    followed: dict[str, Entry]


def rows(world: World) -> dict[str, list[tuple[object, ...]]]:
    """By table its rows, in the columns of the release that made them."""
    found = {}
    for table in TABLES:
        path = str(world.warehouse.joinpath(*table.name.split(".")))
        frame = world.spark.read.format("delta").load(path)
        frame = frame.drop(*NEW_COLUMNS.get(table.name, ()))
        found[table.name] = sorted((tuple(row) for row in frame.collect()), key=repr)
    return found


@pytest.fixture(scope="module")
def story(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = warehouse.world(quick_spark, tmp_path_factory.mktemp("fixture") / "world")
    before = rows(world)
    places = warehouse.options(world)
    for read in (lambda: status.found(TABLES, places, NOW), lambda: opened(world.warehouse, "")):
        with pytest.raises(PacelineError, match="was written by an older release: run the jobs"):
            read()
    planned = plan(JOBS, replace(places, landing=str(world.root / "landing")), now=NOW)
    filled = {row["table_name"] for row in planned.tables if row["rows_updated"]}
    assert filled == {PARTS, FEATURES, ROLLING}
    # This release has two more columns.
    promise(world.root / "conf")
    with (world.root / "conf" / "paceline.yml").open("a", encoding="utf-8") as settings:
        settings.write(f"model_permission: {PERMISSION}\n")
    world.jobs = JOBS_AFTER
    caught_up = world.run()
    after = rows(world)
    world.deliver("strava_api/news.jsonl", *NEWS)
    return Story(world, caught_up, [before, after], world.run())


def test_an_upgrade_compares_once_and_writes_what_the_rules_have_changed(story: Story) -> None:
    # This release hashes the code of recipes: all deliveries are read again, all rows compared.
    assert {entry.full_compare_reason for entry in story.caught_up.values()} == {
        "rules, settings or recipes have changed"
    }
    counts = told(story.caught_up)
    before, after = story.rows
    assert counts == dict.fromkeys(counts, (0, 0, 0)) | {
        PARTS: (0, len(before[PARTS]), 0),
        # An activity with a heart rate of 300 was refused, and now lacks the heart rate only. It
        # is of 14 June, and the days end with the 22nd.
        SILVER: (1, 0, 0),
        FEATURES: (1, len(before[FEATURES]), 0),
        ROLLING: (0, 9, 0),
    }
    repaired = {SILVER, FEATURES, ROLLING}
    assert {name: rows for name, rows in before.items() if name not in repaired} == {
        name: rows for name, rows in after.items() if name not in repaired
    }
    for name in repaired:
        kept = [row for row in after[name] if row[0] != records.ERIK]
        assert kept == [row for row in before[name] if row[0] != records.ERIK]
        assert len(kept) < len(before[name])


def test_news_are_followed_from_where_the_release_has_stopped(story: Story) -> None:
    assert {entry.full_compare_reason for entry in story.followed.values()} == {None}
    assert {name: story.followed[name].rows_inserted for name in (SILVER, FEATURES)} == {
        SILVER: 1,
        FEATURES: 1,
    }
    # Erik gets his heart rate back, which no day looks at.
    assert story.followed[ROLLING].touched_entities == len(NEWS) - 1
    story.world.check()


def test_new_columns_are_filled_in_place(story: Story) -> None:
    path = str(story.world.warehouse.joinpath(*FEATURES.split(".")))
    found = story.world.spark.read.format("delta").load(path)
    at = found.columns.index("distance_km")
    assert found.columns[at - 2 : at] == ["extra_class", "extra_rain_mm"]
    wrong = (
        "extra_class IS DISTINCT FROM floor(coalesce(distance_km, 0) / 10)"
        " OR extra_rain_mm IS DISTINCT FROM IF(athlete_id % 2 = 1, 2.5, NULL)"
    )
    assert found.where(wrong).count() == 0


def test_rows_of_the_release_say_whether_models_may_use_them(story: Story) -> None:
    """The runs of its archive are of the API and an export; only those of the API have parts."""
    delta = story.world.spark.read.format("delta")
    parts, activities, features = (
        delta.load(str(story.world.warehouse.joinpath(*name.split("."))))
        for name in (PARTS, SILVER, FEATURES)
    )
    assert {row["source"] for row in parts.collect()} == {"strava_api"}
    sources = {row["activity_id"]: row["source"] for row in activities.collect()}
    found = {(sources[r["activity_id"]], r["is_restricted"]) for r in features.collect()}
    assert found == {("strava_api", True), ("strava_export", False)}


def test_the_ledger_notes_the_permission_from_then_on(story: Story) -> None:
    path = str(story.world.warehouse / "ops" / "ledger")
    rows = story.world.spark.read.format("delta").load(path).collect()
    runs = {entry.run_id for told in (story.caught_up, story.followed) for entry in told.values()}
    noted = {row["model_permission"] for row in rows if row["run_id"] in runs}
    assert noted == {PERMISSION}
    assert {row["model_permission"] for row in rows if row["run_id"] < min(runs)} == {None}


def test_all_rows_equal_their_rebuild(story: Story) -> None:
    findings = verify_tables(RECIPES, warehouse.options(story.world), None, None, is_quiet=True)
    assert {finding.verdict for finding in findings} == {"PASS"}


def test_change_data_that_the_release_has_read_is_refused(
    quick_spark: SparkSession, tmp_path: Path
) -> None:
    world = warehouse.world(quick_spark, tmp_path / "world")
    path = str(world.warehouse / "bronze" / "strava_activities")
    bronze = quick_spark.read.format("delta").load(path)
    changes = bronze.limit(2).selectExpr("* EXCEPT (source)", "'debezium' AS source")
    changes.select(bronze.columns).write.format("delta").mode("append").save(path)
    refusal = (
        r"bronze.strava_activities has 2 rows that an older release has read, without .*change_log"
        r".*: move .*warehouse away and run again"
    )
    with pytest.raises(PacelineError, match=refusal):
        world.run()
    # Nothing was added, so that the release before can still go on.
    assert quick_spark.read.format("delta").load(path).columns == bronze.columns


def test_the_archive_is_small_and_names_no_place_of_a_machine(tmp_path: Path) -> None:
    assert warehouse.ARCHIVE.stat().st_size < 1_000_000
    warehouse.unpacked(tmp_path)
    found = []
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        text = file.read_bytes().decode("latin-1")
        if file.suffix == ".parquet":
            text += str(pq.ParquetFile(file).read().to_pylist())
        found += [f"{file.relative_to(tmp_path)}: {place}" for place in PLACES.findall(text)]
    assert found == []
