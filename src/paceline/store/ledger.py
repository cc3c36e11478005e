"""ops.ledger: an append-only log of what runs have begun, judged, published and found.

A run says so in events: STARTED once a job, AUDITED before it publishes a table, SEALED after it,
ENDED where a table was skipped or has failed. VERIFIED is a comparison with a rebuild, and NOTE
whatever is noted later. Nothing is ever changed, so that a run is what its events say together:
`lines` tells it as one row for each of its tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pyarrow as pa

from paceline.sql import literal
from paceline.store.warehouse import FEW_CHECKPOINTS, Position, Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

LEDGER = "ops.ledger"
# Files are skipped by these, for most questions are about the last weeks.
PROPERTIES = {"delta.dataSkippingStatsColumns": "at,run_id,table_name"} | FEW_CHECKPOINTS

STARTED, PUBLISHED, UNCHANGED = "STARTED", "PUBLISHED", "UNCHANGED"
REJECTED, SKIPPED, FAILED, ABANDONED = "REJECTED", "SKIPPED", "FAILED", "ABANDONED"
VERIFIED = "VERIFIED"
SEALED = (PUBLISHED, UNCHANGED)

# As far back a run is compared with others of its table.
USUAL_RUNS = 30

_SILENT = "the run ended without a word; a later one started over"

AUDITED_EVENT, SEALED_EVENT, ENDED_EVENT, NOTE_EVENT = "AUDITED", "SEALED", "ENDED", "NOTE"
# The event that says how a table has ended.
_EVENTS = {
    STARTED: STARTED,
    PUBLISHED: SEALED_EVENT,
    UNCHANGED: SEALED_EVENT,
    REJECTED: AUDITED_EVENT,
    SKIPPED: ENDED_EVENT,
    FAILED: ENDED_EVENT,
    ABANDONED: ENDED_EVENT,
    VERIFIED: VERIFIED,
}

_ROWS = ("rows_inserted", "rows_updated", "rows_deleted")

_POSITIONS = "ARRAY<STRUCT<table_name STRING, table_id STRING, version BIGINT>>"
_CHECK = "check_name STRING, observed DOUBLE, threshold DOUBLE, severity STRING, verdict STRING"

LEDGER_DDL = f"""
run_id STRING NOT NULL COMMENT 'one execution of a job',
job STRING COMMENT 'Feature_Activity, Feature_Rolling, verify or erase',
table_name STRING COMMENT 'NULL where the event is about the whole run',
status STRING COMMENT 'how far the table came, such as PUBLISHED or FAILED; VERIFIED by verify',
verdict STRING COMMENT 'PASS, WARN, FAIL, ERROR: the worst of the checks',
event STRING NOT NULL COMMENT 'STARTED, AUDITED, SEALED, ENDED, VERIFIED or NOTE',
at TIMESTAMP NOT NULL COMMENT 'when that was',
tables ARRAY<STRING> COMMENT 'the tables of the job, of STARTED',
checks ARRAY<STRUCT<{_CHECK}>> COMMENT 'every check of the audit, of AUDITED',
accepted ARRAY<STRING> COMMENT 'checks that a person has let pass',
mark STRING COMMENT 'the attempt, as its staged rows and its commit name it',
staging_version BIGINT COMMENT 'the version of the staging table that was judged',
base_version BIGINT COMMENT 'the version of the table that was compared with',
window_start TIMESTAMP COMMENT 'event times reprocessed, from; NULL for a catch-up',
window_end TIMESTAMP COMMENT 'event times reprocessed, before; NULL is open',
horizon DATE COMMENT 'the last day of daily tables',
input_versions {_POSITIONS} COMMENT 'the versions read',
cursor {_POSITIONS} COMMENT 'the versions of the inputs up to which everything is published',
target_id STRING,
target_version BIGINT COMMENT 'the version of the table at seal',
full_compare_reason STRING COMMENT 'why all rows were compared; NULL when the change feed told',
rows_read BIGINT COMMENT 'records judged, or rows made',
rows_compared BIGINT COMMENT 'rows of the table that were compared with what should exist',
rows_inserted BIGINT,
rows_updated BIGINT,
rows_deleted BIGINT,
rows_unchanged BIGINT COMMENT 'rows compared and equal',
rows_quarantined BIGINT COMMENT 'records in scope that break a rule or cannot be read',
rows_superseded BIGINT COMMENT 'records that a better version has replaced, copies and deletes',
dispositions MAP<STRING, BIGINT> COMMENT 'records read, by what became of them',
usual_rows ARRAY<BIGINT> COMMENT 'rows that each of the last catch-ups wrote, the newest first',
open_rejects BIGINT COMMENT 'open rows in ops.quarantine; NULL where others may write them',
touched_entities BIGINT COMMENT 'athletes with a changed row; NULL where rows are about nobody',
touched_days BIGINT COMMENT 'calendar days with a changed row; NULL where rows have none',
newest TIMESTAMP COMMENT 'the newest value so far of the column whose age the contract limits',
code_version STRING,
contract_version STRING,
fingerprint STRING COMMENT 'of rules, recipe, settings and policy',
git_commit STRING,
target STRING COMMENT 'the deployment, such as dev or prod; NULL where there is none',
job_run_id STRING COMMENT 'the run of the platform, which several runs and tries may share',
model_permission STRING COMMENT 'the setting: by what right models may use restricted data',
started_at TIMESTAMP,
finished_at TIMESTAMP,
message STRING
"""


class Verdict(NamedTuple):
    """One check of an audit, as the ledger keeps it."""

    check_name: str
    observed: float | None
    threshold: float
    severity: str
    verdict: str


@dataclass
class Entry:
    """One event; its fields are the columns of that name.

    `event` and `at` are filled in when it is written; `table_name` is empty where the event is
    about the whole run.
    """

    run_id: str
    job: str
    table_name: str
    status: str = STARTED
    verdict: str | None = None
    event: str = ""
    at: datetime | None = None
    tables: list[str] = field(default_factory=list)
    checks: list[Verdict] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    mark: str | None = None
    staging_version: int | None = None
    base_version: int | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    horizon: date | None = None
    input_versions: list[Position] = field(default_factory=list)
    cursor: list[Position] = field(default_factory=list)
    target_id: str | None = None
    target_version: int | None = None
    full_compare_reason: str | None = None
    rows_read: int = 0
    rows_compared: int = 0
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_deleted: int = 0
    rows_unchanged: int = 0
    rows_quarantined: int = 0
    rows_superseded: int = 0
    dispositions: dict[str, int] = field(default_factory=dict)
    usual_rows: list[int] = field(default_factory=list)
    open_rejects: int | None = None
    touched_entities: int | None = None
    touched_days: int | None = None
    newest: datetime | None = None
    code_version: str | None = None
    contract_version: str | None = None
    fingerprint: str | None = None
    git_commit: str | None = None
    target: str | None = None
    job_run_id: str | None = None
    model_permission: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str | None = None


class Journal:
    """Writes the events of one execution, those that can wait together with the next ones.

    The newest event counts, so that each is dated after those before it, even where a clock has
    been put back.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._newest = datetime.min.replace(tzinfo=UTC)
        self._waiting: list[Entry] = []
        self._begun: set[str] = set()

    def begin(self, started: Entry) -> None:
        """Says that a run has something to do, unless it has said so."""
        if started.run_id not in self._begun:
            self.write(started)
            self._begun.add(started.run_id)

    def wait(self, entry: Entry) -> None:
        """Keeps an event, as of now, until the next one is written."""
        self._waiting.append(self._dated(entry))

    def follow(self, newest: datetime | None) -> None:
        """Dates the next events after one that is known."""
        self._newest = max(filter(None, (self._newest, newest)))

    def write(self, *entries: Entry) -> None:
        """Writes events, after those that have waited, in one commit; none when there is none."""
        events = [*self._waiting, *map(self._dated, entries)]
        if events:
            append(self._warehouse, events)
        self._waiting.clear()

    def _dated(self, entry: Entry) -> Entry:
        now = max(datetime.now(UTC), self._newest + timedelta(microseconds=1))
        found = dated(replace(entry, at=entry.at or now))
        self.follow(found.at)
        return found


