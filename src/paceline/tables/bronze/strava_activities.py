"""bronze.strava_activities: every received activity record, verbatim, append only."""

from paceline.tables.bronze.received import received

NAME = "bronze.strava_activities"

TABLE = received(NAME)
