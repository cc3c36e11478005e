"""feature_store.activity_features: every column against arithmetic that a reader can follow."""

import math
from datetime import UTC, datetime

import pytest
from chispa import assert_approx_df_equality

from paceline.recipe import Scope, Window
from paceline.tables.feature_store import activity_features
from tests.spark.given import (
    CONTRACTS,
    change_feed,
    context,
    day,
    frame,
    row,
    rows_of,
    touched_keys,
)

NAME = "feature_store.activity_features"
ACTIVITIES, SETTINGS = "silver.strava_activities", "silver.athlete_settings"
SPLITS = "silver.strava_sub_activity"

MAN, WOMAN, NO_LTHR, NOBODY, CHANGING = 3001, 3002, 3003, 3004, 3005
NO_HEARTRATES = {"hr_max_bpm": None, "hr_rest_bpm": None, "lthr_bpm": None}

SETTINGS_ROWS = (
    # Threshold 4:30 per km, rest 50, maximum 190, lactate threshold 170.
    row(SETTINGS, athlete_id=MAN),
    row(SETTINGS, athlete_id=WOMAN, sex="F"),
    row(SETTINGS, athlete_id=NO_LTHR, threshold_pace_s_per_km=None, lthr_bpm=None, sex=None),
    row(SETTINGS, athlete_id=CHANGING, threshold_pace_s_per_km=300.0),
    # A row holds as a whole: this one knows a pace and nothing else.
    row(
        SETTINGS,
        athlete_id=CHANGING,
        valid_from=day("2024-06-01"),
        threshold_pace_s_per_km=240.0,
        sex=None,
        **NO_HEARTRATES,
    ),
)

RIDE = {"sport_type": "Ride", "sport_family": "ride"}
NO_HR = {"average_heartrate_bpm": None, "max_heartrate_bpm": None}
HOUR = {"moving_time_s": 3600, "elapsed_time_s": 3600}
NO_PACE = dict.fromkeys(("pace_min_km", "elapsed_pace_min_km", "elevation_per_km"))
NO_IMPULSE = {"trimp": None, "hr_reserve_ratio": None}
# 0.7142857 = (150 - 50) / (190 - 50) of the reserve for 50 minutes.
RESERVE = 100 / 140
IMPULSE = 50 * RESERVE * 0.64 * math.exp(1.92 * RESERVE)
# At lthr 170 the share is 120 / 140.
THRESHOLD_IMPULSE = 60 * (120 / 140) * 0.64 * math.exp(1.92 * 120 / 140)
HR_SCORE = round(100 * IMPULSE / THRESHOLD_IMPULSE, 6)

