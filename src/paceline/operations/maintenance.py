"""Upkeep of the tables: small files put together, old staged rows and unneeded files removed.

No row of a published table changes, and nothing goes that a later run still has to read: an
increment reads the change feed from the version that was sealed last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import PurePosixPath

from paceline.publish.staged import RUN_ID, staging_name
from paceline.recipe import Table
from paceline.sql import literal
from paceline.store.deliveries import DELIVERIES
from paceline.store.ledger import LEDGER
from paceline.store.quarantine import QUARANTINE
from paceline.store.state import State, read_state
from paceline.store.warehouse import MAINTENANCE, Warehouse

# Delta refuses to read changes, and VACUUM takes files, that are older than this property says.
RETENTION_PROPERTY = "delta.deletedFileRetentionDuration"
# Below, Delta may take files from under a run that is writing.
SAFE_HOURS = 168
# As long as Delta keeps its log; a change feed that is older is lost anyway.
MOST_HOURS = 720
# For the run that reads the changes: it may start a day after the maintenance.
MARGIN_DAYS = 1
# So many of the last runs keep their staged rows whatever their age.
KEPT_RUNS = 5

_RECENT_COMMITS = 50
_INTERVAL = re.compile(r"interval\s+'?(\d+)'?\s+(hour|day|week)s?", re.IGNORECASE)
_HOURS = {"hour": 1, "day": 24, "week": 168}


@dataclass(frozen=True)
class Size:
    """Files and bytes of the newest version of a table."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Upkeep:
    """What maintenance did to one table.

    Attributes:
        table_name: the table.
        before, after: its size.
        rows: (before, after) of a table whose files were put together; None for others.
        runs_removed: attempts of runs whose staged rows were removed.
        files_removed: files that VACUUM took, as far as the platform lists them.
        waiting: a table that has not read changes for so long that nothing may be removed; None
            when VACUUM had its way.
    """

    table_name: str
    before: Size
    after: Size
    rows: tuple[int, int] | None = None
    runs_removed: int = 0
    files_removed: int = 0
    waiting: str | None = None


@dataclass(frozen=True)
class Unread:
    """Since when a table has changes that `reader`, made from it, has not taken in."""

    reader: str
    since: datetime


def maintain(
    warehouse: Warehouse, tables: Sequence[Table], retention_hours: int | None, now: datetime
) -> Iterator[Upkeep]:
    """Compacts, forgets and vacuums all tables that are there, one after the other.

    Args:
        warehouse: with the tables of ops known to the session.
        tables: all that are published, with their inputs.
        retention_hours: how long files that are no longer part of a table are kept, at least, from
            SAFE_HOURS to MOST_HOURS; None keeps them as long as the table states. Staged rows are
            kept as long.
        now: the time.
    """
    state = read_state(warehouse)
    last_good = _last_good(warehouse)
    published = [table for table in tables if warehouse.exists(table.name)]
    for table in published:
        warehouse.register(table.name)
        unread = _unread(warehouse, table.name, tables, state)
        yield _kept_up(warehouse, table.name, retention_hours, now, unread, compacts=True)
    before = now - timedelta(hours=retention_hours or SAFE_HOURS)
    for table in published:
        name = staging_name(table.name)
        if warehouse.exists(name):
            warehouse.register(name)
            removed = _forget(warehouse, name, last_good.get(table.name), before)
            yield _kept_up(warehouse, name, retention_hours, now, runs_removed=removed)
    for name in (LEDGER, QUARANTINE, DELIVERIES):
        yield _kept_up(warehouse, name, retention_hours, now, compacts=True)


def compact(warehouse: Warehouse, table_name: str) -> bool:
    """Puts small files together, and rows that are close in the key; returns whether it tried to.

    Nothing is done, and nothing committed, when no row has been written since the last time.
    """
    name = warehouse.identifier(table_name)
    recent = warehouse.spark.sql(f"DESCRIBE HISTORY {name} LIMIT {_RECENT_COMMITS}").collect()
    if not is_scattered([commit["operation"] for commit in recent]):
        return False
    warehouse.spark.sql(f"OPTIMIZE {name}")
    return True


def is_scattered(operations: Iterable[str]) -> bool:
    """Whether rows have been written since the last OPTIMIZE.

    Args:
        operations: of the last commits, the newest first.
    """
    for operation in operations:
        if operation == "OPTIMIZE":
            return False
        if operation not in MAINTENANCE:
            return True
    return True


def removable(marks: Iterable[str], last_good: str | None, before: datetime) -> list[str]:
    """The staged attempts that nobody needs any more.

    Those of the last runs stay, and all from the last run on that has published rows: its batch and
    those rejected since are judged again for the docs.

    Args:
        marks: of the attempts: the run and a number.
        last_good: the last run that has published rows of the table; None keeps everything.
        before: younger runs stay.
    """
    by_mark = {mark: mark.rpartition("-")[0] for mark in marks}
    if last_good is None:
        return []
    kept = sorted(set(by_mark.values()), reverse=True)[:KEPT_RUNS]
    # Ids of runs begin with their time in UTC.
    first_kept = min([last_good, f"{before.astimezone(UTC):%Y%m%dT%H%M%S}", *kept])
    return sorted(mark for mark, run_id in by_mark.items() if run_id < first_kept)


