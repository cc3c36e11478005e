"""Every version of an activity in silver's columns, judged: where both activity tables start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from paceline.recipe import Context, Scope
from paceline.sources import SOURCES, debezium, strava_export
from paceline.sources.encodings import PLACEHOLDER
from paceline.sources.refusals import ENCODING_UNKNOWN, END_NOT_AHEAD, REFUSAL, UNREADABLE
from paceline.sources.source import EXPORT, IN_ENVELOPE, PLAIN
from paceline.tables import names
from paceline.tables.silver import fields, measures, parts, versions
from paceline.tables.silver.local_start import local_start
from paceline.tables.windows import end, in_window

NAME = names.ACTIVITIES
BRONZE = names.BRONZE_ACTIVITIES
READS_SETTINGS = ("athlete_timezone", "export_headers")

# The fields read from an image, all as text; the bulk export's image has the same names.
IMAGE = """
id STRING, name STRING, sport_type STRING, type STRING, workout_type STRING, competition STRING,
start_date STRING, start_date_local STRING, utc_offset STRING, timezone STRING, distance STRING,
moving_time STRING, elapsed_time STRING, total_elevation_gain STRING, average_heartrate STRING,
max_heartrate STRING, average_cadence STRING, average_watts STRING, kilojoules STRING,
calories STRING, has_heartrate STRING, manual STRING, trainer STRING, commute STRING,
visibility STRING, splits_metric STRING, laps STRING
"""

# What a flat row of a database calls them, where that is another name: silver's own.
FLAT_NAMES = {
    "competition": "is_race",
    "distance": "distance_m",
    "moving_time": "moving_time_s",
    "elapsed_time": "elapsed_time_s",
    "total_elevation_gain": "elevation_gain_m",
    "average_heartrate": "average_heartrate_bpm",
    "max_heartrate": "max_heartrate_bpm",
    "average_cadence": "average_cadence_rpm",
    "average_watts": "average_watts_w",
    "manual": "is_manual",
    "trainer": "is_trainer",
    "commute": "is_commute",
}
# What the landing zone has read of a record before.
READ_BEFORE = ("athlete", "athlete_id", "updated_at")
EXTRAS = ("_corrupt_record", REFUSAL, debezium.STATEMENT_TIME, *READ_BEFORE)

IS_UNREAD = "_is_unread"  # a field is there and could not be read
IS_ELAPSED = "_is_elapsed"  # the elapsed time serves as moving time

# Warnings: a field that may be absent could not be read, or is not possible; nobody knows how much
# of the elapsed time was motion; the clock of a database went back, so that the change has lost.
VALUE_UNREADABLE, MEASURE_OUT_OF_RANGE = "value_unreadable", "measure_out_of_range"
MOVING_TIME_UNKNOWN, CLOCK_BEHIND_LOG = "moving_time_unknown", "clock_behind_log"
WARNINGS = (VALUE_UNREADABLE, MEASURE_OUT_OF_RANGE, MOVING_TIME_UNKNOWN, CLOCK_BEHIND_LOG)

# An activity may begin and end so many days after the day on which it was received.
MOST_DAYS_AHEAD = 2
# A longer time is as good as this one, and no instant overflows.
LONGEST_S = 10**12

# How the fields of an image are read, besides texts and times; none may be read in vain.
MEASURES = (
    *("distance", "total_elevation_gain", "average_heartrate", "max_heartrate", "utc_offset"),
    *("average_cadence", "average_watts", "kilojoules", "calories"),
)
COUNTS = ("workout_type", "moving_time", "elapsed_time")
FLAGS = ("manual", "trainer", "commute", "competition", "has_heartrate")

SPORT_FAMILIES = {
    "run": "Run TrailRun VirtualRun",
    "ride": "Ride VirtualRide MountainBikeRide GravelRide EBikeRide EMountainBikeRide"
    " Velomobile Handcycle",
    "foot": "Walk Hike Snowshoe",
    "swim": "Swim",
    "ski": "AlpineSki BackcountrySki NordicSki RollerSki Snowboard",
}
RACE_WORKOUT_TYPES = (1, 11)  # a run's race, a ride's race


def keys_in_window(bronze: DataFrame, own: DataFrame, context: Context) -> DataFrame:
    """The activity_ids of which any version, or the published row, starts in the window.

    Records that do not say when they start lie in every window, so that none is ever passed over.
    """
    received = with_image(bronze, context.settings).select(
        "activity_id", fields.instant(F.col("image.start_date")).alias("start_date")
    )
    published = own.select("activity_id", "start_date")
    return (
        received.where(F.col("start_date").isNull() | in_window(context, F.col("start_date")))
        .select("activity_id")
        .union(published.where(in_window(context, F.col("start_date"))).select("activity_id"))
        .distinct()
    )


def touched_keys(
    changes: Mapping[str, DataFrame], bronze: DataFrame, own: DataFrame, context: Context
) -> list[DataFrame]:
    """Frames of activity_id: those of new bronze records, or those in the window."""
    if context.window is not None:
        return [keys_in_window(bronze, own, context)]
    return [changes[BRONZE].select("activity_id")]


def judged(scope: Scope, bronze: DataFrame, context: Context) -> DataFrame:
    """All versions of the activities in scope: silver's columns, order, reasons and validity.

    Adds to the columns of the contract those of bronze that say where a version came from,
    `splits_metric` and `laps` as JSON text (NULL when the record does not have them), and whether
    a field could not be read.
    """
    records = with_image(scope.select(bronze), context.settings)
    aged = versions.with_age(
        records,
        [F.col("activity_id")],
        has_statement_time=fields.flag(F.col(f"image.{debezium.STATEMENT_TIME}")),
        is_refused=F.coalesce(F.col("image")[REFUSAL] == ENCODING_UNKNOWN, F.lit(False)),
    )
    # In steps, so that what several columns need is computed once.
    filled = aged.withColumn("image", _filled())
    started = filled.withColumn("_start", fields.instant(F.col("image.start_date")))
    local = local_start(F.col("image"), F.col("_start"), context.settings)
    placed = started.withColumn("_local", local)
    typed = placed.select(
        *(column.alias(name) for name, column in _columns().items()),
        *("op", "source_path", "line_number", "payload", "ingest_date"),
        *(_array(name).alias(name) for name in parts.ARRAYS),
        *("_subject", versions.AGE, versions.IS_COPY, versions.IS_OPEN, versions.IS_CLOCK_BEHIND),
        _is_unread(F.col("_start")).alias(IS_UNREAD),
        _is_elapsed().alias(IS_ELAPSED),
        versions.refused_as(_refusal()).alias(versions.REFUSAL),
    )
    believed = measures.without_incredible(typed)
    ahead = F.when(_ends_ahead() & (F.col("op") != "d"), END_NOT_AHEAD)
    refused = believed.withColumn(versions.REFUSAL, F.coalesce(versions.REFUSAL, ahead))
    return versions.with_validity(refused, context.contracts[NAME], context.policies[NAME])


def with_image(bronze: DataFrame, settings: Mapping[str, Any]) -> DataFrame:
    """Adds `image`, a struct of IMAGE's text fields and EXTRAS; NULL for an unreadable record."""
    # Functions in Python, and only for what needs them: those that bronze reads the same with.
    localised = settings["export_headers"]
    read_export = F.udf(lambda payload: _export_image(payload, localised), StringType())
    read_change = F.udf(lambda payload: _change_image(payload), StringType())
    text = F.when(~F.col("is_base64"), F.col("payload"))
    is_export, is_change = _holds(EXPORT), _holds(IN_ENVELOPE)
    image = (
        F.when(is_export, read_export(F.when(is_export, text)))
        .when(is_change, read_change(F.when(is_change, text)))
        .otherwise(text)
    )
    parsed = bronze.withColumn("image", fields.json_struct(image, _names()))
    parsed = parsed.withColumn("image", _with_api_names(F.col("image"), is_change))
    # A record that is readable as a whole but has a field of another shape is not corrupt. Of a
    # broken one Spark may have read the id, which the landing zone has not taken.
    has_id = F.coalesce(fields.is_id(F.col("image.id")), F.lit(False))
    is_corrupt = F.col("image._corrupt_record").isNotNull()
    is_whole = ~is_corrupt | F.col("image.id").isNotNull()
    readable = is_whole & ~(F.col("activity_id").isNull() & (has_id | is_corrupt))
    return parsed.withColumn("image", F.when(readable, F.col("image")))


