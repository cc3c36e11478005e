"""silver.strava_activities: what received records become, and which version of an activity wins."""

import base64
import json
from datetime import UTC, date, datetime, timedelta

import pytest
from chispa import assert_df_equality

from paceline.recipe import (
    CURRENT,
    DELETION,
    DISPOSITION,
    DISPOSITIONS,
    DUPLICATE,
    IGNORED,
    QUARANTINED,
    REASONS,
    SUPERSEDED,
    UNREADABLE,
    WARNINGS,
    Scope,
    Window,
)
from paceline.tables.silver import strava_activities
from tests.spark.given import (
    ATHLETE,
    CONTRACTS,
    activity,
    bronze_api,
    change_feed,
    context,
    frame,
    row,
    rows_of,
    touched_keys,
    without,
)

BRONZE, SILVER = "bronze.strava_activities", "silver.strava_activities"
BERLINER, TOKYOTER, JAPANESE = 2001, 2002, 2003
ZONES = {
    "default": "UTC",
    BERLINER: "Europe/Berlin",
    str(TOKYOTER): "Asia/Tokyo",
    # A zone without a region.
    JAPANESE: "Japan",
    # Many: an expression that nests as deep cannot be sent to Spark Connect.
    **dict.fromkeys(range(5000, 5200), "Pacific/Auckland"),
}
EARLY = activity(0, start_date="2024-06-01T22:30:00Z")
NO_LOCAL = without(EARLY, "start_date_local")

EXPORT_HEADER = (
    "Activity ID,Activity Date,Activity Name,Activity Type,Elapsed Time,Distance,Max Heart Rate,"
    "Commute,Elapsed Time,Moving Time,Distance,Elevation Gain,Max Heart Rate,Average Heart Rate,"
    "Calories,Total Work,Commute,Competition"
)
EXPORTED = (
    '301,"Jun 1, 2024, 6:00:00 AM",Morning run,Run,3100,10.00,171,'
    "false,3100.0,3000.0,10000.5,80.25,172.0,150.5,700.0,750000.0,1.0,1.0"
)

