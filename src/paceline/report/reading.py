"""What the reports read from a warehouse. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from paceline.contract import Contract
from paceline.errors import UsageError
from paceline.report import athlete, pipeline
from paceline.report.athlete import LATE_AFTER_DAYS, Activity, Athlete, Day, Finding, Quality
from paceline.report.pipeline import Check, Entry, Pipeline, Refused
from paceline.sources.refusals import REFUSALS
from paceline.sql import literal
from paceline.store import ledger, quarantine
from paceline.store.quarantine import QUARANTINE, Wanted
from paceline.store.warehouse import Position, Warehouse

if TYPE_CHECKING:
    from pyspark.sql import Row

ROLLING = "feature_store.athlete_rolling_features"
FEATURES = "feature_store.activity_features"
SILVER = "silver.strava_activities"
BRONZE = "bronze.strava_activities"
OPS = (ledger.LEDGER, QUARANTINE)

# A page with more runs would be slow to open on a phone.
MOST_RUNS = 500

_INSTANTS = ("started_at", "finished_at")


def read_athlete(
    warehouse: Warehouse, contracts: Mapping[str, Contract], athlete_id: int, weeks: int
) -> Athlete:
    """The last weeks of an athlete, from one version of each table.

    Raises:
        UsageError: when a table is missing, or has no row of this athlete.
    """
    known(warehouse, (ROLLING, FEATURES, SILVER, BRONZE, QUARANTINE))
    positions = {name: warehouse.position(name) for name in (ROLLING, FEATURES, SILVER)}
    every_day = _days(warehouse, positions[ROLLING], athlete_id)
    if not every_day:
        raise UsageError(
            f"{ROLLING} has no row of this athlete: check the id, and look with `paceline "
            "quarantine --athlete` whether its activities are refused."
        )
    first = athlete.first_day(every_day[0].as_of_date, every_day[-1].as_of_date, weeks)
    return Athlete(
        athlete_id=athlete_id,
        first=first,
        days=[day for day in every_day if day.as_of_date >= first],
        volumes=athlete.volumes(
            activity
            for activity in _activities(warehouse, positions[FEATURES], athlete_id)
            if first <= activity.local_day <= every_day[-1].as_of_date
        ),
        quality=_quality(warehouse, contracts, positions, athlete_id),
        versions={name: position.version for name, position in positions.items()},
    )


def read_pipeline(warehouse: Warehouse, order: Sequence[str], weeks: int) -> Pipeline:
    """The runs of the last weeks, counted back from the newest one.

    Args:
        warehouse: where they are.
        order: the tables, in the order in which they are made.
        weeks: how many.

    Raises:
        UsageError: when nothing has run yet.
    """
    known(warehouse, OPS)
    identifier = warehouse.identifier
    (newest,) = warehouse.spark.sql(
        f"SELECT unix_micros(max(started_at)) AS at FROM {identifier(ledger.LEDGER)}"
        f" WHERE event NOT IN ('{ledger.VERIFIED}', '{ledger.NOTE_EVENT}')"
    ).collect()
    if newest["at"] is None:
        raise UsageError(
            f"{ledger.LEDGER} has no run yet: run `paceline run` first, or name another warehouse "
            "with --warehouse."
        )
    since = literal(_utc(newest["at"]) - timedelta(weeks=weeks))
    columns = ", ".join(
        f"unix_micros({f.name}) AS {f.name}" if f.name in _INSTANTS else f.name
        for f in fields(Entry)
    )
    entries = warehouse.spark.sql(
        f"SELECT {columns} FROM {ledger.lines(warehouse)}"
        f" WHERE started_at >= {since} AND status <> '{ledger.VERIFIED}'"
    ).collect()
    checks = warehouse.spark.sql(
        f"SELECT {', '.join(f.name for f in fields(Check))} FROM {ledger.checks(warehouse)}"
        f" WHERE judged_at >= {since} AND verdict <> 'PASS' ORDER BY table_name, check_name"
    ).collect()
    runs = pipeline.runs(map(_entry, entries), [Check(*row) for row in checks])
    shown = runs[-MOST_RUNS:]
    refused, count = _refused(warehouse)
    return Pipeline(shown, pipeline.tables(shown, order), refused, count, len(runs) - len(shown))


def known(warehouse: Warehouse, names: Sequence[str]) -> None:
    """Makes tables known to the session.

    Raises:
        UsageError: when one is missing.
    """
    for name in names:
        if not warehouse.exists(name):
            raise UsageError(
                f"There is no table {name} yet: run `paceline run` first, or name another "
                "warehouse with --warehouse."
            )
        warehouse.register(name)


def _days(warehouse: Warehouse, position: Position, athlete_id: int) -> list[Day]:
    columns = [f.name for f in fields(Day)]
    rows = warehouse.as_of(position).where(f"athlete_id = {literal(athlete_id)}")
    return [Day(*row) for row in rows.select(*columns).orderBy("as_of_date").collect()]


def _activities(warehouse: Warehouse, position: Position, athlete_id: int) -> list[Activity]:
    from paceline.tables.feature_store.duplicates import once

    columns = [f.name for f in fields(Activity)]
    rows = once(warehouse.as_of(position)).where(f"athlete_id = {literal(athlete_id)}")
    ordered = rows.orderBy("local_day", "activity_id").select(*columns)
    return [Activity(*row) for row in ordered.collect()]


def _quality(
    warehouse: Warehouse,
    contracts: Mapping[str, Contract],
    positions: Mapping[str, Position],
    athlete_id: int,
) -> Quality:
    *reasons, total = quarantine.groups(warehouse, Wanted(athlete_id=athlete_id))
    received = _received(warehouse, positions[SILVER], athlete_id)
    published = 0
    warnings: list[Finding] = []
    for name in (SILVER, FEATURES):
        rows, found = _warnings(warehouse, contracts[name], positions[name], athlete_id)
        published, warnings = published or rows, [*warnings, *found]
    return Quality(
        activities=published,
        quarantined=total.records,
        reasons=tuple(
            Finding(
                str(group.table_name),
                str(group.reason),
                _description(contracts, str(group.table_name), str(group.reason)),
                group.records,
            )
            for group in reasons
        ),
        warnings=tuple(warnings),
        received=received["received"],
        late=received["late"],
        last_received=received["last_received"],
    )


def _received(warehouse: Warehouse, silver: Position, athlete_id: int) -> Row:
    of_athlete = f"athlete_id = {literal(athlete_id)}"
    (row,) = warehouse.spark.sql(
        f"""
        WITH received AS (
            SELECT activity_id, ingest_date FROM {warehouse.identifier(BRONZE)} WHERE {of_athlete}
        ), published AS (
            SELECT activity_id, local_day
            FROM {warehouse.identifier(SILVER)} VERSION AS OF {silver.version} WHERE {of_athlete}
        )
        SELECT count(*) AS received, max(ingest_date) AS last_received,
            count_if(ingest_date > first_received
                AND ingest_date > date_add(local_day, {LATE_AFTER_DAYS})) AS late
        FROM received LEFT JOIN published USING (activity_id)
            CROSS JOIN (SELECT min(ingest_date) AS first_received FROM received)
        """
    ).collect()
    return row


def _warnings(
    warehouse: Warehouse, contract: Contract, position: Position, athlete_id: int
) -> tuple[int, list[Finding]]:
    """How many rows an athlete has, and the rules that only warn which some of them break."""
    rules = [rule for rule in contract.rules if rule.severity == "warning"]
    counts = [f"count_if(NOT coalesce({rule.predicate}, FALSE)) AS {rule.name}" for rule in rules]
    rows = warehouse.as_of(position).where(f"athlete_id = {literal(athlete_id)}")
    (found,) = rows.selectExpr("count(*) AS athlete_rows", *counts).collect()
    return found["athlete_rows"], [
        Finding(contract.name, rule.name, rule.description, found[rule.name])
        for rule in rules
        if found[rule.name]
    ]


def _description(contracts: Mapping[str, Contract], table: str, rule: str) -> str:
    """What a rule demands, as far as a contract still has it."""
    rules = contracts[table].rules if table in contracts else ()
    found = next((one.description for one in rules if one.name == rule), "")
    return found or REFUSALS.get(rule, "")


def _entry(row: Row) -> Entry:
    cells: dict[str, Any] = row.asDict()
    for name in _INSTANTS:
        cells[name] = None if cells[name] is None else _utc(cells[name])
    return Entry(**cells)


def _utc(micros: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)


def _refused(warehouse: Warehouse) -> tuple[list[Refused], int]:
    """Records by table and reason, the most open ones of a table first; and how many are open."""
    *still, total = quarantine.groups(warehouse, Wanted())
    *resolved, _ = quarantine.groups(warehouse, Wanted(is_resolved=True))
    of_open = {(str(group.table_name), str(group.reason)): group for group in still}
    of_resolved = {(str(group.table_name), str(group.reason)): group for group in resolved}
    found = []
    for key in of_open.keys() | of_resolved.keys():
        groups = [group for group in (of_open.get(key), of_resolved.get(key)) if group]
        found.append(
            Refused(
                *key,
                open=of_open[key].records if key in of_open else 0,
                resolved=of_resolved[key].records if key in of_resolved else 0,
                first_seen=min((g.first_seen for g in groups if g.first_seen), default=None),
                last_seen=max((g.last_seen for g in groups if g.last_seen), default=None),
            )
        )
    return sorted(found, key=lambda one: (one.table_name, -one.open, one.reason)), total.records
