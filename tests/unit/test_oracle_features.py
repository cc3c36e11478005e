"""The oracle of the property tests, against values worked out by hand: features, comparison."""

from datetime import UTC, date, datetime

import pytest

from tests.oracle.compare import differences, of_columns
from tests.oracle.worlds import (
    FEATURES,
    RUN,
    SETTINGS,
    api,
    change,
    days,
    features,
    refusals,
    run_on,
    settings,
    splits,
    world,
)


def test_training_stress():
    half_hour = {**RUN, "moving_time": 1800, "elapsed_time": 1800, "distance": 6000}
    row = features(api(half_hour))
    assert (row["pace_min_km"], row["intensity_factor"]) == (5.0, 0.9)
    assert (row["estimated_tss"], row["tss_method"]) == (40.5, "pace")
    hour = {**half_hour, "moving_time": 3600, "elapsed_time": 3600, "distance": 15000}
    four_minutes = settings(valid_from="2024-06-01", threshold_pace_s_per_km=240)
    assert features(api(hour), four_minutes)["estimated_tss"] == 100.0


def test_features_of_a_hilly_run():
    row = features(api({**RUN, "total_elevation_gain": 80, "average_heartrate": 150}))
    assert row["event_timestamp"] == 1_717_221_600_000_000 + 3_100_000_000
    assert (row["distance_km"], row["speed_km_h"], row["elevation_per_km"]) == (10.0, 12.0, 8.0)
    assert row["elapsed_pace_min_km"] == pytest.approx(5.166666666666667)
    assert row["efficiency_m_per_beat"] == pytest.approx(4 / 3)
    assert (row["trimp"], row["split_pace_cv"]) == (None, None)


def test_without_a_distance_there_is_no_pace():
    row = features(api({**RUN, "distance": 0, "total_elevation_gain": 5, "elapsed_time": 90_000}))
    names = "pace_min_km", "elapsed_pace_min_km", "elevation_per_km", "estimated_tss", "tss_method"
    assert [row[name] for name in names] == [None] * 5
    assert row["speed_km_h"] == 0.0
    assert row["event_timestamp"] == 1_717_221_600_000_000 + 3_000_000_000


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # 1.5 km in an hour are 40:00 per kilometre, an intensity of 4.5 / 40 and 1.265625 TSS.
        ({"distance": 1500.0}, (40.0, 0.1125, 1.265625, "pace")),
        # An hour at the heart rate of the threshold are 100 TSS.
        ({"distance": 1440.0}, (125 / 3, None, 100.0, "hr")),
        ({"distance": 1.0}, (60_000.0, None, 100.0, "hr")),
        ({"distance": 1499.999}, (60 / 1.499999, None, 100.0, "hr")),
        ({"distance": 1440.0, "average_heartrate": 0}, (125 / 3, None, None, None)),
        ({"distance": 1440.0, "sport_type": "Walk"}, (125 / 3, None, 100.0, "hr")),
        ({"distance": 0.0}, (None, None, 100.0, "hr")),
        # 60 m in 144 s are 1.5 km/h.
        ({"distance": 60.0, "moving_time": 144}, (40.0, 0.1125, 0.050625, "pace")),
        ({"distance": 60.0, "moving_time": 145}, (145 / 3.6, None, 4.027778, "hr")),
    ],
)
def test_a_distance_that_cannot_be_believed_gives_no_load(fields, expected):
    hour = {**RUN, "moving_time": 3600, "elapsed_time": 3600, "average_heartrate": 150, **fields}
    hearts = {"hr_max_bpm": 190, "hr_rest_bpm": 50, "lthr_bpm": 150}
    row = features(api(hour), settings(valid_from="2024-01-01", **hearts))
    names = "pace_min_km", "intensity_factor", "estimated_tss", "tss_method"
    assert tuple(row[name] for name in names) == pytest.approx(expected)
    moving = hour["moving_time"]
    assert row["speed_km_h"] == pytest.approx(3.6 * hour["distance"] / moving)
    assert row["elapsed_pace_min_km"] == (
        pytest.approx(60 / (hour["distance"] / 1000)) if hour["distance"] else None
    )


