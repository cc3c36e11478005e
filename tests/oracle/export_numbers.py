"""The distances of an export: one number for people, and one for programs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from tests.oracle.values import number

METRES_PER_KM = 1000.0
METRES_PER_NAUTICAL_MILE = 1852.0
METRES_PER_METRE = 1.0
_LEAST_SLACK_M = 1

_COMMAS_GROUP = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?", re.ASCII)
_POINTS_GROUP = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?", re.ASCII)
_COMMA_OF_FRACTION = re.compile(r"[+-]?\d+,\d*", re.ASCII)


class Written(NamedTuple):
    """A number that was written for people, and what one more in its last digit is worth."""

    value: float
    step: Decimal


def written(text: str | None, *, is_english: bool) -> Written | None:
    """A number whose thousands may be grouped; languages other than English may swap the signs."""
    plain = _plain((text or "").strip(), is_english)
    value = number(plain)
    if value is None:
        return None
    decimals = plain.partition(".")[2]
    return Written(value, Decimal(1).scaleb(-len(decimals)) if decimals.isdigit() else Decimal(1))


def _plain(text: str, is_english: bool) -> str:
    if _COMMAS_GROUP.fullmatch(text):
        return text.replace(",", "")
    if not is_english and _POINTS_GROUP.fullmatch(text):
        return text.replace(".", "").replace(",", ".")
    if not is_english and _COMMA_OF_FRACTION.fullmatch(text):
        return text.replace(",", ".")
    return text


def is_rounded(first: Written, exact_m: float, units_m: Iterable[float]) -> bool:
    """Whether the first number, in one of some units, is the exact one but for its last digit."""
    return any(_is_rounded(first, exact_m, Decimal(str(unit))) for unit in units_m)


def _is_rounded(first: Written, exact_m: float, unit_m: Decimal) -> bool:
    if not (math.isfinite(first.value) and math.isfinite(exact_m)):
        return False
    # In decimals, because at the edge of what is allowed floats are a little off.
    apart_m = abs(Decimal(str(exact_m)) - Decimal(str(first.value)) * unit_m)
    return apart_m <= max(_LEAST_SLACK_M, first.step * unit_m)