# The example run is 10 km in 3,000 s of 3,100 s with 80 m of gain at 150 beats, on 2024-06-01.
# By activity: athlete, what differs from it, and what the row has.
CASES = {
    # A treadmill: no distance, so no pace, and the score comes from the heart.
    802: (
        MAN,
        {"distance_m": 0.0},
        {
            "distance_km": 0.0,
            "speed_km_h": 0.0,
            "efficiency_m_per_beat": 0.0,
            "intensity_factor": None,
            "estimated_tss": HR_SCORE,
            "tss_method": "hr",
            "trimp": IMPULSE,
            **NO_PACE,
        },
    ),
    803: (
        MAN,
        {"distance_m": None},
        {
            "distance_km": None,
            "speed_km_h": None,
            "efficiency_m_per_beat": None,
            "intensity_factor": None,
            "tss_method": "hr",
            **NO_PACE,
        },
    ),
    804: (
        MAN,
        NO_HR,
        {"tss_method": "pace", "estimated_tss": 67.5, "efficiency_m_per_beat": None, **NO_IMPULSE},
    ),
    # Only runs have an intensity from pace; the pace itself is known.
    805: (
        MAN,
        RIDE,
        {
            "pace_min_km": 5.0,
            "intensity_factor": None,
            "estimated_tss": HR_SCORE,
            "tss_method": "hr",
        },
    ),
    806: (
        MAN,
        RIDE | NO_HR,
        {"pace_min_km": 5.0, "estimated_tss": None, "tss_method": None, **NO_IMPULSE},
    ),
    # Half of the reserve for an hour, with the constants for women: 25.8 x e^0.835.
    807: (
        WOMAN,
        HOUR | {"average_heartrate_bpm": 120.0},
        {"hr_reserve_ratio": 0.5, "trimp": 59.464202445805},
    ),
    # And with those for men, which also hold where the sex is not known: 19.2 x e^0.96.
    808: (
        NO_LTHR,
        HOUR | {"average_heartrate_bpm": 120.0},
        {"hr_reserve_ratio": 0.5, "trimp": 50.144572289724},
    ),
    # An hour at threshold heart rate is 100; unknown, that is 50 + 0.85 x 140 = 169.
    809: (
        NO_LTHR,
        HOUR | {"distance_m": None, "average_heartrate_bpm": 169.0},
        {"estimated_tss": 100.0, "tss_method": "hr", "threshold_pace_min_km": 4.5},
    ),
    810: (
        WOMAN,
        HOUR | {"distance_m": None, "average_heartrate_bpm": 170.0},
        {"estimated_tss": 100.0, "tss_method": "hr"},
    ),
    # Below rest and above the maximum.
    811: (
        MAN,
        {"distance_m": None, "average_heartrate_bpm": 45.0},
        {"hr_reserve_ratio": 0.0, "trimp": 0.0, "estimated_tss": 0.0, "tss_method": "hr"},
    ),
    812: (
        MAN,
        {"average_heartrate_bpm": 200.0, "max_heartrate_bpm": 200.0},
        # 50 x 0.64 x e^1.92
        {"hr_reserve_ratio": 1.0, "trimp": 32 * math.exp(1.92)},
    ),
    # Without settings: the default threshold, and nothing from the heart but the efficiency.
    813: (
        NOBODY,
        {},
        {
            "threshold_pace_min_km": 4.5,
            "intensity_factor": 0.9,
            "estimated_tss": 67.5,
            # (60 x 10,000 / 3,000) / 150
            "efficiency_m_per_beat": pytest.approx(4 / 3, rel=1e-15),
            **NO_IMPULSE,
        },
    ),
    814: (NOBODY, RIDE, {"threshold_pace_min_km": 4.5, "estimated_tss": None, "tss_method": None}),
    # Half an hour at 5:00 per km with a threshold of 4:30: 100 x 0.5 x 0.9 x 0.9.
    815: (MAN, {"distance_m": 6000.0, "moving_time_s": 1800}, {"estimated_tss": 40.5}),
    # Settings as of the local day: the day before any, the last of the first, the first of the
    # second. An hour at threshold is 100 in each: 12 km at 5:00, 15 km at 4:00.
    821: (
        CHANGING,
        {"local_day": day("2023-12-31")},
        {"threshold_pace_min_km": 4.5, **NO_IMPULSE},
    ),
    822: (
        CHANGING,
        HOUR | {"local_day": day("2024-05-31"), "distance_m": 12_000.0},
        {
            "threshold_pace_min_km": 5.0,
            "intensity_factor": 1.0,
            "estimated_tss": 100.0,
            "hr_reserve_ratio": pytest.approx(RESERVE, rel=1e-15),
        },
    ),
    823: (
        CHANGING,
        HOUR
        | {
            "start_date": datetime(2024, 5, 31, 23, tzinfo=UTC),
            "local_day": day("2024-06-01"),
            "distance_m": 15_000.0,
        },
        {"threshold_pace_min_km": 4.0, "estimated_tss": 100.0, "tss_method": "pace", **NO_IMPULSE},
    ),
    # 06:00 + 24 h; beyond that the watch was forgotten, and 06:00 + 3,000 s is the end.
    831: (MAN, {"elapsed_time_s": 86_400}, {"event_timestamp": "2024-06-02 06:00:00"}),
    832: (MAN, {"elapsed_time_s": 86_401}, {"event_timestamp": "2024-06-01 06:50:00"}),
    833: (MAN, {"elevation_gain_m": None}, {"elevation_gain_m": None, "elevation_per_km": None}),
    834: (MAN, {"is_race": True}, {"is_race": True}),
    # A treadmill and a device that drifted: 12 m in half an hour, 1.49 km in an hour, 90 m in six
    # minutes. The pace is what it is, and says nothing about the load.
    835: (
        MAN,
        {"distance_m": 12.0, "moving_time_s": 1800},
        {"pace_min_km": 2500.0, "intensity_factor": None, "tss_method": "hr"},
    ),
    836: (MAN, HOUR | {"distance_m": 1499.0}, {"intensity_factor": None, "tss_method": "hr"}),
    837: (
        MAN,
        {"distance_m": 90.0, "moving_time_s": 360} | NO_HR,
        {"intensity_factor": None, "estimated_tss": None, "tss_method": None},
    ),
    # 1.5 km/h is slow, and possible: 40 min per km, (4.5 / 40)^2 x 100.
    838: (
        MAN,
        HOUR | {"distance_m": 1500.0},
        {"intensity_factor": 0.1125, "estimated_tss": 1.265625, "tss_method": "pace"},
    ),
}

