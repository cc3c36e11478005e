"""What the whole pipeline must give, in plain Python over dictionaries.

Written from the definition of the tables and sharing nothing with the product, so that a property
test can compare the two: everything is computed from all deliveries at once, nothing is ever
continued, and clear code comes before fast code. TIMESTAMP values are microseconds since 1970 UTC,
TIMESTAMP_NTZ values naive datetimes, DATE values dates, NULL is None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tests.oracle import activities, athlete_settings
from tests.oracle.duplicates import duplicates
from tests.oracle.features import activity_features
from tests.oracle.landing import records
from tests.oracle.model import LIMITS, Conf, Delivery
from tests.oracle.record import Record
from tests.oracle.rolling import rolling_rows
from tests.oracle.sub_activities import sub_activity_rows
from tests.oracle.versions import Refused, Version, resolve

__all__ = ["KEYS", "LIMITS", "Conf", "Delivery", "Outcome", "outcome", "refused", "tables"]

KEYS = {
    "silver.strava_activities": ("athlete_id", "activity_id"),
    "silver.strava_sub_activity": ("athlete_id", "activity_id", "kind", "sub_index"),
    "silver.athlete_settings": ("athlete_id", "valid_from"),
    "feature_store.activity_features": ("athlete_id", "activity_id"),
    "feature_store.athlete_rolling_features": ("athlete_id", "as_of_date"),
}
_SOURCES = ("strava_export", "strava_api", "debezium")
# Those whose terms forbid that models learn from them.
_RESTRICTED = ("strava_api",)

Row = dict[str, Any]
Table = dict[tuple[Any, ...], Row]


class Outcome(NamedTuple):
    """The rows of each table by key, and the open quarantine: (table, key, broken rules)."""

    tables: dict[str, Table]
    refused: set[tuple[str, tuple[Any, ...], tuple[str, ...]]]


def tables(deliveries: Iterable[Delivery], conf: Conf) -> dict[str, Table]:
    """For each table its rows by key; every column, in the order of the table."""
    return outcome(deliveries, conf).tables


def refused(
    deliveries: Iterable[Delivery], conf: Conf
) -> set[tuple[str, tuple[Any, ...], tuple[str, ...]]]:
    """The open quarantine: table name, key, and broken rules in the order of the contract."""
    return outcome(deliveries, conf).refused


def outcome(deliveries: Iterable[Delivery], conf: Conf) -> Outcome:
    """Both at once. The order of the deliveries matters only between copies of one delivery."""
    received = list(records(deliveries, conf.cdc_tables))
    settings, refused_settings = _settings(received)
    versions, refused_activities = _activities(received, conf)
    published = [_published(of_one) for of_one in versions]
    rows = {
        "silver.strava_activities": published,
        "silver.strava_sub_activity": list(_sub_activities(published, versions)),
        "silver.athlete_settings": settings,
    }
    features = _features(rows, conf)
    rows["feature_store.activity_features"] = features
    rows["feature_store.athlete_rolling_features"] = list(_rolling(features, conf))
    return Outcome(
        {name: _by_key(name, found) for name, found in rows.items()},
        {("silver.strava_activities", *refusal) for refusal in refused_activities}
        | {("silver.athlete_settings", *refusal) for refusal in refused_settings},
    )


def _by_key(name: str, rows: Iterable[Row]) -> Table:
    table: Table = {}
    for row in rows:
        key = tuple(row[column] for column in KEYS[name])
        assert key not in table, f"{name} has {key} twice"
        table[key] = row
    return table


def _settings(received: list[Record]) -> tuple[list[Row], Refused]:
    found, refused_versions = resolve(
        [record for record in received if record.source == "athlete_settings"],
        lambda key: None if None in key else key,
        athlete_settings.judged,
    )
    return [versions[0].row for versions in found], refused_versions


def _activities(received: list[Record], conf: Conf) -> tuple[list[list[Version]], Refused]:
    return resolve(
        [record for record in received if record.source != "athlete_settings"],
        lambda key: key[1],
        lambda record: activities.judged(record, conf),
    )


def _published(newest_first: list[Version]) -> Row:
    """The row of the best source, then the newest; with the newest calories that any has."""
    winner = max(newest_first, key=lambda version: (_SOURCES.index(version.source), version.order))
    calories = (version.row["calories"] for version in newest_first)
    return {**winner.row, "calories": next((kcal for kcal in calories if kcal is not None), None)}


def _sub_activities(published: list[Row], versions: list[list[Version]]) -> Iterator[Row]:
    for parent, newest_first in zip(published, versions, strict=True):
        images = [(version.source, version.image) for version in newest_first]
        yield from sub_activity_rows(parent["athlete_id"], parent["activity_id"], images)


def _features(rows: dict[str, list[Row]], conf: Conf) -> list[Row]:
    settings = _by("athlete_id", rows["silver.athlete_settings"])
    parts = _by("activity_id", rows["silver.strava_sub_activity"])
    found = _duplicates(rows["silver.strava_activities"], conf)
    return [
        {
            **activity_features(
                activity,
                [part for part in parts[activity["activity_id"]] if part["kind"] == "split"],
                athlete_settings.in_use(settings[activity["athlete_id"]], activity["local_day"]),
                conf.default_threshold_pace_s_per_km,
            ),
            "is_duplicate_recording": activity["activity_id"] in found,
            "is_restricted": any(
                row["source"] in _RESTRICTED for row in (activity, *parts[activity["activity_id"]])
            ),
        }
        for activity in rows["silver.strava_activities"]
    ]


def _duplicates(published: list[Row], conf: Conf) -> set[int]:
    if not conf.detect_duplicate_recordings:
        return set()
    return set().union(*map(duplicates, _by("athlete_id", published).values()))


def _rolling(features: list[Row], conf: Conf) -> Iterator[Row]:
    """From every activity once: a second recording of it does not exist here."""
    once = [row for row in features if not row["is_duplicate_recording"]]
    for athlete_id, of_one in _by("athlete_id", once).items():
        for row in rolling_rows(of_one, conf):
            yield {"athlete_id": athlete_id, **row}


def _by(column: str, rows: Iterable[Row]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups
