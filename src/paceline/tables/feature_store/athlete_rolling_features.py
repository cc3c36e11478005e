"""feature_store.athlete_rolling_features: one row per athlete and calendar day (windowed MITs)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from paceline import recipe
from paceline.contract import Contract
from paceline.features.daily_fold import Columns, History, Seed, daily_rows
from paceline.features.windows import EWMA_DAYS, LONGEST_DAYS, MEASURES, Measure
from paceline.recipe import Context, Frames, Scope, Table
from paceline.tables import names

NAME = names.ROLLING_FEATURES
ACTIVITIES = names.ACTIVITY_FEATURES

EPOCH = date(1970, 1, 1)
ATHLETES_A_BLOCK = 64

ARROW_TYPES = {
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}


def touched(changes: Frames, inputs: Frames, own: DataFrame, context: Context) -> Scope:
    """Per athlete the earliest changed day; with a new horizon, the days it adds."""
    assert context.horizon is not None
    activities = _once(inputs[ACTIVITIES])
    frames = [_first_days(changes[ACTIVITIES], F.col("local_day"))]
    if context.window is not None:
        frames.append(_first_days(_in_window(activities, context), F.col("local_day")))
    before = context.horizon_before
    if before is not None and context.horizon > before:
        earliest = before + timedelta(days=1 - context.settings["dormant_after_days"])
        awake = activities.where(
            F.col("local_day").between(F.lit(earliest), F.lit(context.horizon))
        )
        frames.append(_first_days(awake, F.lit(before + timedelta(days=1))))
    keys = recipe.union(frames).groupBy("athlete_id").agg(F.min("since").alias("since"))
    return Scope(keys=keys.where(F.col("since") <= F.lit(context.horizon)), since="as_of_date")


def rows(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    """The days of the athletes in scope, from their first day in scope on."""
    assert context.horizon is not None
    contract = context.contracts[NAME]
    until = F.col("local_day") <= F.lit(context.horizon)
    activities = _once(inputs[ACTIVITIES]).where(until)
    histories = _with_state(activities, scope, own)
    fold = partial(
        _fold,
        contract=contract,
        horizon=(context.horizon - EPOCH).days,
        dormant_after_days=context.settings["dormant_after_days"],
    )
    by_athlete = histories.repartition("athlete_id").sortWithinPartitions("athlete_id", "day")
    return by_athlete.mapInArrow(fold, contract.schema())


def _once(activities: DataFrame) -> DataFrame:
    """What an athlete did, each activity once, however many devices have recorded it."""
    return activities.where(~F.col("is_duplicate_recording"))


def _first_days(activities: DataFrame, day: Column) -> DataFrame:
    return activities.groupBy("athlete_id").agg(F.min(day).alias("since"))


def _in_window(activities: DataFrame, context: Context) -> DataFrame:
    """Activities that may have started in the window: a local day is never further off than one."""
    assert context.window is not None
    earliest = context.window.start.date() - timedelta(days=1)
    activities = activities.where(F.col("local_day") >= F.lit(earliest))
    if context.window.end is None:
        return activities
    latest = context.window.end.date() + timedelta(days=1)
    return activities.where(F.col("local_day") <= F.lit(latest))


def _daily(activities: DataFrame) -> DataFrame:
    """(athlete_id, day, end_us, one int64 per measure): what an athlete did on a day."""
    day = F.unix_date("local_day").cast("bigint").alias("day")
    end_us = F.max(F.unix_micros("event_timestamp")).alias("end_us")
    loads = [_load(measure).alias(measure.name) for measure in MEASURES]
    return activities.groupBy("athlete_id", day).agg(end_us, *loads)


def _load(measure: Measure) -> Column:
    value = F.coalesce(F.expr(measure.value), F.lit(0))
    fixed = value if measure.scale == 1 else F.floor(value * measure.scale + 0.5)
    counted = F.when(F.expr(measure.only), fixed.cast("bigint")).otherwise(F.lit(0))
    return F.max(counted) if measure.daily == "max" else F.sum(counted)


def _with_state(activities: DataFrame, scope: Scope, own: DataFrame) -> DataFrame:
    """The days of the athletes in scope, with the first day in scope and the stored row before it.

    An athlete in scope without any activity left still has one row, with a NULL day.
    """
    state = ("seed_day", "seed_known_us", "seed_history_days", "seed_days_since")
    if scope.keys is None:
        nothing = [F.lit(None).cast("bigint").alias(name) for name in ("since", *state)]
        ewmas = [F.lit(None).cast("double").alias(name) for name in _seed_columns()]
        return _daily(activities).select("*", *nothing, *ewmas)
    # Before they are joined and summed, rows and columns that do not matter are left out.
    scoped = scope.keys.select("athlete_id", F.unix_date("since").cast("bigint").alias("since"))
    states = ("event_timestamp", "history_days", "days_since_last_activity", *EWMA_DAYS)
    rows = scope.pruned(own, since=None).select("athlete_id", "as_of_date", *states)
    stored = rows.join(scoped, "athlete_id").where(F.unix_date("as_of_date") < F.col("since"))
    last = F.max(
        F.struct(
            F.unix_date("as_of_date").cast("bigint").alias("seed_day"),
            F.unix_micros("event_timestamp").alias("seed_known_us"),
            F.col("history_days").alias("seed_history_days"),
            F.col("days_since_last_activity").alias("seed_days_since"),
            *(F.col(name).alias(f"seed_{name}") for name in EWMA_DAYS),
        )
    )
    seeds = stored.groupBy("athlete_id").agg(last.alias("seed"))
    athletes = scoped.join(seeds, "athlete_id", "left").select("athlete_id", "since", "seed.*")
    pruned = scope.pruned(activities, since="local_day", days=LONGEST_DAYS - 1)
    recent = pruned.join(scoped, "athlete_id").where(
        F.unix_date("local_day") > F.col("since") - LONGEST_DAYS
    )
    return athletes.join(_daily(recent), "athlete_id", "left")


def _seed_columns() -> list[str]:
    return [f"seed_{name}" for name in EWMA_DAYS]


def _fold(
    batches: Iterator[pa.RecordBatch], contract: Contract, horizon: int, dormant_after_days: int
) -> Iterator[pa.RecordBatch]:
    for block in _blocks(batches):
        columns = daily_rows(_histories(block), horizon, dormant_after_days)
        if columns:
            yield _batch(columns, contract)


def _blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of at most ATHLETES_A_BLOCK whole athletes, from batches sorted by athlete."""
    rest: pa.Table | None = None
    for batch in batches:
        arrived = pa.Table.from_batches([batch])
        rest = arrived if rest is None else pa.concat_tables([rest, arrived])
        starts = _athlete_starts(rest)
        # The last athlete may go on in the next batch.
        for begin, end in pairwise([*starts[:-1:ATHLETES_A_BLOCK], starts[-1]]):
            yield rest.slice(begin, end - begin)
        rest = rest.slice(starts[-1])
    if rest is not None and rest.num_rows:
        yield rest


