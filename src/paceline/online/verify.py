"""Compares the online store with gold, value by value, through Feast's own way of reading."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from paceline.errors import UsageError
from paceline.online.gold import Gold
from paceline.online.store import Online
from paceline.online.sync import Cursor, instant, read_cursor, utc
from paceline.online.views import ATHLETE, EVENT_TIME, PUSHABLE, SERVED, Served

_AT_ONCE = 500


@dataclass(frozen=True)
class Wrong:
    """An athlete of whom the store does not hold what gold says.

    Attributes:
        athlete_id: the athlete.
        what: how it differs: `missing`, `should not be there`, or the features that differ.
    """

    athlete_id: int
    what: str


@dataclass(frozen=True)
class Compared:
    """A view beside its gold table.

    Attributes:
        view: the view.
        version: of the gold table, that of the cursor.
        as_of: the instant of the cursor.
        athletes: how many of those in gold or in the store were compared.
        wrong: those who differ.
        pushed: those who differ because something was pushed since the last sync.
    """

    view: str
    version: int
    as_of: datetime
    athletes: int
    wrong: tuple[Wrong, ...]
    pushed: tuple[int, ...]


def verify(online: Online, gold: Gold, sample: int | None = None) -> list[Compared]:
    """Compares everybody who is in gold or in the store, at the cursor.

    Args:
        online: the store.
        gold: the tables.
        sample: compares at most so many athletes, chosen by chance; None compares all.

    Raises:
        UsageError: when nothing has been synced, or the table is no longer the one that was.
    """
    cursor = required_cursor(online)
    pushed = online.store.state().pushed
    return [
        _compared(served, online, gold, cursor, pushed if served is PUSHABLE else set(), sample)
        for served in SERVED
    ]


def required_cursor(online: Online) -> Cursor:
    """Up to where the store is exact.

    Raises:
        UsageError: when nothing has been synced.
    """
    cursor = read_cursor(online.store.state())
    if cursor is None:
        raise UsageError(
            "The online store has never been synced, or was emptied: run `paceline online sync`."
        )
    return cursor


def _compared(
    served: Served,
    online: Online,
    gold: Gold,
    cursor: Cursor,
    pushed: Set[int],
    sample: int | None,
) -> Compared:
    mark = cursor.views.get(served.view)
    if mark is None or gold.newest(served.table_name).table_id != mark.position.table_id:
        raise UsageError(
            f"The view {served.view} was filled from another table than {served.table_name} is "
            "now: run `paceline online sync` first."
        )
    names = list(mark.fields)
    table = gold.rows(served, mark.position, cursor.as_of, names, None)
    expected = {row[ATHLETE]: row for row in table.to_pylist()}
    held = online.store.athletes(online.views[served.view])
    athletes = sorted(held | expected.keys())
    if sample is not None and sample < len(athletes):
        athletes = random.sample(athletes, sample)
    differing = [
        found
        for start in range(0, len(athletes), _AT_ONCE)
        for found in _wrong(
            served, online, expected, held, athletes[start : start + _AT_ONCE], names
        )
    ]
    return Compared(
        served.view,
        mark.position.version,
        instant(cursor.as_of),
        len(athletes),
        tuple(found for found in differing if found.athlete_id not in pushed),
        tuple(found.athlete_id for found in differing if found.athlete_id in pushed),
    )


def _wrong(
    served: Served,
    online: Online,
    expected: dict[int, dict[str, Any]],
    held: set[int],
    athletes: list[int],
    names: list[str],
) -> Iterator[Wrong]:
    response = online.feast.get_online_features(
        features=[f"{served.view}:{name}" for name in names],
        entity_rows=[{ATHLETE: athlete} for athlete in athletes],
    )
    read = response.to_dict()
    position = list(response.proto.metadata.feature_names.val).index(served.never_null)
    instants = response.proto.results[position].event_timestamps
    for number, athlete in enumerate(athletes):
        row = expected.get(athlete)
        if row is None:
            yield Wrong(athlete, "should not be there")
        elif athlete not in held:
            yield Wrong(athlete, "missing")
        else:
            at = instants[number].ToDatetime(tzinfo=UTC)
            differing = [name for name in names if not _same(row[name], read[name][number])]
            differing += [EVENT_TIME] if at != online.store.kept(row[EVENT_TIME]) else []
            if differing:
                yield Wrong(athlete, ", ".join(differing))


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same bits of the same type."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    if isinstance(one, datetime) and isinstance(other, datetime):
        return utc(one) == utc(other)
    return type(one) is type(other) and bool(one == other)
