"""Where the tables are: names, creation, versions. Delta is reached by SQL and DataFrames only."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from paceline.errors import PacelineError, UsageError
from paceline.sql import identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession
    from pyspark.sql.types import StructField

_log = logging.getLogger(__name__)

SCHEMAS = ("bronze", "silver", "feature_store", "ops")
# Raised when a release changes tables in a way that an older one would damage.
LAYOUT_VERSION = 2
LAYOUT_PROPERTY = "paceline.layoutVersion"

CHANGE_FEED = {
    "delta.enableChangeDataFeed": "true",
    "delta.enableDeletionVectors": "true",
}
APPEND_ONLY = {"delta.enableChangeDataFeed": "true", "delta.appendOnly": "true"}
# A checkpoint is three jobs of Spark: tables with small commits, read once a run, need few.
FEW_CHECKPOINTS = {"delta.checkpointInterval": "50"}
# For tables that are read by partition or as a whole.
NO_STATISTICS = {"delta.dataSkippingNumIndexedCols": "0"} | FEW_CHECKPOINTS

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
    *("CHANGE COLUMNS", "ADD COLUMNS", "ADD CONSTRAINT", "DROP CONSTRAINT"),
)


@dataclass(frozen=True)
class Position:
    """A version of a table; the id tells a table from another one of the same name."""

    table_name: str
    table_id: str
    version: int


@dataclass(frozen=True)
class Commit:
    """A commit of a table: its version, what was done, and the condition of a MERGE.

    `operation` is empty where the history no longer tells.
    """

    version: int
    operation: str = ""
    predicate: str = ""


@dataclass(frozen=True)
class Warehouse:
    """The tables of one catalog.

    Attributes:
        spark: the session.
        root: the local directory of the tables; None when the catalog knows where they are.
        catalog: the catalog's name; empty for Spark's own.
        schemas: by layer (the schema in the name of a table), what it is called here; empty where
            the layers are those of the feature pipeline, under their own names. Names in SQL change
            with it; everything else, such as the ledger, keeps the names of the layers.
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
        for schema in self.schemas or SCHEMAS:
            location = f" LOCATION {literal(str(self.root / schema))}" if self.root else ""
            self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {self.identifier(schema)}{location}")

    def _forget_others(self) -> None:
        """Drops the names of other warehouses, which keeps their files; tables of others stay."""
        known = {row[0] for row in self.spark.sql("SHOW SCHEMAS").collect()}
        for schema in sorted(
            known & {self.identifier(schema) for schema in self.schemas or SCHEMAS}
        ):
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
        must_hold: Mapping[str, str] = MappingProxyType({}),
        *,
        is_run: bool = False,
        is_disposable: bool = False,
    ) -> dict[str, str] | None:
        """Makes a table known, creating it when it is missing.

        OPTIMIZE puts rows together that are close in the columns by which a table is clustered.

        Args:
            table_name: the table.
            ddl: its columns.
            properties: of a new table.
            partitioned_by: columns of a new table.
            clustered_by: columns of a new table.
            comment: of a new table.
            must_hold: by name, rules that the rows of a table that is there have to keep with NULL
                in the columns that it gets.
            is_run: whether a table that is there gets the columns that it lacks.
            is_disposable: whether one with other columns is replaced instead, its rows with it.

        Returns:
            The properties of a table that was there; None for a new one.

        Raises:
            UsageError: when a newer release has written the table, or an older one has written rows
                of which this one must know more.
            PacelineError: when its columns are not those of the contract, and may not be made so.
        """
        layout = f" PARTITIONED BY ({', '.join(partitioned_by)})" if partitioned_by else ""
        layout += f" CLUSTER BY ({', '.join(clustered_by)})" if clustered_by else ""
        layout += f" COMMENT {literal(comment)}" if comment else ""
        stated = {**properties, LAYOUT_PROPERTY: str(LAYOUT_VERSION)}
        listed = ", ".join(f"'{key}' = {literal(value)}" for key, value in stated.items())
        made = (
            f"TABLE {self._take_name(table_name)} ({ddl}) USING delta{layout}"
            f"{self._location(table_name)} TBLPROPERTIES ({listed})"
        )
        if not self.exists(table_name):
            self.spark.sql(f"CREATE {made}")
            return None
        self.register(table_name)
        found = self.properties(table_name)
        _check_layout(table_name, found)
        if not is_disposable:
            self._follow(table_name, ddl, found, clustered_by, must_hold, is_run=is_run)
        elif self._columns(ddl) != self._columns_of(self.table(table_name)):
            self.spark.sql(f"CREATE OR REPLACE {made}")
        return found

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

    def as_of(self, position: Position) -> DataFrame:
        """A table as it was at a version, with the columns of today: NULL before they came."""
        return with_columns_of(self.at(position), self.table(position.table_name))

    def properties(self, table_name: str) -> dict[str, str]:
        """The properties of a table, among them its constraints."""
        return self._properties(self.identifier(table_name))

    def position(self, table_name: str) -> Position:
        """The newest version of a table."""
        version = self.version(table_name)
        return Position(table_name, self._table_id(table_name, version), version)

    def _table_id(self, table_name: str, version: int) -> str:
        if self.root is not None:
            # Delta would replay the log of each new version to say how large the table is, too.
            checksum = self._path(table_name) / "_delta_log" / f"{version:020}.crc"
            with suppress(OSError, ValueError, KeyError, TypeError):
                table_id: str = json.loads(checksum.read_bytes())["metadata"]["id"]
                return table_id
        # Collected as they are: to select a column of them would be a job of Spark.
        (detail,) = self.spark.sql(f"DESCRIBE DETAIL {self.identifier(table_name)}").collect()
        table_id = detail["id"]
        return table_id

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
        return bool(self.rewrites_since(position))

    def rewrites_since(self, position: Position) -> list[Commit]:
        """The commits that have written rows of a table after a version, maintenance apart.

        One that the history no longer lists counts, because nothing says that it wrote no row.
        """
        history = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(position.table_name)}")
        later = {row["version"]: row for row in history.collect()}
        return [
            commit
            for version in range(position.version + 1, max(later, default=0) + 1)
            if (commit := _commit(version, later.get(version))).operation not in MAINTENANCE
        ]

    def _properties(self, name: str) -> dict[str, str]:
        rows = self.spark.sql(f"SHOW TBLPROPERTIES {name}").collect()
        return {row["key"]: row["value"] for row in rows}

    def _location(self, table_name: str) -> str:
        return f" LOCATION {literal(str(self._path(table_name)))}" if self.root else ""

    def _path(self, table_name: str) -> Path:
        assert self.root is not None
        return self.root.joinpath(*table_name.split("."))

    def _columns(self, ddl: str) -> list[tuple[str, str]]:
        return self._columns_of(self.spark.createDataFrame([], ddl.replace(" NOT NULL", "")))

    @staticmethod
    def _columns_of(frame: DataFrame) -> list[tuple[str, str]]:
        return [(field.name, field.dataType.simpleString()) for field in frame.schema]

    def _follow(
        self,
        table_name: str,
        ddl: str,
        stated: Mapping[str, str],
        clustered_by: Collection[str],
        must_hold: Mapping[str, str],
        *,
        is_run: bool,
    ) -> None:
        """Brings the columns of a table that is there up to its DDL, if only columns are new.

        They come as nullable ones, each in its place, and hold NULL until a run has filled them.
        """
        promised = self.spark.createDataFrame([], ddl.replace(" NOT NULL", "")).schema
        stored = {field.name: field.dataType for field in self.table(table_name).schema}
        new = [field for field in promised if field.name not in stored]
        kept = {field.name: field.dataType for field in promised if field.name in stored}
        if list(kept.items()) != list(stored.items()):
            differing = sorted(
                name for name in kept.keys() | stored.keys() if kept.get(name) != stored.get(name)
            )
            raise PacelineError(
                f"The columns of {table_name} are not those of its contract "
                f"({', '.join(differing) or 'another order'}), and only new ones can be added: "
                "restore the contract, or move the table away and run again to rebuild it."
            )
        if not is_run:
            refuse_missing(table_name, stored, promised.names)
        if anew := [field.name for field in new if field.name in clustered_by]:
            raise PacelineError(
                f"The contract of {table_name} has another key now, with {', '.join(anew)}, which "
                "its rows have no value of: move the table away and run again to rebuild it."
            )
        required = [field.name for field in new if re.search(rf"\b{field.name} \w+ NOT NULL", ddl)]
        if required and stated.get("delta.appendOnly") == "true":
            raise PacelineError(
                f"{table_name} only grows, so nothing can fill {', '.join(required)} in its rows: "
                "let the contract say that the new column may be NULL."
            )
        self._refuse_unexplained(table_name, new, must_hold)
        if new:
            places = {name: f"AFTER {last}" for last, name in pairwise(promised.names)}
            columns = ", ".join(
                f"{field.name} {field.dataType.simpleString()}"
                f" COMMENT {literal(field.metadata.get('comment', ''))}"
                f" {places.get(field.name, 'FIRST')}"
                for field in new
            )
            name = self.identifier(table_name)
            self.spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({columns})")
            _log.info(f"{table_name}: added {', '.join(field.name for field in new)}")

    def _refuse_unexplained(
        self, table_name: str, new: Collection[StructField], must_hold: Mapping[str, str]
    ) -> None:
        """Refuses rows that cannot do without new columns, which nothing fills in."""
        names = {field.name for field in new}
        rules = {
            rule: text for rule, text in must_hold.items() if names & set(re.findall(r"\w+", text))
        }
        if not rules:
            return
        added = ", ".join(f"CAST(NULL AS {f.dataType.simpleString()}) AS {f.name}" for f in new)
        kept = " AND ".join(f"coalesce(({text}), FALSE)" for text in rules.values())
        (found,) = self.spark.sql(
            f"SELECT count_if(NOT ({kept})) AS lacking"
            f" FROM (SELECT *, {added} FROM {self.identifier(table_name)})"
        ).collect()
        if found["lacking"]:
            where = self.root or f"the schemas of {self.catalog or 'the catalog'}"
            raise UsageError(
                f"{table_name} has {found['lacking']} rows that an older release has read, without "
                f"{', '.join(sorted(names))} (rule {', '.join(rules)}): move {where} away and run "
                "again, which reads the landing zone anew."
            )


