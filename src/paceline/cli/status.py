"""`paceline status`: what is published, what is quarantined, how the last runs went."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from paceline import ledger, lineage
from paceline.cli.execute import Options
from paceline.cli.opening import opened, root_and_catalog
from paceline.tables.feature_store import athlete_rolling_features
from paceline.warehouse import Warehouse

PIPED_WIDTH = 120
ROLLING_COLUMNS = ("athlete_id", "as_of_date", "tss_1d", "ctl_ewma_42d", "atl_ewma_7d", "tsb_ewma")


def show(options: Options, *, as_json: bool) -> None:
    """Prints the state of the tables.

    Raises:
        UsageError: when there is no warehouse.
    """
    warehouse = opened(*root_and_catalog(options), options.schema)
    found = {
        "tables": _last_runs(warehouse),
        "quarantine": _quarantine(warehouse),
        "rolling": _last_days(warehouse),
    }
    if as_json:
        print(json.dumps(found, default=str, indent=2))
    else:
        _print(found)


def _last_runs(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Per table its newest row of the ledger, and what all runs have published."""
    rows = warehouse.spark.sql(
        f"""
        SELECT table_name,
            max_by(status, started_at) FILTER (WHERE status <> 'VERIFIED') AS last_status,
            max_by(verdict, finished_at)
                FILTER (WHERE verdict IS NOT NULL AND status <> 'VERIFIED') AS verdict,
            max_by(verdict, finished_at) FILTER (WHERE status = 'VERIFIED') AS verified,
            sum(rows_inserted) AS inserted, sum(rows_updated) AS updated,
            sum(rows_deleted) AS deleted,
            max_by(target_version, finished_at)
                FILTER (WHERE target_version IS NOT NULL) AS version, max(horizon) AS horizon,
            max_by(unix_millis(finished_at) - unix_millis(started_at), finished_at)
                FILTER (WHERE status = 'PUBLISHED') AS published_in_ms
        FROM {warehouse.identifier(ledger.LEDGER)} GROUP BY table_name
        """
    ).collect()
    by_name = {row["table_name"]: row.asDict() for row in rows}
    return [by_name[table.name] for table in lineage.TABLES if table.name in by_name]


def _quarantine(warehouse: Warehouse) -> list[dict[str, Any]]:
    rows = warehouse.spark.sql(
        f"""
        SELECT table_name, array_join(reasons, ', ') AS reasons, count(*) AS records,
            min_by(concat(source_path, ':', line_number), first_seen) AS example
        FROM {warehouse.identifier(ledger.QUARANTINE)} WHERE resolved_by IS NULL
        GROUP BY ALL ORDER BY table_name, records DESC, reasons
        """
    ).collect()
    return [row.asDict() for row in rows]


def _last_days(warehouse: Warehouse, athletes: int = 2, days: int = 3) -> list[dict[str, Any]]:
    """The last rolling rows of the first athletes that have them."""
    name = athlete_rolling_features.NAME
    if not warehouse.exists(name):
        return []
    warehouse.register(name)
    columns = ", ".join(ROLLING_COLUMNS)
    rows = warehouse.spark.sql(
        f"""
        WITH last AS (SELECT athlete_id, max(as_of_date) AS last_day
            FROM {warehouse.identifier(name)} GROUP BY athlete_id
            ORDER BY last_day DESC, athlete_id LIMIT {athletes})
        SELECT {columns} FROM {warehouse.identifier(name)} JOIN last USING (athlete_id)
        WHERE as_of_date > last_day - {days} ORDER BY athlete_id, as_of_date
        """
    ).collect()
    return [row.asDict() for row in rows]


def _print(found: dict[str, list[dict[str, Any]]]) -> None:
    # Where nobody looks at a terminal, the lines may be as long as they are.
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    tables = _grid("Published")
    for heading in ("table", "last run", "verdict", "verified"):
        tables.add_column(heading, no_wrap=True)
    for heading in ("inserted", "updated", "deleted", "took"):
        tables.add_column(heading, justify="right")
    for row in found["tables"]:
        took = row["published_in_ms"]
        tables.add_row(
            *(
                str(row[name] if row[name] is not None else "")
                for name in ("table_name", "last_status", "verdict", "verified")
            ),
            *(f"{row[name] or 0:,}" for name in ("inserted", "updated", "deleted")),
            "" if took is None else f"{took / 1000:.1f} s",
        )
    console.print(tables)
    refused = _grid("Quarantined, waiting for a better record or rule")
    refused.add_column("table", no_wrap=True)
    refused.add_column("records", justify="right")
    refused.add_column("broken rules", overflow="fold")
    refused.add_column("for example", overflow="fold")
    for row in found["quarantine"]:
        refused.add_row(
            row["table_name"], f"{row['records']:,}", row["reasons"], row["example"] or ""
        )
    console.print(refused)
    if found["rolling"]:
        _print_days(console, found["rolling"])


def _print_days(console: Console, rows: list[dict[str, Any]]) -> None:
    days = _grid("The last days of two athletes")
    for name in ROLLING_COLUMNS:
        days.add_column(name, justify="right")
    for row in rows:
        days.add_row(*(_cell(row[name]) for name in ROLLING_COLUMNS))
    console.print(days)


def _grid(title: str) -> Grid:
    return Grid(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)


def _cell(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
