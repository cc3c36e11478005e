"""The dates of an export, which are written for people, in the language of the athlete."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import cache

from babel import Locale
from babel.localedata import locale_identifiers

from tests.oracle.values import instant_us

# What Strava itself is offered in: what these call a month is a month, whatever others call so.
_LANGUAGES_OF_STRAVA = ("de", "en", "es", "fr", "it", "ja", "ko", "nl", "pt", "ru", "zh")
_LONGEST_NAME_WORDS = 3

_AFTERNOON = ("p", "오후", "下午", "午後")
_HALF = r"[ap]\.? ?m\.?|오전|오후|上午|下午|午前|午後"
_CLOCK = re.compile(
    rf"(?<!\w)(?:({_HALF}) ?)?(\d{{1,2}}):(\d\d)(?::(\d\d))?(?: ?({_HALF}))?(?!\w)",
    re.ASCII | re.IGNORECASE,
)
_NUMBERED_DAYS = [
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"(\d{4})[年년] ?(\d{1,2})[月월] ?(\d{1,2})[日일]",
        r"(\d{4})/(\d{1,2})/(\d{1,2})",
        r"(\d{4})\. ?(\d{1,2})\. ?(\d{1,2})\.?",
    )
]
_YEAR = re.compile(r"\d{4}", re.ASCII)
_DAY = re.compile(r"\d{1,2}", re.ASCII)

Words = list[str]


def iso(text: str | None) -> str | None:
    """The moment that a text says, in ISO; the text itself where nothing can read it."""
    spaced = " ".join((text or "").split())
    if instant_us(text) is not None:
        return text
    moment = _english(spaced) or _of_any_language(spaced)
    return text if moment is None else moment.isoformat()


def _english(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%b %d, %Y, %I:%M:%S %p")
    except ValueError:
        return None


def _of_any_language(text: str) -> datetime | None:
    """A day and a clock; without a clock the start of the day."""
    clock = _CLOCK.search(text)
    rest = text if clock is None else f"{text[: clock.start()]} {text[clock.end() :]}"
    numbers = _numbered_day(rest) or _named_day(_words(rest))
    if numbers is None:
        return None
    try:
        midnight = datetime(*numbers)
        return midnight if clock is None else midnight + _since_midnight(clock)
    except ValueError:
        return None


def _since_midnight(clock: re.Match[str]) -> timedelta:
    before, hours, minutes, seconds, after = clock.groups()
    half, hour = (before or after or "").lower(), int(hours)
    if half and hour <= 12:
        hour = hour % 12 + 12 * half.startswith(_AFTERNOON)
    elif half:
        raise ValueError(f"there is no {clock[0]}")
    shown = datetime(1970, 1, 1, hour, int(minutes), int(seconds or 0))
    return shown - datetime(1970, 1, 1)


def _numbered_day(text: str) -> tuple[int, ...] | None:
    """Year, month and day of a date that begins with its year."""
    found = (pattern.fullmatch(text.strip(" ,")) for pattern in _NUMBERED_DAYS)
    return next((tuple(map(int, match.groups())) for match in found if match), None)


def _named_day(words: Words) -> tuple[int, int, int] | None:
    """Year, month and day of a date with the name of its month, in any order."""
    for length in range(_LONGEST_NAME_WORDS, 0, -1):
        for start in range(len(words) - length + 1):
            month = months().get(" ".join(words[start : start + length]))
            others = words[:start] + words[start + length :]
            numbers = _year_and_day([word for word in others if word not in particles()])
            if month is not None and numbers is not None:
                return numbers[0], month, numbers[1]
    return None


def _year_and_day(words: Words) -> tuple[int, int] | None:
    years = [int(word) for word in words if _YEAR.fullmatch(word)]
    days = [int(word) for word in words if _DAY.fullmatch(word)]
    is_whole = len(words) == 2 and len(years) == len(days) == 1
    return (years[0], days[0]) if is_whole else None


def _words(text: str) -> Words:
    """The words in small letters, without the points of abbreviations."""
    stripped = (word.strip(".") for word in re.split(r"[\s,]+", text.casefold()))
    return [word for word in stripped if word]


@cache
def months() -> dict[str, int]:
    """The number of the month for each name that does not mean another month elsewhere."""
    everywhere = _months_of(locale_identifiers())
    of_strava = _months_of(_LANGUAGES_OF_STRAVA)
    return _certain(everywhere) | _certain(of_strava)


def _certain(meanings: dict[str, set[int]]) -> dict[str, int]:
    return {name: min(numbers) for name, numbers in meanings.items() if len(numbers) == 1}


def _months_of(languages: Iterable[str]) -> dict[str, set[int]]:
    meanings = defaultdict(set)
    for language in languages:
        for by_width in Locale.parse(language).months.values():
            for width in ("wide", "abbreviated"):
                for month, name in by_width[width].items():
                    meanings[" ".join(_words(name))].add(month)
    return meanings


@cache
def particles() -> Collection[str]:
    """The words between the parts of a date, as in 3 de abril de 2020, and the Russian for year."""
    found = set()
    for language in locale_identifiers():
        locale = Locale.parse(language)
        for length in ("medium", "long"):
            pattern = f"{locale.date_formats[length].pattern} {locale.datetime_formats[length]}"
            for quoted in re.findall("'([^']+)'", pattern):
                found.update(_words(quoted))
    return found
