"""bronze.athlete_settings: every received settings record, verbatim, append only."""

from paceline.tables import names
from paceline.tables.bronze.received import received

NAME = names.BRONZE_SETTINGS

TABLE = received(NAME)
