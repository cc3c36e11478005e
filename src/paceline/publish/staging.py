"""STAGE: writes the rows that differ, and counts what has been compared."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from paceline import recipe
from paceline.errors import PacelineError
from paceline.publish import diff, staged
from paceline.publish.bounds import bounded
from paceline.publish.changes import feeds, lost_feed
from paceline.publish.claim import Claim, Outcome
from paceline.recipe import EVERYTHING, Scope
from paceline.store.ledger import Entry
from paceline.store.quarantine import QUARANTINE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What belongs to so few keys is computed sooner in one task than in several: each of them generates
# the code of all expressions anew.
_FEW_KEYS = 100
_FAR = "far"
_log = logging.getLogger(__name__)


class NewRecords(Protocol):
    """The deliveries of the landing zone for one bronze table."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no new delivery."""

    def read_all_again(self) -> None:
        """Forgets what has been delivered before: the table may not hold it any more."""

    def frames(self) -> Iterator[DataFrame]:
        """The records, in frames that fit into memory."""

    def read(self) -> int:
        """How many records the frames held, once they are consumed."""

    def ignored(self) -> int:
        """How many lines the frames skipped because they say nothing, once they are consumed."""

    def remember(self) -> None:
        """Notes the deliveries, so that they are not opened again."""


@dataclass(frozen=True)
class Staged:
    """What has been staged: the version of the staging table, and the scope of its rows."""

    version: int
    scope: Scope


def stage(claimed: Claim, outcome: Outcome, new_records: NewRecords | None) -> Staged | None:
    """Writes the rows that differ; returns where they are, None without any.

    What has been compared, and why, is filled in to the outcome.

    Raises:
        PacelineError: when the records do not add up to what has been read, or a recipe gave rows
            outside the scope that it was asked for.
    """
    warehouse = claimed.run.warehouse
    before = warehouse.version(claimed.staging)
    counts: Counter[str] = Counter()
    scope: Scope | None = EVERYTHING
    if new_records is not None:
        for frame in new_records.frames():
            counts.update(_written(claimed, _new_rows(claimed, frame), EVERYTHING))
    else:
        scope, written = _changed(claimed, outcome, before)
        counts.update(written)
    _count(claimed, outcome.entry, counts, scope, new_records)
    # Delta writes no commit without rows. Staging is append only, so that this version and every
    # later one hold what has been written here.
    version = warehouse.version(claimed.staging)
    return Staged(version, scope) if scope is not None and version > before else None


def _changed(claimed: Claim, outcome: Outcome, before: int) -> tuple[Scope | None, dict[str, int]]:
    """Writes what differs in the part that can; in all of it when a change feed has been lost.

    Another error may pass: staging is tried once more when it has not gone past version `before`.
    """
    warehouse = claimed.run.warehouse
    try:
        return _written_in(claimed, _scope(claimed, outcome))
    except Exception as error:
        lost = lost_feed(claimed.changes, warehouse)
        is_final = isinstance(error, PacelineError) or warehouse.version(claimed.staging) > before
        if lost is None and is_final:
            raise
    if lost is None:
        return _written_in(claimed, _scope(claimed, outcome))
    reason = f"the change feed of {lost} no longer reaches back to the last run"
    found = replace(claimed.changes, since={}, full_compare_reason=reason)
    widened = replace(claimed, changes=found)
    return _written_in(widened, _scope(widened, outcome))


def _written_in(claimed: Claim, touched: Scope) -> tuple[Scope | None, dict[str, int]]:
    scope = bounded(touched)
    if scope is None:
        return None, {}
    is_small = scope.number is not None and scope.number <= _FEW_KEYS
    with claimed.run.warehouse.partitioned(1 if is_small else None):
        return scope, _written(claimed, _compared(claimed, scope), scope)


def _scope(claimed: Claim, outcome: Outcome) -> Scope:
    """The part of the table that can differ; a window restricts even a comparison of all rows."""
    found = claimed.changes
    is_restricted = claimed.is_window and set(claimed.table.inputs) == set(
        claimed.table.windowed_inputs
    )
    if found.full_compare_reason is not None and not is_restricted:
        outcome.entry.full_compare_reason = found.full_compare_reason
        _log.info(f"{claimed.table.name}: comparing all rows, {found.full_compare_reason}")
        return EVERYTHING
    contracts = claimed.run.context.contracts
    changed = feeds(claimed.table, contracts, found, claimed.run.warehouse)
    return claimed.table.touched(changed, claimed.inputs(), claimed.own(), claimed.context)


