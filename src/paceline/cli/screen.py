"""The one door to the terminal: all that is shown is escaped, and names no athlete.

Names of files and payloads come from outside: they may hold commands for a terminal, and the id of
an athlete. What a person has asked for by name, with PERSONAL DATA in its help, is only escaped.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from paceline.runs import WithRunId
from paceline.sources.files import HIDDEN, escaped, masked

__all__ = ["HIDDEN"]
PIPED_WIDTH = 160
_log = logging.getLogger("paceline")


def say(*lines: str, is_error: bool = False, is_personal: bool = False) -> None:
    """Prints lines, to standard error if asked to."""
    clean = _cleaner(is_personal)
    for line in lines:
        click.echo(clean(line), err=is_error)


def say_fields(rows: Iterable[Sequence[str]]) -> None:
    """Prints rows as lines of fields between tabs, for other programs."""
    for row in rows:
        click.echo("\t".join(map(masked, row)))


def say_json(data: Any, *, is_personal: bool = False) -> None:
    """Prints data as JSON; what JSON does not know is printed as its text."""
    click.echo(json.dumps(_cleaned(data, _cleaner(is_personal)), default=str, indent=2))


def say_grid(
    title: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Sequence[str]] | None],
    *,
    is_personal: bool = False,
) -> None:
    """Prints a table as wide as the terminal, without colours when piped.

    Args:
        title: the line above it.
        columns: made by `words`, `numbers` and `texts`.
        rows: with a cell for each column, a list for one of several lines; None draws a line.
        is_personal: whether cells may name athletes.
    """
    shown = Table(*columns, title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    clean = _cleaner(is_personal)
    for row in rows:
        if row is None:
            shown.add_section()
        else:
            cells = ([cell] if isinstance(cell, str) else cell for cell in row)
            shown.add_row(*("\n".join(map(clean, lines)) for lines in cells))
    # Where nobody looks at a terminal, lines may be long; names of files may look like markup.
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(width=width, markup=False, emoji=False, highlight=False).print(shown)


def words(*headings: str) -> list[Column]:
    """Columns that are never folded."""
    return [Column(heading, no_wrap=True) for heading in headings]


def numbers(*headings: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(heading, justify="right", no_wrap=True) for heading in headings]


def texts(*headings: str) -> list[Column]:
    """Columns that are folded where there is no room."""
    return [Column(heading, overflow="fold") for heading in headings]


@contextmanager
def logged() -> Iterator[None]:
    """Shows what the program logs meanwhile: warnings on standard error, the rest as results."""
    handler, before = _Screen(), (_log.level, _log.propagate)
    _log.addHandler(handler)
    _log.propagate = False
    be_quiet(False)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.level, _log.propagate = before


def be_quiet(is_quiet: bool) -> None:
    """Leaves only warnings of what is logged, or all of it."""
    _log.setLevel(logging.WARNING if is_quiet else logging.INFO)


@contextmanager
def progress(*, is_quiet: bool) -> Iterator[Callable[[str], None]]:
    """A line that says what is being done, on standard error when that is a terminal.

    Gives a function to be called with what is being done from now on. The line is gone at the end.
    """
    if is_quiet or not sys.stderr.isatty():
        yield lambda doing: None
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
        yield lambda doing: shown.update(task, description=masked(doing))


def steps(doing: Callable[[str], None]) -> Callable[[str, str, str], None]:
    """The hook of a run that says each step of each table."""

    def hook(moment: str, step: str, name: str) -> None:
        if moment == "before":
            doing(f"{name}: {step}")

    return hook


class _Screen(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.addFilter(WithRunId())

    def emit(self, record: logging.LogRecord) -> None:
        is_warning = record.levelno >= logging.WARNING
        parts = (getattr(record, "run_id", None), "warning:" if is_warning else None)
        say(" ".join(filter(None, (*parts, record.getMessage()))), is_error=is_warning)


def _cleaner(is_personal: bool) -> Callable[[str], str]:
    return escaped if is_personal else masked


def _cleaned(data: Any, clean: Callable[[str], str]) -> Any:
    """The same with clean texts, in keys as well."""
    if isinstance(data, str):
        return clean(data)
    if isinstance(data, Mapping):
        return {clean(str(key)): _cleaned(value, clean) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_cleaned(value, clean) for value in data]
    return data
