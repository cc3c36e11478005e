"""feature_store.athlete_rolling_features: from activities to days, whole and in part.

What the windows and averages of a day are is tested without Spark, on the fold itself; here it is
what the recipe adds to it: which activities and days it reads, the units, and the seeds.
"""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from chispa import assert_df_equality

from paceline.recipe import Scope, Window
from paceline.tables.feature_store import athlete_rolling_features as rolling
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

NAME = "feature_store.athlete_rolling_features"
ACTIVITIES = "feature_store.activity_features"

HORIZON = day("2024-09-30")
DORMANT = 90
STEADY, BREAKER, TODAY, AHEAD, UNITS, LONG, TWICE = 1, 2, 3, 4, 5, 6, 7


def done(athlete_id, local_day, tss, activity_id=None, end="07:00", **cells):
    """The features of an activity; its id is its day unless there are two on one.

    `end` is the time (UTC) at which it ends, on its day or on the one that is given with it.
    """
    local_day = day(local_day) if isinstance(local_day, str) else local_day
    method = None if tss is None else "pace"
    text = end if "T" in end else f"{local_day}T{end}"
    end = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return row(
        ACTIVITIES,
        athlete_id=athlete_id,
        activity_id=activity_id or local_day.toordinal(),
        local_day=local_day,
        estimated_tss=tss,
        tss_method=method,
        event_timestamp=end,
        **cells,
    )


def long_ones():
    yield done(LONG, "2024-09-08", 50.0)
    # Five days on end from six in the morning; a run of somebody who paced it; a night on Hawaii,
    # from 22:00 to 04:00 on the clock there.
    yield done(LONG, "2024-09-10", 400.0, end="2024-09-15T06:00")
    yield done(LONG, "2024-09-12", 40.0)
    yield done(LONG, "2024-09-20", 200.0, end="2024-09-21T14:00")


def given_activities():
    start = day("2024-04-01")
    # 33.333333 three times a week for half a year.
    for number in range(0, 180, 2):
        yield done(STEADY, start + timedelta(days=number), 33.333333 + number)
    # A long break: dormant from 90 days after 10 April until the comeback.
    for text in ("2024-04-01", "2024-04-10", "2024-09-01", "2024-09-12"):
        yield done(BREAKER, text, 80.5)
    yield done(TODAY, HORIZON, 50.0)
    # Tomorrow in a zone ahead of UTC.
    yield done(AHEAD, HORIZON + timedelta(days=1), 50.0)
    yield from units()
    yield from long_ones()
    # Nothing but what another device has recorded, too.
    yield done(TWICE, "2024-09-20", 50.0, is_duplicate_recording=True)


def units():
    """Two days of which every number is worked out in `test_a_day_of_several_activities`."""
    yield done(
        UNITS,
        "2024-09-28",
        60.0,
        # 10 km in 50 min
        distance_km=10.0,
        moving_time_s=3000,
        elevation_gain_m=80.0,
    )
    # A treadmill without a distance, and a ride without a score.
    yield done(
        UNITS, "2024-09-28", 20.0, 2, distance_km=None, moving_time_s=1800, elevation_gain_m=None
    )
    yield done(
        UNITS,
        "2024-09-28",
        None,
        3,
        sport_family="ride",
        distance_km=30.0,
        moving_time_s=4000,
        elevation_gain_m=100.5,
    )
    # On a rest day, what another device has recorded the day before.
    yield done(UNITS, "2024-09-29", 60.0, is_duplicate_recording=True)
    # Half a millimetre is a whole one, less than half is none; half a millionth counts as one.
    yield done(
        UNITS,
        "2024-09-30",
        # 2^-21 = 4.76837158203125e-7
        0.000000476837158203125,
        distance_km=1.0000005,
        moving_time_s=400,
        elevation_gain_m=0.0004,
    )
    yield done(
        UNITS,
        "2024-09-30",
        0.0000005,
        2,
        distance_km=1.0000004,
        moving_time_s=100,
        elevation_gain_m=0.0005,
    )


def as_of(**changes):
    return context(**{"horizon": HORIZON, "dormant_after_days": DORMANT} | changes)


@pytest.fixture(scope="module")
def inputs(spark):
    return {ACTIVITIES: frame(spark, ACTIVITIES, list(given_activities()))}


@pytest.fixture(scope="module")
def everything(inputs):
    """All rows, in the order of their key."""
    return ordered(rows_of(rolling.TABLE, inputs, as_of()))


