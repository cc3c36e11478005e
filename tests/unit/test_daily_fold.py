"""The daily fold against a naive oracle, and against numbers worked out by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paceline.features.daily_fold import History, Seed, daily_rows
from paceline.features.windows import EWMA_ALPHA, MEASURES

MICRO = 1_000_000
# The smoothing factors, 1 - e^(-1/42) and 1 - e^(-1/7), to the last printed digit.
CTL_ALPHA, ATL_ALPHA = 0.023528313347756735, 0.1331221002498184
EWMAS = ("ctl_ewma_42d", "atl_ewma_7d")
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

# What a day can hold, in fixed point: measure -> units in one published unit, and window lengths.
SUMS = {
    "activities": (1, (1, 7, 30, 90)),
    "active_days": (1, (7, 30, 90)),
    "distance_km": (1_000_000, (1, 7, 30, 90)),
    "moving_time_s": (1, (1, 7, 30, 90)),
    "elevation_gain_m": (1_000, (1, 7, 30, 90)),
    "tss": (MICRO, (1, 7, 28, 30, 42, 90)),
    "activities_without_tss": (1, (1,)),
    "runs": (1, (7, 30, 90)),
    "run_distance_km": (1_000_000, (7, 30, 90)),
    "measured_run_time_s": (1, (30, 90)),
}


def history(athlete_id, days, since=None, seed=None):
    """The fold's input for {day number: {measure: fixed-point load, `end_us`: its last end}}."""
    ordered = sorted(days)
    return History(
        athlete_id=athlete_id,
        days=np.array(ordered, dtype=np.int64),
        ends_us=np.array([days[day].get("end_us", 0) for day in ordered], dtype=np.int64),
        loads={
            m.name: np.array([days[day].get(m.name, 0) for day in ordered], dtype=np.int64)
            for m in MEASURES
        },
        since=since,
        seed=seed,
    )


def training(loads):
    """{day: TSS} as days with one activity that has nothing but a load."""
    return {
        day: {"activities": 1, "active_days": 1, "tss": round(tss * MICRO)}
        for day, tss in loads.items()
    }


def fold(days, horizon, dormant=365):
    """The rows of one athlete, by day number; NULL is None."""
    return as_rows(daily_rows([history(1, days)], horizon, dormant))[1]


def as_rows(columns):
    """{athlete_id: {day: row}} of the fold's columns."""
    rows = {}
    for values in zip(*(column.tolist() for column in columns.values()), strict=True):
        row = dict(zip(columns, values, strict=True))
        row = {name: None if is_nan(value) else value for name, value in row.items()}
        days = rows.setdefault(row.pop("athlete_id"), {})
        day = row.pop("as_of_day")
        assert day not in days, "a day is there twice"
        days[day] = row
    return rows


def is_nan(value):
    return isinstance(value, float) and math.isnan(value)


def oracle(days, horizon, dormant):
    """The rows of one athlete as the documentation defines them, one plain loop over the days."""
    rows, ctl, atl = {}, 0.0, 0.0
    first, known_us = min(days), -1
    for day in range(first, horizon + 1):
        tsb = ctl - atl
        load = days.get(day, {}).get("tss", 0) / MICRO
        ctl = ctl + CTL_ALPHA * (load - ctl)
        atl = atl + ATL_ALPHA * (load - atl)
        since_last = min(day - active for active in days if active <= day)
        if since_last > dormant:
            continue
        row = window_sums(days, day)
        noon = (day + 1) * DAY_US + 12 * HOUR_US
        ends = [loads.get("end_us", 0) for at, loads in days.items() if at <= day]
        known_us = max(noon, known_us + 1, *ends)
        row |= {"known_us": known_us}
        row |= {"ctl_ewma_42d": ctl, "atl_ewma_7d": atl, "tsb_ewma": tsb}
        row |= {"days_since_last_activity": since_last, "history_days": day - first + 1}
        rows[day] = row | derived(days, day, row)
    return rows


def window_sums(days, day):
    row = {}
    for measure, (scale, lengths) in SUMS.items():
        for length in lengths:
            inside = (loads for at, loads in days.items() if day - length < at <= day)
            total = sum(loads.get(measure, 0) for loads in inside)
            value = total if scale == 1 else float(Fraction(total, scale))
            row[f"{measure}_{length}d"] = value
    return row


def derived(days, day, row):
    week, month = row["tss_7d"], row["tss_28d"]
    before = month - week
    is_settled = row["history_days"] >= 28
    monotony = None
    if row["history_days"] >= 7:
        monotony = foster_monotony([days.get(day - lag, {}).get("tss", 0) for lag in range(7)])
    values = {
        "ctl_42d": row["tss_42d"] / 42,
        "atl_7d": week / 7,
        "acwr": (week / 7) / (month / 28) if is_settled and month else None,
        "acwr_uncoupled": (week / 7) / (before / 21) if is_settled and before else None,
        "monotony_7d": monotony,
        "strain_7d": None if monotony is None else week * monotony,
    }
    for length in (30, 90):
        distance = row[f"run_distance_km_{length}d"]
        minutes = row[f"measured_run_time_s_{length}d"] / 60
        values[f"run_pace_min_km_{length}d"] = minutes / distance if distance else None
    return values


