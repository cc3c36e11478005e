"""Settings of athletes: one JSON object a line, each holding from its day `valid_from` on."""

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Any

from paceline.sources.documents import json_values, objects
from paceline.sources.gunzip import Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import (
    Ignored,
    Record,
    folder_athlete_id,
    parse_id,
    parse_instant_us,
)
from paceline.sources.source import Source


def records(
    stream: Readable, relative_path: str, limits: Limits = DEFAULTS
) -> Iterator[Record | Ignored]:
    """Yield the settings of one `.jsonl` file, whose path is relative to the landing zone.

    The athlete is `athlete_id`, else a folder `athlete_id=<n>` of the path. `valid_from` is an ISO
    date, None when unreadable. `updated_at` is the change time.
    """
    read = objects(partial(_settings, folder_athlete_id(relative_path)))
    return json_values(stream, relative_path, read, limits)


def _settings(
    folder_athlete: int | None, line_number: int, payload: str, fields: dict[str, Any]
) -> Record:
    athlete = fields.get("athlete_id")
    return Record(
        line_number,
        payload,
        athlete_id=folder_athlete if athlete is None else parse_id(athlete),
        valid_from=_day(fields.get("valid_from")),
        change_time_us=parse_instant_us(fields.get("updated_at")),
    )


def _day(value: object) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


SOURCE = Source(
    name="athlete_settings",
    folder="athlete_settings",
    suffixes=(".jsonl",),
    table="bronze.athlete_settings",
    rank=2,
    records=lambda stream, path, settings, limits: records(stream, path, limits),
)