# Local day: case -> record, and the day and clock on which it has to land.
LOCAL_DAYS = {
    # The suffix Z of the local time is false: it is the clock of the place.
    101: (EARLY | {"start_date_local": "2024-06-02T00:30:00Z"}, "2024-06-02 00:30:00"),
    102: (EARLY | {"start_date_local": "2024-06-02T00:30:00+05:00"}, "2024-06-02 00:30:00"),
    # An offset in seconds: UTC+8, UTC-8, and Nepal's.
    103: (NO_LOCAL | {"utc_offset": 28800.0}, "2024-06-02 06:30:00"),
    104: (NO_LOCAL | {"utc_offset": -28800}, "2024-06-01 14:30:00"),
    105: (NO_LOCAL | {"utc_offset": "20700"}, "2024-06-02 04:15:00"),
    # A zone label; its region counts, not the offset in brackets, which is that of winter.
    106: (NO_LOCAL | {"timezone": "(GMT+01:00) Europe/Berlin"}, "2024-06-02 00:30:00"),
    107: (
        NO_LOCAL | {"timezone": "(GMT-03:00) America/Argentina/Buenos_Aires"},
        "2024-06-01 19:30:00",
    ),
    # The offset wins over the label.
    108: (
        NO_LOCAL | {"utc_offset": 0, "timezone": "(GMT+01:00) Europe/Berlin"},
        "2024-06-01 22:30:00",
    ),
    # Of a label that names no known region, its offset counts.
    109: (NO_LOCAL | {"timezone": "(GMT+01:00) Mars/Olympus_Mons"}, "2024-06-01 23:30:00"),
    124: (NO_LOCAL | {"timezone": "(GMT-03:30)"}, "2024-06-01 19:00:00"),
    125: (
        NO_LOCAL | {"athlete": {"id": TOKYOTER}, "timezone": "(GMT-08:00) US/Pacific-New"},
        "2024-06-01 14:30:00",
    ),
    127: (NO_LOCAL | {"timezone": "(GMT+5:30) Somewhere"}, "2024-06-02 04:00:00"),
    128: (NO_LOCAL | {"timezone": "(UTC-08:00) Pacific Time"}, "2024-06-01 14:30:00"),
    129: (NO_LOCAL | {"timezone": "GMT+0530"}, "2024-06-02 04:00:00"),
    130: (NO_LOCAL | {"timezone": "+02:00"}, "2024-06-02 00:30:00"),
    131: (NO_LOCAL | {"timezone": "UTC\u22125"}, "2024-06-01 17:30:00"),
    126: (NO_LOCAL | {"timezone": "(GMT+99:00) Mars/Olympus_Mons"}, "2024-06-01 22:30:00"),
    # An impossible offset and an unreadable local time say nothing.
    110: (NO_LOCAL | {"utc_offset": 1e9}, "2024-06-01 22:30:00"),
    111: (EARLY | {"start_date_local": "yesterday", "utc_offset": 7200}, "2024-06-02 00:30:00"),
    # Then the athlete's zone: by athlete, as number or text, else the default.
    112: (NO_LOCAL | {"athlete": {"id": BERLINER}}, "2024-06-02 00:30:00"),
    113: (NO_LOCAL | {"athlete": {"id": TOKYOTER}}, "2024-06-02 07:30:00"),
    114: (NO_LOCAL, "2024-06-01 22:30:00"),
    117: (NO_LOCAL | {"athlete": {"id": JAPANESE}}, "2024-06-02 07:30:00"),
    # A label without a region is one, too.
    118: (
        NO_LOCAL | {"athlete": {"id": BERLINER}, "timezone": "(GMT+00:00) UTC"},
        "2024-06-01 22:30:00",
    ),
    119: (NO_LOCAL | {"athlete": {"id": BERLINER}, "timezone": ""}, "2024-06-02 00:30:00"),
    # A local time that no clock on earth shows at that instant says nothing.
    120: (EARLY | {"start_date_local": "0001-01-01T00:00:00Z"}, "2024-06-01 22:30:00"),
    121: (EARLY | {"start_date_local": "2024-06-03T02:30:00Z"}, "2024-06-01 22:30:00"),
    # Texts that a careless regular expression would never be done with, or overflow the stack on.
    122: (NO_LOCAL | {"timezone": "/a" * 10_000}, "2024-06-01 22:30:00"),
    123: (NO_LOCAL | {"utc_offset": "1" * 1_000_000 + "x"}, "2024-06-01 22:30:00"),
    # The hour that summer time repeats, and a start without a zone, which is UTC.
    115: (
        NO_LOCAL | {"athlete": {"id": BERLINER}, "start_date": "2023-10-29T01:30:00Z"},
        "2023-10-29 02:30:00",
    ),
    116: (
        NO_LOCAL | {"athlete": {"id": BERLINER}, "start_date": "2024-06-01T22:30:00"},
        "2024-06-02 00:30:00",
    ),
}

SPORTS = {
    151: ({"sport_type": "TrailRun"}, "TrailRun", "run"),
    152: ({"sport_type": "Virtual Run"}, "Virtual Run", "run"),
    153: ({"sport_type": "Nordic Ski"}, "Nordic Ski", "ski"),
    154: ({"sport_type": "NordicSki"}, "NordicSki", "ski"),
    155: ({"sport_type": "E-Bike Ride"}, "E-Bike Ride", "ride"),
    164: ({"sport_type": "E-Mountain Bike Ride"}, "E-Mountain Bike Ride", "ride"),
    165: ({"sport_type": "trail run"}, "trail run", "run"),
    156: ({"sport_type": "EMountainBikeRide"}, "EMountainBikeRide", "ride"),
    157: ({"sport_type": "Hike"}, "Hike", "foot"),
    158: ({"sport_type": "Swim"}, "Swim", "swim"),
    159: ({"sport_type": "WeightTraining"}, "WeightTraining", "other"),
    # sport_type, else type, else Unknown.
    160: ({"sport_type": "GravelRide", "type": "Ride"}, "GravelRide", "ride"),
    161: ({"sport_type": None, "type": "Walk"}, "Walk", "foot"),
    162: ({"sport_type": " ", "type": "Ride"}, "Ride", "ride"),
    163: ({"sport_type": None}, "Unknown", "other"),
}

