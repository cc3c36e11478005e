"""What an athlete did: activities in the shape of the Strava API's SummaryActivity."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from paceline.generate.athletes import Athlete, Draw, bell, between, pick, threshold_on, whole
from paceline.generate.plans import Plan, plans_of, start_on

Record = dict[str, Any]
"""One activity as a JSON object."""

RUNS = frozenset({"Run", "TrailRun"})
RIDES = frozenset({"Ride", "VirtualRide"})
OLDEST_UPLOAD = date(2010, 1, 1)


@dataclass(frozen=True)
class Sport:
    """A usual session: minutes, m/s, metres of climb per km, share of the heart rate reserve.

    The speed is that of an athlete with a threshold pace of 4:30 per km; 0 means no distance.
    """

    minutes: float
    speed: float
    climb: float
    effort: float
    cadence: float = 0.0


SPORTS = {
    "Run": Sport(48, 3.05, 8, 0.70, 84),
    "TrailRun": Sport(75, 2.55, 32, 0.70, 80),
    "Ride": Sport(95, 7.4, 9, 0.60, 82),
    "VirtualRide": Sport(55, 8.6, 7, 0.68, 86),
    "Swim": Sport(42, 0.82, 0, 0.62, 27),
    "Walk": Sport(45, 1.4, 6, 0.30),
    "Hike": Sport(170, 1.15, 48, 0.42),
    "NordicSki": Sport(85, 3.3, 14, 0.68),
    "WeightTraining": Sport(45, 0, 0, 0.35),
    "Workout": Sport(35, 0, 0, 0.50),
}
# Distance in m and speed in m/s, again for a threshold pace of 4:30 per km.
RACES = {
    "Run": ((5000, 3.93), (10000, 3.74), (21097.5, 3.52), (42195, 3.22)),
    "Ride": ((40000, 8.4), (90000, 7.7)),
}
NICKNAMES = (
    "Tempo 3x10'",
    'Long one, "easy"',
    "Läufchen 🏃",
    "Hills, then coffee",
    "朝ラン",
    "Recovery",
)


def workouts(
    athlete: Athlete, first_day: date, days: int, draw: Draw
) -> Iterator[tuple[datetime, Record]]:
    """Yield what the athlete did as (instant of the upload, SummaryActivity), by planned day.

    Uploads follow within the hour, seldom after weeks or months; a few athletes upload some old
    activities, from years before the first day.
    """
    seen: Counter[int] = Counter()
    for plan in plans_of(athlete, first_day, days, draw):
        record, end = measured(athlete, plan, first_day, draw)
        uploaded = end + _delay(draw)
        yield uploaded, record | {"id": _next_id(athlete, uploaded, seen)}
    if athlete.index % 10 == 4:
        uploaded = datetime.combine(first_day, datetime.min.time(), UTC)
        uploaded += timedelta(days=whole(draw, 0, days - 1), hours=12)
        for _ in range(6):
            age = whole(draw, 370, 6 * 365)
            on = first_day - timedelta(days=age)
            plan = Plan(0, start_on(athlete, on, draw), athlete.home, "Run")
            record, _ = measured(athlete, plan, first_day, draw)
            yield uploaded, record | {"id": _next_id(athlete, uploaded, seen)}


def _next_id(athlete: Athlete, uploaded: datetime, seen: Counter[int]) -> int:
    day = (uploaded.date() - OLDEST_UPLOAD).days
    seen[day] += 1
    return upload_id(athlete, uploaded, seen[day])


def upload_id(athlete: Athlete, uploaded: datetime, number: int) -> int:
    """Number an upload, so that ids grow with time and differ among athletes; beyond 32 bits.

    `number` tells the uploads of one day apart, and is below 100.
    """
    day = (uploaded.date() - OLDEST_UPLOAD).days
    return day * 10_000_000 + athlete.index * 100 + number


def _delay(draw: Draw) -> timedelta:
    minutes = between(draw, 1, 40)
    luck = draw()
    if luck < 0.004:
        return timedelta(days=between(draw, 30, 500))
    if luck < 0.02:
        return timedelta(days=between(draw, 1, 30))
    return timedelta(seconds=int(60 * minutes))


def measured(athlete: Athlete, plan: Plan, first_day: date, draw: Draw) -> tuple[Record, datetime]:
    """Measure a planned session: its SummaryActivity without id, and the instant of its end."""
    distance, moving = _distance_and_time(athlete, plan, first_day, draw)
    is_trainer = plan.sport == "VirtualRide" or (plan.sport == "Run" and draw() < 0.05)
    if is_trainer and plan.sport == "Run":
        distance = 0.0 if draw() < 0.6 else float(round(distance, -1))
    is_manual = not is_trainer and not plan.is_race and draw() < 0.01
    elapsed = moving + _pauses(plan, moving, draw)
    when, hour = _when(plan)
    climb = SPORTS[plan.sport].climb * between(draw, 0.4, 1.6) * distance / 1000
    speed = distance / moving
    legacy_type = "Run" if plan.sport == "TrailRun" else plan.sport
    record: Record = {
        "resource_state": 2,
        "athlete": {"id": athlete.athlete_id, "resource_state": 1},
        "name": _name(plan, hour, draw),
        "distance": distance,
        "moving_time": moving,
        "elapsed_time": elapsed,
        "total_elevation_gain": 0.0 if is_trainer else round(climb, 1),
        "type": legacy_type,
        "sport_type": plan.sport,
        **_workout_type(plan, draw),
        "id": 0,
        **when,
        "trainer": is_trainer,
        "commute": plan.sport == "Ride" and athlete.commutes and not plan.is_long,
        "manual": is_manual,
        "private": False,
        "visibility": "everyone" if draw() < 0.9 else "followers_only",
        "flagged": draw() < 0.001,
        "average_speed": round(speed, 3),
        # Strava's own maximum is noise: one good run in twenty beats every human.
        "max_speed": round(speed * (between(draw, 3, 6) if draw() < 0.05 else 1.4), 3),
    }
    record |= {"has_heartrate": False} if is_manual else _sensors(athlete, plan, record, draw)
    start = datetime.fromisoformat(when["start_date"][:19]).replace(tzinfo=UTC)
    return record, start + timedelta(seconds=elapsed)


def _when(plan: Plan) -> tuple[Record, int]:
    """Say when a session starts in the API's four fields, and the local hour."""
    start = plan.start.replace(tzinfo=ZoneInfo(plan.zone)).astimezone(UTC)
    # Back from UTC, because 02:30 does not exist on the day on which the clocks go forward.
    local = start.astimezone(ZoneInfo(plan.zone))
    when = {
        "start_date": start.isoformat()[:19] + "Z",
        "start_date_local": local.isoformat()[:19] + "Z",
        "timezone": zone_label(plan.zone),
        "utc_offset": (local.utcoffset() or timedelta(0)).total_seconds(),
    }
    return when, local.hour


