"""Planted differences are found, and the contenders without Spark agree with the oracle."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.agreement import COLUMNS_AT_A_TIME, agrees, differences
from benchmarks.contenders import HORIZON, with_duckdb, with_polars
from paceline.contract import load_all
from tests.oracle.model import Conf
from tests.oracle.rolling import rolling_rows

CONTRACTS = load_all(Path(__file__).parents[2] / "conf" / "contracts")
TYPES = {
    "BIGINT": pl.Int64(),
    "DOUBLE": pl.Float64(),
    "DATE": pl.Date(),
    "TIMESTAMP": pl.Datetime("us", "UTC"),
    "STRING": pl.String(),
    "BOOLEAN": pl.Boolean(),
}

Rows = list[dict[str, Any]]
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a Delta table with columns of these values, for one athlete day by day."""

    def write(name: str, days: int = 3, **columns: list[Any] | pl.Series) -> str:
        keys = {
            "athlete_id": [1] * days,
            "as_of_date": [date(2026, 1, 1) + timedelta(days=day) for day in range(days)],
        }
        path = str(tmp_path / name)
        types = {"athlete_id": pl.Int64, "as_of_date": pl.Date}
        pl.DataFrame(keys | columns, schema_overrides=types).write_delta(path)
        return path

    return write


def of_column(write: Write, ours: Any, theirs: Any) -> float:
    found = differences(write("ours", x=ours), write("theirs", x=theirs))
    assert list(found["columns"]) == ["x"]
    assert agrees(found) == (found["columns"]["x"] <= 1e-9)
    difference = found["columns"]["x"]
    assert isinstance(difference, float)
    return difference


def test_the_same_rows_in_another_order_agree(write: Write) -> None:
    ours = write("ours", x=[1.0, None, 3.0], n=[1, 2, None])
    theirs = write(
        "theirs",
        athlete_id=[1, 1, 1],
        as_of_date=[date(2026, 1, 3), date(2026, 1, 1), date(2026, 1, 2)],
        x=[3.0, 1.0, None],
        n=[None, 1, 2],
    )
    assert differences(ours, theirs) == {
        "rows": 3,
        "rows_theirs": 3,
        "matched": 3,
        "missing": 0,
        "unexpected": 0,
        "columns": {"x": 0.0, "n": 0.0},
    }
    assert agrees(differences(ours, theirs))


def test_the_largest_difference_is_relative_above_1_and_absolute_below(write: Write) -> None:
    assert of_column(write, [1.0, 400.0, 0.0], [1.0, 300.0, 0.125]) == 0.25


def test_a_small_value_is_compared_absolutely(write: Write) -> None:
    assert of_column(write, [0.0, 0.0, 1e-12], [0.0, 0.0, -1e-12]) == 2e-12


def test_the_sign_does_not_matter(write: Write) -> None:
    assert of_column(write, [-4.0, 0.0, 0.0], [-2.0, -0.0, 0.0]) == 0.5


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (None, 0.0),
        (0.0, None),
        (math.nan, 0.0),
        (0.0, math.nan),
        (None, math.nan),
        (math.nan, None),
        (math.inf, 1.0),
        (math.inf, -math.inf),
    ],
)
def test_a_value_against_none_is_infinitely_far(
    write: Write, ours: float | None, theirs: float | None
) -> None:
    assert of_column(write, [1.0, ours, 2.0], [1.0, theirs, 2.0]) == math.inf


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_the_same_without_a_number_is_no_difference(write: Write, value: float | None) -> None:
    assert of_column(write, [1.0, value, 2.0], [1.0, value, 2.0]) == 0.0


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (10**15, 10**15 + 1),
        (1, None),
        (date(2026, 1, 1), date(2026, 1, 2)),
        ("run", "ride"),
        (True, False),
    ],
)
def test_other_types_are_compared_exactly(write: Write, ours: Any, theirs: Any) -> None:
    assert of_column(write, [ours] * 3, [ours, theirs, ours]) == math.inf


