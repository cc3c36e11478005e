"""The naive verdicts on single rows, against values by hand, and the rows with planted defects."""

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from paceline.contract import load_all
from tests.oracle import Conf, defects
from tests.oracle.activities import broken_rules as broken_rules_of_activities
from tests.oracle.athlete_settings import broken_rules as broken_rules_of_settings
from tests.oracle.rules import KEEPS, broken
from tests.oracle.values import EPOCH

CONTRACTS = load_all(Path(__file__).parents[2] / "conf" / "contracts")
TABLES = {name: defects.table_of(contract) for name, contract in CONTRACTS.items()}
RECEIVED, RECEIVED_SETTINGS = "bronze.strava_activities", "bronze.athlete_settings"
ACTIVITIES, SETTINGS = "silver.strava_activities", "silver.athlete_settings"
PARTS = "silver.strava_sub_activity"
FEATURES = "feature_store.activity_features"
ROLLING = "feature_store.athlete_rolling_features"
COUNT = 400
NAN, INF = math.nan, math.inf
FOR_RUNS = "intensity_factor_of_runs"
DIGEST = "0123456789abcdef" * 4
TYPES = {
    **{"BIGINT": int, "INT": int, "DOUBLE": float, "STRING": str, "BOOLEAN": bool},
    **{"DATE": date, "TIMESTAMP": datetime, "TIMESTAMP_NTZ": datetime},
}


@pytest.fixture(scope="module", params=TABLES)
def generated(request):
    """The name of a table and its generated rows."""
    return request.param, defects.rows(TABLES[request.param], seed=1, count=COUNT)


def after(table, **changes):
    """The rules that the example row breaks after changes."""
    return " ".join(broken(table, CONTRACTS[table].example() | changes))


def test_every_rule_of_every_contract_has_a_verdict_and_there_are_no_others():
    assert {name: list(verdicts) for name, verdicts in KEEPS.items()} == {
        name: [rule.name for rule in contract.rules] for name, contract in CONTRACTS.items()
    }


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_example_keeps_all_rules(name):
    assert after(name) == ""


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        pytest.param(name, rule, id=f"{name}-{rule.name}")
        for name, contract in CONTRACTS.items()
        for rule in contract.rules
    ],
)
def test_a_counter_example_breaks_its_rule_and_no_other(name, rule):
    assert after(name, **rule.counter_example) == rule.name


