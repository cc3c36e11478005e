"""The reader: one sort of labels and feature rows by athlete and time, by one shuffle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from paceline import __version__
from paceline.contract import Contract, load
from paceline.errors import UsageError
from paceline.settings import Settings, conf_directory, load_settings
from paceline.store.warehouse import Warehouse, refuse_missing
from paceline.training import labels as given
from paceline.training import left_out
from paceline.training.manifest import Manifest
from paceline.training.request import ATHLETE, EVENT_TIME, Feature, requested
from paceline.training.versions import AsOf, at, named_or_newest, positions

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ACTIVITIES = "feature_store.activity_features"
# By table, the local day of a row.
DAYS = {ACTIVITIES: "local_day", "feature_store.athlete_rolling_features": "as_of_date"}
HOUR_US = 3_600_000_000
# From the begin of a day in UTC until it is over everywhere.
OVER_AFTER_HOURS = 36


@dataclass(frozen=True)
class TrainingSet:
    """Labels with their features.

    Attributes:
        frame: the columns of the labels and one per feature, a row for each label that is not left
            out, in the order of athlete, instant and the other columns of the labels.
        manifest: what makes the same frame again.
        restricted_labels: how many are left out, because models may not use data of the athlete.
        duplicate_labels: how many of the others are left out, because they are about a duplicate
            recording.
        model_permission: the setting by which models may use restricted data, to be noted with
            every model; None where they may not.
    """

    frame: DataFrame
    manifest: Manifest
    restricted_labels: int = 0
    duplicate_labels: int = 0
    model_permission: str | None = None


def training_set(
    spark: SparkSession,
    labels: DataFrame,
    features: Sequence[str] = (),
    *,
    timestamp_column: str | None = None,
    as_of_version: AsOf = None,
    warehouse: str | Path | None = None,
    catalog: str | None = None,
    schemas: Mapping[str, str] | None = None,
    conf: str | Path | None = None,
    restricted: left_out.Restricted = "refuse",
) -> TrainingSet:
    """Adds to each label the features as they were known at its instant.

    See `paceline.training` for what is known when. An athlete of whom nothing is known then gets
    NULLs. Labels about a duplicate recording are left out. The labels are read up to five times:
    save them first if they are costly or not always the same.

    Args:
        spark: the session.
        labels: a row per label, with `athlete_id` and a TIMESTAMP, the instant at which the
            features would have been asked for; optionally with `activity_id`, the activity that the
            label is about.
        features: names as `column`, or `table.column` where several tables have it; empty means
            those of the manifest.
        timestamp_column: the column with the instant; not needed when there is but one TIMESTAMP.
        as_of_version: None reads the newest versions; a version of the one table, versions by
            table, or the manifest of another training set reads these.
        warehouse: the directory of local tables; without it and `catalog`, as in the settings.
        catalog: the catalog of the tables, instead of a directory.
        schemas: by layer, what its schema is called, where that is not the layer's name.
        conf: the directory of `paceline.yml` and `contracts/` instead of the packaged one.
        restricted: what becomes of the labels of athletes with a restricted activity, unless the
            settings have a `model_permission`: "refuse" raises an error, "drop" leaves them out.

    Raises:
        UsageError: when features, labels, tables or versions cannot be used as given, or models may
            not use data of an athlete.
    """
    left_out.check_choice(restricted)
    directory = conf_directory(None if conf is None else str(conf))
    settings = load_settings(directory)
    contracts = {name: load(directory / "contracts" / f"{name}.odcs.yaml") for name in DAYS}
    if isinstance(as_of_version, Manifest):
        features = features or as_of_version.features
        timestamp_column = timestamp_column or as_of_version.timestamp_column
    wanted = requested(features, contracts)
    timestamp = given.timestamp_column(labels, timestamp_column)
    given.check(labels, timestamp, wanted)
    place = _opened(spark, settings, warehouse, catalog, schemas)
    is_open = settings.model_permission is not None
    about = {ACTIVITIES} if given.OWN_ACTIVITY in labels.columns else set()
    names = sorted({feature.table_name for feature in wanted} | about)
    read = positions(place, names, as_of_version)
    if not is_open and ACTIVITIES not in read:
        read = {ACTIVITIES: named_or_newest(place, ACTIVITIES, as_of_version)} | read
    tables = {name: at(place, position) for name, position in read.items()}
    for name, table in tables.items():
        columns = [each.column for each in wanted if each.table_name == name]
        if name == ACTIVITIES and not is_open:
            columns.append(left_out.IS_RESTRICTED)
        refuse_missing(name, table.columns, columns)
    n_restricted = n_duplicates = 0
    if not is_open:
        labels, n_restricted = left_out.without_restricted(
            labels, tables[ACTIVITIES], read[ACTIVITIES], restricted
        )
    if about:
        labels, n_duplicates = left_out.without_duplicates(labels, tables[ACTIVITIES])
    frame = _joined(labels, timestamp, wanted, tables, contracts)
    manifest = Manifest(tuple(map(str, wanted)), timestamp, tuple(read.values()), __version__)
    return TrainingSet(frame, manifest, n_restricted, n_duplicates, settings.model_permission)


def _opened(
    spark: SparkSession,
    settings: Settings,
    warehouse: str | Path | None,
    catalog: str | None,
    schemas: Mapping[str, str] | None,
) -> Warehouse:
    if warehouse is not None and catalog:
        raise UsageError("Both warehouse and catalog are given: name one place of the tables.")
    if warehouse is None and not catalog:
        warehouse, catalog = settings.warehouse, settings.catalog
    root = None if catalog else Path(warehouse or "").resolve()
    return Warehouse(spark, root, catalog or "", schemas or {})


def _joined(
    labels: DataFrame,
    timestamp: str,
    wanted: Sequence[Feature],
    tables: Mapping[str, DataFrame],
    contracts: Mapping[str, Contract],
) -> DataFrame:
    """Every label with the last row of each table that is known at its instant.

    Labels and rows are put into one order by athlete and instant, in which the greatest row so far
    is carried along. A join by a range of time would pair a label with all earlier rows.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    asked = _with_instant(labels, timestamp, tables)
    athletes = asked.select(ATHLETE).distinct()
    frames = [asked]
    by_table = {
        name: [feature.column for feature in wanted if feature.table_name == name]
        for name in contracts
    }
    for name, columns in by_table.items():
        if columns:
            rows = _known(tables[name], name, contracts[name], columns)
            frames.append(rows.join(athletes, ATHLETE, "left_semi"))
    events = reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), frames)
    # Rows of the same instant are peers, so that what is known from an instant on is known at it.
    so_far = Window.partitionBy(ATHLETE).orderBy("at")
    latest = {
        name: F.max(_row(name)).over(so_far).alias(_row(name))
        for name, columns in by_table.items()
        if columns
    }
    found = events.select("label", *latest.values()).where(F.col("label").isNotNull())
    values = (F.col(f"{_row(f.table_name)}.features.{f.column}") for f in wanted)
    order = dict.fromkeys((ATHLETE, timestamp, *labels.columns))
    return found.select("label.*", *values).orderBy(*map(given.quoted, order))


