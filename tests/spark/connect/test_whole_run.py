"""Both jobs as serverless compute runs them: job files on a session of Spark Connect, in a catalog.

What they publish is compared with the oracle, which knows no Spark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.cli.verify import verify_tables
from paceline.pipeline import jobs
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import TABLES
from paceline.publish import merge
from paceline.session import session
from paceline.sql import literal
from paceline.store import ledger
from paceline.store.warehouse import SCHEMAS
from tests.pipeline.worlds import ROLLING, SILVER, World, edited, plain_run
from tests.unit.test_job_files import execute, run_cell, text_of

JOBS = ("feature_activity", "feature_rolling")
HORIZON = date(2024, 6, 30)
CATALOG = "spark_catalog"
EXPORT_HEADER = "Activity ID,Activity Date,Activity Name,Activity Type,Elapsed Time,Distance"
SPLITS = [{"split": n, "distance": 1000.0, "moving_time": 290 + n} for n in range(1, 4)]


@pytest.fixture(scope="module")
def world(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A landing zone, and a catalog whose schemas lie where the world looks for its tables."""
    made = World(spark, tmp_path_factory.mktemp("world"), HORIZON)
    for schema in SCHEMAS:
        spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        place = literal(str(made.warehouse / schema))
        spark.sql(f"CREATE SCHEMA {schema} LOCATION {place}")
    yield made
    for schema in SCHEMAS:
        spark.sql(f"DROP SCHEMA {schema} CASCADE")


def arguments(world: World) -> list[str]:
    """Every parameter as one token, empty ones included."""
    return [
        *(f"--landing={world.root / 'landing'}", f"--catalog={CATALOG}"),
        *(f"--conf={world.root / 'conf'}", f"--horizon={HORIZON}", "--start=", "--end="),
    ]


@pytest.fixture(scope="module")
def said() -> io.StringIO:
    """What the first run of both jobs prints."""
    return io.StringIO()


@pytest.fixture(scope="module")
def first(world: World, said: io.StringIO) -> World:
    """The first run of both jobs, each the text of its file in a fresh namespace."""
    world.deliver(
        "strava_api/first.jsonl",
        plain_run(1, 7, "2024-06-01", splits_metric=SPLITS),
        plain_run(2, 7, "2024-06-20"),
        plain_run(3, 8, "2024-06-02"),
        plain_run(4, 8, "2024-06-03", moving_time=0),
    )
    world.deliver("athlete_settings/first.jsonl", {"athlete_id": 7, "valid_from": "2024-01-01"})
    world.deliver(
        "strava_export/athlete_id=9/activities.csv",
        EXPORT_HEADER,
        '5,"Jun 5, 2024, 6:00:00 AM",Morning Ride,Ride,3600,30.0',
    )
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(said):
        for job in JOBS:
            execute(text_of(job), arguments(world), patch)
    return world


def test_the_session_is_that_of_the_platform(spark: SparkSession) -> None:
    assert type(spark).__module__ == "pyspark.sql.connect.session"
    assert spark.conf.get("spark.sql.adaptive.enabled") == "true"
    assert session(None) is spark


def test_what_serverless_refuses_raises(spark: SparkSession) -> None:
    frame = spark.range(1)
    for action in (
        lambda: frame.persist(),
        lambda: frame.cache(),
        lambda: frame.checkpoint(),
        lambda: frame.localCheckpoint(),
        lambda: frame.rdd,
        lambda: spark.sparkContext,
        lambda: spark.catalog.cacheTable("a"),
        lambda: frame.createGlobalTempView("a"),
        lambda: spark.conf.set("spark.sql.adaptive.enabled", "false"),
    ):
        with pytest.raises(AssertionError, match="serverless compute"):
            action()
    partitions = "spark.sql.shuffle.partitions"
    spark.conf.set(partitions, str(spark.conf.get(partitions)))


def test_a_first_run(first: World) -> None:
    first.check()
    assert first.expected().refused, "something has to be set aside"


def test_a_catalog_without_tags_has_all_tables_and_nothing_else(
    first: World, said: io.StringIO
) -> None:
    warnings = re.findall(r"^\d{8}T\d{6}-\w{8} (warning: .*)", said.getvalue(), re.MULTILINE)
    assert warnings == [
        f"warning: the tags of {table.name} could not be set (PARSE_SYNTAX_ERROR): this catalog "
        "knows none, and nothing else depends on them."
        for table in jobs.TABLES
    ]
    # Where no lock keeps others out, even the first rows are merged.
    history = first.spark.sql(f"DESCRIBE HISTORY {CATALOG}.{SILVER}").orderBy("version")
    assert [row["operation"] for row in history.head(2)] == ["CREATE TABLE", "MERGE"]
    for name, columns in (
        (ROLLING, ["athlete_id", "as_of_date"]),
        ("bronze.strava_activities", []),
    ):
        detail = first.spark.sql(f"DESCRIBE DETAIL {CATALOG}.{name}").head()
        assert list(detail["clusteringColumns"]) == columns
    # No lock, and no file of events.
    assert {path.name for path in first.warehouse.iterdir()} <= set(SCHEMAS)


def test_an_increment_in_cells(first: World, tmp_path: Path) -> None:
    first.deliver(
        "strava_api/second.jsonl",
        edited(plain_run(2, 7, "2024-06-20"), moving_time=2700),
        edited(plain_run(4, 8, "2024-06-03")),
        plain_run(6, 8, "2024-05-20"),
    )
    first.deliver(
        "cdc/second.jsonl",
        {"op": "d", "before": {"id": 3}, "ts_ms": 1_719_964_800_000},
    )
    with pytest.MonkeyPatch.context() as patch:
        for job in JOBS:
            run_cell(text_of(job), arguments(first), patch, tmp_path).raise_error()
    first.check()
    scopes = {row["full_compare_reason"] for row in last_runs(first)}
    assert scopes == {None}, "the change feed should have told"


def last_runs(world: World) -> list[Any]:
    """The sealed rows of the ledger for the tables that changed in the last run of each job."""
    rows = world.spark.table(ledger.LEDGER).where("status = 'PUBLISHED'")
    newest = rows.groupBy("job").agg({"run_id": "max"}).toDF("job", "run_id")
    return rows.join(newest, ["job", "run_id"]).collect()


def test_verify_finds_nothing(first: World) -> None:
    options = Options(catalog=CATALOG, conf=str(first.root / "conf"))
    findings = verify_tables(TABLES, options, None, None, is_quiet=True)
    assert {finding.verdict for finding in findings} == {"PASS"}


def test_what_delta_refuses_has_its_condition(
    first: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Conflicts are recognised by it."""
    monkeypatch.setattr(merge, "_CONFLICTS", ("DELTA_VIOLATE_CONSTRAINT",))
    with pytest.raises(Exception, match="hr_rest_below_max") as refused:
        first.spark.sql(
            "INSERT INTO silver.athlete_settings (athlete_id, valid_from, hr_max_bpm, hr_rest_bpm)"
            " VALUES (9, DATE '2024-01-01', 40, 50)"
        )
    assert refused.value.getCondition().startswith("DELTA_VIOLATE_CONSTRAINT")
    assert merge.is_conflict(refused.value)
