"""The same computation in Spark by someone careful, with the sliding frames that Spark offers.

Native expressions only. The activities are shuffled once. Days of rest come from the gap to the
next active day instead of a joined calendar, and end where an athlete falls dormant: before that,
there are more rows of zeros than the longest frame counts, so that frames of rows stay right. All
frames, the loads included, share one order of rows. An exponentially weighted load is a running sum
of loads with growing weights, which Spark adds up in one pass, while a fold over an array per
athlete would be interpreted; the weights overflow 13 years after an athlete's first day. Counts and
seconds are added up as doubles, which is exact and spares the check of each sum for an overflow.

To put the long windows together from lagged sums of short frames would cost a third less; it is
left out, because whoever thinks of it would rather take running sums, as paceline does.
"""

from __future__ import annotations

import math

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from benchmarks.contenders import DORMANT_DAYS, HORIZON, KEY_STATISTICS, columns, session_of_others

NAME = "careful"
LABEL = "Spark written carefully: native expressions, one shuffle, sliding frames, append"

SUMMED = (
    *("activities", "active_days", "distance_km", "moving_time_s", "elevation_gain_m", "tss"),
    *("runs", "run_distance_km"),
)
COUNTED = ("activities", "active_days", "moving_time_s", "runs")
LOAD_DAYS = {"ctl": 42, "atl": 7}


def backfill(source: str, target: str) -> None:
    """Computes the rolling table of the activities at `source` and writes it to `target`."""
    activities = session_of_others(target).read.format("delta").load(source)
    rows = _as_promised(_features(_windows(_dense(_daily(activities)))))
    rows.write.format("delta").options(**KEY_STATISTICS).save(target)


def _daily(activities: DataFrame) -> DataFrame:
    """One row per athlete and active day; all days of an athlete in one partition."""
    is_run = F.col("sport_family") == "run"
    distance, time = F.coalesce("distance_km", F.lit(0.0)), F.col("moving_time_s")
    by_athlete = (
        activities.where(F.col("local_day") <= F.lit(HORIZON))
        .select(
            *("athlete_id", "local_day", "moving_time_s"),
            distance.alias("distance_km"),
            F.coalesce("elevation_gain_m", F.lit(0.0)).alias("elevation_gain_m"),
            _tss().alias("tss"),
            is_run.alias("is_run"),
        )
        .repartition("athlete_id")
    )
    return by_athlete.groupBy("athlete_id", "local_day").agg(
        F.count("*").alias("activities"),
        F.sum("distance_km").alias("distance_km"),
        F.sum("moving_time_s").alias("moving_time_s"),
        F.sum("elevation_gain_m").alias("elevation_gain_m"),
        F.coalesce(F.sum("tss"), F.lit(0.0)).alias("tss"),
        F.count_if(F.col("tss").isNull()).alias("activities_without_tss"),
        F.count_if("is_run").alias("runs"),
        F.sum(F.when(F.col("is_run"), F.col("distance_km")).otherwise(0.0)).alias(
            "run_distance_km"
        ),
        F.sum(F.when(F.col("is_run") & (F.col("distance_km") > 0), time).otherwise(0)).alias(
            "run_time_s"
        ),
    )


def _tss() -> Column:
    intensity = F.try_divide("threshold_pace_min_km", "pace_min_km")
    score = 100.0 * (F.col("moving_time_s") / 3600.0) * intensity * intensity
    rounded = F.floor(score * 1e6 + 0.5) / 1e6
    return F.when(F.col("tss_method") == "pace", rounded).otherwise(F.col("estimated_tss"))