# By table: what is changed in the example row, and the rules that it then breaks.
VERDICTS = {
    RECEIVED: [
        ({"source": "athlete_settings"}, "source_known"),
        ({"op": "D"}, "op_known"),
        ({"source_digest": DIGEST}, ""),
        ({"source_digest": DIGEST.upper()}, "digest_is_sha256"),
        ({"source_digest": f"{DIGEST}\n"}, "digest_is_sha256"),
        ({"source_digest": f"\n{DIGEST}"}, "digest_is_sha256"),
        ({"source_digest": None}, "digest_is_sha256"),
        ({"line_number": 1}, ""),
        ({"line_number": None}, "line_number_positive"),
        ({"athlete_id": None}, "ids_readable"),
        ({"athlete_id": None, "op": "d"}, ""),
        ({"activity_id": None, "op": "d"}, "ids_readable"),
    ],
    RECEIVED_SETTINGS: [
        ({"source": "strava_api"}, "source_known"),
        ({"athlete_id": None, "op": "d"}, "ids_readable"),
    ],
    ACTIVITIES: [
        ({"start_date": datetime(1980, 1, 1, tzinfo=UTC)}, ""),
        ({"start_date": datetime(1979, 12, 31, 23, 59, 59, 999_999, UTC)}, "start_date_present"),
        # 3000 s may be 2 s above the elapsed time.
        ({"elapsed_time_s": 2998}, ""),
        ({"elapsed_time_s": 2997}, "moving_within_elapsed"),
        ({"moving_time_s": None}, "moving_time_positive"),
        ({"elapsed_time_s": 86_400}, ""),
        ({"elapsed_time_s": 2**63 - 1}, "elapsed_over_24h"),
        # Less than a millimetre is neither a distance nor none.
        ({"distance_m": -0.0}, ""),
        ({"distance_m": 0.001}, "run_slower_than_3_km_h gain_over_200_m_per_km"),
        (
            {"distance_m": 0.0009},
            "distance_not_negative run_slower_than_3_km_h gain_over_200_m_per_km",
        ),
        # The limit of another family is another one.
        ({"distance_m": 22_000.0, "moving_time_s": 2900}, "run_speed_max"),
        ({"distance_m": 22_000.0, "moving_time_s": 2900, "sport_family": "ride"}, ""),
        ({"distance_m": 22_000.0, "moving_time_s": 2900, "sport_family": None}, ""),
        # 2500 m in 3000 s are 3 km/h.
        ({"distance_m": 2500.0}, ""),
        ({"distance_m": 2499.9}, "run_slower_than_3_km_h"),
        ({"distance_m": 2499.9, "sport_family": "foot"}, ""),
        # 200 m per km over 10 km are 2000 m.
        ({"elevation_gain_m": 2000.0}, ""),
        ({"elevation_gain_m": 2000.1}, "gain_over_200_m_per_km"),
        ({"elevation_gain_m": 50_001.0, "distance_m": 0.0}, "elevation_gain_range"),
        ({"average_heartrate_bpm": 172.0}, ""),
        ({"average_heartrate_bpm": 172.1}, "average_heartrate_below_max"),
        # NaN is above every number, infinity too.
        ({"max_heartrate_bpm": NAN}, "numbers_finite"),
        (
            {"average_heartrate_bpm": NAN},
            "average_heartrate_range average_heartrate_below_max numbers_finite",
        ),
        (
            {"average_heartrate_bpm": NAN, "max_heartrate_bpm": NAN},
            "average_heartrate_range numbers_finite",
        ),
        ({"max_heartrate_bpm": -INF}, "average_heartrate_below_max numbers_finite"),
        ({"distance_m": NAN}, "distance_not_negative run_speed_max numbers_finite"),
        ({"distance_m": INF}, "distance_not_negative run_speed_max numbers_finite"),
        ({"distance_m": -INF}, "distance_not_negative numbers_finite"),
        ({"elevation_gain_m": NAN}, "elevation_gain_range numbers_finite gain_over_200_m_per_km"),
        ({"average_watts_w": INF}, "numbers_finite"),
    ],
    SETTINGS: [
        ({"hr_rest_bpm": 30.0}, ""),
        ({"hr_rest_bpm": 29.9}, "heartrates_range"),
        ({"hr_rest_bpm": 169.0}, ""),
        ({"hr_rest_bpm": 169.1}, "hr_rest_below_lthr"),
        ({"hr_max_bpm": 170.0}, ""),
        ({"hr_max_bpm": NAN}, "heartrates_range"),
        ({"hr_rest_bpm": NAN}, "heartrates_range hr_rest_below_lthr hr_rest_below_max"),
        (
            {"hr_rest_bpm": NAN, "lthr_bpm": NAN},
            "heartrates_range hr_rest_below_max lthr_within_max",
        ),
        ({"hr_max_bpm": -INF}, "heartrates_range hr_rest_below_max lthr_within_max"),
        ({"threshold_pace_s_per_km": NAN}, "threshold_pace_range"),
        ({"threshold_pace_s_per_km": 1200.0}, ""),
        ({"sex": ""}, "sex_known"),
        ({"sex": "F\n"}, "sex_known"),
        ({"sex": None, "hr_max_bpm": None, "lthr_bpm": None, "hr_rest_bpm": None}, ""),
    ],
    PARTS: [
        ({"distance_m": -0.0, "moving_time_s": 0, "elapsed_time_s": 0}, ""),
        ({"distance_m": 2_000_000.0, "moving_time_s": 2_592_000}, ""),
        ({"moving_time_s": 2_592_001}, "moving_time_not_negative"),
        ({"distance_m": 2_000_000.5}, "distance_not_negative"),
        ({"distance_m": NAN}, "distance_not_negative numbers_finite"),
        ({"elevation_difference_m": -INF}, "numbers_finite"),
        ({"kind": "split\n"}, "kind_known"),
        ({"kind": None, "sub_index": None}, "kind_known sub_index_positive"),
    ],
    FEATURES: [
        ({"moving_time_s": None}, "times_positive"),
        ({"distance_km": -0.0}, "pace_with_distance"),
        ({"distance_km": NAN}, "numbers_finite"),
        ({"distance_km": -INF}, "measures_not_negative numbers_finite"),
        ({"split_pace_cv": -5e-324}, "measures_not_negative"),
        ({"hr_drift_ratio": -0.5}, ""),
        ({"threshold_pace_min_km": None}, "threshold_pace_positive"),
        ({"threshold_pace_min_km": NAN}, "numbers_finite"),
        ({"pace_min_km": None}, "pace_with_distance intensity_factor_of_runs"),
        ({"pace_min_km": NAN}, "numbers_finite run_pace_plausible"),
        ({"pace_min_km": 20.0}, ""),
        ({"speed_km_h": 1.5}, ""),
        ({"speed_km_h": math.nextafter(1.5, 0)}, FOR_RUNS),
        ({"speed_km_h": 1.4, "intensity_factor": None, "tss_method": "hr"}, ""),
        ({"speed_km_h": 1.5, "intensity_factor": None, "tss_method": "hr"}, FOR_RUNS),
        ({"speed_km_h": NAN}, "numbers_finite"),
        ({"speed_km_h": None}, FOR_RUNS),
        ({"sport_family": "ride"}, "intensity_factor_of_runs"),
        ({"sport_family": "ride", "intensity_factor": None, "tss_method": "hr"}, ""),
        ({"sport_family": None}, "sport_family_known intensity_factor_of_runs"),
        ({"hr_reserve_ratio": NAN}, "hr_reserve_ratio_range numbers_finite"),
        ({"trimp": None, "hr_reserve_ratio": None}, ""),
        ({"tss_method": None}, "tss_with_method tss_method_by_inputs"),
        # 3000 s at 225 an hour are 187.5.
        ({"estimated_tss": 187.5}, ""),
        ({"estimated_tss": 187.51}, "load_below_225_per_hour"),
        ({"estimated_tss": NAN}, "numbers_finite load_below_225_per_hour"),
    ],
    ROLLING: [
        ({"event_timestamp": None}, "event_timestamp_next_noon"),
        ({"as_of_date": None}, "as_of_date_present"),
        ({"event_timestamp": datetime(2024, 6, 2, 12, 0, 0, 1, UTC)}, ""),
        ({"event_timestamp": datetime(2024, 7, 2, 7, tzinfo=UTC)}, ""),
        (
            {"event_timestamp": datetime(2024, 6, 2, 11, 59, 59, 999_999, UTC)},
            "event_timestamp_next_noon",
        ),
        ({"as_of_date": date(9999, 12, 31)}, "event_timestamp_next_noon"),
        (
            {
                "as_of_date": date(1969, 12, 30),
                "event_timestamp": datetime(1969, 12, 31, 12, tzinfo=UTC),
            },
            "",
        ),
        ({"ctl_ewma_42d": None}, "ewma_not_negative"),
        ({"ctl_ewma_42d": NAN}, "numbers_finite"),
        ({"tsb_ewma": -INF}, "numbers_finite"),
        ({"tss_28d": 1080.1}, "tss_nested"),
        ({"tss_42d": 1079.9}, "tss_nested"),
        ({"tss_90d": NAN}, "numbers_finite"),
        ({"tss_1d": NAN}, "tss_nested numbers_finite load_below_225_per_hour"),
        ({"distance_km_1d": None}, "distance_km_nested"),
        ({"activities_7d": None}, "activities_nested parts_within_whole"),
        ({"active_days_7d": None}, "active_days_nested active_days_within_window"),
        ({"active_days_7d": 8, "activities_7d": 9}, "active_days_within_window"),
        ({"run_distance_km_7d": 40.0}, ""),
        ({"run_distance_km_7d": 40.1}, "parts_within_whole"),
        ({"acwr": 4.0}, ""),
        ({"acwr": NAN}, "acwr_range numbers_finite"),
        ({"acwr_uncoupled": -0.1}, "measures_not_negative"),
        ({"history_days": 28}, ""),
        ({"history_days": 27}, "acwr_needs_28_days"),
        ({"history_days": 27, "acwr": None}, "acwr_needs_28_days"),
        ({"history_days": None}, "acwr_needs_28_days monotony_needs_7_days days_within_history"),
        ({"days_since_last_activity": None}, "days_within_history last_activity_today"),
        ({"activities_1d": 0}, "last_activity_today"),
        (
            {"history_days": 0, "days_since_last_activity": -1, "activities_1d": 0, "acwr": None}
            | {"acwr_uncoupled": None, "monotony_7d": None, "strain_7d": None},
            "counts_not_negative days_within_history",
        ),
        ({"run_pace_min_km_90d": 20.1}, "run_pace_plausible"),
        ({"run_pace_min_km_90d": INF}, "numbers_finite run_pace_plausible"),
        # 3000 s at 225 an hour are 187.5.
        ({"tss_1d": 187.5}, ""),
        ({"tss_1d": 187.51}, "load_below_225_per_hour"),
        ({"moving_time_s_1d": None}, "moving_time_s_nested load_below_225_per_hour"),
    ],
}