def foster_monotony(loads):
    """Mean / population standard deviation, exact up to the root."""
    mean = Fraction(sum(loads), len(loads))
    variance = sum((load - mean) ** 2 for load in loads) / len(loads)
    return math.sqrt(mean * mean / variance) if variance else None


def assert_same(got, expected):
    """Sums, counts and EWMAs to the bit; what is divided from them to the last digits."""
    assert list(got) == list(expected)
    for day, row in expected.items():
        assert got[day].keys() == row.keys()
        for name, value in row.items():
            assert got[day][name] == value or is_close(got[day][name], value, name), (day, name)


def is_close(got, value, name):
    stem = name.rpartition("_")[0]
    exact = (*EWMAS, "tsb_ewma", "known_us")
    if got is None or value is None or stem in SUMS or name in exact:
        return False
    return math.isclose(got, value, rel_tol=1e-12)


# Histories: up to a dozen active days, with gaps from none to several years between them.

GAPS = st.one_of(
    st.integers(1, 3), st.integers(1, 40), st.integers(85, 125), st.integers(300, 1100)
)
TSS = st.one_of(
    st.sampled_from([0, 1, 50 * MICRO, 50 * MICRO, 5000 * MICRO]), st.integers(0, 400 * MICRO)
)


@st.composite
def loads(draw):
    """What one active day holds; its parts stay within its whole."""
    activities = draw(st.integers(1, 4))
    runs = draw(st.integers(0, activities))
    run_mm = draw(st.integers(0, 60_000_000)) if runs else 0
    return {
        "activities": activities,
        "active_days": 1,
        "distance_km": run_mm + draw(st.integers(0, 200_000_000)),
        "moving_time_s": draw(st.integers(1, 90_000)),
        "elevation_gain_m": draw(st.integers(0, 5_000_000)),
        "tss": draw(TSS),
        "activities_without_tss": draw(st.integers(0, activities)),
        "runs": runs,
        "run_distance_km": run_mm,
        "measured_run_time_s": draw(st.integers(1, 20_000)) if run_mm else 0,
    }


@st.composite
def histories(draw, gaps=GAPS, max_days=10):
    day = draw(st.integers(10_000, 20_000))
    days = {day: draw(loads())}
    for gap in draw(st.lists(gaps, max_size=max_days - 1)):
        day += gap
        days[day] = draw(loads())
    # Mostly of an hour in the evening, some over many days.
    for day in days:
        hours = draw(st.sampled_from([19, 19, 36, 37, 60, 61, 130, 24 * 30]))
        days[day]["end_us"] = day * DAY_US + hours * HOUR_US + draw(st.integers(0, 2))
    return days


@settings(max_examples=60, deadline=None)
@given(
    athletes=st.lists(histories(), min_size=1, max_size=3),
    dormant=st.integers(90, 120),
    beyond=st.integers(-60, 150),
)
def test_a_block_of_athletes_agrees_with_the_oracle(athletes, dormant, beyond):
    horizon = max(map(max, athletes)) + beyond
    known = [{day: days[day] for day in days if day <= horizon} for days in athletes]
    columns = daily_rows([history(n, days) for n, days in enumerate(known)], horizon, dormant)
    expected = {
        n: rows for n, days in enumerate(known) if days and (rows := oracle(days, horizon, dormant))
    }
    got = as_rows(columns) if columns else {}
    assert list(got) == list(expected)
    for number, rows in expected.items():
        assert_same(got[number], rows)


def cut_at(days, day, full):
    """The history that an increment from `day` on would see, its seed from the row before."""
    before = [stored for stored in full if stored < day]
    seed = None
    if before:
        row = full[before[-1]]
        seed = Seed(
            day=before[-1],
            known_us=row["known_us"],
            first_day=before[-1] - row["history_days"] + 1,
            last_active_day=before[-1] - row["days_since_last_activity"],
            ewmas={name: row[name] for name in EWMAS},
        )
    # 89 days before the first wanted one are in its windows; older ones are not read.
    return history(day, {at: days[at] for at in days if at > day - 90}, since=day, seed=seed)


