"""silver.strava_sub_activity: the splits and laps of an activity."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from paceline import recipe
from paceline.recipe import Context, Frames, Scope, Table
from paceline.tables import names
from paceline.tables.silver import fields, measures, parts, versions
from paceline.tables.silver.activity_versions import (
    BRONZE,
    READS_SETTINGS,
    VALUE_UNREADABLE,
    judged,
    touched_keys,
)
from paceline.tables.silver.activity_versions import NAME as ACTIVITIES

NAME = names.SUB_ACTIVITY

SPLITS_DO_NOT_SUM = "splits_sum_to_activity"
SUM_TOLERANCE_MM, SUM_TOLERANCE_S = 1000, 1


def touched(changes: Frames, inputs: Frames, own: DataFrame, context: Context) -> Scope:
    """The activities of new records, and parents that came, changed or went."""
    frames = touched_keys(changes, inputs[BRONZE], inputs[ACTIVITIES], context)
    frames.append(changes[ACTIVITIES].select("activity_id"))
    return Scope(keys=recipe.union(frames).distinct())


def rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    """One row per element of the newest valid arrays, for activities that silver has."""
    parents = scope.select(inputs[ACTIVITIES]).select(
        *("athlete_id", "activity_id"),
        F.col("distance_m").alias("parent_distance_m"),
        F.col("moving_time_s").alias("parent_moving_time_s"),
    )
    versioned = judged(scope, inputs[BRONZE], context)
    arrays = versioned.groupBy("activity_id").agg(
        *(versions.newest(field).alias(field) for field in parts.ARRAYS)
    )
    children = arrays.join(parents, "activity_id").select(
        *parents.columns, F.explode(F.array(*map(_children, parts.KINDS))).alias("kind")
    )
    elements = children.select(
        *parents.columns,
        *("kind.kind", "kind.source"),
        _sum_differs().alias("sum_differs"),
        F.posexplode("kind.elements").alias("position", "element"),
        _usable_indices().alias("indices"),
    )
    rows = elements.select(*_columns(), _warnings().alias(recipe.WARNINGS))
    return rows.select(*context.contracts[NAME].column_names, recipe.WARNINGS)


def _children(kind: str) -> Column:
    field, index = parts.KINDS[kind]
    newest = F.col(field)
    elements = parts.elements(newest["value"])
    whole = F.transform(
        elements, lambda child: fields.whole_number(child["fields"][index]).try_cast("int")
    )
    return F.struct(
        F.lit(kind).alias("kind"),
        newest["source"].alias("source"),
        elements.alias("elements"),
        whole.alias("indices"),
    )


def _usable_indices() -> Column:
    """The indices of the array, or NULL when one is missing or repeated."""
    indices = F.col("kind.indices")
    complete = F.size(F.array_compact(F.array_distinct(indices))) == F.size(indices)
    return F.when(complete, indices)


def _sum_differs() -> Column:
    elements = F.col("kind.elements")

    def total(field: str, scale: int) -> Column:
        return F.aggregate(
            elements,
            F.lit(0).cast("bigint"),
            lambda sum_, child: (
                sum_ + F.coalesce(_fixed(fields.number(child["fields"][field]), scale), F.lit(0))
            ),
        )

    distance_off = F.abs(total("distance", 1000) - _fixed(F.col("parent_distance_m"), 1000))
    time_off = F.abs(total("moving_time", 1) - F.col("parent_moving_time_s"))
    return (F.col("kind.kind") == "split") & (
        (distance_off > SUM_TOLERANCE_MM) | (time_off > SUM_TOLERANCE_S)
    )


def _fixed(value: Column, scale: int) -> Column:
    """A measure as a fixed-point integer, so that a sum does not depend on its order."""
    return F.floor(F.when(F.abs(value) < 1e12, value) * scale + 0.5)


def _columns() -> list[Column]:
    child = F.col("element.fields")
    is_split = F.col("kind") == "split"
    position = (F.col("position") + 1).cast("int")
    index = F.coalesce(F.get("indices", F.col("position")), position)
    elevation = F.when(is_split, fields.number(child["elevation_difference"]))
    return [
        F.col("athlete_id"),
        F.col("activity_id"),
        F.col("kind"),
        index.alias("sub_index"),
        fields.number(child["distance"]).alias("distance_m"),
        fields.whole_number(child["moving_time"]).alias("moving_time_s"),
        fields.whole_number(child["elapsed_time"]).alias("elapsed_time_s"),
        elevation.alias("elevation_difference_m"),
        fields.number(child["average_speed"]).alias("average_speed_mps"),
        _heartrate(child).alias("average_heartrate_bpm"),
        fields.number(child["average_grade_adjusted_speed"]).alias("grade_adjusted_speed_mps"),
        F.col("source"),
    ]


def _heartrate(child: Column) -> Column:
    """The mean heart rate; one that no heart has, such as 0 for lack of a sensor, is none."""
    value = fields.number(child["average_heartrate"])
    return F.when(value.between(*measures.OPTIONAL["average_heartrate_bpm"]), value)


def _warnings() -> Column:
    return F.array_compact(
        F.array(
            F.when(F.col("sum_differs"), SPLITS_DO_NOT_SUM),
            F.when(parts.is_unread(F.col("element"), F.col("kind")), VALUE_UNREADABLE),
        )
    )


TABLE = Table(
    NAME,
    inputs=(BRONZE, ACTIVITIES),
    touched=touched,
    rows=rows,
    # Its parents are judged by the same rules as in their own table.
    contracts=(ACTIVITIES,),
    settings=READS_SETTINGS,
    reads={
        ACTIVITIES: (*("athlete_id", "activity_id", "start_date", "distance_m", "moving_time_s"),)
    },
    windowed_inputs=(BRONZE,),
    warnings=(SPLITS_DO_NOT_SUM, VALUE_UNREADABLE),
)
