"""The ledger as events: told as lines, read as far back as needed, and made of an older one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.store import ledger, ops
from paceline.store.ledger import Entry, Journal, Verdict
from paceline.store.state import read_state
from paceline.store.warehouse import Position, Warehouse
from paceline.tables.silver import athlete_settings as silver
from tests.pipeline.base import grown_chain
from tests.pipeline.faults import Chain
from tests.pipeline.warehouse import lines, quick, versions

pytestmark = pytest.mark.slow

A, B, C = "silver.a", "silver.b", "silver.c"
NOW = datetime.now(UTC)
# The ledger before the events, and where its checks were.
OLD_LEDGER = """
run_id STRING, job STRING, table_name STRING, status STRING, verdict STRING,
window_start TIMESTAMP, window_end TIMESTAMP, horizon DATE,
input_versions ARRAY<STRUCT<table_name STRING, table_id STRING, version BIGINT>>,
cursor ARRAY<STRUCT<table_name STRING, table_id STRING, version BIGINT>>,
target_id STRING, target_version BIGINT, full_compare_reason STRING, rows_read BIGINT,
rows_compared BIGINT, rows_inserted BIGINT, rows_updated BIGINT, rows_deleted BIGINT,
rows_unchanged BIGINT, rows_quarantined BIGINT, rows_superseded BIGINT,
dispositions MAP<STRING, BIGINT>, touched_entities BIGINT, touched_days BIGINT, newest TIMESTAMP,
code_version STRING, contract_version STRING, fingerprint STRING, git_commit STRING, target STRING,
job_run_id STRING, model_permission STRING, started_at TIMESTAMP, finished_at TIMESTAMP,
message STRING
"""
OLD_VERDICTS = """
run_id STRING, table_name STRING, check_name STRING, observed DOUBLE, threshold DOUBLE,
severity STRING, verdict STRING, contract_version STRING, judged_at TIMESTAMP
"""


@pytest.fixture
def warehouse(quick_spark: SparkSession, tmp_path: Path) -> Warehouse:
    made = Warehouse(quick_spark, tmp_path / "warehouse")
    made.create_schemas()
    ops.create(made, is_run=True)
    return made


def event(run_id: str, table: str, minutes: float, status: str = "STARTED", **more: Any) -> Entry:
    at = minute(minutes)
    said: dict[str, Any] = {"at": at, "started_at": at}
    return Entry(run_id, "Feature_Activity", table, status, **said | more)


def minute(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


def sealed(run_id: str, table: str, minutes: float, version: int, **more: Any) -> Entry:
    said: dict[str, Any] = {"status": "PUBLISHED", "target_id": "t", "target_version": version}
    return event(run_id, table, minutes, **said | more)


def audited(run_id: str, table: str, minutes: float, **more: Any) -> Entry:
    return event(run_id, table, minutes, event=ledger.AUDITED_EVENT, mark=f"{run_id}-1", **more)


def test_the_events_of_a_run_are_one_line_for_each_table(warehouse: Warehouse) -> None:
    checks = [Verdict("rule", 2.0, 0.0, "error", "FAIL")]
    dead = event("1", "", 0, tables=[A, B, C])
    # It has published A, which the run after it found out; of C nothing is known.
    of_dead = [audited("1", A, 1, rows_inserted=3), audited("1", B, 2, rows_inserted=7)]
    failed = event("1", A, 3, "FAILED", message="lost the connection")
    found_out = sealed("1", A, 11, 4, rows_inserted=3)
    second = event("2", "", 10, tables=[A, B, C])
    rejected = event("2", B, 13, "REJECTED", verdict="FAIL", checks=checks, message="no")
    skipped, lost = event("2", C, 14, "SKIPPED"), Entry("2", "Feature_Activity", C, event="NOTE")
    ledger.append(warehouse, [dead, *of_dead, failed, second, found_out])
    ledger.append(
        warehouse, [audited("2", A, 12), sealed("2", A, 12.5, 5), rejected, skipped, lost]
    )
    at_work = [event("3", "", 20, tables=[A, B]), audited("3", A, 21)]
    # Others may write beside it, without having taken its place.
    verified = replace(event("v", A, 22, "VERIFIED"), job="verify")
    ledger.append(warehouse, [*at_work, verified, replace(lost, at=minute(23))])
    assert warehouse.root is not None
    told = lines(warehouse.spark, warehouse.root)
    assert {(row["run_id"], row["table_name"]): row["status"] for row in told} == {
        ("1", A): "PUBLISHED",
        ("1", B): "ABANDONED",
        ("1", C): "ABANDONED",
        ("2", A): "PUBLISHED",
        ("2", B): "REJECTED",
        ("2", C): "SKIPPED",
        ("3", A): "STARTED",
        ("3", B): "STARTED",
        ("v", A): "VERIFIED",
    }
    by_table = {(row["run_id"], row["table_name"]): row for row in told}
    assert (by_table["1", A]["rows_inserted"], by_table["1", B]["rows_inserted"]) == (3, 0)
    assert "a later one started over" in by_table["1", C]["message"]
    assert by_table["2", B]["message"] == "no"
    assert ledger.rejected(warehouse, "2") == {B: {"rule": 2.0}}
    assert ledger.rejected(warehouse, "1") == {}
    assert ledger.table_names(warehouse) == {A, B, C}
    # It may have staged rows of a table, of which it could say nothing more.
    ledger.append(warehouse, [event("4", "", 30, tables=["predictions.d"])])
    assert ledger.table_names(warehouse) == {A, B, C, "predictions.d"}


def test_events_that_wait_come_with_the_next_ones_in_their_order(warehouse: Warehouse) -> None:
    assert warehouse.root is not None
    journal, before = Journal(warehouse), versions(warehouse.root)[ledger.LEDGER]
    journal.write()
    journal.wait(Entry("1", "Feature_Activity", A, "UNCHANGED"))
    assert versions(warehouse.root)[ledger.LEDGER] == before
    begun = Entry("2", "Feature_Rolling", "", tables=[B])
    journal.begin(begun)
    journal.begin(begun)
    journal.wait(Entry("2", "Feature_Rolling", B, "UNCHANGED"))
    journal.write()
    journal.write()
    assert versions(warehouse.root)[ledger.LEDGER] == before + 2
    rows = warehouse.table(ledger.LEDGER).orderBy("at").collect()
    assert [(row["run_id"], row["event"]) for row in rows] == [
        ("1", "SEALED"),
        ("2", "STARTED"),
        ("2", "SEALED"),
    ]


def test_a_clock_that_is_put_back_does_not_put_the_next_run_before_the_last(
    warehouse: Warehouse,
) -> None:
    ahead = 120
    ledger.append(warehouse, [sealed("1", A, ahead, 5, horizon=date(2026, 6, 1), open_rejects=0)])
    journal = Journal(warehouse)
    journal.follow(read_state(warehouse, [A]).newest)
    journal.wait(sealed("2", A, 0, 6, horizon=date(2026, 7, 1), open_rejects=1, at=None))
    journal.write(audited("3", A, 0, at=None))
    state = read_state(warehouse, [A])
    of_a = state.sealed[A]
    assert (of_a.run_id, of_a.horizon, of_a.open_rejects) == ("2", date(2026, 7, 1), 1)
    assert (state.unsealed[A].run_id, state.newest) == (
        "3",
        minute(ahead) + timedelta(microseconds=2),
    )


def test_the_newest_seal_counts_and_an_audit_that_came_after_it(warehouse: Warehouse) -> None:
    cursor = [Position("bronze.a", "b", 7)]
    ledger.append(
        warehouse,
        [
            sealed("1", A, 0, 3, horizon=date(2026, 6, 1), usual_rows=[7]),
            sealed(
                *("2", A, 2, 4),
                cursor=cursor,
                fingerprint="f",
                horizon=date(2026, 6, 2),
                usual_rows=[0, 7],
            ),
            audited("2", A, 1, base_version=3),
            event("3", A, 3, "FAILED"),
            sealed("1", B, 0, 9),
            audited("2", B, 1, base_version=9, cursor=cursor, rows_inserted=1),
            event("3", B, 2, "REJECTED"),
        ],
    )
    state = read_state(warehouse)
    assert state.sealed.keys() == {A, B}
    of_a = state.sealed[A]
    assert (of_a.run_id, of_a.target_version, of_a.fingerprint) == ("2", 4, "f")
    assert (of_a.cursor, of_a.horizon) == ({"bronze.a": cursor[0]}, date(2026, 6, 2))
    assert of_a.usual_rows == (0, 7)
    assert state.unsealed.keys() == {B}
    of_b = state.unsealed[B]
    assert (of_b.run_id, of_b.mark, of_b.base_version, of_b.cursor) == ("2", "2-1", 9, cursor)


def test_older_events_are_read_where_a_table_has_no_recent_seal(warehouse: Warehouse) -> None:
    old, recent = -40 * 24 * 60, -30 * 24 * 60
    ledger.append(warehouse, [sealed("1", A, old, 3), sealed("1", B, old, 3)])
    ledger.append(warehouse, [sealed("2", B, recent, 4)])
    assert {name: of.run_id for name, of in read_state(warehouse, [B]).sealed.items()} == {B: "2"}
    everything = {A: "1", B: "2"}
    for tables in (None, [A], [A, B], [C]):
        found = read_state(warehouse, tables).sealed
        assert {name: of.run_id for name, of in found.items()} == everything


@pytest.fixture(scope="module")
def chain(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, base_chain: Path
) -> Iterator[Chain]:
    with quick(spark):
        yield grown_chain(spark, tmp_path_factory.mktemp("older"), base_chain)


def test_the_ledger_of_an_older_release_goes_on_and_nothing_is_compared(chain: Chain) -> None:
    """What a run of this release has left, as an older one would have said it."""
    chain.deliver()
    chain.run()
    before = chain.statuses()
    rejected = {"status": "REJECTED", "verdict": "FAIL", "started_at": NOW, "finished_at": NOW}
    died = {"status": "STARTED", "started_at": NOW + timedelta(minutes=1)}
    told = [
        *lines(chain.spark, chain.warehouse),
        rejected | {"run_id": "rejected", "table_name": silver.NAME},
        died | {"run_id": "died", "table_name": silver.NAME},
    ]
    write_old(chain, ledger.LEDGER, OLD_LEDGER, told)
    judged = [
        {"run_id": "rejected", "check_name": "rule", "observed": 7.0, "verdict": "FAIL"},
        {"run_id": "rejected", "check_name": "other", "observed": 0.0, "verdict": "PASS"},
    ]
    known = {"table_name": silver.NAME, "threshold": 0.0, "severity": "error"}
    write_old(chain, "ops.verdicts", OLD_VERDICTS, [known | check for check in judged])
    version = versions(chain.warehouse)[ledger.LEDGER]
    entry = chain.run()
    assert (entry.status, entry.rows_compared, entry.full_compare_reason) == ("UNCHANGED", 0, None)
    expected = [*before, "REJECTED", "ABANDONED", "UNCHANGED"]
    assert sorted(chain.statuses()) == sorted(expected)
    # All rows in one commit, its properties in another, and what the run has said.
    assert versions(chain.warehouse)[ledger.LEDGER] == version + 3
    warehouse = Warehouse(chain.spark, chain.warehouse)
    assert ledger.rejected(warehouse, "rejected") == {silver.NAME: {"rule": 7.0}}
    followed = [
        line["rows_inserted"] + line["rows_updated"] + line["rows_deleted"]
        for line in told
        if line["table_name"] == silver.NAME
        and line["status"] == "PUBLISHED"
        and line["full_compare_reason"] is None
    ]
    assert followed
    assert read_state(warehouse).sealed[silver.NAME].usual_rows == tuple(followed[::-1])


def write_old(chain: Chain, name: str, ddl: str, rows: list[dict[str, Any]]) -> None:
    """Puts a table of an older release in the place of the one of this release."""
    schema = chain.spark.createDataFrame([], ddl).schema
    cells = [tuple(row.get(field) for field in schema.names) for row in rows]
    frame = chain.spark.createDataFrame(cells, schema)
    shutil.rmtree(chain.path(name), ignore_errors=True)
    writer = frame.write.format("delta")
    writer.partitionBy("run_id", "table_name").save(chain.path(name))
