"""The records of ops.quarantine: which are found, how they are counted, which may be deleted."""

from datetime import UTC, datetime, timedelta

import pytest

from paceline.errors import UsageError
from paceline.store import ledger, ops, quarantine
from paceline.store.quarantine import QUARANTINE, QUARANTINE_DDL, Group, Outcome, Wanted
from paceline.store.warehouse import Warehouse

ACTIVITIES, SETTINGS = "silver.strava_activities", "silver.athlete_settings"
# The machine dates to the microsecond, and redrive compares for equality.
DAYS = [datetime(2026, 3, day, 6, 0, 0, 123_456, tzinfo=UTC) for day in (1, 2, 3, 4)]
ODD = "it's \\ odd"


def row(table, digits, athlete_id, reasons, run_id, first, last=None, resolved_by=None):
    """A row of ops.quarantine; its instants are numbers of DAYS."""
    return (
        *(table, digits.ljust(64, "0"), f'{{"athlete_id":{athlete_id},"activity_id":11}}'),
        *("strava_api/a.jsonl", athlete_id, f'{{"of":"{digits}"}}', reasons),
        *({"x": "1", "y": None} if digits == "aa01" else None, run_id, "1.0.0"),
        *(DAYS[first], DAYS[first if last is None else last], resolved_by),
    )


ROWS = [
    row(ACTIVITIES, "aa01", 1, ["r1"], "run-1", 1),
    row(ACTIVITIES, "aa02", 2, ["r1", "r2"], "run-2", 3),
    row(SETTINGS, "bb03", 1, ["unreadable"], "run-2", 2),
    row(ACTIVITIES, "aa01", 1, ["r1"], "run-0", 0, 1, "run-1"),
    row(SETTINGS, "cc05", 3, [ODD], "run-0", 0, 3, "run-3"),
]


def filled(spark, root):
    """A warehouse whose quarantine holds ROWS."""
    warehouse = Warehouse(spark, root)
    warehouse.create_schemas()
    ops.create(warehouse)
    ledger.append_rows(warehouse, QUARANTINE, QUARANTINE_DDL, ROWS)
    return warehouse


@pytest.fixture(scope="module")
def root(spark, tmp_path_factory):
    return filled(spark, tmp_path_factory.mktemp("quarantine")).root


@pytest.fixture
def warehouse(spark, root):
    """The warehouse for reading; other tests may have made the session forget its names."""
    found = Warehouse(spark, root)
    found.create_schemas()
    ops.create(found)
    return found


def digits(records):
    return [record.reject_key.rstrip("0") for record in records]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ["aa02", "bb03", "aa01"]),
        (Wanted(table_name=ACTIVITIES), ["aa02", "aa01"]),
        (Wanted(reason="r2"), ["aa02"]),
        (Wanted(reason="r"), []),
        (Wanted(athlete_id=1), ["bb03", "aa01"]),
        (Wanted(athlete_id=11), []),
        (Wanted(run_id="run-2", athlete_id=2), ["aa02"]),
        (Wanted(run_id="x' OR '1'='1"), []),
        (Wanted(is_resolved=True), ["cc05", "aa01"]),
        (Wanted(run_id="run-0", is_resolved=True), ["cc05", "aa01"]),
        (Wanted(run_id="run-1", is_resolved=True), ["aa01"]),
        (Wanted(reason=ODD, is_resolved=True), ["cc05"]),
    ],
)
def test_records_are_those_asked_for_with_the_newest_first(warehouse, wanted, found):
    records, total = quarantine.records(warehouse, wanted, limit=10)
    assert digits(records) == found
    assert total == len(found)


def test_a_limit_does_not_change_how_many_there_are(warehouse):
    (record,), total = quarantine.records(warehouse, Wanted(), limit=1)
    assert record.reject_key == "aa02".ljust(64, "0")
    assert record.reasons == ("r1", "r2")
    assert record.first_seen == DAYS[3]
    assert total == 3


def test_a_list_never_reads_what_was_received(warehouse):
    records, _ = quarantine.records(warehouse, Wanted(), limit=10)
    assert [(record.payload, record.broken_values) for record in records] == [(None, {})] * 3


def test_a_record_counts_under_each_reason_and_once_in_all(warehouse):
    assert quarantine.groups(warehouse, Wanted()) == [
        Group(SETTINGS, "unreadable", 1, DAYS[2], DAYS[2]),
        Group(ACTIVITIES, "r1", 2, DAYS[1], DAYS[3]),
        Group(ACTIVITIES, "r2", 1, DAYS[3], DAYS[3]),
        Group(None, None, 3, DAYS[1], DAYS[3]),
    ]


def test_groups_of_nothing_are_a_count_of_nothing(warehouse):
    assert quarantine.groups(warehouse, Wanted(reason="none")) == [Group(None, None, 0, None, None)]


def test_a_record_is_found_by_its_first_digits_with_its_earlier_stays(warehouse):
    now, before = quarantine.find(warehouse, "AA01")
    assert (now.resolved_by, before.resolved_by) == (None, "run-1")
    assert (now.payload, now.broken_values) == ('{"of":"aa01"}', {"x": "1", "y": None})
    (other,) = quarantine.find(warehouse, "b", SETTINGS)
    assert (other.payload, other.broken_values) == ('{"of":"bb03"}', {})


@pytest.mark.parametrize(
    ("prefix", "table", "message"),
    [
        ("aa0", None, r"More than one reject key begins with aa0 \(aa0100000000 of"),
        ("aa0", SETTINGS, "No record of silver.athlete_settings has a reject key"),
        ("dd", None, "No record of any table has a reject key that begins with dd"),
    ],
)
def test_a_record_that_cannot_be_told_is_a_wrong_usage(warehouse, prefix, table, message):
    with pytest.raises(UsageError, match=message):
        quarantine.find(warehouse, prefix, table)


def test_open_records_are_counted_by_table(warehouse):
    assert quarantine.open_counts(warehouse) == {SETTINGS: 1, ACTIVITIES: 2}


def test_the_outcome_of_a_run_is_told_by_its_start(warehouse):
    assert quarantine.outcomes(warehouse, DAYS[3]) == {
        ACTIVITIES: Outcome(ACTIVITIES, released=0, remaining=1, added=1),
        SETTINGS: Outcome(SETTINGS, released=1, remaining=1, added=0),
    }
    later = quarantine.outcomes(warehouse, DAYS[3] + timedelta(microseconds=1))
    assert later[SETTINGS] == Outcome(SETTINGS, released=0, remaining=1, added=0)


def test_pruning_deletes_old_resolved_records_in_one_commit(spark, tmp_path):
    warehouse = filled(spark, tmp_path)
    version = warehouse.position(QUARANTINE).version
    assert quarantine.prunable(warehouse, DAYS[3]) == 1
    assert quarantine.prune(warehouse, DAYS[3]) == 1
    assert warehouse.position(QUARANTINE).version == version + 1
    left, _ = quarantine.records(warehouse, Wanted(is_resolved=True), limit=10)
    assert digits(left) == ["cc05"]
    assert quarantine.open_counts(warehouse) == {SETTINGS: 1, ACTIVITIES: 2}
    assert quarantine.prune(warehouse, DAYS[3]) == 0
    assert warehouse.position(QUARANTINE).version == version + 1
