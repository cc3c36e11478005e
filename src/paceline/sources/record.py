"""A received record, and what all sources share: lines, ids, instants and JSON.

A source turns the bytes of one file into records in the order of the file. It never raises on
content: what cannot be read becomes a record without ids whose payload is the verbatim text. What
says nothing about an activity by design is `Ignored`: it is counted, and becomes no row. A `Remark`
is no part of the file.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from paceline.sources.gunzip import Damaged, Readable
from paceline.sources.limits import DEFAULTS, Limits

KEPT_BYTES = 1024 * 1024
"""How much of a line that is too long becomes its payload."""

NOT_JSON = object()
"""The value of a line that is not exactly one JSON value; a JSON null is None."""

CHUNK_BYTES = 64 * 1024
# A text, also one that never ends, or a bracket; possessive, so that nothing is ever tried again.
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_BOM = b"\xef\xbb\xbf"
_NATURAL = re.compile(r"0*([0-9]{1,19})")
_MAX_NATURAL = 2**63 - 1
_INSTANT = re.compile(
    r" *(\d{4}-\d{2}-\d{2})"
    r"(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(Z|[+-]\d{2}:?\d{2})?)? *",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ATHLETE_FOLDER = re.compile(r"athlete_id=([0-9]+)")


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was received, with the little that must be known to file it.

    line_number: 1-based physical line where the record starts; its position in a JSON document.
    payload: the verbatim text; bytes that are not UTF-8 as base64, with is_base64.
    op: c, u, d or r (a plain copy, which is all that API, export and settings files hold).
    athlete_id, activity_id: None when absent or unreadable.
    valid_from: the day from which settings hold; None for activities.
    change_time_us: the record's own change time in microseconds since 1970 (UTC); None: its
        delivery's time counts.
    lsn: position in a log of PostgreSQL, None elsewhere.
    change_log: the log that a change is from, possibly empty; None for what is no change data.
    change_position: the place in that log, as a text that sorts as the log does; None if unknown.
    change_id: equal for each delivery of one change; None if that cannot be told.
    """

    line_number: int
    payload: str
    is_base64: bool = False
    op: str = "r"
    athlete_id: int | None = None
    activity_id: int | None = None
    valid_from: date | None = None
    change_time_us: int | None = None
    lsn: int | None = None
    change_log: str | None = None
    change_position: str | None = None
    change_id: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """What becomes no row; `other_table` is that of a row which is about something else."""

    other_table: str | None = None


IGNORED = Ignored()


@dataclass(frozen=True, slots=True)
class Remark:
    """What people should know about a file as a whole; the text completes a sentence after it."""

    text: str


class Line(NamedTuple):
    """A physical line without its line feed; not whole: too long, or where the file is damaged."""

    number: int
    raw: bytes
    is_whole: bool


class JsonLine(NamedTuple):
    """A line that is not blank: its verbatim bytes without line ending, and its value."""

    number: int
    raw: bytes
    value: Any


def lines(stream: Readable, limits: Limits = DEFAULTS) -> Iterator[Line]:
    r"""Yield the lines of a stream with bounded memory, blank ones too, without a leading BOM.

    A line is all up to "\n"; a carriage return before it is still there. A line that is too long
    is yielded as its beginning, and damage to a gzip stream, or a line too many, as a last line
    whose bytes name the fault, all with is_whole False.
    """
    number, held, is_cut = 1, bytearray(), False
    too_many = f"file of more than {limits.max_lines} lines".encode()
    while True:
        try:
            chunk = stream.read(CHUNK_BYTES)
        except Damaged as fault:
            yield Line(number, str(fault).encode(), is_whole=False)
            return
        if not chunk:
            break
        *finished, rest = chunk.split(b"\n")
        for piece in finished:
            if number > limits.max_lines:
                yield Line(number, too_many, is_whole=False)
                return
            is_cut = _hold(held, piece, is_cut, limits)
            yield _line(number, held, is_cut)
            number, is_cut = number + 1, False
            held.clear()
        is_cut = _hold(held, rest, is_cut, limits)
    if held:
        is_over = number > limits.max_lines
        yield Line(number, too_many, is_whole=False) if is_over else _line(number, held, is_cut)