@settings(max_examples=60, deadline=None)
@given(
    days=histories(gaps=st.one_of(st.integers(1, 9), st.integers(80, 130)), max_days=4),
    dormant=st.integers(90, 95),
)
@example(days=training({100: 80, 130: 60, 250: 40}), dormant=90)
def test_the_fold_may_be_cut_at_every_day(days, dormant):
    horizon = max(days) + dormant + 3
    full = daily_rows([history(1, days)], horizon, dormant)
    stored = as_rows(full)[1]
    cuts = np.arange(min(days) - 2, horizon + 2)
    # The day of the cut serves as the athlete's number, so that one call does them all.
    histories = [cut_at(days, int(cut), stored) for cut in cuts]
    parts = daily_rows(histories, horizon, dormant)
    kept = [np.flatnonzero(full["as_of_day"] >= cut) for cut in cuts]
    expected = {name: values[np.concatenate(kept)] for name, values in full.items()}
    expected["athlete_id"] = np.repeat(cuts, [rows.size for rows in kept])
    assert parts.keys() == expected.keys()
    for name, values in expected.items():
        assert parts[name].tobytes() == values.tobytes(), name


def test_a_row_is_known_when_all_in_it_has_ended_and_after_the_row_before():
    # From day 1 at 06:00 five days on end, to day 6 at 06:00; on day 3 one of an hour inside of it.
    ends = {0: 19, 1: 126, 3: 19, 5: 60}
    days = training(dict.fromkeys(ends, 50))
    for day, hours in ends.items():
        days[day]["end_us"] = day * DAY_US + hours * HOUR_US
    known = [row["known_us"] for row in fold(days, 9).values()]
    end = 6 * DAY_US + 6 * HOUR_US
    assert known == [
        DAY_US + 12 * HOUR_US,  # noon of the next day
        *(end, end + 1, end + 2, end + 3),  # each a microsecond after the one before it
        # What began on day 5 ends 60 hours after its midnight, on day 7 at noon.
        7 * DAY_US + 12 * HOUR_US,
        7 * DAY_US + 12 * HOUR_US + 1,
        *(day * DAY_US + 12 * HOUR_US for day in (8, 9, 10)),
    ]
    # Without the long one all of them are known at noon.
    del days[1]
    known = [row["known_us"] for row in fold(days, 4).values()]
    assert known == [day * DAY_US + 12 * HOUR_US for day in (1, 2, 3, 4, 5)]


def test_an_end_is_waited_for_across_dormant_days():
    days = training({0: 50, 100: 50})
    days[0]["end_us"] = 101 * DAY_US + 12 * HOUR_US
    rows = fold(days, 101, dormant=90)
    assert list(rows) == [*range(91), 100, 101]
    end = days[0]["end_us"]
    # 91 rows wait for it, one microsecond apart, and the first one after the break for them.
    assert [rows[day]["known_us"] - end for day in (0, 90, 100)] == [0, 90, 91]
    assert rows[101]["known_us"] == 102 * DAY_US + 12 * HOUR_US


def test_every_measure_is_known_to_the_oracle():
    assert {m.name: (m.scale, m.days) for m in MEASURES} == SUMS


def test_smoothing_factors():
    assert EWMA_ALPHA == {"ctl_ewma_42d": CTL_ALPHA, "atl_ewma_7d": ATL_ALPHA}
    assert math.isclose(CTL_ALPHA, -math.expm1(-1 / 42), rel_tol=1e-14)
    assert math.isclose(ATL_ALPHA, -math.expm1(-1 / 7), rel_tol=1e-14)


def test_three_runs_of_100_a_week_for_six_weeks():
    # 18 x 100 / 42
    rows = fold(training({week * 7 + day: 100 for week in range(6) for day in (0, 2, 4)}), 41)
    assert rows[41]["tss_42d"] == 1800
    assert round(rows[41]["ctl_42d"], 3) == 42.857
    # 3 x 100 / 7
    assert round(rows[41]["atl_7d"], 3) == 42.857


def test_acute_to_chronic_ratio():
    # 50 / ((21 x 30 + 7 x 50) / 28) = 50 / 35, and 50 / 30
    rows = fold(training({day: 30 if day < 21 else 50 for day in range(28)}), 27)
    assert round(rows[27]["acwr"], 4) == 1.4286
    assert round(rows[27]["acwr_uncoupled"], 4) == 1.6667
    # One day earlier, four weeks are not known yet.
    assert rows[26]["history_days"] == 27
    assert rows[26]["acwr"] is rows[26]["acwr_uncoupled"] is None


def test_acute_to_chronic_ratio_without_a_divisor():
    # Day 40: nothing in four weeks. Day 45: the week from day 39 on is all of the four.
    rows = fold(training({0: 60, 45: 70}), 60)
    assert rows[40]["acwr"] is rows[40]["acwr_uncoupled"] is None
    # (70 / 7) / (70 / 28)
    assert rows[45]["acwr"] == 4
    assert rows[45]["acwr_uncoupled"] is None