def _dense(days: DataFrame) -> DataFrame:
    """Every day that may have a row; the days after an active one are zeros."""
    by_day = Window.partitionBy("athlete_id").orderBy("local_day")
    rest_days = F.datediff(F.lead("local_day").over(by_day), "local_day") - 1
    last_rest = F.datediff(F.lit(HORIZON), "local_day")
    measures = [name for name in days.columns if name not in ("athlete_id", "local_day")]
    active = days.select(
        "*",
        F.min("local_day").over(by_day).alias("first_day"),
        F.least(F.coalesce(rest_days, last_rest), F.lit(DORMANT_DAYS)).alias("rest_days"),
    )
    dense = active.select("*", F.explode(F.sequence(F.lit(0), "rest_days")).alias("rested"))
    is_active = F.col("rested") == 0
    day = F.date_add("local_day", F.col("rested"))
    return dense.select(
        "athlete_id",
        day.alias("as_of_date"),
        F.col("rested").cast("bigint").alias("days_since_last_activity"),
        (F.datediff(day, "first_day") + 1).cast("bigint").alias("history_days"),
        F.when(is_active, 1.0).otherwise(0.0).alias("active_days"),
        *(
            F.when(is_active, F.col(name).cast("double")).otherwise(0.0).alias(name)
            for name in measures
        ),
    )


def _windows(days: DataFrame) -> DataFrame:
    """Adds all sums over days in one go."""
    by_day = Window.partitionBy("athlete_id").orderBy("as_of_date")
    last = {n: by_day.rowsBetween(1 - n, Window.currentRow) for n in (7, 28, 30, 42, 90)}
    metrics = [(name, n) for n in (7, 30, 90) for name in SUMMED]
    metrics += [("tss", 28), ("tss", 42), ("run_time_s", 30), ("run_time_s", 90)]
    before = by_day.rowsBetween(Window.unboundedPreceding, -1)
    age = F.col("history_days")
    grown = {name: F.col("tss") * F.exp(age / n) for name, n in LOAD_DAYS.items()}
    return days.select(
        "*",
        *(F.sum(name).over(last[n]).alias(f"{name}_{n}d") for name, n in metrics),
        F.stddev_pop("tss").over(last[7]).alias("tss_sd_7d"),
        *(
            F.coalesce(F.sum(load).over(before), F.lit(0.0)).alias(f"{name}_before")
            for name, load in grown.items()
        ),
    )


def _features(days: DataFrame) -> DataFrame:
    """Adds the columns that follow from the sums."""
    history, tss_7d, tss_28d = (F.col(name) for name in ("history_days", "tss_7d", "tss_28d"))
    acute, chronic = tss_7d / 7, tss_28d / 28
    monotony = F.when(history >= 7, F.try_divide(acute, F.col("tss_sd_7d")))
    yesterday = {name: _load(name, n, history - 1) for name, n in LOAD_DAYS.items()}
    named = {
        "event_timestamp": F.timestamp_seconds(F.unix_date("as_of_date") * 86_400 + 129_600),
        **{f"{name}_1d": F.col(name) for name in (*SUMMED, "activities_without_tss")},
        **{f"run_pace_min_km_{n}d": _pace(n) for n in (30, 90)},
        "ctl_42d": F.col("tss_42d") / 42,
        "atl_7d": acute,
        **{
            f"{name}_ewma_{n}d": _load(name, n, history) + _share(n) * F.col("tss")
            for name, n in LOAD_DAYS.items()
        },
        "tsb_ewma": yesterday["ctl"] - yesterday["atl"],
        "acwr": F.when(history >= 28, F.try_divide(acute, chronic)),
        "acwr_uncoupled": F.when(history >= 28, F.try_divide(acute, (tss_28d - tss_7d) / 21)),
        "monotony_7d": monotony,
        "strain_7d": tss_7d * monotony,
    }
    return days.select("*", *(value.alias(name) for name, value in named.items()))


def _as_promised(rows: DataFrame) -> DataFrame:
    """The columns of the finished table; counts and seconds are integers again."""
    names = columns()
    counted = [name for name in names if name.startswith(COUNTED)]
    return rows.select(*names).withColumns({n: F.col(n).cast("bigint") for n in counted})


def _load(name: str, days: int, age: Column) -> Column:
    """What is left at an age of the loads before the row's own day."""
    return _share(days) * F.exp(-age / days) * F.col(f"{name}_before")


def _share(days: int) -> float:
    return 1 - math.exp(-1 / days)


def _pace(days: int) -> Column:
    return F.try_divide(F.col(f"run_time_s_{days}d") / 60, f"run_distance_km_{days}d")