def _athlete_starts(block: pa.Table) -> list[int]:
    ids = block["athlete_id"].to_numpy()
    return [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist()]


def _histories(block: pa.Table) -> list[History]:
    starts = _athlete_starts(block)
    days, ends_us = (block[name].to_numpy(zero_copy_only=False) for name in ("day", "end_us"))
    loads = {m.name: block[m.name].to_numpy(zero_copy_only=False) for m in MEASURES}
    histories = []
    for begin, end in zip(starts, [*starts[1:], block.num_rows], strict=True):
        first = block.slice(begin, 1).to_pylist()[0]
        is_active = first["day"] is not None
        inside = slice(begin, end if is_active else begin)
        histories.append(
            History(
                athlete_id=first["athlete_id"],
                days=days[inside].astype(np.int64),
                ends_us=ends_us[inside].astype(np.int64),
                loads={name: values[inside].astype(np.int64) for name, values in loads.items()},
                since=first["since"],
                seed=_seed(first),
            )
        )
    return histories


def _seed(row: dict[str, int | float | None]) -> Seed | None:
    if row["seed_day"] is None:
        return None
    day = int(row["seed_day"])
    return Seed(
        day=day,
        known_us=int(row["seed_known_us"] or 0),
        first_day=day - int(row["seed_history_days"] or 0) + 1,
        last_active_day=day - int(row["seed_days_since"] or 0),
        ewmas={name: float(row[f"seed_{name}"] or 0.0) for name in EWMA_DAYS},
    )


def _batch(columns: Columns, contract: Contract) -> pa.RecordBatch:
    known = dict(columns)
    known["as_of_date"] = columns["as_of_day"].astype("datetime64[D]")
    known["event_timestamp"] = columns["known_us"].astype("datetime64[us]")
    arrays = [
        pa.array(known[column.name], ARROW_TYPES[column.type], from_pandas=True)
        for column in contract.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=list(contract.column_names))


TABLE = Table(
    NAME,
    inputs=(ACTIVITIES,),
    touched=touched,
    rows=rows,
    settings=("dormant_after_days",),
    reads={
        ACTIVITIES: (
            *("athlete_id", "activity_id", "local_day", "sport_family", "distance_km"),
            *("moving_time_s", "elevation_gain_m", "estimated_tss", "event_timestamp"),
            "is_duplicate_recording",
        )
    },
    has_horizon=True,
    day="as_of_date",
)
