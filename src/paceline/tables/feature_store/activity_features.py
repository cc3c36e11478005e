"""feature_store.activity_features: the row-wise features of each activity (MITs)."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from paceline import recipe
from paceline.features import functions, splits
from paceline.recipe import Context, Frames, Scope, Table
from paceline.sources.licence import NO_MODEL_TRAINING, tagged
from paceline.tables.feature_store import duplicates
from paceline.tables.names import ACTIVITIES, ACTIVITY_FEATURES, SETTINGS, SUB_ACTIVITY
from paceline.tables.windows import end, in_window

NAME = ACTIVITY_FEATURES

DETECTS_DUPLICATES = "detect_duplicate_recordings"

HEARTRATE_BPM = (25.0, 240.0)  # outside it a split's heart rate was not measured
RESTRICTED_SOURCES = tagged(NO_MODEL_TRAINING)
# A treadmill ran, or the device drifted: nobody walks so slowly.
MIN_RUN_KM_H = 1.5
LTHR_SHARE = 0.85  # of the heart-rate reserve, where the athlete's own is not known


def touched(changes: Frames, inputs: Frames, own: DataFrame, context: Context) -> Scope:
    """Changed activities and what they intersect, parents of changed splits, and activities under
    changed settings.
    """
    activities = inputs[ACTIVITIES]
    key = ["athlete_id", "activity_id"]
    periods = _changed_periods(changes[SETTINGS], inputs[SETTINGS])
    after = F.col("until").isNull() | (F.col("local_day") < F.col("until"))
    under = activities.join(periods, "athlete_id").where(F.col("local_day") >= F.col("since"))
    frames = [
        *(changes[name].select(*key) for name in (ACTIVITIES, SUB_ACTIVITY)),
        under.where(after).select(*key),
    ]
    if context.settings[DETECTS_DUPLICATES]:
        frames.append(duplicates.touched(changes[ACTIVITIES], activities))
    if context.window is not None:
        frames.append(activities.where(in_window(context, F.col("start_date"))).select(*key))
    return Scope(keys=recipe.union(frames).distinct())


def rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    """The features of the activities in scope."""
    if context.settings[DETECTS_DUPLICATES]:
        activities = duplicates.marked(scope, inputs[ACTIVITIES])
    else:
        activities = scope.select(inputs[ACTIVITIES])
        activities = activities.withColumn(duplicates.IS_DUPLICATE, F.lit(False))
    with_settings = _with_settings(activities, inputs[SETTINGS])
    with_parts = with_settings.join(
        _parts(scope.select(inputs[SUB_ACTIVITY])), ["athlete_id", "activity_id"], "left"
    )
    columns = _columns(context.settings["default_threshold_pace_s_per_km"])
    names = context.contracts[NAME].column_names
    return with_parts.select(*(_resolved(name, columns).alias(name) for name in names))


def _resolved(name: str, columns: Mapping[str, Column]) -> Column:
    """A given column, or the feature function of that name over its resolved parameters."""
    if name in columns:
        return columns[name]
    function = getattr(functions, name)
    parameters = signature(function).parameters
    column: Column = function(*(_resolved(parameter, columns) for parameter in parameters))
    return column


def _changed_periods(changed: DataFrame, settings: DataFrame) -> DataFrame:
    """(athlete_id, since, until): the days from each changed valid_from to the next one."""
    starts = changed.select("athlete_id", F.col("valid_from").alias("since")).distinct()
    later = settings.select("athlete_id", F.col("valid_from").alias("next_from"))
    is_later = (F.col("starts.athlete_id") == F.col("later.athlete_id")) & (
        F.col("next_from") > F.col("since")
    )
    joined = starts.alias("starts").join(later.alias("later"), is_later, "left")
    by_start = joined.groupBy(F.col("starts.athlete_id").alias("athlete_id"), "since")
    return by_start.agg(F.min("next_from").alias("until"))


def _with_settings(activities: DataFrame, settings: DataFrame) -> DataFrame:
    """Adds the settings in use: the row with the greatest valid_from <= local_day, as a whole."""
    by_day = Window.partitionBy("athlete_id").orderBy("valid_from")
    periods = settings.withColumn("valid_to", F.lead("valid_from").over(by_day)).alias("settings")
    in_use = (
        (F.col("activities.athlete_id") == F.col("settings.athlete_id"))
        & (F.col("local_day") >= F.col("valid_from"))
        & (F.col("valid_to").isNull() | (F.col("local_day") < F.col("valid_to")))
    )
    joined = activities.alias("activities").join(periods, in_use, "left")
    return joined.drop(F.col("settings.athlete_id"))


def _parts(sub_activity: DataFrame) -> DataFrame:
    """One row per activity: its splits with time and distance, in order, and whether any split or
    lap is restricted.
    """
    distance_mm = F.floor(F.col("distance_m") * 1000 + 0.5)
    is_usable = (F.col("kind") == "split") & (F.col("moving_time_s") > 0) & (distance_mm > 0)
    heartrate = F.col("average_heartrate_bpm")
    split = F.struct(
        F.col("sub_index"),
        F.col("moving_time_s").alias("t"),
        distance_mm.alias("d"),
        F.when(heartrate.between(*HEARTRATE_BPM), heartrate).alias("hr"),
    )
    in_order = F.array_sort(F.collect_list(F.when(is_usable, split))).alias("splits")
    any_restricted = F.bool_or(_is_restricted()).alias("has_restricted_part")
    return sub_activity.groupBy("athlete_id", "activity_id").agg(in_order, any_restricted)


def _is_restricted() -> Column:
    """Whether a row comes from a source whose data may not be used for models."""
    return F.col("source").isin(RESTRICTED_SOURCES)


def _columns(default_threshold_s: float) -> dict[str, Column]:
    """The columns that are not plain feature functions of others."""
    columns = _inputs(default_threshold_s)
    # Pace says what a run cost; for another sport, or without a distance to believe, nothing.
    is_believed = _resolved("speed_km_h", columns) >= MIN_RUN_KM_H
    has_pace = (F.col("sport_family") == "run") & is_believed
    from_pace = F.when(has_pace, _resolved("estimated_tss", columns))
    with_threshold = columns | {"threshold_trimp": _threshold_trimp(columns)}
    from_heartrate = _resolved("estimated_tss_from_heartrate", with_threshold)
    method = F.when(from_pace.isNotNull(), "pace").when(from_heartrate.isNotNull(), "hr")
    return columns | {
        "intensity_factor": F.when(has_pace, _resolved("intensity_factor", columns)),
        "estimated_tss": F.coalesce(from_pace, from_heartrate),
        "tss_method": method,
        "split_pace_cv": splits.split_pace_cv(F.col("splits")),
        "second_half_pace_ratio": splits.second_half_pace_ratio(F.col("splits")),
        "hr_drift_ratio": splits.hr_drift_ratio(F.col("splits")),
        "is_restricted": _is_restricted() | F.coalesce("has_restricted_part", F.lit(False)),
    }


def _inputs(default_threshold_s: float) -> dict[str, Column]:
    """What the feature functions take, by the names of their parameters."""
    names = (
        *("athlete_id", "activity_id", "local_day", "sport_family", "is_race", "distance_m"),
        *("moving_time_s", "elapsed_time_s", "elevation_gain_m", "average_heartrate_bpm"),
        *("hr_rest_bpm", "hr_max_bpm", duplicates.IS_DUPLICATE),
    )
    is_female = F.coalesce(F.col("sex") == "F", F.lit(False))
    threshold_s = F.coalesce(F.col("threshold_pace_s_per_km"), F.lit(float(default_threshold_s)))
    moving = F.col("moving_time_s")
    return {name: F.col(name) for name in names} | {
        "event_timestamp": end(F.col("start_date"), F.col("elapsed_time_s"), moving),
        "distance_km": F.col("distance_m") / 1000.0,
        "duration_s": moving,
        "threshold_pace_min_km": threshold_s / 60.0,
        "trimp_factor": F.when(is_female, 0.86).otherwise(0.64),
        "trimp_exponent": F.when(is_female, 1.67).otherwise(1.92),
    }


def _threshold_trimp(columns: Mapping[str, Column]) -> functions.Value:
    """The training impulse of one hour at the athlete's lactate-threshold heart rate."""
    rest, maximum = F.col("hr_rest_bpm"), F.col("hr_max_bpm")
    lthr = F.coalesce(F.col("lthr_bpm"), rest + LTHR_SHARE * (maximum - rest))
    reserve = functions.hr_reserve_ratio(lthr, rest, maximum)
    return functions.trimp(F.lit(3600), reserve, columns["trimp_factor"], columns["trimp_exponent"])


TABLE = Table(
    NAME,
    inputs=(ACTIVITIES, SUB_ACTIVITY, SETTINGS),
    touched=touched,
    rows=rows,
    settings=("default_threshold_pace_s_per_km", DETECTS_DUPLICATES),
    reads={
        ACTIVITIES: (
            *duplicates.READS,
            *duplicates.MEASURES,
            *("local_day", "is_race", "source"),
        ),
        SUB_ACTIVITY: (
            *("athlete_id", "activity_id", "kind", "sub_index", "distance_m", "moving_time_s"),
            *("average_heartrate_bpm", "source"),
        ),
    },
    day="local_day",
)