@pytest.mark.parametrize(
    ("table", "changes", "expected"),
    [(table, *case) for table, cases in VERDICTS.items() for case in cases],
)
def test_verdicts(table, changes, expected):
    assert after(table, **changes) == expected


# Sport family, distance in m, and the whole seconds in which it can be done, but not in one less.
FASTEST = [
    ("run", 399.0, 32),
    ("run", 400.0, 40),
    ("run", 799.9, 79),
    ("run", 800.0, 93),
    ("run", 1499.9, 175),
    ("run", 1500.0, 190),
    ("run", 4999.0, 632),
    ("run", 5000.0, 693),
    ("run", 9999.0, 1385),
    ("run", 10_000.0, 1440),
    ("run", 21_096.0, 3038),
    ("run", 21_097.0, 3165),
    ("run", 42_194.0, 6330),
    ("run", 42_195.0, 6605),
    ("run", 100_000.0, 15_653),
    ("ride", 4999.0, 180),
    ("ride", 5000.0, 225),
    ("ride", 40_000.0, 1800),
]


@pytest.mark.parametrize(("family", "distance", "seconds"), FASTEST)
def test_the_greatest_speed_follows_the_distance(family, distance, seconds):
    row = {"sport_family": family, "distance_m": distance, "elevation_gain_m": None}
    row["elapsed_time_s"] = seconds
    assert after(ACTIVITIES, **row, moving_time_s=seconds) == ""
    assert after(ACTIVITIES, **row, moving_time_s=seconds - 1) == f"{family}_speed_max"


