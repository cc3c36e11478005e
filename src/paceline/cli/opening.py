"""Opening a warehouse that is there, for the commands that look at it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paceline.errors import UsageError
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import TABLES, layers_of
from paceline.session import session
from paceline.settings import conf_directory, load_settings
from paceline.store import ops
from paceline.store.warehouse import Warehouse, schema_names


def is_empty(root: Path) -> bool:
    """Whether no run has ever written to a local warehouse."""
    return not (root / "ops" / "ledger" / "_delta_log").is_dir()


def root_and_catalog(options: Options) -> tuple[Path | None, str]:
    """Where the tables are: a local directory, or the name of a catalog.

    Raises:
        UsageError: when the local warehouse is empty.
    """
    settings = load_settings(conf_directory(options.conf))
    catalog = options.catalog or settings.catalog
    if catalog:
        return None, catalog
    root = Path(options.warehouse or settings.warehouse)
    if is_empty(root):
        raise UsageError(
            f"The warehouse {root} is empty: run spark-submit jobs/feature_activity.py first, or "
            "name another one with --warehouse."
        )
    return root.resolve(), ""


def opened(
    root: Path | None, catalog: str, schema: Sequence[str] = (), *, is_run: bool = False
) -> Warehouse:
    """The warehouse, with its schemas and the tables of ops known to the session.

    Only a run, or its rehearsal in a copy, may bring tables of an older release up to date.

    Raises:
        UsageError: when `schema`, as given with --schema, names no schemas.
    """
    schemas = schema_names(schema, layers_of(TABLES))
    warehouse = Warehouse(session(root), root, catalog, schemas)
    warehouse.create_schemas()
    ops.create(warehouse, is_run=is_run)
    return warehouse


def looked_at(options: Options) -> Warehouse:
    """The warehouse, without creating what is missing: a reader of a catalog may not.

    Raises:
        UsageError: when the local warehouse is empty, or the options name no schemas.
    """
    root, catalog = root_and_catalog(options)
    schemas = schema_names(options.schema, layers_of(TABLES))
    warehouse = Warehouse(session(root), root, catalog, schemas)
    if root is not None:
        warehouse.create_schemas()
    ops.refuse_outdated(warehouse)
    return warehouse
