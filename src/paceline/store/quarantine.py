"""The records of ops.quarantine: looked up, counted, and removed once they are resolved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from paceline.errors import UsageError
from paceline.sql import literal
from paceline.store.ledger import LEDGER
from paceline.store.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import Row

QUARANTINE = "ops.quarantine"

QUARANTINE_DDL = """
table_name STRING NOT NULL COMMENT 'the table that refused the record',
reject_key STRING NOT NULL COMMENT 'digest of payload and broken rules',
key STRING COMMENT 'the key columns as JSON',
source_path STRING, line_number BIGINT,
payload STRING COMMENT 'the record as received; for derived tables the row as JSON',
reasons ARRAY<STRING> COMMENT 'the broken rules',
broken_values MAP<STRING, STRING> COMMENT 'the columns that these rules look at',
run_id STRING COMMENT 'the run that refused it',
contract_version STRING, first_seen TIMESTAMP, last_seen TIMESTAMP,
resolved_by STRING COMMENT 'the run after which it was no longer refused; NULL while open'
"""

MOST_CANDIDATES = 5
SHOWN_DIGITS = 12

_SUMMARY = (
    *("table_name", "reject_key", "key", "source_path", "line_number", "reasons"),
    *("run_id", "contract_version", "first_seen", "last_seen", "resolved_by"),
)
_PERSONAL = ("payload", "broken_values")


@dataclass(frozen=True)
class Wanted:
    """Which records are asked for; None means any.

    Attributes:
        table_name: the table that refused them.
        reason: a rule that they break, or `unreadable`.
        athlete_id: the athlete in their key.
        run_id: the run that refused or resolved them.
        is_resolved: whether those that are no longer refused are meant, and not the open ones.
    """

    table_name: str | None = None
    reason: str | None = None
    athlete_id: int | None = None
    run_id: str | None = None
    is_resolved: bool = False


@dataclass(frozen=True)
class Record:
    """A row of ops.quarantine; its fields are the columns of that name, its instants are UTC.

    `payload` and `broken_values` are filled by `find` alone.
    """

    table_name: str
    reject_key: str
    key: str | None
    source_path: str | None
    line_number: int | None
    reasons: tuple[str, ...]
    run_id: str | None
    contract_version: str | None
    first_seen: datetime | None
    last_seen: datetime | None
    resolved_by: str | None
    payload: str | None = None
    broken_values: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """How many records a table refused for a reason; without a table and a reason, all records.

    Attributes:
        first_seen, last_seen: of any of them, in UTC; None when there is none.
    """

    table_name: str | None
    reason: str | None
    records: int
    first_seen: datetime | None
    last_seen: datetime | None


@dataclass(frozen=True)
class Outcome:
    """What a run made of the records that a table had refused before.

    Attributes:
        released: records that were open and are resolved.
        remaining: records that were open and still are.
        added: records that the run refused, among them released ones that now break other rules.
    """

    table_name: str
    released: int
    remaining: int
    added: int


def records(warehouse: Warehouse, wanted: Wanted, limit: int) -> tuple[list[Record], int]:
    """The newest records without what is personal in them, and how many there are in all.

    Open ones are ordered by when they were refused, resolved ones by when they were resolved.
    """
    rows = f"FROM {warehouse.identifier(QUARANTINE)} WHERE {_condition(wanted)}"
    (total,) = warehouse.spark.sql(f"SELECT count(*) AS records {rows}").collect()
    newest = "last_seen" if wanted.is_resolved else "first_seen"
    found = warehouse.spark.sql(
        f"SELECT {', '.join(_SUMMARY)} {rows} ORDER BY {newest} DESC, table_name, source_path,"
        f" line_number, reject_key LIMIT {limit}"
    ).collect()
    return [_record(row) for row in found], total["records"]


def groups(warehouse: Warehouse, wanted: Wanted) -> list[Group]:
    """Counts by table and reason, the largest of a table first; the last one counts all records.

    A record counts under each of its reasons, but only once among all.
    """
    rows = f"FROM {warehouse.identifier(QUARANTINE)} WHERE {_condition(wanted)}"
    counts = "count(*) AS records, min(first_seen) AS first_seen, max(last_seen) AS last_seen"
    found = warehouse.spark.sql(
        f"""
        SELECT table_name, reason, {counts}
        FROM (SELECT table_name, explode(reasons) AS reason, first_seen, last_seen {rows})
        GROUP BY table_name, reason
        UNION ALL
        SELECT CAST(NULL AS STRING), CAST(NULL AS STRING), {counts} {rows}
        ORDER BY table_name NULLS LAST, records DESC, reason
        """
    ).collect()
    return [
        Group(
            *(row[name] for name in ("table_name", "reason", "records")),
            *(_instant(row[name]) for name in ("first_seen", "last_seen")),
        )
        for row in found
    ]


def find(warehouse: Warehouse, prefix: str, table_name: str | None = None) -> list[Record]:
    """One record with all that is known of it.

    Args:
        warehouse: where it is.
        prefix: the first digits of its reject key, or all of them.
        table_name: the table that refused it, where the digits alone do not tell.

    Returns:
        Its rows, at least one: a record that was resolved and came back has several. The open one
        comes first, then the newest.

    Raises:
        UsageError: when there is no such record, or more than one.
    """
    digits = prefix.lower()
    if not re.fullmatch("[0-9a-f]{1,64}", digits):
        raise UsageError(
            f"{prefix!r} is no reject key: give the first digits of one, as `paceline quarantine` "
            "lists them."
        )
    name, reject_key = _only_key(warehouse, digits, table_name)
    rows = warehouse.spark.sql(
        f"SELECT {', '.join((*_SUMMARY, *_PERSONAL))}"
        f" FROM {warehouse.identifier(QUARANTINE)}"
        f" WHERE table_name = {literal(name)} AND reject_key = {literal(reject_key)}"
        f" ORDER BY resolved_by IS NOT NULL, first_seen DESC"
    ).collect()
    return [_record(row) for row in rows]


def open_counts(warehouse: Warehouse) -> dict[str, int]:
    """By table, how many records are refused; a table without any is left out."""
    rows = warehouse.spark.sql(
        f"SELECT table_name, count(*) AS records FROM {warehouse.identifier(QUARANTINE)}"
        f" WHERE resolved_by IS NULL GROUP BY table_name ORDER BY table_name"
    ).collect()
    return {row["table_name"]: row["records"] for row in rows}


def outcomes(warehouse: Warehouse, at: datetime) -> dict[str, Outcome]:
    """By table, what the jobs that started at an instant made of the open records.

    Args:
        warehouse: where they are.
        at: the start of the jobs, to the microsecond: it dates what they refuse and resolve.
    """
    moment = literal(at)
    rows = warehouse.spark.sql(
        f"""
        SELECT table_name,
            count_if(resolved_by IS NOT NULL AND last_seen = {moment}) AS released,
            count_if(resolved_by IS NULL AND first_seen < {moment}) AS remaining,
            count_if(resolved_by IS NULL AND first_seen = {moment}) AS added
        FROM {warehouse.identifier(QUARANTINE)} GROUP BY table_name
        """
    ).collect()
    return {row["table_name"]: Outcome(*row) for row in rows}


def prunable(warehouse: Warehouse, before: datetime) -> int:
    """How many records were resolved before an instant."""
    (row,) = warehouse.spark.sql(
        f"SELECT count(*) AS records FROM {warehouse.identifier(QUARANTINE)}"
        f" WHERE {_is_prunable(before)}"
    ).collect()
    count: int = row["records"]
    return count


def prune(warehouse: Warehouse, before: datetime) -> int:
    """Deletes the records that were resolved before an instant; returns how many.

    Open ones stay, however old: the next run compares what it refuses with them. One commit, or
    none when there is nothing to delete.
    """
    count = prunable(warehouse, before)
    if count:
        warehouse.spark.sql(
            f"DELETE FROM {warehouse.identifier(QUARANTINE)} WHERE {_is_prunable(before)}"
        )
    return count


def _is_prunable(before: datetime) -> str:
    return f"resolved_by IS NOT NULL AND last_seen < {literal(before)}"


def _condition(wanted: Wanted) -> str:
    """The rows that are asked for, as a predicate of SQL."""
    parts = [f"resolved_by IS {'NOT ' if wanted.is_resolved else ''}NULL"]
    if wanted.table_name is not None:
        parts.append(f"table_name = {literal(wanted.table_name)}")
    if wanted.reason is not None:
        parts.append(f"array_contains(reasons, {literal(wanted.reason)})")
    if wanted.athlete_id is not None:
        athlete = literal(str(wanted.athlete_id))
        parts.append(f"get_json_object(key, '$.athlete_id') = {athlete}")
    if wanted.run_id is not None:
        run = literal(wanted.run_id)
        parts.append(f"(run_id = {run} OR resolved_by = {run})")
    return " AND ".join(parts)


def _only_key(warehouse: Warehouse, digits: str, table_name: str | None) -> tuple[str, str]:
    """The one table and reject key that begins with some digits."""
    of_table = "" if table_name is None else f" AND table_name = {literal(table_name)}"
    found = warehouse.spark.sql(
        f"SELECT DISTINCT table_name, reject_key FROM {warehouse.identifier(QUARANTINE)}"
        f" WHERE startswith(reject_key, {literal(digits)}){of_table}"
        f" ORDER BY reject_key, table_name LIMIT {MOST_CANDIDATES + 1}"
    ).collect()
    if not found:
        raise UsageError(
            f"No record of {table_name or 'any table'} has a reject key that begins with "
            f"{digits}: list them with `paceline quarantine`, or `paceline quarantine --resolved`."
        )
    if len(found) > 1:
        length = max(SHOWN_DIGITS, len(digits) + 4)
        candidates = [
            f"{row['reject_key'][:length]} of {row['table_name']}"
            for row in found[:MOST_CANDIDATES]
        ]
        others = ["and others"] if len(found) > MOST_CANDIDATES else []
        raise UsageError(
            f"More than one reject key begins with {digits} ({', '.join(candidates + others)}): "
            "give more digits, or the table with --table."
        )
    return found[0]["table_name"], found[0]["reject_key"]


def _record(row: Row) -> Record:
    cells: dict[str, Any] = row.asDict()
    cells["reasons"] = tuple(cells["reasons"] or ())
    for name in ("first_seen", "last_seen"):
        cells[name] = _instant(cells[name])
    if "broken_values" in cells:
        cells["broken_values"] = dict(cells["broken_values"] or {})
    return Record(**cells)


def _instant(naive: datetime | None) -> datetime | None:
    """A TIMESTAMP as Spark hands it over, in the time zone of this process, as UTC."""
    return None if naive is None else naive.astimezone(UTC)


def doubtful(warehouse: Warehouse, table_name: str) -> tuple[str, ...]:
    """Runs that have written last to a record of a table in quarantine, and have not sealed.

    Another run may have sealed before they wrote, and followed changes beyond what they knew.
    """
    rows = warehouse.spark.sql(
        f"SELECT DISTINCT coalesce(resolved_by, run_id) AS run_id"
        f" FROM {warehouse.identifier(QUARANTINE)} WHERE table_name = {literal(table_name)}"
        f" EXCEPT SELECT run_id FROM {warehouse.identifier(LEDGER)}"
        f" WHERE table_name = {literal(table_name)} AND status IN ('PUBLISHED', 'UNCHANGED')"
    ).collect()
    return tuple(sorted(row["run_id"] for row in rows))


def adopt(warehouse: Warehouse, table_name: str, others: tuple[str, ...], run_id: str) -> None:
    """Takes over what other runs have left in quarantine, once all of it has been compared."""
    of_others = f"IN ({', '.join(map(literal, others))})"
    columns = ", ".join(
        f"{name} = IF({name} {of_others}, {literal(run_id)}, {name})"
        for name in ("run_id", "resolved_by")
    )
    warehouse.spark.sql(
        f"UPDATE {warehouse.identifier(QUARANTINE)} SET {columns}"
        f" WHERE table_name = {literal(table_name)} AND coalesce(resolved_by, run_id) {of_others}"
    )
