"""The pages of `paceline report` from rows made by hand, parsed; no session is started."""

import math
from datetime import UTC, date, datetime, timedelta

import pytest

from paceline.cli.main import exit_code, paceline
from paceline.report import athlete, athlete_page, charts, pipeline, pipeline_page, words
from paceline.report.athlete import Activity, Athlete, Day, Finding, Quality
from paceline.report.pipeline import Check, Entry, Pipeline, Refused
from tests.unit.test_docs import HOSTILE, Page

LAST = date(2026, 6, 28)
SILVER = "silver.strava_activities"
ROLLING = "feature_store.athlete_rolling_features"
VERSIONS = {ROLLING: 12, "feature_store.activity_features": 14}
SIX = datetime(2026, 6, 28, 6, tzinfo=UTC)


def a_day(day, **fields):
    """A day with a value of its own in every column."""
    return Day(
        **{
            "as_of_date": day,
            "tss_1d": 67.25,
            "ctl_ewma_42d": 40.44,
            "atl_ewma_7d": 52.06,
            "tsb_ewma": -8.37,
            "tss_7d": 301.4,
            "tss_28d": 1080.2,
            "acwr": 1.116,
            "run_pace_min_km_30d": 4.825,
            "run_pace_min_km_90d": 5.0,
            "activities_7d": 4,
            "moving_time_s_7d": 18030,
            "distance_km_7d": 52.34,
            "activities_without_tss_1d": 1,
            "days_since_last_activity": 0,
        }
        | fields
    )


def an_athlete(**fields):
    """Two weeks whose second Wednesday has no row, and a quarantine with a hostile text."""
    first = date(2026, 6, 15)
    days = [a_day(day) for day in charts.calendar(first, LAST) if day != date(2026, 6, 24)]
    days[0] = a_day(first, acwr=None, run_pace_min_km_30d=None, tsb_ewma=0.0, tss_1d=0.04)
    run = Activity(first, "run", 3600, 10.04, None, 67.5)
    given = {
        "athlete_id": 1001,
        "first": first,
        "days": days,
        "volumes": athlete.volumes([run, run, Activity(LAST, "luge", 90, None, 12.0, None)]),
        "quality": Quality(
            activities=1234,
            quarantined=2,
            reasons=(Finding(SILVER, "run_speed_max", HOSTILE, 2),),
            warnings=(Finding(SILVER, "elapsed_over_24h", "A watch was not stopped.", 3),),
            received=1300,
            late=5,
            last_received=date(2026, 6, 29),
        ),
        "versions": VERSIONS,
    }
    return Athlete(**given | fields)


def an_entry(run_id, table, status="PUBLISHED", *, minutes=0, seconds=90.0, **fields):
    started = SIX + timedelta(minutes=minutes)
    ended = None if seconds is None else started + timedelta(seconds=seconds)
    known = {"verdict": "PASS", "target_version": 7, "horizon": None}
    rows = {"rows_inserted": 1000, "rows_updated": 20, "rows_deleted": 3, "rows_quarantined": 4}
    given = {"run_id": run_id, "job": "Feature_Activity", "table_name": table, "status": status}
    return Entry(**given | known | rows | fields, started_at=started, finished_at=ended)


def a_pipeline(**fields):
    entries = [
        an_entry("b", SILVER, "REJECTED", minutes=9, seconds=4.24, verdict="FAIL", rows_inserted=0),
        an_entry("b", ROLLING, "SKIPPED", minutes=9, seconds=5, verdict=None, rows_inserted=0),
        an_entry("a", SILVER),
        an_entry("a", ROLLING, "UNCHANGED", minutes=1, seconds=125, horizon=LAST, rows_inserted=5),
        an_entry("c", SILVER, "STARTED", minutes=15, seconds=None, verdict=None),
    ]
    checks = [
        Check("b", SILVER, "broken_share", 0.0625, 0.05, "FAIL"),
        Check("a", SILVER, HOSTILE, 1234567.0, None, "WARN"),
    ]
    runs = pipeline.runs(entries, checks)
    refused = [Refused(SILVER, "unreadable", 3, 1200, SIX, SIX + timedelta(days=1))]
    shown = {"runs": runs, "tables": pipeline.tables(runs, [SILVER, ROLLING]), "refused": refused}
    return Pipeline(**shown | {"open": 3} | fields)