SENSORS = (
    *("average_heartrate_bpm", "max_heartrate_bpm", "average_cadence_rpm", "average_watts_w"),
)

# Fields as they come, and the columns they become.
FIELDS = {
    171: (
        {"distance": "10000.5", "moving_time": "2151"},
        {"distance_m": 10000.5, "moving_time_s": 2151},
    ),
    172: ({"moving_time": 2151.0}, {"moving_time_s": 2151}),
    # One field of a wrong type costs only itself.
    173: (
        {"average_heartrate": {"value": 150}, "kilojoules": "many", "calories": 700},
        {
            "average_heartrate_bpm": None,
            "kilojoules": None,
            "calories": 700.0,
            "distance_m": 10000.0,
        },
    ),
    174: (
        {"distance": None, "total_elevation_gain": True},
        {"distance_m": None, "elevation_gain_m": None},
    ),
    175: ({"distance": 0}, {"distance_m": 0.0}),
    # -0.0 would differ from 0.0 in its bits.
    176: ({"distance": -0.0}, {"distance_m": 0.0}),
    177: (
        {"manual": True, "trainer": "1", "commute": 0, "visibility": "only_me"},
        {"is_manual": True, "is_trainer": True, "is_commute": False, "visibility": "only_me"},
    ),
    178: ({}, {"is_manual": None, "workout_type": None, "is_race": False, "average_watts_w": None}),
    179: ({"workout_type": 1}, {"workout_type": 1, "is_race": True}),
    180: ({"workout_type": 11}, {"workout_type": 11, "is_race": True}),
    181: ({"workout_type": "3"}, {"workout_type": 3, "is_race": False}),
    182: ({"name": 'Ünïcödé 🏃 "quoted"'}, {"name": 'Ünïcödé 🏃 "quoted"'}),
    # More than a day is possible; the watch was forgotten. A warning, and the row stays.
    183: ({"elapsed_time": 200_000}, {"elapsed_time_s": 200_000}),
    # Nobody knows how much of an hour of yoga was motion; a warning, and the row stays.
    185: ({"moving_time": 0, "elapsed_time": 3600.0}, {"moving_time_s": 3600}),
    # 0 says that there was no sensor.
    186: (
        {"average_heartrate": 0, "max_heartrate": 0.0, "average_cadence": "0", "average_watts": 0},
        dict.fromkeys(SENSORS),
    ),
    187: (
        {"has_heartrate": False, "average_heartrate": 140, "max_heartrate": 160},
        {"average_heartrate_bpm": None, "max_heartrate_bpm": None},
    ),
    188: ({"has_heartrate": True, "average_heartrate": 140}, {"average_heartrate_bpm": 140.0}),
    # A measure that is not possible is lost, and the run is not; one at its limit is possible.
    191: (
        {"average_heartrate": 24.9, "max_heartrate": 172, "total_elevation_gain": 50_000},
        {"average_heartrate_bpm": None, "max_heartrate_bpm": 172.0, "elevation_gain_m": 50_000.0},
    ),
    192: (
        {"average_heartrate": 150, "max_heartrate": 255, "total_elevation_gain": 50_000.5},
        {"average_heartrate_bpm": 150.0, "max_heartrate_bpm": None, "elevation_gain_m": None},
    ),
    193: (
        {"average_heartrate": 240, "max_heartrate": 240, "total_elevation_gain": -0.5},
        {"average_heartrate_bpm": 240.0, "max_heartrate_bpm": 240.0, "elevation_gain_m": None},
    ),
    # Nobody knows which of the two is wrong.
    194: (
        {"average_heartrate": 150, "max_heartrate": 149},
        {"average_heartrate_bpm": None, "max_heartrate_bpm": None},
    ),
    198: (
        # The average is not possible, so nothing contradicts the maximum.
        {"average_heartrate": 250, "max_heartrate": 180},
        {"average_heartrate_bpm": None, "max_heartrate_bpm": 180.0},
    ),
    195: (
        {"average_cadence": -1, "average_watts": "1e999", "kilojoules": -3, "calories": "-1"},
        dict.fromkeys(
            ("average_cadence_rpm", "average_watts_w", "kilojoules", "calories"),
        ),
    ),
    # What ends two days after the day on which the record came in, too; of a watch that was
    # forgotten the time in motion counts.
    196: (
        {"start_date": "2024-06-04T23:00:00Z", "moving_time": 3599, "elapsed_time": 3599},
        {"moving_time_s": 3599},
    ),
    197: (
        {"start_date": "2024-06-04T23:00:00Z", "moving_time": 60, "elapsed_time": 9e17}
        | {"distance": 100},
        {"moving_time_s": 60},
    ),
    # Two days after the day on which the record came in is still possible.
    184: (
        {"start_date": "2024-06-04T23:59:58Z", "moving_time": 1, "elapsed_time": 1, "distance": 5},
        {"activity_id": 184},
    ),
    12_345_678_901: ({}, {"activity_id": 12_345_678_901}),
    9_007_199_254_740_993: ({}, {"activity_id": 9_007_199_254_740_993}),
}

