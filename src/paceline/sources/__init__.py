"""Where records come from: one module per kind of source, each turning bytes into records."""

from paceline.sources import athlete_settings, debezium, strava_api, strava_export
from paceline.sources.source import Source

SOURCES: tuple[Source, ...] = (
    strava_api.SOURCE,
    strava_export.SOURCE,
    debezium.SOURCE,
    athlete_settings.SOURCE,
)


def feeding(table: str) -> frozenset[str]:
    """The names of the sources that feed a table."""
    return frozenset(source.name for source in SOURCES if source.table == table)


def known(table: str) -> str:
    """The rule `source_known` of a bronze table, as its contract has to state it."""
    names = [source.name for source in SOURCES if source.table == table]
    return f"source IN ({', '.join(map(repr, names))})"
