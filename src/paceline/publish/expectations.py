"""The Great Expectations suite of a contract, and what it says of rows.

Every expectation about values is one aggregate over all rows, so that Great Expectations computes a
whole suite in a single query: its own expectations would ask one query per column. None of them
ever looks at a value itself, so that no result can show one.

Importing this module imports Great Expectations, which takes seconds: only an audit does.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import great_expectations as gx
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.core.expect_table_columns_to_match_set import (
    ExpectTableColumnsToMatchSet,
)
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_partial, metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from pyspark.sql import functions as F

from paceline.contract import Contract

if TYPE_CHECKING:
    from great_expectations.core import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )
    from great_expectations.datasource.fluent.interfaces import Batch
    from pyspark.sql import Column, DataFrame

KEY_NOT_NULL, KEY_UNIQUE, REQUIRED_NOT_NULL = "key_not_null", "key_unique", "required_not_null"
COLUMNS = "columns"
_SEVERITY = {"error": "critical", "warning": "warning"}


def suite(contract: Contract, rows: int) -> gx.ExpectationSuite:
    """What rows to publish have to keep; the severity of a rule is that of its expectation.

    Each expectation carries the name of its check as `meta["check"]`. Limits on NULLs are part of
    the suite of a batch of at least `min_rows` rows.
    """
    required = " AND ".join(f"{name} IS NOT NULL" for name in contract.required_columns)
    key = " AND ".join(f"{name} IS NOT NULL" for name in contract.key)
    columns = ExpectTableColumnsToMatchSet(
        column_set=list(contract.column_names), exact_match=True, meta={"check": COLUMNS}
    )
    expectations: list[Any] = [
        columns,
        _kept(KEY_NOT_NULL, key, "No key column is NULL."),
        ExpectKeyToBeUnique(
            key=list(contract.key),
            description="No two rows have the same key.",
            meta={"check": KEY_UNIQUE},
        ),
        _kept(REQUIRED_NOT_NULL, required, "No required column is NULL."),
    ]
    expectations += [
        _kept(rule.name, rule.predicate, rule.description, severity=_SEVERITY[rule.severity])
        for rule in contract.rules
    ]
    if rows >= contract.thresholds.min_rows:
        expectations += [
            _kept(
                f"null_share_{limit.column}",
                f"{limit.column} IS NOT NULL",
                f"{limit.column} is NULL in at most {limit.max_null_share:.0%} of the rows.",
                severity=_SEVERITY[limit.severity],
                max_broken_share=limit.max_null_share,
            )
            for limit in contract.thresholds.null_limits
        ]
    return gx.ExpectationSuite(name=contract.name, expectations=expectations)


def validate(rows: DataFrame, contract: Contract, count: int) -> ExpectationSuiteValidationResult:
    """Validates `count` rows with the suite of their contract."""
    # Even one that passes has to tell its number of rows, which BOOLEAN_ONLY leaves out. BASIC adds
    # no query and no sample of values here, because no expectation of the suite has one.
    result: ExpectationSuiteValidationResult = _batch(rows).validate(
        suite(contract, count), result_format="BASIC"
    )
    return result


def broken_rows(rows: DataFrame, contract: Contract, count: int) -> dict[str, int | None]:
    """By check, how many of `count` rows break it; None for a check that could not run.

    Wrong columns count as 1.
    """
    return {
        result.expectation_config.meta["check"]: _broken(result)
        for result in validate(rows, contract, count).results
        if result.expectation_config is not None
    }


def _broken(result: ExpectationValidationResult) -> int | None:
    if result.exception_info.get("raised_exception") is not False:
        return None
    observed = result.result.get("observed_value")
    return observed if isinstance(observed, int) else int(not result.success)


def _kept(check: str, predicate: str, description: str, **values: Any) -> ExpectRowsToKeep:
    return ExpectRowsToKeep(
        predicate=predicate, description=description, meta={"check": check}, **values
    )


@cache
def _asset() -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # Rows are not kept in memory: what is judged is the committed version, read as it is.
    source = context.data_sources.add_spark("staged", persist=False)
    return source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")


def _batch(rows: DataFrame) -> Batch:
    batch: Batch = _asset().get_batch({"dataframe": rows})
    return batch


def _aggregate(metric_fn: Any) -> Any:
    """Makes a metric of an aggregate of Spark, which is computed together with all the others."""

    def spark(
        cls: Any,
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> tuple[Column, dict[str, Any], dict[str, Any]]:
        return metric_fn(**metric_value_kwargs), metric_domain_kwargs, {}

    return metric_partial(
        engine=SparkDFExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )(spark)


def _breaking(predicate: str) -> Column:
    # A predicate that is NULL does not hold.
    return F.count_if(~F.coalesce(F.expr(predicate), F.lit(False)))


class RowsBreaking(TableMetricProvider):
    """How many rows do not keep a predicate."""

    metric_name = "table.rows_breaking"
    value_keys = ("predicate",)
    _spark = _aggregate(_breaking)


class RowsRepeatingAKey(TableMetricProvider):
    """How many rows have a key that another row has too, all but one for each such key."""

    metric_name = "table.rows_repeating_a_key"
    value_keys = ("key",)

    # In a query of its own: to count distinct keys together with the rest, Spark would carry the
    # counters of all checks through a shuffle, once for each key.
    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(
        cls: Any,
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> int:
        rows = execution_engine.get_domain_records(domain_kwargs=metric_domain_kwargs)
        by_key = rows.groupBy(*metric_value_kwargs["key"])
        copies = by_key.agg((F.count(F.lit(1)) - 1).alias("copies"))
        (tally,) = copies.agg(F.sum("copies").alias("repeated")).collect()
        return int(tally["repeated"] or 0)


class ExpectRowsToKeep(BatchExpectation):
    """Expect rows to keep a predicate of Spark SQL; a share of them may break it.

    The result holds the number of rows that break it.
    """

    predicate: str
    max_broken_share: float = 0
    metric_dependencies = ("table.row_count", RowsBreaking.metric_name)
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)
    success_keys: ClassVar[tuple[str, ...]] = ("predicate", "max_broken_share")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        broken, rows = metrics[RowsBreaking.metric_name], metrics["table.row_count"]
        is_kept = broken == 0 or broken / rows <= self.max_broken_share
        return {"success": is_kept, "result": {"observed_value": broken}}


class ExpectKeyToBeUnique(BatchExpectation):
    """Expect no two rows to have the same key; the result holds the number of repeated ones."""

    key: list[str]
    metric_dependencies = (RowsRepeatingAKey.metric_name,)
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)
    success_keys: ClassVar[tuple[str, ...]] = ("key",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        repeated = metrics[RowsRepeatingAKey.metric_name]
        return {"success": repeated == 0, "result": {"observed_value": repeated}}
