"""The window of a run, as recipes ask for it."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from paceline.recipe import Context


def in_window(context: Context, moment: Column) -> Column:
    """Whether an instant lies in the window; everything does when there is none."""
    if context.window is None:
        return F.lit(True)
    inside = moment >= F.lit(context.window.start)
    if context.window.end is not None:
        inside = inside & (moment < F.lit(context.window.end))
    return inside
