"""What a person is told when an audit forbids publishing."""

from __future__ import annotations

from collections.abc import Sequence

from paceline import ledger, table
from paceline.audit import ERROR, STRUCTURAL, Check
from paceline.claim import Claim
from paceline.diff import RUN_ID


def rejection(claimed: Claim, failures: Sequence[Check]) -> str:
    """Table, check, what was observed and what is allowed, where to look, and the way on.

    Args:
        claimed: the attempt.
        failures: the checks that forbid publishing, the worst first; at least one.
    """
    first, *others = failures
    run = claimed.run
    said = f"{claimed.table.name} was rejected by its audit under {claimed.policy}: {_said(first)}"
    if others:
        said += f" (also {', '.join(check.name for check in others)})"
    verdicts = run.warehouse.reference(ledger.VERDICTS)
    said += (
        f"; nothing was published. All checks: SELECT * FROM {verdicts} WHERE run_id = "
        f"'{run.run_id}'. The rows: {_rows(claimed, first)}."
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
    where = f"{RUN_ID} = '{claimed.mark}'"
    if check.name in {rule.name for rule in claimed.contract.rules}:
        where += f" AND array_contains({table.REASONS}, '{check.name}')"
    if check.name.startswith("null_share_"):
        where += f" AND {check.name.removeprefix('null_share_')} IS NULL"
    return f"SELECT * FROM {name} WHERE {where}"
