"""The drawing of the lineage: where each table stands, and the arrows between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

_CHARACTER = 7.3
_PADDING = 10.0
_BOX_HEIGHT = 52.0
_LANE_HEIGHT = 8.0
_GAP_X = 40.0
_GAP_Y = 20.0
_MARGIN = 4.0


@dataclass(frozen=True)
class Box:
    """A table in the drawing: its upper left corner, in the drawing's own units."""

    table: str
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    """Boxes of one size and the paths of arrows, inputs on the left of what is made from them."""

    width: float
    height: float
    box_width: float
    box_height: float
    boxes: tuple[Box, ...]
    arrows: tuple[str, ...]
    """Each one the `d` of an SVG path."""


@dataclass(frozen=True)
class _Stop:
    """A place of a column: a table, or the lane of an arrow that passes by the column's tables."""

    level: int
    source: str
    target: str | None = None

    @property
    def height(self) -> float:
        return _LANE_HEIGHT if self.target else _BOX_HEIGHT


def draw(inputs: Mapping[str, Sequence[str]]) -> Drawing:
    """Places tables in columns: each one column to the right of the last of its inputs.

    Args:
        inputs: the tables in an order in which each comes after what it reads, with the names of
            those; a name that is not a table itself is left out.
    """
    levels: dict[str, int] = {}
    for table, reads in inputs.items():
        levels[table] = 1 + max((levels[name] for name in reads if name in levels), default=-1)
    routes = [
        _route(name, table, levels)
        for table, reads in inputs.items()
        for name in reads
        if name in levels
    ]
    middles = _middles([_Stop(level, table) for table, level in levels.items()], routes)
    top = min(y - stop.height / 2 for stop, y in middles.items())
    bottom = max(y + stop.height / 2 for stop, y in middles.items())
    widest = max(len(part) for table in levels for part in table.split("."))
    box_width = _CHARACTER * widest + 2 * _PADDING
    places = {
        stop: (_MARGIN + stop.level * (box_width + _GAP_X), _MARGIN + y - top)
        for stop, y in middles.items()
    }
    return Drawing(
        width=2 * _MARGIN + (1 + max(levels.values())) * (box_width + _GAP_X) - _GAP_X,
        height=2 * _MARGIN + bottom - top,
        box_width=box_width,
        box_height=_BOX_HEIGHT,
        boxes=tuple(
            Box(stop.source, x, y - _BOX_HEIGHT / 2)
            for stop, (x, y) in places.items()
            if not stop.target
        ),
        arrows=tuple(_arrow([places[stop] for stop in route], box_width) for route in routes),
    )


def _route(source: str, target: str, levels: Mapping[str, int]) -> list[_Stop]:
    between = range(levels[source] + 1, levels[target])
    return [
        _Stop(levels[source], source),
        *(_Stop(level, source, target) for level in between),
        _Stop(levels[target], target),
    ]


def _middles(tables: Sequence[_Stop], routes: Sequence[Sequence[_Stop]]) -> dict[_Stop, float]:
    """The height of the middle of each stop; stops are ordered as what leads to them."""
    steps = [step for route in routes for step in pairwise(route)]
    stops = dict.fromkeys([*tables, *(stop for route in routes for stop in route)])
    middles: dict[_Stop, float] = {}
    for level in range(1 + max(stop.level for stop in tables)):
        column = [stop for stop in stops if stop.level == level]
        before = {
            stop: [middles[source] for source, target in steps if target == stop] for stop in column
        }
        column.sort(key=lambda stop: fmean(before[stop]) if before[stop] else 0.0)
        y = -(sum(stop.height + _GAP_Y for stop in column) - _GAP_Y) / 2
        for stop in column:
            middles[stop] = y + stop.height / 2
            y += stop.height + _GAP_Y
    return middles


def _arrow(places: Sequence[tuple[float, float]], box_width: float) -> str:
    x, y = places[0]
    path = [f"M{x + box_width:g} {y:g}"]
    for (x, y), (to_x, to_y) in pairwise(places):
        bend = (x + box_width + to_x) / 2
        path.append(f"H{x + box_width:g} C{bend:g} {y:g} {bend:g} {to_y:g} {to_x:g} {to_y:g}")
    return " ".join(path)