# Splits by activity: (metres, seconds, beats), and their features as hand-made fractions.
PACING = {
    # Paces 5, 4, 5, 6. Weighted mean (5 x 300 + 4 x 240 + 5 x 300 + 6 x 360) / 1,200 = 5.1;
    # variance (300 x 0.01 + 240 x 1.21 + 300 x 0.01 + 360 x 0.81) / 1,200 = 0.49; 0.7 / 5.1.
    # Halves: 540 s and 660 s for 2 km. Beats per minute x s: 78,000 and 102,600 for 2 km each.
    851: (
        [(1000.0, 300, 140.0), (1000.0, 240, 150.0), (1000.0, 300, 150.0), (1000.0, 360, 160.0)],
        {
            "split_pace_cv": 0.7 / 5.1,
            "second_half_pace_ratio": 660 / 540,
            "hr_drift_ratio": 102_600 / 78_000 - 1,
        },
    ),
    # Five splits: the first floor(5/2) = 2 are 600 s for 2 km, the later 3 are 990 s for 3 km.
    # One heart rate is missing.
    852: (
        [(1000.0, 300, 140.0)] * 2 + [(1000.0, 330, 150.0)] * 2 + [(1000.0, 330, None)],
        {"second_half_pace_ratio": 5.5 / 5, "hr_drift_ratio": None},
    ),
    # Fewer than four.
    853: (
        [(1000.0, 300, 140.0)] * 3,
        {"split_pace_cv": None, "second_half_pace_ratio": None, "hr_drift_ratio": None},
    ),
    # Fewer than four that have time and distance.
    854: (
        [(1000.0, 300, 140.0)] * 3 + [(0.0, 300, 140.0), (1000.0, 0, 140.0), (None, None, 140.0)],
        {"split_pace_cv": None, "second_half_pace_ratio": None, "hr_drift_ratio": None},
    ),
    # Those without time or distance are left out, and an even run has no spread and no drift.
    855: (
        [(1000.0, 300, 140.0)] * 4 + [(0.0, 5, None)],
        {"split_pace_cv": 0.0, "second_half_pace_ratio": 1.0, "hr_drift_ratio": 0.0},
    ),
    # A heart rate of 0 is no heart rate.
    856: (
        [(1000.0, 300, 140.0)] * 3 + [(1000.0, 300, 0.0)],
        {"split_pace_cv": 0.0, "hr_drift_ratio": None},
    ),
    # Paces weigh by time: 2 km of 600 s and 2 of 1 km in 300 s are one pace.
    857: (
        [(2000.0, 600, 140.0)] * 2 + [(1000.0, 300, 140.0)] * 2,
        {"split_pace_cv": 0.0, "second_half_pace_ratio": 1.0},
    ),
}

# By activity: the source of its row, those of its splits and laps, and whether it is restricted.
SOURCES = {
    871: ("strava_export", {}, False),
    872: ("strava_api", {}, True),
    873: ("debezium", {}, False),
    874: ("debezium", {"split": "strava_api"}, True),
    875: ("strava_export", {"lap": "strava_api"}, True),
    876: ("strava_export", {"lap": "debezium", "split": "strava_api"}, True),
    877: ("strava_api", {"lap": "debezium", "split": "debezium"}, True),
    878: ("debezium", {"lap": "debezium", "split": "strava_export"}, False),
}


def activities():
    for activity_id, (athlete_id, cells, _) in CASES.items():
        yield row(ACTIVITIES, activity_id=activity_id, athlete_id=athlete_id) | cells
    for activity_id in PACING:
        yield row(ACTIVITIES, activity_id=activity_id, athlete_id=MAN)
    for activity_id, (source, _, _) in SOURCES.items():
        yield row(ACTIVITIES, activity_id=activity_id, athlete_id=MAN, source=source)


def split_rows(activity_id, splits, **cells):
    return [
        row(
            SPLITS,
            athlete_id=MAN,
            activity_id=activity_id,
            sub_index=index,
            distance_m=distance,
            moving_time_s=time,
            average_heartrate_bpm=heartrate,
            **cells,
        )
        for index, (distance, time, heartrate) in enumerate(splits, start=1)
    ]


