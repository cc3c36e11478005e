"""A warehouse with which several stories begin: made once, and copied by whoever wants to go on.

A copy links to the data files, which no table ever changes, so that it costs the files of the logs.
Processes side by side share one: which one makes it, the first to ask, does not matter.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from paceline.operations import dry_run
from tests.pipeline.faults import Chain

ROUNDS = 2


def once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A directory that `make` fills in one of the processes of this run of the tests."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    place, made = shared / name, shared / f"{name}.made"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(place)
            made.touch()
    return place


def new_chain(spark: SparkSession, root: Path) -> Chain:
    """A chain that has run once, after two rounds."""
    chain = Chain(spark, root)
    chain.create()
    for _ in range(ROUNDS):
        chain.deliver()
    chain.check(chain.run(), ROUNDS)
    return chain


def grown_chain(spark: SparkSession, root: Path, base: Path) -> Chain:
    """The same, copied from a chain in `base`."""
    chain = Chain(spark, root)
    dry_run.copy(base / "warehouse", chain.warehouse)
    chain.round = chain.puts = chain.runs = ROUNDS
    chain.read_new_versions()
    return chain
