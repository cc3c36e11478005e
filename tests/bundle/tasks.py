"""Runs the tasks of a job as the platform does: in order, each file as text with its arguments."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any
from unittest import mock

import click

from paceline.errors import UsageError
from paceline.store.warehouse import schema_names

RUN_ID = "550315892394120"


def order(tasks: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Tasks, each after those that it depends on; None when they wait for each other."""
    by_key = {task["task_key"]: task for task in tasks}
    waits = {
        key: {other["task_key"] for other in task.get("depends_on", [])} & set(by_key)
        for key, task in by_key.items()
    }
    try:
        return [by_key[key] for key in TopologicalSorter(waits).static_order()]
    except CycleError:
        return None


def substituted(
    job: Mapping[str, Any], task: Mapping[str, Any], given: Mapping[str, str] | None = None
) -> list[str]:
    """The arguments of a task in a run, with what is known only then; the rest stays as it is.

    Args:
        job: the settings of the job, for the defaults of its parameters.
        task: one of its tasks.
        given: parameters of this run.
    """
    known = {f"job.parameters.{p['name']}": p["default"] for p in job.get("parameters", [])}
    known |= {f"job.parameters.{name}": value for name, value in (given or {}).items()}
    known["job.run_id"] = RUN_ID

    def value(found: re.Match[str]) -> str:
        return str(known.get(found[1], found[0]))

    texts = task.get("spark_python_task", {}).get("parameters", [])
    return [re.sub(r"\{\{(.*?)\}\}", value, text) for text in texts]


def run_file(path: Path, arguments: list[str]) -> None:
    """Executes a job file: its text, in a fresh namespace, without a path.

    Raises:
        SystemExit: when it has failed.
    """
    program = compile(path.read_text(encoding="utf-8"), "<task>", "exec")
    with mock.patch.object(sys, "argv", [path.name, *arguments]):
        exec(program, {"__name__": "__main__"})


def programs(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tasks of a job that run something; the others only compare two texts."""
    return [task for task in job.get("tasks", []) if "condition_task" not in task]


def states(job: Mapping[str, Any], run: Callable[[dict[str, Any]], bool]) -> dict[str, str]:
    """How the tasks of a run end, in the words of the platform, by key.

    Args:
        job: the settings of the job, with all variables resolved.
        run: runs a task that is no condition; whether it went well.
    """
    ended: dict[str, str] = {}
    for task in order(job["tasks"]) or []:
        ended[task["task_key"]] = _before(task, ended, job) or (
            "SUCCESS" if "condition_task" in task or run(task) else "FAILED"
        )
    return ended


def _before(task: dict[str, Any], ended: dict[str, str], job: Mapping[str, Any]) -> str | None:
    """How a task ends because of those that it depends on, without being run."""
    waits = [other for other in task.get("depends_on", []) if other["task_key"] in ended]
    found = {ended[other["task_key"]] for other in waits}
    if found == {"EXCLUDED"}:
        return "EXCLUDED"
    if task.get("run_if") == "ALL_DONE":
        return None  # and no outcome is heeded
    assert task.get("run_if", "ALL_SUCCESS") == "ALL_SUCCESS", "nothing else is imitated"
    if found & {"FAILED", "UPSTREAM_FAILED"}:
        return "UPSTREAM_FAILED"
    asked = {other["task_key"]: other["outcome"] for other in waits if "outcome" in other}
    conditions = [other for other in job["tasks"] if other["task_key"] in asked]
    is_met = all(_holds(other) == asked[other["task_key"]] for other in conditions)
    return None if is_met else "EXCLUDED"


def _holds(task: dict[str, Any]) -> str:
    """The outcome of a condition, as dependencies name it."""
    condition = task["condition_task"]
    is_equal = condition["left"] == condition["right"]
    return str(is_equal == (condition["op"] == "EQUAL_TO")).lower()


def is_success(job: Mapping[str, Any], ended: Mapping[str, str]) -> bool:
    """Whether the platform takes a run for a success: the tasks that none depends on decide it."""
    inner = {other["task_key"] for task in job["tasks"] for other in task.get("depends_on", [])}
    return {ended[key] for key in set(ended) - inner} <= {"SUCCESS", "EXCLUDED"}


def run_job(
    job: Mapping[str, Any],
    given: Mapping[str, str],
    files: Callable[[str], Path],
    localized: Callable[[str], str] = lambda argument: argument,
) -> bool:
    """Runs the tasks of a job; whether the platform would take the run for a success.

    Args:
        job: the settings of the job, with all variables resolved.
        given: parameters of this run.
        files: finds the file of a task by its `python_file`.
        localized: turns an argument into what means the same on this machine.
    """

    def run(task: dict[str, Any]) -> bool:
        arguments = [localized(text) for text in substituted(job, task, given)]
        try:
            run_file(files(task["spark_python_task"]["python_file"]), arguments)
        except SystemExit:
            return False
        return True

    return is_success(job, states(job, run))


def parse_problem(path: Path, arguments: list[str]) -> str | None:
    """Why a job file would refuse its arguments; None when it takes them. Nothing is run."""
    said = io.StringIO()
    with _parsing_only() as parsed, contextlib.redirect_stderr(said):
        try:
            run_file(path, arguments)
        except SystemExit:
            return " ".join(said.getvalue().split()).removeprefix("paceline: ").rstrip(".")
    if not parsed:
        return "it has no parser"
    try:
        schema_names(parsed[0].get("schema", ()))
    except UsageError as error:
        return str(error).rstrip(".")
    return None


@contextlib.contextmanager
def _parsing_only() -> Iterator[list[dict[str, Any]]]:
    """Commands note their arguments instead of doing what they are for."""
    parsed: list[dict[str, Any]] = []

    def note(self: click.Command, context: click.Context) -> None:
        parsed.append(context.params)

    with mock.patch.object(click.Command, "invoke", note):
        yield parsed
