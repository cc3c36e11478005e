"""The tables of ops, made known together."""

from __future__ import annotations

from paceline.store.deliveries import DELIVERIES, DELIVERIES_DDL
from paceline.store.ledger import LEDGER, LEDGER_DDL, VERDICTS, VERDICTS_DDL
from paceline.store.quarantine import QUARANTINE, QUARANTINE_DDL
from paceline.store.warehouse import NO_STATISTICS, Warehouse


def create(warehouse: Warehouse) -> None:
    """Makes the tables of ops known, creating what is missing."""
    by_run = ("run_id", "table_name")
    warehouse.create(LEDGER, LEDGER_DDL, NO_STATISTICS, partitioned_by=by_run)
    warehouse.create(VERDICTS, VERDICTS_DDL, NO_STATISTICS)
    warehouse.create(QUARANTINE, QUARANTINE_DDL, {"delta.enableDeletionVectors": "true"})
    warehouse.create(DELIVERIES, DELIVERIES_DDL, NO_STATISTICS)
