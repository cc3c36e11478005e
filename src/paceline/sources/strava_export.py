"""The bulk export of Strava: `activities.csv`, one record per activity.

Five of its column names occur twice. The first of a pair is what the website shows (distance in
kilometres, in the language's number format), the second the raw value; real exports have blanks
among the second values. Athletes who use Strava in another language get its headers, activity
types and dates.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from paceline.sources import export_values as values
from paceline.sources.export_dates import instant
from paceline.sources.export_layouts import (
    STANDARD_POSITIONS,
    Languages,
    Layout,
    cells_of,
    layout_of,
    plain,
)
from paceline.sources.gunzip import Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import (
    Line,
    Record,
    Remark,
    folder_athlete_id,
    lines,
    parse_id,
    payload_of,
    unreadable,
)
from paceline.sources.refusals import LAYOUT_UNKNOWN, REFUSAL
from paceline.sources.source import EXPORT, Source
from paceline.sources.sport_types import SPORT_TYPES, Sports, compact

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

# Metres in what distances are shown in; a nautical mile is for sailing.
_M, _KM, _MILE = 1, 1000, 1852
# What nobody falls short of, and nobody goes beyond, on the average of an activity.
_SLOWEST_M_S, _FASTEST_M_S = Decimal("0.2"), Decimal(35)
_ROUNDED_S = 2
_FOR_SPREADSHEETS = re.compile(rb"sep=.\r?")
_NOTHING = (
    "has a header and no activity below it: export it again, or save it with a line for each "
    "activity if it holds any"
)


class _Row(NamedTuple):
    """A record of the file; cells: None when it is unreadable; is_whole: as of a `Line`."""

    start: int
    raw: bytes
    cells: list[str] | None
    is_whole: bool


def records(
    stream: Readable, relative_path: str, localised: Languages, limits: Limits = DEFAULTS
) -> Iterator[Record | Remark]:
    r"""Yield the activities of one `activities.csv`; the athlete is the path's `athlete_id=<id>`.

    The payload is the header line, "\n" and the record's exact text, inner newlines included. A
    record with other than the header's number of cells, or with a quote left open, is unreadable.
    So is a header that is too long, and everything below it: its payload is its own text alone.
    A remark comes last where there is no record, or where no type of sport is known, as in a
    language without translations.
    """
    athlete_id = folder_athlete_id(relative_path)
    source = lines(stream, limits)
    header = next((line for line in source if not _is_skipped(line)), None)
    if header is None:
        return
    header_raw = header.raw.removesuffix(b"\r")
    if not header.is_whole or len(header_raw) > limits.max_header_bytes:
        yield unreadable(header.number, header_raw)
        rows = _rows(source, ",", limits.max_line_bytes)
        yield from (unreadable(row.start, row.raw) for row in rows)
        return
    layout = layout_of(header_raw.decode("utf-8", "surrogateescape"), localised)
    # Wherever the other columns stand, all layouts have these in the same place.
    places = STANDARD_POSITIONS if layout.positions is None else layout.positions
    id_positions, sport_positions = (
        [place for place in places.get(name, ()) if place < layout.width]
        for name in ("Activity ID", "Activity Type")
    )
    sports, count = Sports(), 0
    for row in _rows(source, layout.separator, limits.max_line_bytes):
        count += 1
        if not row.is_whole:
            yield unreadable(row.start, row.raw)
            continue
        payload, is_base64 = payload_of(header_raw + b"\n" + row.raw)
        if is_base64 or row.cells is None or len(row.cells) != layout.width:
            yield Record(row.start, payload, is_base64)
        else:
            sport = _second_else_first(row.cells, sport_positions)
            sports.note(sport, _in_english(sport, layout))
            activity_id = parse_id(_second_else_first(row.cells, id_positions))
            yield Record(row.start, payload, athlete_id=athlete_id, activity_id=activity_id)
    remark = sports.remark() if count else Remark(_NOTHING)
    if remark is not None:
        yield remark


def _is_skipped(line: Line) -> bool:
    """Whether a line is blank, or says to a spreadsheet what separates cells."""
    return line.is_whole and (
        not line.raw.strip() or _FOR_SPREADSHEETS.fullmatch(line.raw) is not None
    )


def image(payload: str, localised: Languages) -> str | None:
    """Return the record as JSON text with the API's field names, or None when it is unreadable.

    Numbers are strings as the file has them, with a decimal point; distance is in metres and
    `kilojoules` in kilojoules (the export's Total Work is in joules). `commute` and `competition`
    are booleans, the latter a field of the export alone. `start_date` is UTC. An empty field is
    absent. A record that fits no layout, or several, is refused as `layout_unknown`.
    """
    header_line, _, text = payload.partition("\n")
    layout = layout_of(header_line, localised)
    row = cells_of(iter([text]), layout.separator)
    if not row or len(row) != layout.width:
        return None
    comma = _has_decimal_comma(row, layout)
    positions = layout.positions
    if positions is None or (layout.needs_evidence and not _fits(row, positions, comma)):
        return json.dumps({REFUSAL: LAYOUT_UNKNOWN})
    cells = {name: _second_else_first(row, positions[name]) for name in positions}
    sport = _in_english(cells.get("Activity Type", ""), layout)
    fields: dict[str, str | bool | None] = {
        "id": cells.get("Activity ID"),
        "name": cells.get("Activity Name"),
        "sport_type": sport,
        "start_date": instant(cells.get("Activity Date", ""), layout.language),
        "kilojoules": values.scaled(cells.get("Total Work", ""), "0.001", decimal_comma=comma),
    }
    for field, name in _NUMBERS.items():
        fields[field] = values.number(cells.get(name, ""), decimal_comma=comma)
    for field, name in _FLAGS.items():
        cell = cells.get(name, "")
        is_set = values.flag(cell)
        fields[field] = cell if is_set is None else is_set
    elapsed, is_cropped = _elapsed_s(row, positions, comma)
    fields["elapsed_time"] = elapsed
    fields["distance"] = _distance_m(row, positions, layout, sport, elapsed)
    if layout.is_in_metres or (is_cropped and _is_longer(fields["moving_time"], elapsed)):
        fields["moving_time"] = "0"  # not recorded, or that of the whole activity
    present = {field: value for field, value in fields.items() if value is not None and value != ""}
    return json.dumps(present)


def _in_english(sport: str, layout: Layout) -> str:
    return layout.sports.get(compact(plain(sport)), sport)


def _has_decimal_comma(row: Sequence[str], layout: Layout) -> bool:
    """Whether a comma stands before decimals.

    It does not in English, but a program that writes other separators may write other numbers, too;
    a comma that cannot group thousands tells.
    """
    if layout.decimal_comma or layout.separator == ",":
        return layout.decimal_comma
    positions = layout.positions or {}
    places = (positions.get(name, ()) for name in (*_NUMBERS.values(), "Distance"))
    return any(values.is_decimal_comma(row[place]) for found in places for place in found)


def _fits(row: Sequence[str], positions: Mapping[str, Sequence[int]], comma: bool) -> bool:
    """Whether both elapsed times of a record are equal, and both distances the same in km and m."""
    shown, elapsed = _pair(row, positions.get("Elapsed Time", ()))
    first, second = _pair(row, positions.get("Distance", ()))
    if not shown or values.as_decimal(shown, comma) != values.as_decimal(elapsed, comma):
        return False
    return first == second == "" or _unit_of(first, second, comma, (_KM, _M)) is not None


def _elapsed_s(
    row: Sequence[str], positions: Mapping[str, Sequence[int]], comma: bool
) -> tuple[str, bool]:
    """The elapsed time, and whether the activity was cropped, which only the first one shows."""
    first, second = _pair(row, positions.get("Elapsed Time", ()))
    shown, exact = (values.as_decimal(cell, comma) for cell in (first, second))
    if shown is None or exact is None or abs(shown - exact) <= 1:
        return values.number(second or first, decimal_comma=comma), False
    return values.number(first, decimal_comma=comma), True


def _is_longer(moving: object, elapsed: str) -> bool:
    moved, lasted = (values.as_decimal(str(text), False) for text in (moving, elapsed))
    return moved is not None and lasted is not None and moved > lasted + _ROUNDED_S


def _distance_m(
    row: Sequence[str],
    positions: Mapping[str, Sequence[int]],
    layout: Layout,
    sport: str,
    elapsed: str,
) -> str | None:
    """The distance in metres: the second, unless the first is another one.

    The first is in km, of a swim in metres and of sailing in nautical miles, rounded to its last
    digit. Where it is something else than the second, the athlete has cropped or corrected the
    activity.
    """
    comma = _has_decimal_comma(row, layout)
    first, second = _pair(row, positions.get("Distance", ()))
    shown, exact = values.shown(first, comma), values.as_decimal(second, comma)
    kind = compact(sport)
    units = (_KM, _M, _MILE) if kind == "sail" or kind not in SPORT_TYPES else (_KM, _M)
    if shown is None or _unit_of(first, second, comma, units) is not None:
        return values.number(second or first, decimal_comma=comma) or None
    if layout.is_in_metres or kind == "swim":
        return values.times(shown, _M)
    if kind == "sail":
        return values.times(shown, _MILE)
    return values.times(shown, _likeliest(shown, exact, values.as_decimal(elapsed, False)))


def _likeliest(shown: Decimal, exact: Decimal | None, lasted: Decimal | None) -> int:
    """Kilometres or metres: what can be done in that time, and of two what is nearer the second.

    A pool or a river is shown in metres, in whatever words.
    """
    possible = [
        unit
        for unit in (_KM, _M)
        if lasted and _SLOWEST_M_S <= shown * unit / lasted <= _FASTEST_M_S
    ]
    if len(possible) == 1:
        return possible[0]
    if exact is not None and min(exact, shown) > 0:
        return min((_KM, _M), key=lambda unit: abs((shown * unit / exact).ln()))
    return _KM


def _unit_of(first: str, second: str, comma: bool, units: Sequence[int]) -> int | None:
    """The unit in which the first distance is the second, in metres, but for rounding."""
    shown, exact = values.shown(first, comma), values.as_decimal(second, comma)
    if shown is None or exact is None:
        return None
    rounded_by = values.last_digit(shown)
    for unit in units:
        if abs(shown * unit - exact) <= max(rounded_by * unit, Decimal(1)):
            return unit
    return None


def _second_else_first(row: Sequence[str], positions: Sequence[int]) -> str:
    first, second = _pair(row, positions)
    return second or first


def _pair(row: Sequence[str], positions: Sequence[int]) -> tuple[str, str]:
    first = row[positions[0]].strip() if positions else ""
    second = row[positions[1]].strip() if len(positions) > 1 else ""
    return first, second


def _rows(source: Iterator[Line], separator: str, max_bytes: int) -> Iterator[_Row]:
    """Yield the records of the file as the csv module delimits them, with their exact text."""
    pending: deque[Line] = deque()
    bytes_again = 0
    while first := pending.popleft() if pending else next(source, None):
        if not first.is_whole:
            yield _Row(first.number, first.raw, None, is_whole=False)
        elif first.raw.strip():
            taken = [first]
            left = max_bytes if bytes_again < _MAX_BYTES_AGAIN else 0
            cells = cells_of(_texts(taken, pending, source, left), separator)
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
    zipped="activities.csv",
)
