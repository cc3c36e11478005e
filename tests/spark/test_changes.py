"""Which images of a change feed a recipe gets to see."""

from __future__ import annotations

from paceline.contract import Contract
from paceline.publish.changes import _FEED_COLUMNS, _seen
from paceline.recipe import Table

NAME = "feature_store.activity_features"
READS = {NAME: ("athlete_id", "activity_id", "distance_km")}
PRE, POST = "update_preimage", "update_postimage"


def test_an_update_of_nothing_that_is_read_is_left_out(
    spark, contracts: dict[str, Contract]
) -> None:
    table = Table("x.y", (NAME,), None, None, reads=READS)
    rows = [
        (1, 1, 5.0, "seen", PRE, 7),
        (1, 1, 6.0, "seen", POST, 7),
        (1, 2, 5.0, "unseen before", PRE, 7),
        (1, 2, 5.0, "unseen after", POST, 7),
        # A row that became another one: each image is the only one of its key.
        (1, 3, 5.0, "moved", PRE, 7),
        (2, 3, 5.0, "moved", POST, 7),
        (1, 4, None, "from NULL", PRE, 8),
        (1, 4, 5.0, "from NULL", POST, 8),
        (1, 5, None, "inserted", "insert", 8),
    ]
    types = (
        "athlete_id BIGINT, activity_id BIGINT, distance_km DOUBLE, title STRING,"
        " _change_type STRING, _commit_version BIGINT"
    )
    changed = spark.createDataFrame(rows, types).selectExpr(
        "*", "timestamp'2024-06-01' AS _commit_timestamp"
    )
    found = _seen(table, contracts[NAME], changed)
    assert found.columns == [*READS[NAME], *_FEED_COLUMNS]
    # By hand: all but the two images of activity 2.
    kept = sorted(
        (row["activity_id"], row["athlete_id"], row["_change_type"]) for row in found.collect()
    )
    assert kept == [
        (1, 1, POST), (1, 1, PRE), (3, 1, PRE), (3, 2, POST), (4, 1, POST), (4, 1, PRE),
        (5, 1, "insert"),
    ]  # fmt: skip
