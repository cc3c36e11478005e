"""The same run from two devices: which recording is the duplicate, and what a change reaches."""

from datetime import UTC, datetime, timedelta

import pytest

from paceline.recipe import Scope
from paceline.tables.feature_store import activity_features
from tests.spark.given import change_feed, context, frame, row, rows_of, touched_keys

ACTIVITIES, SETTINGS = "silver.strava_activities", "silver.athlete_settings"
SPLITS = "silver.strava_sub_activity"

SIX = datetime(2024, 6, 1, 6, tzinfo=UTC)
BARE = dict.fromkeys(
    ("average_heartrate_bpm", "average_cadence_rpm", "average_watts_w", "elevation_gain_m")
)
PHONE = BARE | {"elevation_gain_m": 80.0}
RIDE = {"sport_type": "Ride", "sport_family": "ride"}
OTHER = {"sport_type": "Yoga", "sport_family": "other"}


def recording(activity_id, begin, end, athlete_id=1, **cells):
    """An activity that lasts from one minute to another one after six; without cells, a watch's."""
    seconds = round((end - begin) * 60)
    return row(
        ACTIVITIES,
        activity_id=activity_id,
        athlete_id=athlete_id,
        start_date=SIX + timedelta(minutes=begin),
        **{"elapsed_time_s": seconds, "moving_time_s": min(seconds, 86_400), **cells},
    )


# By case: recordings, and the ids of those that are duplicates.
CASES = {
    "a phone that started a minute later": ([(1, 0, 60, {}), (2, 1, 60, PHONE)], {2}),
    "whichever has the smaller id, the one with more measures stays": (
        [(1, 0, 60, PHONE), (2, 1, 60, {})],
        {1},
    ),
    "with as many measures the smaller id stays": ([(1, 0, 60, {}), (2, 0, 60, {})], {2}),
    "a value of 0 is a value": (
        [(1, 0, 60, BARE), (2, 0, 60, BARE | {"elevation_gain_m": 0.0})],
        {1},
    ),
    "half of one is not more than half": ([(1, 0, 60, {}), (2, 30, 90, {})], set()),
    "a second more than half is": ([(1, 0, 60, {}), (2, 30 - 1 / 60, 90 - 1 / 60, {})], {2}),
    "more than half of one only": ([(1, 0, 60, {}), (2, 10, 30, PHONE)], set()),
    "one after the other": ([(1, 0, 60, {}), (2, 60, 120, {})], set()),
    "another athlete": ([(1, 0, 60, {}), (2, 0, 60, {"athlete_id": 2})], set()),
    "another sport": ([(1, 0, 60, {}), (2, 0, 60, RIDE)], set()),
    "another type of the same family": (
        [(1, 0, 60, {}), (2, 0, 60, {"sport_type": "TrailRun"})],
        {2},
    ),
    "nobody knows what other sports are": ([(1, 0, 60, OTHER), (2, 0, 60, OTHER)], set()),
    "typed in by hand": ([(1, 0, 60, {}), (2, 0, 60, {"is_manual": True})], set()),
    "not said whether typed in": ([(1, 0, 60, {}), (2, 0, 60, {"is_manual": None})], {2}),
    "three devices": ([(1, 0, 60, PHONE), (2, 0, 60, {}), (3, 1, 61, PHONE)], {1, 3}),
    # 1 covers more than half of 2, and 2 of 3, but 1 not of 3.
    "a chain": ([(1, 0, 60, {}), (2, 25, 85, PHONE), (3, 50, 110, BARE)], {2, 3}),
    # 22:00 to 02:00 and 23:00 to 03:00 (UTC), on two days.
    "across midnight": ([(1, 960, 1200, {}), (2, 1020, 1260, {})], {2}),
    # From 23:30 to 00:20 and from 23:50 to 00:40: their middles lie on different days.
    "middles on two days": ([(1, 1050, 1100, {}), (2, 1070, 1120, {})], {2}),
    # Five days in motion, as the time in motion says, and one hour of an overlapping run.
    "five days": (
        [
            (1, 0, 7200, {"moving_time_s": 432_000}),
            (2, 10, 7190, {"moving_time_s": 430_800} | PHONE),
            (3, 1440, 1500, {}),
        ],
        {2},
    ),
    # Watches that were not stopped: an hour counts, and they did not begin together.
    "forgotten": (
        [(1, 0, 1500, {"moving_time_s": 3600}), (2, 45, 1500, {"moving_time_s": 3600})],
        set(),
    ),
}


