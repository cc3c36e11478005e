"""One athlete per kind of change: exactly the rows that it reaches are repaired, and no other."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date

import pytest
from pyspark.sql import SparkSession

from paceline.cli.main import exit_code, paceline
from paceline.cli.verify import verify_tables
from paceline.contract import Contract
from paceline.explain.calculation import calculate, same_bits
from paceline.explain.explanation import features_of
from paceline.explain.past import Activity, Past
from paceline.explain.reading import activity, counted
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import TABLES
from tests.oracle import KEYS
from tests.pipeline.changing import ATHLETES, HORIZON, NEXT_DAY, Story
from tests.pipeline.warehouse import content, versions
from tests.pipeline.worlds import (
    FEATURES,
    PARTS,
    ROLLING,
    SETTINGS,
    SILVER,
    World,
    first_touched_days,
    told,
)

pytestmark = pytest.mark.slow

Ask = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def story(quick_spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    world = World(quick_spark, tmp_path_factory.mktemp("changes") / "world", HORIZON)
    story = Story(world)
    for name in ("before", "then"):
        for athlete, (_, case) in ATHLETES.items():
            for kind, lines in getattr(case, name).items():
                world.deliver(f"{kind}/{name}-{athlete}.jsonl", *lines)
        if name == "then":
            story.look_ahead()
        story.go_on()
    world.horizon = NEXT_DAY
    story.go_on()
    return story


def test_only_what_differs_is_written(story: Story) -> None:
    assert told(story.entries[1]) == story.effects(1)
    assert all(entry.full_compare_reason is None for entry in story.entries[1].values())


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
    # not), 17's, 18's, 20's three, 23's seven, 24's watch.
    assert entry.rows_inserted == 1 + 1 + 1 + 1 + 1 + 3 + 7 + 1
    # Deleted: 301, 502 (given away), 700, 801, 9's three, 2503 and 27's watch.
    assert entry.rows_deleted == 1 + 1 + 1 + 1 + 3 + 1 + 1
    # Updated: 2's, 4's, the splits of 10 and 11, 12's run of 10 June (those of 1 and 20 June keep
    # their threshold), 13's, 19's and 26's. Those of the phones of 24 and 27: one is a duplicate
    # now, the other one no longer. And 602 of 6, who was given a run of the same morning.
    assert entry.rows_updated == 1 + 1 + 2 + 1 + 1 + 1 + 1 + 2 + 1
    # Not: 1, 14 (the broken version waits) and 21 (features have no name); 22 has nothing.
    assert entry.touched_entities == len(ATHLETES) - 4


def test_the_days_and_athletes_of_a_new_day(story: Story) -> None:
    awake = {athlete for athlete, day in story.outcomes[2].tables[ROLLING] if day == NEXT_DAY}
    entry = story.entries[2][ROLLING]
    # 18 has waited for this day, and is awake already.
    assert told(story.entries[2])[ROLLING] == (len(awake), 0, 0)
    assert (entry.touched_entities, entry.touched_days) == (len(awake), 1)
    assert entry.rows_compared == len(awake)
    others = {name: counts for name, counts in told(story.entries[2]).items() if name != ROLLING}
    assert set(others.values()) == {(0, 0, 0)}


def test_one_commit_for_each_published_table(story: Story) -> None:
    for name in (SILVER, PARTS, SETTINGS, FEATURES, ROLLING):
        assert story.commits[1][name] == 1
    assert not story.commits[2].keys() & {SILVER, PARTS, SETTINGS, FEATURES}


def test_ignored_lines_are_counted(story: Story) -> None:
    dispositions = story.entries[1]["bronze.strava_activities"].dispositions
    assert dispositions["ignored"] == 1


def test_a_rebuild_has_the_same_bits(story: Story) -> None:
    world = story.world
    world.run(warehouse=world.root / "rebuilt")
    for name in KEYS:
        rebuilt = content(world.spark, world.root / "rebuilt", name)
        assert content(world.spark, world.warehouse, name) == rebuilt, name


def test_verify_finds_nothing(story: Story) -> None:
    options = Options(warehouse=str(story.world.warehouse), conf=str(story.world.root / "conf"))
    for athletes in (None, 5):
        findings = verify_tables(TABLES, options, athletes, None, is_quiet=True)
        assert [finding.verdict for finding in findings] == ["PASS"] * 5


def test_a_plan_has_the_numbers_of_the_run(story: Story) -> None:
    planned = {row["table_name"]: row for row in story.planned.tables}
    assert planned.keys() == story.entries[1].keys()
    for name, entry in story.entries[1].items():
        told = {key: value for key, value in planned[name].items() if key != "reason"}
        assert told == {key: getattr(entry, key) for key in told}, name


def test_plan_and_status_change_no_file(story: Story) -> None:
    before, after = story.digests
    assert before
    assert after == before


def test_a_plan_names_athletes_days_and_deliveries(story: Story) -> None:
    rows = {(row.table_name, row.athlete_id): row for row in story.planned.touched}
    for name, counts in story.effects(1).items():
        found = [row for (table, _), row in rows.items() if table == name]
        assert counts == (
            sum(row.inserted for row in found),
            sum(row.updated for row in found),
            sum(row.deleted for row in found),
        )
    for (_, athlete), row in rows.items():
        giver = 5 if athlete == 6 else athlete
        assert {path.split("/")[1] for path in row.because_of} <= {f"then-{giver}.jsonl"} | {
            f"then-{athlete}.jsonl"
        }
    # The run of 10 June was edited: its day, and 21 days to the horizon.
    edited_run, days = rows[SILVER, 2], rows[ROLLING, 2]
    assert (edited_run.updated, edited_run.first_day) == (1, date(2024, 6, 10))
    assert (days.updated, days.first_day, days.last_day) == (21, date(2024, 6, 10), HORIZON)
    assert days.because_of == ("strava_api/then-2.jsonl",)
    assert rows[FEATURES, 12].because_of == ("athlete_settings/then-12.jsonl",)
    assert rows[PARTS, 10].days is None
    told = {(d.table_name, d.path): d.records for d in story.planned.deliveries}
    assert told["bronze.strava_activities", "strava_api/then-20.jsonl"] == 3
    refused = {(found.table_name, found.reasons) for found in story.planned.refused}
    assert (SILVER, ("unreadable",)) in refused


def test_status_tells_rows_ages_and_what_waits(story: Story) -> None:
    told = {row["table_name"]: row for row in story.status["tables"]}
    before = story.outcomes[0].tables
    assert {name: told[name]["rows"] for name in KEYS} == {n: len(before[n]) for n in KEYS}
    new = {d.path for d in story.planned.deliveries if d.table_name == "bronze.athlete_settings"}
    assert told["bronze.athlete_settings"]["pending"] == [f"{len(new)} new file"]
    assert told[SILVER]["pending"] == []
    # It is 1 July 2026, six o'clock: yesterday is 730 days after the horizon.
    assert told[ROLLING]["pending"] == ["730 new days"]
    assert told[ROLLING]["age"] == pytest.approx(730 - 0.25)
    assert f"{ROLLING} is 729.8 days old, 1 are promised" in story.status["problems"]
    assert [run["job"] for run in story.status["runs"]] == ["Feature_Rolling", "Feature_Activity"]


@pytest.fixture
def ask(story: Story, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Asks `paceline explain`; the exit code, and what it said without ids of runs."""
    world = story.world

    def run(athlete: int, day: str, *arguments: str) -> tuple[int, str]:
        place = ["--warehouse", str(world.warehouse), "--conf", str(world.root / "conf")]
        given = ["explain", "--athlete", str(athlete), "--date", day, *arguments, *place]
        code = exit_code(paceline, given)
        said = capsys.readouterr()
        text = re.sub(r", sealed \S+ \S+ UTC", "", said.out or said.err)
        return code, re.sub(r"\d{8}T\d{6}-\w{8}", "RUN", text)

    return run


