"""The tables of ops, made known together."""

from __future__ import annotations

from paceline.errors import PacelineError
from paceline.store import ledger
from paceline.store.deliveries import DELIVERIES, DELIVERIES_DDL
from paceline.store.ledger import LEDGER, LEDGER_DDL, VERDICTS, VERDICTS_DDL
from paceline.store.quarantine import QUARANTINE, QUARANTINE_DDL
from paceline.store.warehouse import NO_STATISTICS, Warehouse


def create(warehouse: Warehouse, *, is_run: bool = False) -> None:
    """Makes the tables of ops known, creating what is missing.

    Args:
        warehouse: where.
        is_run: whether tables of an older release may be brought up to date.

    Raises:
        PacelineError: when they have to be, and may not.
    """
    if not is_run:
        refuse_outdated(warehouse)
    elif ledger.is_outdated(warehouse):
        ledger.rename_columns(warehouse)
    by_run = ("run_id", "table_name")
    warehouse.create(LEDGER, LEDGER_DDL, NO_STATISTICS, partitioned_by=by_run, is_run=is_run)
    warehouse.create(VERDICTS, VERDICTS_DDL, NO_STATISTICS, is_run=is_run)
    warehouse.create(
        QUARANTINE, QUARANTINE_DDL, {"delta.enableDeletionVectors": "true"}, is_run=is_run
    )
    warehouse.create(DELIVERIES, DELIVERIES_DDL, NO_STATISTICS, is_run=is_run)


def refuse_outdated(warehouse: Warehouse) -> None:
    """Refuses the ledger of an older release, which only a run brings up to date.

    Raises:
        PacelineError: when there is one.
    """
    if ledger.is_outdated(warehouse):
        raise PacelineError(
            f"{ledger.LEDGER} was written by an older release: run the jobs first, which bring it "
            "up to date."
        )
