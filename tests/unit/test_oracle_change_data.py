"""The oracle of the property tests, against values worked out by hand: change data."""

import base64
import json
from datetime import datetime

import pytest

from tests.oracle.change_data import position
from tests.oracle.encodings import decoded
from tests.oracle.worlds import (
    ACTIVITIES,
    PARTS,
    ROW_OF_RUN,
    RUN,
    SETTINGS,
    activity,
    api,
    delivery,
    refusals,
    settings,
    splits,
    world,
)

UNKNOWN = "__debezium_unavailable_value"
NOBODY = (None, None)
# Deliveries of these tests are taken in on 1 January 2025; this is the first moment of the 3rd.
TOO_LATE_MS = 1_735_862_400_000


def named(name, **fields):
    return {**ROW_OF_RUN, "name": name, **fields}


def envelope(op, image, at, *, before=None, ts_ms=None, connector="postgresql", **source):
    """A change of the table `activities`; `at` is when it was committed."""
    images = {"before": image} if op == "d" else {"before": before, "after": image}
    place = {"connector": connector, "name": "club", "ts_ms": at, "table": "activities", **source}
    return {"op": op, **images, "source": place, "ts_ms": at if ts_ms is None else ts_ms}


def cdc(*lines, path="a.jsonl"):
    return delivery(f"cdc/{path}", *lines)


def typed(row, **types):
    """A wrapped change whose schema says the types of some columns."""
    fields = [
        {"field": column, "name": name, "parameters": parameters}
        for column, (name, parameters) in types.items()
    ]
    schema = {"fields": [{"field": image, "fields": fields} for image in ("before", "after")]}
    return {"schema": schema, "payload": envelope("c", row, 10)}


def name_of(*lines):
    return activity(cdc(*lines))["name"]


def refused_as(*deliveries):
    """The reasons in the open quarantine of activities, by key."""
    found = refusals(*deliveries)
    assert all(table == ACTIVITIES for table, _, _ in found)
    return {key: rules for _, key, rules in found}


# Each pair is in the order of the log, and would be in the other one as text.
IN_ORDER = {
    "postgresql": [{"lsn": 98}, {"lsn": 105}],
    "mysql": [
        {"gtid": "g:1", "server_id": 3, "file": "bin.999999", "pos": 8, "row": 1},
        {"gtid": "g:2", "server_id": 3, "file": "bin.1000000", "pos": 7, "row": 0},
    ],
    "mariadb": [
        {"gtid": "0-3-1", "server_id": 3, "file": "bin.000041", "pos": 900, "row": 9},
        {"gtid": "0-3-1", "server_id": 3, "file": "bin.000041", "pos": 900, "row": 10},
    ],
    "sqlserver": [
        {"commit_lsn": "0000002A:0000FFFF:0003", "change_lsn": "0000002A:0000FFFE:0009"},
        {"commit_lsn": "0000002A:00010000:0001", "change_lsn": "0000002A:0000FFFE:0002"},
    ],
    "oracle": [
        {"commit_scn": "99800", "scn": "99790", "ssn": 2},
        {"commit_scn": "100200", "scn": "99780", "ssn": 1},
    ],
    "mongodb": [{"ord": 9}, {"ord": 10}],
}


@pytest.mark.parametrize("connector", IN_ORDER)
def test_changes_of_the_same_time_are_in_the_order_of_their_log(connector):
    first, second = IN_ORDER[connector]
    before = envelope("u", named("first"), 50, connector=connector, **first)
    after = envelope("u", named("second"), 50, connector=connector, **second)
    assert name_of(before, after) == name_of(after, before) == "second"
    deleted = envelope("d", {"activity_id": 1}, 50, connector=connector, **second)
    assert activity(cdc(deleted, before)) is None


def test_a_missing_number_comes_before_all_others():
    places = [
        {},
        {"commit_scn": None, "scn": "70"},
        {"commit_scn": "60", "scn": None},
        {"commit_scn": "60", "scn": "50"},
        {"commit_scn": "60", "scn": "50", "ssn": 0},
    ]
    found = [position({"connector": "oracle", **place}) for place in places]
    assert found[0] == ()
    assert found == sorted(found)
    serial = {"commit_lsn": "01:02:03", "change_lsn": "01:02:01"}
    serials = [{**serial, "event_serial_no": number} for number in (None, 1, 2, 10)]
    found = [position({"connector": "sqlserver", **place}) for place in serials]
    assert found == sorted(set(found))
    # The server and the row alone do not say where in the log.
    assert position({"connector": "mysql", "server_id": 3, "row": 0}) == ()
    assert position({"connector": "postgresql", "lsn": 0}) > ()


