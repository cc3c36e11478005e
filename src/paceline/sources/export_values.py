"""Cells of a bulk export as plain values: numbers and flags in Strava's languages."""

import re
from decimal import Context, Decimal

_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
_COMMA_GROUPS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_POINT_GROUPS = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{3})+,[0-9]+")
_POINT_THOUSANDS = re.compile(r"[0-9]{1,3}(\.[0-9]{3})+")
_DECIMAL_COMMA = re.compile(r"[+-]?([0-9]{4,},[0-9]+|[0-9]{1,40},([0-9]{1,2}|[0-9]{4,}))")
_GROUPED = re.compile(r"[0-9]{1,3}(['\u2019\s][0-9]{3})+([.,][0-9]+)?")
_SPACES = re.compile(r"\s")
_NO_GROUPS = str.maketrans("", "", "'\u2019")
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


def number(cell: str, *, decimal_comma: bool) -> str:
    """Return the number as text with a decimal point; what is no number comes back as it is.

    Whether "1,234" is a decimal fraction or thousands depends on the language of the file;
    everything else can be told from the cell.
    """
    text = cell.strip()
    if _PLAIN_NUMBER.fullmatch(text):
        return text
    digits = _SPACES.sub("", text)
    if _GROUPED.fullmatch(text):
        digits = digits.translate(_NO_GROUPS)
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
