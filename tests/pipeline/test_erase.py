"""Athletes are erased: nothing of them is left in any file, and the others' rows are as they were.

One story, whose tests look at its chapters. What the tables should hold afterwards is what the
oracle makes of the deliveries without the lines of the erased athletes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from paceline.cli.erase import erase_athlete
from paceline.cli.verify import verify_tables
from paceline.operations import erase
from paceline.operations.find_athlete import Place
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.store.ledger import Entry
from paceline.store.warehouse import Warehouse
from paceline.tables.bronze import strava_activities as bronze_activities
from paceline.tables.silver import strava_activities as silver_activities
from tests.oracle.compare import differences
from tests.pipeline.warehouse import changed, content, heard, versions
from tests.pipeline.worlds import SILVER, World, edited, plain_run

pytestmark = pytest.mark.slow

HORIZON = date(2024, 6, 10)
# What is searched for; the ids of the activities begin with that of the athlete.
GONE, MARKS = 987654321, ("98765432", "Quagga")
STAYS, SHARES = 21, 22
EXPORT = f"strava_export/athlete_id={GONE}/activities.csv"
DELETE_MS = 1_719_900_000_000

TABLES = (bronze_activities.TABLE, silver_activities.TABLE)
remove = erase._remove

Line = tuple[int, Any]


def of_gone(number: int, **fields: Any) -> Line:
    return GONE, plain_run(GONE * 100 + number, GONE, "2024-06-01", name="Quagga", **fields)


def of_others(athlete: int, number: int, **fields: Any) -> Line:
    return athlete, plain_run(athlete * 100 + number, athlete, "2024-06-02", **fields)


SHARED = of_others(SHARES, 50)[1]
FIRST: dict[str, list[Line]] = {
    "strava_api/mixed.jsonl": [
        of_gone(1),
        of_gone(2, moving_time=1300),
        (GONE, f'{{"id": {GONE}03, "athlete": {{"id": {GONE}}}, "name": "Quagga, cut off'),
        of_others(STAYS, 1),
        of_others(STAYS, 2, moving_time=1300),
        (STAYS, f'{{"id": {STAYS}03, "name": "cut off'),
        of_others(SHARES, 1),
        (STAYS, SHARED | {"athlete": {"id": STAYS}}),
        (SHARES, edited(SHARED)),
    ],
    EXPORT: [
        (GONE, "Activity ID,Activity Date,Activity Name,Activity Type,Elapsed Time,Moving Time"),
        (GONE, f'{GONE}04,"Jun 3, 2024, 6:00:00 AM",Quagga,Run,3000,2900'),
        (GONE, f"{GONE}05,Quagga"),
    ],
    f"cdc/athlete-{GONE}.jsonl": [
        (GONE, {"op": "c", "after": of_gone(6)[1], "ts_ms": DELETE_MS - 1}),
        (GONE, {"op": "d", "before": {"id": GONE * 100 + 6}, "ts_ms": DELETE_MS}),
    ],
}
LATER: dict[str, list[Line]] = {
    "strava_api/later.jsonl": [
        of_gone(7),
        of_others(SHARES, 4),
        (GONE, f'{{"name": "Quagga", "athlete_id": "{GONE}", cut off'),
        of_others(STAYS, 5),
    ],
    f"strava_export/athlete_id={GONE}/2/activities.csv": FIRST[EXPORT],
    f"cdc/{GONE}_later.jsonl": [
        (GONE, {"op": "d", "before": {"id": GONE * 100 + 1}, "ts_ms": DELETE_MS})
    ],
}


@dataclass
class Story:
    """What happened, for the tests to look at."""

    world: World
    lines: dict[str, list[Line]] = field(default_factory=dict)
    entries: dict[str, dict[str, Entry]] = field(default_factory=dict)
    commits: dict[str, dict[str, int]] = field(default_factory=dict)
    versions: dict[str, dict[str, int]] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)
    certificates: dict[str, dict[str, Any]] = field(default_factory=dict)
    marked: dict[str, set[str]] = field(default_factory=dict)
    rows: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def deliver(self, lines: dict[str, list[Line]]) -> None:
        self.lines |= lines
        for path, tagged in lines.items():
            self.world.deliver(path, *(line for _, line in tagged))

    def run(self, name: str) -> None:
        before, told = versions(self.world.warehouse), self.told.setdefault(name, [])
        self.entries[name] = self.world.run(tell=told.append, jobs={FEATURE_ACTIVITY: TABLES})
        self.versions[name] = versions(self.world.warehouse)
        self.commits[name] = changed(before, self.versions[name])

    def erase(self, name: str, athlete: int) -> None:
        told = self.told.setdefault(name, [])
        options = Options(warehouse=str(self.world.warehouse), conf=str(self.world.root / "conf"))
        out = self.world.root / "certificate.json"
        with heard(told.append):
            self.certificates[name] = erase_athlete(TABLES, options, athlete, out)
        assert json.loads(out.read_text(encoding="utf-8")) == self.certificates[name]
        self.versions[name] = versions(self.world.warehouse)

    def verify(self) -> None:
        options = Options(warehouse=str(self.world.warehouse), conf=str(self.world.root / "conf"))
        verify_tables(TABLES, options, None, None, is_quiet=True)

    def look(self, name: str) -> None:
        self.marked[name] = set(marked(self.world.warehouse))
        self.rows[name] = {
            table: [r for r in content(self.world.spark, self.world.warehouse, table) if of(r)]
            for table in (table.name for table in TABLES)
        }

    def compare(self, *erased: int) -> None:
        """Compares with the oracle, which never sees the lines of the erased athletes."""
        deliveries, self.world.deliveries = self.world.deliveries, []
        for delivery, tagged in zip(deliveries, self.lines.values(), strict=True):
            if kept := [line for athlete, line in tagged if athlete not in erased]:
                texts = [line if isinstance(line, str) else json.dumps(line) for line in kept]
                text = "\n".join(texts) + "\n"
                self.world.deliveries.append(replace(delivery, text=text))
        expected = self.world.expected()
        self.wrong += differences(expected.tables[SILVER], self.world.published(SILVER))
        refused = {found for found in expected.refused if found[0] == SILVER}
        self.wrong += map(str, refused ^ self.world._refused())

    def vacuum(self) -> None:
        """Removes the old files that wait, whatever the retention says."""
        check = "spark.databricks.delta.retentionDurationCheck.enabled"
        self.world.spark.conf.set(check, "false")
        try:
            for table in self.certificates["erased"]["tables"]:
                if table["files_waiting"]:
                    self.world.sql("VACUUM {} RETAIN 0 HOURS", table["table_name"])
        finally:
            self.world.spark.conf.unset(check)


def dies_at_bronze(warehouse: Warehouse, place: Place, rows: int) -> None:
    if place.is_received:
        raise RuntimeError("crashed")
    remove(warehouse, place, rows)


def of(row: tuple[Any, ...]) -> bool:
    return not any(mark in str(row) for mark in MARKS)


def marked(warehouse: Path) -> Iterator[str]:
    """Tables with a file, the log apart, in which a mark stands: as bytes, or decoded."""
    files = [path for path in warehouse.rglob("*") if path.is_file()]
    for path in (path for path in files if "_delta_log" not in path.parts):
        schema, table, *_ = (*path.relative_to(warehouse).parts, "")
        text = path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            text += str(pq.ParquetFile(path).read().to_pylist())
        if any(mark in text for mark in MARKS):
            yield f"{schema}.{table}"


@pytest.fixture(scope="module")
def story(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    world = World(quick_spark, tmp_path_factory.mktemp("erase") / "world", HORIZON)
    told = Story(world)
    with pytest.MonkeyPatch.context() as patch:
        told.deliver(FIRST)
        told.run("first")
        told.look("first")
        told.erase("erased", GONE)
        told.run("idle")
        told.vacuum()
        told.look("vacuumed")
        told.deliver(LATER)
        with patch.context() as crash:
            crash.setattr(erase, "_remove", dies_at_bronze)
            with pytest.raises(RuntimeError, match="crashed"):
                told.erase("interrupted", SHARES)
        told.erase("finished", SHARES)
        told.run("later")
        told.look("later")
        told.verify()
        told.compare(GONE, SHARES)
        yield told


def test_the_marks_are_found_before(story: Story) -> None:
    holds = {table.name for table in TABLES}
    staging = {f"ops.staging_{name.replace('.', '_')}" for name in holds}
    beside = {"ops.quarantine", "ops.deliveries"}
    assert story.marked["first"] == holds | staging | beside


def test_no_mark_is_left_in_any_file(story: Story) -> None:
    assert story.marked["vacuumed"] == set()


def test_the_others_are_bit_identical(story: Story) -> None:
    assert story.rows["vacuumed"] == story.rows["first"]
    assert len(story.rows["first"][bronze_activities.NAME]) == 6


def test_the_next_catch_up_finds_nothing_to_do(story: Story) -> None:
    assert story.commits["idle"] == {"ops.ledger": 1}
    assert {entry.status for entry in story.entries["idle"].values()} == {"UNCHANGED"}


def test_the_certificate_says_what_was_done(story: Story) -> None:
    made = story.certificates["erased"]
    tables = {table["table_name"]: table for table in made["tables"]}
    assert made["residual_rows"] == 0
    assert {name: t["version"] for name, t in tables.items()} == {
        name: version
        for name, version in story.versions["erased"].items()
        if name != "ops.erasures"
    }
    assert tables[bronze_activities.NAME]["rows_erased"] == 7
    # Of six activities three are refused, and one is deleted.
    assert tables[SILVER]["rows_erased"] == 2
    assert tables["ops.quarantine"]["rows_erased"] == 3
    # The names of two files, of which one is outside of a folder of the athlete.
    assert tables["ops.deliveries"]["rows_erased"] == 2
    assert tables[SILVER]["files_checked"] > 0


def test_the_certificate_says_how_long_old_files_wait(story: Story) -> None:
    made = story.certificates["erased"]
    (silver,) = (table for table in made["tables"] if table["table_name"] == SILVER)
    assert silver["files_waiting"] > 0
    after = datetime.fromisoformat(silver["vacuum_after"])
    assert abs(after - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=10)
    assert made["vacuum_after"] == max(table["vacuum_after"] or "" for table in made["tables"])


def test_nothing_that_is_said_or_certified_names_the_athlete(story: Story) -> None:
    said = json.dumps(story.certificates) + str(story.told)
    assert not any(mark in said for mark in MARKS)
    for name in (bronze_activities.NAME, SILVER, "ops.quarantine"):
        path = story.world.warehouse.joinpath(*name.split("."))
        history = story.world.spark.sql(f"DESCRIBE HISTORY delta.`{path}`").where(
            f"version > {story.versions['first'][name]}"
        )
        commits = history.select("operation", "operationParameters").collect()
        assert "MERGE" in {commit["operation"] for commit in commits}
        assert str(GONE) not in str(commits)


def test_the_deliveries_to_remove_are_listed(story: Story) -> None:
    listed = {line.strip() for line in story.told["erased"]}
    assert "strava_api/mixed.jsonl: 3 records, 6 of others: keep those" in listed
    assert "cdc/athlete-***.jsonl: 2 records, and no others" in listed
    assert "strava_export/athlete_id=***/activities.csv: 2 records, and no others" in listed
    digests = {file["sha256"] for file in story.certificates["erased"]["deliveries"]}
    landing = story.world.root / "landing"
    assert digests == {hashlib.sha256((landing / p).read_bytes()).hexdigest() for p in FIRST}


def test_new_deliveries_leave_no_trace(story: Story) -> None:
    assert story.marked["later"] == set()


def test_refused_deliveries_are_named_to_be_removed(story: Story) -> None:
    warnings = {line for line in story.told["later"] if "erased athlete" in line}
    left_out = "which were left out: remove them from the file"
    skipped = "lies in the folder of an erased athlete and is skipped: remove it"
    assert warnings == {
        f"warning: strava_api/later.jsonl holds records of erased athletes (3), {left_out}",
        f"warning: cdc/***_later.jsonl holds records of erased athletes (1), {left_out}",
        f"warning: strava_export/athlete_id=***/activities.csv {skipped}",
        f"warning: strava_export/athlete_id=***/2/activities.csv {skipped}",
    }


def test_an_interrupted_erasure_is_finished_by_erasing_again(story: Story) -> None:
    finished = story.certificates["finished"]
    assert finished["residual_rows"] == 0
    assert [file["records"] for file in finished["deliveries"]] == [2]
    # Nobody knows any more that only erasures have written to these tables.
    scopes = {name: entry.full_compare_reason for name, entry in story.entries["later"].items()}
    assert scopes[SILVER] == "the table has been written since the last sealed run"


def test_an_activity_that_others_have_records_of_is_theirs(story: Story) -> None:
    # As they have delivered it, and as the oracle has it.
    activities = story.world.published(SILVER)
    assert (STAYS, SHARES * 100 + 50) in activities
    assert {athlete for athlete, _ in activities} == {STAYS}
    assert story.wrong == []


def test_bronze_only_grows_again(story: Story) -> None:
    path = story.world.warehouse / "bronze" / "strava_activities"
    for athlete in (STAYS, SHARES):
        with pytest.raises(Exception, match="DELTA_CANNOT_MODIFY_APPEND_ONLY"):
            story.world.spark.sql(f"DELETE FROM delta.`{path}` WHERE athlete_id = {athlete}")
