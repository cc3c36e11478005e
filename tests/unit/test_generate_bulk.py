"""Rows of activity features in bulk, against their contract and values worked out by hand."""

import hashlib
import math
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from paceline.contract import load
from paceline.errors import UsageError
from paceline.generate.bulk import activity_features
from tests.oracle.rules import broken

TABLE = "feature_store.activity_features"
CONTRACT = load(Path(__file__).parents[2] / "conf" / "contracts" / f"{TABLE}.odcs.yaml")
ARROW_TYPES = {
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "STRING": pa.string(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}
# Standard time at home in hours, by the index of the athlete modulo 13.
OFFSET_H = (1, -5, 8, -8, 5.5, 9.5, 0, -3, 9, -7, 3, 12, -3.5)
END = date(2026, 6, 30)
DAYS, ATHLETES = 1460, 60
SPLITS = ("split_pace_cv", "second_half_pace_ratio", "hr_drift_ratio")


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return activity_features(range(ATHLETES), DAYS, seed=7, end=END)


@pytest.fixture(scope="module")
def rows(table: pa.Table) -> list[dict]:
    return table.to_pylist()


def index_of(row: dict) -> int:
    return row["athlete_id"] - 1001


def days_by_index(rows: list[dict]) -> dict[int, list[date]]:
    days = defaultdict(set)
    for row in rows:
        days[index_of(row)].add(row["local_day"])
    return {index: sorted(found) for index, found in days.items()}


def longest_break(days: list[date]) -> int:
    return max((later - earlier).days for earlier, later in pairwise(days))


def share(rows: list[dict], keeps) -> float:
    return sum(map(bool, map(keeps, rows))) / len(rows)


def since(table: pa.Table, first: date) -> pa.Table:
    return table.filter(pc.greater_equal(table["local_day"], pa.scalar(first)))


def test_the_columns_are_those_of_the_contract(table):
    assert {name: table.schema.field(name).type for name in table.column_names} == {
        column.name: ARROW_TYPES[column.type] for column in CONTRACT.columns
    }
    assert tuple(table.column_names) == CONTRACT.column_names


def test_every_row_keeps_every_rule(rows):
    assert Counter(rule for row in rows for rule in broken(TABLE, row)) == {}


def test_required_columns_are_full_and_the_others_within_their_limits(table):
    nulls = {name: table[name].null_count / table.num_rows for name in table.column_names}
    required = [column.name for column in CONTRACT.columns if column.required]
    assert required
    assert [name for name in required if nulls[name]] == []
    limits = {limit.column: limit.max_null_share for limit in CONTRACT.thresholds.null_limits}
    assert [name for name, most in limits.items() if not nulls[name] <= most] == []
    assert [name for name in limits if not nulls[name]] == []


def test_no_activity_ends_after_noon_of_the_next_day(rows):
    """So a row of the rolling table is known at noon (UTC), which is what contenders write."""
    noon = timedelta(days=1, hours=12)
    for row in rows:
        assert row["event_timestamp"] <= datetime.combine(row["local_day"], time(), UTC) + noon


def test_every_absent_number_is_null_and_none_is_negative_zero(table):
    for column in table.columns:
        if column.type == pa.float64():
            values = column.drop_null().to_numpy()
            assert not np.isnan(values).any()
            assert not (np.signbit(values) & (values == 0)).any()


def test_ids_are_unique_and_rows_in_order(rows):
    assert len({row["activity_id"] for row in rows}) == len(rows)
    assert max(row["activity_id"] for row in rows) > 2**31
    places = [(row["athlete_id"], row["local_day"], row["activity_id"]) for row in rows]
    assert places == sorted(places)
    assert {row["local_day"] for row in rows} == {END - timedelta(days=ago) for ago in range(DAYS)}


def test_an_activity_ends_after_a_start_on_its_local_day(rows):
    for row in rows:
        elapsed = row["elapsed_time_s"]
        lasted = timedelta(seconds=row["moving_time_s"] if elapsed > 86_400 else elapsed)
        offset = timedelta(hours=OFFSET_H[index_of(row) % 13])
        assert (row["event_timestamp"] - lasted + offset).date() == row["local_day"]


def test_second_activities_of_a_day_start_after_the_first(rows):
    doubles = [
        (first, second)
        for first, second in pairwise(rows)
        if first["athlete_id"] == second["athlete_id"] and first["local_day"] == second["local_day"]
    ]
    assert 0.01 < len(doubles) / len(rows) < 0.1
    for first, second in doubles:
        starts = [
            r["event_timestamp"] - timedelta(seconds=r["elapsed_time_s"]) for r in (first, second)
        ]
        is_trusted = all(row["elapsed_time_s"] <= 86_400 for row in (first, second))
        assert not is_trusted or starts[1] - starts[0] == timedelta(hours=9)


def test_equal_arguments_give_equal_tables_and_seeds_differ():
    arguments = {"athletes": range(3), "days": 200, "end": END}
    first = activity_features(**arguments, seed=1)
    assert first.equals(activity_features(**arguments, seed=1))
    assert not first.equals(activity_features(**arguments, seed=2))


def test_the_rows_of_an_athlete_do_not_depend_on_the_others(table):
    alone = activity_features(range(41, 42), DAYS, seed=7, end=END)
    assert alone.num_rows > 100
    assert alone.equals(table.filter(pc.equal(table["athlete_id"], 1042)))


def test_blocks_make_up_the_whole():
    # More athletes than are drawn at a time, cut at other places.
    whole = activity_features(range(0, 1100), 3, seed=7, end=END)
    cuts = (0, 1, 640, 1100)
    parts = [activity_features(range(*cut), 3, seed=7, end=END) for cut in pairwise(cuts)]
    assert pc.count_distinct(whole["athlete_id"]).as_py() > 700
    assert whole.equals(pa.concat_tables(parts))


def test_a_longer_history_and_a_later_end_change_no_row(table):
    first = END - timedelta(days=99)
    recent = activity_features(range(ATHLETES), 100, seed=7, end=END)
    assert recent.equals(since(table, first))
    later = activity_features(range(ATHLETES), 130, seed=7, end=END + timedelta(days=30))
    assert recent.equals(later.filter(pc.less_equal(later["local_day"], pa.scalar(END))))


def test_no_athletes_are_an_empty_table(table):
    empty = activity_features(range(0), 30, seed=7, end=END)
    assert empty.num_rows == 0
    assert empty.schema == table.schema


def test_a_run_is_worth_what_its_pace_says(rows):
    row = next(row for row in rows if row["tss_method"] == "pace")
    assert (row["athlete_id"], row["local_day"]) == (1001, date(2022, 7, 2))
    assert (row["moving_time_s"], row["distance_km"]) == (5168, 11.8195)
    # 285.9 s/km by the settings. 5168 s / 11.8195 km = 437.2435 s/km; 285.9 / 437.2435 = 0.653869;
    # 100 x 5168 / 3600 x 0.653869 x 0.653869 = 61.3764
    assert row["threshold_pace_min_km"] == pytest.approx(4.765, rel=1e-15)
    assert row["pace_min_km"] == pytest.approx(437.2435 / 60, abs=1e-6)
    assert row["intensity_factor"] == pytest.approx(0.653869, abs=1e-6)
    assert row["estimated_tss"] == pytest.approx(61.3764, abs=1e-4)
    # Rounded to 1e-6, the seventh decimal is gone.
    assert row["estimated_tss"] == round(row["estimated_tss"], 6)


def test_another_session_is_worth_what_its_heart_rate_says(rows):
    row = next(row for row in rows if row["tss_method"] == "hr")
    assert (row["athlete_id"], row["local_day"]) == (1001, date(2022, 7, 5))
    # A man with 122 beats between rest and maximum, 50.4 of them used; 2975 s.
    assert row["moving_time_s"] == 2975
    assert row["hr_reserve_ratio"] == pytest.approx(50.4 / 122, rel=1e-12)
    trimp = 2975 / 60 * (50.4 / 122) * 0.64 * math.exp(1.92 * 50.4 / 122)
    assert row["trimp"] == pytest.approx(trimp, rel=1e-12)
    # The threshold is at 87 percent of the reserve: 0.87 x 122 = 106.14, so 106 beats above rest.
    hour_at_threshold = 60 * (106 / 122) * 0.64 * math.exp(1.92 * 106 / 122)
    assert row["estimated_tss"] == pytest.approx(100 * trimp / hour_at_threshold, abs=1e-6)


def test_derived_columns_follow_from_the_others(rows):
    for row in rows:
        minutes, km = row["moving_time_s"] / 60, row["distance_km"]
        assert row["speed_km_h"] == (None if km is None else pytest.approx(km / minutes * 60))
        if km:
            assert row["pace_min_km"] == pytest.approx(minutes / km)
            assert row["elapsed_pace_min_km"] == pytest.approx(row["elapsed_time_s"] / 60 / km)
        gain = row["elevation_gain_m"]
        expected = pytest.approx(gain / km) if km and gain is not None else None
        assert row["elevation_per_km"] == expected


def test_impulses_use_the_constants_of_both_sexes(rows):
    weights = defaultdict(set)
    for row in rows:
        used = row["hr_reserve_ratio"]
        if used is not None:
            weight = row["trimp"] / (row["moving_time_s"] / 60 * used)
            men, women = 0.64 * math.exp(1.92 * used), 0.86 * math.exp(1.67 * used)
            is_male = weight == pytest.approx(men, rel=1e-12)
            assert is_male or weight == pytest.approx(women, rel=1e-12)
            weights[index_of(row)].add(is_male)
    assert {is_male for found in weights.values() for is_male in found} == {True, False}
    # Where the settings do not say, the constants for men are used.
    assert not any(False in weights[index] for index in range(2, ATHLETES, 10))


def test_heart_rates_and_settings_are_absent_where_an_athlete_has_none(rows):
    with_heartrate = defaultdict(set)
    for row in rows:
        with_heartrate[index_of(row)].add(row["efficiency_m_per_beat"] is not None)
        if index_of(row) % 10 == 7:
            assert (row["trimp"], row["hr_reserve_ratio"]) == (None, None)
            assert row["tss_method"] in {"pace", None}
        if index_of(row) % 10 in {6, 7}:
            assert row["threshold_pace_min_km"] == 4.5
    assert {i for i, found in with_heartrate.items() if found == {False}} == set(
        range(7, ATHLETES, 9)
    )
    assert sum(found == {True, False} for found in with_heartrate.values()) > 30
    thresholds = {row["threshold_pace_min_km"] for row in rows if index_of(row) == 0}
    assert len(thresholds) > 5


def test_some_newcomers_have_settings_later_than_activities():
    # These begin in between, and have settings from the 46th day on.
    newcomers = [i for i in range(8, 1000, 10) if i % 3 == 1 and i % 9 != 7]
    table = pa.concat_tables(
        activity_features(range(i, i + 1), DAYS, seed=7, end=END) for i in newcomers
    ).to_pylist()
    days = {i: found for i, found in days_by_index(table).items() if found[0] > date(2022, 10, 1)}
    assert days
    late = [row for row in table if index_of(row) in days]
    early = [r for r in late if (r["local_day"] - days[index_of(r)][0]).days < 30]
    assert {row["threshold_pace_min_km"] for row in early} == {4.5}
    assert {row["trimp"] for row in early} == {None}
    assert {row["threshold_pace_min_km"] for row in late} > {4.5}


def test_athletes_have_habits_pauses_and_some_are_dormant(rows):
    days = days_by_index(rows)
    years = {index for index, found in days.items() if longest_break(found) > 366}
    assert years
    assert {index % 10 for index in years} == {3}
    steady = set(days) - set(range(3, ATHLETES, 10)) - set(range(8, ATHLETES, 10))
    assert sum(14 < longest_break(days[index]) <= 366 for index in steady) > len(steady) / 2
    counts = Counter(index_of(row) for row in rows)
    weekly = sorted(counts[index] * 7 / DAYS for index in steady)
    assert 3 < sum(weekly) / len(weekly) < 6
    assert weekly[0] < 3 < 4 < weekly[-1] < 7


def test_shares_of_what_happens(rows):
    families = {
        f: share(rows, lambda r, f=f: r["sport_family"] == f)
        for f in ("run", "ride", "foot", "swim", "ski", "other")
    }
    assert min(families.values()) > 0.001
    assert families["run"] == max(families.values()) > 0.4
    assert 0.005 < share(rows, lambda r: r["is_race"]) < 0.04
    assert {r["sport_family"] for r in rows if r["is_race"]} == {"run", "ride"}
    assert 0.01 < share(rows, lambda r: r["distance_km"] is None) < 0.1
    assert 0.02 < share(rows, lambda r: r["distance_km"] == 0) < 0.15
    assert 0.0003 < share(rows, lambda r: r["elapsed_time_s"] > 86_400) < 0.003
    assert 0.4 < share(rows, lambda r: r["tss_method"] == "pace") < 0.7
    assert 0.2 < share(rows, lambda r: r["tss_method"] == "hr") < 0.5
    assert 0.03 < share(rows, lambda r: r["tss_method"] is None) < 0.25
    # A run without a distance is scored by its heart rate.
    runs = [row for row in rows if row["sport_family"] == "run" and row["distance_km"] == 0]
    assert {row["tss_method"] for row in runs} == {"hr", None}


def test_some_runs_have_splits(rows):
    detailed = [row for row in rows if row["split_pace_cv"] is not None]
    assert 0.05 < len(detailed) / len(rows) < 0.3
    assert {row["sport_family"] for row in detailed} == {"run"}
    assert min(row["distance_km"] for row in detailed) >= 4
    for row in detailed:
        assert row["second_half_pace_ratio"] is not None
        assert (row["hr_drift_ratio"] is None) == (row["efficiency_m_per_beat"] is None)
    others = [row for row in rows if row["split_pace_cv"] is None]
    assert {row[name] for row in others for name in SPLITS} == {None}


def test_every_machine_draws_the_same_table():
    rows = activity_features(range(9), 365, seed=3, end=END).to_pylist()
    content = repr([[str(value) for value in row.values()] for row in rows])
    digest = hashlib.sha256(content.encode()).hexdigest()
    assert digest == ("b5291066f4fc6e8e1419742863952b1f296ed5d7a6d08871939ac7db5eaedd5a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"athletes": range(-1, 3)}, "The athletes must be within 0 to 99,999"),
        ({"athletes": range(100_001)}, "The athletes must be within 0 to 99,999"),
        ({"seed": -1}, "The seed must not be negative"),
        ({"days": 0}, "The days must be at least 1"),
        ({"days": 7000}, "The days must be at least 1 and begin after 2010-01-01"),
    ],
)
def test_arguments_out_of_range_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        activity_features(**{"athletes": range(2), "days": 3, "seed": 1, "end": END} | changes)
