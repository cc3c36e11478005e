"""The row, the activities it is made from, and the records that these come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from paceline import recipe as r
from paceline.errors import PacelineError, UsageError
from paceline.explain.past import Activity
from paceline.explain.runs import Runs, last_at
from paceline.features.windows import MEASURES
from paceline.recipe import EVERYTHING, Context
from paceline.sql import literal
from paceline.store import deliveries, ledger
from paceline.store.warehouse import Position, Warehouse
from paceline.tables.bronze import athlete_settings as bronze_settings
from paceline.tables.bronze import strava_activities as bronze_activities
from paceline.tables.feature_store import activity_features, athlete_rolling_features
from paceline.tables.feature_store.duplicates import once
from paceline.tables.silver import activity_versions, strava_activities

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROLLING = athlete_rolling_features.NAME
FEATURES = activity_features.NAME
SILVER = activity_versions.NAME
BRONZE = bronze_activities.NAME
BRONZE_SETTINGS = bronze_settings.NAME
READ = (ROLLING, FEATURES, SILVER, BRONZE, BRONZE_SETTINGS, ledger.LEDGER, deliveries.DELIVERIES)

# Columns of activity_features that say what an activity was.
SHOWN = (
    *("local_day", "sport_family", "distance_km", "moving_time_s", "elevation_gain_m"),
    *("estimated_tss", "tss_method", "threshold_pace_min_km"),
)
ACTIVITY = ("activity_id", *SHOWN, "unix_micros(event_timestamp) AS end_us")
SILVER_SHOWN = (
    *("activity_id", "sport_type", "start_date_local", "distance_m", "moving_time_s"),
    *("elapsed_time_s", "elevation_gain_m", "average_heartrate_bpm", "source"),
)


@dataclass(frozen=True)
class Origin:
    """Where an activity comes from.

    Attributes:
        silver: its row of silver.strava_activities, some columns of it; None when it has gone.
        source_path, line_number: the record that this row was made from; None when the rules in
            force would choose none.
    """

    silver: Mapping[str, Any] | None
    source_path: str | None
    line_number: int | None


@dataclass(frozen=True)
class Record:
    """A delivered record, and the run that took it in; None when ops.deliveries does not tell."""

    source_path: str
    line_number: int
    op: str
    run_id: str | None
    activity_id: int | None = None
    valid_from: date | None = None


def opened(warehouse: Warehouse) -> None:
    """Makes the tables known to the session.

    Raises:
        UsageError: when one is missing.
    """
    for name in READ:
        if not warehouse.exists(name):
            raise UsageError(
                f"There is no table {name} yet: run `paceline run` first, or name another "
                "warehouse with --warehouse."
            )
        warehouse.register(name)


def published_row(
    warehouse: Warehouse, position: Position, athlete_id: int, day: date
) -> dict[str, Any] | None:
    """The row of the rolling table, its instant as `known_us`; None when there is none."""
    found = warehouse.as_of(position).where(
        f"athlete_id = {literal(athlete_id)} AND as_of_date = {literal(day)}"
    )
    # An instant would come in the zone of this machine.
    instant = "unix_micros(event_timestamp) AS known_us"
    rows = found.selectExpr("* EXCEPT (event_timestamp)", instant).collect()
    return rows[0].asDict() if rows else None


def features_read(warehouse: Warehouse, runs: Runs) -> Position:
    """The version of activity_features that the rolling table was made from.

    Raises:
        UsageError: when no run of the rolling table was sealed.
    """
    newest = warehouse.position(FEATURES)
    sealed = last_at(runs, ROLLING, None)
    if sealed is None or FEATURES not in sealed.read:
        raise UsageError(f"No run has sealed {ROLLING} yet: run `paceline run` first.")
    return Position(FEATURES, newest.table_id, min(newest.version, sealed.read[FEATURES]))


def amounts(counts: str = "NOT coalesce(is_duplicate_recording, FALSE)") -> list[str]:
    """SQL over activity_features: for each measure what a row adds, NULL when it does not count."""
    return [
        f"IF({counts} AND {measure.only}, coalesce({measure.value}, 0), NULL) "
        f"AS amount_{measure.name}"
        for measure in MEASURES
    ]


def activity(row: Mapping[str, Any]) -> Activity:
    """An activity from a row with the columns of `ACTIVITY` and `amounts`."""
    found = {measure.name: row[f"amount_{measure.name}"] for measure in MEASURES}
    return Activity(
        activity_id=row["activity_id"],
        local_day=row["local_day"],
        sport_family=row["sport_family"],
        amounts={name: amount for name, amount in found.items() if amount is not None},
        end_us=row["end_us"],
        shown={name: row[name] for name in SHOWN},
    )


def activities(warehouse: Warehouse, position: Position, athlete_id: int) -> list[Activity]:
    """All activities of an athlete that count."""
    rows = warehouse.as_of(position).where(f"athlete_id = {literal(athlete_id)}")
    return [activity(row.asDict()) for row in counted(rows).collect()]


def counted(features: DataFrame) -> DataFrame:
    """What counts of activity_features, each activity once however many devices recorded it.

    The columns are those that `activity` takes, and athlete_id.
    """
    counts = "TRUE"  # those that do not are left out
    return once(features).selectExpr("athlete_id", *ACTIVITY, *amounts(counts))


def absence(
    days: Sequence[date], day: date, horizon: date | None, dormant_after_days: int
) -> PacelineError:
    """Why there is no row.

    Args:
        days: of the athlete's activities.
        day: that was asked for.
        horizon: the last day of the table.
        dormant_after_days: days after an activity for which rows exist.
    """
    if not days:
        return UsageError(
            f"{FEATURES} has no activity of this athlete: check the id, and look with `paceline "
            "quarantine --athlete` whether their activities are refused."
        )
    last = max((one for one in days if one <= day), default=None)
    if horizon is not None and day > horizon:
        return UsageError(
            f"{ROLLING} has no row on {day}, which is after the horizon, {horizon}: ask for that "
            "day or an earlier one, or run the jobs with a later --horizon."
        )
    if last is None:
        return UsageError(
            f"{ROLLING} has no row on {day}, which is before the athlete's first activity, on "
            f"{min(days)}: ask for that day or a later one."
        )
    if (day - last).days > dormant_after_days:
        return UsageError(
            f"{ROLLING} has no row on {day}: the athlete is dormant, for the last activity was on "
            f"{last}, more than {dormant_after_days} days before; ask for a day up to "
            f"{last + timedelta(days=dormant_after_days)}."
        )
    return PacelineError(
        f"{ROLLING} has no row on {day}, although there should be one: run the jobs, and `paceline "
        "verify` if it is missing even then."
    )


def origins(
    warehouse: Warehouse, runs: Runs, features: Position, ids: Collection[int], context: Context
) -> dict[int, Origin]:
    """By activity, its row of silver and the record of bronze that this was made from.

    The record is found as the table does it: by its recipe, over all versions of the activity.
    """
    if not ids:
        return {}
    silver = _input(warehouse, runs, features, SILVER)
    bronze = _input(warehouse, runs, silver, BRONZE)
    listed = f"activity_id IN ({', '.join(map(literal, sorted(ids)))})"
    rows = warehouse.as_of(silver).where(listed).select(*SILVER_SHOWN).collect()
    published = {row["activity_id"]: row.asDict() for row in rows}
    inputs = {BRONZE: warehouse.as_of(bronze).where(listed)}
    judged = strava_activities.rows(EVERYTHING, inputs, warehouse.as_of(silver), context)
    current = judged.where(f"{r.DISPOSITION} = '{r.CURRENT}'").select(
        "activity_id", f"{r.RECORD}.source_path", f"{r.RECORD}.line_number"
    )
    records = {row["activity_id"]: row for row in current.collect()}
    return {
        one: Origin(
            published.get(one),
            records[one]["source_path"] if one in records else None,
            records[one]["line_number"] if one in records else None,
        )
        for one in ids
    }


def records(warehouse: Warehouse, name: str, condition: str) -> list[Record]:
    """Records of a bronze table, the newest change last, with the run that took each of them in."""
    subject, places = "activity_id", "change_log, change_position, "
    if name == BRONZE_SETTINGS:
        subject, places = "valid_from", ""  # no change data feeds it
    rows = warehouse.spark.sql(
        f"""
        WITH first AS (
            SELECT path, digest, min_by(run_id, delivered_at) AS run_id
            FROM {warehouse.identifier(deliveries.DELIVERIES)}
            WHERE table_name = {literal(name)} GROUP BY path, digest
        )
        SELECT source_path, line_number, op, run_id, {subject}
        FROM {warehouse.identifier(name)}
            LEFT JOIN first ON path = source_path AND digest = source_digest
        WHERE {condition}
        ORDER BY change_time_us, {places}source_path, line_number
        """
    ).collect()
    return [Record(**row.asDict()) for row in rows]


def _input(warehouse: Warehouse, runs: Runs, position: Position, name: str) -> Position:
    """The version of an input that a version of a table was made from; else the newest."""
    newest = warehouse.position(name)
    sealed = last_at(runs, position.table_name, position.version)
    read = sealed.read.get(name) if sealed else None
    return newest if read is None else Position(name, newest.table_id, min(read, newest.version))
