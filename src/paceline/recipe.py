"""What a table is to the machine: a promise (its contract) and a recipe (two pure functions).

A recipe says, for changed inputs, which part of its table can differ (`touched`), and which
rows should exist in a part (`rows`). It never reads, writes, collects or looks at a clock: frames
come in, a frame goes out, so that a rebuild is the same call with the scope `EVERYTHING`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any

from paceline.contract import Contract
from paceline.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Columns that a recipe may add to its rows; the machine takes them off before publishing.
DISPOSITION = (
    "_disposition"  # what became of an input record: one of DISPOSITIONS; absent means CURRENT
)
REASONS = "_reasons"  # array<string>: names of the broken error rules; absent means: judge here
WARNINGS = "_warnings"  # array<string>: names of broken warning rules found by the recipe itself
RECORD = "_record"  # struct<source_path, line_number, payload>: where a rejected row came from

CURRENT = "current"
QUARANTINED = "quarantined"
UNREADABLE = "unreadable"
SUPERSEDED = "superseded"
DUPLICATE = "duplicate"
DELETION = "deletion"
IGNORED = "ignored"  # said nothing, and never became a row: a tombstone
REPLACED_DISPOSITIONS = (SUPERSEDED, DUPLICATE, DELETION)
DISPOSITIONS = (CURRENT, *REPLACED_DISPOSITIONS, IGNORED, QUARANTINED, UNREADABLE)


# By column of the keys, the least and the greatest value; (None, None) where it is NULL. A column
# that is missing may have any value.
Bounds = Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Scope:
    """The part of a table that can differ.

    `keys` is a frame of distinct key values; None means every row. With `since`, a column of the
    table, the frame has a column `since` too, and only rows from that value on are meant. The
    machine adds `bounds`, literals by which files can be skipped: each key lies in one of them. It
    also adds the `number` of keys where it has counted them.
    """

    keys: DataFrame | None
    since: str | None = None
    bounds: tuple[Bounds, ...] = ()
    number: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether the scope is the whole table."""
        return self.keys is None

    def select(self, frame: DataFrame) -> DataFrame:
        """The rows of `frame` that lie in this scope; keys compare null-safe."""
        if self.keys is None:
            return frame
        pruned = self.pruned(frame, since=self.since)
        rows, keys = pruned.alias("rows"), self.keys.alias("keys")
        matches = [_same("rows", "keys", name) for name in self.keys.columns if name != "since"]
        if self.since is not None:
            matches.append(_column("rows", self.since) >= _column("keys", "since"))
        return rows.join(keys, reduce(lambda a, b: a & b, matches), "left_semi")

    def pruned(self, frame: DataFrame, since: str | None, days: int = 0) -> DataFrame:
        """Leaves out rows that are far from this scope; some that are not in it remain.

        Args:
            frame: with the columns of the keys.
            since: its column with the day from which on rows are kept; None keeps all days.
            days: so many days before that day are kept, too.
        """
        return frame.where(self.predicate(since=since, days=days)) if self.bounds else frame

    def predicate(self, since: str | None = None, days: int = 0, prefix: str = "") -> str:
        """SQL with which `pruned` keeps a row; columns get the prefix."""
        sides = [
            " AND ".join(_inside(bounds, name, since, days, prefix) for name in bounds) or "TRUE"
            for bounds in self.bounds
        ]
        return " OR ".join(f"({side})" for side in sides) or "TRUE"


EVERYTHING = Scope(keys=None)


