"""The process of one contender: `python -m benchmarks.worker MODULE`, driven by lines of JSON.

A request is a line `{"function": ..., "arguments": {...}}`; a function `upstream.edit` belongs to
another module. It is answered by two lines, so that nobody pays for the counting:

- `{"result": ...}` or `{"error": "..."}` as soon as the function has returned;
- `{"jobs": ..., "read_bytes": ..., "stages": ...}`: what Spark has done for it, NULL without Spark.

The end of standard input ends the process. What a contender prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

# Shorter tasks say nothing about balance: starting and committing them is most of their time.
LONG_TASK_MS = 1000
MOST_TASKS = 10_000


@dataclass
class Seen:
    """How far the counting has come: numbers of Spark's next job and of its last stage."""

    jobs: int = 0
    stage: int = -1


def main() -> None:
    """Answers requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    seen = Seen()
    for line in sys.stdin:
        request = json.loads(line)
        for answer in (_answer(sys.argv[1], request), counts(seen)):
            print(json.dumps(answer), file=answers, flush=True)
    _stop()


def function(module: str, name: str) -> Callable[..., Any]:
    """The function of a contender, or the one of another module that a dotted name asks for."""
    owner, _, bare = name.rpartition(".")
    wanted = owner or module
    path = wanted if wanted.startswith("benchmarks.") else f"benchmarks.contenders.{wanted}"
    found: Callable[..., Any] = getattr(import_module(path), bare)
    return found


def _answer(module: str, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": function(module, request["function"])(**request["arguments"])}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}


def counts(seen: Seen) -> dict[str, Any]:
    """What Spark has done since the last counting; Spark's own books say it, so it costs nothing.

    `read_bytes` is what the tasks of all stages have read from files, which Spark knows only as
    long as Parquet's vectored reads are off. `stages` has, for each stage of several tasks with one
    of a second or more, its name, the number of its tasks, and milliseconds of the longest and the
    median one.
    """
    context = _context()
    if context is None:
        return {"jobs": None, "read_bytes": None, "stages": None}
    java = context._jsc.sc()
    java.listenerBus().waitUntilEmpty()
    before, seen.jobs = seen.jobs, java.dagScheduler().nextJobId()
    new = [stage for stage in _stages(context, java) if stage.stageId() > seen.stage]
    seen.stage = max((stage.stageId() for stage in new), default=seen.stage)
    return {
        "jobs": seen.jobs - before,
        "read_bytes": sum(stage.inputBytes() for stage in new),
        "stages": [times for stage in new if (times := _task_times(java, stage))],
    }


def _stages(context: Any, java: Any) -> list[Any]:
    machine = context._gateway.jvm
    none = context._gateway.new_array(machine.double, 0)
    found = java.statusStore().stageList(None, False, False, none, machine.java.util.ArrayList())
    return [found.apply(position) for position in range(found.size())]


def _task_times(java: Any, stage: Any) -> dict[str, Any] | None:
    if stage.executorRunTime() < LONG_TASK_MS or stage.numTasks() < 2:
        return None
    found = java.statusStore().taskList(stage.stageId(), stage.attemptId(), MOST_TASKS)
    tasks = [found.apply(position) for position in range(found.size())]
    measured = [task.taskMetrics().get() for task in tasks if task.taskMetrics().isDefined()]
    times = sorted(int(metrics.executorRunTime()) for metrics in measured)
    if not times or times[-1] < LONG_TASK_MS:
        return None
    return {
        # Without the folders of this machine: "collect at audit.py:121".
        "stage": re.sub(r"\S*/", "", stage.name()),
        "tasks": len(times),
        "longest_ms": times[-1],
        "median_ms": times[len(times) // 2],
    }


def _context() -> Any:
    spark = sys.modules.get("pyspark")
    return spark.SparkContext._active_spark_context if spark else None


def _stop() -> None:
    if (context := _context()) is not None:
        context.stop()


if __name__ == "__main__":
    main()