def stated_hours(text: str | None) -> int:
    """The hours of an interval as Delta states it; without one, or with a strange one, its default.

    Example: stated_hours("interval 30 days") is 720
    """
    found = _INTERVAL.fullmatch((text or "").strip())
    return int(found[1]) * _HOURS[found[2].lower()] if found else SAFE_HOURS


def needed_hours(since: datetime, now: datetime) -> int:
    """How long files have to be kept for who has not read changes yet, in whole days."""
    return (ceil((now - since) / timedelta(days=1)) + MARGIN_DAYS) * 24


def _kept_up(
    warehouse: Warehouse,
    name: str,
    retention_hours: int | None,
    now: datetime,
    unread: Unread | None = None,
    *,
    compacts: bool = False,
    runs_removed: int = 0,
) -> Upkeep:
    before, rows = _size(warehouse, name), None
    if compacts:
        count = warehouse.table(name).count()
        if compact(warehouse, name):
            rows = (count, warehouse.table(name).count())
    waiting, removed = None, 0
    stated = stated_hours(warehouse.properties(name).get(RETENTION_PROPERTY))
    wanted = retention_hours or max(SAFE_HOURS, stated)
    needed = needed_hours(unread.since, now) if unread else 0
    if unread and needed > max(MOST_HOURS, stated):
        waiting = unread.reader
    else:
        _retain(warehouse, name, max(wanted, needed), stated)
        removed = vacuum(warehouse, name)
    return Upkeep(name, before, _size(warehouse, name), rows, runs_removed, removed, waiting)


def _retain(warehouse: Warehouse, name: str, hours: int, stated: int) -> None:
    """States how long files are kept: VACUUM takes no other word for it."""
    if hours != stated:
        retention = f"{literal(RETENTION_PROPERTY)} = 'interval {hours} hours'"
        warehouse.spark.sql(
            f"ALTER TABLE {warehouse.identifier(name)} SET TBLPROPERTIES ({retention})"
        )


def vacuum(warehouse: Warehouse, name: str) -> int:
    """Removes files that have been no part of a table for long; returns how many.

    Asked first, because VACUUM commits twice even if it finds nothing.
    """
    statement = f"VACUUM {warehouse.identifier(name)}"
    listed = warehouse.spark.sql(f"{statement} DRY RUN").collect()
    files = sum(PurePosixPath(row["path"]).suffix != "" for row in listed)
    if files:
        warehouse.spark.sql(statement)
    return files


def _forget(warehouse: Warehouse, staging: str, last_good: str | None, before: datetime) -> int:
    """Removes the staged rows that nobody needs in one commit, or none; returns of how many."""
    name = warehouse.identifier(staging)
    rows = warehouse.spark.sql(f"SELECT DISTINCT {RUN_ID} FROM {name}").collect()
    marks = removable([row[RUN_ID] for row in rows], last_good, before)
    if marks:
        listed = ", ".join(map(literal, marks))
        warehouse.spark.sql(f"DELETE FROM {name} WHERE {RUN_ID} IN ({listed})")
    return len(marks)


def _last_good(warehouse: Warehouse) -> dict[str, str]:
    """By table, the last run that has published rows of it."""
    rows = warehouse.spark.sql(
        f"SELECT table_name, max(run_id) AS run_id FROM {warehouse.identifier(LEDGER)}"
        f" WHERE status = 'PUBLISHED' AND rows_inserted + rows_updated > 0 GROUP BY table_name"
    ).collect()
    return {row["table_name"]: row["run_id"] for row in rows}


def _unread(
    warehouse: Warehouse, name: str, tables: Sequence[Table], state: State
) -> Unread | None:
    """The oldest change of a table that another one has still to read."""
    position = warehouse.position(name)
    read = {
        table.name: state.sealed[table.name].cursor[name]
        for table in tables
        if table.name in state.sealed and name in state.sealed[table.name].cursor
    }
    behind = {
        reader: cursor.version
        for reader, cursor in read.items()
        if cursor.table_id == position.table_id and cursor.version < position.version
    }
    if not behind:
        return None
    reader, version = min(behind.items(), key=lambda pair: pair[1])
    history = warehouse.spark.sql(f"DESCRIBE HISTORY {warehouse.identifier(name)}").collect()
    since = min(commit["timestamp"] for commit in history if commit["version"] > version)
    return Unread(reader, since.astimezone(UTC))


def _size(warehouse: Warehouse, name: str) -> Size:
    (detail,) = warehouse.spark.sql(f"DESCRIBE DETAIL {warehouse.identifier(name)}").collect()
    return Size(detail["numFiles"], detail["sizeInBytes"])
