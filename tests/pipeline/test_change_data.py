"""Change data through whole runs: what is counted, ignored, taken later, and refused once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.errors import RejectedError
from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.store import ledger
from paceline.store.ledger import Entry
from paceline.tables.bronze import strava_activities as bronze
from paceline.tables.silver import strava_activities as silver
from paceline.tables.silver import strava_sub_activity as parts
from tests.pipeline.warehouse import checks
from tests.pipeline.worlds import SILVER, World, plain_run

pytestmark = pytest.mark.slow

JOBS = {FEATURE_ACTIVITY: (bronze.TABLE, silver.TABLE, parts.TABLE)}
BEGIN_MS = 1_717_221_600_000  # 2024-06-01T06:00:00Z
DEBEZIUM = Path(__file__).parents[1] / "fixtures" / "debezium"

Make = Callable[..., World]


@pytest.fixture
def make(quick_spark: SparkSession, tmp_path: Path) -> Make:
    def make(horizon: date = date(2024, 7, 1), **settings: Any) -> World:
        return World(quick_spark, tmp_path / "world", horizon, jobs=JOBS, **settings)

    return make


def change(op: str, lsn: int, after_s: int, activity: int = 1, **cells: Any) -> dict[str, Any]:
    """A change of PostgreSQL, committed so many seconds after the first one."""
    of_log = {"connector": "postgresql", "name": "app", "table": "activities"}
    of_log |= {"ts_ms": BEGIN_MS + 1000 * after_s, "lsn": lsn, **cells.pop("source", {})}
    image = {"id": activity} if op == "d" else plain_run(activity, 7, "2024-06-01", **cells)
    images = {"before": image, "after": None} if op == "d" else {"before": None, "after": image}
    return {**images, "source": of_log, "op": op, "ts_ms": BEGIN_MS + 1000 * after_s + 90}


def counted(world: World, entry: Entry, name: str) -> float | None:
    """What a check of silver has observed in a run; None where the run has judged nothing."""
    of_run = [one for one in checks(world.spark, world.warehouse) if one["run_id"] == entry.run_id]
    found = (
        one["observed"]
        for one in of_run
        if (one["table_name"], one["check_name"]) == (SILVER, name)
    )
    return next(found, None)


def open_rows(world: World) -> list[Any]:
    path = str(world.warehouse / "ops" / "quarantine")
    quarantine = world.spark.read.format("delta").load(path)
    return quarantine.where("resolved_by IS NULL").collect()


def test_a_clock_that_contradicts_its_log_is_counted_whatever_wins(make: Make) -> None:
    world = make()
    first = [change("c", 100, 10), change("c", 300, 20, 2), change("c", 500, 0, 3)]
    world.deliver("cdc/1.jsonl", *first, change("d", 600, 40, 3))
    entry = world.run()[SILVER]
    assert counted(world, entry, "clock_behind_log") == 0
    # Later in the log, and earlier by its clock: none of them changes a row.
    late = [change("u", 200, 5, name="late"), change("d", 400, 15, 2), change("u", 700, 30, 3)]
    world.deliver("cdc/2.jsonl", *late)
    entry = world.run()[SILVER]
    assert (entry.rows_inserted, entry.rows_updated, entry.rows_deleted) == (0, 0, 0)
    assert counted(world, entry, "clock_behind_log") == 3
    # Without a new change nothing is counted again, nor of an activity with a sound clock.
    assert world.run()[SILVER].status == ledger.UNCHANGED
    world.deliver("cdc/3.jsonl", change("c", 800, 50, 4))
    assert counted(world, world.run()[SILVER], "clock_behind_log") == 0
    world.check()


def test_a_redelivery_is_a_duplicate_in_quarantine_too(make: Make) -> None:
    world = make()
    refused = change("u", 100, 10, distance="EtaH")
    without_id = change("u", 200, 10, id="EtaH")
    world.deliver("cdc/1.jsonl", refused, without_id, change("c", 1, 0, 9))
    world.run()
    assert len(open_rows(world)) == 2
    # After a crash the connector processes them once more, at another time.
    world.deliver("cdc/2.jsonl", *({**one, "ts_ms": BEGIN_MS * 2} for one in (refused, without_id)))
    entry = world.run()[SILVER]
    assert (entry.dispositions or {})["duplicate"] == 2
    assert sorted(tuple(row["reasons"]) for row in open_rows(world)) == [("encoding_unknown",)] * 2
    world.check()


def test_a_table_that_is_named_later_is_read_from_deliveries_that_are_there(make: Make) -> None:
    world = make()
    told: list[str] = []
    ride = change("c", 200, 10, 2, source={"table": "rides"})
    world.deliver("cdc/1.jsonl", change("c", 100, 10), ride)
    world.run(tell=told.append)
    assert [line for line in told if "1 of rides" in line and "cdc_tables" in line]
    assert list(world.published(SILVER)) == [(7, 1)]
    world.configure(cdc_tables=["activities", "rides"])
    world.run()
    assert sorted(world.published(SILVER)) == [(7, 1), (7, 2)]
    world.check()


@pytest.mark.parametrize("broken", [1, 3])
def test_control_messages_are_in_no_share(make: Make, broken: int) -> None:
    world = make()
    contract = world.root / "conf" / "contracts" / f"{SILVER}.odcs.yaml"
    limit = "  - {property: maxBrokenShare, value: 0.05}\n"
    text = contract.read_text("utf-8")
    assert limit in text
    few = f"{limit}  - {{property: minRows, value: 20}}\n"
    contract.write_text(text.replace(limit, few), "utf-8")
    noise = [
        {"ts_ms": BEGIN_MS},
        {"status": "END", "id": "571:1", "event_count": 1, "ts_ms": BEGIN_MS},
        {"op": "m", "source": {"lsn": 1}, "message": {}},
        {"source": {}, "ddl": "ALTER TABLE activities", "ts_ms": BEGIN_MS},
    ]
    rows = [
        change("c", number, number, number, **({"distance": -1} if number <= broken else {}))
        for number in range(1, 31)
    ]
    # Of 30 rows three are too many and one is not, however many messages stand between them.
    world.deliver("cdc/1.jsonl", *rows, *noise * 50)
    if broken == 3:
        with pytest.raises(RejectedError, match="broken_share"):
            world.run()
        return
    entries = world.run()
    assert len(world.published(SILVER)) == 30 - broken
    assert (entries["bronze.strava_activities"].dispositions or {})["ignored"] == 200


def test_a_real_debezium_through_the_jobs(make: Make) -> None:
    world = make(cdc_tables=["act"])
    lines = (DEBEZIUM / "activities-like-silver.jsonl").read_text().splitlines()
    at = datetime(2026, 11, 30, 6, tzinfo=UTC)
    world.deliver("cdc/1.jsonl", *lines[:9], at=at)
    world.run(now=at)
    # The connector was killed, and has sent some of them again.
    again = [json.loads(line) for line in lines[4:]]
    world.deliver(
        "cdc/2.jsonl", *(one and {**one, "ts_ms": one["ts_ms"] + 9} for one in again), at=at
    )
    world.run(now=at)
    found = {key[1]: (key[0], row["name"]) for key, row in world.published(SILVER).items()}
    assert found == {
        1001: (1001, "long name long name long name "),
        2002: (1001, "run 2"),
        1004: (1002, "run 4"),
        **{1000 + n: (1001, f"run {n}") for n in range(5, 11)},
    }
    assert open_rows(world) == []
    world.check()
