"""A small world: what it has delivered, the warehouse made from it, and what must be in there."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from paceline.pipeline.jobs import JOBS, Jobs, tables_of
from paceline.store.ledger import Entry
from tests.conftest import CONF
from tests.oracle import KEYS, Conf, Delivery, Outcome, outcome
from tests.oracle.compare import differences, of_columns
from tests.pipeline.warehouse import NOW, run

SILVER, PARTS, SETTINGS, FEATURES, ROLLING = KEYS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Effects = dict[str, tuple[int, int, int]]
# Columns that a test has added, which the oracle does not know.
EXTRA = "extra_"


def plain_run(activity: int, athlete: int, day: date | str, **fields: Any) -> dict[str, Any]:
    """An API object: 10 km in 50 minutes at 08:00 of the place, last changed on 1 July 2024."""
    return {
        "id": activity,
        "athlete": {"id": athlete},
        "sport_type": "Run",
        "start_date": f"{day}T06:00:00Z",
        "start_date_local": f"{day}T08:00:00Z",
        "distance": 10000.0,
        "moving_time": 3000,
        "elapsed_time": 3100,
        "total_elevation_gain": 50.0,
        "updated_at": "2024-07-01T00:00:00Z",
    } | fields


def edited(activity: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The same a day later."""
    return activity | {"updated_at": "2024-07-02T00:00:00Z"} | fields


class World:
    """Deliveries in a landing zone and a warehouse, both below `root`; `conf` is a copy to change.

    `default_threshold_pace_s_per_km`, `dormant_after_days` and the `limits` of rules are those of
    `tests.oracle.Conf`, and reach the product through its own files. A world that is there already
    is taken as it is, and `deliveries` are what its landing zone holds.
    """

    def __init__(
        self,
        spark: SparkSession,
        root: Path,
        horizon: date,
        deliveries: Iterable[Delivery] = (),
        jobs: Jobs = JOBS,
        **settings: Any,
    ) -> None:
        self.spark, self.root, self.horizon, self.jobs = spark, root, horizon, jobs
        self.deliveries = list(deliveries)
        self.settings: dict[str, Any] = {}
        self.limits: dict[str, float] = {}
        if not (root / "conf").exists():
            (root / "landing").mkdir(parents=True)
            shutil.copytree(CONF, root / "conf", ignore=shutil.ignore_patterns("spark"))
        self.configure(**settings)

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"

    @property
    def tables(self) -> list[str]:
        """The tables that the jobs make, in order."""
        return [table.name for table in tables_of(self.jobs)]

    @property
    def judged(self) -> list[str]:
        """Those of them that the oracle works out, in its order."""
        return [name for name in KEYS if name in self.tables]

    def deliver(self, path: str, *lines: Any, at: datetime = NOW) -> None:
        """Drops a file of some age; a line is a text, or becomes JSON.

        Files of a world have the same age, unless a record without a time of its own needs that of
        its file.
        """
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        text = "\n".join(texts) + "\n"
        file = self.root / "landing" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        seen_us = (at - EPOCH) // timedelta(microseconds=1)
        os.utime(file, ns=(seen_us * 1000, seen_us * 1000))
        self.deliveries.append(Delivery(path, text, seen_us, at.date()))

    def configure(self, **settings: Any) -> None:
        """Changes settings of paceline.yml."""
        self.settings |= settings
        path = self.root / "conf" / "paceline.yml"
        text = path.read_text(encoding="utf-8")
        for name, value in settings.items():
            text, found = re.subn(rf"(?m)^{name}: .*$", f"{name}: {value}", text)
            assert found == 1, name
        path.write_text(text, encoding="utf-8")

    def limit_speed(self, family: str, km_h: int) -> None:
        """Gives runs or rides a greatest speed for all distances in silver's contract."""
        path = self.root / "conf" / "contracts" / "silver.strava_activities.odcs.yaml"
        text, found = re.subn(
            rf"(?s)(<> '{family}'.*?3\.6 \* distance_m <= ).*?( \* moving_time_s)",
            rf"\g<1>{km_h}D\g<2>",
            path.read_text(encoding="utf-8"),
        )
        assert found == 1
        path.write_text(text, encoding="utf-8")
        self.limits[f"{family}_speed_max"] = km_h

    def run(
        self,
        hook: Callable[[str, str, str], None] = lambda moment, step, name: None,
        *,
        warehouse: Path | None = None,
        tell: Callable[[str], None] = lambda line: None,
        **options: Any,
    ) -> dict[str, Entry]:
        """Runs both jobs up to the horizon."""
        asked: dict[str, Any] = {"conf": str(self.root / "conf"), "jobs": self.jobs}
        asked |= {"horizon": self.horizon.isoformat()} | options
        target = warehouse or self.warehouse
        return run(self.spark, self.root / "landing", target, hook=hook, tell=tell, **asked)

    def expected(self) -> Outcome:
        """What has to be published, in the columns of the contracts, and refused by the oracle."""
        conf = Conf(self.horizon, limits=dict(self.limits), **self.settings)
        found = outcome(self.deliveries, conf)
        tables = {
            name: of_columns(rows, self._columns(name)) for name, rows in found.tables.items()
        }
        return found._replace(tables=tables)

    def check(self) -> None:
        """Compares every table that the jobs make, and the open quarantine, with the oracle."""
        expected = self.expected()
        found = {
            name: lines
            for name in self.judged
            if (lines := differences(expected.tables[name], self.published(name)))
        }
        assert not found, "\n".join(f"{name}\n  " + "\n  ".join(found[name]) for name in found)
        assert self._refused() == {found for found in expected.refused if found[0] in self.judged}

    def published(
        self, name: str, warehouse: Path | None = None
    ) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The rows of a table by key, in the values of the oracle."""
        frame = self.spark.read.format("delta").load(self._path(name, warehouse))
        columns = [
            F.unix_micros(field.name).alias(field.name)
            if field.dataType.simpleString() == "timestamp"
            else F.col(field.name)
            for field in frame.schema
            if not field.name.startswith(EXTRA)
        ]
        rows = frame.select(*columns).toArrow().to_pylist()
        by_key = {tuple(row[column] for column in KEYS[name]): row for row in rows}
        assert len(by_key) == len(rows), f"{name} has a key twice"
        return by_key

    def sql(self, statement: str, table: str) -> None:
        """Does something to a table behind the pipeline's back; `{}` is its name in SQL."""
        self.spark.sql(statement.format(f"delta.`{self._path(table)}`"))

    def vacuum(self, table: str) -> None:
        """Removes all files that the newest version of a table does not need."""
        check = "spark.databricks.delta.retentionDurationCheck.enabled"
        self.spark.conf.set(check, "false")
        try:
            self.sql("VACUUM {} RETAIN 0 HOURS", table)
        finally:
            self.spark.conf.unset(check)

    def _path(self, name: str, warehouse: Path | None = None) -> str:
        return str((warehouse or self.warehouse).joinpath(*name.split(".")))

    def _columns(self, name: str) -> set[str]:
        """Those that the contract of a table names; reading all of it would take too long."""
        path = self.root / "conf" / "contracts" / f"{name}.odcs.yaml"
        return set(re.findall(r"- name: (\w+)\n +logicalType", path.read_text(encoding="utf-8")))

    def _refused(self) -> set[tuple[str, tuple[Any, ...], tuple[str, ...]]]:
        quarantine = self.spark.read.format("delta").load(str(self.warehouse / "ops/quarantine"))
        rows = quarantine.where("resolved_by IS NULL").collect()
        records = {(row["table_name"], row["key"], row["reject_key"]) for row in rows}
        assert len(records) == len(rows), "a refused record is in quarantine twice"
        return {
            (row["table_name"], _key(row["table_name"], row["key"]), tuple(row["reasons"]))
            for row in rows
        }


