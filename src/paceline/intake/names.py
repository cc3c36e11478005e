"""The time of extraction that the name of a file states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from paceline.sources.record import parse_instant_us

_DAY = r"(?P<year>\d{4})(?P<dash>[-_.]?)(?P<month>\d{2})(?P=dash)(?P<day>\d{2})"
# After a T an hour is enough. After anything else it could be the next day, or number a part.
_TIME = (
    r"(?:T(?P<hour>\d{2})(?:[-:_.]?(?P<minute>\d{2}))?(?:[-:_.]?(?P<second>\d{2}))?"
    r"|[ _](?!\d{4}[-_.]\d{2}[-_.]\d{2}|\d{8})"
    r"(?P<hour_>\d{2})(?P<colon>[-:_.]?)(?P<minute_>\d{2})(?P=colon)(?P<second_>\d{2}))"
    r"(?:[.,](?P<fraction>\d+))?(?!\d)"
    # After a minus only hours and minutes apart are an offset; digits alone there number a part.
    r"(?:Z|(?P<ahead>[+]\d{2}(?:[-:_]?\d{2})?)(?!\d)"
    r"|(?P<behind>-\d{2}[-:_](?:00|15|30|45))(?!\d))?"
)
_MOMENT = re.compile(rf"(?<!\d){_DAY}(?:{_TIME}|(?!\d))")
# What names an athlete is no day; neither is it in the archive that Strava makes of one.
_ATHLETE = re.compile(r"athlete(?:[-_ ]?id)?[-_= ]?$", re.IGNORECASE)
_ARCHIVE = re.compile(r"export[-_]\d+(?:_\d+)? ?(?:\(\d+\))?\.zip")
_BETWEEN = re.compile(
    "[-_.,~\\s\u2013\u2014]+(?:(?:to|until|till|through|before|bis|tot|al?|au)[-_.\\s]*)?",
    re.IGNORECASE,
)
_A_DAY_US, _NOON_US = 86_400_000_000, 43_200_000_000


class _Moment(NamedTuple):
    """A day or a time in a name: where it stands, and when it is or begins."""

    begin: int
    end: int
    at_us: int
    is_day: bool


def extraction_time_us(path: str, mtime_us: int) -> int:
    """Return when a file was extracted, in microseconds since 1970.

    A time in the name is that time, in UTC unless it says another zone. A day without a time gives
    the modification time if it lies in that day, else noon (UTC). Two of them side by side, the
    earlier one first, are the window of the activities: they give the modification time, as does a
    name without any.
    """
    name = PurePosixPath(path).name
    found = list(_moments(name))
    if not found or _is_window(name, found):
        return mtime_us
    moment = next((one for one in found if not one.is_day), found[0])
    if not moment.is_day:
        return moment.at_us
    is_that_day = moment.at_us == mtime_us // _A_DAY_US * _A_DAY_US
    return mtime_us if is_that_day else moment.at_us + _NOON_US


def _moments(name: str) -> Iterator[_Moment]:
    for match in _MOMENT.finditer(name):
        year, dash, month, day, *_ = match.groups(default="")
        hour, minute, second = (
            match[part] or match[f"{part}_"] for part in ("hour", "minute", "second")
        )
        if hour is None and (not "1900" <= year < "2100" or _is_id(name, match.start(), dash)):
            continue
        time = f"{hour or '00'}:{minute or '00'}:{second or '00'}.{match['fraction'] or '0'}"
        at_us = parse_instant_us(f"{year}-{month}-{day}T{time}{_offset(match)}")
        if at_us is not None:
            yield _Moment(match.start(), match.end(), at_us, is_day=hour is None)


def _offset(match: re.Match[str]) -> str:
    text = match["ahead"] or match["behind"]
    if text is None:
        return "+00:00"
    digits = re.sub(r"\D", "", text)
    return f"{text[0]}{digits[:2]}:{digits[2:] or '00'}"


def _is_id(name: str, begin: int, dash: str) -> bool:
    is_named = _ATHLETE.search(name[:begin]) or _ARCHIVE.fullmatch(name)
    return not dash and is_named is not None


def _is_window(name: str, found: list[_Moment]) -> bool:
    """Whether the first two are the ends of a window: joined, and the earlier one first."""
    if len(found) < 2:
        return False
    first, second = found[:2]
    is_joined = _BETWEEN.fullmatch(name[first.end : second.begin])
    is_day = first.is_day and second.is_day and first.at_us == second.at_us
    return is_joined is not None and (is_day or first.at_us < second.at_us)
