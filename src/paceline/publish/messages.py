"""What people are told of an audit: in the log, in the message of the ledger, and by an alert.

What is kept or sent away names no number of a path; what is only logged hides those of athletes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from paceline import recipe as r
from paceline.publish.audit import DELIVERY_BROKEN, ERROR, STRUCTURAL, AuditResult, Check
from paceline.publish.claim import Claim
from paceline.publish.staged import RUN_ID
from paceline.sources.files import shown, without_path_numbers
from paceline.store import ledger

_log = logging.getLogger(__name__)


def warn_of_deliveries(claimed: Claim, result: AuditResult) -> None:
    """Logs which deliveries are broken by themselves."""
    if result.deliveries.count:
        named = result.deliveries.named(shown)
        _log.warning(f"{claimed.table.name} {DELIVERY_BROKEN}: {named}")


def note(claimed: Claim, result: AuditResult) -> str | None:
    """What a person should know of a table that is published; None when there is nothing."""
    notes = []
    if accepted := [check.name for check in result.checks if check.is_accepted]:
        notes.append(f"accepted by a person: {', '.join(accepted)}")
    if result.deliveries.count:
        became = "published as well" if claimed.policy == "ALWAYS" else "quarantined"
        notes.append(
            f"{DELIVERY_BROKEN}: {result.deliveries.named(without_path_numbers)}; valid records "
            f"were published, broken ones {became}. Mend these at the source and deliver them "
            f"again. Where they are from: {_paths(claimed)}"
        )
    return "; ".join(notes) or None


def rejection(claimed: Claim, failures: Sequence[Check], result: AuditResult | None = None) -> str:
    """Table, check, what was observed and what is allowed, where to look, and the way on.

    Args:
        claimed: the attempt.
        failures: the checks that forbid publishing, the worst first; at least one.
        result: the audit that they are from, if there was one.
    """
    first, *others = failures
    run = claimed.run
    said = f"{claimed.table.name} was rejected by its audit under {claimed.policy}: {_said(first)}"
    if others:
        said += f" (also {', '.join(check.name for check in others)})"
    said += "; nothing was published."
    if result is not None and result.deliveries.count:
        said += f" {_part_of(result)}."
    said += (
        f" All checks: SELECT inline(checks) FROM {run.warehouse.reference(ledger.LEDGER)} WHERE "
        f"run_id = '{run.run_id}' AND event = 'AUDITED'. The rows: {_rows(claimed, first)}."
    )
    if all(check.severity != STRUCTURAL and check.verdict != ERROR for check in failures):
        said += f" Mend them at the source, or publish all the same with --accept {run.run_id}."
    return said


def _said(check: Check) -> str:
    if check.observed is None:
        return f"{check.name} could not be judged"
    if check.verdict == ERROR:
        return (
            f"{check.name} is broken by {check.observed:.0f} rows that should have been set aside, "
            "which is a fault of the program"
        )
    if check.name == "row_count":
        return f"it would have {check.observed:.0f} rows, at least {check.threshold:.0f} are needed"
    if 0 < check.threshold < 1 or 0 < check.observed < 1:
        return (
            f"{check.name} was broken by {check.observed:.2%} of the rows, "
            f"allowed are {check.threshold:.2%}"
        )
    return (
        f"{check.name} was broken by {check.observed:.0f} rows, allowed are {check.threshold:.0f}"
    )


def _rows(claimed: Claim, check: Check) -> str:
    """SQL for the rows that a check is about, as far as they are known one by one."""
    name = claimed.run.warehouse.reference(claimed.staging)
    where = f"{RUN_ID} = '{claimed.attempt_id}'"
    if check.name in {rule.name for rule in claimed.contract.rules}:
        where += f" AND array_contains({r.REASONS}, '{check.name}')"
    if check.name.startswith("null_share_"):
        where += f" AND {check.name.removeprefix('null_share_')} IS NULL"
    return f"SELECT * FROM {name} WHERE {where}"


def _part_of(result: AuditResult) -> str:
    """What the deliveries that are broken by themselves have to do with a rejection."""
    found = result.deliveries
    subject = "1 delivery that is broken by itself"
    if found.count > 1:
        subject = f"{found.count:,} deliveries that are broken by themselves"
    if found.hold_most_of(result.judged):
        predicate = "holds" if found.count == 1 else "hold"
        predicate += " more than half of the records, and so counts in the shares"
    else:
        predicate = "is" if found.count == 1 else "are"
        predicate += " left out of the shares"
    return f"{subject} {predicate}: {found.named(without_path_numbers)}"


def _paths(claimed: Claim) -> str:
    """SQL for the paths of broken records, and how many there are of each."""
    name = claimed.run.warehouse.reference(claimed.staging)
    return (
        f"SELECT {r.RECORD}.source_path, count(*) AS broken FROM {name} WHERE {RUN_ID} = "
        f"'{claimed.attempt_id}' AND {r.RECORD} IS NOT NULL AND size({r.REASONS}) > 0 "
        "GROUP BY ALL ORDER BY broken DESC"
    )
