"""What happens to the tables from outside, and to the rules: noticed, said, and repaired.

One story; each test looks at one of its chapters. After every chapter the tables equal the oracle.
"""

from __future__ import annotations

import shutil
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from io import StringIO
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.cli.verify import verify_tables
from paceline.errors import PacelineError
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import TABLES
from paceline.store.ledger import Entry
from tests.oracle import Outcome
from tests.pipeline.worlds import (
    FEATURES,
    PARTS,
    ROLLING,
    SETTINGS,
    SILVER,
    Effects,
    World,
    edited,
    effects,
    plain_run,
    told,
)

pytestmark = pytest.mark.slow

HORIZON = date(2024, 6, 30)
# 10 km in 2,000 s are 18 km/h; a ride of 90 km/h.
SPRINT, DOWNHILL = {"moving_time": 2000}, {"sport_type": "Ride", "distance": 75_000.0}


def run_of(number: int, day: str, **fields: Any) -> dict[str, Any]:
    return plain_run(100 + number, 1 + number % 3, day, **fields)


SPLITS = [{"split": n, "distance": 1000.0, "moving_time": 300} for n in range(1, 6)]
RUNS = [
    run_of(0, "2024-05-02", splits_metric=SPLITS),
    *(run_of(n, f"2024-05-{n:02d}") for n in range(3, 9)),
    run_of(9, "2024-05-20", **SPRINT),
    run_of(10, "2024-05-21", **DOWNHILL),
]


@dataclass
class Chapter:
    """One run of both jobs: its rows of the ledger, what it said, and what it should have done."""

    entries: dict[str, Entry]
    said: list[str]
    effects: Effects
    activities: set[int]


@dataclass
class Story:
    world: World
    before: Outcome
    chapters: dict[str, Chapter] = field(default_factory=dict)
    findings: dict[str, list[str]] = field(default_factory=dict)

    def go_on(self, name: str) -> None:
        said: list[str] = []
        entries = self.world.run(tell=said.append)
        after = self.world.expected()
        activities = {activity for _, activity in self.world.published(SILVER)}
        self.chapters[name] = Chapter(entries, said, effects(self.before, after), activities)
        self.before = after
        self.world.check()

    def crash_before(self, table: str) -> None:
        """A run that dies as soon as it comes to a table."""

        def die(moment: str, step: str, name: str) -> None:
            if (moment, step, name) == ("before", "claim", table):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.world.run(die)

    def verify(self, name: str) -> None:
        """Every line that verify says, and then its error."""
        conf = str(self.world.root / "conf")
        options = Options(warehouse=str(self.world.warehouse), conf=conf)
        lines = self.findings.setdefault(name, [])
        try:
            with redirect_stdout(StringIO()) as said:
                verify_tables(TABLES, options, None, None, is_personal=True)
        except PacelineError as error:
            lines += [*said.getvalue().splitlines(), str(error)]
        else:
            lines += said.getvalue().splitlines()


