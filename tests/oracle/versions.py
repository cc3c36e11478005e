"""Which version of a thing wins, and which versions wait in quarantine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.oracle.record import Key, Order, Record


@dataclass(frozen=True)
class Version:
    """A judged record; `row` is empty for a delete, and for a record refused for a reason."""

    source: str
    order: Order
    is_delete: bool
    key: Key
    row: dict[str, Any]
    image: Mapping[str, Any]
    broken: tuple[str, ...]


Refused = set[tuple[Key, tuple[str, ...]]]
Judge = Callable[[Record], tuple[dict[str, Any], tuple[str, ...]]]


def resolve(
    records: Iterable[Record],
    identity: Callable[[Key], Hashable],
    judged: Judge,
) -> tuple[list[list[Version]], Refused]:
    """For each thing its valid open versions, newest first (none: left out); what is refused.

    `identity` says from the key which thing a version is one of, None when that is not known: such
    a version competes with nothing, so nothing ever resolves it. `judged` gives the row of a
    version and what it breaks.
    """
    things: dict[Hashable, list[Version]] = defaultdict(list)
    refused: Refused = set()
    for record in records:
        if record.image is None:
            refused.add(((None, None), (str(record.reason),)))
            continue
        version = _version(record, judged)
        thing = identity(record.key)
        if thing is not None:
            things[thing].append(version)
        elif version.broken:
            refused.add((version.key, version.broken))
    found = [_judge(versions) for versions in things.values()]
    return [valid for valid, _ in found if valid], refused.union(*(broken for _, broken in found))


def _version(record: Record, judged: Judge) -> Version:
    row, broken = ({}, ()) if record.is_delete else judged(record)
    if record.reason is not None and broken != ("encoding_unknown",):
        row, broken = {}, (record.reason,)
    return Version(
        record.source, record.order, record.is_delete, record.key, row, record.image or {}, broken
    )


def _judge(versions: list[Version]) -> tuple[list[Version], Refused]:
    """The valid versions of one thing, newest first, and what is refused of it.

    Only versions later than every delete count, and a delete that is refused itself closes nothing.
    A newer valid version resolves a broken one.
    """
    deletes = [version.order for version in versions if version.is_delete and not version.broken]
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
