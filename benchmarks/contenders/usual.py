"""The way the pattern is usually written, as in tutorials and books on feature stores.

A Python UDF scores the activities, a calendar is joined, each metric is a window expression of its
own, pandas smooths athlete by athlete, and everything is merged into the target.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType

from benchmarks.contenders import DORMANT_DAYS, HORIZON, columns, session_of_others

if TYPE_CHECKING:
    import pandas as pd

NAME = "usual"
LABEL = "Spark as usually written: Python UDF, calendar join, a window a metric, pandas, MERGE"

SUMMED = (
    *("activities", "active_days", "distance_km", "moving_time_s", "elevation_gain_m", "tss"),
    *("runs", "run_distance_km"),
)
LOADS = "ctl_ewma_42d double, atl_ewma_7d double, tsb_ewma double"


def backfill(source: str, target: str) -> None:
    """Computes the rolling table of the activities at `source`, and merges it into `target`."""
    spark = session_of_others(target)
    activities = spark.read.format("delta").load(source)
    features = with_ratios(with_windows(with_loads(on_calendar(daily(activities)))))
    features = features.where(F.col("days_since_last_activity") <= DORMANT_DAYS).select(*columns())
    (DeltaTable.createIfNotExists(spark).location(target).addColumns(features.schema).execute())
    (
        DeltaTable.forPath(spark, target)
        .alias("t")
        .merge(features.alias("f"), "t.athlete_id = f.athlete_id AND t.as_of_date = f.as_of_date")
        .whenMatchedUpdateAll()
        .whenNotMatchedInsertAll()
        .execute()
    )


# Without Arrow, as by default: said here, because Spark would else warn of the type hints.
@F.udf(DoubleType(), useArrow=False)
def estimated_tss(
    method: str | None,
    estimated: float | None,
    pace: float | None,
    threshold_pace: float,
    moving_time_s: int,
) -> float | None:
    """The score of an activity: again from its pace where it came from there, else as it is."""
    if method != "pace" or not pace:
        return estimated
    intensity = threshold_pace / pace
    score = 100 * (moving_time_s / 3600) * intensity * intensity
    return math.floor(score * 1e6 + 0.5) / 1e6


def daily(activities: DataFrame) -> DataFrame:
    """One row per athlete and day with activities."""
    scored = activities.where(F.col("local_day") <= F.lit(HORIZON)).withColumn(
        "tss",
        estimated_tss(
            "tss_method",
            "estimated_tss",
            "pace_min_km",
            "threshold_pace_min_km",
            "moving_time_s",
        ),
    )
    is_run = F.col("sport_family") == "run"
    has_distance = F.col("distance_km") > 0
    return scored.groupBy("athlete_id", F.col("local_day").alias("as_of_date")).agg(
        F.count("*").alias("activities_1d"),
        F.sum("distance_km").alias("distance_km_1d"),
        F.sum("moving_time_s").alias("moving_time_s_1d"),
        F.sum("elevation_gain_m").alias("elevation_gain_m_1d"),
        F.sum("tss").alias("tss_1d"),
        F.count(F.when(F.col("tss").isNull(), 1)).alias("activities_without_tss_1d"),
        F.count(F.when(is_run, 1)).alias("runs_1d"),
        F.sum(F.when(is_run, F.col("distance_km"))).alias("run_distance_km_1d"),
        F.sum(F.when(is_run & has_distance, F.col("moving_time_s"))).alias("run_time_s_1d"),
    )


def on_calendar(days: DataFrame) -> DataFrame:
    """Every day from an athlete's first activity on; a day of rest is a row of zeros."""
    first_days = days.groupBy("athlete_id").agg(F.min("as_of_date").alias("first_day"))
    calendar = first_days.select(
        "athlete_id", F.explode(F.sequence("first_day", F.lit(HORIZON))).alias("as_of_date")
    )
    joined = calendar.join(days, ["athlete_id", "as_of_date"], "left").fillna(0)
    return joined.withColumn("active_days_1d", F.when(F.col("activities_1d") > 0, 1).otherwise(0))


