"""A job on the tables of a catalog in a classic session: three-level names, no directory, no lock.

Spark's own catalog stands in for Unity Catalog; it knows no tags, as one that refuses them. All
tables in a catalog, and increments, are checked on Spark Connect (tests/spark/connect).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.store.warehouse import SCHEMAS
from paceline.tables.bronze import athlete_settings as bronze
from paceline.tables.silver import athlete_settings as silver
from tests.pipeline.worlds import World

pytestmark = pytest.mark.slow

CATALOG = "spark_catalog"
TABLES = (bronze.TABLE, silver.TABLE)


@pytest.fixture
def catalog(quick_spark: SparkSession) -> Iterator[str]:
    """A catalog without any of our schemas, before and after."""

    def forget() -> None:
        for schema in SCHEMAS:
            quick_spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")

    forget()
    yield CATALOG
    forget()


def test_tables_of_a_catalog(
    quick_spark: SparkSession,
    catalog: str,
    tmp_path: Path,
) -> None:
    spark, said = quick_spark, list[str]()
    made = {FEATURE_ACTIVITY: TABLES}
    world = World(spark, tmp_path / "world", date(2024, 6, 9), jobs=made)
    world.deliver("athlete_settings/1.jsonl", {"athlete_id": 7, "valid_from": "2024-01-01"})
    entries = world.run(catalog=catalog, tell=said.append)
    assert [entries[table.name].rows_inserted for table in TABLES] == [1, 1]
    assert [row["athlete_id"] for row in spark.table(f"{CATALOG}.{silver.NAME}").collect()] == [7]
    assert [line for line in said if line.startswith("warning")] == [
        f"warning: the tags of {table.name} could not be set (PARSE_SYNTAX_ERROR): this catalog "
        "knows none, and nothing else depends on them."
        for table in TABLES
    ]
    # Where no lock keeps others out, even the first rows are merged.
    history = spark.sql(f"DESCRIBE HISTORY {CATALOG}.{silver.NAME}").collect()
    assert [commit["operation"] for commit in history] == ["MERGE", "CREATE TABLE"]
    assert not world.warehouse.exists()
