"""Training sets: an oracle that tries every row for every label, days by hand, pins, and errors."""

import random
import shutil
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

import paceline
from paceline.errors import UsageError
from paceline.training import Manifest
from tests.pipeline.warehouse import quick
from tests.spark.given import CONTRACTS, frame, row

ACTIVITIES, ROLLING = "feature_store.activity_features", "feature_store.athlete_rolling_features"
FEATURES = ["as_of_date", "acwr", "activity_features.distance_km", "pace_min_km", "tss_method"]
LABELS = "number BIGINT, athlete_id INT, at TIMESTAMP, activity_id BIGINT, is_won BOOLEAN"
US = timedelta(microseconds=1)
RACE_KM, RACE_DAY = 42.195, date(2024, 6, 8)
# The athletes of the random histories have smaller numbers.
FIRST_ZONED = 100
OFFSETS_H = (-12, -8, 0, 5.75, 14)


def noon_after(day):
    return datetime.combine(day, time(12), UTC) + timedelta(days=1)


def rolling(athlete, day, **cells):
    cells |= {"athlete_id": athlete, "as_of_date": day, "event_timestamp": noon_after(day)}
    return row(ROLLING, **cells)


def activity(athlete, number, start, lasted, offset_h, **cells):
    cells |= {"athlete_id": athlete, "activity_id": number, "event_timestamp": start + lasted}
    return row(ACTIVITIES, local_day=(start + timedelta(hours=offset_h)).date(), **cells)


def random_rows(chance):
    """Histories of three athletes with holes, travel, long nights, and ends at the same instant."""
    days = [date(2024, 6, 1) + timedelta(days=day) for day in range(14)]
    known, done = [], []
    for athlete in (1, 2, 3):
        for day in chance.sample(days, 9):
            known.append(rolling(athlete, day, acwr=chance.choice([None, chance.random()])))
        for number in range(16):
            start = datetime.combine(chance.choice(days), time(chance.randrange(24)), UTC)
            lasted = timedelta(hours=chance.choice([1, 2, 9, 50]))
            cells = {"distance_km": chance.random(), "pace_min_km": chance.choice([None, 5.0])}
            made = activity(
                athlete, 100 * athlete + number, start, lasted, chance.choice(OFFSETS_H), **cells
            )
            if done and chance.random() < 0.4:
                tied = {name: done[-1][name] for name in ("event_timestamp", "local_day")}
                made |= tied
            done.append(made)
    return known, done


def random_labels(chance, known, done):
    """Labels of the three and an unknown athlete, at and beside the instants that matter."""
    edges = [cells["event_timestamp"] for cells in (*known, *done)]
    edges += [noon_after(cells["local_day"]) for cells in done]
    own = [cells["activity_id"] for cells in done]
    labels = []
    for number in range(150):
        at = chance.choice(edges) + chance.choice((-US, 0 * US, US, timedelta(hours=30)))
        about = chance.choice([None, None, 77, chance.choice(own)])
        labels.append((number, chance.choice([1, 2, 3, 4]), at, about, chance.random() < 0.5))
    return [*labels, labels[0], labels[1]]


def expected(label, known, done):
    """The values of FEATURES for a label."""
    _, athlete, at, about, _ = label
    for cells in done:
        if (cells["athlete_id"], cells["activity_id"]) == (athlete, about):
            at = min(at, cells["event_timestamp"] - US, noon_after(cells["local_day"]) - US)
    last_day, last_activity = {}, {}
    for cells in known:
        if cells["athlete_id"] == athlete and cells["event_timestamp"] <= at:
            last_day = max(last_day, cells, key=lambda c: c.get("as_of_date", date.min))
    for cells in sorted(done, key=lambda c: (c["event_timestamp"], c["activity_id"])):
        is_over = max(cells["event_timestamp"], noon_after(cells["local_day"])) <= at
        if cells["athlete_id"] == athlete and is_over:
            last_activity = cells
    both = last_activity | last_day
    return tuple(both.get(name.rpartition(".")[2]) for name in FEATURES)


