"""The warehouse of an earlier release goes on: its runs follow changes, and its rows are right.

`tests/fixtures/warehouse.py` makes its archive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from paceline.cli.verify import verify_tables
from paceline.pipeline import jobs
from paceline.store.ledger import Entry
from tests.fixtures import records, warehouse
from tests.pipeline.warehouse import content
from tests.pipeline.worlds import FEATURES, ROLLING, SILVER, World

pytestmark = pytest.mark.slow

# They hold an edit, a late activity that wakes a dormant athlete, and the correction of a record in
# quarantine.
NEWS = [
    records.edited(records.activity(records.ANNA, 4, "2026-06-18"), "2026-06-25", distance=9500.0),
    records.activity(records.DANA, 2, "2026-04-28"),
    records.edited(records.activity(records.ERIK, 4, "2026-06-14"), "2026-06-25"),
]
# Such a path belongs to one machine.
PLACES = re.compile(r"/(?:work|root|home|Users)/")


@dataclass
class Story:
    """Entries of the catch-up and of the run with news, and the rows before and after the first."""

    world: World
    caught_up: dict[str, Entry]
    rows: list[dict[str, list[tuple[object, ...]]]]
    followed: dict[str, Entry]


def rows(world: World) -> dict[str, list[tuple[object, ...]]]:
    names = [table.name for table in jobs.TABLES]
    return {name: content(world.spark, world.warehouse, name) for name in names}


@pytest.fixture(scope="module")
def story(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = warehouse.world(quick_spark, tmp_path_factory.mktemp("fixture") / "world")
    before = rows(world)
    caught_up = world.run()
    after = rows(world)
    world.deliver("strava_api/news.jsonl", *NEWS)
    return Story(world, caught_up, [before, after], world.run())


def test_a_catch_up_compares_nothing_whole_and_changes_no_row(story: Story) -> None:
    assert {name: entry.scope for name, entry in story.caught_up.items() if entry.scope} == {}
    before, after = story.rows
    assert before == after
    assert all(before.values())


def test_news_are_followed_from_where_the_release_has_stopped(story: Story) -> None:
    assert {name: entry.scope for name, entry in story.followed.items() if entry.scope} == {}
    assert {name: story.followed[name].rows_inserted for name in (SILVER, FEATURES)} == {
        SILVER: 2,
        FEATURES: 2,
    }
    assert story.followed[ROLLING].touched_athletes == len(NEWS)
    story.world.check()


def test_all_rows_equal_their_rebuild(story: Story) -> None:
    findings = verify_tables(warehouse.options(story.world), None, None, is_quiet=True)
    assert {finding.verdict for finding in findings} == {"PASS"}


def test_the_archive_is_small_and_names_no_place_of_a_machine(tmp_path: Path) -> None:
    assert warehouse.ARCHIVE.stat().st_size < 1_000_000
    warehouse.unpacked(tmp_path)
    found = []
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        text = file.read_bytes().decode("latin-1")
        if file.suffix == ".parquet":
            text += str(pq.ParquetFile(file).read().to_pylist())
        found += [f"{file.relative_to(tmp_path)}: {place}" for place in PLACES.findall(text)]
    assert found == []
