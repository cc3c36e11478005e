"""Finds out that a run has published a table, although it died before it could say so.

RECORD has made durable what SEAL would have said, and PUBLISH names the attempt in the condition of
its MERGE, which Delta keeps in the history of the table. Without that mark, the rows of somebody
else who wrote at the right moment would be taken for those of the run.
"""

from __future__ import annotations

import re
from dataclasses import replace

from paceline.store import ledger
from paceline.store.ledger import Entry
from paceline.store.state import Sealed, State, sealed_by
from paceline.store.warehouse import Warehouse


def known_seals(state: State, warehouse: Warehouse) -> dict[str, Sealed]:
    """By table, its last seal, or the one that a dead run has not come to write."""
    seals = dict(state.sealed)
    for name in filter(warehouse.exists, state.unsealed):
        warehouse.register(name)
        lost = lost_seal(name, state, warehouse)
        if lost is not None:
            seals[name] = sealed_by(lost)
    return seals


def lost_seal(table_name: str, state: State, warehouse: Warehouse) -> Entry | None:
    """The event SEALED that a run has not come to write; None where none is missing.

    Only one that follows changes counts, in the one commit with rows after the last seal: what has
    been compared with all rows, or accepted by a person, is compared again.
    """
    sealed, audited = state.sealed.get(table_name), state.unsealed.get(table_name)
    if sealed is None or audited is None or audited.mark is None:
        return None
    if audited.full_compare_reason is not None or audited.accepted:
        return None
    position = warehouse.position(table_name)
    if not sealed.target_id == audited.target_id == position.table_id:
        return None
    if position.version <= sealed.target_version:
        return None
    commits = warehouse.rewrites_since(replace(position, version=sealed.target_version))
    match commits:
        case [commit] if (
            commit.version == (audited.base_version or 0) + 1
            and commit.operation == "MERGE"
            and re.search(rf"{re.escape(audited.mark)}(?![0-9])", commit.predicate)
        ):
            return replace(
                audited,
                status=ledger.PUBLISHED,
                event=ledger.SEALED_EVENT,
                at=None,
                target_version=commit.version,
                finished_at=audited.at,
            )
    return None
