"""Cells of a bulk export as plain values: numbers, flags and dates in Strava's languages."""

import re
import unicodedata
from datetime import UTC, datetime
from decimal import Context, Decimal

_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
_COMMA_GROUPS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_POINT_GROUPS = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{3})+,[0-9]+")
_SPACES = re.compile(r"\s")
# Wide enough for every product of two plain numbers, so that scaling is exact.
_EXACT = Context(prec=200)

_FLAGS = {
    "true": True,
    "1": True,
    "1.0": True,
    "false": False,
    "0": False,
    "0.0": False,
}

# Month names begin alike in all languages, abbreviated or not, but for juin and juillet.
_MONTHS = {
    beginning: month
    for month, beginnings in enumerate(
        (
            "jan ene",
            "feb fev fév",
            "mar mär mrz",
            "apr avr abr",
            "may mai",
            "jun juin",
            "jul juil",
            "aug aoû aou ago",
            "sep",
            "oct okt",
            "nov",
            "dec déc dez dic",
        ),
        start=1,
    )
    for beginning in beginnings.split()
}
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(:(?P<second>\d{2}))?( ?(?P<half>[ap])\.? ?m\.?)?"
_DATES = tuple(
    re.compile(date + r"(,| à| a las)? " + _TIME, re.IGNORECASE | re.ASCII)
    for date in (
        r"(?P<name>[^\s\d.,]{3,})\.? (?P<day>\d{1,2}),? (?P<year>\d{4})",
        r"(?P<day>\d{1,2})\.? (de )?(?P<name>[^\s\d.,]{3,})\.? (de )?(?P<year>\d{4})",
        r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
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

    `Oct 5, 2014, 4:15:21 PM`, ISO, `05.10.2014, 16:15:21` and `5 oct. 2014, 16:15:21`, with any
    kind of space. A numeric date with slashes is unreadable: whether day or month comes first
    depends on the reader.
    """
    text = unicodedata.normalize("NFC", " ".join(cell.split()))
    try:
        moment = _named_or_dotted(text) or datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return f"{moment.isoformat()}Z"


def _named_or_dotted(text: str) -> datetime | None:
    """Read the forms that are not ISO; ValueError when one of them names no date."""
    match = next((match for form in _DATES if (match := form.fullmatch(text))), None)
    if match is None:
        return None
    parts = match.groupdict()
    hour = int(parts["hour"])
    if parts["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + (12 if parts["half"] in "pP" else 0)
    month = int(parts["month"]) if "month" in parts else _month(parts["name"])
    second = int(parts["second"] or 0)
    return datetime(
        int(parts["year"]), month, int(parts["day"]), hour, int(parts["minute"]), second
    )


def _month(name: str) -> int:
    lowered = name.lower()
    month = _MONTHS.get(lowered[:3]) or _MONTHS.get(lowered[:4])
    if month is None:
        raise ValueError(name)
    return month
