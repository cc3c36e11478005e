"""The bulk export: CSV whose header repeats some names, read by the standard English ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tests.oracle.model import Delivery
from tests.oracle.record import Place, Record, record
from tests.oracle.values import boolean, identifier, number

_METRES_PER_KM = 1000.0
_METRES_PER_NAUTICAL_MILE = 1852.0

# Field of an API object -> column of the export.
_FIELDS = {
    "name": "Activity Name",
    "sport_type": "Activity Type",
    "moving_time": "Moving Time",
    "elapsed_time": "Elapsed Time",
    "total_elevation_gain": "Elevation Gain",
    "average_heartrate": "Average Heart Rate",
    "max_heartrate": "Max Heart Rate",
    "average_cadence": "Average Cadence",
    "average_watts": "Average Watts",
    "kilojoules": "Total Work",
    "calories": "Calories",
}

Cells = Mapping[str, list[str]]


def export_records(delivery: Delivery, athlete_id: int | None) -> Iterator[Record]:
    """One record per row; its payload is the header line, a newline and the row."""
    (_, header), *rows = list(_texts(delivery.text)) or [(1, "")]
    names = _fields(header) or []
    for line, text in rows:
        place = Place(line)
        payload = f"{header}\n{text}"
        values = _fields(text)
        cells: dict[str, list[str]] = {}
        for name, value in zip(names, values or [], strict=False):
            cells.setdefault(name.strip(), []).append(value)
        given_id = _cell(cells, "Activity ID")
        activity_id = identifier(given_id)
        if values is None or (given_id is not None and activity_id is None):
            yield record(delivery, "strava_export", payload, place)
        else:
            key = athlete_id, activity_id
            yield record(delivery, "strava_export", payload, place, _image(cells), key)


def _texts(text: str) -> Iterator[tuple[int, str]]:
    """The rows as they stand, and where they start; a newline within quotes belongs to its row."""
    open_lines: list[str] = []
    start = 1
    for number_of_line, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        start = start if open_lines else number_of_line
        open_lines.append(line)
        row = "\n".join(open_lines)
        if row.count('"') % 2 == 0:
            if row.strip():
                yield start, row.removesuffix("\r")
            open_lines = []
    if open_lines:
        yield start, "\n".join(open_lines)


def _fields(text: str) -> list[str] | None:
    try:
        return next(csv.reader(io.StringIO(text, newline="")), [])
    except csv.Error:
        return None


def _cell(cells: Cells, name: str) -> str | None:
    """The second of a repeated column, else the first; None where it is blank or not there."""
    return _nth(cells, name, 1) or _nth(cells, name, 0)


def _nth(cells: Cells, name: str, position: int) -> str | None:
    values = cells.get(name, [])
    return values[position] if position < len(values) and values[position].strip() else None


def _image(cells: Cells) -> dict[str, Any]:
    """A row as the API would have given it."""
    image: dict[str, Any] = {field: _cell(cells, name) for field, name in _FIELDS.items()}
    image["start_date"] = _iso(_cell(cells, "Activity Date"))
    image["distance"] = _distance_m(cells)
    image["commute"] = _flag(_cell(cells, "Commute"))
    image["is_race"] = _flag(_cell(cells, "Competition"))
    return image


def _iso(text: str | None) -> str | None:
    spaced = " ".join((text or "").split())
    try:
        return datetime.strptime(spaced, "%b %d, %Y, %I:%M:%S %p").isoformat()
    except ValueError:
        return text


def _distance_m(cells: Cells) -> float | None:
    exact = _nth(cells, "Distance", 1)
    if exact is not None:
        return number(exact)
    rounded = number(_nth(cells, "Distance", 0))
    sails = _cell(cells, "Activity Type") == "Sail"
    unit_m = _METRES_PER_NAUTICAL_MILE if sails else _METRES_PER_KM
    return None if rounded is None else rounded * unit_m


def _flag(text: str | None) -> bool | None:
    """A flag in any case, for spreadsheets write TRUE."""
    return None if text is None else boolean(text.strip().lower())
