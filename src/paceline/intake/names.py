"""The time of extraction that the name of a file states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath

from paceline.sources.record import parse_instant_us

_TIME = re.compile(
    r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})T(\d{2})[-:_]?(\d{2})[-:_]?(\d{2})(?:[.,](\d+))?(?!\d)"
    # After a minus only hours and minutes apart are an offset; digits alone there number a part.
    r"(?:(Z)|([+])(\d{2})(?:[-:_]?(\d{2}))?(?!\d)|(-)(\d{2})[-:_](00|15|30|45)(?!\d))?"
)
_DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})([-_.]?)(\d{2})\2(\d{2})(?!\d)")
# Strava's archive of the athlete 20231105 says nothing of the fifth of November.
_ARCHIVE = re.compile(r"export_\d+ ?(\(\d+\))?\.zip")
_UNTIL = re.compile(r"[-_.]{1,2}|[-_ ]*to[-_ ]*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_A_DAY_US, _NOON_US = 86_400_000_000, 43_200_000_000

Found = tuple[re.Match[str], int]


def extraction_time_us(path: str, mtime_us: int) -> int:
    """Return when a file was extracted, in microseconds since 1970.

    A time in the name is that time. A day without a time gives the modification time if it lies in
    that day, else noon (UTC). Two times or days side by side are the window of the activities: they
    give the modification time, as does a name without any, and that of the archive which Strava
    makes of an athlete's data.
    """
    name = PurePosixPath(path).name
    if times := list(_times(name)):
        return mtime_us if _is_window(name, times) else times[0][1]
    days = [] if _ARCHIVE.fullmatch(name) else list(_days(name))
    if not days or _is_window(name, days) or days[0][1] == mtime_us // _A_DAY_US * _A_DAY_US:
        return mtime_us
    return days[0][1] + _NOON_US


def _times(name: str) -> Iterator[Found]:
    for match in _TIME.finditer(name):
        year, month, day, hour, minute, second, fraction, *zone = match.groups(default="")
        _, plus, plus_hour, plus_minute, minus, minus_hour, minus_minute = zone
        offset = "+00:00"
        if plus:
            offset = f"+{plus_hour}:{plus_minute or '00'}"
        elif minus:
            offset = f"-{minus_hour}:{minus_minute}"
        time = f"{hour}:{minute}:{second}.{fraction or '0'}{offset}"
        instant_us = parse_instant_us(f"{year}-{month}-{day}T{time}")
        if instant_us is not None:
            yield match, instant_us


def _days(name: str) -> Iterator[Found]:
    for match in _DAY.finditer(name):
        year, _, month, day = match.groups()
        try:
            midnight = datetime.combine(date(int(year), int(month), int(day)), _EPOCH.timetz())
        except ValueError:
            continue
        yield match, (midnight - _EPOCH) // timedelta(microseconds=1)


def _is_window(name: str, found: list[Found]) -> bool:
    """Whether the first two are the ends of a window: next to each other, the earlier one first."""
    if len(found) < 2:
        return False
    (first, begin_us), (second, end_us) = found[:2]
    is_joined = _UNTIL.fullmatch(name[first.end() : second.start()])
    return is_joined is not None and begin_us < end_us
