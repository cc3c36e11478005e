"""The rules of the two feature tables."""

from __future__ import annotations

from datetime import timedelta

from tests.oracle.rules_parts import (
    Row,
    Verdict,
    all_of,
    any_given,
    at_least,
    at_most,
    below,
    both_or_neither,
    finite,
    none_negative,
    one_of,
    ordered,
    present,
    within,
)
from tests.oracle.values import EPOCH, EPOCH_DAY

_HOUR_S = 3600.0
_LOAD_PER_HOUR = 225.0
_WINDOWS = (7, 30, 90)
_SLOWEST_BELIEVED_KM_H = 1.5
_NEXT_NOON = timedelta(days=1, hours=12)

_AMOUNTS = (
    *("distance_km", "elevation_gain_m", "pace_min_km", "elapsed_pace_min_km", "speed_km_h"),
    *("elevation_per_km", "intensity_factor", "estimated_tss", "trimp", "efficiency_m_per_beat"),
    *("split_pace_cv", "second_half_pace_ratio"),
)
_COUNTS = (
    *("activities_1d", "moving_time_s_1d", "activities_without_tss_1d"),
    *(f"{name}_{days}d" for name in ("activities", "active_days") for days in _WINDOWS),
    *(f"{name}_{days}d" for name in ("moving_time_s", "runs") for days in _WINDOWS),
    "days_since_last_activity",
)
_ROLLED_AMOUNTS = (
    *("distance_km_1d", "elevation_gain_m_1d", "tss_1d", "tss_28d", "tss_42d"),
    *(f"{name}_{days}d" for name in ("distance_km", "elevation_gain_m") for days in _WINDOWS),
    *(f"{name}_{days}d" for name in ("tss", "run_distance_km") for days in _WINDOWS),
    *("run_pace_min_km_30d", "run_pace_min_km_90d", "ctl_42d", "atl_7d", "acwr_uncoupled"),
    *("monotony_7d", "strain_7d"),
)


def _has_pace_with_distance(row: Row) -> bool:
    distance, pace, elapsed_pace = (
        row[name] for name in ("distance_km", "pace_min_km", "elapsed_pace_min_km")
    )
    has_distance = distance is not None and distance != 0
    return has_distance == (pace is not None) == (elapsed_pace is not None)


def _has_intensity_with_pace_of_run(row: Row) -> bool:
    """A run that is slower than anyone's has a pace, but one that says nothing of its intensity."""
    is_paced_run = row["sport_family"] == "run" and row["pace_min_km"] is not None
    is_believed = at_most(_SLOWEST_BELIEVED_KM_H, row["speed_km_h"])
    return (is_paced_run and is_believed) == (row["intensity_factor"] is not None)


def _names_method_of_its_inputs(row: Row) -> bool:
    if row["intensity_factor"] is not None:
        return row["tss_method"] == "pace"
    return row["tss_method"] == (None if row["trimp"] is None else "hr")


def _run_pace_is_plausible(row: Row) -> bool:
    return row["sport_family"] != "run" or within(2, 20, "pace_min_km")(row)


def _load_is_plausible(row: Row) -> bool:
    load, moving = row["estimated_tss"], row["moving_time_s"]
    if load is None or moving is None or moving <= 0:
        return True
    return at_most(_HOUR_S * load, _LOAD_PER_HOUR * moving)


def _usable_from_next_noon_at_the_earliest(row: Row) -> bool:
    if row["as_of_date"] is None:
        return True
    if row["event_timestamp"] is None:
        return False
    return row["event_timestamp"] - EPOCH >= row["as_of_date"] - EPOCH_DAY + _NEXT_NOON


def _nested(name: str, *days: int) -> Verdict:
    return ordered(*(f"{name}_{length}d" for length in days))


def _active_days_fit(days: int) -> Verdict:
    """The length of the window is always a limit, the activities are one where they are known."""

    def keeps(row: Row) -> bool:
        active, activities = row[f"active_days_{days}d"], row[f"activities_{days}d"]
        return at_most(active, days) and (activities is None or active <= activities)

    return keeps


def _waits(days: int, *columns: str) -> Verdict:
    """No value is there before the history has that many days."""
    return lambda row: at_most(days, row["history_days"]) or not any_given(*columns)(row)


def _known_and_not_negative(*columns: str) -> Verdict:
    """These columns are never all absent in a row, so that nothing is known breaks the rule."""
    return all_of(any_given(*columns), none_negative(*columns))


