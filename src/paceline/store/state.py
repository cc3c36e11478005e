"""What a run has to know of the runs before it: how far each table is published."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from paceline.sql import literal
from paceline.store.ledger import LEDGER, Entry, entry_of
from paceline.store.warehouse import Position, Warehouse

if TYPE_CHECKING:
    from pyspark.sql import Row

# Twice the longest pause of a workflow that runs once a month, and more than VACUUM leaves.
RECENT = timedelta(days=35)


@dataclass(frozen=True)
class Sealed:
    """What the last sealed run of a table left behind.

    Attributes:
        cursor: up to where each input is published.
        read: what that run read; in a window run newer than the cursor.
        target_id, target_version: the table after that run.
        fingerprint: of the rules that all its rows have seen; None when only some have.
        horizon: the last day of daily tables.
        run_id: of that run.
        newest: the newest value so far of the column whose age the contract limits.
        usual_rows: rows that each of the last catch-ups wrote that followed changes only.
        open_rejects: records that the table refuses; None where it is not known.
    """

    cursor: Mapping[str, Position]
    read: Mapping[str, Position]
    target_id: str
    target_version: int
    fingerprint: str | None
    horizon: date | None
    run_id: str = ""
    newest: datetime | None = None
    usual_rows: tuple[int, ...] = ()
    open_rejects: int | None = None


@dataclass(frozen=True)
class State:
    """What the ledger knows.

    Attributes:
        sealed: by table, its last sealed run.
        unsealed: by table, the event AUDITED of a run that may have published since, and has not
            sealed: it has crashed, or is another one that goes on.
        newest: when the last event of a table was.
    """

    sealed: Mapping[str, Sealed]
    unsealed: Mapping[str, Entry]
    newest: datetime | None = None


def read_state(warehouse: Warehouse, tables: Collection[str] | None = None) -> State:
    """Reads the newest seal of each table, and the newest audit if it came after.

    Args:
        warehouse: where.
        tables: those that matter: only the last weeks are read, unless one of them is missing
            there. None reads all of the ledger.
    """
    if tables is not None:
        # Events are dated by the clock of their machine, whatever time a run is told.
        recent = _state(warehouse, f"at >= {literal(datetime.now(UTC) - RECENT)}")
        if recent.sealed.keys() >= set(tables):
            return recent
    return _state(warehouse, "TRUE")


def sealed_by(entry: Entry) -> Sealed:
    """What a run has left behind that has sealed a table with this event."""
    return Sealed(
        {position.table_name: position for position in entry.cursor},
        {position.table_name: position for position in entry.input_versions},
        target_id=entry.target_id or "",
        target_version=entry.target_version or 0,
        fingerprint=entry.fingerprint,
        horizon=entry.horizon,
        run_id=entry.run_id,
        newest=entry.newest,
        usual_rows=tuple(entry.usual_rows),
        open_rejects=entry.open_rejects,
    )


def last_sealed(warehouse: Warehouse, table_name: str) -> str | None:
    """The run that has sealed a table last."""
    rows = warehouse.spark.sql(
        f"SELECT max_by(run_id, at) AS run_id FROM {warehouse.identifier(LEDGER)}"
        f" WHERE table_name = {literal(table_name)} AND event = 'SEALED'"
    ).collect()
    run_id: str | None = rows[0]["run_id"]
    return run_id


def _state(warehouse: Warehouse, condition: str) -> State:
    event = f"struct({', '.join(f.name for f in fields(Entry))})"
    rows = warehouse.spark.sql(
        f"""
        SELECT table_name, max(at) AS newest,
            max_by({event}, at) FILTER (WHERE event = 'SEALED') AS sealed,
            max_by({event}, at) FILTER (WHERE event = 'AUDITED' AND status = 'STARTED') AS audited
        FROM {warehouse.identifier(LEDGER)} WHERE table_name IS NOT NULL AND {condition}
        GROUP BY table_name
        """
    ).collect()
    sealed, unsealed = dict[str, Sealed](), dict[str, Entry]()
    for row in rows:
        name, last, audited = row["table_name"], _entry(row["sealed"]), _entry(row["audited"])
        if last is not None:
            sealed[name] = sealed_by(last)
        if audited is not None and (last is None or _is_after(audited, last)):
            unsealed[name] = audited
    newest = max((row["newest"].astimezone(UTC) for row in rows), default=None)
    return State(sealed, unsealed, newest)


def _entry(row: Row | None) -> Entry | None:
    return None if row is None else entry_of(row)


def _is_after(audited: Entry, sealed: Entry) -> bool:
    assert audited.at is not None
    assert sealed.at is not None
    return audited.at > sealed.at
