"""The bulk export of Strava: `activities.csv`, one record per activity.

Five of its column names occur twice. The first of a pair is what the website shows (distance in
kilometres, in the language's number format), the second the raw value; real exports have blanks
among the second values. Athletes who use Strava in another language get its headers, activity
types and dates.
"""

import csv
import json
import unicodedata
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from paceline.sources import export_values as values
from paceline.sources.gunzip import Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import (
    Line,
    Record,
    folder_athlete_id,
    lines,
    parse_id,
    payload_of,
    unreadable,
)
from paceline.sources.source import EXPORT, Source

Languages = Mapping[str, Mapping[str, str]]
"""Language code -> what Strava writes there -> what it writes in English."""

STANDARD_POSITIONS: Mapping[str, tuple[int, ...]] = {
    "Activity ID": (0,),
    "Activity Date": (1,),
    "Activity Name": (2,),
    "Activity Type": (3,),
    "Elapsed Time": (5, 15),
    "Distance": (6, 17),
    "Max Heart Rate": (7, 30),
    "Commute": (9, 50),
    "Moving Time": (16,),
    "Elevation Gain": (20,),
    "Average Cadence": (29,),
    "Average Heart Rate": (31,),
    "Average Watts": (33,),
    "Calories": (34,),
    "Total Work": (38,),
    "Competition": (95,),
}
"""The columns that are read, and where they stand in the layout of 99 columns (counted from 0)."""

_NUMBERS = {
    "moving_time": "Moving Time",
    "elapsed_time": "Elapsed Time",
    "total_elevation_gain": "Elevation Gain",
    "average_heartrate": "Average Heart Rate",
    "max_heartrate": "Max Heart Rate",
    "average_cadence": "Average Cadence",
    "average_watts": "Average Watts",
    "calories": "Calories",
}
_FLAGS = {"commute": "Commute", "competition": "Competition"}

# Descriptions have newlines, but never so many: beyond this a quote was left open, and only the
# line with it is given up.
_MAX_RECORD_LINES = 500
# What lay behind such a quote is read again. A file of nothing else would be read 500 times, so
# beyond this much of it every record ends with its line.
_MAX_BYTES_AGAIN = 16 * 1024 * 1024

_FrozenLanguages = tuple[tuple[tuple[str, str], ...], ...]


class _Row(NamedTuple):
    """A record of the file; cells: None when it is unreadable; is_whole: as of a `Line`."""

    start: int
    raw: bytes
    cells: list[str] | None
    is_whole: bool


class _Layout(NamedTuple):
    """How a header is read; english: what the file's language calls things -> English."""

    width: int
    positions: dict[str, list[int]]
    english: Mapping[str, str]
    decimal_comma: bool


def records(
    stream: Readable, relative_path: str, localised: Languages, limits: Limits = DEFAULTS
) -> Iterator[Record]:
    r"""Yield the activities of one `activities.csv`; the athlete is the path's `athlete_id=<id>`.

    The payload is the header line, "\n" and the record's exact text, inner newlines included. A
    record with other than the header's number of cells, or with a quote left open, is unreadable.
    So is a header that is too long, and everything below it: its payload is its own text alone.
    """
    athlete_id = folder_athlete_id(relative_path)
    rows = _rows(lines(stream, limits), limits.max_line_bytes)
    header = next(rows, None)
    if header is None:
        return
    if not header.is_whole or len(header.raw) > limits.max_header_bytes:
        yield unreadable(header.start, header.raw)
        yield from (unreadable(row.start, row.raw) for row in rows)
        return
    header_text = header.raw.decode("utf-8", "surrogateescape")
    id_positions = columns(header_text, localised).get("Activity ID", ())
    for row in rows:
        if not row.is_whole:
            yield unreadable(row.start, row.raw)
            continue
        payload, is_base64 = payload_of(header.raw + b"\n" + row.raw)
        if is_base64 or row.cells is None or len(row.cells) != len(header.cells or ()):
            yield Record(row.start, payload, is_base64)
        else:
            activity_id = parse_id(_second_else_first(row.cells, id_positions))
            yield Record(row.start, payload, athlete_id=athlete_id, activity_id=activity_id)


def columns(header_line: str, localised: Languages) -> dict[str, list[int]]:
    """Return the positions, counted from 0, of the columns that are read, by their English name.

    By name, in English or in one of the `localised` languages. In a known language, a header
    without translation is taken by its position as long as the others stand where Strava's
    standard layout has them; a header in no known language is read by position altogether.
    """
    layout = _layout(header_line, _frozen(localised))
    return {name: list(positions) for name, positions in layout.positions.items()}


def image(payload: str, localised: Languages) -> str | None:
    """Return the record as JSON text with the API's field names, or None when it is unreadable.

    Numbers are strings as the file has them, with a decimal point; distance is in metres and
    `kilojoules` in kilojoules (the export's Total Work is in joules). `commute` and `competition`
    are booleans, the latter a field of the export alone. `start_date` is UTC. A field without a
    readable value is absent.
    """
    header_line, _, text = payload.partition("\n")
    layout = _layout(header_line, _frozen(localised))
    row = _cells(iter([text]))
    if not row or len(row) != layout.width:
        return None
    cells = {
        name: _second_else_first(row, positions) for name, positions in layout.positions.items()
    }
    comma = layout.decimal_comma
    sport = cells.get("Activity Type", "")
    sport = layout.english.get(_plain(sport), sport)
    fields: dict[str, str | bool | None] = {
        "id": cells.get("Activity ID"),
        "name": cells.get("Activity Name"),
        "sport_type": sport,
        "start_date": values.instant(cells.get("Activity Date", "")),
        "distance": _distance_m(row, layout, sport),
        "kilojoules": values.scaled(cells.get("Total Work", ""), "0.001", decimal_comma=comma),
    }
    for field, name in _NUMBERS.items():
        fields[field] = values.number(cells.get(name, ""), decimal_comma=comma)
    for field, name in _FLAGS.items():
        fields[field] = values.flag(cells.get(name, ""))
    present = {field: value for field, value in fields.items() if value is not None and value != ""}
    return json.dumps(present, ensure_ascii=False)


