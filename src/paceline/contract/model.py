"""The contract of one table, and what is compiled from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from paceline.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql.types import StructType

Severity: TypeAlias = Literal["error", "warning"]
Policy: TypeAlias = Literal["STRICT", "QUARANTINE", "ALWAYS"]
Value: TypeAlias = bool | int | float | str | date | datetime | None
"""A cell: TIMESTAMP as a datetime with a zone, TIMESTAMP_NTZ as one without."""
LEVELS_OF_AGE = ("latency", "freshness")
UNITS_OF_AGE = {"d": "days", "h": "hours"}


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
    optional: str | None
    """Why it may be NULL in every row of a batch; None where nobody has said that it may."""

    @property
    def comment(self) -> str:
        """Meaning and unit, for whoever looks at the table."""
        return self.description + (f" Unit: {self.unit}." if self.unit else "")


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
class NullLimit:
    """The share of a batch, 0..1, in which `column` may be NULL at most."""

    column: str
    max_null_share: float
    severity: Severity


@dataclass(frozen=True)
class ServiceLevel:
    """What is promised of the table as a whole over time; breaking one only warns.

    `latency` and `freshness` bound the age of the newest value of the column `element`: `value` in
    `unit`, which is `d` (days) or `h` (hours). Others are for people.
    """

    name: str
    value: float | str
    unit: str | None
    element: str | None
    """A column of the table."""
    description: str | None

    @property
    def max_age(self) -> timedelta | None:
        """How old the newest value of `element` may be; None for other levels."""
        if self.name not in LEVELS_OF_AGE:
            return None
        return timedelta(**{UNITS_OF_AGE[str(self.unit)]: float(self.value)})


@dataclass(frozen=True)
class Thresholds:
    """What must hold for a batch, however good its single rows are.

    Shares are fractions of the rows of the batch, 0..1, that still keep the limit.
    """

    min_rows: int
    """Smaller batches are not judged by shares: one bad row of ten says little."""
    max_broken_share: float
    """Rows that break an error rule, at most."""
    null_limits: tuple[NullLimit, ...]
    """In the order of the columns; never a required one."""
    min_table_rows: int
    """Rows of the whole table, at least; 0 where it may be empty."""


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
    thresholds: Thresholds
    service_levels: tuple[ServiceLevel, ...]
    policy: Policy
    append_only: bool
    may_be_empty: bool
    tags: tuple[str, ...] = ()
    """Of the table; columns have their own."""
    entity: str | None = None
    """The column with whom or what a row is about; None for a table that is about nobody."""
    owner: str = ""
    """The team that answers for the table; empty where the contract names none."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def required_columns(self) -> list[str]:
        """The columns that a published row always has."""
        return [column.name for column in self.columns if column.required]

    @property
    def skipping_columns(self) -> list[str]:
        """The columns by which files tell that they hold no wanted row: keys, ids and days."""
        return [
            c.name
            for c in self.columns
            if c.name in self.key or c.name.endswith("_id") or c.type == "DATE"
        ]

    def ddl(self) -> str:
        """The columns as in CREATE TABLE: type, NOT NULL where required, meaning and unit."""
        return ", ".join(
            f"{column.name} {column.type}{' NOT NULL' if column.required else ''}"
            f" COMMENT {literal(column.comment)}"
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

        kept = {
            rule.name: f"coalesce({rule.predicate}, FALSE)"
            for rule in self.rules
            if rule.severity == severity
        }
        nothing = "CAST(array() AS ARRAY<STRING>)"
        if not kept:
            return F.expr(nothing)
        names = ", ".join(f"IF({keeps}, NULL, '{name}')" for name, keeps in kept.items())
        # Nearly every row keeps all of them, and an array per row would cost ten times as much. As
        # one text, because each piece of an expression is a question to the JVM.
        keeps_all = " AND ".join(kept.values())
        return F.expr(f"IF({keeps_all}, {nothing}, array_compact(array({names})))")

    def constraints(self, policy: str) -> dict[str, str]:
        """The CHECK constraints of the table under a policy: name -> predicate in Spark SQL.

        One for each error rule, under its name. None under the policy ALWAYS, which publishes rows
        that break a rule. A predicate looks at one row only, and is never NULL, because a CHECK of
        standard SQL lets NULL pass.
        """
        if policy == "ALWAYS":
            return {}
        return {
            rule.name: f"coalesce({rule.predicate}, FALSE)"
            for rule in self.rules
            if rule.severity == "error"
        }

    def example(self) -> dict[str, Value]:
        """A row that keeps every rule, warnings included."""
        return {column.name: column.example for column in self.columns}

    def fingerprint_text(self) -> str:
        """Everything of the contract that can change what is published or set aside, as JSON.

        Equal contracts give equal texts; a description, an example or a tag changes nothing. Nor do
        thresholds and `may_be_empty`: a batch that breaks them is published later or not at all,
        but never with other rows, so a changed limit is no reason to compare everything again.
        """
        return json.dumps(
            {
                "table": self.name,
                "columns": [[c.name, c.type, c.required] for c in self.columns],
                "key": self.key,
                "rules": [[r.name, r.predicate, r.severity] for r in self.rules],
                "policy": self.policy,
                "append_only": self.append_only,
            },
            separators=(",", ":"),
        )
