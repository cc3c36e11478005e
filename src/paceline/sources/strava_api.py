"""Answers of the Strava API v3: SummaryActivity and DetailedActivity objects.

As `.jsonl`, one object or array of them a line, or as `.json`, the same or one document. Who saves
every answer also has those that say why there is no data, as when too many were asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from paceline.sources.documents import json_values, objects
from paceline.sources.gunzip import Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import (
    Ignored,
    Record,
    Remark,
    folder_athlete_id,
    parse_id,
    parse_instant_us,
)
from paceline.sources.source import Source

_LONGEST_REASON = 60


@dataclass(frozen=True, slots=True)
class _Fault(Ignored):
    """An answer that says why there is no data (Strava calls it Fault)."""

    reason: str = ""


def records(
    stream: Readable, relative_path: str, limits: Limits = DEFAULTS
) -> Iterator[Record | Ignored | Remark]:
    """Yield the activities of one file, whose path is relative to the landing zone.

    Answers without data are ignored, with one remark for the file.

    The athlete is `athlete.id`, else a flat `athlete_id`, else a folder `athlete_id=<n>` of the
    path; one that is present but unreadable is not replaced by the next. `updated_at` is the
    change time.
    """
    read = objects(partial(_activity, folder_athlete_id(relative_path)))
    reason, count = "", 0
    for found in json_values(stream, relative_path, read, limits):
        if isinstance(found, _Fault):
            reason, count = reason or found.reason, count + 1
        yield found
    if count:
        answers = "an answer" if count == 1 else f"{count} answers"
        yield Remark(f"holds {answers} without data ({reason}): fetch the activities again")


def _activity(
    folder_athlete: int | None, line_number: int, payload: str, fields: dict[str, Any]
) -> Record | Ignored:
    reason = fields.get("message")
    if isinstance(reason, str) and "errors" in fields and fields.get("id") is None:
        return _Fault(reason=reason[:_LONGEST_REASON])
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


SOURCE = Source(
    name="strava_api",
    folder="strava_api",
    suffixes=(".jsonl", ".json"),
    table="bronze.strava_activities",
    rank=2,
    records=lambda stream, path, settings, limits: records(stream, path, limits),
)