def test_the_tables_of_an_athlete_hold_the_rows_as_they_are():
    page = Page(athlete_page.render(an_athlete()))
    first, last = "2026-06-15", "2026-06-28"
    assert [last, "67.2", "40.4", "52.1", "\u22128.4"] in page.rows
    assert [first, "0.0", "40.4", "52.1", "0.0"] in page.rows
    assert [last, "301.4", "1,080.2", "1.12", "usual"] in page.rows
    assert [first, "301.4", "1,080.2", "none", "none"] in page.rows
    assert [last, "4:50", "5:00"] in page.rows
    assert [first, "none", "5:00"] in page.rows
    assert [first, "run", "2", "2:00", "20.1", "0", "135"] in page.rows
    assert ["2026-06-22", "other", "1", "0:02", "0.0", "12", "0"] in page.rows
    # Three tables of 13 days, for a day without a row has no numbers.
    assert sum(row[0].startswith("2026-06-") for row in page.rows) == 3 * 13 + 2
    assert not any("2026-06-24" in row for row in page.rows)
    refused = ["run_speed_max", SILVER, " ".join(HOSTILE.split()), "quarantined", "2"]
    assert refused in page.rows
    assert ["elapsed_over_24h", SILVER, "A watch was not stopped.", "warning", "3"] in page.rows


def test_the_figures_of_an_athlete_are_those_of_the_last_day():
    days = [a_day(LAST - timedelta(days=28), ctl_ewma_42d=38.0, atl_ewma_7d=55.0), a_day(LAST)]
    page = Page(athlete_page.render(an_athlete(days=days, first=date(2026, 5, 25))))
    said = " ".join(page.words.split())
    for figure in (
        "Fitness 40.4 +2.4 in four weeks",
        "Fatigue 52.1 \u22122.9 in four weeks",
        "Form \u22128.4 more fatigue than fitness",
        "Load ratio (ACWR) 1.12 usual",
        "Last 7 days 5:00 h 4 activities, 52.3 km, 301 TSS",
        "Run pace, 30 days 4:50 /km 5:00 over 90 days",
        "Published 1,234 activities of all time, from 1,300 records",
        "Quarantined 2 records",
        "Warnings 3 doubtful",
        "Late 5 records over 2 days after",
        "Without a load 2 activities",
        f"{ROLLING} version 12 and",
    ):
        assert figure in said, figure


def test_an_athlete_who_never_ran_and_is_new_has_words_instead_of_charts():
    day = a_day(LAST, acwr=None, run_pace_min_km_30d=None, run_pace_min_km_90d=None)
    empty = Quality(0, 0, (), (), 0, 0, None)
    page = Page(athlete_page.render(an_athlete(days=[day], volumes=(), quality=empty)))
    for sentence in (
        "needs 28 days of history",
        "No day shown has a run",
        "Nothing is quarantined",
    ):
        assert sentence in page.words
    assert sum(given.get("role") == "img" for _, given in page.tags) == 3


def test_the_tables_of_the_pipeline_hold_the_rows_as_they_are():
    page = Page(pipeline_page.render(a_pipeline()))
    job = "Feature_Activity"
    at = ["2026-06-28 06:00", "2026-06-28 06:09", "2026-06-28 06:15"]
    # From the first claim to the last seal: a minute later, and 125 seconds long.
    assert [at[0], job, "PUBLISHED", "3 min 5 s", "1,005", "40", "6", "8", "1", "a"] in page.rows
    assert [at[1], job, "REJECTED", "5.0 s", "0", "40", "6", "8", "0", "b"] in page.rows
    assert [at[2], job, "STARTED", "none", "1,000", "20", "3", "4", "0", "c"] in page.rows
    counts = ["3", "2,000", "60", "9", "12"]
    assert [SILVER, "STARTED", "none", "none", "7", "47.1 s", *counts] in page.rows
    assert [at[1], SILVER, "broken_share", "FAIL", "0.0625", "0.05"] in page.rows
    assert [at[0], SILVER, " ".join(HOSTILE.split()), "WARN", "1,234,567", "none"] in page.rows
    seen = ["2026-06-28 06:00", "2026-06-29 06:00"]
    assert ["unreadable", SILVER, "3", "1,200", *seen] in page.rows
    said = " ".join(page.words.split())
    for figure in ("Last run started", "Runs 3 1 rejected, 1 started, 1 published", "3 min 5 s"):
        assert figure in said, figure