def warnings() -> Column:
    """The names of what is odd about a version, though it may be right."""
    return F.array_compact(
        F.array(
            F.when(F.col(IS_UNREAD), VALUE_UNREADABLE),
            F.when(F.col(measures.IS_INCREDIBLE), MEASURE_OUT_OF_RANGE),
            F.when(F.col(IS_ELAPSED), MOVING_TIME_UNKNOWN),
            F.when(F.col(versions.IS_CLOCK_BEHIND), CLOCK_BEHIND_LOG),
        )
    )


def _filled() -> Column:
    """The image, with what an update did not send because it had not changed it.

    Such a value is that of the newest earlier change in the same log. A deletion ends it: what the
    row holds afterwards, nothing before says.
    """
    image = F.col("image")
    is_told = _holds(IN_ENVELOPE) & ~F.col(versions.IS_COPY)
    values = []
    for name in _image_names():
        value = image[name]
        said = F.when(F.col("op") == "d", PLACEHOLDER).when(value != PLACEHOLDER, value)
        before = F.last(F.when(is_told, said), ignorenulls=True).over(versions.in_log())
        is_left_out = value == PLACEHOLDER
        values.append(F.when(is_left_out, F.coalesce(before, value)).otherwise(value).alias(name))
    return F.when(image.isNotNull(), F.struct(*values, *(image[name] for name in EXTRAS)))


