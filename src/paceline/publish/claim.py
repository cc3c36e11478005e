"""A run, and what it holds on to for one table from CLAIM to SEAL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from paceline.contract import Contract
from paceline.errors import PacelineError
from paceline.publish.changes import Changes, changes
from paceline.publish.fingerprint import fingerprint
from paceline.publish.recovery import lost_seal
from paceline.publish.staged import staging_name
from paceline.recipe import Context, Table
from paceline.store import deliveries, ledger, quarantine
from paceline.store.ledger import Entry, Journal
from paceline.store.state import Sealed, State, read_state, sealed_by
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
        journal: writes what becomes of the tables.
        started_at: the only reading of the clock that content may depend on.
        code_version, git_commit, target, job_run_id: provenance.
        model_permission: the setting, to be noted.
        hook: called around each step.
        is_alone: whether a lock keeps other runs from publishing meanwhile.
        compare_all: tables of which every row is to be compared, whatever has changed.
        recipes: by table, the recipes of all jobs of the execution.
        tables: those of this job.
        accepted: by table, what a person has accepted of its rejection: check -> observed.
    """

    run_id: str
    job: str
    warehouse: Warehouse
    context: Context
    state: State
    journal: Journal
    started_at: datetime
    code_version: str
    git_commit: str | None = None
    target: str | None = None
    job_run_id: str | None = None
    model_permission: str | None = None
    hook: Hook = no_hook
    is_alone: bool = False
    compare_all: Collection[str] = ()
    recipes: Mapping[str, Table] = field(default_factory=dict)
    tables: Collection[str] = ()
    accepted: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a run has done with one table: filled in step by step, and returned in the end.

    Attributes:
        entry: its last event in the ledger.
        error: what has ended the work, unless it ended by itself.
    """

    entry: Entry
    error: Exception | None = None


@dataclass(frozen=True)
class Claim:
    """One attempt to bring one table up to date.

    Attributes:
        table: the recipe.
        run: the run.
        context: what the recipe may know.
        changes: pinned inputs and what is new in them.
        fingerprint: of what the table is made with.
        attempt: counts from 1; a later one starts over after somebody else has published.
        doubtful: runs that did not seal, whose records in quarantine are compared again.
        is_after_crash: whether the run before has published and died.
    """

    table: Table
    run: Run
    context: Context
    changes: Changes
    fingerprint: str
    attempt: int
    doubtful: tuple[str, ...] = ()
    is_after_crash: bool = False

    @property
    def contract(self) -> Contract:
        """The promise of the table."""
        return self.context.contracts[self.table.name]

    @property
    def policy(self) -> str:
        """The policy in force."""
        return self.context.policies[self.table.name]

    @property
    def staging(self) -> str:
        """The staging table."""
        return staging_name(self.table.name)

    @property
    def sealed(self) -> Sealed | None:
        """What the last sealed run of the table left behind."""
        return self.run.state.sealed.get(self.table.name)

    @property
    def open_rejects(self) -> int | None:
        """Records of the table in quarantine before the attempt; None where that is not known.

        A run that has died, or another one, may have written there since the last seal.
        """
        run, sealed = self.run, self.sealed
        if not run.is_alone or self.attempt > 1:
            return None
        if sealed is None or self.changes.full_compare_reason is not None:
            return 0 if run.warehouse.version(quarantine.QUARANTINE) == 0 else None
        if self.table.name in run.state.unsealed and not self.is_after_crash:
            return None
        return sealed.open_rejects

    @property
    def is_forgiving(self) -> bool:
        """Whether rows that broke a rule before may go on doing so.

        Under STRICT they were then accepted by a person, if the same rules have let them pass.
        """
        is_same = self.sealed is not None and self.sealed.fingerprint == self.fingerprint
        return self.policy != "STRICT" or is_same

    @property
    def attempt_id(self) -> str:
        """Tells the staged rows of this attempt from all others."""
        return f"{self.run.run_id}-{self.attempt}"

    @property
    def is_window(self) -> bool:
        """Whether the run reprocesses a window instead of catching up."""
        return self.context.window is not None

    @property
    def is_first(self) -> bool:
        """Whether the table has never held a row: its first version is the one that created it."""
        return self.changes.target.version == 0

    def inputs(self) -> dict[str, DataFrame]:
        """The inputs at their pinned versions."""
        pins = self.changes.pins
        return {name: self.table.seen(name, self.run.warehouse.at(pins[name])) for name in pins}

    def own(self) -> DataFrame:
        """The table at its pinned version."""
        return self.run.warehouse.at(self.changes.target)


def claim(table: Table, run: Run, attempt: int) -> Claim:
    """Pins the inputs of a table and says what has changed in them.

    Raises:
        PacelineError: when an input has been lost, so that following it would empty the table.
    """
    if attempt > 1 or (table.name in run.state.unsealed and not run.is_alone):
        # Another run may have published since this one read the ledger.
        run = replace(run, state=read_state(run.warehouse, run.recipes))
        run.journal.follow(run.state.newest)
    lost = lost_seal(table.name, run.state, run.warehouse)
    is_fed = not table.inputs
    if lost and is_fed and not deliveries.are_noted(run.warehouse, table.name, lost.run_id):
        lost = None  # the same files come again, and what is there of them has to be looked for
    if lost is not None:
        run.journal.write(lost)
        known = dict(run.state.sealed) | {table.name: sealed_by(lost)}
        run = replace(run, state=replace(run.state, sealed=known))
    sealed = run.state.sealed.get(table.name)
    context = table_context(table, run)
    made_with = fingerprint(table, context)
    is_window = context.window is not None
    found = changes(table, sealed, made_with, run.warehouse, is_window=is_window)
    doubtful = () if run.is_alone else quarantine.doubtful(run.warehouse, table.name)
    reason = _doubt(table.name, run, attempt, doubtful)
    if found.full_compare_reason is None and reason is not None:
        found = replace(found, since={}, full_compare_reason=reason)
    for name, pin in found.pins.items():
        before = sealed.cursor.get(name) if sealed else None
        if before and before.version > 0 and pin.version == 0 and pin.table_id != before.table_id:
            raise PacelineError(
                f"{name} has been lost: it is new and empty, but {table.name} has been published "
                f"from it. Put its files back, or remove {table.name} too if it may go."
            )
    return Claim(table, run, context, found, made_with, attempt, doubtful, lost is not None)


def _doubt(name: str, run: Run, attempt: int, doubtful: tuple[str, ...]) -> str | None:
    """Why the change feed is not enough, although nothing of the table's inputs says so."""
    if name in run.compare_all:
        return "as asked for"
    if attempt > 1:
        return "another run has published in between"
    if doubtful:
        return "a run that did not end has written to the quarantine"
    return None


