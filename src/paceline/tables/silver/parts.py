"""The elements of an activity's arrays: its splits and laps."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from paceline.tables.silver import fields

# By kind, the array of an activity and the field that numbers its elements.
KINDS = {"split": ("splits_metric", "split"), "lap": ("laps", "lap_index")}
ARRAYS = tuple(array for array, _ in KINDS.values())

MEASURES = (
    *("distance", "average_speed", "average_heartrate", "average_grade_adjusted_speed"),
    "elevation_difference",
)
COUNTS = ("moving_time", "elapsed_time")

# The fields of a split or a lap, all as text; each kind leaves the other's index NULL.
_NAMES = (*(index for _, index in KINDS.values()), *MEASURES, *COUNTS)
_FIELDS = ", ".join(f"{name} STRING" for name in _NAMES)


def elements(array: Column) -> Column:
    """The elements of an array in JSON: their `fields`, all NULL in one that `is_object` denies.

    Each is parsed by itself: Spark would give up an array with one element of another kind.
    """
    return F.transform(
        F.from_json(array, "ARRAY<STRING>"),
        lambda text: F.struct(
            F.from_json(text, _FIELDS).alias("fields"),
            F.coalesce(text.startswith("{"), F.lit(True)).alias("is_object"),
        ),
    )


def has_unread(array: Column, kind: str) -> Column:
    """Whether any element of an array in JSON has something that cannot be read."""
    return F.exists(elements(array), lambda element: is_unread(element, F.lit(kind)))


def is_unread(element: Column, kind: Column) -> Column:
    """Whether an element is no object, or a field of its kind is there and cannot be read."""
    found = element["fields"]
    is_split = kind == "split"
    indices = [F.when(kind == name, found[index]) for name, (_, index) in KINDS.items()]
    # Laps have a gain of that name, which is not read.
    elevation = F.when(is_split, found["elevation_difference"])
    measures = [found[name] for name in MEASURES if name != "elevation_difference"]
    counts = [*indices, *(found[name] for name in COUNTS)]
    unread = ~element["is_object"] | ~fields.are_numbers([*measures, elevation, *counts])
    for count in counts:
        number = fields.number(count)
        unread = unread | F.coalesce(number != F.floor(number), F.lit(False))
    return unread
