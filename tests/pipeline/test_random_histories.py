"""Whatever is delivered, in whatever order, with crashes and windows between: always right.

A state machine on real tables. After every catch-up all tables equal the oracle; in the end they
equal a rebuild in a fresh warehouse, bit for bit. `make test` tells many short histories of a chain
of three tables, which cost a third of seven; `make test-deep` long ones of all tables.
"""

from __future__ import annotations

from contextlib import suppress
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
from pyspark.sql import SparkSession

from paceline.pipeline import jobs
from paceline.publish.steps import STEPS
from paceline.tables.bronze import strava_activities as bronze
from paceline.tables.silver import strava_activities, strava_sub_activity
from tests.pipeline import histories
from tests.pipeline.worlds import World, effects, judged, made, told

pytestmark = pytest.mark.slow

FIRST_HORIZON = histories.FIRST_DAY + timedelta(days=histories.DAYS - 1)
# Records are judged, set aside, deleted and given away, and children follow their parents.
CHAIN = (bronze.TABLE, strava_activities.TABLE, strava_sub_activity.TABLE)
# What is drawn is mixed with the number of the step, so that even a dull example is a rich history.
seeds = st.integers(min_value=0, max_value=2**32 - 1)
MOST_CHANGES_BETWEEN_RUNS = 2
is_deep = settings.get_current_profile_name() == "deep"
SHORT_HISTORIES, SHORT_STEPS = 6, 5
# What has to have happened in some history.
CHANGES = {"deliver", "horizon", "rule", "setting", "put files together", "remove rows"}
RUNS = {"catch up", "window", "crash"}


class Histories(RuleBasedStateMachine):
    """Forty athletes at once, each with a random history of its own.

    Changes and runs take turns; of each there are many kinds, which the random numbers choose.
    """

    def __init__(self, spark: SparkSession, root: Path) -> None:
        super().__init__()
        self.log: list[str] = []
        self.world = World(spark, root, FIRST_HORIZON, dormant_after_days=90)
        self.before = self.world.expected()
        self.steps = 0
        self.changes = 0
        # Whether the tables are those of the last catch-up: then counts can be foretold.
        self.is_quiet = True

    def random(self, seed: int) -> Random:
        self.steps += 1
        return Random(f"{seed} {self.steps}")

    @initialize(seed=seeds)
    def begin(self, seed: int) -> None:
        self.deliver(self.random(seed), 1.0)

    @precondition(lambda self: self.changes < MOST_CHANGES_BETWEEN_RUNS)
    @rule(seed=seeds)
    def change(self, seed: int) -> None:
        random = self.random(seed)
        self.changes += 1
        kinds = ["deliver", "deliver", "time or rules", *["interfere"] * self.has_run()]
        what = random.choice(kinds)
        if what == "deliver":
            self.deliver(random, random.choice([0.05, 0.5, 1.0]))
        elif what == "time or rules":
            self.change_time_or_rules(random)
        else:
            self.interfere(random)

    def deliver(self, random: Random, share: float) -> None:
        self.log.append("deliver")
        for kind, lines in histories.deliveries(random, share).items():
            self.world.deliver(f"{kind}/{self.steps}.jsonl", *lines)
        if random.random() < 0.5:
            lines = histories.settings(random)
            self.world.deliver(f"athlete_settings/{self.steps}.jsonl", *lines)

    def change_time_or_rules(self, random: Random) -> None:
        what = random.choice(["horizon", "horizon", "rule", "setting"])
        self.log.append(what)
        if what == "horizon":
            self.world.horizon += timedelta(days=random.choice([1, 2, 40]))
        elif what == "rule":
            self.world.limit_speed("run", random.choice([16, 22]))
        else:
            self.world.configure(default_threshold_pace_s_per_km=random.choice([270, 280]))

    def interfere(self, random: Random) -> None:
        """Somebody maintains a table, or removes rows of it behind the pipeline's back."""
        if random.random() < 0.7:
            self.log.append("put files together")
            table = random.choice(made())
            self.world.sql("OPTIMIZE {}", table)
            self.world.vacuum(table)
        else:
            self.log.append("remove rows")
            self.is_quiet = False
            table, part = random.choice(sorted(judged())), random.randint(2, 5)
            self.world.sql(f"DELETE FROM {{}} WHERE athlete_id % {part} = 0", table)

    @precondition(lambda self: self.changes > 0)
    @rule(seed=seeds)
    def run(self, seed: int) -> None:
        random = self.random(seed)
        self.changes = 0
        what = random.choice(["catch up", "window", "crash"])
        if what == "catch up":
            self.catch_up()
        elif what == "window":
            self.reprocess_window(random)
        else:
            self.crash(random)

    def catch_up(self) -> None:
        self.log.append("catch up")
        entries = self.world.run()
        after = self.world.expected()
        self.world.check()
        if self.is_quiet:
            assert told(entries) == effects(self.before, after)
        self.before, self.is_quiet = after, True

    def reprocess_window(self, random: Random) -> None:
        start = histories.FIRST_DAY + timedelta(days=random.randrange(histories.DAYS))
        end = start + timedelta(days=random.randint(1, histories.DAYS))
        self.log.append("window")
        self.is_quiet = False
        self.world.run(start=str(start), **random.choice([{}, {"end": str(end)}]))

    def crash(self, random: Random) -> None:
        at = random.choice(["before", "after"]), random.choice(STEPS), random.choice(made())

        def die(*now: str) -> None:
            if now == at:
                self.log.append("crash")
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
        for name in judged():
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
        lambda: Histories(spark, root / str(next(numbers))),
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


def test_random_histories(
    quick_spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_deep:
        explore(quick_spark, tmp_path)
        return
    monkeypatch.setitem(jobs.JOBS, jobs.FEATURE_ACTIVITY, CHAIN)
    monkeypatch.setitem(jobs.JOBS, jobs.FEATURE_ROLLING, ())
    seen = set()
    for number in range(SHORT_HISTORIES):
        history = Histories(quick_spark, tmp_path / str(number))
        try:
            tell(history, Random(number), SHORT_STEPS)
        except Exception as error:
            error.add_note(f"in history {number}: {', '.join(history.log)}")
            raise
        seen |= set(history.log)
    assert seen == CHANGES | RUNS
