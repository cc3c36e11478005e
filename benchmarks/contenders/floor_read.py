"""The least that any job pays which looks at the finished table: every column is read.

Here `source` is the path of a finished athlete_rolling_features.
"""

from __future__ import annotations

from benchmarks.contenders import session

NAME = "floor: read"
LABEL = "Spark reads every column of the finished table and does nothing with it"


def backfill(source: str, target: str) -> None:
    """Reads the finished table at `source`; nothing is written to `target`."""
    finished = session(target).read.format("delta").load(source)
    finished.write.format("noop").mode("overwrite").save()
