"""activity_features with two more columns: their contract, and a recipe that fills them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from paceline.contract import load
from paceline.pipeline.jobs import FEATURE_ACTIVITY, FEATURE_ROLLING, JOBS, TABLES
from paceline.recipe import Context, Frames, Scope
from paceline.tables.feature_store import activity_features
from tests.conftest import CONF

NAME, ROLLING = activity_features.NAME, "feature_store.athlete_rolling_features"
FILE = f"contracts/{NAME}.odcs.yaml"
BEFORE = load(CONF / FILE)
SHOES = """integer
        physicalType: BIGINT
        required: true
        description: Of the dist"""
COLUMNS = """
      - name: extra_class
        logicalType: integer
        physicalType: BIGINT
        required: true
        description: Of the distance, from 0 on. Never NULL.
        examples: [1]
      - name: extra_rain_mm
        logicalType: number
        physicalType: DOUBLE
        description: Rain, where it was measured. NULL where not.
        customProperties:
          - {property: unit, value: mm}
          - {property: optional, value: Most have no weather station.}
        examples: [1.5, null]
"""


def with_columns(text: str) -> str:
    """The contract with two more columns after `is_race`, and one rule about one of them."""
    at = text.index("      - name: distance_km\n")
    return re.sub(r"\nversion: .*", "\nversion: 1.1.0", text[:at] + COLUMNS[1:] + text[at:])


def rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    """The rows of the recipe, with the new columns."""
    known = replace(context, contracts={NAME: BEFORE})
    made = activity_features.rows(scope, inputs, own, known)
    shoes = F.floor(F.coalesce(F.col("distance_km"), F.lit(0)) / 10).cast("bigint")
    rain = F.when(F.col("athlete_id") % 2 == 1, 2.5)
    more = made.withColumn("extra_class", shoes).withColumn("extra_rain_mm", rain)
    return more.select(*context.contracts[NAME].column_names)


RECIPE = replace(activity_features.TABLE, rows=rows)
JOBS_AFTER = {
    FEATURE_ACTIVITY: tuple(RECIPE if t.name == NAME else t for t in JOBS[FEATURE_ACTIVITY]),
    FEATURE_ROLLING: JOBS[FEATURE_ROLLING],
}
RECIPES = tuple(RECIPE if table.name == NAME else table for table in TABLES)


def promise(conf: Path) -> None:
    """Puts the new columns into the contract below a directory of settings."""
    path = conf / FILE
    path.write_text(with_columns(path.read_text(encoding="utf-8")), encoding="utf-8")
