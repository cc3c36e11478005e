"""What the ledger, the deliveries and the change feed tell of a change; no session is started."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from paceline.explain import reasons as asked
from paceline.explain.calculation import calculate
from paceline.explain.causes import PARTS, SETTINGS, Received, circumstances, deliveries
from paceline.explain.history import Commit, History, by_version, changed_rows
from paceline.explain.past import Activity, Past
from paceline.explain.reading import BRONZE, BRONZE_SETTINGS, FEATURES, ROLLING, SILVER, Record
from paceline.explain.runs import Runs, SealedRun, before, last_at, publisher, taken_in
from paceline.features.windows import MEASURES
from paceline.store.warehouse import Position

SIX = datetime(2024, 6, 11, 6, tzinfo=UTC)
DAY = date(2024, 6, 5)
SHORT = Activity(7, DAY, "run", {"distance_km": 10.0}, {})


def sealed(number: int, table: str, version: int, /, **fields: Any) -> SealedRun:
    """Of the run with that number; `read` is the cursor too, unless given."""
    read = fields.pop("read", {})
    known: dict[str, Any] = {"cursor": read, "full_compare_reason": None, "window_start": None}
    known |= {"window_end": None, "horizon": None, "status": "PUBLISHED"}
    at = SIX + timedelta(days=number)
    return SealedRun(
        f"run-{number}", "job", table, target_id="id", version=version, read=read,
        finished_at=at, **known | fields,
    )  # fmt: skip


def ledger(*rows: SealedRun) -> Runs:
    runs: dict[str, list[SealedRun]] = {}
    for row in rows:
        runs.setdefault(row.table_name, []).append(row)
    return runs


# Run 1 is a backfill, run 2 takes in an edit, run 3 finds nothing, run 4 takes in settings.
RUNS = ledger(
    sealed(1, BRONZE, 1),
    sealed(1, BRONZE_SETTINGS, 1),
    sealed(1, SILVER, 1, read={BRONZE: 1}),
    sealed(1, SETTINGS, 1, read={BRONZE_SETTINGS: 1}),
    sealed(1, FEATURES, 1, read={SILVER: 1, PARTS: 0, SETTINGS: 1}),
    sealed(2, BRONZE, 2),
    sealed(2, SILVER, 2, read={BRONZE: 2}),
    sealed(2, FEATURES, 2, read={SILVER: 2, PARTS: 0, SETTINGS: 1}),
    sealed(3, BRONZE, 3),
    sealed(3, SILVER, 2, read={BRONZE: 3}, status="UNCHANGED"),
    sealed(3, FEATURES, 2, read={SILVER: 2, PARTS: 0, SETTINGS: 1}, status="UNCHANGED"),
    sealed(4, BRONZE_SETTINGS, 2),
    sealed(4, SETTINGS, 2, read={BRONZE_SETTINGS: 2}, full_compare_reason="rules have changed"),
    sealed(4, FEATURES, 3, read={SILVER: 2, PARTS: 0, SETTINGS: 2}),
)
OLD = Record("a.jsonl", 1, "r", "run-1", 7)
NEW = Record("b.jsonl", 1, "r", "run-2", 7)
COPY = Record("c.jsonl", 1, "r", "run-3", 7)
OTHER = Record("b.jsonl", 2, "r", "run-2", 8)
EARLY = Record("s.jsonl", 1, "r", "run-4", valid_from=date(2024, 6, 1))
LATE = Record("s.jsonl", 2, "r", "run-4", valid_from=date(2024, 6, 9))
FOUND = Received((OLD, NEW, COPY, OTHER), (EARLY, LATE))


def made(version: int) -> SealedRun:
    found = publisher(RUNS, Position(FEATURES, "id", version))
    assert found is not None
    return found


def test_a_version_is_made_by_the_run_that_published_it() -> None:
    assert made(2).run_id == "run-2"
    assert publisher(RUNS, Position(FEATURES, "id", 9)) is None
    assert publisher(RUNS, Position(FEATURES, "another", 2)) is None
    crashed = ledger(sealed(2, FEATURES, 2, status="UNCHANGED"))
    assert publisher(crashed, Position(FEATURES, "id", 2)) is None
    last = last_at(RUNS, FEATURES, 2)
    assert last is not None
    assert last.run_id == "run-3"
    assert before(RUNS, made(1)) is None


def test_a_run_takes_in_what_came_after_the_cursor_before_it() -> None:
    assert taken_in(RUNS, made(1), SILVER) == range(2)
    assert taken_in(RUNS, made(2), SILVER) == range(2, 3)
    assert not taken_in(RUNS, made(3), SILVER)


def test_a_change_is_put_down_to_the_records_taken_in_between() -> None:
    assert deliveries(RUNS, made(1), SHORT, FOUND) == (OLD,)
    assert deliveries(RUNS, made(2), SHORT, FOUND) == (NEW,)


def test_without_records_it_is_put_down_to_the_settings_that_hold_on_its_day() -> None:
    assert deliveries(RUNS, made(3), SHORT, FOUND) == (EARLY,)
    earlier = replace(SHORT, local_day=date(2024, 5, 31))
    assert deliveries(RUNS, made(3), earlier, FOUND) == ()


def test_else_to_what_the_ledger_says_of_the_runs() -> None:
    assert circumstances(RUNS, made(2)) == []
    assert circumstances(RUNS, made(3)) == [
        f"all rows of {SETTINGS} were compared (rules have changed)"
    ]


def commit(run: SealedRun | None, old: float | None = 10.0, new: float | None = 12.5) -> Commit:
    rows = [None if value is None else {"distance_km_7d": value} for value in (old, new)]
    return Commit(2, *rows, run)


@pytest.mark.parametrize(
    ("fields", "old", "expected"),
    [
        ({}, 10.0, []),
        ({"full_compare_reason": "as asked for"}, 10.0, ["all rows were compared (as asked for)"]),
        (
            {"window_start": SIX, "window_end": None},
            10.0,
            ["activities that start in [2024-06-11 06:00, open) UTC were processed again"],
        ),
        ({}, None, ["the horizon moved from 2024-06-04 to 2024-06-06"]),
    ],
)
def test_what_a_run_itself_is_a_reason_for(
    fields: dict[str, Any], old: float | None, expected: list[str]
) -> None:
    first = sealed(1, ROLLING, 1, horizon=date(2024, 6, 4))
    later = sealed(2, ROLLING, 2, horizon=date(2024, 6, 6), **fields)
    runs = ledger(first, later)
    assert [one.text for one in asked._of_run(runs, commit(later, old), DAY)] == expected
    assert [one.text for one in asked._of_run(runs, commit(first, None), DAY)] == [
        "the first run of the table that ops.ledger knows of"
    ]
    assert [one.text for one in asked._of_run(runs, commit(None), DAY)] == [asked.UNSEALED]
    # The horizon was there before: some activity has made the day exist.
    assert not asked._is_new_day(runs, commit(later, None), date(2024, 6, 4))


def test_only_what_the_value_depends_on_is_a_change_of_it() -> None:
    past = Past([SHORT], DAY)
    question = asked.Question(1, DAY, calculate("distance_km_7d", past))

    def row(change: str, version: int, **fields: Any) -> dict[str, Any]:
        amounts = {f"amount_{measure.name}": None for measure in MEASURES}
        shown = dict.fromkeys(asked.SHOWN) | {"sport_family": "run", "local_day": DAY}
        told = {"activity_id": 7, "end_us": 0, "_change_type": change, "_commit_version": version}
        return amounts | shown | told | {"amount_distance_km": 10.0} | fields

    def changed(*rows: dict[str, Any]) -> list[int]:
        return [one.version for one in asked._changed(rows, range(2, 4), question)]

    old, new = "update_preimage", "update_postimage"
    assert changed(row(old, 2), row(new, 2, amount_distance_km=12.5)) == [2]
    assert changed(row(new, 3, amount_distance_km=12.5), row(old, 3)) == [3]
    assert changed(row("insert", 2), row(old, 3), row(new, 3, amount_distance_km=0.0)) == [3]
    assert changed(row("delete", 3)) == [3]
    # Another column, a version that was not taken in, a day outside the window, and there and back.
    assert changed(row(old, 2), row(new, 2, amount_moving_time_s=5)) == []
    assert changed(row("insert", 1)) == []
    assert changed(row("insert", 2, local_day=DAY - timedelta(days=7))) == []
    assert changed(row("insert", 2, local_day=DAY + timedelta(days=1))) == []
    assert changed(row("insert", 2), row("delete", 3)) == []


def test_the_history_of_a_feature_leaves_out_commits_that_did_not_change_it() -> None:
    commits = (commit(None, None, 10.0), commit(None, 10.0, 10.0), commit(None, 10.0, 12.5))
    kept = History((*commits, commit(None, 12.5, None)), 0).of("distance_km_7d")
    assert [one.kind for one in kept] == ["inserted", "updated", "deleted"]
    rows = [{"_commit_version": 1, "_change_type": t} for t in ("update_postimage", "delete")]
    assert by_version(rows) == {1: (rows[1], rows[0])}


@pytest.mark.parametrize("lost", [0, 1, 4, 9, 10])
def test_a_change_feed_is_read_as_far_back_as_it_can_be(lost: int) -> None:
    """Versions before `lost` can no longer be read."""

    class Feed:
        def option(self, name: str, value: Any) -> Feed:
            self.since = value if name == "startingVersion" else self.since
            return self

        def table(self, name: str) -> Feed:
            return self

        def where(self, condition: str) -> Feed:
            return self

        def selectExpr(self, *columns: str) -> Feed:
            return self

        def collect(self) -> list[Any]:
            if self.since < lost:
                raise OSError("gone")
            return [
                SimpleNamespace(asDict=lambda n=n: {"version": n}) for n in range(self.since, 10)
            ]

        since = 0

    history = SimpleNamespace(agg=lambda how: SimpleNamespace(collect=lambda: [(0,)]))
    spark = SimpleNamespace(read=Feed(), sql=lambda statement: history)
    warehouse: Any = SimpleNamespace(spark=spark, identifier=lambda name: name)
    rows, first = changed_rows(warehouse, Position(ROLLING, "id", 9), "TRUE", ["*"], range(10))
    assert first == lost
    assert rows == [{"version": number} for number in range(lost, 10)]
