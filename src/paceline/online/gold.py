"""Reading gold for the online store: by delta-rs where tables are files, by Spark in a catalog.

Both answer the same questions with the same bits. Instants are microseconds since 1970 in UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from paceline.errors import UsageError
from paceline.online.views import ATHLETE, EVENT_TIME, Served
from paceline.store import erasures
from paceline.store.ledger import LEDGER, SEALED_EVENT
from paceline.store.warehouse import Position, Warehouse

if TYPE_CHECKING:
    import deltalake

# A longer list of athletes costs more to plan than reading everybody saves.
MAX_LISTED = 1_000
_UTC = pa.timestamp("us", "UTC")


class Gold(Protocol):
    """What a sync asks of the gold tables."""

    @property
    def root(self) -> Path | None:
        """The directory of a local warehouse; None for a catalog."""
        ...

    def table(self, table_name: str) -> str:
        """The path or the name under which Feast knows a table."""
        ...

    def newest(self, table_name: str) -> Position:
        """The newest version of a table."""
        ...

    def columns(self, position: Position) -> set[str]:
        """The columns of a table at a version."""
        ...

    def commit(self, position: Position) -> str | None:
        """What tells the commit of a version from others of that number; None when it is gone.

        A warehouse that was restored from a copy has another history from some version on.
        """
        ...

    def inputs(self, table_name: str) -> Mapping[str, Position]:
        """The versions that the last sealed run of a table has read; empty when there is none."""
        ...

    def erased(self) -> erasures.Erased | None:
        """Who has been erased; None while nobody has."""
        ...

    def changed(self, since: Position, version: int) -> set[int]:
        """The athletes with a row that commits after `since` have touched, up to a version.

        Raises:
            Exception: of any kind, when the change feed is gone.
        """
        ...

    def became_known(self, position: Position, after: int, until: int) -> set[int]:
        """The athletes with a row whose event_timestamp lies in (after, until]."""
        ...

    def rows(
        self,
        served: Served,
        position: Position,
        until: int,
        columns: Sequence[str],
        athletes: Collection[int] | None,
    ) -> pa.Table:
        """Of each athlete the row to serve: the greatest with event_timestamp <= `until`.

        Args:
            served: which rows count, and how they are compared.
            position: the version that is read.
            until: the instant.
            columns: to be read beside the athlete and the event_timestamp.
            athletes: whose; None means everybody's.

        Returns:
            One chunk, in the order of the athletes; dates are midnight UTC.
        """
        ...


class FileGold:
    """The tables of a local warehouse, read without Java."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def table(self, table_name: str) -> str:
        """The directory of a table."""
        return str(self.root.joinpath(*table_name.split(".")))

    def newest(self, table_name: str) -> Position:
        """The newest version of a table.

        Raises:
            UsageError: when there is no such table.
        """
        table = self._open(table_name)
        return Position(table_name, str(table.metadata().id), table.version())

    def columns(self, position: Position) -> set[str]:
        """The columns of a table at a version."""
        return {
            field.name
            for field in self._open(position.table_name, position.version).schema().fields
        }

    def commit(self, position: Position) -> str | None:
        """What tells the commit of a version from others of that number."""
        return _commit(self.table(position.table_name), position.version)

    def inputs(self, table_name: str) -> Mapping[str, Position]:
        """The versions that the last sealed run of a table has read."""
        rows = self._query(
            f"SELECT input_versions FROM t WHERE table_name = '{table_name}'"
            f" AND event = '{SEALED_EVENT}' ORDER BY at DESC LIMIT 1",
            self._open(LEDGER),
        ).to_pylist()
        return {pin["table_name"]: Position(**pin) for row in rows for pin in row["input_versions"]}

    def erased(self) -> erasures.Erased | None:
        """Who has been erased."""
        import deltalake

        if not deltalake.DeltaTable.is_deltatable(self.table(erasures.ERASURES)):
            return None
        kinds = ", ".join(f"'{kind}'" for kind in erasures.KINDS)
        found = self._query(
            f"SELECT kind, value FROM t WHERE kind IN ({kinds})", self._open(erasures.ERASURES)
        )
        return erasures.of_rows([(row["kind"], row["value"]) for row in found.to_pylist()])

    def changed(self, since: Position, version: int) -> set[int]:
        """The athletes whom commits have touched."""
        feed = self._open(since.table_name).load_cdf(
            starting_version=since.version + 1, ending_version=version, columns=[ATHLETE]
        )
        return set(pa.table(feed.read_all())[ATHLETE].unique().to_pylist())

    def became_known(self, position: Position, after: int, until: int) -> set[int]:
        """The athletes with a row that has become known."""
        found = self._query(
            f"SELECT DISTINCT {ATHLETE} FROM t WHERE {EVENT_TIME} > {_micros(after)}"
            f" AND {_until(_micros(until))}",
            self._open(position.table_name, position.version),
        )
        return set(found[ATHLETE].to_pylist())

    def rows(
        self,
        served: Served,
        position: Position,
        until: int,
        columns: Sequence[str],
        athletes: Collection[int] | None,
    ) -> pa.Table:
        """The rows to serve.

        First the greatest row of each athlete is found by the few columns that order rows, and then
        only the instants at which there is one are read in full: nearly all athletes have the same.
        """
        table = self._open(position.table_name, position.version)
        listed = athletes if athletes is not None and len(athletes) <= MAX_LISTED else None
        which = f"{_until(_micros(until))} AND {served.condition}" + _among(listed)
        order = ", ".join(served.order)
        descending = ", ".join(f"{name} DESC" for name in served.order)
        keys = self._query(
            f"SELECT {ATHLETE}, {order} FROM (SELECT {ATHLETE}, {order}, row_number() OVER"
            f" (PARTITION BY {ATHLETE} ORDER BY {descending}) AS n FROM t WHERE {which})"
            " WHERE n = 1",
            table,
        )
        if athletes is not None and listed is None:
            keys = keys.filter(pc.is_in(keys[ATHLETE], pa.array(athletes, pa.int64())))
        names = list(dict.fromkeys((ATHLETE, *served.order, *columns)))
        read = self._query(f"SELECT {', '.join(names)} FROM t WHERE {which} AND {_at(keys)}", table)
        matched = read.join(keys, [ATHLETE, *served.order], join_type="left semi")
        return plain(matched.select(names))

    def _open(self, table_name: str, version: int | None = None) -> deltalake.DeltaTable:
        import deltalake
        from deltalake.exceptions import TableNotFoundError

        try:
            return deltalake.DeltaTable(self.table(table_name), version=version)
        except TableNotFoundError as error:
            raise UsageError(
                f"The warehouse {self.root} holds no {table_name}: run the jobs first, or name "
                "another warehouse with --warehouse."
            ) from error

    def _query(self, sql: str, table: deltalake.DeltaTable) -> pa.Table:
        import deltalake

        return with_plain_text(
            deltalake.QueryBuilder().register("t", table).execute(sql).read_all()
        )


