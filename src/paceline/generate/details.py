"""DetailedActivity: a run with the splits per kilometre and the laps of the watch."""

from datetime import datetime, timedelta

from paceline.generate.activities import Record
from paceline.generate.athletes import Draw, bell, between, whole

SPLITS_PER_LAP = 5


def detailed(summary: Record, draw: Draw) -> Record:
    """Add `splits_metric` and `laps`, both of which sum to the activity, to a run with a distance.

    Raises ValueError for a distance below 1 m, of which there is nothing to split.
    """
    if summary["distance"] < 1:
        raise ValueError("an activity without distance has no splits")
    splits = _splits(summary, draw)
    return summary | {
        "resource_state": 3,
        "calories": round(summary["moving_time"] * between(draw, 0.16, 0.22), 1),
        "splits_metric": splits,
        "laps": _laps(summary, splits),
    }


def _splits(summary: Record, draw: Draw) -> list[Record]:
    lengths = _lengths(round(10 * summary["distance"]), draw)
    drift = between(draw, -0.04, 0.08)
    efforts = [
        length * (1 + drift * at / len(lengths) + 0.02 * bell(draw))
        for at, length in enumerate(lengths)
    ]
    moving = _shares(summary["moving_time"], efforts)
    stop_at = whole(draw, 0, len(lengths) - 1)
    splits = []
    for at, (length, seconds) in enumerate(zip(lengths, moving, strict=True)):
        pause = summary["elapsed_time"] - summary["moving_time"] if at == stop_at else 0
        speed = length / 10 / max(seconds, 1)
        split: Record = {
            "distance": length / 10,
            "elapsed_time": seconds + pause,
            "elevation_difference": round(6 * bell(draw), 1),
            "moving_time": seconds,
            "split": at + 1,
            "average_speed": round(speed, 2),
        }
        if "average_heartrate" in summary:
            beats = summary["average_heartrate"] * (0.97 + 0.06 * (at + 0.5) / len(lengths))
            split["average_heartrate"] = round(beats, 1)
        split["average_grade_adjusted_speed"] = round(speed * between(draw, 0.98, 1.04), 2)
        split["pace_zone"] = whole(draw, 1, 5)
        splits.append(split)
    return splits


def _lengths(decimetres: int, draw: Draw) -> list[int]:
    """Cut a distance into splits of a kilometre, give or take, and a shorter last one."""
    lengths = []
    while decimetres > 10_040:
        lengths.append(10_000 + round(10 * bell(draw)))
        decimetres -= lengths[-1]
    return [*lengths, decimetres]


def _shares(total: int, weights: list[float]) -> list[int]:
    """Divide whole seconds in proportion to the weights, so that the parts sum to the total."""
    shares, done, weight_done, weight_all = [], 0, 0.0, sum(weights)
    for weight in weights[:-1]:
        weight_done += weight
        upto = round(total * weight_done / weight_all)
        shares.append(upto - done)
        done = upto
    return [*shares, total - done]


def _laps(summary: Record, splits: list[Record]) -> list[Record]:
    laps: list[Record] = []
    passed = timedelta(0)
    for first in range(0, len(splits), SPLITS_PER_LAP):
        members = splits[first : first + SPLITS_PER_LAP]
        distance = sum(round(10 * split["distance"]) for split in members) / 10
        moving = sum(split["moving_time"] for split in members)
        elapsed = sum(split["elapsed_time"] for split in members)
        index = len(laps) + 1
        lap = {
            "id": summary["id"] * 1000 + index,
            "resource_state": 2,
            "name": f"Lap {index}",
            "activity": {"id": summary["id"], "resource_state": 1},
            "athlete": summary["athlete"],
            "elapsed_time": elapsed,
            "moving_time": moving,
            "start_date": _later(summary["start_date"], passed),
            "start_date_local": _later(summary["start_date_local"], passed),
            "distance": distance,
            "average_speed": round(distance / max(moving, 1), 2),
            "max_speed": max(split["average_speed"] for split in members),
            "lap_index": index,
            "split": index,
            "total_elevation_gain": round(
                sum(max(split["elevation_difference"], 0) for split in members), 1
            ),
        }
        if "average_heartrate" in summary:
            beats = sum(split["average_heartrate"] * split["moving_time"] for split in members)
            lap["average_heartrate"] = round(beats / max(moving, 1), 1)
        laps.append(lap)
        passed += timedelta(seconds=elapsed)
    return laps


def _later(instant: str, passed: timedelta) -> str:
    return (datetime.fromisoformat(instant[:19]) + passed).isoformat() + "Z"