def test_a_sum_is_explained_down_to_the_lines_of_the_deliveries(story: Story, ask: Ask) -> None:
    before = versions(story.world.warehouse)
    code, said = ask(2, "2024-06-20", "--feature", "tss_30d")
    assert code == 0
    assert versions(story.world.warehouse) == before, "explain has written to a table"
    # 67.5 TSS for 10 km in 50 minutes, 75 in 45, each with the square of the distance.
    assert [" ".join(line.split()) for line in said.splitlines() if line] == [
        "athlete 2, 2024-06-20: tss_30d = 210.042004 TSS",
        "formula Training load over the 30 days that end with as_of_date, all sports. Never NULL.",
        "published version 2, by Feature_Rolling RUN",
        "3 activities count from 2024-05-22 on",
        "day activity sport tss share",
        "2024-06-01 200 run 67.5 32.14 %",
        "2024-06-10 201 run 75.015001 35.71 %",
        "2024-06-20 202 run 67.527003 32.15 %",
        "they come from these rows of silver.strava_activities, made from these records",
        "activity_id sport_type start_date_local distance_m moving_time_s elapsed_time_s "
        "elevation_gain_m source record",
        *(
            f"{number} Run 2024-06-{day} 08:00:00 {distance} {moving} 3100 50.0 strava_api "
            f"strava_api/{file}-2.jsonl line {line}"
            for number, day, distance, moving, file, line in (
                (200, "01", 10000.0, 3000, "before", 1),
                (201, "10", 10001.0, 2700, "then", 1),
                (202, "20", 10002.0, 3000, "before", 3),
            )
        ),
        "history of the value, the newest first",
        "version 2, by Feature_Rolling RUN: 202.540504 -> 210.042004",
        "activity 201 changed: moving_time_s 3000 -> 2700, estimated_tss 67.513501 -> 75.015001",
        "strava_api/then-2.jsonl line 1, taken in by run RUN",
        "version 1, by Feature_Rolling RUN: row inserted, 202.540504",
        "the first run of the table that ops.ledger knows of",
        "complete: the change feed reaches back to the creation of the table",
        "worked out by hand",
        "67.5 + 75.015001 + 67.527003 = 210.042004",
        "in whole numbers: 210042004 / 1000000 = 210.042004",
        "worked out 210.042004, published 210.042004: equal, bit for bit.",
    ]


