"""Inputs after public reports about change data: what each has to become, written by hand.

They lie beside the clone. The oracle has to agree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.tables.bronze import strava_activities as bronze
from paceline.tables.silver import strava_activities as silver
from paceline.tables.silver import strava_sub_activity as parts
from tests.pipeline.worlds import PARTS, SILVER, World, plain_run

pytestmark = [pytest.mark.real, pytest.mark.slow]

JOBS = {FEATURE_ACTIVITY: (bronze.TABLE, silver.TABLE, parts.TABLE)}
# The latest of them was committed on the day before.
NOW = datetime(2026, 12, 1, 6, tzinfo=UTC)
UNKNOWN = ("encoding_unknown",)


@dataclass(frozen=True)
class Right:
    """What is right for a folder: by activity a column, reasons, parts, and what is ignored."""

    published: dict[int, tuple[str, Any]]
    refused: Counter[tuple[str, ...]] = field(default_factory=Counter)
    parts: int = 0
    ignored: int = 0


CASES = {
    # The splits and the name of the earlier change live on.
    "c09-toast": Right({50090001: ("distance_m", 8010.0), 50090002: ("name", "A title")}, parts=8),
    "c10-control-postgres": Right(
        {50100021: ("distance_m", 7000.0), 50100022: ("distance_m", 5500.0)}, ignored=1
    ),
    "c10-same-millisecond": Right(
        {
            **{50100000 + number: ("distance_m", 7000.0) for number in range(1, 7)},
            50100011: ("distance_m", 5500.0),
        },
        ignored=1,
    ),
    "c11-avro-json": Right({50110001: ("distance_m", 8000.0)}),
    # The row lives on; the truncation has a reason of its own.
    "c12-control-messages": Right(
        {50120001: ("distance_m", 8000.0)}, Counter([("table_truncated",)]), ignored=6
    ),
    "c13-key-change": Right(
        {50130002: ("distance_m", 8000.0), 50130004: ("name", "snapshot")}, ignored=1
    ),
    "c14-defaults-of-debezium": Right({}, Counter([UNKNOWN] * 4)),
    "c23-heartbeats-in-the-sink": Right(
        {60000000 + number: ("distance_m", 8000.0) for number in range(1, 1001)}, ignored=63
    ),
    "c25-lines-called-json": Right(
        {50280000 + number: ("distance_m", 8000.0) for number in (1, 2, 3, 4, 11)}
    ),
    "c30-surrogate-key": Right({50310001: ("source", "debezium")}),
    "c32-other-tables": Right(
        {50330000 + number: ("distance_m", 8000.0) for number in (1, 2, 3)}, ignored=5
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_folder(quick_spark: SparkSession, shared_data: Path, tmp_path: Path, name: str) -> None:
    folder, right = shared_data.parent / "field" / name, CASES[name]
    if not folder.is_dir():
        pytest.skip("the inputs do not lie beside this clone")
    world = World(quick_spark, tmp_path / "world", date(2026, 12, 1), jobs=JOBS)
    for path in sorted(filter(Path.is_file, folder.rglob("*"))):
        lines = path.read_text(encoding="utf-8").splitlines()
        world.deliver(str(path.relative_to(folder)), *lines, at=NOW)
    # Nothing but refusals would be no table.
    world.deliver("strava_api/ordinary.jsonl", plain_run(1, 1, "2024-06-01"), at=NOW)
    entries = world.run(now=NOW)
    found = {key[1]: row for key, row in world.published(SILVER).items()}
    assert found.keys() == right.published.keys() | {1}
    for activity, (column, value) in right.published.items():
        assert found[activity][column] == value
    path = world.warehouse / "ops" / "quarantine"
    refused = quick_spark.read.format("delta").load(str(path)).collect()
    assert Counter(tuple(row["reasons"]) for row in refused) == right.refused
    assert len(world.published(PARTS)) == right.parts
    dispositions = entries["bronze.strava_activities"].dispositions or {}
    assert dispositions["ignored"] == right.ignored
    world.check()