def all_split_rows():
    rows = [
        r for activity_id, (splits, _) in PACING.items() for r in split_rows(activity_id, splits)
    ]
    # Splits are taken in their order, however they lie in the table; laps count for nothing.
    rows += split_rows(853, [(1000.0, 300, 140.0)] * 4, kind="lap")
    for activity_id, (_, parts, _) in SOURCES.items():
        for kind, source in parts.items():
            # A split without time says nothing of pacing, and where it comes from counts.
            rows += split_rows(activity_id, [(1000.0, 0, None)], kind=kind, source=source)
    return rows[::-1]


@pytest.fixture(scope="module")
def inputs(spark):
    return {
        ACTIVITIES: frame(spark, ACTIVITIES, list(activities())),
        SPLITS: frame(spark, SPLITS, all_split_rows()),
        SETTINGS: frame(spark, SETTINGS, SETTINGS_ROWS),
    }


@pytest.fixture(scope="module")
def features(inputs):
    """The rows by activity; instants as text in UTC."""
    from pyspark.sql import functions as F

    rows = rows_of(activity_features.TABLE, inputs, context())
    end = F.to_utc_timestamp("event_timestamp", F.current_timezone()).cast("string")
    found = rows.withColumn("event_timestamp", end).collect()
    assert len(found) == len(CASES) + len(PACING) + len(SOURCES)
    return {r["activity_id"]: r for r in found}


@pytest.mark.parametrize("activity_id", CASES)
def test_features(features, activity_id):
    _, _, expected = CASES[activity_id]
    for name, value in expected.items():
        if name in ("trimp", "estimated_tss") and value:
            value = pytest.approx(value, rel=1e-12)
        assert features[activity_id][name] == value, name


@pytest.mark.parametrize("activity_id", PACING)
def test_pacing(features, activity_id):
    _, expected = PACING[activity_id]
    for name, value in expected.items():
        close = None if value is None else pytest.approx(value, rel=1e-12, abs=1e-15)
        assert features[activity_id][name] == close, name


@pytest.mark.parametrize("activity_id", SOURCES)
def test_an_activity_is_restricted_by_its_source_or_that_of_a_part(features, activity_id):
    assert features[activity_id]["is_restricted"] is SOURCES[activity_id][2]
    assert features[activity_id]["split_pace_cv"] is None


def test_rows_keep_the_contract(inputs):
    rows = rows_of(activity_features.TABLE, inputs, context())
    broken = CONTRACTS[NAME].broken_rules("error").alias("broken")
    assert rows.columns == list(CONTRACTS[NAME].column_names)
    assert rows.select(broken).distinct().collect() == [([],)]


def test_an_activity_without_splits_has_no_pacing(features):
    found = features[802]
    assert found["split_pace_cv"] is found["second_half_pace_ratio"] is None
    assert found["hr_drift_ratio"] is None


def test_a_whole_row(spark):
    given = {
        ACTIVITIES: frame(spark, ACTIVITIES, [row(ACTIVITIES)]),
        SPLITS: frame(
            spark,
            SPLITS,
            [r | {"athlete_id": 1001} for r in split_rows(12_345_678_901, PACING[851][0])],
        ),
        SETTINGS: frame(spark, SETTINGS, [row(SETTINGS)]),
    }
    expected = row(
        NAME,
        # 06:00 + 3,100 s
        event_timestamp=datetime(2024, 6, 1, 6, 51, 40, tzinfo=UTC),
        distance_km=10.0,
        # 50 min and 51 2/3 min for 10 km
        pace_min_km=5.0,
        elapsed_pace_min_km=31 / 6,
        # 3.6 x 10,000 / 3,000, and 80 m / 10 km
        speed_km_h=12.0,
        elevation_per_km=8.0,
        # 4.5 / 5, and 100 x 5/6 h x 0.9 x 0.9
        threshold_pace_min_km=4.5,
        intensity_factor=0.9,
        estimated_tss=67.5,
        tss_method="pace",
        trimp=IMPULSE,
        hr_reserve_ratio=RESERVE,
        # 200 m a minute / 150 beats a minute
        efficiency_m_per_beat=4 / 3,
        split_pace_cv=0.7 / 5.1,
        second_half_pace_ratio=660 / 540,
        hr_drift_ratio=102_600 / 78_000 - 1,
        # The example is of the API.
        is_restricted=True,
    )
    assert_approx_df_equality(
        rows_of(activity_features.TABLE, given, context()),
        frame(spark, NAME, [expected]),
        precision=1e-12,
        ignore_nullable=True,
    )