def test_a_page_needs_nothing_from_elsewhere_and_every_picture_has_words():
    for text in (athlete_page.render(an_athlete()), pipeline_page.render(a_pipeline())):
        page = Page(text)
        sections = {link.removeprefix("#") for link in page.links if link.startswith("#")}
        assert len(sections) >= 6
        assert sections <= set(page.ids)
        assert {link for link in page.links if not link.startswith("#")} == {"data:,"}
        # What scrolls is reached by the keyboard, and says what it is.
        regions = [given for _, given in page.tags if given.get("role") == "region"]
        assert len(regions) >= 4
        assert all(given["tabindex"] == "0" and given["aria-label"] for given in regions)
        assert not {"script", "img", "iframe"} & {tag for tag, _ in page.tags}
        pictures = [
            given for tag, given in page.tags if tag == "svg" and "aria-hidden" not in given
        ]
        assert len(pictures) >= 3
        assert all(given["aria-label"].endswith(".") for given in pictures)


def test_volumes_are_sums_by_week_and_sport_in_the_order_of_the_sports():
    sunday, monday = date(2026, 6, 21), date(2026, 6, 22)
    found = athlete.volumes(
        [
            Activity(monday, "ride", 60, 0.1, 5.0, None),
            Activity(monday, "run", 61, None, None, 1.5),
            Activity(monday + timedelta(days=6), "ride", 60, 0.2, 6.0, 2.5),
            Activity(sunday, "kite", 30, 1.0, None, None),
        ]
    )
    assert [tuple(vars(volume).values()) for volume in found] == [
        (date(2026, 6, 15), "other", 1, 30, 1.0, 0.0, 0.0),
        (monday, "run", 1, 61, 0.0, 0.0, 1.5),
        (monday, "ride", 2, 120, math.fsum([0.1, 0.2]), 11.0, 2.5),
    ]


def test_weeks_begin_on_mondays():
    assert athlete.first_day(date(2026, 1, 1), LAST, 1) == date(2026, 6, 22)
    assert athlete.first_day(date(2026, 1, 1), date(2026, 6, 29), 2) == date(2026, 6, 22)
    assert athlete.first_day(date(2026, 6, 10), LAST, 26) == date(2026, 6, 8)


@pytest.mark.parametrize(
    ("acwr", "name"),
    [(0, "low"), (0.79, "low"), (0.8, "usual"), (1.3, "usual"), (1.5, "raised"), (1.51, "high")],
)
def test_the_bands_of_the_ratio(acwr, name):
    assert athlete.band(acwr) == name


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (words.number(-0.04), "0.0"),
        (words.number(-1234.56), "\u22121,234.6"),
        (words.amount(1234567.0), "1,234,567"),
        (words.amount(0.0625), "0.0625"),
        (words.power_of_ten(0), "1"),
        (words.power_of_ten(5), "100k"),
        (words.change(1500.0), "+1,500.0"),
        (words.change(-0.04), "0.0"),
        (words.change(-2), "\u22122.0"),
        (words.pace(4.9999), "5:00"),
        (words.pace(4.0167), "4:01"),
        (words.hours(3599), "1:00"),
        (words.hours(360060), "100:01"),
        (words.duration(59.96), "1 min 0 s"),
        (words.duration(3599.9), "1 h 0 min"),
        (words.duration(7500), "2 h 5 min"),
        (words.count(1, "record"), "1 record"),
        (words.count(0, "activity", "activities"), "0 activities"),
    ],
)
def test_values_in_words(word, expected):
    assert word == expected


