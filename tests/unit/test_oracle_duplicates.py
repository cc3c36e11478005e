"""The oracle, against cases by hand: recordings of two devices, and what models may learn from."""

import pytest

from tests.oracle.worlds import (
    FEATURES,
    PARTS,
    ROW_OF_RUN,
    RUN,
    api,
    change,
    days,
    export,
    features,
    splits,
    world,
)


def run(number, begin="06:00:00", seconds=3000, **fields):
    """A run that begins on 1 June 2024, and of which nothing but the distance is known."""
    times = {"moving_time": seconds, "elapsed_time": seconds}
    start = {"start_date": f"2024-06-01T{begin}Z", "start_date_local": f"2024-06-01T{begin}Z"}
    return {**RUN, "id": number, "distance": 5000.0, **start, **times, **fields}


def duplicates(*runs, **conf):
    rows = world(api(*runs), **conf).tables[FEATURES]
    return {key[1] for key, row in rows.items() if row["is_duplicate_recording"]}


HEART = {"average_heartrate": 140}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # The one that knows more is kept, of two that know the same the older one.
        ({}, {}, {2}),
        ({}, HEART, {1}),
        (HEART, {}, {2}),
        (HEART, {"average_watts": 250}, {2}),
        (HEART, {"average_watts": 250, "average_cadence": 85}, {1}),
        ({}, {"total_elevation_gain": 0.0}, {1}),
        ({"distance": None}, {"distance": 0.0}, {1}),
        # What says nothing, or cannot be, is not known; the highest heart rate is not asked for.
        ({}, {"average_heartrate": 0}, {2}),
        ({}, {"average_heartrate": 250}, {2}),
        ({}, {"max_heartrate": 160, "calories": 500, "kilojoules": 5}, {2}),
        # One family is one sport, other sports are not.
        ({}, {"sport_type": "Trail Run"}, {2}),
        ({}, {"sport_type": "Ride"}, set()),
        ({"sport_type": "Yoga"}, {"sport_type": "Yoga"}, set()),
        ({"sport_type": "Hike"}, {"sport_type": "Walk"}, {2}),
        # What was typed in was recorded by no device.
        ({"manual": True}, {}, set()),
        ({}, {"manual": True}, set()),
        ({"manual": False}, {"manual": None}, {2}),
        ({}, {"athlete": {"id": 8}}, set()),
        # A refused version is no recording.
        ({}, {"distance": -1.0}, set()),
    ],
)
def test_two_recordings_of_the_same_time(one, other, expected):
    assert duplicates(run(1, **one), run(2, **other)) == expected


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        # Of 3,000 s more than 1,500 s, to the microsecond.
        (("06:00:00", 3000), ("06:24:59", 3000), True),
        (("06:00:00", 3000), ("06:25:00", 3000), False),
        (("06:00:00", 3000), ("06:24:59.999999", 3000), True),
        (("06:24:59", 3000), ("06:00:00", 3000), True),
        (("06:25:00", 3000), ("06:00:00", 3000), False),
        # More than half of each: all of the short one may be too little of the long one.
        (("06:00:00", 3000), ("06:10:00", 1500), False),
        (("06:00:00", 3000), ("06:10:00", 1501), True),
        (("06:00:00", 3000), ("06:40:00", 1199), False),
        (("06:00:00", 3000), ("09:00:00", 3000), False),
    ],
)
def test_recordings_overlap_by_more_than_half_of_each(one, other, is_same):
    (begin, seconds), (other_begin, other_seconds) = one, other
    recorded = run(1, begin, seconds), run(2, other_begin, other_seconds)
    assert duplicates(*recorded) == ({2} if is_same else set())


def test_a_clock_that_ran_for_more_than_a_day_does_not_count():
    assert duplicates(run(1, elapsed_time=90_000), run(2)) == {2}
    assert duplicates(run(1, elapsed_time=86_400), run(2)) == set()


def test_a_better_recording_may_have_a_better_one_itself():
    # Each has 1,600 s in common with the next; the first and the last have 200 s.
    first = run(3, "06:00:00", **HEART, average_watts=250)
    second, third = run(2, "06:23:20", **HEART), run(1, "06:46:40")
    assert duplicates(first, second, third) == {1, 2}
    assert duplicates(first, third) == set()


