"""The same activity from two devices: which recordings are duplicates of a better one.

B is a duplicate when an activity A of the same athlete and sport family overlaps more than half of
each of them, and ranks higher: by how many measures it has, then by the smaller id. A may itself be
a duplicate. An activity typed in by hand, or of the family `other`, neither is nor has one.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from paceline.recipe import Scope
from paceline.tables.windows import end

KEY = ("athlete_id", "activity_id")
IS_DUPLICATE = "is_duplicate_recording"
MEASURES = (
    *("distance_m", "average_heartrate_bpm", "average_cadence_rpm", "average_watts_w"),
    "elevation_gain_m",
)
READS = (*KEY, "sport_family", "start_date", "elapsed_time_s", "moving_time_s", "is_manual")

A_DAY_US = 86_400_000_000
# Longer than any activity that the rules let pass.
MOST_DAYS = 32


def touched(changed: DataFrame, activities: DataFrame) -> DataFrame:
    """The keys of activities that intersect a changed one, as it was or as it is."""
    spans = _by_day(_spanned(changed)).select("athlete_id", "_day", "_start", "_end")
    near = _by_day(_near(_spanned(activities), spans))
    meets = ["_day", "athlete_id"]
    joined = near.alias("near").join(spans.alias("changed"), meets)
    return joined.where(_overlap("near", "changed") > 0).select(*KEY)


def marked(scope: Scope, activities: DataFrame) -> DataFrame:
    """The activities in scope, with whether each of them is a duplicate.

    An activity that covers more than half of another one covers its middle: so each is held only
    against those of its athlete that cover the day on which its middle lies.
    """
    candidates = _spanned(activities)
    if not scope.is_everything:
        candidates = _near(_of_athletes(scope, candidates), _spanned(scope.select(activities)))
    rank = F.size(F.array_compact(F.array(*(F.col(name).cast("string") for name in MEASURES))))
    may_be = (F.col("sport_family") != "other") & ~F.coalesce(F.col("is_manual"), F.lit(False))
    recording = F.struct("activity_id", "sport_family", "_start", "_end", rank.alias("rank"))
    own = F.when(may_be, recording)
    days = _by_day(candidates.withColumn("_own", own))
    others = F.collect_list("_own").over(Window.partitionBy("athlete_id", "_day"))
    better = F.exists(others, lambda other: _is_better(other, F.col("_own")))
    middle = _day(F.col("_start") + F.floor((F.col("_end") - F.col("_start")) / 2))
    once = days.withColumn(IS_DUPLICATE, F.coalesce(better, F.lit(False)))
    return scope.select(
        once.where(F.col("_day") == middle).select(*activities.columns, IS_DUPLICATE)
    )


def once(features: DataFrame) -> DataFrame:
    """Rows of activity_features without duplicates; an older release does not know any."""
    if IS_DUPLICATE not in features.columns:
        return features
    return features.where(~F.col(IS_DUPLICATE))


def _is_better(other: Column, own: Column) -> Column:
    """Whether a recording is another one of the same activity, and the one to keep."""
    overlap = F.least(other["_end"], own["_end"]) - F.greatest(other["_start"], own["_start"])
    is_same = other["sport_family"] == own["sport_family"]
    for one in (other, own):
        is_same = is_same & (2 * overlap > one["_end"] - one["_start"])
    is_earlier = other["activity_id"] < own["activity_id"]
    ranks_higher = (other["rank"] > own["rank"]) | ((other["rank"] == own["rank"]) & is_earlier)
    return is_same & ranks_higher


def _spanned(activities: DataFrame) -> DataFrame:
    """Adds start and end, in microseconds since 1970."""
    ended = end(F.col("start_date"), F.col("elapsed_time_s"), F.col("moving_time_s"))
    return activities.withColumns(
        {"_start": F.unix_micros("start_date"), "_end": F.unix_micros(ended)}
    )


def _by_day(spanned: DataFrame) -> DataFrame:
    """A row for each day (UTC) that an activity has a part in."""
    days = F.sequence(_day(F.col("_start")), _day(F.col("_end")))
    return spanned.withColumn("_day", F.explode(days))


def _day(moment: Column) -> Column:
    """The day of a moment of the activity; one whose times no rule lets pass has its first days."""
    first = F.floor(F.col("_start") / F.lit(A_DAY_US))
    day = F.floor(moment / F.lit(A_DAY_US))
    return F.greatest(first, F.least(day, first + MOST_DAYS))


def _near(spanned: DataFrame, spans: DataFrame) -> DataFrame:
    """Leaves out what lies before all spans of its athlete, or after them.

    There are as many of their ends as athletes, so that they are few enough to be sent around.
    """
    ends = spans.groupBy("athlete_id").agg(
        F.min("_start").alias("_first"), F.max("_end").alias("_last")
    )
    near = spanned.join(F.broadcast(ends), "athlete_id")
    return near.where((F.col("_start") < F.col("_last")) & (F.col("_end") > F.col("_first")))


def _of_athletes(scope: Scope, frame: DataFrame) -> DataFrame:
    """Leaves out files in which no athlete of the scope is."""
    athletes = tuple({"athlete_id": b["athlete_id"]} for b in scope.bounds if "athlete_id" in b)
    return Scope(None, bounds=athletes).pruned(frame, since=None)


def _overlap(one: str, other: str) -> Column:
    """How long two spans overlap, in microseconds; below 0 so far they are apart."""
    ends = F.least(F.col(f"{one}._end"), F.col(f"{other}._end"))
    return ends - F.greatest(F.col(f"{one}._start"), F.col(f"{other}._start"))