def table_context(table: Table, run: Run) -> Context:
    """What a recipe may know: for a daily table with the horizon of its own.

    Where ops was lost, the table itself tells its last day.
    """
    if not table.has_horizon:
        return run.context.for_table(table, None)
    sealed, warehouse = run.state.sealed.get(table.name), run.warehouse
    last_day = sealed.horizon if sealed else None
    if sealed is None and warehouse.version(table.name) > 0:
        (newest,) = warehouse.table(table.name).agg({str(table.day): "max"}).collect()
        last_day = newest[0]
    return run.context.for_table(table, last_day)


def new_entry(table: Table, run: Run, context: Context) -> Entry:
    """The entry of the ledger for a table, as it starts."""
    return replace(
        _common(run),
        table_name=table.name,
        horizon=context.horizon if table.has_horizon else None,
        contract_version=context.contracts[table.name].version,
        fingerprint=fingerprint(table, context),
        started_at=datetime.now(UTC),
    )


def _common(run: Run) -> Entry:
    """What all events of a run say."""
    window = run.context.window
    return Entry(
        run_id=run.run_id,
        job=run.job,
        table_name="",
        window_start=window.start if window else None,
        window_end=window.end if window else None,
        code_version=run.code_version,
        git_commit=run.git_commit,
        target=run.target,
        job_run_id=run.job_run_id,
        model_permission=run.model_permission,
    )


def foresee(claimed: Claim, entry: Entry, status: str) -> None:
    """Fills in what SEALED will say when everything has been published, or nothing had to be."""
    sealed = claimed.sealed
    entry.usual_rows = list(sealed.usual_rows) if sealed else []
    follows_changes = entry.full_compare_reason is None and entry.window_start is None
    if status == ledger.PUBLISHED and follows_changes:
        written = entry.rows_inserted + entry.rows_updated + entry.rows_deleted
        entry.usual_rows = [written, *entry.usual_rows][: ledger.USUAL_RUNS]
    entry.cursor = _cursor(claimed)
    entry.target_id = claimed.changes.target.table_id
    if claimed.is_window and entry.full_compare_reason is None:
        # These rules have seen the rows of the window only.
        entry.fingerprint = sealed.fingerprint if sealed else None
    if entry.newest is None and sealed is not None:
        entry.newest = sealed.newest


def settle(claimed: Claim, entry: Entry, status: str, version: int) -> None:
    """Makes the entry the event SEALED."""
    foresee(claimed, entry, status)
    entry.status, entry.target_version = status, version
    entry.finished_at = datetime.now(UTC)


def started(run: Run) -> Entry:
    """The event STARTED of a run: what is known of the whole of it."""
    return replace(_common(run), tables=list(run.tables), started_at=datetime.now(UTC))


def skipped(table: Table, run: Run, reason: str) -> Outcome:
    """A table that is left as it is, because an input of it could not be published."""
    entry = new_entry(table, run, table_context(table, run))
    entry.status, entry.message, entry.finished_at = ledger.SKIPPED, reason, datetime.now(UTC)
    run.journal.wait(entry)
    return Outcome(entry)


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
            if (
                sealed is not None
                and name in sealed.cursor
                and not claimed.changes.full_compare_reason
            ):
                pins[name] = sealed.cursor[name]
    return list(pins.values())