def with_loads(calendar: DataFrame) -> DataFrame:
    """Adds the exponentially weighted loads, one athlete at a time."""
    schema = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in calendar.schema)
    return calendar.groupBy("athlete_id").applyInPandas(smoothed, f"{schema}, {LOADS}")


def smoothed(days: pd.DataFrame) -> pd.DataFrame:
    """The days of one athlete with their loads, which start from 0 before the first day."""
    import pandas as pd

    days = days.sort_values("as_of_date", ignore_index=True)
    loads = pd.concat([pd.Series([0.0]), days["tss_1d"]])
    chronic = loads.ewm(alpha=1 - math.exp(-1 / 42), adjust=False).mean().to_numpy()
    acute = loads.ewm(alpha=1 - math.exp(-1 / 7), adjust=False).mean().to_numpy()
    return days.assign(
        ctl_ewma_42d=chronic[1:], atl_ewma_7d=acute[1:], tsb_ewma=chronic[:-1] - acute[:-1]
    )


def with_windows(days: DataFrame) -> DataFrame:
    """Adds the sums over the last days, and how long ago things were."""
    for length in (7, 30, 90):
        for metric in SUMMED:
            days = days.withColumn(
                f"{metric}_{length}d", F.sum(f"{metric}_1d").over(last_days(length))
            )
    for length in (28, 42):
        days = days.withColumn(f"tss_{length}d", F.sum("tss_1d").over(last_days(length)))
    for length in (30, 90):
        run_time = F.sum("run_time_s_1d").over(last_days(length))
        pace = ratio(run_time / 60, F.col(f"run_distance_km_{length}d"))
        days = days.withColumn(f"run_pace_min_km_{length}d", pace)
    days = days.withColumn("tss_mean_7d", F.avg("tss_1d").over(last_days(7)))
    days = days.withColumn("tss_sd_7d", F.stddev_pop("tss_1d").over(last_days(7)))
    so_far = by_day().rowsBetween(Window.unboundedPreceding, Window.currentRow)
    active_day = F.when(F.col("activities_1d") > 0, F.col("as_of_date"))
    last_active_day = F.last(active_day, ignorenulls=True).over(so_far)
    days = days.withColumn("history_days", F.row_number().over(by_day()).cast("bigint"))
    return days.withColumn(
        "days_since_last_activity", F.datediff("as_of_date", last_active_day).cast("bigint")
    )


def by_day() -> WindowSpec:
    """The days of an athlete in order."""
    return Window.partitionBy("athlete_id").orderBy("as_of_date")


def last_days(length: int) -> WindowSpec:
    """The days that end with a row's own; there is a row for each."""
    return by_day().rowsBetween(1 - length, Window.currentRow)


def with_ratios(days: DataFrame) -> DataFrame:
    """Adds what is computed from the sums, and the instant from which a row may be used."""
    four_weeks, week = F.col("history_days") >= 28, F.col("history_days") >= 7
    before = F.col("tss_28d") - F.col("tss_7d")
    noon = F.lit(timedelta(days=1, hours=12))
    return (
        days.withColumn("event_timestamp", F.col("as_of_date").cast("timestamp") + noon)
        .withColumn("ctl_42d", F.col("tss_42d") / 42)
        .withColumn("atl_7d", F.col("tss_7d") / 7)
        .withColumn("acwr", F.when(four_weeks, ratio(F.col("atl_7d"), F.col("tss_28d") / 28)))
        .withColumn("acwr_uncoupled", F.when(four_weeks, ratio(F.col("atl_7d"), before / 21)))
        .withColumn("monotony_7d", F.when(week, ratio(F.col("tss_mean_7d"), F.col("tss_sd_7d"))))
        .withColumn("strain_7d", F.col("tss_7d") * F.col("monotony_7d"))
    )


def ratio(numerator: Column, denominator: Column) -> Column:
    """The quotient; NULL where the denominator is 0."""
    return F.when(denominator != 0, numerator / denominator)