def _with_instant(labels: DataFrame, timestamp: str, tables: Mapping[str, DataFrame]) -> DataFrame:
    """(athlete_id, at, label): up to when something counts for a label, in microseconds UTC."""
    from pyspark.sql import functions as F

    athlete = F.col(ATHLETE).cast("bigint").alias(ATHLETE)
    instant = F.unix_micros(given.quoted(timestamp))
    label = F.struct("*").alias("label")
    if given.OWN_ACTIVITY not in labels.columns:
        return labels.select(athlete, instant.alias("at"), label)
    own = tables[ACTIVITIES].select(
        ATHLETE,
        given.OWN_ACTIVITY,
        (F.least(F.unix_micros(EVENT_TIME), _over(DAYS[ACTIVITIES])) - 1).alias("before"),
    )
    asked = labels.select(athlete, given.OWN_ACTIVITY, instant.alias("instant"), label)
    matched = asked.join(own, [ATHLETE, given.OWN_ACTIVITY], "left")
    return matched.select(ATHLETE, F.least("instant", "before").alias("at"), "label")


def _known(table: DataFrame, name: str, contract: Contract, columns: Sequence[str]) -> DataFrame:
    """(athlete_id, at, row): from when a row counts; the greatest row is the one to take."""
    from pyspark.sql import functions as F

    order = [EVENT_TIME, *(key for key in contract.key if key != ATHLETE)]
    row = F.struct(
        *(F.col(column).alias(f"by_{column}") for column in order),
        F.struct(*columns).alias("features"),
    )
    at = F.greatest(F.unix_micros(EVENT_TIME), _over(DAYS[name]))
    return table.select(ATHLETE, at.alias("at"), row.alias(_row(name)))


def _over(day: str) -> Column:
    """The instant from which a local day is over everywhere, in microseconds UTC."""
    from pyspark.sql import functions as F

    hours = F.unix_date(day).cast("bigint") * 24 + OVER_AFTER_HOURS
    return hours * HOUR_US


def _row(name: str) -> str:
    return f"row_of_{name.partition('.')[2]}"