def _compared(claimed: Claim, scope: Scope) -> DataFrame:
    """What the recipe wants in the scope against what is published and rejected there."""
    contract = claimed.contract
    rows = claimed.table.rows(scope, claimed.inputs(), claimed.own(), claimed.context)
    published = None if claimed.is_first else scope.select(claimed.own())
    rejected = None
    if claimed.is_forgiving and claimed.open_rejects != 0:
        quarantine = claimed.run.warehouse.table(QUARANTINE)
        rejected = diff.open_rejects(quarantine, scope, contract)
    expected = diff.judged(rows, contract, claimed.policy)
    return diff.difference(
        expected, published, rejected, contract, is_forgiving=claimed.is_forgiving
    )


def _new_rows(claimed: Claim, frame: DataFrame) -> DataFrame:
    """Records of new deliveries; after a lost seal, without those that are there already."""
    contract = claimed.contract
    rows = claimed.table.rows(EVERYTHING, {"landing": frame}, claimed.own(), claimed.context)
    if claimed.changes.full_compare_reason is not None and not claimed.is_first:
        rows = rows.join(claimed.own().select(*contract.key), [*contract.key], "left_anti")
        rows = rows.select(*contract.column_names)
    expected = diff.judged(rows, contract, claimed.policy)
    return diff.difference(expected, None, None, contract)


def _written(claimed: Claim, differences: DataFrame, scope: Scope) -> dict[str, int]:
    """Stages the differing rows; returns all compared ones, by operation and disposition."""
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    # Each count costs time for every row, so that what cannot occur is not counted.
    is_first = staged.REPLACES not in differences.columns
    ops = (staged.INSERT, staged.REFUSE) if is_first else staged.OPS
    ours = (recipe.CURRENT, recipe.QUARANTINED)
    dispositions = recipe.DISPOSITIONS if claimed.table.judges_records else ours
    observed = Observation()
    tallies = [F.count_if(F.col(staged.OP) == op).alias(op) for op in ops]
    tallies += [
        F.count_if(F.col(recipe.DISPOSITION) == disposition).alias(disposition)
        for disposition in dispositions
    ]
    is_far = F.col(staged.OP).isin(*staged.ROW_OPS) & ~F.expr(scope.predicate(since=scope.since))
    tallies.append(F.count_if(is_far).alias(_FAR))
    # Adaptive execution drops the observation of an empty plan, and nobody would ever answer: one
    # row that is neither counted nor staged keeps the plan from being empty.
    one = claimed.run.warehouse.spark.range(1).select(F.lit("none").alias(staged.OP))
    watched = differences.unionByName(one, allowMissingColumns=True).observe(observed, *tallies)
    rows = diff.staged(watched, claimed.contract, claimed.attempt_id, claimed.table.noted)
    rows.write.format("delta").mode("append").saveAsTable(
        claimed.run.warehouse.identifier(claimed.staging)
    )
    counts = dict(observed.get)
    if counts.pop(_FAR):
        # Publishing reads only the files that the scope can reach.
        raise PacelineError(
            f"The recipe of {claimed.table.name} gave rows outside the scope that it was asked "
            "for: nothing was published; run again with --debug and report it."
        )
    return counts


def _count(
    claimed: Claim,
    entry: Entry,
    counts: Counter[str],
    scope: Scope | None,
    new_records: NewRecords | None,
) -> None:
    if new_records is not None:
        counts[recipe.IGNORED] = new_records.ignored()
    entry.rows_unchanged = counts[staged.UNCHANGED]
    entry.rows_compared = sum(counts[op] for op in (staged.UNCHANGED, *staged.ROW_OPS))
    entry.rows_quarantined = counts[staged.REFUSE] + counts[staged.STILL_REFUSED]
    entry.dispositions = {disposition: counts[disposition] for disposition in recipe.DISPOSITIONS}
    entry.rows_read = found = sum(entry.dispositions.values())
    entry.rows_superseded = sum(counts[disposition] for disposition in recipe.REPLACED_DISPOSITIONS)
    expected = found
    if new_records is not None and claimed.changes.full_compare_reason is None:
        expected = new_records.read() + new_records.ignored()
    elif claimed.table.judges_records and scope is not None:
        (source,) = claimed.table.inputs
        expected = scope.select(claimed.inputs()[source]).count()
    if found != expected:
        raise PacelineError(
            f"The records of {claimed.table.name} do not add up ({expected} were read, {found} "
            f"are accounted for: {entry.dispositions}): nothing was published; run again with "
            "--debug and report it."
        )
