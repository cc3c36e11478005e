"""A recipe that gives rows outside the scope it was asked for publishes nothing."""

import pytest

from paceline.errors import PacelineError
from paceline.publish.claim import Run
from paceline.publish.steps import create, publish
from paceline.recipe import Scope, Table
from paceline.store import ledger, ops, quarantine
from paceline.store.state import State
from paceline.store.warehouse import Warehouse
from tests.pipeline.warehouse import NOW, quick
from tests.spark.given import CONTRACTS, context, day, frame, row

# The settings of quick runs are not for Spark Connect.
pytestmark = pytest.mark.classic

NAME = "silver.athlete_settings"
FAR = f"The recipe of {NAME} gave rows outside the scope that it was asked for: nothing was"


@pytest.fixture(scope="module")
def run(spark, tmp_path_factory):
    """A run on empty tables, on a day that is new to them."""
    warehouse = Warehouse(spark, tmp_path_factory.mktemp("staging"))
    with quick(spark):
        warehouse.create_schemas()
        ops.create(warehouse)
        create(warehouse, CONTRACTS[NAME], "QUARANTINE")
        yield Run(
            run_id="run",
            job="Feature_Activity",
            warehouse=warehouse,
            context=context(horizon=day("2026-06-30")),
            state=State({}, {}),
            journal=ledger.Journal(warehouse),
            started_at=NOW,
            code_version="0",
            is_alone=True,
        )


def table(spark, scope, *keys):
    """A table of which `scope` can differ, and whose recipe then gives rows with these keys."""
    cells = [row(NAME, athlete_id=athlete, valid_from=day(since)) for athlete, since in keys]
    given = frame(spark, NAME, cells)
    return Table(
        NAME,
        inputs=(),
        # Functions without a closure, as the fingerprint demands of recipes.
        touched=lambda *_, scope=scope: scope,
        rows=lambda *_, given=given: given,
        has_horizon=True,
    )


@pytest.mark.parametrize(
    ("asked", "since", "stray"),
    [
        ("valid_from", None, (8, "2024-01-01")),
        ("since", "valid_from", (7, "2023-12-31")),
    ],
    ids=["another athlete", "before the first day"],
)
def test_rows_outside_the_scope_stop_the_table(spark, run, asked, since, stray):
    key = (7, day("2024-01-01"))
    scope = Scope(spark.createDataFrame([key], f"athlete_id BIGINT, {asked} DATE"), since)
    outcome = publish(table(spark, scope, (7, "2024-01-01"), stray), run)
    assert isinstance(outcome.error, PacelineError)
    assert run.warehouse.position(NAME).version == 0
    assert run.warehouse.position(quarantine.QUARANTINE).version == 0
    assert outcome.entry.status == ledger.FAILED
    assert outcome.entry.message.startswith(FAR)
