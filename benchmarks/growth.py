"""Growth of files and logs over many daily runs, with and without maintenance."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import delta_log
from benchmarks.bench import Bench
from benchmarks.contenders import HORIZON
from benchmarks.runner import Worker, cleared, tell, written
from benchmarks.worlds import copied

MAINTAINED_EVERY = 7
"""Daily runs from one maintenance to the next."""


def growth(bench: Bench) -> None:
    """Many daily runs in a row; with maintenance, tables and ledger are compacted every week.

    Until the first maintenance both ways are the same, so these runs are made once and stand in the
    results of both.
    """
    count, days = bench.size.growth
    world = bench.worlds.finished(count, days)
    worker = bench.worlds.warm(bench.worlds.changed(count, days, 1))
    folder = cleared(bench.rounds_folder)
    warehouses = {False: Path(copied(world, folder / "without"))}
    for day in range(1, bench.size.growth_runs + 1):
        if day == MAINTAINED_EVERY:
            warehouses[True] = Path(copied(warehouses[False], folder / "with"))
        for is_maintained, warehouse in warehouses.items():
            found = _daily_run(worker, warehouse, day, count)
            if is_maintained and day % MAINTAINED_EVERY == 0:
                found |= _maintained(worker, warehouse)
            found |= on_disk(warehouse)
            both = (False, True) if day < MAINTAINED_EVERY else (is_maintained,)
            for one in both:
                case = {"maintenance": one, "day": day}
                about = {"experiment": "growth", "case": case, "contender": "full", "round": 0}
                bench.findings.measurements.append(about | found)
            tell("growth", {"maintenance": both, "day": day}, f"{found['cpu_s']:.1f} CPU s")
    shutil.rmtree(folder)


def on_disk(warehouse: Path) -> dict[str, int]:
    """Live data files, files and bytes of the logs, and bytes beside the logs, of all tables.

    The hidden checksums that Hadoop lays beside each file of a local disk do not count.
    """
    tables = delta_log.tables(warehouse).values()
    found = [file for table in tables for file in table.rglob("*") if file.is_file()]
    files = [file for file in found if not (file.name.startswith(".") and file.suffix == ".crc")]
    logs = [file for file in files if delta_log.LOG in file.parts]
    log_bytes = sum(file.stat().st_size for file in logs)
    return {
        "files": sum(delta_log.live_files(table) for table in tables),
        "log_files": len(logs),
        "log_bytes": log_bytes,
        "table_bytes": sum(file.stat().st_size for file in files) - log_bytes,
    }


def _daily_run(worker: Worker, warehouse: Path, day: int, athletes: int) -> dict[str, Any]:
    """A day on which every second athlete was active."""
    date = str(HORIZON + timedelta(days=day))
    more = {"day": date, "athletes": athletes // 2, "of": athletes}
    worker.asked("upstream.add", warehouse=str(warehouse), **more)
    before = delta_log.versions(warehouse)
    found = worker.measured("full.run", {"warehouse": str(warehouse), "days_later": day})
    found.pop("stages")
    return found | {"rows": found.pop("result")} | written(warehouse, before)


def _maintained(worker: Worker, warehouse: Path) -> dict[str, float]:
    found = worker.measured("upstream.optimize", {"warehouse": str(warehouse)})
    return {"maintenance_cpu_s": found["cpu_s"]}