def test_a_rolling_row_of_which_nothing_is_known_breaks_what_needs_a_value():
    row = dict.fromkeys(CONTRACTS[ROLLING].column_names)
    kept = [name for name in KEEPS[ROLLING] if name not in broken(ROLLING, row)]
    assert kept == [
        "event_timestamp_next_noon",
        "run_pace_90d_with_30d",
        "acwr_range",
        "acwr_needs_28_days",
        "monotony_needs_7_days",
        "strain_with_monotony",
        "numbers_finite",
        "run_pace_plausible",
    ]


def test_the_verdicts_agree_with_the_tables_of_the_oracle():
    conf = Conf(date(2024, 1, 1))
    for table in ACTIVITIES, SETTINGS:
        errors = {rule.name for rule in CONTRACTS[table].rules if rule.severity == "error"}
        rows = defects.rows(TABLES[table], seed=2, count=COUNT)
        rows = [row for row in rows if not any(value != value for value in row.values())]
        assert len(rows) > COUNT / 2
        for row in rows:
            if table == ACTIVITIES:
                start = row["start_date"]
                us = None if start is None else (start - EPOCH).total_seconds() * 1e6
                expected = broken_rules_of_activities({**row, "start_date": us}, conf)
            else:
                expected = broken_rules_of_settings(row)
            assert tuple(name for name in broken(table, row) if name in errors) == expected


