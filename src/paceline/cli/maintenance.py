"""`paceline maintenance`: keeps files few, near to each other, and no longer than needed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from paceline.cli.opening import opened, root_and_catalog
from paceline.contract import load_all
from paceline.errors import UsageError
from paceline.operations.maintenance import MOST_HOURS, SAFE_HOURS, Upkeep, maintain
from paceline.pipeline.arguments import Options
from paceline.recipe import Table
from paceline.session import lock
from paceline.settings import conf_directory
from paceline.store.annotations import describe

_log = logging.getLogger(__name__)


def maintain_tables(
    recipes: Sequence[Table],
    options: Options,
    retention_hours: int | None = None,
    now: datetime | None = None,
) -> list[Upkeep]:
    """Keeps up all tables of a warehouse, and says what it did to each.

    Args:
        recipes: of all tables.
        options: where the tables are, and the settings.
        retention_hours: how long files are kept that are no longer part of a table, at least; None
            leaves it to each table.
        now: the time; None reads the clock, once.

    Raises:
        UsageError: when there is no such warehouse, or the retention is not safe.
        LockedError: when a run holds the local warehouse.
    """
    if retention_hours is not None and not SAFE_HOURS <= retention_hours <= MOST_HOURS:
        raise UsageError(
            f"--retention-hours is {retention_hours}; allowed are {SAFE_HOURS} (a run that takes "
            f"long may still need what is younger) to {MOST_HOURS} (as long as Delta keeps its "
            "log)."
        )
    root, catalog = root_and_catalog(options)
    contracts = load_all(conf_directory(options.conf) / "contracts")
    done = []
    with lock(root):
        warehouse = opened(root, catalog, options.schema)
        for upkeep in maintain(warehouse, recipes, retention_hours, now or datetime.now(UTC)):
            _log.info(told(upkeep))
            done.append(upkeep)
        for upkeep in done:
            if upkeep.table_name in contracts:
                describe(warehouse, contracts[upkeep.table_name])
    return done


def told(upkeep: Upkeep) -> str:
    """What was done to a table, in one line."""
    before, after = upkeep.before, upkeep.after
    parts = [f"{after.files:,} files, {_megabytes(after.bytes)}"]
    if (before.files, before.bytes) != (after.files, after.bytes):
        parts[0] += f" (before: {before.files:,}, {_megabytes(before.bytes)})"
    if upkeep.rows is not None:
        parts.append(_rows(*upkeep.rows))
    if upkeep.runs_removed:
        parts.append(f"staged rows of {upkeep.runs_removed:,} old attempts removed")
    if upkeep.files_removed:
        parts.append(f"{upkeep.files_removed:,} unneeded files removed")
    if upkeep.waiting is not None:
        parts.append(f"not vacuumed, because {upkeep.waiting} has to read it first: run the jobs")
    return f"  {upkeep.table_name:<48} {'; '.join(parts)}"


def _rows(before: int, after: int) -> str:
    if before == after:
        return f"{after:,} rows as before"
    return f"{after:,} rows, {before:,} before: a run has published meanwhile"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
