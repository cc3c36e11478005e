"""Rules on Spark: a good row breaks none, each counter-example breaks its own rule and no other."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from paceline.contract import load_all

CONTRACTS = load_all(Path(__file__).parents[2] / "conf" / "contracts")

SPARK_NAMES = {
    "BOOLEAN": "boolean",
    "BIGINT": "bigint",
    "INT": "int",
    "DOUBLE": "double",
    "STRING": "string",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_NTZ": "timestamp_ntz",
}

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1
HOSTILE = {
    "BIGINT": (LONG_MIN, LONG_MAX, 0),
    "INT": (-(2**31), 2**31 - 1, 0),
    "DOUBLE": (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 5e-324, 1.7e308),
    "DATE": (date(1, 1, 1), date(9999, 12, 31)),
    "TIMESTAMP": (datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)),
    "STRING": ("", "'"),
}


def judge(spark, contract, rows):
    """For each row the names of its broken errors and warnings, in one Spark job."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import LongType, StructField, StructType

    schema = StructType(
        [
            StructField("row_number", LongType()),
            *(StructField(f.name, f.dataType) for f in contract.schema()),
        ]
    )
    values = [(n, *(row[c] for c in contract.column_names)) for n, row in enumerate(rows)]
    judged = spark.createDataFrame(values, schema).select(
        "row_number",
        F.struct(
            contract.broken_rules("error").alias("errors"),
            contract.broken_rules("warning").alias("warnings"),
        ).alias("broken"),
    )
    found = dict(judged.collect())
    return [(found[n].errors, found[n].warnings) for n in range(len(rows))]


@pytest.mark.parametrize("name", CONTRACTS)
def test_each_counter_example_breaks_its_rule_and_no_other(spark, name):
    contract = CONTRACTS[name]
    example = contract.example()
    rows = [example, *(example | dict(rule.counter_example) for rule in contract.rules)]
    good, *broken = judge(spark, contract, rows)
    assert good == ([], [])
    for rule, (errors, warnings) in zip(contract.rules, broken, strict=True):
        expected = ([rule.name], []) if rule.severity == "error" else ([], [rule.name])
        assert (errors, warnings) == expected, rule.name


@pytest.mark.parametrize("name", CONTRACTS)
def test_no_value_makes_a_rule_raise(spark, name):
    contract = CONTRACTS[name]
    example = contract.example()
    rows = [dict.fromkeys(example)]
    for position in range(max(map(len, HOSTILE.values()))):
        rows.append(
            {
                c.name: hostile[position % len(hostile)]
                if (hostile := HOSTILE.get(c.type))
                else None
                for c in contract.columns
            }
        )
    for column in contract.columns:
        rows += [example | {column.name: value} for value in HOSTILE.get(column.type, ())]
    names = [rule.name for rule in contract.rules]
    for errors, warnings in judge(spark, contract, rows):
        assert set(errors) | set(warnings) <= set(names)
        assert errors == sorted(errors, key=names.index)


@pytest.mark.parametrize("name", CONTRACTS)
def test_schema_has_the_types_and_nullability_of_the_contract(spark, name):
    contract = CONTRACTS[name]
    assert [(f.name, f.dataType.simpleString(), f.nullable) for f in contract.schema()] == [
        (c.name, SPARK_NAMES[c.type], not c.required) for c in contract.columns
    ]


@pytest.mark.parametrize("name", CONTRACTS)
def test_ddl_is_understood(spark, name):
    from pyspark.sql.types import StructType

    contract = CONTRACTS[name]
    parsed = StructType.fromDDL(contract.ddl())
    assert [(f.name, f.dataType, f.nullable) for f in parsed] == [
        (f.name, f.dataType, f.nullable) for f in contract.schema()
    ]
    for field, column in zip(parsed, contract.columns, strict=True):
        assert field.metadata["comment"].startswith(column.description)


def activity(**changes):
    return CONTRACTS["silver.strava_activities"].example() | changes


def ran(metres, seconds):
    return activity(
        distance_m=metres, moving_time_s=seconds, elapsed_time_s=seconds, elevation_gain_m=0.0
    )


