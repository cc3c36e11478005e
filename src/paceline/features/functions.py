"""Row-wise features: the name of a function is the column, its parameters are its inputs.

Each function serves Spark columns in the batch, NumPy arrays in the daily fold and plain numbers at
request time, with the same bits (trimp, which needs an exponential, within 1e-12). NULL in, NULL
out; a division by zero is NULL. In NumPy arrays NULL is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

# A number (or None), a NumPy array, or a Spark column.
Value = Any

_Function = TypeVar("_Function", bound=Callable[..., Any])

E = 2.718281828459045


def null_in_null_out(function: _Function) -> _Function:
    """Makes a plain-number call with a None among its arguments return None, as SQL does."""

    @wraps(function)
    def guarded(*values: Value, **named: Value) -> Value:
        if any(value is None for value in (*values, *named.values())):
            return None
        return function(*values, **named)

    return cast(_Function, guarded)


@null_in_null_out
def ratio(numerator: Value, denominator: Value) -> Value:
    """Quotient of two values; NULL where the denominator is 0."""
    if isinstance(denominator, int | float):
        return numerator / denominator if denominator != 0 else None
    if isinstance(denominator, np.ndarray):
        out = np.full(denominator.shape, np.nan)
        return np.divide(numerator, denominator, out=out, where=denominator != 0)
    from pyspark.sql import functions as F

    return F.try_divide(numerator, denominator)


@null_in_null_out
def clamped(value: Value, low: float, high: float) -> Value:
    """The value, moved into [low, high]."""
    if isinstance(value, int | float):
        return min(max(float(value), low), high)
    if isinstance(value, np.ndarray):
        return np.clip(value, low, high)
    from pyspark.sql import functions as F

    clamp = F.least(F.greatest(value, F.lit(low)), F.lit(high))
    return F.when(value.isNotNull(), clamp)


@null_in_null_out
def rounded_to_micro(value: Value) -> Value:
    """A value >= 0 rounded half up to 1e-6: floor(x 1e6 + 0.5) / 1e6."""
    scaled = value * 1e6 + 0.5
    return (scaled - scaled % 1.0) / 1e6


@null_in_null_out
def pace_min_km(distance_km: Value, duration_s: Value) -> Value:
    """Moving pace in minutes per kilometre; NULL without a distance."""
    return ratio(duration_s / 60.0, distance_km)


@null_in_null_out
def elapsed_pace_min_km(distance_km: Value, elapsed_time_s: Value) -> Value:
    """Pace including stops, in minutes per kilometre; NULL without a distance."""
    return ratio(elapsed_time_s / 60.0, distance_km)


@null_in_null_out
def speed_km_h(distance_m: Value, duration_s: Value) -> Value:
    """Moving speed in kilometres per hour."""
    return ratio(3.6 * distance_m, duration_s)


@null_in_null_out
def elevation_per_km(elevation_gain_m: Value, distance_km: Value) -> Value:
    """Metres climbed per kilometre; NULL without a distance."""
    return ratio(elevation_gain_m, distance_km)


@null_in_null_out
def intensity_factor(pace_min_km: Value, threshold_pace_min_km: Value) -> Value:
    """Speed as a share of threshold speed: threshold pace / pace, above 1 when faster."""
    return ratio(threshold_pace_min_km, pace_min_km)


@null_in_null_out
def estimated_tss(pace_min_km: Value, threshold_pace_min_km: Value, duration_s: Value) -> Value:
    """Training stress score from pace: one hour at threshold is 100.

    100 x hours x IF x IF, rounded to 1e-6 (Coggan's TSS, with the speed ratio as intensity).
    """
    intensity = intensity_factor(pace_min_km, threshold_pace_min_km)
    if intensity is None:
        return None
    return rounded_to_micro(100.0 * (duration_s / 3600.0) * intensity * intensity)


@null_in_null_out
def hr_reserve_ratio(average_heartrate_bpm: Value, hr_rest_bpm: Value, hr_max_bpm: Value) -> Value:
    """Share of the heart-rate reserve, (average - rest) / (max - rest), clamped to 0..1."""
    share = ratio(average_heartrate_bpm - hr_rest_bpm, hr_max_bpm - hr_rest_bpm)
    return clamped(share, 0.0, 1.0)


@null_in_null_out
def trimp(
    duration_s: Value, hr_reserve_ratio: Value, trimp_factor: Value, trimp_exponent: Value
) -> Value:
    """Training impulse: minutes x HRr x factor x e^(exponent x HRr) (Banister 1991).

    The factor and exponent are 0.64 and 1.92 for men, 0.86 and 1.67 for women.
    """
    weight = trimp_factor * E ** (trimp_exponent * hr_reserve_ratio)
    return duration_s / 60.0 * hr_reserve_ratio * weight


@null_in_null_out
def estimated_tss_from_heartrate(trimp: Value, threshold_trimp: Value) -> Value:
    """Training stress score from heart rate: 100 x trimp / trimp of one hour at threshold."""
    score = ratio(100.0 * trimp, threshold_trimp)
    return None if score is None else rounded_to_micro(score)


@null_in_null_out
def efficiency_m_per_beat(
    distance_m: Value, duration_s: Value, average_heartrate_bpm: Value
) -> Value:
    """Metres per heart beat: speed in metres per minute / beats per minute."""
    return ratio(ratio(60.0 * distance_m, duration_s), average_heartrate_bpm)


@null_in_null_out
def ctl_42d(tss_42d: Value) -> Value:
    """Chronic training load, TSS a day: mean of the last 42 calendar days."""
    return tss_42d / 42.0


@null_in_null_out
def atl_7d(tss_7d: Value) -> Value:
    """Acute training load, TSS a day: mean of the last 7 calendar days."""
    return tss_7d / 7.0


@null_in_null_out
def acwr(tss_7d: Value, tss_28d: Value) -> Value:
    """Acute:chronic workload ratio, coupled: mean of 7 days / mean of 28 days (Hulin 2014)."""
    return ratio(tss_7d / 7.0, tss_28d / 28.0)


@null_in_null_out
def acwr_uncoupled(tss_7d: Value, tss_28d: Value) -> Value:
    """Acute:chronic workload ratio, uncoupled: mean of 7 days / mean of the 21 days before."""
    return ratio(tss_7d / 7.0, (tss_28d - tss_7d) / 21.0)


@null_in_null_out
def strain_7d(tss_7d: Value, monotony_7d: Value) -> Value:
    """Training strain: weekly load x monotony (Foster 1998)."""
    return tss_7d * monotony_7d


@null_in_null_out
def run_pace_min_km(moving_time_s: Value, distance_km: Value) -> Value:
    """Pace over the runs of a window, minutes per kilometre: summed time / summed distance."""
    return ratio(moving_time_s / 60.0, distance_km)
