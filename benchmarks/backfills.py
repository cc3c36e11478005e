"""Experiments that make the whole table: backfill, skew, and little memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.runner import WAREHOUSE, Case, Entrant
from benchmarks.worlds import activities_of, copied, rolling_of

CONTENDERS = ("recipe", "full", "with_polars", "with_duckdb")
SLOW = ("careful", "usual")
"""Those who get no more than `Size.patience_s` for an answer."""
FLOORS = ("floor_rewrite", "floor_read")
"""No contenders: they share a process, in which the first of them is measured cold."""
# As the documentation advises for backfills: Java's default compilers, for everybody alike.
BACKFILL = "--driver-java-options -XX:+UseParallelGC"


def backfill(bench: Bench) -> None:
    """Everybody makes the finished table from the activities; floors only copy or read it."""
    for athletes, days in bench.size.worlds:
        world, done = bench.worlds.activities(athletes, days), bench.worlds.finished(athletes, days)
        case = {"athletes": athletes, "days": days}
        entrants = [
            *(_maker(name, case, world) for name in CONTENDERS),
            *(_maker(name, case, world, patience_s=bench.size.patience_s) for name in SLOW),
            *(_maker(name, case, done, process=FLOORS[0]) for name in FLOORS),
        ]
        rounds = bench.size.backfill_rounds
        comparing = bench.comparing("backfill", case)
        bench.turns("backfill", entrants, rounds=rounds, after=comparing)


def skew(bench: Bench) -> None:
    """One athlete has 200,000 activities among normal ones; both answer in one warm process."""
    count, days = bench.size.skew
    world = bench.worlds.crowded(count, days, bench.size.skew_activities)
    case = {"athletes": count, "days": days, "activities_of_one": bench.size.skew_activities}
    worker = bench.worlds.warm(bench.worlds.changed(count, days, 1))
    entrants = [_maker(name, case, world, worker=worker) for name in ("recipe", "full")]
    bench.turns("skew", entrants, rounds=1, after=bench.comparing("skew", case))


def memory(bench: Bench) -> None:
    """The largest backfill with a small heap; only part of the larger sizes."""
    if bench.size.memory is None:
        return
    count, days = bench.size.memory
    case = {"athletes": count, "days": days, "heap": "1 GB"}
    world = bench.worlds.activities(count, days)
    little = f"{BACKFILL} --driver-memory 1g"
    bench.turns("memory", [_maker("full", case, world, submit=little)], rounds=1)


def _maker(name: str, case: Case, world: Path, **options: Any) -> Entrant:
    """A contender that makes the table of a world anew; the floors get the finished table."""

    def arrange(place: Path) -> dict[str, str]:
        if name == "full":
            return {"source": str(world), "target": copied(world, place)}
        target = Path(rolling_of(place / WAREHOUSE))
        target.parent.mkdir(parents=True)
        source = rolling_of(world) if name in FLOORS else activities_of(world)
        return {"source": source, "target": str(target)}

    # A contender is asked by its full name, because the process may be that of another one.
    return Entrant(name, case, f"{name}.backfill", arrange, **{"submit": BACKFILL, **options})
