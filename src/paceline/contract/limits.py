"""What a batch must keep: metrics in `quality`, and custom properties of the document."""

from __future__ import annotations

import math

from open_data_contract_standard.model import DataQuality, SchemaObject

from paceline.contract.document import TABLE, Custom, Document, Place
from paceline.contract.model import NullLimit, Severity, Thresholds

DEFAULT_MIN_ROWS = 1000

_COMPARISONS = (
    *("mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan"),
    *("mustBeLessOrEqualTo", "mustBeBetween", "mustNotBeBetween"),
)


def thresholds(document: Document, table: SchemaObject, custom: Custom) -> Thresholds:
    """The limits of the table and of its columns.

    Raises `UsageError` when one is missing that every contract has, has no unit, is out of its
    range, or would hold for every batch.
    """
    return Thresholds(
        min_rows=_min_rows(document, custom),
        max_broken_share=_max_broken_share(document, custom),
        null_limits=_null_limits(document, table),
        min_table_rows=_min_table_rows(document, table),
    )


def severity(document: Document, place: Place, entry: DataQuality) -> Severity:
    """Whether breaking `entry` is an error or a warning."""
    allowed: tuple[Severity, ...] = ("error", "warning")
    return document.one_of(place, "severity", entry.severity, allowed)


def _min_rows(document: Document, custom: Custom) -> int:
    at, value = custom.get("minRows", ((), DEFAULT_MIN_ROWS))
    if type(value) is not int or value < 1:
        raise document.mistake(at, f"'minRows' is {value!r}, it has to be a whole number from 1.")
    return value


def _max_broken_share(document: Document, custom: Custom) -> float:
    if "maxBrokenShare" not in custom:
        raise document.mistake(
            ("customProperties",),
            "there is no limit on broken rows, add the custom property 'maxBrokenShare',"
            " a share of the batch from 0 to below 1.",
        )
    at, value = custom["maxBrokenShare"]
    if type(value) not in (int, float) or not 0 <= value < 1:
        raise document.mistake(
            at, f"'maxBrokenShare' is {value!r}, it has to be a share from 0 to below 1."
        )
    return float(value)


def _min_table_rows(document: Document, table: SchemaObject) -> int:
    entries = [
        ((*TABLE, "quality", position), entry)
        for position, entry in enumerate(table.quality or [])
        if entry.metric is not None
    ]
    smallest = 0
    for place, entry in entries:
        document.one_of(place, "metric", entry.metric, ("rowCount",))
        if place != entries[0][0]:
            raise document.mistake(place, "there are two rules for 'rowCount', keep one.")
        if severity(document, place, entry) != "error":
            raise document.mistake(
                (*place, "severity"), "'rowCount' is a warning, it has to be an error."
            )
        limit = _limit(document, place, entry, "mustBeGreaterThan", "rows")
        if not 0 <= limit < math.inf:
            raise document.mistake(
                (*place, "mustBeGreaterThan"),
                f"'mustBeGreaterThan' is {limit:g}, the number of rows needs a limit from 0.",
            )
        smallest = math.floor(limit) + 1
    return smallest


def _null_limits(document: Document, table: SchemaObject) -> tuple[NullLimit, ...]:
    limits: list[NullLimit] = []
    for number, column in enumerate(table.properties or []):
        for position, entry in enumerate(column.quality or []):
            place = (*TABLE, "properties", number, "quality", position)
            document.one_of(place, "metric", entry.metric, ("nullValues",))
            if position > 0:
                raise document.mistake(
                    place, f"there are two limits on the NULLs of '{column.name}', keep one."
                )
            percent = _limit(document, place, entry, "mustBeLessOrEqualTo", "percent")
            if not 0 <= percent < 100:
                raise document.mistake(
                    (*place, "mustBeLessOrEqualTo"),
                    f"'mustBeLessOrEqualTo' is {percent:g}, a limit on NULLs is from 0 to below"
                    " 100 percent; a column that may be NULL in every row says why in the custom"
                    " property 'optional'.",
                )
            limits.append(
                NullLimit(str(column.name), percent / 100, severity(document, place, entry))
            )
    return tuple(limits)


def _limit(
    document: Document, place: Place, entry: DataQuality, comparison: str, unit: str
) -> float:
    document.one_of(place, "unit", entry.unit, (unit,))
    document.text(place, "description", entry.description)
    stated = [name for name in _COMPARISONS if getattr(entry, name) is not None]
    if stated != [comparison]:
        raise document.mistake(
            place, f"'{entry.metric}' needs the comparison '{comparison}' and no other."
        )
    return float(getattr(entry, comparison))
