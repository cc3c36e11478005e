"""ops.deliveries: which files have been read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from paceline.sql import literal
from paceline.store.ledger import append_rows
from paceline.store.warehouse import Warehouse

DELIVERIES = "ops.deliveries"

DELIVERIES_DDL = """
table_name STRING NOT NULL, path STRING NOT NULL, size BIGINT, mtime_us BIGINT,
digest STRING NOT NULL, records BIGINT, run_id STRING, delivered_at TIMESTAMP
"""


class Noted(NamedTuple):
    """A file that has been read, as it was then."""

    path: str
    size: int
    mtime_us: int
    digest: str


def known(warehouse: Warehouse) -> dict[str, list[Noted]]:
    """By table, the files that have been read for it."""
    found: dict[str, list[Noted]] = defaultdict(list)
    columns = ("table_name", *Noted._fields)
    for row in warehouse.table(DELIVERIES).select(*columns).collect():
        table_name, *of_file = row
        found[table_name].append(Noted(*of_file))
    return found


def are_noted(warehouse: Warehouse, table_name: str, run_id: str) -> bool:
    """Whether a run has noted what it has read for a table."""
    rows = warehouse.spark.sql(
        f"SELECT 1 FROM {warehouse.identifier(DELIVERIES)} WHERE run_id = {literal(run_id)}"
        f" AND table_name = {literal(table_name)} LIMIT 1"
    )
    return bool(rows.collect())


def remember(warehouse: Warehouse, rows: Sequence[tuple[Any, ...]]) -> None:
    """Notes files, as rows with the columns of the table, in one commit; none without a row."""
    if rows:
        append_rows(warehouse, DELIVERIES, DELIVERIES_DDL, rows)
