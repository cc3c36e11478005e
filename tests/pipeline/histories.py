"""Random deliveries: edits, moves, deletes, copies and faults, of many athletes at once.

Values, days and change times come from small sets, so that ties, returns to an earlier value and
changes that change nothing are common.
"""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

ATHLETES = 40
ACTIVITIES_EACH = 6
FIRST_DAY, DAYS = date(2024, 1, 1), 130
SPLITS = [
    {"split": n, "distance": 1000.0, "moving_time": 280 + 7 * n, "average_heartrate": 139.5 + n}
    for n in range(1, 6)
]
# Good values more often than broken ones, of which each field has one.
FIELDS: dict[str, list[Any]] = {
    "sport_type": ["Run", "Run", "TrailRun", "Ride", "Walk"],
    "distance": [10000.0, 10000.5, 5000.25, 15000.0, "8000.125", 12.0, 0, None, -1.0],
    "moving_time": [3000, 3000, 2999, 1500.0, "3600", 90_000, 400_000, 0, -1],
    "total_elevation_gain": [None, 0.0, 55.5, 120.0005, -3.0, 60_000],
    "average_heartrate": [None, 0, 140.0, 150.0, 12.0],
    "max_heartrate": [None, 150.0, 180.0, 145.0, 255],
    "average_cadence": [None, 85.5, 0, -1],
    "manual": [None, False, True],
    "workout_type": [None, 0, 1],
    "name": ["Morning run", "Läufe 🏃", None],
}
DETAILS: dict[str, list[Any]] = {
    "calories": [700.0, 650.5],
    "splits_metric": [SPLITS, SPLITS[:4], SPLITS[:2], []],
    "laps": [[{"lap_index": 1, "distance": 5000.0, "moving_time": 1500}], []],
}
PARTS = "splits_metric", "laps"
FLAT = {
    "distance": "distance_m",
    "moving_time": "moving_time_s",
    "elapsed_time": "elapsed_time_s",
    "total_elevation_gain": "elevation_gain_m",
    "average_heartrate": "average_heartrate_bpm",
    "max_heartrate": "max_heartrate_bpm",
}
SETTINGS: dict[str, list[Any]] = {
    "threshold_pace_s_per_km": [240, 270.0, 300, None, 50],
    "hr_max_bpm": [190, 185.5, None],
    "hr_rest_bpm": [50, 55, None],
    "lthr_bpm": [170, None],
    "sex": ["F", "M", None],
}
# From midnight of a day in UTC, and how far the clock at the place is ahead: so close together that
# they are one run from two devices; of a night that is the next day there; and of an evening far in
# the west, of which six hours end after noon of the next day in UTC.
STARTS = [
    *((timedelta(hours=6, minutes=minutes), timedelta(hours=2)) for minutes in (0, 0, 1, 20, 40)),
    (timedelta(hours=23, minutes=30), timedelta(hours=2)),
    (timedelta(hours=32), timedelta(hours=-10)),
]
FAULTS = ["{broken", "[]", '"text"', "12", '{"athlete": {"id": 1}}']
# What stands in a sink of change data and is about no activity, though it may have the id of one.
NOISE = [
    "null",
    '{"ts_ms": 1720000000000}',
    '{"status": "END", "id": "571:1", "event_count": 1, "ts_ms": 1720000000000}',
    '{"op": "m", "source": {"connector": "postgresql", "lsn": 1}, "message": {"prefix": "p"}}',
    '{"op": "d", "before": {"id": 100}, "source": {"table": "photos", "ts_ms": 1790000000000}}',
    '{"op": "u", "after": {"activity_id": 101, "name": "shoe"}, "source": {"table": "gear"}}',
]
FIRST_CHANGE_MS, A_DAY_MS = 1_720_000_000_000, 86_400_000


def deliveries(random: Random, share: float, sent: list[str]) -> dict[str, list[str]]:
    """Files by path without its end: some records of a share of all athletes, shuffled.

    A connector that has crashed delivers again, as processed later, what it has `sent` before.
    """
    records: dict[str, list[str]] = {"strava_api": [], "cdc": []}
    for athlete in range(1, ATHLETES + 1):
        if random.random() < share:
            for _ in range(random.randint(1, 3)):
                kind, line = _record(random, athlete)
                records[kind] += [line] * random.choice([1, 1, 1, 2])
    if random.random() < 0.3:
        # A file of which most is broken, so that it counts in no share.
        lines = [_record(random, random.randint(1, ATHLETES)) for _ in range(40)]
        broken = [json.dumps(json.loads(line) | {"moving_time": -1}) for _, line in lines]
        records["strava_api/broken"] = broken[:35] + [line for kind, line in lines if kind != "cdc"]
    if random.random() < 0.5:
        records["strava_api"].append(random.choice(FAULTS))
        records["cdc"] += random.sample(['{"op": "t"}', '{"op": "d", "before": {}}', *NOISE], 3)
    again = random.sample(sent, min(len(sent), 5)) if random.random() < 0.5 else []
    sent += records["cdc"]
    records["cdc"] += map(_processed_later, again)
    for lines in records.values():
        random.shuffle(lines)
    return {kind: lines for kind, lines in records.items() if lines}