def ordered(rows):
    return sorted(rows.collect(), key=lambda r: (r["athlete_id"], r["as_of_date"]))


def days_of(rows, athlete_id):
    return [r["as_of_date"] for r in rows if r["athlete_id"] == athlete_id]


def every_day(first, last):
    days = (day(last) - day(first)).days
    return [day(first) + timedelta(days=number) for number in range(days + 1)]


def test_which_days_there_are(everything):
    assert days_of(everything, STEADY) == every_day("2024-04-01", "2024-09-30")
    # The 90 days after 10 April end with 9 July.
    assert days_of(everything, BREAKER) == [
        *every_day("2024-04-01", "2024-07-09"),
        *every_day("2024-09-01", "2024-09-30"),
    ]
    assert days_of(everything, TODAY) == [HORIZON]
    assert days_of(everything, AHEAD) == []
    assert days_of(everything, UNITS) == every_day("2024-09-28", "2024-09-30")
    assert days_of(everything, TWICE) == []


# By day, when its row is known, where that is not at noon (UTC) of the next day.
WAITING = {
    "2024-09-10": datetime(2024, 9, 15, 6, tzinfo=UTC),
    "2024-09-11": datetime(2024, 9, 15, 6, 0, 0, 1, tzinfo=UTC),
    "2024-09-12": datetime(2024, 9, 15, 6, 0, 0, 2, tzinfo=UTC),
    "2024-09-13": datetime(2024, 9, 15, 6, 0, 0, 3, tzinfo=UTC),
    "2024-09-20": datetime(2024, 9, 21, 14, tzinfo=UTC),
}


def known(rows, athlete_id):
    """By day, when its row is known."""
    return {
        str(r["as_of_date"]): r["event_timestamp"].astimezone(UTC)
        for r in rows
        if r["athlete_id"] == athlete_id
    }


def expected_known(first, waiting):
    noon = timedelta(days=1, hours=12)
    days = every_day(first, str(HORIZON))
    return {str(d): datetime(d.year, d.month, d.day, tzinfo=UTC) + noon for d in days} | waiting


def test_a_row_is_known_when_all_in_it_has_ended(everything):
    assert known(everything, LONG) == expected_known("2024-09-08", WAITING)
    assert known(everything, STEADY) == expected_known("2024-04-01", {})


def test_the_long_one_is_deleted(spark, everything):
    left = [one for one in long_ones() if one["local_day"] != day("2024-09-10")]
    keys = spark.createDataFrame([(LONG, day("2024-09-10"))], "athlete_id bigint, since date")
    published = spark.createDataFrame(everything, CONTRACTS[NAME].schema())
    inputs = {ACTIVITIES: frame(spark, ACTIVITIES, left)}
    scope = Scope(keys, since="as_of_date")
    rows = ordered(rows_of(rolling.TABLE, inputs, as_of(), scope, published))
    west = {"2024-09-20": WAITING["2024-09-20"]}
    assert known(rows, LONG) == expected_known("2024-09-10", west)
    rebuilt = ordered(rows_of(rolling.TABLE, inputs, as_of()))
    assert list(map(repr, rows)) == list(map(repr, rebuilt[2:]))


def test_a_day_of_several_activities(spark, everything):
    first = next(r for r in everything if r["athlete_id"] == UNITS)
    total = {
        # Two runs and a ride: 10 + 30 km, 3,000 + 1,800 + 4,000 s, 80 + 100.5 m, 60 + 20 TSS.
        "activities": 3,
        "distance_km": 40.0,
        "moving_time_s": 8800,
        "elevation_gain_m": 180.5,
        "tss": 80.0,
    }
    run = {"active_days": 1, "runs": 2, "run_distance_km": 10.0}
    sums = {f"{name}_1d": value for name, value in total.items()}
    for days in (7, 30, 90):
        sums |= {f"{name}_{days}d": value for name, value in (total | run).items()}
    expected = row(
        NAME,
        athlete_id=UNITS,
        as_of_date=day("2024-09-28"),
        # The day is over everywhere at noon of the next, in UTC.
        event_timestamp=datetime(2024, 9, 29, 12, tzinfo=UTC),
        activities_without_tss_1d=1,
        tss_28d=80.0,
        tss_42d=80.0,
        # 50 min for the 10 km of the only run with a distance
        run_pace_min_km_30d=5.0,
        run_pace_min_km_90d=5.0,
        ctl_42d=80 / 42,
        atl_7d=80 / 7,
        # From 0, one step of 1 - e^(-1/42) and of 1 - e^(-1/7) towards 80
        ctl_ewma_42d=0.023528313347756735 * 80,
        atl_ewma_7d=0.1331221002498184 * 80,
        tsb_ewma=0.0,
        acwr=None,
        acwr_uncoupled=None,
        monotony_7d=None,
        strain_7d=None,
        days_since_last_activity=0,
        history_days=1,
        **sums,
    )
    found = spark.createDataFrame([tuple(first)], CONTRACTS[NAME].schema())
    assert_df_equality(found, frame(spark, NAME, [expected]))


