"""What every bronze table is: the records of the landing zone, as they were received."""

from __future__ import annotations

from pyspark.sql import DataFrame

from paceline.recipe import EVERYTHING, Context, Frames, Scope, Table


def received(name: str, settings: tuple[str, ...] = ()) -> Table:
    """The recipe of a bronze table: without inputs, it is fed by the landing zone.

    Args:
        name: of the table.
        settings: those that say which records are taken; after a change of one the landing zone is
            read once more.
    """
    return Table(name, inputs=(), touched=_touched, rows=_rows, settings=settings)


def _touched(changes: Frames, inputs: Frames, own: DataFrame, context: Context) -> Scope:
    """Deliveries only ever add rows, and the landing zone finds out which are new."""
    return EVERYTHING


def _rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    return inputs["landing"]