def test_a_deleted_activity_is_the_reason_for_a_day_less(ask: Ask) -> None:
    code, said = ask(3, "2024-06-20", "--feature", "active_days_30d", "--json")
    assert code == 0
    found = json.loads(said)
    assert (found["value"], found["steps"]) == (2, ["1 + 1 = 2"])
    assert [(one["activity_id"], one["share"]) for one in found["activities"]] == [
        (300, 0.5),
        (302, 0.5),
    ]
    changed, inserted = found["history"]
    assert (changed["before"], changed["after"], inserted["after"]) == (3, 2, 3)
    delete = {"source_path": "cdc/then-3.jsonl", "line_number": 1, "run_id": "RUN"}
    went = "activity 301 of 2024-06-10 went, active_days 1"
    assert changed["reasons"] == [{"reason": went, "records": [delete]}]


def test_settings_are_the_reason_for_another_ewma(ask: Ask) -> None:
    code, said = ask(12, "2024-06-20", "--feature", "atl_ewma_7d", "--json", "--activities", "2")
    assert code == 0
    found = json.loads(said)
    today = 1 - math.exp(-1 / 7)
    # The third one is 19 days old.
    assert [one["activity_id"] for one in found["activities"]] == [1201, 1202]
    assert found["unlisted_activities"] == 1
    assert [one["weight"] for one in found["activities"]] == pytest.approx(
        [today * math.exp(-10 / 7), today]
    )
    reason, *others = found["history"][0]["reasons"]
    assert not others
    assert reason["reason"].startswith("activity 1201 changed: estimated_tss 67.513501 -> ")
    assert [one["source_path"] for one in reason["records"]] == ["athlete_settings/then-12.jsonl"]


def test_every_feature_of_every_athlete_is_worked_out_again(
    story: Story, contracts: Mapping[str, Contract]
) -> None:
    path = story.world.warehouse.joinpath(*FEATURES.split("."))
    frame = story.world.spark.read.format("delta").load(str(path))
    activities: dict[int, list[Activity]] = defaultdict(list)
    for row in counted(frame).collect():
        activities[row["athlete_id"]].append(activity(row.asDict()))
    days = [key for key in story.world.published(ROLLING) if key[1].day % 10 == 0]
    assert {athlete for athlete, _ in days} == activities.keys()
    published = story.world.published(ROLLING)
    for athlete, day in days:
        past, row = Past(activities[athlete], day), published[athlete, day]
        for column in features_of(contracts[ROLLING]):
            found = calculate(column.name, past)
            assert same_bits(found.value, row[column.name]), (athlete, day, column.name, found)


def test_why_there_is_no_row(ask: Ask) -> None:
    for athlete, day, message in (
        (17, "2023-01-01", "dormant, for the last activity was on 2021-01-10"),
        (9, "2024-06-01", "no activity of this athlete"),
    ):
        code, said = ask(athlete, day)
        assert code == 2
        assert message in said


def test_what_somebody_else_has_written_differs_and_a_cut_history_is_told(
    story: Story, ask: Ask
) -> None:
    story.world.vacuum(ROLLING)
    day = "athlete_id = 1 AND as_of_date = DATE '2024-06-05'"
    story.world.sql(f"UPDATE {{}} SET distance_km_90d = 30.0 WHERE {day}", ROLLING)
    newest = versions(story.world.warehouse)[ROLLING]
    code, said = ask(1, "2024-06-05")
    assert code == 1
    assert f"published version {newest}, by no sealed run" in said
    assert "DIFFERS: 10.0" in said
    assert "1 of them DIFFER." in said
    code, said = ask(1, "2024-06-05", "--feature", "distance_km_90d")
    assert code == 1
    assert f"version {newest}, by no sealed run: 10.0 -> 30.0" in said
    assert "written by a run that ended before SEAL, or by somebody else" in said
    assert re.search(r"CUT: the change feed begins at version [23] of the table", said)
    assert said.endswith("worked out 10.0, published 30.0: they DIFFER.\n")
