"""Compares the online store with gold, value by value, through Feast's own way of reading."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from paceline.errors import LockedError, PacelineError, UsageError
from paceline.online.gold import Gold
from paceline.online.store import Online
from paceline.online.sync import Cursor, fields_of, instant, read_cursor, refuse_other_gold, utc
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
        UsageError: when nothing has been synced, or what was synced is no longer what there is.
        LockedError: when a sync has been at work meanwhile.
        PacelineError: when a sync was not finished, or gold is gone at the version of the cursor.
    """
    refuse_other_gold(online, gold)
    cursor, state = required_cursor(online), online.store.state()
    if cursor.zone != online.store.zone():
        raise UsageError(
            f"The store was synced in the time zone {cursor.zone}, on which its instants depend: "
            "use that one, or run `paceline online sync` in this one."
        )
    found = [
        _compared(
            served, online, gold, cursor, state.pushed if served is PUSHABLE else set(), sample
        )
        for served in SERVED
    ]
    if online.store.state() != state:
        raise LockedError("A sync or a push has been at work meanwhile: verify again.")
    if state.intent is not None and any(view.wrong for view in found):
        raise PacelineError("A sync was not finished: run `paceline online sync`.")
    return found


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
    if mark.fields != fields_of(online.views[served.view]):
        raise UsageError(
            f"The view {served.view} has changed since the last sync: run `paceline online sync`."
        )
    names = list(mark.fields)
    try:
        table = gold.rows(served, mark.position, cursor.as_of, names, None)
    except Exception as error:
        raise PacelineError(
            f"Version {mark.position.version} of {served.table_name} can no longer be read "
            f"({type(error).__name__}): run `paceline online sync`, then verify again."
        ) from error
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