def test_created_deleted_and_created_in_one_millisecond():
    story = [
        envelope("c", named("first"), 50, lsn=7),
        envelope("d", {"activity_id": 1}, 50, lsn=8),
        envelope("c", named("again"), 50, lsn=9),
    ]
    assert name_of(*story) == name_of(*reversed(story)) == "again"
    assert activity(cdc(*story[:2])) is None
    assert activity(cdc(story[1], story[0])) is None


def test_without_a_position_path_and_line_decide():
    first, second = (envelope("u", named(name), 50) for name in ("first", "second"))
    assert name_of(first, second) == "second"
    assert name_of(second, first) == "first"
    assert activity(cdc(second, path="x.jsonl"), cdc(first, path="y.jsonl"))["name"] == "first"
    placed = envelope("u", named("placed"), 50, lsn=1)
    assert name_of(placed, first) == "placed"


def test_logs_of_the_same_time_are_ordered_by_connector_and_server():
    changes = [
        envelope("u", named("b"), 50, name="b", lsn=1),
        envelope("u", named("a"), 50, name="a", lsn=9),
        envelope("u", named("my"), 50, connector="mysql", name="z", file="x.9", pos=9),
    ]
    assert name_of(*changes) == "b"
    assert name_of(*changes[1:]) == "a"


def test_the_time_is_that_of_the_commit():
    late_commit = envelope("u", named("late"), 60, ts_ms=61)
    late_reading = envelope("u", named("early"), 50, ts_ms=99)
    assert name_of(late_commit, late_reading) == "late"
    for said in (0, None):
        without = envelope("u", named("without"), said, ts_ms=70)
        assert name_of(late_commit, without) == "without"
    for said in (-5, 10**15, "2024-06-01T06:00:00Z"):
        unread = envelope("u", named("unread"), said, ts_ms=70)
        assert name_of(late_commit, unread) == "late"
        assert refused_as(cdc(late_commit, unread)) == {(7, 1): ("encoding_unknown",)}


def test_the_time_of_the_image_and_of_the_file_come_last():
    timeless = {"op": "u", "after": named("image", updated_at="2024-07-01T00:00:00Z")}
    timed = delivery("cdc/x_2024-07-01T00-00-01.jsonl", {"op": "u", "after": named("file")})
    assert activity(timed, cdc(timeless, path="z.jsonl"))["name"] == "file"
    timeless["after"]["updated_at"] = "2024-07-01T00:00:02Z"
    assert activity(timed, cdc(timeless))["name"] == "image"


def test_a_default_in_the_image_of_a_delete_is_not_a_time():
    before = {"activity_id": 1, "updated_at": "1970-01-01T00:00:00Z"}
    deleted = delivery("cdc/a.jsonl", {"op": "d", "before": before}, at=40)
    assert activity(api(RUN, at=30), deleted) is None
    assert activity(api(RUN, at=50), deleted)


def test_a_redelivery_is_no_new_change():
    old, new = (
        envelope("u", named(name), None, ts_ms=at, lsn=at)
        for name, at in (("old", 20), ("new", 30))
    )
    again = {**old, "ts_ms": 90}
    assert activity(cdc(old, new), cdc(again, path="b.jsonl"))["name"] == "new"
    assert activity(cdc(again, path="a.jsonl"), cdc(old, new, path="b.jsonl"))["name"] == "new"
    # Without a position only the same images at the same time are the same change.
    for change in old, new, again:
        change["source"].pop("lsn", None)
    assert activity(cdc(old, new), cdc(again, path="b.jsonl"))["name"] == "old"


def test_a_redelivery_is_not_quarantined_either():
    bad = envelope("u", named("bad", moving_time_s=0), None, ts_ms=20, lsn=20)
    good = envelope("u", named("good"), None, ts_ms=30, lsn=30)
    assert not refusals(cdc(bad, good), cdc({**bad, "ts_ms": 90}, path="b.jsonl"))


