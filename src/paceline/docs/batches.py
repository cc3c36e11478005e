"""How the last batches of the tables were judged, told again by Great Expectations.

Results are not stored. The rows that an audit has seen are still in staging, so that they can be
judged once more, under the contract as it is now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from paceline.contract import Contract
from paceline.publish.staged import INSERT, OP, RUN_ID, UPDATE, staging_name
from paceline.store import ledger
from paceline.store.warehouse import Warehouse

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult


def last_batches(
    warehouse: Warehouse, contracts: Mapping[str, Contract]
) -> dict[str, list[ExpectationSuiteValidationResult]]:
    """By table, the audit of the last batch that was published, and of one rejected since.

    Batches without rows to publish are not among them. Each result names its run and the time of
    its end in `meta["run_id"]`.
    """
    from great_expectations.core.run_identifier import RunIdentifier

    runs = warehouse.spark.sql(
        f"""
        SELECT table_name, run_id, finished_at FROM (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY table_name, status ORDER BY finished_at DESC)
                    = 1 AS is_last,
                MAX(IF(status = 'PUBLISHED', finished_at, NULL)) OVER (PARTITION BY table_name)
                    AS last_good
            FROM {ledger.lines(warehouse)}
            WHERE status = 'REJECTED'
                OR (status = 'PUBLISHED' AND rows_inserted + rows_updated > 0)
        )
        WHERE is_last AND (status = 'PUBLISHED' OR last_good IS NULL OR finished_at > last_good)
        ORDER BY table_name, finished_at DESC
        """
    ).collect()
    found: dict[str, list[ExpectationSuiteValidationResult]] = {}
    for run in runs:
        contract = contracts.get(run["table_name"])
        if contract is not None and warehouse.exists(staging_name(contract.name)):
            result = _judged_again(warehouse, contract, run["run_id"])
            if result is not None:
                result.meta["run_id"] = RunIdentifier(run["run_id"], run["finished_at"])
                found.setdefault(contract.name, []).append(result)
    return found


def _judged_again(
    warehouse: Warehouse, contract: Contract, run_id: str
) -> ExpectationSuiteValidationResult | None:
    """The audit of the last attempt of a run; None when it had no row to publish."""
    from paceline.publish.expectations import validate

    staging = staging_name(contract.name)
    warehouse.register(staging)
    of_run = warehouse.table(staging)
    if not set(contract.column_names) <= set(of_run.columns):
        return None  # staged before the contract had all its columns
    of_run = of_run.where(of_run[RUN_ID].startswith(f"{run_id}-") & of_run[OP].isin(INSERT, UPDATE))
    attempts = of_run.groupBy(RUN_ID).count().collect()
    if not attempts:
        return None
    mark, count = max((row[RUN_ID], row["count"]) for row in attempts)
    rows = of_run.where(of_run[RUN_ID] == mark).select(*contract.column_names)
    return validate(rows, contract, count)