# Records that break a rule, and which.
BROKEN = {
    201: ({"moving_time": 2151.5}, ["moving_time_positive"]),
    217: ({"moving_time": 0, "elapsed_time": 0}, ["moving_time_positive", "elapsed_time_positive"]),
    202: ({"moving_time": -1}, ["moving_time_positive"]),
    203: ({"moving_time": 3103}, ["moving_within_elapsed"]),
    204: ({"elapsed_time": "soon"}, ["elapsed_time_positive"]),
    205: ({"distance": -1}, ["distance_not_negative"]),
    206: ({"distance": 30_000}, ["run_speed_max"]),
    # 53 km in 118 s
    207: ({"sport_type": "Ride", "distance": 53_000, "moving_time": 118}, ["ride_speed_max"]),
    211: ({"distance": "1e999"}, ["distance_not_negative", "run_speed_max", "numbers_finite"]),
    # It would end on 5 June, three days after it came in; and so would a run of three days.
    218: (
        {"start_date": "2024-06-04T23:00:00Z", "moving_time": 3600, "elapsed_time": 3600},
        ["end_not_ahead"],
    ),
    219: (
        {"start_date": "2024-06-02T06:00:00Z", "moving_time": 259_200, "elapsed_time": 259_200}
        | {"distance": 300_000},
        ["end_not_ahead"],
    ),
    220: ({"moving_time": 9e17, "elapsed_time": 9e17}, ["end_not_ahead"]),
    # A time that is none has no end.
    221: (
        {"moving_time": -9e17, "elapsed_time": -9e17},
        ["moving_time_positive", "elapsed_time_positive"],
    ),
    222: ({"elapsed_time": None}, ["elapsed_time_positive"]),
    223: ({"moving_time": None, "elapsed_time": 9e17}, ["moving_time_positive"]),
    212: ({"start_date": "1979-12-31T23:59:59Z"}, ["start_date_present"]),
    # The record came in on 2 June, three days earlier.
    213: ({"start_date": "2024-06-05T00:00:00Z"}, ["start_date_present"]),
    214: ({"start_date": "June"}, ["start_date_present"]),
    215: (
        {"moving_time": None, "elapsed_time": None},
        ["moving_time_positive", "elapsed_time_positive"],
    ),
    216: ({"start_date": "2024-02-30T06:00:00Z"}, ["start_date_present"]),
}

T = 1_717_221_600_000_000
OK, BAD = {}, {"distance": -1}


def version(activity_id, at, disposition, fields=OK, **cells):
    """A version of an activity changed `at` microseconds after T, and what becomes of it."""
    named = activity(activity_id, name=f"{activity_id} at {at}", **fields)
    record = bronze_api(named, change_time_us=T + at, **cells)
    if record["source"] == "debezium":
        record["payload"] = json.dumps({"op": record["op"], "after": named})
        place = None if record["lsn"] is None else f"{record['lsn']:020}"
        change_id = f"{record['op']} {at} {place} {fields}"
        record |= {"change_log": "", "change_position": place, "change_id": change_id}
    return record, disposition