def _is_unread(start: Column) -> Column:
    """Whether a field is there and could not be read. `start` is what was read of the start.

    All numbers are looked at together, as one text, and so are all flags: for each of them by
    itself Spark would compile more code than it can run fast.
    """
    image = F.col("image")
    started, local, updated = (
        image[name] for name in ("start_date", "start_date_local", "updated_at")
    )
    clock = fields.wall_clock(local)
    is_unread = (
        ~fields.are_numbers([image[name] for name in (*MEASURES, *COUNTS)], PLACEHOLDER)
        | ~fields.are_flags([image[name] for name in FLAGS], PLACEHOLDER)
        | ((started != PLACEHOLDER) & start.isNull())
        | ((local != PLACEHOLDER) & clock.isNull())
        # That of a change counts only where nothing else says when it happened.
        | (_holds(PLAIN) & updated.isNotNull() & fields.instant(updated).isNull())
    )
    for name in COUNTS:
        number = fields.number(image[name])
        is_unread = is_unread | (number != F.floor(number))
    for kind, (name, _) in parts.KINDS.items():
        is_unread = is_unread | ((image[name] != PLACEHOLDER) & _array(name).isNull())
        is_unread = is_unread | F.coalesce(parts.has_unread(_array(name), kind), F.lit(False))
    return F.coalesce(is_unread, F.lit(False))


def _refused_as_read() -> Column:
    image = F.col("image")
    is_unreadable = image.isNull() & (F.col("op") != "d")
    # The API may not say such a thing of itself.
    refusal = F.when(is_unreadable, UNREADABLE).when(~_holds(PLAIN), image[REFUSAL])
    return F.coalesce(refusal, F.when(_has_unread_id(), ENCODING_UNKNOWN))


def _has_unread_id() -> Column:
    """Whether an id is there that the landing zone could not read; a change says so itself."""
    image = F.col("image")
    athlete = F.coalesce(F.get_json_object(image["athlete"], "$.id"), image["athlete_id"])
    is_unread = (F.col("activity_id").isNull() & image["id"].isNotNull()) | (
        _holds(PLAIN) & F.col("athlete_id").isNull() & athlete.isNotNull()
    )
    return ~_holds(IN_ENVELOPE) & is_unread


def _refusal() -> Column:
    image = F.col("image")
    is_lost = F.lit(PLACEHOLDER).isin([image[name] for name in _image_names()])
    is_unknown = _holds(IN_ENVELOPE) & (
        _is_unread(F.col("_start")) | F.coalesce(is_lost, F.lit(False))
    )
    return F.coalesce(_refused_as_read(), F.when(is_unknown, ENCODING_UNKNOWN))


def _holds(image: str) -> Column:
    """Whether a record comes from a source whose payloads hold such an image."""
    return F.col("source").isin([source.name for source in SOURCES if source.image == image])


def _image_names() -> list[str]:
    return [field.split()[0] for field in IMAGE.split(",")]


def _names() -> str:
    more = (*FLAT_NAMES.values(), REFUSAL, debezium.STATEMENT_TIME, *READ_BEFORE)
    return IMAGE + "".join(f", {name} STRING" for name in more)


