"""Gold tables of a few athletes, written by delta-rs, with what must be served of them.

The rows live here, too, as plain Python: what a store must hold is chosen from these, by code that
the product does not share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from paceline.contract import Contract, load_all
from tests.conftest import CONF

ROLLING, ACTIVITIES = "feature_store.athlete_rolling_features", "feature_store.activity_features"
VIEWS = {"athlete_rolling": ROLLING, "last_activity": ACTIVITIES}
_TYPES = {
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "STRING": pa.string(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
}
_LEDGER = pa.schema(
    [
        ("table_name", pa.string()),
        ("event", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        (
            "input_versions",
            pa.list_(
                pa.struct(
                    [
                        ("table_name", pa.string()),
                        ("table_id", pa.string()),
                        ("version", pa.int64()),
                    ]
                )
            ),
        ),
    ]
)
DAY = date(2024, 6, 1)

Row = dict[str, Any]
# Athlete -> values by feature, `event_timestamp` among them.
Served = dict[int, Row]


def noon(day: date) -> datetime:
    """From when a rolling row may be used: 12:00 UTC of the day after."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(days=1)


@dataclass
class Gold:
    """Two gold tables and a ledger in a directory; `rows` by table and key is what is in them."""

    root: Path
    rows: dict[str, dict[tuple[int, int], Row]] = field(default_factory=dict)
    sealed: int = 0

    def __post_init__(self) -> None:
        contracts = load_all(CONF / "contracts")
        self.contracts: dict[str, Contract] = {name: contracts[name] for name in VIEWS.values()}
        for name in VIEWS.values():
            self.create(name)
        DeltaTable.create(str(self.root / "ops/ledger"), _LEDGER, mode="overwrite")

    def create(self, name: str) -> None:
        """Makes a table anew, with another id."""
        self.rows[name] = {}
        path = self.root.joinpath(*name.split("."))
        DeltaTable.create(
            str(path),
            self.schema(name),
            mode="overwrite",
            configuration={"delta.enableChangeDataFeed": "true"},
        )

    def schema(self, name: str) -> pa.Schema:
        columns = self.contracts[name].columns
        return pa.schema([(column.name, _TYPES[column.type]) for column in columns])

    def table(self, name: str) -> DeltaTable:
        return DeltaTable(str(self.root.joinpath(*name.split("."))))

    def put_days(self, athlete: int, days: list[date], **values: Any) -> None:
        """Rolling rows of an athlete, new or instead of those of the same days."""
        rows = {
            (athlete, day.toordinal()): self._row(
                ROLLING,
                athlete_id=athlete,
                as_of_date=day,
                event_timestamp=noon(day),
                ctl_ewma_42d=athlete + day.toordinal() / 7,
                history_days=(day - DAY).days + 40,
                **values,
            )
            for day in days
        }
        self._put(ROLLING, rows)

    def put_activity(self, athlete: int, activity: int, end: datetime, **values: Any) -> None:
        """An activity, new or instead of the one of the same number."""
        row = self._row(
            ACTIVITIES,
            athlete_id=athlete,
            activity_id=activity,
            event_timestamp=end,
            local_day=end.date(),
            **values,
        )
        self._put(ACTIVITIES, {(athlete, activity): row})

    def delete(self, name: str, keys: list[tuple[int, int]]) -> None:
        """Removes rows in one commit, those of them that are there."""
        key = self.contracts[name].key[1]
        for athlete, number in keys:
            if self.rows[name].pop((athlete, number), None) is not None:
                value = f"'{date.fromordinal(number)}'" if name == ROLLING else str(number)
                self.table(name).delete(f"athlete_id = {athlete} AND {key} = {value}")

    def seal(self) -> None:
        """Says in the ledger that the rolling rows are made from the activities of now."""
        table = self.table(ACTIVITIES)
        self.sealed += 1
        pin = {
            "table_name": ACTIVITIES,
            "table_id": str(table.metadata().id),
            "version": table.version(),
        }
        at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=self.sealed)
        row = {"table_name": ROLLING, "event": "SEALED", "at": at, "input_versions": [pin]}
        path = str(self.root / "ops/ledger")
        write_deltalake(path, pa.Table.from_pylist([row], _LEDGER), mode="append")

    def served(self, as_of: datetime) -> dict[str, Served]:
        """By view, what a store must hold at an instant."""
        found = {}
        for view, name in VIEWS.items():
            best: Served = {}
            for (athlete, number), row in self.rows[name].items():
                if row["event_timestamp"] > as_of or row.get("is_duplicate_recording"):
                    continue
                rank = (row["event_timestamp"], number)
                if athlete not in best or rank > best[athlete]["_rank"]:
                    best[athlete] = {**row, "_rank": rank}
            found[view] = {
                athlete: {key: value for key, value in row.items() if key != "_rank"}
                for athlete, row in best.items()
            }
        return found

    def _row(self, name: str, **values: Any) -> Row:
        return {**self.contracts[name].example(), **values}

    def _put(self, name: str, rows: dict[tuple[int, int], Row]) -> None:
        path = str(self.root.joinpath(*name.split(".")))
        source = pa.Table.from_pylist(list(rows.values()), self.schema(name))
        key = self.contracts[name].key
        if any(known in self.rows[name] for known in rows):
            condition = " AND ".join(f"t.{column} = s.{column}" for column in key)
            merge = self.table(name).merge(source, condition, source_alias="s", target_alias="t")
            merge.when_matched_update_all().when_not_matched_insert_all().execute()
        else:
            write_deltalake(path, source, mode="append")
        self.rows[name] |= rows
