"""The contract of one table, and what is compiled from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql.types import StructType

Severity: TypeAlias = Literal["error", "warning"]
Policy: TypeAlias = Literal["STRICT", "QUARANTINE", "ALWAYS"]
Value: TypeAlias = bool | int | float | str | date | datetime | None
"""A cell: TIMESTAMP as a datetime with a zone, TIMESTAMP_NTZ as one without."""


@dataclass(frozen=True)
class Column:
    """One column: its meaning, its Spark SQL type and whether it may be NULL."""

    name: str
    type: str
    required: bool
    """True where the published column is never NULL."""
    description: str
    unit: str | None
    classification: str | None
    """None where the value may appear in logs, alerts and reports."""
    tags: tuple[str, ...]
    example: Value
    """The value in the example row."""


@dataclass(frozen=True)
class Rule:
    """What must hold in every row.

    `predicate` is a Spark SQL expression over the row's columns; a row for which it is FALSE or
    NULL breaks the rule. `counter_example` holds the column values that, put into the contract's
    example row, break this rule and no other.
    """

    name: str
    predicate: str
    severity: Severity
    description: str
    counter_example: Mapping[str, Value] = field(hash=False)


@dataclass(frozen=True)
class Threshold:
    """What must hold for a batch: `metric` (of `column`, if any) compared with `limit`.

    `operator` and `metric` are words of the Open Data Contract Standard, for example
    `nullValues` `mustBeLessThan` 5 `percent`.
    """

    metric: str
    column: str | None
    operator: str
    limit: float
    unit: str
    severity: Severity
    description: str


@dataclass(frozen=True)
class Contract:
    """The promise of one table."""

    name: str
    """Schema and table, for example `silver.strava_activities`."""
    version: str
    description: str
    columns: tuple[Column, ...]
    """In the order of the table, keys first."""
    key: tuple[str, ...]
    rules: tuple[Rule, ...]
    thresholds: tuple[Threshold, ...]
    policy: Policy
    append_only: bool
    may_be_empty: bool

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def required_columns(self) -> list[str]:
        """The columns that a published row always has."""
        return [column.name for column in self.columns if column.required]

    def ddl(self) -> str:
        """The columns as in CREATE TABLE: type, NOT NULL where required, meaning and unit."""
        return ", ".join(
            f"{column.name} {column.type}{' NOT NULL' if column.required else ''}"
            f" COMMENT {_sql_text(_comment(column))}"
            for column in self.columns
        )

    def schema(self) -> StructType:
        """The columns as a Spark schema; required ones are not nullable."""
        from pyspark.sql import types as T

        spark_types = {
            "BIGINT": T.LongType(),
            "INT": T.IntegerType(),
            "DOUBLE": T.DoubleType(),
            "BOOLEAN": T.BooleanType(),
            "DATE": T.DateType(),
            "TIMESTAMP": T.TimestampType(),
            "TIMESTAMP_NTZ": T.TimestampNTZType(),
            "STRING": T.StringType(),
        }
        return T.StructType(
            [T.StructField(c.name, spark_types[c.type], not c.required) for c in self.columns]
        )

    def broken_rules(self, severity: Severity) -> SparkColumn:
        """Array of strings: the names of the rules that a row breaks, in the contract's order.

        Empty, never NULL, where the row breaks none. Only rules of `severity` are judged. Needs an
        active session.
        """
        from pyspark.sql import functions as F

        names = [
            F.when(~F.coalesce(F.expr(rule.predicate), F.lit(False)), F.lit(rule.name))
            for rule in self.rules
            if rule.severity == severity
        ]
        return F.array_compact(F.array(*names).cast("array<string>"))

    def example(self) -> dict[str, Value]:
        """A row that keeps every rule, warnings included."""
        return {column.name: column.example for column in self.columns}

    def fingerprint_text(self) -> str:
        """Everything of the contract that can change a verdict or a published value, as JSON.

        Equal contracts give equal texts; a description, an example or a tag changes nothing.
        """
        return json.dumps(
            {
                "table": self.name,
                "columns": [[c.name, c.type, c.required] for c in self.columns],
                "key": self.key,
                "rules": [[r.name, r.predicate, r.severity] for r in self.rules],
                "thresholds": [
                    [t.metric, t.column, t.operator, t.limit, t.unit, t.severity]
                    for t in self.thresholds
                ],
                "policy": self.policy,
                "append_only": self.append_only,
                "may_be_empty": self.may_be_empty,
            },
            separators=(",", ":"),
        )


def _comment(column: Column) -> str:
    return column.description + (f" Unit: {column.unit}." if column.unit else "")


def _sql_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