class TableGold:
    """The tables of a catalog, or any that Spark is to read."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    @property
    def root(self) -> Path | None:
        """The directory of a local warehouse; None for a catalog."""
        return self.warehouse.root

    def table(self, table_name: str) -> str:
        """The directory of a table, or its name in the catalog."""
        if self.warehouse.root is not None:
            return str(self.warehouse.root.joinpath(*table_name.split(".")))
        return self.warehouse.identifier(table_name).replace("`", "")

    def newest(self, table_name: str) -> Position:
        """The newest version of a table.

        Raises:
            UsageError: when there is no such table.
        """
        if not self.warehouse.exists(table_name):
            raise UsageError(
                f"There is no table {self.table(table_name)}: run the jobs first, or name another "
                "place."
            )
        self.warehouse.register(table_name)
        return self.warehouse.position(table_name)

    def columns(self, position: Position) -> set[str]:
        """The columns of a table at a version."""
        return set(self.warehouse.at(position).columns)

    def commit(self, position: Position) -> str | None:
        """What tells the commit of a version from others of that number."""
        if self.root is not None:
            return _commit(self.table(position.table_name), position.version)
        name = self.warehouse.identifier(position.table_name)
        history = self.warehouse.spark.sql(f"DESCRIBE HISTORY {name}")
        found = history.where(history.version == position.version).select("timestamp").collect()
        return found[0][0].isoformat() if found else None

    def inputs(self, table_name: str) -> Mapping[str, Position]:
        """The versions that the last sealed run of a table has read."""
        from paceline.store.state import read_state

        self.warehouse.register(LEDGER)
        sealed = read_state(self.warehouse, [table_name]).sealed.get(table_name)
        return {} if sealed is None else sealed.read

    def erased(self) -> erasures.Erased | None:
        """Who has been erased."""
        return erasures.read(self.warehouse)

    def changed(self, since: Position, version: int) -> set[int]:
        """The athletes whom commits have touched."""
        name = self.warehouse.identifier(since.table_name)
        reader = self.warehouse.spark.read.format("delta").option("readChangeFeed", "true")
        feed = (
            reader.option("startingVersion", since.version + 1)
            .option("endingVersion", version)
            .table(name)
        )
        return {row[0] for row in feed.select(ATHLETE).distinct().collect()}

    def became_known(self, position: Position, after: int, until: int) -> set[int]:
        """The athletes with a row that has become known."""
        rows = self.warehouse.at(position).where(
            f"{EVENT_TIME} > timestamp_micros({after}) AND {_until(f'timestamp_micros({until})')}"
        )
        return {row[0] for row in rows.select(ATHLETE).distinct().collect()}

    def rows(
        self,
        served: Served,
        position: Position,
        until: int,
        columns: Sequence[str],
        athletes: Collection[int] | None,
    ) -> pa.Table:
        """The rows to serve."""
        from pyspark.sql import functions as F

        known = self.warehouse.at(position).where(
            f"{_until(f'timestamp_micros({until})')} AND {served.condition}"
        )
        if athletes is not None:
            listed = pa.table({ATHLETE: pa.array(sorted(athletes), pa.int64())})
            known = known.join(self.warehouse.spark.createDataFrame(listed), ATHLETE, "left_semi")
        row = F.struct(EVENT_TIME, *columns)
        greatest = F.max_by(row, F.struct(*served.order)).alias("row")
        found = known.groupBy(ATHLETE).agg(greatest).select(ATHLETE, "row.*")
        return plain(found.toArrow())


def gold(warehouse: Warehouse | Path) -> Gold:
    """The reader for a local directory, or for the tables of a catalog."""
    return FileGold(warehouse) if isinstance(warehouse, Path) else TableGold(warehouse)


def plain(table: pa.Table) -> pa.Table:
    """Arrow as Feast's conversion takes it: one chunk, instants in UTC, dates as instants."""
    schema = [
        field.with_type(_UTC)
        if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(schema)).sort_by(ATHLETE).combine_chunks()