def zoned_rows():
    """For each offset an athlete who rests until a race at 09:00 of the place."""
    known, done = [], []
    for athlete, offset_h in enumerate(OFFSETS_H, FIRST_ZONED):
        days = [date(2024, 6, day) for day in range(1, 10)]
        known += [rolling(athlete, day) for day in days]
        start = datetime(2024, 6, 8, 9, tzinfo=UTC) - timedelta(hours=offset_h)
        race = {"distance_km": RACE_KM, "is_race": True}
        done.append(activity(athlete, 9, start, timedelta(hours=4), offset_h, **race))
        early = start - timedelta(days=6)
        done.append(activity(athlete, 3, early, timedelta(hours=1), offset_h, distance_km=3.0))
    return known, done


CHANCE = random.Random(8)
RANDOM_KNOWN, RANDOM_DONE = random_rows(CHANCE)
RANDOM = random_labels(CHANCE, RANDOM_KNOWN, RANDOM_DONE)
ZONED_KNOWN, ZONED_DONE = zoned_rows()
# At the start, at the end, in the last microsecond of the day, and a week later.
MOMENTS = [timedelta(0), timedelta(hours=4), timedelta(hours=15) - US, timedelta(days=7)]


def zoned_labels():
    """(number, athlete, instant, activity, is_won) for each offset and moment."""
    for athlete, offset_h in enumerate(OFFSETS_H, FIRST_ZONED):
        start = datetime(2024, 6, 8, 9, tzinfo=UTC) - timedelta(hours=offset_h)
        for moment, after in enumerate(MOMENTS):
            about = 9 if after == MOMENTS[-1] else None
            yield 1000 + 10 * (athlete - FIRST_ZONED) + moment, athlete, start + after, about, True


def save(spark, root, name, rows):
    frame(spark, name, rows).coalesce(1).write.format("delta").save(path(root, name))


def path(root, name):
    return str(root.joinpath(*name.split(".")))


@pytest.fixture(scope="module", autouse=True)
def small_plans(spark, request):
    """A server of Spark Connect has such settings already, and takes no others."""
    with nullcontext() if request.config.getoption("--connect") else quick(spark):
        yield


@pytest.fixture(scope="module")
def root(spark, tmp_path_factory):
    made = tmp_path_factory.mktemp("training") / "Läufe & more 2024"
    save(spark, made, ROLLING, [*RANDOM_KNOWN, *ZONED_KNOWN])
    save(spark, made, ACTIVITIES, [*RANDOM_DONE, *ZONED_DONE])
    return made


@pytest.fixture(scope="module")
def labels(spark):
    return spark.createDataFrame([*RANDOM, *zoned_labels()], LABELS)


@pytest.fixture(scope="module")
def rows(spark, root, labels):
    made = paceline.training_set(spark, labels, FEATURES, warehouse=root)
    return made.frame.toArrow().to_pylist()


def test_every_label_gets_what_was_known(rows):
    wanted = {label[0]: expected(label, RANDOM_KNOWN, RANDOM_DONE) for label in RANDOM}
    names = [name.rpartition(".")[2] for name in FEATURES]
    found = [row for row in rows if row["number"] < 1000]
    assert list(found[0]) == ["number", "athlete_id", "at", "activity_id", "is_won", *names]
    assert len(found) == len(RANDOM)
    for row_ in found:
        assert tuple(row_[name] for name in names) == wanted[row_["number"]], row_
    # All that may happen has happened.
    values = set(wanted.values())
    assert {value[1] is None for value in values} == {value[3] is None for value in values}
    assert (None,) * 5 in values
    assert len(values) > 30


