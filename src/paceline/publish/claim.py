"""A run, and what it holds on to for one table from CLAIM to SEAL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from paceline.contract import Contract
from paceline.errors import PacelineError
from paceline.publish.changes import Changes, changes
from paceline.publish.staged import staging_name
from paceline.recipe import Context, Table
from paceline.store import ledger, quarantine
from paceline.store.ledger import Entry, Sealed, State, Verdict
from paceline.store.warehouse import Position, Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Called before and after each step with (moment, step, table); tests fail a run here.
Hook = Callable[[str, str, str], None]


def no_hook(moment: str, step: str, name: str) -> None:
    """Nothing happens around the steps, but in tests."""


@dataclass(frozen=True)
class Run:
    """One execution of a job: what every table of it shares.

    Attributes:
        run_id: unique, sortable by time.
        job: Feature_Activity or Feature_Rolling.
        warehouse: where the tables are.
        context: what recipes may know.
        state: what the ledger knew at the start.
        started_at: the only reading of the clock that content may depend on.
        code_version, git_commit, target, job_run_id: provenance.
        hook: called around each step.
        outcomes: by table, its row of the ledger, also of jobs that ran before in this process.
        verdicts: by table, what its audit has found, as kept in ops.verdicts.
        idle: rows of the ledger that are still to be written.
        is_alone: whether a lock keeps other runs from publishing meanwhile.
        compare_all: tables of which every row is to be compared, whatever has changed.
        accepted: by table, what a person has accepted of its rejection: check -> observed.
    """

    run_id: str
    job: str
    warehouse: Warehouse
    context: Context
    state: State
    started_at: datetime
    code_version: str
    git_commit: str | None = None
    target: str | None = None
    job_run_id: str | None = None
    hook: Hook = no_hook
    outcomes: dict[str, Entry] = field(default_factory=dict)
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    idle: list[Entry] = field(default_factory=list)
    is_alone: bool = False
    compare_all: Collection[str] = ()
    accepted: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """One attempt to bring one table up to date.

    Attributes:
        table: the recipe.
        run: the run.
        changes: pinned inputs and what is new in them.
        entry: the row of the ledger, filled in on the way.
        attempt: counts from 1; a later one starts over after somebody else has published.
        doubtful: runs that did not seal, whose records in quarantine are compared again.
    """

    table: Table
    run: Run
    changes: Changes
    entry: Entry
    attempt: int
    doubtful: tuple[str, ...] = ()

    @property
    def contract(self) -> Contract:
        """The promise of the table."""
        return self.run.context.contracts[self.table.name]

    @property
    def policy(self) -> str:
        """The policy in force."""
        return self.run.context.policies[self.table.name]

    @property
    def staging(self) -> str:
        """The staging table."""
        return staging_name(self.table.name)

    @property
    def sealed(self) -> Sealed | None:
        """What the last sealed run of the table left behind."""
        return self.run.state.sealed.get(self.table.name)

    @property
    def is_forgiving(self) -> bool:
        """Whether rows that broke a rule before may go on doing so.

        Under STRICT they were then accepted by a person, if the same rules have let them pass.
        """
        is_same = self.sealed is not None and self.sealed.fingerprint == self.entry.fingerprint
        return self.policy != "STRICT" or is_same

    @property
    def attempt_id(self) -> str:
        """Tells the staged rows of this attempt from all others."""
        return f"{self.run.run_id}-{self.attempt}"

    @property
    def is_window(self) -> bool:
        """Whether the run reprocesses a window instead of catching up."""
        return self.run.context.window is not None

    @property
    def is_first(self) -> bool:
        """Whether the table has never held a row: its first version is the one that created it."""
        return self.changes.target.version == 0

    def inputs(self) -> dict[str, DataFrame]:
        """The inputs at their pinned versions."""
        return {name: self.run.warehouse.at(pin) for name, pin in self.changes.pins.items()}

    def own(self) -> DataFrame:
        """The table at its pinned version."""
        return self.run.warehouse.at(self.changes.target)


def fingerprint(table: Table, context: Context) -> str:
    """Digest of everything besides the inputs that can change a row of the table."""
    names = (table.name, *table.inputs)
    parts = [
        *(context.contracts[name].fingerprint_text() for name in names),
        *(context.policies[name] for name in names),
        str(table.recipe_version),
        repr(sorted(context.settings.items())),
    ]
    return sha256("\n".join(parts).encode()).hexdigest()


def claim(table: Table, run: Run, attempt: int) -> Claim:
    """Pins the inputs of a table and says what has changed in them.

    Raises:
        PacelineError: when an input has been lost, so that following it would empty the table.
    """
    if attempt > 1:
        # Somebody else has published since this run has read what the ledger knows.
        run = replace(run, state=ledger.state(run.warehouse))
    sealed = run.state.sealed.get(table.name)
    found = changes(
        table,
        sealed,
        fingerprint(table, run.context),
        run.warehouse,
        is_window=run.context.window is not None,
    )
    doubtful = () if run.is_alone else quarantine.doubtful(run.warehouse, table.name)
    reason = _doubt(table.name, run, attempt, doubtful)
    if found.everything is None and reason is not None:
        found = replace(found, since={}, everything=reason)
    for name, pin in found.pins.items():
        before = sealed.cursor.get(name) if sealed else None
        if before and before.version > 0 and pin.version == 0 and pin.table_id != before.table_id:
            raise PacelineError(
                f"{name} has been lost: it is new and empty, but {table.name} has been published "
                f"from it. Put its files back, or remove {table.name} too if it may go."
            )
    entry = new_entry(table, run)
    entry.input_versions = list(found.pins.values())
    return Claim(table, run, found, entry, attempt, doubtful)


def _doubt(name: str, run: Run, attempt: int, doubtful: tuple[str, ...]) -> str | None:
    """Why the change feed is not enough, although nothing of the table's inputs says so."""
    if name in run.compare_all:
        return "as asked for"
    if attempt > 1:
        return "another run has published in between"
    if doubtful:
        return "a run that did not end has written to the quarantine"
    return None


