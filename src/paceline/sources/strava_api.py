"""Answers of the Strava API v3: SummaryActivity and DetailedActivity objects.

As `.jsonl`, one object a line, or as `.json`, one object or one array of them.
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from paceline.sources.gunzip import DamagedGzip, Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import (
    CHUNK_BYTES,
    Record,
    folder_athlete_id,
    jsonl_records,
    parse_id,
    parse_instant_us,
    payload_of,
    too_deep_at,
    unreadable,
)
from paceline.sources.source import Source

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
# What is left of a document after its last readable element, told from a JSON null by identity.
_REST = object()


def records(stream: Readable, relative_path: str, limits: Limits = DEFAULTS) -> Iterator[Record]:
    """Yield the activities of one file, whose path is relative to the landing zone.

    The athlete is `athlete.id`, else a flat `athlete_id`, else a folder `athlete_id=<n>` of the
    path; one that is present but unreadable is not replaced by the next. `updated_at` is the
    change time. A `.jsonl` file is streamed; a `.json` file is read whole.
    """
    read = partial(_activity, folder_athlete_id(relative_path))
    if relative_path.removesuffix(".gz").endswith(".json"):
        return _document_records(stream, read, limits)
    return jsonl_records(stream, read, limits)


def _activity(
    folder_athlete: int | None, line_number: int, payload: str, fields: dict[str, Any]
) -> Record:
    return Record(
        line_number,
        payload,
        athlete_id=_athlete_id(fields, folder_athlete),
        activity_id=parse_id(fields.get("id")),
        change_time_us=parse_instant_us(fields.get("updated_at")),
    )


def _athlete_id(fields: dict[str, Any], folder_athlete: int | None) -> int | None:
    athlete = fields.get("athlete")
    nested = athlete.get("id") if isinstance(athlete, dict) else None
    for value in (nested, fields.get("athlete_id")):
        if value is not None:
            return parse_id(value)
    return folder_athlete


def _document_records(
    stream: Readable, read: "partial[Record]", limits: Limits
) -> Iterator[Record]:
    text, fault = _whole_text(stream, limits.max_document_bytes)
    position = 0
    for element, value in _elements(text, limits.max_json_depth):
        if fault and value is _REST:
            break
        if position == limits.max_lines:
            fault = f"document of more than {limits.max_lines} elements"
            break
        position += 1
        # Bytes that are not UTF-8 spoil only the element that they stand in.
        raw = element.encode("utf-8", "surrogateescape")
        payload, is_base64 = payload_of(raw)
        if isinstance(value, dict) and not is_base64:
            yield read(position, payload, value)
        else:
            yield Record(position, payload, is_base64)
    if fault:
        yield unreadable(position + 1, fault.encode())


def _whole_text(stream: Readable, max_bytes: int) -> tuple[str, str | None]:
    """Return the text of the stream, and why it breaks off if it does: damage, or its size."""
    whole = bytearray()
    fault = None
    try:
        while chunk := stream.read(CHUNK_BYTES):
            whole += chunk
            if len(whole) > max_bytes:
                del whole[max_bytes:]
                fault = f"document of more than {max_bytes} bytes"
                break
    except DamagedGzip as damage:
        fault = str(damage)
    return whole.decode("utf-8-sig", "surrogateescape"), fault


def _elements(text: str, max_depth: int) -> Iterator[tuple[str, object]]:
    """Yield verbatim text and value of the elements of an array, or of the one value there is.

    From the first fault on, and after the end of the document, the text is one element `_REST`:
    where the next element begins is then anybody's guess. So it is from an element on that is
    nested too deeply.
    """
    at = _skip_space(text, 0)
    in_array = text.startswith("[", at)
    # The decoder sees nothing that is too deep: it recurses.
    shallow = text[: too_deep_at(text, max_depth + in_array)]
    if in_array:
        at = _skip_space(text, at + 1)
    is_open = not (in_array and text.startswith("]", at))
    while is_open and at < len(text):
        try:
            value, end = _DECODER.raw_decode(shallow, at)
        except (ValueError, RecursionError):
            break
        yield text[at:end], value
        at = _skip_space(text, end)
        is_open = in_array and text.startswith(",", at)
        if is_open:
            at = _skip_space(text, at + 1)
    if not is_open and in_array and text.startswith("]", at):
        at = _skip_space(text, at + 1)
    if at < len(text):
        yield text[at:], _REST


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


SOURCE = Source(
    name="strava_api",
    folder="strava_api",
    suffixes=(".jsonl", ".json"),
    table="bronze.strava_activities",
    rank=2,
    records=lambda stream, path, headers, limits: records(stream, path, limits),
)
