"""Claim, stage, audit, record, quarantine, publish, seal: the same steps for every table.

Readers can see only PUBLISH, which is one commit of what AUDIT has judged. A run that dies is never
resumed: the next one starts over, and finds by comparison what is left to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from random import uniform
from time import sleep

from paceline.contract import Contract
from paceline.errors import in_short
from paceline.publish.audit import BROKEN, FAIL, AuditContext, Check, audit, rejection
from paceline.publish.claim import Claim, Run, claim, new_entry, settle
from paceline.publish.constraints import PROPERTY, constrained
from paceline.publish.merge import StaleError, is_conflict, merge, quarantine, staged_rows
from paceline.publish.staged import (
    INSERT,
    REFUSE,
    REMOVE,
    RESOLVE,
    ROW_OPS,
    RUN_ID,
    STAGED,
    UPDATE,
    staging_ddl,
    staging_name,
)
from paceline.publish.staging import Arrivals, Staged, stage
from paceline.recipe import Table
from paceline.sources.files import without_path_numbers
from paceline.store import ledger
from paceline.store.annotations import CONTRACT_PROPERTY, describe, stated_contract, tag
from paceline.store.ledger import Entry, Verdict
from paceline.store.quarantine import adopt
from paceline.store.warehouse import APPEND_ONLY, CHANGE_FEED, NO_STATISTICS, Warehouse

_log = logging.getLogger(__name__)

STEPS = ("claim", "stage", "audit", "record", "quarantine", "publish", "seal")
MAX_ATTEMPTS = 5
# Before the n-th attempt a run waits for a random part of this many seconds, doubled each time, so
# that two runs which have met do not meet again.
_PAUSE_S = 0.5


def create(warehouse: Warehouse, contract: Contract, policy: str) -> None:
    """Makes a table and its staging table known, creating what is missing.

    Comments and tags follow a contract of another version.
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
    )
    if found is None:
        tag(warehouse, contract)
    elif found.get(CONTRACT_PROPERTY) != described[CONTRACT_PROPERTY]:
        describe(warehouse, contract)
    staging = staging_name(contract.name)
    warehouse.create(staging, staging_ddl(contract), NO_STATISTICS, partitioned_by=(RUN_ID,))


def publish(recipe: Table, run: Run, arrivals: Arrivals | None = None) -> Entry:
    """Brings one table up to date with its inputs; returns its row of the ledger.

    Args:
        recipe: of the table.
        run: the run.
        arrivals: the deliveries, for a table that the landing zone feeds.

    Raises:
        PacelineError: when counts do not reconcile, an input has been lost, or others keep
            publishing in between.
    """
    for attempt in range(1, MAX_ATTEMPTS):
        try:
            return _attempt(_claimed(recipe, run, attempt), arrivals)
        except Exception as error:
            if not isinstance(error, StaleError) and not is_conflict(error):
                raise
            _log.info(f"{recipe.name}: another run is publishing, starting over")
            sleep(uniform(0, _PAUSE_S * 2**attempt))
    return _attempt(_claimed(recipe, run, MAX_ATTEMPTS), arrivals)


@contextmanager
def noting_failure(entry: Callable[[], Entry], run: Run) -> Iterator[None]:
    """Notes an error in the row of the ledger as far as that is still possible, and lets it out.

    The numbers in paths may be ids, which have no place there.
    """
    try:
        yield
    except Exception as error:
        failed = replace(
            entry(),
            status=ledger.FAILED,
            finished_at=datetime.now(UTC),
            message=without_path_numbers(in_short(error))[:500],
        )
        run.outcomes[failed.table_name] = failed
        with suppress(Exception):
            ledger.replace(run.warehouse, failed)
        raise


def _claimed(recipe: Table, run: Run, attempt: int) -> Claim:
    with noting_failure(partial(new_entry, recipe, run), run):
        return claim(recipe, run, attempt)


def _attempt(claimed: Claim, arrivals: Arrivals | None) -> Entry:
    entry, run = claimed.entry, claimed.run
    version = claimed.changes.target.version
    if arrivals is not None and claimed.changes.everything is not None:
        entry.scope = claimed.changes.everything
        _log.info(f"{entry.table_name}: reading all deliveries again, {entry.scope}")
        arrivals.read_all_again()
    if _is_idle(claimed, arrivals):
        # Nothing to claim: the row is written with those of the other idle tables, in one commit.
        settle(claimed, ledger.UNCHANGED, version)
        run.idle.append(entry)
        return entry
    with noting_failure(lambda: entry, run):
        with _step(claimed, "claim"):
            _append_or_replace(claimed)
        with _step(claimed, "stage"):
            staged = stage(claimed, arrivals)
        status = ledger.UNCHANGED
        if staged is not None:
            status, version = _judge_and_publish(claimed, staged)
        elif _is_vain(claimed):
            status = ledger.REJECTED
        else:
            with constrained(claimed, ()):
                pass  # the rules may be others although no row is
        with _step(claimed, "seal"):
            if not run.is_alone:
                _refuse_overtaken(claimed)
            if claimed.doubtful and status != ledger.REJECTED:
                adopt(run.warehouse, entry.table_name, claimed.doubtful, run.run_id)
            if arrivals is not None and status != ledger.REJECTED:
                arrivals.remember()
            _seal(claimed, status, version)
    return entry


