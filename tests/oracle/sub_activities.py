"""silver.strava_sub_activity: the splits and laps of one published activity."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tests.oracle.model import LIMITS
from tests.oracle.values import json_object, number, whole

Row = dict[str, Any]

# Kind -> the array in a detailed activity, and the field in it that numbers the parts.
_KINDS = {"split": ("splits_metric", "split"), "lap": ("laps", "lap_index")}
ARRAYS = tuple(array for array, _ in _KINDS.values())
_INT_END = 2**31

_READERS = {
    "distance": number,
    "moving_time": whole,
    "elapsed_time": whole,
    "elevation_difference": number,
    "average_speed": number,
    "average_heartrate": number,
    "average_grade_adjusted_speed": number,
}
_MEASURES = (
    *("distance_m", "elevation_difference_m", "average_speed_mps"),
    *("average_heartrate_bpm", "grade_adjusted_speed_mps"),
)
_MOVING_TIME_MAX_S = 2_592_000
_DISTANCE_MAX_M = 2_000_000


def sub_activity_rows(
    athlete_id: int, activity_id: int, images: list[tuple[str, Mapping[str, Any]]]
) -> Iterator[Row]:
    """The rows of an activity, of the first of its images (newest first) that has each array.

    An image comes with the name of its source.
    """
    for kind, (array_name, index_name) in _KINDS.items():
        arrays = ((source, array_of(image.get(array_name))) for source, image in images)
        source, parts = next((found for found in arrays if found[1] is not None), (None, []))
        parts = [_object(part) or {} for part in parts]
        for sub_index, part in zip(_indexes(parts, index_name), parts, strict=True):
            row = {
                "athlete_id": athlete_id,
                "activity_id": activity_id,
                "kind": kind,
                "sub_index": sub_index,
                **_measured(part, kind),
                "source": source,
            }
            if _is_valid(row):
                yield row


def array_of(value: Any) -> list[Any] | None:
    """An array, which a column of a database may hold as a text of JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def has_unread_part(image: Mapping[str, Any]) -> bool:
    """Whether a split or lap is no object, or has a value that cannot be read."""
    for kind, (array_name, index_name) in _KINDS.items():
        for part in array_of(image.get(array_name)) or []:
            fields = _object(part)
            if part is not None and fields is None:
                return True
            readers = {**_READERS, index_name: whole}
            if kind == "lap":
                del readers["elevation_difference"]
            values = ((read, (fields or {}).get(name)) for name, read in readers.items())
            if any(value is not None and read(value) is None for read, value in values):
                return True
    return False


def _object(part: Any) -> dict[str, Any] | None:
    """A part, which may be a text of it, too."""
    return json_object(part) if isinstance(part, str) else part if isinstance(part, dict) else None


def _indexes(parts: list[Mapping[str, Any]], name: str) -> list[int]:
    """The given numbers; the positions from 1 when any of them is missing or repeated."""
    given = [whole(part.get(name)) for part in parts]
    is_usable = all(index is not None and abs(index) < _INT_END for index in given)
    return given if is_usable and len(set(given)) == len(given) else range(1, len(parts) + 1)


def _measured(part: Mapping[str, Any], kind: str) -> Row:
    return {
        "distance_m": number(part.get("distance")),
        "moving_time_s": whole(part.get("moving_time")),
        "elapsed_time_s": whole(part.get("elapsed_time")),
        "elevation_difference_m": (
            number(part.get("elevation_difference")) if kind == "split" else None
        ),
        "average_speed_mps": number(part.get("average_speed")),
        "average_heartrate_bpm": _heart_rate(number(part.get("average_heartrate"))),
        "grade_adjusted_speed_mps": number(part.get("average_grade_adjusted_speed")),
    }


def _heart_rate(value: float | None) -> float | None:
    """0 is no sensor, and what no heart has is no measure."""
    possible = LIMITS["average_heartrate_min_bpm"], LIMITS["average_heartrate_max_bpm"]
    return value if value is not None and possible[0] <= value <= possible[1] else None


def _is_valid(row: Row) -> bool:
    return (
        row["sub_index"] >= 1
        and 0 <= (row["distance_m"] or 0) <= _DISTANCE_MAX_M
        and 0 <= (row["moving_time_s"] or 0) <= _MOVING_TIME_MAX_S
        and (row["elapsed_time_s"] or 0) >= 0
        and all(math.isfinite(row[name] or 0.0) for name in _MEASURES)
    )
