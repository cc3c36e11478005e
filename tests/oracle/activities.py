"""silver.strava_activities: the columns of one version, and the rules that it breaks."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from tests.oracle.model import LIMITS, Conf
from tests.oracle.record import Record
from tests.oracle.sub_activities import ARRAYS, array_of, has_unread_part
from tests.oracle.values import (
    DAY_US,
    EPOCH_DAY,
    SECOND_US,
    boolean,
    clock_at_offset,
    clock_in_zone,
    compact,
    instant_us,
    number,
    text,
    wall_clock,
    whole,
)

Row = dict[str, Any]

COLUMNS = (
    *("athlete_id", "activity_id", "name", "sport_type", "sport_family", "workout_type", "is_race"),
    *("start_date", "start_date_local", "local_day", "timezone", "distance_m", "moving_time_s"),
    *("elapsed_time_s", "elevation_gain_m", "average_heartrate_bpm", "max_heartrate_bpm"),
    *("average_cadence_rpm", "average_watts_w", "kilojoules", "calories", "is_manual"),
    *("is_trainer", "is_commute", "visibility", "source"),
)

_RACES = (1, 11)
_EARLIEST_START_US = (date(1980, 1, 1) - EPOCH_DAY).days * DAY_US
_DAYS_OF_GRACE = 2
_LONGEST_TRUSTED_ELAPSED_S = 86_400

_FAMILIES = {
    "run": "Run TrailRun VirtualRun",
    "ride": "Ride VirtualRide MountainBikeRide GravelRide EBikeRide EMountainBikeRide"
    " Velomobile Handcycle",
    "foot": "Walk Hike Snowshoe",
    "swim": "Swim",
    "ski": "AlpineSki BackcountrySki NordicSki RollerSki Snowboard",
}
FAMILY_OF = {
    sport.lower(): family for family, sports in _FAMILIES.items() for sport in sports.split()
}

# Silver's column -> the API's name for it, and how it is read.
_FIELDS = {
    "name": ("name", text),
    "workout_type": ("workout_type", whole),
    "timezone": ("timezone", text),
    "distance_m": ("distance", number),
    "moving_time_s": ("moving_time", whole),
    "elapsed_time_s": ("elapsed_time", whole),
    "elevation_gain_m": ("total_elevation_gain", number),
    "average_heartrate_bpm": ("average_heartrate", number),
    "max_heartrate_bpm": ("max_heartrate", number),
    "average_cadence_rpm": ("average_cadence", number),
    "average_watts_w": ("average_watts", number),
    "kilojoules": ("kilojoules", number),
    "calories": ("calories", number),
    "is_manual": ("manual", boolean),
    "is_trainer": ("trainer", boolean),
    "is_commute": ("commute", boolean),
    "visibility": ("visibility", text),
}
_HEART_RATES = ("average_heartrate_bpm", "max_heartrate_bpm")
_SENSORS = (*_HEART_RATES, "average_cadence_rpm", "average_watts_w")
# What the measures that an activity can do without may be. Infinity is above the greatest DOUBLE.
_RANGES = {
    "elevation_gain_m": (0, LIMITS["elevation_gain_max_m"]),
    **dict.fromkeys(
        _HEART_RATES,
        (LIMITS["average_heartrate_min_bpm"], LIMITS["average_heartrate_max_bpm"]),
    ),
    **dict.fromkeys(
        ("average_cadence_rpm", "average_watts_w", "kilojoules", "calories"),
        (0, sys.float_info.max),
    ),
}
_FLAGS = ("is_race", "has_heartrate")
_TEXTS = ("name", "sport_type", "type", "timezone", "visibility")
_MOMENTS = ("start_date", "start_date_local")
_MEASURES = [column for column, (_, read) in _FIELDS.items() if read is number]


def judged(record: Record, conf: Conf) -> tuple[Row, tuple[str, ...]]:
    """The columns of a version, and the rules or the reason that keep it from being published."""
    row = activity_row(record, conf)
    if record.source == "debezium" and has_unknown_encoding(record.image):
        return row, ("encoding_unknown",)
    if _ends_ahead(row, record.ingest_date):
        return row, ("end_not_ahead",)
    return row, broken_rules(row, conf)


def activity_row(record: Record, conf: Conf) -> Row:
    """The columns that a version has by itself; what cannot be read is None."""
    image = record.image
    row: Row = dict.fromkeys(COLUMNS)
    row["athlete_id"], row["activity_id"] = record.key
    for column, (_, read) in _FIELDS.items():
        row[column] = read(image.get(_field_of(column, image, record.source)))
    row = _without_impossible_measures(_without_idle_sensors(row, image))
    row["moving_time_s"] = _moving_time(row)
    sport = text(image.get("sport_type"))
    sport = text(image.get("type")) if sport is None else sport
    row["sport_type"] = "Unknown" if sport is None else sport
    row["sport_family"] = FAMILY_OF.get(compact(row["sport_type"]), "other")
    said_race = record.source != "strava_api" and boolean(image.get("is_race")) is True
    row["is_race"] = row["workout_type"] in _RACES or said_race
    row["start_date"] = _start_us(record)
    local = _local_start(image, row["start_date"], conf)
    row["start_date_local"] = local
    row["local_day"] = None if local is None else local.date()
    row["source"] = record.source
    return row


def _without_idle_sensors(row: Row, image: Mapping[str, Any]) -> Row:
    """Nothing for a sensor that was not there; 0 says so, too."""
    absent = {column for column in _SENSORS if row[column] == 0}
    if boolean(image.get("has_heartrate")) is False:
        absent.update(_HEART_RATES)
    return {**row, **dict.fromkeys(absent)}


def _without_impossible_measures(row: Row) -> Row:
    """Nothing for a measure that cannot be; of two heart rates that contradict each other neither.

    NaN is in no range.
    """
    impossible = {
        column
        for column, (least, most) in _RANGES.items()
        if row[column] is not None and not least <= row[column] <= most
    }
    row = {**row, **dict.fromkeys(impossible)}
    mean, most = (row[column] for column in _HEART_RATES)
    if mean is not None and most is not None and mean > most:
        row |= dict.fromkeys(_HEART_RATES)
    return row


def _moving_time(row: Row) -> int | None:
    """0 says that nobody knows it: then the athlete moved all the time."""
    moving, elapsed = row["moving_time_s"], row["elapsed_time_s"]
    return elapsed if moving == 0 and elapsed is not None and elapsed > 0 else moving


def _field_of(column: str, image: Mapping[str, Any], source: str) -> str:
    """The field with the value of a column; a row of a database may have silver's own names."""
    name, _ = _FIELDS[column]
    return column if image.get(name) is None and source == "debezium" else name


