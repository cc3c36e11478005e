"""The catalogue of features: what models may use, as the contracts and the functions state it.

A feature of a table is a column of its contract, whose description has one shape: the meaning, then
` = ` or `: ` and the formula where there is one, and in a last sentence when the value is NULL. The
formula of a sum over days is its declaration, and an on-demand feature is a function of
`paceline.features.on_demand`, whose docstring says the same things.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paceline import __version__
from paceline.contract import Column, Contract
from paceline.features import on_demand
from paceline.features.windows import ALL_SPORTS, MEASURES, Measure

SCHEMA = "feature_store"
ROW_WISE = "MIT"
WINDOWED = "windowed MIT"
ON_DEMAND = "ODT"
KINDS = {
    ROW_WISE: "made of one activity, stored, for any model",
    WINDOWED: "made of the days up to a day, stored, for any model",
    ON_DEMAND: "a function of a value that only the request knows; not stored",
}
# The instant from which a row may be used is no input of a model, nor is who may use it.
NO_FEATURES = ("event_timestamp", "is_restricted")

_NEVER = "Never NULL"
_NULL_RULE = re.compile(rf"(?:^|(?<=\. ))(NULL .*?|{_NEVER})\.?$")
_SEPARATOR = re.compile(r" = |: |\. ")
_OPERATION = re.compile(r" [/x] ")


@dataclass(frozen=True)
class Feature:
    """One feature: a column of a table, or a function for requests."""

    name: str
    kind: str
    """One of `KINDS`."""
    source: str
    """The table, or the module of the function."""
    meaning: str
    formula: str
    """Empty where the meaning says all."""
    unit: str
    """Empty where the value has none."""
    null_rule: str
    version: str
    """Of the contract, or of paceline for a function."""
    owner: str


def catalogue(contracts: Mapping[str, Contract]) -> list[Feature]:
    """All features: those of the tables in the order of their columns, then the functions."""
    stored = [
        _of_column(contract, column)
        for name, contract in contracts.items()
        if name.startswith(f"{SCHEMA}.")
        for column in contract.columns
        if column.name not in (*contract.key, *NO_FEATURES)
    ]
    return [*stored, *_on_demand()]


def matching(features: Iterable[Feature], words: Sequence[str]) -> list[Feature]:
    """The features that mention every word, in whatever field and letter case."""
    wanted = [word.lower() for word in words]
    return [f for f in features if all(word in _text(f) for word in wanted)]


def _text(feature: Feature) -> str:
    return "\n".join(vars(feature).values()).lower()


def _of_column(contract: Contract, column: Column) -> Feature:
    said, null_rule = _parted(column.description, column.required)
    meaning, *rest = _SEPARATOR.split(said, maxsplit=1)
    declared = _DECLARED.get(column.name)
    formula = declared or (rest[0] if rest else said if _OPERATION.search(said) else "")
    is_daily = any(c.type == "DATE" for c in contract.columns if c.name in contract.key)
    return Feature(
        name=column.name,
        kind=WINDOWED if is_daily else ROW_WISE,
        source=contract.name,
        meaning=said if declared else meaning,
        formula=formula,
        unit=column.unit or "",
        null_rule=null_rule,
        version=contract.version,
        owner=contract.owner,
    )


def _parted(description: str, required: bool) -> tuple[str, str]:
    """A description without its last sentence when that says when the value is NULL, and that."""
    text = " ".join(description.split())
    found = _NULL_RULE.search(text)
    if found is None:
        return text.removesuffix("."), _NEVER if required else ""
    return text[: found.start()].rstrip(" ."), found[1]


def _declared(measure: Measure, days: int) -> str:
    counted = "count of activities" if measure.value == "1" else f"sum of {measure.value}"
    what = "count of days with an activity" if measure.daily == "max" else counted
    only = "" if measure.only == ALL_SPORTS else f" where {measure.only}"
    return f"{what}{only}, over {days} day{'s' if days > 1 else ''} up to as_of_date"


_DECLARED = {
    measure.column(days): _declared(measure, days)
    for measure in MEASURES
    if measure.is_published
    for days in measure.days
}


def _on_demand() -> list[Feature]:
    functions: dict[str, Any] = {
        name: function
        for name, function in vars(on_demand).items()
        if inspect.isfunction(function)
        and function.__module__ == on_demand.__name__
        and not name.startswith("_")
    }
    return [_of_function(function) for function in functions.values()]


def _of_function(function: Any) -> Feature:
    """A function whose docstring says `meaning: formula`, its unit, and when nothing comes out."""
    first, *others = (inspect.getdoc(function) or "").split("\n\n")
    meaning, _, formula = first.rstrip(".").partition(": ")
    sentences = " ".join(" ".join(others).split()).rstrip(".").split(". ")
    return Feature(
        name=function.__name__,
        kind=ON_DEMAND,
        source=function.__module__,
        meaning=meaning,
        formula=f"{formula}, of ({', '.join(inspect.signature(function).parameters)})",
        unit="ratio" if "ratio without unit" in sentences[0] else "",
        null_rule=next((s for s in sentences if s.startswith("Missing ")), ""),
        version=__version__,
        owner="paceline",
    )
