"""A value of the rolling table, worked out again from the activities, step by step.

Sums are sums of whole numbers, rounded per activity, and are divided once. Every number in a step
is printed in full, so that whoever repeats the step gets the same bits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

from paceline.explain.past import ONCE_A_DAY, SCALES, Activity, Past
from paceline.features.windows import (
    ACWR_MIN_HISTORY_DAYS,
    EWMA_ALPHA,
    MEASURES,
    MICRO,
    MM_PER_KM,
    MONOTONY_DAYS,
    RUN_PACE_DAYS,
    Measure,
)

Value = int | float | None
ONE_DAY = timedelta(days=1)
# The EWMAs are folded from the first activity on; so many of the last steps are printed.
SHOWN_STEPS = 7


@dataclass(frozen=True)
class Part:
    """What one activity has to do with the value.

    Attributes:
        activity: the activity.
        amount: what it adds to its day, rounded as it is summed; an active day is divided by the
            activities of the day.
        weight: by what the amount is multiplied; None where sums are not weighted.
        share: of the sum of all parts, 0..1; None where that is 0 or parts have no common sum.
    """

    activity: Activity
    amount: int | float
    weight: float | None = None
    share: float | None = None

    @property
    def adds(self) -> float:
        """What it adds to the value, or to the sum that the value is made from."""
        # Adding 0 turns a negative zero into a positive one.
        return self.amount if self.weight is None else self.amount * self.weight + 0.0


@dataclass(frozen=True)
class Calculation:
    """A value and how it comes about.

    Attributes:
        value: the value; None is NULL.
        steps: the arithmetic, line by line.
        measure: the measure of the amounts.
        parts: the activities that count, in the order of their days.
        since: the first day whose activities count; None when all of the history does.
        measures: all measures that the value depends on.
    """

    value: Value
    steps: tuple[str, ...]
    measure: str
    parts: tuple[Part, ...]
    since: date | None
    measures: tuple[str, ...]


def same_bits(one: Value, other: Value) -> bool:
    """Whether two values are the same, NULL included, and bit for bit where they have a point."""
    if isinstance(one, float) and isinstance(other, float):
        return one.hex() == other.hex()
    return type(one) is type(other) and one == other


def calculate(feature: str, past: Past) -> Calculation:
    """Works out one feature.

    Raises:
        KeyError: when nothing here says how; a test keeps that from happening to any feature of the
            contract.
    """
    for measure in MEASURES:
        for days in measure.days:
            if measure.is_published and measure.column(days) == feature:
                return _summed(measure, days, past)
    return _DERIVED[feature](past)


def _summed(measure: Measure, days: int, past: Past) -> Calculation:
    terms = past.terms(measure.name, days)
    value = _unit(sum(terms), measure.scale)
    steps = [f"{_sum(terms, measure.scale)} = {value!r}"]
    if measure.scale > 1:
        steps.append(f"in whole numbers: {sum(terms)} / {measure.scale} = {value!r}")
    return _calculation(value, steps, measure.name, past, days)


def _mean(past: Past, days: int) -> Calculation:
    terms = past.terms("tss", days)
    value = sum(terms) / MICRO / days
    steps = [f"({_sum(terms, MICRO)}) / {days} = {sum(terms) / MICRO!r} / {days} = {value!r}"]
    return _calculation(value, steps, "tss", past, days, weight=lambda age: 1 / days)


def _ewma(past: Past, name: str) -> Calculation:
    alpha = EWMA_ALPHA[name]
    value, steps = _folded(past, name, past.day)
    return _calculation(value, steps, "tss", past, None, weight=partial(_decayed, alpha))


def _form(past: Past) -> Calculation:
    yesterday = past.day - ONE_DAY
    (ctl, ctl_steps), (atl, atl_steps) = (_folded(past, name, yesterday) for name in EWMA_ALPHA)
    value = ctl - atl
    long, short = EWMA_ALPHA.values()

    def weight(age: int) -> float:
        return _decayed(long, age - 1) - _decayed(short, age - 1) if age else 0.0

    steps = [*ctl_steps, *atl_steps, f"the day before: {ctl!r} - {atl!r} = {value!r}"]
    return _calculation(value, steps, "tss", past, None, weight=weight, has_shares=False)


def _acwr(past: Past, *, is_coupled: bool) -> Calculation:
    acute, chronic = past.terms("tss", 7), past.terms("tss", 28)
    steps = [_named("tss_7d", acute, MICRO), _named("tss_28d", chronic, MICRO)]
    week, weeks = sum(acute) / MICRO, sum(chronic) / MICRO
    value = None
    if past.history_days < ACWR_MIN_HISTORY_DAYS:
        steps.append(f"NULL, for {_too_short(past, ACWR_MIN_HISTORY_DAYS)}")
    elif sum(chronic) == (0 if is_coupled else sum(acute)):
        days = "28 days" if is_coupled else "21 days before the last 7"
        steps.append(f"NULL, for the {days} have no load")
    elif is_coupled:
        value = (week / 7) / (weeks / 28)
        steps.append(f"({week!r} / 7) / ({weeks!r} / 28) = {value!r}")
    else:
        value = (week / 7) / ((weeks - week) / 21)
        steps.append(f"({week!r} / 7) / (({weeks!r} - {week!r}) / 21) = {value!r}")
    return _calculation(value, steps, "tss", past, 28)


def _monotony(past: Past) -> Calculation:
    value, steps = _sameness(past)
    return _calculation(value, steps, "tss", past, MONOTONY_DAYS)


def _strain(past: Past) -> Calculation:
    monotony, steps = _sameness(past)
    week = sum(past.terms("tss", MONOTONY_DAYS)) / MICRO
    value = None if monotony is None else week * monotony
    if value is not None:
        steps.append(f"tss_7d x monotony_7d = {week!r} x {monotony!r} = {value!r}")
    return _calculation(value, steps, "tss", past, MONOTONY_DAYS)


def _sameness(past: Past) -> tuple[float | None, list[str]]:
    """Mean / population SD of the daily loads, from the last day backwards."""
    loads = [past.on("tss", past.day - timedelta(days=age)) for age in range(MONOTONY_DAYS)]
    total = sum(loads)
    listed = ", ".join(_decimal(load, MICRO) for load in reversed(loads))
    steps = [f"the {MONOTONY_DAYS} daily loads are {listed}"]
    if past.history_days < MONOTONY_DAYS:
        return None, [*steps, f"NULL, for {_too_short(past, MONOTONY_DAYS)}"]
    if len(set(loads)) == 1:
        return None, [*steps, "NULL, for all of them are equal"]
    squares = 0.0
    for load in loads:
        deviation = float(MONOTONY_DAYS * load - total)
        squares += deviation * deviation
    value = total / math.sqrt(squares / MONOTONY_DAYS)
    mean, spread = total / MONOTONY_DAYS, math.sqrt(squares / MONOTONY_DAYS) / MONOTONY_DAYS
    steps.append(f"mean {mean / MICRO!r}, population SD {spread / MICRO!r}")
    steps.append(
        f"mean / SD, with S their sum and x one of them in 1e-6: S / sqrt(sum of (7 x - S)^2 / 7)"
        f" = {total} / sqrt({squares!r} / 7) = {value!r}"
    )
    return value, steps


def _run_pace(past: Past, days: int) -> Calculation:
    times = past.terms("measured_run_time_s", days)
    distances = past.terms("run_distance_km", days)
    kilometres = sum(distances) / MM_PER_KM
    if distances:
        value = sum(times) / 60 / kilometres
        text = f"({_sum(times, 1)}) s / 60 / ({_sum(distances, MM_PER_KM)}) km"
        steps = [f"{text} = {sum(times)} / 60 / {kilometres!r} = {value!r}"]
    else:
        value, steps = None, ["NULL, for there is no run with a distance"]
    others = ("measured_run_time_s",)
    return _calculation(value, steps, "run_distance_km", past, days, others=others)


def _days_since(past: Past) -> Calculation:
    value = (past.day - past.last_day).days
    step = f"{past.day} less {past.last_day}, the day of the last activity = {value}"
    parts = tuple(Part(a, 1) for a in past.activities if a.local_day == past.last_day)
    return Calculation(value, (step,), "activities", parts, None, ("activities",))


def _history_days(past: Past) -> Calculation:
    value = past.history_days
    step = f"{past.day} less {past.first_day}, the day of the first activity, + 1 = {value}"
    parts = tuple(Part(a, 1) for a in past.activities if a.local_day == past.first_day)
    return Calculation(value, (step,), "activities", parts, None, ("activities",))


_DERIVED: dict[str, Callable[[Past], Calculation]] = {
    "ctl_42d": partial(_mean, days=42),
    "atl_7d": partial(_mean, days=7),
    **{name: partial(_ewma, name=name) for name in EWMA_ALPHA},
    "tsb_ewma": _form,
    "acwr": partial(_acwr, is_coupled=True),
    "acwr_uncoupled": partial(_acwr, is_coupled=False),
    "monotony_7d": _monotony,
    "strain_7d": _strain,
    **{f"run_pace_min_km_{days}d": partial(_run_pace, days=days) for days in RUN_PACE_DAYS},
    "days_since_last_activity": _days_since,
    "history_days": _history_days,
}


def _folded(past: Past, name: str, until: date) -> tuple[float, list[str]]:
    """The EWMA at the end of a day, and its last steps."""
    alpha, x, day = EWMA_ALPHA[name], 0.0, past.first_day
    steps: list[str] = []
    while day <= until:
        load, before = past.on("tss", day) / MICRO, x
        x = before + alpha * (load - before)
        if (until - day).days < SHOWN_STEPS:
            if not steps:
                folded = (day - past.first_day).days
                steps.append(f"{name} is {before!r} after {folded} days from 0, then day by day")
            steps.append(f"{day}: {before!r} + {alpha!r} x ({load!r} - {before!r}) = {x!r}")
        day += ONE_DAY
    return x, steps or [f"{name} is 0.0 before the first activity"]


def _calculation(
    value: Value,
    steps: Sequence[str],
    measure: str,
    past: Past,
    days: int | None,
    *,
    weight: Callable[[int], float] | None = None,
    has_shares: bool = True,
    others: tuple[str, ...] = (),
) -> Calculation:
    """With the activities of the last days (None: of all), which weigh by their age in days."""
    within = past.activities if days is None else past.within(days)
    counted = [one for one in within if measure in one.amounts]
    on_day = Counter(one.local_day for one in counted)
    parts = []
    for one in counted:
        by = weight and weight((past.day - one.local_day).days)
        amount: int | float = _unit(one.fixed(measure), SCALES[measure])
        if measure in ONCE_A_DAY:
            amount = amount / on_day[one.local_day]
        parts.append(Part(one, amount, by))
    total = sum(part.adds for part in parts) if has_shares else 0
    if total:
        parts = [replace(part, share=part.adds / total) for part in parts]
    since = None if days is None else past.since(days)
    return Calculation(value, tuple(steps), measure, tuple(parts), since, (measure, *others))


def _decayed(alpha: float, age: int) -> float:
    """The weight that a load still has in an EWMA after some days."""
    return alpha * (1 - alpha) ** age


def _unit(total: int, scale: int) -> int | float:
    return total if scale == 1 else total / scale


def _decimal(total: int, scale: int) -> str:
    """A fixed-point number in units, with all its digits."""
    return f"{(Decimal(total) / scale).normalize():f}"


def _sum(terms: Sequence[int], scale: int) -> str:
    return " + ".join(_decimal(term, scale) for term in terms) or "0"


def _named(name: str, terms: Sequence[int], scale: int) -> str:
    return f"{name} = {_sum(terms, scale)} = {_unit(sum(terms), scale)!r}"


def _too_short(past: Past, days: int) -> str:
    return f"the history has {past.history_days} days, fewer than {days}"