@dataclass(frozen=True)
class Window:
    """A half-open interval [start, end) of event time, as instants in UTC; None is open."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class Context:
    """What a recipe may know besides its inputs; every value is part of the table's fingerprint
    or recorded in the ledger, so that a run can be repeated.

    Attributes:
        settings: the values of `conf/paceline.yml` that recipes read.
        contracts: the contract of every table.
        policies: the policy in force for every table (STRICT, QUARANTINE, ALWAYS).
        window: the event times to reprocess, or None for a catch-up.
        horizon: the last day that exists in daily tables: the one asked for, or that of the table
            from `for_table` on.
        horizon_before: the horizon that the table was sealed with last, or None.
    """

    settings: Mapping[str, Any]
    contracts: Mapping[str, Contract]
    policies: Mapping[str, str]
    window: Window | None = None
    horizon: date | None = None
    horizon_before: date | None = None

    def for_table(self, table: Table, sealed: date | None) -> Context:
        """What the recipe of one table may know: only what it says that it reads.

        Args:
            table: the recipe.
            sealed: the horizon that a daily table was sealed with last, or None. It only grows.
        """
        names = (table.name, *table.contracts)
        last_day = max(filter(None, (sealed, self.horizon)), default=None)
        return replace(
            self,
            settings={name: self.settings[name] for name in table.settings},
            contracts={name: self.contracts[name] for name in names},
            policies={name: self.policies[name] for name in names},
            horizon=last_day if table.has_horizon else None,
            horizon_before=sealed if table.has_horizon else None,
        )


Frames = Mapping[str, "DataFrame"]


@dataclass(frozen=True)
class Table:
    """A recipe, by the name of its table (`schema.table`).

    Attributes:
        name: the table, as its contract names it.
        inputs: the tables it reads; what it reads from outside comes as `landing`.
        touched: (changes, inputs, own, context) -> Scope. `changes` holds the change feed of each
            input, with deletes and pre-images, and no row where nothing has changed; `own` is the
            published table.
        rows: (scope, inputs, own, context) -> the rows that should exist in the scope.
        reads: by input, the columns that the recipe looks at, which are all it is given: a change
            of others touches nothing. An input that is not named is given as a whole.
        contracts: other tables whose contract and policy it looks at.
        settings: those that it looks at.
        windowed_inputs: inputs whose cursor stays where it is in a window run, because the window
            restricts their reading.
        follows_window: whether a window run recomputes the keys in the window, changed or not.
        warnings: names of warnings that its rows carry in WARNINGS and no contract can state.
        noted: those of the warnings that are about a record, whatever becomes of it.
        refusals: reasons that its rows carry in REASONS and no contract can state, besides
            UNREADABLE.
        judges_records: whether its rows carry the DISPOSITION of every record of its one input.
        has_horizon: whether rows exist up to the horizon, so that a new day is a change.
        day: the column with the calendar day of a row, if it has one.
    """

    name: str
    inputs: tuple[str, ...]
    touched: Callable[[Frames, Frames, DataFrame, Context], Scope]
    rows: Callable[[Scope, Frames, DataFrame, Context], DataFrame]
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    contracts: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    windowed_inputs: tuple[str, ...] = ()
    follows_window: bool = True
    warnings: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    judges_records: bool = False
    has_horizon: bool = False
    day: str | None = None

    def seen(self, name: str, rows: DataFrame) -> DataFrame:
        """Rows of an input, in the columns that the recipe looks at."""
        return rows.select(*self.reads[name]) if name in self.reads else rows


def union(frames: list[DataFrame]) -> DataFrame:
    """The rows of all frames (at least one), by column name."""
    return reduce(lambda a, b: a.unionByName(b), frames)


def _inside(bounds: Bounds, name: str, since: str | None, days: int, prefix: str) -> str:
    least, greatest = bounds[name]
    if name == "since":
        return f"{prefix}{since} >= {literal(least - timedelta(days))}" if since else "TRUE"
    if least is None:
        return f"{prefix}{name} IS NULL"
    return f"{prefix}{name} BETWEEN {literal(least)} AND {literal(greatest)}"


def _column(alias: str, name: str) -> Column:
    from pyspark.sql import functions as F

    return F.col(f"{alias}.{name}")


def _same(left: str, right: str, name: str) -> Column:
    return _column(left, name).eqNullSafe(_column(right, name))
