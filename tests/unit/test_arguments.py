"""Arguments, settings, windows and horizons: what the edge makes of what a user writes."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from paceline import session
from paceline.errors import LockedError, UsageError
from paceline.pipeline import arguments
from paceline.recipe import Context, Table, Window
from paceline.settings import conf_directory, load_settings
from paceline.store import ledger

CONF = Path(__file__).parents[2] / "conf"
NOW = datetime(2026, 7, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-01", datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-01-01T06:30:00", datetime(2024, 1, 1, 6, 30, tzinfo=UTC)),
        ("2024-01-01T06:30:00Z", datetime(2024, 1, 1, 6, 30, tzinfo=UTC)),
        ("2024-01-01T06:30:00+02:00", datetime(2024, 1, 1, 4, 30, tzinfo=UTC)),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_instants_are_dates_or_timestamps_and_utc_without_a_zone(text, instant):
    assert arguments.parse_instant(text, "--start") == instant


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "01.02.2024", "0001-01-01"])
def test_an_unreadable_instant_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"--start is .*for example --start 2024-01-01"):
        arguments.parse_instant(text, "--start")


def test_no_start_is_a_catch_up():
    assert arguments.window(None, NOW) is None


def test_a_window_may_be_open():
    start = datetime(2024, 1, 1, tzinfo=UTC)
    assert arguments.window(start, None) == Window(start, None)


@pytest.mark.parametrize(
    "end", [datetime(2024, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)]
)
def test_a_window_without_an_instant_is_refused(end):
    with pytest.raises(UsageError, match="is not before --end"):
        arguments.window(datetime(2024, 1, 1, tzinfo=UTC), end)


@pytest.mark.parametrize(
    ("stored", "end", "explicit", "expected"),
    [
        # The run is on 2026-07-01, so the day before is the last that is over.
        (None, None, None, date(2026, 6, 30)),
        (None, datetime(2024, 2, 1, tzinfo=UTC), None, date(2024, 1, 31)),
        # A day that is only begun is not over.
        (None, datetime(2024, 2, 1, 12, tzinfo=UTC), None, date(2024, 1, 31)),
        # A lower end never shrinks it, a far one does not get past the clock.
        (date(2026, 6, 1), datetime(2024, 2, 1, tzinfo=UTC), None, date(2026, 6, 1)),
        (None, datetime(2030, 1, 1, tzinfo=UTC), None, date(2026, 6, 30)),
        # Only a stated one passes the clock, and it does not shrink either.
        (None, None, date(2027, 1, 1), date(2027, 1, 1)),
        (date(2026, 6, 1), None, date(2025, 1, 1), date(2026, 6, 1)),
    ],
)
def test_the_horizon_only_grows_and_stays_behind_the_clock(stored, end, explicit, expected):
    """The days are the asked ones; what a table was sealed with is its own."""
    daily = Table("gold.days", (), lambda *_: None, lambda *_: None, has_horizon=True)
    asked = Context({}, dict.fromkeys(["gold.days"]), dict.fromkeys(["gold.days"]))
    asked = replace(asked, horizon=arguments.horizon(end, explicit, NOW))
    found = asked.for_table(daily, stored)
    assert (found.horizon, found.horizon_before) == (expected, stored)
    other = asked.for_table(replace(daily, has_horizon=False), None)
    assert (other.horizon, other.horizon_before) == (None, None)


CDC_TABLES = "cdc_tables: [activities, strava_activities, activity]"


def settings_file(tmp_path, **changes):
    text = (CONF / "paceline.yml").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "paceline.yml").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_settings_of_the_project_are_valid():
    settings = load_settings(CONF)
    assert settings.default_threshold_pace_s_per_km == 270
    assert "warehouse" not in settings.for_recipes()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # As in the file of an older release.
        ("", ("activities", "strava_activities", "activity")),
        (CDC_TABLES, ("activities", "strava_activities", "activity")),
        ("cdc_tables: [rides]", ("rides",)),
        ("cdc_tables: []", ()),
    ],
)
def test_the_tables_of_change_data_may_be_left_to_the_default(tmp_path, line, expected):
    found = load_settings(settings_file(tmp_path, **{CDC_TABLES: line}))
    assert found.for_recipes()["cdc_tables"] == expected


NO_PERMISSION = "model_permission: null"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # As in the file of an older release.
        ("", None),
        (NO_PERMISSION, None),
        ("model_permission:", None),
        ("model_permission: generated data", "generated data"),
        ("model_permission: '§ 3 of 2026-03-01: yes'", "§ 3 of 2026-03-01: yes"),
    ],
)
def test_a_permission_is_a_text_and_changes_no_table(tmp_path, line, expected):
    found = load_settings(settings_file(tmp_path, **{NO_PERMISSION: line}))
    assert found.model_permission == expected
    assert found.for_recipes() == load_settings(CONF).for_recipes()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dormant_after_days: 365", "dormant_after_days: 30", "whole numbers from 90 on"),
        ("dormant_after_days: 365", "dormant_for_days: 365", "missing: dormant_after_days"),
        ("default_threshold_pace_s_per_km: 270", "default_threshold_pace_s_per_km: 27", "100 to"),
        ("athlete_timezone: UTC", "athlete_timezone: Mars/Base", "unknown zone 'Mars/Base'"),
        ("athlete_timezone: UTC", "athlete_timezone:", "unknown zone None"),
        ("athlete_timezone: UTC", "athlete_timezone: {bob: UTC}", "names the athlete 'bob'"),
        ("landing: landing", "landing: [", "paceline.yml:"),
        (CDC_TABLES, "cdc_tables: activities", "must be a list of names of tables"),
        (CDC_TABLES, "cdc_tables: [7]", "must be a list of names of tables"),
        (CDC_TABLES, "cdc_tables: ['']", "must be a list of names of tables"),
        (NO_PERMISSION, "model_permission: true", "model_permission is True; it must be null, or"),
        (NO_PERMISSION, "model_permission: ' '", "model_permission is ' '; it must be null, or"),
        (NO_PERMISSION, "model_permission: [a]", "a text that says by what right"),
    ],
)
def test_a_mistake_in_the_settings_is_told_with_what_is_allowed(tmp_path, old, new, message):
    with pytest.raises(UsageError, match=message):
        load_settings(settings_file(tmp_path, **{old: new}))


def test_a_directory_without_settings_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"has no paceline\.yml"):
        conf_directory(str(tmp_path))


def test_a_second_run_is_told_who_holds_the_warehouse(tmp_path):
    with (
        session.lock(tmp_path),
        pytest.raises(LockedError, match=r"in use by process \d+ since 20"),
        session.lock(tmp_path),
    ):
        pass


def test_a_lock_is_free_again_when_its_run_has_ended(tmp_path):
    for _ in range(2):
        with session.lock(tmp_path):
            pass


def test_java_is_asked_for_before_spark_is_started(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"Java 17 or 21 is missing .*apt-get install.*brew"):
        session._check_java()


def test_run_ids_sort_by_time_and_never_repeat():
    earlier, later = (ledger.new_run_id(NOW), ledger.new_run_id(NOW.replace(hour=7)))
    assert earlier < later
    assert ledger.new_run_id(NOW) != earlier


class Managed:
    """A session that is not ours: whatever is done with it is a mistake."""


class Builder:
    """Makes a session of the platform, as it is: a setting would be an error."""

    def getOrCreate(self):
        return Managed()


def test_an_active_session_is_taken_as_it_is(monkeypatch, tmp_path):
    theirs = Managed()
    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: theirs)
    monkeypatch.setattr("pyspark.sql.SparkSession.builder", None)
    assert session.session(tmp_path) is theirs


@pytest.mark.parametrize("variable", ["DATABRICKS_RUNTIME_VERSION", "SPARK_REMOTE"])
def test_a_platform_makes_its_session_without_java_jars_and_settings(
    monkeypatch, tmp_path, variable
):
    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: None)
    monkeypatch.setattr("pyspark.sql.SparkSession.builder", Builder())
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    monkeypatch.setenv(variable, "17.3")
    assert isinstance(session.session(None), Managed)
