"""Names in the catalog of a session, and the history of a table."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from paceline.errors import UsageError
from paceline.store import warehouse as names
from paceline.store.warehouse import LAYOUT_PROPERTY, Position, Warehouse

pytestmark = pytest.mark.classic  # the tests of a session have one catalog, which they share

DDL = "id BIGINT"


@pytest.fixture
def theirs(spark: SparkSession, tmp_path: Path) -> Iterator[set[str]]:
    """Tables of other people in schemas that are called as ours."""
    Warehouse(spark, tmp_path / "before").create_schemas()
    made = {"silver.notes", "ops.a_parquet", "bronze.managed"}
    spark.sql(f"CREATE TABLE silver.notes ({DDL}) USING delta LOCATION '{tmp_path}/notes'")
    spark.sql(f"CREATE TABLE ops.a_parquet ({DDL}) USING parquet LOCATION '{tmp_path}/parquet'")
    spark.sql(f"CREATE TABLE bronze.managed ({DDL}) USING delta")
    yield made
    for name in made:
        spark.sql(f"DROP TABLE IF EXISTS {name}")


def known(spark: SparkSession) -> set[str]:
    return {
        f"{schema}.{row['tableName']}"
        for schema in names.SCHEMAS
        for row in spark.sql(f"SHOW TABLES IN {schema}").collect()
        if not row["isTemporary"]
    }


def test_only_names_of_paceline_are_forgotten(
    spark: SparkSession, tmp_path: Path, theirs: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Warehouse(spark, tmp_path / "first")
    first.create_schemas()
    for name in ("silver.runs", "ops.gone"):
        first.create(name, DDL, {})
    shutil.rmtree(tmp_path / "first" / "ops" / "gone")
    Warehouse(spark, tmp_path / "second").create_schemas()
    assert known(spark) == theirs

    # Another process, which shares a lasting catalog, has made it known: the property says whose.
    first.create("silver.runs", DDL, {})
    monkeypatch.setattr(names, "_registered", set())
    Warehouse(spark, tmp_path / "second").create_schemas()
    assert known(spark) == theirs
    assert (tmp_path / "first" / "silver" / "runs" / "_delta_log").is_dir()


def test_a_table_of_others_is_never_taken_for_ours(
    spark: SparkSession, tmp_path: Path, theirs: set[str]
) -> None:
    warehouse = Warehouse(spark, tmp_path / "mine")
    warehouse.create_schemas()
    for name in sorted(theirs):
        with pytest.raises(UsageError, match=f"a table {name} that is not paceline's: give the"):
            warehouse.create(name, DDL, {})
        with pytest.raises(UsageError, match="such as --schema"):
            warehouse.register(name)
    other = Warehouse(spark, tmp_path / "mine", schemas={"silver": "paceline_silver"})
    other.create_schemas()
    other.create("silver.notes", DDL, {})
    assert other.properties("silver.notes")[LAYOUT_PROPERTY] == "2"


@pytest.mark.classic
def test_a_commit_costs_the_same_in_every_zone(spark: SparkSession, tmp_path: Path) -> None:
    warehouse = Warehouse(spark, tmp_path)
    warehouse.create_schemas()
    warehouse.create("silver.zones", DDL, {})
    scheduler = spark.sparkContext._jsc.sc().dagScheduler()
    zones = spark._jvm.java.util.TimeZone  # type: ignore[union-attr]
    default, jobs = zones.getDefault(), []
    try:
        for number, zone in enumerate(("UTC", "UTC", "America/Los_Angeles", "Asia/Kolkata")):
            zones.setDefault(zones.getTimeZone(zone))
            before = scheduler.nextJobId()
            spark.sql(f"INSERT INTO silver.zones VALUES ({number})")
            jobs.append(scheduler.nextJobId() - before)
    finally:
        zones.setDefault(default)
    assert jobs == [jobs[0]] * 4


def test_a_commit_that_the_history_no_longer_lists_is_a_rewrite(
    spark: SparkSession, tmp_path: Path
) -> None:
    warehouse = Warehouse(spark, tmp_path)
    warehouse.create_schemas()
    warehouse.create("silver.runs", DDL, {"delta.checkpointInterval": "3"})
    table_id = warehouse.position("silver.runs").table_id
    for number in range(2):
        spark.sql(f"INSERT INTO silver.runs VALUES ({number})")
    for _ in range(2):
        spark.sql("ALTER TABLE silver.runs SET TBLPROPERTIES ('a' = 'b')")

    def rewrites(version: int) -> int:
        found = warehouse.rewrites_since(Position("silver.runs", table_id, version))
        assert [commit.version for commit in found] == list(range(version + 1, 3))
        return len(found)

    assert [rewrites(version) for version in range(5)] == [2, 1, 0, 0, 0]
    log = tmp_path / "silver" / "runs" / "_delta_log"
    assert (log / f"{3:020}.checkpoint.parquet").exists()
    for version in range(3):
        for path in log.glob(f"*{version:020}*"):
            path.unlink()
    # Version 3 is listed as maintenance; what 1 and 2 were nothing says any more.
    assert [rewrites(version) for version in range(5)] == [2, 1, 0, 0, 0]
    assert warehouse.is_rewritten_since(Position("silver.runs", table_id, 1))


def test_a_run_leaves_no_directory_for_the_schema_default(spark: SparkSession) -> None:
    place = Path(spark.conf.get("spark.sql.warehouse.dir").removeprefix("file:"))
    spark.sql("SHOW TABLES IN default").collect()
    assert not (place / "default").exists()
