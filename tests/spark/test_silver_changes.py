"""Change data in silver: envelopes as bronze holds them, and which version of an activity wins."""

import pytest

from paceline.recipe import (
    CURRENT,
    DELETION,
    DISPOSITION,
    DUPLICATE,
    QUARANTINED,
    SUPERSEDED,
    UNREADABLE,
)
from paceline.tables.silver import strava_activities, strava_sub_activity
from tests.spark.given import activity, bronze_api, bronze_changes, context, frame, rows_of, without

BRONZE, SILVER = "bronze.strava_activities", "silver.strava_activities"

FLAT = {
    "activity_id": 1,
    "athlete_id": 1001,
    "name": "From the database",
    "sport_type": "Run",
    "start_date": "2024-06-01T06:00:00Z",
    "start_date_local": "2024-06-01T08:00:00",
    "distance_m": 5000.5,
    "moving_time_s": 1500,
    "elapsed_time_s": 1600,
    "elevation_gain_m": 12.5,
    "average_heartrate_bpm": 151.0,
    "max_heartrate_bpm": 171.0,
    "average_cadence_rpm": 88.0,
    "average_watts_w": 250.0,
    "is_race": True,
    "is_manual": False,
    "is_trainer": True,
    "is_commute": False,
}


def change(op, image, at, lsn=None, **cells):
    """An envelope; a delete carries the image as it was before."""
    images = {"before": image, "after": None} if op == "d" else {"before": None, "after": image}
    return {"op": op, **images, "ts_ms": at, "source": {"lsn": lsn}} | cells


def received(*lines):
    """Bronze rows of the lines of a file of change data."""
    return bronze_changes({"cdc/a.jsonl": lines})


def dispositions(spark, rows):
    """By line: the disposition, and the name of the activity."""
    judged = rows_of(strava_activities.TABLE, {BRONZE: frame(spark, BRONZE, rows)}, context())
    found = judged.select("_record.line_number", DISPOSITION, "name").collect()
    return {line: (disposition, name) for line, disposition, name in found}


def named(activity_id, name, **fields):
    return activity(activity_id, name=name, **fields)


def test_a_flat_row_has_silver_s_names(spark):
    (found,) = rows_of(
        strava_activities.TABLE,
        {BRONZE: frame(spark, BRONZE, received(change("c", FLAT, 1_000)))},
        context(),
    ).collect()
    cells = found.asDict()
    expected = without(FLAT, "start_date", "start_date_local") | {
        "source": "debezium",
        "sport_family": "run",
    }
    assert {name: cells[name] for name in expected} == expected
    assert str(cells["local_day"]) == "2024-06-01"


def mysql(op, name, at, pos):
    """A change whose time is when its statement began."""
    source = {"connector": "mysql", "name": "app", "ts_ms": at, "gtid": None, "server_id": 1}
    return change(op, named(1, name), at) | {
        "source": {**source, "file": "binlog.000007", "pos": pos, "row": 0}
    }


