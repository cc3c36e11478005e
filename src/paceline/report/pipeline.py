"""How the pipeline has run: the lines of the ledger, put together by run and by table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median

from paceline.store import ledger

# What a run is called after, when its tables ended differently: the first that any of them has.
SEVEREST = (
    *(ledger.FAILED, ledger.REJECTED, ledger.ABANDONED, ledger.SKIPPED),
    *(ledger.STARTED, ledger.PUBLISHED, ledger.UNCHANGED),
)
BAD = (ledger.FAILED, ledger.REJECTED, ledger.ABANDONED, ledger.SKIPPED)


@dataclass(frozen=True)
class Entry:
    """What a run did with a table, in columns of ops.ledger; its instants are UTC."""

    run_id: str
    job: str
    table_name: str
    status: str
    verdict: str | None
    target_version: int | None
    horizon: date | None
    rows_inserted: int
    rows_updated: int
    rows_deleted: int
    rows_quarantined: int
    started_at: datetime
    finished_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs, and for a run that has crashed."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None


@dataclass(frozen=True)
class Check:
    """A check of an audit that is no PASS; its fields are as in ops.ledger."""

    run_id: str
    table_name: str
    check_name: str
    observed: float | None
    threshold: float | None
    verdict: str


@dataclass(frozen=True)
class Refused:
    """How many records a table refuses, and refused once, for a reason; its instants are UTC."""

    table_name: str
    reason: str
    open: int
    resolved: int
    first_seen: datetime | None
    last_seen: datetime | None


@dataclass(frozen=True)
class Run:
    """One execution of a job: its rows of the ledger, and what its audits did not pass."""

    run_id: str
    entries: Sequence[Entry]
    checks: Sequence[Check]

    @property
    def job(self) -> str:
        """The job."""
        return self.entries[0].job

    @property
    def status(self) -> str:
        """The severest status of its tables."""
        return min((entry.status for entry in self.entries), key=SEVEREST.index)

    @property
    def started_at(self) -> datetime:
        """When its first table was claimed."""
        return min(entry.started_at for entry in self.entries)

    @property
    def seconds(self) -> float | None:
        """From its first claim to its last seal; None when a table has no end."""
        ends = [entry.finished_at for entry in self.entries]
        if None in ends:
            return None
        return (max(end for end in ends if end) - self.started_at).total_seconds()

    @property
    def inserted(self) -> int:
        """Rows inserted, over all tables."""
        return sum(entry.rows_inserted for entry in self.entries)

    @property
    def updated(self) -> int:
        """Rows updated, over all tables."""
        return sum(entry.rows_updated for entry in self.entries)

    @property
    def deleted(self) -> int:
        """Rows deleted, over all tables."""
        return sum(entry.rows_deleted for entry in self.entries)

    @property
    def written(self) -> int:
        """Rows inserted, updated or deleted, over all tables."""
        return self.inserted + self.updated + self.deleted

    @property
    def quarantined(self) -> int:
        """Records in its scope that broke a rule or could not be read."""
        return sum(entry.rows_quarantined for entry in self.entries)

    @property
    def warnings(self) -> int:
        """Checks that warned."""
        return sum(1 for check in self.checks if check.verdict == "WARN")


@dataclass(frozen=True)
class Table:
    """A table over the runs shown; `median_seconds` is of those that ended, None without one."""

    name: str
    last: Entry
    runs: int
    inserted: int
    updated: int
    deleted: int
    quarantined: int
    median_seconds: float | None


@dataclass(frozen=True)
class Pipeline:
    """What a report shows.

    Attributes:
        runs: in the order of their start, at least one.
        tables: that have a row in these, in the order in which they are made.
        refused: by table and reason.
        open: records in quarantine, each counted once.
        left_out: older runs of the weeks asked for, that are not shown.
    """

    runs: Sequence[Run]
    tables: Sequence[Table]
    refused: Sequence[Refused]
    open: int
    left_out: int = 0

    @property
    def outcomes(self) -> Counter[str]:
        """How many runs ended in which status."""
        return Counter(run.status for run in self.runs)

    @property
    def median_seconds(self) -> float | None:
        """Of the runs that published and ended; None without one."""
        return _median(run.seconds for run in self.runs if run.status == ledger.PUBLISHED)


def runs(entries: Iterable[Entry], checks: Iterable[Check]) -> list[Run]:
    """The runs, in the order of their start."""
    by_run, failing = defaultdict(list), defaultdict(list)
    for entry in entries:
        by_run[entry.run_id].append(entry)
    for check in checks:
        failing[check.run_id].append(check)
    found = [Run(run_id, of_run, failing[run_id]) for run_id, of_run in by_run.items()]
    return sorted(found, key=lambda run: (run.started_at, run.run_id))


def tables(found: Sequence[Run], order: Sequence[str]) -> list[Table]:
    """What the runs made of each table.

    Args:
        found: in the order of their start.
        order: names of tables; others are left out.
    """
    by_name: dict[str, list[Entry]] = defaultdict(list)
    for run in found:
        for entry in run.entries:
            by_name[entry.table_name].append(entry)
    return [
        Table(
            name=name,
            last=by_name[name][-1],
            runs=len(by_name[name]),
            inserted=sum(entry.rows_inserted for entry in by_name[name]),
            updated=sum(entry.rows_updated for entry in by_name[name]),
            deleted=sum(entry.rows_deleted for entry in by_name[name]),
            quarantined=sum(entry.rows_quarantined for entry in by_name[name]),
            median_seconds=_median(entry.seconds for entry in by_name[name]),
        )
        for name in order
        if name in by_name
    ]


def _median(seconds: Iterable[float | None]) -> float | None:
    known = [value for value in seconds if value is not None]
    return median(known) if known else None
