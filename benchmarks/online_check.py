"""Whom an online store serves wrongly: what Feast reads, beside rows that Polars chooses from gold.

It shares no code with the sync or with its verification.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from feast import FeatureStore

from benchmarks.contenders import ACTIVITIES, ROLLING

AT_ONCE = 500
VIEWS = {
    "athlete_rolling": (ROLLING, ("event_timestamp",), "history_days"),
    "last_activity": (ACTIVITIES, ("event_timestamp", "activity_id"), "activity_id"),
}
"""View -> its table, what its newest row is newest by, and a feature that is never NULL."""
_OF_NO_FEATURE = ("athlete_id", "event_timestamp")

Rows = dict[int, list[Any]]
"""By athlete, the values of the features; athletes without a row are left out."""


def wrong(repo: str, warehouse: str, now: str, athletes: Sequence[int]) -> list[int]:
    """The athletes of whom a store serves other values than those of the newest row of gold.

    Args:
        repo: the directory of the repository.
        warehouse: where gold lies.
        now: rows with a later event_timestamp do not count; in ISO 8601.
        athletes: all of whom anything may be served.
    """
    place = Path(repo)
    store = FeatureStore(repo_path=repo, fs_yaml_file=place / "serve.yaml")
    found = set()
    for view, (table, newest_by, never_null) in VIEWS.items():
        frame = _newest(Path(warehouse), table, newest_by, datetime.fromisoformat(now))
        features = [name for name in frame.columns if name not in _OF_NO_FEATURE]
        expected = {
            athlete: [_bits(value) for value in values]
            for athlete, *values in frame.select("athlete_id", *features).iter_rows()
        }
        served = _served(store, view, features, never_null, athletes)
        found |= {one for one in athletes if expected.get(one) != served.get(one)}
    return sorted(found)


def _newest(warehouse: Path, table: str, by: Sequence[str], now: datetime) -> pl.DataFrame:
    """Of each athlete the row to serve."""
    known = pl.scan_delta(str(warehouse.joinpath(*table.split(".")))).filter(
        pl.col("event_timestamp") <= now
    )
    if "is_duplicate_recording" in known.collect_schema():
        known = known.filter(~pl.col("is_duplicate_recording"))
    return known.sort(by).unique("athlete_id", keep="last", maintain_order=True).collect()


def _served(
    store: FeatureStore,
    view: str,
    features: Sequence[str],
    never_null: str,
    athletes: Sequence[int],
) -> Rows:
    served = {}
    asked = [f"{view}:{name}" for name in features]
    for start in range(0, len(athletes), AT_ONCE):
        some = athletes[start : start + AT_ONCE]
        rows = [{"athlete_id": athlete} for athlete in some]
        values = store.get_online_features(features=asked, entity_rows=rows).to_dict()
        for number, athlete in enumerate(some):
            if values[never_null][number] is not None:
                served[athlete] = [_bits(values[name][number]) for name in features]
    return served


def _bits(value: Any) -> Any:
    """A value that equals another one when they are the same to the bit; a day is its midnight."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value
