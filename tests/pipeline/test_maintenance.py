"""Maintenance between two runs, in a warehouse whose files are ten days old.

Silver has not read the last change of bronze, which is older than the week for which Delta keeps
what has been replaced. It still has to follow that change by the feed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.cli.maintenance import maintain_tables
from paceline.contract import load_all
from paceline.operations import maintenance
from paceline.operations.maintenance import Upkeep
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.pipeline.jobs import TABLES as RECIPES
from paceline.recipe import Table
from paceline.store.annotations import describe
from paceline.store.ledger import Entry
from paceline.store.warehouse import Warehouse
from paceline.tables.bronze import athlete_settings as bronze
from paceline.tables.silver import athlete_settings as silver
from tests.conftest import CONF
from tests.pipeline.warehouse import changed, content, heard, run, versions

pytestmark = pytest.mark.slow

DAYS = 10
TABLES = (bronze.NAME, silver.NAME)
STAGING = {name: f"ops.staging_{name.replace('.', '_')}" for name in TABLES}
RETENTION = "delta.deletedFileRetentionDuration"
MEANING = "What a doctor calls the greatest heart rate."


@dataclass
class Story:
    """What happened, for the tests to look at."""

    root: Path
    upkeep: dict[str, Upkeep]
    told: list[str]
    properties: dict[str, dict[str, str]]
    staged: dict[str, set[str]]
    content: dict[str, dict[str, list[tuple[Any, ...]]]]
    entries: dict[str, dict[str, Entry]]
    commits: dict[str, dict[str, int]]

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"


def aged(source: Path, target: Path) -> None:
    """A copy of a warehouse as if everything in it had happened so many days earlier."""
    earlier_ms = DAYS * 86_400_000
    shutil.copytree(source, target)
    for path in (path for path in target.rglob("*") if path.is_file()):
        seconds = path.stat().st_mtime - earlier_ms / 1000
        if path.parent.name == "_delta_log" and path.suffix == ".json":
            text = re.sub(
                r'"deletionTimestamp":(\d+)',
                lambda found: f'"deletionTimestamp":{int(found[1]) - earlier_ms}',
                path.read_text(encoding="utf-8"),
            )
            path.write_text(text, encoding="utf-8")
            path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
        os.utime(path, (seconds, seconds))


def say_otherwise(conf: Path) -> None:
    """A new version of silver's contract, with another description of a column."""
    path = conf / "contracts" / f"{silver.NAME}.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    for pattern, said in (
        (r"(?m)^version: .*$", "version: 99.0.0"),
        (r"Greatest heart rate of the athlete\. [^\n]*", MEANING),
    ):
        text, found = re.subn(pattern, said, text)
        assert found == 1
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def story(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = tmp_path_factory.mktemp("maintenance")
    told = Story(root, {}, [], {}, {}, {}, {}, {})
    shutil.copytree(CONF, root / "conf", ignore=shutil.ignore_patterns("spark"))
    young, then = root / "young", datetime.now(UTC) - timedelta(days=DAYS)

    def deliver(name: str, *settings: tuple[int, int]) -> None:
        path = root / "landing" / "athlete_settings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {"athlete_id": athlete, "valid_from": "2024-01-01", "hr_max_bpm": hr_max}
            | {"updated_at": f"2024-01-01T00:00:{hr_max % 60:02}Z"}
            for athlete, hr_max in settings
        ]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")

    def chapter(name: str, at: datetime, warehouse: Path, *tables: Table) -> None:
        before = versions(warehouse)
        conf, jobs = str(root / "conf"), {FEATURE_ACTIVITY: tables}
        landing = root / "landing"
        told.entries[name] = run(quick_spark, landing, warehouse, jobs=jobs, now=at, conf=conf)
        told.commits[name] = changed(before, versions(warehouse))

    def maintain(name: str) -> list[Upkeep]:
        before = versions(told.warehouse)
        options = Options(warehouse=str(told.warehouse), conf=str(root / "conf"))
        with heard(told.told.append):
            done = maintain_tables(RECIPES, options)
        told.commits[name] = changed(before, versions(told.warehouse))
        return done

    def look(name: str, warehouse: Path) -> None:
        told.content[name] = {table: content(quick_spark, warehouse, table) for table in TABLES}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maintenance, "KEPT_RUNS", 1)
        deliver("1.jsonl", (1, 181), (2, 182))
        chapter("first", then, young, bronze.TABLE, silver.TABLE)
        deliver("2.jsonl", (1, 185))
        chapter("second", then + timedelta(minutes=1), young, bronze.TABLE, silver.TABLE)
        deliver("3.jsonl", (2, 187), (3, 183))
        chapter("half", then + timedelta(minutes=2), young, bronze.TABLE)
        look("before", young)
        aged(young, told.warehouse)
        told.upkeep = {done.table_name: done for done in maintain("maintenance")}
        maintain("again")
        look("after", told.warehouse)
        known = Warehouse(quick_spark, told.warehouse)
        told.properties = {name: known.properties(name) for name in TABLES}
        told.staged = {
            name: {
                row[-1].rpartition("-")[0] for row in content(quick_spark, told.warehouse, staging)
            }
            for name, staging in STAGING.items()
        }
        now = datetime.now(UTC)
        chapter("catch-up", now, told.warehouse, bronze.TABLE, silver.TABLE)
        say_otherwise(root / "conf")
        deliver("4.jsonl", (1, 188))
        chapter("increment", now, told.warehouse, bronze.TABLE, silver.TABLE)
        look("increment", told.warehouse)
        chapter("rebuild", now, root / "rebuilt", bronze.TABLE, silver.TABLE)
        look("rebuild", root / "rebuilt")
    return told


