"""What Great Expectations costs: CPU of its audit against aggregates by hand that check the same.

All sides take turns in one session, so that only the ratios say something. It is part of
`make bench`; by itself it is `python -m benchmarks --only audit`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from benchmarks.contenders import contracts
from paceline.contract import Contract
from paceline.publish.expectations import broken_rows
from paceline.session import session

ROUNDS, WARM_UP = 5, 1


def measured(rows: int, tables: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The costs of the audit for each table, over batches of so many rows.

    Args:
        rows: of a batch.
        tables: names of tables; all when there is none.

    Returns:
        For each table its name, and the CPU seconds of checking a batch: `by hand`, by the `suite`,
        and by the suite when every row breaks a rule (`suite, failing`).
    """
    with TemporaryDirectory() as root:
        spark = session(Path(root))
        found = []
        promised = contracts()
        for contract in (promised[name] for name in tables or promised):
            good, bad = (frames(spark, contract, rows, Path(root), bad=b) for b in (0, 1))
            by_hand, suite, failing = costs(
                spark,
                lambda good=good, contract=contract: aggregates(good, contract),
                lambda good=good, contract=contract: broken_rows(good, contract, rows),
                lambda bad=bad, contract=contract: broken_rows(bad, contract, rows),
            )
            cpu_s = {"by hand": by_hand, "suite": suite, "suite, failing": failing}
            found.append({"table": contract.name, "cpu_s": cpu_s})
    return found


def frames(spark: SparkSession, contract: Contract, size: int, root: Path, bad: int) -> DataFrame:
    """Rows like the example with keys of their own; with `bad`, each breaks the first rule."""
    cells = contract.example() | (dict(contract.rules[0].counter_example) if bad else {})
    # A row that breaks a rule may hold a NULL where the schema of the contract allows none.
    schema = StructType([StructField(f.name, f.dataType) for f in contract.schema()])
    example = spark.createDataFrame([tuple(cells.values())], schema)
    key = next(c for c in contract.columns if c.name in contract.key and c.type != "DATE")
    rows = spark.range(size).crossJoin(example).withColumn(key.name, F.col("id").cast(key.type))
    path = str(root / f"{contract.name}.{size}.{bad}")
    rows.select(*contract.column_names).write.format("delta").save(path)
    return spark.read.format("delta").load(path)


def aggregates(rows: DataFrame, contract: Contract) -> Any:
    """The checks of the suite as one would write them without it."""
    kept = [
        " AND ".join(f"{name} IS NOT NULL" for name in names)
        for names in (contract.key, contract.required_columns)
    ]
    kept += [rule.predicate for rule in contract.rules]
    kept += [f"{limit.column} IS NOT NULL" for limit in contract.thresholds.null_limits]
    assert rows.columns == list(contract.column_names)
    return rows.agg(
        F.count(F.lit(1)),
        F.count_distinct(F.struct(*contract.key)),
        *(F.count_if(~F.coalesce(F.expr(predicate), F.lit(False))) for predicate in kept),
    ).collect()


def costs(spark: SparkSession, *candidates: Callable[[], Any]) -> list[float]:
    """The median CPU seconds of each candidate; they take turns."""
    seconds: list[list[float]] = [[] for _ in candidates]
    for _ in range(WARM_UP + ROUNDS):
        for candidate, found in zip(candidates, seconds, strict=True):
            before = cpu_s(spark)
            candidate()
            found.append(cpu_s(spark) - before)
    return [median(found[WARM_UP:]) for found in seconds]


def java_pid(spark: SparkSession) -> int:
    """The process of the Java machine."""
    gateway = spark.sparkContext._gateway
    assert gateway is not None
    return int(gateway.proc.pid)


def cpu_s(spark: SparkSession) -> float:
    """CPU seconds of this process and of its Java machine so far (Linux only)."""
    fields = Path(f"/proc/{java_pid(spark)}/stat").read_text().rpartition(")")[2].split()
    of_java = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    own = os.times()
    return of_java + own.user + own.system
