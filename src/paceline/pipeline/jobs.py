"""The tables in the order in which they are made; jobs, commands and tests read it here."""

from paceline.recipe import Table
from paceline.tables.bronze import athlete_settings as bronze_settings
from paceline.tables.bronze import strava_activities as bronze_activities
from paceline.tables.feature_store import activity_features, athlete_rolling_features
from paceline.tables.silver import athlete_settings, strava_activities, strava_sub_activity

FEATURE_ACTIVITY = "Feature_Activity"
FEATURE_ROLLING = "Feature_Rolling"

JOBS: dict[str, tuple[Table, ...]] = {
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

TABLES = tuple(table for tables in JOBS.values() for table in tables)
