"""On-demand features as plain numbers, arrays and Series, by hand."""

import inspect
import math
import struct
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from paceline.features import on_demand

FUNCTIONS = (on_demand.current_hr_ratio, on_demand.pace_deviation)
# Function, inputs, value.
EXAMPLES = [
    (on_demand.current_hr_ratio, (136.0, 160.0), 0.85),
    (on_demand.current_hr_ratio, (200, 160), 1.25),
    (on_demand.current_hr_ratio, (0, 160), 0.0),
    # (5.5 - 5) / 5 is 10 % slower, (4.5 - 5) / 5 is 10 % faster.
    (on_demand.pace_deviation, (5.5, 5.0), 0.1),
    (on_demand.pace_deviation, (4.5, 5.0), -0.1),
    (on_demand.pace_deviation, (5, 5), 0.0),
    (on_demand.pace_deviation, (np.float32(5.5), np.int64(4)), 0.375),
    (on_demand.pace_deviation, (Decimal("7.5"), 5), 0.5),
]
MISSING = (None, math.nan, np.float64("nan"), pd.NA)


def names(example):
    return getattr(example, "__name__", None)


def bits(values):
    return [struct.pack("<d", value) for value in values]


def test_these_are_all():
    found = inspect.getmembers(on_demand, inspect.isfunction)
    own = [f for name, f in found if f.__module__ == on_demand.__name__ and name[0] != "_"]
    assert own == list(FUNCTIONS)


@pytest.mark.parametrize(("function", "inputs", "expected"), EXAMPLES, ids=names)
def test_a_plain_number(function, inputs, expected):
    found = function(*inputs)
    assert type(found) is float
    assert bits([found]) == bits([expected])


@pytest.mark.parametrize("function", FUNCTIONS, ids=names)
def test_what_is_missing_stays_missing(function):
    for missing in MISSING:
        assert function(missing, 5.0) is None
        assert function(5.0, missing) is None
        assert np.isnan(function(np.array([5.0]), missing)).all()
        assert np.isnan(function(missing, pd.Series([5.0]))).all()
    # 0 as a divisor, and what is no number: inf / inf.
    for divisor in (0, 0.0, -0.0):
        assert function(5.0, divisor) is None
        assert np.isnan(function(np.array([5.0, 0.0]), divisor)).all()
    assert function(math.inf, math.inf) is None


@pytest.mark.parametrize("function", FUNCTIONS, ids=names)
def test_an_array_or_a_series_is_its_numbers(function):
    left = [4.75, 5.1, None, 150.0, 0.1, math.nan, 7.3]
    right = [5.05, 0.0, 5.0, 171.3, -0.0, 4.0, None]
    expected = [function(a, b) for a, b in zip(left, right, strict=True)]
    assert [value is None for value in expected] == [False, True, True, False, True, True, True]
    as_nan = [math.nan if value is None else value for value in expected]
    index = list("gfedcba")
    worlds = [
        function(np.array(left, float), np.array(right, float)),
        function(np.array(left, object), np.array(right, object)),
        function(pd.Series(left, index), pd.Series(right, index)),
        function(pd.Series(left, dtype="Float64"), pd.Series(right, dtype="Float64")),
        # Series go together by their index, not by their place.
        function(pd.Series(left, index), pd.Series(right, index)[::-1])[index],
    ]
    for found in worlds:
        np.testing.assert_array_equal(np.asarray(found), np.array(as_nan))
        assert bits(np.asarray(found)[[0, 3]]) == bits([expected[0], expected[3]])
    assert list(worlds[2].index) == index
    beside = function(pd.Series([4, 6], index=[8, 9]), 5)
    pd.testing.assert_series_equal(
        beside, pd.Series([function(4, 5), function(6, 5)], index=[8, 9])
    )


def test_serving_needs_neither_spark_nor_pandas():
    program = (
        "import sys\n"
        "from paceline.features.on_demand import pace_deviation\n"
        "assert pace_deviation(6, 5.0) == 0.2\n"
        "print([name for name in ('pyspark', 'pandas', 'yaml') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
