"""The options that say where tables and settings are, which most commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from paceline.errors import UsageError

LANDING = click.option(
    "--landing", help="Where deliveries are dropped. Example: --landing data/landing"
)
WAREHOUSE = click.option(
    "--warehouse", help="Directory of the local tables. Example: --warehouse data/warehouse"
)
CATALOG = click.option(
    "--catalog",
    help="Unity Catalog instead of a local warehouse. Example: --catalog uc_athlete_data",
)
SCHEMA = click.option(
    "--schema",
    multiple=True,
    metavar="LAYER=NAME",
    help="What the schema of a layer is called, where it is not bronze, silver, feature_store or "
    "ops; may be given for each of them. Example: --schema silver=dev_ann_silver",
)
CONF = click.option(
    "--conf",
    help="Directory with paceline.yml and contracts/ instead of the packaged one. "
    "Example: --conf my_conf",
)
DEBUG = click.option("--debug", is_flag=True, help="Show the stack trace of a failure.")
QUIET = click.option(
    "--quiet", "-q", "is_quiet", is_flag=True, help="Print warnings and errors only."
)
PERSONAL = click.option(
    "--personal",
    "is_personal",
    is_flag=True,
    help="Show PERSONAL DATA too: ids of athletes, values of theirs, and paths in full.",
)

PLACES = (WAREHOUSE, CATALOG, SCHEMA, CONF)


def with_options(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Several options as one decorator, in the order of the help."""
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


def need_pyspark() -> None:
    """Help and generating work without PySpark; what reads tables needs it.

    Raises:
        UsageError: when it is not installed.
    """
    if find_spec("pyspark") is None:
        raise UsageError(
            "PySpark is not installed here: run `make setup` and activate .venv, or install "
            "paceline[spark]."
        )


def check_out(path: Path, what: str) -> None:
    """Refuses a file that could not be written, before anything is done for it.

    Raises:
        UsageError: when its directory is missing or closed, or it is a directory itself.
    """
    if path.is_dir():
        raise unwritable(path, what, "it is a directory")
    if not path.parent.is_dir():
        raise unwritable(path, what, "its directory does not exist")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise unwritable(path, what, "permission denied")


def unwritable(path: Path, what: str, reason: str) -> UsageError:
    """What to raise for a file that cannot be written; `what` it would hold."""
    return UsageError(
        f"The {what} cannot be written to {path} ({reason}): name another file with --out, and "
        "give the command again."
    )
