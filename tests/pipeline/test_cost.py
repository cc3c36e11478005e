"""What a run costs follows the change: exact counts among many athletes and three years."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from paceline.pipeline.jobs import TABLES
from paceline.publish.staged import staging_name
from paceline.store.ledger import Entry
from tests.pipeline.warehouse import changed, versions
from tests.pipeline.worlds import FEATURES, PARTS, ROLLING, SETTINGS, SILVER, World, plain_run

pytestmark = pytest.mark.slow

ATHLETES = 300
HORIZON = date(2024, 6, 30)
# Never further apart than the days after which an athlete counts as dormant.
DAYS = [date(2021, 7, 1) + timedelta(days=360 * n) for n in range(4)]
LATE_DAY = date(2021, 7, 10)
PUBLISHED = (SILVER, PARTS, SETTINGS, FEATURES, ROLLING)
# On a busy machine a first run has once taken a job more; what decides it is not known.
LEEWAY = 3


@dataclass
class Bill:
    """What a run has cost."""

    entries: dict[str, Entry]
    jobs: int
    commits: dict[str, int]
    files: dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def bills(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bill]:
    world = World(spark, tmp_path_factory.mktemp("cost") / "world", HORIZON)
    everyone = [
        plain_run(athlete * 100 + number, athlete, day)
        for athlete in range(1, ATHLETES + 1)
        for number, day in enumerate(DAYS)
    ]
    world.deliver("strava_api/first.jsonl", *everyone)
    bills = {"the first run": _bill(world, world.run)}
    bills["nothing"] = _bill(world, world.run)
    world.deliver("strava_api/late.jsonl", plain_run(15_009, 150, LATE_DAY))
    bills["one late activity"] = _bill(world, world.run)
    world.horizon += timedelta(days=1)
    bills["a new day"] = _bill(world, world.run)
    return bills


def _bill(world: World, act: Callable[[], dict[str, Entry]]) -> Bill:
    scheduler = world.spark.sparkContext._jsc.sc().dagScheduler()
    before = versions(world.warehouse)
    jobs = scheduler.nextJobId()
    entries = act()
    after = versions(world.warehouse)
    return Bill(
        entries,
        scheduler.nextJobId() - jobs,
        changed(before, after),
        {
            name: _files(world.warehouse, name, before.get(name, -1), after[name])
            for name in PUBLISHED
        },
    )


def _files(warehouse: Path, name: str, before: int, after: int) -> tuple[int, int]:
    """Data files added and removed by the commits between two versions."""
    log = warehouse.joinpath(*name.split("."), "_delta_log")
    actions = [
        json.loads(line)
        for version in range(before + 1, after + 1)
        for line in (log / f"{version:020}.json").read_text(encoding="utf-8").splitlines()
    ]
    return sum("add" in action for action in actions), sum("remove" in action for action in actions)


def test_a_first_run_asks_little_of_spark_for_each_table(bills: dict[str, Bill]) -> None:
    bill = bills["the first run"]
    assert bill.entries[ROLLING].rows_inserted > 0
    assert bill.jobs <= 85 + LEEWAY


def test_nothing_changed(bills: dict[str, Bill]) -> None:
    bill = bills["nothing"]
    assert bill.jobs <= 7
    # One event for each table, of both jobs in one commit.
    assert bill.commits == {"ops.ledger": 1}


def test_one_late_activity_reaches_its_athlete_from_its_day_on(bills: dict[str, Bill]) -> None:
    entries = bills["one late activity"].entries
    days = (HORIZON - LATE_DAY).days + 1
    rolling = entries[ROLLING]
    assert rolling.rows_compared == days
    assert (rolling.rows_inserted, rolling.rows_deleted) == (0, 0)
    # An exponential average forgets, but three years are too short for it to be the same again.
    assert (rolling.rows_updated, rolling.touched_entities) == (days, 1)
    for name in (SILVER, FEATURES):
        assert (entries[name].rows_compared, entries[name].rows_inserted) == (1, 1)
    assert entries[PARTS].rows_compared == 0


def test_one_late_activity_is_one_commit_for_each_table_that_it_changes(
    bills: dict[str, Bill],
) -> None:
    bill = bills["one late activity"]
    published = {name: count for name, count in bill.commits.items() if not name.startswith("ops.")}
    assert published == {"bronze.strava_activities": 1, SILVER: 1, FEATURES: 1, ROLLING: 1}
    assert bill.jobs <= 119 + LEEWAY
    of_machine = {name: count for name, count in bill.commits.items() if name.startswith("ops.")}
    # Staged and audited for each table; begun twice and ended once; and the file that was read.
    assert of_machine == {
        **{staging_name(name): 1 for name in published},
        "ops.ledger": len(published) + 3,
        "ops.deliveries": 1,
    }
    for name in (SILVER, FEATURES):
        assert bill.files[name] == (1, 0)
    # Rows are struck out where they lie, which adds the file again with a mark, and one file is
    # added with their new values.
    added, removed = bill.files[ROLLING]
    assert (added - removed, removed) in {(1, count) for count in range(1, 5)}


def test_a_new_day_adds_one_row_for_each_athlete(bills: dict[str, Bill]) -> None:
    bill = bills["a new day"]
    rolling = bill.entries[ROLLING]
    assert (rolling.rows_compared, rolling.rows_inserted) == (ATHLETES, ATHLETES)
    assert (rolling.rows_updated, rolling.rows_deleted, rolling.rows_unchanged) == (0, 0, 0)
    assert {name for name in bill.commits if not name.startswith("ops.")} == {ROLLING}
    assert bill.files[ROLLING][1] == 0
    assert bill.jobs <= 33 + LEEWAY


def test_every_table_has_been_asked(bills: dict[str, Bill]) -> None:
    for bill in bills.values():
        assert set(bill.entries) == {table.name for table in TABLES}
