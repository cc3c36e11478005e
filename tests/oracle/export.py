"""The bulk export: CSV whose header repeats some names, in the layouts that Strava has used."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.oracle.export_dates import iso
from tests.oracle.export_layouts import Cells, cells_of
from tests.oracle.export_numbers import (
    METRES_PER_KM,
    METRES_PER_METRE,
    METRES_PER_NAUTICAL_MILE,
    is_rounded,
    written,
)
from tests.oracle.model import Delivery
from tests.oracle.record import Place, Record, record
from tests.oracle.values import boolean, compact, identifier, number

_UNITS_M = (METRES_PER_KM, METRES_PER_METRE, METRES_PER_NAUTICAL_MILE)
# The unit of the first distance; of every other sport it is the kilometre.
_UNIT_OF_SPORT_M = {"swim": METRES_PER_METRE, "sail": METRES_PER_NAUTICAL_MILE}
_MOST_SECONDS_APART = 1
# Strava's own, and those of spreadsheets.
_SEPARATORS = (",", ";", "\t")

# Field of an API object -> column of the export.
_FIELDS = {
    "name": "Activity Name",
    "sport_type": "Activity Type",
    "moving_time": "Moving Time",
    "total_elevation_gain": "Elevation Gain",
    "average_heartrate": "Average Heart Rate",
    "max_heartrate": "Max Heart Rate",
    "average_cadence": "Average Cadence",
    "average_watts": "Average Watts",
    "kilojoules": "Total Work",
    "calories": "Calories",
}


def export_records(delivery: Delivery, athlete_id: int | None) -> Iterator[Record]:
    """One record per row; its payload is the header line, a newline and the row."""
    (_, header), *rows = list(_texts(delivery.text)) or [(1, "")]
    separator = max(_SEPARATORS, key=lambda each: len(_fields(header, each) or []))
    names = _fields(header, separator) or []
    for line, text in rows:
        place = Place(line)
        payload = f"{header}\n{text}"
        values = _fields(text, separator)
        if values is None:
            yield record(delivery, "strava_export", payload, place)
        else:
            yield _record(delivery, payload, place, cells_of(names, values), values, athlete_id)


def _record(
    delivery: Delivery,
    payload: str,
    place: Place,
    cells: Cells | None,
    values: list[str],
    athlete_id: int | None,
) -> Record:
    """A row; one of an unknown layout says only of which activity it is."""
    if cells is None:
        key = athlete_id, identifier(values[0]) if values else None
        found = record(delivery, "strava_export", payload, place, {}, key)
        return replace(found, reason="layout_unknown")
    given_id = cells.best("Activity ID")
    activity_id = identifier(given_id)
    is_unread = given_id is not None and activity_id is None
    reason = "encoding_unknown" if is_unread else None
    key = athlete_id, activity_id
    return record(delivery, "strava_export", payload, place, _image(cells), key, reason=reason)


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


def _fields(text: str, separator: str) -> list[str] | None:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    except csv.Error:
        return None


def _image(cells: Cells) -> dict[str, Any]:
    """A row as the API would have given it."""
    image: dict[str, Any] = {field: cells.best(name) for field, name in _FIELDS.items()}
    image["start_date"] = iso(cells.best("Activity Date"))
    image["elapsed_time"] = _elapsed_time(cells)
    image["distance"] = _distance_m(cells)
    image["commute"] = _flag(cells.best("Commute"))
    image["is_race"] = _flag(cells.best("Competition"))
    return image


def _elapsed_time(cells: Cells) -> str | None:
    """The second, unless the athlete has cropped the activity: then the first."""
    texts = cells.nth("Elapsed Time", 0), cells.nth("Elapsed Time", 1)
    first, second = map(number, texts)
    if second is None or (first is not None and abs(first - second) > _MOST_SECONDS_APART):
        return texts[0]
    return texts[1]


def _distance_m(cells: Cells) -> float | None:
    """The exact distance, unless the athlete has changed it: then the one that Strava shows."""
    first = written(cells.nth("Distance", 0), is_english=cells.is_english)
    exact_m = number(cells.nth("Distance", 1))
    if first is None or (exact_m is not None and is_rounded(first, exact_m, _UNITS_M)):
        return exact_m
    sport = compact(cells.best("Activity Type") or "")
    return first.value * _UNIT_OF_SPORT_M.get(sport, METRES_PER_KM)


def _flag(text: str | None) -> bool | None:
    """A flag in any case, for spreadsheets write TRUE."""
    return None if text is None else boolean(text.strip().lower())
