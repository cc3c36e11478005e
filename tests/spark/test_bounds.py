"""Boxes only skip: with them a scope selects the same rows as without, whatever its keys are."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest

from paceline.publish import bounds
from paceline.publish.bounds import bounded
from paceline.recipe import EVERYTHING, Scope

DAY = date(2024, 1, 1)
DAILY = "athlete_id BIGINT, since DATE"


def daily(spark, keys):
    return Scope(spark.createDataFrame(keys, DAILY), since="as_of_date")


@pytest.fixture(scope="module")
def days(spark):
    rows = [(athlete, DAY + timedelta(n)) for athlete in (1, 2, 5, 9, None) for n in range(40)]
    return spark.createDataFrame(rows, "athlete_id BIGINT, as_of_date DATE")


def test_a_scope_without_a_key_is_told(spark):
    assert bounded(daily(spark, [])) is None
    assert bounded(EVERYTHING) is EVERYTHING


def test_a_late_key_has_a_box_of_its_own(spark):
    recent = [(athlete, DAY + timedelta(1000 + athlete % 2)) for athlete in range(100, 150)]
    scope = bounded(daily(spark, [*recent, (7, DAY)]))
    assert scope.bounds == (
        {"athlete_id": (7, 7), "since": (DAY, DAY)},
        {"athlete_id": (100, 149), "since": (DAY + timedelta(1000), DAY + timedelta(1001))},
    )


def test_predicate_in_words(spark):
    scope = bounded(daily(spark, [(7, DAY)]))
    near = "(t.athlete_id BETWEEN 7 AND 7 AND t.local_day >= DATE '2023-12-30')"
    assert scope.predicate(since="local_day", days=2, prefix="t.") == near
    assert scope.predicate() == "(athlete_id BETWEEN 7 AND 7 AND TRUE)"
    assert EVERYTHING.predicate() == "TRUE"


def test_null_keys_have_a_box(spark):
    keys = spark.createDataFrame([(1, 10), (1, None), (None, None)], "athlete_id INT, id BIGINT")
    assert bounded(Scope(keys)).bounds == (
        {"athlete_id": (1, 1), "id": (10, 10)},
        {"id": (None, None)},
    )


@pytest.mark.parametrize("most_keys", [bounds.MAX_KEYS, 3])
@pytest.mark.parametrize("seed", range(2))
def test_boxes_lose_no_row(spark, days, monkeypatch, most_keys, seed):
    monkeypatch.setattr(bounds, "MAX_KEYS", most_keys)
    draw = Random(seed)
    athletes = draw.sample([1, 2, 3, 5, 9, None], draw.randint(1, 6))
    scope = daily(spark, [(a, DAY + timedelta(draw.randint(-5, 45))) for a in athletes])
    found = bounded(scope)
    assert found.bounds
    assert sorted(found.select(days).collect(), key=str) == sorted(
        scope.select(days).collect(), key=str
    )
    near = found.pruned(days, since="as_of_date", days=3)
    earlier = replace(scope, keys=scope.keys.selectExpr("athlete_id", "date_sub(since, 3) since"))
    assert set(earlier.select(days).collect()) <= set(near.collect())


def test_the_number_of_boxes_is_bounded(spark):
    scattered = [(n * n, DAY + timedelta(n * n)) for n in range(100)]
    assert len(bounded(daily(spark, scattered)).bounds) <= bounds.MAX_BOUNDS


def test_files_of_other_rows_are_not_read(spark, tmp_path):
    rows = spark.range(8000).selectExpr(
        "id DIV 100 AS athlete_id", "date_add(DATE '2024-01-01', CAST(id % 100 AS INT)) AS day"
    )
    path = str(tmp_path / "daily")
    for year in (0, 1):
        later = rows.selectExpr("athlete_id", f"date_add(day, {365 * year}) AS day")
        ranges = later.repartitionByRange(4, "athlete_id")
        ranges.write.format("delta").mode("append").save(path)
    table = spark.read.format("delta").load(path)
    assert len(table.inputFiles()) == 8
    # One athlete from the first day on, two others only since the second year.
    late, recent = (7, DAY), [(65, DAY + timedelta(365)), (79, DAY + timedelta(366))]
    scope = bounded(daily(spark, [late, *recent]))
    assert len(scope.pruned(table, since="day").inputFiles()) == 3
    assert len(scope.pruned(table, since=None).inputFiles()) == 4
