"""What the tests of whole runs share: running jobs at a fixed time, and reading what came out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from paceline.pipeline.arguments import Options
from paceline.pipeline.execute import execute
from paceline.pipeline.jobs import JOBS, Jobs
from paceline.store import ledger
from paceline.store.ledger import Entry
from paceline.store.warehouse import Warehouse

# Tiny frames are planned and compiled at length, and computed in no time.
_QUICK = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "1",
}

NOW = datetime(2026, 7, 1, 6, tzinfo=UTC)


def run(
    spark: SparkSession,
    landing: Path,
    warehouse: Path,
    *,
    jobs: Jobs = JOBS,
    now: datetime = NOW,
    hook: Callable[[str, str, str], None] = lambda moment, step, name: None,
    tell: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> dict[str, Entry]:
    """Runs jobs in the test session; returns the last event of each table."""
    asked = Options(landing=str(landing), warehouse=str(warehouse), **options)
    with heard(tell):
        entries = execute(jobs, asked, hook=hook, spark=spark, now=now)
    return {entry.table_name: entry for entry in entries}


@contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[None]:
    """Hands over each line that is logged meanwhile, as the screen would show it."""
    handler = logging.Handler()
    handler.emit = lambda record: tell(
        ("warning: " if record.levelno >= logging.WARNING else "") + record.getMessage()
    )
    log = logging.getLogger("paceline")
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


@contextmanager
def quick(spark: SparkSession) -> Iterator[None]:
    """Settings with which runs over a handful of rows cost less."""
    before = {name: spark.conf.get(name) for name in _QUICK}
    for name, value in _QUICK.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


def versions(warehouse: Path) -> dict[str, int]:
    """By table, the newest version in its log, read from the file names."""
    return {
        f"{log.parents[1].name}.{log.parent.name}": max(
            int(commit.stem) for commit in log.glob("*.json")
        )
        for log in warehouse.glob("*/*/_delta_log")
    }


def changed(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """By table, the number of commits between two looks at the versions; none is left out."""
    return {
        name: version - before.get(name, -1)
        for name, version in after.items()
        if version != before.get(name, -1)
    }


def content(spark: SparkSession, warehouse: Path, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table, in an order of their own."""
    frame = spark.read.format("delta").load(str(warehouse.joinpath(*table.split("."))))
    return sorted((tuple(row) for row in frame.collect()), key=repr)


def lines(spark: SparkSession, warehouse: Path) -> list[dict[str, Any]]:
    """What the ledger says of each run and table, in the order in which they were started."""
    return _told(spark, warehouse, ledger.lines, "started_at")


def checks(spark: SparkSession, warehouse: Path) -> list[dict[str, Any]]:
    """The checks of all audits, one row each."""
    return _told(spark, warehouse, ledger.checks, "judged_at")


def _told(
    spark: SparkSession, root: Path, of: Callable[[Warehouse], str], order: str
) -> list[dict[str, Any]]:
    warehouse = Warehouse(spark, root)
    warehouse.register(ledger.LEDGER)
    rows = spark.sql(f"SELECT * FROM {of(warehouse)} ORDER BY {order}").collect()
    return [row.asDict(recursive=True) for row in rows]
