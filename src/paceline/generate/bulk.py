"""Rows of feature_store.activity_features for many athletes at once, drawn with NumPy.

The athletes are of the same kind as those of the landing zone, not the same ones. Every number is
a hash of the seed, the athlete, the day and a counter. So a row depends on nothing but the seed,
its athlete and its day: other athletes, more days and a later end add rows and change none.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from paceline.errors import UsageError
from paceline.features import functions
from paceline.generate import EARLIEST_START, MOST_ATHLETES
from paceline.generate.activities import OLDEST_UPLOAD, RIDES, RUNS
from paceline.generate.athletes import FIRST_ATHLETE_ID
from paceline.generate.bulk_measures import DAY_S, Columns, measures_of, settings_of
from paceline.generate.bulk_sessions import (
    EPOCH,
    NAMES,
    Athletes,
    Sessions,
    athletes_of,
    sessions_of,
)
from paceline.generate.streams import Bools, Floats, Ints, between

__all__ = ["activity_features"]

ATHLETES_A_BLOCK = 500
FAMILIES = ("run", "ride", "foot", "swim", "ski", "other")
FAMILY_OF = {
    **dict.fromkeys(RUNS, "run"),
    **dict.fromkeys(RIDES, "ride"),
    **{"Walk": "foot", "Hike": "foot", "Swim": "swim", "NordicSki": "ski"},
}
FAMILY = np.array([FAMILIES.index(FAMILY_OF.get(name, "other")) for name in NAMES])


def activity_features(athletes: range, days: int, *, seed: int, end: date) -> pa.Table:
    """Draw the rows of so many days, up to and including `end`, of the athletes with these indices.

    The table has all columns of the contract in its order, and is sorted by athlete, day and start.
    There are about 190 rows per athlete and year; athletes who have not begun yet or are dormant
    have none. Index 0 is athlete_id 1001. Local time is standard time all year. The measures of
    pacing are drawn as such, without splits. Equal arguments give equal tables on every machine.
    A row takes about 180 bytes: to bound memory, ask for one range of athletes after the other.

    Raises UsageError for athletes, days or a seed out of range.
    """
    if athletes and not 0 <= min(athletes) <= max(athletes) < MOST_ATHLETES:
        raise UsageError(f"The athletes must be within 0 to {MOST_ATHLETES - 1:,}, not {athletes}.")
    if seed < 0:
        raise UsageError(f"The seed must not be negative, but is {seed}.")
    if not 1 <= days <= (end - EARLIEST_START).days:
        raise UsageError(f"The days must be at least 1 and begin after 2010-01-01, not {days}.")
    last = (end - EPOCH).days
    span = np.arange(last - days + 1, last + 1)
    starts = range(0, max(len(athletes), 1), ATHLETES_A_BLOCK)
    return pa.concat_tables(
        _rows(np.array(athletes[start : start + ATHLETES_A_BLOCK], np.int64), span, seed)
        for start in starts
    )


def _rows(index: Ints, span: Ints, seed: int) -> pa.Table:
    athletes = athletes_of(index, seed)
    sessions = sessions_of(athletes, span)
    return _table(_features(athletes, sessions, measures_of(athletes, sessions)))


def _features(athletes: Athletes, sessions: Sessions, measured: Columns) -> Columns:
    """The columns of the table, in the order of its contract."""
    who, day = sessions.who, sessions.day
    index = athletes.index[who]
    distance_m, moving, elapsed, gain, heartrate = measured.values()
    start_s = day * DAY_S + sessions.start_s - athletes.offset_s[who]
    family = FAMILY[sessions.sport]
    distance = distance_m / 1000.0
    pace = functions.pace_min_km(distance, moving)
    return {
        "athlete_id": FIRST_ATHLETE_ID + index,
        "activity_id": _activity_id(index, day, sessions.nth),
        "event_timestamp": start_s + np.where(elapsed > DAY_S, moving, elapsed),
        "local_day": day,
        "sport_family": family,
        "is_race": sessions.is_race,
        "distance_km": distance,
        "moving_time_s": moving,
        "elapsed_time_s": elapsed,
        "elevation_gain_m": gain,
        "pace_min_km": pace,
        "elapsed_pace_min_km": functions.elapsed_pace_min_km(distance, elapsed),
        "speed_km_h": functions.speed_km_h(distance_m, moving),
        "elevation_per_km": functions.elevation_per_km(gain, distance),
        **_load(settings_of(athletes, sessions), family == 0, pace, moving, heartrate),
        "efficiency_m_per_beat": functions.efficiency_m_per_beat(distance_m, moving, heartrate),
        **_splits(sessions, family == 0, distance, heartrate),
        "is_duplicate_recording": np.zeros(distance.size, dtype=bool),
        "is_restricted": np.zeros(len(moving), dtype=bool),
    }


def _activity_id(index: Ints, day: Ints, nth: Ints) -> Ints:
    """Numbers activities so that ids grow with time and differ among athletes; beyond 32 bits."""
    age: Ints = day - (OLDEST_UPLOAD - EPOCH).days
    return age * 10_000_000 + index * 100 + nth


def _load(
    settings: Columns, is_run: Bools, pace: Floats, moving: Ints, heartrate: Floats
) -> Columns:
    """What sessions cost: from the pace of runs that have one, else from the heart rate."""
    threshold_pace = settings["threshold_pace_s_per_km"] / 60.0
    run_pace = np.where(is_run, pace, np.nan)
    by_pace = functions.estimated_tss(run_pace, threshold_pace, moving)
    reserve = _reserve_ratio(heartrate, settings)
    trimp = _trimp(moving, reserve, settings)
    hour_at_threshold = _trimp(3600, _reserve_ratio(settings["lthr_bpm"], settings), settings)
    by_heartrate = functions.estimated_tss_from_heartrate(trimp, hour_at_threshold)
    has_pace, has_heartrate = ~np.isnan(by_pace), ~np.isnan(by_heartrate)
    return {
        "threshold_pace_min_km": threshold_pace,
        "intensity_factor": functions.intensity_factor(run_pace, threshold_pace),
        "estimated_tss": np.where(has_pace, by_pace, by_heartrate),
        "tss_method": np.select([has_pace, has_heartrate], [0, 1], -1),
        "trimp": trimp,
        "hr_reserve_ratio": reserve,
    }


def _reserve_ratio(heartrate: Floats, settings: Columns) -> Floats:
    share: Floats = functions.hr_reserve_ratio(
        heartrate, settings["hr_rest_bpm"], settings["hr_max_bpm"]
    )
    return share


def _trimp(duration_s: Ints | int, reserve: Floats, settings: Columns) -> Floats:
    # With the exponential in the factor, because a power differs in the last bit among machines.
    factor = settings["trimp_factor"] * _exp(settings["trimp_exponent"] * reserve)
    impulse: Floats = functions.trimp(duration_s, reserve, factor, 0.0)
    return impulse


def _exp(x: Floats) -> Floats:
    """e^x of numbers from 0 to 2 by plain arithmetic, to 1e-14: (Taylor series of x/8)^8."""
    root = np.ones(x.shape)
    for n in range(12, 0, -1):
        root = 1 + root * (x / 8) / n
    for _ in range(3):
        root *= root
    return root


def _splits(sessions: Sessions, is_run: Bools, distance: Floats, heartrate: Floats) -> Columns:
    """Draw the pacing of the runs that came in detail; the heart rises on all, by 3 percent."""
    draw = sessions.draw
    has_splits = is_run & (draw() < 0.3) & (distance >= 4)
    slowing, unevenness = between(draw, -0.04, 0.08), between(draw, 0.01, 0.03)
    halves = 1 + slowing / 2
    return {
        "split_pace_cv": np.where(
            has_splits, np.sqrt(unevenness * unevenness + slowing * slowing / 12), np.nan
        ),
        "second_half_pace_ratio": np.where(has_splits, halves, np.nan),
        "hr_drift_ratio": np.where(has_splits & ~np.isnan(heartrate), 1.03 * halves - 1, np.nan),
    }


def _table(columns: Columns) -> pa.Table:
    """Give the columns their Arrow types; NaN becomes NULL."""
    arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    micros = pa.array(columns["event_timestamp"] * 1_000_000)
    return pa.table(
        arrays
        | {
            "event_timestamp": micros.cast(pa.timestamp("us", tz="UTC")),
            "local_day": pa.array(columns["local_day"].astype(np.int32)).cast(pa.date32()),
            "sport_family": _texts(columns["sport_family"], FAMILIES),
            "tss_method": _texts(columns["tss_method"], ("pace", "hr")),
        }
    )


def _texts(codes: Ints, names: tuple[str, ...]) -> pa.Array:
    """The names at these positions; NULL for -1."""
    positions = pa.array(codes.astype(np.int8), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(positions, names).cast(pa.string())
