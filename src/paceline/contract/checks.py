"""Entries of `quality` -> row rules and thresholds."""

from __future__ import annotations

import re
from collections.abc import Mapping

from open_data_contract_standard.model import DataQuality

from paceline.contract.document import Document, Place
from paceline.contract.model import Column, Rule, Severity, Threshold, Value

ENGINE = "paceline"

_OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
)
_TABLE_METRICS = {"rowCount": ("rows",)}
_COLUMN_METRICS = {"nullValues": ("rows", "percent")}

_STRING_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'")
_NAME = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\b(?!\s*\()")


def rule(document: Document, place: Place, entry: DataQuality, columns: tuple[Column, ...]) -> Rule:
    """The row rule that `entry` describes.

    Raises `UsageError` when a part of it is missing or unknown.
    """
    name = document.text(place, "name", entry.name)
    document.one_of(place, "type", entry.type, ("custom",))
    document.one_of(place, "engine", entry.engine, (ENGINE,))
    predicate = document.text(place, "implementation", entry.implementation)
    types = {column.name: column.type for column in columns}
    for unknown in _unknown_columns(predicate, types):
        raise document.mistake(
            (*place, "implementation"),
            f"the rule '{name}' names the unknown column '{unknown}',"
            f" allowed are {', '.join(types)} (words of SQL are written in capitals).",
        )
    return Rule(
        name=name,
        predicate=predicate,
        severity=_severity(document, place, entry),
        description=document.text(place, "description", entry.description),
        counter_example=_counter_example(document, place, entry, types),
    )


def threshold(
    document: Document, place: Place, entry: DataQuality, column: str | None
) -> Threshold:
    """The limit on a batch that `entry` describes, for `column` or, when None, for the table.

    Raises `UsageError` when a part of it is missing or unknown.
    """
    metrics = _TABLE_METRICS if column is None else _COLUMN_METRICS
    metric = document.one_of(place, "metric", entry.metric, tuple(metrics))
    unit = document.one_of(place, "unit", entry.unit, metrics[metric])
    operators = [name for name in _OPERATORS if getattr(entry, name) is not None]
    if len(operators) != 1:
        allowed = ", ".join(_OPERATORS)
        raise document.mistake(place, f"'{metric}' needs exactly one comparison of {allowed}.")
    limit = getattr(entry, operators[0])
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise document.mistake((*place, operators[0]), f"'{operators[0]}' has to be a number.")
    return Threshold(
        metric=metric,
        column=column,
        operator=operators[0],
        limit=float(limit),
        unit=unit,
        severity=_severity(document, place, entry),
        description=document.text(place, "description", entry.description),
    )


def _severity(document: Document, place: Place, entry: DataQuality) -> Severity:
    allowed: tuple[Severity, ...] = ("error", "warning")
    return document.one_of(place, "severity", entry.severity, allowed)


def _unknown_columns(predicate: str, columns: Mapping[str, str]) -> list[str]:
    """Names in `predicate` that are neither a column, nor a function, nor a word of SQL.

    Words of SQL are told by their capitals, which is cheap and keeps predicates readable.
    """
    names = _NAME.findall(_STRING_LITERAL.sub("''", predicate))
    return [name for name in names if name not in columns and not name.isupper()]


def _counter_example(
    document: Document, place: Place, entry: DataQuality, types: Mapping[str, str]
) -> dict[str, Value]:
    custom = document.custom_properties(place, entry.customProperties, ("counterExample",))
    if "counterExample" not in custom:
        raise document.mistake(
            place,
            f"the rule '{entry.name}' has no counterExample,"
            " the column values that make the example row break it.",
        )
    at, values = custom["counterExample"]
    if not isinstance(values, dict) or not values:
        raise document.mistake(at, "a counterExample is a mapping of columns to values.")
    cells = {}
    for column, value in values.items():
        if column not in types:
            allowed = ", ".join(types)
            problem = f"the counterExample names the unknown column '{column}', allowed are"
            raise document.mistake((*at, column), f"{problem} {allowed}.")
        cells[column] = document.cell((*at, column), column, value, types[column])
    return cells