def test_a_rest_day_is_zeros(everything):
    _, rest, _ = [r for r in everything if r["athlete_id"] == UNITS]
    assert (rest["activities_1d"], rest["distance_km_1d"], rest["tss_1d"]) == (0, 0.0, 0.0)
    assert (rest["tss_7d"], rest["days_since_last_activity"], rest["history_days"]) == (80.0, 1, 2)


def test_sums_are_rounded_for_each_activity(everything):
    *_, last = [r for r in everything if r["athlete_id"] == UNITS]
    # 1,000,000.5 mm counts as 1,000,001 and 1,000,000.4 mm as 1,000,000.
    assert last["distance_km_1d"] == 2.000001
    # 0.4 mm as 0 and 0.5 mm as 1
    assert last["elevation_gain_m_1d"] == 0.001
    # 0.4768 millionths as 0 and 0.5 millionths as 1
    assert last["tss_1d"] == 0.000001


def test_rows_keep_the_contract(spark, everything):
    contract = CONTRACTS[NAME]
    assert everything[0].__fields__ == list(contract.column_names)
    rows = spark.createDataFrame(everything, contract.schema())
    assert rows.select(contract.broken_rules("error").alias("broken")).distinct().collect() == [
        ([],)
    ]


# Cuts in the middle of training, in the dormant gap, before the first day, and where no row is;
# then on the comeback and on the horizon; then on the first day and after the last activity.
SINCE = {
    STEADY: "2024-07-20",
    BREAKER: "2024-08-01",
    TODAY: "2020-01-01",
    AHEAD: "2024-09-30",
    UNITS: "2024-09-29",
    # Two days before it, the row waits for the end of what began even earlier.
    LONG: "2024-09-12",
}


@pytest.mark.parametrize(
    "since",
    [
        SINCE,
        dict.fromkeys(SINCE, "2024-09-01") | {UNITS: "2024-09-30"},
        {STEADY: "2024-04-01", BREAKER: "2024-09-13", LONG: "2024-09-14"},
    ],
)
def test_a_part_equals_the_whole_from_its_first_day_on(spark, inputs, everything, since):
    first = {athlete_id: day(text) for athlete_id, text in since.items()}
    # What was published before is right; what comes from there on must not be looked at.
    own = [
        r if r["as_of_date"] < first.get(r["athlete_id"], HORIZON) else spoiled(r)
        for r in everything
    ]
    published = spark.createDataFrame(own, CONTRACTS[NAME].schema())
    keys = spark.createDataFrame(list(first.items()), "athlete_id bigint, since date")
    scope = Scope(keys, since="as_of_date")
    rows = rows_of(rolling.TABLE, inputs, as_of(), scope, published)
    expected = [
        r
        for r in everything
        if r["athlete_id"] in first and r["as_of_date"] >= first[r["athlete_id"]]
    ]
    assert {r["athlete_id"] for r in expected} >= first.keys() - {AHEAD}
    assert list(map(repr, ordered(rows))) == list(map(repr, expected))


def spoiled(published):
    return type(published)(**published.asDict() | {"ctl_ewma_42d": -1.0, "history_days": 9999})


