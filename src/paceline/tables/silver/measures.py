"""What an activity can do without: a measure that is not possible is lost, and not the activity."""

from __future__ import annotations

import sys

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

IS_INCREDIBLE = "_is_incredible"  # an optional measure was not possible, and is left out

_HEARTRATES = ("average_heartrate_bpm", "max_heartrate_bpm")
_ANY_AMOUNT = (0.0, sys.float_info.max)

OPTIONAL = {
    "elevation_gain_m": (0.0, 50_000.0),
    **dict.fromkeys(_HEARTRATES, (25.0, 240.0)),
    **dict.fromkeys(("average_cadence_rpm", "average_watts_w"), _ANY_AMOUNT),
    **dict.fromkeys(("kilojoules", "calories"), _ANY_AMOUNT),
}
"""By column, the least and the greatest value that is possible."""


def without_incredible(typed: DataFrame) -> DataFrame:
    """Makes optional measures NULL that are not possible, and adds whether there were any."""
    counted = typed.withColumn("_measures", _measured())
    possible = counted.withColumns(
        {
            name: F.when(F.col(name).between(*limits), F.col(name))
            for name, limits in OPTIONAL.items()
        }
    )
    # Nobody knows which of the two is wrong.
    average, maximum = map(F.col, _HEARTRATES)
    is_above = F.coalesce(average > maximum, F.lit(False))
    agreeing = possible.withColumns({name: F.when(~is_above, F.col(name)) for name in _HEARTRATES})
    return agreeing.withColumn(IS_INCREDIBLE, F.col("_measures") > _measured()).drop("_measures")


def _measured() -> Column:
    return F.size(F.array_compact(F.array(*OPTIONAL)))
