"""When an athlete trains, at what and how hard: the rhythm of weeks, blocks and seasons."""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import accumulate

from paceline.generate.athletes import Athlete, Draw, between, season, whole, zone_on

# Weights of the sports of a discipline; the first one also replaces what is out of season.
SPORT_MIX: dict[str, dict[str, int]] = {
    "runner": {
        "Run": 70,
        "TrailRun": 8,
        "Ride": 6,
        "WeightTraining": 7,
        "Walk": 4,
        "Workout": 3,
        "NordicSki": 2,
    },
    "cyclist": {
        "Ride": 58,
        "VirtualRide": 16,
        "Run": 10,
        "WeightTraining": 7,
        "Walk": 5,
        "Hike": 4,
    },
    "triathlete": {
        "Run": 36,
        "Ride": 26,
        "Swim": 22,
        "VirtualRide": 8,
        "WeightTraining": 5,
        "Workout": 3,
    },
    "walker": {
        "Walk": 44,
        "Hike": 24,
        "Run": 12,
        "Swim": 8,
        "Workout": 7,
        "NordicSki": 5,
    },
}


@dataclass(frozen=True)
class Plan:
    """One session before it is measured: the day, when and where it starts, and how hard it is."""

    day: int
    start: datetime
    zone: str
    sport: str
    is_race: bool = False
    is_long: bool = False


def plans_of(athlete: Athlete, first_day: date, days: int, draw: Draw) -> Iterator[Plan]:
    """Yield the athlete's sessions: weekly rhythm, season, four-week blocks, gaps, races."""
    for day in range(athlete.first_day, athlete.last_day + 1):
        if any(first <= day <= last for first, last in athlete.gaps):
            continue
        on = first_day + timedelta(days=day)
        zone = zone_on(athlete, day)
        if day in athlete.races and athlete.discipline != "walker":
            sport = "Ride" if athlete.discipline == "cyclist" else "Run"
            start = datetime.combine(on, time()) + timedelta(hours=9, minutes=30)
            yield Plan(day, start, zone, sport, is_race=True)
            continue
        recovers = (day + athlete.block_offset) % 28 >= 21
        volume = (0.75 + 0.4 * season(athlete, on)) * (0.65 if recovers else 1.0)
        if draw() < athlete.weekday_chance[on.weekday()] * volume:
            start = start_on(athlete, on, draw)
            is_long = on.weekday() == 6 and not recovers
            yield Plan(day, start, zone, _sport(athlete, on, draw), is_long=is_long)
            if draw() < 0.07 and start.hour < 10:
                later = start + timedelta(hours=9)
                yield Plan(day, later, zone, _sport(athlete, on, draw))
    if athlete.last_day == days - 1 and athlete.home in {"Asia/Shanghai", "Asia/Tokyo"}:
        # East of Europe the next day has begun before the last one is over in UTC.
        tomorrow = datetime.combine(first_day + timedelta(days=days), time())
        start = tomorrow + timedelta(hours=4, minutes=whole(draw, 30, 59))
        yield Plan(days, start, athlete.home, "Walk")


def _sport(athlete: Athlete, on: date, draw: Draw) -> str:
    mix = SPORT_MIX[athlete.discipline]
    bounds = list(accumulate(mix.values()))
    sport = list(mix)[bisect(bounds, draw() * bounds[-1])]
    warmth = season(athlete, on)
    if (sport == "NordicSki" and warmth > 0.35) or (sport == "VirtualRide" and warmth > 0.75):
        return next(iter(mix))
    return sport


def start_on(athlete: Athlete, on: date, draw: Draw) -> datetime:
    """Draw the local start: before or after work, at weekends in the morning, seldom at night."""
    if draw() < 0.01:
        hour = between(draw, 0.2, 3.5)
    elif on.weekday() >= 5:
        hour = between(draw, 7, 11)
    else:
        hour = between(draw, 5.5, 8) if athlete.trains_early else between(draw, 16.5, 20)
    return datetime.combine(on, time()) + timedelta(seconds=int(3600 * hour))