def test_load_by_heart_rate():
    hearts = {"hr_max_bpm": 190, "hr_rest_bpm": 50}
    ride = {**RUN, "sport_type": "Ride", "average_heartrate": 150}
    row = features(api(ride), settings(valid_from="2024-01-01", **hearts))
    assert row["hr_reserve_ratio"] == pytest.approx(100 / 140)
    assert row["trimp"] == pytest.approx(90.07946611685279, rel=1e-12)
    female = features(api(ride), settings(valid_from="2024-01-01", sex="F", **hearts))
    assert female["trimp"] == pytest.approx(101.2492219922021, rel=1e-12)
    hour = {**ride, "moving_time": 3600, "elapsed_time": 3600}
    at_lthr = features(api(hour), settings(valid_from="2024-01-01", lthr_bpm=150, **hearts))
    assert (at_lthr["estimated_tss"], at_lthr["tss_method"]) == (100.0, "hr")
    # Threshold at 50 + 0.85 x 140 = 169, when nobody says.
    hour["average_heartrate"] = 169
    row = features(api(hour), settings(valid_from="2024-01-01", **hearts))
    assert row["estimated_tss"] == pytest.approx(100)


def test_settings_hold_as_of_the_day_and_as_a_whole():
    early = settings(at=1, valid_from="2024-01-01", threshold_pace_s_per_km=300, hr_max_bpm=190)
    used = settings(at=2, valid_from="2024-06-01", threshold_pace_s_per_km=240)
    late = settings(at=3, valid_from="2024-06-02", threshold_pace_s_per_km=200)
    empty = settings(at=4, valid_from="2024-06-01")
    assert features(api(RUN), early)["threshold_pace_min_km"] == 5.0
    assert features(api(RUN), early, used, late)["threshold_pace_min_km"] == 4.0
    assert features(api(RUN), early, used, late, empty)["threshold_pace_min_km"] == 4.5
    bad = settings(at=5, valid_from="2024-06-01", threshold_pace_s_per_km=99)
    assert features(api(RUN), used, bad)["threshold_pace_min_km"] == 4.0
    assert refusals(used, bad) == {(SETTINGS, (7, date(2024, 6, 1)), ("threshold_pace_range",))}


def test_pacing_over_splits():
    parts = splits(
        (1000, 240, 120), (1000, 240, 120), (1000, 360, 150), (1000, 360, 150), (0, 9, 0)
    )
    row = features(api({**RUN, "splits_metric": parts}))
    # Mean pace (480 x 0.24 + 720 x 0.36) / 1200 = 0.312; variance 0.003456.
    assert row["split_pace_cv"] == pytest.approx(0.18842228790639832, rel=1e-12)
    assert row["second_half_pace_ratio"] == pytest.approx(1.5)
    # (1 / 0.24 / 120) / (1 / 0.36 / 150) - 1
    assert row["hr_drift_ratio"] == pytest.approx(0.875)
    without = features(
        api(
            {
                **RUN,
                "splits_metric": [*parts[:3], {**parts[3], "split": 4, "average_heartrate": None}],
            }
        )
    )
    assert (without["hr_drift_ratio"], without["second_half_pace_ratio"]) == (None, 1.5)
    few = features(api({**RUN, "splits_metric": [*parts[:3], parts[4]]}))
    assert few["second_half_pace_ratio"] is None


def test_five_splits_fall_into_two_and_three():
    parts = splits(*[(1000, 300)] * 2, (1000, 300), (500, 180), (500, 180))
    row = features(api({**RUN, "splits_metric": parts}))
    assert row["second_half_pace_ratio"] == pytest.approx((660 / 2000) / (600 / 2000))


def test_three_days_of_moving_averages():
    found = days(api(run_on("2024-06-01", 100), run_on("2024-06-03", 50)), horizon="2024-06-03")
    assert list(found) == ["2024-06-01", "2024-06-02", "2024-06-03"]
    rows = found.values()
    assert [row["tss_1d"] for row in rows] == [100.0, 0.0, 50.0]
    assert [row["ctl_ewma_42d"] for row in rows] == pytest.approx(
        [2.352831334775677, 2.297473181876654, 3.419833180333231], rel=1e-12
    )
    assert [row["atl_ewma_7d"] for row in rows] == pytest.approx(
        [13.312210024981838, 11.540060667489568, 16.659928566913955], rel=1e-12
    )
    form = [row["tsb_ewma"] for row in rows]
    assert form == pytest.approx([0, 2.352831334775677 - 13.312210024981838, -9.242587485612914])
    assert [row["history_days"] for row in rows] == [1, 2, 3]
    assert [row["days_since_last_activity"] for row in rows] == [0, 1, 0]
    noon = datetime(2024, 6, 2, 12, tzinfo=UTC).timestamp() * 1e6
    assert found["2024-06-01"]["event_timestamp"] == noon


