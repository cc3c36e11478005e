"""The stale writer: a whole run of newer changes takes place in the middle of another run.

Nothing holds the warehouse for one run, as on a platform without lock files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

from paceline.publish.steps import STEPS
from paceline.store import ledger
from paceline.tables.silver import athlete_settings as silver
from tests.pipeline.base import grown_chain
from tests.pipeline.faults import Chain, Death, rows_after
from tests.pipeline.warehouse import quick

pytestmark = pytest.mark.slow

is_deep = settings.get_current_profile_name() == "deep"
EVERYWHERE = [("before", "claim"), *(("after", step) for step in STEPS)]
# AUDIT and RECORD neither read nor write what another run changes, CLAIM has pinned what it reads
# before its hook, and after SEAL a run is over; what QUARANTINE has written, the other run reads as
# if a dead one had left it.
PLACES = EVERYWHERE if is_deep else [("after", step) for step in ("record", "publish")]


@pytest.fixture(scope="module")
def chain(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, base_chain: Path
) -> Iterator[Chain]:
    with quick(spark), pytest.MonkeyPatch.context() as patch:
        patch.setattr("paceline.pipeline.execute.lock", lambda root: nullcontext())
        made = grown_chain(spark, tmp_path_factory.mktemp("interleavings"), base_chain)
        yield made


@pytest.mark.parametrize(("moment", "step"), PLACES)
def test_a_run_that_was_overtaken_undoes_nothing(
    chain: Chain, spark: SparkSession, moment: str, step: str
) -> None:
    """The overtaking run mends what the slow one refuses, and edits what it inserts."""
    slow = spark.newSession()
    overtaken = []

    def overtake(*at: str) -> None:
        if at == (moment, step, silver.NAME) and not overtaken:
            chain.deliver()
            overtaken.append(chain.run())
            chain.check(overtaken[0], chain.round)

    chain.deliver()
    with quick(slow):
        late = chain.run(overtake, slow)
    (newer,) = overtaken
    assert newer.status == ledger.PUBLISHED
    assert chain.read_new_versions() == rows_after(chain.round)
    healed = chain.run()
    chain.check(healed, chain.round)
    assert (healed.rows_inserted, healed.rows_updated, healed.rows_deleted) == (0, 0, 0)
    assert late.status in ledger.SEALED


# One that goes on has its SEAL refused, as after PUBLISH above.
@pytest.mark.parametrize("dies", [False, True] if is_deep else [True])
def test_what_an_overtaken_run_refuses_does_not_stay_refused(
    chain: Chain, spark: SparkSession, dies: bool
) -> None:
    """The overtaking run knows that the record is gone, and so changes nothing at all."""
    slow, athlete = spark.newSession(), 8 + dies
    overtaken = []

    def overtake(*at: str) -> None:
        if at == ("after", "record", silver.NAME) and not overtaken:
            chain.put((athlete, "d", "{}"))
            overtaken.append(chain.run())
        if at == ("after", "quarantine", silver.NAME) and dies:
            raise Death

    chain.put((athlete, "r", '{"threshold_pace_s_per_km": 2}'))
    with quick(slow), pytest.raises(Death) if dies else nullcontext():
        chain.run(overtake, slow)
    assert [entry.status for entry in overtaken] == [ledger.UNCHANGED]
    chain.check(chain.run(), chain.round)
