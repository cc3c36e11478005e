"""Whatever happens to gold, to the clock and to the store: after a sync the store equals gold."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paceline.online.push import push
from paceline.online.store import OnlineStore, opened
from paceline.online.sync import sync
from paceline.online.verify import verify
from tests.online.gold import ACTIVITIES, DAY, ROLLING, noon
from tests.online.stores import Place, activity

ATHLETES = st.integers(1, 4)
NUMBERS = st.integers(0, 5)
EVERYBODY = {1, 2, 3, 4, 5}
VALUES = st.sampled_from([0.1, 1 / 3, 5.0, None])

# Each step is a name and what it needs.
STEPS = st.one_of(
    st.tuples(st.just("days"), ATHLETES, NUMBERS, NUMBERS, VALUES),
    st.tuples(st.just("no days"), ATHLETES, NUMBERS),
    st.tuples(st.just("activity"), ATHLETES, NUMBERS, NUMBERS, st.booleans()),
    st.tuples(st.just("no activity"), ATHLETES, NUMBERS),
    st.tuples(st.just("seal")),
    st.tuples(st.just("clock"), st.integers(-2, 3)),
    st.tuples(st.just("another table"), st.sampled_from([ROLLING, ACTIVITIES])),
    st.tuples(st.just("optimize")),
    st.tuples(st.just("push"), ATHLETES, NUMBERS, st.integers(0, 72)),
    st.tuples(st.just("sync")),
    st.tuples(st.just("crash"), st.sampled_from(["begin", "write", "delete", "finish"])),
)


class _Crash(Exception):
    pass


class History:
    """A place in which things happen."""

    def __init__(self, place: Place) -> None:
        self.place, self.now = place, noon(DAY) + timedelta(days=2, hours=1)

    def do(self, name: str, *arguments: Any) -> None:
        gold = self.place.gold
        if name == "days":
            athlete, first, count, value = arguments
            days = [DAY + timedelta(days=first + n) for n in range(count + 1)]
            gold.put_days(athlete, days, acwr=value)
        elif name == "no days":
            athlete, first = arguments
            numbers = range(DAY.toordinal() + first, DAY.toordinal() + 12)
            gold.delete(ROLLING, [(athlete, number) for number in numbers])
        elif name == "activity":
            athlete, number, day, is_duplicate = arguments
            end = noon(DAY) + timedelta(days=day, seconds=number)
            gold.put_activity(
                *(athlete, athlete * 10 + number, end), is_duplicate_recording=is_duplicate
            )
        elif name == "no activity":
            athlete, number = arguments
            gold.delete(ACTIVITIES, [(athlete, athlete * 10 + number)])
        elif name == "push":
            athlete, number, hours_ago = arguments
            end = self.now - timedelta(hours=hours_ago)
            self.push(activity(self.place, athlete, athlete * 10 + number, end))
        elif name == "clock":
            self.now += timedelta(days=arguments[0])
        elif name == "another table":
            gold.create(*arguments)
        elif name == "optimize":
            gold.table(ROLLING).optimize.compact()
        elif name == "seal":
            gold.seal()
        elif name == "crash":
            self.crash(*arguments)
        elif name == "sync":
            self.sync()

    def sync(self) -> None:
        gold = self.place.gold
        gold.seal()  # the activities of now, which are those of `served`
        before = self.place.read(EVERYBODY)
        done = sync(self.place.online, self.place.reader, self.now)
        self.place.check(self.now, EVERYBODY)
        assert not any(view.wrong for view in verify(self.place.online, self.place.reader))
        after = self.place.read(EVERYBODY)
        for view in done:
            old, new = before[view.view], after[view.view]
            changed = {a for a in new if old.get(a) != new[a]}
            assert (view.written, view.deleted) == (len(changed), len(old.keys() - new.keys()))

    def push(self, line: str) -> None:
        contract = self.place.gold.contracts[ACTIVITIES]
        push(self.place.online, self.place.reader, contract, [line], self.now)

    def crash(self, step: str) -> None:
        store = self.place.online.store
        real: Callable[..., Any] = getattr(store, step)

        def crashing(*arguments: Any) -> None:
            real(*arguments)
            raise _Crash

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, step, crashing)
            with suppress(_Crash):
                sync(self.place.online, self.place.reader, self.now)


def explore(redis: int | None, steps: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        history = History(Place(Path(folder), redis))
        for step in steps:
            history.do(*step)
        history.sync()


HISTORIES = st.lists(STEPS, min_size=4, max_size=14)
is_deep = settings.get_current_profile_name() == "deep"
BUDGET = settings(
    max_examples=1_000 if is_deep else 8,
    deadline=None,
    derandomize=not is_deep,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@BUDGET
@given(HISTORIES)
def test_sqlite_equals_gold_after_any_history(steps: list[tuple[Any, ...]]) -> None:
    explore(None, steps)


@BUDGET
@given(HISTORIES)
def test_redis_equals_gold_after_any_history(redis: int, steps: list[tuple[Any, ...]]) -> None:
    explore(redis, steps)


def test_a_store_restored_to_yesterday_is_brought_up_again(tmp_path: Path) -> None:
    history = History(Place(tmp_path))
    history.do("days", 1, 0, 2, 0.1)
    history.do("days", 2, 0, 2, 5.0)
    history.sync()
    file = history.place.repo.sqlite_path
    yesterday = file.read_bytes()
    history.do("no days", 2, 0)
    history.do("days", 1, 1, 1, None)
    history.do("clock", 1)
    history.sync()
    store: OnlineStore = history.place.online.store
    store._connection.close()  # type: ignore[attr-defined]
    file.write_bytes(yesterday)
    history.place.online = opened(history.place.repo)
    history.sync()
