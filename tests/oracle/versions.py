"""Which version of a thing wins, and which versions wait in quarantine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.oracle.record import Key, Order, Record

UNREADABLE = ("unreadable",)


@dataclass(frozen=True)
class Version:
    """A judged record; `row` is empty for a delete."""

    source: str
    order: Order
    key: Key
    row: dict[str, Any]
    image: Mapping[str, Any]
    broken: tuple[str, ...]


Refused = set[tuple[Key, tuple[str, ...]]]


def resolve(
    records: Iterable[Record],
    identity: Callable[[Key], Hashable],
    row_of: Callable[[Record], dict[str, Any]],
    broken_rules: Callable[[dict[str, Any]], tuple[str, ...]],
) -> tuple[list[list[Version]], Refused]:
    """For each thing its valid open versions, newest first (none: left out); what is refused.

    `identity` says from the key which thing a version is one of, None when that is not known: such
    a version competes with nothing, so nothing ever resolves it.
    """
    things: dict[Hashable, list[Version]] = defaultdict(list)
    refused: Refused = set()
    for record in records:
        if record.image is None:
            refused.add(((None, None), UNREADABLE))
            continue
        row = {} if record.order.is_delete else row_of(record)
        broken = broken_rules(row) if row else ()
        version = Version(record.source, record.order, record.key, row, record.image, broken)
        thing = identity(record.key)
        if thing is not None:
            things[thing].append(version)
        elif broken:
            refused.add((record.key, broken))
    judged = [_judge(versions) for versions in things.values()]
    return [valid for valid, _ in judged if valid], refused.union(*(broken for _, broken in judged))


def _judge(versions: list[Version]) -> tuple[list[Version], Refused]:
    """The valid versions of one thing, newest first, and what is refused of it.

    Only versions later than every delete count; against one of the same time and position in the
    log the delete wins. A newer valid version, or a valid copy, resolves a broken one.
    """
    deletes = [version.order for version in versions if version.order.is_delete]
    still_open = sorted(
        (version for version in versions if not deletes or version.order > max(deletes)),
        key=lambda version: version.order,
        reverse=True,
    )
    valid = [version for version in still_open if not version.broken]
    newest = valid[0].order if valid else None
    refused = {
        (version.key, version.broken)
        for version in still_open
        if version.broken and (newest is None or version.order > newest)
    }
    return valid, refused
