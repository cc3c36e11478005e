"""Whatever is delivered, in whatever order, with crashes and windows between: always right.

A state machine on real tables. After every catch-up all tables equal the oracle; in the end they
equal a rebuild in a fresh warehouse, bit for bit. `make test` tells many short histories of a chain
of three tables, which cost a third of seven; `make test-deep` long ones of all tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random

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
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from paceline.contract import load
from paceline.pipeline.jobs import FEATURE_ACTIVITY, JOBS, Jobs
from paceline.publish.steps import STEPS
from paceline.recipe import Context, Frames, Scope
from paceline.tables.bronze import strava_activities as bronze
from paceline.tables.silver import strava_activities, strava_sub_activity
from tests.conftest import CONF
from tests.pipeline import histories
from tests.pipeline.worlds import EXTRA, PARTS, World, effects, told

pytestmark = pytest.mark.slow

PROMISED = load(CONF / "contracts" / f"{PARTS}.odcs.yaml")
FEATURE = """
      - name: {name}
        logicalType: integer
        physicalType: BIGINT
        description: A multiple of the index. Never NULL once it is filled.
        customProperties: [{{property: optional, value: Rows of before have none.}}]
        examples: [1]
"""


def with_features(scope: Scope, inputs: Frames, own: DataFrame, context: Context) -> DataFrame:
    """The rows of the recipe, with what the contract has been given since."""
    rows = strava_sub_activity.rows(
        scope, inputs, own, replace(context, contracts={**context.contracts, PARTS: PROMISED})
    )
    names = [n for n in context.contracts[PARTS].column_names if n.startswith(EXTRA)]
    extra = [F.expr(f"sub_index * {name.removeprefix(EXTRA)}L").alias(name) for name in names]
    return rows.select("*", *extra)


FIRST_HORIZON = histories.FIRST_DAY + timedelta(days=histories.DAYS - 1)
# Records are judged, set aside, deleted and given away, and children follow their parents.
WITH_FEATURES = replace(strava_sub_activity.TABLE, rows=with_features)
CHAIN = (bronze.TABLE, strava_activities.TABLE, WITH_FEATURES)
ALL = {
    job: tuple(WITH_FEATURES if table.name == PARTS else table for table in tables)
    for job, tables in JOBS.items()
}
# What is drawn is mixed with the number of the step, so that even a dull example is a rich history.
seeds = st.integers(min_value=0, max_value=2**32 - 1)
MOST_CHANGES_BETWEEN_RUNS = 2
is_deep = settings.get_current_profile_name() == "deep"
SHORT_HISTORIES, SHORT_STEPS = 3, 6
# Deliveries and maintenance are common, the rest is rarer.
ANY_TIME = ("deliver", "deliver", "horizon", "rule", "setting", "feature")
AFTER_A_RUN = ("put files together", "put files together", "remove rows")
RUNS = ("catch up", "window", "crash")


class Histories(RuleBasedStateMachine):
    """Forty athletes at once, each with a random history of its own.

    Changes and runs take turns; of each there are many kinds, which the random numbers choose.
    """

    def __init__(
        self, spark: SparkSession, root: Path, jobs: Jobs, seen: set[str] | None = None
    ) -> None:
        super().__init__()
        self.log: list[str] = []
        self.seen = set() if seen is None else seen
        self.world = World(spark, root, FIRST_HORIZON, jobs=jobs, dormant_after_days=90)
        self.before = self.world.expected()
        self.steps = 0
        self.sent: list[str] = []
        self.changes = self.features = 0
        # Whether the tables are those of the last catch-up: then counts can be foretold.
        self.is_quiet = True

    def random(self, seed: int) -> Random:
        self.steps += 1
        return Random(f"{seed} {self.steps}")

    @initialize(seed=seeds)
    def begin(self, seed: int) -> None:
        self.deliver(self.random(seed), 1.0)

    def pick(self, random: Random, kinds: Sequence[str]) -> str:
        """One of some kinds of steps, first those that no history has had yet."""
        what = random.choice([kind for kind in kinds if kind not in self.seen] or kinds)
        self.seen.add(what)
        self.log.append(what)
        return what

    @precondition(lambda self: self.changes < MOST_CHANGES_BETWEEN_RUNS)
    @rule(seed=seeds)
    def change(self, seed: int) -> None:
        random = self.random(seed)
        self.changes += 1
        what = self.pick(random, [*ANY_TIME, *AFTER_A_RUN] if self.has_run() else ANY_TIME)
        if what == "deliver":
            self.deliver(random, random.choice([0.05, 0.5, 1.0]))
        elif what == "horizon":
            self.world.horizon += timedelta(days=random.choice([1, 2, 40]))
        elif what == "feature":
            self.add_feature()
        elif what == "rule":
            self.world.limit_speed("run", random.choice([16, 22]))
        elif what == "setting":
            self.world.configure(default_threshold_pace_s_per_km=random.choice([270, 280]))
        elif what == "put files together":
            table = random.choice(self.world.tables)
            self.world.sql("OPTIMIZE {}", table)
            self.world.vacuum(table)
        else:
            # Somebody removes rows of a table behind the pipeline's back.
            self.is_quiet = False
            table, part = random.choice(sorted(self.world.judged)), random.randint(2, 5)
            self.world.sql(f"DELETE FROM {{}} WHERE athlete_id % {part} = 0", table)

    def deliver(self, random: Random, share: float) -> None:
        for kind, lines in histories.deliveries(random, share, self.sent).items():
            self.world.deliver(f"{kind}/{self.steps}.jsonl", *lines)
        if random.random() < 0.5:
            lines = histories.settings(random)
            self.world.deliver(f"athlete_settings/{self.steps}.jsonl", *lines)

    def add_feature(self) -> None:
        """The contract of the parts of an activity gets one more column."""
        self.features += 1
        self.is_quiet = False
        path = self.world.root / "conf" / "contracts" / f"{PARTS}.odcs.yaml"
        text = path.read_text(encoding="utf-8")
        assert text.count("\n    quality:\n") == 1
        column = FEATURE.format(name=f"{EXTRA}{self.features}")
        path.write_text(
            text.replace("\n    quality:\n", f"{column}    quality:\n"), encoding="utf-8"
        )

    def check_features(self) -> None:
        """Every row has every one of them, those of earlier contracts too."""
        path = str(self.world.warehouse.joinpath(*PARTS.split(".")))
        rows = self.world.spark.read.format("delta").load(path)
        names = [f"{EXTRA}{number}" for number in range(1, self.features + 1)]
        assert [name for name in rows.columns if name.startswith(EXTRA)] == names
        for number, name in enumerate(names, start=1):
            assert rows.where(f"{name} IS DISTINCT FROM sub_index * {number}").count() == 0

    @precondition(lambda self: self.changes > 0)
    @rule(seed=seeds)
    def run(self, seed: int) -> None:
        random = self.random(seed)
        self.changes = 0
        what = self.pick(random, RUNS)
        if what == "catch up":
            self.catch_up()
        elif what == "window":
            self.reprocess_window(random)
        else:
            self.crash(random)

    def catch_up(self) -> None:
        entries = self.world.run()
        after = self.world.expected()
        self.world.check()
        self.check_features()
        if self.is_quiet:
            assert told(entries) == effects(self.before, after, self.world.judged)
        self.before, self.is_quiet = after, True

    def reprocess_window(self, random: Random) -> None:
        start = histories.FIRST_DAY + timedelta(days=random.randrange(histories.DAYS))
        end = start + timedelta(days=random.randint(1, histories.DAYS))
        self.is_quiet = False
        self.world.run(start=str(start), **random.choice([{}, {"end": str(end)}]))

    def crash(self, random: Random) -> None:
        at = (
            random.choice(["before", "after"]),
            random.choice(STEPS),
            random.choice(self.world.tables),
        )

        def die(*now: str) -> None:
            if now == at:
                raise KeyboardInterrupt

        self.is_quiet = False
        # A table that has nothing to do comes to no step.
        with suppress(KeyboardInterrupt):
            self.world.run(die)

    def has_run(self) -> bool:
        return (self.world.warehouse / "ops").exists()

    def teardown(self) -> None:
        self.catch_up()
        rebuilt = self.world.root / "rebuilt"
        self.world.run(warehouse=rebuilt)
        for name in self.world.judged:
            grown, fresh = self.world.published(name), self.world.published(name, rebuilt)
            assert repr(sorted(grown.items())) == repr(sorted(fresh.items())), name
        super().teardown()


def tell(history: Histories, random: Random, steps: int) -> None:
    """A history by chance alone: hypothesis begins several, and drops them, to find one."""
    history.begin(random.getrandbits(32))
    for _ in range(steps):
        rules = [history.change] * (history.changes < MOST_CHANGES_BETWEEN_RUNS)
        rules += [history.run] * (history.changes > 0)
        random.choice(rules)(random.getrandbits(32))
    history.teardown()


def explore(spark: SparkSession, root: Path) -> None:
    """Long histories of all tables, other ones each time."""
    numbers = count()
    run_state_machine_as_test(
        lambda: Histories(spark, root / str(next(numbers)), ALL),
        settings=settings(
            max_examples=100,
            stateful_step_count=20,
            deadline=None,
            database=None,
            print_blob=True,
            # A step takes seconds: a failure is told as it was found, not made smaller.
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_histories(quick_spark: SparkSession, tmp_path: Path) -> None:
    if is_deep:
        explore(quick_spark, tmp_path)
        return
    seen: set[str] = set()
    for number in range(SHORT_HISTORIES):
        jobs = {FEATURE_ACTIVITY: CHAIN}
        history = Histories(quick_spark, tmp_path / str(number), jobs, seen)
        try:
            tell(history, Random(number), SHORT_STEPS)
        except Exception as error:
            error.add_note(f"in history {number}: {', '.join(history.log)}")
            raise
    assert seen == {*ANY_TIME, *AFTER_A_RUN, *RUNS}
