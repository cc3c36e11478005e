"""Messages of a real Debezium: silver is what the database was in the end, or says why not."""

import base64
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from paceline.recipe import CURRENT, DISPOSITION, QUARANTINED, REASONS, UNREADABLE
from paceline.tables.silver import strava_activities
from tests.spark.given import BRONZE, CONTRACTS, bronze_changes, context, frame, rows_of

SILVER = "silver.strava_activities"
FILES = Path(__file__).parents[1] / "fixtures" / "debezium"


def run(number, athlete=1001, **cells):
    """A row of the table `act` in the end, in all columns of silver."""
    start = datetime(2024, 6, 1, 6) + timedelta(days=number)
    return dict.fromkeys(CONTRACTS[SILVER].column_names) | {
        "athlete_id": athlete,
        "activity_id": 1000 + number,
        "name": f"run {number}",
        "sport_type": "Run",
        "sport_family": "run",
        "is_race": False,
        "start_date": start.replace(tzinfo=UTC),
        "start_date_local": start + timedelta(hours=2),
        "local_day": start.date(),
        "timezone": "(GMT+01:00) Europe/Berlin",
        "distance_m": 10000.25,
        "moving_time_s": 3000,
        "elapsed_time_s": 3100,
        "average_heartrate_bpm": 150.5,
        "is_commute": False,
        "source": "debezium",
        **cells,
    }


LAST = {
    1001: run(1, name="long name long name long name ", distance_m=11000.0),
    2002: run(2, activity_id=2002),
    1004: run(4, athlete=1002),
    **{1000 + number: run(number) for number in range(5, 11)},
}
CENTIMETRES = {
    "type": "bytes",
    "name": "org.apache.kafka.connect.data.Decimal",
    "parameters": {"scale": "2"},
    "field": "distance_m",
}
MICROSECONDS = {"type": "int64", "name": "io.debezium.time.MicroTimestamp", "field": "start_date"}


def messages(name):
    return [json.loads(line) for line in (FILES / name).read_text().splitlines()]


def judged(spark, lines, tables=("act",)):
    rows = bronze_changes({"cdc/a.jsonl": lines}, tables, ingest_date=date(2026, 11, 30))
    found = rows_of(strava_activities.TABLE, {BRONZE: frame(spark, BRONZE, rows)}, context())
    return found.collect()


def published(found):
    current = [r for r in found if r[DISPOSITION] == CURRENT]
    names = CONTRACTS[SILVER].column_names
    cells = {r["activity_id"]: {name: r[name] for name in names} for r in current}
    for row in cells.values():
        # Spark gives an instant in the zone of the machine.
        row["start_date"] = row["start_date"].astimezone(UTC)
    return cells


def refused(found):
    waiting = [r for r in found if r[DISPOSITION] in (QUARANTINED, UNREADABLE)]
    return {r["activity_id"]: r[REASONS] for r in waiting}


def with_after(message, **cells):
    has_row = message and message["after"]
    return {**message, "after": {**message["after"], **cells}} if has_row else message


def base64_of(distance):
    return base64.b64encode(round(distance * 100).to_bytes(3, "big")).decode()


def encoded(message):
    """As the options of the connector are by default: decimals in base64, and times as numbers."""
    if not message or not message["after"]:
        return message
    day = int(message["after"]["start_date"][8:10])
    # 2024-06-01T06:00:00Z and so many days.
    start_us = 1_717_221_600_000_000 + (day - 1) * 86_400_000_000
    distance = base64_of(message["after"]["distance_m"])
    return with_after(message, distance_m=distance, start_date=start_us)


def wrapped(message):
    after = {"field": "after", "type": "struct", "fields": [CENTIMETRES, MICROSECONDS]}
    return {"schema": {"type": "struct", "fields": [after]}, "payload": message}


def flattened(message):
    """As ExtractNewRecordState leaves it with add.fields and delete.tombstone.handling.mode."""
    if not message:
        return message
    row = message["after"] or message["before"]
    added = {f"__source_{name}": message["source"][name] for name in ("ts_ms", "lsn", "connector")}
    named = {"__op": message["op"], "__table": message["source"]["table"]}
    return row | added | named | {"__deleted": str(message["op"] == "d").lower()}


ENCODINGS = {
    "as texts": lambda message: message,
    "wrapped without a schema": lambda message: {"schema": None, "payload": message},
    "as numbers with a schema": lambda message: wrapped(encoded(message)),
    "flattened": flattened,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_silver_is_the_last_state_of_the_table(spark, encoding):
    told = [ENCODINGS[encoding](message) for message in messages("activities-like-silver.jsonl")]
    found = judged(spark, told)
    assert published(found) == LAST
    assert refused(found) == {}


def test_numbers_without_a_schema_are_refused_and_nothing_is_half_read(spark):
    told = [encoded(message) for message in messages("activities-like-silver.jsonl")]
    found = judged(spark, told)
    assert published(found) == {}
    assert refused(found) == {key: ["encoding_unknown"] for key in LAST}


def test_the_options_of_the_connector_by_default_are_refused_where_it_matters(spark):
    # Activity 100 has a distance in base64; the rows of 4, 5 and 6 lack all that silver needs.
    missing = ["start_date_present", "moving_time_positive", "elapsed_time_positive"]
    assert refused(judged(spark, messages("default.jsonl"), ["activities"])) == {
        100: ["encoding_unknown"],
        **dict.fromkeys((4, 5, 6), missing),
    }
    assert refused(judged(spark, messages("iso.jsonl"), ["activities"])) == {
        100: missing[1:],
        **dict.fromkeys((4, 5, 6), missing),
    }
    assert refused(judged(spark, messages("schema.jsonl"), ["activities"])) == dict.fromkeys(
        (5, 6), missing
    )


def test_transactions_are_ignored_and_a_truncated_table_is_told(spark):
    found = judged(spark, messages("strict-transactions.jsonl"), ["strict_rows"])
    missing = ["moving_time_positive", "elapsed_time_positive"]
    # The database has no row of them any more, but nobody has said so of each.
    assert refused(found) == {
        None: ["table_truncated"],
        **dict.fromkeys((2, 3, 4, 10, 11), missing),
    }
