"""Change data: what happened to the rows of a database, as messages of Debezium.

A message is plain, `{"op", "before", "after", "ts_ms", "source"}`, or wrapped in one of the ways
that `envelope` knows. Its image of an activity is an object of the Strava API or a flat row with
the columns of `silver.strava_activities`.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from paceline.sources import changelog, envelope, refusals
from paceline.sources.documents import json_values
from paceline.sources.encodings import PLACEHOLDER, Printed
from paceline.sources.envelope import Message
from paceline.sources.gunzip import Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import (
    IGNORED,
    Ignored,
    Record,
    folder_athlete_id,
    parse_id,
    parse_instant_us,
    parse_natural,
    payload_of,
    unreadable,
)
from paceline.sources.refusals import REFUSAL
from paceline.sources.source import IN_ENVELOPE, Source

STATEMENT_TIME = "_has_statement_time"
"""In an image: whether the time of the change is that of its statement."""

_YEAR_10000_US = 253_402_300_800_000_000
# Whatever else a row of a database holds, these are arrays, perhaps as texts of JSON.
_ARRAYS = ("splits_metric", "laps")


def records(
    stream: Readable,
    relative_path: str,
    tables: Collection[str],
    limits: Limits = DEFAULTS,
) -> Iterator[Record | Ignored]:
    """Yield the changes of one file, whose path is relative to the landing zone.

    Ignored are tombstones, control messages, and rows of other tables than `tables`; a message that
    names no table is taken. Unreadable are an op other than c, u, d and r, a c, u or r without
    `after`, and a d whose `before` names no activity, as nothing could be deleted by it.

    The ids are those of `after`, for d of `before`, which may be only the key: `activity_id`, in a
    row without it `id`; `athlete.id`, else `athlete_id`. A d without athlete has that of a folder
    `athlete_id=<n>` of the path, else None. The change time is `source.ts_ms`, when the change was
    committed, else `ts_ms`, else `updated_at` of the image, whichever is the first to lie in the
    years 1970 to 9999.
    """
    read = partial(_record, folder_athlete_id(relative_path), tables)
    for found in json_values(stream, relative_path, read, limits):
        if isinstance(found, Record) and found.change_log is None:
            # A fault of the whole file belongs to no log; NULL would mean an older reader.
            found = replace(found, change_log="")
        yield found


def image(payload: str) -> str | None:
    """Return the image that a change leaves as a JSON object, its values decoded.

    None for a record that is unreadable. One that is refused has its reason under `_refusal`.
    """
    try:
        message = envelope.read(json.loads(payload, parse_float=Printed, parse_constant=Printed))
    except (ValueError, RecursionError):
        return None
    if message is None:
        return None
    refusal = _refusal(message)
    if refusal is not None:
        return None if refusal == refusals.UNREADABLE else json.dumps({REFUSAL: refusal})
    row = {} if message.op == "d" else dict(message.after or {})
    for own in (REFUSAL, STATEMENT_TIME):
        row.pop(own, None)
    if "activity_id" in row:
        # Beside it, `id` is a key of the row and not of the activity.
        row["id"] = row["activity_id"]
    for name, value in row.items():
        before = (message.before or {}).get(name)
        if value == PLACEHOLDER and before is not None:
            row[name] = before
    try:
        row |= {name: _array(row[name]) for name in _ARRAYS if name in row}
    except (ValueError, RecursionError):
        row[REFUSAL] = refusals.ENCODING_UNKNOWN
    if changelog.has_statement_time(message.source):
        row[STATEMENT_TIME] = True
    # Escaped, as JSON may hold halves of characters, which no encoding has.
    return json.dumps(row)


def _record(
    folder_athlete: int | None, tables: Collection[str], number: int, raw: bytes, value: Any
) -> Record | Ignored:
    try:
        message = envelope.read(value)
    except RecursionError:
        return unreadable(number, raw)
    if message is None or message.is_control:
        return IGNORED
    if message.table is not None and message.table.lower() not in map(str.lower, tables):
        return Ignored(message.table)
    log = changelog.log(message.source)
    place = changelog.position(message.source)
    payload, is_base64 = payload_of(raw)
    refusal = _refusal(message)
    if refusal is not None:
        is_told = refusal == refusals.TABLE_TRUNCATED
        return Record(
            number,
            payload,
            is_base64,
            change_time_us=_change_time_us(message, {}) if is_told else None,
            change_log=log,
            change_position=place if is_told else None,
            change_id=_identity(message, {}) if is_told else None,
        )
    op, row = str(message.op), _row(message)
    return Record(
        number,
        payload,
        op=op,
        athlete_id=_athlete_id(row, folder_athlete if op == "d" else None),
        activity_id=_activity_id(row),
        change_time_us=_change_time_us(message, row),
        lsn=parse_natural(message.source.get("lsn")),
        change_log=log,
        change_position=place,
        change_id=_identity(message, row),
    )


def _refusal(message: Message) -> str | None:
    """Why a message is no change of a row that can be told; None when it is one."""
    if message.is_wrapped:
        return refusals.ENVELOPE_UNKNOWN
    if message.is_flat:
        has_id = message.after is not None and _activity_id(message.after) is not None
        return refusals.FLATTENED_CHANGE if has_id else refusals.UNREADABLE
    if message.op == envelope.TRUNCATE:
        return refusals.TABLE_TRUNCATED
    is_named = message.op != "d" or _activity_id(_row(message)) is not None
    is_whole = message.op in envelope.OPS and _row(message) and is_named
    return None if is_whole else refusals.UNREADABLE


def _row(message: Message) -> dict[str, Any]:
    return (message.before if message.op == "d" else message.after) or {}


def _activity_id(row: dict[str, Any]) -> int | None:
    # A row with a column for it may have a key of its own as `id`.
    return parse_id(row["activity_id"] if "activity_id" in row else row.get("id"))


def _athlete_id(row: dict[str, Any], folder_athlete: int | None) -> int | None:
    """Return the first that is there; one that is unreadable is not replaced by the next."""
    athlete = row.get("athlete")
    nested = athlete.get("id") if isinstance(athlete, dict) else None
    named = next((each for each in (nested, row.get("athlete_id")) if each not in (None, 0)), None)
    return parse_id(folder_athlete if named is None else named)


def _change_time_us(message: Message, row: dict[str, Any]) -> int | None:
    updated = parse_instant_us(row.get("updated_at"))
    if message.op == "d":
        updated = updated or None  # what a log has no value of may be filled with that of 1970
    instants = (_committed_us(message), _instant_us(message.ts_ms), updated)
    known = (at for at in instants if at is not None and 0 <= at < _YEAR_10000_US)
    return next(known, None)


def _committed_us(message: Message) -> int | None:
    return _instant_us(message.source.get("ts_ms")) or None


def _instant_us(milliseconds: object) -> int | None:
    # Some writers of JSON print every number with a fraction.
    if isinstance(milliseconds, float) and milliseconds.is_integer():
        milliseconds = int(milliseconds)
    number = parse_natural(milliseconds)
    return None if number is None else number * 1000


def _identity(message: Message, row: dict[str, Any]) -> str | None:
    has_place = changelog.position(message.source) is not None
    time_us = _committed_us(message) if has_place else _change_time_us(message, row)
    images = message.before, message.after
    return changelog.identity(message.source, str(message.op), _activity_id(row), time_us, images)


def _array(value: object) -> object:
    """An array, which may be a text of one; ValueError for what is none."""
    if isinstance(value, str) and value != PLACEHOLDER:
        value = json.loads(value, parse_float=Printed, parse_constant=Printed)
    if value is None or value == PLACEHOLDER or isinstance(value, list):
        return value
    raise ValueError(value)


SOURCE = Source(
    name="debezium",
    folder="cdc",
    suffixes=(".jsonl", ".json"),
    table="bronze.strava_activities",
    rank=3,
    records=lambda stream, path, settings, limits: records(
        stream, path, settings["cdc_tables"], limits
    ),
    image=IN_ENVELOPE,
)
