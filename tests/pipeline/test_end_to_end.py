"""Both jobs on a synthetic landing zone: as a user starts them, and against a rebuild.

Real `spark-submit` processes build one warehouse from all deliveries. They reach no network, and of
paceline they have its wheel and a copy of the job files, far from the source tree. Another
warehouse grows in this session: two windows over part of the deliveries, the later one first, then
the rest arrives late and a catch-up takes it in. Both have to end in the same tables, bit for bit.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from paceline.generate import Summary, generate
from paceline.pipeline import jobs
from paceline.store import ledger
from paceline.store.ledger import Entry
from tests.bundle import wheel
from tests.pipeline.warehouse import changed, content, run, versions
from tests.unit.test_daily_fold import assert_same, oracle

pytestmark = pytest.mark.slow

EPOCH = date(1970, 1, 1)
END = date(2026, 6, 30)
DAYS = 110
HORIZON = {"horizon": "2026-07-03"}  # stated, so that no run depends on the clock
MIDDLE, EARLIER = "2026-05-10", "2026-04-10"
TABLES = [table.name for table in jobs.TABLES]
COMPARED = [name for name in TABLES if not name.startswith("bronze")]
ROLLING = "feature_store.athlete_rolling_features"


@dataclass
class Told:
    """What happened, for the tests to look at."""

    generated: Summary
    place: Path
    outputs: dict[str, str] = field(default_factory=dict)
    entries: dict[str, dict[str, Entry]] = field(default_factory=dict)
    commits: dict[str, dict[str, int]] = field(default_factory=dict)
    content: dict[str, dict[str, list[tuple[Any, ...]]]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def told(quick_spark, tmp_path_factory) -> Told:
    spark = quick_spark  # of other settings than the processes, which may change no bit
    place = tmp_path_factory.mktemp("end to end")
    landing, later = place / "landing", place / "later"
    rebuilt, grown = place / "rebuilt", place / "grown"
    story = Told(generate(landing, athletes=3, days=DAYS, seed=3, end=END), place)
    tools = wheel.install(wheel.build(tmp_path_factory.mktemp("wheel")), place / "installed")
    # A scheduler may hand on empty arguments, which mean that nothing was given.
    for job, empty in (("feature_activity", ()), ("feature_rolling", ("--start=", "--end="))):
        shutil.copy(wheel.ROOT / "jobs" / f"{job}.py", place)
        arguments = ("--landing", "landing", "--warehouse", "rebuilt", *empty)
        story.outputs[job] = _submit(tools, place, f"{job}.py", *arguments)
    story.content["rebuilt"] = {name: content(spark, rebuilt, name) for name in TABLES}

    held_back = _hold_back(landing, later)
    assert len(held_back) > 3
    story.entries["window"] = run(spark, landing, grown, start=MIDDLE, **HORIZON)
    story.entries["earlier window"] = run(
        spark, landing, grown, start=EARLIER, end=MIDDLE, **HORIZON
    )
    for path in held_back:
        shutil.move(later / path, landing / path)
    story.entries["late"] = run(spark, landing, grown, **HORIZON)
    story.content["grown"] = {name: content(spark, grown, name) for name in COMPARED}
    for name, options in (("again", {}), ("window again", {"start": MIDDLE, "end": "2026-06-10"})):
        before = versions(grown)
        story.entries[name] = run(spark, landing, grown, **HORIZON, **options)
        story.commits[name] = changed(before, versions(grown))
    return story


def _hold_back(landing: Path, later: Path) -> list[Path]:
    """Moves every third pull of activities away, so that it can arrive late."""
    pulls = sorted((landing / "strava_api").rglob("activities_*"))
    held = [path.relative_to(landing) for path in pulls[1::3]]
    for path in held:
        (later / path).parent.mkdir(parents=True, exist_ok=True)
        (landing / path).rename(later / path)
    return held


def _submit(tools: Path, place: Path, *job: str) -> str:
    """Runs a job in a directory as a user would, where the machine lets us without a network."""
    command = ["spark-submit", *job, "--horizon", HORIZON["horizon"]]
    if _can_cut_network():
        alone = 'ip link set lo up && exec "$@"'
        command = ["unshare", "--net", "--map-root-user", "sh", "-c", alone, "sh", *command]
    # Python with the wheel comes first; of the clone's tools it finds spark-submit.
    path = os.pathsep.join((str(tools), str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = wheel.environment() | {"PATH": path}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=place, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " ERROR " not in done.stderr, done.stderr
    # Warnings come before what else is said.
    return done.stderr + done.stdout


def _can_cut_network() -> bool:
    probe = ["unshare", "--net", "--map-root-user", "ip", "link", "set", "lo", "up"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_the_jobs_say_what_they_published(told):
    activity = told.outputs["feature_activity"]
    assert "feature_store.activity_features" in activity
    assert activity.count("PUBLISHED") == len(jobs.JOBS[jobs.FEATURE_ACTIVITY])
    assert " warning: README.txt is no delivery of a known kind" in activity
    assert told.outputs["feature_rolling"].count("PUBLISHED") == 1
    lines = (line.split() for output in told.outputs.values() for line in output.splitlines())
    # After the id of the run.
    published = {w[1]: w[2:6] for w in lines if len(w) > 5 and w[1] in TABLES}
    assert published == {
        name: ["PUBLISHED", f"+{len(told.content['rebuilt'][name])}", "~0", "-0"] for name in TABLES
    }


def test_the_jobs_need_only_the_wheel(told):
    installed = told.place / "installed"
    for job, output in told.outputs.items():
        source = output.splitlines()[-1].removeprefix("imported from ")
        assert installed in Path(source).parents, f"{job} was run with {source}"


def test_bronze_holds_every_record(told):
    assert len(told.content["rebuilt"]["bronze.strava_activities"]) == told.generated.records
    assert len(told.content["rebuilt"]["bronze.athlete_settings"]) == told.generated.settings


def test_a_window_publishes_what_starts_in_it(told):
    for name in ("window", "earlier window", "late"):
        assert told.entries[name]["silver.strava_activities"].rows_inserted > 0, name


def test_a_window_leaves_the_rest_for_the_next_catch_up(told):
    scope = told.entries["late"]["silver.strava_activities"].full_compare_reason
    assert scope == "no catch-up has read bronze.strava_activities yet"


def test_what_comes_late_is_told_by_the_change_feed(told):
    late = told.entries["late"]
    for name in ("feature_store.activity_features", ROLLING):
        assert late[name].status == ledger.PUBLISHED
        assert late[name].full_compare_reason is None, "the change feed should have told"


@pytest.mark.parametrize("name", COMPARED)
def test_windows_and_late_deliveries_end_in_what_a_rebuild_gives(told, name):
    assert told.content["rebuilt"][name]
    assert told.content["grown"][name] == told.content["rebuilt"][name]


def test_a_catch_up_without_changes_commits_to_the_ledger_only(told):
    # One commit a job.
    assert told.commits["again"] == {"ops.ledger": 1}


def test_a_window_again_commits_to_no_published_or_staging_table(told):
    touched = {name for name in told.commits["window again"] if name.split(".")[0] != "ops"}
    staging = {name for name in told.commits["window again"] if ".staging_" in name}
    assert not touched | staging
    statuses = {entry.status for entry in told.entries["window again"].values()}
    assert statuses == {ledger.UNCHANGED}


def test_the_rolling_table_is_what_an_independent_computation_gives(told, contracts):
    names = contracts["feature_store.activity_features"].column_names
    activities = [
        dict(zip(names, row, strict=True))
        for row in told.content["grown"]["feature_store.activity_features"]
    ]
    names = contracts[ROLLING].column_names
    published = [dict(zip(names, row, strict=True)) for row in told.content["grown"][ROLLING]]
    horizon = (date.fromisoformat(HORIZON["horizon"]) - EPOCH).days
    athletes = {activity["athlete_id"] for activity in activities}
    assert {row["athlete_id"] for row in published} == athletes
    for athlete in athletes:
        days = _days([a for a in activities if a["athlete_id"] == athlete], horizon)
        expected = oracle(days, horizon, dormant=365)
        rows = {(r["as_of_date"] - EPOCH).days: r for r in published if r["athlete_id"] == athlete}
        hidden = {name for row in expected.values() for name in row} - set(names)
        for row in expected.values():
            for name in hidden:
                del row[name]
        shown = {day: {name: rows[day][name] for name in expected[day]} for day in sorted(rows)}
        assert_same(shown, expected)


def _days(activities: list[dict[str, Any]], horizon: int) -> dict[int, dict[str, int]]:
    """What each day holds, in the fixed point of the documentation."""
    days: dict[int, dict[str, int]] = {}
    for activity in activities:
        day = (activity["local_day"] - EPOCH).days
        if day > horizon:
            continue
        is_run = activity["sport_family"] == "run"
        distance, tss = activity["distance_km"] or 0.0, activity["estimated_tss"]
        millimetres = math.floor(distance * 1_000_000 + 0.5)
        loads = {
            "activities": 1,
            "distance_km": millimetres,
            "moving_time_s": activity["moving_time_s"],
            "elevation_gain_m": math.floor((activity["elevation_gain_m"] or 0.0) * 1000 + 0.5),
            "tss": math.floor((tss or 0.0) * 1_000_000 + 0.5),
            "activities_without_tss": int(tss is None),
            "runs": int(is_run),
            "run_distance_km": millimetres if is_run else 0,
            "measured_run_time_s": activity["moving_time_s"] if is_run and distance > 0 else 0,
        }
        held = days.setdefault(day, {"active_days": 1})
        for name, load in loads.items():
            held[name] = held.get(name, 0) + load
    return days
