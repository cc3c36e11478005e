"""Tables on the screen, of one look for all commands."""

from __future__ import annotations

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

_PIPED_WIDTH = 120


def console() -> Console:
    """Where tables are printed: as wide as the terminal, and without colours when piped."""
    # Where nobody looks at a terminal, the lines may be as long as they are.
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    # Names of files may look like markup.
    return Console(width=width, markup=False, emoji=False, highlight=False)


def grid(title: str) -> Grid:
    """An empty table without columns."""
    return Grid(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