def test_what_differs_makes_another_change():
    change = envelope("u", named("old"), None, ts_ms=20, lsn=20)
    newer = envelope("u", named("newer"), None, ts_ms=30, lsn=30)
    for other in ({"name": "farm"}, {"schema": "archive"}, {"lsn": 21}):
        later = {**change, "ts_ms": 90, "source": {**change["source"], **other}}
        assert name_of(change, newer, later) == "old"
    of_other_kind = {**change, "op": "r", "ts_ms": 90}
    assert name_of(change, newer, of_other_kind) == "old"


def binlog(op, image, at, pos, **source):
    source = {"server_id": 3, "file": "bin.000002", "row": 0, **source}
    return envelope(op, image, at, connector="mysql", pos=pos, **source)


def test_a_time_of_a_statement_is_not_before_what_the_log_has_said():
    quick = binlog("u", named("quick"), 9000, 100)
    slow = binlog("u", named("slow"), 5000, 200)
    assert name_of(quick, slow) == name_of(slow, quick) == "slow"
    assert name_of(quick, binlog("u", named("slow"), 5000, 200, gtid="g:5")) == "quick"
    # Neither another log, nor another activity, nor what comes later in the log counts.
    assert name_of(quick, binlog("u", named("slow"), 5000, 200, name="farm")) == "quick"
    assert name_of(binlog("u", named("quick"), 9000, 300), slow) == "quick"
    from_api = api({**RUN, "name": "api"}, at=8000)
    deleted = binlog("d", {"activity_id": 1}, 5000, 200)
    assert activity(from_api, cdc(quick, deleted)) is None
    other = binlog("u", named("other", activity_id=2), 9000, 100)
    assert (7, 1) in world(from_api, cdc(other, deleted)).tables[ACTIVITIES]


def test_a_refused_time_does_not_become_that_of_later_changes():
    ahead = binlog("u", named("ahead"), TOO_LATE_MS, 100)
    slow = binlog("u", named("slow"), 5000, 200)
    other = binlog("u", named("other"), 9000, 7, name="farm")
    assert name_of(ahead, slow, other) == "other"


def test_other_tables_are_ignored():
    laps = envelope("c", {"activity_id": 1, "lap": 2}, 20, table="laps")
    gone = envelope("d", {"id": 1}, 30, table="photos", lsn=4)
    emptied = {"op": "t", "source": {"table": "laps"}, "ts_ms": 30}
    unreadable = {"op": "c", "after": None, "source": {"table": "laps"}}
    of_mongodb = envelope("d", {"activity_id": 1}, 40, table=None, collection="shoes")
    kept = envelope("c", named("kept"), 10)
    found = world(cdc(kept, laps, gone, emptied, unreadable, of_mongodb))
    assert list(found.tables[ACTIVITIES]) == [(7, 1)]
    assert not found.refused


def test_the_tables_that_are_read():
    for table in ("activities", "strava_activities", "activity", None):
        assert name_of(envelope("c", named("x"), 10, table=table)) == "x"
    collection = cdc(envelope("c", named("x"), 10, table=None, collection="sessions"))
    assert activity(collection) is None
    assert activity(collection, cdc_tables=["sessions"])["name"] == "x"
    assert activity(cdc(envelope("c", named("x"), 10)), cdc_tables=["sessions"]) is None


CONTROL = [
    None,
    {"payload": None},
    {"schema": {"type": "struct"}, "payload": None},
    {"ts_ms": 5},
    {"ts_ms": 5, "ts_us": 5000, "ts_ns": 5000000},
    {"serverName": "club"},
    {"schema": None, "payload": {"ts_ms": 5}},
    {"status": "BEGIN", "id": "77:1", "event_count": None},
    {"status": "END", "id": "77:1", "event_count": 2, "data_collections": []},
    {"source": {"connector": "oracle"}, "ddl": "DROP TABLE shoes", "ts_ms": 5},
    {"source": {"table": "activities"}, "tableChanges": [{"type": "ALTER"}]},
    {"op": "m", "message": {"prefix": "x", "content": "eA=="}, "ts_ms": 5},
]


def test_control_messages_are_ignored():
    found = world(cdc(*map(json.dumps, CONTROL)))
    assert not found.tables[ACTIVITIES]
    assert not found.refused


