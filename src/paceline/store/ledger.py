"""ops.ledger and ops.verdicts: what ran, what was judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pyarrow as pa

from paceline.sql import literal
from paceline.store.warehouse import Position, Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

LEDGER = "ops.ledger"
VERDICTS = "ops.verdicts"

STARTED, PUBLISHED, UNCHANGED = "STARTED", "PUBLISHED", "UNCHANGED"
REJECTED, SKIPPED, FAILED, ABANDONED = "REJECTED", "SKIPPED", "FAILED", "ABANDONED"
VERIFIED = "VERIFIED"
SEALED = (PUBLISHED, UNCHANGED)

# What older releases called them.
_RENAMED = {
    "scope": "full_compare_reason",
    "touched_athletes": "touched_entities",
    "fates": "dispositions",
}

# As far back a run is compared with others of its table.
_LAST_RUNS = 30

_POSITIONS = "ARRAY<STRUCT<table_name STRING, table_id STRING, version BIGINT>>"

LEDGER_DDL = f"""
run_id STRING NOT NULL COMMENT 'one execution of a job',
job STRING COMMENT 'Feature_Activity, Feature_Rolling or verify',
table_name STRING NOT NULL,
status STRING COMMENT 'how far the run came, such as PUBLISHED or FAILED; VERIFIED by verify',
verdict STRING COMMENT 'PASS, WARN, FAIL, ERROR',
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
VERDICTS_DDL = """
run_id STRING NOT NULL, table_name STRING NOT NULL, check_name STRING NOT NULL,
observed DOUBLE, threshold DOUBLE, severity STRING, verdict STRING,
contract_version STRING, judged_at TIMESTAMP
"""


@dataclass
class Entry:
    """One row of ops.ledger; its fields are the columns of that name."""

    run_id: str
    job: str
    table_name: str
    status: str = STARTED
    verdict: str | None = None
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

    def values(self) -> tuple[Any, ...]:
        """The row, in the order of the columns."""
        return tuple(_stored(getattr(self, f.name)) for f in fields(self))


class Verdict(NamedTuple):
    """One row of ops.verdicts; its fields are the columns."""

    run_id: str
    table_name: str
    check_name: str
    observed: float | None
    threshold: float
    severity: str
    verdict: str
    contract_version: str
    judged_at: datetime


@dataclass(frozen=True)
class Sealed:
    """What the last sealed run of a table left behind.

    Attributes:
        cursor: up to where each input is published.
        read: what that run read; in a window run newer than the cursor.
        target_id, target_version: the table after that run.
        fingerprint: of the rules that all its rows have seen; None when only some have.
        horizon: the last day of daily tables.
        run_id: of that run.
        newest: the newest value so far of the column whose age the contract limits.
        usual_rows: rows that each of the last catch-ups wrote that followed changes only.
    """

    cursor: Mapping[str, Position]
    read: Mapping[str, Position]
    target_id: str
    target_version: int
    fingerprint: str | None
    horizon: date | None
    run_id: str = ""
    newest: datetime | None = None
    usual_rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class State:
    """What the ledger knows.

    Attributes:
        sealed: by table, its last sealed run.
        unfinished: (run_id, table) of runs that neither sealed nor failed: they have crashed.
    """

    sealed: Mapping[str, Sealed]
    unfinished: tuple[tuple[str, str], ...]


def is_outdated(warehouse: Warehouse) -> bool:
    """Whether there is a ledger of an older release, with other names of columns."""
    if not warehouse.exists(LEDGER):
        return False
    warehouse.register(LEDGER)
    return bool(_RENAMED.keys() & set(warehouse.table(LEDGER).columns))


def rename_columns(warehouse: Warehouse) -> None:
    """Gives the columns of an older ledger the names of today, in one commit."""
    rows = warehouse.table(LEDGER).withColumnsRenamed(_RENAMED)
    name = warehouse.identifier(LEDGER)
    rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true").partitionBy(
        "run_id", "table_name"
    ).saveAsTable(name)
    if warehouse.root is not None:
        # The catalog of the session now has the columns in another order, and refuses what is
        # written next. It forgets the name, which keeps the files, and learns it anew.
        warehouse.spark.sql(f"DROP TABLE {name}")
        warehouse.register(LEDGER)


