"""QUARANTINE and PUBLISH: from the staged version into the tables, one commit each."""

from __future__ import annotations

from collections.abc import Sequence

from paceline import recipe
from paceline.errors import PacelineError
from paceline.publish.audit import AuditResult
from paceline.publish.claim import Claim
from paceline.publish.staged import (
    BROKEN_VALUES,
    INSERT,
    OP,
    REFUSE,
    REJECT_KEY,
    REMOVE,
    REPLACES,
    RESOLVE,
    ROW_OPS,
    RUN_ID,
    UPDATE,
)
from paceline.recipe import Scope
from paceline.sql import literal
from paceline.store.quarantine import QUARANTINE

# Rows that one task writes as quickly as many, into one file instead of many.
_SMALL = 200_000
_CONFLICTS = ("DELTA_CONCURRENT_", "DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED")


class StaleError(PacelineError):
    """Somebody else has published in between: the run has to claim again."""


def is_conflict(error: Exception) -> bool:
    """Whether Delta has refused a commit because another one came in between.

    The classes of these errors differ between sessions, and with what has been imported; the
    condition that they name does not.
    """
    condition = getattr(error, "getCondition", lambda: None)() or ""
    first_lines = " ".join(str(error).splitlines()[:2])
    return any(f"[{name}" in f"[{condition} {first_lines}" for name in _CONFLICTS)


def staged_rows(claimed: Claim, version: int, ops: tuple[str, ...]) -> str:
    """SQL for the rows of this attempt in a committed version of the staging table."""
    expected = ", ".join(literal(op) for op in ops)
    return (
        f"SELECT * FROM {claimed.run.warehouse.identifier(claimed.staging)} "
        f"VERSION AS OF {version} WHERE {RUN_ID} = {literal(claimed.attempt_id)}"
        f" AND {OP} IN ({expected})"
    )


def quarantine(claimed: Claim, version: int) -> None:
    """Adds the refused records, and resolves those that are no longer refused."""
    run, contract = claimed.run, claimed.contract
    now, run_id, name = literal(run.started_at), literal(run.run_id), literal(contract.name)
    run.warehouse.spark.sql(
        f"""
        MERGE INTO {run.warehouse.identifier(QUARANTINE)} t
        USING (
            SELECT *, to_json(struct({", ".join(contract.key)})) AS _key
            FROM ({staged_rows(claimed, version, (REFUSE, RESOLVE))})
        ) s
        ON t.table_name = {name} AND t.reject_key = s.{REJECT_KEY}
            AND t.key = s._key AND t.resolved_by IS NULL
        WHEN MATCHED AND s.{OP} = '{RESOLVE}' THEN UPDATE SET
            resolved_by = {run_id}, last_seen = {now}
        WHEN NOT MATCHED AND s.{OP} = '{REFUSE}' THEN INSERT (
            table_name, reject_key, key, source_path, line_number, payload, reasons, broken_values,
            run_id, contract_version, first_seen, last_seen, resolved_by
        ) VALUES (
            {name}, s.{REJECT_KEY}, s._key, s.{recipe.RECORD}.source_path,
            s.{recipe.RECORD}.line_number, s.{recipe.RECORD}.payload, s.{recipe.REASONS},
            s.{BROKEN_VALUES}, {run_id}, {literal(contract.version)}, {now}, {now}, NULL
        )
        """
    )


def merge(claimed: Claim, version: int, scope: Scope, result: AuditResult) -> int:
    """Publishes the staged rows in one commit; returns the version that the table has then.

    A row is updated or deleted only while it still is what the staged row says it replaces.

    Raises:
        StaleError: when a staged row could not be brought into its intended state.
    """
    warehouse, contract = claimed.run.warehouse, claimed.contract
    target = warehouse.identifier(contract.name)
    source = staged_rows(claimed, version, ROW_OPS)
    columns = ", ".join(contract.column_names)
    # Not the version that the commit really gets: after a foreign commit in between it is a later
    # one, and only then does the next run notice that the table holds more than this run has read.
    published = claimed.changes.target.version + 1
    # Two first runs side by side could both append, and every key would be there twice.
    if claimed.is_first and claimed.run.is_alone:
        warehouse.spark.sql(f"INSERT INTO {target} ({columns}) SELECT {columns} FROM ({source})")
        return published
    counts = result.counts
    expected = sum(counts[op] for op in ROW_OPS)
    clauses = "".join(text for op, text in _clauses(claimed).items() if counts[op])
    with warehouse.partitioned(None if expected > _SMALL else 1):
        (done,) = warehouse.spark.sql(
            f"MERGE INTO {target} t USING ({source}) s ON {_match(claimed, scope, result)}{clauses}"
        ).collect()
    # An append-only row that is there already is as it should be: its key is its content.
    if done["num_affected_rows"] != expected and not contract.append_only:
        raise StaleError(
            f"{contract.name} was written by another run in between "
            f"({done['num_affected_rows']} of {expected} rows were as they had been read): "
            "run again when the other run has ended."
        )
    return published if done["num_affected_rows"] else claimed.changes.target.version


def _match(claimed: Claim, scope: Scope, result: AuditResult) -> str:
    # The history of the table keeps this condition: by the mark the next run knows the commit.
    mark = f"s.{RUN_ID} = {literal(claimed.attempt_id)}"
    keys = [f"t.{name} = s.{name}" for name in claimed.contract.key]
    # Literal bounds let Delta skip the files that cannot hold any of the keys.
    bounds = [
        f"t.{name} BETWEEN {literal(least)} AND {literal(greatest)}"
        for name, (least, greatest) in result.bounds.items()
    ]
    pruned = f"({scope.predicate(since=scope.since, prefix='t.')})"
    return " AND ".join([mark, *keys, *bounds, pruned])


def _clauses(claimed: Claim) -> dict[str, str]:
    """By operation, what MERGE does; Delta reads and joins less for those that are left away."""
    contract = claimed.contract
    columns = contract.column_names
    inserted = f"({', '.join(columns)}) VALUES ({', '.join(f's.{name}' for name in columns)})"
    updated = ", ".join(f"t.{name} = s.{name}" for name in columns if name not in contract.key)
    return {
        REMOVE: f" WHEN MATCHED AND {_still(columns, REMOVE)} THEN DELETE",
        UPDATE: f" WHEN MATCHED AND {_still(columns, UPDATE)} THEN UPDATE SET {updated}",
        INSERT: f" WHEN NOT MATCHED AND s.{OP} = '{INSERT}' THEN INSERT {inserted}",
    }


def _still(columns: Sequence[str], op: str) -> str:
    """Whether the staged row has this operation, and the published one is what it replaces.

    As one value: a comparison per column would outgrow what Spark can compile into one method. Both
    sides of the table and of staging are in it, so that Spark cannot take it for a key of the join:
    such a key is normalised field by field, each time making the struct anew.
    """
    published = ", ".join(f"t.{name}" for name in columns)
    replaced = ", ".join(f"s.{REPLACES}.{name}" for name in columns)
    return f"struct(s.{OP}, {published}) <=> struct('{op}' AS {OP}, {replaced})"
