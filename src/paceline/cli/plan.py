"""`paceline plan`: what a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from paceline.cli.opening import is_empty, opened
from paceline.cli.screen import HIDDEN, numbers, say, say_grid, say_json, texts, words
from paceline.errors import PacelineError, UsageError
from paceline.operations import dry_run
from paceline.operations.dry_run import Delivered, Refused, Touched
from paceline.pipeline.arguments import Options
from paceline.pipeline.execute import execute
from paceline.pipeline.jobs import Jobs, tables_of
from paceline.publish.claim import Hook, no_hook
from paceline.publish.recovery import known_seals
from paceline.publish.staged import staging_name
from paceline.session import disk_trouble, lock
from paceline.settings import conf_directory, load_settings
from paceline.store.ledger import Entry
from paceline.store.state import Sealed, read_state
from paceline.store.warehouse import local_root

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHOWN_ATHLETES = 5
# Of a table, in JSON.
MOST_ATHLETES = 1000
SHOWN_CAUSES = 2

# What a killed plan has left goes with a later one.
_ABANDONED_S = 86_400

_COUNTS = (
    *("rows_read", "rows_compared", "rows_inserted", "rows_updated", "rows_deleted"),
    *("rows_unchanged", "rows_quarantined", "rows_superseded", "touched_entities", "touched_days"),
)


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        tables: per table its row of the ledger as the run would write it, without what is of the
            dry run only, and the reason why its rows were compared.
        deliveries: files that would be read for the first time.
        touched: per table and athlete the rows that would change, and why; of each table those
            athletes with most.
        refused: records that would be put into quarantine.
        checks: those of the audits that would not pass.
    """

    tables: tuple[dict[str, Any], ...]
    deliveries: tuple[Delivered, ...]
    touched: tuple[Touched, ...]
    refused: tuple[Refused, ...]
    checks: tuple[dict[str, Any], ...]


def plan(
    jobs: Jobs,
    options: Options,
    *,
    hook: Hook = no_hook,
    spark: SparkSession | None = None,
    now: datetime | None = None,
) -> Plan:
    """Runs both jobs dry in a copy that links to the files of the warehouse.

    Args:
        jobs: those to rehearse, with their tables.
        options: the arguments of the run.
        hook: called around each step of each table.
        spark: the session; None makes one.
        now: the time of the run; None reads the clock.

    Raises:
        UsageError: when the run could not start, or the tables are in a catalog.
        LockedError: when a run holds the warehouse.
    """
    settings = load_settings(conf_directory(options.conf))
    if options.catalog or settings.catalog:
        raise UsageError(
            "A plan is a run in a copy that links to local files, which a catalog does not allow: "
            "run the jobs on another target, such as dev, and look at its ledger."
        )
    root = Path(options.warehouse or settings.warehouse).resolve()
    with _scratch(root) as scratch:
        if not is_empty(root):
            with lock(root):
                dry_run.copy(root, scratch)
        try:
            return _run_dry(
                jobs, replace(options, warehouse=str(scratch)), scratch, hook, spark, now
            )
        except Exception as error:
            if disk_trouble(error, scratch) is None:
                raise
            raise PacelineError(
                f"The plan stopped, because the disk of the warehouse {root} is full or cannot be "
                "written: a plan writes there what the run would write, and removes it. Free space "
                "and plan again; nothing was changed."
            ) from error


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """A directory for the copy, on the disk that has to hold the rows of the run anyway.

    It lies in the warehouse, beside the schemas, so that links lead no further than the disk; a
    warehouse that is not there yet is gone again afterwards.
    """
    missing = [path for path in (root, *root.parents) if not path.exists()]
    local_root(root)
    dry_run.remove_copies(root, _ABANDONED_S)
    try:
        with TemporaryDirectory(prefix=dry_run.PREFIX, dir=root) as scratch:
            yield Path(scratch)
    finally:
        for path in missing:
            with suppress(OSError):
                path.rmdir()


def _run_dry(
    jobs: Jobs,
    options: Options,
    root: Path,
    hook: Hook,
    spark: SparkSession | None,
    now: datetime | None,
) -> Plan:
    before: Mapping[str, Sealed] = {}
    if not is_empty(root):
        warehouse = opened(root, "", options.schema, is_run=True)
        before = known_seals(read_state(warehouse), warehouse)
    entries = execute(
        jobs,
        options,
        hook=hook,
        spark=spark,
        now=now,
        is_dry_run=True,
    )
    by_name = {entry.table_name: entry for entry in entries}
    warehouse = opened(root, "", options.schema)
    tables = [table for table in tables_of(jobs) if table.name in by_name]
    for table in tables:
        warehouse.register(table.name)
        warehouse.register(staging_name(table.name))
    return Plan(
        tables=tuple(
            _told(by_name[table.name], dry_run.reason(table, by_name, before)) for table in tables
        ),
        deliveries=tuple(dry_run.delivered(warehouse, entries)),
        touched=tuple(dry_run.touched(warehouse, tables, by_name, before, MOST_ATHLETES)),
        refused=tuple(dry_run.refused(warehouse, entries)),
        checks=tuple(dry_run.failed_checks(warehouse, entries)),
    )


