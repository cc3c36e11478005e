"""Whether a Quartz cron expression can be read."""

from __future__ import annotations

import re

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    ("seconds", 0, 59, ()),
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, _DAYS),
    ("year", 1970, 2099, ()),
)
_PART = re.compile(r"(?P<first>\*|\w+)(-(?P<last>\w+))?(/(?P<step>\d+))?")
_SPECIAL = {"day of month": r"L|LW|\d+W", "day of week": r"\dL|\w+#[1-5]"}


def cron_problem(expression: str) -> str | None:
    """What is wrong with an expression, to be said after its name; None when it is right.

    Its fields are seconds, minutes, hours, day of month, month, day of week and perhaps the year;
    of the two days one has to be `?`.
    """
    given = expression.split()
    if len(given) not in (6, 7):
        return f"{expression} has {len(given)} fields, not 6 or 7"
    if (given[3] == "?") == (given[5] == "?"):
        return f"{expression} needs a ? for one of the two days"
    for (name, low, high, names), text in zip(_FIELDS, given, strict=False):
        for part in text.split(","):
            if not _is_part(part, name, low, high, names):
                return f"{expression} has {part} for its {name}"
    return None


def _is_part(part: str, name: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    if part == "?":
        return name.startswith("day of")
    if name in _SPECIAL and re.fullmatch(_SPECIAL[name], part):
        return True
    matched = _PART.fullmatch(part)
    if matched is None:
        return False
    bounds = [matched[group] for group in ("first", "last") if matched[group] not in (None, "*")]
    numbers = [_number(text, low, names) for text in bounds]
    is_step = matched["step"] is None or 0 < int(matched["step"]) <= high
    return is_step and all(number is not None and low <= number <= high for number in numbers)


def _number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text.upper() in names:
        return names.index(text.upper()) + low
    return int(text) if text.isdecimal() else None