def features(spark, recordings, scope=None, **settings):
    inputs = {
        ACTIVITIES: frame(spark, ACTIVITIES, recordings),
        SPLITS: frame(spark, SPLITS, []),
        SETTINGS: frame(spark, SETTINGS, []),
    }
    more = {} if scope is None else {"scope": scope}
    return rows_of(activity_features.TABLE, inputs, context(**settings), **more).collect()


def all_recordings():
    """The recordings of all cases; each case has its athletes and its ids to itself."""
    for number, (recordings, _) in enumerate(CASES.values(), start=1):
        for activity_id, begin, end, cells in recordings:
            athlete = 10 * number + cells.get("athlete_id", 1)
            rest = {name: value for name, value in cells.items() if name != "athlete_id"}
            yield recording(100 * number + activity_id, begin, end, athlete, **rest)


@pytest.fixture(scope="module")
def duplicates(spark):
    rows = features(spark, list(all_recordings()))
    assert len(rows) == len(list(all_recordings()))
    return {r["activity_id"] for r in rows if r["is_duplicate_recording"]}


@pytest.mark.parametrize("case", CASES)
def test_which_recording_is_a_duplicate(duplicates, case):
    number = list(CASES).index(case) + 1
    found = {one - 100 * number for one in duplicates if one // 100 == number}
    assert found == CASES[case][1]


def test_a_part_says_the_same_as_the_whole(spark, duplicates):
    recordings = list(all_recordings())
    chosen = recordings[::2]
    keys = [(one["athlete_id"], one["activity_id"]) for one in chosen]
    scope = Scope(spark.createDataFrame(keys, "athlete_id bigint, activity_id bigint"))
    rows = features(spark, recordings, scope)
    assert {r["activity_id"] for r in rows} == {one["activity_id"] for one in chosen}
    found = {r["activity_id"] for r in rows if r["is_duplicate_recording"]}
    assert found == duplicates & {one["activity_id"] for one in chosen}


def test_a_setting_switches_it_off(spark):
    both = [recording(1, 0, 60), recording(2, 0, 60)]
    rows = features(spark, both, detect_duplicate_recordings=False)
    assert [r["is_duplicate_recording"] for r in rows] == [False, False]


def test_a_change_touches_what_it_intersects_before_and_after(spark):
    recordings = [
        recording(1, 0, 60),  # meets what it was
        recording(2, 500, 560),  # meets what it is
        recording(3, 60, 200),  # begins where it ended
        recording(4, 300, 360),
        recording(5, 0, 60, athlete_id=2),
        recording(9, 490, 510),
        # Of five days, which began four days before.
        recording(6, -5760, 1440, moving_time_s=432_000),
    ]
    changes = {
        ACTIVITIES: change_feed(
            spark,
            ACTIVITIES,
            update_preimage=[recording(9, 30, 60)],
            update_postimage=[recording(9, 490, 510)],
        )
    }
    inputs = {
        ACTIVITIES: frame(spark, ACTIVITIES, recordings),
        SPLITS: frame(spark, SPLITS, []),
        SETTINGS: frame(spark, SETTINGS, []),
    }
    touched = touched_keys(activity_features.TABLE, changes, inputs, context())
    assert touched == {(1, 9), (1, 1), (1, 2), (1, 6)}
    off = context(detect_duplicate_recordings=False)
    assert touched_keys(activity_features.TABLE, changes, inputs, off) == {(1, 9)}