def test_the_detection_can_be_switched_off():
    assert duplicates(run(1), run(2), detect_duplicate_recordings=False) == set()
    runs = api(run(1), run(2))
    both = days(runs, detect_duplicate_recordings=False, horizon="2024-06-01")["2024-06-01"]
    once = days(runs, horizon="2024-06-01")["2024-06-01"]
    assert (both["activities_1d"], both["run_distance_km_7d"], both["runs_90d"]) == (2, 10.0, 2)
    assert (once["activities_1d"], once["run_distance_km_7d"], once["runs_90d"]) == (1, 5.0, 1)


def over_midnight(number, begin, day, **fields):
    start = {"start_date": f"2024-06-{begin}Z", "start_date_local": f"2024-06-{day}T12:00:00Z"}
    return run(number, **{**start, **fields})


def test_a_duplicate_does_not_exist_for_the_days():
    before = over_midnight(1, "01T23:59:50", "01")
    later = over_midnight(2, "02T00:00:10", "02", elapsed_time=50_000, moving_time=3000)
    # More than half of 3,000 s, but not of 50,000 s.
    assert list(days(api(before, later), horizon="2024-06-03")) == [
        *("2024-06-01", "2024-06-02", "2024-06-03"),
    ]
    later = {**later, "elapsed_time": 3000}
    found = days(api(before, later), horizon="2024-06-03")
    names = "activities_7d", "active_days_7d", "days_since_last_activity", "history_days"
    assert [found["2024-06-02"][name] for name in names] == [1, 1, 1, 2]
    better = {**later, **HEART}
    found = days(api(before, better), horizon="2024-06-03")
    assert list(found) == ["2024-06-02", "2024-06-03"]
    assert [found["2024-06-02"][name] for name in names] == [1, 1, 0, 1]


def test_no_day_waits_for_the_end_of_a_duplicate():
    # The second one ends 200 s after noon of the next day, the first one 800 s before it.
    times = {"elapsed_time": 40_000, "moving_time": 40_000}
    first = over_midnight(1, "02T00:40:00", "01", **times)
    second = over_midnight(2, "02T00:56:40", "01", **times)
    noon = 1_717_329_600_000_000
    row = days(api(first, second), horizon="2024-06-01")["2024-06-01"]
    assert row["event_timestamp"] == noon
    both = days(api(first, second), horizon="2024-06-01", detect_duplicate_recordings=False)
    assert both["2024-06-01"]["event_timestamp"] == noon + 200_000_000


EXPORTED = export(
    "Activity ID,Activity Date,Activity Type,Moving Time,Elapsed Time",
    "1,2024-06-01 06:00:00,Run,3000,3100",
)
CHANGED = change("u", ROW_OF_RUN, 10**6)
WITH_SPLITS = api({**RUN, "splits_metric": splits((1000, 300))}, at=5)


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        ([api(RUN)], True),
        ([EXPORTED], False),
        ([CHANGED], False),
        # The better source wins, but has no splits or laps of its own.
        ([CHANGED, WITH_SPLITS], True),
        ([CHANGED, api({**RUN, "laps": [{"lap_index": 1}]}, at=5)], True),
        ([CHANGED, api(RUN)], False),
        ([EXPORTED, WITH_SPLITS], True),
        # Nothing of an empty array, or of parts that break a rule, is published.
        ([CHANGED, api({**RUN, "splits_metric": []}, at=5)], False),
        ([CHANGED, api({**RUN, "splits_metric": splits((-1, 300))}, at=5)], False),
        # A newer version of another source brings its own.
        ([change("u", {**ROW_OF_RUN, "splits_metric": splits((900, 300))}, 10**6)], False),
        (
            [change("u", {**ROW_OF_RUN, "splits_metric": splits((900, 300))}, 10**6), WITH_SPLITS],
            False,
        ),
        ([change("u", {**ROW_OF_RUN, "splits_metric": []}, 10**6), WITH_SPLITS], False),
        # Versions that are not later than a delete are gone.
        ([change("d", {"id": 1}, 10), change("c", ROW_OF_RUN, 10**6), WITH_SPLITS], False),
    ],
)
def test_what_no_model_may_learn_from(deliveries, expected):
    assert features(*deliveries)["is_restricted"] is expected


def test_a_part_has_the_source_of_the_version_that_it_is_from():
    laps = [{"lap_index": 1, "distance": 500.0}]
    changed = change("u", {**ROW_OF_RUN, "laps": laps}, 10**6)
    rows = world(changed, WITH_SPLITS).tables[PARTS]
    found = {kind: row["source"] for (_, _, kind, _), row in rows.items()}
    assert found == {"split": "strava_api", "lap": "debezium"}
