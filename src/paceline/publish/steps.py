"""Claim, stage, audit, record, quarantine, publish, seal: the same steps for every table.

Readers can see only PUBLISH, which is one commit of what AUDIT has judged. A run that dies is never
resumed: the next one starts over, and finds by comparison what is left to do.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from random import uniform
from threading import Thread
from time import sleep

from paceline.contract import Contract
from paceline.errors import in_short
from paceline.publish.audit import (
    BROKEN,
    FAIL,
    AuditContext,
    AuditResult,
    Check,
    audit,
    forbidding,
    worst,
)
from paceline.publish.claim import (
    Claim,
    Outcome,
    Run,
    claim,
    foresee,
    new_entry,
    settle,
    started,
    table_context,
)
from paceline.publish.constraints import PROPERTY, constrained
from paceline.publish.merge import StaleError, is_conflict, merge, quarantine, staged_rows
from paceline.publish.messages import note, rejection, warn_of_deliveries
from paceline.publish.staged import (
    AUDITED,
    INSERT,
    REFUSE,
    REMOVE,
    RESOLVE,
    ROW_OPS,
    RUN_ID,
    UPDATE,
    staging_ddl,
    staging_name,
)
from paceline.publish.staging import NewRecords, Staged, stage
from paceline.recipe import Table
from paceline.sources.files import without_path_numbers
from paceline.store import ledger
from paceline.store.annotations import (
    CONTRACT_PROPERTY,
    describe,
    set_properties,
    stated_contract,
    tag,
)
from paceline.store.ledger import Entry, Verdict
from paceline.store.quarantine import adopt, open_counts
from paceline.store.state import last_sealed
from paceline.store.warehouse import APPEND_ONLY, CHANGE_FEED, NO_STATISTICS, Warehouse

_log = logging.getLogger(__name__)

STEPS = ("claim", "stage", "audit", "record", "quarantine", "publish", "seal")
MAX_ATTEMPTS = 5
# Before the n-th attempt a run waits for a random part of this many seconds, doubled each time, so
# that two runs which have met do not meet again.
_PAUSE_S = 0.5


def create(warehouse: Warehouse, contract: Contract, policy: str) -> None:
    """Makes a table and its staging table known, creating what is missing.

    Columns, comments and tags follow a contract of another version.
    """
    properties = APPEND_ONLY if contract.append_only else CHANGE_FEED
    # Files are skipped by ids and days; statistics of the other columns would only cost.
    skipping = {"delta.dataSkippingStatsColumns": ",".join(contract.skipping_columns)}
    checks = {PROPERTY + rule: text for rule, text in contract.constraints(policy).items()}
    # What only grows lies as it arrives: newest last, with ids that grow as well.
    clustered_by = () if contract.append_only else contract.key
    described = {CONTRACT_PROPERTY: stated_contract(contract)}
    found = warehouse.create(
        contract.name,
        contract.ddl(),
        properties | skipping | checks | described,
        clustered_by=clustered_by,
        comment=contract.description,
        is_run=True,
        must_hold=_rules_of_kept_rows(contract),
    )
    if found is None:
        tag(warehouse, contract)
    elif found.get(CONTRACT_PROPERTY) != described[CONTRACT_PROPERTY]:
        describe(warehouse, contract)
    if found is not None and any(found.get(key) != value for key, value in skipping.items()):
        set_properties(warehouse, contract.name, skipping)
    # Checked by itself: a run may have died between the two. Staged rows are nobody's but a run's.
    warehouse.create(
        staging_name(contract.name),
        staging_ddl(contract),
        NO_STATISTICS,
        partitioned_by=(RUN_ID,),
        is_disposable=True,
    )


def _rules_of_kept_rows(contract: Contract) -> dict[str, str]:
    """The rules that rows have to keep with NULL in new columns, because nothing fills these in."""
    if not contract.append_only:
        return {}
    return {rule.name: rule.predicate for rule in contract.rules if rule.severity == "error"}


def publish(recipe: Table, run: Run, new_records: NewRecords | None = None) -> Outcome:
    """Brings one table up to date with its inputs.

    An error is part of the outcome: counts do not reconcile, an input has been lost, others keep
    publishing in between, or anything that Spark or a disk may say.

    Args:
        recipe: of the table.
        run: the run.
        new_records: the deliveries, for a table that the landing zone feeds.
    """
    for attempt in range(1, MAX_ATTEMPTS):
        outcome = _attempt(recipe, run, attempt, new_records)
        error = outcome.error
        if error is None or not (isinstance(error, StaleError) or is_conflict(error)):
            return outcome
        _log.info(f"{recipe.name}: another run is publishing, starting over")
        sleep(uniform(0, _PAUSE_S * 2**attempt))
    return _attempt(recipe, run, MAX_ATTEMPTS, new_records)


def failed(recipe: Table, run: Run, error: Exception, outcome: Outcome | None = None) -> Outcome:
    """A table whose work an error has ended, noted in the ledger as far as that is still possible.

    Nothing is said of rows: if they have been published after all, the next run finds that out. The
    numbers in paths may be ids, which have no place there.

    Args:
        recipe: of the table.
        run: the run.
        error: the error.
        outcome: what has been done before; None when it came before CLAIM.
    """
    if outcome is None:
        # What is wrong may be the recipe itself, and then nothing more is known of the table.
        entry = Entry(run.run_id, run.job, recipe.name, started_at=datetime.now(UTC))
        with suppress(Exception):
            entry = new_entry(recipe, run, table_context(recipe, run))
        outcome = Outcome(entry)
    outcome.error, entry = error, outcome.entry
    entry.status, entry.finished_at = ledger.FAILED, datetime.now(UTC)
    entry.message = without_path_numbers(in_short(error))[:500]
    entry.rows_inserted = entry.rows_updated = entry.rows_deleted = 0
    entry.cursor = []
    with suppress(Exception):
        run.journal.write(entry)
    return outcome


def _attempt(recipe: Table, run: Run, attempt: int, new_records: NewRecords | None) -> Outcome:
    try:
        claimed = claim(recipe, run, attempt)
        outcome = Outcome(new_entry(recipe, run, claimed.context))
    except Exception as error:
        return failed(recipe, run, error)
    entry, changes = outcome.entry, claimed.changes
    entry.input_versions = list(changes.pins.values())
    if new_records is not None and changes.full_compare_reason is not None:
        entry.full_compare_reason = changes.full_compare_reason
        _log.info(f"{entry.table_name}: reading all deliveries again, {entry.full_compare_reason}")
        new_records.read_all_again()
    if _is_idle(claimed, new_records):
        entry.open_rejects = claimed.open_rejects
        settle(claimed, entry, ledger.UNCHANGED, changes.target.version)
        run.journal.wait(entry)
        return outcome
    try:
        _take_steps(claimed, outcome, new_records)
    except Exception as error:
        return failed(recipe, run, error, outcome)
    return outcome


def _take_steps(claimed: Claim, outcome: Outcome, new_records: NewRecords | None) -> None:
    """The steps from CLAIM to SEAL."""
    entry, run = outcome.entry, claimed.run
    with _step(claimed, "claim"):
        run.journal.begin(started(run))
    _prepare()
    with _step(claimed, "stage"):
        staged = stage(claimed, outcome, new_records)
    status, version = ledger.UNCHANGED, claimed.changes.target.version
    if staged is not None:
        status, version = _judge_and_publish(claimed, outcome, staged)
    elif _is_vain(claimed, entry):
        status = ledger.REJECTED
    else:
        with constrained(claimed, (), compares_all=entry.full_compare_reason is not None):
            pass  # the rules may be others although no row is
    with _step(claimed, "seal"):
        if not run.is_alone:
            _refuse_overtaken(claimed)
        if status != ledger.REJECTED:
            if claimed.doubtful:
                adopt(run.warehouse, claimed.table.name, claimed.doubtful, run.run_id)
            if new_records is not None:
                new_records.remember()
            _seal(claimed, entry, status, version)


def _is_idle(claimed: Claim, new_records: NewRecords | None) -> bool:
    if new_records is not None:
        return new_records.is_empty
    context = claimed.context
    is_new_day = claimed.table.has_horizon and context.horizon != context.horizon_before
    is_asked = claimed.is_window and claimed.table.follows_window
    return claimed.changes.is_none and not is_new_day and not is_asked


def _prepare() -> None:
    """Imports Great Expectations, which takes seconds, while Spark is at work on the rows."""
    name = "paceline.publish.expectations"
    if name not in sys.modules:
        Thread(target=import_module, args=(name,)).start()


@contextmanager
def _step(claimed: Claim, step: str) -> Iterator[None]:
    claimed.run.hook("before", step, claimed.table.name)
    yield
    claimed.run.hook("after", step, claimed.table.name)


def _judge_and_publish(claimed: Claim, outcome: Outcome, staged: Staged) -> tuple[str, int]:
    """The steps from AUDIT to PUBLISH on the committed staged version: status and new version."""
    entry, version = outcome.entry, claimed.changes.target.version
    compares_all = entry.full_compare_reason is not None
    rows = claimed.run.warehouse.spark.sql(staged_rows(claimed, staged.version, AUDITED))
    with _step(claimed, "audit"):
        result = audit(rows, claimed.contract, _audit_context(claimed))
    with _step(claimed, "record"):
        entry.staging_version = staged.version
        _audited(claimed, entry, result)
    warn_of_deliveries(claimed, result)
    if result.failures:
        _log.info(entry.message)
        return ledger.REJECTED, version
    with _step(claimed, "quarantine"):
        if result.counts[REFUSE] or result.counts[RESOLVE]:
            quarantine(claimed, staged.version)
    publishing = constrained(claimed, result.checks, compares_all=compares_all)
    with _step(claimed, "publish"), publishing as commits_before:
        if any(result.counts[op] for op in ROW_OPS):
            version = merge(claimed, staged.version, staged.scope, result) + commits_before
    return ledger.PUBLISHED, version


def _seal(claimed: Claim, entry: Entry, status: str, version: int) -> None:
    settle(claimed, entry, status, version)
    if status == ledger.UNCHANGED:
        entry.open_rejects = claimed.open_rejects
    if claimed.run.is_alone and entry.open_rejects is None:
        counts = open_counts(claimed.run.warehouse)
        entry.open_rejects = counts.get(claimed.table.name, 0)
    if _may_wait(claimed, entry):
        claimed.run.journal.wait(entry)
    else:
        claimed.run.journal.write(entry)


def _may_wait(claimed: Claim, entry: Entry) -> bool:
    """Whether the next run could tell by itself what SEALED says, should this one die before.

    Rows that are appended bear no mark, and nobody compares all rows twice to save a commit.
    """
    is_marked = entry.status == ledger.UNCHANGED or not claimed.is_first
    is_small = entry.full_compare_reason is None and not claimed.run.accepted
    return claimed.run.is_alone and is_marked and is_small


def _audited(claimed: Claim, entry: Entry, result: AuditResult) -> None:
    """Makes durable what has been judged, and what SEALED is going to say."""
    if not result.failures:
        entry.newest, entry.message = result.newest, note(claimed, result)
        entry.touched_entities, entry.touched_days = result.touched_entities, result.touched_days
        entry.rows_inserted = result.counts[INSERT]
        entry.rows_updated = result.counts[UPDATE]
        entry.rows_deleted = result.counts[REMOVE]
        if (before := claimed.open_rejects) is not None:
            entry.open_rejects = before + result.counts[REFUSE] - result.counts[RESOLVE]
        foresee(claimed, entry, ledger.PUBLISHED)
    _record(claimed, entry, result.checks, result)


def _record(
    claimed: Claim, entry: Entry, checks: Sequence[Check], result: AuditResult | None = None
) -> None:
    """Writes the event AUDITED, which is the last one where a check forbids publishing."""
    entry.mark, entry.base_version = claimed.attempt_id, claimed.changes.target.version
    entry.checks = [
        Verdict(
            check.name,
            None if check.observed is None else float(check.observed),
            float(check.threshold),
            check.severity,
            check.verdict,
        )
        for check in checks
    ]
    entry.verdict = worst(checks)
    entry.accepted = [check.name for check in checks if check.is_accepted]
    if failures := forbidding(checks):
        entry.status, entry.finished_at = ledger.REJECTED, datetime.now(UTC)
        entry.message = rejection(claimed, failures, result)
    claimed.run.journal.write(replace(entry, event=ledger.AUDITED_EVENT))


def _audit_context(claimed: Claim) -> AuditContext:
    run, recipe, sealed = claimed.run, claimed.table, claimed.sealed
    follows_changes = claimed.changes.full_compare_reason is None and not claimed.is_window
    return AuditContext(
        policy=claimed.policy,
        warnings=recipe.warnings,
        noted=recipe.noted,
        refusals=recipe.refusals,
        day=recipe.day,
        now=run.started_at,
        newest=sealed.newest if sealed else None,
        usual_rows=sealed.usual_rows if sealed and follows_changes else (),
        rows_before=None if claimed.is_first else lambda: claimed.own().count(),
        accepted=run.accepted.get(recipe.name),
        judges_records=recipe.judges_records,
    )


def _is_vain(claimed: Claim, entry: Entry) -> bool:
    """Whether nothing at all came for a table that may not be empty; the verdict is recorded."""
    least = claimed.contract.thresholds.min_table_rows
    is_accepted = "row_count" in claimed.run.accepted.get(claimed.table.name, {})
    if not (claimed.is_first and least) or claimed.policy == "ALWAYS" or is_accepted:
        return False
    check = Check("row_count", 0, least, BROKEN, FAIL)
    _record(claimed, entry, [check])
    _log.info(entry.message)
    return True


def _refuse_overtaken(claimed: Claim) -> None:
    """Raises `StaleError` when another run has sealed the table since this one has claimed it."""
    sealed = last_sealed(claimed.run.warehouse, claimed.table.name)
    # Another run may have found out that this one has published, and sealed for it.
    known = (claimed.sealed.run_id if claimed.sealed else None, claimed.run.run_id)
    if sealed not in known:
        raise StaleError(
            f"{claimed.table.name} was published by run {sealed} in between: run again."
        )
