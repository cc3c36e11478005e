"""Policies and gates: however records are cut into batches, and whatever a person lets pass.

Two warehouses get the same records of athlete settings, one all at once and one in small batches,
and stay the same under every policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.cli.plan import Plan, plan
from paceline.docs.audits import write
from paceline.docs.batches import last_batches
from paceline.errors import RejectedError, UsageError
from paceline.pipeline import jobs
from paceline.pipeline.arguments import Options
from paceline.publish.constraints import PROPERTY
from paceline.store import ledger
from paceline.store.ledger import Entry
from paceline.store.warehouse import Warehouse
from paceline.tables.bronze import athlete_settings as bronze
from paceline.tables.silver import athlete_settings as silver
from tests.pipeline.warehouse import NOW, content, run
from tests.spark.given import CONTRACTS

pytestmark = pytest.mark.slow

JOB = {jobs.FEATURE_ACTIVITY: (bronze.TABLE, silver.TABLE)}


def settings(athlete: int, **values: float) -> dict[str, Any]:
    return {"athlete_id": athlete, "valid_from": "2026-01-01", **values}


GOOD = settings(1, hr_max_bpm=190, hr_rest_bpm=50)
# A maximum below rest; the second one is mended later.
BROKEN = settings(2, hr_max_bpm=40, hr_rest_bpm=50)
MENDED = BROKEN | {"hr_max_bpm": 180}
ALSO_BROKEN = settings(3, hr_max_bpm=45, hr_rest_bpm=50)
BETTER = GOOD | {"hr_max_bpm": 195}
THIRD_BROKEN = settings(4, hr_max_bpm=46, hr_rest_bpm=50)
LATER = settings(5, hr_max_bpm=170)
LAST = settings(6, hr_max_bpm=171)
# A good version of the second one, but older: a run compares both, and the broken one stays open.
OLDER = BROKEN | {"hr_max_bpm": 175, "updated_at": "2026-05-01T00:00:00Z"}


@dataclass
class Chapter:
    """What a run returned or raised, and what the table held and promised after it."""

    entries: dict[str, Entry] = field(default_factory=dict)
    error: Exception | None = None
    rows: dict[int, float | None] = field(default_factory=dict)
    refused: set[tuple[int, str]] = field(default_factory=set)
    constraints: set[str] = field(default_factory=set)
    audits: list[Any] = field(default_factory=list)
    plan: Plan | None = None

    @property
    def run_id(self) -> str:
        """The run that its rejection names."""
        return str(self.error).split("--accept ")[1].rstrip(".")


class House:
    """A warehouse; every record arrives in a file of its own, later than those before."""

    def __init__(self, spark: SparkSession, root: Path) -> None:
        self.spark, self.root, self.runs, self.files = spark, root, 0, 0

    def deliver(self, *records: dict[str, Any]) -> None:
        for record in records:
            self.files += 1
            name = f"{self.files:02}_2026-06-01T06-{self.files:02}-00.jsonl"
            path = self.root / "landing" / "athlete_settings" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record) + "\n", encoding="utf-8")

    def plan(self, *records: dict[str, Any], policy: str) -> Plan:
        self.deliver(*records)
        places = {name: str(self.root / name) for name in ("landing", "warehouse")}
        return plan(JOB, Options(**places, policy=policy), spark=self.spark, now=NOW)

    def run(self, *records: dict[str, Any], **options: Any) -> Chapter:
        self.deliver(*records)
        self.runs += 1
        told = Chapter()
        places = self.root / "landing", self.root / "warehouse"
        now = NOW + timedelta(hours=self.runs)
        try:
            told.entries = run(self.spark, *places, jobs=JOB, now=now, **options)
        except (RejectedError, UsageError) as error:
            told.error = error
        cells = content(self.spark, self.root / "warehouse", silver.NAME)
        told.rows = {row[0]: row[3] for row in cells}
        quarantine = self.spark.read.format("delta").load(
            str(self.root / "warehouse" / "ops" / "quarantine")
        )
        told.refused = {
            (json.loads(row["key"])["athlete_id"], ",".join(row["reasons"]))
            for row in quarantine.where("resolved_by IS NULL").collect()
        }
        told.constraints = self.constraints()
        return told

    def constraints(self) -> set[str]:
        listed = self.sql("SHOW TBLPROPERTIES {}").collect()
        keys = (row["key"] for row in listed)
        return {key.removeprefix(PROPERTY) for key in keys if key.startswith(PROPERTY)}

    def sql(self, statement: str) -> Any:
        path = self.root / "warehouse" / "silver" / "athlete_settings"
        return self.spark.sql(statement.format(f"delta.`{path}`"))


@pytest.fixture(scope="module")
def told(
    quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Chapter]]:
    patch = pytest.MonkeyPatch()
    whole, parts = (
        House(quick_spark, tmp_path_factory.mktemp(name)) for name in ("whole", "parts")
    )
    told = {"whole": whole.run(GOOD, BROKEN, MENDED, ALSO_BROKEN)}
    parts.run(GOOD, BROKEN)
    told["parts"] = parts.run(MENDED, ALSO_BROKEN)
    told["foreign"] = Chapter(error=foreign_write(whole))

    told["always, whole"] = whole.run(BETTER, THIRD_BROKEN, policy="ALWAYS")
    parts.run(BETTER, policy="ALWAYS")
    told["always, parts"] = parts.run(THIRD_BROKEN, policy="ALWAYS")

    told["back, whole"] = whole.run()
    told["planned"] = Chapter(plan=whole.plan(LATER, policy="STRICT"))
    told["strict, whole"] = whole.run(policy="STRICT")
    told["strict, parts"] = parts.run(policy="STRICT")
    told["strict, blocked"] = parts.run(LATER, policy="STRICT")
    audits = last_batches(Warehouse(quick_spark, parts.root / "warehouse"), CONTRACTS)
    told["audits"] = Chapter(audits=audits[silver.NAME])
    accept = told["strict, parts"].run_id
    told["unknown"] = whole.run(policy="STRICT", accept="nobody")
    told["accepted, whole"] = whole.run(policy="STRICT", accept=told["strict, whole"].run_id)
    told["accepted, parts"] = parts.run(policy="STRICT", accept=accept)
    # Side by side, in two threads of one driver; a record comes again that was accepted before.
    with ThreadPoolExecutor(2) as threads:
        again = (LAST, ALSO_BROKEN)
        runs = [threads.submit(house.run, *again, policy="STRICT") for house in (whole, parts)]
        told["after, whole"], told["after, parts"] = (run.result() for run in runs)
    yield told
    patch.undo()


def foreign_write(house: House) -> Exception:
    """What a notebook gets that writes a broken row into the table."""
    try:
        house.sql(
            "INSERT INTO {} (athlete_id, valid_from, hr_max_bpm, hr_rest_bpm)"
            " VALUES (9, DATE '2026-01-01', 40, 50)"
        )
    except Exception as error:
        return error
    raise AssertionError("the broken row was taken")


REFUSED = "hr_rest_below_max"


def test_under_quarantine_batches_do_not_matter(told):
    for name in ("whole", "parts"):
        assert told[name].rows == {1: 190, 2: 180}
        assert told[name].refused == {(3, REFUSED)}


def test_constraints_refuse_a_broken_row_of_another_writer(told):
    assert REFUSED in told["whole"].constraints
    assert REFUSED in str(told["foreign"].error)


def test_under_always_batches_do_not_matter(told):
    for name in ("always, whole", "always, parts"):
        assert told[name].error is None
        assert told[name].rows == {1: 195, 2: 180, 3: 45, 4: 46}
        assert told[name].refused == set()
        assert told[name].entries[silver.NAME].verdict == "WARN"
        # The table cannot promise what its rows do not keep.
        assert told[name].constraints == set()


def test_the_policy_of_the_contract_takes_back_what_always_has_let_pass(told):
    chapter = told["back, whole"]
    assert chapter.rows == {1: 195, 2: 180}
    assert chapter.refused == {(3, REFUSED), (4, REFUSED)}
    assert chapter.constraints == told["whole"].constraints


def test_under_strict_a_bad_record_blocks_what_comes_after_it(told):
    for name in ("strict, whole", "strict, parts", "strict, blocked"):
        assert isinstance(told[name].error, RejectedError)
        assert f"{silver.NAME} was rejected by its audit under STRICT" in str(told[name].error)
        assert f"{REFUSED} was broken by 2 rows, allowed are 0" in str(told[name].error)
        assert 5 not in told[name].rows


def test_a_plan_tells_the_rejection_and_raises_nothing(told):
    planned = told["planned"].plan
    statuses = {row["table_name"]: row["status"] for row in planned.tables}
    assert (statuses[bronze.NAME], statuses[silver.NAME]) == ("PUBLISHED", ledger.REJECTED)
    failed = {
        check["check_name"]: check["observed"]
        for check in planned.checks
        if check["verdict"] == "FAIL" and check["table_name"] == silver.NAME
    }
    assert failed == {REFUSED: 2}


def test_only_a_rejected_run_can_be_accepted(told):
    assert isinstance(told["unknown"].error, UsageError)
    assert "--accept nobody: no audit of that run has rejected anything" in str(
        told["unknown"].error
    )


def test_what_was_accepted_is_published_however_it_was_cut(told):
    for name in ("accepted, whole", "accepted, parts"):
        assert told[name].error is None
        assert told[name].rows == {1: 195, 2: 180, 5: 170}
        assert told[name].refused == {(3, REFUSED), (4, REFUSED)}
        assert told[name].entries[silver.NAME].verdict == "WARN"
        assert "accepted" in told[name].entries[silver.NAME].message


def test_the_last_batches_can_be_judged_again(told, tmp_path):
    rejected, published = told["audits"].audits
    assert rejected.meta["run_id"].run_name == told["strict, blocked"].run_id
    # What was rejected are the records set aside: the row to publish keeps all rules.
    assert rejected.success
    # The last batch that was published had a broken row, which ALWAYS lets pass.
    broken = [r.expectation_config.meta["check"] for r in published.results if not r.success]
    assert broken == [REFUSED]
    write({silver.NAME: told["audits"].audits}, tmp_path)
    page = (tmp_path / "audits" / f"{silver.NAME}.2.html").read_text(encoding="utf-8")
    assert REFUSED in page


def test_what_was_accepted_blocks_no_later_run_and_threads_do_not_disturb_each_other(told):
    for name in ("after, whole", "after, parts"):
        assert told[name].error is None
        assert told[name].entries[silver.NAME].status == ledger.PUBLISHED
        assert told[name].rows == {1: 195, 2: 180, 5: 170, 6: 171}


def test_under_strict_only_a_person_lets_a_broken_record_pass_and_only_that_one(
    quick_spark: SparkSession, tmp_path: Path
) -> None:
    house, open_record = House(quick_spark, tmp_path), {(2, REFUSED)}
    assert house.run(GOOD, BROKEN).refused == open_record

    # The record is in quarantine already, but no person has accepted it.
    rejected = house.run(LATER, policy="STRICT")
    assert isinstance(rejected.error, RejectedError)
    accepted = house.run(policy="STRICT", accept=rejected.run_id)
    assert accepted.error is None
    assert (accepted.rows, accepted.refused) == ({1: 190, 5: 170}, open_record)

    beside = house.run(OLDER, policy="STRICT")
    assert beside.error is None
    assert beside.entries[silver.NAME].full_compare_reason is None
    assert beside.entries[silver.NAME].rows_quarantined == 1
    assert (beside.rows, beside.refused) == ({1: 190, 2: 175, 5: 170}, open_record)

    new = house.run(ALSO_BROKEN, BETTER, policy="STRICT")
    assert isinstance(new.error, RejectedError)
    assert f"{REFUSED} was broken by 1 rows, allowed are 0" in str(new.error)
    assert (new.rows, new.refused) == (beside.rows, open_record)
