"""The figures that goals are about, computed from a results file; None where one is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.contenders import ROLLING
from benchmarks.figures import Document, Line, lines, ratio

STAGED_OR_KEPT = "ops."
BOTH_JOBS = ("feature_activity", "feature_rolling")


def cpu_against(one: str, other: str, *, is_cold: bool = False) -> Callable[[Document], Any]:
    """Warm CPU of a contender's backfill against another's, in the largest case of both.

    Args:
        one: the contender.
        other: what it is divided by.
        is_cold: whether the other counts as a whole process.
    """

    def value(results: Document) -> float | None:
        found = lines(results, "backfill")
        ours = {repr(line.case): line.warm.get("cpu_s") for line in found if line.contender == one}
        theirs = {
            repr(line.case): (line.cold if is_cold else line.warm).get("cpu_s")
            for line in found
            if line.contender == other
        }
        shared = [case for case in ours if ours[case] and theirs.get(case)]
        return ratio(ours[shared[-1]], theirs[shared[-1]]) if shared else None

    return value


def ten_years_against_one(figure: Callable[[Line], float | None]) -> Callable[[Document], Any]:
    """A figure of the same increment in the world of ten years against that of one year."""

    def value(results: Document) -> float | None:
        by_days = {line.case["days"]: figure(line) for line in lines(results, "history")}
        return ratio(by_days.get(3650), by_days.get(365))

    return value


def against_rebuild(experiment: str, name: str) -> Callable[[Document], Any]:
    """A figure of an increment against that of the full rebuild of the same world."""

    def value(results: Document) -> float | None:
        for line in lines(results, experiment):
            for rebuilt in lines(results, "backfill"):
                if rebuilt.contender == "full" and rebuilt.case == line.case:
                    return ratio(line.settled.get(name), rebuilt.settled.get(name))
        return None

    return value


def cpu(line: Line) -> float | None:
    """CPU seconds."""
    return line.settled.get("cpu_s")


def bytes_written(line: Line) -> float | None:
    """Bytes written to all tables, staging and ledger too."""
    return line.settled.get("written_bytes")


def files(line: Line) -> float | None:
    """Files and deletion vectors added to or removed from the published table."""
    published = line.settled.get("tables", {}).get(ROLLING, {})
    return sum(published.get(name, 0) for name in ("files_added", "files_removed", "vectors"))


def late_bytes(results: Document) -> float | None:
    """Bytes written to all tables for one late activity."""
    return next((bytes_written(line) for line in lines(results, "late")), None)


def late_rows(results: Document) -> float | None:
    """Rows in new files of the published table against rows that have come or differ."""
    for line in lines(results, "late"):
        rows = line.settled.get("rows") or {}
        differing = rows.get("inserted", 0) + rows.get("updated", 0)
        return ratio(line.settled.get("tables", {}).get(ROLLING, {}).get("rows"), differing)
    return None


def small(act: str, count: Callable[[list[Line]], float]) -> Callable[[Document], Any]:
    """A count over both jobs after an act."""

    def value(results: Document) -> float | None:
        found = [line for line in lines(results, "small") if line.case["act"] == act]
        return count(found) if {line.contender for line in found} == set(BOTH_JOBS) else None

    return value


def jobs(found: list[Line]) -> float:
    """Spark jobs of both jobs."""
    return sum(line.settled.get("jobs") or 0 for line in found)


def jobs_of(contender: str) -> Callable[[list[Line]], float]:
    """Spark jobs of one of the jobs."""
    return lambda found: jobs([line for line in found if line.contender == contender])


def many_runs_against_few(results: Document) -> float | None:
    """CPU of an idle run after the most earlier runs against that after the fewest."""
    found = sorted(lines(results, "ledger"), key=lambda line: line.case["past_runs"])
    return ratio(cpu(found[-1]), cpu(found[0])) if found else None


def _commits(found: list[Line], is_counted: Callable[[str], bool]) -> list[int]:
    return [
        sum(
            count for name, count in (line.settled.get("commits") or {}).items() if is_counted(name)
        )
        for line in found
    ]


def _is_ledger(name: str) -> bool:
    return name.startswith(STAGED_OR_KEPT) and ".staging_" not in name


def not_ledger_commits(found: list[Line]) -> float:
    """Commits to published and staging tables."""
    return sum(_commits(found, lambda name: not _is_ledger(name)))


def most_ledger_commits(found: list[Line]) -> float:
    """Commits to ops, staging apart, of the job with most."""
    return max(_commits(found, _is_ledger))


def most_published_commits(found: list[Line]) -> float:
    """Commits to the published table that got most."""
    counts = [
        count
        for line in found
        for name, count in (line.settled.get("commits") or {}).items()
        if not name.startswith(STAGED_OR_KEPT)
    ]
    return max(counts, default=0)


def ops_commits(found: list[Line]) -> float:
    """Commits to ops and staging, of both jobs."""
    return sum(_commits(found, lambda name: name.startswith(STAGED_OR_KEPT)))


def online_wrong(results: Document) -> float | None:
    """The most athletes whom the online store served wrongly after a sync."""
    counts = [
        count
        for line in _of_syncs(results)
        for figures in (line.cold, line.warm)
        if (count := figures.get("athletes_wrong")) is not None
    ]
    return max(counts, default=None)


def online_rows_of(act: str) -> Callable[[Document], Any]:
    """Rows that a sync has written after an act."""
    return lambda results: _of_sync(results, act, "rows_written")


def online_against_full_load(act: str) -> Callable[[Document], Any]:
    """CPU of a sync after an act against that of the full load."""

    def value(results: Document) -> float | None:
        return ratio(_of_sync(results, act, "cpu_s"), _of_sync(results, "full load", "cpu_s"))

    return value


def _of_syncs(results: Document) -> list[Line]:
    return [line for line in lines(results, "online") if line.contender == "sync"]


def _of_sync(results: Document, act: str, name: str) -> float | None:
    of_act = (line for line in _of_syncs(results) if line.case["act"] == act)
    return next((line.settled.get(name) for line in of_act), None)


def finished_with_small_heap(results: Document) -> float | None:
    """1 or 0; only the size of which the goal speaks counts."""

    def is_counted(one: Mapping[str, Any]) -> bool:
        return one["experiment"] == "memory" and one["case"].get("athletes") == 10_000

    if any(is_counted(one) for one in results.get("failures", ())):
        return 0.0
    return 1.0 if any(is_counted(one) for one in results.get("measurements", ())) else None


def _is_of_200_000(case: Mapping[str, Any]) -> bool:
    return case.get("activities_of_one") == 200_000


def longest_task(results: Document) -> float | None:
    """The longest task against the median of its stage, in the stage where that is worst."""
    skew = [line for line in lines(results, "skew") if _is_of_200_000(line.case)]
    found = [line for line in skew if line.contender == "full"]
    return next((line.settled.get("longest_task_against_median") for line in found), None)


def skew_agrees(results: Document) -> float | None:
    """1 when every output agrees with the recipe, else 0."""
    found = [
        one
        for one in results.get("agreement", ())
        if one["experiment"] == "skew" and _is_of_200_000(one["case"])
    ]
    return float(all(one["agrees"] for one in found)) if found else None
