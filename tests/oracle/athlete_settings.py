"""silver.athlete_settings: the columns of one version, the rules it breaks, and what is in use."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from tests.oracle.record import Record
from tests.oracle.values import number, pace

Row = dict[str, Any]

_HEART_RATES = ("hr_max_bpm", "hr_rest_bpm", "lthr_bpm")
_PACE = "threshold_pace_s_per_km"
_NUMBERS = (_PACE, *_HEART_RATES)
_SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}


def judged(record: Record) -> tuple[Row, tuple[str, ...]]:
    """The columns of a version, and the rules or the reason that keep it from being published."""
    row = settings_row(record)
    if any(row[name] is None and record.image.get(name) is not None for name in _NUMBERS):
        return row, ("encoding_unknown",)
    return row, broken_rules(row)


def settings_row(record: Record) -> Row:
    athlete_id, valid_from = record.key
    return {
        "athlete_id": athlete_id,
        "valid_from": valid_from,
        _PACE: pace(record.image.get(_PACE)),
        **{name: number(record.image.get(name)) for name in _HEART_RATES},
        "sex": _sex(record.image.get("sex")),
    }


def _sex(value: Any) -> str | None:
    """F or M; anything else that is there as a text that no rule lets pass."""
    return None if value is None else _SEXES.get(str(value).lower(), str(value))


def broken_rules(row: Row) -> tuple[str, ...]:
    """The names of the rules that a version breaks, in the order of the contract."""
    threshold, most, rest, lthr = (row[name] for name in _NUMBERS)
    rates = [row[name] for name in _HEART_RATES if row[name] is not None]
    holds = {
        "athlete_id_present": row["athlete_id"] is not None,
        "valid_from_present": row["valid_from"] is not None,
        "threshold_pace_range": threshold is None or 100 <= threshold <= 1200,
        "heartrates_range": all(30 <= rate <= 250 for rate in rates),
        "hr_rest_below_lthr": rest is None or lthr is None or rest + 1 <= lthr,
        "hr_rest_below_max": rest is None or most is None or rest < most,
        "lthr_within_max": lthr is None or most is None or lthr <= most,
        "sex_known": row["sex"] in (None, "F", "M"),
    }
    return tuple(name for name, held in holds.items() if not held)


def in_use(rows: Iterable[Row], local_day: date) -> Row:
    """Of an athlete's settings the latest that hold on a day, as a whole; none: an empty row."""
    begun = [row for row in rows if row["valid_from"] <= local_day]
    return max(begun, key=lambda row: row["valid_from"], default={})
