"""The same computation in DuckDB, in the best form that was found.

The files are read as Parquet, because DuckDB's own Delta extension is downloaded at first use; so
the source must not have deletion vectors. Arrow batches are streamed into delta-rs, never the whole
table: 10,000 athletes and three years fit in 2.1 GB.

Days of rest come from the gap to the next active day. What lost, measured with 1,000 athletes and
three years: with windows per athlete the whole backfill takes twice the CPU, whether they slide or
are running sums less lagged ones, because DuckDB sorts for them, and streams only windows without
a partition; a joined calendar costs twice as much as the gaps; one table instead of batches
costs a tenth more and half as much memory again. For the EWMAs, a fold by list_reduce copies its
list at each step and would alone take longer than all the rest; a recursive query takes three times
as long as a running sum with growing weights.
"""

from __future__ import annotations

import duckdb
from deltalake import DeltaTable

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

NAME = "duckdb"
LABEL = "DuckDB: running sums of whole numbers, streamed into write_deltalake"

ROWS_A_BATCH = 100_000


def backfill(source: str, target: str) -> None:
    """Computes the rolling table of the activities at `source` and writes it to `target`."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        files = DeltaTable(source).file_uris()
        connection.execute(_daily(), {"files": files, "horizon": HORIZON})
        write(target, connection.sql(_rows()).to_arrow_reader(ROWS_A_BATCH))


def _daily() -> str:
    """One row per athlete and active day, in order, with the measures as whole numbers."""
    return f"""
    CREATE TEMP TABLE daily AS
    WITH scored AS (
        SELECT athlete_id, local_day, sport_family, distance_km, moving_time_s, elevation_gain_m,
            threshold_pace_min_km / pace_min_km AS intensity,
            100e0 * (moving_time_s / 3600e0) * intensity * intensity AS score,
            if(tss_method = 'pace', floor(score * 1e6 + 0.5) / 1e6, estimated_tss) AS tss
        FROM read_parquet($files) WHERE local_day <= $horizon
    ), of_activity AS (
        SELECT athlete_id, local_day, moving_time_s, tss,
            {_fixed("distance_km")}, {_fixed("elevation_gain_m")}, {_fixed("tss")},
            coalesce(sport_family = 'run', FALSE) AS is_run,
            is_run AND coalesce(distance_km > 0, FALSE) AS is_measured_run
        FROM scored
    ), of_day AS (
        SELECT athlete_id, local_day,
            count(*) AS activities,
            1::BIGINT AS active_days,
            sum(fixed_distance_km)::BIGINT AS distance_km,
            sum(moving_time_s)::BIGINT AS moving_time_s,
            sum(fixed_elevation_gain_m)::BIGINT AS elevation_gain_m,
            sum(fixed_tss)::BIGINT AS tss,
            count(*) - count(of_activity.tss) AS activities_without_tss,
            count_if(is_run)::BIGINT AS runs,
            sum(if(is_run, fixed_distance_km, 0))::BIGINT AS run_distance_km,
            sum(if(is_measured_run, moving_time_s, 0))::BIGINT AS measured_run_time_s
        FROM of_activity GROUP BY ALL
    ), placed AS (
        SELECT *, first_value(local_day) OVER history AS first_day,
            coalesce(lead(local_day) OVER history, $horizon + 1) - local_day AS to_next
        FROM of_day WINDOW history AS (PARTITION BY athlete_id ORDER BY local_day)
    )
    SELECT *, {", ".join(_ewma(name) for name in EWMA_WEIGHTS)}
    FROM placed WINDOW history AS (PARTITION BY athlete_id ORDER BY local_day)
    ORDER BY athlete_id, local_day
    """


def _fixed(measure: str) -> str:
    value = f"coalesce({measure}, 0) * {SCALES[measure]:e}"
    return f"floor({value} + 0.5)::BIGINT AS fixed_{measure}"


def _ewma(name: str) -> str:
    """A running sum of loads with growing weights; they overflow 13 years after the first day."""
    weight, kept = EWMA_WEIGHTS[name], 1 - EWMA_WEIGHTS[name]
    load = f"{weight:.17e} * (tss / 1e6) / power({kept:.17e}, local_day - first_day)"
    return f"sum({load}) OVER history * power({kept:.17e}, local_day - first_day) AS {name}"


def _rows() -> str:
    """The rows of the table, from the active days.

    The windows are over the rows as they come, athlete after athlete, because DuckDB then streams
    them; days of zeros before an athlete's first keep the sums apart. A gap needs no more rows than
    the days an athlete stays awake, as those are more than the longest window.
    """
    measures = ", ".join(
        f"if(resting = 0, {name}, 0) AS {name}" for name in (*WINDOWS, "activities_without_tss")
    )
    running = ", ".join(
        f"sum({name}) OVER (ROWS UNBOUNDED PRECEDING)::BIGINT AS {name}_so_far" for name in WINDOWS
    )
    windows = ", ".join(
        f"{name}_so_far - lag({name}_so_far, {days}, 0) OVER () AS {name}_{days}d"
        for name, lengths in WINDOWS.items()
        for days in lengths
    )
    loads = ", ".join(f"lag(tss, {lag}, 0) OVER () AS load_{lag}" for lag in range(MONOTONY_DAYS))
    ewmas = ", ".join(
        f"{name} * power({1 - weight:.17e}, resting) AS {name}"
        for name, weight in EWMA_WEIGHTS.items()
    )
    return f"""
    WITH exploded AS (
        SELECT *, unnest(range(
            if(local_day = first_day, {1 - LONGEST_DAYS}, 0),
            least(to_next, {DORMANT_DAYS + 1})
        )) AS resting
        FROM daily
    ), dense AS (
        SELECT athlete_id, resting, local_day + resting::INTEGER AS as_of_date,
            local_day - first_day + resting + 1 AS history_days, {ewmas}, {measures}
        FROM exploded
    ), totalled AS (
        SELECT *, {running} FROM dense
    ), windowed AS (
        SELECT *, {windows}, {loads} FROM totalled
    )
    SELECT {", ".join(f"{value} AS {name}" for name, value in _columns().items())}
    FROM windowed WHERE resting >= 0
    """


def _columns() -> dict[str, str]:
    """The columns of the table and what they are."""
    acute, chronic, known = "tss_7d / 7e6", "tss_28d / 28e6", f"history_days >= {SETTLED_DAYS}"
    deviations = (f"power(7 * load_{lag} - tss_7d, 2e0)" for lag in range(MONOTONY_DAYS))
    week = f"history_days >= {MONOTONY_DAYS}"
    monotony = _ratio("tss_7d", f"sqrt(({' + '.join(deviations)}) / 7)", week)
    return {
        "athlete_id": "athlete_id",
        "as_of_date": "as_of_date",
        "event_timestamp": "(as_of_date + INTERVAL 36 HOUR) AT TIME ZONE 'UTC'",
        **{f"{name}_1d": _published(name, name) for name in DAY},
        **{
            f"{name}_{days}d": _published(f"{name}_{days}d", name)
            for days in (7, 30, 90)
            for name in PERIODS
        },
        "tss_28d": "tss_28d / 1e6",
        "tss_42d": "tss_42d / 1e6",
        "run_pace_min_km_30d": _run_pace(30),
        "run_pace_min_km_90d": _run_pace(90),
        "ctl_42d": "tss_42d / 42e6",
        "atl_7d": acute,
        **{name: name for name in EWMA_WEIGHTS},
        "tsb_ewma": " - ".join(_yesterday(name) for name in EWMA_WEIGHTS),
        "acwr": _ratio(acute, chronic, known),
        "acwr_uncoupled": _ratio(acute, "(tss_28d - tss_7d) / 21e6", known),
        "monotony_7d": monotony,
        "strain_7d": f"tss_7d / 1e6 * ({monotony})",
        "days_since_last_activity": "resting",
        "history_days": "history_days",
    }


def _published(value: str, measure: str) -> str:
    return f"{value} / {SCALES[measure]:e}" if measure in SCALES else value


def _run_pace(days: int) -> str:
    distance = f"(run_distance_km_{days}d / 1e6)"
    return _ratio(f"measured_run_time_s_{days}d / 60", distance, "TRUE")


def _ratio(numerator: str, denominator: str, known: str) -> str:
    return f"if({known}, {numerator} / nullif({denominator}, 0), NULL)"


def _yesterday(name: str) -> str:
    """The EWMA of the day before, which has no row of its own after a long gap."""
    weight = EWMA_WEIGHTS[name]
    return f"({name} - {weight:.17e} * (tss / 1e6)) / {1 - weight:.17e}"
