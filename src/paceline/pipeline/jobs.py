"""The jobs of the feature pipeline, with their tables in the order in which they are made."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from paceline.recipe import Table
from paceline.store.warehouse import SCHEMAS
from paceline.tables.bronze import athlete_settings as bronze_settings
from paceline.tables.bronze import strava_activities as bronze_activities
from paceline.tables.feature_store import activity_features, athlete_rolling_features
from paceline.tables.silver import athlete_settings, strava_activities, strava_sub_activity

Jobs: TypeAlias = Mapping[str, tuple[Table, ...]]
"""By name of a job, its tables; both in the order in which they are made."""

FEATURE_ACTIVITY = "Feature_Activity"
FEATURE_ROLLING = "Feature_Rolling"
# Has no tables of its own: it copies rows to the online store.
ONLINE_SYNC = "Online_Sync"

JOBS: Jobs = {
    FEATURE_ACTIVITY: (
        bronze_activities.TABLE,
        bronze_settings.TABLE,
        strava_activities.TABLE,
        strava_sub_activity.TABLE,
        athlete_settings.TABLE,
        activity_features.TABLE,
    ),
    FEATURE_ROLLING: (athlete_rolling_features.TABLE,),
}


def tables_of(jobs: Jobs) -> tuple[Table, ...]:
    """The tables of some jobs, in order."""
    return tuple(table for tables in jobs.values() for table in tables)


def layers_of(tables: Iterable[Table]) -> tuple[str, ...]:
    """The schemas of the feature pipeline, and those of further tables."""
    return tuple(dict.fromkeys((*SCHEMAS, *(table.name.split(".")[0] for table in tables))))


TABLES = tables_of(JOBS)