def test_a_truncated_table_has_a_reason_and_its_rows_live_on():
    emptied = envelope("t", None, 90, lsn=9)
    found = world(cdc(envelope("c", named("x"), 10, lsn=1), emptied))
    assert list(found.tables[ACTIVITIES]) == [(7, 1)]
    assert found.refused == {(ACTIVITIES, NOBODY, ("table_truncated",))}


@pytest.mark.parametrize(
    "line",
    [
        {"op": "x", "after": ROW_OF_RUN},
        {"op": "u", "before": ROW_OF_RUN, "after": None},
        {"op": "c", "after": "text"},
        {"op": "d", "before": None},
        {"op": "d", "before": {"athlete_id": 7}},
        {"op": "d", "before": {"activity_id": 0, "id": 5}},
        {"bytes": "eA=="},
        {"unknown": 1},
        "NaN",
        7,
    ],
)
def test_what_is_no_change(line):
    found = refused_as(delivery("cdc/a.jsonl", line if isinstance(line, str) else json.dumps(line)))
    assert found == {NOBODY: ("unreadable",)}


def test_the_key_of_a_table_is_not_the_activity():
    row = {**named("flat"), "id": 900}
    found = world(cdc(envelope("c", row, 10)), api({**RUN, "splits_metric": splits((1, 1))}))
    assert list(found.tables[ACTIVITIES]) == [(7, 1)]
    # Nor does it make the row one of the API, whose absence of splits would mean something.
    assert list(found.tables[PARTS]) == [(7, 1, "split", 1)]
    emptied = envelope("u", {**row, "splits_metric": []}, 20)
    assert list(world(cdc(emptied), api({**RUN, "laps": [{}]})).tables[PARTS])
    assert activity(api(RUN, at=5), cdc(envelope("d", {"id": 900, "activity_id": 1}, 20))) is None
    assert activity(api(RUN, at=5), cdc(envelope("d", {"id": 1, "activity_id": 900}, 20)))


def test_zero_is_no_id():
    row = envelope("c", {**ROW_OF_RUN, "activity_id": 0, "athlete_id": 0, "id": 1}, 10)
    assert refused_as(cdc(row)) == {NOBODY: ("encoding_unknown",)}
    filled = {"activity_id": 1, "athlete_id": 0, "start_date": "1970-01-01T00:00:00Z", "name": ""}
    deleted = envelope("d", filled, 20)
    assert activity(api(RUN, at=5), cdc(deleted)) is None


def test_a_placeholder_is_what_the_log_has_said_before():
    story = [
        envelope("c", named("long text"), 10, lsn=1),
        envelope("u", named(None, distance_m=9000.0), 20, lsn=2),
        envelope("u", named(UNKNOWN, distance_m=9500.0), 30, lsn=3),
        envelope("u", named("later"), 40, lsn=4),
    ]
    row = activity(cdc(*story[:3]))
    assert (row["name"], row["distance_m"]) == ("long text", 9500.0)
    assert name_of(*reversed(story[:3])) == "long text"
    assert name_of(*story) == "later"
    coded = base64.b64encode(UNKNOWN.encode()).decode()
    for said in (coded, [UNKNOWN], [coded]):
        assert name_of(story[0], envelope("u", named(said), 30, lsn=3)) == "long text"


def test_a_placeholder_that_nothing_explains():
    lost = envelope("u", named(UNKNOWN), 30, lsn=3)
    unknown = {(7, 1): ("encoding_unknown",)}
    assert refused_as(cdc(lost)) == unknown
    for elsewhere in ({"name": "farm"}, {"connector": "mysql"}):
        assert refused_as(cdc(lost, envelope("c", named("x"), 10, lsn=1, **elsewhere))) == unknown
    of_other = envelope("c", named("x", activity_id=2), 10, lsn=1)
    assert refused_as(cdc(lost, of_other)) == unknown
    # The time comes before the position: what is lost is the earlier change, and resolved.
    later = envelope("c", named("x"), 31, lsn=1)
    assert name_of(lost, later) == "x"
    assert not refusals(cdc(lost, later))
    # It is refused, and what was valid before it stays.
    early = api({**RUN, "name": "api"}, at=5)
    assert activity(early, cdc(lost))["name"] == "api"
    assert not refusals(cdc(lost, envelope("d", {"activity_id": 1}, 40, lsn=4)))


