"""What would have to change in a table: the wanted rows of a scope against the published ones."""

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
    """Completes what a recipe gave: fate, reasons, warnings, record, and the key of a rejection."""
    if r.REASONS not in rows.columns:
        rows = rows.withColumn(r.REASONS, contract.broken_rules("error"))
    warnings = contract.broken_rules("warning")
    if r.WARNINGS in rows.columns:
        warnings = F.concat(warnings, F.col(r.WARNINGS))
    rows = rows.withColumn(r.WARNINGS, warnings)
    if r.FATE not in rows.columns:
        # Under STRICT the audit refuses the batch, under ALWAYS it only records.
        refused = (F.size(r.REASONS) > 0) & F.lit(policy == "QUARANTINE")
        rows = rows.withColumn(r.FATE, F.when(refused, r.QUARANTINED).otherwise(r.CURRENT))
    if r.RECORD not in rows.columns:
        payload = F.to_json(F.expr(_row(contract)), {"timeZone": "UTC"})
        refused_row = F.struct(
            F.lit(None).cast("string").alias("source_path"),
            F.lit(None).cast("bigint").alias("line_number"),
            payload.alias("payload"),
        )
        rows = rows.withColumn(r.RECORD, F.when(F.col(r.FATE) == r.QUARANTINED, refused_row))
    digest = F.sha2(
        F.concat_ws("\n", F.col(f"{r.RECORD}.payload"), F.array_join(r.REASONS, ",")), 256
    )
    is_refused = F.col(r.FATE).isin(r.QUARANTINED, r.UNREADABLE)
    fate = F.when(F.col(r.FATE) != r.CURRENT, F.col(r.FATE)).otherwise(F.lit(""))
    return rows.withColumn(REJECT_KEY, F.when(is_refused, digest).otherwise(fate))


def difference(
    rows: DataFrame,
    published: DataFrame | None,
    refused: DataFrame | None,
    contract: Contract,
    *,
    is_forgiving: bool = True,
) -> DataFrame:
    """Every wanted or present row with its `_op`, compared column by column and null-safe.

    Args:
        rows: what should exist, from `judged`.
        published: what exists in the scope; None when the table is empty.
        refused: open rows of ops.quarantine in the scope, as `open_rejects` gives them; None when
            none is to be compared with.
        contract: of the table.
        is_forgiving: whether an unchanged row that breaks a rule may stay; otherwise it counts as
            one that differs, so that the audit sees it.
    """
    if published is None and refused is None:
        op = _wanted_op(F.col(r.FATE), is_new=F.lit(True), differs=F.lit(False)).alias(OP)
        kept = (REJECT_KEY, r.REASONS, r.WARNINGS, r.RECORD, r.FATE)
        replaced = F.lit(None).cast(contract.schema()).alias(REPLACES)
        return rows.select(op, *contract.column_names, *kept, replaced)
    # Rows as one value each: what is said once per row needs not be planned once per column.
    row = F.expr(_row(contract))
    names = (*contract.key, REJECT_KEY)
    marks = (r.REASONS, r.WARNINGS, r.RECORD, r.FATE)
    wanted = rows.select(*names, row.alias("row"), *marks).alias("wanted")
    present = _present(published, refused, contract).alias("present")
    matches = [F.col(f"wanted.{name}").eqNullSafe(F.col(f"present.{name}")) for name in names]
    joined = wanted.join(present, reduce(lambda a, b: a & b, matches), "full_outer")
    either = joined.select(
        _op(is_forgiving).alias(OP),
        _either("row"),
        *(_either(name) for name in (REJECT_KEY, r.REASONS)),
        *(F.col(f"wanted.{name}").alias(name) for name in (r.WARNINGS, r.RECORD, r.FATE)),
        F.when(F.col("present.is_row"), F.col("present.row")).alias(REPLACES),
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


def staged(changes: DataFrame, contract: Contract, mark: str) -> DataFrame:
    """The rows to stage, in the columns of `staging_ddl`."""
    return changes.where(F.col(OP).isin(*STAGED)).select(
        OP,
        *contract.column_names,
        REPLACES,
        REJECT_KEY,
        *(r.REASONS, r.WARNINGS),
        F.col(r.RECORD).cast(_RECORD).alias(r.RECORD),
        F.when(F.col(OP) == REFUSE, _broken_values(contract)).alias(BROKEN_VALUES),
        F.lit(mark).alias(RUN_ID),
    )


def _present(
    published: DataFrame | None, refused: DataFrame | None, contract: Contract
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
    if refused is not None:
        cells = ", ".join(
            f"{c.name if c.name in contract.key else f'CAST(NULL AS {c.type})'} AS {c.name}"
            for c in contract.columns
        )
        names = (*contract.key, REJECT_KEY)
        is_row = F.lit(False).alias("is_row")
        parts.append(
            refused.select(*names, F.expr(f"struct({cells})").alias("row"), r.REASONS, is_row)
        )
    return reduce(lambda a, b: a.unionByName(b), parts)


def _op(is_forgiving: bool) -> Column:
    is_row = F.col("present.is_row")
    differs = ~F.col("wanted.row").eqNullSafe(F.col("present.row"))
    if not is_forgiving:
        differs = differs | (F.size(f"wanted.{r.REASONS}") > 0)
    wanted = _wanted_op(F.col(f"wanted.{r.FATE}"), is_row.isNull(), differs)
    gone = F.when(is_row, REMOVE).otherwise(RESOLVE)
    return F.when(F.col("wanted.row").isNull(), gone).otherwise(wanted)


def _wanted_op(fate: Column, is_new: Column, differs: Column) -> Column:
    is_refused = fate.isin(r.QUARANTINED, r.UNREADABLE)
    return (
        F.when(fate == r.CURRENT, F.when(is_new, INSERT).when(differs, UPDATE).otherwise(UNCHANGED))
        .when(is_refused, F.when(is_new, REFUSE).otherwise(STILL_REFUSED))
        .otherwise(fate)
    )


def _either(name: str) -> Column:
    """The wanted value, or for a row that is not wanted any more the present one."""
    is_wanted = F.col("wanted.row").isNotNull()
    return (
        F.when(is_wanted, F.col(f"wanted.{name}")).otherwise(F.col(f"present.{name}")).alias(name)
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