def dated(entry: Entry) -> Entry:
    """A copy of an entry as the event that has just happened; AUDITED alone keeps the checks."""
    event = entry.event or _EVENTS[entry.status]
    checks = entry.checks if event in (AUDITED_EVENT, NOTE_EVENT) else []
    return replace(entry, event=event, at=entry.at or datetime.now(UTC), checks=checks)


def append(warehouse: Warehouse, entries: Sequence[Entry]) -> None:
    """Adds events in one commit."""
    append_rows(warehouse, LEDGER, LEDGER_DDL, [row_of(dated(entry)) for entry in entries])


def append_rows(warehouse: Warehouse, name: str, ddl: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Adds rows to a table of ops in one commit."""
    frame = _frame(warehouse, ddl, rows)
    frame.write.format("delta").mode("append").saveAsTable(warehouse.identifier(name))


def note_lost_alert(warehouse: Warehouse, last: Entry) -> None:
    """Notes about a run that nobody could be told of it."""
    check = Verdict("alert_delivered", 0.0, 1.0, "warning", "WARN")
    note = Entry(last.run_id, last.job, last.table_name, event=NOTE_EVENT, checks=[check])
    append(warehouse, [replace(note, contract_version=last.contract_version)])


def lines(warehouse: Warehouse) -> str:
    """SQL for one row for each run and table, with the columns of the ledger.

    What is sealed stays so, whatever came after it. A run that has not ended a table has STARTED
    it, and what AUDITED foresaw is not published yet; when another run of its job has written an
    event since its last one, it has ABANDONED it.
    """
    name = warehouse.identifier(LEDGER)
    is_over = "line.status = 'STARTED' AND last_at < last_of_job"
    columns = {f.name: f"line.{f.name}" for f in fields(Entry)}
    columns |= {foreseen: f"IF(line.status <> 'STARTED', line.{foreseen}, 0)" for foreseen in _ROWS}
    columns |= {
        "table_name": "of_table",
        "status": f"IF({is_over}, 'ABANDONED', line.status)",
        "message": f"IF({is_over}, '{_SILENT}', line.message)",
    }
    selected = ", ".join(f"{value} AS {name}" for name, value in columns.items())
    return f"""(
        SELECT {selected} FROM (
            SELECT of_table, max(max(at)) OVER (PARTITION BY run_id) AS last_at,
                max(max(at)) OVER (PARTITION BY job) AS last_of_job,
                max_by(struct({", ".join(columns)}),
                    struct(event IN ('SEALED', 'VERIFIED'), status = 'PUBLISHED', at)) AS line
            FROM (
                SELECT *, coalesce(table_name, of_job) AS of_table
                FROM {name} LATERAL VIEW OUTER explode(tables) AS of_job
                WHERE event <> 'NOTE'
            )
            GROUP BY run_id, job, of_table
        )
    )"""


def checks(warehouse: Warehouse) -> str:
    """SQL for the checks of all audits, one row each, with run, table and time."""
    return f"""(
        SELECT run_id, table_name, judged.*, contract_version, at AS judged_at
        FROM {warehouse.identifier(LEDGER)} LATERAL VIEW explode(checks) AS judged
    )"""


def table_names(warehouse: Warehouse) -> set[str]:
    """All tables that a run has ever dealt with."""
    name = warehouse.identifier(LEDGER)
    rows = warehouse.spark.sql(
        f"SELECT table_name FROM {name} WHERE table_name IS NOT NULL"
        f" UNION SELECT explode(tables) FROM {name}"
    )
    return {row["table_name"] for row in rows.collect()}


def rejected(warehouse: Warehouse, run_id: str) -> dict[str, dict[str, float]]:
    """By table that a run has rejected, the checks that forbade publishing: what was observed."""
    rows = warehouse.spark.sql(
        f"SELECT table_name, judged.check_name, judged.observed"
        f" FROM {warehouse.identifier(LEDGER)} LATERAL VIEW explode(checks) AS judged"
        f" WHERE run_id = {literal(run_id)} AND status = '{REJECTED}' AND judged.verdict = 'FAIL'"
    ).collect()
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        found.setdefault(row["table_name"], {})[row["check_name"]] = row["observed"]
    return found


def entry_of(row: Row) -> Entry:
    """The event in a row with all columns of the ledger."""
    cells: dict[str, Any] = {f.name: row[f.name] for f in fields(Entry)}
    for name, value in cells.items():
        if isinstance(value, datetime):
            cells[name] = value.astimezone(UTC)
    for name in ("input_versions", "cursor"):
        cells[name] = [Position(*position) for position in cells[name] or ()]
    cells["checks"] = [Verdict(*check) for check in cells["checks"] or ()]
    for name in ("tables", "accepted", "usual_rows"):
        cells[name] = list(cells[name] or ())
    cells["table_name"] = cells["table_name"] or ""
    cells["dispositions"] = dict(cells["dispositions"] or {})
    return Entry(**cells)


def row_of(entry: Entry) -> tuple[Any, ...]:
    """The event in the order of the columns."""
    cells = {f.name: _stored(getattr(entry, f.name)) for f in fields(Entry)}
    return tuple((cells | {"table_name": entry.table_name or None}).values())


def new_run_id(now: datetime) -> str:
    """A name for a run that sorts by time and is never given twice."""
    return f"{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"


def _frame(warehouse: Warehouse, ddl: str, rows: Sequence[tuple[Any, ...]]) -> DataFrame:
    """A frame of a few rows: by Arrow, which makes writing them twice as quick as from Python."""
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import DataType, StructType

    of_spark = DataType.fromDDL(ddl)
    assert isinstance(of_spark, StructType)
    schema = to_arrow_schema(of_spark)
    columns = zip(*rows, strict=True)
    cells = [pa.array(column, at.type) for column, at in zip(columns, schema, strict=True)]
    return warehouse.spark.createDataFrame(pa.Table.from_arrays(cells, schema=schema), of_spark)


def _stored(value: Any) -> Any:
    if isinstance(value, list):
        return [_stored(each) for each in value]
    if isinstance(value, Position):
        return asdict(value)
    if isinstance(value, Verdict):
        return value._asdict()
    if isinstance(value, dict):
        return list(value.items())
    return value
