"""What would have to change in a table: the expected rows of a scope against the published ones."""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from paceline import recipe as r
from paceline.contract import Contract, Rule
from paceline.publish.staged import (
    BROKEN_VALUES,
    INSERT,
    OP,
    REFUSE,
    REJECT_KEY,
    REMOVE,
    REPLACES,
    RESOLVE,
    RUN_ID,
    STAGED,
    STILL_REFUSED,
    UNCHANGED,
    UPDATE,
)
from paceline.recipe import Scope

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


_RECORD = "struct<source_path:string,line_number:bigint,payload:string>"


def judged(rows: DataFrame, contract: Contract, policy: str) -> DataFrame:
    """Completes what a recipe gave: disposition, reasons, warnings, record, key of a rejection."""
    if r.REASONS not in rows.columns:
        rows = rows.withColumn(r.REASONS, contract.broken_rules("error"))
    warnings = contract.broken_rules("warning")
    if r.WARNINGS in rows.columns:
        warnings = F.concat(warnings, F.col(r.WARNINGS))
    rows = rows.withColumn(r.WARNINGS, warnings)
    if r.DISPOSITION not in rows.columns:
        # Under STRICT the audit refuses the batch, under ALWAYS it only records.
        rejected = (F.size(r.REASONS) > 0) & F.lit(policy == "QUARANTINE")
        rows = rows.withColumn(r.DISPOSITION, F.when(rejected, r.QUARANTINED).otherwise(r.CURRENT))
    if r.RECORD not in rows.columns:
        payload = F.to_json(F.expr(_row(contract)), {"timeZone": "UTC"})
        rejected_row = F.struct(
            F.lit(None).cast("string").alias("source_path"),
            F.lit(None).cast("bigint").alias("line_number"),
            payload.alias("payload"),
        )
        rows = rows.withColumn(
            r.RECORD, F.when(F.col(r.DISPOSITION) == r.QUARANTINED, rejected_row)
        )
    digest = F.sha2(
        F.concat_ws("\n", F.col(f"{r.RECORD}.payload"), F.array_join(r.REASONS, ",")), 256
    )
    is_rejected = F.col(r.DISPOSITION).isin(r.QUARANTINED, r.UNREADABLE)
    disposition = F.when(F.col(r.DISPOSITION) != r.CURRENT, F.col(r.DISPOSITION)).otherwise(
        F.lit("")
    )
    return rows.withColumn(REJECT_KEY, F.when(is_rejected, digest).otherwise(disposition))


def difference(
    rows: DataFrame,
    published: DataFrame | None,
    rejected: DataFrame | None,
    contract: Contract,
    *,
    is_forgiving: bool = True,
) -> DataFrame:
    """Every expected or existing row with its `_op`, compared column by column and null-safe.

    Args:
        rows: what should exist, from `judged`.
        published: what exists in the scope; None when the table is empty.
        rejected: open rows of ops.quarantine in the scope, as `open_rejects` gives them; None when
            none is to be compared with.
        contract: of the table.
        is_forgiving: whether an unchanged row that breaks a rule may stay; otherwise it counts as
            one that differs, so that the audit sees it.
    """
    if published is None and rejected is None:
        op = _expected_op(F.col(r.DISPOSITION), is_new=F.lit(True), differs=F.lit(False)).alias(OP)
        kept = (REJECT_KEY, r.REASONS, r.WARNINGS, r.RECORD, r.DISPOSITION)
        return rows.select(op, *contract.column_names, *kept)
    # Rows as one value each: what is said once per row needs not be planned once per column.
    row = F.expr(_row(contract))
    names = (*contract.key, REJECT_KEY)
    marks = (r.REASONS, r.WARNINGS, r.RECORD, r.DISPOSITION)
    expected = rows.select(*names, row.alias("row"), *marks).alias("expected")
    existing = _existing(published, rejected, contract).alias("existing")
    matches = [F.col(f"expected.{name}").eqNullSafe(F.col(f"existing.{name}")) for name in names]
    joined = expected.join(existing, reduce(lambda a, b: a & b, matches), "full_outer")
    either = joined.select(
        _op(is_forgiving).alias(OP),
        _either("row"),
        *(_either(name) for name in (REJECT_KEY, r.REASONS)),
        *(F.col(f"expected.{name}").alias(name) for name in (r.WARNINGS, r.RECORD, r.DISPOSITION)),
        F.when(F.col("existing.is_row"), F.col("existing.row")).alias(REPLACES),
    )
    return either.select("row.*", *(name for name in either.columns if name != "row"))