def new_entry(table: Table, run: Run) -> Entry:
    """The row of the ledger for a table, as it starts."""
    context = run.context
    window = context.window
    return Entry(
        run_id=run.run_id,
        job=run.job,
        table_name=table.name,
        window_start=window.start if window else None,
        window_end=window.end if window else None,
        horizon=context.horizon if table.has_horizon else None,
        code_version=run.code_version,
        contract_version=context.contracts[table.name].version,
        fingerprint=fingerprint(table, context),
        git_commit=run.git_commit,
        target=run.target,
        job_run_id=run.job_run_id,
        started_at=datetime.now(UTC),
    )


def settle(claimed: Claim, status: str, version: int) -> None:
    """Fills in the sealed row: cursor and version of the table."""
    entry, run = claimed.entry, claimed.run
    sealed = claimed.sealed
    entry.status = status
    entry.cursor = _cursor(claimed)
    entry.target_id, entry.target_version = claimed.changes.target.table_id, version
    if claimed.is_window and entry.scope is None:
        # These rules have seen the rows of the window only.
        entry.fingerprint = sealed.fingerprint if sealed else None
    if entry.newest is None and sealed is not None:
        entry.newest = sealed.newest
    entry.finished_at = datetime.now(UTC)
    run.outcomes[claimed.table.name] = entry


def skip(table: Table, run: Run, reason: str) -> Entry:
    """Notes that a table was left as it is, because an input of it could not be published."""
    entry = new_entry(table, run)
    entry.status, entry.message, entry.finished_at = ledger.SKIPPED, reason, datetime.now(UTC)
    run.idle.append(entry)
    run.outcomes[table.name] = entry
    return entry


def _cursor(claimed: Claim) -> list[Position]:
    """Where the next run goes on: the pins, but in a window run not for what it restricted.

    When all rows should have been compared and a window kept that from happening, the restricted
    inputs have no cursor any more, and the next catch-up compares all rows.
    """
    pins = dict(claimed.changes.pins)
    if claimed.is_window:
        sealed = claimed.sealed
        for name in claimed.table.windowed_inputs:
            del pins[name]
            if sealed is not None and name in sealed.cursor and not claimed.changes.everything:
                pins[name] = sealed.cursor[name]
    return list(pins.values())