def fields_read(image: Mapping[str, Any], source: str) -> list[str]:
    """The fields of an image that any table is made from."""
    names = [_field_of(column, image, source) for column in _FIELDS]
    return [*names, *_MOMENTS, "sport_type", "type", "utc_offset", *_FLAGS, *ARRAYS]


def has_unknown_encoding(image: Mapping[str, Any]) -> bool:
    """Whether a number, time, flag, text or array is there and cannot be read."""
    readers = {_field_of(column, image, "debezium"): read for column, (_, read) in _FIELDS.items()}
    readers |= {"start_date": instant_us, "start_date_local": wall_clock}
    readers |= {"utc_offset": number, **dict.fromkeys(_FLAGS, boolean)}
    readers |= dict.fromkeys(ARRAYS, array_of)
    readers |= dict.fromkeys(_TEXTS, _plain_text)
    is_unread = any(
        image.get(name) is not None and read(image[name]) is None for name, read in readers.items()
    )
    return is_unread or has_unread_part(image)


def _plain_text(value: Any) -> str | None:
    return None if isinstance(value, dict | list) else text(value)


def _start_us(record: Record) -> int | None:
    """The start; one that lies too far after the day of ingest counts as not readable."""
    start = instant_us(record.image.get("start_date"))
    last_day = (record.ingest_date - EPOCH_DAY).days + _DAYS_OF_GRACE
    return None if start is None or start // DAY_US > last_day else start


def lasted_s(row: Row) -> int | None:
    """How long an activity took: a watch that nobody stopped says nothing, so it is moving time."""
    elapsed = row["elapsed_time_s"]
    is_trusted = elapsed is None or elapsed <= _LONGEST_TRUSTED_ELAPSED_S
    return elapsed if is_trusted else row["moving_time_s"]


def _ends_ahead(row: Row, ingest_date: date) -> bool:
    """Whether it ends on a day too far after that of ingest, though its start does not."""
    start, lasted = row["start_date"], lasted_s(row)
    if start is None or lasted is None:
        return False
    last_day = (ingest_date - EPOCH_DAY).days + _DAYS_OF_GRACE
    return (start + lasted * SECOND_US) // DAY_US > last_day


def _local_start(image: Mapping[str, Any], start: int | None, conf: Conf) -> datetime | None:
    """The clock of the place: the source's own, else that of the offset, the zone, the athlete."""
    said = wall_clock(image.get("start_date_local"))
    if said is not None or start is None:
        return said
    offset_s = number(image.get("utc_offset"))
    found = None if offset_s is None else clock_at_offset(start, offset_s)
    return (
        found
        or clock_in_zone(start, text(image.get("timezone")))
        or clock_in_zone(start, conf.athlete_timezone)
    )


def broken_rules(row: Row, conf: Conf) -> tuple[str, ...]:
    """The names of the rules that a version breaks, in the order of the contract."""
    start, moving, elapsed = row["start_date"], row["moving_time_s"], row["elapsed_time_s"]
    distance, gain = row["distance_m"], row["elevation_gain_m"]
    mean, most = row["average_heartrate_bpm"], row["max_heartrate_bpm"]
    limit = conf.limit
    slack = limit("moving_within_elapsed_s")
    least, greatest = limit("average_heartrate_min_bpm"), limit("average_heartrate_max_bpm")
    holds = {
        "athlete_id_present": row["athlete_id"] is not None,
        "activity_id_present": row["activity_id"] is not None,
        "start_date_present": start is not None and start >= _EARLIEST_START_US,
        "moving_time_positive": moving is not None and 1 <= moving <= limit("moving_time_max_s"),
        "elapsed_time_positive": elapsed is not None and elapsed >= 1,
        "moving_within_elapsed": moving is None or elapsed is None or moving <= elapsed + slack,
        "distance_not_negative": (not distance or 0.001 <= distance <= limit("distance_max_m")),
        "elevation_gain_range": gain is None or 0 <= gain <= limit("elevation_gain_max_m"),
        "run_speed_max": row["sport_family"] != "run" or _can_be_that_fast(row, conf),
        "ride_speed_max": row["sport_family"] != "ride" or _can_be_that_fast(row, conf),
        "average_heartrate_range": mean is None or least <= mean <= greatest,
        "average_heartrate_below_max": mean is None or most is None or mean <= most,
        "numbers_finite": all(math.isfinite(row[name] or 0.0) for name in _MEASURES),
    }
    return tuple(name for name, held in holds.items() if not held)


def _can_be_that_fast(row: Row, conf: Conf) -> bool:
    distance, moving = row["distance_m"], row["moving_time_s"]
    if distance is None or moving is None or moving <= 0:
        return True
    return 3.6 * distance <= conf.speed_limit(row["sport_family"], distance) * moving
