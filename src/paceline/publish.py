"""Claim, stage, audit, record, quarantine, publish, seal: the same steps for every table.

Readers can see only PUBLISH, which is one commit of what AUDIT has judged. A run that dies is never
resumed: the next one starts over, and finds by comparison what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from paceline import ledger, table
from paceline.audit import Judgement, audit
from paceline.changes import Changes, changes, feeds
from paceline.contract import Contract
from paceline.diff import (
    INSERT,
    OP,
    REFUSE,
    REJECT_KEY,
    REMOVE,
    REPLACES,
    RESOLVE,
    ROW_OPS,
    RUN_ID,
    STAGED,
    STILL_REFUSED,
    UNCHANGED,
    UPDATE,
    difference,
    judged,
    open_rejects,
    staged,
    staging_ddl,
)
from paceline.errors import PacelineError
from paceline.ledger import Entry, State
from paceline.table import EVERYTHING, Context, Scope, Table
from paceline.warehouse import APPEND_ONLY, CHANGE_FEED, Position, Warehouse, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

STEPS = ("claim", "stage", "audit", "record", "quarantine", "publish", "seal")
# Called before and after each step with (moment, step, table); tests fail a run here.
Hook = Callable[[str, str, str], None]
MAX_TRIES = 3


class Arrivals(Protocol):
    """New deliveries of the landing zone for one bronze table."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no new delivery."""

    def frames(self) -> Iterator[DataFrame]:
        """The records, in frames that fit into memory."""

    def read(self) -> int:
        """How many records the frames held, once they are consumed."""

    def remember(self) -> None:
        """Notes the deliveries, so that they are not opened again."""


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
        code_version, git_commit: provenance.
        hook: called around each step.
        tell: called with a line for the user.
        outcomes: by table, its row of the ledger.
        idle: rows of the ledger that are still to be written.
    """

    run_id: str
    job: str
    warehouse: Warehouse
    context: Context
    state: State
    started_at: datetime
    code_version: str
    git_commit: str | None = None
    hook: Hook = lambda moment, step, name: None
    tell: Callable[[str], None] = print
    outcomes: dict[str, Entry] = field(default_factory=dict)
    idle: list[Entry] = field(default_factory=list)


class StaleError(PacelineError):
    """Somebody else has published in between: the run has to claim again."""


@dataclass(frozen=True)
class _Claim:
    """What a run holds on to from CLAIM to SEAL for one table."""

    table: Table
    contract: Contract
    run: Run
    changes: Changes
    entry: Entry

    @property
    def policy(self) -> str:
        return self.run.context.policies[self.table.name]

    @property
    def staging(self) -> str:
        return staging_name(self.table.name)

    @property
    def mark(self) -> str:
        return f"{self.run.run_id}/{self.table.name}/{self.entry.started_at:%H%M%S%f}"


def staging_name(table_name: str) -> str:
    """The staging table of a table."""
    return f"ops.staging_{table_name.replace('.', '_')}"


def create(warehouse: Warehouse, contract: Contract) -> None:
    """Makes a table and its staging table known, creating what is missing."""
    properties = APPEND_ONLY if contract.append_only else CHANGE_FEED
    warehouse.create(contract.name, contract.ddl(), properties)
    warehouse.create(
        staging_name(contract.name), staging_ddl(contract), {}, partitioned_by=(RUN_ID,)
    )


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


def publish(table: Table, run: Run, arrivals: Arrivals | None = None) -> Entry:
    """Brings one table up to date with its inputs; returns its row of the ledger.

    Args:
        table: the recipe.
        run: the run.
        arrivals: the new deliveries, for a table that the landing zone feeds.

    Raises:
        PacelineError: when counts do not reconcile, or others keep publishing in between.
    """
    for attempt in range(1, MAX_TRIES + 1):
        try:
            entry = _publish_once(table, run, arrivals)
            break
        except StaleError:
            if attempt == MAX_TRIES:
                raise
    run.outcomes[table.name] = entry
    return entry


def skip(table: Table, run: Run, reason: str) -> Entry:
    """Notes that a table was left as it is, because an input of it could not be published."""
    entry = _entry(table, run)
    entry.status, entry.message, entry.finished_at = ledger.SKIPPED, reason, datetime.now(UTC)
    run.idle.append(entry)
    run.outcomes[table.name] = entry
    return entry


def _publish_once(table: Table, run: Run, arrivals: Arrivals | None) -> Entry:
    entry = _entry(table, run)
    claim = _Claim(table, run.context.contracts[table.name], run, _look(table, run), entry)
    if _is_idle(claim, arrivals):
        # Nothing to claim: the row is written with those of the other idle tables, in one commit.
        run.idle.append(_settled(claim, ledger.UNCHANGED))
        return entry
    try:
        with _step(claim, "claim"):
            ledger.append(run.warehouse, [entry])
        with _step(claim, "stage"):
            staged_at = _stage(claim, arrivals)
        if staged_at is not None:
            _judge_and_publish(claim, staged_at)
        with _step(claim, "seal"):
            if arrivals is not None:
                arrivals.remember()
            status = ledger.UNCHANGED if staged_at is None else ledger.PUBLISHED
            if entry.status != ledger.REJECTED:
                entry = _settled(claim, status)
            ledger.replace(run.warehouse, entry)
    except StaleError:
        raise
    except Exception as error:
        _fail(claim, error)
        raise
    return entry


def _entry(table: Table, run: Run) -> Entry:
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
        started_at=datetime.now(UTC),
    )


def _look(table: Table, run: Run) -> Changes:
    return changes(
        table,
        run.state.sealed.get(table.name),
        fingerprint(table, run.context),
        run.warehouse,
        is_window=run.context.window is not None,
    )


def _is_idle(claim: _Claim, arrivals: Arrivals | None) -> bool:
    if arrivals is not None:
        return arrivals.is_empty
    context = claim.run.context
    is_new_day = claim.table.has_horizon and context.horizon != context.horizon_before
    is_asked = context.window is not None and claim.table.follows_window
    return claim.changes.is_none and not is_new_day and not is_asked


@contextmanager
def _step(claim: _Claim, step: str) -> Iterator[None]:
    claim.run.hook("before", step, claim.table.name)
    yield
    claim.run.hook("after", step, claim.table.name)


def _stage(claim: _Claim, arrivals: Arrivals | None) -> int | None:
    """Writes the rows that differ; returns the version of the staging table, None without any."""
    warehouse, name = claim.run.warehouse, claim.staging
    counts: dict[str, int] = {}
    scope = EVERYTHING
    frames: Iterator[DataFrame]
    if arrivals is not None:
        frames = (_arrived(claim, frame) for frame in arrivals.frames())
    else:
        scope = _scope(claim)
        frames = iter([_compared(claim, scope)])
    for frame in frames:
        for op, count in _written(claim, frame).items():
            counts[op] = counts.get(op, 0) + count
    _count(claim, counts, scope, arrivals)
    return warehouse.version_written_by(name, claim.mark)


def _written(claim: _Claim, differences: DataFrame) -> dict[str, int]:
    """Appends the differing rows to staging; returns all compared rows by operation."""
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    observed = Observation()
    ops = (*STAGED, UNCHANGED, STILL_REFUSED)
    tallies = [F.count_if(F.col(OP) == op).alias(op) for op in ops]
    tallies += [F.count_if(F.col(table.FATE) == fate).alias(_fated(fate)) for fate in table.FATES]
    # Adaptive execution drops the observation of an empty plan, and nobody would ever answer: one
    # row that is neither counted nor staged keeps the plan from being empty.
    one = claim.run.warehouse.spark.range(1).select(F.lit("none").alias(OP))
    watched = differences.unionByName(one, allowMissingColumns=True).observe(observed, *tallies)
    staged(watched, claim.contract, claim.run.run_id).write.format("delta").mode("append").option(
        "userMetadata", claim.mark
    ).saveAsTable(claim.run.warehouse.identifier(claim.staging))
    return dict(observed.get)


def _fated(fate: str) -> str:
    """The name of the tally of a fate: `delete` and `quarantine` are operations too."""
    return f"records {fate}"


def _scope(claim: _Claim) -> Scope:
    context = claim.run.context
    restricted = context.window is not None and claim.table.windowed_inputs
    if claim.changes.everything is not None and not (restricted and _follows_nothing_else(claim)):
        claim.entry.scope = claim.changes.everything
        claim.run.tell(f"{claim.table.name}: comparing all rows, {claim.changes.everything}")
        return EVERYTHING
    changed = feeds(claim.changes, claim.run.warehouse)
    return claim.table.touched(changed, _inputs(claim), _own(claim), context)


def _follows_nothing_else(claim: _Claim) -> bool:
    return set(claim.table.windowed_inputs) == set(claim.table.inputs)


def _inputs(claim: _Claim) -> dict[str, DataFrame]:
    return {name: claim.run.warehouse.at(pin) for name, pin in claim.changes.pins.items()}


def _own(claim: _Claim) -> DataFrame:
    return claim.run.warehouse.at(claim.changes.target)


def _is_empty(claim: _Claim) -> bool:
    """Whether the table has never held a row: its first version is the one that created it."""
    return claim.changes.target.version == 0


def _compared(claim: _Claim, scope: Scope) -> DataFrame:
    """What the recipe wants in the scope against what is published and refused there."""
    contract, context = claim.contract, claim.run.context
    rows = claim.table.rows(scope, _inputs(claim), _own(claim), context)
    published = None if _is_empty(claim) else scope.select(_own(claim))
    refused = None
    if claim.policy != "STRICT":
        quarantine = claim.run.warehouse.table(ledger.QUARANTINE)
        refused = open_rejects(quarantine, scope, contract)
    return difference(judged(rows, contract, claim.policy), published, refused, contract)


def _arrived(claim: _Claim, frame: DataFrame) -> DataFrame:
    """Records of new deliveries; after a crash, without those that have been published before."""
    rows = claim.table.rows(EVERYTHING, {"landing": frame}, _own(claim), claim.run.context)
    if claim.changes.everything is not None and not _is_empty(claim):
        rows = rows.join(
            _own(claim).select(*claim.contract.key), [*claim.contract.key], "left_anti"
        )
        rows = rows.select(*claim.contract.column_names)
    return difference(judged(rows, claim.contract, "ALWAYS"), None, None, claim.contract)


def _count(
    claim: _Claim, counts: Mapping[str, int], scope: Scope, arrivals: Arrivals | None
) -> None:
    """Fills in the counts of the ledger, and checks that none is lost.

    Raises:
        PacelineError: when the records do not add up to what has been read.
    """
    entry = claim.entry
    entry.rows_unchanged = counts[UNCHANGED]
    entry.rows_quarantined = counts[REFUSE] + counts[STILL_REFUSED]
    if arrivals is not None:
        entry.rows_read = expected = arrivals.read()
        found = counts[INSERT]
        is_complete = found == expected or claim.changes.everything is not None
    elif claim.table.judges_records:
        entry.fates = {fate: counts[_fated(fate)] for fate in table.FATES}
        entry.rows_superseded = sum(entry.fates[fate] for fate in table.REPLACED_FATES)
        entry.rows_read = found = sum(entry.fates.values())
        (source,) = claim.table.inputs
        expected = scope.select(_inputs(claim)[source]).count()
        is_complete = found == expected
    else:
        entry.rows_read = counts[_fated(table.CURRENT)]
        is_complete = True
    if not is_complete:
        raise PacelineError(
            f"The records of {claim.table.name} do not add up ({expected} were read, {found} are "
            f"accounted for: {entry.fates or 'staged'}): nothing was published; run again with "
            "--debug and report it."
        )


def _judge_and_publish(claim: _Claim, staged_at: int) -> None:
    """The steps from AUDIT to PUBLISH, on the staged version that was committed."""
    warehouse, entry = claim.run.warehouse, claim.entry
    position = Position(claim.staging, "", staged_at)
    rows = warehouse.at(position).where(f"{RUN_ID} = '{claim.run.run_id}'")
    with _step(claim, "audit"):
        judgement = audit(rows, claim.contract, claim.policy, claim.table.warnings)
        entry.verdict = judgement.verdict
        entry.touched_athletes = judgement.touched_athletes
        entry.rows_inserted = judgement.counts[INSERT]
        entry.rows_updated = judgement.counts[UPDATE]
        entry.rows_deleted = judgement.counts[REMOVE]
    with _step(claim, "record"):
        _record(claim, judgement)
    if judgement.failures:
        entry.status = ledger.REJECTED
        entry.finished_at = datetime.now(UTC)
        entry.rows_inserted = entry.rows_updated = entry.rows_deleted = 0
        entry.message = _rejection(claim, judgement)
        claim.run.tell(entry.message)
        return
    with _step(claim, "quarantine"):
        if judgement.counts[REFUSE] or judgement.counts[RESOLVE]:
            _quarantine(claim, position)
    with _step(claim, "publish"):
        if any(judgement.counts[op] for op in ROW_OPS):
            _merge(claim, position, judgement)


def _record(claim: _Claim, judgement: Judgement) -> None:
    spark, at = claim.run.warehouse.spark, datetime.now(UTC)
    version = claim.contract.version
    rows = [
        (
            claim.run.run_id,
            claim.table.name,
            check.name,
            float(check.observed),
            float(check.threshold),
            check.severity,
            check.verdict,
            version,
            at,
        )
        for check in judgement.checks
    ]
    frame = spark.createDataFrame(rows, ledger.VERDICTS_DDL.replace(" NOT NULL", ""))
    frame.write.format("delta").mode("append").saveAsTable(
        claim.run.warehouse.identifier(ledger.VERDICTS)
    )


def _rejection(claim: _Claim, judgement: Judgement) -> str:
    first = judgement.failures[0]
    name = claim.run.warehouse.identifier(claim.staging)
    return (
        f"{claim.table.name} was rejected by its audit under {claim.policy}: {first.name} was "
        f"broken by {first.observed:.0f} rows, allowed are {first.threshold:.0f}; nothing was "
        f"published. The rows: SELECT * FROM {name} WHERE {RUN_ID} = '{claim.run.run_id}' AND "
        f"array_contains({table.REASONS}, '{first.name}')"
    )


def _quarantine(claim: _Claim, position: Position) -> None:
    """Adds the refused records, and resolves those that are no longer refused, in one commit."""
    warehouse, run_id = claim.run.warehouse, claim.run.run_id
    key = ", ".join(claim.contract.key)
    now = literal(claim.run.started_at)
    warehouse.spark.sql(
        f"""
        MERGE INTO {warehouse.identifier(ledger.QUARANTINE)} t
        USING (
            SELECT *, to_json(struct({key})) AS _key
            FROM {warehouse.identifier(claim.staging)} VERSION AS OF {position.version}
            WHERE {RUN_ID} = '{run_id}' AND {OP} IN ('{REFUSE}', '{RESOLVE}')
        ) s
        ON t.table_name = '{claim.table.name}' AND t.reject_key = s.{REJECT_KEY}
            AND t.key = s._key AND t.resolved_by IS NULL
        WHEN MATCHED AND s.{OP} = '{RESOLVE}' THEN UPDATE SET
            resolved_by = '{run_id}', last_seen = {now}
        WHEN NOT MATCHED AND s.{OP} = '{REFUSE}' THEN INSERT (
            table_name, reject_key, key, source_path, line_number, payload, reasons, broken_values,
            run_id, contract_version, first_seen, last_seen, resolved_by
        ) VALUES (
            '{claim.table.name}', s.{REJECT_KEY}, s._key, s.{table.RECORD}.source_path,
            s.{table.RECORD}.line_number, s.{table.RECORD}.payload, s.{table.REASONS},
            s._broken_values, '{run_id}', '{claim.contract.version}', {now}, {now}, NULL
        )
        """
    )


def _merge(claim: _Claim, position: Position, judgement: Judgement) -> None:
    """Publishes the staged rows in one commit.

    A row is updated or deleted only while it still is what the staged row says it replaces.

    Raises:
        StaleError: when a staged row could not be brought into its intended state.
    """
    warehouse, contract = claim.run.warehouse, claim.contract
    target = warehouse.identifier(contract.name)
    columns = ", ".join(contract.column_names)
    source = (
        f"SELECT * FROM {warehouse.identifier(claim.staging)} VERSION AS OF {position.version} "
        f"WHERE {RUN_ID} = '{claim.run.run_id}' AND {OP} IN ('insert', 'update', 'delete')"
    )
    if _is_empty(claim):
        warehouse.spark.sql(f"INSERT INTO {target} ({columns}) SELECT {columns} FROM ({source})")
        return
    others = [name for name in contract.column_names if name not in contract.key]
    matches = [f"t.{name} = s.{name}" for name in contract.key]
    # Literal bounds let Delta skip the files that cannot hold any of the keys.
    within = [
        f"t.{name} BETWEEN {literal(least)} AND {literal(greatest)}"
        for name, (least, greatest) in judgement.bounds.items()
    ]
    still = " AND ".join(f"t.{name} <=> s.{REPLACES}.{name}" for name in others)
    changed = (
        ""
        if contract.append_only
        else f"""
        WHEN MATCHED AND s.{OP} = '{REMOVE}' AND {still} THEN DELETE
        WHEN MATCHED AND s.{OP} = '{UPDATE}' AND {still} THEN UPDATE SET
            {", ".join(f"t.{name} = s.{name}" for name in others)}"""
    )
    (done,) = warehouse.spark.sql(
        f"""
        MERGE INTO {target} t USING ({source}) s
        ON {" AND ".join(matches + within)} {changed}
        WHEN NOT MATCHED AND s.{OP} = '{INSERT}' THEN INSERT ({columns})
            VALUES ({", ".join(f"s.{name}" for name in contract.column_names)})
        """
    ).collect()
    wanted = sum(judgement.counts[op] for op in ROW_OPS)
    if done["num_affected_rows"] != wanted:
        raise StaleError(
            f"{contract.name} was written by another run in between "
            f"({done['num_affected_rows']} of {wanted} rows were as they had been read): "
            "run again when the other run has ended."
        )


def _settled(claim: _Claim, status: str) -> Entry:
    """The sealed row: pins, cursor and the version of the table."""
    entry, run = claim.entry, claim.run
    target = claim.changes.target
    if status == ledger.PUBLISHED:
        target = run.warehouse.position(claim.table.name)
    sealed = run.state.sealed.get(claim.table.name)
    entry.status = status
    entry.input_versions = list(claim.changes.pins.values())
    entry.cursor = _cursor(claim)
    entry.target_id, entry.target_version = target.table_id, target.version
    if run.context.window is not None:
        # Only a catch-up has looked at all rows under these rules.
        entry.fingerprint = sealed.fingerprint if sealed else None
    entry.finished_at = datetime.now(UTC)
    return entry


def _cursor(claim: _Claim) -> list[Position]:
    """Where the next run goes on: the pins, but in a window run not for what it restricted."""
    pins = dict(claim.changes.pins)
    if claim.run.context.window is not None:
        sealed = claim.run.state.sealed.get(claim.table.name)
        for name in claim.table.windowed_inputs:
            del pins[name]
            if sealed is not None and name in sealed.cursor:
                pins[name] = sealed.cursor[name]
    return list(pins.values())


def _fail(claim: _Claim, error: Exception) -> None:
    """Notes a failed run as far as that is still possible; the error itself is what counts."""
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    failed = replace(
        claim.entry,
        status=ledger.FAILED,
        finished_at=datetime.now(UTC),
        message=first_line[:500],
    )
    with suppress(Exception):
        ledger.replace(claim.run.warehouse, failed)
