"""The session of the tests that run whole jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.pipeline.base import new_chain, once
from tests.pipeline.warehouse import quick


@pytest.fixture(scope="module")
def quick_spark(spark: SparkSession) -> Iterator[SparkSession]:
    """For stories of many small runs; what counts costs, or is real, takes the plain session."""
    with quick(spark):
        yield spark


@pytest.fixture(scope="session")
def base_chain(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a chain that has run once, to be copied by `grown_chain`."""

    def make(place: Path) -> None:
        with quick(spark):
            new_chain(spark, place)

    return once(tmp_path_factory, "base-chain", make)