def _append_or_replace(claimed: Claim) -> None:
    """A second attempt takes the place of the first: one row per run and table."""
    if claimed.attempt == 1:
        ledger.append(claimed.run.warehouse, [claimed.entry])
    else:
        ledger.replace(claimed.run.warehouse, claimed.entry)


def _is_idle(claimed: Claim, arrivals: Arrivals | None) -> bool:
    if arrivals is not None:
        return arrivals.is_empty
    context = claimed.run.context
    is_new_day = claimed.table.has_horizon and context.horizon != context.horizon_before
    is_asked = claimed.is_window and claimed.table.follows_window
    return claimed.changes.is_none and not is_new_day and not is_asked


@contextmanager
def _step(claimed: Claim, step: str) -> Iterator[None]:
    claimed.run.hook("before", step, claimed.table.name)
    yield
    claimed.run.hook("after", step, claimed.table.name)


def _judge_and_publish(claimed: Claim, staged: Staged) -> tuple[str, int]:
    """The steps from AUDIT to PUBLISH on the committed staged version: status and new version."""
    entry, version = claimed.entry, claimed.changes.target.version
    rows = claimed.run.warehouse.spark.sql(staged_rows(claimed, staged.version, STAGED))
    with _step(claimed, "audit"):
        result = audit(rows, claimed.contract, _audit_context(claimed))
        entry.verdict = result.verdict
    with _step(claimed, "record"):
        _record(claimed, result.checks)
    if result.failures:
        entry.message = rejection(claimed, result.failures)
        _log.info(entry.message)
        return ledger.REJECTED, version
    entry.newest = result.newest
    if accepted := [check.name for check in result.checks if check.is_accepted]:
        entry.message = f"accepted by a person: {', '.join(accepted)}"
    with _step(claimed, "quarantine"):
        if result.counts[REFUSE] or result.counts[RESOLVE]:
            quarantine(claimed, staged.version)
    with _step(claimed, "publish"), constrained(claimed, result.checks) as commits_before:
        if any(result.counts[op] for op in ROW_OPS):
            version = merge(claimed, staged.version, staged.scope, result) + commits_before
    entry.touched_athletes = result.touched_athletes
    entry.touched_days = result.touched_days
    entry.rows_inserted = result.counts[INSERT]
    entry.rows_updated = result.counts[UPDATE]
    entry.rows_deleted = result.counts[REMOVE]
    return ledger.PUBLISHED, version


def _seal(claimed: Claim, status: str, version: int) -> None:
    if status == ledger.REJECTED:
        claimed.entry.status, claimed.entry.finished_at = status, datetime.now(UTC)
        claimed.run.outcomes[claimed.table.name] = claimed.entry
    else:
        settle(claimed, status, version)
    ledger.replace(claimed.run.warehouse, claimed.entry)


def _record(claimed: Claim, checks: Sequence[Check]) -> None:
    run, at = claimed.run, datetime.now(UTC)
    rows = [
        Verdict(
            run.run_id,
            claimed.table.name,
            check.name,
            None if check.observed is None else float(check.observed),
            float(check.threshold),
            check.severity,
            check.verdict,
            claimed.contract.version,
            at,
        )
        for check in checks
    ]
    ledger.append_rows(run.warehouse, ledger.VERDICTS, ledger.VERDICTS_DDL, rows)
    run.verdicts[claimed.table.name] = rows


def _audit_context(claimed: Claim) -> AuditContext:
    run, recipe, sealed = claimed.run, claimed.table, claimed.sealed
    follows_changes = claimed.changes.everything is None and not claimed.is_window
    return AuditContext(
        policy=claimed.policy,
        warnings=recipe.warnings,
        day=recipe.day,
        now=run.started_at,
        newest=sealed.newest if sealed else None,
        usual_rows=sealed.usual_rows if sealed and follows_changes else (),
        rows_before=None if claimed.is_first else lambda: claimed.own().count(),
        accepted=run.accepted.get(recipe.name),
    )


def _is_vain(claimed: Claim) -> bool:
    """Whether nothing at all came for a table that may not be empty; the verdict is recorded."""
    least, entry = claimed.contract.thresholds.min_table_rows, claimed.entry
    is_accepted = "row_count" in claimed.run.accepted.get(entry.table_name, {})
    if not (claimed.is_first and least) or claimed.policy == "ALWAYS" or is_accepted:
        return False
    check = Check("row_count", 0, least, BROKEN, FAIL)
    entry.verdict, entry.message = FAIL, rejection(claimed, [check])
    _record(claimed, [check])
    _log.info(entry.message)
    return True


def _refuse_overtaken(claimed: Claim) -> None:
    """Raises `StaleError` when another run has sealed the table since this one has claimed it."""
    sealed = ledger.last_sealed(claimed.run.warehouse, claimed.table.name)
    if sealed != (claimed.sealed.run_id if claimed.sealed else None):
        raise StaleError(
            f"{claimed.table.name} was published by run {sealed} in between: run again."
        )
