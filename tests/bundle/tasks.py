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


def run_job(
    job: Mapping[str, Any],
    given: Mapping[str, str],
    files: Callable[[str], Path],
    localized: Callable[[str], str] = lambda argument: argument,
) -> bool:
    """Runs all tasks of a job; whether all went well. After a failure none is begun.

    Args:
        job: the settings of the job, with all variables resolved.
        given: parameters of this run.
        files: finds the file of a task by its `python_file`.
        localized: turns an argument into what means the same on this machine.
    """
    for task in order(job["tasks"]) or []:
        arguments = [localized(text) for text in substituted(job, task, given)]
        try:
            run_file(files(task["spark_python_task"]["python_file"]), arguments)
        except SystemExit:
            return False
    return True


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
