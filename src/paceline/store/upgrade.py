"""Brings the ledger of an older release, one row for each run and table, into the log of events."""

from __future__ import annotations

from dataclasses import fields

from paceline.store.ledger import LEDGER, LEDGER_DDL, USUAL_RUNS, Entry
from paceline.store.warehouse import Warehouse

# What older releases called some columns, and where they kept the checks.
_RENAMED = {
    "scope": "full_compare_reason",
    "touched_athletes": "touched_entities",
    "fates": "dispositions",
}
VERDICTS = "ops.verdicts"

_EVENT = """
    CASE WHEN status IN ('PUBLISHED', 'UNCHANGED') THEN 'SEALED'
        WHEN status = 'REJECTED' THEN 'AUDITED'
        WHEN status = 'VERIFIED' THEN 'VERIFIED' ELSE 'ENDED' END
"""
# What a run wrote, and those before it, is usual where all of them followed changes.
_USUAL = f"""
    slice(reverse(collect_list(
        IF(status = 'PUBLISHED' AND full_compare_reason IS NULL AND window_start IS NULL,
            rows_inserted + rows_updated + rows_deleted, NULL)
    ) OVER (PARTITION BY table_name ORDER BY finished_at, started_at)), 1, {USUAL_RUNS})
"""
# A table keeps its last day; a row said that of its run.
_HORIZON = """
    MAX(IF(status IN ('PUBLISHED', 'UNCHANGED'), horizon, NULL))
        OVER (PARTITION BY table_name ORDER BY finished_at, started_at)
"""


def is_outdated(warehouse: Warehouse) -> bool:
    """Whether there is a ledger of an older release."""
    if not warehouse.exists(LEDGER):
        return False
    warehouse.register(LEDGER)
    return "event" not in warehouse.table(LEDGER).columns


def upgrade(warehouse: Warehouse) -> None:
    """Makes an older ledger the log of events, in one commit, with the checks of ops.verdicts.

    That table stays as it is, and nobody reads it any more.
    """
    from pyspark.sql import functions as F

    rows = warehouse.table(LEDGER).withColumnsRenamed(_RENAMED)
    events = rows.withColumns(
        {
            "event": F.expr(_EVENT),
            "at": F.expr("coalesce(finished_at, started_at)"),
            "usual_rows": F.expr(_USUAL),
            "horizon": F.expr(f"coalesce({_HORIZON}, horizon)"),
            "status": F.expr("IF(status = 'STARTED', 'ABANDONED', status)"),
        }
    )
    if warehouse.exists(VERDICTS):
        warehouse.register(VERDICTS)
        check = F.struct("check_name", "observed", "threshold", "severity", "verdict")
        judged = warehouse.table(VERDICTS).groupBy("run_id", "table_name")
        events = events.join(
            judged.agg(F.collect_list(check).alias("checks")), ["run_id", "table_name"], "left"
        )
    types = warehouse.spark.createDataFrame([], LEDGER_DDL.replace(" NOT NULL", "")).schema
    known = set(events.columns)
    cells = {f.name: F.col(f.name) if f.name in known else F.lit(None) for f in fields(Entry)}
    columns = [cell.cast(types[name].dataType).alias(name) for name, cell in cells.items()]
    name = warehouse.identifier(LEDGER)
    events.select(*columns).write.format("delta").mode("overwrite").option(
        "overwriteSchema", "true"
    ).saveAsTable(name)
    if warehouse.root is not None:
        # The catalog of the session now has the columns in another order, and refuses what is
        # written next. It forgets the name, which keeps the files, and learns it anew.
        warehouse.spark.sql(f"DROP TABLE {name}")
        warehouse.register(LEDGER)
