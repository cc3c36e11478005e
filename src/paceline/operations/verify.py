"""Whether the published tables are what a rebuild from bronze would give, row by row.

A rebuild is what the recipes give without any own rows. Once a table has been found equal to its
rebuild, the published one stands in for it as the input of the next table, which spares making it
again; for one that differs its rebuild goes on being used. Nothing is written but the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from paceline import recipe as r
from paceline.contract import Contract
from paceline.publish import diff
from paceline.publish.fingerprint import fingerprint
from paceline.recipe import EVERYTHING, Context, Table
from paceline.store.state import Sealed
from paceline.store.warehouse import Position, Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ATHLETE = "athlete_id"
_COPY = "_copy"


@dataclass(frozen=True)
class Difference:
    """A row that differs: its key, and (column, published, rebuilt) for each column that does.

    `what` is `differs`, or says that the row is published or rebuilt only.
    """

    key: Mapping[str, Any]
    what: str
    columns: tuple[tuple[str, Any, Any], ...]


@dataclass(frozen=True)
class Finding:
    """What verifying one table has found.

    Attributes:
        table_name: the table.
        compared: rows compared, published and rebuilt ones together.
        differing: how many of them differ.
        first: the first of these, by key.
        problem: why the table cannot be judged; None when it has been.
    """

    table_name: str
    compared: int = 0
    differing: int = 0
    first: tuple[Difference, ...] = ()
    problem: str | None = None

    @property
    def verdict(self) -> str:
        """PASS, FAIL, or ERROR when the table could not be judged."""
        if self.problem is not None:
            return "ERROR"
        return "FAIL" if self.differing else "PASS"


def sample(
    tables: Sequence[Table], contracts: Mapping[str, Contract], athletes: int, warehouse: Warehouse
) -> list[int]:
    """The athletes with the smallest hashes, of all whom any input or table knows.

    The same athletes are chosen every time, as long as none of them comes or goes.
    """
    from pyspark.sql import functions as F

    names = dict.fromkeys(
        name
        for table in tables
        for name in (*table.inputs, table.name)
        if contracts[name].entity == ATHLETE
    )
    known = [warehouse.table(name).select(ATHLETE).distinct() for name in names]
    everyone = r.union(known).distinct().where(F.col(ATHLETE).isNotNull())
    chosen = everyone.orderBy(F.xxhash64(ATHLETE), ATHLETE).limit(athletes).collect()
    return [row[ATHLETE] for row in chosen]


def verify(
    tables: Sequence[Table],
    asked: set[str],
    sealed: Mapping[str, Sealed],
    context: Context,
    warehouse: Warehouse,
    athletes: list[int] | None,
) -> list[Finding]:
    """Compares tables with their rebuild from bronze at the versions that they have been made from.

    Args:
        tables: all that are made from bronze, in order.
        asked: the names of those to compare.
        sealed: by table, its last sealed run.
        context: what recipes may know; each daily table has the horizon that it was sealed with.
        warehouse: where the tables are.
        athletes: whose rows to compare; None means all, as for a table that is not about athletes.
    """
    made: dict[str, DataFrame] = {}
    problems: dict[str, str] = {}
    findings = []
    for table in tables:
        known = context.for_table(
            table, sealed[table.name].horizon if table.name in sealed else None
        )
        problem = _problem(table, sealed, known, problems)
        if problem is not None:
            problems[table.name] = problem
            if table.name in asked:
                findings.append(Finding(table.name, problem=problem))
            continue
        chosen = athletes if context.contracts[table.name].entity == ATHLETE else None
        # What is about nobody in particular cannot be made from the rows of a few.
        is_part = athletes is not None and chosen is None
        inputs = {} if is_part else {name: made[name] for name in table.inputs if name in made}
        cursor = sealed[table.name].cursor
        for name in table.inputs:
            if name not in inputs:
                inputs[name] = _received(cursor[name], warehouse)
        published = _of(chosen, warehouse.table(table.name))
        made[table.name] = _of(chosen, _rebuilt(table, inputs, published, known, chosen))
        if table.name in asked:
            contract = context.contracts[table.name]
            findings.append(_compared(made[table.name], published, contract))
            if findings[-1].differing == 0:
                made[table.name] = published
    return findings


def _received(cursor: Position, warehouse: Warehouse) -> DataFrame:
    """Bronze as it was read; files of that version may be gone, if only they have changed since."""
    if warehouse.is_rewritten_since(cursor):
        return warehouse.at(cursor)
    return warehouse.table(cursor.table_name)


def _problem(
    table: Table, sealed: Mapping[str, Sealed], context: Context, problems: Mapping[str, str]
) -> str | None:
    """Why nobody can say what should be published; None when the last runs have settled it."""
    mine = sealed.get(table.name)
    if mine is None:
        return "nothing has been published yet"
    if mine.fingerprint != fingerprint(table, context):
        return "rules, settings, policy or recipes have changed since all rows were last compared"
    for name in table.inputs:
        if name in problems:
            return f"{name} cannot be judged"
        cursor, above = mine.cursor.get(name), sealed.get(name)
        if cursor is None or cursor != mine.read.get(name):
            return f"not all changes of {name} are published yet"
        if above is not None and cursor.version < above.target_version:
            return f"it is behind {name}"
    return None


def _rebuilt(
    table: Table,
    inputs: Mapping[str, DataFrame],
    published: DataFrame,
    context: Context,
    athletes: list[int] | None,
) -> DataFrame:
    """The rows that should exist, of at least the athletes; never from rows of the table itself."""
    from pyspark.sql import functions as F

    own = published.limit(0)
    inputs = {name: table.seen(name, frame) for name, frame in inputs.items()}
    scope = EVERYTHING
    if athletes is not None:
        # All they ever sent taken as changed reaches all of their rows.
        changes = {name: _of(athletes, frame) for name, frame in inputs.items()}
        scope = table.touched(changes, inputs, own, context)
    contract = context.contracts[table.name]
    rows = table.rows(scope, inputs, own, context)
    judged = diff.judged(rows, contract, context.policies[table.name])
    return judged.where(F.col(r.DISPOSITION) == r.CURRENT).select(*contract.column_names)


def _of(athletes: list[int] | None, frame: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    if athletes is None or ATHLETE not in frame.columns:
        return frame
    return frame.where(F.col(ATHLETE).isin(athletes))


def _compared(rebuilt: DataFrame, published: DataFrame, contract: Contract) -> Finding:
    from pyspark.sql import functions as F

    both = _joined(rebuilt, published, contract)
    differing = both.where(~F.col("is_equal"))
    (tally,) = both.agg(
        F.count("*").alias("rows"), F.count_if(~F.col("is_equal")).alias("differing")
    ).collect()
    first: tuple[Difference, ...] = ()
    if tally["differing"]:
        key = [F.coalesce(f"rebuilt.{name}", f"published.{name}") for name in contract.key]
        rows = differing.orderBy(*key).limit(5).collect()
        first = tuple(_difference(row["published"], row["rebuilt"], contract) for row in rows)
    return Finding(contract.name, tally["rows"], tally["differing"], first)


def _joined(rebuilt: DataFrame, published: DataFrame, contract: Contract) -> DataFrame:
    """Published and rebuilt rows side by side, as structs; a key that is there twice, twice."""
    from pyspark.sql import functions as F

    sides = []
    for frame, side in ((rebuilt, "rebuilt"), (published, "published")):
        row = F.struct(*contract.column_names).alias(side)
        key = [F.col(name).alias(f"{side}_{name}") for name in contract.key]
        sides.append(_numbered(frame, contract).select(row, *key, F.col(_COPY).alias(side[0])))
    matches = [
        F.col(f"rebuilt_{name}").eqNullSafe(F.col(f"published_{name}")) for name in contract.key
    ]
    same = reduce(lambda a, b: a & b, matches, F.col("r") == F.col("p"))
    joined = sides[0].join(sides[1], same, "full_outer")
    # As one text: a client of Spark Connect cannot send as many conditions nested in each other.
    equal = [_is_same(column.name, column.type) for column in contract.columns]
    is_equal = " AND ".join(["rebuilt IS NOT NULL", "published IS NOT NULL", *equal])
    return joined.select("rebuilt", "published", F.expr(is_equal).alias("is_equal"))


def _numbered(frame: DataFrame, contract: Contract) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    copies = Window.partitionBy(*contract.key).orderBy(*contract.key)
    return frame.withColumn(_COPY, F.row_number().over(copies))


def _is_same(name: str, sql_type: str) -> str:
    """Null-safe; for numbers with a point bit by bit: only their texts tell 0.0 from -0.0."""
    left, right = f"rebuilt.{name}", f"published.{name}"
    same = f"{left} <=> {right}"
    if sql_type != "DOUBLE":
        return same
    texts = f"CAST({left} AS STRING) <=> CAST({right} AS STRING)"
    return f"{same} AND ({texts} OR coalesce({left} != 0, TRUE))"


def _difference(published: Any, rebuilt: Any, contract: Contract) -> Difference:
    row = published if rebuilt is None else rebuilt
    key = {name: row[name] for name in contract.key}
    if published is None:
        return Difference(key, "is missing", ())
    if rebuilt is None:
        return Difference(key, "should not exist", ())
    columns = [
        (name, published[name], rebuilt[name])
        for name in contract.column_names
        if repr(published[name]) != repr(rebuilt[name])
    ]
    return Difference(key, "differs", tuple(columns))