def _hold(held: bytearray, piece: bytes, is_cut: bool, limits: Limits) -> bool:
    """Append to the line in progress unless it was cut already, and say whether it is now."""
    if is_cut:
        return True
    held += piece
    if len(held) <= limits.max_line_bytes:
        return False
    end = min(KEPT_BYTES, limits.max_line_bytes)
    # A UTF-8 character has at most three continuation bytes: do not cut inside one.
    least = max(end - 3, 0)
    while end > least and held[end] & 0xC0 == 0x80:
        end -= 1
    del held[end:]
    return True


def _line(number: int, held: bytearray, is_cut: bool) -> Line:
    raw = bytes(held)
    return Line(number, raw.removeprefix(_BOM) if number == 1 else raw, is_whole=not is_cut)


def too_deep_at(text: str, max_depth: int) -> int | None:
    """Return where JSON text opens more than `max_depth` objects and arrays, None if nowhere.

    Nothing is parsed, so that no depth of the text can exhaust a stack.
    """
    if text.count("{") + text.count("[") <= max_depth:
        return None
    depth = 0
    for match in _TEXT_OR_BRACKET.finditer(text):
        sign = text[match.start()]
        if sign in "{[":
            depth += 1
            if depth > max_depth:
                return match.start()
        elif sign in "}]":
            depth -= 1
    return None


def unreadable(line_number: int, raw: bytes) -> Record:
    """Return the record for bytes that nothing can be said about: verbatim, without ids."""
    payload, is_base64 = payload_of(raw)
    return Record(line_number, payload, is_base64)


def payload_of(raw: bytes) -> tuple[str, bool]:
    """Return the text of the bytes and False, or base64 and True when they are not UTF-8."""
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode("ascii"), True


def parse_id(value: object) -> int | None:
    """Return a positive id of at most 64 bits from an integer or a digit string, else None.

    Never through a float: 2151.0 is not an id, and above 2**53 it might be another athlete's.
    """
    return parse_natural(value) or None


def parse_natural(value: object) -> int | None:
    """Return an integer or a digit string from 0 to 2**63 - 1 as an integer, else None."""
    if isinstance(value, str):
        match = _NATURAL.fullmatch(value)
        value = int(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_NATURAL else None


def parse_instant_us(value: object) -> int | None:
    """Return an ISO timestamp as microseconds since 1970, without zone UTC; else None.

    It has the form in which silver reads instants, so that both read the same.
    """
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    day, time, zone = match.groups(default="")
    try:
        instant = datetime.fromisoformat(f"{day}T{time or '00:00'}{zone}")
    except ValueError:
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // timedelta(microseconds=1)


def folder_athlete_id(relative_path: str) -> int | None:
    """Return the athlete of the first folder named `athlete_id=<id>` in the path, else None."""
    for folder in PurePosixPath(relative_path).parts[:-1]:
        if match := _ATHLETE_FOLDER.fullmatch(folder):
            return parse_id(match[1])
    return None


def json_lines(stream: Readable, limits: Limits = DEFAULTS) -> Iterator[JsonLine]:
    """Yield the lines that are not blank with their values, `NOT_JSON` for what has none."""
    for number, raw, is_whole in lines(stream, limits):
        text = raw.strip(b" \t\r")
        if text:
            value = json_value(text, limits) if is_whole else NOT_JSON
            yield JsonLine(number, raw.removesuffix(b"\r"), value)


def json_value(raw: bytes, limits: Limits = DEFAULTS) -> Any:
    """Return what a JSON text holds, `NOT_JSON` when it is none or nested too deeply."""
    try:
        text = raw.decode()
        if too_deep_at(text, limits.max_json_depth) is not None:
            return NOT_JSON
        return json.loads(text)
    except (ValueError, RecursionError):
        return NOT_JSON
