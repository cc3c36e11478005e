"""The judge of the experiment `online` finds whom a store serves wrongly, and no other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from benchmarks import online_gold
from benchmarks.contenders import online_stores
from benchmarks.online_check import wrong
from paceline.online.repository import repository
from paceline.online.store import opened
from tests.online.stores import copied

ATHLETES = 30
NOW = online_gold.LOADED_AT


def test_the_judge_finds_what_the_store_has_not_followed(tmp_path: Path) -> None:
    warehouse, repo = tmp_path / "warehouse", copied(tmp_path / "repo")
    online_gold.create(warehouse, ATHLETES, 25)
    place = {"repo": str(repo), "warehouse": str(warehouse)}
    online_stores.prepare(**place)
    everybody = online_gold.everybody(ATHLETES)
    known = everybody[:ATHLETES]

    assert wrong(**place, now=NOW.isoformat(), athletes=everybody) == known
    figures = online_stores.sync(**place, now=NOW.isoformat())
    assert figures == {"rows_written": 2 * ATHLETES, "rows_deleted": 0}
    assert wrong(**place, now=NOW.isoformat(), athletes=everybody) == []

    left = set()
    for hours, act in enumerate(online_gold.ACTS, start=1):
        now = NOW + timedelta(days=1 if act == online_gold.NEXT_DAY else 0, hours=hours)
        left |= set(online_gold.happen(act, warehouse, ATHLETES, now))
        assert wrong(**place, now=now.isoformat(), athletes=everybody) == sorted(left)
    figures = online_stores.sync(**place, now=now.isoformat())
    assert figures["rows_deleted"] == 2
    assert wrong(**place, now=now.isoformat(), athletes=everybody) == []
    assert online_stores.verify(**place) == {"athletes_wrong": 0}

    online = opened(repository(repo))
    with online.store.lock():
        assert online.store.delete(online.views["last_activity"], known[3:4]) == 1
    assert wrong(**place, now=now.isoformat(), athletes=everybody) == known[3:4]
    assert online_stores.verify(**place) == {"athletes_wrong": 1}
    assert online_stores.sync(**place, now=now.isoformat())["rows_written"] == 0