# Metres, seconds, and whether they are possible.
RUNS = [
    # An 800 m race in 2:05, a half marathon in 57:30, and a sprint of 100 m in 10 s.
    (800.0, 125, True),
    (21_097.5, 3450, True),
    (100.0, 10, True),
    # 20 km in 20 minutes, and a marathon in 1:45.
    (20_000.0, 1200, False),
    (42_195.0, 6300, False),
    # Each limit and a metre more: up to 45 km/h below 400 m, 36.5 below 800 m, 31 below 1,500 m,
    (375.0, 30, True),
    (376.0, 30, False),
    (730.0, 72, True),
    (731.0, 72, False),
    (1240.0, 144, True),
    (1241.0, 144, False),
    # 28.5 below 5 km, 26 below 10 km, 25 below a half marathon, 24 below a marathon, 23 beyond.
    (4750.0, 600, True),
    (4751.0, 600, False),
    (9750.0, 1350, True),
    (9751.0, 1350, False),
    (20_000.0, 2880, True),
    (20_001.0, 2880, False),
    (36_000.0, 5400, True),
    (36_001.0, 5400, False),
    (46_000.0, 7200, True),
    (46_001.0, 7200, False),
]

ACTIVITIES = [
    *(
        (ran(metres, seconds), [] if is_possible else ["run_speed_max"], [])
        for metres, seconds, is_possible in RUNS
    ),
    # Down a pass a ride may average 100 km/h, from 5 km on 80.
    (activity(sport_family="ride", distance_m=4000.0, moving_time_s=144), [], []),
    (activity(sport_family="ride", distance_m=4001.0, moving_time_s=144), ["ride_speed_max"], []),
    (activity(sport_family="ride", distance_m=5000.0, moving_time_s=224), ["ride_speed_max"], []),
    # 80 km/h is 40,000 m in 1,800 s.
    (activity(sport_family="ride", distance_m=40000.0, moving_time_s=1800), [], []),
    (
        activity(sport_family="ride", distance_m=40001.0, moving_time_s=1800),
        ["ride_speed_max"],
        [],
    ),
    # 53 km in 118 s.
    (
        activity(sport_family="ride", distance_m=53000.0, moving_time_s=118),
        ["ride_speed_max"],
        [],
    ),
    (activity(sport_family="ski", distance_m=53000.0, moving_time_s=118), [], []),
    # A treadmill run, a strength session, a run that was delivered without a distance.
    (activity(distance_m=0.0), [], []),
    (activity(sport_family="other", distance_m=0.0, elevation_gain_m=None), [], []),
    (activity(distance_m=None), [], []),
    # One absent value breaks its own rule and not its neighbours.
    (activity(moving_time_s=None), ["moving_time_positive"], []),
    (activity(elapsed_time_s=None), ["elapsed_time_positive"], []),
    (activity(moving_time_s=1, elapsed_time_s=0, distance_m=None), ["elapsed_time_positive"], []),
    (activity(start_date=None), ["start_date_present"], []),
    (activity(average_heartrate_bpm=None, max_heartrate_bpm=None), [], []),
    # Two seconds of rounding are granted, three are not.
    (activity(moving_time_s=3102), [], []),
    (activity(moving_time_s=3103), ["moving_within_elapsed"], []),
    # 30 days of motion, and a second more.
    (
        activity(sport_family="foot", moving_time_s=2592000, elapsed_time_s=2592000),
        [],
        ["elapsed_over_24h"],
    ),
    (
        activity(sport_family="foot", moving_time_s=2592001, elapsed_time_s=2592001),
        ["moving_time_positive"],
        ["elapsed_over_24h"],
    ),
    (activity(elapsed_time_s=86400), [], []),
    # 2,500 m in 3,000 s are exactly 3 km/h.
    (activity(distance_m=2500.0), [], []),
    (activity(distance_m=2499.0), [], ["run_slower_than_3_km_h"]),
    # 200 m per km over 10 km are 2,000 m.
    (activity(elevation_gain_m=2000.0), [], []),
    (activity(elevation_gain_m=2000.5), [], ["gain_over_200_m_per_km"]),
    (activity(elevation_gain_m=50000.5, distance_m=None), ["elevation_gain_range"], []),
    (activity(average_heartrate_bpm=25.0), [], []),
    (activity(average_heartrate_bpm=24.9), ["average_heartrate_range"], []),
    (
        activity(average_heartrate_bpm=240.1, max_heartrate_bpm=250.0),
        ["average_heartrate_range"],
        [],
    ),
    (activity(average_heartrate_bpm=172.0), [], []),
    (activity(distance_m=2000000.5, sport_family="other"), ["distance_not_negative"], []),
    # Several rules at once, in the order of the contract.
    (
        activity(athlete_id=None, distance_m=-5.0, average_heartrate_bpm=300.0),
        [
            "athlete_id_present",
            "distance_not_negative",
            "average_heartrate_range",
            "average_heartrate_below_max",
        ],
        [],
    ),
    (activity(calories=float("-inf")), ["numbers_finite"], []),
]