def _key(table_name: str, text: str) -> tuple[Any, ...]:
    cells = json.loads(text)
    if "valid_from" in cells:
        cells["valid_from"] = date.fromisoformat(cells["valid_from"])
    return tuple(cells.get(column) for column in KEYS[table_name])


def effects(before: Outcome, after: Outcome, tables: Iterable[str] = KEYS) -> Effects:
    """By table, the rows to be inserted, updated and deleted to get from one to the other."""
    return {name: _effects(before.tables[name], after.tables[name]) for name in tables}


def _effects(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> tuple[int, int, int]:
    both = before.keys() & after.keys()
    updated = sum(repr(before[key]) != repr(after[key]) for key in both)
    return len(after.keys() - both), updated, len(before.keys() - both)


def told(entries: Mapping[str, Entry]) -> Effects:
    """By table, what the ledger says has been inserted, updated and deleted."""
    return {
        name: (entry.rows_inserted, entry.rows_updated, entry.rows_deleted)
        for name, entry in entries.items()
        if name in KEYS
    }


# Of activity_features, by hand: what the rolling features are made of.
_READ = ("local_day", "sport_family", "distance_km", "moving_time_s", "elevation_gain_m")
_READ += ("estimated_tss", "event_timestamp", "is_duplicate_recording")


def first_touched_days(before: Outcome, after: Outcome) -> dict[int, date]:
    """By athlete, the earliest day whose rolling features have to be looked at again.

    That is the first one with a row of activity_features, in either image, that has come, gone or
    changed in what rolling features are made of.
    """
    old, new = before.tables[FEATURES], after.tables[FEATURES]
    days: dict[int, date] = {}
    for key in old.keys() | new.keys():
        images = [row and repr([row[n] for n in _READ]) for row in (old.get(key), new.get(key))]
        if images[0] != images[1]:
            for row in filter(None, (old.get(key), new.get(key))):
                days[key[0]] = min(days.get(key[0], row["local_day"]), row["local_day"])
    return days
