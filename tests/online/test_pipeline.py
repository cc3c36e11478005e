"""The online store behind the real pipeline: one story, from the first load to an erasure.

What the store must hold is chosen from what the oracle makes of the deliveries.
"""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from feast import FeatureStore
from pyspark.sql import SparkSession

from paceline.cli import status
from paceline.cli.erase import erase_athlete
from paceline.online.gold import FileGold, TableGold
from paceline.online.store import opened
from paceline.online.sync import micros, sync
from paceline.online.verify import verify
from paceline.online.views import SERVED
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import TABLES
from paceline.store.warehouse import Warehouse
from tests.online.stores import made
from tests.pipeline.worlds import FEATURES, ROLLING, World, edited, plain_run

pytestmark = pytest.mark.slow

HORIZON = date(2024, 6, 20)
NOW = datetime(2024, 6, 21, 13, tzinfo=UTC)
ATHLETES = (987654321, 2, 3, 4)
GONE, EDITED, MOVED, STAYS = ATHLETES
FEATURES_READ = ("ctl_ewma_42d", "distance_km_7d", "acwr", "history_days")


def of(athlete: int, day: int, **fields: Any) -> dict[str, Any]:
    return plain_run(athlete * 100 + day, athlete, date(2024, 6, day), **fields)


def newest(world: World, now: datetime = NOW) -> dict[int, dict[str, Any]]:
    """By athlete, the newest rolling row of the oracle that is known."""
    found: dict[int, dict[str, Any]] = {}
    for row in world.expected().tables[ROLLING].values():
        athlete, at = row["athlete_id"], row["event_timestamp"]
        is_newer = athlete not in found or at > found[athlete]["event_timestamp"]
        if at <= micros(now) and is_newer:
            found[athlete] = row
    return {a: {name: row[name] for name in FEATURES_READ} for a, row in found.items()}


def read(store: FeatureStore, athletes: tuple[int, ...] = ATHLETES) -> dict[int, dict[str, Any]]:
    """By athlete, what Feast serves; those of whom it knows nothing are left out."""
    values = store.get_online_features(
        features=[f"athlete_rolling:{name}" for name in FEATURES_READ],
        entity_rows=[{"athlete_id": athlete} for athlete in athletes],
    ).to_dict()
    return {
        athlete: {name: values[name][n] for name in FEATURES_READ}
        for n, athlete in enumerate(athletes)
        if values["history_days"][n] is not None
    }


def test_a_correction_a_deletion_and_an_erasure_reach_the_store(
    spark: SparkSession, tmp_path: Path
) -> None:
    world = World(spark, tmp_path / "world", HORIZON)
    world.deliver(
        "strava_api/first.jsonl", *(of(athlete, day) for athlete in ATHLETES for day in range(1, 8))
    )
    world.run()
    repo = made(tmp_path / "feature_repo", world.warehouse)
    online, files = opened(repo), FileGold(world.warehouse)
    tables = TableGold(Warehouse(spark, world.warehouse))
    done = sync(online, files, NOW)
    assert [(view.written, view.deleted) for view in done] == [(4, 0), (4, 0)]
    assert read(online.feast) == newest(world)
    feasts_own = materialized(tmp_path / "feasts_own", world)
    assert read(feasts_own) == newest(world)
    start = {served.table_name: files.newest(served.table_name) for served in SERVED}

    # One activity is faster than was said, and the one that was the last of another is deleted.
    world.deliver("strava_api/late.jsonl", edited(of(EDITED, 5), moving_time=2700))
    deleted = {"op": "d", "before": {"id": MOVED * 100 + 7}, "ts_ms": 1_719_964_800_000}
    world.deliver("cdc/late.jsonl", deleted)
    world.run()
    readers_agree(files, tables, start)
    done = sync(online, files, NOW)
    assert [(view.compared, view.written, view.deleted) for view in done] == [(2, 2, 0), (2, 1, 0)]
    assert [view.reason for view in done] == [None, None]
    assert read(online.feast) == newest(world)
    assert not any(view.wrong for view in verify(online, tables))
    feasts_own.materialize_incremental(NOW + timedelta(hours=1), ["athlete_rolling"])
    old = read(feasts_own)
    assert {athlete for athlete in ATHLETES if old[athlete] != newest(world)[athlete]} == {
        EDITED,
        MOVED,
    }

    # The store that the settings name is erased with the tables, down to the bytes of its file.
    key = struct.pack("<q", GONE)
    assert key in repo.sqlite_path.read_bytes()
    conf = world.root / "conf" / "paceline.yml"
    text = conf.read_text(encoding="utf-8")
    conf.write_text(text.replace("feature_repo: null", f"feature_repo: {repo.directory}"))
    options = Options(warehouse=str(world.warehouse), conf=str(world.root / "conf"))
    shown = status.found(TABLES, options, datetime.now(UTC))["online"]
    assert shown["as_of"] == NOW
    assert [view["athletes"] for view in shown["views"]] == [4, 4]
    assert all(view["version"] == view["gold_version"] for view in shown["views"])
    (problem,) = shown["problems"]
    assert problem.endswith("hours ago, 26 are allowed")
    certificate = erase_athlete(TABLES, options, GONE, tmp_path / "certificate.json")
    assert certificate["online_rows"] == 2
    assert key not in repo.sqlite_path.read_bytes()
    expected = {a: row for a, row in newest(world).items() if a != GONE}
    assert read(online.feast) == expected
    done = sync(online, files, NOW)
    assert [(view.written, view.deleted) for view in done] == [(0, 0), (0, 0)]
    assert not any(view.wrong for view in verify(online, files))
    feasts_own.materialize_incremental(NOW + timedelta(hours=2), ["athlete_rolling"])
    assert GONE in read(feasts_own)


def materialized(folder: Path, world: World) -> FeatureStore:
    """A store that Feast fills by itself."""
    repo = made(folder, world.warehouse)
    store = FeatureStore(repo_path=str(repo.directory))
    store.materialize(datetime(2020, 1, 1, tzinfo=UTC), NOW, ["athlete_rolling"])
    return store


def readers_agree(files: FileGold, tables: TableGold, start: dict[str, Any]) -> None:
    """Both readers answer every question alike, where deletion vectors hide rows."""
    assert files.inputs(ROLLING) == tables.inputs(ROLLING)
    for served in SERVED:
        name = served.table_name
        position = files.newest(name)
        assert position == tables.newest(name)
        since = start[name]
        assert files.changed(since, position.version) == tables.changed(since, position.version)
        early = micros(NOW - timedelta(days=18))
        known = [gold.became_known(position, early, micros(NOW)) for gold in (files, tables)]
        assert known[0] == known[1]
        assert known[0]
        columns = [c for c in files._open(name).schema().to_arrow().names if c != "athlete_id"]
        columns.remove("event_timestamp")
        for instant in (NOW, NOW - timedelta(days=10)):
            for athletes in (None, {EDITED, MOVED, 77}, set[int]()):
                asked = (served, position, micros(instant), columns, athletes)
                one, other = files.rows(*asked), tables.rows(*asked)
                assert one.column_names == other.column_names
                assert one.to_pylist() == other.to_pylist()
                assert one.schema.types == other.schema.types
    assert FEATURES in start
