"""Boxes without Spark: they hold every key, are few and tight, and are cut at the widest gaps.

DuckDB judges which rows a predicate keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from types import SimpleNamespace

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paceline.publish.bounds import bounded
from paceline.recipe import EVERYTHING, Scope

BIGINT, INT, DATE = pa.int64(), pa.int32(), pa.date32()
LEAST, GREATEST = -(2**63), 2**63 - 1
DAY = date(2024, 1, 1)


@dataclass
class Keys:
    """As much of a data frame as `bounded` asks for, over a table in memory."""

    table: pa.Table

    @property
    def schema(self):
        return self.table.schema

    @property
    def sparkSession(self):
        return SimpleNamespace(createDataFrame=lambda table, schema: Keys(table.cast(schema)))

    def limit(self, rows):
        return Keys(self.table.slice(0, rows))

    def toArrow(self):
        return self.table


def table(rows, **types):
    return pa.Table.from_pylist(
        [dict(zip(types, row, strict=True)) for row in rows], pa.schema(types)
    )


def bounds_of(rows, **types):
    return bounded(Scope(Keys(table(rows, **types)))).bounds


def kept(predicate, rows, **types):
    """Which rows a predicate keeps, in their order."""
    frame = table(rows, **types)
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        found = connection.sql(f"SELECT coalesce({predicate}, false) FROM frame").fetchall()
    return [is_kept for (is_kept,) in found]


def number(value):
    return value.toordinal() if isinstance(value, date) else value


ids = st.integers(LEAST, GREATEST) | st.integers(-9, 90) | st.sampled_from([LEAST, 0, GREATEST])
calendar = st.dates() | st.dates(DAY, DAY + timedelta(60)) | st.sampled_from([date.min, date.max])
KINDS = {
    "two ids": ({"athlete_id": BIGINT, "activity_id": BIGINT}, (ids, ids)),
    "an id and a day": ({"athlete_id": BIGINT, "valid_from": DATE}, (ids, calendar)),
    "a day and an id": ({"valid_from": DATE, "athlete_id": BIGINT}, (calendar, ids)),
    "one id": ({"activity_id": BIGINT}, (ids,)),
    "a day, an id and an INT": (
        {"valid_from": DATE, "athlete_id": BIGINT, "sub_index": INT},
        (calendar, ids, st.integers(-(2**31), 2**31 - 1)),
    ),
}


@st.composite
def key_sets(draw):
    """The types of the columns, and at least one key; some have NULLs."""
    types, values = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    key = st.tuples(*(st.none() | value for value in values))
    return types, draw(st.lists(key, min_size=1, max_size=60, unique=True))


@settings(max_examples=60, deadline=None)
@given(key_sets())
@example(({"athlete_id": BIGINT, "id": BIGINT}, [(n, LEAST + (n * 2**58)) for n in range(64)]))
@example(({"athlete_id": BIGINT}, [(LEAST,), (GREATEST,), (None,)]))
def test_every_key_lies_in_one_of_at_most_16_boxes(drawn):
    types, keys = drawn
    found = bounded(Scope(Keys(table(keys, **types))))
    assert all(kept(found.predicate(), keys, **types))
    assert 1 <= len(found.bounds) <= 16
    assert found.keys.table.to_pylist() == table(keys, **types).to_pylist()


@settings(max_examples=60, deadline=None)
@given(key_sets())
@example(({"athlete_id": BIGINT, "id": BIGINT}, [(1, None), (None, None), (None, 3), (2, 8)]))
def test_boxes_are_as_tight_as_their_keys(drawn):
    types, keys = drawn
    boxes, place = bounds_of(keys, **types), len(types) - 1
    (*_, last) = types
    for box in boxes:
        least, greatest = box[last]
        inside = [
            key
            for key in keys
            if (key[place] is None if least is None else is_between(least, key[place], greatest))
        ]
        for name, values in zip(types, zip(*inside, strict=True), strict=True):
            assert box.get(name) == ends(values)
    assert [box[last] for box in boxes if box[last] == (None, None)] == [(None, None)] * any(
        key[place] is None for key in keys
    )


def is_between(least, value, greatest):
    return value is not None and least <= value <= greatest


def ends(values):
    """The least and the greatest value; None when some are NULL, and some are not."""
    known = [value for value in values if value is not None]
    if len(known) == len(values):
        return min(known), max(known)
    return None if known else (None, None)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**60), 2**60) | st.integers(0, 99) | st.dates(), max_size=60))
def test_keys_are_cut_at_their_14_widest_gaps(drawn):
    for kind, sql_type in ((int, BIGINT), (date, DATE)):
        values = [value for value in drawn if isinstance(value, kind)]
        if not values:
            continue
        gaps = [number(b) - number(a) for a, b in pairwise(sorted(values))]
        widest = sorted((gap for gap in gaps if gap > 1), reverse=True)[:14]
        boxes = [box["key"] for box in bounds_of([(value,) for value in values], key=sql_type)]
        between = [number(right[0]) - number(left[1]) for left, right in pairwise(boxes)]
        assert sorted(between, reverse=True) == widest


def test_15_runs_of_keys_and_those_without_one_make_16_boxes():
    runs = [(n, 10 * n + end) for n in range(15) for end in (0, 1)]
    boxes = bounds_of([*runs, (99, None)], athlete_id=BIGINT, activity_id=BIGINT)
    assert boxes == (
        *({"athlete_id": (n, n), "activity_id": (10 * n, 10 * n + 1)} for n in range(15)),
        {"athlete_id": (99, 99), "activity_id": (None, None)},
    )


def test_the_narrowest_gap_is_closed_first():
    starts = [0, 10, 20, 25, *(40 + 10 * n for n in range(12))]
    boxes = bounds_of([(start,) for start in starts], activity_id=BIGINT)
    assert [box["activity_id"] for box in boxes][1:4] == [(10, 10), (20, 25), (40, 40)]
    assert len(boxes) == 15


def test_keys_are_cut_by_their_last_column():
    boxes = bounds_of([(1, 5), (900, 6)], athlete_id=BIGINT, activity_id=BIGINT)
    assert boxes == ({"athlete_id": (1, 900), "activity_id": (5, 6)},)


def test_so_many_keys_are_still_carried_by_value():
    # More of them would be asked for their least and greatest value, by Spark.
    keys = Keys(pa.table({"activity_id": np.arange(100_000) * 2}))
    found = bounded(Scope(keys))
    assert found.keys.table.num_rows == 100_000
    assert len(found.bounds) == 15
    assert found.bounds[-1]["activity_id"][1] == 199_998


def test_keys_that_are_carried_by_value_are_not_computed_again():
    keys = Keys(table([(1,), (2,)], activity_id=BIGINT))
    assert bounded(Scope(keys)).keys is not keys


def test_without_keys_there_is_no_scope_and_without_a_frame_it_is_everything():
    assert bounded(Scope(Keys(table([], activity_id=BIGINT)))) is None
    assert bounded(EVERYTHING) is EVERYTHING


def test_the_day_from_which_on_rows_are_meant_stays_with_the_scope():
    keys = Keys(table([(7, DAY), (9, DAY + timedelta(1))], athlete_id=BIGINT, since=DATE))
    found = bounded(Scope(keys, since="as_of_date"))
    assert found.since == "as_of_date"
    assert found.bounds == ({"athlete_id": (7, 9), "since": (DAY, DAY + timedelta(1))},)


small, recent = st.integers(-3, 3), st.dates(date(1969, 12, 29), date(1970, 1, 3))


def intervals(values):
    ordered = st.tuples(values, values).map(sorted).map(tuple)
    return ordered | st.just((None, None))


bounds_of_days = st.lists(
    st.fixed_dictionaries(
        {}, optional={"athlete_id": intervals(small), "since": st.tuples(recent, recent)}
    ),
    max_size=4,
)
bounds_of_ids = st.lists(
    st.fixed_dictionaries(
        {}, optional={"athlete_id": intervals(small), "valid_from": intervals(recent)}
    ),
    max_size=4,
)
ROWS = [
    (athlete, day)
    for athlete in (*range(-4, 5), None)
    for day in (*(date(1969, 12, 24) + timedelta(n) for n in range(13)), None)
]


def reaches(box, athlete, day, since, days):
    """Whether a box reaches a row, as its documentation says it."""
    if "athlete_id" in box and not same_or_between(box["athlete_id"], athlete):
        return False
    if "valid_from" in box and not same_or_between(box["valid_from"], day):
        return False
    if since and "since" in box:
        return day is not None and day >= box["since"][0] - timedelta(days)
    return True


def same_or_between(interval, value):
    least, greatest = interval
    return value is None if least is None else is_between(least, value, greatest)


@settings(max_examples=60, deadline=None)
@given(bounds_of_days | bounds_of_ids, st.booleans(), st.sampled_from([0, 1, 3]))
@example([{"athlete_id": (-3, -2)}, {"athlete_id": (None, None)}], False, 0)
@example([{"athlete_id": (1, 2), "since": (date(1970, 1, 1), date(1970, 1, 3))}], True, 1)
def test_a_predicate_keeps_the_rows_that_a_box_reaches(boxes, from_a_day_on, days):
    scope = Scope(keys=None, bounds=tuple(boxes))
    since = "valid_from" if from_a_day_on else None
    expected = [not boxes or any(reaches(box, *row, since, days) for box in boxes) for row in ROWS]
    found = scope.predicate(since=since, days=days)
    assert kept(found, ROWS, athlete_id=BIGINT, valid_from=DATE) == expected


@pytest.mark.parametrize(
    ("box", "text"),
    [
        ({"athlete_id": (-2, 7)}, "(t.athlete_id BETWEEN -2 AND 7)"),
        ({"athlete_id": (LEAST, GREATEST)}, f"(t.athlete_id BETWEEN {LEAST} AND {GREATEST})"),
        (
            {"valid_from": (date(5, 1, 1), date(1969, 12, 31))},
            "(t.valid_from BETWEEN DATE '0005-01-01' AND DATE '1969-12-31')",
        ),
        (
            {"athlete_id": (None, None), "since": (DAY, DAY)},
            "(t.athlete_id IS NULL AND t.as_of_date >= DATE '2023-10-04')",
        ),
        ({}, "(TRUE)"),
    ],
)
def test_predicate_in_words(box, text):
    scope = Scope(keys=None, since="as_of_date", bounds=(box, {"athlete_id": (9, 9)}))
    predicate = scope.predicate(since="as_of_date", days=89, prefix="t.")
    assert predicate == f"{text} OR (t.athlete_id BETWEEN 9 AND 9)"