DELETED = {"op": "d", "source": "debezium"}
CHANGED = {"op": "u", "source": "debezium"}
# Versions of an activity in the order of their arrival, each with its disposition.
VERSIONS = {
    "the newest wins, in any order of arrival": [
        version(401, 2, SUPERSEDED),
        version(401, 3, CURRENT),
        version(401, 1, SUPERSEDED),
    ],
    "at the same time the higher position in the log wins": [
        version(402, 1, CURRENT, lsn=8, **CHANGED),
        version(402, 1, SUPERSEDED, {"calories": 1}, lsn=7, **CHANGED),
        version(402, 1, SUPERSEDED, {"calories": 2}, lsn=None, **CHANGED),
    ],
    "the better source wins over the newer": [
        version(403, 1, CURRENT),
        (
            bronze_api(
                EXPORT_HEADER + "\n" + EXPORTED,
                source="strava_export",
                athlete_id=ATHLETE,
                activity_id=403,
                change_time_us=T + 2,
            ),
            SUPERSEDED,
        ),
    ],
    "change data is the best source": [
        version(404, 1, CURRENT, **CHANGED),
        version(404, 2, SUPERSEDED),
    ],
    "an invalid newest keeps the newest valid": [
        version(405, 1, SUPERSEDED),
        version(405, 2, CURRENT),
        version(405, 3, QUARANTINED, BAD),
    ],
    "a mended version is not held against the activity": [
        version(406, 1, SUPERSEDED, BAD),
        version(406, 2, CURRENT),
    ],
    "with no valid version the row leaves": [
        version(407, 1, QUARANTINED, BAD),
        version(407, 2, QUARANTINED, BAD | {"calories": 1}),
    ],
    "a delete closes what came before": [
        version(408, 1, SUPERSEDED),
        version(408, 2, DELETION, **DELETED),
    ],
    "a record older than the delete stays away": [
        version(409, 5, DELETION, **DELETED),
        version(409, 4, SUPERSEDED),
    ],
    "at the same time a delete has no precedence": [
        version(410, 5, CURRENT, lsn=8, **CHANGED),
        version(410, 5, DELETION, lsn=7, **DELETED),
    ],
    "at the same time a position is later than none": [
        version(417, 5, SUPERSEDED),
        version(417, 5, DELETION, lsn=7, **DELETED),
    ],
    "an activity may be made again": [
        version(411, 1, SUPERSEDED),
        version(411, 2, DELETION, **DELETED),
        version(411, 3, CURRENT),
    ],
    "a delete also closes a better source": [
        version(412, 1, SUPERSEDED, **CHANGED),
        version(412, 2, DELETION, **DELETED),
        version(412, 3, CURRENT, source="strava_api"),
    ],
    "an invalid version before a delete is closed too": [
        version(413, 1, SUPERSEDED, BAD),
        version(413, 2, DELETION, **DELETED),
    ],
    "the same record twice is a duplicate": [
        version(414, 1, DUPLICATE, source_path="a.jsonl"),
        version(414, 1, CURRENT, source_path="b.jsonl"),
        version(414, 1, DUPLICATE, source_path="b.jsonl", line_number=0),
    ],
    "the same broken record twice is held once": [
        version(415, 1, DUPLICATE, BAD, source_path="a.jsonl"),
        version(415, 1, QUARANTINED, BAD, source_path="b.jsonl"),
    ],
    "the winner decides the athlete": [
        version(416, 1, SUPERSEDED),
        (
            bronze_api(activity(416, athlete_id=77, name="416 at 2"), change_time_us=T + 2),
            CURRENT,
        ),
    ],
}

UNREADABLE_RECORDS = (
    bronze_api("not json at all", line_number=501),
    bronze_api(base64.b64encode(b'{"id": \xff}').decode(), is_base64=True, line_number=502),
    bronze_api("[1, 2]", line_number=503),
    # Readable, but without ids: the rules say what is missing.
    bronze_api(without(activity(0), "id", "athlete"), line_number=504),
    bronze_api(EXPORT_HEADER + "\n1,2,3", source="strava_export", line_number=505),
)

