"""Which run has made which version of a table, and what it had read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from paceline.store import ledger
from paceline.store.warehouse import Position, Warehouse

if TYPE_CHECKING:
    from pyspark.sql import Row

_INSTANTS = ("window_start", "window_end", "finished_at")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class SealedRun:
    """A sealed row of ops.ledger; its fields are the columns of that name, its instants are UTC.

    Attributes:
        version: the version of the table at seal.
        read: by input, the version read.
        cursor: by input, the version up to which everything is published.
    """

    run_id: str
    job: str
    table_name: str
    status: str
    target_id: str
    version: int
    read: Mapping[str, int]
    cursor: Mapping[str, int]
    full_compare_reason: str | None
    window_start: datetime | None
    window_end: datetime | None
    horizon: date | None
    finished_at: datetime


Runs = Mapping[str, Sequence[SealedRun]]
"""By table, its sealed rows in the order in which they were sealed."""


def sealed_runs(warehouse: Warehouse) -> Runs:
    """Reads all sealed rows of the ledger."""
    rows = warehouse.spark.sql(
        f"""
        SELECT run_id, job, table_name, status, target_id, target_version, input_versions, cursor,
            full_compare_reason, unix_micros(window_start) AS window_start,
            unix_micros(window_end) AS window_end, horizon, unix_micros(finished_at) AS finished_at
        FROM {warehouse.identifier(ledger.LEDGER)}
        WHERE status IN ('{ledger.PUBLISHED}', '{ledger.UNCHANGED}')
        ORDER BY finished_at, started_at
        """
    ).collect()
    runs: dict[str, list[SealedRun]] = defaultdict(list)
    for row in rows:
        runs[row["table_name"]].append(_sealed(row))
    return runs


def publisher(runs: Runs, position: Position) -> SealedRun | None:
    """The run whose commit made a version of a table; None when no sealed run says so."""
    return next(
        (
            one
            for one in runs.get(position.table_name, ())
            if one.version == position.version
            and one.target_id == position.table_id
            and one.status == ledger.PUBLISHED
        ),
        None,
    )


def before(runs: Runs, sealed: SealedRun) -> SealedRun | None:
    """What was sealed before it, of the same table."""
    earlier = runs[sealed.table_name]
    number = earlier.index(sealed)
    return earlier[number - 1] if number else None


def last_at(runs: Runs, table_name: str, version: int | None) -> SealedRun | None:
    """What was sealed last with this version of a table; None asks for the last of all."""
    found = (one for one in reversed(runs.get(table_name, ())) if version in (None, one.version))
    return next(found, None)


def taken_in(runs: Runs, sealed: SealedRun, source: str) -> range:
    """The versions of an input that a run took in, beyond those that were taken in before."""
    earlier = before(runs, sealed)
    since = earlier.cursor.get(source, -1) if earlier else -1
    return range(since + 1, sealed.read.get(source, -1) + 1)


def _sealed(row: Row) -> SealedRun:
    cells = row.asDict()
    for name in _INSTANTS:
        cells[name] = _instant(cells[name])
    cells["read"] = _versions(cells.pop("input_versions"))
    cells["cursor"] = _versions(cells["cursor"])
    return SealedRun(version=cells.pop("target_version"), **cells)


def _versions(positions: Sequence[Row] | None) -> dict[str, int]:
    return {position["table_name"]: position["version"] for position in positions or ()}


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)
