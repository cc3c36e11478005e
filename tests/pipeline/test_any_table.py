"""Publishing knows no table: new ones, made as the how-to page says, about athletes or nobody."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from paceline.cli.erase import erase_athlete
from paceline.cli.verify import verify_tables
from paceline.contract import load, refuse_nameless
from paceline.errors import UsageError
from paceline.operations.verify import Finding
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import FEATURE_ACTIVITY, JOBS, Jobs, tables_of
from paceline.recipe import Context, Frames, Scope, Table
from paceline.store.ledger import Entry
from tests.pipeline.warehouse import content
from tests.pipeline.worlds import World, edited, plain_run

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "a-new-table.md"
FEATURES = "feature_store.activity_features"
WEEKS, DAYS, SECOND = (f"feature_store.{name}" for name in ("activity_weeks", "days", "daily"))
HORIZON = date(2024, 6, 10)
MORE = "More"
TYPES = {
    "BIGINT": ("integer", "7"),
    "DATE": ("date", "'2024-06-03'"),
    "STRING": ("string", "run"),
}


def block(language: str) -> str:
    """The block of the page in a language, without its indentation."""
    (found,) = re.findall(
        rf"(?ms)^    ```{language} [^\n]*\n(.*?)^    ```$", PAGE.read_text("utf-8")
    )
    return re.sub(r"(?m)^    ", "", found)


def days_touched(changes: Frames, inputs: Frames, own: DataFrame, context: Context) -> Scope:
    return Scope(keys=changes[FEATURES].select("sport_family", "local_day").distinct())


def days_rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    activities = scope.select(inputs[FEATURES])
    return activities.groupBy("sport_family", "local_day").agg(F.count("*").alias("activities"))


def daily_touched(changes: Frames, inputs: Frames, own: DataFrame, context: Context) -> Scope:
    """All days of changed athletes; of the others those that a later horizon adds."""
    first = F.lit(date(2000, 1, 1))
    changed = changes[FEATURES].select("athlete_id", first.alias("since"))
    added = inputs[FEATURES].select(
        "athlete_id", F.date_add(F.lit(context.horizon_before or context.horizon), 1).alias("since")
    )
    keys = changed.union(added).groupBy("athlete_id").agg(F.min("since").alias("since"))
    return Scope(keys=keys.where(F.col("since") <= F.lit(context.horizon)), since="day")


def daily_rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    """A row per athlete and day from the first activity to the horizon."""
    first = inputs[FEATURES].groupBy("athlete_id").agg(F.min("local_day").alias("first"))
    days = F.explode(F.sequence("first", F.lit(context.horizon))).alias("day")
    return scope.select(
        first.select("athlete_id", days, F.lit(1).cast("bigint").alias("activities"))
    )


def contract(name: str, keys: dict[str, str], entity: str | None) -> str:
    """The contract of the page for a table with other keys."""
    text = block("yaml").replace(WEEKS, name).replace("activity_weeks", name.split(".")[1])
    head, properties = text.split("    properties:\n")
    _, rest = properties.split("      - name: activities\n")
    columns = ""
    for at, (key, sql_type) in enumerate(keys.items(), start=1):
        logical, example = TYPES[sql_type]
        columns += (
            f"      - {{name: {key}, physicalType: {sql_type}, logicalType: {logical},"
            f" required: true, primaryKey: true, primaryKeyPosition: {at}, description: A key.,"
            f" examples: [{example}]}}\n"
        )
    if entity is None:
        head = head.replace("  - {property: entity, value: athlete_id}\n", "")
    return f"{head}    properties:\n{columns}      - name: activities\n{rest}"


@dataclass
class Story:
    world: World
    jobs: Jobs
    entries: dict[str, dict[str, Entry]] = field(default_factory=dict)
    rows: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)

    def go_on(
        self,
        chapter: str,
        *jobs: str,
        hook: Callable[..., None] = lambda *now: None,
        **options: Any,
    ) -> None:
        chosen = {job: self.jobs[job] for job in jobs}
        with suppress(KeyboardInterrupt):
            self.entries[chapter] = self.world.run(hook, jobs=chosen, **options)
        self.rows[chapter] = {
            name: content(self.world.spark, self.world.warehouse, name)
            for name in (WEEKS, DAYS, SECOND)
        }

    def erase(self, athlete_id: int) -> None:
        places = {name: str(self.world.root / name) for name in ("warehouse", "conf")}
        out = self.world.root / "certificate.json"
        erase_athlete(tables_of(self.jobs), Options(**places), athlete_id, out)

    def verify(self, athletes: int | None) -> None:
        places = {name: str(self.world.root / name) for name in ("warehouse", "conf")}
        recipes = tables_of(self.jobs)
        found = verify_tables(recipes, Options(**places), athletes, None, is_quiet=True)
        self.findings = {finding.table_name: finding for finding in found}


@pytest.fixture(scope="module")
def story(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("any")
    (root / "activity_weeks.py").write_text(block("python"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        weeks = import_module("activity_weeks").TABLE
        days = Table(DAYS, (FEATURES,), days_touched, days_rows, day="local_day")
        daily = Table(SECOND, (FEATURES,), daily_touched, daily_rows, has_horizon=True, day="day")
        world = World(quick_spark, root / "world", HORIZON, dormant_after_days=90)
        conf = world.root / "conf" / "contracts"
        for name, text in {
            WEEKS: block("yaml"),
            DAYS: contract(DAYS, {"local_day": "DATE", "sport_family": "STRING"}, None),
            SECOND: contract(SECOND, {"athlete_id": "BIGINT", "day": "DATE"}, "athlete_id"),
        }.items():
            (conf / f"{name}.odcs.yaml").write_text(text, encoding="utf-8")
        told = Story(world, {FEATURE_ACTIVITY: JOBS[FEATURE_ACTIVITY], MORE: (weeks, days, daily)})
        # Two athletes; the second one rides.
        world.deliver(
            "strava_api/a.jsonl",
            *(plain_run(10 + n, 1, f"2024-06-0{n}") for n in (1, 3, 4)),
            plain_run(20, 2, "2024-06-04", sport_type="Ride"),
        )
        told.go_on("first", FEATURE_ACTIVITY, MORE)
        told.go_on("again", MORE)
        moved = edited(
            plain_run(13, 1, "2024-06-03"), start_date="2024-06-09T06:00:00Z",
            start_date_local="2024-06-09T08:00:00Z",
        )  # fmt: skip
        world.deliver("strava_api/b.jsonl", moved)
        told.go_on("window", MORE, start="2024-06-01", end="2024-06-02")
        told.go_on("moved", FEATURE_ACTIVITY, MORE)
        world.horizon += timedelta(days=1)

        def dies(*now: str) -> None:
            if now == ("before", "publish", SECOND):
                raise KeyboardInterrupt

        told.go_on("second died", MORE, hook=dies)
        world.horizon += timedelta(days=1)
        told.go_on("second came back", MORE)
        told.verify(athletes=1)
        told.erase(2)
        told.go_on("erased", FEATURE_ACTIVITY, MORE)
        yield told
        sys.modules.pop("activity_weeks", None)


MONDAY, NEXT = date(2024, 5, 27), date(2024, 6, 3)


def test_the_page_makes_a_table(story: Story) -> None:
    # 1 June is a Saturday, 3 June a Monday.
    assert story.rows["first"][WEEKS] == [(1, MONDAY, 1), (1, NEXT, 2), (2, NEXT, 1)]
    entry = story.entries["first"][WEEKS]
    assert (entry.status, entry.touched_entities) == ("PUBLISHED", 2)
    assert story.entries["again"][WEEKS].status == "UNCHANGED"


def test_the_page_holds_in_a_window_run_too(story: Story) -> None:
    entry = story.entries["window"][WEEKS]
    assert (entry.status, entry.rows_inserted + entry.rows_updated) == ("UNCHANGED", 0)
    # 3 June has become 9 June: a Sunday of the same week.
    assert story.entries["moved"][WEEKS].full_compare_reason is None
    assert story.rows["moved"][WEEKS] == story.rows["first"][WEEKS]


def test_a_table_about_nobody_is_published_and_repaired(story: Story) -> None:
    first = [(date(2024, 6, 1), "run", 1), (date(2024, 6, 3), "run", 1)]
    ride = (date(2024, 6, 4), "ride", 1)
    assert story.rows["first"][DAYS] == sorted(
        [*first, ride, (date(2024, 6, 4), "run", 1)], key=repr
    )
    assert story.entries["first"][DAYS].touched_entities is None
    entry = story.entries["moved"][DAYS]
    assert (entry.rows_inserted, entry.rows_updated, entry.rows_deleted) == (1, 0, 1)
    assert (date(2024, 6, 9), "run", 1) in story.rows["moved"][DAYS]
    assert (date(2024, 6, 3), "run", 1) not in story.rows["moved"][DAYS]


def test_a_daily_table_that_missed_a_day_gets_it_later(story: Story) -> None:
    assert story.rows["second died"][SECOND] == story.rows["moved"][SECOND]
    entry = story.entries["second came back"][SECOND]
    # Two athletes, two days: the one that was missed and the new one.
    assert (entry.rows_inserted, entry.horizon) == (4, HORIZON + timedelta(days=2))
    # From 1 June, and from 4 June, to 12 June.
    assert len(story.rows["second came back"][SECOND]) == 12 + 9


def test_verify_compares_a_sample_of_athletes_and_all_that_is_about_nobody(story: Story) -> None:
    found = story.findings
    assert {finding.verdict for finding in found.values()} == {"PASS"}
    assert found[DAYS].compared == 4
    # Of one of the two athletes: two weeks, or one.
    assert found[WEEKS].compared in (1, 2)
    assert found[SECOND].compared in (12, 9)


def test_an_erasure_reaches_every_table(story: Story) -> None:
    assert {row[0] for row in story.rows["erased"][WEEKS]} == {1}
    assert len(story.rows["erased"][SECOND]) == 12
    # What was made of many is made again, of those who are left.
    entry = story.entries["erased"][DAYS]
    assert (entry.rows_inserted, entry.rows_updated, entry.rows_deleted) == (0, 0, 1)
    assert entry.full_compare_reason is None
    assert (date(2024, 6, 4), "ride", 1) not in story.rows["erased"][DAYS]
    assert story.entries["erased"][WEEKS].status == "UNCHANGED"


def test_a_table_about_nobody_may_hold_nothing_personal(tmp_path: Path) -> None:
    text = block("yaml").replace("  - {property: entity, value: athlete_id}\n", "")
    path = tmp_path / f"{WEEKS}.odcs.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="tags athlete_id as pii, and says not whose"):
        refuse_nameless([load(path)])
