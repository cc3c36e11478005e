"""The experiments: which worlds, which contenders, what is done to them, and how often."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import delta_log
from benchmarks.contenders import HORIZON
from benchmarks.runner import (
    WAREHOUSE,
    Case,
    Entrant,
    FailedError,
    Findings,
    SlowError,
    Worker,
    take_turns,
    tell,
    written,
)
from benchmarks.sizes import Size
from benchmarks.worlds import Worlds, activities_of, copied, rolling_of

CONTENDERS = ("recipe", "full", "careful", "usual", "with_polars", "with_duckdb")
FLOORS = ("floor_read", "floor_rewrite")
# As the documentation advises for backfills: Java's default compilers, for everybody alike.
BACKFILL = "--driver-java-options -XX:ReservedCodeCacheSize=256m"
SLOW = ("careful", "usual")
"""Those who get no more than `Size.patience_s` for an answer."""
OPTIMIZE_EVERY = 7
AN_ACTIVITY = {
    "id": 9_000_000_001,
    "athlete": {"id": 1001},
    "sport_type": "Run",
    "start_date": f"{HORIZON - timedelta(days=30)}T06:00:00Z",
    "start_date_local": f"{HORIZON - timedelta(days=30)}T08:00:00Z",
    "distance": 10000.0,
    "moving_time": 3000,
    "elapsed_time": 3100,
    "total_elevation_gain": 50.0,
    "updated_at": f"{HORIZON}T00:00:00Z",
}


@dataclass(frozen=True)
class Bench:
    """What every experiment needs."""

    size: Size
    worlds: Worlds
    work: Path
    findings: Findings

    def turns(self, experiment: str, entrants: Sequence[Entrant], **options: Any) -> None:
        """Ends the building and begins the measuring."""
        self.worlds.close()
        options = {"rounds": self.size.rounds, "work": self.work / "rounds"} | options
        take_turns(self.findings, experiment, entrants, **options)


def backfill(bench: Bench) -> None:
    """Everybody makes the finished table from the activities; floors only copy or read it."""
    for athletes, days in bench.size.worlds:
        world, done = bench.worlds.activities(athletes, days), bench.worlds.finished(athletes, days)
        case = {"athletes": athletes, "days": days}
        patience = {name: bench.size.patience_s for name in SLOW}
        entrants = [
            *(_maker(name, case, world, patience.get(name)) for name in CONTENDERS),
            *(_maker(name, case, done, None) for name in FLOORS),
        ]
        rounds = bench.size.backfill_rounds
        comparing = _comparing(bench, "backfill", case)
        bench.turns("backfill", entrants, rounds=rounds, after=comparing)


def history(bench: Bench) -> None:
    """The same rows touched in worlds that reach further and further back."""
    touched = bench.size.touched
    entrants = [
        _catching_up(
            {"athletes": athletes, "days": days, "touched_rows": touched * 31},
            bench.worlds.changed(athletes, days, touched),
        )
        for athletes, days in bench.size.history
    ]
    bench.turns("history", entrants)


def change(bench: Bench) -> None:
    """One activity more, 30 days old, of one athlete, of some, and of all."""
    athletes, days = bench.size.largest
    shares: dict[float | str, float] = {"one activity": 0.0, **{s: s for s in bench.size.shares}}
    entrants = [
        _catching_up(
            {"athletes": athletes, "days": days, "share": name},
            bench.worlds.changed(athletes, days, max(1, round(share * athletes))),
        )
        for name, share in shares.items()
    ]
    bench.turns("change", entrants)


def athletes(bench: Bench) -> None:
    """One activity of one athlete among more and more of them."""
    entrants = [
        _catching_up({"athletes": count, "days": days}, bench.worlds.changed(count, days, 1))
        for count, days in bench.size.athletes
    ]
    bench.turns("athletes", entrants)


def new_day(bench: Bench) -> None:
    """The next day is over, on which every second athlete was active."""
    count, days = bench.size.largest
    world = bench.worlds.changed(count, days, count // 2, days_ago=-1)
    case = {"athletes": count, "days": days}
    bench.turns("new_day", [_catching_up(case, world, days_later=1)])


def late(bench: Bench) -> None:
    """One activity arrives three years late."""
    count, days = bench.size.largest
    world = bench.worlds.changed(count, days, 1, days_ago=min(days, 1095) - 1)
    bench.turns("late", [_catching_up({"athletes": count, "days": days}, world)])


def small(bench: Bench) -> None:
    """Both jobs from a landing zone, in which nothing or one activity is new."""
    count, days = bench.size.small
    landing = bench.worlds.landing(count, days)
    more = bench.worlds.landing_with(count, days, "late.jsonl", json.dumps(AN_ACTIVITY) + "\n")
    before = bench.worlds.landed(landing)
    received = bench.worlds.received(before, more)
    entrants = []
    for act, zone, source in (("nothing", landing, before), ("one activity", more, received)):
        case = {"act": act}

        def arrange(place: Path, zone: Path = zone) -> dict[str, str]:
            return {"landing": str(zone), "warehouse": copied(before, place)}

        function = "feature_activity"
        entrants.append(Entrant(function, case, function, arrange, module="upstream"))
        entrants.append(_catching_up(case, source, contender="feature_rolling"))
    bench.turns("small", entrants)


def audit(bench: Bench) -> None:
    """Great Expectations against aggregates by hand that check the same."""
    bench.worlds.close()
    folder = bench.work / "rounds"
    with Worker("benchmarks.audit", folder) as worker:
        for rows in bench.size.audit:
            for one in worker.asked("measured", rows=rows):
                case = {"table": one["table"], "rows": rows}
                about = {"experiment": "audit", "case": case, "temperature": "warm", "round": 0}
                for contender, cpu_s in one["cpu_s"].items():
                    found = about | {"contender": contender, "cpu_s": cpu_s}
                    bench.findings.measurements.append(found)
                tell("audit", case, str(one["cpu_s"]))
    shutil.rmtree(folder, ignore_errors=True)


def growth(bench: Bench) -> None:
    """Many daily runs in a row; with maintenance both feature tables are compacted every week."""
    count, days = bench.size.growth
    world = bench.worlds.finished(count, days)
    bench.worlds.close()
    for is_maintained in (False, True):
        folder = bench.work / "rounds"
        with Worker("full", folder) as worker:
            warehouse = Path(copied(world, folder))
            for day in range(1, bench.size.growth_runs + 1):
                case = {"maintenance": is_maintained, "day": day}
                found = _daily_run(worker, warehouse, day, count)
                if is_maintained and day % OPTIMIZE_EVERY == 0:
                    optimized = worker.measured("upstream.optimize", {"warehouse": str(warehouse)})
                    found["maintenance_cpu_s"] = optimized["cpu_s"]
                about = {"experiment": "growth", "case": case, "contender": "full", "round": 0}
                bench.findings.measurements.append(about | found | on_disk(warehouse))
                tell("growth", case, f"{found['cpu_s']:.1f} CPU s")
        shutil.rmtree(folder)


def skew(bench: Bench) -> None:
    """One athlete has 200,000 activities among normal ones."""
    count, days = bench.size.skew
    world = bench.worlds.crowded(count, days, bench.size.skew_activities)
    case = {"athletes": count, "days": days, "activities_of_one": bench.size.skew_activities}
    entrants = [_maker(name, case, world, None) for name in ("recipe", "full")]
    bench.turns("skew", entrants, rounds=2, after=_comparing(bench, "skew", case))


def memory(bench: Bench) -> None:
    """The largest backfill with a small heap; only part of the full size."""
    if bench.size.memory is None:
        return
    count, days = bench.size.memory
    case = {"athletes": count, "days": days, "heap": "1 GB"}
    world = bench.worlds.activities(count, days)
    little = f"{BACKFILL} --driver-memory 1g"
    bench.turns("memory", [_maker("full", case, world, None, little)], rounds=1)


EXPERIMENTS: Mapping[str, Callable[[Bench], None]] = {
    function.__name__: function
    for function in (
        *(backfill, history, change, athletes, new_day, late),
        *(small, audit, growth, skew, memory),
    )
}


def run(bench: Bench, name: str) -> None:
    """Runs an experiment; what fails outside a contender is noted as a failure of it as a whole."""
    try:
        EXPERIMENTS[name](bench)
    except (FailedError, SlowError) as error:
        about = {"experiment": name, "case": {}, "contender": None, "kind": "failed"}
        bench.findings.failures.append(about | {"message": str(error)})
        tell(name, {}, f"failed: {error}")
    finally:
        bench.worlds.close()


def on_disk(warehouse: Path) -> dict[str, int]:
    """Live data files, files and bytes of the logs, and bytes beside the logs, of all tables."""
    tables = delta_log.tables(warehouse).values()
    files = [file for table in tables for file in table.rglob("*") if file.is_file()]
    logs = [file for file in files if delta_log.LOG in file.parts]
    log_bytes = sum(file.stat().st_size for file in logs)
    return {
        "files": sum(delta_log.live_files(table) for table in tables),
        "log_files": len(logs),
        "log_bytes": log_bytes,
        "table_bytes": sum(file.stat().st_size for file in files) - log_bytes,
    }


def _maker(
    name: str, case: Case, world: Path, patience_s: float | None, submit: str = BACKFILL
) -> Entrant:
    """A contender that makes the table of a world anew; the floors get the finished table."""

    def arrange(place: Path) -> dict[str, str]:
        if name == "full":
            return {"source": str(world), "target": copied(world, place)}
        target = Path(rolling_of(place / WAREHOUSE))
        target.parent.mkdir(parents=True)
        source = rolling_of(world) if name in FLOORS else activities_of(world)
        return {"source": source, "target": str(target)}

    options = {} if patience_s is None else {"patience_s": patience_s}
    return Entrant(name, case, "backfill", arrange, submit=submit, **options)


def _catching_up(
    case: Case, world: Path, *, days_later: int = 0, contender: str = "full"
) -> Entrant:
    """Feature_Rolling catches up with a world."""

    def arrange(place: Path) -> dict[str, Any]:
        return {"warehouse": copied(world, place), "days_later": days_later}

    return Entrant(contender, case, "run", arrange, module="full")


def _daily_run(worker: Worker, warehouse: Path, day: int, athletes: int) -> dict[str, Any]:
    date = str(HORIZON + timedelta(days=day))
    more = {"day": date, "athletes": athletes // 2, "of": athletes}
    worker.asked("upstream.add", warehouse=str(warehouse), **more)
    before = delta_log.versions(warehouse)
    found = worker.measured("run", {"warehouse": str(warehouse), "days_later": day})
    found.pop("stages")
    return found | {"rows": found.pop("result")} | written(warehouse, before)


def _comparing(bench: Bench, experiment: str, case: Case) -> Callable[[Mapping[str, Path]], None]:
    """Compares what the contenders have made with what the recipe has made, column by column."""
    from benchmarks.agreement import agrees, differences

    def compare(places: Mapping[str, Path]) -> None:
        if "recipe" not in places:
            return
        ours = rolling_of(places["recipe"] / WAREHOUSE)
        for name in places:
            if name not in ("recipe", "floor_read"):
                found = differences(ours, rolling_of(places[name] / WAREHOUSE))
                # JSON knows no infinity, which stands for what cannot be compared.
                columns = {c: d if math.isfinite(d) else None for c, d in found["columns"].items()}
                verdict = {**found, "columns": columns, "agrees": agrees(found)}
                about = {"experiment": experiment, "case": dict(case), "contender": name}
                bench.findings.agreement.append(about | {"against": "recipe"} | verdict)
                tell(experiment, case, f"{name}: agrees: {verdict['agrees']}")

    return compare