def test_an_axis_is_round_and_holds_all_values():
    assert charts.axis([3, 61, None]).ticks == (0, 20, 40, 60, 80)
    assert charts.axis([-12, 4], at_least=(-10, 10)).ticks == (-15, -10, -5, 0, 5, 10)
    assert charts.axis([0.25]).ticks[0] < 0.25 < charts.axis([0.25]).ticks[-1]
    labels = charts.axis([-12, 4], at_least=(-10, 10)).labels(words.number)
    assert [tick.label for tick in labels if not tick.is_minor] == ["\u221210.0", "0.0", "10.0"]
    pace = charts.axis([4.8, 5.0], steps=charts.PACE_STEPS, is_turned=True)
    assert [words.pace(tick) for tick in pace.ticks] == ["4:45", "4:50", "4:55", "5:00"]
    assert (pace.y(4.75), pace.y(5.0)) == (0, 100)
    assert charts.axis([0, 10]).y(2.5) == 75


def test_a_line_is_broken_where_a_value_is_missing():
    along = charts.axis([0, 10])
    assert charts.line("x", [0, 10, None, 5], along).path == "M12.5 100h0L37.5 0M87.5 50h0"
    assert charts.area("x", [None, 10, 0, 5], along).path == "M25 100V0h25V100zM75 100V50h25V100z"


def test_bars_stand_on_each_other_and_small_ones_are_seen_beside_large_ones():
    along = charts.axis([0, 10])
    lower, upper = charts.stacks([[("run", 2, "r"), ("ride", 3, "s")], []], along)
    assert (lower.x, lower.width, lower.y, lower.height) == (5, 40, 80, 20)
    assert (upper.y, upper.height, upper.title) == (50, 30, "s")
    values = [0, 1, 1000]
    along = charts.log_axis(values)
    small, large = charts.log_bars([("good", value, "") for value in values], along)
    assert (large.y, large.height) == (0, 100)
    assert 5 < small.height < 15


def test_slots_are_labelled_in_the_middle_of_every_few():
    labels = [tick.label for tick in charts.slot_ticks([str(number) for number in range(30)])]
    assert labels == ["2", "7", "12", "17", "22", "27"]
    assert charts.slot_ticks(["only"]) == (charts.Tick(50, "only"),)
    (shade,) = charts.shades("failed", [False, True, False, False])
    assert (shade.x, shade.width, shade.y, shade.height) == (25, 25, 0, 100)


def test_months_are_labelled_as_there_is_room():
    ticks = charts.month_ticks(date(2025, 11, 20), date(2026, 2, 20))
    assert [tick.label for tick in ticks] == ["Dec", "Jan 2026", "Feb"]
    assert ticks[0].at == round(100 * 11 / 93, 2)
    years = charts.month_ticks(date(2020, 1, 1), date(2026, 1, 1))
    assert [tick.label for tick in years] == [f"Jan {year}" for year in range(2021, 2026)]


def told(capsys, *arguments):
    code = exit_code(paceline, ["report", *arguments])
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return code, error


@pytest.mark.parametrize("arguments", [[], ["--athlete", "7", "--pipeline"]])
def test_a_report_is_about_one_thing(capsys, arguments):
    code, error = told(capsys, *arguments)
    assert code == 2
    assert "either --athlete with an id, or --pipeline" in error


@pytest.mark.parametrize(
    ("name", "reason"),
    [(".", "it is a directory"), ("none/page.html", "its directory does not exist")],
)
def test_a_page_that_cannot_be_written_is_refused_before_a_session_starts(
    capsys, tmp_path, monkeypatch, name, reason
):
    monkeypatch.setattr("paceline.session.session", lambda root: pytest.fail("Spark is started"))
    code, error = told(capsys, "--pipeline", "-o", str(tmp_path / name))
    assert code == 2
    assert f"({reason}): name another file with --out" in error


def test_a_warehouse_without_a_run(capsys, tmp_path):
    page = tmp_path / "page.html"
    code, error = told(capsys, "--athlete", "7", "-o", str(page), "--warehouse", str(tmp_path))
    assert (code, page.exists()) == (2, False)
    assert "is empty" in error


def test_the_help_says_that_a_page_is_personal(capsys):
    assert exit_code(paceline, ["report", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "That page holds PERSONAL DATA, the id of the athlete among it" in text
