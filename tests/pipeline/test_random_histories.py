"""Whatever is delivered, in whatever order, with crashes and windows between: always right.

A state machine on real tables. After every catch-up all tables equal the oracle; in the end they
equal a rebuild in a fresh warehouse, bit for bit. `make test-deep` explores for longer.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pyspark.sql import SparkSession

from paceline import lineage
from paceline.publish import STEPS
from tests.oracle import KEYS
from tests.pipeline import histories
from tests.pipeline.worlds import World, effects, told

pytestmark = pytest.mark.slow

FIRST_HORIZON = histories.FIRST_DAY + timedelta(days=histories.DAYS - 1)
TABLES = [table.name for table in lineage.TABLES]
seeds = st.integers(min_value=0, max_value=2**32 - 1)
offsets = st.integers(min_value=0, max_value=histories.DAYS)
is_deep = settings.get_current_profile_name() == "deep"


class Histories(RuleBasedStateMachine):
    """Forty athletes at once, each with a random history of its own."""

    def __init__(self, spark: SparkSession, root: Path) -> None:
        super().__init__()
        self.spark = spark
        self.world = World(spark, root, FIRST_HORIZON, dormant_after_days=90)
        self.before = self.world.expected()
        self.names = count()
        # Whether the tables are those of the last catch-up: then counts can be foretold.
        self.is_quiet = True

    @initialize(seed=seeds)
    def begin(self, seed: int) -> None:
        self.deliver(seed, 1.0)

    @rule(seed=seeds, share=st.sampled_from([0.05, 0.5, 1.0]))
    def deliver(self, seed: int, share: float) -> None:
        for kind, lines in histories.deliveries(Random(seed), share).items():
            self.world.deliver(f"{kind}/{next(self.names)}.jsonl", *lines)

    @rule(seed=seeds)
    def deliver_settings(self, seed: int) -> None:
        lines = histories.settings(Random(seed))
        self.world.deliver(f"athlete_settings/{next(self.names)}.jsonl", *lines)

    @rule()
    def catch_up(self) -> None:
        entries = self.world.run()
        after = self.world.expected()
        self.world.check()
        if self.is_quiet:
            assert told(entries) == effects(self.before, after)
        self.before, self.is_quiet = after, True

    @rule(start=offsets, days=offsets)
    def reprocess_window(self, start: int, days: int) -> None:
        first = histories.FIRST_DAY + timedelta(days=start)
        end = {"end": str(first + timedelta(days=days))} if days else {}
        self.is_quiet = False
        self.world.run(start=str(first), **end)

    @rule(table=st.sampled_from(TABLES), step=st.sampled_from(STEPS), seed=st.booleans())
    def crash(self, table: str, step: str, seed: bool) -> None:
        def die(*at: str) -> None:
            if at == ("after" if seed else "before", step, table):
                raise KeyboardInterrupt

        self.is_quiet = False
        try:
            self.world.run(die)
        except KeyboardInterrupt:
            return

    @rule(days=st.integers(min_value=1, max_value=40))
    def go_to_a_later_day(self, days: int) -> None:
        self.world.horizon += timedelta(days=days)

    @rule(km_h=st.sampled_from([16, 22]))
    def change_a_rule(self, km_h: int) -> None:
        self.world.limit_speed("run", km_h)

    @rule(seconds=st.sampled_from([270, 280]))
    def change_a_setting(self, seconds: int) -> None:
        self.world.configure(default_threshold_pace_s_per_km=seconds)

    @precondition(lambda self: (self.world.warehouse / "ops").exists())
    @rule(table=st.sampled_from(TABLES))
    def maintain(self, table: str) -> None:
        self.world.sql("OPTIMIZE {}", table)
        self.world.vacuum(table)

    @precondition(lambda self: (self.world.warehouse / "ops").exists())
    @rule(table=st.sampled_from(sorted(KEYS)), step=st.integers(min_value=1, max_value=3))
    def damage(self, table: str, step: int) -> None:
        """Somebody removes rows behind the pipeline's back."""
        self.is_quiet = False
        self.world.sql(f"DELETE FROM {{}} WHERE athlete_id % {step + 1} = 0", table)

    def teardown(self) -> None:
        self.catch_up()
        rebuilt = self.world.root / "rebuilt"
        self.world.run(warehouse=rebuilt)
        for name in KEYS:
            grown, fresh = self.world.published(name), self.world.published(name, rebuilt)
            assert repr(sorted(grown.items())) == repr(sorted(fresh.items())), name
        super().teardown()


def test_random_histories(spark: SparkSession, tmp_path: Path) -> None:
    numbers = count()
    budget: dict[str, Any] = {"max_examples": 2, "stateful_step_count": 10, "derandomize": True}
    if is_deep:
        budget = {"max_examples": 25, "stateful_step_count": 16}
    run_state_machine_as_test(
        lambda: Histories(spark, tmp_path / str(next(numbers))),
        settings=settings(
            **budget,
            deadline=None,
            database=None,
            print_blob=True,
            # A step takes seconds: a failure is told as it was found, not made smaller.
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
