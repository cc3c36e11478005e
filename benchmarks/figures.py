"""Figures of a results file: medians over the rounds, ratios, and how all of it is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, median_high
from typing import Any

Document = Mapping[str, Any]
"""A results file as it was read."""

NOTHING = "-"
TITLES: Mapping[str, str] = {
    "full": "paceline",
    "exact": "exact increment",
    "whole": "whole table",
    "recipe": "paceline, bare recipe",
    "careful": "Spark, done carefully",
    "usual": "Spark, the usual way",
    "with_polars": "Polars",
    "with_duckdb": "DuckDB",
    "floor_rewrite": "floor: rewrite",
    "floor_read": "floor: read",
    "feature_activity": "Feature_Activity",
    "feature_rolling": "Feature_Rolling",
    "sync": "paceline",
    "materialize": "Feast, materialize",
    "materialize_incremental": "Feast, incremental",
}


@dataclass(frozen=True)
class Line:
    """What one contender needed for one case: the medians of its rounds.

    `cold` is the first answer of a fresh process, `warm` any later one; empty where there is none.
    """

    case: Mapping[str, Any]
    contender: str
    cold: Mapping[str, Any]
    warm: Mapping[str, Any]

    @property
    def settled(self) -> Mapping[str, Any]:
        """The warm figures, or the cold ones where nothing was measured warm."""
        return self.warm or self.cold


def lines(document: Document, experiment: str) -> list[Line]:
    """The measurements of an experiment, a line per case and contender, as first measured."""
    found: dict[tuple[Hashable, str], list[Mapping[str, Any]]] = {}
    for one in document.get("measurements", ()):
        if one["experiment"] == experiment:
            found.setdefault((_frozen(one["case"]), one["contender"]), []).append(one)
    return [
        Line(rounds[0]["case"], contender, _middle_of(rounds, "cold"), _middle_of(rounds, "warm"))
        for (_, contender), rounds in found.items()
    ]


def _middle_of(rounds: Sequence[Mapping[str, Any]], temperature: str) -> Mapping[str, Any]:
    found = [one for one in rounds if one.get("temperature") == temperature]
    about = {"experiment", "case", "contender", "temperature", "round"}
    names = [name for one in found for name in one if name not in about]
    return {name: _middle([one.get(name) for one in found]) for name in dict.fromkeys(names)}


def _middle(values: Sequence[Any]) -> Any:
    """The median, of mappings by name; a count stays one that was counted."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if mappings := [value for value in known if isinstance(value, Mapping)]:
        names = dict.fromkeys(name for value in mappings for name in value)
        return {name: _middle([value.get(name, 0) for value in mappings]) for name in names}
    if all(isinstance(value, int) for value in known):
        return median_high(known)
    return median(known) if all(isinstance(value, int | float) for value in known) else known[0]


def _frozen(case: Mapping[str, Any]) -> Hashable:
    return tuple(sorted((name, repr(value)) for name, value in case.items()))


def ratio(value: float | None, to: float | None) -> float | None:
    """How many times `to` a value is; None where one is missing or there is nothing to divide by.

    Example:
        >>> ratio(3.0, 2.0), ratio(3.0, 0), ratio(None, 2.0)
        (1.5, None, None)
    """
    return None if value is None or not to else value / to


def table(columns: Mapping[str, Callable[[Line], str]], rows: Sequence[Line]) -> str:
    """A Markdown table; a column that is empty in every row is left out."""
    cells = {title: [cell(row) for row in rows] for title, cell in columns.items()}
    kept = {title: texts for title, texts in cells.items() if set(texts) != {NOTHING}}
    # Words are read from the left, numbers from the right; the first column names the rows.
    rulers = [
        "---" if place == 0 or all(text[:1].isalpha() for text in texts) else "---:"
        for place, texts in enumerate(kept.values())
    ]
    printed = [list(kept), rulers, *(list(row) for row in zip(*kept.values(), strict=True))]
    return "\n".join(f"| {' | '.join(cell(text) for text in row)} |" for row in printed)


def cell(text: str) -> str:
    r"""A text that may stand in a cell of a Markdown table.

    Example:
        >>> cell("a|b")
        'a\\|b'
    """
    return " ".join(text.split()).replace("|", "\\|")


