"""Claim, stage, audit, record, quarantine, publish, seal: the same steps for every table.

Readers can see only PUBLISH, which is one commit of what AUDIT has judged. A run that dies is never
resumed: the next one starts over, and finds by comparison what is left to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from paceline import ledger, table
from paceline.audit import Judgement, audit
from paceline.claim import Claim, Run, claim, settle, staging_name
from paceline.contract import Contract
from paceline.diff import (
    INSERT,
    REFUSE,
    REMOVE,
    RESOLVE,
    ROW_OPS,
    RUN_ID,
    STAGED,
    UPDATE,
    staging_ddl,
)
from paceline.errors import PacelineError
from paceline.ledger import Entry
from paceline.merge import StaleError, merge, quarantine, staged_rows
from paceline.staging import Arrivals, stage
from paceline.table import Table
from paceline.warehouse import APPEND_ONLY, CHANGE_FEED, NO_STATISTICS, Warehouse

STEPS = ("claim", "stage", "audit", "record", "quarantine", "publish", "seal")
MAX_ATTEMPTS = 3


def create(warehouse: Warehouse, contract: Contract) -> None:
    """Makes a table and its staging table known, creating what is missing."""
    properties = APPEND_ONLY if contract.append_only else CHANGE_FEED
    # Files are skipped by their keys; statistics of the other columns would only cost.
    skipping = {"delta.dataSkippingStatsColumns": ",".join(contract.key)}
    warehouse.create(contract.name, contract.ddl(), properties | skipping)
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
        with suppress(StaleError):
            return _attempt(claim(recipe, run, attempt), arrivals)
    return _attempt(claim(recipe, run, MAX_ATTEMPTS), arrivals)


def _attempt(claimed: Claim, arrivals: Arrivals | None) -> Entry:
    entry, run = claimed.entry, claimed.run
    version = claimed.changes.target.version
    if arrivals is not None and claimed.changes.everything is not None:
        entry.scope = claimed.changes.everything
        run.tell(f"{entry.table_name}: reading all deliveries again, {entry.scope}")
        arrivals.read_all_again()
    if _is_idle(claimed, arrivals):
        # Nothing to claim: the row is written with those of the other idle tables, in one commit.
        settle(claimed, ledger.UNCHANGED, version)
        run.idle.append(entry)
        return entry
    try:
        with _step(claimed, "claim"):
            _append_or_replace(claimed)
        with _step(claimed, "stage"):
            staged_at = stage(claimed, arrivals)
        status = ledger.UNCHANGED
        if staged_at is not None:
            status, version = _judge_and_publish(claimed, staged_at)
        with _step(claimed, "seal"):
            if arrivals is not None and status != ledger.REJECTED:
                arrivals.remember()
            _seal(claimed, status, version)
    except Exception as error:
        _fail(claimed, error)
        raise
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


def _judge_and_publish(claimed: Claim, staged_at: int) -> tuple[str, int]:
    """The steps from AUDIT to PUBLISH on the committed staged version: status and new version."""
    entry, version = claimed.entry, claimed.changes.target.version
    rows = claimed.run.warehouse.spark.sql(staged_rows(claimed, staged_at, STAGED))
    with _step(claimed, "audit"):
        recipe = claimed.table
        judgement = audit(rows, claimed.contract, claimed.policy, recipe.warnings, recipe.day)
        entry.verdict = judgement.verdict
    with _step(claimed, "record"):
        _record(claimed, judgement)
    if judgement.failures:
        entry.message = _rejection(claimed, judgement)
        claimed.run.tell(entry.message)
        return ledger.REJECTED, version
    with _step(claimed, "quarantine"):
        if judgement.counts[REFUSE] or judgement.counts[RESOLVE]:
            quarantine(claimed, staged_at)
    with _step(claimed, "publish"):
        if any(judgement.counts[op] for op in ROW_OPS):
            version = merge(claimed, staged_at, judgement)
    entry.touched_athletes = judgement.touched_athletes
    entry.touched_days = judgement.touched_days
    entry.rows_inserted = judgement.counts[INSERT]
    entry.rows_updated = judgement.counts[UPDATE]
    entry.rows_deleted = judgement.counts[REMOVE]
    return ledger.PUBLISHED, version


def _seal(claimed: Claim, status: str, version: int) -> None:
    if status == ledger.REJECTED:
        claimed.entry.status, claimed.entry.finished_at = status, datetime.now(UTC)
        claimed.run.outcomes[claimed.table.name] = claimed.entry
    else:
        settle(claimed, status, version)
    ledger.replace(claimed.run.warehouse, claimed.entry)


def _record(claimed: Claim, judgement: Judgement) -> None:
    warehouse, at = claimed.run.warehouse, datetime.now(UTC)
    rows = [
        (
            *(claimed.run.run_id, claimed.table.name, check.name),
            *(float(check.observed), float(check.threshold), check.severity, check.verdict),
            *(claimed.contract.version, at),
        )
        for check in judgement.checks
    ]
    ledger.append_rows(warehouse, ledger.VERDICTS, ledger.VERDICTS_DDL, rows)


def _rejection(claimed: Claim, judgement: Judgement) -> str:
    first = judgement.failures[0]
    name = claimed.run.warehouse.reference(claimed.staging)
    observed, allowed = f"{first.observed:.0f} rows", f"{first.threshold:.0f}"
    where = f" AND array_contains({table.REASONS}, '{first.name}')"
    if first.name not in {rule.name for rule in claimed.contract.rules}:
        where = ""
    if 0 < first.threshold < 1 or first.observed < 1:
        observed, allowed = f"{first.observed:.2%} of the rows", f"{first.threshold:.2%}"
    return (
        f"{claimed.table.name} was rejected by its audit under {claimed.policy}: {first.name} was "
        f"broken by {observed}, allowed are {allowed}; nothing was published. The rows: "
        f"SELECT * FROM {name} WHERE {RUN_ID} = '{claimed.mark}'{where}"
    )


def _fail(claimed: Claim, error: Exception) -> None:
    """Notes a failed run as far as that is still possible; the error itself is what counts.

    What others than paceline say may quote values, which are personal and have no place here.
    """
    said = str(error) if isinstance(error, PacelineError) else type(error).__name__
    failed = replace(
        claimed.entry,
        status=ledger.FAILED,
        finished_at=datetime.now(UTC),
        message=said[:500],
    )
    claimed.run.outcomes[claimed.table.name] = failed
    with suppress(Exception):
        ledger.replace(claimed.run.warehouse, failed)
