"""What Strava really has, and a reader easily gets wrong: empty sensors, races, very long runs.

A function's name is what counts it. The first athletes have none of it, so that a small set stays
easy to follow.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from paceline.generate.activities import RIDES, RUNS, Record, measured, upload_id, workouts
from paceline.generate.athletes import Athlete, Draw, between, pick, whole
from paceline.generate.faults import Fault, with_fault
from paceline.generate.plans import Plan

FIRST_ODD_ATHLETE = 2
CHANCE_OF_SECOND_DEVICE = 0.005
SECOND_DEVICE, LONG_ACTIVITY = 50, 40
"""What is added to an upload's number within its day, beyond what an athlete does on one."""
OF_SENSORS = frozenset(
    [
        *("average_heartrate", "max_heartrate", "average_cadence"),
        *("average_watts", "kilojoules", "device_watts"),
    ]
)
DAY_S = 86_400
# Shorter sets hold no run that takes days.
LEAST_DAYS_FOR_LONG = 60


def zero_heartrate(record: Record, draw: Draw) -> Record | None:
    """Report 0 beats a minute for lack of a strap."""
    if "average_heartrate" not in record:
        return None
    return record | {"average_heartrate": 0.0, "max_heartrate": 0.0}


def heartrate_without_sensor(record: Record, draw: Draw) -> Record | None:
    """Say that there was no heart rate, and leave one in."""
    return record | {"has_heartrate": False} if "average_heartrate" in record else None


def zero_power(record: Record, draw: Draw) -> Record | None:
    """Report a cadence of 0, and 0 watts, for lack of a meter."""
    zeros = {key: 0.0 for key in ("average_cadence", "average_watts") if key in record}
    return record | zeros if zeros else None


def average_over_maximum(record: Record, draw: Draw) -> Record | None:
    """Report an average heart rate above the greatest one."""
    if "average_heartrate" not in record:
        return None
    return record | {"max_heartrate": float(int(record["average_heartrate"]) - whole(draw, 1, 20))}


def negative_gain(record: Record, draw: Draw) -> Record | None:
    """Climb less than nothing, as a barometer does in changing weather."""
    return record | {"total_elevation_gain": -round(between(draw, 1, 90), 1)}


def zero_moving_time(record: Record, draw: Draw) -> Record | None:
    """Lift weights or do yoga without moving from the spot."""
    if record["sport_type"] not in {"WeightTraining", "Workout"}:
        return None
    return record | {"moving_time": 0, "average_speed": 0.0}


def treadmill_drift(record: Record, draw: Draw) -> Record | None:
    """Drift by some metres on a treadmill."""
    if record["sport_type"] != "Run" or not record["trainer"]:
        return None
    return _over(record, round(between(draw, 5, 30), 1), record["moving_time"])


def fast_race(record: Record, draw: Draw) -> Record | None:
    """Race 800 m in about 2:05, instead of a longer distance."""
    if record["sport_type"] != "Run" or record.get("workout_type") != 1:
        return None
    seconds = whole(draw, 118, 130)
    return _over(record, 800.0, seconds) | {"elapsed_time": seconds, "total_elevation_gain": 0.0}


def e_bike(record: Record, draw: Draw) -> Record | None:
    """Ride with a motor."""
    if record["sport_type"] != "Ride":
        return None
    return record | {
        "type": "EBikeRide",
        "sport_type": pick(draw, ("EBikeRide", "EMountainBikeRide")),
    }


ODDITIES: tuple[tuple[float, Fault], ...] = (
    (0.004, zero_heartrate),
    (0.004, heartrate_without_sensor),
    (0.003, zero_power),
    (0.003, average_over_maximum),
    (0.003, negative_gain),
    (0.05, zero_moving_time),
    (0.04, treadmill_drift),
    (0.04, fast_race),
    (0.02, e_bike),
)
"""With the chance for each activity of an athlete that can have it."""


def label_without_region(record: Record, draw: Draw) -> Record | None:
    """Say where it was by nothing but the offset of a label: "(GMT-08:00)"."""
    offset = record["timezone"].split()[0]
    kept = {key: value for key, value in record.items() if key != "utc_offset"}
    return no_local_start(kept, draw) | {"timezone": offset}


def no_local_start(record: Record, draw: Draw) -> Record:
    """Lack the start on the clock of the place."""
    return {key: value for key, value in record.items() if key != "start_date_local"}


TRANSPORT_ODDITIES: tuple[tuple[float, Fault], ...] = (
    (0.003, label_without_region),
    (0.003, no_local_start),
)