def _told(entry: Entry, reason: str | None) -> dict[str, Any]:
    return {
        "table_name": entry.table_name,
        "status": entry.status,
        "verdict": entry.verdict,
        "reason": reason,
        "horizon": entry.horizon,
        **{name: getattr(entry, name) for name in _COUNTS},
    }


def show(planned: Plan, *, as_json: bool, is_personal: bool = False) -> None:
    """Prints a plan; athletes are named only when `is_personal`."""
    if not is_personal:
        hidden = tuple(replace(row, athlete_id=HIDDEN) for row in planned.touched)
        planned = replace(planned, touched=hidden)
    if as_json:
        say_json(asdict(planned), is_personal=is_personal)
        return
    _say_tables(planned.tables)
    if planned.deliveries:
        rows = [(row.table_name, f"{row.records:,}", row.path) for row in planned.deliveries]
        columns = [*words("table"), *numbers("records"), *texts("file")]
        say_grid("New deliveries", columns, rows, is_personal=is_personal)
    if planned.touched:
        _say_touched(planned, is_personal=is_personal)
    if planned.refused:
        columns = [*words("table"), *numbers("records"), *texts("broken rules", "for example")]
        refused = [
            (row.table_name, f"{row.records:,}", ", ".join(row.reasons), row.example or "")
            for row in planned.refused
        ]
        say_grid("What would be refused", columns, refused, is_personal=is_personal)
    if planned.checks:
        columns = [*words("table", "check", "verdict"), *numbers("observed", "allowed")]
        say_grid("What the audits would say", columns, map(_check, planned.checks))
    say("Nothing was changed. `paceline run` with the same arguments does this.")


def _say_tables(tables: Sequence[dict[str, Any]]) -> None:
    counts = (
        *("rows_inserted", "rows_updated", "rows_deleted", "rows_quarantined"),
        *("touched_entities", "touched_days"),
    )
    rows = [
        (
            *(row["table_name"], row["status"], row["verdict"] or ""),
            *("" if row[name] is None else f"{row[name]:,}" for name in counts),
        )
        for row in tables
    ]
    counted = numbers("insert", "update", "delete", "refuse", "athletes", "days")
    say_grid("What a run would do", [*words("table", "status", "verdict"), *counted], rows)
    say(*(f" {row['table_name']}: {row['reason']}" for row in tables if row["reason"]), "")


def _say_touched(planned: Plan, *, is_personal: bool) -> None:
    in_all = {row["table_name"]: row["touched_entities"] for row in planned.tables}
    shown: list[Sequence[str]] = []
    for name, group in groupby(planned.touched, key=lambda row: row.table_name):
        rows = list(group)[:SHOWN_ATHLETES]
        shown += map(_touched, rows)
        if in_all[name] > len(rows):
            shown.append((name, f"and {in_all[name] - len(rows):,} more"))
    columns = [
        *words("table"),
        *numbers("athlete", "+", "~", "-", "days"),
        *words("from, to"),
        *texts("because of"),
    ]
    say_grid("Who would be touched", columns, shown, is_personal=is_personal)


def _touched(row: Touched) -> Sequence[str]:
    days = "" if row.first_day is None else f"{row.first_day} {row.last_day}"
    return (
        *(row.table_name, str(row.athlete_id)),
        *(f"{count:,}" for count in (row.inserted, row.updated, row.deleted)),
        "" if row.days is None else f"{row.days:,}",
        *(days, _because(row.because_of)),
    )


def _because(paths: Sequence[str]) -> str:
    more = len(paths) - SHOWN_CAUSES
    said = ", ".join(paths[:SHOWN_CAUSES])
    return f"{said} and {more:,} more" if more > 0 else said


def _check(row: dict[str, Any]) -> Sequence[str]:
    observed = "" if row["observed"] is None else f"{row['observed']:,.6g}"
    names = row["table_name"], row["check_name"], row["verdict"]
    return *names, observed, f"{row['threshold']:,.6g}"
