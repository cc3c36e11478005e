"""When an activity is: its end, and whether it lies in the window of a run."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from paceline.recipe import Context

LONG_ELAPSED_S = 24 * 3600  # beyond it the recording was forgotten, and moving time is the truth


def end(start: Column, elapsed_s: Column, moving_s: Column) -> Column:
    """The instant at which an activity ended; NULL where a part of it is unknown."""
    lasted = F.when(elapsed_s > LONG_ELAPSED_S, moving_s).otherwise(elapsed_s)
    return F.timestamp_micros(F.unix_micros(start) + lasted * 1_000_000)


def in_window(context: Context, moment: Column) -> Column:
    """Whether an instant lies in the window; everything does when there is none."""
    if context.window is None:
        return F.lit(True)
    inside = moment >= F.lit(context.window.start)
    if context.window.end is not None:
        inside = inside & (moment < F.lit(context.window.end))
    return inside
