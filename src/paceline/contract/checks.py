"""Entries of `quality` without a metric -> row rules."""

from __future__ import annotations

import re
from collections.abc import Mapping

from open_data_contract_standard.model import DataQuality

from paceline.contract.document import Document, Place
from paceline.contract.limits import severity
from paceline.contract.model import Column, Rule, Value

ENGINE = "paceline"

_STRING_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'")
_NAME = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\b(?!\s*\()")
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_NULL_TEST = re.compile(r"\b\w+\s+IS\s+(?:NOT\s+)?NULL\b")
# Quotes that hide what they hold from the look at names, comments, and the end of a statement.
_NO_EXPRESSION = re.compile(r"[\"`;]|--|/\*|\w''")
_RULE_NAME = re.compile(r"[a-z][a-z0-9_]*")

# What would make a verdict depend on more than the row: clock, chance, place, and other rows.
_BEYOND_THE_ROW = frozenset(
    {
        *("current_date", "current_timestamp", "curdate", "localtimestamp", "now"),
        *("current_timezone", "unix_timestamp", "current_user", "session_user"),
        *("rand", "randn", "random", "randstr", "uniform", "uuid", "shuffle"),
        *("monotonically_increasing_id", "spark_partition_id", "input_file_name"),
        *("select", "over"),
        *("reflect", "try_reflect", "java_method", "secret", "try_secret"),
    }
)


def rule(document: Document, place: Place, entry: DataQuality, columns: tuple[Column, ...]) -> Rule:
    """The row rule that `entry` describes.

    Raises `UsageError` when a part of it is missing or unknown, when it looks at more than one row,
    or when its counter-example cannot break it.
    """
    name = document.text(place, "name", entry.name)
    if not _RULE_NAME.fullmatch(name):
        raise document.mistake(
            (*place, "name"),
            f"the rule is called '{name}', a name is made of lower-case letters, digits and '_'"
            " and begins with a letter, because it names a constraint of the table too.",
        )
    document.one_of(place, "type", entry.type, ("custom",))
    document.one_of(place, "engine", entry.engine, (ENGINE,))
    predicate = document.text(place, "implementation", entry.implementation)
    by_name = {column.name: column for column in columns}
    _check_names(document, place, name, predicate, by_name)
    return Rule(
        name=name,
        predicate=predicate,
        severity=severity(document, place, entry),
        description=document.text(place, "description", entry.description),
        counter_example=_counter_example(document, place, entry, predicate, by_name),
    )


def judged_names(predicate: str) -> set[str]:
    """Names in `predicate` whose value it looks at; a test for NULL is no look at a value.

    Words of SQL may be among them.
    """
    return set(_NAME.findall(_NULL_TEST.sub("", _without_texts(predicate))))


def _without_texts(predicate: str) -> str:
    return _STRING_LITERAL.sub("''", predicate)


def _check_names(
    document: Document, place: Place, name: str, predicate: str, columns: Mapping[str, Column]
) -> None:
    """Refuses a predicate that names an unknown column, or looks beyond its row.

    Words of SQL are told by their capitals, which is cheap and keeps predicates readable.
    """
    text = _without_texts(predicate)
    if found := _NO_EXPRESSION.search(text):
        raise document.mistake(
            (*place, "implementation"),
            f"the rule '{name}' has {found[0]} in it, a rule is one expression without comments,"
            " its texts stand in plain single quotes.",
        )
    for word in _WORD.findall(text):
        if word.lower() in _BEYOND_THE_ROW and word not in columns:
            raise document.mistake(
                (*place, "implementation"),
                f"the rule '{name}' uses '{word}', a rule may look at the values of its row only.",
            )
    for word in _NAME.findall(text):
        if word not in columns and not word.isupper():
            raise document.mistake(
                (*place, "implementation"),
                f"the rule '{name}' names the unknown column '{word}',"
                f" allowed are {', '.join(columns)} (words of SQL are written in capitals).",
            )


def _counter_example(
    document: Document,
    place: Place,
    entry: DataQuality,
    predicate: str,
    columns: Mapping[str, Column],
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
        if column not in columns:
            allowed = ", ".join(columns)
            problem = f"the counterExample names the unknown column '{column}', allowed are"
            raise document.mistake((*at, column), f"{problem} {allowed}.")
        cells[column] = document.cell((*at, column), column, value, columns[column].type)
    named = set(_NAME.findall(_without_texts(predicate)))
    if all(name not in named or cells[name] == columns[name].example for name in cells):
        raise document.mistake(
            at,
            f"the counterExample of '{entry.name}' breaks nothing, it has to change a column that"
            " the rule names.",
        )
    return cells
