"""Contenders in their processes, taking turns, and the bill of each of their answers."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any

import psutil

from benchmarks import delta_log
from benchmarks.measure import bill

ROOT = Path(__file__).parents[1]
WAREHOUSE = "warehouse"
PATIENCE_S = 3600.0
# Bytes read that way are missing from what Spark counts. It is the same for all who use Spark, and
# on a local disk makes no difference to speak of.
COUNTED_READS = "--conf spark.hadoop.parquet.hadoop.vectored.io.enabled=false"
LAST_LINES = 12

Case = Mapping[str, Any]
Measurement = dict[str, Any]


class FailedError(Exception):
    """A contender has failed; the message ends with the last lines that it has printed."""


class SlowError(Exception):
    """A contender has not answered in time."""


@dataclass(frozen=True)
class Entrant:
    """A contender in an experiment.

    Attributes:
        contender: as it is called in the results.
        case: as it is called in the results.
        function: of the module, called for each round.
        arrange: given an empty directory, prepares the round outside the clock, and returns the
            arguments. What is to be counted as written lies in the directory's `warehouse`.
        module: in `benchmarks.contenders`; that of the contender's name by default.
        submit: further arguments of spark-submit, such as `--driver-memory 1g`.
        patience_s: seconds after which an answer is no longer waited for.
        process: entrants that name the same one share it, and only its first answer is cold; by
            default each contender has one of its own in each experiment.
        worker: a process that is there before and after, for answers that need not be cold.
    """

    contender: str
    case: Case
    function: str
    arrange: Callable[[Path], Mapping[str, Any]]
    module: str = ""
    submit: str = ""
    patience_s: float = PATIENCE_S
    process: str = ""
    worker: Worker | None = None


@dataclass
class Findings:
    """What the experiments have brought: see `benchmarks/results`."""

    measurements: list[Measurement] = field(default_factory=list)
    agreement: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    durations: list[dict[str, Any]] = field(default_factory=list)


class Worker:
    """The process of a contender, started by its first request."""

    def __init__(self, module: str, folder: Path, submit: str = "", patience_s: float = PATIENCE_S):
        self._module, self._patience_s = module, patience_s
        self._folder = folder
        self._environment = os.environ | {
            "PYSPARK_SUBMIT_ARGS": f"{COUNTED_READS} {submit} pyspark-shell",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """Whether its next answer is warm."""
        return self._process is not None

    def measured(self, function: str, arguments: Mapping[str, Any]) -> Measurement:
        """Asks, and returns figures and counts; `result` is what the function has returned.

        Raises:
            FailedError: when the function or the process has failed.
            SlowError: when there was no answer in time; the process has been ended.
        """
        born = None if self.is_running else monotonic()
        process = self._running()
        found, result = bill(process.pid, lambda: self._ask(function, arguments), born)
        return {
            "temperature": "warm" if born is None else "cold",
            **asdict(found),
            **self._line(),
            "result": result,
        }

    def asked(self, function: str, **arguments: Any) -> Any:
        """Asks without measuring; raises as `measured` does."""
        self._running()
        result = self._ask(function, arguments)
        self._line()
        return result

    def close(self) -> None:
        """Ends the process and everything that it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        members = _members(process.pid)
        assert process.stdin is not None
        process.stdin.close()
        _, lasting = psutil.wait_procs(members, timeout=20 if process.poll() is None else 0)
        for member in lasting:
            member.kill()
        process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-u", "-m", "benchmarks.worker", self._module],
                    bufsize=0,  # whether there is a line to read is asked of the pipe itself
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=self._folder,
                    env=self._environment,
                )
        return self._process

    @property
    def _log(self) -> Path:
        return self._folder / "stderr.txt"

    def _ask(self, function: str, arguments: Mapping[str, Any]) -> Any:
        request = {"function": function, "arguments": dict(arguments)}
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise FailedError(f"The process has ended.\n{self._last_lines()}") from None
        answer = self._line()
        if "error" in answer:
            self._line()
            raise FailedError(f"{answer['error']}\n{self._last_lines()}")
        return answer["result"]

    def _line(self) -> dict[str, Any]:
        assert self._process is not None
        stream = self._process.stdout
        assert stream is not None
        # An answer is written as one line, so that what can be read is a whole one.
        if not select.select([stream], [], [], self._patience_s)[0]:
            for member in _members(self._process.pid):
                member.kill()
            self.close()
            raise SlowError(f"There was no answer within {self._patience_s:.0f} seconds.")
        line = stream.readline()
        if not line:
            raise FailedError(f"The process has ended.\n{self._last_lines()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_lines(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:])


def take_turns(
    findings: Findings,
    experiment: str,
    entrants: Sequence[Entrant],
    *,
    rounds: int,
    work: Path,
    after: Callable[[Mapping[str, Path]], None] | None = None,
) -> None:
    """Lets entrants answer in turn, `rounds` times, each contender in a process that lives on.

    A contender's first answer is cold where the process is its own, the others are warm.

    Args:
        findings: gets the measurements, and the failures of those who drop out.
        experiment: as it is called in the results.
        entrants: in order.
        rounds: how many.
        work: where rounds and the workers' messages are kept; it is emptied at the end.
        after: called with the directory of the last round of each contender that has not failed.
    """
    shutil.rmtree(work, ignore_errors=True)
    places: dict[str, Path] = {}
    out: set[str] = set()
    with ExitStack() as stack:
        own: dict[str, Worker] = {}
        for entrant in entrants:
            if entrant.worker is None and _process(entrant) not in own:
                own[_process(entrant)] = stack.enter_context(_worker(entrant, work))
        for number, entrant in product(range(rounds), entrants):
            name, case = entrant.contender, dict(entrant.case)
            if name in out:
                continue
            about = {"experiment": experiment, "case": case, "contender": name}
            worker = entrant.worker or own[_process(entrant)]
            try:
                place = cleared(work / name / "round")
                found = one_round(worker, entrant, place)
            except (FailedError, SlowError) as error:
                kind = "too slow" if isinstance(error, SlowError) else "failed"
                findings.failures.append(about | {"kind": kind, "message": str(error)})
                tell(experiment, case, f"{name}: {kind}: {error}")
                worker.close()
                # What it has left half done is nothing to go on from.
                shutil.rmtree(work / name / "round", ignore_errors=True)
                out.add(name)
                continue
            places[name] = place
            findings.measurements.append(about | {"round": number} | found)
            figures = f"{found['cpu_s']:7.1f} CPU s {found['wall_s']:7.1f} s"
            tell(experiment, case, f"{name:<16} {found['temperature']} {figures}")
    if after is not None:
        after({name: place for name, place in places.items() if name not in out})
    shutil.rmtree(work, ignore_errors=True)


def one_round(worker: Worker, entrant: Entrant, place: Path) -> Measurement:
    """One answer, with what the logs of the warehouse say was written for it."""
    arguments = entrant.arrange(place)
    before = delta_log.versions(place / WAREHOUSE)
    found = worker.measured(entrant.function, arguments)
    rows = found.pop("result")
    return found | _skew(found.pop("stages")) | written(place / WAREHOUSE, before) | {"rows": rows}


def _skew(stages: Sequence[Mapping[str, Any]] | None) -> Measurement:
    """The stage whose longest task is furthest above its median one."""

    def ratio(stage: Mapping[str, Any]) -> float:
        return float(stage["longest_ms"] / max(stage["median_ms"], 1))

    worst = max(stages or (), key=ratio, default=None)
    return {
        "longest_task_against_median": None if worst is None else ratio(worst),
        "most_skewed_stage": worst,
    }


def written(warehouse: Path, before: Mapping[str, int]) -> Measurement:
    """What has been written to a warehouse since its tables had these versions."""
    tables = delta_log.written(warehouse, before)
    total = delta_log.Written()
    for one in tables.values():
        total = delta_log.add(total, one)
    return {
        "written_bytes": total.written_bytes,
        "files_added": total.files_added,
        "files_removed": total.files_removed,
        "commits": {name: one.commits for name, one in tables.items()},
        "tables": {name: asdict(one) for name, one in tables.items()},
    }


def cleared(folder: Path) -> Path:
    """An empty directory in this place, whatever was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def tell(experiment: str, case: Case, text: str) -> None:
    """A line for whoever is waiting."""
    described = ", ".join(f"{name} {value}" for name, value in case.items())
    about = f"{experiment} ({described})" if described else experiment
    print(f"{about}: {text}", file=sys.stderr, flush=True)


def _process(entrant: Entrant) -> str:
    return entrant.process or entrant.contender


def _worker(entrant: Entrant, work: Path) -> Worker:
    module = entrant.module or entrant.contender
    return Worker(module, work / _process(entrant), entrant.submit, entrant.patience_s)


def _members(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
