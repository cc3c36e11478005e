"""The same work in several ways: feature_store.athlete_rolling_features from activity_features.

Each module is one contender: `NAME`, `LABEL` (one line that says what it is), and `backfill(source,
target)`, which reads the Delta table at the path `source` and writes a new one to the path `target`
with the same columns and values as every other contender (1e-9 apart at most). All of them score
the runs again from pace, threshold and time, and end with the day HORIZON. What a module has
besides that, its docstring says.

Paceline and the floors run in the session of paceline's own jobs. The other Spark contenders have
the same settings but one, which would be a handicap: paceline keeps Java to its quick compiler, for
short runs, while window frames need the optimising one to be fast. A process has one session, so
each contender needs a process of its own.
"""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from paceline.contract import Contract

ACTIVITIES = "feature_store.activity_features"
ROLLING = "feature_store.athlete_rolling_features"

HORIZON = date(2026, 6, 30)
"""The last day that has rows."""
DORMANT_DAYS = 365
"""Days after the last activity for which an athlete still has rows."""

KEY_STATISTICS = {"delta.dataSkippingStatsColumns": "athlete_id,as_of_date"}
"""Table property: statistics of the key columns only, instead of the first 32."""


def session(near: str) -> SparkSession:
    """The session of paceline's own jobs; there is one in a process.

    Args:
        near: path of a table; a new session keeps its empty schema `default` beside it.
    """
    from pyspark.sql import SparkSession

    from paceline.session import session

    return SparkSession.getActiveSession() or session(Path(near).resolve().parent)


def session_of_others(near: str) -> SparkSession:
    """A session with paceline's settings, but adaptive execution and compilers as by default.

    Args:
        near: path of a table; a new session keeps its empty schema `default` beside it.
    """
    from pyspark.sql import SparkSession

    if (active := SparkSession.getActiveSession()) is not None:
        return active
    # Workers have to be the same Python, whatever python3 is on PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return (
        SparkSession.builder.config(
            "spark.sql.warehouse.dir", str(Path(near).resolve().parent / "default")
        )
        .config("spark.driver.extraJavaOptions", "-XX:+UseParallelGC")
        .config("spark.sql.adaptive.enabled", "true")
        .getOrCreate()
    )


def contracts() -> dict[str, Contract]:
    """The contract of every table, by name."""
    from paceline.contract import load_all
    from paceline.settings import conf_directory

    return load_all(conf_directory(None) / "contracts")


def columns() -> tuple[str, ...]:
    """The columns of the finished table, in order."""
    return contracts()[ROLLING].column_names
