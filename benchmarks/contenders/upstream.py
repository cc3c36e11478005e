"""What happens before Feature_Rolling: activities are there, become more, and are compacted.

No contender, except for `feature_activity`: these functions prepare what others are measured on.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.contenders import ACTIVITIES, HORIZON, ROLLING, contracts, session
from paceline.generate.bulk import activity_features
from paceline.operations.maintenance import compact
from paceline.pipeline.arguments import Options
from paceline.pipeline.execute import execute
from paceline.pipeline.jobs import FEATURE_ACTIVITY, JOBS
from paceline.publish import steps
from paceline.store.ledger import LEDGER
from paceline.store.warehouse import Warehouse

ATHLETES_A_FILE = 250
SEED = 11
FIRST_ATHLETE = 1001
# Far above every id that the generator gives.
FIRST_ADDED_ID = 10**15


def create(warehouse: str, athletes: int, days: int) -> int:
    """Makes a warehouse with nothing but the activities of so many athletes and days.

    A file holds a range of athletes, as it would after some backfills.

    Returns:
        The number of activities.
    """
    tables = _warehouse(warehouse)
    steps.create(tables, contracts()[ACTIVITIES], "STRICT")
    rows = 0
    with TemporaryDirectory() as scratch:
        for start in range(0, athletes, ATHLETES_A_FILE):
            block = range(start, min(start + ATHLETES_A_FILE, athletes))
            drawn = activity_features(block, days, seed=SEED, end=HORIZON)
            path = Path(scratch) / f"{start}.parquet"
            pq.write_table(drawn, path)
            _append(tables, tables.spark.read.parquet(str(path)))
            path.unlink()
            rows += drawn.num_rows
    return rows


def add(warehouse: str, day: str, athletes: int, of: int, activities: int = 1) -> None:
    """Adds activities on and before a day, the same number for each of some athletes.

    All are copies of one run with a score, so that the same request means the same work whatever
    the other activities are.

    Args:
        warehouse: path of the warehouse.
        day: ISO date of the last of them; an athlete's others lie one a day before it, beginning
            anew after three years.
        athletes: how many, spread evenly.
        of: how many athletes there are.
        activities: how many for each athlete.
    """
    tables = _register(warehouse)
    known = tables.table(ACTIVITIES)
    template = known.where((F.col("tss_method") == "pace") & (F.col("distance_km") > 5))
    copied = template.orderBy("athlete_id", "activity_id").limit(1)
    first_id = FIRST_ADDED_ID + date.fromisoformat(day).toordinal() * 10**9
    number = F.col("id")
    athlete = F.floor(F.floor(number / activities) * of / athletes).cast("bigint")
    local_day = F.date_sub(F.lit(day).cast("date"), (number % activities % 1095).cast("int"))
    added = {
        "athlete_id": athlete + FIRST_ATHLETE,
        "activity_id": number + first_id,
        "local_day": local_day,
        "event_timestamp": F.timestamp_micros(
            F.unix_date(local_day).cast("bigint") * 86_400_000_000 + 43_200_000_000
        ),
    }
    rows = tables.spark.range(athletes * activities).crossJoin(F.broadcast(copied))
    _append(tables, rows.select(*(added.get(name, F.col(name)).alias(name) for name in _names())))


def remember(warehouse: str, runs: int) -> None:
    """Adds earlier runs to the ledger, one a day and a commit each, back from yesterday.

    Each says what the runs that the warehouse has had say together.
    """
    path = str(Path(warehouse).joinpath(*LEDGER.split(".")))
    events = DeltaTable(path).to_pyarrow_table()
    for day in range(runs, 0, -1):
        earlier = events
        for name in ("at", "started_at", "finished_at"):
            moved = pc.subtract(events[name], pa.scalar(timedelta(days=day)))
            earlier = earlier.set_column(events.column_names.index(name), name, moved)
        ids = pc.binary_join_element_wise(events["run_id"], str(day), "-")
        earlier = earlier.set_column(events.column_names.index("run_id"), "run_id", ids)
        write_deltalake(path, earlier.cast(events.schema), mode="append")


def optimize(warehouse: str) -> None:
    """Compacts the small files of both feature tables and of the ledger, as maintenance does."""
    tables = _register(warehouse)
    for name in (ACTIVITIES, ROLLING, LEDGER):
        compact(tables, name)


def feature_activity(landing: str, warehouse: str) -> dict[str, int]:
    """Feature_Activity catches up; returns rows inserted, updated, deleted and compared."""
    morning = datetime.combine(HORIZON + timedelta(days=1), time(6), UTC)
    options = Options(landing=landing, warehouse=warehouse)
    entries = execute({FEATURE_ACTIVITY: JOBS[FEATURE_ACTIVITY]}, options, now=morning)
    counted = ("inserted", "updated", "deleted", "compared")
    return {what: sum(getattr(entry, f"rows_{what}") for entry in entries) for what in counted}


def _warehouse(path: str) -> Warehouse:
    root = Path(path).resolve()
    root.mkdir(parents=True, exist_ok=True)
    tables = Warehouse(session(str(root / ACTIVITIES)), root)
    tables.create_schemas()
    return tables


def _register(path: str) -> Warehouse:
    tables = _warehouse(path)
    for name in (ACTIVITIES, ROLLING, LEDGER):
        if tables.exists(name):
            tables.register(name)
    return tables


def _append(tables: Warehouse, rows: DataFrame) -> None:
    # By position: a frame from a file has no comments, and any of its columns may be NULL.
    rows.select(*_names()).coalesce(1).write.insertInto(tables.identifier(ACTIVITIES))


def _names() -> tuple[str, ...]:
    return contracts()[ACTIVITIES].column_names
