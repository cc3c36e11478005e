"""The least that a backfill in Spark pays: the finished rows are read and written again.

Here `source` is the path of a finished athlete_rolling_features.
"""

from __future__ import annotations

from benchmarks.contenders import KEY_STATISTICS, session

NAME = "floor: rewrite"
LABEL = "Spark reads the finished table and writes it again, without dictionaries"


def backfill(source: str, target: str) -> None:
    """Writes the finished table at `source` to `target`, with statistics of the keys only."""
    finished = session(target).read.format("delta").load(source)
    finished.write.format("delta").options(**KEY_STATISTICS).save(target)
