"""What has changed in the inputs of a table since it was last sealed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paceline.contract import Contract
from paceline.recipe import Table
from paceline.store.state import Sealed
from paceline.store.warehouse import Position, Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What says that a feed is gone: a file that is not there, or a refusal by Delta, whose log may have
# been cut or whose feed switched off. Platforms have no common name for the former.
_LOST = re.compile(
    r"\bDELTA_[A-Z_]+\b|FILE_NOT_EXIST|FILE_NOT_FOUND|FileNotFound|NoSuchFile|NoSuchKey|BlobNotFound"
    r"|[Ff]ile .*does not exist|No such file"
)


_FEED_COLUMNS = {
    "_change_type": "STRING",
    "_commit_version": "BIGINT",
    "_commit_timestamp": "TIMESTAMP",
}


@dataclass(frozen=True)
class Changes:
    """The pinned inputs of a table, and what is new in them.

    Attributes:
        pins: the version of each input that this run reads.
        target: the version of the table itself that this run compares with.
        since: for each input that has changed, the version up to which it is already published.
        full_compare_reason: why all rows have to be compared; None when the change feed tells.
    """

    pins: Mapping[str, Position]
    target: Position
    since: Mapping[str, int]
    full_compare_reason: str | None

    @property
    def is_none(self) -> bool:
        """Whether nothing has happened."""
        return not self.since and self.full_compare_reason is None


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
    reason = _reason(followed, target, sealed, warehouse)
    if sealed is None or reason:
        return Changes(pins, target, {}, reason)
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


def feeds(
    table: Table, contracts: Mapping[str, Contract], found: Changes, warehouse: Warehouse
) -> dict[str, DataFrame]:
    """The changed rows of each input, with deletes and pre-images; none of an unchanged one.

    An update that changes nothing of what the recipe looks at is left out.
    """
    return {
        name: _seen(table, contracts[name], feed(name, found, warehouse))
        if name in found.since
        else _no_change(table, contracts[name], warehouse)
        for name in table.inputs
    }


def feed(name: str, found: Changes, warehouse: Warehouse) -> DataFrame:
    """The change feed of a changed input, as Delta gives it."""
    return (
        warehouse.spark.read.option("readChangeFeed", "true")
        .option("startingVersion", found.since[name] + 1)
        .option("endingVersion", found.pins[name].version)
        .table(warehouse.identifier(name))
    )


def _seen(table: Table, contract: Contract, changed: DataFrame) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    columns = table.reads.get(contract.name)
    if columns is None:
        return changed
    images = Window.partitionBy(*contract.key, "_commit_version")
    seen = F.struct(*columns)
    # An image whose counterpart has another key, or is missing, is a change of its own.
    is_single = F.count("*").over(images) < 2
    differs = is_single | ~F.min(seen).over(images).eqNullSafe(F.max(seen).over(images))
    is_update = F.col("_change_type").startswith("update")
    kept = changed.withColumn("_differs", ~is_update | differs).where("_differs")
    return kept.select(*columns, *_FEED_COLUMNS)


def _no_change(table: Table, contract: Contract, warehouse: Warehouse) -> DataFrame:
    """As rows of no table, so that Spark plans nothing for them."""
    columns = table.reads.get(contract.name, contract.column_names)
    types = {column.name: column.type for column in contract.columns} | _FEED_COLUMNS
    ddl = ", ".join(f"{name} {types[name]}" for name in (*columns, *_FEED_COLUMNS))
    return warehouse.spark.createDataFrame([], ddl)


def lost_feed(found: Changes, warehouse: Warehouse) -> str | None:
    """The first input whose change feed is lost for good; None when there is none.

    Its files may have been vacuumed, which only reading them shows.
    """
    for name in found.since:
        try:
            feed(name, found, warehouse).write.format("noop").mode("overwrite").save()
        except Exception as error:
            if is_lost(error):
                return name
    return None


def is_lost(error: Exception) -> bool:
    """Whether reading a change feed could only have failed so because the feed is gone.

    Too little memory, a lost connection or a missing permission say nothing about the feed.
    """
    return _LOST.search(f"{type(error).__name__}: {error}") is not None
