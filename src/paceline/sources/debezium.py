"""Change data: what happened to the rows of a database, as Debezium envelopes, one a line.

An envelope is plain, `{"op", "before", "after", "ts_ms", "source": {"lsn"}}`, or wrapped in
`{"schema", "payload"}`. Its image of an activity is an object of the Strava API or a flat row with
the columns of `silver.strava_activities`.
"""

from collections.abc import Iterator
from typing import Any

from paceline.sources.gunzip import Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import (
    Record,
    folder_athlete_id,
    json_lines,
    parse_id,
    parse_instant_us,
    parse_natural,
    unreadable,
)
from paceline.sources.source import IN_ENVELOPE, Source

_YEAR_10000_US = 253_402_300_800_000_000


def records(
    stream: Readable, relative_path: str, limits: Limits = DEFAULTS
) -> Iterator[Record | None]:
    """Yield the changes of one `.jsonl` file, whose path is relative to the landing zone.

    None stands for a tombstone: a JSON null, or a wrapped one, which says nothing that the delete
    before it has not said. Unreadable is an op other than c, u, d and r, a c, u or r without
    `after`, and a d whose `before` names no activity, as nothing could be deleted by it.

    The ids are those of `after`, for d of `before`, which may be only the key: `id`, else
    `activity_id`; `athlete.id`, else `athlete_id`. A d without athlete has that of a folder
    `athlete_id=<n>` of the path, else None. The change time is `ts_ms`, else `source.ts_ms`, else
    `updated_at` of the image, whichever is the first to lie in the years 1970 to 9999.
    """
    folder_athlete = folder_athlete_id(relative_path)
    for line_number, raw, value in json_lines(stream, limits):
        envelope = _unwrapped(value)
        yield None if envelope is None else _change(line_number, raw, envelope, folder_athlete)


def _unwrapped(value: Any) -> Any:
    is_wrapped = isinstance(value, dict) and value.keys() >= {"schema", "payload"}
    return value["payload"] if is_wrapped else value


def _change(line_number: int, raw: bytes, envelope: Any, folder_athlete: int | None) -> Record:
    match envelope:
        case {"op": "c" | "u" | "r" as op, "after": dict() as image}:
            athlete_id = _athlete_id(image)
        case {"op": "d" as op, "before": dict() as image} if _activity_id(image) is not None:
            athlete_id = _athlete_id(image, folder_athlete)
        case _:
            return unreadable(line_number, raw)
    source = envelope.get("source")
    origin = source if isinstance(source, dict) else {}
    return Record(
        line_number,
        raw.decode(),
        op=op,
        athlete_id=athlete_id,
        activity_id=_activity_id(image),
        change_time_us=_change_time_us(envelope, origin, image),
        lsn=parse_natural(origin.get("lsn")),
    )


def _activity_id(image: dict[str, Any]) -> int | None:
    return _first_id(image.get("id"), image.get("activity_id"))


def _athlete_id(image: dict[str, Any], folder_athlete: int | None = None) -> int | None:
    athlete = image.get("athlete")
    nested = athlete.get("id") if isinstance(athlete, dict) else None
    return _first_id(nested, image.get("athlete_id"), folder_athlete)


def _first_id(*values: object) -> int | None:
    """Return the first that is there; one that is unreadable is not replaced by the next."""
    return parse_id(next((value for value in values if value is not None), None))


def _change_time_us(
    envelope: dict[str, Any], origin: dict[str, Any], image: dict[str, Any]
) -> int | None:
    instants = (
        _instant_us(envelope.get("ts_ms")),
        _instant_us(origin.get("ts_ms")),
        parse_instant_us(image.get("updated_at")),
    )
    known = (at for at in instants if at is not None and 0 <= at < _YEAR_10000_US)
    return next(known, None)


def _instant_us(milliseconds: object) -> int | None:
    # Some writers of JSON print every number with a fraction.
    if isinstance(milliseconds, float) and milliseconds.is_integer():
        milliseconds = int(milliseconds)
    number = parse_natural(milliseconds)
    return None if number is None else number * 1000


SOURCE = Source(
    name="debezium",
    folder="cdc",
    suffixes=(".jsonl",),
    table="bronze.strava_activities",
    rank=3,
    records=lambda stream, path, headers, limits: records(stream, path, limits),
    image=IN_ENVELOPE,
)