def test_an_instant_is_compared_to_the_microsecond(write: Write) -> None:
    instants = pl.Series([0, 1_000_000, 2_000_000]).cast(pl.Datetime("us", "UTC"))
    later = pl.Series([0, 1_000_001, 2_000_000]).cast(pl.Datetime("us", "UTC"))
    assert of_column(write, instants, later) == math.inf


def test_another_type_is_a_difference(write: Write) -> None:
    assert of_column(write, [1, 2, 3], [1.0, 2.0, 3.0]) == math.inf


def test_a_column_of_one_table_only_is_a_difference(write: Write) -> None:
    found = differences(write("ours", x=[1, 2, 3]), write("theirs", y=[1, 2, 3]))
    assert found["columns"] == {"x": math.inf, "y": math.inf}
    assert not agrees(found)


def test_one_column_of_many_differs(write: Write) -> None:
    names = [f"x{n}" for n in range(3 * COLUMNS_AT_A_TIME + 1)]
    same = {name: [1.0, 2.0, 3.0] for name in names}
    for name in (names[0], names[COLUMNS_AT_A_TIME], names[-1]):
        other = write(f"{name}.theirs", **same | {name: [1.0, 2.0, 4.0]})
        found = differences(write(f"{name}.ours", **same), other)
        assert found["columns"] == dict.fromkeys(names, 0.0) | {name: 0.25}


def test_rows_of_one_table_only_are_counted(write: Write) -> None:
    three, two = write("three", x=[1, 2, 3]), write("two", days=2, x=[1, 2])
    found = differences(three, two)
    assert (found["rows"], found["rows_theirs"], found["matched"]) == (3, 2, 2)
    assert (found["missing"], found["unexpected"]) == (0, 1)
    assert found["columns"] == {"x": 0.0}
    assert not agrees(found)
    reversed_ = differences(two, three)
    assert (reversed_["missing"], reversed_["unexpected"]) == (1, 0)
    assert not agrees(reversed_)


def test_a_repeated_row_does_not_agree(write: Write) -> None:
    first = date(2026, 1, 1)
    once = write("once", days=1, x=[1.0])
    twice = write("twice", athlete_id=[1, 1], as_of_date=[first, first], x=[1.0, 1.0])
    for ours, theirs in ((once, twice), (twice, once), (twice, twice)):
        found = differences(ours, theirs)
        assert (found["missing"], found["unexpected"]) == (0, 0)
        assert not agrees(found)


def test_a_repeated_row_does_not_make_up_for_a_missing_one(write: Write) -> None:
    first = date(2026, 1, 1)
    twice = write("twice", athlete_id=[1, 1], as_of_date=[first, first], x=[1.0, 1.0])
    found = differences(twice, write("two", days=2, x=[1.0, 1.0]))
    assert (found["rows"], found["rows_theirs"], found["matched"]) == (2, 2, 2)
    assert found["missing"] == 1
    assert not agrees(found)


def test_a_table_without_rows_agrees_with_another(write: Write) -> None:
    nothing = pl.Series([], dtype=pl.Float64)
    found = differences(write("ours", days=0, x=nothing), write("theirs", days=0, x=nothing))
    assert found["columns"] == {"x": 0.0}
    assert agrees(found)


def test_the_tolerance_is_inclusive(write: Write) -> None:
    found = differences(write("ours", x=[0.0, 0.0, 0.5]), write("theirs", x=[0.0, 0.0, 0.25]))
    assert agrees(found, tolerance=0.25)
    assert not agrees(found, tolerance=0.2)