# Only a detailed record has calories; a later summary does not take them away.
CALORIES = (
    bronze_api(activity(601, name="detailed", calories=612.5), change_time_us=T),
    bronze_api(activity(601, name="summary"), change_time_us=T + 1),
    # A deleted one does.
    bronze_api(activity(602, calories=612.5), change_time_us=T),
    bronze_api(activity(602), change_time_us=T + 1, **DELETED),
    bronze_api(activity(602, name="again"), change_time_us=T + 2),
    # So does an invalid one.
    bronze_api(activity(603, name="summary"), change_time_us=T),
    bronze_api(activity(603, calories=612.5, distance=-1), change_time_us=T + 1),
)

EXPORTS = (
    bronze_api(
        EXPORT_HEADER + "\n" + EXPORTED,
        source="strava_export",
        athlete_id=BERLINER,
        activity_id=301,
    ),
)


def singles():
    """One record for each activity of the simple cases."""
    for activity_id, (payload, _) in LOCAL_DAYS.items():
        yield bronze_api(payload | {"id": activity_id})
    for activity_id, (fields, *_) in (SPORTS | FIELDS | BROKEN).items():
        yield bronze_api(activity(activity_id, **fields))


def given_records():
    versions = [record for arrivals in VERSIONS.values() for record, _ in arrivals]
    return [*singles(), *versions, *UNREADABLE_RECORDS, *CALORIES, *EXPORTS]


def collected(frame_):
    """The rows with their instants as microseconds, which no zone of a process can change."""
    from pyspark.sql import functions as F

    instants = F.unix_micros("start_date").alias("start_date")
    return [r.asDict(recursive=True) for r in frame_.withColumn("start_date", instants).collect()]


@pytest.fixture(scope="module")
def bronze(spark):
    return frame(spark, BRONZE, given_records())


@pytest.fixture(scope="module")
def judged(bronze):
    """Every record with its disposition."""
    rows = rows_of(strava_activities.TABLE, {BRONZE: bronze}, context(athlete_timezone=ZONES))
    return collected(rows)


@pytest.fixture(scope="module")
def published(judged):
    """The current rows by activity."""
    return {r["activity_id"]: r for r in judged if r[DISPOSITION] == CURRENT}


@pytest.mark.parametrize("activity_id", LOCAL_DAYS)
def test_local_day(published, activity_id):
    local = datetime.fromisoformat(LOCAL_DAYS[activity_id][1])
    assert published[activity_id]["start_date_local"] == local
    assert published[activity_id]["local_day"] == local.date()


def test_what_is_odd_and_published_is_told(judged):
    expected = {
        173: ["value_unreadable"],
        174: ["value_unreadable"],
        111: ["value_unreadable"],
        123: ["value_unreadable"],
        185: ["moving_time_unknown"],
        186: [],
        191: ["measure_out_of_range"],
        192: ["measure_out_of_range"],
        193: ["measure_out_of_range"],
        194: ["measure_out_of_range"],
        195: ["measure_out_of_range"],
        198: ["measure_out_of_range"],
        196: [],
    }
    assert {
        r["activity_id"]: r[WARNINGS] for r in judged if r["activity_id"] in expected
    } == expected


def test_the_same_instant_lies_on_two_days(published):
    assert published[103]["start_date"] == published[104]["start_date"]
    assert published[103]["local_day"] == date(2024, 6, 2)
    assert published[104]["local_day"] == date(2024, 6, 1)


@pytest.mark.parametrize("activity_id", SPORTS)
def test_sport(published, activity_id):
    _, sport_type, family = SPORTS[activity_id]
    found = published[activity_id]
    assert (found["sport_type"], found["sport_family"]) == (sport_type, family)


@pytest.mark.parametrize("activity_id", FIELDS)
def test_fields(published, activity_id):
    _, expected = FIELDS[activity_id]
    found = {name: published[activity_id][name] for name in expected}
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("activity_id", BROKEN)
def test_a_broken_rule_is_named(judged, activity_id):
    (found,) = [r for r in judged if r["activity_id"] == activity_id]
    assert (found[DISPOSITION], found[REASONS]) == (QUARANTINED, BROKEN[activity_id][1])


