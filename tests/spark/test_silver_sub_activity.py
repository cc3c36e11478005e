"""silver.strava_sub_activity: which splits and laps an activity has, and how they are numbered."""

from datetime import UTC, datetime

import pytest
from chispa import assert_df_equality

from paceline.recipe import WARNINGS, Scope, Window
from paceline.tables.silver import strava_sub_activity
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
)

BRONZE, SILVER = "bronze.strava_activities", "silver.strava_activities"
NAME = "silver.strava_sub_activity"
T = 1_717_221_600_000_000
DELETED = {"op": "d", "source": "debezium"}
OTHER_ATHLETE = 77


def split(distance=1000.0, moving_time=300, **fields):
    return {"distance": distance, "moving_time": moving_time} | fields


def numbered(*indices, key="split"):
    """One split of 1,000 m in 300 s for each index; None for one that has no index."""
    return [split(**({} if index is None else {key: index})) for index in indices]


# By activity: the fields of its versions in the order of their change times.
VERSIONS = {
    # Indices as they are given, also out of order, and as text.
    701: [{"splits_metric": numbered(2, 1)}],
    702: [{"splits_metric": numbered("1", 2.0)}],
    # Missing, repeated or unusable ones: the position counts for the whole array.
    703: [{"splits_metric": numbered(None, 1)}],
    704: [{"splits_metric": numbered(3, 3)}],
    705: [{"splits_metric": numbered(5, "x")}],
    706: [{"laps": numbered(4, 4, key="lap_index")}],
    # An absent key leaves the children, an empty array removes them; each kind for itself.
    711: [{"splits_metric": numbered(1, 2)}, {}],
    712: [{"splits_metric": numbered(1, 2)}, {"splits_metric": []}],
    713: [
        {"splits_metric": numbered(1), "laps": numbered(1, 2, key="lap_index")},
        {"splits_metric": [], "calories": 1},
    ],
    714: [{"splits_metric": numbered(1)}, {"splits_metric": None}],
    # The newest valid version that has them counts.
    715: [{"splits_metric": numbered(1)}, {"splits_metric": numbered(1, 2), "distance": -1}],
    716: [{"splits_metric": numbered(1)}, {"splits_metric": numbered(1, 2)}],
}
INDICES = {
    701: [("split", 1), ("split", 2)],
    702: [("split", 1), ("split", 2)],
    703: [("split", 1), ("split", 2)],
    704: [("split", 1), ("split", 2)],
    705: [("split", 1), ("split", 2)],
    706: [("lap", 1), ("lap", 2)],
    711: [("split", 1), ("split", 2)],
    712: [],
    713: [("lap", 1), ("lap", 2)],
    714: [("split", 1)],
    715: [("split", 1)],
    716: [("split", 1), ("split", 2)],
    # No parent in silver; closed by a delete.
    721: [],
    722: [],
}

# Splits beside an activity of 2,000 m in 600 s, and whether they sum to it.
SUMS = {
    731: ([split(), split()], True),
    # 1 m and 1 s are left for rounding.
    732: ([split(1001.0), split(moving_time=301)], True),
    733: ([split(1000.0), split(998.999)], False),
    734: ([split(), split(moving_time=298)], False),
    # One split of a long run is not the run.
    735: ([split()], False),
    736: ([split(None), split()], False),
}

# By activity: its versions, each with its source and the arrays that it has, and from which source
# its parts then are.
SOURCES = {
    741: ([("strava_api", "split")], {"split": "strava_api"}),
    742: ([("strava_api", "split"), ("debezium", "")], {"split": "strava_api"}),
    743: (
        [("strava_api", "split lap"), ("debezium", "split")],
        {"split": "debezium", "lap": "strava_api"},
    ),
    # Neither the better source counts nor the last delivery, but the newest that has them.
    744: ([("debezium", "lap"), ("strava_api", "lap")], {"lap": "strava_api"}),
}
ARRAYS = {"split": "splits_metric", "lap": "laps"}


def records():
    for activity_id, versions in VERSIONS.items():
        for number, fields in enumerate(versions):
            yield bronze_api(activity(activity_id, **fields), change_time_us=T + number)
    for activity_id, (splits, _) in SUMS.items():
        fields = {"splits_metric": splits, "laps": numbered(1, key="lap_index")}
        yield bronze_api(activity(activity_id, **fields))
    for activity_id, (versions, _) in SOURCES.items():
        for number, (source, kinds) in enumerate(versions):
            arrays = {ARRAYS[kind]: numbered(1) for kind in kinds.split()}
            image = activity(activity_id, **arrays)
            payload = {"op": "c", "after": image} if source == "debezium" else image
            ids = {"athlete_id": ATHLETE, "activity_id": activity_id}
            yield bronze_api(payload, source=source, change_time_us=T + number, **ids)
    yield bronze_api(activity(721, splits_metric=numbered(1)))
    yield bronze_api(activity(722, splits_metric=numbered(1)), change_time_us=T)
    yield bronze_api(activity(722), change_time_us=T + 1, **DELETED)
    yield bronze_api(activity(722), change_time_us=T + 2)


def parents():
    for activity_id in (VERSIONS.keys() | SUMS.keys() | SOURCES.keys() | {722}) - {721}:
        yield row(SILVER, activity_id=activity_id, distance_m=2000.0, moving_time_s=600)