def test_a_delete_makes_a_value_unknown():
    story = [
        envelope("c", named("first life"), 10, lsn=1),
        envelope("d", {"activity_id": 1}, 20, lsn=2),
        envelope("c", named(UNKNOWN), 30, lsn=3),
    ]
    found = world(cdc(*story))
    assert not found.tables[ACTIVITIES]
    assert found.refused == {(ACTIVITIES, (7, 1), ("encoding_unknown",))}


def test_the_image_before_explains_no_placeholder():
    # Of a row with the key only, what else stands in it is what its types have by default.
    change = envelope("u", named(UNKNOWN), 30, before=named(""), lsn=3)
    assert name_of(envelope("c", named("first"), 10, lsn=1), change) == "first"
    assert refused_as(cdc(change)) == {(7, 1): ("encoding_unknown",)}


def test_a_placeholder_matters_only_in_what_is_read():
    assert name_of(envelope("u", named("x", notes=UNKNOWN), 10)) == "x"
    image = {**RUN, "laps": [{"lap_index": 4}]}
    create = envelope("c", image, 10, lsn=1)
    update = envelope("u", {**image, "laps": UNKNOWN}, 20, lsn=2)
    assert list(world(cdc(create, update)).tables[PARTS]) == [(7, 1, "lap", 4)]
    assert refused_as(cdc(update)) == {(7, 1): ("encoding_unknown",)}


DECIMAL = "org.apache.kafka.connect.data.Decimal"
MICROSECONDS = "io.debezium.time.MicroTimestamp"
START_US = 1_717_221_600_000_000


@pytest.mark.parametrize(
    ("name", "parameters", "value", "expected"),
    [
        (DECIMAL, {"scale": "2"}, "EtaH", "12345.67"),
        (DECIMAL, {"scale": 0}, "EtaH", 1234567),
        (DECIMAL, {"scale": "-2"}, "BQ==", 500),
        (DECIMAL, {"scale": "1"}, "/w==", "-0.1"),
        (DECIMAL, {"scale": "2"}, 12.5, 12.5),
        ("io.debezium.data.VariableScaleDecimal", {}, {"scale": 1, "value": "BfM="}, "152.3"),
        ("io.debezium.time.Timestamp", {}, 1500, "1970-01-01T00:00:01.500000"),
        ("org.apache.kafka.connect.data.Timestamp", {}, 0, "1970-01-01T00:00:00"),
        (MICROSECONDS, {}, START_US, "2024-06-01T06:00:00"),
        ("io.debezium.time.NanoTimestamp", {}, START_US * 1000 + 999, "2024-06-01T06:00:00"),
        ("io.debezium.time.Date", {}, 19876, "2024-06-02"),
        ("org.apache.kafka.connect.data.Date", {}, -1, "1969-12-31"),
        ("io.debezium.time.IsoDate", {}, "2024-06-02Z", "2024-06-02"),
        ("io.debezium.time.ZonedTimestamp", {}, "2024-06-01T06:00:00Z", "2024-06-01T06:00:00Z"),
        ("io.debezium.time.MicroDuration", {}, 3_000_000_000, 3000),
        ("io.debezium.time.MicroDuration", {}, 1_500_000, "1.500000"),
        ("io.debezium.data.Json", {}, "{}", "{}"),
        (None, {}, "EtaH", "EtaH"),
    ],
)
def test_encodings(name, parameters, value, expected):
    assert decoded(value, (name, parameters)) == expected


FIT_FOR_NOTHING = [
    ("distance_m", DECIMAL, "not base64"),
    ("distance_m", DECIMAL, ""),
    ("distance_m", "io.debezium.data.VariableScaleDecimal", "EtaH"),
    ("start_date", MICROSECONDS, 9_223_372_036_825_200_000),
    ("start_date", MICROSECONDS, "2024-06-01T06:00:00"),
    ("start_date", "io.debezium.time.ZonedTimestamp", "infinity"),
    ("start_date_local", "io.debezium.time.Date", 10**9),
    ("moving_time_s", "io.debezium.time.MicroDuration", 2_999_500_000),
]