def _commit(version: int, row: Row | None) -> Commit:
    if row is None:
        return Commit(version)
    said = row["operationParameters"] or {}
    return Commit(version, row["operation"], said.get("predicate") or "")


def refuse_missing(table_name: str, stored: Collection[str], wanted: Iterable[str]) -> None:
    """Refuses to read a table that has not got the new columns of its contract yet.

    Raises:
        UsageError: when it lacks one.
    """
    if missing := [name for name in wanted if name not in stored]:
        raise UsageError(
            f"{table_name} has no {', '.join(missing)} yet: run the jobs first, which add the new "
            "columns of a contract."
        )


def with_columns_of(old: DataFrame, new: DataFrame) -> DataFrame:
    """An older version of a table in the columns of a newer one: NULL before they came."""
    from pyspark.sql import functions as F

    known = set(old.columns)
    return old.select(
        *(
            F.col(field.name)
            if field.name in known
            else F.lit(None).cast(field.dataType).alias(field.name)
            for field in new.schema
        )
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


def schema_names(given: Sequence[str], layers: Sequence[str] = SCHEMAS) -> dict[str, str]:
    """What schemas are called, in lower case, from `layer=name` each; empty texts are not given.

    Raises:
        UsageError: when a layer is none of `layers` or given twice, a name is not plain, or two
            layers would share a schema.
    """
    names = dict(zip(layers, layers, strict=True))
    named: set[str] = set()
    for text in filter(None, given):
        layer, _, name = text.partition("=")
        if layer not in names or layer in named:
            raise UsageError(
                f"--schema {text!a} names no layer or one for the second time: write it as "
                f"silver=dev_silver, once for each of {', '.join(layers)}."
            )
        named.add(layer)
        names[layer] = identifier(name).lower()
    if len(set(names.values())) < len(names):
        raise UsageError(
            f"Two layers share a schema ({', '.join(f'{k}={v}' for k, v in names.items())}): give "
            "each of them a name of its own with --schema."
        )
    return names
