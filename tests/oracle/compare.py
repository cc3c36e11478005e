"""Tables side by side: what differs, in words."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

Key = tuple[Any, ...]
Row = Mapping[str, Any]

_TOLERANCE = 1e-9


def of_columns(rows: Mapping[Key, Row], names: Collection[str]) -> dict[Key, dict[str, Any]]:
    """The rows with those of their columns that are named."""
    return {
        key: {name: value for name, value in row.items() if name in names}
        for key, row in rows.items()
    }


def differences(
    expected: Mapping[Key, Row], actual: Mapping[Key, Row], limit: int = 5
) -> list[str]:
    """One line per difference, at most `limit` and then one that counts the others.

    Floats may differ by 1e-9, relative or absolute, but NaN and -0.0 never pass; all other values
    must be equal and of the same type.
    """
    found = list(_differences(expected, actual))
    more = len(found) - limit
    return [*found[:limit], f"... and {more} more"] if more > 0 else found


def _differences(expected: Mapping[Key, Row], actual: Mapping[Key, Row]) -> Iterator[str]:
    for key in sorted(expected.keys() | actual.keys(), key=_in_order):
        if key not in actual:
            yield f"{_shown(key)}: missing"
        elif key not in expected:
            yield f"{_shown(key)}: not expected"
        else:
            yield from _row_differences(key, expected[key], actual[key])


def _row_differences(key: Key, expected: Row, actual: Row) -> Iterator[str]:
    for column in [*expected, *(name for name in actual if name not in expected)]:
        if column not in actual:
            yield f"{_shown(key)}: no column {column}"
        elif column not in expected:
            yield f"{_shown(key)}: column {column} is not expected"
        elif not _same(expected[column], actual[column]):
            yield f"{_shown(key)} {column}: expected {expected[column]!r}, got {actual[column]!r}"


def _same(expected: Any, actual: Any) -> bool:
    if type(expected) is not type(actual):
        return False
    if not isinstance(expected, float):
        return expected == actual
    if actual == 0 and math.copysign(1, actual) < 0:
        return False
    return math.isclose(expected, actual, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _in_order(key: Key) -> list[tuple[str, Any]]:
    """Numbers by size and days by date; NULL first, whatever else stands in the column."""
    return [("" if part is None else type(part).__name__, part or 0) for part in key]


def _shown(key: Key) -> str:
    return f"({', '.join('NULL' if part is None else str(part) for part in key)})"
