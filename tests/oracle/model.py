"""What goes into the oracle: deliveries, and the settings on which its answer depends."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

# The numbers in the rules of silver.strava_activities, in km/h, m, s and bpm.
LIMITS: Mapping[str, float] = MappingProxyType(
    {
        "moving_time_max_s": 2_592_000,
        "moving_within_elapsed_s": 2,
        "distance_max_m": 2_000_000,
        "elevation_gain_max_m": 50_000,
        "run_speed_max": 22,
        "ride_speed_max": 80,
        "average_heartrate_min_bpm": 25,
        "average_heartrate_max_bpm": 240,
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
    """The settings that can change a published value; `limits` may name only some of LIMITS."""

    horizon: date
    default_threshold_pace_s_per_km: float = 270
    dormant_after_days: int = 365
    athlete_timezone: str = "UTC"
    limits: Mapping[str, float] = field(default_factory=dict)
    cdc_tables: Collection[str] = CDC_TABLES

    def __post_init__(self) -> None:
        unknown = self.limits.keys() - LIMITS.keys()
        if unknown:
            raise ValueError(f"no such limits: {sorted(unknown)}; there are {sorted(LIMITS)}")

    def limit(self, name: str) -> float:
        return self.limits.get(name, LIMITS[name])
