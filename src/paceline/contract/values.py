"""The column types of contracts, and the reading of cell values written in YAML."""

from __future__ import annotations

from datetime import date, datetime

from paceline.contract.model import Value

LOGICAL_TYPES = {
    "BIGINT": "integer",
    "INT": "integer",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_NTZ": "timestamp",
    "STRING": "string",
}
"""Spark SQL type of a column -> the logical type that the standard has for it."""

_INTEGER_BITS = {"BIGINT": 64, "INT": 32}


def cell(value: object, sql_type: str) -> Value:
    """A value as a contract writes it, as a cell of a column of `sql_type`.

    Dates and instants are ISO text; an instant has a zone, a TIMESTAMP_NTZ has none. Raises
    ValueError when the value does not fit.
    """
    if value is None:
        return None
    if sql_type == "STRING" and isinstance(value, str):
        return value
    if sql_type == "BOOLEAN" and isinstance(value, bool):
        return value
    if sql_type == "DOUBLE" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if sql_type in _INTEGER_BITS and type(value) is int:
        limit = 1 << (_INTEGER_BITS[sql_type] - 1)
        if -limit <= value < limit:
            return value
    if sql_type == "DATE" and isinstance(value, str):
        return date.fromisoformat(value)
    if sql_type in ("TIMESTAMP", "TIMESTAMP_NTZ") and isinstance(value, str):
        instant = datetime.fromisoformat(value)
        if (instant.tzinfo is not None) == (sql_type == "TIMESTAMP"):
            return instant
    raise ValueError(f"{value!r} is no {sql_type}")