def test_generated_rows_are_the_same_for_the_same_seed(generated):
    name, rows = generated
    assert repr(defects.rows(TABLES[name], seed=1, count=COUNT)) == repr(rows)
    assert repr(defects.rows(TABLES[name], seed=2, count=COUNT)) != repr(rows)


def test_generated_rows_have_the_columns_and_types_of_the_contract_and_unique_keys(generated):
    name, rows = generated
    contract = CONTRACTS[name]
    assert len(rows) == COUNT
    assert len({tuple(row[column] for column in contract.key) for row in rows}) == COUNT
    for row in rows:
        assert tuple(row) == contract.column_names
        for column in contract.columns:
            value = row[column.name]
            assert value is None or type(value) is TYPES[column.type], column.name
            if value is not None and column.type in ("BIGINT", "INT"):
                assert abs(value + 0.5) <= 2.0 ** (63 if column.type == "BIGINT" else 31)
            if value is not None and column.type.startswith("TIMESTAMP"):
                assert (value.tzinfo is not None) == (column.type == "TIMESTAMP")


def test_every_third_row_is_good_and_every_rule_is_broken_by_some_row(generated):
    name, rows = generated
    assert {rule for row in rows[::3] for rule in broken(name, row)} == set()
    assert {rule for row in rows for rule in broken(name, row)} == set(KEEPS[name])


def test_generated_rows_hold_each_kind_of_defect_in_each_column(generated):
    name, rows = generated
    for column in CONTRACTS[name].columns:
        shown = {repr(row[column.name]) for row in rows}
        assert "None" in shown
        if column.type == "DOUBLE":
            assert {"nan", "inf", "-inf", "0.0", "-0.0", "5e-324"} <= shown, column.name
            assert {"1.7976931348623157e+308", "-1.7976931348623157e+308"} <= shown, column.name
        if column.type == "BIGINT":
            assert {"-9223372036854775808", "9223372036854775807", "-1", "0"} <= shown, column.name
        if column.type == "INT":
            assert {"-2147483648", "2147483647", "-1", "0"} <= shown, column.name
        if column.type == "BOOLEAN":
            assert {"True", "False"} <= shown
        if column.type == "DATE":
            assert {"datetime.date(1, 1, 1)", "datetime.date(9999, 12, 31)"} <= shown
        if column.type == "STRING" and column.example is not None:
            half = len(column.example) // 2
            newlines = (f"{column.example}\n", f"{column.example[:half]}\n{column.example[half:]}")
            assert {repr(""), *map(repr, newlines)} <= shown, column.name


def values(name, column):
    return {row[column] for row in defects.rows(TABLES[name], seed=1, count=COUNT)}


