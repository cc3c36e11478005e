"""What a run would do, found out by doing it in a copy of the warehouse that links to its files.

The plan's numbers are the run's numbers because they come from the same steps. A copy costs no
space: files of tables are never changed, only joined by others, so that links to them are enough.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from paceline.operations.verify import ATHLETE
from paceline.publish.staged import (
    INSERT,
    OP,
    REMOVE,
    REPLACES,
    ROW_OPS,
    RUN_ID,
    UPDATE,
    staging_name,
)
from paceline.recipe import Table, union
from paceline.sql import literal
from paceline.store import deliveries, ledger, quarantine
from paceline.store.ledger import Entry
from paceline.store.state import Sealed
from paceline.store.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Of the directories with copies, in the warehouse itself.
PREFIX = ".plan-"
# A log has few small files, some of which are written over.
_LOG = "_delta_log"


@dataclass(frozen=True)
class Delivered:
    """A file that would be read for the first time, and the records in it."""

    table_name: str
    path: str
    records: int


@dataclass(frozen=True)
class Touched:
    """Rows of one athlete that a table would insert, update and delete.

    Attributes:
        athlete_id: the athlete, or what is shown instead of them.
        first_day, last_day, days: the calendar days of these rows, also of those they replace; None
            where rows have none.
        because_of: the deliveries with records of the athlete that silver has not followed yet, by
            path; empty when the rows differ for another reason, which is that of the table.
    """

    table_name: str
    athlete_id: int | str
    inserted: int
    updated: int
    deleted: int
    first_day: date | None
    last_day: date | None
    days: int | None
    because_of: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """New records that a table would refuse for the same reasons, and where one of them is."""

    table_name: str
    reasons: tuple[str, ...]
    records: int
    example: str | None


def copy(root: Path, into: Path) -> None:
    """Makes a directory a warehouse that shares all data files with another one.

    Args:
        root: a local warehouse that nobody writes meanwhile.
        into: an empty directory. What is written there later is not seen in `root`.
    """
    for schema in root.iterdir():
        if schema.name.startswith(".") or not schema.is_dir():
            continue
        for path in schema.rglob("*"):
            made = into / path.relative_to(root)
            if path.is_dir():
                made.mkdir(parents=True, exist_ok=True)
                continue
            made.parent.mkdir(parents=True, exist_ok=True)
            if _LOG in made.parts:
                # With its time, by which Delta puts commits in order.
                shutil.copy2(path, made)
            else:
                made.symlink_to(path)


def remove_copies(root: Path, older_than_s: float = 0) -> None:
    """Removes the copies below a warehouse, of plans that were killed or still go on.

    Args:
        root: the warehouse.
        older_than_s: only those that were made so many seconds ago.
    """
    for left in root.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # its plan has just ended
            if time() - left.stat().st_mtime >= older_than_s:
                shutil.rmtree(left, ignore_errors=True)


def delivered(warehouse: Warehouse, entries: Sequence[Entry]) -> list[Delivered]:
    """The deliveries that the runs of some rows of the ledger were the first to read."""
    rows = warehouse.spark.sql(
        f"SELECT table_name, path, records FROM {warehouse.identifier(deliveries.DELIVERIES)}"
        f" WHERE run_id IN ({_runs(entries)}) AND records > 0 ORDER BY table_name, path"
    ).collect()
    return [Delivered(*row) for row in rows]


def refused(warehouse: Warehouse, entries: Sequence[Entry]) -> list[Refused]:
    """What the runs of some rows of the ledger have put into quarantine."""
    rows = warehouse.spark.sql(
        f"SELECT table_name, reasons, count(*) AS records,"
        f" min(concat(source_path, ':', line_number)) AS example"
        f" FROM {warehouse.identifier(quarantine.QUARANTINE)}"
        f" WHERE run_id IN ({_runs(entries)}) AND resolved_by IS NULL"
        f" GROUP BY table_name, reasons ORDER BY table_name, records DESC, reasons"
    ).collect()
    return [Refused(row[0], tuple(row[1]), row[2], row[3]) for row in rows]


def failed_checks(warehouse: Warehouse, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The checks of the runs of some rows of the ledger that did not pass."""
    rows = warehouse.spark.sql(
        f"SELECT table_name, check_name, observed, threshold, verdict"
        f" FROM {ledger.checks(warehouse)}"
        f" WHERE run_id IN ({_runs(entries)}) AND verdict <> 'PASS'"
        f" ORDER BY verdict, table_name, check_name"
    ).collect()
    return [row.asDict() for row in rows]


