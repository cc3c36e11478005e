"""How a value became what it is: the commits that changed it, their runs and what caused them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from paceline.explain.calculation import Value, same_bits
from paceline.explain.runs import Runs, SealedRun, publisher
from paceline.sql import literal
from paceline.store.warehouse import Position, Warehouse

GONE = ("update_preimage", "delete")
INSERTED, UPDATED, DELETED = "inserted", "updated", "deleted"


@dataclass(frozen=True)
class Commit:
    """A commit that has written the row: what it was before and after, None where it was not."""

    version: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    run: SealedRun | None

    @property
    def kind(self) -> str:
        """Whether the row was inserted, updated or deleted."""
        if self.before is None:
            return INSERTED
        return DELETED if self.after is None else UPDATED

    def values(self, feature: str) -> tuple[Value, Value]:
        """The feature before and after; None where it is NULL or there is no row."""
        return (
            None if self.before is None else self.before[feature],
            None if self.after is None else self.after[feature],
        )


@dataclass(frozen=True)
class History:
    """The commits that have written a row, in their order, as far as the change feed reaches.

    Attributes:
        commits: the commits.
        first_version: the first version of the table that the change feed still tells of; 0 is its
            creation.
    """

    commits: tuple[Commit, ...]
    first_version: int

    def of(self, feature: str) -> list[Commit]:
        """The commits that have changed a feature, or the row coming or going with it."""
        return [
            commit
            for commit in self.commits
            if commit.kind != UPDATED or not same_bits(*commit.values(feature))
        ]


def row_history(
    warehouse: Warehouse, runs: Runs, position: Position, athlete_id: int, day: date
) -> History:
    """The history of a row of the rolling table."""
    condition = f"athlete_id = {literal(athlete_id)} AND as_of_date = {literal(day)}"
    rows, first = changed_rows(warehouse, position, condition, ["*"], range(position.version + 1))
    commits = []
    for version, images in sorted(by_version(rows).items()):
        before, after = images
        run = publisher(runs, Position(position.table_name, position.table_id, version))
        commits.append(Commit(version, before, after, run))
    return History(tuple(commits), first)


Images = tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]


def by_version(rows: Sequence[Mapping[str, Any]]) -> dict[int, Images]:
    """By commit, one row before and after it; None where it was not there."""
    found: dict[int, Images] = {}
    for row in rows:
        before, after = found.get(row["_commit_version"], (None, None))
        if row["_change_type"] in GONE:
            before = row
        else:
            after = row
        found[row["_commit_version"]] = (before, after)
    return found


def changed_rows(
    warehouse: Warehouse,
    position: Position,
    condition: str,
    columns: Sequence[str],
    versions: range,
) -> tuple[list[dict[str, Any]], int]:
    """Rows of the change feed of some versions, and the first of them for which it could be read.

    The log may be shorter by now, and files of old versions may have been vacuumed, which only
    reading them shows.
    """
    last = versions[-1]
    oldest = max(versions[0], _oldest(warehouse, position.table_name))

    def read(since: int) -> list[dict[str, Any]]:
        feed = (
            warehouse.spark.read.option("readChangeFeed", "true")
            .option("startingVersion", since)
            .option("endingVersion", last)
            .table(warehouse.identifier(position.table_name))
        )
        wanted = [] if list(columns) == ["*"] else ["_change_type", "_commit_version"]
        rows = feed.where(condition).selectExpr(*columns, *wanted).collect()
        return [row.asDict() for row in rows]

    if oldest > last:
        return [], oldest
    try:
        return read(oldest), oldest
    except Exception:
        return _as_far_as_possible(read, oldest, last + 1)


def _as_far_as_possible(
    read: Callable[[int], list[dict[str, Any]]], lost: int, end: int
) -> tuple[list[dict[str, Any]], int]:
    """The changes since the first version from which on they can be read, and that version."""
    rows: list[dict[str, Any]] = []
    while end - lost > 1:
        middle = (lost + end) // 2
        try:
            rows, end = read(middle), middle
        except Exception:
            lost = middle
    return rows, end


def _oldest(warehouse: Warehouse, table_name: str) -> int:
    """The oldest version that the log of a table still has."""
    history = warehouse.spark.sql(f"DESCRIBE HISTORY {warehouse.identifier(table_name)}")
    (oldest,) = history.agg({"version": "min"}).collect()
    version: int = oldest[0]
    return version