def test_activities_at_the_limits(spark):
    contract = CONTRACTS["silver.strava_activities"]
    judged = judge(spark, contract, [row for row, _, _ in ACTIVITIES])
    assert judged == [(errors, warnings) for _, errors, warnings in ACTIVITIES]


def settings(rest, lthr, maximum, **changes):
    example = CONTRACTS["silver.athlete_settings"].example()
    return example | {"hr_rest_bpm": rest, "lthr_bpm": lthr, "hr_max_bpm": maximum} | changes


SETTINGS = [
    (settings(30.0, 31.0, 31.0), []),
    (settings(249.0, 250.0, 250.0), []),
    (settings(None, None, None, threshold_pace_s_per_km=None, sex=None), []),
    (settings(None, 170.0, None), []),
    (settings(50.0, None, 190.0), []),
    (settings(50.0, None, 50.0), ["hr_rest_below_max"]),
    (settings(50.0, 50.0, 190.0), ["hr_rest_below_lthr"]),
    (settings(None, 191.0, 190.0), ["lthr_within_max"]),
    (settings(50.0, 170.0, 250.5), ["heartrates_range"]),
    (settings(None, None, float("nan")), ["heartrates_range"]),
    (settings(190.0, 170.0, 150.0), ["hr_rest_below_lthr", "hr_rest_below_max", "lthr_within_max"]),
    (settings(50.0, 170.0, 190.0, threshold_pace_s_per_km=100.0), []),
    (settings(50.0, 170.0, 190.0, threshold_pace_s_per_km=1200.0), []),
    (settings(50.0, 170.0, 190.0, threshold_pace_s_per_km=1201.0), ["threshold_pace_range"]),
    (settings(50.0, 170.0, 190.0, sex="f"), ["sex_known"]),
]


def test_settings_at_the_limits(spark):
    contract = CONTRACTS["silver.athlete_settings"]
    judged = judge(spark, contract, [row for row, _ in SETTINGS])
    assert judged == [(errors, []) for _, errors in SETTINGS]


def feature(**changes):
    return CONTRACTS["feature_store.activity_features"].example() | changes


NO_DISTANCE = dict.fromkeys(
    (
        "pace_min_km",
        "elapsed_pace_min_km",
        "elevation_per_km",
        "intensity_factor",
        "split_pace_cv",
        "second_half_pace_ratio",
        "hr_drift_ratio",
    )
)
NO_HEARTRATE = dict.fromkeys(
    ("trimp", "hr_reserve_ratio", "efficiency_m_per_beat", "hr_drift_ratio")
)
NO_SCORE = {"estimated_tss": None, "tss_method": None}

FEATURES = [
    # A treadmill run scored by heart rate, the same without a sensor.
    feature(**NO_DISTANCE, distance_km=0.0, speed_km_h=0.0, tss_method="hr"),
    feature(**NO_DISTANCE | NO_HEARTRATE | NO_SCORE, distance_km=0.0, speed_km_h=0.0),
    # Strength training: no distance at all.
    feature(
        **NO_DISTANCE | {"efficiency_m_per_beat": None},
        sport_family="other",
        distance_km=None,
        speed_km_h=None,
        elevation_gain_m=None,
        tss_method="hr",
    ),
    # A ride has a pace, but neither an intensity factor nor a score by pace.
    feature(**NO_HEARTRATE | NO_SCORE, sport_family="ride", intensity_factor=None),
    # A run at rest: the share of the reserve is kept at 0, the impulse is 0.
    feature(hr_reserve_ratio=0.0, trimp=0.0),
    # A negative drift is good news, not a fault.
    feature(hr_drift_ratio=-0.2),
]


