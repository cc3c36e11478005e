"""Paceline through the entry point of its jobs: staging, comparison, audit, ledger and all.

Besides `backfill` there are the daily runs of a warehouse that exists already. A `target` here is a
whole warehouse; the finished table lies in it at `RESULT`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from benchmarks.contenders import HORIZON, ROLLING
from paceline.pipeline.arguments import Options
from paceline.pipeline.execute import execute
from paceline.pipeline.jobs import FEATURE_ROLLING, JOBS, Jobs
from paceline.store.ledger import Entry

NAME = "paceline"
LABEL = "paceline as its users run it: stage, compare, audit, publish, seal"

RESULT = ROLLING.replace(".", "/")

_WAYS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "exact": {},
    "whole": {"compare_all": (ROLLING,)},
}
"""What `run` may be told to do -> the arguments of `execute` that make it do so."""

# Files that nobody writes to once they are there; others would change in the copied warehouse too.
_NEVER_CHANGED = (".parquet", ".bin")


def prepare(source: str, target: str) -> None:
    """Copies the warehouse `source` to `target`, which does not exist yet; its data by hard links.

    Both have to be on the same file system. The copy can be published to without touching `source`.
    """
    shutil.copytree(source, target, copy_function=_linked)


def backfill(source: str, target: str) -> dict[str, int]:
    """Runs Feature_Rolling for the first time on a warehouse that `prepare` has made.

    Args:
        source: the warehouse it was copied from, which holds feature_store.activity_features only.
        target: the warehouse.

    Returns:
        Rows inserted, updated, deleted and compared.
    """
    return run(target)


def run(warehouse: str, days_later: int = 0, way: str = "") -> dict[str, int]:
    """Feature_Rolling catches up.

    Args:
        warehouse: path of the warehouse.
        days_later: how many days after the first possible day on which HORIZON is over.
        way: `exact` computes what the change can reach, `whole` computes and compares the whole
            table; both write only what differs. Empty leaves the choice to paceline.

    Returns:
        Rows inserted, updated, deleted and compared.
    """
    return _run(
        {FEATURE_ROLLING: JOBS[FEATURE_ROLLING]},
        Options(warehouse=warehouse),
        days_later,
        _WAYS[way],
    )


def run_both(landing: str, warehouse: str, days_later: int = 0) -> dict[str, int]:
    """Feature_Activity and then Feature_Rolling catch up, in one session.

    Args:
        landing: path of the landing zone.
        warehouse: path of the warehouse, which may not exist yet.
        days_later: how many days after the first possible day on which HORIZON is over.

    Returns:
        Rows inserted, updated, deleted and compared, summed over all tables.
    """
    options = Options(landing=landing, warehouse=warehouse)
    return _run(JOBS, options, days_later, _WAYS[""])


def _run(
    jobs: Jobs, options: Options, days_later: int, forced: Mapping[str, Any]
) -> dict[str, int]:
    morning = datetime.combine(HORIZON + timedelta(days=1 + days_later), time(6), UTC)
    spark = SparkSession.getActiveSession()
    return _rows(execute(jobs, options, spark=spark, now=morning, **forced))


def _rows(entries: Sequence[Entry]) -> dict[str, int]:
    counted = ("inserted", "updated", "deleted", "compared")
    return {what: sum(getattr(entry, f"rows_{what}") for entry in entries) for what in counted}


def _linked(source: str, target: str) -> None:
    if Path(source).suffix in _NEVER_CHANGED:
        os.link(source, target)
    else:
        shutil.copy2(source, target)
