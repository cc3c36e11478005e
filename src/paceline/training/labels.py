"""Labels as they have to be: whose, when, and with columns by which they can be put in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from paceline.errors import UsageError
from paceline.training.request import ATHLETE, Feature

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

OWN_ACTIVITY = "activity_id"
_WITHOUT_ORDER = ("map<", "variant")


def quoted(name: str) -> str:
    """The name of a column, whatever it holds, for functions that take names."""
    return "`" + name.replace("`", "``") + "`"


def timestamp_column(labels: DataFrame, given: str | None) -> str:
    """The column with the instant of each label: the given one, else the only TIMESTAMP.

    Raises:
        UsageError: when there is no such column, none or several could be meant, or its type is
            no instant.
    """
    from pyspark.sql.types import TimestampType

    types = {field.name: field.dataType for field in labels.schema}
    instants = [name for name, kind in types.items() if isinstance(kind, TimestampType)]
    if given is None and len(instants) == 1:
        return instants[0]
    if given is None:
        raise UsageError(
            f"The labels have {len(instants) or 'no'} columns of type TIMESTAMP: name the one with "
            "the instant of the label as timestamp_column, after a cast where it has another type."
        )
    if given not in types:
        raise UsageError(
            f"The labels have no column {given!a}: name one of {', '.join(map(ascii, types))} as "
            "timestamp_column."
        )
    if given not in instants:
        raise UsageError(
            f"The column {given!a} of the labels is {types[given].simpleString()}, which is no "
            "instant: make it a TIMESTAMP in the time zone that it is meant in, for example with "
            "to_utc_timestamp."
        )
    return given


def check(labels: DataFrame, timestamp: str, features: Iterable[Feature]) -> None:
    """Looks at the columns of the labels, and counts those that nobody could look up.

    Raises:
        UsageError: when a column is missing or of a wrong type, has the name of a feature or of
            another column, or cannot be put in order; or when an athlete or instant is NULL.
    """
    types = {field.name: field.dataType.simpleString() for field in labels.schema}
    for name in (ATHLETE, OWN_ACTIVITY):
        if name in types and types[name] not in ("tinyint", "smallint", "int", "bigint"):
            raise UsageError(
                f"The column {name} of the labels is {types[name]}: cast it to BIGINT."
            )
    if ATHLETE not in types:
        raise UsageError(f"The labels have no column {ATHLETE}: add it, as BIGINT.")
    names = [name.lower() for name in labels.columns]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"The labels have the column {name!a} twice: rename one of them.")
    for feature in features:
        if feature.column in names:
            raise UsageError(
                f"The labels have a column {feature.column} beside the feature {feature}: rename "
                "it in the labels."
            )
    for name, kind in types.items():
        if any(text in kind for text in _WITHOUT_ORDER):
            raise UsageError(
                f"The column {name!a} of the labels is {kind}, by which rows cannot be put in "
                "order: leave it out, or make it a text."
            )
    _refuse_null(labels, (ATHLETE, timestamp))


def _refuse_null(labels: DataFrame, names: tuple[str, ...]) -> None:
    from pyspark.sql import functions as F

    (nulls,) = labels.agg(*(F.count_if(F.isnull(quoted(name))) for name in names)).collect()
    for name, count in zip(names, nulls, strict=True):
        if count:
            raise UsageError(
                f"The column {name!a} of the labels is NULL in {count:,} rows: leave these out, "
                "or fill them in."
            )
