"""What rules are made of: functions that build a verdict, and the order of numbers in SQL.

A verdict is True where the row keeps the rule. An absent value breaks what is asked of it, unless
the docstring says that it may be absent. NaN equals itself and is above every number, also above
infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

Row = Mapping[str, Any]
Verdict = Callable[[Row], bool]


def at_most(left: float | None, right: float | None) -> bool:
    """left <= right."""
    if left is None or right is None:
        return False
    # Nothing is above NaN, which the <= of Python does not know.
    return math.isnan(right) or left <= right


def below(left: float | None, right: float | None) -> bool:
    """left < right."""
    return left is not None and right is not None and not at_most(right, left)


def given(row: Row, columns: tuple[str, ...]) -> list[Any]:
    """The values that are there."""
    return [row[column] for column in columns if row[column] is not None]


def present(column: str) -> Verdict:
    return lambda row: row[column] is not None


def one_of(column: str, *values: str) -> Verdict:
    return lambda row: row[column] in values


def at_least(column: str, low: float) -> Verdict:
    return lambda row: at_most(low, row[column])


def within(low: float, high: float, *columns: str) -> Verdict:
    """Each value is between the limits, which belong to the range, or absent."""
    return lambda row: all(low <= value <= high for value in given(row, columns))


def ordered(*columns: str) -> Verdict:
    """No value is above that of the next column."""
    return lambda row: all(at_most(row[left], row[right]) for left, right in pairwise(columns))


def ordered_where_given(left: str, right: str) -> Verdict:
    """The one value is not above the other, or one of them is absent."""
    return lambda row: len(given(row, (left, right))) < 2 or at_most(row[left], row[right])


def none_negative(*columns: str) -> Verdict:
    """No value is negative; any or all may be absent."""
    return lambda row: not any(value < 0 for value in given(row, columns))


def any_given(*columns: str) -> Verdict:
    return lambda row: bool(given(row, columns))


def finite(*columns: str) -> Verdict:
    """No value is infinite or NaN; any or all may be absent."""
    return lambda row: all(math.isfinite(value) for value in given(row, columns))


def both_or_neither(left: str, right: str) -> Verdict:
    """Both values are absent, or both are there."""
    return lambda row: (row[left] is None) == (row[right] is None)


def all_of(*verdicts: Verdict) -> Verdict:
    return lambda row: all(verdict(row) for verdict in verdicts)
