"""Whether a row keeps a rule of its contract, in plain Python, for every rule of every table.

Written from the descriptions of the rules. A row is a mapping from column to value: TIMESTAMP as a
datetime with a zone, TIMESTAMP_NTZ as one without, NULL as None. Products are taken with floats,
as the contracts have them; everything else is exact.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tests.oracle.model import LIMITS, speed_limit
from tests.oracle.rules_features import ACTIVITY_FEATURES, ROLLING_FEATURES
from tests.oracle.rules_parts import (
    Row,
    Verdict,
    at_least,
    at_most,
    below,
    finite,
    one_of,
    ordered_where_given,
    present,
    within,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_EARLIEST_START = datetime(1980, 1, 1, tzinfo=UTC)
_KM_H_PER_M_S = 3.6
_SLOW_RUN_KM_H = 3.0
_DAY_S = 86_400
_LONGEST_S = 30 * _DAY_S
_FARTHEST_M = 2_000_000


def broken(table: str, row: Row) -> list[str]:
    """The names of the rules that a row breaks, in the order of the contract."""
    return [name for name, keeps in KEEPS[table].items() if not keeps(row)]


def _is_sha256(row: Row) -> bool:
    digest = row["source_digest"]
    return digest is not None and _SHA256.fullmatch(digest) is not None


def _names_activity(row: Row) -> bool:
    return row["activity_id"] is not None and (row["athlete_id"] is not None or row["op"] == "d")


def _names_log(row: Row) -> bool:
    """A change names its log, with an empty text where it does not know it."""
    return row["source"] not in (None, "debezium") or row["change_log"] is not None


def _starts_after_1979(row: Row) -> bool:
    return row["start_date"] is not None and row["start_date"] >= _EARLIEST_START


def _moves_for_30_days_at_most(row: Row) -> bool:
    moving = row["moving_time_s"]
    return moving is not None and 1 <= moving <= LIMITS["moving_time_max_s"]


def _moves_within_elapsed(row: Row) -> bool:
    moving, elapsed = row["moving_time_s"], row["elapsed_time_s"]
    if moving is None or elapsed is None:
        return True
    return moving <= elapsed + LIMITS["moving_within_elapsed_s"]


def _is_distance(row: Row) -> bool:
    distance = row["distance_m"]
    return distance is None or distance == 0 or 0.001 <= distance <= LIMITS["distance_max_m"]


def _no_faster_than_its_distance_allows(family: str) -> Verdict:
    """Where distance and time tell a speed, and the sport is of the family."""

    def keeps(row: Row) -> bool:
        distance, moving = row["distance_m"], row["moving_time_s"]
        if row["sport_family"] != family or distance is None or moving is None or moving <= 0:
            return True
        km_h = float(speed_limit(family, distance))
        return at_most(_KM_H_PER_M_S * distance, km_h * moving)

    return keeps


def _is_no_slow_run(row: Row) -> bool:
    distance, moving = row["distance_m"], row["moving_time_s"]
    if row["sport_family"] != "run" or distance is None or moving is None:
        return True
    if distance <= 0 or moving <= 0:
        return True
    return at_most(_SLOW_RUN_KM_H * moving, _KM_H_PER_M_S * distance)


def _is_no_steeper_than_200_m_per_km(row: Row) -> bool:
    distance, gain = row["distance_m"], row["elevation_gain_m"]
    if distance is None or distance <= 0 or gain is None:
        return True
    return at_most(1000 / 200 * gain, distance)


def _rests_a_beat_below_threshold(row: Row) -> bool:
    rest, threshold = row["hr_rest_bpm"], row["lthr_bpm"]
    return rest is None or threshold is None or at_most(rest + 1, threshold)


def _rests_below_max(row: Row) -> bool:
    rest, most = row["hr_rest_bpm"], row["hr_max_bpm"]
    return rest is None or most is None or below(rest, most)


_RECEIVED: dict[str, Verdict] = {
    "op_known": one_of("op", "c", "u", "d", "r"),
    "digest_is_sha256": _is_sha256,
    "line_number_positive": at_least("line_number", 1),
}

_SETTINGS: dict[str, Verdict] = {
    "athlete_id_present": present("athlete_id"),
    "valid_from_present": present("valid_from"),
    "threshold_pace_range": within(100, 20 * 60, "threshold_pace_s_per_km"),
    "heartrates_range": within(30, 250, "hr_rest_bpm", "lthr_bpm", "hr_max_bpm"),
    "hr_rest_below_lthr": _rests_a_beat_below_threshold,
    "hr_rest_below_max": _rests_below_max,
    "lthr_within_max": ordered_where_given("lthr_bpm", "hr_max_bpm"),
    "sex_known": lambda row: row["sex"] in (None, "F", "M"),
}

_ACTIVITIES: dict[str, Verdict] = {
    "athlete_id_present": present("athlete_id"),
    "activity_id_present": present("activity_id"),
    "start_date_present": _starts_after_1979,
    "moving_time_positive": _moves_for_30_days_at_most,
    "elapsed_time_positive": at_least("elapsed_time_s", 1),
    "moving_within_elapsed": _moves_within_elapsed,
    "distance_not_negative": _is_distance,
    "elevation_gain_range": within(0, LIMITS["elevation_gain_max_m"], "elevation_gain_m"),
    "run_speed_max": _no_faster_than_its_distance_allows("run"),
    "ride_speed_max": _no_faster_than_its_distance_allows("ride"),
    "average_heartrate_range": within(
        LIMITS["average_heartrate_min_bpm"],
        LIMITS["average_heartrate_max_bpm"],
        "average_heartrate_bpm",
    ),
    "average_heartrate_below_max": ordered_where_given(
        "average_heartrate_bpm", "max_heartrate_bpm"
    ),
    "numbers_finite": finite(
        *("distance_m", "elevation_gain_m", "average_heartrate_bpm", "max_heartrate_bpm"),
        *("average_cadence_rpm", "average_watts_w", "kilojoules", "calories"),
    ),
    "elapsed_over_24h": lambda row: (
        row["elapsed_time_s"] is None or row["elapsed_time_s"] <= _DAY_S
    ),
    "run_slower_than_3_km_h": _is_no_slow_run,
    "gain_over_200_m_per_km": _is_no_steeper_than_200_m_per_km,
}

_SUB_ACTIVITIES: dict[str, Verdict] = {
    "athlete_id_present": present("athlete_id"),
    "activity_id_present": present("activity_id"),
    "kind_known": one_of("kind", "split", "lap"),
    "sub_index_positive": at_least("sub_index", 1),
    "distance_not_negative": within(0, _FARTHEST_M, "distance_m"),
    "moving_time_not_negative": within(0, _LONGEST_S, "moving_time_s"),
    "elapsed_time_not_negative": lambda row: (
        row["elapsed_time_s"] is None or row["elapsed_time_s"] >= 0
    ),
    "numbers_finite": finite(
        *("distance_m", "elevation_difference_m", "average_speed_mps"),
        *("average_heartrate_bpm", "grade_adjusted_speed_mps"),
    ),
}

KEEPS: dict[str, dict[str, Verdict]] = {
    "bronze.strava_activities": {
        "source_known": one_of("source", "strava_api", "strava_export", "debezium"),
        "op_known": _RECEIVED["op_known"],
        "change_log_known": _names_log,
        **_RECEIVED,
        "ids_readable": _names_activity,
    },
    "bronze.athlete_settings": {
        "source_known": one_of("source", "athlete_settings"),
        **_RECEIVED,
        "ids_readable": lambda row: row["athlete_id"] is not None and row["valid_from"] is not None,
    },
    "silver.strava_activities": _ACTIVITIES,
    "silver.strava_sub_activity": _SUB_ACTIVITIES,
    "silver.athlete_settings": _SETTINGS,
    "feature_store.activity_features": ACTIVITY_FEATURES,
    "feature_store.athlete_rolling_features": ROLLING_FEATURES,
}
"""Table -> rule, errors and warnings -> whether a row keeps it; rules in the contract's order."""
