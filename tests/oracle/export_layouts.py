"""Which column of an export is which: by the names in English, by repeated names, by evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.oracle.export_numbers import METRES_PER_KM, METRES_PER_METRE, is_rounded, written
from tests.oracle.values import number

# The header of the exports before July 2019.
_FIRST_HEADER = (
    *("id", "date", "name", "type", "description", "elapsed_time", "distance", "commute"),
    *("gear", "filename"),
)
_NAMES_OF_FIRST = {
    "id": "Activity ID",
    "date": "Activity Date",
    "name": "Activity Name",
    "type": "Activity Type",
    "elapsed_time": "Elapsed Time",
    "commute": "Commute",
}

Positions = Mapping[str, tuple[int, ...]]


class Cells(NamedTuple):
    """The cells of a row by the English names of their columns, which may be repeated."""

    texts: Mapping[str, Sequence[str]]
    is_english: bool

    def nth(self, name: str, position: int) -> str | None:
        """None where the cell is blank or not there."""
        texts = self.texts.get(name, ())
        return texts[position] if position < len(texts) and texts[position].strip() else None

    def best(self, name: str) -> str | None:
        """The second of a repeated column, else the first."""
        return self.nth(name, 1) or self.nth(name, 0)


def _layout(
    elapsed: tuple[int, int],
    distance: tuple[int, int],
    others: tuple[int, int, int],
    max_heartrate: tuple[int, ...],
) -> Positions:
    moving, gain, average_heartrate = others
    return {
        "Activity ID": (0,),
        "Activity Date": (1,),
        "Activity Name": (2,),
        "Activity Type": (3,),
        "Elapsed Time": elapsed,
        "Distance": distance,
        "Moving Time": (moving,),
        "Elevation Gain": (gain,),
        "Average Heart Rate": (average_heartrate,),
        "Max Heart Rate": max_heartrate,
    }


_LAYOUTS = (
    _layout((5, 15), (6, 17), (16, 20, 31), (7, 30)),  # today
    _layout((5, 14), (6, 16), (15, 19, 30), (7, 29)),  # 2022
    _layout((5, 13), (6, 15), (14, 18, 29), (28,)),  # 2019
)


def cells_of(header: Sequence[str], row: Sequence[str]) -> Cells | None:
    """The cells of a row; None where neither the header nor the row tells its columns."""
    names = [name.strip() for name in header]
    if "Activity ID" in names:
        return Cells(_by_name(names, row), True)
    if tuple(names) == _FIRST_HEADER:
        return Cells(_of_first_exports(row), True)
    layout = _repeating(names) or _with_evidence(row)
    return None if layout is None else _at(layout, row)


def _by_name(names: Sequence[str], row: Sequence[str]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for name, text in zip(names, row, strict=False):
        texts.setdefault(name, []).append(text)
    return texts


def _of_first_exports(row: Sequence[str]) -> dict[str, list[str]]:
    """Their one distance is the exact one, in metres, and their moving time is not known."""
    given = dict(zip(_FIRST_HEADER, row, strict=False))
    texts = {name: [given.get(first, "")] for first, name in _NAMES_OF_FIRST.items()}
    return {**texts, "Distance": ["", given.get("distance", "")], "Moving Time": ["0"]}


def _at(layout: Positions, row: Sequence[str]) -> Cells:
    texts = {
        name: [row[position] if position < len(row) else "" for position in positions]
        for name, positions in layout.items()
    }
    return Cells(texts, False)


def _repeating(names: Sequence[str]) -> Positions | None:
    """The one layout in which the header repeats the names of elapsed time and of distance."""
    found = [
        layout
        for layout in _LAYOUTS
        if all(_is_repeated(_at(layout, names), name) for name in ("Elapsed Time", "Distance"))
    ]
    return found[0] if len(found) == 1 else None


def _is_repeated(header: Cells, name: str) -> bool:
    return header.nth(name, 0) is not None and header.nth(name, 0) == header.nth(name, 1)


def _with_evidence(row: Sequence[str]) -> Positions | None:
    """The one layout in which times and distances of the row are there twice."""
    found = [layout for layout in _LAYOUTS if _is_evident(_at(layout, row))]
    return found[0] if len(found) == 1 else None


def _is_evident(cells: Cells) -> bool:
    elapsed = number(cells.nth("Elapsed Time", 0))
    return (
        elapsed is not None
        and elapsed == number(cells.nth("Elapsed Time", 1))
        and _has_distance_twice(cells)
    )


def _has_distance_twice(cells: Cells) -> bool:
    """The first in km or metres; or both are blank."""
    texts = cells.nth("Distance", 0), cells.nth("Distance", 1)
    if texts == (None, None):
        return True
    first, exact_m = written(texts[0], is_english=False), number(texts[1])
    if first is None or exact_m is None:
        return False
    return is_rounded(first, exact_m, (METRES_PER_KM, METRES_PER_METRE))
