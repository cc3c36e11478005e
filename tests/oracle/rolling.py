"""feature_store.athlete_rolling_features: one athlete, day by day."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import accumulate
from typing import Any

from tests.oracle.model import Conf
from tests.oracle.values import DAY_US, EPOCH_DAY

Row = dict[str, Any]
Totals = dict[str, list[int]]

# What is summed as whole numbers -> how many of them make one published unit; None: as it is.
_UNITS = {
    "activities": None,
    "active_days": None,
    "distance_km": 1_000_000,
    "moving_time_s": None,
    "elevation_gain_m": 1_000,
    "tss": 1_000_000,
    "activities_without_tss": None,
    "runs": None,
    "run_distance_km": 1_000_000,
    "measured_run_time_s": None,
}
_OF_THE_DAY = (
    *("activities", "distance_km", "moving_time_s", "elevation_gain_m", "tss"),
    "activities_without_tss",
)
_OF_WINDOWS = (
    *("activities", "active_days", "distance_km", "moving_time_s", "elevation_gain_m", "tss"),
    *("runs", "run_distance_km"),
)
_WINDOWS = (7, 30, 90)
_SUM_COLUMNS = [
    *((f"{name}_1d", name, 1) for name in _OF_THE_DAY),
    *((f"{name}_{days}d", name, days) for days in _WINDOWS for name in _OF_WINDOWS),
    *(("tss_28d", "tss", 28), ("tss_42d", "tss", 42)),
]
_LONGEST_WINDOW = max(_WINDOWS)
_CTL_STEP = 1 - math.exp(-1 / 42)
_ATL_STEP = 1 - math.exp(-1 / 7)


def rolling_rows(features: Iterable[Row], conf: Conf) -> Iterator[Row]:
    """The rows of one athlete up to the horizon, from the features of all their activities."""
    days: dict[date, Counter[str]] = defaultdict(Counter)
    ends_us: dict[date, int] = defaultdict(int)
    for activity in features:
        day = activity["local_day"]
        if day <= conf.horizon:
            days[day].update(_summands(activity))
            ends_us[day] = max(ends_us[day], activity["event_timestamp"])
    if not days:
        return
    first = last_active = min(days)
    history = [first + timedelta(days=n) for n in range((conf.horizon - first).days + 1)]
    # Sums up to each day; the days before the first one count 0.
    before = [0] * (_LONGEST_WINDOW + 1)
    totals = {
        name: before + list(accumulate(_on(days, day, name) for day in history)) for name in _UNITS
    }
    ctl = atl = 0.0
    # No activity is from before 1980.
    known_us = last_end_us = 0
    for history_days, day in enumerate(history, start=1):
        today = _LONGEST_WINDOW + history_days
        form = ctl - atl
        tss = _on(days, day, "tss") / 1_000_000
        ctl = ctl + _CTL_STEP * (tss - ctl)
        atl = atl + _ATL_STEP * (tss - atl)
        last_active = day if day in days else last_active
        last_end_us = max(last_end_us, ends_us.get(day, 0))
        resting = (day - last_active).days
        if resting > conf.dormant_after_days:
            continue
        # From noon UTC of the day after, when the day is over everywhere; but no earlier than the
        # activities that it counts, and later than the row before.
        next_noon_us = ((day - EPOCH_DAY).days + 1) * DAY_US + DAY_US // 2
        known_us = max(next_noon_us, last_end_us, known_us + 1)
        yield {
            "as_of_date": day,
            "event_timestamp": known_us,
            **_sums(totals, today),
            "ctl_ewma_42d": ctl,
            "atl_ewma_7d": atl,
            "tsb_ewma": form,
            **_ratios(totals, today, history_days),
            "days_since_last_activity": resting,
            "history_days": history_days,
        }


def _summands(activity: Row) -> dict[str, int]:
    """What one activity adds to its day, in whole numbers."""
    distance_mm = _fixed(activity["distance_km"], 1_000_000)
    is_run = activity["sport_family"] == "run"
    return {
        "activities": 1,
        "distance_km": distance_mm,
        "moving_time_s": activity["moving_time_s"],
        "elevation_gain_m": _fixed(activity["elevation_gain_m"], 1_000),
        "tss": _fixed(activity["estimated_tss"], 1_000_000),
        "activities_without_tss": int(activity["estimated_tss"] is None),
        "runs": int(is_run),
        "run_distance_km": distance_mm if is_run else 0,
        "measured_run_time_s": (
            activity["moving_time_s"] if is_run and activity["distance_km"] else 0
        ),
    }


def _fixed(value: float | None, scale: int) -> int:
    return 0 if value is None else math.floor(value * scale + 0.5)


def _on(days: dict[date, Counter[str]], day: date, name: str) -> int:
    if name == "active_days":
        return int(day in days)
    return days[day][name] if day in days else 0


def _window(totals: Totals, name: str, today: int, days: int) -> int:
    """The sum of the days that end with one; `today` is its position in the totals."""
    return totals[name][today] - totals[name][today - days]


def _sums(totals: Totals, today: int) -> Row:
    """The sums of windows, the paces of runs and the plain means, in the order of the table."""
    row: Row = {}
    for column, name, days in _SUM_COLUMNS:
        total = totals[name][today] - totals[name][today - days]
        unit = _UNITS[name]
        row[column] = total if unit is None else total / unit
    return {
        **row,
        "run_pace_min_km_30d": _run_pace(totals, today, 30),
        "run_pace_min_km_90d": _run_pace(totals, today, 90),
        "ctl_42d": row["tss_42d"] / 42,
        "atl_7d": row["tss_7d"] / 7,
    }


def _run_pace(totals: Totals, today: int, days: int) -> float | None:
    distance_mm = _window(totals, "run_distance_km", today, days)
    time_s = _window(totals, "measured_run_time_s", today, days)
    return time_s / 60 / (distance_mm / 1_000_000) if distance_mm else None


def _ratios(totals: Totals, today: int, history_days: int) -> Row:
    """What compares loads; decided on whole numbers, so that equal means equal."""
    acute = _window(totals, "tss", today, 7)
    chronic = _window(totals, "tss", today, 28)
    loads = [_window(totals, "tss", day, 1) for day in range(today - 6, today + 1)]
    monotony = None
    if history_days >= 7 and len(set(loads)) > 1:
        # Population SD is the root of (7 sum of squares - square of sum) / 49, mean is sum / 7.
        monotony = acute / math.sqrt(7 * sum(load * load for load in loads) - acute * acute)
    knows_4_weeks = history_days >= 28
    before = chronic - acute
    return {
        "acwr": (acute / 7) / (chronic / 28) if knows_4_weeks and chronic else None,
        "acwr_uncoupled": (acute / 7) / (before / 21) if knows_4_weeks and before else None,
        "monotony_7d": monotony,
        "strain_7d": None if monotony is None else acute / 1_000_000 * monotony,
    }
