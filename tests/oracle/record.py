"""A received record, and what orders the versions of one thing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from tests.oracle.model import Delivery
from tests.oracle.values import DAY_US, EPOCH_DAY, instant_us

_EXTRACTED = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)[-:](\d\d)[-:](\d\d)", re.ASCII)
_DAY = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)", re.ASCII)
_WINDOW_OF_TIMES = re.compile(rf"{_EXTRACTED.pattern}[-_]{_EXTRACTED.pattern}", re.ASCII)
_WINDOW_OF_DAYS = re.compile(rf"{_DAY.pattern}[-_]{_DAY.pattern}", re.ASCII)
_DAYS_AHEAD = 1

Key = tuple[int | None, int | date | None]
# Connector and name of the server; empty texts where a record does not come from a log.
Log = tuple[str, str]
NO_LOG: Log = ("", "")
# Numbers that can be compared within one log; nothing at all sorts first.
Position = tuple[Any, ...]


class Place(NamedTuple):
    """Where in its delivery a record starts: the line, and in an array the element."""

    line: int
    element: int = 0


class Order(NamedTuple):
    """The greater one wins: a later change, a later position in the log, a later place to find."""

    time_us: int
    log: Log
    position: Position
    path: str
    place: Place
    digest: str


class Change(NamedTuple):
    """What only a record of change data knows."""

    op: str
    table: tuple[str, ...]
    images: str
    has_time_of_statement: bool
    committed_ms: int | None = None


@dataclass(frozen=True)
class Record:
    """What one line says; `image` is None when it could not be read, or says nothing of a row.

    A `reason` keeps it from being a version, whatever the rules of its table say.
    """

    source: str
    order: Order
    ingest_date: date
    image: Mapping[str, Any] | None = None
    key: Key = (None, None)
    is_delete: bool = False
    reason: str | None = None
    change: Change | None = None


def record(
    delivery: Delivery,
    source: str,
    text: str,
    place: Place,
    image: Mapping[str, Any] | None = None,
    key: Key = (None, None),
    *,
    reason: str | None = None,
    time_us: int | None = None,
    log: Log = NO_LOG,
    position: Position = (),
    change: Change | None = None,
) -> Record:
    """A record of a delivery; without a change time of its own it has that of its file."""
    if time_us is None:
        time_us = extraction_time_us(delivery.path, delivery.mtime_us)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Record(
        source,
        Order(time_us, log, position, delivery.path, place, digest),
        delivery.ingest_date,
        image,
        key,
        is_delete=change is not None and change.op == "d",
        reason=reason or _reason(image, time_us, delivery.ingest_date),
        change=change,
    )


def refusal(delivery: Delivery, source: str, text: str, place: Place, reason: str) -> Record:
    """A record that says nothing of a row, and why."""
    found = record(delivery, source, text, place)
    return Record(source, found.order, delivery.ingest_date, reason=reason)


def _reason(image: Mapping[str, Any] | None, time_us: int, ingest_date: date) -> str | None:
    if image is None:
        return "unreadable"
    last_day = (ingest_date - EPOCH_DAY).days + _DAYS_AHEAD
    return "change_time_ahead" if time_us // DAY_US > last_day else None


def extraction_time_us(path: str, mtime_us: int) -> int:
    """When a file was extracted: what its name says of it, else when it was written.

    `runs_2024-06-01T06-00-00.jsonl` says an instant in UTC, `runs_2024-06-01.jsonl` only a day, and
    `2024-06-01_2024-06-08.jsonl` which days the runs are from.
    """
    name = PurePosixPath(path).name
    instants = [instant_us("{}T{}:{}:{}".format(*found)) for found in _EXTRACTED.findall(name)]
    if instants:
        return mtime_us if _WINDOW_OF_TIMES.search(name) else instants[0]
    days = _DAY.findall(name)
    if not days or _WINDOW_OF_DAYS.search(name):
        return mtime_us
    midnight_us = instant_us(f"{days[0]}T00:00:00")
    was_written_then = midnight_us <= mtime_us < midnight_us + DAY_US
    return mtime_us if was_written_then else midnight_us + DAY_US // 2
