"""The experiments, in the order in which they run, and the cost of the audit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from time import monotonic

from benchmarks.backfills import backfill, memory, skew
from benchmarks.bench import Bench
from benchmarks.growth import growth
from benchmarks.increments import athletes, change, history, late, ledger, new_day, small
from benchmarks.online import online
from benchmarks.runner import FailedError, SlowError, tell


def audit(bench: Bench) -> None:
    """Great Expectations against aggregates by hand that check the same."""
    worker = bench.worlds.worker
    for rows in bench.size.audit:
        tables = bench.size.audit_tables
        for one in worker.asked("benchmarks.audit.measured", rows=rows, tables=tables):
            case = {"table": one["table"], "rows": rows}
            about = {"experiment": "audit", "case": case, "temperature": "warm", "round": 0}
            for contender, cpu_s in one["cpu_s"].items():
                found = about | {"contender": contender, "cpu_s": cpu_s}
                bench.findings.measurements.append(found)
            tell("audit", case, str(one["cpu_s"]))


# One process builds all worlds and gives the answers that are warm; it is gone when backfills are
# measured. What needs the finest figures comes when its compiler has done most.
EXPERIMENTS: Mapping[str, Callable[[Bench], None]] = {
    function.__name__: function
    for function in (
        *(change, athletes, new_day, late, history),
        *(growth, small, ledger, skew, audit, backfill, memory, online),
    )
}


def run(bench: Bench, name: str) -> None:
    """Runs an experiment; what fails outside a contender is noted as a failure of it as a whole."""
    began, built_before_s = monotonic(), bench.worlds.building_s
    try:
        EXPERIMENTS[name](bench)
    except (FailedError, SlowError) as error:
        about = {"experiment": name, "case": {}, "contender": None, "kind": "failed"}
        bench.findings.failures.append(about | {"message": str(error)})
        tell(name, {}, f"failed: {error}")
        bench.worlds.close()
    finally:
        shutil.rmtree(bench.rounds_folder, ignore_errors=True)
    took_s, building_s = monotonic() - began, bench.worlds.building_s - built_before_s
    times = {"wall_s": took_s, "building_s": building_s}
    bench.findings.durations.append({"experiment": name} | times)
    tell(name, {}, f"took {took_s:.0f} s, of which {building_s:.0f} s to build its worlds")