def with_plain_text(read: Any) -> pa.Table:
    """What delta-rs has read, without the views of texts that Arrow's joins do not know."""
    table = pa.table(read)
    schema = [
        field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(schema))


def _commit(directory: str, version: int) -> str | None:
    """The digest of a file of Delta's log."""
    file = Path(directory, "_delta_log", f"{version:020}.json")
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _until(instant: str) -> str:
    return f"{EVENT_TIME} <= {instant}"


def _micros(instant: int) -> str:
    """An instant in the SQL of DataFusion."""
    return f"to_timestamp_micros({instant})"


def _at(keys: pa.Table) -> str:
    """The instants of some rows, in the SQL of DataFusion: each of few, or the range of many."""
    instants = pc.unique(keys[EVENT_TIME].cast(_UTC).cast(pa.int64())).to_pylist()
    if not instants:
        return "FALSE"
    if len(instants) <= MAX_LISTED:
        return f"{EVENT_TIME} IN ({', '.join(map(_micros, sorted(instants)))})"
    return f"{EVENT_TIME} >= {_micros(min(instants))}"


def _among(athletes: Collection[int] | None) -> str:
    if athletes is None:
        return ""
    # An empty set is FALSE, not IN (NULL): DataFusion drops that condition beside others.
    listed = f"{ATHLETE} IN ({', '.join(map(str, sorted(athletes)))})"
    return f" AND {listed if athletes else 'FALSE'}"