def test_rows_are_in_the_order_of_athlete_instant_and_the_other_columns(rows):
    order = [
        (r["athlete_id"], r["at"], r["number"], r["activity_id"] is not None, r["activity_id"] or 0)
        for r in rows
    ]
    assert all(a <= b for a, b in pairwise(order))


def test_a_race_is_never_in_the_features_of_its_own_day(rows):
    raced = {row["number"]: row for row in rows if row["number"] >= 1000}
    assert len(raced) == len(OFFSETS_H) * len(MOMENTS)
    assert all(row["as_of_date"] < RACE_DAY for row in raced.values())
    assert {row["distance_km"] for row in raced.values()} == {3.0}
    # The row of a day counts from 12:00 UTC of the next one. A week later it is as at the end.
    days = [[raced[1000 + 10 * zone + m]["as_of_date"].day for m in range(4)] for zone in range(5)]
    assert days == [
        [7, 7, 7, 7],  # 21:00Z of the 8th, 01:00Z and 11:59:59.999999Z of the 9th
        [7, 7, 7, 7],  # 17:00Z and 21:00Z of the 8th, 07:59Z of the 9th
        [6, 7, 7, 7],  # 09:00Z, 13:00Z and 23:59Z of the 8th
        [6, 6, 7, 6],  # 03:15Z, 07:15Z and 18:14Z of the 8th
        [6, 6, 6, 6],  # 19:00Z and 23:00Z of the 7th, 09:59Z of the 8th
    ]


def content(made):
    """All bytes of a set, types included; instants as numbers, as a type they name the zone."""
    table = made.frame.withColumn("at", F.unix_micros("at")).toArrow().combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


@contextmanager
def settings(spark, **values):
    before = {name: spark.conf.get(f"spark.sql.{name}") for name in values}
    for name, value in values.items():
        spark.conf.set(f"spark.sql.{name}", value)
    yield
    for name, value in before.items():
        spark.conf.set(f"spark.sql.{name}", value)


def test_a_later_correction_does_not_change_a_pinned_set(spark, root, labels, tmp_path):
    moved = shutil.copytree(root, tmp_path / "warehouse")
    asked = {"labels": labels, "features": FEATURES, "warehouse": moved}
    first = paceline.training_set(spark, **asked)
    before = content(first)
    spark.sql(f"UPDATE delta.`{path(moved, ROLLING)}` SET acwr = 2.5 WHERE acwr IS NULL")
    manifest = Manifest.from_json(first.manifest.to_json())
    mixed = labels.repartition(3, "number")
    with settings(spark, **{"session.timeZone": "Pacific/Kiritimati", "shuffle.partitions": "3"}):
        again = paceline.training_set(spark, mixed, as_of_version=manifest, warehouse=moved)
        assert content(again) == before
    newest = paceline.training_set(spark, **asked)
    assert content(newest) != before
    assert [table.version for table in newest.manifest.tables] == [0, 1]
    by_table = {"athlete_rolling_features": 0, ACTIVITIES: 0}
    pinned = paceline.training_set(spark, **asked, as_of_version=by_table)
    assert pinned.manifest == again.manifest == manifest == first.manifest
    for file in moved.glob("*/athlete_rolling_features/*.parquet"):
        file.unlink()
    with pytest.raises(UsageError, match=r"Version 0 of .*rolling_features has lost files"):
        paceline.training_set(spark, **asked, as_of_version=manifest)


SMALL = "athlete_id BIGINT, at TIMESTAMP"


