"""Names of the tables, for recipes that read them: no recipe imports another one for its name."""

BRONZE_ACTIVITIES = "bronze.strava_activities"
BRONZE_SETTINGS = "bronze.athlete_settings"
ACTIVITIES = "silver.strava_activities"
SUB_ACTIVITY = "silver.strava_sub_activity"
SETTINGS = "silver.athlete_settings"
ACTIVITY_FEATURES = "feature_store.activity_features"
ROLLING_FEATURES = "feature_store.athlete_rolling_features"
