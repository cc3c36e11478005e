"""What a person sees while something takes long: which table, which step, and for how long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def progress(*, is_quiet: bool) -> Iterator[Callable[[str], None]]:
    """A line that tells what is being done, on standard error when that is a terminal.

    Gives a function to be called with what is being done from now on. The line is gone at the end.
    """
    if is_quiet or not sys.stderr.isatty():
        yield _nobody
        return
    shown = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        # Lines for a terminal are put above this one; in a pipe they are not its business.
        redirect_stdout=sys.stdout.isatty(),
    )
    task = shown.add_task("starting")
    with shown:
        yield lambda doing: shown.update(task, description=doing)


def _nobody(doing: str) -> None:
    """Nobody looks."""


def steps(doing: Callable[[str], None]) -> Callable[[str, str, str], None]:
    """The hook of a run that tells each step of each table."""

    def hook(moment: str, step: str, name: str) -> None:
        if moment == "before":
            doing(f"{name}: {step}")

    return hook