def _has_last_activity_in_history(row: Row) -> bool:
    history = row["history_days"]
    return at_most(1, history) and below(row["days_since_last_activity"], history)


def _was_last_active_today_or_before(row: Row) -> bool:
    since, today = row["days_since_last_activity"], row["activities_1d"]
    return since is not None and today is not None and (since == 0) == (today > 0)


def _daily_load_is_plausible(row: Row) -> bool:
    load, moving = row["tss_1d"], row["moving_time_s_1d"]
    if load is None or moving is None:
        return False
    return at_most(_HOUR_S * load, _LOAD_PER_HOUR * moving)


ACTIVITY_FEATURES: dict[str, Verdict] = {
    "athlete_id_present": present("athlete_id"),
    "activity_id_present": present("activity_id"),
    "event_timestamp_present": present("event_timestamp"),
    "local_day_present": present("local_day"),
    "sport_family_known": one_of("sport_family", "run", "ride", "foot", "swim", "ski", "other"),
    "times_positive": all_of(at_least("moving_time_s", 1), at_least("elapsed_time_s", 1)),
    "measures_not_negative": none_negative(*_AMOUNTS),
    "threshold_pace_positive": lambda row: below(0, row["threshold_pace_min_km"]),
    "pace_with_distance": _has_pace_with_distance,
    "intensity_factor_of_runs": _has_intensity_with_pace_of_run,
    "hr_reserve_ratio_range": within(0, 1, "hr_reserve_ratio"),
    "trimp_with_hr_reserve_ratio": both_or_neither("trimp", "hr_reserve_ratio"),
    "tss_with_method": both_or_neither("tss_method", "estimated_tss"),
    "tss_method_by_inputs": _names_method_of_its_inputs,
    "numbers_finite": finite(
        *_AMOUNTS, "threshold_pace_min_km", "hr_reserve_ratio", "hr_drift_ratio"
    ),
    "run_pace_plausible": _run_pace_is_plausible,
    "load_below_225_per_hour": _load_is_plausible,
}

ROLLING_FEATURES: dict[str, Verdict] = {
    "athlete_id_present": present("athlete_id"),
    "as_of_date_present": present("as_of_date"),
    "event_timestamp_next_noon": _usable_from_next_noon_at_the_earliest,
    "counts_not_negative": _known_and_not_negative(*_COUNTS),
    "measures_not_negative": _known_and_not_negative(*_ROLLED_AMOUNTS),
    "ewma_not_negative": all_of(at_least("ctl_ewma_42d", 0), at_least("atl_ewma_7d", 0)),
    "activities_nested": _nested("activities", 1, 7, 30, 90),
    "active_days_nested": _nested("active_days", 7, 30, 90),
    "distance_km_nested": _nested("distance_km", 1, 7, 30, 90),
    "moving_time_s_nested": _nested("moving_time_s", 1, 7, 30, 90),
    "elevation_gain_m_nested": _nested("elevation_gain_m", 1, 7, 30, 90),
    "tss_nested": _nested("tss", 1, 7, 28, 30, 42, 90),
    "runs_nested": _nested("runs", 7, 30, 90),
    "run_distance_km_nested": _nested("run_distance_km", 7, 30, 90),
    "active_days_within_window": all_of(*map(_active_days_fit, _WINDOWS)),
    "parts_within_whole": all_of(
        ordered("activities_without_tss_1d", "activities_1d"),
        *(ordered(f"runs_{days}d", f"activities_{days}d") for days in _WINDOWS),
        *(ordered(f"run_distance_km_{days}d", f"distance_km_{days}d") for days in _WINDOWS),
    ),
    "run_pace_90d_with_30d": lambda row: (
        row["run_pace_min_km_30d"] is None or row["run_pace_min_km_90d"] is not None
    ),
    "acwr_range": within(0, 4, "acwr"),
    "acwr_needs_28_days": _waits(28, "acwr", "acwr_uncoupled"),
    "monotony_needs_7_days": _waits(7, "monotony_7d"),
    "strain_with_monotony": both_or_neither("strain_7d", "monotony_7d"),
    "days_within_history": _has_last_activity_in_history,
    "last_activity_today": _was_last_active_today_or_before,
    "numbers_finite": finite(*_ROLLED_AMOUNTS, "ctl_ewma_42d", "atl_ewma_7d", "tsb_ewma", "acwr"),
    "run_pace_plausible": within(2, 20, "run_pace_min_km_30d", "run_pace_min_km_90d"),
    "load_below_225_per_hour": _daily_load_is_plausible,
}