@pytest.fixture(scope="module")
def inputs(spark):
    return {
        BRONZE: frame(spark, BRONZE, list(records())),
        SILVER: frame(spark, SILVER, list(parents())),
    }


@pytest.fixture(scope="module")
def children(inputs):
    """By activity, its rows in the order of kind and index."""
    found = {}
    for child in rows_of(strava_sub_activity.TABLE, inputs, context()).collect():
        found.setdefault(child["activity_id"], []).append(child)
    for rows in found.values():
        rows.sort(key=lambda child: (child["kind"], child["sub_index"]))
    return found


@pytest.mark.parametrize("activity_id", INDICES)
def test_kinds_and_indices(children, activity_id):
    found = [(child["kind"], child["sub_index"]) for child in children.get(activity_id, [])]
    assert found == INDICES[activity_id]


def test_nothing_else_has_children(children):
    expected = {activity_id for activity_id, indices in INDICES.items() if indices} | SUMS.keys()
    assert children.keys() == expected | SOURCES.keys()


@pytest.mark.parametrize("activity_id", SOURCES)
def test_parts_are_of_the_source_of_their_array(children, activity_id):
    found = {child["kind"]: child["source"] for child in children[activity_id]}
    assert found == SOURCES[activity_id][1]


@pytest.mark.parametrize("activity_id", SUMS)
def test_splits_that_do_not_sum_are_warned_of_and_kept(children, activity_id):
    splits, sums = SUMS[activity_id]
    warnings = [] if sums else ["splits_sum_to_activity"]
    found = [(child["kind"], child[WARNINGS]) for child in children[activity_id]]
    # Laps may leave out what they like.
    assert found == [("lap", []), *[("split", warnings)] * len(splits)]


def test_whole_rows(spark):
    detailed = activity(
        12_345_678_901,
        splits_metric=[
            {
                "split": 1,
                "distance": 1000.5,
                "moving_time": 300,
                "elapsed_time": 305,
                "elevation_difference": -3.5,
                "average_speed": 3.33,
                "average_heartrate": 148.0,
                "average_grade_adjusted_speed": 3.4,
            },
            # Numbers as text are numbers, and one field of a wrong type costs only itself.
            {
                "split": 2,
                "distance": "999.5",
                "moving_time": "301",
                "elapsed_time": [301],
                "average_speed": {"value": 3.3},
            },
        ],
        # The API gives laps a total gain, which is no difference of heights.
        laps=[{"lap_index": 1, "distance": 2000, "moving_time": 601, "elevation_difference": 9}],
    )
    # The published version, not the record, says whose activity it is.
    parent = row(SILVER, athlete_id=OTHER_ATHLETE)
    given = {
        BRONZE: frame(spark, BRONZE, [bronze_api(detailed)]),
        SILVER: frame(spark, SILVER, [parent]),
    }
    rows = rows_of(strava_sub_activity.TABLE, given, context())
    nothing = dict.fromkeys(
        ("elapsed_time_s", "elevation_difference_m", "average_speed_mps", "average_heartrate_bpm")
    )
    nothing["grade_adjusted_speed_mps"] = None
    expected = [
        row(NAME, athlete_id=OTHER_ATHLETE),
        row(NAME, athlete_id=OTHER_ATHLETE, sub_index=2)
        | nothing
        | {"distance_m": 999.5, "moving_time_s": 301},
        row(NAME, athlete_id=OTHER_ATHLETE, kind="lap")
        | nothing
        | {"distance_m": 2000.0, "moving_time_s": 601},
    ]
    assert_df_equality(
        rows.select(*CONTRACTS[NAME].column_names),
        frame(spark, NAME, expected),
        ignore_row_order=True,
        ignore_nullable=True,
    )


def test_a_scope_has_the_children_of_its_activities_only(spark, inputs):
    keys = spark.createDataFrame([(711,), (716,), (721,)], "activity_id bigint")
    rows = rows_of(strava_sub_activity.TABLE, inputs, context(), scope=Scope(keys))
    assert sorted(r["activity_id"] for r in rows.collect()) == [711, 711, 716, 716]


def test_new_records_and_changed_parents_touch(spark, inputs):
    changes = {
        BRONZE: change_feed(spark, BRONZE, insert=[bronze_api(activity(1))]),
        SILVER: change_feed(
            spark,
            SILVER,
            insert=[row(SILVER, activity_id=2)],
            update_preimage=[row(SILVER, activity_id=3)],
            update_postimage=[row(SILVER, activity_id=3, distance_m=1.0)],
            delete=[row(SILVER, activity_id=4)],
        ),
    }
    touched = touched_keys(strava_sub_activity.TABLE, changes, inputs, context())
    assert touched == {(1,), (2,), (3,), (4,)}


def test_a_window_touches_what_starts_in_it(spark):
    june = Window(datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC))
    given = {
        BRONZE: frame(
            spark,
            BRONZE,
            [bronze_api(activity(1)), bronze_api(activity(2, start_date="2024-07-01T00:00:00Z"))],
        ),
        SILVER: frame(spark, SILVER, []),
    }
    assert touched_keys(strava_sub_activity.TABLE, {}, given, context(window=june)) == {(1,)}
