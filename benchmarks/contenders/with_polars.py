"""The same computation in Polars, in the best form that was found.

Athletes are taken in blocks, whose rows are streamed into delta-rs: 10,000 athletes and three years
fit in 2 GB.

Days of rest come from the gap to the next active day, and the sums slide over the rows of a whole
block, with days of zeros between athletes. What lost, measured with 1,000 athletes and three years:
a joined calendar costs four to five times as much as the gaps; all athletes at once take a fifth
more CPU in all and twice the memory, and grow with the table; one lazy query whose batches are
streamed is as cheap as the blocks, but grows with the table too; dictionaries nearly double the
cost of the writer. Running sums less lagged ones cost the same as rolling sums. Polars' own Parquet
writer, which knows nothing of Delta tables, would save a sixth.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import polars as pl
import pyarrow as pa

from benchmarks.contenders import DORMANT_DAYS, HORIZON
from benchmarks.contenders.one_machine import (
    DAY,
    EWMA_WEIGHTS,
    LONGEST_DAYS,
    MONOTONY_DAYS,
    PERIODS,
    SCALES,
    SETTLED_DAYS,
    WINDOWS,
    write,
)

NAME = "polars"
LABEL = "Polars: rolling sums over whole numbers, block by block, write_deltalake"

ATHLETES_A_BLOCK = 100

c = pl.col


def backfill(source: str, target: str) -> None:
    """Computes the rolling table of the activities at `source` and writes it to `target`."""
    daily = _daily(pl.scan_delta(source)).collect()
    schema = _rows(daily.clear()).to_arrow().schema
    write(target, pa.RecordBatchReader.from_batches(schema, _batches(daily)))


def _daily(activities: pl.LazyFrame) -> pl.LazyFrame:
    """One row per athlete and active day, sorted, with the measures as whole numbers."""
    is_run = c("sport_family") == "run"
    of_activity = activities.filter(c("local_day") <= HORIZON).select(
        "athlete_id",
        "local_day",
        "moving_time_s",
        _fixed(c("distance_km"), "distance_km"),
        _fixed(c("elevation_gain_m"), "elevation_gain_m"),
        _fixed(_tss(), "tss"),
        _tss().is_null().alias("is_without_tss"),
        is_run.alias("is_run"),
        (is_run & (c("distance_km") > 0)).fill_null(False).alias("is_measured_run"),
    )
    of_day = of_activity.group_by("athlete_id", "local_day").agg(
        activities=pl.len().cast(pl.Int64),
        active_days=pl.lit(1, pl.Int64),
        distance_km=c("distance_km").sum(),
        moving_time_s=c("moving_time_s").sum(),
        elevation_gain_m=c("elevation_gain_m").sum(),
        tss=c("tss").sum(),
        activities_without_tss=c("is_without_tss").sum().cast(pl.Int64),
        runs=c("is_run").sum().cast(pl.Int64),
        run_distance_km=(c("distance_km") * c("is_run")).sum(),
        measured_run_time_s=(c("moving_time_s") * c("is_measured_run")).sum(),
    )
    return of_day.sort("athlete_id", "local_day")


def _tss() -> pl.Expr:
    intensity = c("threshold_pace_min_km") / c("pace_min_km")
    score = 100.0 * (c("moving_time_s") / 3600.0) * intensity * intensity
    rounded = (score * 1e6 + 0.5).floor() / 1e6
    return pl.when(c("tss_method") == "pace").then(rounded).otherwise(c("estimated_tss"))


def _fixed(value: pl.Expr, measure: str) -> pl.Expr:
    return (value.fill_null(0.0) * SCALES[measure] + 0.5).floor().cast(pl.Int64).alias(measure)


def _batches(daily: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    athletes = daily["athlete_id"].unique().sort()
    begins = daily["athlete_id"].search_sorted(athletes.gather_every(ATHLETES_A_BLOCK)).to_list()
    for begin, end in pairwise([*begins, daily.height]):
        yield from _rows(daily[begin:end]).to_arrow().to_batches()


def _rows(daily: pl.DataFrame) -> pl.DataFrame:
    return _features(_windows(_dense(daily.lazy()))).collect()


def _dense(daily: pl.LazyFrame) -> pl.LazyFrame:
    """Every day from before an athlete's first, so that no window reaches the athlete before.

    Adds `first_day`, and `resting`: the days since the last active one, negative before the first.
    """
    is_first = (c("athlete_id") != c("athlete_id").shift(1)).fill_null(True)
    is_last = (c("athlete_id") != c("athlete_id").shift(-1)).fill_null(True)
    to_next = (c("local_day").shift(-1) - c("local_day")).dt.total_days()
    to_horizon = (pl.lit(HORIZON) - c("local_day")).dt.total_days()
    end = pl.when(is_last).then(pl.min_horizontal(to_horizon, DORMANT_DAYS) + 1).otherwise(to_next)
    begin = pl.when(is_first).then(1 - LONGEST_DAYS).otherwise(0)
    days = daily.with_columns(
        pl.when(is_first).then(c("local_day")).forward_fill().alias("first_day"),
        pl.int_ranges(begin, end).alias("resting"),
    ).explode("resting")
    measures = (*WINDOWS, "activities_without_tss")
    return days.with_columns(
        (c("local_day") + pl.duration(days=c("resting"))).alias("as_of_date"),
        *(pl.when(c("resting") == 0).then(c(name)).otherwise(0) for name in measures),
    )


def _windows(days: pl.LazyFrame) -> pl.LazyFrame:
    """The sums of the windows, in published units, and the EWMAs; then only days with a row."""
    sums = [
        _published(c(measure).rolling_sum(length, min_samples=1), measure).alias(
            f"{measure}_{length}d"
        )
        for measure, lengths in WINDOWS.items()
        for length in lengths
    ]
    # The days of zeros before an athlete's first one are what makes this start from 0.
    loads = [
        (c("tss") / SCALES["tss"]).ewm_mean(alpha=weight, adjust=False).over("athlete_id").alias(n)
        for n, weight in EWMA_WEIGHTS.items()
    ]
    rolled = days.with_columns(
        *sums,
        *loads,
        monotony_7d=_monotony(),
        history_days=(c("as_of_date") - c("first_day")).dt.total_days() + 1,
    ).with_columns(tsb_ewma=(c("ctl_ewma_42d") - c("atl_ewma_7d")).shift(1))
    return rolled.filter(c("resting").is_between(0, DORMANT_DAYS))


def _published(value: pl.Expr, measure: str) -> pl.Expr:
    return value / SCALES[measure] if measure in SCALES else value


def _monotony() -> pl.Expr:
    """Mean / population SD = S / sqrt(sum e^2 / 7), with S the sum and e = 7 x - S; in integers."""
    total = c("tss").rolling_sum(MONOTONY_DAYS, min_samples=1)
    deviations = [
        (MONOTONY_DAYS * c("tss").shift(lag) - total).cast(pl.Float64)
        for lag in range(MONOTONY_DAYS)
    ]
    squares = pl.sum_horizontal(d * d for d in deviations)
    return total / (squares / MONOTONY_DAYS).sqrt()


def _features(rolled: pl.LazyFrame) -> pl.LazyFrame:
    """The columns of the table."""
    known = c("history_days") >= SETTLED_DAYS
    monotony = pl.when((c("history_days") >= MONOTONY_DAYS) & c("monotony_7d").is_finite()).then(
        c("monotony_7d")
    )
    before = c("tss_28d") - c("tss_7d")
    noon_after = c("as_of_date").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=36)
    return rolled.select(
        "athlete_id",
        "as_of_date",
        noon_after.alias("event_timestamp"),
        *(_published(c(name), name).alias(f"{name}_1d") for name in DAY),
        *(f"{name}_{days}d" for days in (7, 30, 90) for name in PERIODS),
        "tss_28d",
        "tss_42d",
        *(_run_pace(days) for days in (30, 90)),
        (c("tss_42d") / 42.0).alias("ctl_42d"),
        (c("tss_7d") / 7.0).alias("atl_7d"),
        *EWMA_WEIGHTS,
        "tsb_ewma",
        _ratio(c("tss_7d") / 7.0, c("tss_28d") / 28.0, known).alias("acwr"),
        _ratio(c("tss_7d") / 7.0, before / 21.0, known).alias("acwr_uncoupled"),
        monotony.alias("monotony_7d"),
        (c("tss_7d") * monotony).alias("strain_7d"),
        c("resting").alias("days_since_last_activity"),
        "history_days",
    )


def _run_pace(days: int) -> pl.Expr:
    minutes, distance = c(f"measured_run_time_s_{days}d") / 60.0, c(f"run_distance_km_{days}d")
    return _ratio(minutes, distance, pl.lit(True)).alias(f"run_pace_min_km_{days}d")


def _ratio(numerator: pl.Expr, denominator: pl.Expr, known: pl.Expr) -> pl.Expr:
    return pl.when(known & (denominator != 0)).then(numerator / denominator)
