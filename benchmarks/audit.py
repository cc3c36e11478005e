"""What Great Expectations costs: CPU of its audit against aggregates by hand that check the same.

Run it alone on the machine, with the environment active: `python benchmarks/audit.py`. Both sides
take turns in one session, so that only the ratios say something.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from paceline.contract import Contract, load_all
from paceline.expectations import broken_rows
from paceline.run import session

CONF = Path(__file__).parents[1] / "conf"
ROUNDS, WARM_UP = 9, 4
SIZES = (1_000, 200_000)


def main() -> None:
    """Prints, for each table and size, the ratios of CPU."""
    with TemporaryDirectory() as root:
        spark = session(Path(root))
        print(f"{'table':<42} {'rows':>8}  suite/by hand  failing/passing")
        for contract in load_all(CONF / "contracts").values():
            for size in SIZES:
                good, bad = (frames(spark, contract, size, Path(root), bad=b) for b in (0, 1))
                by_hand, suite, failing = costs(
                    spark,
                    lambda good=good, contract=contract: aggregates(good, contract),
                    lambda good=good, contract=contract, n=size: broken_rows(good, contract, n),
                    lambda bad=bad, contract=contract, n=size: broken_rows(bad, contract, n),
                )
                ratios = f"{suite / by_hand:>13.2f}  {failing / suite:>15.2f}"
                print(f"{contract.name:<42} {size:>8}  {ratios}", flush=True)
        spark.stop()


def frames(spark: SparkSession, contract: Contract, size: int, root: Path, bad: int) -> DataFrame:
    """Rows like the example with keys of their own; with `bad`, each breaks the first rule."""
    cells = contract.example() | (dict(contract.rules[0].counter_example) if bad else {})
    example = spark.createDataFrame([tuple(cells.values())], contract.schema())
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


if __name__ == "__main__":
    main()
