"""Gold tables for an online store to follow, written by delta-rs, and what happens to them.

The values are random and no two rows are alike, so that a store which keeps an old one shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from benchmarks.contenders import ACTIVITIES, HORIZON, ROLLING, contracts
from paceline.contract import Column, Contract
from paceline.store.ledger import LEDGER, SEALED_EVENT

FIRST_ATHLETE = 1001
ONE_OF = 100
"""An act touches one athlete in this many."""
ACTIVE_EVERY = 3
"""Days from one activity of an athlete to the next."""
VANISHING_DAYS = 2
PAST_DAYS = 10
LOADED_AT = datetime.combine(HORIZON + timedelta(days=1), time(13), UTC)
"""An hour after the rows of HORIZON may be used."""

_TYPES = {
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "STRING": pa.string(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
}
_PIN = pa.struct([("table_name", pa.string()), ("table_id", pa.string()), ("version", pa.int64())])
_LEDGER = pa.schema(
    [
        ("table_name", pa.string()),
        ("event", pa.string()),
        ("at", _TYPES["TIMESTAMP"]),
        ("input_versions", pa.list_(_PIN)),
    ]
)
_SEED = 11
_FIRST, _CORRECTED = 0, 1
"""Versions of a row."""


def create(warehouse: Path, athletes: int, days: int) -> None:
    """Writes both gold tables, with rows up to HORIZON, and the ledger that names their versions.

    Args:
        warehouse: a directory that does not exist yet.
        athletes: how many.
        days: rolling rows of each.
    """
    known = _athletes(athletes)
    dates = [HORIZON - timedelta(days=ago) for ago in reversed(range(days))]
    for name, make in _MAKE.items():
        contract = contracts()[name]
        by_day = (make(contract, known, day, _FIRST) for day in dates)
        batches = (batch for rows in by_day for batch in rows.to_batches())
        write_deltalake(
            _path(warehouse, name),
            pa.RecordBatchReader.from_batches(_schema(contract), batches),
            configuration={
                "delta.enableChangeDataFeed": "true",
                "delta.dataSkippingStatsColumns": ",".join(contract.skipping_columns),
            },
        )
    DeltaTable.create(_path(warehouse, LEDGER), _LEDGER)
    _seal(warehouse, LOADED_AT)


def happen(act: str, warehouse: Path, athletes: int, now: datetime) -> list[int]:
    """Changes gold, and says in the ledger that it did.

    Args:
        act: one of ACTS.
        warehouse: as `create` has made it.
        athletes: how many there were when the tables were created.
        now: the time at which the ledger says so.

    Returns:
        The athletes of whom a store must hold something else from now on.
    """
    touched = ACTS[act](warehouse, athletes)
    _seal(warehouse, now)
    return touched.tolist()


def everybody(athletes: int) -> list[int]:
    """All athletes who are in gold at any time."""
    return [*_athletes(athletes).tolist(), *_newcomers(athletes).tolist()]


def _correct(warehouse: Path, athletes: int) -> np.ndarray:
    """Other values in the newest rows, whose event_timestamp stays."""
    touched = _some(athletes, 0)
    _correct_days(warehouse, ROLLING, touched, [HORIZON])
    last_days = [HORIZON - timedelta(days=ago) for ago in range(ACTIVE_EVERY)]
    _correct_days(warehouse, ACTIVITIES, touched, last_days)
    return touched


def _delete(warehouse: Path, athletes: int) -> np.ndarray:
    """The newest rows vanish; older ones stay."""
    touched = _some(athletes, 1)
    last_day = HORIZON - timedelta(days=VANISHING_DAYS)
    _remove(warehouse, ROLLING, f"as_of_date > '{last_day}' AND {_among(touched)}")
    last_day = HORIZON - timedelta(days=ACTIVE_EVERY)
    _remove(warehouse, ACTIVITIES, f"local_day > '{last_day}' AND {_among(touched)}")
    return touched


def _erase(warehouse: Path, athletes: int) -> np.ndarray:
    """All rows vanish."""
    touched = _some(athletes, 2)
    for name in _MAKE:
        _remove(warehouse, name, _among(touched))
    return touched


def _arrive(warehouse: Path, athletes: int) -> np.ndarray:
    """Athletes who were unknown come with rows of a time that is long past."""
    newcomers = _newcomers(athletes)
    for ago in range(PAST_DAYS, 2 * PAST_DAYS):
        for name in _MAKE:
            _append(warehouse, name, newcomers, HORIZON - timedelta(days=ago))
    return newcomers


def _go_on(warehouse: Path, athletes: int) -> np.ndarray:
    """A row of the next day for everybody who still had one of the last."""
    resting = np.concatenate([_some(athletes, 1), _some(athletes, 2)])
    touched = np.setdiff1d(_athletes(athletes), resting)
    for name in _MAKE:
        _append(warehouse, name, touched, HORIZON + timedelta(days=1))
    return touched


NOTHING, NEXT_DAY = "nothing", "a new day"
ACTS: Mapping[str, Callable[[Path, int], np.ndarray]] = {
    NOTHING: lambda warehouse, athletes: np.array([], np.int64),
    "newest rows corrected": _correct,
    "newest rows deleted": _delete,
    "athletes erased": _erase,
    "athletes with a past only": _arrive,
    NEXT_DAY: _go_on,
}
"""In the order in which they happen. Each touches athletes whom no other has touched, but for the
new day, which is one of nearly everybody."""


def _athletes(count: int) -> np.ndarray:
    return np.arange(FIRST_ATHLETE, FIRST_ATHLETE + count)


def _some(count: int, number: int) -> np.ndarray:
    return _athletes(count)[number::ONE_OF]


def _newcomers(count: int) -> np.ndarray:
    first = FIRST_ATHLETE + count
    return np.arange(first, first + max(1, count // ONE_OF))


def _rolling(contract: Contract, athletes: np.ndarray, day: date, version: int) -> pa.Table:
    """The rows of a day."""
    noon = datetime.combine(day + timedelta(days=1), time(12), UTC)
    columns = {"athlete_id": athletes, "as_of_date": day, "event_timestamp": noon}
    return _rows(contract, columns, len(athletes), (day.toordinal(), version))


def _activities(contract: Contract, athletes: np.ndarray, day: date, version: int) -> pa.Table:
    """The activities of a day, of those who are active on it."""
    active = athletes[(athletes + day.toordinal()) % ACTIVE_EVERY == 0]
    seconds = (active - FIRST_ATHLETE) % 10_000
    evening = np.datetime64(datetime.combine(day, time(19)), "us")
    columns = {
        "athlete_id": active,
        "activity_id": day.toordinal() * 1_000_000 + active,
        "event_timestamp": evening + seconds.astype("timedelta64[s]"),
        "local_day": day,
        "is_duplicate_recording": False,
    }
    return _rows(contract, columns, len(active), (day.toordinal(), version))


Make = Callable[[Contract, np.ndarray, date, int], pa.Table]
_MAKE: Mapping[str, Make] = {ROLLING: _rolling, ACTIVITIES: _activities}


def _rows(
    contract: Contract, known: Mapping[str, Any], count: int, seed: tuple[int, int]
) -> pa.Table:
    """Rows with the given columns, single values repeated; the others are random."""
    rng = np.random.default_rng((_SEED, *seed))
    arrays = []
    for column in contract.columns:
        values, kind = known.get(column.name), _TYPES[column.type]
        if values is None:
            arrays.append(_random(column, count, rng))
        elif isinstance(values, np.ndarray):
            arrays.append(pa.array(values, kind))
        else:
            arrays.append(pa.repeat(pa.scalar(values, kind), count))
    return pa.Table.from_arrays(arrays, schema=_schema(contract))


def _random(column: Column, count: int, rng: np.random.Generator) -> pa.Array:
    """Numbers, of which a tenth is missing where that may be; all else is as in the example."""
    kind = _TYPES[column.type]
    if column.type == "BIGINT":
        return pa.array(rng.integers(0, 100_000, count), kind)
    if column.type == "DOUBLE":
        is_missing = None if column.required else rng.random(count) < 0.1
        return pa.array(1000 * rng.random(count), kind, mask=is_missing)
    return pa.repeat(pa.scalar(column.example, kind), count)


def _schema(contract: Contract) -> pa.Schema:
    return pa.schema([(column.name, _TYPES[column.type]) for column in contract.columns])


def _append(warehouse: Path, name: str, athletes: np.ndarray, day: date) -> None:
    rows = _MAKE[name](contracts()[name], athletes, day, _FIRST)
    write_deltalake(_path(warehouse, name), rows, mode="append")


def _correct_days(warehouse: Path, name: str, athletes: np.ndarray, days: Sequence[date]) -> None:
    """Other values in the rows of some days, as a MERGE writes them."""
    contract = contracts()[name]
    rows = pa.concat_tables(_MAKE[name](contract, athletes, day, _CORRECTED) for day in days)
    same = " AND ".join(f"new.{column} = old.{column}" for column in contract.key)
    merge = _table(warehouse, name).merge(rows, same, source_alias="new", target_alias="old")
    merge.when_matched_update_all().execute()


def _seal(warehouse: Path, at: datetime) -> None:
    """Says in the ledger that the rolling rows are made from the activities of now."""
    table = _table(warehouse, ACTIVITIES)
    pin = (ACTIVITIES, str(table.metadata().id), table.version())
    row = {
        "table_name": ROLLING,
        "event": SEALED_EVENT,
        "at": at,
        "input_versions": [dict(zip(_PIN.names, pin, strict=True))],
    }
    rows = pa.Table.from_pylist([row], _LEDGER)
    write_deltalake(_path(warehouse, LEDGER), rows, mode="append")


def _remove(warehouse: Path, name: str, condition: str) -> None:
    _table(warehouse, name).delete(condition)


def _among(athletes: np.ndarray) -> str:
    return f"athlete_id IN ({', '.join(map(str, athletes))})"


def _table(warehouse: Path, name: str) -> DeltaTable:
    return DeltaTable(_path(warehouse, name))


def _path(warehouse: Path, name: str) -> str:
    return str(warehouse.joinpath(*name.split(".")))