@pytest.mark.parametrize("case", VERSIONS)
def test_which_version_wins(judged, case):
    arrivals = VERSIONS[case]
    ids = {record["activity_id"] for record, _ in arrivals}
    found = [(r["_record"]["payload"], r[DISPOSITION]) for r in judged if r["activity_id"] in ids]
    expected = [(record["payload"], disposition) for record, disposition in arrivals]
    assert sorted(found) == sorted(expected)


def test_the_winner_decides_the_athlete(published):
    assert published[416]["athlete_id"] == 77


def test_a_copy_is_the_later_path(judged):
    dispositions = {
        (r["_record"]["source_path"], r["_record"]["line_number"]): r[DISPOSITION]
        for r in judged
        if r["activity_id"] == 414
    }
    line = CONTRACTS[BRONZE].example()["line_number"]
    assert dispositions == {
        ("a.jsonl", line): DUPLICATE,
        ("b.jsonl", 0): DUPLICATE,
        ("b.jsonl", line): CURRENT,
    }


def test_unreadable_records(judged):
    found = {
        r["_record"]["line_number"]: (r[DISPOSITION], r[REASONS])
        for r in judged
        if r["activity_id"] is None
    }
    missing = ["athlete_id_present", "activity_id_present"]
    assert found == {
        501: (UNREADABLE, ["unreadable"]),
        502: (UNREADABLE, ["unreadable"]),
        503: (UNREADABLE, ["unreadable"]),
        504: (QUARANTINED, missing),
        505: (UNREADABLE, ["unreadable"]),
    }


def test_a_rejected_record_says_where_it_came_from(judged):
    (found,) = [r for r in judged if r["activity_id"] == 202]
    record = bronze_api(activity(202, moving_time=-1))
    assert found["_record"] == {
        name: record[name] for name in ("source_path", "line_number", "payload")
    }


def test_absent_calories_are_not_empty(published):
    assert (published[601]["name"], published[601]["calories"]) == ("summary", 612.5)
    assert (published[602]["name"], published[602]["calories"]) == ("again", None)
    assert (published[603]["name"], published[603]["calories"]) == ("summary", None)


def test_each_record_has_exactly_one_disposition(judged):
    assert len(judged) == len(given_records())
    assert {r[DISPOSITION] for r in judged} == set(DISPOSITIONS) - {IGNORED}
    current = [r["activity_id"] for r in judged if r[DISPOSITION] == CURRENT]
    assert len(current) == len(set(current))


def test_the_session_zone_changes_nothing(spark, bronze, judged):
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    try:
        rows = rows_of(strava_activities.TABLE, {BRONZE: bronze}, context(athlete_timezone=ZONES))
        there = collected(rows)
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)
    assert sorted(map(repr, there)) == sorted(map(repr, judged))


def test_whole_rows(spark):
    detailed = activity(
        12_345_678_901,
        workout_type=0,
        timezone="(GMT+01:00) Europe/Berlin",
        total_elevation_gain=80,
        average_heartrate=150,
        max_heartrate=172,
        average_cadence=85.5,
        calories=700,
        manual=False,
        trainer=False,
        commute=False,
        visibility="everyone",
        max_speed=900.0,
        flagged=True,
    )
    records = [bronze_api(detailed), *EXPORTS]
    given = {BRONZE: frame(spark, BRONZE, records)}
    rows = rows_of(strava_activities.TABLE, given, context(athlete_timezone=ZONES))
    exported = row(
        SILVER,
        athlete_id=BERLINER,
        activity_id=301,
        workout_type=None,
        # The word Competition.
        is_race=True,
        # 6:00 AM is UTC without saying so; the athlete lives in Berlin.
        start_date=datetime(2024, 6, 1, 6, tzinfo=UTC),
        start_date_local=datetime(2024, 6, 1, 8),
        timezone=None,
        # The second Distance, Max Heart Rate and Commute; the first are 10.00 km, 171 and false.
        distance_m=10000.5,
        elevation_gain_m=80.25,
        average_heartrate_bpm=150.5,
        max_heartrate_bpm=172.0,
        average_cadence_rpm=None,
        # 750,000 J
        kilojoules=750.0,
        is_manual=None,
        is_trainer=None,
        is_commute=True,
        visibility=None,
        source="strava_export",
    )
    assert_df_equality(
        rows.select(*CONTRACTS[SILVER].column_names),
        frame(spark, SILVER, [row(SILVER), exported]),
        ignore_row_order=True,
        ignore_nullable=True,
    )


