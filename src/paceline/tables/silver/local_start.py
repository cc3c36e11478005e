"""The clock at the place where an activity started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from paceline.tables.silver import fields

# The region at the end of a label such as (GMT+01:00) Europe/Berlin.
_REGION = r"([A-Za-z_+\-]+(/[A-Za-z0-9_+\-]+)+|\b(UTC|GMT))\s*$"
# The offset at its beginning, which is that of winter: better than nothing.
_OFFSET = r"^\s*\(?(?:GMT|UTC)?\s*([+\u2212-])(\d{1,2})(?::?(\d{2}))?\)?(?:\s|$)"
# A hostile text of slashes would overflow the stack of the regular expression.
MOST_CHARACTERS_OF_A_LABEL = 100
# No clock on earth is further from UTC; a local time that is was not read from one.
MOST_HOURS_FROM_UTC = 26


def local_start(image: Column, start_date: Column, settings: Mapping[str, Any]) -> Column:
    """The TIMESTAMP_NTZ of the start: what the record says, else from its offset, label or athlete.

    Args:
        image: the struct of the record's text fields.
        start_date: the instant of the start.
        settings: with `athlete_timezone`.
    """
    offset = fields.number(image["utc_offset"])
    label = F.when(F.length(image["timezone"]) <= MOST_CHARACTERS_OF_A_LABEL, image["timezone"])
    region = F.regexp_extract(label, _REGION, 1)
    hours, minutes = (F.regexp_extract(label, _OFFSET, n).try_cast("int") for n in (2, 3))
    sign = F.when(F.regexp_extract(label, _OFFSET, 1) == "+", 1).otherwise(-1)
    minutes = F.coalesce(minutes, F.lit(0))
    said = fields.wall_clock(image["start_date_local"])
    hours_apart = F.abs(F.timestamp_diff("HOUR", fields.utc_clock(start_date), said))
    return F.coalesce(
        F.when(hours_apart <= MOST_HOURS_FROM_UTC, said),
        fields.shifted(start_date, offset),
        fields.in_zone(start_date, region),
        fields.shifted(start_date, sign * (hours * 3600 + minutes * 60)),
        fields.in_zone(start_date, _home_zone(settings["athlete_timezone"])),
        fields.utc_clock(start_date),
    )


def _home_zone(setting: str | Mapping[Any, str]) -> Column:
    if isinstance(setting, str):
        return F.lit(setting)
    default = F.lit(setting.get("default", "UTC"))
    zones = {int(athlete): name for athlete, name in setting.items() if athlete != "default"}
    if not zones:
        return default
    # Looked up in a map: a condition per athlete would nest as deep as there are athletes, which a
    # client of Spark Connect cannot send.
    cells = [
        cell
        for athlete, name in zones.items()
        for cell in (F.lit(athlete).cast("bigint"), F.lit(name))
    ]
    return F.coalesce(F.try_element_at(F.create_map(*cells), F.col("athlete_id")), default)
