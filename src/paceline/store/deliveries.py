"""ops.deliveries: which files have been read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paceline.store.ledger import append_rows
from paceline.store.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import Row


DELIVERIES = "ops.deliveries"

DELIVERIES_DDL = """
table_name STRING NOT NULL, path STRING NOT NULL, size BIGINT, mtime_us BIGINT,
digest STRING NOT NULL, records BIGINT, run_id STRING, delivered_at TIMESTAMP
"""


def known(warehouse: Warehouse, table_name: str) -> list[Row]:
    """The files that have been read for a table: path, size, mtime_us and digest of each."""
    noted = warehouse.table(DELIVERIES)
    mine = noted.where(noted.table_name == table_name)
    return mine.select("path", "size", "mtime_us", "digest").collect()


def remember(warehouse: Warehouse, rows: Sequence[tuple[Any, ...]]) -> None:
    """Notes files, as rows with the columns of the table, in one commit; none without a row."""
    if rows:
        append_rows(warehouse, DELIVERIES, DELIVERIES_DDL, rows)