@pytest.mark.parametrize(("column", "name", "value"), FIT_FOR_NOTHING)
def test_a_value_that_does_not_fit_its_type(column, name, value):
    line = typed({**ROW_OF_RUN, column: value}, **{column: (name, {"scale": "0"})})
    assert refused_as(cdc(line)) == {(7, 1): ("encoding_unknown",)}


def test_a_row_with_a_schema():
    row = {
        **ROW_OF_RUN,
        "activity_id": "EtaH",
        "distance_m": "D0JA",
        "start_date": START_US,
        "start_date_local": START_US + 7_200_000_000,
        "moving_time_s": 3_000_000_000,
    }
    types = {
        "activity_id": (DECIMAL, {"scale": "0"}),
        "distance_m": (DECIMAL, {"scale": "2"}),
        "start_date": (MICROSECONDS, None),
        "start_date_local": (MICROSECONDS, {}),
        "moving_time_s": ("io.debezium.time.MicroDuration", {}),
    }
    found = activity(cdc(typed(row, **types)))
    # D0JA is 0x0f4240, which is 1,000,000.
    assert (found["activity_id"], found["distance_m"]) == (1234567, 10000.0)
    assert (found["start_date"], found["start_date_local"]) == (START_US, datetime(2024, 6, 1, 8))
    assert found["moving_time_s"] == 3000


def test_a_value_from_before_is_decoded_as_its_own_schema_says():
    create = typed({**ROW_OF_RUN, "distance_m": "D0JA"}, distance_m=(DECIMAL, {"scale": "2"}))
    update = envelope("u", {**ROW_OF_RUN, "distance_m": UNKNOWN}, 20)
    assert activity(cdc(create, update))["distance_m"] == 10000.0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("distance_m", "EtaH"),
        ("distance", {"scale": 1, "value": "BfM="}),
        ("elevation_gain_m", "NaN"),
        ("calories", "Infinity"),
        ("average_watts_w", True),
        ("kilojoules", [1]),
        ("average_cadence", ""),
        ("moving_time_s", 2999.5),
        ("workout_type", "race"),
        ("utc_offset", "+02:00"),
        ("start_date", START_US),
        ("start_date", "infinity"),
        ("start_date", "2024-06-01Z"),
        ("start_date_local", 1717221600),
        ("is_manual", "yes"),
        ("trainer", 2),
        ("is_race", "t"),
        ("distance_m", {"bytes": "EtaH"}),
    ],
)
def test_a_value_of_unknown_encoding(column, value):
    change = envelope("c", {**ROW_OF_RUN, column: value}, 10)
    assert refused_as(cdc(change)) == {(7, 1): ("encoding_unknown",)}


def test_values_that_need_no_schema():
    row = {**ROW_OF_RUN, "distance_m": "10000.25", "is_manual": 0, "is_trainer": "true"}
    row |= {"is_commute": 1.0, "is_race": 1, "moving_time_s": "3000.0", "calories": None}
    found = activity(cdc(envelope("c", row, 10)))
    assert (found["distance_m"], found["moving_time_s"]) == (10000.25, 3000)
    assert [found[f"is_{flag}"] for flag in ("manual", "trainer", "commute", "race")] == [
        *(False, True, True, True)
    ]


def test_unions_of_avro():
    row = {
        "activity_id": {"long": 1},
        "athlete_id": {"int": 7},
        "name": {"string": "avro"},
        "start_date": {"string": "2024-06-01T06:00:00Z"},
        "distance_m": {"io.debezium.data.VariableScaleDecimal": {"scale": 0, "value": "JxA="}},
        "moving_time_s": {"long": 3000},
        "elapsed_time_s": {"long": 3100},
        "is_manual": {"boolean": False},
        "calories": None,
    }
    change = envelope("c", {"club.public.activities.Value": row}, {"long": 10}, lsn={"long": 3})
    older = envelope("c", named("older"), 10, lsn=2)
    for line in change, {"club.public.activities.Envelope": change}, {"payload": change}:
        found = activity(cdc(line, older))
        # JxA= is 0x2710.
        assert (found["name"], found["distance_m"], found["is_manual"]) == ("avro", 10000.0, False)


def event(data, **attributes):
    said = {f"iodebezium{name}": value for name, value in attributes.items()}
    return {"specversion": "1.0", "id": "x", "source": "/debezium/postgresql/club", **said, **data}


