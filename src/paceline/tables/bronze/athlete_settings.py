"""bronze.athlete_settings: every received settings record, verbatim, append only."""

from paceline.tables.bronze.received import received

NAME = "bronze.athlete_settings"

TABLE = received(NAME)