@pytest.fixture(scope="module")
def story(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = World(quick_spark, tmp_path_factory.mktemp("healing") / "world", HORIZON)
    story = Story(world, world.expected())
    world.deliver("strava_api/first.jsonl", *RUNS)
    world.deliver(
        "athlete_settings/first.jsonl",
        {"athlete_id": 1, "valid_from": "2024-05-01", "threshold_pace_s_per_km": 260},
    )
    story.go_on("first")
    _change_rules(story)
    _lose_a_change_feed(story)
    _tamper(story)
    return story


def _change_rules(story: Story) -> None:
    story.world.limit_speed("run", 16)
    story.world.limit_speed("ride", 100)
    story.verify("rules have changed")
    story.go_on("rules")


def _lose_a_change_feed(story: Story) -> None:
    story.world.deliver("strava_api/edit.jsonl", edited(RUNS[2], moving_time=2900))
    story.crash_before(FEATURES)
    story.verify("crashed")
    story.world.sql("OPTIMIZE {}", SILVER)
    story.world.vacuum(SILVER)
    story.go_on("feed")


def _tamper(story: Story) -> None:
    """Rows added, removed and altered behind the pipeline's back, a table lost, one restored."""
    world = story.world
    silver = str(world.warehouse.joinpath(*SILVER.split(".")))
    rows = world.spark.read.format("delta").load(silver).where("activity_id = 103")
    added = rows.withColumn("activity_id", rows.activity_id + 9000)
    added.write.format("delta").mode("append").save(silver)
    story.world.sql("DELETE FROM {} WHERE activity_id = 104", FEATURES)
    story.world.sql(
        "UPDATE {} SET tss_7d = tss_7d + 1 WHERE athlete_id = 2 AND as_of_date = '2024-05-30'",
        ROLLING,
    )
    story.verify("tampered")
    shutil.rmtree(world.warehouse.joinpath(*PARTS.split(".")))
    story.world.sql("RESTORE {} TO VERSION AS OF 0", SETTINGS)
    story.go_on("tampered")


def lines_of(story: Story, verified: str, table: str) -> list[str]:
    """What verify says of a table: its verdict, and its differences."""
    lines = story.findings[verified]
    at = next(n for n, line in enumerate(lines) if line.startswith(f"  {table} "))
    until = (n for n in range(at + 1, len(lines)) if not lines[n].startswith("    "))
    return lines[at : next(until)]


@pytest.mark.parametrize("name", ["first", "rules", "tampered"])
def test_comparing_everything_writes_only_what_differs(story: Story, name: str) -> None:
    chapter = story.chapters[name]
    assert chapter.entries[SILVER].full_compare_reason is not None
    if name != "tampered":
        assert told(chapter.entries) == chapter.effects


def test_a_changed_rule_takes_rows_out_and_lets_others_in(story: Story) -> None:
    first, then = story.chapters["first"], story.chapters["rules"]
    assert (first.activities - then.activities, then.activities - first.activities) == (
        {109},
        {110},
    )
    assert then.entries[SILVER].full_compare_reason == "rules, settings or recipes have changed"
    assert told(then.entries)[FEATURES] == (1, 0, 1)


def test_a_lost_change_feed_is_said_and_healed(story: Story) -> None:
    chapter = story.chapters["feed"]
    reason = f"the change feed of {SILVER} no longer reaches back to the last run"
    assert chapter.entries[FEATURES].full_compare_reason == reason
    assert any(FEATURES in line and reason in line for line in chapter.said)
    assert told(chapter.entries)[FEATURES] == (0, 1, 0)


def test_each_interference_is_noticed_and_undone(story: Story) -> None:
    entries = story.chapters["tampered"].entries
    names = (SILVER, PARTS, SETTINGS, FEATURES, ROLLING)
    assert {name: entries[name].full_compare_reason for name in names} == {
        SILVER: "the table has been written since the last sealed run",
        PARTS: "the table has been recreated",
        SETTINGS: "the table has been written since the last sealed run",
        FEATURES: "the table has been written since the last sealed run",
        ROLLING: "the table has been written since the last sealed run",
    }
    assert {name: counts for name, counts in told(entries).items()} == {
        SILVER: (0, 0, 1),
        PARTS: (5, 0, 0),
        SETTINGS: (1, 0, 0),
        FEATURES: (1, 0, 0),
        ROLLING: (0, 1, 0),
    }


def test_verify_shows_an_added_a_removed_and_an_altered_row(story: Story) -> None:
    assert lines_of(story, "tampered", SILVER)[1:] == [
        "    athlete_id 1, activity_id 9103 should not exist"
    ]
    assert "PASS" in lines_of(story, "tampered", PARTS)[0]
    assert lines_of(story, "tampered", FEATURES)[1:] == [
        "    athlete_id 2, activity_id 104 is missing"
    ]
    verdict, *shown = lines_of(story, "tampered", ROLLING)
    assert "FAIL" in verdict
    assert "1 of them differ" in verdict
    altered, tss = shown
    assert altered == "    athlete_id 2, as_of_date 2024-05-30 differs"
    assert tss.startswith("        tss_7d: published ")
    assert "run the jobs" in story.findings["tampered"][-1]


def test_verify_does_not_judge_what_is_not_settled(story: Story) -> None:
    changed = "ERROR rules, settings, policy or recipes have changed"
    assert changed in lines_of(story, "rules have changed", SILVER)[0]
    assert f"{FEATURES} cannot be judged" in lines_of(story, "rules have changed", ROLLING)[0]
    assert "PASS" in lines_of(story, "rules have changed", SETTINGS)[0]
    assert "PASS" in lines_of(story, "crashed", SILVER)[0]
    assert f"it is behind {SILVER}" in lines_of(story, "crashed", FEATURES)[0]
    assert f"{FEATURES} cannot be judged" in lines_of(story, "crashed", ROLLING)[0]
    assert "run the jobs without --start first" in story.findings["crashed"][-1]


def test_the_verdict_is_in_the_ledger(story: Story) -> None:
    path = str(story.world.warehouse / "ops" / "ledger")
    ledger = story.world.spark.read.format("delta").load(path)
    rows = ledger.where("job = 'verify'").orderBy("started_at", "table_name")
    verdicts = [row["verdict"] for row in rows.select("verdict").collect()]
    assert sorted(verdicts[:5]) == ["ERROR"] * 4 + ["PASS"]
    assert sorted(verdicts[5:10]) == ["ERROR"] * 2 + ["PASS"] * 3
    assert sorted(verdicts[10:]) == ["FAIL"] * 3 + ["PASS"] * 2