def open_rejects(quarantine: DataFrame, scope: Scope, contract: Contract) -> DataFrame:
    """The open rows of ops.quarantine for a table that lie in a scope, with their key columns."""
    key = ", ".join(
        f"{column.name} {column.type}" for column in contract.columns if column.name in contract.key
    )
    parsed = quarantine.where(
        (F.col("table_name") == contract.name) & F.col("resolved_by").isNull()
    ).select(
        F.from_json("key", key).alias("key"),
        F.col("reject_key").alias(REJECT_KEY),
        F.col("reasons").alias(r.REASONS),
    )
    return scope.select(parsed.select("key.*", REJECT_KEY, r.REASONS))


def staged(
    changes: DataFrame, contract: Contract, mark: str, noted: tuple[str, ...] = ()
) -> DataFrame:
    """The rows to stage, in the columns of `staging_ddl`.

    A record that asks for nothing is staged if it has one of the warnings `noted`, for AUDIT to
    count. The first rows of a table replace nothing, and a column that is left out costs nothing.
    """
    is_staged = F.col(OP).isin(*STAGED)
    for name in noted:
        is_staged = is_staged | F.array_contains(r.WARNINGS, name)
    return changes.where(is_staged).select(
        OP,
        *contract.column_names,
        *(name for name in (REPLACES,) if name in changes.columns),
        REJECT_KEY,
        *(r.REASONS, r.WARNINGS),
        F.col(r.RECORD).cast(_RECORD).alias(r.RECORD),
        F.when(F.col(OP) == REFUSE, _broken_values(contract)).alias(BROKEN_VALUES),
        F.lit(mark).alias(RUN_ID),
    )


def _existing(
    published: DataFrame | None, rejected: DataFrame | None, contract: Contract
) -> DataFrame:
    parts = []
    if published is not None:
        parts.append(
            published.select(
                *contract.key,
                F.lit("").alias(REJECT_KEY),
                F.expr(_row(contract)).alias("row"),
                F.lit(None).cast("array<string>").alias(r.REASONS),
                F.lit(True).alias("is_row"),
            )
        )
    if rejected is not None:
        cells = ", ".join(
            f"{c.name if c.name in contract.key else f'CAST(NULL AS {c.type})'} AS {c.name}"
            for c in contract.columns
        )
        names = (*contract.key, REJECT_KEY)
        is_row = F.lit(False).alias("is_row")
        parts.append(
            rejected.select(*names, F.expr(f"struct({cells})").alias("row"), r.REASONS, is_row)
        )
    return reduce(lambda a, b: a.unionByName(b), parts)


def _op(is_forgiving: bool) -> Column:
    is_row = F.col("existing.is_row")
    differs = ~F.col("expected.row").eqNullSafe(F.col("existing.row"))
    if not is_forgiving:
        differs = differs | (F.size(f"expected.{r.REASONS}") > 0)
    expected = _expected_op(F.col(f"expected.{r.DISPOSITION}"), is_row.isNull(), differs)
    gone = F.when(is_row, REMOVE).otherwise(RESOLVE)
    return F.when(F.col("expected.row").isNull(), gone).otherwise(expected)


def _expected_op(disposition: Column, is_new: Column, differs: Column) -> Column:
    is_rejected = disposition.isin(r.QUARANTINED, r.UNREADABLE)
    return (
        F.when(
            disposition == r.CURRENT,
            F.when(is_new, INSERT).when(differs, UPDATE).otherwise(UNCHANGED),
        )
        .when(is_rejected, F.when(is_new, REFUSE).otherwise(STILL_REFUSED))
        .otherwise(disposition)
    )


def _either(name: str) -> Column:
    """The expected value, or for a row that is not expected any more the existing one."""
    is_expected = F.col("expected.row").isNotNull()
    return (
        F.when(is_expected, F.col(f"expected.{name}"))
        .otherwise(F.col(f"existing.{name}"))
        .alias(name)
    )


def _broken_values(contract: Contract) -> Column:
    """The values of the columns that the broken rules look at, by name."""
    pairs = ", ".join(
        f"IF(array_contains({r.REASONS}, '{rule.name}'),"
        f" struct('{name}' AS key, CAST({name} AS STRING) AS value), NULL)"
        for rule in contract.rules
        if rule.severity == "error"
        for name in rule_columns(rule, contract)
    )
    if not pairs:
        return F.lit(None).cast("map<string,string>")
    return F.expr(f"map_from_entries(array_distinct(array_compact(array({pairs}))))")


def _row(contract: Contract) -> str:
    """A row as one value; as a text, because each column by itself is a question to the JVM."""
    return f"struct({', '.join(contract.column_names)})"


def rule_columns(rule: Rule, contract: Contract) -> list[str]:
    """The columns that a rule's predicate names."""
    words = set(re.findall(r"\w+", rule.predicate))
    return [name for name in contract.column_names if name in words]
