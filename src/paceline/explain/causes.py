"""What made an activity change in activity_features: a delivery, settings, rules or a window."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from paceline.explain.past import Activity
from paceline.explain.reading import BRONZE, BRONZE_SETTINGS, SILVER, Record, records
from paceline.explain.runs import Runs, SealedRun, taken_in
from paceline.sql import literal
from paceline.store import ledger
from paceline.store.warehouse import Warehouse
from paceline.tables.silver import athlete_settings, strava_sub_activity

PARTS = strava_sub_activity.NAME
SETTINGS = athlete_settings.NAME


@dataclass(frozen=True)
class Received:
    """The records that may be behind changes, the newest last: of activities, and settings."""

    activities: Sequence[Record]
    settings: Sequence[Record]


def received(warehouse: Warehouse, athlete_id: int, activity_ids: Collection[int]) -> Received:
    """Reads the records of some activities, and the settings of their athlete."""
    if not activity_ids:
        return Received((), ())
    listed = ", ".join(map(literal, sorted(activity_ids)))
    return Received(
        records(warehouse, BRONZE, f"activity_id IN ({listed})"),
        records(warehouse, BRONZE_SETTINGS, f"athlete_id = {literal(athlete_id)}"),
    )


def deliveries(
    runs: Runs, made: SealedRun, activity: Activity, found: Received
) -> tuple[Record, ...]:
    """The records that a run of activity_features took in and that speak of an activity.

    Where it took in none about the activity itself, they are the settings that hold on its day.
    """
    own = [one for one in found.activities if one.activity_id == activity.activity_id]
    taken = _taken(runs, made, (SILVER, PARTS), own, BRONZE)
    if taken:
        return taken
    holding = [one for one in found.settings if _may_hold(one, activity)]
    return _taken(runs, made, (SETTINGS,), holding, BRONZE_SETTINGS)


def circumstances(runs: Runs, made: SealedRun) -> list[str]:
    """What else may make a run write rows: rules that have changed, or a window."""
    told = [_circumstance(made)]
    for name in (SILVER, PARTS, SETTINGS):
        told += [_circumstance(one) for one in _sealings(runs, made, name)]
    return [one for one in dict.fromkeys(told) if one]


def _circumstance(sealed: SealedRun) -> str:
    if sealed.full_compare_reason is not None:
        return f"all rows of {sealed.table_name} were compared ({sealed.full_compare_reason})"
    return window_of(sealed)


def window_of(sealed: SealedRun) -> str:
    """What a window run processed again; empty for a catch-up."""
    if sealed.window_start is None:
        return ""
    end = f"{sealed.window_end:%Y-%m-%d %H:%M}" if sealed.window_end else "open"
    return (
        f"activities that start in [{sealed.window_start:%Y-%m-%d %H:%M}, {end}) UTC were "
        "processed again"
    )


def _may_hold(record: Record, activity: Activity) -> bool:
    return record.valid_from is not None and record.valid_from <= activity.local_day


def _taken(
    runs: Runs, made: SealedRun, between: Sequence[str], candidates: Sequence[Record], bronze: str
) -> tuple[Record, ...]:
    """Those that came from bronze into a table in between, and from there into `made`."""
    versions = {one.run_id: one.version for one in runs.get(bronze, ())}
    taken = [
        taken_in(runs, sealed, bronze) for name in between for sealed in _sealings(runs, made, name)
    ]
    return tuple(
        one
        for one in candidates
        if any(versions.get(one.run_id or "", -1) in some for some in taken)
    )


def _sealings(runs: Runs, made: SealedRun, name: str) -> list[SealedRun]:
    """The runs that have made what a run took in of an input."""
    taken = taken_in(runs, made, name)
    inside = [one for one in runs.get(name, ()) if one.version in taken]
    # Rows that a crashed run has written are sealed by the next one, which finds them unchanged.
    return [one for one in inside if one.status == ledger.PUBLISHED] or inside