def test_features_of_ordinary_activities_break_nothing(spark):
    contract = CONTRACTS["feature_store.activity_features"]
    assert judge(spark, contract, FEATURES) == [([], [])] * len(FEATURES)


def rolling(**changes):
    contract = CONTRACTS["feature_store.athlete_rolling_features"]
    zeros = {c.name: 0 if c.type == "BIGINT" else 0.0 for c in contract.columns if c.required}
    days = {c.name: c.example for c in contract.columns[:3]}
    return dict.fromkeys(contract.column_names) | zeros | days | changes


ROLLING = [
    # The first day of an athlete: one walk without a score, every window holds just it.
    rolling(
        **{f"activities_{n}d": 1 for n in (1, 7, 30, 90)},
        **{f"active_days_{n}d": 1 for n in (7, 30, 90)},
        **{f"moving_time_s_{n}d": 1800 for n in (1, 7, 30, 90)},
        activities_without_tss_1d=1,
        history_days=1,
    ),
    # A rest day, 200 days after the last activity: every window is empty, the averages fade.
    rolling(
        days_since_last_activity=200,
        history_days=900,
        ctl_ewma_42d=0.3,
        atl_ewma_7d=1e-12,
        tsb_ewma=0.3,
    ),
    # Day 28 of an athlete who began to train in the last week: the ratio is exactly 4, there is no
    # load before the week to compare with. 4 = (70 / 7) / (70 / 28).
    rolling(
        **{f"activities_{n}d": 2 for n in (7, 30, 90)},
        **{f"active_days_{n}d": 2 for n in (7, 30, 90)},
        **{f"moving_time_s_{n}d": 3600 for n in (7, 30, 90)},
        **{f"tss_{n}d": 70.0 for n in (7, 28, 30, 42, 90)},
        acwr=4.0,
        monotony_7d=0.6,
        strain_7d=42.0,
        days_since_last_activity=1,
        history_days=28,
    ),
]


def test_rolling_features_of_ordinary_days_break_nothing(spark):
    contract = CONTRACTS["feature_store.athlete_rolling_features"]
    assert judge(spark, contract, ROLLING) == [([], [])] * len(ROLLING)


WINDOWS = {
    "activities": (1, 7, 30, 90),
    "active_days": (7, 30, 90),
    "distance_km": (1, 7, 30, 90),
    "moving_time_s": (1, 7, 30, 90),
    "elevation_gain_m": (1, 7, 30, 90),
    "tss": (1, 7, 28, 30, 42, 90),
    "runs": (7, 30, 90),
    "run_distance_km": (7, 30, 90),
}


def test_a_shorter_window_never_holds_more_than_the_next_longer_one(spark):
    contract = CONTRACTS["feature_store.athlete_rolling_features"]
    links = [
        (measure, windows[position], windows[position + 1])
        for measure, windows in WINDOWS.items()
        for position in range(len(windows) - 1)
    ]
    # Only the two windows of the link differ in which is larger: all shorter ones hold nothing,
    # all longer ones a lot.
    rows = []
    for measure, short, long in links:
        kind = int if measure in ("activities", "active_days", "moving_time_s", "runs") else float
        sizes = {n: kind(0 if n < short else 100_000) for n in WINDOWS[measure]}
        sizes |= {short: kind(5), long: kind(4)}
        rows.append(contract.example() | {f"{measure}_{n}d": size for n, size in sizes.items()})
    judged = judge(spark, contract, rows)
    for (measure, short, long), (errors, _) in zip(links, judged, strict=True):
        assert f"{measure}_nested" in errors, (measure, short, long)
        assert [e for e in errors if e.endswith("_nested")] == [f"{measure}_nested"]


def test_verdict_does_not_depend_on_the_session_zone(spark):
    zone = spark.conf.get("spark.sql.session.timeZone")
    contract = CONTRACTS["feature_store.athlete_rolling_features"]
    activities = CONTRACTS["silver.strava_activities"]
    limit = activities.example() | {"start_date": datetime.fromisoformat("1980-01-01T00:00:00Z")}
    try:
        spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
        assert judge(spark, contract, [contract.example()]) == [([], [])]
        assert judge(spark, activities, [limit]) == [([], [])]
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)
