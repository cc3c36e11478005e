"""`paceline report` on a tiny warehouse: every number on the pages is the one in the tables.

The tables are written by another writer of Delta than Spark, with values of their own in every
cell: jobs would take a minute to make some that are less telling.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import DataType

from paceline.cli.main import exit_code, paceline
from paceline.contract import Contract
from paceline.store import ledger, quarantine
from paceline.store.ledger import Entry, Verdict, dated, row_of
from tests.pipeline.warehouse import versions
from tests.pipeline.worlds import FEATURES, ROLLING, SILVER
from tests.unit.test_docs import Page

pytestmark = pytest.mark.slow

BRONZE = "bronze.strava_activities"
ATHLETE, OTHER = 1001, 1002
LAST = date(2024, 6, 6)
WEEKS = 4
SHOWN_FROM = date(2024, 5, 13)  # a Monday; the fourth week holds the last day, a Thursday
SPORTS = ("run", "ride", "run", "swim", "other")
SIX = datetime(2024, 6, 7, 6, tzinfo=UTC)

Row = dict[str, Any]


@dataclass
class Told:
    """What is in the tables, by name, and the pages about it."""

    root: Path
    rows: dict[str, list[Row]] = field(default_factory=dict)
    athlete: Page = field(init=False)
    pipeline: Page = field(init=False)

    def write(self, name: str, schema: Any, rows: Sequence[Row]) -> None:
        """Appends rows to a table in one commit."""
        path = self.root.joinpath("warehouse", *name.split("."))
        # Spark refuses what this writer notes in the log where a column may not be NULL.
        nullable = pa.schema([column.with_nullable(True) for column in to_arrow_schema(schema)])
        write_deltalake(path, pa.Table.from_pylist(list(rows), schema=nullable), mode="append")
        self.rows.setdefault(name, []).extend(rows)

    def report(self, *arguments: str) -> Page:
        out = self.root / "page.html"
        given = ["report", *arguments, "-o", str(out), "--warehouse", str(self.root / "warehouse")]
        assert exit_code(paceline, given) == 0
        return Page(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def told(
    quick_spark: SparkSession,
    contracts: Mapping[str, Contract],
    tmp_path_factory: pytest.TempPathFactory,
) -> Told:
    story, drawn = Told(tmp_path_factory.mktemp("report")), random.Random(7)
    days = list(rolling_rows(contracts[ROLLING], drawn))
    for commit in (days[:30], days[30:]):
        story.write(ROLLING, contracts[ROLLING].schema(), commit)
    activities = list(feature_rows(contracts[FEATURES], drawn))
    story.write(FEATURES, contracts[FEATURES].schema(), activities)
    write_records(story, contracts)
    write_ops(story)
    before = versions(story.root / "warehouse")
    story.athlete = story.report("--athlete", str(ATHLETE), "--weeks", str(WEEKS))
    story.pipeline = story.report("--pipeline", "--weeks", "1")
    assert versions(story.root / "warehouse") == before, "a report has written to a table"
    return story


def rolling_rows(contract: Contract, drawn: random.Random) -> Iterator[Row]:
    """Days of two athletes up to the last; the first rows have no ratio and no pace."""
    for athlete, count in ((ATHLETE, 40), (OTHER, 45)):
        for number in range(count):
            row: Row = contract.example() | {"athlete_id": athlete}
            for column in contract.columns:
                if column.type == "DOUBLE":
                    row[column.name] = drawn.uniform(-50, 2000)
            row |= {
                "as_of_date": LAST - timedelta(days=count - 1 - number),
                "acwr": drawn.uniform(0, 2) if number > 25 else None,
                "run_pace_min_km_30d": drawn.uniform(4, 6) if number > 20 else None,
                "run_pace_min_km_90d": drawn.uniform(4, 6),
                "moving_time_s_7d": drawn.randrange(100_000),
                "activities_without_tss_1d": number % 3,
            }
            yield row


def feature_rows(contract: Contract, drawn: random.Random) -> Iterator[Row]:
    """Two activities a day, some without a distance, a climb or a score, some recorded twice."""
    for number in range(30):
        yield contract.example() | {
            "athlete_id": ATHLETE if number % 7 else OTHER,
            "activity_id": number,
            "local_day": LAST - timedelta(days=number // 2),
            "sport_family": SPORTS[number % 5],
            "moving_time_s": drawn.randrange(3600, 20_000),
            "distance_km": drawn.uniform(1, 60) if number % 4 else None,
            "elevation_gain_m": drawn.uniform(1, 900) if number % 5 else None,
            "estimated_tss": drawn.uniform(1, 150) if number % 6 else None,
            "is_duplicate_recording": number % 9 == 8,
        }


def write_records(story: Told, contracts: Mapping[str, Contract]) -> None:
    """Activity 2 is doubtful; of the records one comes two days after its day, and one later."""
    silver, bronze = contracts[SILVER], contracts[BRONZE]
    published = [
        silver.example() | {"athlete_id": athlete, "activity_id": number, "local_day": day}
        for number, athlete, day in (
            (1, ATHLETE, date(2024, 5, 1)),
            (2, ATHLETE, date(2024, 6, 3)),
            (3, ATHLETE, date(2024, 6, 3)),
            (4, OTHER, date(2024, 6, 1)),
        )
    ]
    published[1] |= {"elapsed_time_s": 90_000}
    story.write(SILVER, silver.schema(), published)
    received = [
        bronze.example() | {"athlete_id": athlete, "activity_id": number, "ingest_date": day}
        for number, athlete, day in (
            (1, ATHLETE, date(2024, 6, 4)),  # the history
            (2, ATHLETE, date(2024, 6, 5)),
            (3, ATHLETE, date(2024, 6, 6)),
            (4, OTHER, date(2024, 6, 6)),
            (5, ATHLETE, date(2024, 6, 6)),  # refused
        )
    ]
    story.write(BRONZE, bronze.schema(), received)


def write_ops(story: Told) -> None:
    """Three runs of this week and one before it, a verification, and three refused records."""
    entries = [
        an_entry("old", SILVER, days=-8, rows_inserted=5),
        an_entry("one", SILVER, rows_inserted=1200, rows_quarantined=2),
        an_entry("one", FEATURES, seconds=95, rows_inserted=34, rows_updated=5, rows_deleted=6),
        an_entry("two", ROLLING, "REJECTED", seconds=7, minutes=3, job="Feature_Rolling"),
        an_entry("three", SILVER, "STARTED", seconds=None, minutes=9),
        an_entry("check", SILVER, ledger.VERIFIED, minutes=8, job="verify"),
    ]
    entries[3].checks = [
        Verdict("keys", 0.0, 0.0, "error", "PASS"),
        Verdict("broken_share", 0.0625, 0.05, "error", "FAIL"),
    ]
    entries[4].event = ledger.AUDITED_EVENT
    for entry in entries:
        entry.at = entry.finished_at or entry.started_at
    names = [f.name for f in fields(Entry)]
    rows = [dict(zip(names, row_of(dated(entry)), strict=True)) for entry in entries]
    story.write(ledger.LEDGER, DataType.fromDDL(ledger.LEDGER_DDL), rows)
    refused = [
        (ATHLETE, ["run_speed_max", "distance_not_negative"], None),
        (ATHLETE, ["run_speed_max"], "one"),
        (OTHER, ["run_speed_max"], None),
    ]
    seen = {"first_seen": SIX - timedelta(days=1), "last_seen": SIX, "table_name": SILVER}
    records = [
        seen
        | {"reject_key": str(number), "key": f'{{"athlete_id":{athlete},"activity_id":5}}'}
        | {"reasons": reasons, "run_id": "one", "resolved_by": resolved_by}
        for number, (athlete, reasons, resolved_by) in enumerate(refused)
    ]
    story.write(quarantine.QUARANTINE, DataType.fromDDL(quarantine.QUARANTINE_DDL), records)


def an_entry(
    run_id: str,
    table: str,
    status: str = "PUBLISHED",
    *,
    seconds: float | None = 42.0,
    minutes: int = 0,
    days: int = 0,
    job: str = "Feature_Activity",
    **rows: Any,
) -> Entry:
    started = SIX + timedelta(days=days, minutes=minutes)
    ended = None if seconds is None else started + timedelta(seconds=seconds)
    return Entry(run_id, job, table, status, started_at=started, finished_at=ended, **rows)


def rows_under(page: Page, *headings: str) -> list[list[str]]:
    """The rows of the table with these headings."""
    start = page.rows.index(list(headings)) + 1
    beginnings = ("Day", "Week from", "Rule", "Started", "Table")
    ends = (n for n in range(start, len(page.rows)) if page.rows[n][0] in beginnings)
    return page.rows[start : next(ends, len(page.rows))]


def in_page(value: float | None, digits: int = 1) -> str:
    return "none" if value is None else f"{value:,.{digits}f}".replace("-", "\u2212")


def clock(sixtieths: float | None) -> str:
    """Minutes and seconds, or hours and minutes."""
    return "none" if sixtieths is None else f"{round(sixtieths) // 60}:{round(sixtieths) % 60:02d}"


def of_athlete(told: Told, name: str, day: str) -> list[Row]:
    rows = [row for row in told.rows[name] if row["athlete_id"] == ATHLETE]
    return sorted((row for row in rows if row[day] >= SHOWN_FROM), key=lambda row: row[day])


def test_every_day_of_the_rolling_table_is_on_the_page(told: Told) -> None:
    days = of_athlete(told, ROLLING, "as_of_date")[::-1]
    assert len(days) == 7 * (WEEKS - 1) + 4
    columns = ("tss_1d", "ctl_ewma_42d", "atl_ewma_7d", "tsb_ewma")
    headings = ("Day", "Load of the day", "Fitness", "Fatigue", "Form")
    assert rows_under(told.athlete, *headings) == [
        [str(day["as_of_date"]), *(in_page(day[name]) for name in columns)] for day in days
    ]
    headings = ("Day", "Load of 7 days", "Load of 28 days", "Ratio", "Band")
    columns = (("tss_7d", 1), ("tss_28d", 1), ("acwr", 2))
    assert [row[:4] for row in rows_under(told.athlete, *headings)] == [
        [str(day["as_of_date"]), *(in_page(day[name], digits) for name, digits in columns)]
        for day in days
    ]
    paces = ("run_pace_min_km_30d", "run_pace_min_km_90d")
    assert rows_under(told.athlete, "Day", "30 days", "90 days") == [
        [str(day["as_of_date"]), *(clock(day[name] and 60 * day[name]) for name in paces)]
        for day in days
    ]
    assert {day["acwr"] is None for day in days} == {True, False}
    assert {day["run_pace_min_km_30d"] is None for day in days} == {True, False}


def test_every_week_and_sport_is_on_the_page(told: Told) -> None:
    groups = defaultdict(list)
    once = [r for r in of_athlete(told, FEATURES, "local_day") if not r["is_duplicate_recording"]]
    for row in once:
        monday = row["local_day"] - timedelta(days=row["local_day"].weekday())
        groups[str(monday), row["sport_family"]].append(row)
    columns = (("distance_km", 1), ("elevation_gain_m", 0), ("estimated_tss", 0))
    expected = [
        [
            *(*key, str(len(of_sport)), clock(sum(row["moving_time_s"] for row in of_sport) / 60)),
            *(in_page(sum(row[name] or 0 for row in of_sport), digits) for name, digits in columns),
        ]
        for key, of_sport in groups.items()
    ]
    # The first of the four weeks is before all of them.
    expected.append(["2024-05-13", "none", "0", "0:00", "0.0", "0", "0"])
    headings = ("Week from", "Sport", "Activities", "Hours", "Kilometres", "Climb in m", "TSS")
    found = rows_under(told.athlete, *headings)
    assert sorted(found) == sorted(expected)
    assert [row[0] for row in found] == sorted((row[0] for row in found), reverse=True)
    assert {row[1] for row in found} == {"run", "ride", "swim", "other", "none"}


def test_the_figures_are_those_of_the_last_day_and_of_the_records(told: Told) -> None:
    days = of_athlete(told, ROLLING, "as_of_date")
    last, said = days[-1], " ".join(told.athlete.words.split())
    week = (
        f"{last['activities_7d']} activities, {in_page(last['distance_km_7d'])} km, "
        f"{in_page(last['tss_7d'], 0)} TSS"
    )
    for figure in (
        f"Fitness {in_page(last['ctl_ewma_42d'])} ",
        f"Fatigue {in_page(last['atl_ewma_7d'])} ",
        f"Form {in_page(last['tsb_ewma'])} ",
        f"Load ratio (ACWR) {in_page(last['acwr'], 2)} ",
        f"Last 7 days {clock(last['moving_time_s_7d'] / 60)} h {week}",
        f"Run pace, 30 days {clock(60 * last['run_pace_min_km_30d'])} /km",
        "Published 3 activities of all time, from 4 records",
        "Quarantined 1 ",
        "Warnings 1 ",
        "Late 1 ",
        f"Without a load {sum(day['activities_without_tss_1d'] for day in days)} ",
        f"{ROLLING} version 1 and {FEATURES} version 0.",
        "The last delivery came on 6 June 2024.",
    ):
        assert figure in said, figure
    headings = ("Rule", "Table", "What it demands", "What happens", "Records")
    rules = rows_under(told.athlete, *headings)
    assert [[row[0], row[1], *row[3:]] for row in rules] == [
        ["distance_not_negative", SILVER, "quarantined", "1"],
        ["run_speed_max", SILVER, "quarantined", "1"],
        ["elapsed_over_24h", SILVER, "warning", "1"],
    ]
    assert rules[2][2].startswith("Longer than 24 hours is possible")


def test_every_run_of_the_week_is_on_the_page(told: Told) -> None:
    headings = ("Started", "Job", "Outcome", "Took", "Inserted", "Updated", "Deleted", "Refused")
    at = ["2024-06-07 06:00", "2024-06-07 06:03", "2024-06-07 06:09"]
    activity, rolling = "Feature_Activity", "Feature_Rolling"
    assert rows_under(told.pipeline, *headings, "Warnings", "Run") == [
        [at[2], activity, "STARTED", "none", "0", "0", "0", "0", "0", "three"],
        [at[1], rolling, "REJECTED", "7.0 s", "0", "0", "0", "0", "0", "two"],
        [at[0], activity, "PUBLISHED", "1 min 35 s", "1,234", "5", "6", "2", "0", "one"],
    ]
    headings = ("Started", "Table", "Check", "Verdict", "Observed", "Limit")
    failed = [at[1], ROLLING, "broken_share", "FAIL", "0.0625", "0.05"]
    assert rows_under(told.pipeline, *headings) == [failed]
    headings = ("Rule", "Table", "Open", "Resolved", "First seen", "Last seen")
    seen = ["2024-06-06 06:00", at[0]]
    assert rows_under(told.pipeline, *headings) == [
        ["run_speed_max", SILVER, "2", "1", *seen],
        ["distance_not_negative", SILVER, "1", "0", *seen],
    ]
    words = " ".join(told.pipeline.words.split())
    assert "In quarantine 2 records" in words
    assert str(ATHLETE) not in words


def test_an_athlete_without_rows(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    out = told.root / "none.html"
    where = ["--warehouse", str(told.root / "warehouse"), "-o", str(out)]
    assert exit_code(paceline, ["report", "--athlete", "424242", *where]) == 2
    error = capsys.readouterr().err
    assert "has no row of this athlete: check the id" in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_table_that_is_not_there_yet(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    log = told.root.joinpath("warehouse", *ROLLING.split("."), "_delta_log")
    log.rename(told.root / "away")
    try:
        where = ["--warehouse", str(told.root / "warehouse"), "-o", str(told.root / "none.html")]
        assert exit_code(paceline, ["report", "--athlete", str(ATHLETE), *where]) == 2
    finally:
        (told.root / "away").rename(log)
    assert f"There is no table {ROLLING} yet: run `paceline run` first" in capsys.readouterr().err