def _distance_and_time(
    athlete: Athlete, plan: Plan, first_day: date, draw: Draw
) -> tuple[float, int]:
    """Draw the distance in m and the moving time in s from the form of the day."""
    on = first_day + timedelta(days=plan.day)
    ability = 270 / threshold_on(athlete, plan.day, on)
    if plan.is_race:
        length, usual = pick(draw, RACES[plan.sport])
        speed = usual * ability * (1 + 0.015 * bell(draw))
        distance = length * between(draw, 1.0, 1.01)
        return round(distance, 1), round(distance / speed)
    sport = SPORTS[plan.sport]
    minutes = sport.minutes * athlete.minutes * (1.8 if plan.is_long else 1.0)
    minutes *= 1 + 0.2 * bell(draw)
    moving = round(60 * minutes)
    fatigue = 1 - 0.0004 * (minutes - 50)
    distance = sport.speed * ability * fatigue * (1 + 0.05 * bell(draw)) * moving
    if plan.sport == "Swim":
        return 25.0 * round(distance / 25), moving
    return round(distance, 1), moving


def _pauses(plan: Plan, moving: int, draw: Draw) -> int:
    """Draw the seconds that the watch ran while the athlete stood; some forget to stop it."""
    luck = draw()
    if plan.day and luck < 0.001:
        return whole(draw, 86_400, 140_000)
    if plan.is_race or luck < 0.4:
        return whole(draw, 0, 15)
    return int(moving * between(draw, 0, 0.25 if plan.sport in {"Ride", "Hike"} else 0.08))


def _name(plan: Plan, hour: int, draw: Draw) -> str:
    if plan.is_race:
        return "Race day"
    if draw() < 0.05:
        return pick(draw, NICKNAMES)
    part = "Morning" if hour < 11 else "Lunch" if hour < 14 else "Afternoon"
    part = "Night" if hour < 4 or hour > 21 else "Evening" if hour >= 17 else part
    return f"{part} {plan.sport}"


def _workout_type(plan: Plan, draw: Draw) -> Record:
    if plan.sport not in RUNS | RIDES:
        return {}
    tens = 10 if plan.sport in RIDES else 0
    if plan.is_race:
        return {"workout_type": tens + 1}
    if plan.is_long and not tens:
        return {"workout_type": 2}
    luck = draw()
    if luck < 0.3:
        return {"workout_type": None}
    return {"workout_type": tens if luck < 0.85 else tens + (2 if tens else 3)}


def _sensors(athlete: Athlete, plan: Plan, record: Record, draw: Draw) -> Record:
    """Measure what comes from straps, meters and the barometer; absent ones leave no key."""
    sport = SPORTS[plan.sport]
    sensors: Record = {}
    if sport.cadence:
        sensors["average_cadence"] = round(sport.cadence * (1 + 0.03 * bell(draw)), 1)
    if plan.sport in RIDES:
        watts = round(record["average_speed"] * between(draw, 19, 25), 1)
        sensors["average_watts"] = watts
        sensors["kilojoules"] = round(watts * record["moving_time"] / 1000, 1)
        sensors["device_watts"] = plan.sport == "VirtualRide"
    sensors["has_heartrate"] = athlete.has_sensor and draw() < 0.95
    if sensors["has_heartrate"]:
        effort = 0.86 if plan.is_race else sport.effort
        share = min(0.95, effort + 0.05 * bell(draw))
        average = athlete.hr_rest + share * (athlete.hr_max - athlete.hr_rest)
        highest = min(athlete.hr_max, round(average) + whole(draw, 6, 24))
        sensors["average_heartrate"] = round(average, 1)
        sensors["max_heartrate"] = float(max(highest, round(average) + 1))
    if not record["trainer"] and record["distance"]:
        low = round(athlete.altitude_m + 20 * draw(), 1)
        sensors["elev_high"] = round(low + record["total_elevation_gain"] * 0.4, 1)
        sensors["elev_low"] = low
    return sensors


@lru_cache
def zone_label(zone: str) -> str:
    """Name a zone the way the API does, by its standard time: "(GMT+05:30) Asia/Kolkata"."""
    some_day = datetime(2024, 1, 1, tzinfo=ZoneInfo(zone))
    zero = timedelta(0)
    offset = (some_day.utcoffset() or zero) - (some_day.dst() or zero)
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    return f"(GMT{'-' if offset < zero else '+'}{hours:02}:{minutes:02}) {zone}"
