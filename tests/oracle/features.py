"""feature_store.activity_features: what one activity was worth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from tests.oracle.activities import lasted_s
from tests.oracle.values import SECOND_US

Row = dict[str, Any]

_FEWEST_SPLITS = 4
_SLOWEST_BELIEVED_KM_H = 1.5
# The factor and the exponent of Banister's training impulse.
_BANISTER = {"F": (0.86, 1.67), "M": (0.64, 1.92)}
_LTHR_SHARE_OF_RESERVE = 0.85


def activity_features(
    activity: Row, splits: Iterable[Row], settings: Row, default_threshold_s_per_km: float
) -> Row:
    """The features of an activity, with its splits and the settings in use on its day."""
    moving, elapsed = activity["moving_time_s"], activity["elapsed_time_s"]
    distance, gain = activity["distance_m"], activity["elevation_gain_m"]
    distance_km = None if distance is None else distance / 1000
    pace = moving / 60 / distance_km if distance_km else None
    threshold_s = settings.get("threshold_pace_s_per_km") or default_threshold_s_per_km
    threshold = threshold_s / 60
    has_pace = activity["sport_family"] == "run" and pace is not None
    intensity = threshold / pace if has_pace and _is_believed(distance, moving) else None
    reserve = _reserve_ratio(activity["average_heartrate_bpm"], settings)
    trimp = None if reserve is None else _trimp(moving, reserve, settings)
    method, tss = _tss(moving, intensity, trimp, settings)
    return {
        "athlete_id": activity["athlete_id"],
        "activity_id": activity["activity_id"],
        "event_timestamp": end_us(activity),
        "local_day": activity["local_day"],
        "sport_family": activity["sport_family"],
        "is_race": activity["is_race"],
        "distance_km": distance_km,
        "moving_time_s": moving,
        "elapsed_time_s": elapsed,
        "elevation_gain_m": gain,
        "pace_min_km": pace,
        "elapsed_pace_min_km": elapsed / 60 / distance_km if distance_km else None,
        "speed_km_h": None if distance is None else 3.6 * distance / moving,
        "elevation_per_km": gain / distance_km if distance_km and gain is not None else None,
        "threshold_pace_min_km": threshold,
        "intensity_factor": intensity,
        "estimated_tss": tss,
        "tss_method": method,
        "trimp": trimp,
        "hr_reserve_ratio": reserve,
        "efficiency_m_per_beat": _efficiency(activity),
        **_split_features(splits),
    }


def end_us(activity: Row) -> int:
    return activity["start_date"] + lasted_s(activity) * SECOND_US


def _is_believed(distance_m: float, moving_s: int) -> bool:
    """Whether it is a distance that somebody ran, not what a treadmill or a GPS has drifted."""
    return 3.6 * distance_m >= _SLOWEST_BELIEVED_KM_H * moving_s


def _reserve_ratio(mean_bpm: float | None, settings: Row) -> float | None:
    """The share of the heart rate reserve in use, kept within 0..1."""
    most, rest = settings.get("hr_max_bpm"), settings.get("hr_rest_bpm")
    if mean_bpm is None or most is None or rest is None:
        return None
    return min(max((mean_bpm - rest) / (most - rest), 0.0), 1.0)


def _trimp(duration_s: float, reserve: float, settings: Row) -> float:
    factor, exponent = _BANISTER[settings["sex"] or "M"]
    return duration_s / 60 * reserve * factor * math.exp(exponent * reserve)


def _tss(
    moving: int, intensity: float | None, trimp: float | None, settings: Row
) -> tuple[str | None, float | None]:
    """How the load was found, and the load in units of 1e-6; (None, None) when neither way does."""
    if intensity is not None:
        return "pace", _to_millionths(100 * (moving / 3600) * intensity * intensity)
    if trimp is None:
        return None, None
    most, rest, lthr = (settings[name] for name in ("hr_max_bpm", "hr_rest_bpm", "lthr_bpm"))
    if lthr is None:
        lthr = rest + _LTHR_SHARE_OF_RESERVE * (most - rest)
    hour_at_threshold = _trimp(3600, _reserve_ratio(lthr, settings), settings)
    return "hr", _to_millionths(100 * trimp / hour_at_threshold)


def _to_millionths(value: float) -> float:
    return math.floor(value * 1e6 + 0.5) / 1e6


def _efficiency(activity: Row) -> float | None:
    distance, mean_bpm = activity["distance_m"], activity["average_heartrate_bpm"]
    if distance is None or mean_bpm is None:
        return None
    return 60 * distance / activity["moving_time_s"] / mean_bpm


def _split_features(splits: Iterable[Row]) -> Row:
    """Pacing over the splits that have both a moving time and a distance."""
    usable = sorted(
        (split for split in splits if split["moving_time_s"] and split["distance_m"]),
        key=lambda split: split["sub_index"],
    )
    if len(usable) < _FEWEST_SPLITS:
        return dict.fromkeys(("split_pace_cv", "second_half_pace_ratio", "hr_drift_ratio"))
    first, later = usable[: len(usable) // 2], usable[len(usable) // 2 :]
    return {
        "split_pace_cv": _pace_cv(usable),
        "second_half_pace_ratio": _pace(later) / _pace(first),
        "hr_drift_ratio": _hr_drift(first, later),
    }


def _total(splits: list[Row], column: str) -> float:
    return sum(split[column] for split in splits)


def _pace(splits: list[Row]) -> float:
    return _total(splits, "moving_time_s") / _total(splits, "distance_m")


def _pace_cv(splits: list[Row]) -> float:
    """Population standard deviation by mean of the paces, weighted by moving time."""
    weighted = [(split["moving_time_s"], _pace([split])) for split in splits]
    weights = sum(weight for weight, _ in weighted)
    mean = sum(weight * pace for weight, pace in weighted) / weights
    variance = sum(weight * (pace - mean) ** 2 for weight, pace in weighted) / weights
    return math.sqrt(variance) / mean


def _hr_drift(first: list[Row], later: list[Row]) -> float | None:
    if any(split["average_heartrate_bpm"] is None for split in first + later):
        return None
    beats_first, beats_later = _mean_hr(first), _mean_hr(later)
    if not beats_first or not beats_later:
        return None
    return (1 / _pace(first) / beats_first) / (1 / _pace(later) / beats_later) - 1


def _mean_hr(splits: list[Row]) -> float:
    beats = sum(split["moving_time_s"] * split["average_heartrate_bpm"] for split in splits)
    return beats / _total(splits, "moving_time_s")
