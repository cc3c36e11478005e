"""What is known of one athlete, as rows of the tables, and what follows from them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

# In the order in which they are stacked and listed.
SPORTS = ("run", "ride", "swim", "foot", "ski", "other")
LATE_AFTER_DAYS = 2

# Ranges of the acute to chronic workload ratio: kind, name, from, to (Gabbett 2016).
ACWR_BANDS = (
    ("low", "low", 0.0, 0.8),
    ("usual", "usual", 0.8, 1.3),
    ("raised", "raised", 1.3, 1.5),
    ("high", "high", 1.5, math.inf),
)


@dataclass(frozen=True)
class Day:
    """A row of feature_store.athlete_rolling_features; its fields are the columns of that name."""

    as_of_date: date
    tss_1d: float
    ctl_ewma_42d: float
    atl_ewma_7d: float
    tsb_ewma: float
    tss_7d: float
    tss_28d: float
    acwr: float | None
    run_pace_min_km_30d: float | None
    run_pace_min_km_90d: float | None
    activities_7d: int
    moving_time_s_7d: int
    distance_km_7d: float
    activities_without_tss_1d: int
    days_since_last_activity: int


@dataclass(frozen=True)
class Activity:
    """A row of feature_store.activity_features; its fields are the columns of that name."""

    local_day: date
    sport_family: str
    moving_time_s: int
    distance_km: float | None
    elevation_gain_m: float | None
    estimated_tss: float | None


@dataclass(frozen=True)
class Volume:
    """A sport in a week that begins on `monday`; what is absent counts 0, as in the tables."""

    monday: date
    sport: str
    activities: int
    moving_time_s: int
    distance_km: float
    elevation_gain_m: float
    tss: float


@dataclass(frozen=True)
class Finding:
    """How many records a rule speaks of; `description` says what the rule demands."""

    table: str
    rule: str
    description: str
    records: int


@dataclass(frozen=True)
class Quality:
    """What the numbers of an athlete rest on.

    Attributes:
        activities: published ones, of all time.
        quarantined: records that are refused, each counted once.
        reasons: the rules that these break; a record counts under each of them.
        warnings: published activities that break a rule which only warns.
        received: records delivered, copies and newer versions included.
        late: records of published activities that came more than `LATE_AFTER_DAYS` days after the
            day of the activity; those of the first delivery, which brings the history, are none.
        last_received: the day of the newest delivery.
    """

    activities: int
    quarantined: int
    reasons: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    received: int
    late: int
    last_received: date | None


@dataclass(frozen=True)
class Athlete:
    """What a report shows.

    Attributes:
        athlete_id: whom it is about.
        first: the first day shown, a Monday.
        days: the rows from then on, in their order, at least one; a day without a row is missing.
        volumes: the weeks from then on, by sport.
        quality: what all this rests on.
        versions: by table, the version that was read.
    """

    athlete_id: int
    first: date
    days: Sequence[Day]
    volumes: Sequence[Volume]
    quality: Quality
    versions: dict[str, int]

    @property
    def last(self) -> Day:
        """The newest row."""
        return self.days[-1]


def monday_of(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())


def first_day(oldest: date, last: date, weeks: int) -> date:
    """The Monday with which so many weeks begin, of which the last one holds `last`.

    There are fewer when the `oldest` row is younger.
    """
    return max(monday_of(last) - timedelta(weeks=weeks - 1), monday_of(oldest))


def volumes(activities: Iterable[Activity]) -> tuple[Volume, ...]:
    """The volume of each week and sport that has an activity, in their order."""
    groups: dict[tuple[date, str], list[Activity]] = defaultdict(list)
    for activity in activities:
        groups[monday_of(activity.local_day), _sport(activity)].append(activity)
    ordered = sorted(groups.items(), key=lambda group: (group[0][0], SPORTS.index(group[0][1])))
    return tuple(
        Volume(
            monday=monday,
            sport=sport,
            activities=len(of_sport),
            moving_time_s=sum(activity.moving_time_s for activity in of_sport),
            distance_km=math.fsum(activity.distance_km or 0 for activity in of_sport),
            elevation_gain_m=math.fsum(activity.elevation_gain_m or 0 for activity in of_sport),
            tss=math.fsum(activity.estimated_tss or 0 for activity in of_sport),
        )
        for (monday, sport), of_sport in ordered
    )


def _sport(activity: Activity) -> str:
    return activity.sport_family if activity.sport_family in SPORTS else "other"


def band(acwr: float) -> str:
    """The name of the range that an acute to chronic workload ratio is in."""
    if acwr < 0.8:
        return "low"
    return "usual" if acwr <= 1.3 else "raised" if acwr <= 1.5 else "high"
