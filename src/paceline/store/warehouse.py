"""Where the tables are: names, creation, versions. Delta is reached by SQL and DataFrames only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from paceline.errors import PacelineError, UsageError
from paceline.sql import identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCHEMAS = ("bronze", "silver", "feature_store", "ops")
# Raised when a release changes tables in a way that an older one would damage.
LAYOUT_VERSION = 1
LAYOUT_PROPERTY = "paceline.layoutVersion"

CHANGE_FEED = {
    "delta.enableChangeDataFeed": "true",
    "delta.enableDeletionVectors": "true",
}
APPEND_ONLY = {"delta.enableChangeDataFeed": "true", "delta.appendOnly": "true"}
# For tables that are read by partition or as a whole.
NO_STATISTICS = {"delta.dataSkippingNumIndexedCols": "0"}

# Catalogs of Databricks may hold hyphens; the name is put between back-quotes everywhere.
_CATALOG = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# What Hadoop's paths, URIs and globs take for something else, and what ends a name in SQL.
_UNSAFE_IN_PATHS = frozenset("\\`%*?[]{}#;")

# (application, name) of the tables that this process has made known to the catalog of a session.
_registered: set[tuple[str, str]] = set()

# Operations that move files but not rows.
MAINTENANCE = (
    *("OPTIMIZE", "REORG", "VACUUM START", "VACUUM END", "CLUSTER BY", "COMPUTE STATS"),
    *("SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "UPGRADE PROTOCOL", "CHANGE COLUMN"),
    *("CHANGE COLUMNS", "ADD CONSTRAINT", "DROP CONSTRAINT"),
)


@dataclass(frozen=True)
class Position:
    """A version of a table; the id tells a table from another one of the same name."""

    table_name: str
    table_id: str
    version: int


@dataclass(frozen=True)
class Warehouse:
    """The tables of one catalog.

    Attributes:
        spark: the session.
        root: the local directory of the tables; None when the catalog knows where they are.
        catalog: the catalog's name; empty for Spark's own.
        schemas: by member of SCHEMAS, what it is called here, where that is another name. Names in
            SQL change with it; everything else, such as the ledger, keeps the names of SCHEMAS.
    """

    spark: SparkSession
    root: Path | None
    catalog: str = ""
    schemas: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        catalog_of(self.catalog)

    def identifier(self, table_name: str) -> str:
        """The name of a table or schema in SQL.

        Raises:
            UsageError: when it is no plain name.
        """
        schema, *rest = table_name.split(".")
        parts = (self.schemas.get(schema, schema), *rest)
        name = ".".join(identifier(part) for part in parts)
        return f"`{self.catalog}`.{name}" if self.catalog else name

    def reference(self, table_name: str) -> str:
        """The name of a table for a person's SQL, which knows nothing of this session's names."""
        return f"delta.`{self._path(table_name)}`" if self.root else self.identifier(table_name)

    def create_schemas(self) -> None:
        """Makes the schemas known, creating what is missing.

        A session may have worked on another local warehouse before: its names are forgotten.
        """
        if self.root is not None:
            self._forget_others()
        for schema in SCHEMAS:
            location = f" LOCATION {literal(str(self.root / schema))}" if self.root else ""
            self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {self.identifier(schema)}{location}")

    def _forget_others(self) -> None:
        """Drops the names of other warehouses, which keeps their files; tables of others stay."""
        known = {row[0] for row in self.spark.sql("SHOW SCHEMAS").collect()}
        for schema in sorted(known & {self.identifier(schema) for schema in SCHEMAS}):
            for row in self.spark.sql(f"SHOW TABLES IN {schema}").collect():
                if row["isTemporary"]:
                    continue  # a view of the session, which is listed with every schema
                # Others may have given the table any name.
                name = f"{schema}.`{row['tableName'].replace('`', '``')}`"
                if self._is_ours(f"{schema}.{row['tableName']}", name):
                    self.spark.sql(f"DROP TABLE {name}")

    def _is_ours(self, plain_name: str, name: str) -> bool:
        """Whether a name is one of paceline's, and dropping it keeps the files."""
        from pyspark.errors import AnalysisException

        is_registered = (self._application, plain_name) in _registered
        try:
            if self.spark.catalog.getTable(name).tableType != "EXTERNAL":
                return False
            return is_registered or LAYOUT_PROPERTY in self._properties(name)
        except AnalysisException:
            return is_registered  # its files have gone already

    def _take_name(self, table_name: str) -> str:
        """The name of a table in SQL, which from now on is this warehouse's in the session.

        Raises:
            UsageError: when a table of others has it.
        """
        name = self.identifier(table_name)
        if self.root is not None and (self._application, name) not in _registered:
            if self.spark.catalog.tableExists(name):
                layer = table_name.split(".")[0]
                raise UsageError(
                    f"The catalog of this Spark session has a table {name} that is not paceline's: "
                    f"give the schema another name, such as --schema {layer}=paceline_{layer}."
                )
            _registered.add((self._application, name))
        return name

    @property
    def _application(self) -> str:
        return str(self.spark.conf.get("spark.app.id"))

    def exists(self, table_name: str) -> bool:
        """Whether a table is there, in the catalog or on disk."""
        if self.root is not None:
            return (self._path(table_name) / "_delta_log").is_dir()
        return self.spark.catalog.tableExists(self.identifier(table_name))

    def create(
        self,
        table_name: str,
        ddl: str,
        properties: Mapping[str, str],
        partitioned_by: tuple[str, ...] = (),
        clustered_by: tuple[str, ...] = (),
        comment: str | None = None,
    ) -> dict[str, str] | None:
        """Makes a table known, creating it when it is missing.

        OPTIMIZE puts rows together that are close in the columns by which a table is clustered.

        Returns:
            The properties of a table that was there; None for a new one.

        Raises:
            UsageError: when a newer release has written the table.
            PacelineError: when its columns are not those of the contract.
        """
        if self.exists(table_name):
            self.register(table_name)
            found = self.properties(table_name)
            _check_layout(table_name, found)
            self._check_columns(table_name, ddl)
            return found
        layout = f" PARTITIONED BY ({', '.join(partitioned_by)})" if partitioned_by else ""
        layout += f" CLUSTER BY ({', '.join(clustered_by)})" if clustered_by else ""
        layout += f" COMMENT {literal(comment)}" if comment else ""
        stated = {**properties, LAYOUT_PROPERTY: str(LAYOUT_VERSION)}
        listed = ", ".join(f"'{key}' = {literal(value)}" for key, value in stated.items())
        self.spark.sql(
            f"CREATE TABLE {self._take_name(table_name)} ({ddl}) USING delta{layout}"
            f"{self._location(table_name)} TBLPROPERTIES ({listed})"
        )
        return None

    def register(self, table_name: str) -> None:
        """Makes a table that is on disk known to the session; a catalog knows its tables."""
        if self.root is not None:
            name, location = self._take_name(table_name), self._location(table_name)
            self.spark.sql(f"CREATE TABLE IF NOT EXISTS {name} USING delta{location}")

    @contextmanager
    def partitioned(self, partitions: int | None) -> Iterator[None]:
        """Shuffles into so many partitions meanwhile; None leaves them as they are."""
        if partitions is None:
            yield
            return
        before = str(self.spark.conf.get("spark.sql.shuffle.partitions"))
        self.spark.conf.set("spark.sql.shuffle.partitions", partitions)
        try:
            yield
        finally:
            self.spark.conf.set("spark.sql.shuffle.partitions", before)

    def table(self, table_name: str) -> DataFrame:
        """The newest version of a table."""
        return self.spark.table(self.identifier(table_name))

    def at(self, position: Position) -> DataFrame:
        """A table as it was at a version."""
        name = self.identifier(position.table_name)
        return self.spark.sql(f"SELECT * FROM {name} VERSION AS OF {position.version}")

    def properties(self, table_name: str) -> dict[str, str]:
        """The properties of a table, among them its constraints."""
        return self._properties(self.identifier(table_name))

    def position(self, table_name: str) -> Position:
        """The newest version of a table."""
        # Collected as they are: to select a column of them would be a job of Spark.
        (detail,) = self.spark.sql(f"DESCRIBE DETAIL {self.identifier(table_name)}").collect()
        return Position(table_name, detail["id"], self.version(table_name))

    def version(self, table_name: str) -> int:
        """The number of the newest version of a table."""
        if self.root is not None:
            # The names in the log say it; a question to Delta would be a job per table.
            log = self._path(table_name) / "_delta_log"
            return max(int(commit.stem) for commit in log.glob(f"{'[0-9]' * 20}.json"))
        name = self.identifier(table_name)
        (newest,) = self.spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").collect()
        number: int = newest["version"]
        return number

    def is_rewritten_since(self, position: Position) -> bool:
        """Whether rows have been written to a table after a version, maintenance apart."""
        return self.rewrites_since(position) > 0

    def rewrites_since(self, position: Position) -> int:
        """How many commits have written rows of a table after a version, maintenance apart.

        One that the history no longer lists counts, because nothing says that it wrote no row.
        """
        history = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(position.table_name)}")
        later = history.where(history.version > position.version)
        operations = {row["version"]: row["operation"] for row in later.collect()}
        passed = max(operations, default=position.version) - position.version
        return passed - sum(operation in MAINTENANCE for operation in operations.values())

    def _properties(self, name: str) -> dict[str, str]:
        rows = self.spark.sql(f"SHOW TBLPROPERTIES {name}").collect()
        return {row["key"]: row["value"] for row in rows}

    def _location(self, table_name: str) -> str:
        return f" LOCATION {literal(str(self._path(table_name)))}" if self.root else ""

    def _path(self, table_name: str) -> Path:
        assert self.root is not None
        return self.root.joinpath(*table_name.split("."))

    def _check_columns(self, table_name: str, ddl: str) -> None:
        empty = self.spark.createDataFrame([], ddl.replace(" NOT NULL", ""))
        promised = {field.name: field.dataType for field in empty.schema}
        stored = {field.name: field.dataType for field in self.table(table_name).schema}
        if list(promised.items()) != list(stored.items()):
            differing = sorted(
                name
                for name in promised.keys() | stored.keys()
                if promised.get(name) != stored.get(name)
            )
            raise PacelineError(
                f"The columns of {table_name} are not those of its contract "
                f"({', '.join(differing) or 'another order'}): restore the contract, or move the "
                "table away and run again to rebuild it."
            )


