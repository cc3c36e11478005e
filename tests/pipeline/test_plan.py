"""`paceline plan` says what the run will say, and `paceline status` what waits; neither changes it.

Two athletes: one run is edited late, one record of the other is broken.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pyspark.sql import SparkSession

from paceline import ledger
from paceline.cli import status
from paceline.cli.execute import Options
from paceline.cli.plan import Plan, plan, show
from paceline.errors import PacelineError, UsageError
from paceline.ledger import Entry
from tests.oracle import Outcome
from tests.pipeline.warehouse import NOW
from tests.pipeline.worlds import (
    FEATURES,
    ROLLING,
    SETTINGS,
    SILVER,
    World,
    edited,
    effects,
    plain_run,
)

pytestmark = pytest.mark.slow

BRONZE = "bronze.strava_activities"
HORIZON = date(2024, 6, 30)
FIRST, LATE = "strava_api/first.jsonl", "strava_api/late.jsonl"
SETTINGS_FILE = "athlete_settings/changed.jsonl"


@dataclass
class Story:
    """What was planned and what came then."""

    world: World
    before: Outcome
    files: list[dict[str, str]]
    planned: Plan
    entries: dict[str, Entry]
    strict: Plan
    status: dict[str, Any]

    @property
    def after(self) -> Outcome:
        return self.world.expected()


@pytest.fixture(scope="module")
def story(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = World(quick_spark, tmp_path_factory.mktemp("plan"), HORIZON)
    of_june = plain_run(1, 1001, "2024-06-03")
    world.deliver(
        FIRST, of_june, plain_run(2, 1001, "2024-06-10"), plain_run(3, 1002, "2024-06-05")
    )
    world.run()
    before = world.expected()
    broken = plain_run(4, 1002, "2024-06-20", moving_time=5000)
    world.deliver(LATE, edited(of_june, distance=12000.0), broken)
    status_before = status_of(world)
    files = [digests(world.warehouse)]
    planned = plan(options(world), spark=quick_spark, now=NOW)
    files.append(digests(world.warehouse))
    told = Story(world, before, files, planned, world.run(), planned, status_before)
    world.deliver(
        SETTINGS_FILE, {"athlete_id": 1002, "valid_from": "2024-06-01", "hr_max_bpm": 300}
    )
    told.strict = plan(options(world, policy="STRICT"), spark=quick_spark, now=NOW)
    return told


def options(world: World, **others: Any) -> Options:
    places = {name: str(world.root / name) for name in ("landing", "warehouse", "conf")}
    return Options(**places, horizon=HORIZON.isoformat(), **others)


def status_of(world: World) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lines.append)
        status.show(options(world), as_json=True, is_check=False, now=NOW)
    found: dict[str, Any] = json.loads(lines[0])
    return found


def digests(root: Path) -> dict[str, str]:
    """By path, the digest of each file of the tables; a look by `status` is not one of them."""
    return {
        str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest()
        for path in root.glob("*/*/**/*")
        if path.is_file()
    }


def test_a_plan_has_the_numbers_of_the_run(story: Story) -> None:
    planned = {row["table_name"]: row for row in story.planned.tables}
    assert planned.keys() == story.entries.keys()
    for name, entry in story.entries.items():
        told = {key: value for key, value in planned[name].items() if key != "reason"}
        assert told == {key: getattr(entry, key) for key in told}, name


def test_a_plan_changes_no_file(story: Story) -> None:
    assert story.files[0] == story.files[1]
    assert story.files[0]


def test_a_plan_names_the_athlete_the_days_and_the_delivery(story: Story) -> None:
    changed = effects(story.before, story.after)
    touched = {row.table_name: row for row in story.planned.touched}
    assert touched.keys() == {SILVER, FEATURES, ROLLING}
    for name, row in touched.items():
        assert (row.athlete_id, row.because_of) == (1001, (LATE,))
        assert (row.inserted, row.updated, row.deleted) == changed[name]
    # The edited run of 3 June is the first; its fitness lasts to the horizon.
    assert (touched[SILVER].first_day, touched[SILVER].days) == (date(2024, 6, 3), 1)
    rolling = touched[ROLLING]
    assert (rolling.first_day, rolling.last_day, rolling.days) == (date(2024, 6, 3), HORIZON, 28)


def test_a_plan_tells_deliveries_refusals_and_reasons(story: Story) -> None:
    planned = story.planned
    assert [(found.table_name, found.path, found.records) for found in planned.deliveries] == [
        (BRONZE, LATE, 2)
    ]
    (refused,) = planned.refused
    assert (refused.table_name, refused.records) == (SILVER, 1)
    assert (refused.reasons, refused.example) == (("moving_within_elapsed",), f"{LATE}:2")
    reasons = {row["table_name"]: row["reason"] for row in planned.tables}
    assert reasons[SILVER] == f"changes of {BRONZE}"
    assert ("moving_within_elapsed", "WARN") in {
        (check["check_name"], check["verdict"]) for check in planned.checks
    }


def test_a_plan_tells_a_rejection_and_raises_nothing(story: Story) -> None:
    statuses = {row["table_name"]: row["status"] for row in story.strict.tables}
    assert statuses[SETTINGS] == ledger.REJECTED
    assert statuses[FEATURES] == statuses[ROLLING] == ledger.SKIPPED
    failed = {check["check_name"] for check in story.strict.checks if check["verdict"] == "FAIL"}
    assert "heartrates_range" in failed


def test_the_screen_shows_what_the_plan_holds(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    show(story.planned, as_json=False)
    said = capsys.readouterr().out
    for text in (LATE, "1001", "2024-06-03 2024-06-30", "moving_within_elapsed", f"{LATE}:2"):
        assert text in said
    show(story.planned, as_json=True)
    assert json.loads(capsys.readouterr().out)["touched"][0]["because_of"] == [LATE]


def test_status_tells_versions_rows_ages_and_what_waits(story: Story) -> None:
    told = {row["table_name"]: row for row in story.status["tables"]}
    assert {name: told[name]["rows"] for name in (BRONZE, SILVER, FEATURES, ROLLING)} == {
        **{BRONZE: 3, SILVER: 3, FEATURES: 3},
        ROLLING: 28 + 26,
    }
    assert told[BRONZE]["pending"] == ["1 new file"]
    assert told[SILVER]["pending"] == []
    # NOW is 1 July 2026, six o'clock; yesterday is 730 days after the horizon.
    assert told[ROLLING]["pending"] == ["730 new days"]
    # The newest run ended on 10 June 2024 at 06:51:40 UTC, 3,100 seconds after its start.
    assert told[FEATURES]["age"] == pytest.approx(751 - 3100 / 86400)
    assert story.status["problems"] == [
        f"{SILVER} is 751.0 days old, 1 are promised",
        f"{FEATURES} is 751.0 days old, 1 are promised",
        f"{ROLLING} is {told[ROLLING]['age']:.1f} days old, 1 are promised",
    ]
    assert [run["job"] for run in story.status["runs"]] == ["Feature_Rolling", "Feature_Activity"]


def test_a_check_of_status_fails_on_what_a_person_should_look_at(story: Story) -> None:
    with pytest.raises(PacelineError, match=r"Not all is well: .* is 751.0 days old"):
        status.show(options(story.world), as_json=True, is_check=True, now=NOW)


def test_a_catalog_has_no_plan() -> None:
    with pytest.raises(UsageError, match="which a catalog does not allow"):
        plan(Options(catalog="main"))


def test_completion_scripts_name_the_command() -> None:
    from paceline.cli.main import paceline

    for shell in ("bash", "zsh", "fish"):
        said = CliRunner().invoke(paceline, ["completion", shell])
        assert said.exit_code == 0
        assert "_PACELINE_COMPLETE" in said.output
