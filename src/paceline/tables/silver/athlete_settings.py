"""silver.athlete_settings: an athlete's thresholds, and the day from which they hold."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from paceline import recipe
from paceline.recipe import Context, Frames, Scope, Table
from paceline.tables import names
from paceline.tables.silver import fields, versions

NAME = names.SETTINGS
BRONZE = names.BRONZE_SETTINGS
IMAGE = """
threshold_pace_s_per_km STRING, hr_max_bpm STRING, hr_rest_bpm STRING, lthr_bpm STRING, sex STRING
"""


def touched(changes: Frames, inputs: Frames, own: DataFrame, context: Context) -> Scope:
    """The (athlete, day) pairs of new records; a window does not restrict settings."""
    return Scope(keys=changes[BRONZE].select("athlete_id", "valid_from").distinct())


def rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    """All versions of the settings in scope, disposed of; the current ones are the rows."""
    contract = context.contracts[NAME]
    subject = [F.col("athlete_id"), F.col("valid_from")]
    aged = versions.with_age(scope.select(inputs[BRONZE]), subject)
    image = fields.json_struct(F.when(~F.col("is_base64"), F.col("payload")), IMAGE)
    parsed = aged.withColumn("image", image)
    word = F.lower(F.trim("image.sex"))
    sex = F.when(word.isin("f", "female"), "F").when(word.isin("m", "male"), "M")
    names = ("threshold_pace_s_per_km", "hr_max_bpm", "hr_rest_bpm", "lthr_bpm")
    is_unreadable = F.col("image").isNull() | F.col("image._corrupt_record").isNotNull()
    typed = parsed.select(
        "athlete_id",
        "valid_from",
        *(fields.number(F.col(f"image.{name}")).alias(name) for name in names),
        sex.alias("sex"),
        *("op", "source", "source_path", "line_number", "payload", "_subject"),
        *(versions.AGE, versions.IS_OPEN),
        is_unreadable.alias(versions.IS_UNREADABLE),
    )
    judged = versions.with_validity(typed, contract, context.policies[NAME])
    disposed = versions.with_disposition(judged)
    return disposed.select(
        *contract.column_names, recipe.DISPOSITION, recipe.REASONS, versions.record()
    )


TABLE = Table(
    NAME,
    inputs=(BRONZE,),
    touched=touched,
    rows=rows,
    judges_records=True,
    follows_window=False,
    day="valid_from",
)
