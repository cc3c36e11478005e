"""Which run the program is in, for every line that it logs meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_run_id: ContextVar[str | None] = ContextVar("run_id", default=None)


@contextmanager
def logged_as(run_id: str) -> Iterator[None]:
    """Lines that are logged meanwhile carry the id of a run."""
    before = _run_id.set(run_id)
    try:
        yield
    finally:
        _run_id.reset(before)


class WithRunId(logging.Filter):
    """For handlers: gives each record the attribute `run_id`, None outside of a run."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keeps every record."""
        record.run_id = _run_id.get()
        return True
