"""On-demand features give the same bits as Spark columns and as Python numbers."""

import itertools
import math
import random
import struct

import pytest
from pyspark.sql import functions as F

from paceline.features import on_demand

FUNCTIONS = (on_demand.current_hr_ratio, on_demand.pace_deviation)
VALUES = [None, math.nan, 0.0, -0.0, 5e-324, 0.1, 3.3333333333333335, 5.0, 160.0, 1.7e308, math.inf]
DDL = "number INT, left DOUBLE, right DOUBLE, whole INT"


def bits(value):
    return None if value is None else struct.pack("<d", value)


@pytest.fixture(scope="module")
def results(spark):
    """(left, right, whole, exact) with what each function gives for them, all in one job."""
    chance = random.Random(5)
    pairs = [*itertools.product(VALUES, VALUES)]
    pairs += [(chance.uniform(2, 240), chance.uniform(2, 240)) for _ in range(500)]
    rows = [(number, *pair, number % 7) for number, pair in enumerate(pairs)]
    inputs = spark.createDataFrame(rows, DDL).withColumn("exact", F.expr("whole / 4BD"))
    left, right, whole, exact = (F.col(name) for name in ("left", "right", "whole", "exact"))
    made = [
        F.array(
            function(left, right),
            function(left, whole),
            function(exact, right),
            function(left, 160),
            function(5.5, right),
            function(left, None),
        ).alias(function.__name__)
        for function in FUNCTIONS
    ]
    return inputs.select("left", "right", "whole", *made).collect()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_spark_and_python_agree(results, function):
    nulls = 0
    for left, right, whole, *made in results:
        expected = [
            function(left, right),
            function(left, whole),
            function(whole / 4, right),
            function(left, 160),
            function(5.5, right),
            None,
        ]
        found = made[FUNCTIONS.index(function)]
        assert list(map(bits, found)) == list(map(bits, expected)), (left, right, whole)
        nulls += expected[0] is None
    assert 0 < nulls < len(results) / 2
