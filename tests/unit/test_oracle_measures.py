"""The oracle, against values by hand: measures that cannot be, and ends in the future."""

import json

import pytest

from tests.oracle.worlds import (
    ACTIVITIES,
    ROW_OF_RUN,
    RUN,
    activity,
    api,
    change,
    delivery,
    export,
    refusals,
    world,
)

COLUMNS = {
    "total_elevation_gain": "elevation_gain_m",
    "average_heartrate": "average_heartrate_bpm",
    "max_heartrate": "max_heartrate_bpm",
    "average_cadence": "average_cadence_rpm",
    "average_watts": "average_watts_w",
    "kilojoules": "kilojoules",
    "calories": "calories",
}
SAID = {
    "total_elevation_gain": 210.5,
    "average_heartrate": 141,
    "max_heartrate": 162,
    "average_cadence": 83.5,
    "average_watts": 205,
    "kilojoules": 615,
    "calories": 700,
}
TOO_GREAT = 1e308 * 10


def optional(row):
    return {name: row[column] for name, column in COLUMNS.items()}


@pytest.mark.parametrize(
    ("field", "edges", "outside"),
    [
        ("total_elevation_gain", [0, 50_000], [-0.1, 50_000.1, TOO_GREAT]),
        ("average_heartrate", [25, 162], [-3, 24.9, 240.1, 999, TOO_GREAT]),
        ("max_heartrate", [141, 240], [-3, 24.9, 240.1, 999, TOO_GREAT]),
        ("average_cadence", [0.1, 1e308], [-0.1, -TOO_GREAT, TOO_GREAT]),
        ("average_watts", [0.1, 1e308], [-4, -TOO_GREAT, TOO_GREAT]),
        ("kilojoules", [0, 1e308], [-0.1, TOO_GREAT]),
        ("calories", [0, 1e308], [-650, TOO_GREAT]),
    ],
)
def test_a_measure_that_cannot_be_is_absent_and_costs_nothing_else(field, edges, outside):
    for value in edges:
        assert optional(activity(of_api(**{field: value}))) == {**SAID, field: value}
    for value in outside:
        assert optional(activity(of_api(**{field: value}))) == {**SAID, field: None}


def of_api(**fields):
    # JSON has no infinity, but numbers that are too great for a DOUBLE.
    text = json.dumps({**RUN, **SAID, **fields})
    return delivery("strava_api/a.jsonl", text.replace("Infinity", "1e999"))


@pytest.mark.parametrize(
    ("mean", "most", "expected"),
    [
        (150, 150, (150.0, 150.0)),
        (150.1, 150, (None, None)),
        (240, 25, (None, None)),
        # The one that cannot be is absent, and then there is nothing to compare the other with.
        (241, 150, (None, 150.0)),
        (150, 24, (150.0, None)),
        (12, 9, (None, None)),
        # Nor with a sensor that was not there.
        (150, 0, (150.0, None)),
        (0, 150, (None, 150.0)),
        (150, None, (150.0, None)),
    ],
)
def test_heart_rates_that_contradict_each_other(mean, most, expected):
    row = activity(api({**RUN, "average_heartrate": mean, "max_heartrate": most}))
    assert (row["average_heartrate_bpm"], row["max_heartrate_bpm"]) == expected


def test_measures_of_other_sources():
    header = "Activity ID,Activity Date,Activity Type,Elapsed Time,Moving Time,Distance"
    header += ",Elevation Gain,Average Heart Rate,Max Heart Rate,Calories"
    row = activity(export(header, "31,2021-05-02,Hike,900,800,1.5,-7,300,171,-1"))
    assert (row["elevation_gain_m"], row["average_heartrate_bpm"]) == (None, None)
    assert (row["max_heartrate_bpm"], row["calories"]) == (171.0, None)
    changed = {**ROW_OF_RUN, "elevation_gain_m": 60_000, "average_watts_w": "1e999"}
    row = activity(change("c", {**changed, "average_cadence_rpm": -80, "kilojoules": 1}, 5))
    assert (row["elevation_gain_m"], row["average_watts_w"]) == (None, None)
    assert (row["average_cadence_rpm"], row["kilojoules"]) == (None, 1.0)


