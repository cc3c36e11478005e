"""The steps of the machine on its smallest chain: athlete settings from landing to silver.

One story, told once; each test looks at one of its chapters.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.errors import PacelineError, RejectedError, UsageError
from paceline.pipeline import jobs
from paceline.publish import merge as merge_module
from paceline.publish import steps as steps_module
from paceline.publish.claim import Claim
from paceline.publish.steps import STEPS
from paceline.store import ledger
from paceline.store.ledger import Entry
from paceline.store.state import read_state
from paceline.store.warehouse import LAYOUT_PROPERTY, Warehouse
from paceline.tables.bronze import athlete_settings as bronze
from paceline.tables.silver import athlete_settings as silver
from tests.pipeline.warehouse import NOW, changed, content, lines, run, versions

JOB = {jobs.FEATURE_ACTIVITY: (bronze.TABLE, silver.TABLE)}
STAGING = "ops.staging_silver_athlete_settings"


pytestmark = pytest.mark.slow


def settings(athlete: int, valid_from: str, **values: Any) -> dict[str, Any]:
    return {"athlete_id": athlete, "valid_from": valid_from, **values}


GOOD = settings(1, "2026-01-01", threshold_pace_s_per_km=270, hr_max_bpm=190, hr_rest_bpm=50)
FASTER = GOOD | {"threshold_pace_s_per_km": 260}
# A maximum below rest breaks two rules and is sent again later, mended.
BROKEN = settings(2, "2026-01-01", hr_max_bpm=40, hr_rest_bpm=50)
MENDED = BROKEN | {"hr_max_bpm": 180}


THIRD = settings(3, "2026-01-01", hr_max_bpm=170)

DAY = date(2026, 6, 30)


@dataclass
class Chapter:
    """One run: what it returned or raised, which steps it took, and what it committed."""

    entries: dict[str, Entry] = field(default_factory=dict)
    error: Exception | None = None
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    commits: dict[str, int] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    silver: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass
class Story:
    """A warehouse over time."""

    spark: SparkSession
    root: Path
    day: int = 0

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"

    def deliver(self, name: str, *records: Any) -> None:
        path = self.landing / "athlete_settings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def chapter(
        self,
        fail: tuple[str, str] | None = None,
        error: BaseException | None = None,
        table: str = silver.NAME,
        **options: Any,
    ) -> Chapter:
        """Runs the job; with `fail`, dies (or has an error) at that moment of that step."""
        told = Chapter()

        def hook(moment: str, step: str, name: str) -> None:
            told.steps.append((moment, step, name))
            if fail == (moment, step) and name == table:
                raise error or KeyboardInterrupt

        before = versions(self.warehouse)
        self.day += 1
        try:
            told.entries = run(
                self.spark,
                self.landing,
                self.warehouse,
                jobs=JOB,
                now=NOW + timedelta(hours=self.day),
                hook=hook,
                tell=told.lines.append,
                **options,
            )
        except (PacelineError, KeyboardInterrupt, ConnectionError) as raised:
            told.error = None if isinstance(raised, KeyboardInterrupt) else raised
        told.versions = versions(self.warehouse)
        told.commits = changed(before, told.versions)
        told.silver = content(self.spark, self.warehouse, silver.NAME)
        return told

    def crash_at(self, horizon: date) -> date | None:
        """The horizon that the ledger knows after a sealed run and a later one that crashed."""
        warehouse = Warehouse(self.spark, self.warehouse)
        sealed = Entry("sealed", "Feature_Rolling", "some.table", ledger.PUBLISHED, horizon=DAY)
        sealed.target_id, sealed.target_version = "id", 1
        sealed.started_at = sealed.finished_at = NOW
        crashed = Entry("crashed", "Feature_Rolling", "some.table", horizon=horizon)
        crashed.event, crashed.started_at = ledger.AUDITED_EVENT, NOW
        ledger.append(warehouse, [sealed, crashed])
        return read_state(warehouse).sealed["some.table"].horizon

    def newer_release(self) -> Chapter:
        """The warehouse has been written by a release that knows another layout."""
        path = self.warehouse / "ops" / "ledger"
        self.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('{LAYOUT_PROPERTY}' = '99')")
        return self.chapter()

    def ledger(self) -> list[dict[str, Any]]:
        return lines(self.spark, self.warehouse)

    def quarantine(self) -> list[dict[str, Any]]:
        frame = self.spark.read.format("delta").load(str(self.warehouse / "ops" / "quarantine"))
        return [row.asDict() for row in frame.orderBy("first_seen").collect()]


@contextmanager
def meeting_another_run(spark: SparkSession, tale: Story) -> Iterator[None]:
    """The first merge into silver ends in what Delta says when two writers have met."""
    conflicts = [conflict(spark, tale.root / "met")]

    def merge(claimed: Claim, *others: Any) -> int:
        if claimed.table.name == silver.NAME and conflicts:
            raise conflicts.pop()
        return merge_module.merge(claimed, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps_module, "merge", merge)
        yield


def conflict(spark: SparkSession, path: Path) -> Exception:
    """A real one: a transaction that has read what was deleted before it commits."""
    spark.range(3).write.format("delta").save(str(path))
    jvm = spark._jvm
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, str(path))
    transaction = log.startTransaction()
    transaction.readWholeTable()
    spark.sql(f"DELETE FROM delta.`{path}` WHERE id = 1")
    nothing = getattr(getattr(jvm.scala.collection.immutable, "Nil$"), "MODULE$")
    update = getattr(jvm.org.apache.spark.sql.delta, "DeltaOperations$ManualUpdate$")
    try:
        transaction.commit(nothing, getattr(update, "MODULE$"))
    except Exception as error:
        return error
    raise AssertionError("Delta has seen no conflict")


@pytest.fixture(scope="module")
def story(
    quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    patch = pytest.MonkeyPatch()
    tale = Story(quick_spark, tmp_path_factory.mktemp("machine"))
    # Told to OpenLineage, and not as this machine may have configured it.
    patch.delenv("OPENLINEAGE_DISABLED")
    patch.setenv("HOME", str(tale.root))
    told: dict[str, Any] = {"tale": tale}
    tale.deliver("a_2026-06-01T06-00-00.jsonl", GOOD, BROKEN, "{not json", "", GOOD)
    told["rejected"] = tale.chapter(policy="STRICT")
    told["first"] = tale.chapter()
    told["quarantined"] = tale.quarantine()
    told["again"] = tale.chapter()
    tale.deliver("b_2026-06-02T06-00-00.jsonl", FASTER, MENDED)
    told["died before publish"] = tale.chapter(fail=("before", "publish"))
    told["died before seal"] = tale.chapter(fail=("before", "seal"))
    told["healed"] = tale.chapter()
    told["mended"] = tale.quarantine()
    shutil.rmtree(tale.warehouse / "silver" / "athlete_settings")
    told["dropped"] = tale.chapter()
    told["ledger"] = tale.ledger()
    tale.deliver("c_2026-06-03T06-00-00.jsonl", THIRD)
    lost = ConnectionError("a message that may hold values")
    told["failed"] = tale.chapter(("before", "publish"), lost, bronze.NAME)
    told["after failure"] = tale.ledger()[-2:]
    told["lineage"] = (tale.warehouse / "openlineage.jsonl").read_text(encoding="utf-8")
    with meeting_another_run(quick_spark, tale):
        told["conflict"] = tale.chapter()
    os.utime(tale.landing / "athlete_settings" / "b_2026-06-02T06-00-00.jsonl")
    told["touched"] = tale.chapter()
    told["touched again"] = tale.chapter()
    shutil.rmtree(tale.warehouse / "bronze" / "athlete_settings")
    told["bronze dropped"] = tale.chapter()
    shutil.rmtree(tale.warehouse / "bronze" / "athlete_settings")
    shutil.rmtree(tale.landing / "athlete_settings")
    told["bronze lost"] = tale.chapter()
    told["after loss"] = tale.ledger()[-2:]
    told["lineage of loss"] = (tale.warehouse / "openlineage.jsonl").read_text(encoding="utf-8")
    tale.deliver("4711.jsonl", GOOD)
    vanished = UsageError("The landing file athlete_settings/4711.jsonl vanished during the run.")
    with patch.context() as unreadable:
        unreadable.setattr("paceline.intake.files.discover", raising(vanished))
        told["landing vanished"] = tale.chapter()
    told["after vanishing"] = tale.ledger()[-2:]
    told["crashed horizon"] = tale.crash_at(date(2030, 1, 1))
    told["newer"] = tale.newer_release()
    yield told
    patch.undo()


def raising(error: Exception) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        raise error

    return function


def silver_row(record: dict[str, Any]) -> tuple[Any, ...]:
    """What silver should hold for a record, by the columns of its table."""
    numbers = ("threshold_pace_s_per_km", "hr_max_bpm", "hr_rest_bpm", "lthr_bpm")
    values = (None if record.get(n) is None else float(record[n]) for n in numbers)
    return (record["athlete_id"], date.fromisoformat(record["valid_from"]), *values, None)


def test_strict_publishes_nothing_of_a_batch_with_a_broken_row(story):
    chapter = story["rejected"]
    assert isinstance(chapter.error, RejectedError)
    assert "hr_rest_below_max was broken by 1 rows, allowed are 0" in str(chapter.error)
    assert "SELECT * FROM delta.`" in str(chapter.error)
    assert chapter.silver == []
    assert chapter.commits[silver.NAME] == 1  # its creation


def test_the_steps_come_in_their_order_with_a_hook_around_each(story):
    of_silver = [(m, s) for m, s, name in story["first"].steps if name == silver.NAME]
    assert of_silver == [(moment, step) for step in STEPS for moment in ("before", "after")]


def test_a_rejected_batch_is_published_once_the_policy_lets_it(story):
    assert story["first"].silver == [silver_row(GOOD)]
    assert story["first"].entries[bronze.NAME].status == ledger.UNCHANGED


def test_every_record_has_exactly_one_disposition(story):
    # Five lines: one blank, one good, its copy, one broken, one unreadable.
    entry = story["first"].entries[silver.NAME]
    assert entry.rows_read == 4
    assert {disposition: count for disposition, count in entry.dispositions.items() if count} == {
        "current": 1,
        "duplicate": 1,
        "quarantined": 1,
        "unreadable": 1,
    }


def test_the_quarantine_keeps_reasons_values_and_the_way_back(story):
    broken, unreadable = sorted(story["quarantined"], key=lambda row: row["reasons"])
    assert unreadable["reasons"] == ["unreadable"]
    assert unreadable["payload"] == "{not json"
    assert broken["reasons"] == ["hr_rest_below_max"]
    assert broken["broken_values"]["hr_max_bpm"] == "40.0"
    assert (broken["source_path"], broken["line_number"]) == (
        "athlete_settings/a_2026-06-01T06-00-00.jsonl",
        2,
    )
    assert json.loads(broken["key"]) == {"athlete_id": 2, "valid_from": "2026-01-01"}
    assert json.loads(broken["payload"]) == BROKEN


def test_a_catch_up_without_changes_commits_once_to_ops_and_nowhere_else(story):
    assert story["again"].commits == {"ops.ledger": 1}
    assert {entry.status for entry in story["again"].entries.values()} == {ledger.UNCHANGED}


def test_a_run_that_dies_before_publish_has_published_nothing(story):
    chapter = story["died before publish"]
    assert chapter.silver == [silver_row(GOOD)]
    assert silver.NAME not in chapter.commits


def test_the_run_after_a_crash_starts_over_and_publishes(story):
    # It dies in its turn, after the commit and before it could say so.
    chapter = story["died before seal"]
    assert chapter.silver == sorted([silver_row(FASTER), silver_row(MENDED)], key=repr)
    assert chapter.commits[silver.NAME] == 1


def test_the_run_after_a_lost_seal_finds_nothing_left_to_differ(story):
    chapter = story["healed"]
    assert silver.NAME not in chapter.commits
    assert STAGING not in chapter.commits
    entry = chapter.entries[silver.NAME]
    # The commit bears the mark of the dead run, so that nothing has to be compared.
    assert (entry.status, entry.full_compare_reason) == (ledger.UNCHANGED, None)
    assert entry.rows_compared == 0


def test_crashed_runs_are_abandoned_unless_they_had_published(story):
    statuses = [row["status"] for row in story["ledger"] if row["table_name"] == silver.NAME]
    assert statuses == [
        ledger.REJECTED,
        ledger.PUBLISHED,
        ledger.UNCHANGED,
        ledger.ABANDONED,
        ledger.PUBLISHED,
        ledger.UNCHANGED,
        ledger.PUBLISHED,
    ]


def test_openlineage_is_told_which_version_was_made_from_which(story):
    events = [json.loads(line) for line in story["lineage"].splitlines()]
    ends = [event for event in events if event["eventType"] != "START"]
    of_silver = [event for event in ends if event["job"]["name"].endswith(silver.NAME)]
    # Runs that died have told nothing.
    assert [event["eventType"] for event in of_silver] == ["FAIL", *["COMPLETE"] * 4, "ABORT"]
    checks = {c["name"]: c["status"] for c in of_silver[0]["run"]["facets"]["test"]["tests"]}
    assert (checks["hr_rest_below_max"], checks["key_unique"]) == ("fail", "pass")
    told = [
        [int(table["facets"]["version"]["datasetVersion"]) for table in e["inputs"] + e["outputs"]]
        for e in of_silver[1:-1]
    ]
    chapters = [story[name].versions for name in ("first", "again", "healed", "dropped")]
    assert told == [[newest[bronze.NAME], newest[silver.NAME]] for newest in chapters]


def test_a_record_leaves_the_quarantine_when_a_better_one_comes(story):
    still_open = [row["reasons"] for row in story["mended"] if row["resolved_by"] is None]
    resolved = [json.loads(r["payload"]) for r in story["mended"] if r["resolved_by"] is not None]
    assert still_open == [["unreadable"]]
    assert resolved == [BROKEN]


def test_after_a_failure_the_tables_that_were_left_are_skipped(story):
    assert isinstance(story["failed"].error, ConnectionError)
    failed, left = sorted(story["after failure"], key=lambda row: row["table_name"])
    assert (failed["table_name"], failed["status"]) == (bronze.NAME, ledger.FAILED)
    assert failed["message"] == "ConnectionError"
    assert (left["table_name"], left["status"]) == (silver.NAME, ledger.SKIPPED)
    assert left["message"] == f"{bronze.NAME} has failed"
    assert bronze.NAME not in story["failed"].commits


def test_a_conflict_that_delta_reports_starts_the_table_over(story):
    chapter = story["conflict"]
    entry = chapter.entries[silver.NAME]
    assert (entry.status, entry.rows_inserted) == (ledger.PUBLISHED, 1)
    assert entry.full_compare_reason == "another run has published in between"
    assert f"{silver.NAME}: another run is publishing, starting over" in chapter.lines
    assert [step for step in chapter.steps if step[1:] == ("claim", silver.NAME)] == [
        (moment, "claim", silver.NAME) for _ in range(2) for moment in ("before", "after")
    ]


def test_a_dropped_table_is_rebuilt_with_the_same_rows(story):
    chapter = story["dropped"]
    assert chapter.entries[silver.NAME].full_compare_reason == "the table has been recreated"
    assert chapter.silver == story["healed"].silver


def test_a_warehouse_of_a_newer_release_is_refused(story):
    chapter = story["newer"]
    assert isinstance(chapter.error, UsageError)
    assert "was written by a newer paceline (layout 99, this release knows 2)" in str(chapter.error)
    assert chapter.commits == {}


def test_a_file_that_was_only_touched_adds_nothing_and_is_remembered(story):
    assert story["touched"].error is None
    assert story["touched"].entries[bronze.NAME].rows_read == 0
    assert bronze.NAME not in story["touched"].commits
    assert story["touched again"].commits == {"ops.ledger": 1}


def test_a_dropped_bronze_table_is_read_again_from_the_landing_zone(story):
    chapter = story["bronze dropped"]
    assert chapter.entries[bronze.NAME].rows_inserted == 7
    assert chapter.silver == story["conflict"].silver


def test_a_lost_input_is_refused_instead_of_emptying_what_follows(story):
    chapter = story["bronze lost"]
    assert "bronze.athlete_settings has been lost" in str(chapter.error)
    assert chapter.silver == story["conflict"].silver
    assert silver.NAME not in chapter.commits


def test_a_failure_in_claim_is_booked_on_its_own_table(story):
    statuses = {row["table_name"]: (row["status"], row["message"]) for row in story["after loss"]}
    assert statuses[silver.NAME] == ("FAILED", str(story["bronze lost"].error))
    assert statuses[bronze.NAME][0] == ledger.UNCHANGED
    last = json.loads(story["lineage of loss"].splitlines()[-1])
    assert (last["eventType"], last["job"]["name"].split(".", 1)[1]) == ("FAIL", silver.NAME)


def test_a_landing_zone_that_fails_is_booked_on_the_table_it_feeds(story):
    statuses = {
        row["table_name"]: (row["status"], row["message"]) for row in story["after vanishing"]
    }
    assert statuses == {
        bronze.NAME: (
            "FAILED",
            "The landing file athlete_settings/***.jsonl vanished during the run.",
        ),
        silver.NAME: ("SKIPPED", f"{bronze.NAME} has failed"),
    }


def test_the_horizon_of_a_crashed_run_is_not_stored(story):
    assert story["crashed horizon"] == DAY