def test_monotony_and_strain():
    # Mean 10; squares 100 + 100 + 5 x 0; SD sqrt(200 / 7) = 5.3452; 10 / 5.3452; 70 x 1.87083
    rows = fold(training(dict(enumerate([0, 20, 10, 10, 10, 10, 10]))), 6)
    assert round(rows[6]["monotony_7d"], 4) == 1.8708
    assert round(rows[6]["strain_7d"], 2) == 130.96
    # Six days are no week.
    assert rows[5]["monotony_7d"] is rows[5]["strain_7d"] is None


@pytest.mark.parametrize("load", [0, 33.333333, 5000])
def test_a_week_of_equal_loads_has_no_monotony(load):
    rows = fold(training(dict.fromkeys(range(7), load)), 7)
    assert rows[6]["monotony_7d"] is rows[6]["strain_7d"] is None
    # A rest day makes the loads differ: 6 x load and a 0 have the mean 6/7 load and the
    # SD sqrt(6) / 7 load, whatever the load.
    expected = pytest.approx(math.sqrt(6), rel=1e-14) if load else None
    assert rows[7]["monotony_7d"] == expected


def test_one_day_of_100_and_then_rest():
    rows = fold(training({0: 100}), 42)
    # 100 x (1 - e^(-1/42)), and with 7
    assert round(rows[0]["ctl_ewma_42d"], 5) == 2.35283
    assert round(rows[0]["atl_ewma_7d"], 5) == 13.31221
    # Yesterday there was nothing yet; the day after sees day 0: 2.35283 - 13.31221.
    assert rows[0]["tsb_ewma"] == 0
    assert round(rows[1]["tsb_ewma"], 5) == -10.95938
    # 42 days of rest leave e^-1 of it.
    left = rows[42]["ctl_ewma_42d"] / rows[0]["ctl_ewma_42d"]
    assert math.isclose(left, math.exp(-1), rel_tol=1e-12)


def test_rest_days_are_rows_and_dormant_days_are_not():
    rows = fold(training({0: 100, 300: 50}), 1000, dormant=90)
    assert list(rows) == [*range(91), *range(300, 391)]
    assert rows[90]["days_since_last_activity"] == 90
    assert rows[90]["activities_1d"] == rows[90]["tss_1d"] == 0
    # Day 0 is the first of the 90 days that end with day 89.
    assert rows[89]["tss_90d"] == 100
    assert rows[90]["tss_90d"] == 0


def test_a_comeback_continues_the_decay_and_the_history():
    rows = fold(training({0: 100, 300: 50}), 300, dormant=90)
    faded = 100 * (1 - math.exp(-1 / 42)) * math.exp(-299 / 42)
    assert math.isclose(
        rows[300]["ctl_ewma_42d"],
        faded * math.exp(-1 / 42) + 50 * (1 - math.exp(-1 / 42)),
        rel_tol=1e-12,
    )
    assert math.isclose(
        rows[300]["tsb_ewma"],
        faded - 100 * (1 - math.exp(-1 / 7)) * math.exp(-299 / 7),
        rel_tol=1e-12,
    )
    assert rows[300]["history_days"] == 301
    assert rows[300]["days_since_last_activity"] == 0
    # Four weeks of history are known, but hold this week only: 50/7 over 50/28.
    assert rows[300]["acwr"] == 4


def test_the_horizon_ends_the_rows():
    days = training({0: 100, 5: 100})
    assert list(fold(days, 3)) == [0, 1, 2, 3]
    # What lies beyond counts for nothing.
    assert fold(days, 3) == fold(training({0: 100}), 3)
    assert daily_rows([history(1, days)], -1, 365) == {}


def test_run_pace_is_of_the_runs_with_a_distance():
    days = {
        # 50 min for 10 km
        0: {
            "activities": 1,
            "active_days": 1,
            "runs": 1,
            "distance_km": 10_000_000,
            "run_distance_km": 10_000_000,
            "moving_time_s": 3000,
            "measured_run_time_s": 3000,
        },
        # A run on the treadmill, of which no distance is known.
        1: {"activities": 1, "active_days": 1, "runs": 1, "moving_time_s": 1800},
    }
    rows = fold(days, 31)
    assert rows[1]["run_pace_min_km_30d"] == 5.0
    assert rows[1]["moving_time_s_30d"] == 4800
    assert rows[29]["run_pace_min_km_30d"] == 5.0
    assert rows[30]["run_pace_min_km_30d"] is None
    assert rows[30]["run_pace_min_km_90d"] == 5.0


def test_sums_are_exact_where_floats_are_not():
    # Ten times 0.1 is 0.9999999999999999 in floats.
    assert sum([0.1] * 10) != 1
    rows = fold(training(dict.fromkeys(range(10), 0.1)), 9)
    assert rows[9]["tss_30d"] == 1


def test_no_history_gives_no_rows():
    assert daily_rows([], 100, 365) == {}
    assert daily_rows([history(1, {})], 100, 365) == {}
