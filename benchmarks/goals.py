"""What the benchmarks should show, computed from a results file, and what guards it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks import goal_figures as figure
from benchmarks.figures import Document

NOTES: Mapping[str, str] = {
    "Backfill, bare recipe against the rewrite floor": (
        "what comes on top of writing is one shuffle of the daily sums, a sort, and the way to "
        "NumPy and back, column by column."
    ),
    "Backfill, bare recipe against Polars as a whole process": (
        "Polars writes Parquet for a third of what Spark needs on one machine; no way to "
        "compute the rows closes that."
    ),
    "Backfill, price of write-audit-publish: entry point against bare recipe": (
        "two writes and four reads of every row are the physical part, for what is audited is what "
        "was staged, and Delta has no commit that would take the audited files over as they are. "
        "Tried without gain: staging without compression, without Parquet's statistics and without "
        "checksums; rules and tally in one query, which loses generated code to the sets of "
        "athletes and days."
    ),
    "Backfill, entry point against careful sliding frames without any audit": (
        "the same: the frames write once and judge nothing. They are no choice in any case: what "
        "they sum depends on where they start, so an increment would not equal a rebuild bit for "
        "bit."
    ),
    "Same rows touched, 10 years against 1 year: files touched": (
        "a few files and deletion vectors more: a larger table has more files in which the touched "
        "athletes lie, up to one for each of them."
    ),
    "A new day against the full rebuild: CPU": (
        "at this size an increment is planning and Delta's log, which do not depend on the "
        "rows, and a rebuild is little more; see the larger cases."
    ),
    "Nothing changed: Spark jobs of Feature_Activity": (
        "the ledger and the deliveries take two jobs each, one of which is Delta's choice of their "
        "files, and the end of the run takes one."
    ),
    "One activity changed: Spark jobs of both jobs": (
        "each question to a table is two jobs, because Delta chooses its files with one. Both jobs "
        "in one run, as `paceline run` has them, share what they read of the ledger."
    ),
    "Nothing changed, 1,000 past runs in the ledger against 10: CPU": (
        "Delta knows a thousand files more, and the last 35 days are as many small ones. "
        "Maintenance makes one of them."
    ),
    "One activity three years late: bytes written": (
        "the rows are written to the table, to its change feed and to staging, where each lies "
        "beside the one that it replaces; the table itself grows by less than that."
    ),
    "One athlete with 200,000 activities: longest task against the median of its stage": (
        "a stage has as many tasks as the shuffle has partitions, four here, and that athlete "
        "is as large as all others together."
    ),
}
"""By the name of a goal that is missed, the reason."""


SIZES_UPWARDS = ("smoke", "quick", "medium", "full")


@dataclass(frozen=True)
class Goal:
    """A figure and what it should be.

    Attributes:
        name: unique.
        text: the goal in words.
        value: computes the figure; None where it was not measured.
        limit: at most this, or at least, when `is_least`.
        guard: the worst figure that `--check` lets pass; None where nothing is guarded. It is what
            has been reached, with a margin for the noise of CPU times, so that a missed goal does
            not become worse, and a met one is not lost.
        unit: of the figure.
        needs: the smallest size that decides it; None where any does. In smaller worlds the fixed
            cost of a run, which does not depend on the rows, is most of the figure, and the guard
            alone looks at it.
    """

    name: str
    text: str
    value: Callable[[Document], float | None]
    limit: float
    guard: float | None = None
    is_least: bool = False
    unit: str = "x"
    needs: str | None = None


@dataclass(frozen=True)
class Reached:
    """What a goal came to.

    Attributes:
        value: None where it was not measured, or in a world too small to decide.
        holds: whether the guarded figure is still what it was, in a small world too.
        size: of the results that the figure is from.
    """

    name: str
    goal_text: str
    value: float | None
    limit: float
    is_met: bool
    unit: str
    guard: float | None
    holds: bool
    size: str | None


def reached(results: Document) -> list[Reached]:
    """The goals with their figures, in the order of GOALS."""
    return [_reached(goal, goal.value(results), results.get("size")) for goal in GOALS]


def broken(found: list[Reached]) -> list[Reached]:
    """The guarded ones that have become worse than their guard allows."""
    return [goal for goal in found if not goal.holds]


def _reached(goal: Goal, value: float | None, size: str | None) -> Reached:
    def is_within(limit: float) -> bool:
        if value is None:
            return False
        return value >= limit if goal.is_least else value <= limit

    holds = goal.guard is None or value is None or is_within(goal.guard)
    is_decided = goal.needs is None or size in SIZES_UPWARDS[SIZES_UPWARDS.index(goal.needs) :]
    value = value if is_decided else None
    is_met = is_within(goal.limit)
    about = (goal.name, goal.text, value, goal.limit, is_met, goal.unit)
    return Reached(*about, guard=goal.guard, holds=holds, size=size)


GOALS = (
    Goal(
        "Backfill, bare recipe against the rewrite floor",
        "at most 1.6 times the CPU (stretch 1.4)",
        figure.cpu_against("recipe", "floor_rewrite"),
        limit=1.6,
        guard=2.6,
        needs="medium",
    ),
    Goal(
        "Backfill, bare recipe against Polars as a whole process",
        "at most 2.2 times the CPU",
        figure.cpu_against("recipe", "with_polars", is_cold=True),
        limit=2.2,
        guard=3.5,
        needs="medium",
    ),
    Goal(
        "Backfill, price of write-audit-publish: entry point against bare recipe",
        "at most 2.4 times the CPU (stretch 2.0)",
        figure.cpu_against("full", "recipe"),
        limit=2.4,
        guard=4.4,
        needs="medium",
    ),
    Goal(
        "Backfill, entry point against careful sliding frames without any audit",
        "at most 1.3 times the CPU (stretch 1.1)",
        figure.cpu_against("full", "careful"),
        limit=1.3,
        guard=4.4,
        needs="medium",
    ),
    Goal(
        "Same rows touched, 10 years against 1 year: CPU",
        "at most 1.25 times",
        figure.ten_years_against_one(figure.cpu),
        limit=1.25,
        guard=1.4,
        needs="medium",
    ),
    Goal(
        "Same rows touched, 10 years against 1 year: bytes written",
        "independent of history",
        figure.ten_years_against_one(figure.bytes_written),
        limit=1.1,
        guard=1.1,
    ),
    Goal(
        "Same rows touched, 10 years against 1 year: files touched",
        "independent of history",
        figure.ten_years_against_one(figure.files),
        limit=1.0,
    ),
    Goal(
        "A new day against the full rebuild: CPU",
        "at most 1/4 (stretch 1/6)",
        figure.against_rebuild("new_day", "cpu_s"),
        limit=0.25,
        guard=0.55,
        needs="medium",
    ),
    Goal(
        "A new day against the full rebuild: bytes written",
        "at most 1/50",
        figure.against_rebuild("new_day", "written_bytes"),
        limit=0.02,
        guard=0.005,
        needs="medium",
    ),
    Goal(
        "One activity three years late: bytes written",
        "at most 1 MB",
        figure.late_bytes,
        limit=1e6,
        guard=1.4e6,
        unit="bytes",
    ),
    Goal(
        "One activity three years late: rows written against rows that differ",
        "1",
        figure.late_rows,
        limit=1.0,
        guard=1.0,
    ),
    Goal(
        "Nothing changed: commits to published and staging tables",
        "none",
        figure.small("nothing", figure.not_ledger_commits),
        limit=0,
        guard=0,
        unit="",
    ),
    Goal(
        "Nothing changed: commits to ops, by the job with most",
        "at most 1",
        figure.small("nothing", figure.most_ledger_commits),
        limit=1,
        guard=1,
        unit="",
    ),
    Goal(
        "Nothing changed: Spark jobs of Feature_Activity",
        "at most 4",
        figure.small("nothing", figure.jobs_of("feature_activity")),
        limit=4,
        guard=7,
        unit="",
    ),
    Goal(
        "Nothing changed: Spark jobs of Feature_Rolling",
        "at most 3",
        figure.small("nothing", figure.jobs_of("feature_rolling")),
        limit=3,
        guard=5,
        unit="",
    ),
    Goal(
        "One activity changed: commits to the published table with most",
        "1",
        figure.small("one activity", figure.most_published_commits),
        limit=1,
        guard=1,
        unit="",
    ),
    Goal(
        "One activity changed: commits to ops and staging",
        "at most 13 (stretch 12)",
        figure.small("one activity", figure.ops_commits),
        limit=13,
        guard=13,
        unit="",
    ),
    Goal(
        "One activity changed: Spark jobs of both jobs",
        "at most 120 (stretch 100)",
        figure.small("one activity", figure.jobs),
        limit=120,
        guard=140,
        unit="",
    ),
    Goal(
        "Nothing changed, 1,000 past runs in the ledger against 10: CPU",
        "at most 1.1 times",
        figure.many_runs_against_few,
        limit=1.1,
        guard=1.3,
    ),
    Goal(
        "Memory: 10,000 athletes and 3 years within a heap of 1 GB",
        "1 when it was finished",
        figure.finished_with_small_heap,
        limit=1,
        is_least=True,
        unit="",
    ),
    Goal(
        "One athlete with 200,000 activities: longest task against the median of its stage",
        "at most 3 times",
        figure.longest_task,
        limit=3,
    ),
    Goal(
        "One athlete with 200,000 activities: result",
        "1 when it is exact",
        figure.skew_agrees,
        limit=1,
        guard=1,
        is_least=True,
        unit="",
    ),
    Goal(
        "Online store: athletes served wrongly after any sync",
        "none",
        figure.online_wrong,
        limit=0,
        guard=0,
        unit="",
    ),
    Goal(
        "Online store, nothing changed: rows written",
        "none",
        figure.online_rows_of("nothing"),
        limit=0,
        guard=0,
        unit="",
    ),
    Goal(
        "Online store, 1 % of the athletes corrected against the full load: CPU",
        "at most 1/10",
        figure.online_against_full_load("newest rows corrected"),
        limit=0.1,
        needs="medium",
    ),
)
