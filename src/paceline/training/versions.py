"""Which versions of the feature tables are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from paceline.errors import UsageError
from paceline.store.warehouse import Position, Warehouse, with_columns_of
from paceline.training.manifest import Manifest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

AsOf = int | Mapping[str, int] | Manifest | None


def positions(warehouse: Warehouse, names: Sequence[str], as_of: AsOf) -> dict[str, Position]:
    """By table, the version to read: the newest one, or the one that is asked for.

    Args:
        warehouse: where the tables are.
        names: the tables, as `schema.table`.
        as_of: None for the newest; one version for one table; versions by `schema.table` or
            `table`; or a manifest.

    Raises:
        UsageError: when a table is not there, has no version in `as_of`, or is not the one of the
            manifest.
    """
    if isinstance(as_of, int):
        if len(names) > 1:
            raise UsageError(
                f"The tables {', '.join(names)} are read: give as_of_version as a map with the "
                "version of each of them."
            )
        as_of = {names[0]: as_of}
    found = {}
    for name in names:
        newest = _newest(warehouse, name)
        if isinstance(as_of, Manifest):
            found[name] = _of_manifest(as_of, newest)
        elif as_of is None:
            found[name] = newest
        else:
            found[name] = Position(name, newest.table_id, _version(as_of, name))
    return found


def named_or_newest(warehouse: Warehouse, name: str, as_of: AsOf) -> Position:
    """The version of a table that `as_of` names, else the newest one.

    Raises:
        UsageError: when the table is not there, or is not the one of the manifest.
    """
    if isinstance(as_of, Manifest):
        is_named = any(table.table_name == name for table in as_of.tables)
    else:
        is_named = isinstance(as_of, Mapping) and not as_of.keys().isdisjoint(_spellings(name))
    return positions(warehouse, [name], as_of if is_named else None)[name]


def at(warehouse: Warehouse, position: Position) -> DataFrame:
    """The table as it was at a version, which nothing has to know by name.

    Raises:
        UsageError: when Delta cannot, or will not, read that version, or a local file of it is
            gone. In a catalog only whoever reads the rows notices that.
    """
    from pyspark.errors import PySparkException

    name = warehouse.reference(position.table_name)
    try:
        old = warehouse.spark.sql(f"SELECT * FROM {name} VERSION AS OF {position.version}")
        # A feature that had not come yet is NULL.
        frame = with_columns_of(old, warehouse.spark.sql(f"SELECT * FROM {name}"))
        # A client of Spark Connect asks only now.
        _ = frame.columns
    except PySparkException as error:
        raise UsageError(
            f"Version {position.version} of {position.table_name} cannot be read "
            f"({error.getCondition() or type(error).__name__}): it is not there yet, or no longer "
            "because VACUUM or the clean-up of the log has passed it, so choose a later one."
        ) from error
    gone = warehouse.root is not None and not all(map(_is_there, frame.inputFiles()))
    if gone:
        raise UsageError(
            f"Version {position.version} of {position.table_name} has lost files, probably to "
            "VACUUM: choose a later version, or read the training set from where it was saved."
        )
    return frame


def _is_there(uri: str) -> bool:
    return Path(unquote(urlsplit(uri).path)).exists()


def _newest(warehouse: Warehouse, name: str) -> Position:
    if not warehouse.exists(name):
        place = warehouse.root or f"the catalog {warehouse.catalog}"
        raise UsageError(
            f"There is no table {name} in {place}: name the place of the tables as warehouse or "
            "catalog, or run the jobs first."
        )
    reference = warehouse.reference(name)
    (detail,) = warehouse.spark.sql(f"DESCRIBE DETAIL {reference}").collect()
    (last,) = warehouse.spark.sql(f"DESCRIBE HISTORY {reference} LIMIT 1").collect()
    return Position(name, detail["id"], last["version"])


def _of_manifest(manifest: Manifest, newest: Position) -> Position:
    name = newest.table_name
    pinned = next((table for table in manifest.tables if table.table_name == name), None)
    if pinned is None:
        raise UsageError(
            f"The manifest has no version of {name}: leave its features out, or make a new "
            "training set without the manifest."
        )
    if pinned.table_id != newest.table_id:
        raise UsageError(
            f"The table {name} is not the one of the manifest, but was made anew since: read the "
            "training set from where it was saved, or make a new one."
        )
    return pinned


def _version(versions: Mapping[str, int], name: str) -> int:
    for spelling in _spellings(name):
        if spelling in versions:
            return int(versions[spelling])
    raise UsageError(
        f"as_of_version has no version of {name}: add it, for the features or the labels' own "
        "activities are read from it."
    )


def _spellings(name: str) -> tuple[str, str]:
    return name, name.partition(".")[2]