def _check_layout(table_name: str, properties: Mapping[str, str]) -> None:
    written_by = int(properties.get(LAYOUT_PROPERTY, "1"))
    if written_by > LAYOUT_VERSION:
        raise UsageError(
            f"The table {table_name} was written by a newer paceline (layout {written_by}, "
            f"this release knows {LAYOUT_VERSION}): upgrade paceline, or choose another "
            "--warehouse."
        )


def local_root(path: Path) -> Path:
    """The directory of a local warehouse, created when it is missing.

    Raises:
        UsageError: when it cannot be written, or its path has characters that Spark would misread.
    """
    unsafe = {c for c in str(path.resolve()) if c in _UNSAFE_IN_PATHS or not c.isprintable()}
    if unsafe:
        raise UsageError(
            f"The warehouse {str(path)!a} has {', '.join(map(ascii, sorted(unsafe)))} in its "
            "path, which Spark would misread: give another directory with --warehouse."
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The warehouse {path} cannot be created ({error.strerror}): "
            "give a directory that you may write with --warehouse."
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(
            f"The warehouse {path} cannot be written: "
            "change its permissions, or give another directory with --warehouse."
        )
    return path.resolve()


def catalog_of(name: str) -> str:
    """The name of a catalog, if it is one of letters, digits, `_` and `-`, or empty for none.

    Raises:
        UsageError: when it is not.
    """
    if name and not _CATALOG.fullmatch(name):
        raise UsageError(
            f"{name!a} is no name of a catalog: give one of letters, digits, _ and - with "
            "--catalog, beginning with a letter or _."
        )
    return name


def schema_names(given: Sequence[str]) -> dict[str, str]:
    """What schemas are called, in lower case, from `layer=name` each; empty texts are not given.

    Raises:
        UsageError: when a layer is none of SCHEMAS or given twice, a name is not plain, or two
            layers would share a schema.
    """
    names = dict(zip(SCHEMAS, SCHEMAS, strict=True))
    named: set[str] = set()
    for text in filter(None, given):
        layer, _, name = text.partition("=")
        if layer not in names or layer in named:
            raise UsageError(
                f"--schema {text!a} names no layer or one for the second time: write it as "
                f"silver=dev_silver, once for each of {', '.join(SCHEMAS)}."
            )
        named.add(layer)
        names[layer] = identifier(name).lower()
    if len(set(names.values())) < len(names):
        raise UsageError(
            f"Two layers share a schema ({', '.join(f'{k}={v}' for k, v in names.items())}): give "
            "each of them a name of its own with --schema."
        )
    return names
