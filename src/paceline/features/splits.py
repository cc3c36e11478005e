"""Features of the splits of an activity, from an array of its usable splits in order.

Each element is struct<t BIGINT seconds > 0, d BIGINT millimetres > 0, hr DOUBLE bpm or NULL>. Sums
are integers, or folded in the order of the splits, so that equal splits give equal bits.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column
from pyspark.sql import functions as F

from paceline.features.functions import Value, ratio

MIN_SPLITS = 4


def split_pace_cv(splits: Column) -> Column:
    """Coefficient of variation of the split paces, weighted by moving time.

    Population standard deviation / mean; NULL with fewer than 4 splits.
    """
    weight = _folded(splits, lambda s: s["t"].cast("double"))
    mean = ratio(_folded(splits, lambda s: s["t"] * _pace(s)), weight)
    squares = _folded(splits, lambda s: s["t"] * (_pace(s) - mean) * (_pace(s) - mean))
    return _enough(splits, ratio(F.sqrt(ratio(squares, weight)), mean))


def second_half_pace_ratio(splits: Column) -> Column:
    """Pace of the later half / pace of the first floor(n/2) splits; below 1 is a negative split.

    Paces from summed time and distance; NULL with fewer than 4 splits.
    """
    first, later = _halves(splits)
    return _enough(splits, ratio(_mean_pace(later), _mean_pace(first)))


def hr_drift_ratio(splits: Column) -> Column:
    """Loss of speed per heart beat: (speed/HR of the first half)/(speed/HR of the later half) - 1.

    HR weighted by time; NULL with fewer than 4 splits, or when a split has no heart rate.
    """
    first, later = _halves(splits)
    drift = ratio(_speed_per_beat(first), _speed_per_beat(later)) - F.lit(1.0)
    has_all = F.forall(splits, lambda s: F.coalesce(s["hr"] > 0, F.lit(False)))
    return _enough(splits, F.when(has_all, drift))


def _enough(splits: Column, value: Column) -> Column:
    return F.when(F.size(splits) >= MIN_SPLITS, value)


def _halves(splits: Column) -> tuple[Column, Column]:
    half = F.floor(F.size(splits) / F.lit(2)).cast("int")
    return F.slice(splits, F.lit(1), half), F.slice(splits, half + 1, F.size(splits))


def _pace(split: Column) -> Column:
    return (split["t"] / F.lit(60.0)) / (split["d"] / F.lit(1e6))


def _mean_pace(splits: Column) -> Value:
    return ratio(_total(splits, "t") / F.lit(60.0), _total(splits, "d") / F.lit(1e6))


def _speed_per_beat(splits: Column) -> Value:
    speed = ratio(_total(splits, "d"), _total(splits, "t"))
    heartrate = ratio(_folded(splits, lambda s: s["t"] * s["hr"]), _total(splits, "t"))
    return ratio(speed, heartrate)


def _total(splits: Column, field: str) -> Column:
    zero = F.lit(0).cast("bigint")
    return F.aggregate(splits, zero, lambda total, split: total + split[field])


def _folded(splits: Column, term: Callable[[Column], Column]) -> Column:
    return F.aggregate(splits, F.lit(0.0), lambda total, split: total + term(split))
