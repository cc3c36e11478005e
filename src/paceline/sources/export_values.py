"""Cells of a bulk export as plain values: numbers, flags and dates in Strava's languages."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal
from functools import cache

_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
_COMMA_GROUPS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_POINT_GROUPS = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{3})+,[0-9]+")
_POINT_THOUSANDS = re.compile(r"[0-9]{1,3}(\.[0-9]{3})+")
_DECIMAL_COMMA = re.compile(r"[+-]?([0-9]{4,},[0-9]+|[0-9]{1,40},([0-9]{1,2}|[0-9]{4,}))")
_SPACES = re.compile(r"\s")
# Wide enough for every product of two plain numbers, so that scaling is exact.
_EXACT = Context(prec=200)

_NO_DOTS = str.maketrans("", "", ". ")

_FLAGS = {
    "true": True,
    "1": True,
    "1.0": True,
    "false": False,
    "0": False,
    "0.0": False,
}

# The languages of Strava, whose month names never contradict each other; all others of CLDR count
# as far as they agree with each other.
_STRAVA_LANGUAGES = ("en", "en_AU", "de", "es", "fr", "it", "nl", "pt", "ru")
# Abbreviations that exports have and CLDR has not, or has no longer.
_MORE_MONTHS = {"mrz": 3, "sept": 9, "fevr": 2, "aout": 8, "dec": 12}
_AFTERNOON = ("pm", "下午", "午後", "오후")
_HALF = r"(?P<half>[ap]\.? ?m\.?|[上下]午|午[前後]|오[전후])"
_TIME = rf"({_HALF} ?)?" + (
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d{2})([:.](?P<second>\d{2}))?"
    + rf"( ?{_HALF.replace('half', 'half_after')})?"
)
# What Russian writes after a year: the letter for it.
_YEAR = "( \N{CYRILLIC SMALL LETTER GHE}\\.?)?"
_NAME = r"(?P<name>[^\s\d.,]{2,})\.?"
_DATES = tuple(
    re.compile(date + r"(,| à| a las| às| kl\.?| um)? ?" + _TIME, re.IGNORECASE | re.ASCII)
    for date in (
        rf"{_NAME} (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})",
        rf"(?P<day>\d{{1,2}})\.? (de )?{_NAME} (de )?(?P<year>\d{{4}}){_YEAR}",
        r"(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>\d{4})",
        r"(?P<year>\d{4})([-/.]) ?(?P<month>\d{1,2})\2 ?(?P<day>\d{1,2})\.?",
        r"(?P<year>\d{4})[年년] ?(?P<month>\d{1,2})[月월] ?(?P<day>\d{1,2})[日일]",
    )
)


def number(cell: str, *, decimal_comma: bool) -> str:
    """Return the number as text with a decimal point; what is no number comes back as it is.

    Whether "1,234" is a decimal fraction or thousands depends on the language of the file;
    everything else can be told from the cell.
    """
    text = cell.strip()
    if _PLAIN_NUMBER.fullmatch(text):
        return text
    digits = _SPACES.sub("", text)
    is_fraction = decimal_comma and digits.count(",") == 1 and "." not in digits
    if _COMMA_GROUPS.fullmatch(digits) and not is_fraction:
        digits = digits.replace(",", "")
    elif _POINT_GROUPS.fullmatch(digits):
        digits = digits.replace(".", "").replace(",", ".")
    else:
        digits = digits.replace(",", ".")
    return digits if _PLAIN_NUMBER.fullmatch(digits) else text


def is_decimal_comma(cell: str) -> bool:
    """Return whether a number has a comma, and one that cannot group thousands."""
    return _DECIMAL_COMMA.fullmatch(cell.strip()) is not None


def as_decimal(cell: str, decimal_comma: bool) -> Decimal | None:
    """Return the number exactly, None for what is none."""
    text = number(cell, decimal_comma=decimal_comma)
    return Decimal(text) if _PLAIN_NUMBER.fullmatch(text) else None


def shown(cell: str, decimal_comma: bool) -> Decimal | None:
    """Return a number that is written for people: with a decimal comma, points group thousands."""
    text = cell.strip()
    if decimal_comma and _POINT_THOUSANDS.fullmatch(text):
        text = text.replace(".", "")
    return as_decimal(text, decimal_comma)


def last_digit(value: Decimal) -> Decimal:
    """Return what one more in the last digit of a number would add."""
    exponent = value.as_tuple().exponent
    return Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)


def times(value: Decimal, factor: int) -> str:
    """Return the product, exactly."""
    return format(_EXACT.multiply(value, Decimal(factor)).normalize(_EXACT), "f")


def scaled(cell: str, factor: str, *, decimal_comma: bool) -> str | None:
    """Return the number times the factor, exactly, or None for what is no number."""
    text = number(cell, decimal_comma=decimal_comma)
    if not _PLAIN_NUMBER.fullmatch(text):
        return None
    product = _EXACT.multiply(Decimal(text), Decimal(factor))
    return format(product.normalize(_EXACT), "f")


def flag(cell: str) -> bool | None:
    """Return what `true`, `false`, `1.0` or `0.0` says, else None."""
    return _FLAGS.get(cell.strip().lower())


def instant(cell: str) -> str | None:
    """Return a date of the export, which is UTC without saying so, as ISO text with Z, else None.

    ISO, `Oct 5, 2014, 4:15:21 PM`, `05.10.2014, 16:15:21`, `2014/10/05 16:15:21`,
    `2014年10月5日 16:15:21`, and `5 oct. 2014, 16:15:21` with the month in any language, with any
    kind of space. A numeric date that does not begin with the year and has no dots is unreadable:
    whether day or month comes first depends on the reader.
    """
    text = unicodedata.normalize("NFC", " ".join(cell.split()))
    try:
        moment = _told_in_words(text) or datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return f"{moment.isoformat()}Z"


def _told_in_words(text: str) -> datetime | None:
    """Read the forms that are not ISO; ValueError when one of them names no date."""
    match = next((match for form in _DATES if (match := form.fullmatch(text))), None)
    if match is None:
        return None
    parts = match.groupdict()
    month = int(parts["month"]) if "month" in parts else _month(parts["name"])
    hour, half = int(parts["hour"]), parts["half"] or parts["half_after"]
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        is_afternoon = half.lower().translate(_NO_DOTS) in _AFTERNOON
        hour = hour % 12 + 12 * is_afternoon
    second = int(parts["second"] or 0)
    return datetime(
        int(parts["year"]), month, int(parts["day"]), hour, int(parts["minute"]), second
    )


def _month(name: str) -> int:
    word = _word(name)
    month = _months(_STRAVA_LANGUAGES).get(word) or _MORE_MONTHS.get(word) or _months().get(word)
    if month is None:
        raise ValueError(name)
    return month


@cache
def _months(languages: tuple[str, ...] | None = None) -> Mapping[str, int]:
    """Month names in some languages, or all, to numbers; what two languages contradict is left out.

    CLDR (https://cldr.unicode.org) has them written out and abbreviated, alone and within a date.
    """
    from babel import Locale, localedata

    found: dict[str, set[int]] = {}
    for language in languages or localedata.locale_identifiers():
        for forms in Locale.parse(language).months.values():
            for form in ("wide", "abbreviated"):
                for month, name in forms[form].items():
                    found.setdefault(_word(name), set()).add(month)
    return {name: months.pop() for name, months in found.items() if len(months) == 1}


def _word(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower().rstrip(".")