def test_an_athlete_without_activities_is_faded_out(spark, inputs):
    """All activities from the scope on are gone: rows go on from the one before."""
    stored = row(
        NAME,
        athlete_id=99,
        as_of_date=day("2024-09-01"),
        days_since_last_activity=61,
        history_days=500,
        ctl_ewma_42d=40.0,
        atl_ewma_7d=10.0,
    )
    keys = spark.createDataFrame([(99, day("2024-09-03"))], "athlete_id bigint, since date")
    rows = rows_of(
        rolling.TABLE,
        inputs,
        as_of(),
        Scope(keys, since="as_of_date"),
        frame(spark, NAME, [stored]),
    )
    found = ordered(rows)
    # 61 days on 1 September are 90 on the 30th.
    assert days_of(found, 99) == every_day("2024-09-03", "2024-09-30")
    # Two steps of rest; history and rest are two days longer.
    kept = 1 - 0.023528313347756735
    assert found[0]["ctl_ewma_42d"] == pytest.approx(40 * kept * kept, rel=1e-14)
    assert (found[0]["history_days"], found[0]["days_since_last_activity"]) == (502, 63)
    assert (found[0]["tss_90d"], found[0]["activities_90d"]) == (0.0, 0)
    # And without a row before, there is nothing.
    nothing = rows_of(rolling.TABLE, inputs, as_of(), Scope(keys, since="as_of_date"))
    assert nothing.collect() == []


def touched(spark, images=None, activities=(), **changes):
    given = {ACTIVITIES: frame(spark, ACTIVITIES, list(activities))}
    feeds = {} if images is None else {ACTIVITIES: change_feed(spark, ACTIVITIES, **images)}
    return touched_keys(rolling.TABLE, feeds, given, as_of(**changes))


def test_the_earliest_day_of_both_images_is_touched(spark):
    images = {
        "update_preimage": [done(1, "2024-05-10", 50.0), done(2, "2024-05-01", 50.0)],
        "update_postimage": [done(1, "2024-05-05", 50.0), done(2, "2024-05-09", 50.0)],
        "insert": [done(2, "2024-06-01", 50.0)],
        # Deleted, on the horizon, and beyond it: that one waits.
        "delete": [done(3, "2024-05-02", 50.0)],
    }
    images["insert"] += [done(4, HORIZON, 50.0), done(5, HORIZON + timedelta(days=1), 50.0)]
    assert touched(spark, images) == {
        (1, day("2024-05-05")),
        (2, day("2024-05-01")),
        (3, day("2024-05-02")),
        (4, HORIZON),
    }


def test_a_new_horizon_touches_everybody_who_is_awake(spark):
    before = HORIZON - timedelta(days=5)
    added = before + timedelta(days=1)
    activities = [
        # The last activity whose row still reaches the first new day, and one a day older.
        done(1, added - timedelta(days=DORMANT), 50.0),
        done(2, before - timedelta(days=DORMANT), 50.0),
        # Somebody new within the new days, and somebody after them.
        done(3, HORIZON, 50.0),
        done(4, HORIZON + timedelta(days=1), 50.0),
        # A changed activity of somebody who is awake.
        done(5, "2024-09-20", 50.0),
        done(6, "2024-09-20", 50.0),
    ]
    images = {"insert": [done(6, "2024-08-01", 50.0)]}
    assert touched(spark, images, activities, horizon_before=before) == {
        (1, added),
        (3, added),
        (5, added),
        (6, day("2024-08-01")),
    }
    # The same horizon adds no day.
    assert touched(spark, images, activities, horizon_before=HORIZON) == {(6, day("2024-08-01"))}


def test_a_window_touches_the_days_that_may_start_in_it(spark):
    window = Window(datetime(2024, 9, 10, tzinfo=UTC), datetime(2024, 9, 12, tzinfo=UTC))
    days = ("2024-09-08", "2024-09-09", "2024-09-11", "2024-09-13", "2024-09-14")
    activities = [done(number, text, 50.0) for number, text in enumerate(days, start=1)]
    # A local day is at most one off the day in UTC.
    assert touched(spark, None, activities, window=window) == {
        (2, day("2024-09-09")),
        (3, day("2024-09-11")),
        (4, day("2024-09-13")),
    }
    is_open = Window(window.start, None)
    assert {athlete for athlete, _ in touched(spark, None, activities, window=is_open)} == {
        *(2, 3, 4, 5)
    }


@pytest.mark.parametrize("batch_rows", [1, 7, 100, 1000])
def test_blocks_hold_whole_athletes(batch_rows):
    """However batches are cut, an athlete is never folded in two parts."""
    athletes = [number // 3 for number in range(600)]
    table = pa.table({"athlete_id": athletes, "day": list(range(600))})
    blocks = list(rolling._blocks(iter(table.to_batches(max_chunksize=batch_rows))))
    assert pa.concat_tables(blocks).to_pydict() == table.to_pydict()
    held = [set(block["athlete_id"].to_pylist()) for block in blocks]
    assert sum(map(len, held)) == len(set().union(*held)) == 200
    assert max(map(len, held)) <= rolling.ATHLETES_A_BLOCK