def instant(text):
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1_000_000


def known(*deliveries, **conf):
    """When the rolling rows are known, by day of June."""
    return {day[-2:]: row["event_timestamp"] for day, row in days(*deliveries, **conf).items()}


# Five days of running, 500 km, whose clock was never stopped.
LONG = {
    **RUN,
    "distance": 500_000.0,
    "moving_time": 432_000,
    "elapsed_time": 432_000,
}
END_OF_LONG = "2024-06-06T06:00"


def test_a_row_is_known_when_its_activities_are_over():
    found = known(api(LONG), horizon="2024-06-06")
    end = instant(END_OF_LONG)
    assert found == {
        **{"01": end, "02": end + 1, "03": end + 2, "04": end + 3},
        **{"05": instant("2024-06-06T12:00"), "06": instant("2024-06-07T12:00")},
    }
    # A clock that ran on for five days does not count.
    stopped = known(api({**LONG, "moving_time": 3000, "distance": 9000.0}), horizon="2024-06-02")
    assert stopped == {"01": instant("2024-06-02T12:00"), "02": instant("2024-06-03T12:00")}


def test_a_row_is_known_without_the_long_activity_when_that_is_deleted():
    gone = change("d", {"id": 1}, 10**12)
    other = run_on("2024-06-02")
    found = known(api(LONG, other), gone, horizon="2024-06-03")
    assert found == {"02": instant("2024-06-03T12:00"), "03": instant("2024-06-04T12:00")}
    found = known(api(LONG, other), horizon="2024-06-03")
    assert [found[day] - instant(END_OF_LONG) for day in ("01", "02", "03")] == [0, 1, 2]


def test_a_night_far_in_the_west():
    # From 23:00 to 05:00 at UTC-12 the next noon in UTC passes.
    night = {
        **RUN,
        "start_date": "2024-06-11T11:00:00Z",
        "start_date_local": "2024-06-10T23:00:00Z",
        "moving_time": 20_000,
        "elapsed_time": 21_600,
        "distance": 40_000.0,
    }
    found = known(api(night), horizon="2024-06-11")
    assert found == {"10": instant("2024-06-11T17:00"), "11": instant("2024-06-12T12:00")}


def test_rows_are_known_one_after_the_other_also_across_a_gap():
    long = {**LONG, "moving_time": 691_200, "elapsed_time": 691_200}
    runs = api(long, run_on("2024-06-05"))
    found = known(runs, horizon="2024-06-06", dormant_after_days=2)
    end = instant("2024-06-09T06:00")
    assert found == {"01": end, "02": end + 1, "03": end + 2, "05": end + 3, "06": end + 4}


def test_what_lies_beyond_the_horizon_keeps_no_row_waiting():
    late = {
        **LONG,
        "start_date": "2024-06-02T23:00:00Z",
        "start_date_local": "2024-06-03T01:00:00Z",
    }
    found = known(api(run_on("2024-06-02"), {**late, "id": 2}), horizon="2024-06-02")
    assert found == {"02": instant("2024-06-03T12:00")}


def test_sums_of_windows():
    ride = {**RUN, "sport_type": "Ride", "distance": 20000, "total_elevation_gain": 100.5}
    treadmill = {**RUN, "id": 2, "distance": 0, "start_date": "2024-06-01T07:00:00Z"}
    found = days(api({**ride, "id": 3}, treadmill, RUN), horizon="2024-08-30")
    day = found["2024-06-01"]
    assert (day["activities_1d"], day["activities_without_tss_1d"], day["runs_7d"]) == (3, 2, 2)
    assert (day["distance_km_1d"], day["run_distance_km_7d"], day["active_days_7d"]) == (30, 10, 1)
    assert (day["moving_time_s_1d"], day["run_pace_min_km_30d"]) == (9000, 5.0)
    assert (day["tss_1d"], day["ctl_42d"], day["atl_7d"]) == (67.5, 67.5 / 42, 67.5 / 7)
    assert (found["2024-06-07"]["activities_7d"], found["2024-06-08"]["activities_7d"]) == (3, 0)
    assert found["2024-06-08"]["elevation_gain_m_30d"] == 100.5
    assert found["2024-06-30"]["run_pace_min_km_30d"] == 5.0
    assert found["2024-07-01"]["run_pace_min_km_30d"] is None
    assert found["2024-08-29"]["runs_90d"] == 2
    assert (found["2024-08-30"]["runs_90d"], found["2024-08-30"]["run_pace_min_km_90d"]) == (
        0,
        None,
    )


