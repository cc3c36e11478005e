"""bronze.strava_activities: every received activity record, verbatim, append only."""

from __future__ import annotations

from pyspark.sql import DataFrame

from paceline.table import EVERYTHING, Context, Frames, Scope, Table

NAME = "bronze.strava_activities"


def touched(changes: Frames, inputs: Frames, own: DataFrame, context: Context) -> Scope:
    """New deliveries only ever add rows, and landing finds out which are new."""
    return EVERYTHING


def rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    """The records of the new deliveries, as the landing zone reads them."""
    return inputs["landing"]


TABLE = Table(NAME, inputs=(), touched=touched, rows=rows)
