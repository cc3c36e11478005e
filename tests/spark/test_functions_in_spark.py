"""Row-wise features give the same bits as Spark columns and as Python numbers."""

import inspect
import itertools
import random
import struct

import pytest

from paceline.features import functions

LENGTHS_S = [None, 0, 1, 59, 3000, 3600, 86_401, 2_592_000]
SMALL = [None, 0.0, -0.0, 0.001, 1.0, 3.3333333333333335]
SCORES = [*SMALL, 0.3, 40.5, 100.0, 5000.0, 450_000.0]
HEARTRATES = [None, 0.0, 40.0, 50.0, 141.7, 150.0, 190.0, 250.0]
# By parameter: the values of its grid and the range of its random ones; whole for integers.
INPUTS = {
    "duration_s": (LENGTHS_S, (1, 90_000)),
    "elapsed_time_s": (LENGTHS_S, (1, 90_000)),
    "moving_time_s": (LENGTHS_S, (1, 900_000)),
    "distance_m": ([*SMALL, 5000.0, 42_195.0, 2e6], (0.0, 3e5)),
    "distance_km": ([*SMALL, 5.0, 42.195, 2000.0], (0.0, 300.0)),
    "elevation_gain_m": ([*SMALL, 80.0, 50_000.0], (0.0, 5000.0)),
    "pace_min_km": ([*SMALL, 4.5, 5.0, 20.0], (2.0, 30.0)),
    "threshold_pace_min_km": ([*SMALL, 4.5, 20.0], (2.0, 20.0)),
    "average_heartrate_bpm": (HEARTRATES, (25.0, 240.0)),
    "hr_rest_bpm": (HEARTRATES, (30.0, 100.0)),
    "hr_max_bpm": (HEARTRATES, (100.0, 250.0)),
    "hr_reserve_ratio": ([None, 0.0, 0.5, 1.0], (0.0, 1.0)),
    "trimp_factor": ([None, 0.64, 0.86], (0.5, 1.0)),
    "trimp_exponent": ([None, 1.92, 1.67], (1.5, 2.0)),
    "trimp": (SCORES, (0.0, 1000.0)),
    "threshold_trimp": (SCORES, (0.0, 300.0)),
    "tss_7d": (SCORES, (0.0, 2000.0)),
    "tss_28d": (SCORES, (0.0, 8000.0)),
    "tss_42d": (SCORES, (0.0, 12_000.0)),
    "monotony_7d": (SCORES, (0.0, 10.0)),
    "value": (SCORES, (0.0, 5000.0)),
    "numerator": (SCORES, (-1000.0, 1000.0)),
    "denominator": (SCORES, (-1000.0, 1000.0)),
    # The bounds of `clamped` are constants, never NULL.
    "low": ([0.0], (0.0, 1.0)),
    "high": ([1.0], (1.0, 2.0)),
}
# Java and C may round the last digit of a power differently.
WITH_A_POWER = {"trimp"}
RANDOM_ROWS = 1000


def features():
    return {
        name: function
        for name, function in inspect.getmembers(functions, inspect.isfunction)
        if function.__module__ == functions.__name__ and name != "null_in_null_out"
    }


def grid_and_random_rows(function, seed):
    """Argument tuples of a function: every combination of its grid, then random ones."""
    names = list(inspect.signature(function).parameters)
    yield from itertools.product(*(INPUTS[name][0] for name in names))
    chance = random.Random(seed)
    for _ in range(RANDOM_ROWS):
        yield tuple(chosen(chance, *INPUTS[name][1]) for name in names)


def chosen(chance, low, high):
    return chance.randint(low, high) if isinstance(low, int) else chance.uniform(low, high)


@pytest.fixture(scope="module")
def results(spark):
    """{function: [(arguments, value from Spark)]}, all in one job."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import DoubleType, LongType, StructField, StructType

    wanted = {
        name: list(grid_and_random_rows(function, name)) for name, function in features().items()
    }
    fields = {"number": LongType()}
    for name, function in features().items():
        for parameter in inspect.signature(function).parameters:
            whole = isinstance(INPUTS[parameter][1][0], int)
            fields[f"{name}__{parameter}"] = LongType() if whole else DoubleType()
    longest = max(map(len, wanted.values()))
    width = {name: len(rows[0]) for name, rows in wanted.items()}
    values = [
        (
            number,
            *itertools.chain.from_iterable(
                rows[number] if number < len(rows) else (None,) * width[name]
                for name, rows in wanted.items()
            ),
        )
        for number in range(longest)
    ]
    schema = StructType([StructField(name, kind) for name, kind in fields.items()])
    inputs = spark.createDataFrame(values, schema)
    columns = [
        function(*(F.col(f"{name}__{p}") for p in inspect.signature(function).parameters))
        .cast("double")
        .alias(name)
        for name, function in features().items()
    ]
    found = {row["number"]: row for row in inputs.select("number", *columns).collect()}
    return {
        name: [(row, found[number][name]) for number, row in enumerate(rows)]
        for name, rows in wanted.items()
    }


def bits(value):
    return None if value is None else struct.pack("<d", value)


@pytest.mark.parametrize("name", sorted(features()))
def test_spark_and_python_agree(results, name):
    function = features()[name]
    nulls = 0
    for arguments, from_spark in results[name]:
        expected = function(*arguments)
        nulls += expected is None
        if name in WITH_A_POWER and expected is not None:
            assert from_spark == pytest.approx(expected, rel=1e-12), arguments
        else:
            assert bits(from_spark) == bits(expected), arguments
    assert 0 < nulls < len(results[name])
