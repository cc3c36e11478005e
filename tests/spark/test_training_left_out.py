"""Which labels a training set leaves out: of restricted athletes, and of duplicate recordings."""

import logging
import shutil
from contextlib import nullcontext
from datetime import UTC, datetime

import pytest
from pyspark.sql import functions as F

import paceline
from paceline.errors import UsageError
from tests.conftest import CONF
from tests.pipeline.warehouse import quick
from tests.spark.given import day, frame, row

ACTIVITIES, ROLLING = "feature_store.activity_features", "feature_store.athlete_rolling_features"
AT = datetime(2024, 7, 1, tzinfo=UTC)
LABELS = "number BIGINT, athlete_id INT, at TIMESTAMP, activity_id BIGINT"
# By athlete, their activities: whether each is restricted, and whether it is a duplicate.
MIXED, FREE, API, UNKNOWN, TWICE = 1, 2, 3, 4, 5
HISTORIES = {
    MIXED: {11: (False, False), 12: (True, False), 13: (False, True)},
    FREE: {21: (False, False), 22: (False, False)},
    API: {31: (True, False)},
    TWICE: {51: (False, True), 52: (False, False)},
    # Of no label.
    6: {61: (True, True)},
}
# (number, athlete, activity)
GIVEN = [
    *((1, MIXED, 11), (2, MIXED, 13), (3, MIXED, None), (4, FREE, 21), (5, FREE, None)),
    *((6, API, None), (7, UNKNOWN, 77), (8, TWICE, 51), (9, TWICE, 52), (10, TWICE, None)),
    # One that is about an activity of somebody else.
    (11, FREE, 51),
]


@pytest.fixture(scope="module", autouse=True)
def small_plans(spark, request):
    """A server of Spark Connect has such settings already, and takes no others."""
    with nullcontext() if request.config.getoption("--connect") else quick(spark):
        yield


@pytest.fixture(scope="module")
def labels(spark):
    rows = [(number, athlete, AT, activity) for number, athlete, activity in GIVEN]
    return spark.createDataFrame(rows, LABELS)


def path(root, name):
    return str(root.joinpath(*name.split(".")))


@pytest.fixture(scope="module")
def root(spark, tmp_path_factory):
    """Tables as three releases have left them: before either column, with one, and with both."""
    made = tmp_path_factory.mktemp("left_out")
    end = {"event_timestamp": datetime(2024, 6, 1, 7, tzinfo=UTC), "local_day": day("2024-06-01")}
    rows = [
        row(ACTIVITIES, athlete_id=athlete, activity_id=number, is_restricted=is_restricted, **end)
        for athlete, activities in HISTORIES.items()
        for number, (is_restricted, _) in activities.items()
    ]
    twice = [n for of in HISTORIES.values() for n, (_, is_twice) in of.items() if is_twice]
    activities = frame(spark, ACTIVITIES, rows)
    if "is_duplicate_recording" in activities.columns:
        activities = activities.drop("is_duplicate_recording")
    newest = activities.withColumn("is_duplicate_recording", F.col("activity_id").isin(twice))
    for version in (activities.drop("is_restricted"), activities, newest):
        writer = version.coalesce(1).write.format("delta").mode("overwrite")
        writer.option("overwriteSchema", "true").save(path(made, ACTIVITIES))
    noon = {"as_of_date": day("2024-06-01"), "event_timestamp": end["event_timestamp"]}
    days = [row(ROLLING, athlete_id=athlete, **noon) for athlete in HISTORIES]
    frame(spark, ROLLING, days).coalesce(1).write.format("delta").save(path(made, ROLLING))
    return made


@pytest.fixture(scope="module")
def permitting(tmp_path_factory):
    """A directory of settings with a permission."""
    made = tmp_path_factory.mktemp("permitting")
    shutil.copytree(CONF / "contracts", made / "contracts")
    text = (CONF / "paceline.yml").read_text(encoding="utf-8")
    text = text.replace("model_permission: null", "model_permission: generated data")
    (made / "paceline.yml").write_text(text, encoding="utf-8")
    return made


def numbers(made):
    return [row_["number"] for row_ in made.frame.orderBy("number").collect()]


def counts(made):
    return made.restricted_labels, made.duplicate_labels, made.model_permission