def test_cloud_events():
    images = {"before": None, "after": named("event")}
    said = {"op": "c", "tsms": "20", "connector": "postgresql", "name": "club", "lsn": "12"}
    older = envelope("c", named("older"), 20, lsn=9)
    for data in images, {"schema": {}, "payload": images}:
        line = event({"data": data}, table="activities", **said)
        assert name_of(line, older) == "event"
        assert name_of({"schema": {}, "payload": line}, older) == "event"
        assert name_of(event({"data": data}, table="laps", **said), older) == "older"
    assert name_of(event({"data": envelope("c", named("whole"), 30)}), older) == "whole"
    assert not refusals(cdc(event({"data": {"ts_ms": 5}}, connector="postgresql")))
    for data in {"data_base64": "eA=="}, {"data": "eA=="}, {"data": [images]}, {}:
        assert refused_as(cdc(event(data, **said))) == {NOBODY: ("envelope_unknown",)}


def flattened(name, at, **fields):
    return {**named(name), "__op": "u", "__source_ts_ms": at, "__table": "activities", **fields}


def test_flattened_changes():
    first, second = flattened("first", 10, __lsn=5), flattened("second", 10, __source_lsn=40)
    assert name_of(first, second) == name_of(second, first) == "second"
    assert name_of(flattened("x", None, __ts_ms=30), flattened("y", 20)) == "x"
    by_delete_only = {**named("x"), "__deleted": "false", "__ts_ms": 30}
    assert name_of(by_delete_only) == "x"
    for mark in ({"__deleted": "true"}, {"__deleted": True}, {"__op": "d"}):
        assert activity(cdc(first, flattened("gone", 20, **mark))) is None
    of_laps = {**flattened("z", 20), "__table": None, "__source_table": "laps"}
    assert name_of(first, of_laps) == "first"
    assert name_of(first, flattened("z", 20, __table="laps")) == "first"


def test_a_flattened_change_has_types_too():
    schema = {"fields": [{"field": "distance_m", "name": DECIMAL, "parameters": {"scale": "2"}}]}
    row = flattened("x", 10, distance_m="D0JA")
    assert activity(cdc({"schema": schema, "payload": row}))["distance_m"] == 10000.0


def test_a_flattened_change_that_says_too_little():
    for line in RUN, ROW_OF_RUN, {**ROW_OF_RUN, "__op": "u"}, {**ROW_OF_RUN, "__ts_ms": 5}:
        assert refused_as(cdc(line)) == {NOBODY: ("flattened_change",)}
    assert refused_as(cdc({"name": "x"})) == {NOBODY: ("unreadable",)}
    assert refused_as(cdc({"activity_id": None})) == {NOBODY: ("unreadable",)}


def test_a_document_of_mongodb():
    document = {**named("mongo"), "activity_id": {"$numberLong": "1"}}
    document |= {"moving_time_s": {"$numberInt": "3000"}, "distance_m": {"$numberDecimal": "1e4"}}
    document["start_date"] = {"$date": 1_717_221_600_000}
    change = envelope(
        *("c", json.dumps(document), 10), connector="mongodb", table=None, collection="activity"
    )
    found = activity(cdc(change))
    assert (found["name"], found["moving_time_s"]) == ("mongo", 3000)
    assert (found["distance_m"], found["start_date"]) == (10000.0, START_US)
    before = json.dumps({"activity_id": {"$numberLong": "1"}})
    assert activity(cdc(change, envelope("d", before, 20, connector="mongodb"))) is None


def test_a_change_from_the_future_neither_wins_nor_closes():
    last = envelope("u", named("last"), TOO_LATE_MS - 1, lsn=1)
    ahead = envelope("u", named("ahead"), TOO_LATE_MS, lsn=2)
    found = world(cdc(last, ahead))
    assert [row["name"] for row in found.tables[ACTIVITIES].values()] == ["last"]
    assert found.refused == {(ACTIVITIES, (7, 1), ("change_time_ahead",))}
    deleted = envelope("d", {"activity_id": 1}, TOO_LATE_MS, lsn=2)
    found = world(cdc(last, deleted))
    assert [row["name"] for row in found.tables[ACTIVITIES].values()] == ["last"]
    assert found.refused == {(ACTIVITIES, (None, 1), ("change_time_ahead",))}
    # The reason stands alone.
    broken = envelope("u", named("x", moving_time_s="EtaH"), TOO_LATE_MS, lsn=2)
    assert refused_as(cdc(broken)) == {(7, 1): ("encoding_unknown",)}