def test_calories_that_cannot_be_leave_those_of_an_older_version():
    old, new = api({**RUN, "calories": 650}, at=1), api({**RUN, "calories": -650}, at=2)
    assert activity(old, new)["calories"] == 650.0


def test_a_distance_is_no_optional_measure():
    assert refusals(of_api(distance=-1)) == {(ACTIVITIES, (7, 1), ("distance_not_negative",))}
    rules = ("distance_not_negative", "run_speed_max", "numbers_finite")
    assert refusals(of_api(distance=TOO_GREAT)) == {(ACTIVITIES, (7, 1), rules)}


def lasting(start, elapsed, moving=60, **fields):
    """A delivery of 1 January 2025, so that activities may end on 3 January."""
    times = {"start_date": start, "elapsed_time": elapsed, "moving_time": moving}
    return {**RUN, "distance": 100.0, **times, **fields}


LATE, EARLY = "2025-01-03T23:00:00Z", "2025-01-03T00:00:00Z"


@pytest.mark.parametrize(
    ("run", "is_ahead"),
    [
        (lasting(LATE, 3599), False),
        (lasting(LATE, 3600), True),
        (lasting("2025-01-04T00:30:00+02:00", 3600), False),
        (lasting(EARLY, 86_399), False),
        (lasting(EARLY, 86_400), True),
        # A clock that ran for more than a day counts as having run while the athlete moved.
        (lasting(EARLY, 86_401), False),
        (lasting(EARLY, 500_000, 86_399), False),
        (lasting(EARLY, 500_000, 86_400), True),
        (lasting("2024-12-05T00:00:00Z", 2_592_000, 2_591_999), False),
        (lasting("2024-12-05T00:00:01Z", 2_592_000, 2_592_000), True),
        # Nobody knows how long the athlete moved, so all the time.
        (lasting(EARLY, 86_401, 0), True),
    ],
)
def test_an_activity_that_ends_after_its_delivery(run, is_ahead):
    found = refusals(api(run))
    assert found == ({(ACTIVITIES, (7, 1), ("end_not_ahead",))} if is_ahead else set())


@pytest.mark.parametrize(
    ("run", "reasons"),
    [
        (lasting(LATE, 3600, -5, distance=-1.0), ("end_not_ahead",)),
        (lasting(EARLY, 10**18, 10**18), ("end_not_ahead",)),
        (lasting("2025-01-04T00:00:00Z", 60), ("start_date_present",)),
        (lasting("soon", 60), ("start_date_present",)),
        (lasting(LATE, None), ("elapsed_time_positive",)),
        (lasting(EARLY, 100_000, None), ("moving_time_positive",)),
        (lasting(LATE, 3600, updated_at="2025-01-03T00:00:00Z"), ("change_time_ahead",)),
    ],
)
def test_other_reasons_and_an_end_that_is_ahead(run, reasons):
    assert refusals(api(run)) == {(ACTIVITIES, (7, 1), reasons)}


def test_a_change_that_cannot_be_read_is_refused_for_that():
    row = {**ROW_OF_RUN, "start_date": LATE, "elapsed_time_s": 3600}
    assert refusals(change("c", row, 5)) == {(ACTIVITIES, (7, 1), ("end_not_ahead",))}
    unreadable = change("c", {**row, "is_commute": "perhaps"}, 5)
    assert refusals(unreadable) == {(ACTIVITIES, (7, 1), ("encoding_unknown",))}


def test_the_newest_version_that_ends_in_time_stays():
    good, ahead = api(lasting(LATE, 100), at=1), api(lasting(LATE, 4000), at=2)
    found = world(good, ahead)
    (row,) = found.tables[ACTIVITIES].values()
    assert row["elapsed_time_s"] == 100
    assert found.refused == {(ACTIVITIES, (7, 1), ("end_not_ahead",))}
    assert not refusals(ahead, api(lasting(LATE, 100), at=3))
