"""From an athlete's days with activities to one row per calendar day: windows, EWMAs, derived.

The same fold serves rebuild and increment: it may be cut at any day, because the sums are integers
and the EWMAs are continued from the stored value by the same operation in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from paceline.features import functions
from paceline.features.windows import (
    ACWR_MIN_HISTORY_DAYS,
    EWMA_ALPHA,
    LONGEST_DAYS,
    MEASURES,
    MICRO,
    MONOTONY_DAYS,
    RUN_PACE_DAYS,
)

NOON_US = 12 * 3600 * 1_000_000
DAY_US = 24 * 3600 * 1_000_000

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[Any]]

# Above any day number, so that a running maximum never carries over to the next athlete.
_NEXT_ATHLETE = 1 << 40


@dataclass(frozen=True)
class Seed:
    """The state of an athlete at the end of `day`, from the stored row of that day.

    `known_us` is its event_timestamp, in microseconds since 1970.
    """

    day: int
    known_us: int
    first_day: int
    last_active_day: int
    ewmas: dict[str, float]


@dataclass(frozen=True)
class History:
    """The active days of one athlete, in order, and what is known from before them.

    Attributes:
        athlete_id: the athlete.
        days: day numbers since 1970-01-01, ascending, without repetition.
        ends_us: the end of the last activity of each day, in microseconds since 1970.
        loads: per measure, int64 fixed point, one value per day of `days`.
        since: first day wanted; None is the athlete's first day.
        seed: state at the greatest stored day before `since`; None when there is none. With a
            seed, `days` needs to reach back only LONGEST_DAYS - 1 days before `since`.
    """

    athlete_id: int
    days: Ints
    ends_us: Ints
    loads: dict[str, Ints]
    since: int | None = None
    seed: Seed | None = None


@dataclass(frozen=True)
class _Segment:
    """The dense days [start, end] of an athlete, of which [out, end] may become rows."""

    history: History
    start: int
    out: int
    end: int
    first_day: int
    offset: int  # where `start` lies in the dense arrays

    @property
    def length(self) -> int:
        return self.end - self.start + 1


def daily_rows(histories: list[History], horizon: int, dormant_after_days: int) -> Columns:
    """The rows of athlete_rolling_features for some athletes, as columns by name.

    A row exists on day t iff t <= horizon and an activity lies in [t - dormant_after_days, t].
    Days are numbers since 1970-01-01 (`as_of_day`), instants microseconds since then (`known_us`);
    in float columns NULL is NaN.
    """
    segments = _segments(histories, horizon, dormant_after_days)
    if not segments:
        return {}
    athletes = np.repeat(
        np.array([s.history.athlete_id for s in segments], dtype=np.int64),
        [s.length for s in segments],
    )
    days = np.concatenate([np.arange(s.start, s.end + 1) for s in segments])
    first_days = np.repeat([s.first_day for s in segments], [s.length for s in segments])
    first_out = np.repeat([s.out for s in segments], [s.length for s in segments])
    dense = {m.name: _scattered(segments, m.name) for m in MEASURES}
    days_since = days - _last_active(segments, dense["activities"])
    rows = np.flatnonzero((days >= first_out) & (days_since <= dormant_after_days))
    columns: Columns = {
        "athlete_id": athletes[rows],
        "as_of_day": days[rows],
        "known_us": _known_us(segments, days, rows),
        "days_since_last_activity": days_since[rows],
        "history_days": (days - first_days + 1)[rows],
    }
    columns |= _window_sums(dense, rows)
    columns |= _ewmas(segments, dense["tss"], rows)
    return columns | _derived(columns, dense["tss"], rows)


def _segments(histories: list[History], horizon: int, dormant_after_days: int) -> list[_Segment]:
    segments: list[_Segment] = []
    offset = 0
    for history in histories:
        seed = history.seed
        if seed is None and not history.days.size:
            continue
        first_day = seed.first_day if seed else int(history.days[0])
        last_active = int(history.days[-1]) if history.days.size else _last_active_day(seed)
        out = first_day if history.since is None else max(history.since, first_day)
        start = out - LONGEST_DAYS + 1
        if seed is not None:
            start = min(start, seed.day + 1)
        end = min(horizon, last_active + dormant_after_days)
        if end >= out:
            segments.append(_Segment(history, start, out, end, first_day, offset))
            offset += segments[-1].length
    return segments


def _last_active_day(seed: Seed | None) -> int:
    assert seed is not None
    return seed.last_active_day


def _known_us(segments: list[_Segment], days: Ints, rows: Ints) -> Ints:
    """When each row is known, in microseconds since 1970; it rises from row to row.

    By noon (UTC) of the next day the day is over everywhere on earth. A row is not known before
    the activities in it have ended, nor before the row before it.
    """
    known = (days[rows] + 1) * DAY_US + NOON_US
    begins = np.searchsorted(rows, [s.offset for s in segments])
    for segment, begin, end in zip(segments, begins, [*begins[1:], rows.size], strict=True):
        history, own = segment.history, known[begin:end]
        is_in = (history.days >= segment.out) & (history.days <= segment.end)
        at = np.searchsorted(days[rows[begin:end]], history.days[is_in])
        own[at] = np.maximum(own[at], history.ends_us[is_in])
        if history.seed is not None:
            own[:1] = np.maximum(own[:1], history.seed.known_us + 1)
        steps = np.arange(own.size)
        own[:] = np.maximum.accumulate(own - steps) + steps
    return known


def _scattered(segments: list[_Segment], measure: str) -> Ints:
    dense = np.zeros(sum(s.length for s in segments), dtype=np.int64)
    for segment in segments:
        days = segment.history.days
        inside = (days >= segment.start) & (days <= segment.end)
        loads = segment.history.loads[measure][inside]
        dense[days[inside] - segment.start + segment.offset] = loads
    return dense


def _last_active(segments: list[_Segment], activities: Ints) -> Ints:
    """For each dense day the last day with an activity up to and including it."""
    marks = np.zeros(activities.size, dtype=np.int64)
    bases = np.empty(activities.size, dtype=np.int64)
    for number, segment in enumerate(segments, start=1):
        inside = slice(segment.offset, segment.offset + segment.length)
        base = number * _NEXT_ATHLETE
        bases[inside] = base
        days = np.arange(segment.start, segment.end + 1)
        marks[inside] = np.where(activities[inside] > 0, base + days, 0)
        seed = segment.history.seed
        # Without a seed nothing before the first activity is wanted, so any early day will do.
        before = seed.last_active_day if seed else segment.start - 1
        marks[segment.offset] = max(marks[segment.offset], base + before)
    return np.maximum.accumulate(marks) - bases


def _window_sums(dense: dict[str, Ints], rows: Ints) -> Columns:
    columns: Columns = {}
    for measure in MEASURES:
        running = np.concatenate([np.zeros(1, np.int64), np.cumsum(dense[measure.name])])
        for days in measure.days:
            total = running[rows + 1] - running[rows + 1 - days]
            name = measure.column(days)
            columns[name] = total if measure.scale == 1 else total / float(measure.scale)
    return columns


def _ewmas(segments: list[_Segment], tss: Ints, rows: Ints) -> Columns:
    """X = x + a * (tss - x), one step per calendar day; also yesterday's difference."""
    today = {name: np.zeros(tss.size) for name in EWMA_ALPHA}
    yesterday = {name: np.zeros(tss.size) for name in EWMA_ALPHA}
    for segment in segments:
        seed = segment.history.seed
        first_step = seed.day + 1 if seed else segment.out
        begin = segment.offset + first_step - segment.start
        end = segment.offset + segment.length
        loads = (tss[begin:end] / float(MICRO)).tolist()
        for name, alpha in EWMA_ALPHA.items():
            before = seed.ewmas[name] if seed else 0.0
            steps = list(accumulate(loads, _step(alpha), initial=before))
            today[name][begin:end] = steps[1:]
            yesterday[name][begin:end] = steps[:-1]
    columns: Columns = {name: values[rows] for name, values in today.items()}
    columns["tsb_ewma"] = yesterday["ctl_ewma_42d"][rows] - yesterday["atl_ewma_7d"][rows]
    return columns


