"""Judges a staged version: what it holds, rule by rule, and whether it may be published.

The predicates of the contract have already marked every row; here they are counted in one query on
the committed version, so that what is judged is what will be published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paceline import table as t
from paceline.contract import Contract
from paceline.diff import INSERT, OP, REFUSE, REMOVE, REPLACES, RESOLVE, ROW_OPS, UPDATE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"
_SEVERITY = (PASS, WARN, FAIL)
_BOUNDED = ("BIGINT", "INT", "DATE", "STRING")


@dataclass(frozen=True)
class Check:
    """One judged check: what was observed, what is allowed, and the verdict."""

    name: str
    observed: float
    threshold: float
    severity: str
    verdict: str


@dataclass(frozen=True)
class Judgement:
    """The audit of one staged version.

    Attributes:
        counts: staged rows by what they ask for.
        touched_athletes: athletes with a staged row.
        touched_days: days that a staged row has, or had before; None where rows have no day.
        bounds: by key column, the smallest and the greatest value among the rows to publish.
        checks: every check with its verdict.
    """

    counts: dict[str, int]
    touched_athletes: int
    touched_days: int | None
    bounds: dict[str, tuple[Any, Any]]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> str:
        """The worst verdict of all checks."""
        return max((check.verdict for check in self.checks), key=_SEVERITY.index, default=PASS)

    @property
    def failures(self) -> list[Check]:
        """The checks that forbid publishing."""
        return [check for check in self.checks if check.verdict == FAIL]


def audit(
    staged: DataFrame,
    contract: Contract,
    policy: str,
    own_warnings: tuple[str, ...] = (),
    day: str | None = None,
) -> Judgement:
    """Judges the staged rows of one run under a policy.

    Structural checks (a key is never NULL and never twice) are hard under every policy. A row that
    breaks a rule fails the batch under STRICT; under QUARANTINE it has been set aside; under ALWAYS
    it is published with a warning. A share above its limit fails the batch unless the policy is
    ALWAYS; shares are judged in batches of at least `min_rows` rows. `own_warnings` are the
    warnings that the recipe itself raises, and `day` is the column whose touched days are counted.
    """
    warnings = [
        *(rule.name for rule in contract.rules if rule.severity == "warning"),
        *own_warnings,
    ]
    tally = staged.agg(*_tallies(contract, warnings, day)).collect()[0].asDict()
    counts = {op: tally[f"op_{op}"] for op in (INSERT, UPDATE, REMOVE, REFUSE, RESOLVE)}
    errors = [rule.name for rule in contract.rules if rule.severity == "error"]
    kept = counts[INSERT] + counts[UPDATE]
    checks = [
        _hard("key_not_null", tally["null_keys"]),
        _hard("key_unique", tally["rows"] - tally["distinct_keys"]),
        *(_ruled(name, tally[f"kept_{name}"], tally[f"refused_{name}"], policy) for name in errors),
        _ruled("readable", 0, tally["refused_unreadable"], policy),
    ]
    checks += _shares(contract, policy, tally, kept, kept + counts[REFUSE])
    for name in warnings:
        observed = tally[f"warned_{name}"]
        checks.append(Check(name, observed, 0, "warning", WARN if observed else PASS))
    return Judgement(
        counts=counts,
        touched_athletes=tally["athletes"],
        touched_days=len(tally["days"]) if day else None,
        bounds={
            column.name: (tally[f"min_{column.name}"], tally[f"max_{column.name}"])
            for column in _bounded(contract)
        },
        checks=tuple(checks),
    )


def _tallies(contract: Contract, warnings: list[str], day: str | None) -> list[Column]:
    from pyspark.sql import functions as F

    is_row = F.col(OP).isin(*ROW_OPS)
    is_kept = F.col(OP).isin(INSERT, UPDATE)
    is_refused = F.col(OP) == REFUSE
    key_is_null = F.lit(False)
    for name in contract.key:
        key_is_null = key_is_null | F.col(name).isNull()
    key = F.struct(*contract.key)
    tallies = [
        F.count_if(F.col(OP) == op).alias(f"op_{op}")
        for op in (INSERT, UPDATE, REMOVE, REFUSE, RESOLVE)
    ]
    tallies += [
        F.count_if(is_row).alias("rows"),
        F.count_if(is_row & key_is_null).alias("null_keys"),
        F.count_distinct(F.when(is_row, key)).alias("distinct_keys"),
        F.count_if(is_refused & F.array_contains(t.REASONS, "unreadable")).alias(
            "refused_unreadable"
        ),
        F.count_distinct(F.when(is_row, F.col("athlete_id"))).alias("athletes"),
    ]
    tallies += [
        F.count_if(is_kept & F.col(limit.column).isNull()).alias(f"null_{limit.column}")
        for limit in contract.thresholds.null_limits
    ]
    is_broken = is_refused | (is_kept & (F.size(t.REASONS) > 0))
    tallies.append(F.count_if(is_broken).alias("broken"))
    if day:
        days = F.flatten(F.collect_set(F.when(is_row, F.array(day, f"{REPLACES}.{day}"))))
        tallies.append(F.array_compact(F.array_distinct(days)).alias("days"))
    for rule in contract.rules:
        if rule.severity == "error":
            is_broken = F.array_contains(t.REASONS, rule.name)
            tallies.append(F.count_if(is_kept & is_broken).alias(f"kept_{rule.name}"))
            tallies.append(F.count_if(is_refused & is_broken).alias(f"refused_{rule.name}"))
    for name in warnings:
        is_warned = is_kept & F.array_contains(t.WARNINGS, name)
        tallies.append(F.count_if(is_warned).alias(f"warned_{name}"))
    for column in _bounded(contract):
        value = F.when(is_row, F.col(column.name))
        tallies.append(F.min(value).alias(f"min_{column.name}"))
        tallies.append(F.max(value).alias(f"max_{column.name}"))
    return tallies


def _shares(
    contract: Contract, policy: str, tally: dict[str, Any], kept: int, judged: int
) -> list[Check]:
    """Limits on shares of a batch; in a small one, one bad row would be too large a share."""
    limits, checks = contract.thresholds, []
    if judged >= limits.min_rows:
        share = tally["broken"] / judged
        checks.append(_share("broken_share", share, limits.max_broken_share, "error", policy))
    if kept >= limits.min_rows:
        for limit in limits.null_limits:
            name, share = f"null_share_{limit.column}", tally[f"null_{limit.column}"] / kept
            checks.append(_share(name, share, limit.max_null_share, limit.severity, policy))
    return checks


def _share(name: str, share: float, limit: float, severity: str, policy: str) -> Check:
    verdict = PASS
    if share > limit:
        verdict = WARN if severity == "warning" or policy == "ALWAYS" else FAIL
    return Check(name, share, limit, severity, verdict)


def _bounded(contract: Contract) -> list[Any]:
    return [c for c in contract.columns if c.name in contract.key and c.type in _BOUNDED]


def _hard(name: str, observed: int) -> Check:
    return Check(name, observed, 0, "error", FAIL if observed else PASS)


def _ruled(name: str, kept: int, refused: int, policy: str) -> Check:
    verdict = PASS
    if kept or refused:
        verdict = FAIL if policy == "STRICT" else WARN
    return Check(name, kept + refused, 0, "error", verdict)
