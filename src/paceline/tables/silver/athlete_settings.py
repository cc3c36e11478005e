"""silver.athlete_settings: an athlete's thresholds, and the day from which they hold."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from paceline import recipe
from paceline.recipe import Context, Frames, Scope, Table
from paceline.sources.refusals import ENCODING_UNKNOWN, OF_SETTINGS, UNREADABLE
from paceline.tables import names
from paceline.tables.silver import fields, versions

NAME = names.SETTINGS
BRONZE = names.BRONZE_SETTINGS
PACE = "threshold_pace_s_per_km"
NUMBERS = (PACE, "hr_max_bpm", "hr_rest_bpm", "lthr_bpm")
IMAGE = """
threshold_pace_s_per_km STRING, hr_max_bpm STRING, hr_rest_bpm STRING, lthr_bpm STRING, sex STRING,
athlete_id STRING, valid_from STRING, updated_at STRING
"""


def touched(changes: Frames, inputs: Frames, own: DataFrame, context: Context) -> Scope:
    """The (athlete, day) pairs of new records; a window does not restrict settings."""
    return Scope(keys=changes[BRONZE].select("athlete_id", "valid_from").distinct())


def rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    """All versions of the settings in scope, disposed of; the current ones are the rows."""
    contract = context.contracts[NAME]
    subject = [F.col("athlete_id"), F.col("valid_from")]
    records = versions.without_log(scope.select(inputs[BRONZE]))
    aged = versions.with_age(records, subject)
    image = fields.json_struct(F.when(~F.col("is_base64"), F.col("payload")), IMAGE)
    parsed = aged.withColumn("image", image)
    is_unreadable = F.col("image").isNull() | F.col("image._corrupt_record").isNotNull()
    refusal = F.when(is_unreadable, UNREADABLE).when(_is_unread(), ENCODING_UNKNOWN)
    typed = parsed.select(
        "athlete_id",
        "valid_from",
        *(_number(name).alias(name) for name in NUMBERS),
        _sex().alias("sex"),
        *("op", "source", "source_path", "line_number", "payload", "_subject"),
        *(versions.AGE, versions.IS_COPY, versions.IS_OPEN),
        versions.refused_as(refusal).alias(versions.REFUSAL),
    )
    judged = versions.with_validity(typed, contract, context.policies[NAME])
    disposed = versions.with_disposition(judged)
    return disposed.select(
        *contract.column_names, recipe.DISPOSITION, recipe.REASONS, versions.record()
    )


def _number(name: str) -> Column:
    text = F.col(f"image.{name}")
    number = fields.number(text)
    return F.coalesce(number, fields.minutes(text)) if name == PACE else number


def _is_unread() -> Column:
    """Whether a number, a part of the key or the time is there and could not be read."""
    updated = F.col("image.updated_at")
    is_unread = updated.isNotNull() & fields.instant(updated).isNull()
    for name in ("athlete_id", "valid_from"):
        # As the landing zone has read it.
        is_unread = is_unread | (F.col(f"image.{name}").isNotNull() & F.col(name).isNull())
    for name in NUMBERS:
        is_unread = is_unread | (F.col(f"image.{name}").isNotNull() & _number(name).isNull())
    return is_unread


def _sex() -> Column:
    """F or M; what is neither stays as it is, for a rule to see."""
    word = F.lower(F.trim("image.sex"))
    known = F.when(word.isin("f", "female"), "F").when(word.isin("m", "male"), "M")
    return F.coalesce(known, F.trim("image.sex"))


TABLE = Table(
    NAME,
    inputs=(BRONZE,),
    touched=touched,
    rows=rows,
    refusals=OF_SETTINGS,
    judges_records=True,
    follows_window=False,
    day="valid_from",
)
