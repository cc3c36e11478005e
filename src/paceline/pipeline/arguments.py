"""The arguments of a run, and what they mean: instants, window, horizon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from paceline.errors import UsageError
from paceline.recipe import Window

EXAMPLE = "for example --start 2024-01-01 --end 2024-02-01"


@dataclass(frozen=True)
class Options:
    """The arguments of a job, as they were written; None or empty means not given."""

    start: str | None = None
    end: str | None = None
    landing: str | None = None
    warehouse: str | None = None
    catalog: str | None = None
    conf: str | None = None
    horizon: str | None = None
    policy: str | None = None
    git_commit: str | None = None
    accept: str | None = None
    schema: tuple[str, ...] = ()
    target: str | None = None
    job_run_id: str | None = None


def parse_instant(text: str | None, flag: str) -> datetime | None:
    """A date or an ISO timestamp as an instant in UTC; an empty text is not given.

    Raises:
        UsageError: when it is neither.
    """
    if text is None or not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(
            f"{flag} is {text!r}, which is neither a date nor an ISO timestamp: "
            f"write it as 2024-01-01 or 2024-01-01T06:00:00Z, {EXAMPLE}."
        ) from error
    if not date(1900, 1, 1) <= moment.date() <= date(2999, 12, 31):
        raise UsageError(f"{flag} is {text!r}; allowed are the years 1900 to 2999, {EXAMPLE}.")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_day(text: str | None, flag: str) -> date | None:
    """A date; an empty text is not given.

    Raises:
        UsageError: when it is no date.
    """
    if text is None or not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(
            f"{flag} is {text!r}, which is no date: write it as 2024-01-31."
        ) from error


def window(start: datetime | None, end: datetime | None) -> Window | None:
    """The window to reprocess, or None for a catch-up, which is a run without a start.

    Raises:
        UsageError: when the window holds no instant.
    """
    if start is None:
        return None
    if end is not None and start >= end:
        raise UsageError(
            f"The window is empty, because --start {start:%Y-%m-%dT%H:%M:%SZ} is not before "
            f"--end {end:%Y-%m-%dT%H:%M:%SZ} (the end is not part of it): {EXAMPLE}."
        )
    return Window(start, end)


def horizon(end: datetime | None, explicit: date | None, now: datetime) -> date:
    """The last day that a run asks of daily tables; only an explicit one passes the clock."""
    if explicit is not None:
        return explicit
    yesterday = now.astimezone(UTC).date() - timedelta(days=1)
    last_of_window = (end - timedelta(days=1)).date() if end is not None else yesterday
    return min(last_of_window, yesterday)