def _distance_m(row: Sequence[str], layout: _Layout, sport: str) -> str | None:
    """Return the second Distance, in metres, else the first, in km (sailing: nautical miles)."""
    first, second = _pair(row, layout.positions.get("Distance", ()))
    if second:
        return values.number(second, decimal_comma=layout.decimal_comma)
    metres = "1852" if sport == "Sail" else "1000"
    return values.scaled(first, metres, decimal_comma=layout.decimal_comma)


def _second_else_first(row: Sequence[str], positions: Sequence[int]) -> str:
    first, second = _pair(row, positions)
    return second or first


def _pair(row: Sequence[str], positions: Sequence[int]) -> tuple[str, str]:
    first = row[positions[0]].strip() if positions else ""
    second = row[positions[1]].strip() if len(positions) > 1 else ""
    return first, second


def _rows(source: Iterator[Line], max_bytes: int) -> Iterator[_Row]:
    """Yield the records of the file as the csv module delimits them, with their exact text."""
    pending: deque[Line] = deque()
    bytes_again = 0
    while first := pending.popleft() if pending else next(source, None):
        if not first.is_whole:
            yield _Row(first.number, first.raw, None, is_whole=False)
        elif first.raw.strip():
            taken = [first]
            left = max_bytes if bytes_again < _MAX_BYTES_AGAIN else 0
            cells = _cells(_texts(taken, pending, source, left))
            if cells is None:
                pending.extendleft(reversed(taken[1:]))
                bytes_again += sum(len(line.raw) for line in taken[1:])
                del taken[1:]
            raw = b"\n".join(line.raw for line in taken).removesuffix(b"\r")
            yield _Row(first.number, raw, cells, is_whole=True)


def _texts(
    taken: list[Line], pending: deque[Line], source: Iterator[Line], max_bytes: int
) -> Iterator[str]:
    """Yield the text of the line in `taken`, then of those after it, adding them to `taken`."""
    yield _text(taken[0])
    left = max_bytes - len(taken[0].raw)
    while len(taken) < _MAX_RECORD_LINES:
        line = pending.popleft() if pending else next(source, None)
        if line is None:
            return
        left -= len(line.raw)
        if not line.is_whole or left < 0:
            pending.appendleft(line)
            return
        taken.append(line)
        yield _text(line)


def _text(line: Line) -> str:
    return line.raw.decode("utf-8", "surrogateescape") + "\n"


def _cells(texts: Iterator[str]) -> list[str] | None:
    """Return the cells of the first record, reading no further, or None when it is malformed."""
    try:
        return next(csv.reader(texts, strict=True), None)
    except csv.Error:
        return None


def _frozen(localised: Languages) -> _FrozenLanguages:
    return tuple(tuple(terms.items()) for terms in localised.values())


@lru_cache(maxsize=256)
def _layout(header_line: str, languages: _FrozenLanguages) -> _Layout:
    header = [_plain(cell) for cell in _cells(iter([header_line])) or ()]
    if "Activity ID" in header:
        return _Layout(len(header), _by_name(header), {}, decimal_comma=False)
    for terms in languages:
        english = {_plain(local): name for local, name in terms}
        names = [english.get(cell, cell) for cell in header]
        if "Activity ID" in names:
            return _Layout(len(header), _with_untranslated(names), english, decimal_comma=True)
    return _Layout(len(header), _with_untranslated([""] * len(header)), {}, decimal_comma=True)


def _by_name(names: Sequence[str]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        if name in STANDARD_POSITIONS:
            positions.setdefault(name, []).append(position)
    return positions


def _with_untranslated(names: Sequence[str]) -> dict[str, list[int]]:
    """Add the columns whose header is not known, by position, if the known ones are at theirs."""
    positions = _by_name(names)
    if all(set(found) <= set(STANDARD_POSITIONS[name]) for name, found in positions.items()):
        for name, standard in STANDARD_POSITIONS.items():
            for position in standard:
                if position < len(names) and names[position] not in STANDARD_POSITIONS:
                    positions.setdefault(name, []).append(position)
            if name in positions:
                positions[name].sort()
    return positions


def _plain(text: str) -> str:
    """Return the text as the map spells it, whatever apostrophe or composition the file uses."""
    plain = unicodedata.normalize("NFC", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return plain.strip("\ufeff \t\r\n\xa0")


SOURCE = Source(
    name="strava_export",
    folder="strava_export",
    suffixes=("/activities.csv",),
    table="bronze.strava_activities",
    rank=1,
    records=lambda stream, path, settings, limits: records(
        stream, path, settings["export_headers"], limits
    ),
    image=EXPORT,
    needs_athlete=True,
)