def touched(
    warehouse: Warehouse,
    tables: Sequence[Table],
    entries: Mapping[str, Entry],
    before: Mapping[str, Sealed],
    limit: int,
) -> list[Touched]:
    """By table, in their order, the athletes with most rows that differ.

    Args:
        warehouse: where the runs have been.
        tables: all of them.
        entries: by table, its row of the ledger.
        before: by table, its last sealed run before.
        limit: so many athletes of a table at most.
    """
    causes = _causes(warehouse, tables, entries, before)
    made = [
        table
        for table in tables
        if table.inputs
        and entries[table.name].rows_compared
        and ATHLETE in warehouse.table(staging_name(table.name)).columns
    ]
    return [
        row
        for table in made
        for row in _per_athlete(warehouse, table, entries[table.name].run_id, causes, limit)
    ]


def reason(table: Table, entries: Mapping[str, Entry], before: Mapping[str, Sealed]) -> str | None:
    """Why rows of a table were compared; None when they were not, or came from outside."""
    entry = entries[table.name]
    if not table.inputs or not entry.rows_compared:
        return None
    if entry.full_compare_reason is not None:
        return f"all rows compared: {entry.full_compare_reason}"
    sealed, reasons = before.get(table.name), []
    if entry.window_start is not None and table.follows_window:
        reasons.append("the window")
    changed = [name for name in table.inputs if entries[name].status == ledger.PUBLISHED]
    if changed:
        reasons.append(f"changes of {' and '.join(changed)}")
    if sealed is not None and entry.horizon != sealed.horizon:
        reasons.append(f"new days from {sealed.horizon} to {entry.horizon}")
    return ", ".join(reasons) or "changes that no run has followed yet"


def _causes(
    warehouse: Warehouse,
    tables: Sequence[Table],
    entries: Mapping[str, Entry],
    before: Mapping[str, Sealed],
) -> DataFrame:
    """By athlete, the deliveries whose records their readers had not followed, by path."""
    from pyspark.sql import functions as F

    fed = {table.name for table in tables if not table.inputs}
    frames = [
        _news(warehouse, name, before.get(table.name)).select(ATHLETE, "source_path")
        for table in tables
        for name in fed.intersection(table.inputs)
        if entries[table.name].full_compare_reason is None or table.name not in before
    ]
    nothing = warehouse.spark.createDataFrame([], f"{ATHLETE} BIGINT, source_path STRING")
    paths = F.sort_array(F.collect_set("source_path")).alias("paths")
    return union([nothing, *frames]).groupBy(ATHLETE).agg(paths)


def _news(warehouse: Warehouse, name: str, reader: Sealed | None) -> DataFrame:
    """The rows of a table that its reader had not followed: all of them, if it follows none."""
    rows, followed = warehouse.table(name), reader.cursor.get(name) if reader else None
    if followed is None:
        return rows
    if warehouse.position(name).version == followed.version:
        return rows.limit(0)
    feed = warehouse.spark.read.option("readChangeFeed", "true")
    since = feed.option("startingVersion", followed.version + 1)
    return since.table(warehouse.identifier(name)).where("_change_type = 'insert'")


def _per_athlete(
    warehouse: Warehouse, table: Table, run_id: str, causes: DataFrame, limit: int
) -> list[Touched]:
    from pyspark.sql import functions as F

    staged = warehouse.table(staging_name(table.name))
    rows = staged.where(staged[RUN_ID].startswith(run_id) & staged[OP].isin(*ROW_OPS))
    days = F.lit(None).cast("array<date>")
    if table.day:
        both = F.array(table.day, f"{REPLACES}.{table.day}")
        days = F.array_compact(F.array_distinct(F.flatten(F.collect_set(both))))
    most = (
        rows.groupBy(ATHLETE)
        .agg(
            *(F.count_if(F.col(OP) == op).alias(op) for op in (INSERT, UPDATE, REMOVE)),
            F.count("*").alias("rows"),
            days.alias("days"),
        )
        .orderBy(F.desc("rows"), ATHLETE)
        .limit(limit)
    )
    found = most.join(causes, ATHLETE, "left").orderBy(F.desc("rows"), ATHLETE).collect()
    return [
        Touched(
            table.name,
            row[ATHLETE],
            inserted=row[INSERT],
            updated=row[UPDATE],
            deleted=row[REMOVE],
            first_day=min(row["days"], default=None) if table.day else None,
            last_day=max(row["days"], default=None) if table.day else None,
            days=len(row["days"]) if table.day else None,
            because_of=tuple(row["paths"] or ()),
        )
        for row in found
    ]


def _runs(entries: Sequence[Entry]) -> str:
    return ", ".join(sorted({literal(entry.run_id) for entry in entries}))