def settings(random: Random) -> list[str]:
    """Settings of some athletes, back-dated ones too."""
    return [
        json.dumps(
            {
                "athlete_id": athlete,
                "valid_from": _day(random, beyond=0).isoformat(),
                "updated_at": _changed_at(random),
                **{name: random.choice(values) for name, values in SETTINGS.items()},
            }
        )
        for athlete in random.sample(range(1, ATHLETES + 1), 8)
    ]


def _record(random: Random, athlete: int) -> tuple[str, str]:
    # Two neighbours share their activities, which so move from one to the other.
    owner = athlete if random.random() < 0.9 else (athlete - 1 ^ 1) + 1
    activity = (athlete + 1) // 2 * 100 + random.randrange(ACTIVITIES_EACH)
    form = random.choices(("api", "api image", "flat", "delete"), (60, 12, 12, 16))[0]
    image = _image(random, activity, owner)
    if form == "api":
        if random.random() < 0.9:
            image["updated_at"] = _changed_at(random)
        return "strava_api", json.dumps(image)
    op = "d" if form == "delete" else random.choice("cur")
    if form == "flat":
        # A row of a table has no arrays.
        image = {FLAT.get(name, name): value for name, value in image.items() if name not in PARTS}
        image |= {"activity_id": image.pop("id"), "athlete_id": image.pop("athlete")["id"]}
    if form == "delete":
        image = random.choice([{"id": activity}, {"activity_id": activity, "athlete_id": owner}])
    envelope = {
        "op": op,
        "before": image if op == "d" else None,
        "after": None if op == "d" else image,
        "ts_ms": FIRST_CHANGE_MS + random.randrange(8) * A_DAY_MS,
        "source": random.choice(SOURCES)(random),
    }
    return "cdc", json.dumps(random.choice([envelope, {"schema": {}, "payload": envelope}]))


def _of_postgresql(random: Random) -> dict[str, Any]:
    """Of many changes in few milliseconds only the position tells the order."""
    at_ms = FIRST_CHANGE_MS + random.randrange(8) * A_DAY_MS
    place = random.choice([None, random.randrange(1_000_000)])
    of_log = {"connector": "postgresql", "name": "app", "schema": "public", "table": "activities"}
    return {**of_log, "ts_ms": at_ms, "lsn": place}


def _of_mysql(random: Random) -> dict[str, Any]:
    """A statement may have begun before, and committed after, what lies before it in the log."""
    place = random.randrange(1_000_000)
    at_ms = FIRST_CHANGE_MS + (place // 125_000 + random.randrange(2)) * A_DAY_MS
    of_log = {"connector": "mysql", "name": "app", "table": "activities", "server_id": 1}
    return {**of_log, "ts_ms": at_ms, "gtid": None, "file": "binlog.000007", "pos": place, "row": 0}


def _of_nobody(random: Random) -> dict[str, Any]:
    return {"lsn": random.choice([None, 1, 2, 3])}


SOURCES = (_of_postgresql, _of_mysql, _of_nobody)


def _processed_later(line: str) -> str:
    message = json.loads(line) if line != "null" else None
    envelope = message.get("payload", message) if message else {}
    if "op" in envelope and "ts_ms" in envelope.get("source", {}):
        envelope["ts_ms"] = FIRST_CHANGE_MS + 20 * A_DAY_MS
    return json.dumps(message)


def _image(random: Random, activity: int, athlete: int) -> dict[str, Any]:
    day, (start, offset) = _day(random, beyond=3), random.choice(STARTS)
    image: dict[str, Any] = {
        "id": activity,
        "athlete": {"id": athlete},
        "start_date": f"{datetime.combine(day, time()) + start}Z",
        "start_date_local": f"{datetime.combine(day, time()) + start + offset}Z",
        "elapsed_time": random.choice([3700, 3700, 20_000, 100_000, 500_000]),
    }
    for name, values in FIELDS.items():
        # The last value is often the broken one, or a rare one.
        image[name] = random.choice(values if random.random() < 0.3 else values[:2])
    if random.random() < 0.3:
        image |= {name: random.choice(values) for name, values in DETAILS.items()}
    return image


def _day(random: Random, beyond: int) -> date:
    return FIRST_DAY + timedelta(days=random.randrange(0, DAYS + beyond, random.choice([1, 10])))


def _changed_at(random: Random) -> str:
    return f"2024-07-0{random.randint(3, 9)}T09:46:40Z"
