"""The tables of ops, made known together."""

from __future__ import annotations

from paceline.errors import PacelineError
from paceline.store import upgrade
from paceline.store.annotations import set_properties
from paceline.store.deliveries import DELIVERIES, DELIVERIES_DDL
from paceline.store.ledger import LEDGER, LEDGER_DDL, PROPERTIES
from paceline.store.quarantine import QUARANTINE, QUARANTINE_DDL
from paceline.store.warehouse import LAYOUT_PROPERTY, LAYOUT_VERSION, NO_STATISTICS, Warehouse


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
    elif upgrade.is_outdated(warehouse):
        upgrade.upgrade(warehouse)
    found = warehouse.create(LEDGER, LEDGER_DDL, PROPERTIES, is_run=is_run)
    stated = PROPERTIES | {LAYOUT_PROPERTY: str(LAYOUT_VERSION)}
    if is_run and found is not None and not stated.items() <= found.items():
        set_properties(warehouse, LEDGER, stated)
    warehouse.create(
        QUARANTINE, QUARANTINE_DDL, {"delta.enableDeletionVectors": "true"}, is_run=is_run
    )
    warehouse.create(DELIVERIES, DELIVERIES_DDL, NO_STATISTICS, is_run=is_run)


def refuse_outdated(warehouse: Warehouse) -> None:
    """Refuses the ledger of an older release, which only a run brings up to date.

    Raises:
        PacelineError: when there is one.
    """
    if upgrade.is_outdated(warehouse):
        raise PacelineError(
            f"{LEDGER} was written by an older release: run the jobs first, which bring it "
            "up to date."
        )