# Lines of one file -> by line, what has to become of them.
HISTORIES = {
    "wrapped and plain": (
        [
            {"schema": {}, "payload": change("c", named(1, "first"), 1_000)},
            change("u", named(1, "second"), 2_000),
        ],
        {1: SUPERSEDED, 2: CURRENT},
    ),
    "out of order": (
        [change("u", named(1, "newer"), 2_000), change("c", named(1, "older"), 1_000)],
        {1: CURRENT, 2: SUPERSEDED},
    ),
    "the log position orders changes of one moment": (
        [change("u", named(1, "b"), 1_000, lsn=9), change("u", named(1, "a"), 1_000, lsn=10)],
        {1: SUPERSEDED, 2: CURRENT},
    ),
    "delete with the key only": (
        [change("c", named(1, "gone"), 1_000), change("d", {"id": 1}, 2_000)],
        {1: SUPERSEDED, 2: DELETION},
    ),
    "delete before its create": (
        [change("d", {"activity_id": 1}, 2_000), change("c", named(1, "late"), 1_000)],
        {1: DELETION, 2: SUPERSEDED},
    ),
    "changes of a transaction may share a position": (
        [
            change("u", named(1, "first"), 1_000, lsn=9),
            change("u", named(1, "second"), 1_000, lsn=9),
            change("u", named(1, "first"), 1_000, lsn=9),
        ],
        {1: SUPERSEDED, 2: CURRENT, 3: DUPLICATE},
    ),
    "a statement that has waited is not older than what lies before it": (
        [mysql("u", "first", 9_000_000, 100), mysql("u", "second", 8_000_000, 200)],
        {1: SUPERSEDED, 2: CURRENT},
    ),
    "a binlog that begins anew says nothing of what was before": (
        [mysql("c", "before", 9_000_000, 100), mysql("u", "after", 99_000_000, 4)],
        {1: SUPERSEDED, 2: CURRENT},
    ),
    "without a position the later line is the later change": (
        [change("c", named(1, "tied"), 1_000), change("d", {"id": 1}, 1_000)],
        {1: SUPERSEDED, 2: DELETION},
    ),
    "a later position beats a delete at the same moment": (
        [change("c", named(1, "again"), 1_000, lsn=2), change("d", {"id": 1}, 1_000, lsn=1)],
        {1: CURRENT, 2: DELETION},
    ),
    "created again": (
        [
            change("c", named(1, "first"), 1_000),
            change("d", {"id": 1}, 2_000),
            change("c", named(1, "second"), 3_000),
        ],
        {1: SUPERSEDED, 2: DELETION, 3: CURRENT},
    ),
    "a newest version that breaks a rule leaves the valid one before it": (
        [change("c", named(1, "good"), 1_000), change("u", named(1, "bad", moving_time=-1), 2_000)],
        {1: CURRENT, 2: QUARANTINED},
    ),
    "a delete closes what was quarantined": (
        [change("c", named(1, "bad", moving_time=-1), 1_000), change("d", {"id": 1}, 2_000)],
        {1: SUPERSEDED, 2: DELETION},
    ),
    "sent twice": (
        [change("c", named(1, "twice"), 1_000), change("c", named(1, "twice"), 1_000)],
        {1: CURRENT, 2: DUPLICATE},
    ),
    "tombstones say nothing": (
        ["null", {"schema": None, "payload": None}, change("c", named(1, "there"), 1_000)],
        {3: CURRENT},
    ),
    "unreadable": (
        [
            change("t", named(1, "truncated"), 1_000),
            change("d", {}, 1_000),
            change("c", None, 1_000),
            "{",
        ],
        {1: UNREADABLE, 2: UNREADABLE, 3: UNREADABLE, 4: UNREADABLE},
    ),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_which_change_wins(spark, history):
    lines, expected = HISTORIES[history]
    assert {
        line: disposition
        for line, (disposition, _) in dispositions(spark, received(*lines)).items()
    } == expected


def test_change_data_is_better_than_an_answer_of_the_api_and_a_delete_closes_both(spark):
    answer = bronze_api(named(1, "answer"), line_number=100, change_time_us=9_000_000)
    changed = change("u", named(1, "change"), 1_000)
    assert dispositions(spark, [answer, *received(changed)]) == {
        1: (CURRENT, "change"),
        100: (SUPERSEDED, "answer"),
    }
    deleted = change("d", {"id": 1}, 9_001)
    assert {
        line: disposition
        for line, (disposition, _) in dispositions(
            spark, [answer, *received(changed, deleted)]
        ).items()
    } == {1: SUPERSEDED, 2: DELETION, 100: SUPERSEDED}


def test_a_thin_change_takes_no_splits_and_no_calories_away(spark):
    splits = [{"split": 1, "distance": 1000.0, "moving_time": 300, "elapsed_time": 301}]
    rich = bronze_api(
        activity(1, calories=700.0, splits_metric=splits), line_number=100, change_time_us=1_000_000
    )
    bronze = frame(spark, BRONZE, [rich, *received(change("u", FLAT, 2_000))])
    activities = rows_of(strava_activities.TABLE, {BRONZE: bronze}, context())
    published = activities.where(activities[DISPOSITION] == CURRENT).select(
        *frame(spark, SILVER, []).columns
    )
    assert [(r.name, r.calories) for r in published.collect()] == [("From the database", 700.0)]
    inputs = {BRONZE: bronze, SILVER: published}
    children = rows_of(strava_sub_activity.TABLE, inputs, context()).collect()
    assert [(child.kind, child.sub_index, child.moving_time_s) for child in children] == [
        ("split", 1, 300)
    ]