def number(value: float | None) -> str:
    """Three digits that count, and thousands in groups; whole numbers as they are.

    Example:
        >>> number(1.4321), number(24.04), number(0.01234), number(12345), number(None)
        ('1.43', '24.0', '0.0123', '12,345', '-')
    """
    if value is None:
        return NOTHING
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return f"{value:.0e}" if value else "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{digits}f}"


def times(value: float | None) -> str:
    """A ratio; a small one as a fraction.

    Example:
        >>> times(1.4321), times(0.0125), times(0)
        ('1.43 x', '1/80', '0')
    """
    if value and 0 < value < 0.1:
        return f"1/{1 / value:,.0f}"
    return f"{number(float(value))} x" if value else number(value)


def size(count: float | None) -> str:
    """A number of bytes, in steps of a thousand.

    Example:
        >>> size(999), size(1_234_567), size(10_000)
        ('999 B', '1.23 MB', '10.0 kB')
    """
    if count is None:
        return NOTHING
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{number(int(count) if unit == 'B' else float(count))} {unit}"
        count /= 1000
    return f"{number(float(count))} TB"


def seconds(value: float | None) -> str:
    """A duration.

    Example:
        >>> seconds(12.345)
        '12.3 s'
    """
    return NOTHING if value is None else f"{number(float(value))} s"


def duration(value: float | None) -> str:
    """A duration that somebody has waited, in minutes from one on.

    Example:
        >>> duration(12.345), duration(200), duration(None)
        ('12 s', '3.3 min', '-')
    """
    if value is None:
        return NOTHING
    return f"{value:.0f} s" if value < 60 else f"{value / 60:.1f} min"


def counts(values: Mapping[str, int | None] | None) -> str:
    """Counts of tables, summed by schema, the staging tables of `ops` for themselves.

    Example:
        >>> counts({"ops.ledger": 2, "ops.staging_silver__a": 1, "silver.a": 1, "silver.b": 0})
        'ops 2, silver 1, staging 1'
    """
    if values is None:
        return NOTHING
    by_schema: dict[str, int] = {}
    for name, value in values.items():
        schema = "staging" if ".staging_" in name else name.partition(".")[0]
        by_schema[schema] = by_schema.get(schema, 0) + (value or 0)
    return (
        ", ".join(f"{name} {by_schema[name]:,}" for name in sorted(by_schema) if by_schema[name])
        or "0"
    )


def rows_written(rows: Mapping[str, int] | None) -> str:
    """Rows inserted, updated and deleted.

    Example:
        >>> rows_written({"inserted": 1200, "updated": 3, "deleted": 0, "compared": 5000})
        '+1,200 ~3 -0'
    """
    if not rows:
        return NOTHING
    found = (rows.get(name) or 0 for name in ("inserted", "updated", "deleted"))
    return " ".join(f"{sign}{count:,}" for sign, count in zip("+~-", found, strict=True))


def title(contender: str) -> str:
    """A contender as it is printed."""
    return TITLES.get(contender, contender.replace("_", " "))


def years(days: int) -> str:
    """A number of days in years, rounded.

    Example:
        >>> years(365), years(183), years(1095), years(60)
        ('1 year', '0.5 years', '3 years', '60 days')
    """
    if days < 100:
        return f"{days} days"
    text = f"{days / 365:.1f}".removesuffix(".0")
    return f"{text} year{'' if text == '1' else 's'}"


def case_text(case: Mapping[str, Any]) -> str:
    """A case in words.

    Example:
        >>> case_text({"athletes": 1000, "days": 1095, "share": 0.001})
        '1,000 athletes x 3 years, share 0.1 %'
    """
    world = [f"{case['athletes']:,} athletes"] if "athletes" in case else []
    world += [years(case["days"])] if "days" in case else []
    words = [" x ".join(world)] if world else []
    for name, value in case.items():
        if name == "share":
            words.append(value if isinstance(value, str) else f"share {100 * value:.3g} %")
        elif name not in ("athletes", "days"):
            text = f"{value:,}" if type(value) is int else str(value)
            words.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(words)
