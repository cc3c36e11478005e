"""What `paceline plan` and `paceline status` say, without a run."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from paceline.cli import plan as plan_module
from paceline.cli import status
from paceline.cli.main import exit_code, paceline
from paceline.cli.plan import Plan, plan, show
from paceline.errors import PacelineError, UsageError
from paceline.operations import dry_run
from paceline.operations.dry_run import Delivered, Refused, Touched
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import JOBS, Jobs
from paceline.store.state import Sealed

SILVER = "silver.strava_activities"
COUNTS = {
    **{"rows_inserted": 1, "rows_updated": 2, "rows_deleted": 0, "rows_quarantined": 7},
    **{"touched_entities": 1200, "touched_days": None},
}
PLAN = Plan(
    tables=(
        {"table_name": SILVER, "status": "PUBLISHED", "verdict": "WARN", "reason": "why"} | COUNTS,
    ),
    deliveries=(Delivered("bronze.strava_activities", "strava_api/[b]late.jsonl", 1234),),
    touched=tuple(
        Touched(SILVER, athlete, 1, 2, 0, date(2024, 6, 3), date(2024, 6, 30), 28, paths)
        for athlete, paths in (
            (7, ("a", "b", "c", "d")),
            (8, ()),
            (9, ()),
            (10, ()),
            (11, ()),
            (12, ()),
        )
    ),
    refused=(Refused(SILVER, ("moving_time_positive",), 7, "strava_api/late.jsonl:2"),),
    checks=(
        {
            **{"table_name": SILVER, "check_name": "moving_time_positive"},
            **{"observed": 7.0, "threshold": 0.0, "verdict": "WARN"},
        },
    ),
)
HEALTHY = {"last_status": "PUBLISHED", "verified": "PASS", "age": 0.5, "max_age": 1.0, "unit": "d"}


def test_the_screen_shows_what_the_plan_holds(capsys: pytest.CaptureFixture[str]) -> None:
    show(PLAN, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    for text in (
        f"{SILVER} PUBLISHED WARN 1 2 0 7 1,200 {SILVER}: why",
        "bronze.strava_activities 1,234 strava_api/[b]late.jsonl",
        f"{SILVER} *** 1 2 0 28 2024-06-03 2024-06-30 a, b and 2 more",
        f"{SILVER} and 1,195 more",
        f"{SILVER} 7 moving_time_positive strava_api/late.jsonl:2",
        f"{SILVER} moving_time_positive WARN 7 0",
        "Nothing was changed.",
    ):
        assert text in said
    assert said.count(f"{SILVER} *** ") == 5


def test_json_holds_all_of_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    show(PLAN, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [row["athlete_id"] for row in told["touched"]] == ["***"] * 6
    assert told["touched"][0]["because_of"] == ["a", "b", "c", "d"]
    assert told["tables"][0]["touched_entities"] == 1200


@pytest.mark.parametrize("as_json", [True, False])
def test_a_plan_names_athletes_only_when_asked_to(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    path = "strava_export/athlete_id=4711/x\x1b[2J/activities.csv"
    plan = replace(
        PLAN,
        deliveries=(Delivered("bronze.strava_activities", path, 1),),
        touched=(Touched(SILVER, 4711, 1, 0, 0, None, None, None, (path,)),),
        refused=(Refused(SILVER, ("unreadable",), 1, f"{path}:2"),),
    )
    show(plan, as_json=as_json)
    out = capsys.readouterr().out
    assert "4711" not in out
    assert out.count("athlete_id=***") == 3
    assert "\x1b" not in out
    show(plan, as_json=as_json, is_personal=True)
    out = capsys.readouterr().out
    assert out.count("4711") == 4
    assert "\x1b" not in out


def test_a_reader_that_windows_have_kept_from_following_has_everything_before_it() -> None:
    warehouse: Any = SimpleNamespace(table=lambda name: f"all of {name}")
    sealed = Sealed({}, {}, target_id="a", target_version=1, fingerprint=None, horizon=None)
    for reader in (None, sealed):
        assert dry_run._news(warehouse, "bronze.a", reader) == "all of bronze.a"


def test_the_copy_lies_on_the_disk_of_the_warehouse_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, seen = tmp_path / "not" / "there", []

    def rehearsed(jobs: Jobs, options: Options, scratch: Path, *others: Any) -> None:
        seen.append(scratch)
        (scratch / "bronze").mkdir()
        assert scratch.parent == root
        raise OSError("java.io.IOException: No space left on device")

    monkeypatch.setattr(plan_module, "_run_dry", rehearsed)
    told = f"disk of the warehouse {root} is full or cannot be written: a plan writes there"
    with pytest.raises(PacelineError, match=re.escape(told)):
        plan(JOBS, Options(warehouse=str(root)))
    assert list(tmp_path.iterdir()) == []

    (root / ".plan-killed" / "bronze").mkdir(parents=True)
    (root / ".plan-running").mkdir()
    os.utime(root / ".plan-killed", (0, 0))
    with pytest.raises(PacelineError):
        plan(JOBS, Options(warehouse=str(root)))
    assert [path.name for path in root.iterdir()] == [".plan-running"]
    assert len(seen) == 2


def test_a_catalog_has_no_plan() -> None:
    with pytest.raises(UsageError, match="which a catalog does not allow"):
        plan(JOBS, Options(catalog="main"))


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({}, None),
        ({"age": None, "max_age": None, "unit": None}, None),
        ({"age": 1.5}, "is 1.5 days old, 1 are promised"),
        ({"age": 30.0, "max_age": 24.0, "unit": "h"}, "is 30.0 hours old, 24 are promised"),
        ({"last_status": "REJECTED"}, "was REJECTED by its last run"),
        ({"last_status": "UNCHANGED"}, None),
        ({"verified": "FAIL"}, "differs from its rebuild"),
        ({"verified": None}, None),
    ],
)
def test_what_a_person_should_look_at(facts: dict[str, Any], problem: str | None) -> None:
    found = status._problems(HEALTHY | facts, is_there=True)
    assert found == ([] if problem is None else [problem])


def test_a_table_that_has_gone_is_a_problem() -> None:
    assert status._problems(HEALTHY, is_there=False) == ["is gone"]


def test_only_a_check_fails_when_not_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {
        "tables": [],
        "runs": [],
        "quarantine": [],
        "rolling": [],
        "online": None,
        "problems": [f"{SILVER} is gone"],
    }
    monkeypatch.setattr(status, "found", lambda recipes, options, now: told)
    assert exit_code(paceline, ["status"]) == 0
    assert f"! {SILVER} is gone" in capsys.readouterr().out
    assert exit_code(paceline, ["status", "--check", "--json"]) == 1
    assert f"Not all is well: {SILVER} is gone." in capsys.readouterr().err


def test_completion_scripts_name_the_command() -> None:
    for shell in ("bash", "zsh", "fish"):
        said = CliRunner().invoke(paceline, ["completion", shell])
        assert said.exit_code == 0
        assert "_PACELINE_COMPLETE" in said.output