@pytest.mark.parametrize(
    ("schema", "asked", "message"),
    [
        ("at TIMESTAMP", {}, "The labels have no column athlete_id"),
        ("athlete_id STRING, at TIMESTAMP", {}, "athlete_id of the labels is string: cast"),
        (f"{SMALL}, activity_id STRING", {}, "activity_id of the labels is string: cast"),
        ("athlete_id BIGINT, at TIMESTAMP_NTZ", {}, "have no columns of type TIMESTAMP"),
        (f"{SMALL}, seen TIMESTAMP", {}, "have 2 columns of type TIMESTAMP"),
        (SMALL, {"timestamp_column": "then"}, "have no column 'then': name one of 'athlete_id'"),
        ("athlete_id BIGINT, at DATE", {"timestamp_column": "at"}, "'at' .* is date, which is no"),
        (
            "athlete_id BIGINT, at TIMESTAMP_NTZ",
            {"timestamp_column": "at"},
            "'at' of the labels is timestamp_ntz, which is no instant",
        ),
        (f"{SMALL}, TSS_7D DOUBLE", {}, "have a column tss_7d beside the feature feature_store"),
        (f"{SMALL}, x INT, X INT", {}, "have the column 'x' twice"),
        (f"{SMALL}, m MAP<INT, INT>", {}, r"'m' .* is map<int,int>, by which rows cannot"),
        (SMALL, {"features": ["tss_7"]}, r"no feature 'tss_7': did you mean tss_\d+d"),
        (SMALL, {"as_of_version": 5}, r"Version 5 .* \(DELTA_VERSION_NOT_FOUND\)"),
        (SMALL, {"as_of_version": {"activity_features": 0}}, "no version of .*rolling_features"),
        (
            SMALL,
            {"as_of_version": 0, "features": ["tss_7d", "pace_min_km"]},
            "The tables feature_store.activity_features, feature_store.athlete_rolling",
        ),
        (SMALL, {"catalog": "x"}, "Both warehouse and catalog"),
        (SMALL, {"warehouse": "/nowhere"}, "no table feature_store.athlete_rolling_features in"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(spark, root, schema, asked, message):
    given = {"features": ["tss_7d"], "warehouse": root} | asked
    with pytest.raises(UsageError, match=message) as raised:
        paceline.training_set(spark, spark.createDataFrame([], schema), **given)
    assert str(raised.value).count(". ") == 0


@pytest.mark.parametrize("missing", ["athlete_id", "at"])
def test_a_label_of_nobody_or_no_time_is_refused(spark, root, missing):
    given = {"athlete_id": 1, "at": datetime(2024, 6, 1, tzinfo=UTC)}
    values = [tuple(given.values()), tuple((given | {missing: None}).values())]
    with pytest.raises(UsageError, match=f"The column '{missing}' of the labels is NULL in 1 rows"):
        paceline.training_set(
            spark, spark.createDataFrame(values, SMALL), ["tss_7d"], warehouse=root
        )


def test_a_manifest_is_of_these_tables(spark, root):
    empty = spark.createDataFrame([], SMALL)
    made = paceline.training_set(spark, empty, ["tss_7d"], warehouse=root).manifest
    # The activities say whether models may use the data.
    activities, table = made.tables
    assert [each.table_name for each in made.tables] == [ACTIVITIES, ROLLING]
    for tables in (
        (activities, replace(table, table_id="another")),
        (replace(activities, table_id="another"), table),
    ):
        other = replace(made, tables=tables)
        with pytest.raises(UsageError, match="is not the one of the manifest"):
            paceline.training_set(spark, empty, as_of_version=other, warehouse=root)
    # As older releases have written it: the newest activities are looked at.
    older = replace(made, tables=(table,))
    again = paceline.training_set(spark, empty, as_of_version=older, warehouse=root)
    assert again.manifest == made
    with pytest.raises(UsageError, match=f"manifest has no version of {ACTIVITIES}"):
        paceline.training_set(spark, empty, ["pace_min_km"], as_of_version=older, warehouse=root)


def test_the_days_of_all_feature_tables_are_known():
    from paceline.pipeline import jobs
    from paceline.training.reader import DAYS

    tables = [table for table in jobs.TABLES if table.name.startswith("feature_store.")]
    assert {table.name: table.day for table in tables} == DAYS
    assert all("athlete_id" in CONTRACTS[name].key for name in DAYS)
