"""A contract gets one more column, and so do tables that exist, in place and without a rebuild."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from paceline import training_set
from paceline.cli.verify import verify_tables
from paceline.contract import load
from paceline.errors import PacelineError, UsageError
from paceline.operations.verify import Finding
from paceline.pipeline.arguments import Options
from paceline.publish.staged import staging_name
from paceline.store.ledger import Entry
from paceline.store.warehouse import Position, Warehouse
from tests.conftest import CONF
from tests.pipeline.new_columns import (
    BEFORE,
    COLUMNS,
    FILE,
    JOBS_AFTER,
    NAME,
    RECIPES,
    ROLLING,
    SHOES,
    promise,
    with_columns,
)
from tests.pipeline.worlds import World, edited, plain_run

pytestmark = pytest.mark.slow


@dataclass
class Story:
    world: World
    entries: dict[str, dict[str, Entry]] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    position: Position | None = None
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def options(self) -> Options:
        return Options(**{name: str(self.world.root / name) for name in ("warehouse", "conf")})

    def warehouse(self) -> Warehouse:
        made = Warehouse(self.world.spark, self.world.warehouse)
        made.create_schemas()
        made.register(NAME)
        return made

    def asked(self, *features: str, as_of_version: int | None = None) -> DataFrame:
        """Features of an athlete."""
        labels = self.world.spark.createDataFrame(
            [(1, "2024-06-20")], "athlete_id BIGINT, at STRING"
        )
        labels = labels.select("athlete_id", F.col("at").cast("timestamp").alias("at"))
        return training_set(
            self.world.spark,
            labels,
            features,
            timestamp_column="at",
            as_of_version=as_of_version,
            conf=self.world.root / "conf",
            warehouse=self.world.warehouse,
        ).frame

    def refuse(self, chapter: str, path: str, old: str, new: str) -> None:
        """What a run says after one more change of a contract, which is then taken back."""
        file = self.world.root / "conf" / path
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(PacelineError) as raised:
            self.world.run(jobs=JOBS_AFTER)
        self.refused[chapter] = str(raised.value)
        file.write_text(text, encoding="utf-8")


def dies_before_staging(self: Warehouse, name: str, *others: Any, **named: Any) -> Any:
    if name == staging_name(NAME):
        raise KeyboardInterrupt
    return CREATE(self, name, *others, **named)


CREATE = Warehouse.create


@pytest.fixture(scope="module")
def story(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = World(quick_spark, tmp_path_factory.mktemp("columns") / "world", date(2024, 6, 10))
    # Its activities look like those of the API.
    world.configure(model_permission="generated data")
    told = Story(world)
    activities = [plain_run(n, 1 + n % 2, f"2024-06-0{n}") for n in range(1, 6)]
    world.deliver("strava_api/a.jsonl", *activities)
    told.entries["before"] = world.run()
    told.position = told.warehouse().position(NAME)
    promise(world.root / "conf")
    with pytest.raises(PacelineError, match="run the jobs"):
        verify_tables(RECIPES, told.options, None, NAME, is_quiet=True)
    with pytest.raises(UsageError, match="has no extra_rain_mm yet: run the jobs first"):
        told.asked("extra_rain_mm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Warehouse, "create", dies_before_staging)
        with pytest.raises(KeyboardInterrupt):
            world.run(jobs=JOBS_AFTER)
    told.entries["after"] = world.run(jobs=JOBS_AFTER)
    found = verify_tables(RECIPES, told.options, None, None, is_quiet=True)
    told.findings = {finding.table_name: finding for finding in found}
    world.deliver(
        "strava_api/b.jsonl",
        edited(activities[0], distance=25_000.0, moving_time=7200, elapsed_time=7200),
    )
    told.entries["edited"] = world.run(jobs=JOBS_AFTER)
    told.refuse("removed", FILE, COLUMNS[1 : COLUMNS.index("      - name: extra_rain_mm")], "")
    told.refuse(
        "retyped",
        FILE,
        SHOES,
        SHOES.replace("integer", "number").replace("BIGINT", "DOUBLE"),
    )
    told.refuse(
        "bronze",
        "contracts/bronze.athlete_settings.odcs.yaml",
        "      - name: change_time_us\n",
        "      - {name: more, logicalType: integer, physicalType: BIGINT, required: true,"
        " description: More., examples: [1]}\n      - name: change_time_us\n",
    )
    told.refuse(
        "key",
        FILE,
        "      - name: event_timestamp\n",
        "      - {name: more, logicalType: integer, physicalType: BIGINT, required: true,"
        " primaryKey: true, primaryKeyPosition: 3, description: More., examples: [1]}\n"
        "      - name: event_timestamp\n",
    )
    return told


def test_columns_come_in_their_place(story: Story) -> None:
    stored = story.warehouse().table(NAME).columns
    names = list(BEFORE.column_names)
    at = names.index("distance_km")
    assert stored == [*names[:at], "extra_class", "extra_rain_mm", *names[at:]]


def test_their_rows_are_filled_by_the_next_run(story: Story) -> None:
    entry = story.entries["after"][NAME]
    assert (entry.rows_inserted, entry.rows_updated, entry.rows_deleted) == (0, 5, 0)
    assert entry.full_compare_reason == "rules, settings or recipes have changed"
    cells = story.warehouse().as_of(Position(NAME, "", entry.target_version or 0))
    filled = cells.groupBy("athlete_id").agg(
        F.min("extra_class"), F.max("extra_class"), F.min("extra_rain_mm")
    )
    # The runs are of 10 km each.
    assert {tuple(row) for row in filled.collect()} == {(1, 1, 1, 2.5), (2, 1, 1, None)}


def test_a_new_row_wise_feature_compares_no_rolling_row(story: Story) -> None:
    entry = story.entries["after"][ROLLING]
    assert (entry.status, entry.rows_compared) == ("UNCHANGED", 0)
    assert entry.full_compare_reason is None


def test_a_required_column_is_kept_by_a_constraint(story: Story) -> None:
    warehouse = story.warehouse()
    key = "delta.constraints.extra_class_required"
    assert warehouse.properties(NAME)[key] == "extra_class IS NOT NULL"
    with pytest.raises(Exception, match="extra_class_required"):
        warehouse.spark.sql(f"UPDATE {NAME} SET extra_class = NULL")


def test_verify_passes(story: Story) -> None:
    assert {finding.verdict for finding in story.findings.values()} == {"PASS"}
    assert story.findings[NAME].compared == 5


def test_an_increment_goes_on(story: Story) -> None:
    entry = story.entries["edited"][NAME]
    assert (entry.rows_updated, entry.full_compare_reason) == (1, None)
    row = story.warehouse().table(NAME).where("activity_id = 1").first()
    assert (row["extra_class"], row["distance_km"]) == (2, 25.0)
    # Its load has changed as well.
    assert story.entries["edited"][ROLLING].rows_updated > 0


def test_an_old_version_has_null_there(story: Story, quick_spark: SparkSession) -> None:
    assert story.position is not None
    old = story.warehouse().as_of(story.position)
    cells = old.select("extra_class", "extra_rain_mm").distinct().collect()
    assert [tuple(row) for row in cells] == [(None, None)]
    made = story.asked("extra_rain_mm", "distance_km", as_of_version=story.position.version)
    (row,) = made.collect()
    assert (row["extra_rain_mm"], row["distance_km"]) == (None, 10.0)


@pytest.mark.parametrize(
    ("chapter", "said"),
    [
        ("removed", "(extra_class), and only new ones can be added: restore the contract"),
        ("retyped", "(extra_class), and only new ones can be added: restore the contract"),
        ("key", "has another key now, with more, which its rows have no value of: move the table"),
        ("bronze", "only grows, so nothing can fill more in its rows: let the contract say"),
    ],
)
def test_other_changes_are_refused_with_what_to_do(story: Story, chapter: str, said: str) -> None:
    assert said in story.refused[chapter]


def test_the_contract_of_this_test_is_one(tmp_path: Path) -> None:
    path = tmp_path / Path(FILE).name
    path.write_text(with_columns((CONF / FILE).read_text(encoding="utf-8")), encoding="utf-8")
    assert set(load(path).column_names) - set(BEFORE.column_names) == {
        "extra_class",
        "extra_rain_mm",
    }
