"""The session of the tests that run whole jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from tests.pipeline.warehouse import quick


@pytest.fixture(scope="module")
def quick_spark(spark: SparkSession) -> Iterator[SparkSession]:
    """For stories of many small runs; what counts costs, or is real, takes the plain session."""
    with quick(spark):
        yield spark
