"""Deliveries that are broken by themselves: found among staged rows, and named.

A delivery is a file of the landing zone, which a staged row names when its recipe judges records.
One file that is broken would push the shares of a whole batch over their limits and so hold back
what everybody else has delivered. It is left out of these shares, unless such files hold most of
the batch. Nothing but the moment of publishing depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from paceline import recipe as r
from paceline.contract import Contract
from paceline.publish.staged import INSERT, OP, REFUSE, UPDATE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

LEAST_RECORDS = 20
"""Records from which on a delivery has a share of its own; in a smaller one, one is too many."""

_MOST_NAMED = 3


@dataclass(frozen=True)
class Delivery:
    """A delivery, and its records in a batch: how many were judged, and how many are broken."""

    path: str
    records: int
    broken: int


@dataclass(frozen=True)
class BrokenDeliveries:
    """The deliveries in a batch of which a larger share is broken than a batch may have.

    Attributes:
        count: how many there are.
        records: those judged in all of them.
        broken: of these, records that break an error rule or cannot be read.
        kept: of these, rows to publish.
        nulls: by column with a limit, rows to publish without a value.
        worst: those with the most broken records, the worst first; at most three.
    """

    count: int = 0
    records: int = 0
    broken: int = 0
    kept: int = 0
    nulls: Mapping[str, int] = field(default_factory=dict)
    worst: tuple[Delivery, ...] = ()

    def hold_most_of(self, records: int) -> bool:
        """Whether they hold more than half of the records of a batch."""
        return 2 * self.records > records

    def left_out_of(self, records: int) -> BrokenDeliveries:
        """Those that the shares of a batch of so many records leave out."""
        return NONE if self.hold_most_of(records) else self

    def named(self, shown: Callable[[str], str]) -> str:
        """The worst with their counts, and how many more there are.

        Args:
            shown: makes of a path what may be seen of it.
        """
        names = [
            f"{shown(one.path)} ({one.broken:,} of {one.records:,} records broken)"
            for one in self.worst
        ]
        more = self.count - len(names)
        return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")


NONE = BrokenDeliveries()


def may_be_among(broken: int, contract: Contract) -> bool:
    """Whether so many broken records are enough for one delivery that is broken by itself."""
    return broken > contract.thresholds.max_broken_share * LEAST_RECORDS


def broken_deliveries(staged: DataFrame, contract: Contract) -> BrokenDeliveries:
    """Those among staged rows, counted in one query.

    There may be as many deliveries as records; few rows come back, however many are broken.
    """
    from pyspark.sql import functions as F

    limits = contract.thresholds
    counts = {
        "records": F.count(F.lit(1)),
        "broken": F.count_if(is_broken()),
        "kept": F.count_if(_is_kept()),
    }
    for limit in limits.null_limits:
        is_null = _is_kept() & F.col(limit.column).isNull()
        counts[f"null_{limit.column}"] = F.count_if(is_null)
    path = F.col(f"{r.RECORD}.source_path")
    judged = staged.where(F.col(OP).isin(INSERT, UPDATE, REFUSE) & path.isNotNull())
    by_path = judged.groupBy(path.alias("path")).agg(
        *(of.alias(name) for name, of in counts.items())
    )
    is_large = F.col("records") >= LEAST_RECORDS
    over_limit = by_path.where(
        is_large & (F.col("broken") / F.col("records") > limits.max_broken_share)
    )
    # One row for each of them, and one without a path for all.
    sums = over_limit.rollup("path").agg(
        F.count(F.lit(1)).alias("count"), *(F.sum(name).alias(name) for name in counts)
    )
    worst_first = sums.orderBy(F.col("path").isNotNull(), F.desc("broken"), "path")
    rows = worst_first.limit(1 + _MOST_NAMED).collect()
    if not rows:
        return NONE
    in_all, *worst = (row.asDict() for row in rows)
    return BrokenDeliveries(
        count=in_all["count"],
        records=in_all["records"],
        broken=in_all["broken"],
        kept=in_all["kept"],
        nulls={limit.column: in_all[f"null_{limit.column}"] for limit in limits.null_limits},
        worst=tuple(Delivery(row["path"], row["records"], row["broken"]) for row in worst),
    )


def is_broken() -> Column:
    """Whether a staged row was set aside, or is to be published although it breaks a rule."""
    from pyspark.sql import functions as F

    return (F.col(OP) == REFUSE) | (_is_kept() & (F.size(r.REASONS) > 0))


def _is_kept() -> Column:
    from pyspark.sql import functions as F

    return F.col(OP).isin(INSERT, UPDATE)
