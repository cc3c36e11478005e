"""Goals computed from results written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import goals
from benchmarks.contenders import ROLLING
from benchmarks.goal_figures import BOTH_JOBS
from benchmarks.sizes import SIZES

WORLD = {"athletes": 400, "days": 1095}


def measured(experiment: str, contender: str, case: dict[str, Any], **found: Any) -> dict[str, Any]:
    about = {"experiment": experiment, "contender": contender, "case": case, "round": 1}
    return about | {"temperature": "warm"} | found


def value_of(name: str, *measurements: dict[str, Any], **others: Any) -> float | None:
    found = {"measurements": list(measurements), "agreement": [], "failures": []}
    results = {"size": "full"} | found | others
    (found,) = (one for one in goals.reached(results) if one.name.startswith(name))
    return found.value


def test_names_are_unique() -> None:
    assert len({goal.name for goal in goals.GOALS}) == len(goals.GOALS)


def test_without_results_nothing_is_met_and_nothing_is_broken() -> None:
    found = goals.reached({"measurements": []})
    assert {goal.value for goal in found} == {None}
    assert not any(goal.is_met for goal in found)
    assert goals.broken(found) == []


def test_a_backfill_is_compared_in_the_largest_case_that_both_have_finished() -> None:
    tiny, small, large = ({"athletes": count, "days": 1095} for count in (20, 2_000, 10_000))
    found = value_of(
        "Backfill, entry point against careful",
        measured("backfill", "careful", tiny, cpu_s=1.0),
        measured("backfill", "full", tiny, cpu_s=2.0),
        measured("backfill", "careful", small, cpu_s=2.0),
        measured("backfill", "full", small, cpu_s=12.0),
        measured("backfill", "careful", large, cpu_s=11.0),
    )
    assert found == 6.0


def test_polars_counts_as_a_whole_process() -> None:
    found = value_of(
        "Backfill, bare recipe against Polars",
        measured("backfill", "recipe", WORLD, cpu_s=6.0),
        measured("backfill", "with_polars", WORLD, cpu_s=2.0),
        measured("backfill", "with_polars", WORLD, cpu_s=4.0) | {"temperature": "cold"},
    )
    assert found == 1.5


def test_ten_years_are_compared_with_one() -> None:
    runs = [
        measured("history", "full", {"athletes": 1, "days": days}, cpu_s=cpu_s)
        for days, cpu_s in ((183, 9.0), (365, 4.0), (3650, 5.0))
    ]
    assert value_of("Same rows touched, 10 years against 1 year: CPU", *runs) == 1.25


@pytest.mark.parametrize(("athletes", "expected"), [(400, 0.02), (401, None)])
def test_an_increment_is_compared_with_the_rebuild_of_the_same_world(
    athletes: int, expected: float | None
) -> None:
    found = value_of(
        "A new day against the full rebuild: bytes",
        measured("new_day", "full", WORLD, written_bytes=20),
        measured("backfill", "full", WORLD | {"athletes": athletes}, written_bytes=1000),
    )
    assert found == expected


def test_rows_written_are_compared_with_rows_that_differ() -> None:
    found = value_of(
        "One activity three years late: rows",
        measured(
            *("late", "full", WORLD),
            rows={"inserted": 1, "updated": 9, "deleted": 5, "compared": 90},
            tables={ROLLING: {"rows": 15}, "ops.ledger": {"rows": 2}},
        ),
    )
    assert found == 1.5


def small(act: str, commits: tuple[dict[str, int], dict[str, int]]) -> list[dict[str, Any]]:
    return [
        measured("small", job, {"act": act}, jobs=jobs, commits=found)
        for job, jobs, found in zip(BOTH_JOBS, (30, 12), commits, strict=True)
    ]


def test_counts_of_small_runs() -> None:
    features = {"silver.rides": 2, "ops.ledger": 4, "ops.staging_silver_rides": 1}
    runs = small("one activity", (features, {ROLLING: 1, "ops.deliveries": 1}))
    assert value_of("One activity changed: Spark jobs", *runs) == 42
    assert value_of("One activity changed: commits to the published", *runs) == 2
    assert value_of("One activity changed: commits to ops", *runs) == 6
    idle = small("nothing", ({"ops.ledger": 1, "ops.staging_silver_rides": 1}, {"ops.ledger": 1}))
    assert value_of("Nothing changed: commits to published", *idle) == 1
    assert value_of("Nothing changed: commits to ops", *idle) == 1
    assert value_of("Nothing changed: Spark jobs of Feature_Activity", *idle) == 30
    assert value_of("Nothing changed: Spark jobs of Feature_Rolling", *idle) == 12
    assert value_of("Nothing changed: Spark jobs of Feature_Activity", idle[0]) is None


def test_an_idle_run_after_many_runs_is_compared_with_one_after_few() -> None:
    runs = [
        measured("ledger", "full", {"past_runs": past}, cpu_s=cpu_s)
        for past, cpu_s in ((1_000, 3.0), (10, 2.0))
    ]
    assert value_of("Nothing changed, 1,000 past runs", *runs) == 1.5


def test_the_online_store_is_judged_by_its_worst_sync() -> None:
    def synced(act: str, contender: str = "sync", **found: Any) -> dict[str, Any]:
        return measured("online", contender, WORLD | {"act": act}, **found)

    runs = [
        synced("full load", cpu_s=5.0, athletes_wrong=0) | {"temperature": "cold"},
        synced("full load", cpu_s=4.0),
        synced("nothing", rows_written=0, athletes_wrong=0),
        synced("newest rows corrected", cpu_s=0.2, athletes_wrong=0),
        synced("newest rows corrected", "materialize", cpu_s=4.0, athletes_wrong=9),
    ]
    name = "Online store: athletes served wrongly"
    assert value_of(name, *runs) == 0
    assert value_of(name, *runs, synced("athletes erased", athletes_wrong=2)) == 2
    assert value_of("Online store, nothing changed: rows", *runs) == 0
    assert value_of("Online store, 1 % of the athletes corrected", *runs) == 0.05
    assert value_of(name, runs[-1]) is None


def test_a_small_world_proves_nothing_of_a_large_one() -> None:
    case = {"days": 1095, "heap": "1 GB"}
    large, tiny = case | {"athletes": 10_000}, case | {"athletes": 20}
    failure = {"experiment": "memory", "case": large}
    assert value_of("Memory", measured("memory", "full", tiny)) is None
    assert value_of("Memory", measured("memory", "full", large)) == 1
    assert value_of("Memory", failures=[failure]) == 0
    agreed = {"experiment": "skew", "case": {"activities_of_one": 5_000}, "agrees": True}
    name = "One athlete with 200,000 activities: result"
    assert value_of(name, agreement=[agreed]) is None
    whole = agreed | {"case": {"activities_of_one": 200_000}}
    assert value_of(name, agreement=[whole]) == 1
    assert value_of(name, agreement=[whole, whole | {"agrees": False}]) == 0


@pytest.mark.parametrize(
    ("size", "needs", "expected"),
    [
        ("quick", None, True),
        ("quick", "medium", False),
        ("medium", "medium", True),
        ("full", "medium", True),
        (None, "medium", False),
    ],
)
def test_a_size_decides_what_needs_no_larger_one(
    monkeypatch: pytest.MonkeyPatch, size: str | None, needs: str | None, expected: bool
) -> None:
    monkeypatch.setattr(goals, "GOALS", (goals.Goal("n", "t", lambda _: 1.0, 2.0, needs=needs),))
    (found,) = goals.reached({"size": size})
    assert (found.value, found.is_met) == ((1.0, True) if expected else (None, False))


def test_a_guard_looks_at_worlds_that_are_too_small_to_decide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goal = goals.Goal("n", "t", lambda _: 3.0, 2.0, guard=2.5, needs="medium")
    monkeypatch.setattr(goals, "GOALS", (goal,))
    (found,) = goals.reached({"size": "quick"})
    assert goals.broken([found]) == [found]


def test_a_reason_is_given_for_goals_that_there_are() -> None:
    assert set(goals.NOTES) <= {goal.name for goal in goals.GOALS}


def test_sizes_are_known_by_their_order() -> None:
    assert tuple(SIZES) == goals.SIZES_UPWARDS


@pytest.mark.parametrize(
    ("is_least", "guard", "value", "is_met", "holds"),
    [
        (False, None, 3.0, False, True),
        (False, 2.5, 2.5, False, True),
        (False, 2.5, 2.6, False, False),
        (False, 2.5, 2.0, True, True),
        (True, 1.5, 1.5, False, True),
        (True, 1.5, 1.4, False, False),
        (True, 1.5, 2.0, True, True),
    ],
)
def test_a_missed_goal_breaks_only_beyond_its_guard(
    monkeypatch: pytest.MonkeyPatch,
    is_least: bool,
    guard: float | None,
    value: float,
    is_met: bool,
    holds: bool,
) -> None:
    goal = goals.Goal("n", "t", lambda _: value, 2.0, guard, is_least)
    monkeypatch.setattr(goals, "GOALS", (goal,))
    (found,) = goals.reached({})
    assert (found.is_met, goals.broken([found]) == []) == (is_met, holds)
