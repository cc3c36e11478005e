"""Erases an athlete: from every table, from what is kept beside them, and from old files in time.

Bronze goes last, because it alone tells which records without a name are the athlete's: what is
interrupted is finished by erasing again.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from paceline import __version__
from paceline.errors import UsageError
from paceline.operations import dry_run
from paceline.operations.find_athlete import ATHLETE, REASON, Found, Place, count
from paceline.operations.maintenance import RETENTION_PROPERTY, stated_hours, vacuum
from paceline.recipe import Table
from paceline.store import erasures, ledger
from paceline.store.erasures import Erased
from paceline.store.ledger import Entry, new_run_id
from paceline.store.state import Sealed, State, read_state
from paceline.store.warehouse import Position, Warehouse

_log = logging.getLogger(__name__)

JOB = "erase"
APPEND_ONLY = "delta.appendOnly"
DELETION_VECTORS = "delta.enableDeletionVectors"

# Delta keeps its log, with the smallest and greatest ids of each file, as long as this property
# says, or else thirty days.
_LOG_PROPERTY = "delta.logRetentionDuration"
_LOG_HOURS = 720


@dataclass(frozen=True)
class Standing:
    """How far the published tables were before an athlete was erased.

    Attributes:
        before: their positions.
        settled: (table, name): the table was sealed with all rows that are in `name`, an input of
            it or the table itself.
    """

    before: Mapping[str, Position]
    settled: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Checked:
    """What is left of an athlete in a table.

    Attributes:
        table_name: the table.
        version: that was checked.
        rows_erased: rows that were removed, or of which a text was.
        files_checked: data files of that version, all of which were read.
        residual_rows: rows of the athlete in them.
        files_waiting: files that the athlete may be in, and that VACUUM may not take yet; None in a
            catalog, which does not tell.
        vacuum_after: when it may take all of them; None when there is none.
        log_until: until when the table's log may name ids, as bounds of removed files.
    """

    table_name: str
    version: int
    rows_erased: int
    files_checked: int
    residual_rows: int
    files_waiting: int | None
    vacuum_after: datetime | None
    log_until: datetime


@dataclass(frozen=True)
class Erasure:
    """What an erasure did.

    Attributes:
        athlete: salted hash of whom it erased.
        run_id: its run.
        erased_at: when the last row had been removed.
        files: SHA-256 of the deliveries that held records of the athlete.
        checked: what is left, by table.
    """

    athlete: str
    run_id: str
    erased_at: datetime
    files: tuple[str, ...]
    checked: tuple[Checked, ...]


def refuse_unknown(tables: Sequence[Table], recorded: Collection[str]) -> None:
    """Refuses a warehouse with tables that nobody here could look into.

    Raises:
        UsageError: when the ledger names a table that is none of `tables`.
    """
    known = {table.name for table in tables}
    if unknown := sorted(set(recorded) - known):
        raise UsageError(
            f"The warehouse holds {', '.join(unknown)}, for which this installation has no recipe, "
            "so that the athlete could not be erased there: install the part of paceline that "
            "makes it, such as paceline[ml], and erase again."
        )


def erase_everywhere(
    warehouse: Warehouse, tables: Sequence[Table], found: Found, known: Erased
) -> Erasure:
    """Erases whom has been found, in an order that may be interrupted anywhere, and checks it.

    Args:
        warehouse: where the tables are.
        tables: all that are published.
        found: the athlete.
        known: who has been erased before.
    """
    started_at = datetime.now(UTC)
    run_id, athlete = new_run_id(started_at), known.hash(erasures.ATHLETE, found.athlete_id)
    # First, so that no delivery brings back what an interrupted attempt has removed.
    digests = {file.digest for file in found.files}
    erasures.remember(
        *(warehouse, known, found.athlete_id, found.activities, digests, run_id, started_at)
    )
    state = read_state(warehouse)
    if warehouse.root is not None:
        dry_run.remove_copies(warehouse.root)  # a plan stages rows of its own
    stood = standing(warehouse, tables, state)
    for name in erase(warehouse, found):
        _log.info(f"  {name:<48} {found.rows[name]:,} rows")
    erased_at = erasures.finished(warehouse, athlete)
    if erased_at is None or any(found.rows.values()):
        erased_at = datetime.now(UTC)
        erasures.finish(warehouse, athlete, run_id, erased_at)
        entry = Entry(
            *(run_id, JOB, ""),
            code_version=__version__,
            started_at=started_at,
            finished_at=erased_at,
        )
        journal = ledger.Journal(warehouse)
        journal.follow(state.newest)
        journal.write(*seals(warehouse, found, stood, state, entry))
    checked = tuple(check(warehouse, found, erased_at, datetime.now(UTC)))
    files = tuple(erasures.files_of(warehouse, athlete))
    return Erasure(athlete, run_id, erased_at, files, checked)


def standing(warehouse: Warehouse, tables: Sequence[Table], state: State) -> Standing:
    """How far the tables are now, to be asked before anything is erased."""
    present = [table.name for table in tables if warehouse.exists(table.name)]
    before = {name: warehouse.position(name) for name in present}
    settled = {
        (table, name)
        for table, sealed in state.sealed.items()
        for name, position in {**sealed.cursor, table: _target(table, sealed)}.items()
        if name in before and _is_unwritten(warehouse, position, before[name])
    }
    return Standing(before, frozenset(settled))


def erase(warehouse: Warehouse, found: Found) -> Iterator[str]:
    """Removes the rows of an athlete, and what deletion vectors would only hide.

    Gives the name of each table when it is done. The files as they were remain until VACUUM.
    """
    for place in found.places:
        name = place.table_name
        stated = warehouse.properties(name)
        if place.is_received and (found.rows[name] or stated.get(APPEND_ONLY) != "true"):
            with _deletable(warehouse, name):
                _remove(warehouse, place, found.rows[name])
        else:
            _remove(warehouse, place, found.rows[name])
        if stated.get(DELETION_VECTORS) == "true":
            # Also when nothing was found: an earlier attempt may have been interrupted before it.
            warehouse.spark.sql(f"REORG TABLE {warehouse.identifier(name)} APPLY (PURGE)")
        yield name


def seals(
    warehouse: Warehouse,
    found: Found,
    stood: Standing,
    state: State,
    entry: Entry,
) -> list[Entry]:
    """The events of the ledger after which the next run takes nothing of this for a change.

    A table gets none, and the next run compares all its rows, when others have written to it; nor
    does one without a column for athletes, which follows the change feed of what was erased. A
    cursor stays where it is when changes were pending, others have written meanwhile, or records of
    others must be judged anew without those of the athlete: the next run follows the change feed.

    Args:
        warehouse: where the tables are.
        found: who has been erased.
        stood: how far the tables were before.
        state: what the ledger knew before.
        entry: what all rows have in common; its table is any.
    """
    after = {name: warehouse.position(name) for name in stood.before}
    alone = {
        name
        for name, position in stood.before.items()
        if _commits(warehouse, position, after[name]) == (found.rows.get(name, 0) > 0)
    }
    sealed = {
        name: known
        for name, known in state.sealed.items()
        if name in found.rows and name in alone and (name, name) in stood.settled
    }
    made = []
    for name, known in sealed.items():
        moved = {
            source: after[source]
            for source in known.cursor
            if (name, source) in stood.settled and source in alone - found.shared
        }
        made.append(_entry(entry, name, known, moved, after[name], found.rows[name]))
    return made


def check(
    warehouse: Warehouse, found: Found, erased_at: datetime, now: datetime
) -> Iterator[Checked]:
    """Vacuums what the retention of each table allows, and counts what is left of the athlete.

    Args:
        warehouse: where the tables are.
        found: who has been erased.
        erased_at: when the last of their rows had been removed: younger files never held any.
        now: the time.
    """
    residual = count(warehouse, found.places)
    for name in (place.table_name for place in found.places):
        stated = warehouse.properties(name)
        kept = timedelta(hours=stated_hours(stated.get(RETENTION_PROPERTY)))
        logged = stated.get(_LOG_PROPERTY)
        parts = {PurePosixPath(path).name for path in warehouse.table(name).inputFiles()}
        old = _old_files(warehouse, name, parts, erased_at)
        if old is None or any(_written_at(path) < now - kept for path in old):
            vacuum(warehouse, name)
        waiting = None if old is None else sum(path.exists() for path in old)
        if now >= erased_at + kept:
            waiting = 0  # files that are still there were part of the table after the erasure
        yield Checked(
            name,
            warehouse.version(name),
            found.rows[name],
            len(parts),
            residual[name],
            waiting,
            None if waiting == 0 else erased_at + kept,
            erased_at + timedelta(hours=stated_hours(logged) if logged else _LOG_HOURS),
        )


@contextmanager
def _deletable(warehouse: Warehouse, name: str) -> Iterator[None]:
    """Lets rows of a table be deleted meanwhile, which otherwise only grows."""
    table = warehouse.identifier(name)
    warehouse.spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('{APPEND_ONLY}' = 'false')")
    try:
        yield
    finally:
        warehouse.spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('{APPEND_ONLY}' = 'true')")


def _remove(warehouse: Warehouse, place: Place, rows: int) -> None:
    """Removes the rows of the athlete in one commit, or none when there are none."""
    if rows:
        action = f"UPDATE SET {place.forgets}" if place.forgets else "DELETE"
        warehouse.spark.sql(
            f"MERGE INTO {warehouse.identifier(place.table_name)} t USING {ATHLETE} s"
            f" ON {place.condition} WHEN MATCHED THEN {action}"
        )


def _target(table_name: str, sealed: Sealed) -> Position:
    return Position(table_name, sealed.target_id, sealed.target_version)


def _is_unwritten(warehouse: Warehouse, position: Position, now: Position) -> bool:
    """Whether no row has been written from one position of a table to another."""
    if position.table_id != now.table_id or position.version > now.version:
        return False
    return _commits(warehouse, position, now) == 0


def _commits(warehouse: Warehouse, position: Position, now: Position) -> int:
    return len(warehouse.rewrites_since(position)) if position.version < now.version else 0


def _entry(
    common: Entry,
    table_name: str,
    sealed: Sealed,
    moved: Mapping[str, Position],
    target: Position,
    rows: int,
) -> Entry:
    """The event of the ledger of one table: what its last sealed run has left, but for the rows."""
    return replace(
        common,
        table_name=table_name,
        status=ledger.PUBLISHED if rows else ledger.UNCHANGED,
        full_compare_reason=REASON,
        horizon=sealed.horizon,
        input_versions=list({**sealed.read, **moved}.values()),
        cursor=list({**sealed.cursor, **moved}.values()),
        target_id=target.table_id,
        target_version=target.version,
        rows_deleted=rows,
        touched_entities=int(rows > 0),
        usual_rows=list(sealed.usual_rows),
        newest=sealed.newest,
        fingerprint=sealed.fingerprint,
    )


def _old_files(
    warehouse: Warehouse, name: str, parts: Collection[str], before: datetime
) -> list[Path] | None:
    """Files with rows that a local table has on disk from before, and that are no part of it."""
    if warehouse.root is None:
        return None
    directory = warehouse.root.joinpath(*name.split("."))
    return [
        path
        for path in directory.rglob("*.parquet")
        if "_delta_log" not in path.parts and path.name not in parts and _written_at(path) <= before
    ]


def _written_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