def activity(athlete: int, days_ago: int, **values: Any) -> dict[str, Any]:
    """An hour at threshold: 12 km, 100 TSS, and a published score that is out of date."""
    example = CONTRACTS["feature_store.activity_features"].example()
    day = HORIZON - timedelta(days=days_ago)
    hour = {
        "athlete_id": athlete,
        "event_timestamp": (day - date(1970, 1, 1)) // timedelta(microseconds=1),
        "local_day": day,
        "is_duplicate_recording": False,
        "sport_family": "run",
        "distance_km": 12.0,
        "moving_time_s": 3600,
        "elevation_gain_m": 80.0,
        "pace_min_km": 5.0,
        "threshold_pace_min_km": 5.0,
        "estimated_tss": 1.0,
        "tss_method": "pace",
    }
    return {name: None for name in example} | hour | values


WITHOUT_SCORE = {"tss_method": None, "estimated_tss": None, "pace_min_km": None}
BY_HEART = {"tss_method": "hr", "estimated_tss": 33.333333, "sport_family": "ride"}
# Half an hour at 9/10 of threshold speed is 40.5 TSS.
EASY = {"moving_time_s": 1800, "pace_min_km": 5.0, "threshold_pace_min_km": 4.5}


def activities() -> Rows:
    """Athletes that differ in what is hard: gaps, NULLs, equal days, a future, little history."""
    steady = [activity(1, days_ago) for days_ago in range(120)]
    varied = [
        *(activity(2, days_ago, **EASY) for days_ago in range(0, 900, 3)),
        *(activity(2, days_ago, **BY_HEART) for days_ago in range(0, 900, 7)),
        activity(2, 5, **WITHOUT_SCORE, distance_km=None, elevation_gain_m=None),
        activity(2, 6, **WITHOUT_SCORE, distance_km=0.0),
        activity(2, 901, **WITHOUT_SCORE, sport_family="other"),
    ]
    # Dormant between the second and the third, and again before the horizon.
    sleepy = [activity(3, days_ago, **EASY) for days_ago in (1500, 1490, 1000, 500)]
    # At the edge: the row of the last day of being awake, and a gap without a day of sleep.
    awake = [activity(4, days_ago) for days_ago in (1097, 731, 365)]
    of_the_future = [activity(athlete, -ahead) for athlete in (1, 4, 5) for ahead in (1, 3)]
    newcomer = [activity(6, 0, **EASY), activity(6, 0, **BY_HEART), activity(7, 1, **EASY)]
    return [*newcomer, *of_the_future, *awake, *sleepy, *varied, *steady]


def scored(one: dict[str, Any]) -> dict[str, Any]:
    """What the oracle takes: with the score that the example says the activity has."""
    tss = {1800: 40.5, 3600: 100.0}[one["moving_time_s"]]
    return one | {"estimated_tss": tss if one["tss_method"] == "pace" else one["estimated_tss"]}


def expected_rows(features: Rows) -> Rows:
    """The rows of the oracle, athlete after athlete."""
    return [
        {"athlete_id": athlete} | row
        for athlete in sorted({one["athlete_id"] for one in features})
        for row in rolling_rows(
            [scored(one) for one in features if one["athlete_id"] == athlete],
            Conf(horizon=HORIZON, dormant_after_days=365),
        )
    ]


def written(rows: Rows, table_name: str, path: Path) -> str:
    schema = {column.name: TYPES[column.type] for column in CONTRACTS[table_name].columns}
    pl.DataFrame(rows, schema=schema).write_delta(path)
    return str(path)


@pytest.mark.parametrize("contender", [with_polars, with_duckdb])
def test_a_contender_without_spark_agrees_with_the_oracle(
    contender: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_polars, "ATHLETES_A_BLOCK", 2)
    features = activities()
    source = written(features, "feature_store.activity_features", tmp_path / "source")
    rolling = "feature_store.athlete_rolling_features"
    expected = written(expected_rows(features), rolling, tmp_path / "expected")
    target = str(tmp_path / "target")
    contender.backfill(source, target)
    found = differences(target, expected)
    assert found["columns"] == pytest.approx(dict.fromkeys(found["columns"], 0.0), abs=1e-12)
    assert agrees(found)
    names = pl.scan_delta(target).collect_schema().names()
    assert names == list(CONTRACTS[rolling].column_names)