def _with_api_names(image: Column, is_change: Column) -> Column:
    """The struct of IMAGE's fields; those of a flat row under the names of the API."""
    values = []
    for name in _image_names():
        value = image[name]
        if name in FLAT_NAMES:
            flat = F.when(is_change, image[FLAT_NAMES[name]])
            value = F.coalesce(value, flat)
        values.append(value.alias(name))
    return F.when(image.isNotNull(), F.struct(*values, *(image[name] for name in EXTRAS)))


def _change_image(payload: str | None) -> str | None:
    return None if payload is None else debezium.image(payload)


def _export_image(payload: str | None, localised: Mapping[str, Mapping[str, str]]) -> str | None:
    return None if payload is None else strava_export.image(payload, localised)


def _columns() -> dict[str, Column]:
    image = F.col("image")
    is_ahead = _is_ahead(F.col("_start"))
    sport = F.coalesce(_word(image["sport_type"]), _word(image["type"]), F.lit("Unknown"))
    race = fields.whole_number(image["workout_type"]).isin(*RACE_WORKOUT_TYPES)
    race = F.coalesce(race, F.lit(False)) | F.coalesce(
        fields.flag(image["competition"]), F.lit(False)
    )
    elapsed = fields.whole_number(image["elapsed_time"])
    has_heartrate = F.coalesce(fields.flag(image["has_heartrate"]), F.lit(True))
    return {
        "athlete_id": F.col("athlete_id"),
        "activity_id": F.col("activity_id"),
        "name": image["name"],
        "sport_type": sport,
        "sport_family": _family(sport),
        "workout_type": fields.whole_number(image["workout_type"]),
        "is_race": race,
        "start_date": F.when(~is_ahead, F.col("_start")),
        "start_date_local": F.col("_local"),
        "local_day": F.col("_local").cast("date"),
        "timezone": image["timezone"],
        "distance_m": fields.number(image["distance"]),
        "moving_time_s": F.when(_is_elapsed(), elapsed).otherwise(
            fields.whole_number(image["moving_time"])
        ),
        "elapsed_time_s": elapsed,
        "elevation_gain_m": fields.number(image["total_elevation_gain"]),
        "average_heartrate_bpm": F.when(has_heartrate, _sensed("average_heartrate")),
        "max_heartrate_bpm": F.when(has_heartrate, _sensed("max_heartrate")),
        "average_cadence_rpm": _sensed("average_cadence"),
        "average_watts_w": _sensed("average_watts"),
        "kilojoules": fields.number(image["kilojoules"]),
        "calories": fields.number(image["calories"]),
        "is_manual": fields.flag(image["manual"]),
        "is_trainer": fields.flag(image["trainer"]),
        "is_commute": fields.flag(image["commute"]),
        "visibility": image["visibility"],
        "source": F.col("source"),
    }


def _is_elapsed() -> Column:
    """Whether an activity without a time in motion has lasted all the same, as yoga does."""
    image = F.col("image")
    moving, elapsed = (fields.whole_number(image[f"{name}_time"]) for name in ("moving", "elapsed"))
    return F.coalesce((moving == 0) & (elapsed > 0), F.lit(False))


def _sensed(name: str) -> Column:
    """What a sensor has measured; 0 says that there was none."""
    value = fields.number(F.col("image")[name])
    return F.when(value != 0, value)


def _is_ahead(moment: Column) -> Column:
    """Whether an instant lies so far after the day of ingest that it cannot be."""
    return fields.utc_day(moment) > F.unix_date("ingest_date") + MOST_DAYS_AHEAD


def _ends_ahead() -> Column:
    elapsed, moving = (
        F.when(F.col(name) > LONGEST_S, F.lit(LONGEST_S)).when(F.col(name) >= 0, F.col(name))
        for name in ("elapsed_time_s", "moving_time_s")
    )
    return _is_ahead(end(F.col("start_date"), elapsed, moving))


def _array(name: str) -> Column:
    """The JSON text of an array; what is no array is as good as absent."""
    text = F.col(f"image.{name}")
    return F.when(text.startswith("["), text)


def _family(sport: Column) -> Column:
    # Exports write `E-Bike Ride` for what the API calls EBikeRide.
    compact = F.lower(F.translate(sport, " -", ""))
    family = F.lit("other")
    for name, sports in SPORT_FAMILIES.items():
        family = F.when(compact.isin(*sports.lower().split()), name).otherwise(family)
    return family


def _word(text: Column) -> Column:
    trimmed = F.trim(text)
    return F.when(trimmed != "", trimmed)
