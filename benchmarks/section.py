"""What a section of the page is made of, and what several of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks import figures
from benchmarks.charts import Chart
from benchmarks.figures import Document, Line

OURS = {"full", "recipe", "exact"}


@dataclass(frozen=True)
class Section:
    """A section of the page. `document` is the run whose figures it shows."""

    document: Document
    table: str
    chart: Chart | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the sentences around the table mention; None where it was not measured."""


def files(line: Line) -> str:
    """Data files that have come and gone."""
    added, removed = (line.settled.get(f"files_{what}") for what in ("added", "removed"))
    return figures.NOTHING if added is None else f"+{added:,} -{removed or 0:,}"