def test_always_publishes_what_is_complete(spark):
    records = [
        version(405, 1, None)[0],
        version(405, 2, None, BAD)[0],
        bronze_api(activity(202, moving_time=-1)),
        # The table has no place for a row without a moving time.
        bronze_api(activity(215, moving_time=None)),
        *UNREADABLE_RECORDS,
    ]
    rows = rows_of(
        strava_activities.TABLE,
        {BRONZE: frame(spark, BRONZE, records)},
        context(policies={SILVER: "ALWAYS"}),
    )
    found = sorted(
        (r["activity_id"] or 0, r[DISPOSITION], r["distance_m"]) for r in collected(rows)
    )
    nameless = [r for r in found if r[0] == 0]
    assert found[len(nameless) :] == [
        (202, CURRENT, 10000.0),
        (215, QUARANTINED, 10000.0),
        (405, CURRENT, -1.0),
        (405, SUPERSEDED, 10000.0),
    ]
    assert {disposition for _, disposition, _ in nameless} == {UNREADABLE, QUARANTINED}


def test_a_scope_judges_all_versions_of_its_activities_and_no_others(spark, bronze):
    keys = spark.createDataFrame([(405,), (601,)], "activity_id bigint")
    rows = rows_of(strava_activities.TABLE, {BRONZE: bronze}, context(), scope=Scope(keys))
    dispositions = sorted((r["activity_id"], r[DISPOSITION]) for r in rows.collect())
    assert dispositions == [
        (405, CURRENT),
        (405, QUARANTINED),
        (405, SUPERSEDED),
        (601, CURRENT),
        (601, SUPERSEDED),
    ]


def test_new_records_touch_their_activities(spark, bronze):
    changes = {BRONZE: change_feed(spark, BRONZE, insert=[*CALORIES, *UNREADABLE_RECORDS])}
    touched = touched_keys(strava_activities.TABLE, changes, {BRONZE: bronze}, context())
    assert touched == {(601,), (602,), (603,), (None,)}


def test_a_window_touches_what_starts_in_it(spark):
    start = datetime(2024, 6, 1, 6, tzinfo=UTC)
    window = Window(start, start + timedelta(hours=1))

    def at(activity_id, text):
        return bronze_api(activity(activity_id, start_date=text))

    records = [
        # The interval is half-open.
        at(1, "2024-06-01T06:00:00Z"),
        at(2, "2024-06-01T07:00:00Z"),
        at(3, "2024-06-01T05:59:59Z"),
        # Any version counts: this one was moved out of the window later.
        at(4, "2024-06-01T06:30:00Z"),
        at(4, "2024-07-01T06:30:00Z"),
        # Moved out in bronze, but still published within.
        at(5, "2024-07-01T06:30:00Z"),
        # Nobody knows when this one starts.
        at(6, "soon"),
    ]
    own = frame(
        spark, SILVER, [row(SILVER, activity_id=5, start_date=start), row(SILVER, activity_id=8)]
    )
    own = own.where("activity_id = 5")
    touched = touched_keys(
        strava_activities.TABLE,
        {},
        {BRONZE: frame(spark, BRONZE, records)},
        context(window=window),
        own,
    )
    assert touched == {(1,), (4,), (5,), (6,)}
    everything_since = context(window=Window(start, None))
    touched = touched_keys(
        strava_activities.TABLE,
        {},
        {BRONZE: frame(spark, BRONZE, records[:3])},
        everything_since,
    )
    assert touched == {(1,), (2,)}
