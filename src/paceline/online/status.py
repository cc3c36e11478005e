"""Up to where an online store is exact."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from paceline.online.gold import Gold
from paceline.online.repository import Repository
from paceline.online.store import Online
from paceline.online.sync import instant, read_cursor, refuse_other_gold
from paceline.online.views import SERVED


def status(repo: Repository, online: Online, gold: Gold, now: datetime) -> dict[str, Any]:
    """What there is to say of a store: its cursor, its age, and by view how far gold is ahead."""
    refuse_other_gold(online, gold)
    state = online.store.state()
    cursor = read_cursor(state)
    as_of = None if cursor is None else instant(cursor.as_of)
    views = []
    for served in SERVED:
        mark = cursor.views.get(served.view) if cursor else None
        views.append(
            {
                "view": served.view,
                "table": gold.table(served.table_name),
                "version": mark.position.version if mark else None,
                "gold_version": gold.newest(served.table_name).version,
                "athletes": len(online.store.athletes(online.views[served.view])),
            }
        )
    return {
        "store": repo.store_type,
        "project": repo.project,
        "as_of": as_of,
        "age_hours": None if as_of is None else (now - as_of).total_seconds() / 3600,
        "is_unfinished": state.intent is not None,
        "views": views,
    }
