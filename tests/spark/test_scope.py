"""Which rows a scope selects, by hand; and what the literals of the machine mean to Spark."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from paceline.publish.bounds import bounded
from paceline.recipe import EVERYTHING, Scope
from paceline.sql import literal
from paceline.store.warehouse import Warehouse

LEAST, GREATEST = -(2**63), 2**63 - 1
DAYS = [date(1969, 12, 30) + timedelta(n) for n in range(4)]
FIRST, SECOND, THIRD, FOURTH = DAYS


@pytest.fixture(scope="module")
def days(spark):
    """Four days of three athletes, one of whom nobody knows, and a row without a day."""
    rows = [(athlete, day) for athlete in (-1, 2, None) for day in DAYS]
    frame = spark.createDataFrame([*rows, (2, None)], "athlete_id BIGINT, as_of_date DATE")
    return frame


def daily(spark, *keys):
    return Scope(spark.createDataFrame([*keys], "athlete_id BIGINT, since DATE"), "as_of_date")


def rows(frame):
    return sorted(map(tuple, frame.collect()), key=repr)


def both(scope):
    """The scope as a recipe gives it, and as the machine hands it on."""
    return scope, bounded(scope)


def test_a_scope_with_days_selects_from_each_athletes_first_day_on(spark, days):
    for scope in both(daily(spark, (-1, SECOND), (None, FOURTH), (7, FIRST))):
        assert rows(scope.select(days)) == sorted(
            [(-1, SECOND), (-1, THIRD), (-1, FOURTH), (None, FOURTH)], key=repr
        )


def test_keys_compare_null_safe_in_every_column(spark, days):
    keys = [(2, None), (None, FIRST), (-1, SECOND), (7, FIRST)]
    frame = spark.createDataFrame(keys, "athlete_id BIGINT, as_of_date DATE")
    for scope in both(Scope(frame)):
        assert rows(scope.select(days)) == sorted(keys[:3], key=repr)


def test_a_row_is_selected_as_often_as_it_is_there(spark, days):
    twice = days.unionByName(days)
    for scope in both(daily(spark, (2, THIRD), (2, FOURTH))):
        assert rows(scope.select(twice)) == [(2, THIRD), (2, THIRD), (2, FOURTH), (2, FOURTH)]


def test_everything_selects_everything(days):
    assert EVERYTHING.select(days) is days
    assert EVERYTHING.pruned(days, since="as_of_date") is days


def test_near_keeps_days_before_the_first_one_or_all_days(spark, days):
    scope = bounded(daily(spark, (2, FOURTH)))
    of_athlete = [(2, day) for day in DAYS]
    assert rows(scope.pruned(days, since="as_of_date")) == of_athlete[3:]
    assert rows(scope.pruned(days, since="as_of_date", days=2)) == of_athlete[1:]
    assert rows(scope.pruned(days, since=None)) == sorted([*of_athlete, (2, None)], key=repr)


def test_without_boxes_nothing_is_left_out(spark, days):
    scope = daily(spark, (2, FOURTH))
    assert scope.pruned(days, since="as_of_date") is days
    assert not scope.is_everything


def test_boxes_leave_out_rows_before_they_are_compared_with_the_keys(spark, days):
    # A box that is wrong on purpose shows that it is used.
    scope = replace(
        daily(spark, (2, FIRST)), bounds=({"athlete_id": (2, 2), "since": (THIRD,) * 2},)
    )
    assert rows(scope.select(days)) == [(2, THIRD), (2, FOURTH)]


def test_of_more_than_100_000_keys_only_the_ends_are_looked_at(spark):
    keys = spark.range(100_001).selectExpr(
        "id - 7 AS athlete_id",
        "IF(id = 5, NULL, id) AS activity_id",
        "CAST(NULL AS DATE) AS day",
        "date_add(DATE '1969-12-31', CAST(id % 3 AS INT)) AS since",
    )
    scope = bounded(Scope(keys, since="as_of_date"))
    assert scope.keys is keys
    assert scope.since == "as_of_date"
    assert scope.bounds == (
        {"athlete_id": (-7, 99_993), "since": (date(1969, 12, 31), date(1970, 1, 2))},
    )


def test_the_ends_of_every_key_are_numbers_and_days_to_spark(spark):
    keys = [(LEAST, date.min), (GREATEST, date.max), (-1, date(1969, 12, 31)), (0, None)]
    frame = spark.createDataFrame(keys, "athlete_id BIGINT, valid_from DATE")
    scope = bounded(Scope(frame))
    assert len(scope.bounds) == 4
    assert rows(scope.select(frame)) == rows(frame)
    other = spark.createDataFrame([(1, date.min), (GREATEST, None)], frame.schema)
    assert rows(scope.pruned(other, since=None)) == []


def test_a_literal_is_to_spark_what_it_was(spark):
    values = [
        *(0, -1, LEAST, GREATEST),
        *(date.min, date(1969, 12, 31), date.max),
        *("", "it's", "'", "\\", "\\'", "x\\", '"', "`%_;--", "\n\t", "Läufe \N{RUNNER}"),
    ]
    (row,) = spark.sql(f"SELECT {', '.join(map(literal, values))}").collect()
    assert list(row) == values


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ValueError])
def test_partitions_are_those_of_before_even_after_an_error(spark, monkeypatch, error):
    name = "spark.sql.shuffle.partitions"
    before = spark.conf.get(name)
    spark.conf.set(name, 11)
    try:
        if error is None:
            with Warehouse(spark, None).partitioned(3):
                assert spark.conf.get(name) == "3"
        else:
            with pytest.raises(error), Warehouse(spark, None).partitioned(3):
                raise error
        assert spark.conf.get(name) == "11"
        with Warehouse(spark, None).partitioned(None):
            assert spark.conf.get(name) == "11"
        assert spark.conf.get(name) == "11"
    finally:
        spark.conf.set(name, before)