def test_no_source_may_come_from_the_future():
    from_api = api({**RUN, "updated_at": "2025-01-03T00:00:00Z"})
    assert refused_as(from_api) == {(7, 1): ("change_time_ahead",)}
    assert activity(api({**RUN, "updated_at": "2025-01-02T23:59:59Z"}))
    named_so = delivery("strava_api/x_2099-01-01T00-00-00.jsonl", RUN)
    assert refused_as(named_so) == {(7, 1): ("change_time_ahead",)}
    ahead = settings(valid_from="2024-01-01", updated_at="2099-01-01T00:00:00Z")
    ((table, key, reasons),) = refusals(ahead)
    assert (table, str(key[1]), reasons) == (SETTINGS, "2024-01-01", ("change_time_ahead",))


def changes_as_text(*names):
    return [json.dumps(envelope("c", named(name, activity_id=at), at)) for at, name in names]


def test_lines_and_documents():
    first, second = changes_as_text((1, "first"), (2, "second"))
    for path, text in [
        ("a.jsonl", f"{first}\n{second}"),
        ("a.jsonl", f"[{first}, {second}]"),
        ("a.json", f"{first}\n\n{second}\r"),
        ("a.json", f"\ufeff{first}\nnull\n{second}"),
        ("a.json", f"[{first},\n{second}]"),
        ("a.json", f"[{first}]\n[{second}]"),
    ]:
        found = world(cdc(text, path=path))
        assert list(found.tables[ACTIVITIES]) == [(7, 1), (7, 2)], (path, text)
        assert not found.refused
    alone = json.dumps(json.loads(first), indent=1)
    assert list(world(cdc(alone, path="a.json")).tables[ACTIVITIES]) == [(7, 1)]


def test_a_broken_line_does_not_stop_the_others():
    first, second = changes_as_text((1, "first"), (2, "second"))
    found = world(cdc(f"{first}\n{second[:-9]}", path="a.json"))
    assert list(found.tables[ACTIVITIES]) == [(7, 1)]
    assert found.refused == {(ACTIVITIES, NOBODY, ("unreadable",))}
    # A document that breaks off is one unreadable record, whatever its lines look like.
    assert not world(cdc(f"[{first},\n{second}", path="a.json")).tables[ACTIVITIES]


def test_lines_of_the_api_in_a_file_called_json():
    lines = "\n".join(json.dumps({**RUN, "id": number}) for number in (3, 4))
    assert list(world(delivery("strava_api/part-1.json", lines)).tables[ACTIVITIES]) == [
        *((7, 3), (7, 4))
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [("4:00", 240.0), ("04:05", 245.0), (" 5:30 ", 330.0), ("250", 250.0), (260, 260.0)],
)
def test_a_pace_in_settings(said, expected):
    tables = world(settings(valid_from="2024-01-01", threshold_pace_s_per_km=said)).tables
    (row,) = tables[SETTINGS].values()
    assert row["threshold_pace_s_per_km"] == expected


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"threshold_pace_s_per_km": "4:60"}, "encoding_unknown"),
        ({"threshold_pace_s_per_km": "4 min"}, "encoding_unknown"),
        ({"threshold_pace_s_per_km": "99:00"}, "threshold_pace_range"),
        ({"hr_max_bpm": True}, "encoding_unknown"),
        ({"lthr_bpm": ""}, "encoding_unknown"),
        ({"sex": "W"}, "sex_known"),
        ({"sex": ""}, "sex_known"),
        ({"sex": 1}, "sex_known"),
    ],
)
def test_settings_that_cannot_be_read(fields, reason):
    found = world(settings(valid_from="2024-01-01", **fields))
    assert not found.tables[SETTINGS]
    assert [(table, reasons) for table, _, reasons in found.refused] == [(SETTINGS, (reason,))]


def test_the_sex_in_settings():
    for said, expected in [("F", "F"), ("female", "F"), ("Male", "M"), ("m", "M"), (None, None)]:
        tables = world(settings(valid_from="2024-01-01", sex=said)).tables
        assert [row["sex"] for row in tables[SETTINGS].values()] == [expected]
