"""Predicates, the Great Expectations suite and plain Python: three judges, one verdict."""

from dataclasses import replace

import pytest
from pyspark.sql.types import StructType

from paceline.publish.expectations import broken_rows
from tests.oracle import defects
from tests.oracle.rules import broken
from tests.spark.given import CONTRACTS

ROWS = 400
SEED = 20260701


def nullable(contract):
    """The columns, none of them required: what is not there yet has to be judged, too."""
    return StructType([replace_nullability(field) for field in contract.schema()])


def replace_nullability(field):
    field.nullable = True
    return field


def batch(spark, contract, rows):
    cells = [tuple(row[name] for name in contract.column_names) for row in rows]
    return spark.createDataFrame(cells, nullable(contract))


def in_plain_python(contract, rows):
    """By check, how many rows break it."""
    keys = [tuple(row[name] for name in contract.key) for row in rows]
    counts = {
        "columns": 0,
        "key_not_null": sum(None in key for key in keys),
        "key_unique": len(keys) - len(set(keys)),
        "required_not_null": sum(
            any(row[name] is None for name in contract.required_columns) for row in rows
        ),
    }
    found = [broken(contract.name, row) for row in rows]
    counts |= {rule.name: sum(rule.name in names for names in found) for rule in contract.rules}
    if len(rows) >= contract.thresholds.min_rows:
        for limit in contract.thresholds.null_limits:
            absent = sum(row[limit.column] is None for row in rows)
            counts[f"null_share_{limit.column}"] = absent
    return counts


@pytest.mark.parametrize("name", CONTRACTS)
def test_row_by_row_and_in_total(spark, name):
    contract = CONTRACTS[name]
    limits = replace(contract.thresholds, min_rows=ROWS)
    contract = replace(contract, thresholds=limits)
    rows = defects.rows(defects.table_of(contract), SEED, ROWS)
    frame = batch(spark, contract, rows)
    by_predicates = frame.select(
        contract.broken_rules("error").alias("errors"),
        contract.broken_rules("warning").alias("warnings"),
    ).collect()
    for row, found in zip(rows, by_predicates, strict=True):
        assert [*found.errors, *found.warnings] == in_order(contract, broken(name, row)), row
    assert broken_rows(frame, contract, len(rows)) == in_plain_python(contract, rows)


def in_order(contract, names):
    """Errors first, each kind in the order of the contract."""
    by_severity = [
        rule.name
        for severity in ("error", "warning")
        for rule in contract.rules
        if rule.severity == severity
    ]
    return [name for name in by_severity if name in names]


NAME = "silver.strava_activities"
TABLE = defects.table_of(CONTRACTS[NAME])
GOOD = defects.rows(TABLE, SEED, ROWS)[::3][:8]
BATCHES = {
    "empty": defects.empty(GOOD),
    "a column without a value": defects.all_null(GOOD, "distance_m"),
    "a new key twice": defects.duplicate_new_key(TABLE, GOOD),
    "a published key twice": defects.duplicate_old_key(TABLE, GOOD, GOOD[0]),
    "keys without a value": defects.null_key(TABLE, GOOD),
}


@pytest.mark.parametrize("case", BATCHES)
def test_whole_batches(spark, case):
    limits = replace(CONTRACTS[NAME].thresholds, min_rows=1)
    contract, rows = replace(CONTRACTS[NAME], thresholds=limits), BATCHES[case]
    found = broken_rows(batch(spark, contract, rows), contract, len(rows))
    assert found == in_plain_python(contract, rows)
    assert any(found.values()) == (case != "empty")


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_other_columns(spark, change):
    # Without rules: one whose column is missing could not run either, and is tried for long.
    contract = replace(CONTRACTS[NAME], rules=())
    frame = batch(spark, contract, GOOD)
    other = frame.drop("sport_type") if change == "missing" else frame.withColumn("x", frame[0])
    assert broken_rows(other, contract, len(GOOD))["columns"] == 1
