"""What a staged row asks for, and the columns in which it does."""

from __future__ import annotations

from paceline import recipe as r
from paceline.contract import Contract

# What a staged row asks for.
INSERT, UPDATE, REMOVE = "insert", "update", "delete"  # of a row of the table
REFUSE, RESOLVE = "quarantine", "resolve"  # of a row of ops.quarantine
UNCHANGED, STILL_REFUSED = "unchanged", "still quarantined"
STAGED = (INSERT, UPDATE, REMOVE, REFUSE, RESOLVE)
ROW_OPS = (INSERT, UPDATE, REMOVE)
OPS = (*STAGED, UNCHANGED, STILL_REFUSED)
# What AUDIT looks at: a row that asks for nothing may be staged for the warning that it has.
AUDITED = (*OPS, *r.REPLACED_DISPOSITIONS)

OP, REPLACES, REJECT_KEY = "_op", "_replaces", "_reject_key"
BROKEN_VALUES, RUN_ID = "_broken_values", "_run_id"


def staging_name(table_name: str) -> str:
    """The staging table of a table."""
    return f"ops.staging_{table_name.replace('.', '_')}"


def staging_ddl(contract: Contract) -> str:
    """The columns of a staging table: those of the table, and what is asked for and why."""
    columns = ", ".join(f"{column.name} {column.type}" for column in contract.columns)
    replaced = ", ".join(f"{column.name}: {column.type}" for column in contract.columns)
    return (
        f"{OP} STRING, {columns}, {REPLACES} STRUCT<{replaced}>, {REJECT_KEY} STRING, "
        f"{r.REASONS} ARRAY<STRING>, {r.WARNINGS} ARRAY<STRING>, "
        f"{r.RECORD} STRUCT<source_path: STRING, line_number: BIGINT, payload: STRING>, "
        f"{BROKEN_VALUES} MAP<STRING, STRING>, {RUN_ID} STRING"
    )
