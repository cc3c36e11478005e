"""On-demand features: they need a value that only the request knows, so no table can hold them.

Each function serves Spark columns (training), NumPy arrays and pandas Series (notebooks) and plain
numbers (serving), and computes in doubles, with the same bits everywhere. A missing input, which is
NULL, None, NaN or pandas.NA, gives a missing result; so does a divisor of 0. A missing result is
NULL in a column, None as a plain number, and NaN in an array or a Series. An argument may be a
plain number beside a column, an array or a Series. Series are aligned by their index.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from paceline.features.functions import Value, ratio


def current_hr_ratio(current_hr: Value, threshold_hr: Value) -> Value:
    """Heart rate of this moment as a share of the one at threshold: current / threshold.

    A ratio without unit, of two heart rates in beats per minute: 1 is at threshold, above is
    harder. Missing when an input is missing, or the threshold is 0.
    """
    return _in_doubles(ratio, current_hr, threshold_hr)


def pace_deviation(current_pace_min_km: Value, historical_avg_pace: Value) -> Value:
    """Pace of this moment relative to the usual one: (current - usual) / usual.

    A ratio without unit, of two paces in minutes per kilometre: 0 is as usual, 0.1 is 10 % slower,
    -0.1 is 10 % faster. The usual pace is for example `run_pace_min_km_30d`. Missing when an input
    is missing, or the usual pace is 0.
    """
    return _in_doubles(_deviation, current_pace_min_km, historical_avg_pace)


def _deviation(value: Value, usual: Value) -> Value:
    return ratio(value - usual, usual)


def _in_doubles(formula: Callable[[Value, Value], Value], left: Value, right: Value) -> Value:
    """The formula over two inputs, as doubles of the world that they are from."""
    # What has not been imported has made no value.
    pandas, spark = sys.modules.get("pandas"), sys.modules.get("pyspark.sql")
    given = (left, right)
    if spark is not None and any(isinstance(value, spark.Column) for value in given):
        return _of_columns(formula, left, right)
    if pandas is not None and any(isinstance(value, pandas.Series) for value in given):
        return _of_series(formula, left, right, pandas.Series)
    if any(isinstance(value, np.ndarray) for value in given):
        return formula(*np.broadcast_arrays(_array(left), _array(right)))
    if any(map(_is_missing, given)):
        return None
    result = formula(float(left), float(right))
    return None if result is None or math.isnan(result) else result


def _of_columns(formula: Callable[[Value, Value], Value], left: Value, right: Value) -> Value:
    from pyspark.sql import Column
    from pyspark.sql import functions as F

    columns = [
        (value if isinstance(value, Column) else F.lit(value)).cast("double")
        for value in (left, right)
    ]
    return F.nanvl(formula(*columns), F.lit(None).cast("double"))


def _of_series(
    formula: Callable[[Value, Value], Value], left: Value, right: Value, series: Any
) -> Value:
    if isinstance(left, series) and isinstance(right, series):
        left, right = left.align(right)
    index = (left if isinstance(left, series) else right).index
    arrays = np.broadcast_arrays(*(_array(value) for value in (left, right)))
    return series(formula(*arrays), index=index)


def _array(value: Value) -> Value:
    """Doubles, with NaN where something is missing."""
    if hasattr(value, "to_numpy"):
        return value.to_numpy(dtype=np.float64, na_value=np.nan)
    array = np.asarray(value)
    if array.dtype == object:
        missing = np.array([_is_missing(item) for item in array.flat]).reshape(array.shape)
        array = np.where(missing, np.nan, array)
    return array.astype(np.float64)


def _is_missing(value: Value) -> bool:
    # pandas.NA is no value of pandas' public types.
    return value is None or type(value).__name__ == "NAType"
