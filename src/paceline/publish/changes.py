"""What has changed in the inputs of a table since it was last sealed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paceline.recipe import Table
from paceline.store.ledger import Sealed
from paceline.store.warehouse import Position, Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What says that a feed is gone: a file that is not there, or a refusal by Delta, whose log may have
# been cut or whose feed switched off. Platforms have no common name for the former.
_LOST = re.compile(
    r"\bDELTA_[A-Z_]+\b|FILE_NOT_EXIST|FILE_NOT_FOUND|FileNotFound|NoSuchFile|NoSuchKey|BlobNotFound"
    r"|[Ff]ile .*does not exist|No such file"
)


@dataclass(frozen=True)
class Changes:
    """The pinned inputs of a table, and what is new in them.

    Attributes:
        pins: the version of each input that this run reads.
        target: the version of the table itself that this run compares with.
        since: for each input that has changed, the version up to which it is already published.
        everything: why all rows have to be compared; None when the change feed tells.
    """

    pins: Mapping[str, Position]
    target: Position
    since: Mapping[str, int]
    everything: str | None

    @property
    def is_none(self) -> bool:
        """Whether nothing has happened."""
        return not self.since and self.everything is None


def changes(
    table: Table, sealed: Sealed | None, fingerprint: str, warehouse: Warehouse, is_window: bool
) -> Changes:
    """Pins the inputs and compares them with the cursor of the last sealed run.

    A window run does not look at the cursor of inputs that the window restricts, nor at the
    fingerprint: neither moves in it.
    """
    target = warehouse.position(table.name)
    pins = {name: warehouse.position(name) for name in table.inputs}
    followed = {
        name: pin for name, pin in pins.items() if not (is_window and name in table.windowed_inputs)
    }
    everything = _reason(followed, target, sealed, warehouse)
    if sealed is None or everything:
        return Changes(pins, target, {}, everything)
    if sealed.fingerprint != fingerprint and not is_window:
        return Changes(pins, target, {}, "rules, settings or recipes have changed")
    since = {
        name: sealed.cursor[name].version
        for name, pin in followed.items()
        if pin.version > sealed.cursor[name].version
    }
    return Changes(pins, target, since, None)


def _reason(
    followed: Mapping[str, Position],
    target: Position,
    sealed: Sealed | None,
    warehouse: Warehouse,
) -> str | None:
    if sealed is None:
        # Without an input to follow, and without a row, there is nothing to compare.
        return "nothing has been published yet" if followed or target.version else None
    if sealed.target_id != target.table_id:
        return "the table has been recreated"
    if target.version < sealed.target_version:
        return "the table has been restored to an older version"
    at_seal = Position(target.table_name, target.table_id, sealed.target_version)
    if target.version > sealed.target_version and warehouse.is_rewritten_since(at_seal):
        return "the table has been written since the last sealed run"
    for name, pin in followed.items():
        cursor = sealed.cursor.get(name)
        if cursor is None:
            return f"no catch-up has read {name} yet"
        if cursor.table_id != pin.table_id:
            return f"{name} has been recreated"
        if cursor.version > pin.version:
            return f"{name} has been restored to an older version"
    return None


def feeds(found: Changes, warehouse: Warehouse) -> dict[str, DataFrame]:
    """The changed rows of each changed input, with deletes and pre-images."""
    return {
        name: warehouse.spark.read.option("readChangeFeed", "true")
        .option("startingVersion", version + 1)
        .option("endingVersion", found.pins[name].version)
        .table(warehouse.identifier(name))
        for name, version in found.since.items()
    }


def lost_feed(found: Changes, warehouse: Warehouse) -> str | None:
    """The first input whose change feed is lost for good; None when there is none.

    Its files may have been vacuumed, which only reading them shows.
    """
    for name, version in found.since.items():
        try:
            only = replace(found, since={name: version})
            for feed in feeds(only, warehouse).values():
                feed.write.format("noop").mode("overwrite").save()
        except Exception as error:
            if is_lost(error):
                return name
    return None


def is_lost(error: Exception) -> bool:
    """Whether reading a change feed could only have failed so because the feed is gone.

    Too little memory, a lost connection or a missing permission say nothing about the feed.
    """
    return _LOST.search(f"{type(error).__name__}: {error}") is not None
