"""One athlete per kind of change: exactly the rows that it reaches are repaired, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.cli.execute import Options
from paceline.cli.verify import verify_tables
from paceline.ledger import Entry
from tests.oracle import KEYS, Outcome
from tests.pipeline.warehouse import changed, content, versions
from tests.pipeline.worlds import (
    FEATURES,
    PARTS,
    ROLLING,
    SETTINGS,
    SILVER,
    Effects,
    World,
    edited,
    effects,
    first_touched_days,
    plain_run,
    told,
)

pytestmark = pytest.mark.slow

HORIZON, NEXT_DAY = date(2024, 6, 30), date(2024, 7, 1)
SPLITS = [
    {"split": n, "distance": 1000.0, "moving_time": 290 + n, "average_heartrate": 140.0 + n}
    for n in range(1, 6)
]


def run_of(athlete: int, number: int, day: str, **fields: Any) -> dict[str, Any]:
    distance = {"distance": 10000.0 + number}
    return plain_run(athlete * 100 + number, athlete, day, **distance | fields)


def changes(*envelopes: tuple[str, dict[str, Any], int]) -> list[dict[str, Any]]:
    """Envelopes of (op, image, day in July 2024)."""
    return [
        {
            "op": op,
            "before" if op == "d" else "after": image,
            "ts_ms": 1_719_792_000_000 + (day - 1) * 86_400_000,
        }
        for op, image, day in envelopes
    ]


@dataclass
class Case:
    """What has been there before, and what comes then; lines by kind of source."""

    before: dict[str, list[Any]]
    then: dict[str, list[Any]] = field(default_factory=dict)


def api(*objects: Any) -> dict[str, list[Any]]:
    return {"strava_api": list(objects)}


def cdc(*envelopes: tuple[str, dict[str, Any], int]) -> dict[str, list[Any]]:
    return {"cdc": changes(*envelopes)}


def three(athlete: int) -> list[dict[str, Any]]:
    return [
        run_of(athlete, n, day) for n, day in enumerate(("2024-06-01", "2024-06-10", "2024-06-20"))
    ]


def settings(athlete: int, valid_from: str, **values: Any) -> dict[str, Any]:
    return {"athlete_id": athlete, "valid_from": valid_from, **values}


FLAT = {
    "activity_id": 1900,
    "athlete_id": 19,
    "start_date": "2024-06-01T06:00:00Z",
    "distance_m": 10000.0,
    "moving_time_s": 2900,
    "elapsed_time_s": 3100,
}
ATHLETES = {
    1: ("left alone", Case(api(*three(1)))),
    2: ("edited", Case(api(*three(2)), api(edited(three(2)[1], moving_time=2700)))),
    3: ("deleted", Case(api(*three(3)), cdc(("d", {"id": 301}, 3)))),
    4: (
        "moved to a later day",
        Case(
            api(*three(4)),
            api(
                edited(
                    three(4)[0],
                    start_date="2024-06-15T06:00:00Z",
                    start_date_local="2024-06-15T08:00:00Z",
                )
            ),
        ),
    ),
    5: (
        "given to another athlete",
        Case(api(*three(5)), api(edited(three(5)[2], athlete={"id": 6}))),
    ),
    6: ("given an activity", Case(api(*three(6)))),
    7: ("first one removed", Case(api(*three(7)), cdc(("d", {"id": 700}, 3)))),
    8: (
        "last one removed",
        Case(
            api(run_of(8, 0, "2024-03-01"), run_of(8, 1, "2024-04-20")), cdc(("d", {"id": 801}, 3))
        ),
    ),
    9: ("all removed", Case(api(*three(9)), cdc(*(("d", {"id": 900 + n}, 3) for n in range(3))))),
    10: (
        "splits replaced",
        Case(
            api(run_of(10, 0, "2024-06-01", splits_metric=SPLITS)),
            api(edited(run_of(10, 0, "2024-06-01", splits_metric=SPLITS[:4]))),
        ),
    ),
    11: (
        "splits removed by an empty array",
        Case(
            api(run_of(11, 0, "2024-06-01", splits_metric=SPLITS)),
            api(edited(run_of(11, 0, "2024-06-01", splits_metric=[]))),
        ),
    ),
    12: (
        "settings back-dated",
        Case(
            api(*three(12))
            | {"athlete_settings": [settings(12, "2024-06-15", threshold_pace_s_per_km=280)]},
            {"athlete_settings": [settings(12, "2024-06-05", threshold_pace_s_per_km=260)]},
        ),
    ),
    13: (
        "average and maximum heart rate swapped with NULL",
        Case(
            api(run_of(13, 0, "2024-06-01", max_heartrate=150.0)),
            api(edited(run_of(13, 0, "2024-06-01", average_heartrate=150.0))),
        ),
    ),
    14: (
        "newest version breaks a rule",
        Case(api(*three(14)), api(edited(three(14)[1], moving_time=0))),
    ),
    15: (
        "broken from the start, then mended",
        Case(
            api(run_of(15, 0, "2024-06-01", moving_time=0)),
            api(edited(run_of(15, 0, "2024-06-01"))),
        ),
    ),
    16: (
        "deleted before it came, and another made again",
        Case(
            cdc(
                ("d", {"id": 1600}, 3),
                ("c", run_of(16, 1, "2024-06-05"), 1),
                ("d", {"id": 1601}, 2),
            ),
            cdc(("c", run_of(16, 0, "2024-06-01"), 1), ("c", run_of(16, 1, "2024-06-05"), 5)),
        ),
    ),
    17: (
        "comes back after years",
        Case(api(run_of(17, 0, "2021-01-10")), api(run_of(17, 1, "2024-06-25"))),
    ),
    18: (
        "one beyond the horizon",
        Case(api(*three(18)), api(run_of(18, 9, "2024-07-01"))),
    ),
    19: (
        "thin after rich",
        Case(
            api(run_of(19, 0, "2024-06-01", splits_metric=SPLITS, calories=700.0)),
            cdc(("u", FLAT, 4)),
        ),
    ),
    20: ("new", Case({}, api(*three(20)))),
    21: ("only the name changes", Case(api(*three(21)), api(edited(three(21)[0], name="Renamed")))),
    22: (
        "from nothing to nothing",
        Case({}, {"cdc": ["null", *changes(("d", {"id": 2200}, 3))], "strava_api": ["{broken"]}),
    ),
    23: (
        "unusual loads",
        Case(
            api(
                run_of(23, 0, "2024-06-01", moving_time=180_000, elapsed_time=180_000, distance=9e5)
            ),
            api(*(run_of(23, n, f"2024-06-{n + 2:02d}", distance="-0.0") for n in range(1, 8))),
        ),
    ),
}


@dataclass
class Story:
    """The world before, after all changes, and one day later; with what the ledger said."""

    world: World
    outcomes: list[Outcome] = field(default_factory=list)
    entries: list[dict[str, Entry]] = field(default_factory=list)
    commits: list[dict[str, int]] = field(default_factory=list)

    def go_on(self) -> None:
        before = versions(self.world.warehouse)
        self.entries.append(self.world.run())
        self.commits.append(changed(before, versions(self.world.warehouse)))
        self.outcomes.append(self.world.expected())
        self.world.check()

    def effects(self, chapter: int) -> Effects:
        return effects(self.outcomes[chapter - 1], self.outcomes[chapter])


@pytest.fixture(scope="module")
def story(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    world = World(quick_spark, tmp_path_factory.mktemp("changes") / "world", HORIZON)
    story = Story(world)
    for name in ("before", "then"):
        for athlete, (_, case) in ATHLETES.items():
            for kind, lines in getattr(case, name).items():
                world.deliver(f"{kind}/{name}-{athlete}.jsonl", *lines)
        story.go_on()
    world.horizon = NEXT_DAY
    story.go_on()
    return story


def test_only_what_differs_is_written(story: Story) -> None:
    assert told(story.entries[1]) == story.effects(1)
    assert all(entry.scope is None for entry in story.entries[1].values())


def test_rows_that_were_compared_are_those_that_a_change_can_reach(story: Story) -> None:
    before, after = story.outcomes[:2]
    first = first_touched_days(before, after)
    rows = before.tables[ROLLING].keys() | after.tables[ROLLING].keys()
    reached = [
        (athlete, day) for athlete, day in rows if athlete in first and day >= first[athlete]
    ]
    entry = story.entries[1][ROLLING]
    assert entry.rows_compared == len(reached)


def test_by_hand(story: Story) -> None:
    """The same counts without the oracle, for athletes whose changes can be counted in the head."""
    entry = story.entries[1][FEATURES]
    # Inserted: 606 by 5's gift, 15's mended one, 1601 and 1600 of 16 (the delete of 1600 is later:
    # not), 17's, 18's, 20's three, 23's seven.
    assert entry.rows_inserted == 1 + 1 + 1 + 1 + 1 + 3 + 7
    # Deleted: 301, 502 (given away), 700, 801 and 9's three.
    assert entry.rows_deleted == 1 + 1 + 1 + 1 + 3
    # Updated: 2's, 4's, the splits of 10 and 11, 12's run of 10 June (those of 1 and 20 June keep
    # their threshold), 13's, and 19's.
    assert entry.rows_updated == 1 + 1 + 2 + 1 + 1 + 1
    # Not: 1, 14 (the broken version waits) and 21 (features have no name); 22 has nothing.
    assert entry.touched_athletes == len(ATHLETES) - 4


def test_the_days_and_athletes_of_a_new_day(story: Story) -> None:
    awake = {athlete for athlete, day in story.outcomes[2].tables[ROLLING] if day == NEXT_DAY}
    entry = story.entries[2][ROLLING]
    # 18 has waited for this day, and is awake already.
    assert told(story.entries[2])[ROLLING] == (len(awake), 0, 0)
    assert (entry.touched_athletes, entry.touched_days) == (len(awake), 1)
    assert entry.rows_compared == len(awake)
    others = {name: counts for name, counts in told(story.entries[2]).items() if name != ROLLING}
    assert set(others.values()) == {(0, 0, 0)}


def test_one_commit_for_each_published_table(story: Story) -> None:
    for name in (SILVER, PARTS, SETTINGS, FEATURES, ROLLING):
        assert story.commits[1][name] == 1
    assert not story.commits[2].keys() & {SILVER, PARTS, SETTINGS, FEATURES}


def test_ignored_lines_are_counted(story: Story) -> None:
    fates = story.entries[1]["bronze.strava_activities"].fates
    assert fates["ignored"] == 1


def test_a_rebuild_has_the_same_bits(story: Story) -> None:
    world = story.world
    world.run(warehouse=world.root / "rebuilt")
    for name in KEYS:
        rebuilt = content(world.spark, world.root / "rebuilt", name)
        assert content(world.spark, world.warehouse, name) == rebuilt, name


def test_verify_finds_nothing(story: Story) -> None:
    options = Options(warehouse=str(story.world.warehouse), conf=str(story.world.root / "conf"))
    for athletes in (None, 5):
        findings = verify_tables(options, athletes, None, tell=lambda line: None)
        assert [finding.verdict for finding in findings] == ["PASS"] * 5
