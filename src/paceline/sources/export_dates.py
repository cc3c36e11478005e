"""Dates of a bulk export, which are written for people, in the language of the athlete.

Names of months, weekdays and halves of the day are those of CLDR (https://cldr.unicode.org), of any
language. Where languages contradict each other, only that of the file can tell.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, TypeVar

_Meaning = TypeVar("_Meaning")
_Languages = tuple[str, ...] | None  # None: all of CLDR

# Where these agree with each other, they are right, whatever others say.
_STRAVA_LANGUAGES = ("en", "en_AU", "de", "es", "fr", "it", "nl", "pt", "ru")
# What exports have and CLDR has not, or has no longer.
_MORE_MONTHS = {"mrz": 3, "sept": 9, "fevr": 2, "aout": 8, "dec": 12}
_MORE_HALVES = {
    **dict.fromkeys(("am", "上午", "午前", "오전", "凌晨", "早上"), False),
    **dict.fromkeys(("pm", "下午", "午後", "오후", "中午", "晚上"), True),
}
# Words between the parts of a date that name none of them, besides those of CLDR; the last ones
# come after the number of a day.
_MORE_WORDS = (
    *"年月日년월일",
    *("utc", "at", "om", "um", "kl", "à", "a", "las", "às", "alle", "ore"),
    *("er", "st", "nd", "rd", "th", "o"),
)
_LONGEST_NAME_WORDS = 5

_CLOCK = (
    r"(?P<hour>\d{1,2}) ?(?:[:時时시点]|h) ?(?P<minute>\d{1,2})"
    r"(?: ?(?:[:分분]|min) ?(?:(?P<second>\d{1,2}) ?[秒초s]?)?)?(?!\d)"
)
# With dots it could be a day and a month, were it not the last.
_CLOCK_OF_DOTS = r"(?P<hour>\d{1,2})\.(?P<minute>\d{2})(?:\.(?P<second>\d{2}))?$"
_NUMBER = re.compile(r"\d+")
_QUOTED = re.compile(r"'([^']+)'")
# Beside plain punctuation the apostrophe of print, and the commas of Arabic and Chinese.
_BETWEEN_WORDS = re.compile("[\\s\\d.,:;/()\\[\\]'\u2019\u060c\u3001-]+")
_YEAR_FIRST = re.compile(r"\D*(\d{4})\D+(\d{1,2})\D+(\d{1,2})\D*")
_DAY_FIRST = re.compile(r"\D*(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})\D*")
_EITHER_FIRST = re.compile(r"\D*(\d{1,2})[/-](\d{1,2})[/-](\d{4})\D*")
_NO_DOTS = str.maketrans("", "", ". ")


@lru_cache(maxsize=4096)
def instant(cell: str, language: str | None = None) -> str | None:
    """Return a date of the export, which is UTC without saying so, as ISO text with Z, else None.

    ISO, or a day and a time of day in any order and with any kind of space. A month is a name, or a
    number after the year or between dots. Of 25/10/2014 only one reading is a date; of 05/10/2014
    two are, and only the language of the file tells. A word that is none of a date makes a text
    unreadable, for it could be anything.

    Args:
        cell: the text.
        language: that of the file, as CLDR calls it, where its header tells.
    """
    text = _plain(cell)
    try:
        # Few files need the names of all languages, which take a second to load.
        moment = _in_words(text, language, _STRAVA_LANGUAGES)
        moment = moment or _iso(text) or _in_words(text, language, None)
        if moment is None:
            return None
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return f"{moment.isoformat()}Z"


def _plain(text: str) -> str:
    """The text in lower case, with plain blanks and digits, and without marks of direction."""
    spaced = " ".join(unicodedata.normalize("NFKC", text).split()).lower()
    shown = (c for c in spaced if unicodedata.category(c) != "Cf")
    return "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in shown)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def _in_words(text: str, language: str | None, languages: _Languages) -> datetime | None:
    """Read what is not ISO; None without a clock or a day, ValueError when there is no such."""
    clocks = (_clocks(clock, languages) for clock in (_CLOCK, _CLOCK_OF_DOTS))
    clock = next((found for pattern in clocks if (found := pattern.search(text))), None)
    if clock is None:
        return None
    rest = f"{text[: clock.start()]} {text[clock.end() :]}"
    day = _day(rest, language, _others(languages))
    if day is None:
        return None
    hour, half = int(clock["hour"]), clock["half"] or clock["half_after"]
    if half:
        if hour > 12:
            raise ValueError(text)
        hour = hour % 12 + 12 * _halves(languages)[half.translate(_NO_DOTS)]
    return datetime(*day, hour, int(clock["minute"]), int(clock["second"] or 0))


def _day(text: str, language: str | None, others: frozenset[str]) -> tuple[int, int, int] | None:
    """Year, month and day."""
    month = _month(_words(text), language, others)
    if month is None:
        return None
    if month:
        numbers = _NUMBER.findall(text)
        years = [number for number in numbers if len(number) == 4]
        days = [number for number in numbers if len(number) <= 2]
        if len(numbers) == 2 and len(years) == len(days) == 1:
            return int(years[0]), month, int(days[0])
        return None
    if found := _YEAR_FIRST.fullmatch(text):
        return int(found[1]), int(found[2]), int(found[3])
    if found := _DAY_FIRST.fullmatch(text):
        return int(found[3]), int(found[2]), int(found[1])
    if found := _EITHER_FIRST.fullmatch(text):
        first, second, year = map(int, found.groups())
        is_day_first = _is_day_first(first, second, language)
        if is_day_first is not None:
            return (year, second, first) if is_day_first else (year, first, second)
    return None


def _is_day_first(first: int, second: int, language: str | None) -> bool | None:
    if (first > 12) != (second > 12) or first == second:
        return first >= second
    if language is None or not _is_known(language):
        return None
    from babel import Locale

    pattern = str(Locale.parse(language).date_formats["short"].pattern)
    return pattern.index("d") < pattern.index("M")


def _month(words: list[str], language: str | None, others: frozenset[str]) -> int | None:
    """The month that is named, 0 where there is none; None where words are not understood.

    Of names that lie in each other, the longest counts. A word may also be that of a weekday, which
    is not the month where another one is.
    """
    found: list[tuple[int, int, int]] = []
    for length in range(min(_LONGEST_NAME_WORDS, len(words)), 0, -1):
        for begin in range(len(words) - length + 1):
            end = begin + length
            is_inside = any(begin < later and earlier < end for earlier, later, _ in found)
            month = None if is_inside else _month_of(" ".join(words[begin:end]), language)
            if month:
                found.append((begin, end, month))
    if len(found) > 1:
        found = [one for one in found if " ".join(words[one[0] : one[1]]) not in others]
        if len(found) != 1:
            return None
    begin, end, month = found[0] if found else (0, 0, 0)
    rest = (*words[:begin], *words[end:])
    return month if others.issuperset(rest) else None


def _month_of(name: str, language: str | None) -> int | None:
    own = _months((language,)) if language is not None and _is_known(language) else {}
    known = own.get(name) or _months(_STRAVA_LANGUAGES).get(name)
    return known or _MORE_MONTHS.get(name) or _months(None).get(name)


@cache
def _is_known(language: str) -> bool:
    from babel import localedata

    return bool(localedata.exists(language))


@cache
def _months(languages: _Languages) -> Mapping[str, int]:
    """Names of months, written out or short, alone or within a date."""
    return _agreed(
        (name, month)
        for locale in _locales(languages)
        for forms in locale.months.values()
        for form in ("wide", "abbreviated")
        for month, name in forms[form].items()
    )


@cache
def _halves(languages: _Languages) -> Mapping[str, bool]:
    """Names of the halves of a day, without dots and blanks, and whether it is the later half."""
    found = _agreed(
        (forms[half], half == "pm")
        for locale in _locales(languages)
        for forms in locale.day_periods.get("format", {}).values()
        for half in ("am", "pm")
        if half in forms
    )
    short = {name.translate(_NO_DOTS): is_later for name, is_later in found.items()}
    return {name: is_later for name, is_later in short.items() if len(name) > 1} | _MORE_HALVES


@cache
def _others(languages: _Languages) -> frozenset[str]:
    """Words of a date that are no months: those of weekdays, and those that join its parts."""
    found = set(_MORE_WORDS)
    for locale in _locales(languages):
        names = [
            name
            for forms in (locale.days["format"], locale.days["stand-alone"])
            for form in ("wide", "abbreviated")
            for name in forms[form].values()
        ]
        formats = (*locale.date_formats.values(), *locale.datetime_formats.values())
        names += [text for form in formats for text in _QUOTED.findall(str(form))]
        found.update(word for name in names for word in _words(_plain(name)))
    return frozenset(found)


@cache
def _clocks(clock: str, languages: _Languages) -> re.Pattern[str]:
    by_length = sorted(_halves(languages), key=len, reverse=True)
    half = "|".join(r"\.? ?".join(map(re.escape, name)) + r"\.?" for name in by_length)
    begin = rf"(?:(?<!\w)(?P<half>{half}),? ?|(?<![\w.:]))"
    return re.compile(rf"{begin}{clock}(?: ?(?P<half_after>{half})(?!\w))?")


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(text) if word]


def _locales(languages: _Languages) -> Iterator[Any]:
    from babel import Locale, localedata

    return map(Locale.parse, languages or localedata.locale_identifiers())


def _agreed(named: Iterable[tuple[str, _Meaning]]) -> dict[str, _Meaning]:
    """What a name means, where it means but one thing."""
    found: dict[str, set[_Meaning]] = {}
    for name, meaning in named:
        plain = _plain(name)
        found.setdefault(" ".join(_words(plain)) or plain, set()).add(meaning)
    return {name: meanings.pop() for name, meanings in found.items() if len(meanings) == 1}
