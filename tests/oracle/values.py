"""Reading single values of received records: each function gives None for what it cannot read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.date()
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
BIGINT_END = 2**63

_FLAGS = {"true": True, "false": False}

_NUMERIC = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
# Python would take any character for the one between day and time, a sign of a zone included.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?", re.ASCII)
_MINUTES = re.compile(r"\s*(\d{1,3}):([0-5]\d)\s*", re.ASCII)
_ZONE_LABEL = re.compile(r"(?:\(GMT([+-])(\d\d):(\d\d)\))?\s*(.*)", re.ASCII | re.DOTALL)


def json_value(text: str) -> Any:
    """The value that a text is; ValueError or RecursionError for every other text."""
    # NaN and infinity are no JSON; whoever prints them means a value that is no number.
    return json.loads(text, parse_constant=str)


def json_object(text: str) -> dict[str, Any] | None:
    """The object that a text is; None for every other text."""
    try:
        value = json_value(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def given(image: Mapping[str, Any], *names: str) -> Any:
    """The first of some fields that is there and not null."""
    return next((image[name] for name in names if image.get(name) is not None), None)


def identifier(value: Any) -> int | None:
    """A positive BIGINT, from an integer or a string of digits, never through a float."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 100:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < BIGINT_END:
        return value
    return None


def number(value: Any) -> float | None:
    """A DOUBLE, from a number or a numeric string; -0.0 becomes 0.0."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not _NUMERIC.fullmatch(value):
        return None
    # Through the text, because an integer too great for a float must become infinite, not fail.
    return float(str(value)) + 0.0


def pace(value: Any) -> float | None:
    """Seconds per kilometre, as a number or in minutes and seconds: "4:00" is 240."""
    found = _MINUTES.fullmatch(value) if isinstance(value, str) else None
    return 60.0 * int(found[1]) + int(found[2]) if found else number(value)


def whole(value: Any) -> int | None:
    """A BIGINT, from a number or numeric string without a fraction: 2151.0 is one, 2151.5 not."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,30}", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        as_float = number(value)
        if as_float is None or not as_float.is_integer():
            return None
        value = int(as_float)
    return value if -BIGINT_END <= value < BIGINT_END else None


def string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def text(value: Any) -> str | None:
    """What is written: of a number or a flag its text, too."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def compact(sport: str) -> str:
    """A sport as it is compared: Nordic Ski, nordic-ski and NordicSki are the same."""
    return sport.replace(" ", "").replace("-", "").lower()


def boolean(value: Any) -> bool | None:
    """A flag: true or false, also as text, or 1 or 0."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _FLAGS:
        return _FLAGS[value]
    as_number = number(value)
    return bool(as_number) if as_number in (0.0, 1.0) else None


def wall_clock(value: Any) -> datetime | None:
    """What an ISO timestamp shows on the clock, whatever zone it names."""
    moment = _moment(value)
    return None if moment is None else moment.replace(tzinfo=None)


def instant_us(value: Any) -> int | None:
    """Microseconds since 1970 of an ISO timestamp; without a zone it is UTC."""
    instant = _moment(value)
    if instant is None:
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - EPOCH) // timedelta(microseconds=1)


def _moment(value: Any) -> datetime | None:
    """A day, or a day and a time with or without a zone."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def day(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def clock_at_offset(instant: int, offset_s: float) -> datetime | None:
    """What a clock that is some seconds ahead of UTC shows at an instant."""
    try:
        return EPOCH.replace(tzinfo=None) + timedelta(
            microseconds=instant + int(offset_s * SECOND_US)
        )
    except (OverflowError, ValueError):
        return None


def clock_in_zone(instant: int, label: str | None) -> datetime | None:
    """What the clocks show in a zone: 'Europe/Berlin', '(GMT+01:00) Europe/Berlin'.

    The offset in brackets counts only where the name is not that of a zone, for it knows no summer.
    """
    sign, hours, minutes, name = _ZONE_LABEL.fullmatch(label or "").groups()
    try:
        moment = EPOCH + timedelta(microseconds=instant)
        return moment.astimezone(ZoneInfo(name.strip())).replace(tzinfo=None)
    except (KeyError, ValueError, OSError, OverflowError):
        pass
    if sign is None:
        return None
    offset_s = int(hours) * 3600 + int(minutes) * 60
    return clock_at_offset(instant, offset_s if sign == "+" else -offset_s)
