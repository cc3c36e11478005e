"""What the contenders without Spark share: the windows, the weights and the writer of delta-rs."""

from __future__ import annotations

import math
from typing import Any

from deltalake import ColumnProperties, WriterProperties, write_deltalake

from benchmarks.contenders import KEY_STATISTICS

LONGEST_DAYS = 90
MONOTONY_DAYS = 7
SETTLED_DAYS = 28
"""Days of history from which a load is compared with the load before."""

DAY = (
    *("activities", "distance_km", "moving_time_s", "elevation_gain_m", "tss"),
    "activities_without_tss",
)
"""Measures that are columns of their day, in order."""
PERIODS = (
    *("activities", "active_days", "distance_km", "moving_time_s", "elevation_gain_m", "tss"),
    *("runs", "run_distance_km"),
)
"""Measures that are columns for 7, 30 and 90 days, in order."""

WINDOWS = {
    **dict.fromkeys(("activities", "active_days", "distance_km", "moving_time_s"), (7, 30, 90)),
    **dict.fromkeys(("elevation_gain_m", "runs", "run_distance_km"), (7, 30, 90)),
    "tss": (7, 28, 30, 42, 90),
    "measured_run_time_s": (30, 90),
}
"""Measure of a day -> the days over which it is summed."""

SCALES = {"distance_km": 1e6, "elevation_gain_m": 1e3, "tss": 1e6, "run_distance_km": 1e6}
"""Measure -> its fixed-point units in one published unit; the others are whole numbers."""

EWMA_WEIGHTS = {
    "ctl_ewma_42d": 1 - math.exp(-1 / 42),
    "atl_ewma_7d": 1 - math.exp(-1 / 7),
}


def write(target: str, rows: Any) -> None:
    """Writes rows, anything that exports an Arrow stream, to a new Delta table.

    As in the other contenders: snappy, no dictionaries, and statistics of the key columns only.
    """
    plain = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE")
    key = ColumnProperties(dictionary_enabled=False, statistics_enabled="CHUNK")
    write_deltalake(
        target,
        rows,
        configuration=KEY_STATISTICS,
        writer_properties=WriterProperties(
            compression="SNAPPY",
            default_column_properties=plain,
            column_properties={"athlete_id": key, "as_of_date": key},
        ),
    )
