"""Rolling features as declarations: source column x how x days; names are computed.

A measure is summed per athlete and day as int64 fixed point, rounded per activity by
floor(x scale + 0.5), and published as one division by the scale: sums are exact in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

ALL_SPORTS = "TRUE"
RUNS = "sport_family = 'run'"


@dataclass(frozen=True)
class Measure:
    """What an activity adds to its day.

    Attributes:
        name: the column without its window; `tss` gives tss_7d, tss_28d and so on.
        value: SQL over activity_features; NULL counts as 0.
        days: the window lengths, in calendar days that end with the day itself.
        scale: fixed-point units in one published unit; 1 keeps the column an integer.
        only: SQL, which activities count.
        daily: how the activities of one day combine: their sum, or the greatest.
        is_published: False for sums that only serve a ratio.
    """

    name: str
    value: str
    days: tuple[int, ...]
    scale: int = 1
    only: str = ALL_SPORTS
    daily: str = "sum"
    is_published: bool = True

    def column(self, days: int) -> str:
        """The name of the column for one window, such as `distance_km_30d`."""
        return f"{self.name}_{days}d"


MM_PER_KM = 1_000_000
MM_PER_M = 1_000
MICRO = 1_000_000

MEASURES = (
    Measure("activities", "1", days=(1, 7, 30, 90)),
    Measure("active_days", "1", days=(7, 30, 90), daily="max"),
    Measure("distance_km", "distance_km", days=(1, 7, 30, 90), scale=MM_PER_KM),
    Measure("moving_time_s", "moving_time_s", days=(1, 7, 30, 90)),
    Measure("elevation_gain_m", "elevation_gain_m", days=(1, 7, 30, 90), scale=MM_PER_M),
    Measure("tss", "estimated_tss", days=(1, 7, 28, 30, 42, 90), scale=MICRO),
    Measure("activities_without_tss", "IF(estimated_tss IS NULL, 1, 0)", days=(1,)),
    Measure("runs", "1", days=(7, 30, 90), only=RUNS),
    Measure("run_distance_km", "distance_km", days=(7, 30, 90), scale=MM_PER_KM, only=RUNS),
    Measure(
        "measured_run_time_s",
        "moving_time_s",
        days=(30, 90),
        only=f"{RUNS} AND distance_km > 0",
        is_published=False,
    ),
)

LONGEST_DAYS = max(days for measure in MEASURES for days in measure.days)
RUN_PACE_DAYS = (30, 90)

# a = 1 - exp(-1/N), printed so that every platform folds with the same bits.
EWMA_DAYS = {"ctl_ewma_42d": 42, "atl_ewma_7d": 7}
EWMA_ALPHA = {"ctl_ewma_42d": 0.023528313347756735, "atl_ewma_7d": 0.1331221002498184}

ACWR_MIN_HISTORY_DAYS = 28
MONOTONY_DAYS = 7