def test_no_row_is_another_one(story: Story) -> None:
    assert story.content["after"] == story.content["before"]
    assert story.upkeep[silver.NAME].rows == (2, 2)
    assert story.upkeep[bronze.NAME].rows == (5, 5)


def test_small_files_are_put_together(story: Story) -> None:
    for name in (*TABLES, "ops.ledger", "ops.deliveries"):
        assert story.upkeep[name].before.files > story.upkeep[name].after.files == 1


def test_what_is_old_and_read_is_removed(story: Story) -> None:
    assert story.upkeep[silver.NAME].files_removed > 0
    (line,) = (line for line in story.told if silver.NAME in line and "2 rows as before" in line)
    assert f"{story.upkeep[silver.NAME].files_removed} unneeded files removed" in line


def test_staged_rows_go_but_for_the_last_run_that_published(story: Story) -> None:
    assert story.upkeep[STAGING[bronze.NAME]].runs_removed == 2
    assert story.upkeep[STAGING[silver.NAME]].runs_removed == 1
    last = {bronze.NAME: "half", silver.NAME: "second"}
    for name, chapter in last.items():
        assert story.staged[name] == {story.entries[chapter][name].run_id}


def test_changes_that_nobody_has_read_yet_are_kept(story: Story) -> None:
    # Ten days and some minutes are eleven days, and one is for the run to come.
    assert story.properties[bronze.NAME][RETENTION] == "interval 288 hours"
    assert RETENTION not in story.properties[silver.NAME]
    assert story.upkeep[bronze.NAME].files_removed == 0
    followed = story.entries["catch-up"][silver.NAME]
    assert followed.full_compare_reason is None
    assert (followed.rows_inserted, followed.rows_updated) == (1, 1)


def test_a_second_maintenance_commits_nothing(story: Story) -> None:
    assert set(story.commits["maintenance"]) > set(TABLES)
    assert story.commits["again"] == {}


def test_the_next_catch_up_sees_no_change_in_what_was_maintained(story: Story) -> None:
    published = {n: c for n, c in story.commits["catch-up"].items() if n in TABLES}
    assert published == {silver.NAME: 1}  # what it had not read yet
    assert story.entries["catch-up"][bronze.NAME].status == "UNCHANGED"


def test_an_increment_after_maintenance_ends_where_a_rebuild_does(story: Story) -> None:
    assert story.entries["increment"][silver.NAME].full_compare_reason is None
    assert story.entries["increment"][silver.NAME].rows_updated == 1
    assert story.content["increment"][silver.NAME] == story.content["rebuild"][silver.NAME]


def test_a_new_version_of_a_contract_reaches_the_comments(
    story: Story, quick_spark: SparkSession
) -> None:
    # One for the row, one each for the comment and the version.
    assert story.commits["increment"][silver.NAME] == 3
    contracts = load_all(story.root / "conf" / "contracts")
    warehouse = Warehouse(quick_spark, story.warehouse)
    warehouse.create_schemas()
    for name in TABLES:
        warehouse.register(name)
        with heard(pytest.fail):
            assert not describe(warehouse, contracts[name])
    stored = {f.name: f.metadata.get("comment") for f in warehouse.table(silver.NAME).schema}
    assert stored["hr_max_bpm"] == f"{MEANING} Unit: bpm."
    assert warehouse.properties(silver.NAME)["paceline.contract"] == f"{silver.NAME}@99.0.0"
    rebuilt = quick_spark.read.format("delta").load(
        str(story.root.joinpath("rebuilt", *silver.NAME.split(".")))
    )
    assert {f.name: f.metadata.get("comment") for f in rebuilt.schema} == stored
