"""The same activity from two devices: which recording is one too many."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Any

from tests.oracle.features import end_us

Row = dict[str, Any]

_COMPARED = (
    *("distance_m", "average_heartrate_bpm", "average_cadence_rpm", "average_watts_w"),
    "elevation_gain_m",
)


def duplicates(activities: Iterable[Row]) -> set[int]:
    """The ids of one athlete's activities of which there is a better recording.

    A better recording may have a better one itself.
    """
    recorded = [
        row for row in activities if not row["is_manual"] and row["sport_family"] != "other"
    ]
    return {
        one["activity_id"]
        for one, other in permutations(recorded, 2)
        if one["sport_family"] == other["sport_family"]
        and _overlap(one, other)
        and _rank(other) > _rank(one)
    }


def _overlap(one: Row, other: Row) -> bool:
    """Whether what they have in common is more than half of each."""
    common_us = min(end_us(one), end_us(other)) - max(one["start_date"], other["start_date"])
    return all(2 * common_us > end_us(row) - row["start_date"] for row in (one, other))


def _rank(activity: Row) -> tuple[int, int]:
    """The more it knows, the better; then the one that came first."""
    known = sum(activity[name] is not None for name in _COMPARED)
    return known, -activity["activity_id"]