def state(warehouse: Warehouse) -> State:
    """Reads the last sealed run of each table, and runs that have crashed."""
    latest_first = "PARTITION BY table_name, is_sealed ORDER BY finished_at DESC, started_at DESC"
    rows = warehouse.spark.sql(
        f"""
        SELECT * EXCEPT (horizon), last_day AS horizon FROM (
            SELECT *,
                MAX(IF(is_sealed, horizon, NULL)) OVER (PARTITION BY table_name) AS last_day,
                ROW_NUMBER() OVER ({latest_first}) = 1 AS is_newest,
                COLLECT_LIST(IF(is_usual, rows_inserted + rows_updated + rows_deleted, NULL)) OVER (
                    {latest_first} ROWS BETWEEN CURRENT ROW AND {_LAST_RUNS} FOLLOWING
                ) AS usual_rows
            FROM (
                SELECT *, status IN ('PUBLISHED', 'UNCHANGED') AS is_sealed,
                    status = 'PUBLISHED' AND full_compare_reason IS NULL
                        AND window_start IS NULL AS is_usual
                FROM {warehouse.identifier(LEDGER)}
                WHERE status IN ('PUBLISHED', 'UNCHANGED', 'STARTED')
            )
        )
        WHERE status = 'STARTED' OR is_newest
        """
    ).collect()
    return State(
        sealed={row["table_name"]: _sealed(row) for row in rows if row["status"] in SEALED},
        unfinished=tuple(
            (row["run_id"], row["table_name"]) for row in rows if row["status"] == STARTED
        ),
    )


def last_sealed(warehouse: Warehouse, table_name: str) -> str | None:
    """The run that has sealed a table last."""
    rows = warehouse.spark.sql(
        f"SELECT run_id FROM {warehouse.identifier(LEDGER)} WHERE table_name = "
        f"{literal(table_name)} AND status IN ('PUBLISHED', 'UNCHANGED')"
        f" ORDER BY finished_at DESC, started_at DESC LIMIT 1"
    ).collect()
    return rows[0]["run_id"] if rows else None


def table_names(warehouse: Warehouse) -> set[str]:
    """All tables that a run has ever dealt with."""
    rows = warehouse.spark.sql(f"SELECT DISTINCT table_name FROM {warehouse.identifier(LEDGER)}")
    return {row["table_name"] for row in rows.collect()}


def rejected(warehouse: Warehouse, run_id: str) -> dict[str, dict[str, float]]:
    """By table that a run has rejected, the checks that forbade publishing: what was observed."""
    rows = warehouse.spark.sql(
        f"SELECT v.table_name, v.check_name, v.observed FROM {warehouse.identifier(VERDICTS)} v"
        f" JOIN {warehouse.identifier(LEDGER)} l USING (run_id, table_name)"
        f" WHERE run_id = {literal(run_id)} AND l.status = 'REJECTED' AND v.verdict = 'FAIL'"
    ).collect()
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        found.setdefault(row["table_name"], {})[row["check_name"]] = row["observed"]
    return found


def append(warehouse: Warehouse, entries: list[Entry]) -> None:
    """Adds rows to the ledger in one commit."""
    append_rows(warehouse, LEDGER, LEDGER_DDL, [entry.values() for entry in entries])


def append_rows(warehouse: Warehouse, name: str, ddl: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Adds rows to a table of ops in one commit."""
    frame = _frame(warehouse, ddl, rows)
    frame.write.format("delta").mode("append").saveAsTable(warehouse.identifier(name))


def replace(warehouse: Warehouse, entry: Entry) -> None:
    """Puts a row in the place of the one with the same run and table, in one commit."""
    same = f"run_id = {literal(entry.run_id)} AND table_name = {literal(entry.table_name)}"
    row = _frame(warehouse, LEDGER_DDL, [entry.values()])
    row.write.format("delta").mode("overwrite").option("replaceWhere", same).saveAsTable(
        warehouse.identifier(LEDGER)
    )


def note_lost_alert(warehouse: Warehouse, last: Entry, at: datetime) -> None:
    """Notes among the verdicts of a run that nobody could be told about it."""
    check = ("alert_delivered", 0.0, 1.0, "warning", "WARN")
    row = (last.run_id, last.table_name, *check, last.contract_version, at)
    append_rows(warehouse, VERDICTS, VERDICTS_DDL, [row])


def abandon(warehouse: Warehouse, unfinished: tuple[tuple[str, str], ...]) -> None:
    """Marks the rows of crashed runs as ABANDONED."""
    for run_id, table_name in unfinished:
        warehouse.spark.sql(
            f"UPDATE {warehouse.identifier(LEDGER)} SET status = '{ABANDONED}',"
            f" message = 'the run ended without a word; a later run started over'"
            f" WHERE run_id = {literal(run_id)} AND table_name = {literal(table_name)}"
            f" AND status = '{STARTED}'"
        )


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
        return [asdict(position) for position in value]
    if isinstance(value, dict):
        return list(value.items())
    return value


def _sealed(row: Row) -> Sealed:
    cursor, read = (
        {position["table_name"]: Position(*position) for position in row[name] or ()}
        for name in ("cursor", "input_versions")
    )
    return Sealed(
        cursor,
        read,
        target_id=row["target_id"],
        target_version=row["target_version"],
        fingerprint=row["fingerprint"],
        horizon=row["horizon"],
        run_id=row["run_id"],
        newest=row["newest"].astimezone(UTC) if row["newest"] else None,
        usual_rows=tuple(row["usual_rows"]),
    )


def new_run_id(now: datetime) -> str:
    """A name for a run that sorts by time and is never given twice."""
    return f"{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