def test_the_default_threshold_is_a_setting(spark):
    given = {
        ACTIVITIES: frame(spark, ACTIVITIES, [row(ACTIVITIES, athlete_id=NOBODY)]),
        SPLITS: frame(spark, SPLITS, []),
        SETTINGS: frame(spark, SETTINGS, []),
    }
    with_five = context(default_threshold_pace_s_per_km=300)
    (found,) = rows_of(activity_features.TABLE, given, with_five).collect()
    # Ten km at threshold pace for 5/6 of an hour.
    assert (found["threshold_pace_min_km"], found["intensity_factor"]) == (5.0, 1.0)
    assert found["estimated_tss"] == 83.333333


def test_a_scope_has_its_activities_only(spark, inputs, features):
    keys = spark.createDataFrame(
        [(MAN, 851), (WOMAN, 807)], "athlete_id bigint, activity_id bigint"
    )
    rows = rows_of(activity_features.TABLE, inputs, context(), scope=Scope(keys)).collect()
    assert {r["activity_id"]: r["split_pace_cv"] for r in rows} == {
        851: features[851]["split_pace_cv"],
        807: None,
    }


def test_changed_activities_and_splits_touch_their_activity(spark, inputs):
    changes = {
        ACTIVITIES: change_feed(
            spark,
            ACTIVITIES,
            insert=[row(ACTIVITIES, activity_id=1, athlete_id=MAN)],
            # An edit gave the activity to somebody else.
            update_preimage=[row(ACTIVITIES, activity_id=2, athlete_id=MAN)],
            update_postimage=[row(ACTIVITIES, activity_id=2, athlete_id=WOMAN)],
        ),
        SPLITS: change_feed(
            spark, SPLITS, delete=[row(SPLITS, activity_id=3, athlete_id=MAN, sub_index=9)]
        ),
    }
    alone = inputs | {ACTIVITIES: frame(spark, ACTIVITIES, [])}
    touched = touched_keys(activity_features.TABLE, changes, alone, context())
    assert touched == {(MAN, 1), (MAN, 2), (WOMAN, 2), (MAN, 3)}


def test_changed_settings_touch_the_days_until_the_next(spark):
    def at(activity_id, local_day, athlete_id=MAN):
        cells = {"activity_id": activity_id, "athlete_id": athlete_id}
        return row(ACTIVITIES, local_day=day(local_day), **cells)

    def settings(valid_from, athlete_id=MAN):
        return row(SETTINGS, athlete_id=athlete_id, valid_from=day(valid_from))

    given = {
        ACTIVITIES: frame(
            spark,
            ACTIVITIES,
            [
                at(1, "2024-01-31"),
                at(2, "2024-02-01"),
                at(3, "2024-02-29"),
                at(4, "2024-03-01"),
                at(5, "2024-12-31"),
                at(6, "2024-02-10", WOMAN),
                at(7, "2024-12-31", NOBODY),
            ],
        ),
        SPLITS: frame(spark, SPLITS, []),
        SETTINGS: frame(
            spark,
            SETTINGS,
            [settings("2024-01-01"), settings("2024-02-01"), settings("2024-03-01")],
        ),
    }

    def touched(**images):
        changes = {SETTINGS: change_feed(spark, SETTINGS, **images)}
        return touched_keys(activity_features.TABLE, changes, given, context())

    # The changed one holds throughout February; another athlete's activities are not meant.
    assert touched(insert=[settings("2024-02-01")]) == {(MAN, 2), (MAN, 3)}
    # The last one holds for ever. One that has left had held until the next that is there.
    gone = touched(delete=[settings("2024-02-15"), settings("2024-12-01", NOBODY)])
    assert gone == {(MAN, 3), (NOBODY, 7)}
    assert touched(update_preimage=[settings("2024-03-01")]) == {(MAN, 4), (MAN, 5)}


def test_a_window_touches_what_starts_in_it(spark, inputs):
    window = Window(datetime(2024, 5, 31, tzinfo=UTC), datetime(2024, 6, 1, 6, tzinfo=UTC))
    touched = touched_keys(activity_features.TABLE, {}, inputs, context(window=window))
    # All start at 06:00, where the window ends, but for the one of the evening before.
    assert touched == {(CHANGING, 823)}
