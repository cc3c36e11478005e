"""An online store that follows gold: paceline's sync beside Feast's own materialisation."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.contenders.full import prepare
from benchmarks.runner import ROOT, WAREHOUSE, Worker, cleared, tell

WAYS = ("sync", "materialize_incremental", "materialize")
FULL_LOAD, VERIFY = "full load", "verify"
STORES, WRONG = "online_stores", "benchmarks.online_check.wrong"
# The first one is cold.
ROUNDS = 2
# By default Feast fetches every row of the interval, and drops all but the newest in pandas.
FASTER = "materialization:\n  pull_latest_features: true\n"


def online(bench: Bench) -> None:
    """Three equal stores follow the same gold, each in another way, act by act.

    Each way has a process of its own. In the first round the full load is answered by a fresh one,
    and so is the act in which nothing happens; everything else is warm.
    """
    # Delta without Java is not loaded by those who only want to know which experiments there are.
    from benchmarks import online_gold as gold

    count, days = bench.size.online
    world = bench.worlds.gold(count, days)
    bench.worlds.close()
    folder = cleared(bench.rounds_folder)
    with ExitStack() as stack:
        workers = {way: stack.enter_context(Worker(STORES, folder / way)) for way in WAYS}
        judge = stack.enter_context(Worker(STORES, folder / "judge"))
        for number in range(ROUNDS):
            stores = _Stores(bench, number, workers, judge, gold.everybody(count))
            stores.create(world)
            stores.fill(gold.LOADED_AT.isoformat(), gold.everybody(count)[:count])
            for hours, act in enumerate(gold.ACTS, start=1):
                if act == gold.NOTHING and number == 0:
                    stores.cool_down()
                later = timedelta(days=1) if act == gold.NEXT_DAY else timedelta(hours=hours)
                now = gold.LOADED_AT + later
                touched = gold.happen(act, stores.warehouse, count, now)
                for way in WAYS:
                    stores.follow(act, way, now.isoformat(), touched)
            stores.verify()
    shutil.rmtree(folder)


@dataclass(frozen=True)
class _Stores:
    """The stores of a round, which all begin empty, and the gold that they follow.

    Attributes:
        bench: what every experiment needs.
        number: of the round.
        workers: by way, the process that fills its store.
        judge: a process that is not measured.
        athletes: all who are in gold at any time.
    """

    bench: Bench
    number: int
    workers: Mapping[str, Worker]
    judge: Worker
    athletes: Sequence[int]

    @property
    def warehouse(self) -> Path:
        """Where gold lies; Spark remembers what was at a path, so that each round has its own."""
        return self._place / WAREHOUSE

    def create(self, world: Path) -> None:
        """Copies gold, and registers the views of each store."""
        prepare(str(world), str(self.warehouse))
        for way in WAYS:
            unwanted = shutil.ignore_patterns("data", "__pycache__")
            repo = shutil.copytree(ROOT / "feature_repo", self._place / way, ignore=unwanted)
            with (repo / "feature_store.yaml").open("a", encoding="utf-8") as file:
                file.write(FASTER)
            self.judge.asked("prepare", **self._of(way))

    def fill(self, now: str, loaded: Sequence[int]) -> None:
        """Loads the stores; that of the increments is loaded as the other one of Feast."""
        self.follow(FULL_LOAD, "sync", now, loaded)
        self.follow(FULL_LOAD, "materialize", now, loaded)
        incremental = "materialize_incremental"
        self.workers[incremental].asked("materialize", **self._of(incremental), now=now)

    def cool_down(self) -> None:
        """Ends the processes, so that the next answers are those of fresh ones."""
        for worker in self.workers.values():
            worker.close()

    def follow(self, act: str, way: str, now: str, touched: Sequence[int]) -> None:
        """Measures how a store follows an act, and notes whom it serves wrongly afterwards."""
        found = self._measured(way, way, now=now)
        found |= {"athletes_touched": len(touched)}
        if self.number == 0:
            everybody = list(self.athletes)
            wrong = self.judge.asked(WRONG, **self._of(way), now=now, athletes=everybody)
            left = len(set(touched).intersection(wrong))
            found |= {"athletes_left_wrong": left, "athletes_wrong": len(wrong)}
        self._note(act, way, found)

    def verify(self) -> None:
        """Measures the proof that the store of the syncs is right."""
        self._note(VERIFY, "sync", self._measured("sync", "verify"))

    @property
    def _place(self) -> Path:
        return self.bench.rounds_folder / f"round-{self.number}"

    def _of(self, way: str) -> dict[str, str]:
        return {"repo": str(self._place / way), "warehouse": str(self.warehouse)}

    def _measured(self, way: str, function: str, **arguments: str) -> dict[str, Any]:
        found = self.workers[way].measured(function, self._of(way) | arguments)
        del found["stages"]
        return found | found.pop("result")

    def _note(self, act: str, way: str, found: Mapping[str, Any]) -> None:
        count, days = self.bench.size.online
        case = {"athletes": count, "days": days, "act": act}
        about = {"experiment": "online", "case": case, "contender": way, "round": self.number}
        self.bench.findings.measurements.append(about | dict(found))
        figures = f"{found['cpu_s']:7.1f} CPU s {found['wall_s']:7.1f} s"
        wrong = f", {found['athletes_wrong']} wrong" if "athletes_wrong" in found else ""
        tell("online", case, f"{way:<24} {found['temperature']} {figures}{wrong}")
