"""The recipe of paceline alone: no staging, no comparison, no audit, no ledger, no constraints."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.contenders import (
    ACTIVITIES,
    DORMANT_DAYS,
    HORIZON,
    KEY_STATISTICS,
    ROLLING,
    contracts,
    session,
)
from paceline.features import functions
from paceline.recipe import EVERYTHING, Context
from paceline.store.warehouse import CHANGE_FEED
from paceline.tables.feature_store import athlete_rolling_features

NAME = "recipe"
LABEL = "paceline's bare recipe: what it computes, written by one append"


def backfill(source: str, target: str) -> None:
    """Makes the rows as a rebuild would and appends them to a table with the same properties."""
    spark, promised = session(target), contracts()
    properties = ", ".join(f"'{k}' = '{v}'" for k, v in (CHANGE_FEED | KEY_STATISTICS).items())
    spark.sql(
        f"CREATE TABLE delta.`{target}` ({promised[ROLLING].ddl()}) USING delta "
        f"TBLPROPERTIES ({properties})"
    )
    context = Context(
        settings={"dormant_after_days": DORMANT_DAYS},
        contracts=promised,
        policies={},
        horizon=HORIZON,
    )
    inputs = {ACTIVITIES: _scored_again(spark.read.format("delta").load(source))}
    own = spark.read.format("delta").load(target)
    rows = athlete_rolling_features.rows(EVERYTHING, inputs, own, context)
    rows.write.format("delta").mode("append").save(target)


def _scored_again(activities: DataFrame) -> DataFrame:
    names = ("pace_min_km", "threshold_pace_min_km", "moving_time_s")
    from_pace = functions.estimated_tss(*(F.col(name) for name in names))
    score = F.when(F.col("tss_method") == "pace", from_pace).otherwise(F.col("estimated_tss"))
    return activities.withColumn("estimated_tss", score)
