"""bronze.strava_activities: every received activity record, verbatim, append only."""

from paceline.tables import names
from paceline.tables.bronze.received import received

NAME = names.BRONZE_ACTIVITIES

TABLE = received(NAME, settings=("cdc_tables",))