def test_generated_rows_hold_the_values_at_which_predicates_turn():
    heart_rates = values(ACTIVITIES, "average_heartrate_bpm")
    assert {25.0, 24.999999999999996, 25.000000000000004, 240.0} <= heart_rates
    first = datetime(1980, 1, 1, tzinfo=UTC)
    assert {first, first - timedelta(microseconds=1)} <= values(ACTIVITIES, "start_date")
    assert {"d", "D", "d\n"} <= values(RECEIVED, "op")
    # The example moved for 3000 s of 3100 s, and 2 s more than all of them are granted.
    assert {2_592_000, 2_592_001, 3102, 3103} <= values(ACTIVITIES, "moving_time_s")
    assert {2997, 2998} <= values(ACTIVITIES, "elapsed_time_s")
    # A run of 3000 s at 3 km/h is 2500 m.
    assert {0.001, math.nextafter(0.001, 0), 2_000_000.0} <= values(ACTIVITIES, "distance_m")
    assert any(f"{distance}"[:4] == "2500" for distance in values(ACTIVITIES, "distance_m"))


def test_generated_rows_hold_the_greatest_speeds():
    rows = defects.rows(TABLES[ACTIVITIES], seed=1, count=COUNT)
    speeds = {(row["sport_family"], row["distance_m"], row["moving_time_s"]) for row in rows}
    just_below = math.nextafter(21_097.0, 0.0)
    for family, distance, seconds in ("run", 400.0, 40), ("ride", 5000.0, 225):
        assert {(family, distance, seconds), (family, distance, seconds - 1)} <= speeds
    # 21,097 m at 25 and at 24 km/h are 3,037.97 and 3,164.55 s.
    assert {("run", just_below, 3038), ("run", just_below, 3037)} <= speeds
    assert {("run", 21_097.0, 3165), ("run", 21_097.0, 3164)} <= speeds


def test_generated_rows_exchange_columns_and_put_nan_into_both():
    rows = defects.rows(TABLES[ACTIVITIES], seed=1, count=COUNT)
    assert any(row["elapsed_time_s"] == 3000 and row["moving_time_s"] == 3100 for row in rows)
    both = ("average_heartrate_bpm", "max_heartrate_bpm")
    assert any(
        all(row[name] is not None and row[name] != row[name] for name in both) for row in rows
    )
    assert any(
        row["average_heartrate_bpm"] / row["max_heartrate_bpm"] == pytest.approx(172 / 150)
        for row in rows
        if all(row[name] for name in both)
    )


def test_too_few_rows_for_all_defects_are_refused():
    with pytest.raises(ValueError, match="3 rows are too few for"):
        defects.rows(TABLES[ACTIVITIES], seed=1, count=3)


def test_batches_with_a_defect_of_the_whole():
    table = defects.Table(
        (
            defects.Field("shoe_id", "BIGINT", True, 7, True),
            defects.Field("foot", "STRING", True, "left", True),
            defects.Field("worn_km", "DOUBLE", False, 1.5, False),
        ),
        (),
    )
    first, last = [
        {"shoe_id": 7, "foot": "left", "worn_km": 1.5},
        {"shoe_id": 8, "foot": "right", "worn_km": 2.5},
    ]
    batch = [first, last]
    assert defects.empty(batch) == []
    assert [row["worn_km"] for row in defects.all_null(batch, "worn_km")] == [None, None]
    assert defects.duplicate_new_key(table, batch) == [
        *batch,
        {"shoe_id": 7, "foot": "left", "worn_km": 2.5},
    ]
    published = {"shoe_id": 5, "foot": "left", "worn_km": 9.0}
    assert defects.duplicate_old_key(table, batch, published) == [
        *batch,
        {"shoe_id": 5, "foot": "left", "worn_km": 1.5},
        {"shoe_id": 5, "foot": "left", "worn_km": 2.5},
    ]
    assert defects.null_key(table, batch) == [
        *batch,
        {"shoe_id": None, "foot": "left", "worn_km": 1.5},
        {"shoe_id": 7, "foot": None, "worn_km": 1.5},
    ]
    assert batch == [first, last]
    assert (first["worn_km"], last["worn_km"]) == (1.5, 2.5)