def test_restricted_labels_are_refused_in_one_sentence(spark, root, labels):
    for features in (["tss_7d"], ["activity_features.pace_min_km"]):
        with pytest.raises(UsageError) as raised:
            paceline.training_set(spark, labels.drop("activity_id"), features, warehouse=root)
        assert str(raised.value) == (
            "4 labels are of 2 athletes with data whose licence forbids models to be trained on it:"
            ' leave them out with restricted="drop", or say in model_permission of paceline.yml by '
            "what right models may use it."
        )


def test_or_left_out_and_counted(spark, root, labels, caplog):
    with caplog.at_level(logging.WARNING, logger="paceline"):
        made = paceline.training_set(spark, labels, ["tss_7d"], warehouse=root, restricted="drop")
    # 4 of a restricted athlete; of the others number 8 is about a duplicate.
    assert numbers(made) == [4, 5, 7, 9, 10, 11]
    assert counts(made) == (4, 1, None)
    assert made.frame.columns == ["number", "athlete_id", "at", "activity_id", "tss_7d"]
    assert [record.message for record in caplog.records] == [
        "4 labels of 2 athletes are left out, because the licence of their data forbids models to "
        "be trained on it",
        "1 labels are left out, because their activity was recorded twice",
    ]
    pinned = {"as_of_version": made.manifest, "warehouse": root, "restricted": "drop"}
    again = paceline.training_set(spark, labels, **pinned)
    assert again.frame.collect() == made.frame.collect()


def test_labels_of_free_athletes_need_no_choice(spark, root, labels):
    free = labels.where("number IN (4, 5, 7)")
    made = paceline.training_set(spark, free, ["tss_7d"], warehouse=root)
    assert (numbers(made), counts(made)) == ([4, 5, 7], (0, 0, None))


@pytest.mark.parametrize("restricted", ["refuse", "drop"])
def test_a_permission_lifts_it(spark, root, labels, permitting, restricted):
    made = paceline.training_set(
        *(spark, labels, ["tss_7d"]), warehouse=root, conf=permitting, restricted=restricted
    )
    assert numbers(made) == [1, 3, 4, 5, 6, 7, 9, 10, 11]
    assert counts(made) == (0, 2, "generated data")


def test_labels_about_no_activity_have_no_duplicates(spark, root, labels, permitting):
    made = paceline.training_set(
        *(spark, labels.drop("activity_id"), ["tss_7d"]), warehouse=root, conf=permitting
    )
    assert len(numbers(made)) == len(GIVEN)
    assert counts(made) == (0, 0, "generated data")
    # Nothing asks the activities then.
    assert [table.table_name for table in made.manifest.tables] == [ROLLING]


def test_a_version_before_the_column_of_duplicates_leaves_none_out(spark, root, labels):
    asked = {"warehouse": root, "restricted": "drop", "as_of_version": {ACTIVITIES: 1, ROLLING: 0}}
    made = paceline.training_set(spark, labels, ["tss_7d"], **asked)
    assert (numbers(made), counts(made)) == ([4, 5, 7, 8, 9, 10, 11], (4, 0, None))


def test_a_version_that_knows_no_licence_is_refused(spark, root, labels, permitting):
    asked = {"warehouse": root, "as_of_version": {ACTIVITIES: 0, ROLLING: 0}}
    with pytest.raises(UsageError, match=f"Version 0 of {ACTIVITIES} does not say yet which data"):
        paceline.training_set(spark, labels, ["tss_7d"], restricted="drop", **asked)
    made = paceline.training_set(spark, labels, ["tss_7d"], conf=permitting, **asked)
    assert len(numbers(made)) == len(GIVEN)


def test_a_table_that_knows_no_licence_has_to_be_brought_up_to_date(spark, root, labels, tmp_path):
    moved = shutil.copytree(root, tmp_path / "warehouse")
    spark.sql(f"RESTORE delta.`{path(moved, ACTIVITIES)}` TO VERSION AS OF 0")
    with pytest.raises(UsageError) as raised:
        paceline.training_set(spark, labels, ["tss_7d"], warehouse=moved, restricted="drop")
    assert str(raised.value) == (
        f"{ACTIVITIES} has no is_restricted yet: run the jobs first, which add the new columns of "
        "a contract."
    )
