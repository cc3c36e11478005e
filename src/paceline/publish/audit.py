"""Judges a staged version: what it holds, rule by rule, and whether it may be published.

Great Expectations judges the rows to publish, with the suite of the contract. What it cannot see is
counted here: rows that were set aside, rows that leave, and the table as it will be. Both read the
committed version, so that what is judged is what will be published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from paceline import recipe as r
from paceline.contract import Contract
from paceline.publish.broken_deliveries import (
    NONE,
    BrokenDeliveries,
    broken_deliveries,
    is_broken,
    may_be_among,
)
from paceline.publish.staged import (
    INSERT,
    OP,
    REFUSE,
    REMOVE,
    REPLACES,
    RESOLVE,
    ROW_OPS,
    UPDATE,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PASS, WARN, FAIL, ERROR = "PASS", "WARN", "FAIL", "ERROR"
_WORST_LAST = (PASS, WARN, FAIL, ERROR)
_BOUNDED = ("BIGINT", "INT", "DATE", "STRING")

_STRUCTURE = ("columns", "key_not_null", "key_unique", "required_not_null")

# Severities of checks. What is structural is hard under every policy, and nobody can accept it.
STRUCTURAL, BROKEN, PLAUSIBILITY = "structural", "error", "warning"

DELIVERY_BROKEN = "delivery_broken"

# A batch is of an unusual size when it is ten times as large, or a tenth, of what is usual.
_UNUSUAL = 10
_USUAL_RUNS = 3


@dataclass(frozen=True)
class Check:
    """One judged check: what was observed, what is allowed, and the verdict.

    `observed` and `threshold` are rows, shares (0..1) or, for the age of the newest row, the unit
    of the service level; `observed` is None when the check could not run.
    """

    name: str
    observed: float | None
    threshold: float
    severity: str
    verdict: str
    is_accepted: bool = False
    """Whether it would have forbidden publishing, if a person had not let it pass."""


@dataclass(frozen=True)
class AuditResult:
    """The audit of one staged version.

    Attributes:
        counts: staged rows by what they ask for.
        touched_entities: entities (see the contract) with a staged row; None where rows have none.
        touched_days: days that a staged row has, or had before; None where rows have no day.
        bounds: by key column, the smallest and the greatest value among the rows to publish.
        newest: the newest value so far of the column whose age the contract limits.
        checks: every check with its verdict.
        deliveries: those that are broken by themselves.
    """

    counts: dict[str, int]
    touched_entities: int | None
    touched_days: int | None
    bounds: dict[str, tuple[Any, Any]]
    newest: datetime | None
    checks: tuple[Check, ...]
    deliveries: BrokenDeliveries = NONE

    @property
    def judged(self) -> int:
        """Rows to publish, and records set aside: what shares are shares of."""
        return _judged(self.counts)

    @property
    def verdict(self) -> str:
        """The worst verdict of all checks."""
        return worst(self.checks)

    @property
    def failures(self) -> list[Check]:
        """The checks that forbid publishing, those that could not run first."""
        return forbidding(self.checks)


@dataclass(frozen=True)
class AuditContext:
    """What an audit knows besides the staged rows.

    Attributes:
        policy: in force.
        now: the time of the run.
        warnings: those that the recipe itself raises.
        noted: those of them that count whatever becomes of the record.
        refusals: reasons besides `unreadable` for which a recipe refuses records.
        day: the column whose touched days are counted.
        newest: the newest value, until now, of the column whose age the contract limits.
        usual_rows: rows that each of the last comparable runs wrote; none to judge no volume.
        rows_before: counts the rows of the table, which is asked only when rows leave it; None for
            a table that has none yet.
        accepted: by check, what a person has accepted of it.
        judges_records: whether the staged rows say which delivery they came from.
    """

    policy: str
    now: datetime
    warnings: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    day: str | None = None
    newest: datetime | None = None
    usual_rows: Sequence[int] = ()
    rows_before: Callable[[], int] | None = None
    accepted: Mapping[str, float] | None = None
    judges_records: bool = False


def worst(checks: Iterable[Check]) -> str:
    """The worst verdict of some checks."""
    return max((check.verdict for check in checks), key=_WORST_LAST.index, default=PASS)


def forbidding(checks: Iterable[Check]) -> list[Check]:
    """The checks that forbid publishing, those that could not run first."""
    found = [check for check in checks if check.verdict in (FAIL, ERROR)]
    return sorted(found, key=lambda check: check.verdict)


def audit(staged: DataFrame, contract: Contract, known: AuditContext) -> AuditResult:
    """Judges the staged rows of one run under a policy.

    Structural checks (the columns, a key never NULL and never twice) are hard under every policy. A
    row that breaks a rule fails the batch under STRICT; under QUARANTINE it has been set aside, and
    one that has not means that the judges disagree; under ALWAYS it is published with a warning. A
    share above its limit fails the batch unless the policy is ALWAYS; shares are judged in batches
    of at least `min_rows` rows. A check that could not run is an ERROR under every policy.

    Shares leave out deliveries that are broken by themselves, unless these hold more than half of
    the batch: then all of it is judged together.
    """
    tally = staged.agg(*_tallies(contract, known)).collect()[0].asDict()
    deliveries = NONE
    if known.judges_records and may_be_among(tally["broken"], contract):
        deliveries = broken_deliveries(staged, contract)
    broken: dict[str, int | None] = {}
    if kept := tally[f"op_{INSERT}"] + tally[f"op_{UPDATE}"]:
        from paceline.publish.expectations import broken_rows

        rows = staged.where(staged[OP].isin(INSERT, UPDATE)).select(*contract.column_names)
        broken = broken_rows(rows, contract, kept)
    return weigh(contract, known, tally, broken, deliveries)


def weigh(
    contract: Contract,
    known: AuditContext,
    tally: dict[str, Any],
    broken: dict[str, int | None],
    deliveries: BrokenDeliveries = NONE,
) -> AuditResult:
    """The verdicts of `audit`, from what has been counted.

    Args:
        contract: of the table.
        known: what else is known.
        tally: our own counts, as `audit` makes them.
        broken: by check, rows to publish that break it; None for a check that could not run.
        deliveries: those that are broken by themselves.
    """
    counts = {op: tally[f"op_{op}"] for op in (INSERT, UPDATE, REMOVE, REFUSE, RESOLVE)}
    # An instant comes in the zone of this machine, and without a word about it.
    staged_newest = tally["newest"].astimezone(UTC) if tally["newest"] else None
    newest = max(filter(None, (staged_newest, known.newest)), default=None)
    left_out = deliveries.left_out_of(_judged(counts))
    checks = [
        *_expected(contract, known, tally, broken),
        *_null_shares(contract, known.policy, counts, broken, left_out),
        *(_warned(name, tally[f"warned_{name}"]) for name in known.warnings),
        *([_warned(DELIVERY_BROKEN, deliveries.count)] if known.judges_records else []),
        *_share_broken(contract, known.policy, counts, tally["broken"], left_out),
        *_row_count(contract, known, counts),
        *_volume(contract, known.usual_rows, sum(counts[op] for op in ROW_OPS)),
        *_ages(contract, known.now, newest),
    ]
    return AuditResult(
        counts=counts,
        touched_entities=tally.get("entities"),
        touched_days=len(tally["days"]) if known.day else None,
        bounds={
            column.name: (tally[f"min_{column.name}"], tally[f"max_{column.name}"])
            for column in _bounded(contract)
        },
        newest=newest,
        checks=tuple(_unless_accepted(check, known.accepted or {}) for check in checks),
        deliveries=deliveries,
    )


def _judged(counts: dict[str, int]) -> int:
    return counts[INSERT] + counts[UPDATE] + counts[REFUSE]


def _tallies(contract: Contract, known: AuditContext) -> list[Column]:
    from pyspark.sql import functions as F

    is_row = F.col(OP).isin(*ROW_OPS)
    is_kept = F.col(OP).isin(INSERT, UPDATE)
    is_refused = F.col(OP) == REFUSE
    tallies = [
        F.count_if(F.col(OP) == op).alias(f"op_{op}")
        for op in (INSERT, UPDATE, REMOVE, REFUSE, RESOLVE)
    ]
    if contract.entity is not None:
        # As a set: a distinct count would shuffle all rows once more, and there are few of them.
        touched = F.collect_set(F.when(is_row, F.col(contract.entity)))
        tallies.append(F.size(touched).alias("entities"))
    tallies.append(F.count_if(is_broken()).alias("broken"))
    if known.day:
        days = F.array(known.day, f"{REPLACES}.{known.day}")
        seen = F.flatten(F.collect_set(F.when(is_row, days)))
        tallies.append(F.array_compact(F.array_distinct(seen)).alias("days"))
    for name in (r.UNREADABLE, *known.refusals, *_rules(contract, "error")):
        refused_for_it = is_refused & F.array_contains(r.REASONS, name)
        tallies.append(F.count_if(refused_for_it).alias(f"refused_{name}"))
    for name in known.warnings:
        is_warned = F.array_contains(r.WARNINGS, name)
        if name not in known.noted:
            is_warned = is_kept & is_warned
        tallies.append(F.count_if(is_warned).alias(f"warned_{name}"))
    for column in _bounded(contract):
        value = F.when(is_row, F.col(column.name))
        tallies.append(F.min(value).alias(f"min_{column.name}"))
        tallies.append(F.max(value).alias(f"max_{column.name}"))
    ages = [F.when(is_kept, F.col(name).cast("timestamp")) for name in _aging_columns(contract)]
    newest = F.max(ages[0]) if ages else F.lit(None).cast("timestamp")
    return [*tallies, newest.alias("newest")]


def _expected(
    contract: Contract,
    known: AuditContext,
    tally: dict[str, Any],
    broken: dict[str, int | None],
) -> list[Check]:
    """What Great Expectations says of the rows to publish, and the rows set aside by rule."""
    policy = known.policy
    checks = [_structural(name, broken.get(name, 0)) for name in _STRUCTURE]
    for name in _rules(contract, "error"):
        checks.append(_ruled(name, broken.get(name, 0), tally[f"refused_{name}"], policy))
    checks.append(_ruled("readable", 0, tally[f"refused_{r.UNREADABLE}"], policy))
    checks += [_ruled(name, 0, tally[f"refused_{name}"], policy) for name in known.refusals]
    checks += [_warned(name, broken.get(name, 0)) for name in _rules(contract, "warning")]
    return checks


def _null_shares(
    contract: Contract,
    policy: str,
    counts: dict[str, int],
    broken: dict[str, int | None],
    left_out: BrokenDeliveries,
) -> list[Check]:
    """The shares without a value, of the rows to publish; none where the batch is too small."""
    checks = []
    rows = counts[INSERT] + counts[UPDATE] - left_out.kept
    for limit in contract.thresholds.null_limits:
        name = f"null_share_{limit.column}"
        if name in broken:
            share, nulls = None, broken[name]
            if nulls is not None:
                share = (nulls - left_out.nulls.get(limit.column, 0)) / rows if rows else 0
            checks.append(_share(name, share, limit.max_null_share, limit.severity, policy))
    return checks


def _rules(contract: Contract, severity: str) -> list[str]:
    return [rule.name for rule in contract.rules if rule.severity == severity]


def _structural(name: str, observed: float | None) -> Check:
    verdict = ERROR if observed is None else FAIL if observed else PASS
    return Check(name, observed, 0, STRUCTURAL, verdict)


def _ruled(name: str, kept: float | None, refused: int, policy: str) -> Check:
    if kept is None:
        return Check(name, None, 0, BROKEN, ERROR)
    verdict = PASS
    if kept and policy == "QUARANTINE":
        verdict = ERROR
    elif kept or refused:
        verdict = FAIL if policy == "STRICT" else WARN
    return Check(name, kept + refused, 0, BROKEN, verdict)


def _warned(name: str, observed: float | None) -> Check:
    verdict = ERROR if observed is None else WARN if observed else PASS
    return Check(name, observed, 0, PLAUSIBILITY, verdict)


def _share_broken(
    contract: Contract,
    policy: str,
    counts: dict[str, int],
    broken: int,
    left_out: BrokenDeliveries,
) -> list[Check]:
    """In a small batch one bad row would be too large a share."""
    judged, limits = _judged(counts), contract.thresholds
    if judged < limits.min_rows:
        return []
    share = (broken - left_out.broken) / (judged - left_out.records)
    return [_share("broken_share", share, limits.max_broken_share, BROKEN, policy)]


def _share(name: str, share: float | None, limit: float, severity: str, policy: str) -> Check:
    verdict = PASS
    if share is None:
        verdict = ERROR
    elif share > limit:
        verdict = WARN if severity == PLAUSIBILITY or policy == "ALWAYS" else FAIL
    return Check(name, share, limit, severity, verdict)


def _row_count(contract: Contract, known: AuditContext, counts: dict[str, int]) -> list[Check]:
    """Rows that the table will have, where they may become too few."""
    least = contract.thresholds.min_table_rows
    if not least or not (known.rows_before is None or counts[REMOVE]):
        return []
    before = known.rows_before() if known.rows_before else 0
    rows = before + counts[INSERT] - counts[REMOVE]
    verdict = PASS if rows >= least else WARN if known.policy == "ALWAYS" else FAIL
    return [Check("row_count", rows, least, BROKEN, verdict)]


def _volume(contract: Contract, usual_rows: Sequence[int], rows: int) -> list[Check]:
    """Warns of a batch of unusual size; small ones vary, and say nothing."""
    if len(usual_rows) < _USUAL_RUNS:
        return []
    usual, small = median(usual_rows), contract.thresholds.min_rows
    if rows >= small and rows > _UNUSUAL * usual:
        return [Check("volume", rows, _UNUSUAL * usual, PLAUSIBILITY, WARN)]
    is_low = usual >= small and rows < usual / _UNUSUAL
    return [Check("volume", rows, usual / _UNUSUAL, PLAUSIBILITY, WARN if is_low else PASS)]


def _ages(contract: Contract, now: datetime, newest: datetime | None) -> list[Check]:
    for level in contract.service_levels:
        if newest is not None and level.max_age is not None:
            age, unit = now - newest, level.max_age / float(level.value)
            verdict = WARN if age > level.max_age else PASS
            return [Check(level.name, age / unit, float(level.value), PLAUSIBILITY, verdict)]
    return []


def _aging_columns(contract: Contract) -> list[str]:
    return [level.element for level in contract.service_levels if level.max_age and level.element]


def _unless_accepted(check: Check, accepted: Mapping[str, float]) -> Check:
    """A person lets pass what was seen, and not what is worse."""
    is_acceptable = check.verdict == FAIL and check.severity != STRUCTURAL
    if not is_acceptable or check.observed is None or check.name not in accepted:
        return check
    limit = accepted[check.name]
    is_worse = check.observed < limit if check.name == "row_count" else check.observed > limit
    if is_worse:
        return check
    return replace(check, threshold=limit, verdict=WARN, is_accepted=True)


def _bounded(contract: Contract) -> list[Any]:
    return [c for c in contract.columns if c.name in contract.key and c.type in _BOUNDED]