def _step(alpha: float) -> Callable[[float, float], float]:
    return lambda x, load: x + alpha * (load - x)


def _derived(columns: Columns, tss: Ints, rows: Ints) -> Columns:
    tss_7d, tss_28d = columns["tss_7d"], columns["tss_28d"]
    history = columns["history_days"]
    monotony = np.where(history >= MONOTONY_DAYS, _monotony(tss, rows), np.nan)
    is_settled = history >= ACWR_MIN_HISTORY_DAYS
    derived: Columns = {
        "ctl_42d": functions.ctl_42d(columns["tss_42d"]),
        "atl_7d": functions.atl_7d(tss_7d),
        "acwr": np.where(is_settled, functions.acwr(tss_7d, tss_28d), np.nan),
        "acwr_uncoupled": np.where(is_settled, functions.acwr_uncoupled(tss_7d, tss_28d), np.nan),
        "monotony_7d": monotony,
        "strain_7d": functions.strain_7d(tss_7d, monotony),
    }
    for days in RUN_PACE_DAYS:
        derived[f"run_pace_min_km_{days}d"] = functions.run_pace_min_km(
            columns[f"measured_run_time_s_{days}d"], columns[f"run_distance_km_{days}d"]
        )
    return derived


def _monotony(tss: Ints, rows: Ints) -> Floats:
    """Mean / population standard deviation of seven daily loads; NaN when all are equal.

    In integers as far as they go: with S the sum and e = 7 x - S, mean / SD = S / sqrt(sum e² / 7).
    """
    loads = [tss[rows - lag] for lag in range(MONOTONY_DAYS)]
    total = np.sum(loads, axis=0)
    squares = np.zeros(rows.size)
    for load in loads:
        deviation = (MONOTONY_DAYS * load - total).astype(np.float64)
        squares = squares + deviation * deviation
    spread: Floats = np.sqrt(squares / MONOTONY_DAYS)
    monotony: Floats = functions.ratio(total, spread)
    return monotony
