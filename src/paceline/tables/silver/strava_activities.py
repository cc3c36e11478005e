"""silver.strava_activities: one validated row per activity, the best of its received versions."""

from __future__ import annotations

from pyspark.sql import DataFrame

from paceline import recipe
from paceline.recipe import Context, Frames, Scope, Table
from paceline.sources.refusals import OF_ACTIVITIES
from paceline.tables.silver import versions
from paceline.tables.silver.activity_versions import (
    BRONZE,
    CLOCK_BEHIND_LOG,
    NAME,
    READS_SETTINGS,
    WARNINGS,
    judged,
    touched_keys,
    warnings,
)


def touched(changes: Frames, inputs: Frames, own: DataFrame, context: Context) -> Scope:
    """The activities of new records; in a window run, those that start in the window."""
    frames = touched_keys(changes, inputs[BRONZE], own, context)
    return Scope(keys=recipe.union(frames).distinct())


def rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    """All versions of the activities in scope, disposed of; the current ones are the rows."""
    versioned = judged(scope, inputs[BRONZE], context)
    # Only a detailed record has calories; a summary that came later does not take them away.
    calories = versions.newest("calories").over(versions.of_subject())["value"]
    disposed = versions.with_disposition(versioned.withColumn("calories", calories))
    columns = context.contracts[NAME].column_names
    return disposed.select(
        *columns,
        *(recipe.DISPOSITION, recipe.REASONS),
        warnings().alias(recipe.WARNINGS),
        versions.record(),
    )


TABLE = Table(
    NAME,
    inputs=(BRONZE,),
    touched=touched,
    rows=rows,
    settings=READS_SETTINGS,
    windowed_inputs=(BRONZE,),
    warnings=WARNINGS,
    noted=(CLOCK_BEHIND_LOG,),
    refusals=OF_ACTIVITIES,
    judges_records=True,
    day="local_day",
)
