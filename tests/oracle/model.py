"""What goes into the oracle: deliveries, and the settings on which its answer depends."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

# The numbers in the rules of silver.strava_activities, in m, s and bpm.
LIMITS: Mapping[str, float] = MappingProxyType(
    {
        "moving_time_max_s": 2_592_000,
        "moving_within_elapsed_s": 2,
        "distance_max_m": 2_000_000,
        "elevation_gain_max_m": 50_000,
        "average_heartrate_min_bpm": 25,
        "average_heartrate_max_bpm": 240,
    }
)

# By sport family, from which distance in m which average speed in km/h is the greatest. That of a
# run is the world record of the distance and about 9 per cent more.
SPEED_LIMITS: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "run": (
            *((-math.inf, 45), (400, 36.5), (800, 31), (1_500, 28.5), (5_000, 26)),
            *((10_000, 25), (21_097, 24), (42_195, 23)),
        ),
        "ride": ((-math.inf, 100), (5_000, 80)),
    }
)

# The tables whose changes are read, where a change says which table it is of.
CDC_TABLES = ("activities", "strava_activities", "activity")


@dataclass(frozen=True)
class Delivery:
    """A file of the landing zone: its path there, its text, and when it was seen."""

    path: str
    text: str
    mtime_us: int
    ingest_date: date


@dataclass(frozen=True)
class Conf:
    """The settings that can change a published value.

    `limits` may name some of LIMITS, and `run_speed_max` or `ride_speed_max`, which then hold for
    every distance.
    """

    horizon: date
    default_threshold_pace_s_per_km: float = 270
    dormant_after_days: int = 365
    athlete_timezone: str = "UTC"
    limits: Mapping[str, float] = field(default_factory=dict)
    cdc_tables: Collection[str] = CDC_TABLES
    detect_duplicate_recordings: bool = True

    def __post_init__(self) -> None:
        known = LIMITS.keys() | {f"{family}_speed_max" for family in SPEED_LIMITS}
        unknown = self.limits.keys() - known
        if unknown:
            raise ValueError(f"no such limits: {sorted(unknown)}; there are {sorted(known)}")

    def limit(self, name: str) -> float:
        return self.limits.get(name, LIMITS[name])

    def speed_limit(self, family: str, distance_m: float) -> float:
        return self.limits.get(f"{family}_speed_max", speed_limit(family, distance_m))


def speed_limit(family: str, distance_m: float) -> float:
    """The greatest average speed over a distance, in km/h. NaN is the farthest of all distances."""
    return [km_h for begin, km_h in SPEED_LIMITS[family] if not distance_m < begin][-1]
