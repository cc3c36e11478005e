"""Both jobs on the tables of a catalog: three-level names, no directory, no lock.

Spark's own catalog stands in for Unity Catalog; it knows no tags, as one that refuses them. What
the tables hold there, and increments, are checked on Spark Connect (tests/spark/connect).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from paceline import lineage
from paceline.warehouse import SCHEMAS
from tests.pipeline.worlds import FEATURES, ROLLING, SILVER, World, plain_run

pytestmark = pytest.mark.slow

CATALOG = "spark_catalog"
TABLES = [table.name for table in lineage.TABLES]


@pytest.fixture
def catalog(quick_spark: SparkSession) -> Iterator[str]:
    """A catalog without any of our schemas, before and after."""

    def forget() -> None:
        for schema in SCHEMAS:
            quick_spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")

    forget()
    yield CATALOG
    forget()


def clustering(spark: SparkSession, name: str) -> list[str]:
    (detail,) = spark.sql(f"DESCRIBE DETAIL {name}").collect()
    return list(detail["clusteringColumns"])


def test_tables_of_a_catalog(
    quick_spark: SparkSession, catalog: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spark, world = quick_spark, World(quick_spark, tmp_path / "world", date(2024, 6, 9))
    world.deliver("strava_api/1.jsonl", plain_run(1, 1001, "2024-06-01"))
    entries = world.run(catalog=catalog)
    assert (entries[FEATURES].rows_inserted, entries[ROLLING].rows_inserted) == (1, 9)
    refused = capsys.readouterr().out.splitlines()
    assert refused == [
        f"warning: the tags of {name} could not be set (PARSE_SYNTAX_ERROR): this catalog "
        "knows none, and nothing else depends on them."
        for name in TABLES
    ]
    # Where no lock keeps others out, even the first rows are merged.
    history = spark.sql(f"DESCRIBE HISTORY {CATALOG}.{SILVER}").collect()
    assert [commit["operation"] for commit in history] == ["MERGE", "CREATE TABLE"]
    assert clustering(spark, f"{CATALOG}.{ROLLING}") == ["athlete_id", "as_of_date"]
    assert clustering(spark, f"{CATALOG}.bronze.strava_activities") == []
    assert not world.warehouse.exists()
