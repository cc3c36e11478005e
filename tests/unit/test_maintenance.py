"""What maintenance decides: what is compacted, what is kept for whom, and what it says."""

from datetime import UTC, datetime, timedelta

import pytest

from paceline.cli.main import exit_code, paceline
from paceline.cli.maintenance import told
from paceline.operations.maintenance import (
    Size,
    Upkeep,
    is_scattered,
    needed_hours,
    removable,
    stated_hours,
)

NOW = datetime(2026, 7, 10, 6, tzinfo=UTC)
# Seven runs, one a day; the last two have two attempts and one.
DAYS = [f"202607{day:02}T060000-aaaaaaaa" for day in range(1, 8)]
MARKS = [f"{run}-1" for run in DAYS] + [f"{DAYS[5]}-2"]
LATER = datetime(2026, 8, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        (["WRITE", "OPTIMIZE"], True),
        (["MERGE"], True),
        (["OPTIMIZE", "MERGE"], False),
        (["VACUUM END", "VACUUM START", "SET TBLPROPERTIES", "OPTIMIZE", "WRITE"], False),
        (["CHANGE COLUMNS", "VACUUM END", "DELETE", "OPTIMIZE"], True),
        # The last OPTIMIZE lies further back than anybody has looked.
        (["VACUUM END", "VACUUM START"], True),
    ],
)
def test_only_what_has_been_written_since_is_compacted(operations, expected):
    assert is_scattered(operations) is expected


def test_staged_rows_of_the_last_five_runs_are_kept():
    assert removable(MARKS, DAYS[-1], LATER) == MARKS[:2]


def test_staged_rows_are_kept_from_the_last_good_run_on():
    assert removable(MARKS, DAYS[1], LATER) == MARKS[:1]
    assert removable(MARKS, None, LATER) == []


def test_young_staged_rows_are_kept():
    day_two = datetime(2026, 7, 2, 6, tzinfo=UTC)
    assert removable(MARKS, DAYS[-1], day_two) == MARKS[:1]
    assert removable(MARKS, DAYS[-1], day_two - timedelta(days=1)) == []


def test_all_attempts_of_an_old_run_go():
    marks = [f"20250101T060000-bbbbbbbb-{attempt}" for attempt in (1, 2)]
    assert removable([*MARKS, *marks], DAYS[-1], LATER) == [*marks, *MARKS[:2]]


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        (None, 168),
        ("interval 264 hours", 264),
        ("interval 1 hour", 1),
        ("INTERVAL '30' DAYS", 720),
        ("interval 1 week", 168),
        ("for ever", 168),
    ],
)
def test_the_retention_that_a_table_states(text, hours):
    assert stated_hours(text) == hours


@pytest.mark.parametrize(
    ("age", "hours"),
    [
        (timedelta(minutes=1), 48),
        (timedelta(days=6), 168),
        (timedelta(days=6, seconds=1), 192),
        (timedelta(days=29), 720),
    ],
)
def test_files_are_kept_a_day_longer_than_the_oldest_change_is_old(age, hours):
    assert needed_hours(NOW - age, NOW) == hours


@pytest.mark.parametrize("hours", ["0", "24", "167", "721"])
def test_an_unsafe_retention_is_refused(capsys, hours):
    arguments = ["maintenance", "--retention-hours", hours, "--warehouse", "nowhere"]
    assert exit_code(paceline, arguments) == 2
    error = capsys.readouterr().err
    assert f"--retention-hours is {hours}; allowed are 168 (a run that takes long" in error
    assert "to 720 (as long as Delta keeps its log)" in error


def test_an_empty_warehouse_has_nothing_to_maintain(capsys, tmp_path):
    assert exit_code(paceline, ["maintenance", "--warehouse", str(tmp_path)]) == 2
    assert f"The warehouse {tmp_path} is empty: run" in capsys.readouterr().err


def test_what_is_told():
    quiet = Upkeep("silver.shoes", Size(2, 1_500_000), Size(2, 1_500_000))
    assert told(quiet).split(maxsplit=1) == ["silver.shoes", "2 files, 1.5 MB"]
    busy = Upkeep(
        "silver.shoes",
        *(Size(1200, 2_000_000_000), Size(60, 1_900_000_000)),
        *((5000, 5000), 0, 1140, None),
    )
    assert told(busy).split(maxsplit=1)[1] == (
        "60 files, 1,900.0 MB (before: 1,200, 2,000.0 MB); 5,000 rows as before; "
        "1,140 unneeded files removed"
    )
    overtaken = Upkeep("silver.shoes", Size(1, 0), Size(1, 0), (5, 6))
    assert "6 rows, 5 before: a run has published meanwhile" in told(overtaken)
    waiting = Upkeep("silver.shoes", Size(1, 0), Size(1, 0), None, 3, 0, "gold.shoes")
    assert told(waiting).endswith(
        "staged rows of 3 old attempts removed; not vacuumed, because gold.shoes has to read it "
        "first: run the jobs"
    )