def test_the_dormant_tail_and_a_comeback():
    runs = api(run_on("2024-01-01", 100), run_on("2024-06-01", 100))
    found = days(runs, horizon="2024-12-31", dormant_after_days=90)
    # 2024 is a leap year: 90 days after January 1 is March 31, after June 1 is August 30.
    assert list(found)[90:92] == ["2024-03-31", "2024-06-01"]
    assert (list(found)[-1], len(found)) == ("2024-08-30", 182)
    comeback = found["2024-06-01"]
    assert comeback["history_days"] == 153
    step = 0.023528313347756735
    assert comeback["ctl_ewma_42d"] == pytest.approx(100 * step * (1 + (1 - step) ** 152))


def test_activities_beyond_the_horizon_wait():
    runs = api(run_on("2024-06-01", 100), run_on("2024-06-03", 50))
    assert list(days(runs, horizon="2024-06-02")) == ["2024-06-01", "2024-06-02"]
    assert not days(runs, horizon="2024-05-31")
    assert len(world(runs, horizon="2024-05-31").tables[FEATURES]) == 2


def test_workload_ratios_need_four_weeks():
    month = [run_on(f"2024-06-{day:02}", 70 if day > 21 else 35) for day in range(1, 29)]
    found = days(api(*month), horizon="2024-07-26")
    assert (found["2024-06-27"]["acwr"], found["2024-06-27"]["acwr_uncoupled"]) == (None, None)
    # A week of 490 after three of 245: 70 a day against 43.75 and against 35.
    assert found["2024-06-28"]["acwr"] == pytest.approx(1.6)
    assert found["2024-06-28"]["acwr_uncoupled"] == pytest.approx(2.0)
    assert found["2024-07-25"]["acwr"] == 0.0
    assert (found["2024-07-26"]["acwr"], found["2024-07-26"]["acwr_uncoupled"]) == (None, None)


def test_monotony():
    loads = [100, 100, 100, 100, 100, 100, 30]
    runs = [run_on(f"2024-06-{day:02}", load) for day, load in enumerate(loads, start=1)]
    found = days(api(*runs), horizon="2024-06-20")
    assert found["2024-06-06"]["monotony_7d"] is None
    # Mean 90, variance (6 x 10^2 + 60^2) / 7 = 600.
    assert found["2024-06-07"]["monotony_7d"] == pytest.approx(90 / 600**0.5)
    assert found["2024-06-07"]["strain_7d"] == pytest.approx(630 * 90 / 600**0.5)
    assert found["2024-06-14"]["monotony_7d"] is None
    equal = [run_on(f"2024-06-{day:02}", 33.3) for day in range(1, 8)]
    assert days(api(*equal))["2024-06-07"]["monotony_7d"] is None


def test_rows_are_compared_in_some_of_their_columns():
    rows = {(1, "a"): {"x": 1, "y": 1.0}, (2, "b"): {"x": None, "y": 0.0}}
    assert of_columns(rows, ["x", "z"]) == {(1, "a"): {"x": 1}, (2, "b"): {"x": None}}


def test_differences_are_readable():
    expected = {(1, "a"): {"x": 1, "y": 1.0}, (2, "b"): {"x": None, "y": 0.0}}
    assert differences(expected, expected) == []
    close = {(1, "a"): {"x": 1, "y": 1.0 + 1e-10}, (2, "b"): {"x": None, "y": 1e-10}}
    assert differences(expected, close) == []
    other = {(1, "a"): {"x": True, "y": float("nan")}, (3, "c"): {"x": 1}}
    assert differences(expected, other) == [
        "(1, a) x: expected 1, got True",
        "(1, a) y: expected 1.0, got nan",
        "(2, b): missing",
        "(3, c): not expected",
    ]
    assert differences(expected, other, limit=1)[1:] == ["... and 3 more"]
    signed = {(1, "a"): {"y": 1.1}, (2, "b"): {"x": 0, "y": -0.0, "z": 1}}
    assert differences(expected, signed) == [
        "(1, a): no column x",
        "(1, a) y: expected 1.0, got 1.1",
        "(2, b) x: expected None, got 0",
        "(2, b) y: expected 0.0, got -0.0",
        "(2, b): column z is not expected",
    ]
