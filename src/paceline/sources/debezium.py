"""Change data: what happened to the rows of a database, as messages of Debezium.

A message is plain, `{"op", "before", "after", "ts_ms", "source"}`, or wrapped in one of the ways
that `envelope` knows. Its image of an activity is an object of the Strava API or a flat row with
the columns of `silver.strava_activities`.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import suppress
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
# Whatever else a row of a database holds, these are arrays, perhaps as texts of JSON; these texts.
_ARRAYS = ("splits_metric", "laps")
_TEXTS = ("name", "sport_type", "type", "timezone", "visibility")
# In seconds; nobody moves for a year, but TIME and INTERVAL are printed in microseconds.
_DURATIONS = ("moving_time", "moving_time_s", "elapsed_time", "elapsed_time_s")
_YEAR_S = 366 * 86_400


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
    committed, else `ts_ms`, else `updated_at` of the image. Where an id or a time is there and
    cannot be read, `image` refuses the change: the id is None, the time the next that can be read.
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
    is_unread = _has_unread_key(message) or any(
        isinstance(row.get(name), dict | list) for name in _TEXTS
    )
    is_unread = is_unread or any(_is_above_a_year(row.get(name)) for name in _DURATIONS)
    try:
        row |= {name: _array(row[name]) for name in _ARRAYS if name in row}
    except (ValueError, RecursionError):
        is_unread = True
    if is_unread:
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
            change_time_us=_change_time_us(message) if is_told else None,
            change_log=log,
            change_position=place if is_told else None,
            change_id=_identity(message) if is_told or place is not None else None,
        )
    athlete = _given_athlete(message)
    if athlete is None and message.op == "d":
        athlete = folder_athlete
    return Record(
        number,
        payload,
        op=str(message.op),
        athlete_id=parse_id(athlete),
        activity_id=parse_id(_given_activity(message)),
        change_time_us=_change_time_us(message),
        lsn=parse_natural(message.source.get("lsn")),
        change_log=log,
        change_position=place,
        change_id=_identity(message),
    )


def _refusal(message: Message) -> str | None:
    """Why a message is no change of a row that can be told; None when it is one."""
    if message.is_wrapped:
        return refusals.ENVELOPE_UNKNOWN
    if message.is_flat:
        has_id = _given_activity(message) is not None
        return refusals.FLATTENED_CHANGE if has_id else refusals.UNREADABLE
    if message.op == envelope.TRUNCATE:
        return refusals.TABLE_TRUNCATED
    is_named = message.op != "d" or _given_activity(message) is not None
    is_whole = message.op in envelope.OPS and _row(message) and is_named
    return None if is_whole else refusals.UNREADABLE


def _has_unread_key(message: Message) -> bool:
    """Whether an id or the time of a change is there and cannot be read.

    The athlete of a delete is not needed.
    """
    ids = [_given_activity(message)]
    if message.op != "d":
        ids.append(_given_athlete(message))
    is_id_unread = any(given is not None and parse_id(given) is None for given in ids)
    return is_id_unread or next(_times_us(message), 0) is None


def _row(message: Message) -> dict[str, Any]:
    return (message.before if message.op == "d" else message.after) or {}


def _given_activity(message: Message) -> object:
    row = _row(message)
    # A row with a column for it may have a key of its own as `id`.
    return _unless_default(message, row["activity_id"] if "activity_id" in row else row.get("id"))


def _given_athlete(message: Message) -> object:
    """The first that is there; one that is unreadable is not replaced by the next."""
    row = _row(message)
    athlete = _object_of(row.get("athlete"))
    nested = athlete.get("id") if isinstance(athlete, dict) else None
    given = (_unless_default(message, each) for each in (nested, row.get("athlete_id")))
    found = next((each for each in given if each is not None), None)
    # Beside `athlete_id` it may be a name; alone it says something that nobody can read.
    is_other = athlete is not None and not isinstance(athlete, dict) and message.op != "d"
    return [athlete] if found is None and is_other else found


def _object_of(value: object) -> object:
    """An object, which a column of JSON has as a text; anything else as it is."""
    if isinstance(value, str) and value.startswith("{"):
        with suppress(ValueError, RecursionError):
            return json.loads(value, parse_float=Printed, parse_constant=Printed)
    return value


def _unless_default(message: Message, value: object) -> object:
    """The value, or None for the 0 of a column that a log has not told of a deleted row."""
    number = float(value) if isinstance(value, Printed) else value
    is_zero = parse_natural(number) == 0 or (isinstance(number, float) and number == 0)
    return None if message.op == "d" and is_zero else value


def _change_time_us(message: Message) -> int | None:
    return next((at for at in _times_us(message) if at is not None), None)


def _times_us(message: Message) -> Iterator[int | None]:
    """The times that a change has, the one that counts first; None for one that is unreadable."""
    committed, processed = message.source.get("ts_ms"), message.ts_ms
    updated = _unless_default(message, _row(message).get("updated_at"))
    found = (
        (committed, _instant_us(committed), _instant_us(committed) == 0),
        (processed, _instant_us(processed), False),
        # 1970 in the image of a deleted row is a default, too.
        (updated, parse_instant_us(updated), message.op == "d" and parse_instant_us(updated) == 0),
    )
    for given, at_us, is_default in found:
        if given is not None and not is_default:
            yield at_us if at_us is not None and 0 <= at_us < _YEAR_10000_US else None


def _instant_us(milliseconds: object) -> int | None:
    # Some writers of JSON print every number with a fraction.
    if isinstance(milliseconds, Printed):
        milliseconds = float(milliseconds)
    if isinstance(milliseconds, float) and milliseconds.is_integer():
        milliseconds = int(milliseconds)
    number = parse_natural(milliseconds)
    return None if number is None else number * 1000


def _identity(message: Message) -> str | None:
    has_place = changelog.position(message.source) is not None
    committed_us = _instant_us(message.source.get("ts_ms")) or None
    time_us = committed_us if has_place else _change_time_us(message)
    key = parse_id(_given_activity(message))
    images = message.before, message.after
    return changelog.identity(message.source, str(message.op), key, time_us, images)


def _is_above_a_year(value: object) -> bool:
    try:
        return not isinstance(value, bool) and float(str(value)) > _YEAR_S
    except ValueError:
        return False


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
