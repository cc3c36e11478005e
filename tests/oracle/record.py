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
from tests.oracle.values import instant_us

_EXTRACTED = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)[-:](\d\d)[-:](\d\d)", re.ASCII)
NO_LSN = -1

Key = tuple[int | None, int | date | None]


class Order(NamedTuple):
    """The greater one wins: a later change, a later position in the log, a delete, a digest."""

    change_time_us: int
    lsn: int
    is_delete: bool
    digest: str


@dataclass(frozen=True)
class Record:
    """What one line says; `image` is None when it could not be read."""

    source: str
    order: Order
    ingest_date: date
    image: Mapping[str, Any] | None = None
    key: Key = (None, None)


def record(
    delivery: Delivery,
    source: str,
    text: str,
    image: Mapping[str, Any] | None = None,
    key: Key = (None, None),
    *,
    change_time_us: int | None = None,
    lsn: int = NO_LSN,
    is_delete: bool = False,
) -> Record:
    """A record of a delivery; without a change time of its own it has that of its file."""
    if change_time_us is None:
        change_time_us = extraction_time_us(delivery.path)
    if change_time_us is None:
        change_time_us = delivery.mtime_us
    digest = hashlib.sha256(text.encode()).hexdigest()
    order = Order(change_time_us, lsn, is_delete, digest)
    return Record(source, order, delivery.ingest_date, image, key)


def extraction_time_us(path: str) -> int | None:
    """The instant in the name of a file such as `runs_2024-06-01T06-00-00.jsonl`, in UTC."""
    found = _EXTRACTED.search(PurePosixPath(path).name)
    return instant_us("{}T{}:{}:{}".format(*found.groups())) if found else None