def second_device(record: Record, draw: Draw) -> Record | None:
    """Record the same run or ride with the phone: started later, no sensors, another distance."""
    is_outdoors = record["distance"] and not record["trainer"] and not record["manual"]
    # A lap of the track is over before the phone has started.
    if record["sport_type"] not in RUNS | RIDES or not is_outdoors or record["moving_time"] < 600:
        return None
    late = whole(draw, 3, 40)
    distance = round(record["distance"] * between(draw, 0.98, 1.02), 1)
    phone = {key: value for key, value in record.items() if key not in OF_SENSORS}
    phone |= {key: _later(record[key], late) for key in ("start_date", "start_date_local")}
    return _over(phone, distance, record["moving_time"] - late) | {
        "id": record["id"] + SECOND_DEVICE,
        "elapsed_time": record["elapsed_time"] - late,
        "has_heartrate": False,
    }


def long_activities(
    athlete: Athlete, first_day: date, days: int, draw: Draw
) -> Iterator[tuple[datetime, str, Record]]:
    """Yield the longest runs as (instant of the upload, kind, SummaryActivity).

    `multi_day_run` takes days, almost all of them in motion. `overnight_run` starts late on an
    evening in Hawaii and ends after noon of the next day in UTC.
    """
    if days < LEAST_DAYS_FOR_LONG:
        return
    on = first_day + timedelta(days=days // 3)
    if athlete.index % 10 == 2:
        elapsed = whole(draw, 4 * DAY_S, 6 * DAY_S)
        start = datetime.combine(on, time(6))
        moving = int(elapsed * between(draw, 0.75, 0.9))
        yield _long_run(athlete, first_day, start, athlete.home, (moving, elapsed), draw)
    elif athlete.index % 10 == 6:
        elapsed = whole(draw, 15_000, 21_000)
        start = datetime.combine(on, time(23))
        times = (elapsed - whole(draw, 60, 900), elapsed)
        yield _long_run(athlete, first_day, start, "Pacific/Honolulu", times, draw)


def activities_of(
    athlete: Athlete, first_day: date, days: int, draw: Draw, odd: Draw
) -> Iterator[tuple[datetime, str, Record]]:
    """Yield what the athlete did as (instant of the upload, oddity, SummaryActivity).

    The oddity is "" for what is ordinary. `odd` is its luck, so that it changes nothing else.
    """
    is_ordinary = athlete.index < FIRST_ODD_ATHLETE
    for uploaded, usual in workouts(athlete, first_day, days, draw):
        record, kind = (usual, "") if is_ordinary else with_fault(usual, ODDITIES, odd)
        yield uploaded, kind, record
        if not is_ordinary and odd() < CHANCE_OF_SECOND_DEVICE:
            twin = second_device(record, odd)
            if twin:
                yield uploaded, second_device.__name__, twin
    if not is_ordinary:
        yield from long_activities(athlete, first_day, days, odd)


def _long_run(
    athlete: Athlete,
    first_day: date,
    start: datetime,
    zone: str,
    times: tuple[int, int],
    draw: Draw,
) -> tuple[datetime, str, Record]:
    moving, elapsed = times
    kind = "multi_day_run" if elapsed > DAY_S else "overnight_run"
    plan = Plan((start.date() - first_day).days, start, zone, "Run")
    record, end = measured(athlete, plan, first_day, draw)
    uploaded = end + timedelta(seconds=elapsed - record["elapsed_time"] + 600)
    distance = round(moving * between(draw, 1.2, 1.7), 1)
    record = _over(record, distance, moving) | {
        "id": upload_id(athlete, uploaded, LONG_ACTIVITY),
        "name": "From hut to hut" if kind == "multi_day_run" else "Through the night",
        "elapsed_time": elapsed,
        "total_elevation_gain": round(distance * between(draw, 0.005, 0.03), 1),
        "trainer": False,
        "manual": False,
    }
    return uploaded, kind, record


def _over(record: Record, distance: float, moving: int) -> Record:
    """The record with another distance (m) and moving time (s), and the speeds of them."""
    speed = distance / moving
    return record | {
        "distance": distance,
        "moving_time": moving,
        "average_speed": round(speed, 3),
        "max_speed": round(1.4 * speed, 3),
    }


def _later(instant: str, seconds: int) -> str:
    return (datetime.fromisoformat(instant[:19]) + timedelta(seconds=seconds)).isoformat() + "Z"
