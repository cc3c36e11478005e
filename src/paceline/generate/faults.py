"""What goes wrong on the way: sensors, edits, transport; a function's name is what counts it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from paceline.generate.activities import RIDES, RUNS, Record
from paceline.generate.athletes import Draw, between, pick, whole

Fault = Callable[[Record, Draw], Record | None]
"""The record with the fault, or None where it cannot have it."""


def gps_glitch(record: Record, draw: Draw) -> Record | None:
    """Jump across town and back: a run or ride far faster than anybody."""
    if record["sport_type"] not in RUNS | RIDES or not record["distance"]:
        return None
    distance = round(record["distance"] * between(draw, 6, 12), 1)
    return record | {
        "distance": distance,
        "average_speed": round(distance / record["moving_time"], 3),
        "max_speed": 210.5,
    }


def invalid_heartrate(record: Record, draw: Draw) -> Record | None:
    """Report 20 or 300 beats a minute, as dry or broken straps do."""
    if "average_heartrate" not in record:
        return None
    return record | {"average_heartrate": pick(draw, (20.0, 300.0))}


def moving_over_elapsed(record: Record, draw: Draw) -> Record | None:
    """Move for longer than the whole activity took."""
    return record | {"moving_time": record["elapsed_time"] + whole(draw, 60, 900)}


def wrong_type(record: Record, draw: Draw) -> Record | None:
    """Have one field of a wrong type, and the others as they should be."""
    field, value = pick(
        draw,
        (
            ("total_elevation_gain", "unknown"),
            ("max_speed", {"value": 3.1}),
            ("average_cadence", [84]),
            ("name", 17),
            ("trainer", "yes"),
        ),
    )
    return record | {field: value}


def numeric_string(record: Record, draw: Draw) -> Record | None:
    """Write numbers as text, or whole seconds with a decimal point."""
    if draw() < 0.3:
        return record | {key: float(record[key]) for key in ("moving_time", "elapsed_time")}
    fields = pick(draw, (("id",), ("distance",), ("moving_time", "elapsed_time")))
    return record | {key: str(record[key]) for key in fields}


def missing_sport_type(record: Record, draw: Draw) -> Record | None:
    """Lack the sport type and the offset, as records of the older schema do."""
    return {k: v for k, v in record.items() if k not in {"sport_type", "utc_offset"}}


SENSOR_FAULTS: tuple[tuple[float, Fault], ...] = (
    (0.004, gps_glitch),
    (0.003, invalid_heartrate),
    (0.003, moving_over_elapsed),
)
TRANSPORT_FAULTS: tuple[tuple[float, Fault], ...] = (
    (0.004, wrong_type),
    (0.006, numeric_string),
    (0.004, missing_sport_type),
)


def with_fault(
    record: Record, faults: tuple[tuple[float, Fault], ...], draw: Draw
) -> tuple[Record, str]:
    """Let at most one of the faults happen: the record and the fault's name, "" for none."""
    luck = draw()
    for chance, fault in faults:
        luck -= chance
        if luck < 0:
            faulty = fault(record, draw)
            return (record, "") if faulty is None else (faulty, fault.__name__)
    return record, ""


def rename(record: Record, draw: Draw) -> Record | None:
    """Give the activity a name worth telling."""
    return record | {"name": pick(draw, ("Felt great", "Never again", "With Ana & Bo"))}


def correct_distance(record: Record, draw: Draw) -> Record | None:
    """Calibrate the distance by a few percent, or add it where a treadmill run had none."""
    if record["distance"]:
        distance = round(record["distance"] * between(draw, 0.94, 1.06), 1)
    elif record["sport_type"] == "Run":
        distance = round(record["moving_time"] * between(draw, 2.6, 3.2), 1)
    else:
        return None
    return record | {
        "distance": distance,
        "average_speed": round(distance / record["moving_time"], 3),
    }


def correct_sport(record: Record, draw: Draw) -> Record | None:
    """Choose the other sport of the pair."""
    other = {"Run": "TrailRun", "TrailRun": "Run", "Walk": "Hike", "Hike": "Walk"}
    sport = other.get(record["sport_type"])
    if sport is None:
        return None
    return record | {
        "sport_type": sport,
        "type": "Run" if sport == "TrailRun" else sport,
    }


def move_day(record: Record, draw: Draw) -> Record | None:
    """Move the activity to the day before, where the clock of the device was wrong."""

    def day_before(instant: str) -> str:
        return (datetime.fromisoformat(instant[:19]) - timedelta(days=1)).isoformat() + "Z"

    return record | {key: day_before(record[key]) for key in ("start_date", "start_date_local")}


EDITS: tuple[Fault, ...] = (rename, correct_distance, correct_sport, move_day)


def truncated_json(line: bytes, draw: Draw) -> bytes:
    """Cut a line short, as a full disk does."""
    return line[: whole(draw, len(line) // 4, len(line) - 2)].decode(errors="ignore").encode()


def invalid_utf8(line: bytes, draw: Draw) -> bytes:
    """Spill bytes that are no text into a line."""
    at = whole(draw, 1, len(line) - 1)
    return line[:at] + bytes(whole(draw, 0x80, 0xFF) for _ in range(24)) + b"\xff\xfe" + line[at:]


def text_line(line: bytes, draw: Draw) -> bytes:
    """Answer with something else than JSON."""
    return pick(draw, (b"<html><h1>502 Bad Gateway</h1></html>", b"Rate limit exceeded"))


def not_an_activity(line: bytes, draw: Draw) -> bytes:
    """Answer with JSON that is no activity."""
    return pick(draw, (b'{"message":"Record Not Found","errors":[]}', b"null", b"42"))


DAMAGE: dict[str, Callable[[bytes, Draw], bytes]] = {
    damage.__name__: damage for damage in (truncated_json, invalid_utf8, text_line, not_an_activity)
}
