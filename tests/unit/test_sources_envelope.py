"""What a message says, whichever way it is wrapped."""

import json

import pytest

from paceline.sources.encodings import PLACEHOLDER
from paceline.sources.envelope import Message, read

SOURCE = {"connector": "postgresql", "name": "fit", "table": "activities", "ts_ms": 5, "lsn": 7}
CHANGE = {"op": "u", "before": {"id": 1}, "after": {"id": 1, "x": 2}, "source": SOURCE, "ts_ms": 9}
READ = Message("u", {"id": 1}, {"id": 1, "x": 2}, SOURCE, 9)
CONTROL = Message(is_control=True)
MICROS = "io.debezium.time.MicroTimestamp"


def wrapped(payload: object, schema: object = None) -> dict[str, object]:
    return {"schema": schema, "payload": payload}


def event(data: object, **attributes: object) -> dict[str, object]:
    said = {f"iodebezium{name}": value for name, value in attributes.items()}
    return {"specversion": "1.0", "id": "x", "type": "y", "data": data, **said}


def flat(**fields: object) -> Message | None:
    return read({"id": 1, "x": 2, **fields})


@pytest.mark.parametrize(
    "value",
    [
        CHANGE,
        wrapped(CHANGE),
        wrapped(CHANGE, {"type": "struct", "fields": []}),
        wrapped(wrapped(CHANGE)),
        {"payload": CHANGE},
        {"fit.public.activities.Envelope": CHANGE},
        wrapped({"fit.Envelope": CHANGE}),
        event(CHANGE),
        event(wrapped(CHANGE)),
        wrapped(event(CHANGE)),
        event({"fit.Envelope": CHANGE}, op="d", tsms="1", table="shoes"),
    ],
)
def test_a_change_is_the_same_in_every_wrapping(value: object):
    found = read(value)
    assert (found.op, found.before, found.after, found.ts_ms) == ("u", READ.before, READ.after, 9)
    assert SOURCE.items() <= found.source.items()
    assert not any((found.is_control, found.is_flat, found.is_wrapped))


@pytest.mark.parametrize(
    "value", [None, wrapped(None), wrapped(wrapped(None)), {"null": None}, {"payload": None}]
)
def test_nothing_is_a_tombstone(value: object):
    assert read(value) is None


@pytest.mark.parametrize("value", [7, "null", [CHANGE], True, wrapped("x"), wrapped([])])
def test_what_is_no_message_says_nothing(value: object):
    assert read(value) == Message()


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ({"long": 1}, 1),
        ({"null": None}, None),
        ({"string": "a"}, "a"),
        ({"array": [{"double": 1.5}]}, [1.5]),
        ({"map": {"a": {"int": 1}}}, {"a": 1}),
        ({"fit.Athlete": {"id": {"long": 5}}}, {"id": 5}),
        ({"string": PLACEHOLDER}, PLACEHOLDER),
        # The name of a record is as good as a schema.
        ({MICROS: 1_000_000}, "1970-01-01T00:00:01Z"),
        # Scale 2: 0x03E8 is 1000.
        (
            {"io.debezium.data.VariableScaleDecimal": {"scale": 2, "value": {"bytes": "\x03\xe8"}}},
            "10",
        ),
        # Bytes are text of an alphabet that nobody has told.
        ({"bytes": "AQ=="}, {"bytes": "AQ=="}),
        # Two keys, or a name that is no type, are a value like any other.
        ({"long": 1, "int": 2}, {"long": 1, "int": 2}),
        ({"id": {"long": 1}}, {"id": 1}),
        ({"integer": 1}, {"integer": 1}),
        ({"1.2": 1}, {"1.2": 1}),
    ],
)
def test_unions_of_avro_are_unwrapped(printed: object, expected: object):
    values = {"before": None, "after": {"fit.activities.Value": {"id": {"long": 1}, "x": printed}}}
    found = read({"op": {"string": "c"}, **values, "ts_ms": {"long": 9}})
    assert found == Message("c", None, {"id": 1, "x": expected}, ts_ms=9)


def test_unions_of_the_source_are_unwrapped():
    source = {"connector": "postgresql", "lsn": {"long": 7}, "table": {"string": "activities"}}
    found = read({"op": "c", "after": {"id": 1}, "source": {"io.debezium.Source": source}})
    assert (found.source["lsn"], found.table) == (7, "activities")


@pytest.mark.parametrize(
    ("field", "printed", "expected"),
    [
        ({"name": MICROS}, 1_000_000, "1970-01-01T00:00:01Z"),
        ({"name": MICROS}, None, None),
        ({"name": MICROS}, "?", {"unreadable": "?"}),
        ({"name": "io.debezium.data.Json"}, "[1]", "[1]"),
        ({"type": "double"}, 1.5, 1.5),
        # Avro's bytes are latin-1 where their type is known.
        (
            {"name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "1"}},
            {"bytes": "\xff"},
            "-0.1",
        ),
    ],
)
def test_the_schema_says_how_to_read_a_value(field: object, printed: object, expected: object):
    row = {"type": "struct", "fields": [{"field": "id"}, {"field": "x", **field}]}
    image = {"id": 1, "x": printed}
    schema = {"fields": [{"field": "before"}, {"field": "after", **row}]}
    found = read(wrapped({"op": "c", "after": image, "before": image}, schema))
    assert (found.after, found.before) == ({"id": 1, "x": expected}, image)
    # Of a flattened row the schema is that of the row.
    found = read(wrapped({**image, "__op": "c", "__ts_ms": 1}, row))
    assert found.after == {"id": 1, "x": expected}


@pytest.mark.parametrize(
    "schema", [7, [], {"fields": 7}, {"fields": {"a": 1}}, {"fields": [7, {"field": []}, {}]}]
)
def test_a_schema_of_another_shape_says_nothing(schema: object):
    assert read(wrapped(CHANGE, schema)) == READ
    assert read(wrapped(CHANGE, {"fields": [{"field": "after", **{"fields": schema}}]})) == READ


@pytest.mark.parametrize(
    ("attributes", "source"),
    [
        (
            {"op": "u", "tsms": "5", "table": "activities", "lsn": "7", "connector": "postgresql"},
            {"ts_ms": "5", "table": "activities", "lsn": "7", "connector": "postgresql"},
        ),
        ({"op": "u", "name": "fit", "serverid": 1}, {"name": "fit", "server_id": 1}),
        (
            {"op": "u", "commitlsn": "a", "changelsn": "b", "eventserialno": 1, "commitscn": "2"},
            {"commit_lsn": "a", "change_lsn": "b", "event_serial_no": 1, "commit_scn": "2"},
        ),
        ({"op": "u", "scn": "2", "rsid": "0x1.2.3"}, {"scn": "2", "rs_id": "0x1.2.3"}),
    ],
)
def test_a_cloud_event_says_in_attributes_what_its_data_does_not(
    attributes: dict[str, object], source: dict[str, object]
):
    found = read(event({"before": None, "after": {"id": 1}}, **attributes))
    assert (found.op, found.after) == ("u", {"id": 1})
    assert source.items() <= found.source.items()


def test_the_data_of_a_cloud_event_come_first():
    found = read(event(CHANGE, op="d", tsms="1", lsn="2", name="x"))
    assert (found.op, found.source["ts_ms"], found.source["lsn"]) == ("u", 5, 7)


@pytest.mark.parametrize(
    "value",
    [
        event("AAAA"),
        event([CHANGE]),
        event(None),
        event(None, op="d"),
        event({"id": 1}),
        event({"id": 1}, op="u"),
        event({"before": None, "after": {"id": 1}}),
        {"specversion": "1.0", "data_base64": "AAAA"},
    ],
)
def test_a_cloud_event_of_anything_else_is_wrapped(value: object):
    assert read(value).is_wrapped


@pytest.mark.parametrize(
    ("marks", "op", "source", "ts_ms"),
    [
        ({"__op": "c", "__ts_ms": 9}, "c", {}, 9),
        ({"__op": "r", "__source_ts_ms": 5}, "r", {"ts_ms": 5}, None),
        ({"__op": "u", "__source_ts_ms": 5, "__ts_ms": 9}, "u", {"ts_ms": 5}, 9),
        ({"__op": "u", "__deleted": "false", "__ts_ms": 9}, "u", {}, 9),
        ({"__deleted": "false", "__ts_ms": 9}, "u", {}, 9),
        ({"__deleted": False, "__op": "c", "__ts_ms": 9}, "c", {}, 9),
        (
            {"__op": "c", "__ts_ms": 9, "__lsn": 7, "__table": "a", "__name": "fit"},
            "c",
            {"lsn": 7, "table": "a", "name": "fit"},
            9,
        ),
        (
            {"__op": "c", "__ts_ms": 9, "__source_lsn": 7, "__source_table": "a"},
            "c",
            {"lsn": 7, "table": "a"},
            9,
        ),
        ({"__op": {"string": "c"}, "__ts_ms": {"long": 9}, "__lsn": {"long": 7}}, "c", {}, 9),
    ],
)
def test_a_flattened_change_has_its_envelope_in_its_row(
    marks: dict[str, object], op: str, source: dict[str, object], ts_ms: int | None
):
    found = flat(**marks)
    assert (found.op, found.ts_ms) == (op, ts_ms)
    assert (found.before, found.after) == (None, {"id": 1, "x": 2})
    assert source.items() <= found.source.items()
    assert ("ts_ms" in found.source) is ("ts_ms" in source)
    assert not found.is_flat


@pytest.mark.parametrize("deleted", [True, "true", "True", {"boolean": True}])
def test_a_flattened_delete_has_its_row_before(deleted: object):
    found = flat(__deleted=deleted, __ts_ms=9, __op="c")
    assert (found.op, found.before, found.after) == ("d", {"id": 1, "x": 2}, None)
    assert flat(__op="d", __ts_ms=9).before == {"id": 1, "x": 2}


@pytest.mark.parametrize(
    "marks",
    [
        {},
        {"__op": "c"},
        {"__deleted": "false"},
        {"__ts_ms": 9},
        {"__source_ts_ms": 5, "__table": "activities"},
        {"__op": 7, "__ts_ms": 9},
        {"__op": "c", "__ts_ms": None, "__source_ts_ms": None},
    ],
)
def test_a_row_that_does_not_say_what_happened_and_when_is_only_a_row(marks: dict[str, object]):
    found = flat(**marks)
    assert (found.is_flat, found.after, found.op) == (True, {"id": 1, "x": 2}, None)
    assert found.table == marks.get("__table")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"_id":{"$oid":"a1"},"id":{"$numberLong":"1"}}', {"_id": "a1", "id": "1"}),
        ('{"id":{"$numberInt":"1"},"x":{"$numberDouble":"1.5"}}', {"id": "1", "x": "1.5"}),
        ('{"x":{"$numberDecimal":"1.50"}}', {"x": "1.50"}),
        # Six o'clock on 2024-06-01, strict, canonical and relaxed.
        ('{"x":{"$date":1717221600000}}', {"x": "2024-06-01T06:00:00Z"}),
        ('{"x":{"$date":{"$numberLong":"1717221600000"}}}', {"x": "2024-06-01T06:00:00Z"}),
        ('{"x":{"$date":"2024-06-01T06:00:00Z"}}', {"x": "2024-06-01T06:00:00Z"}),
        ('{"x":{"$date":{"$numberLong":"-1000"}}}', {"x": "1969-12-31T23:59:59Z"}),
        ('{"x":{"$date":[]}}', {"x": {"unreadable": []}}),
        ('{"x":[{"d":{"$numberLong":"1"}}]}', {"x": [{"d": "1"}]}),
        ('{"x":{"$numberLong":"1","y":2}}', {"x": {"$numberLong": "1", "y": 2}}),
        ('{"id":1,"x":1.50}', {"id": 1, "x": "1.50"}),
        ("[]", None),
        ("{", None),
        ("7", None),
        ('{"a":' * 100_000, None),
    ],
)
def test_mongodb_prints_rows_as_texts(text: str, expected: dict[str, object] | None):
    found = read({"op": "c", "after": text, "source": {"collection": "activities"}})
    assert (found.after, found.table) == (expected, "activities")
    assert read({"op": "c", "after": {"string": text}}).after == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"ID": 1, "ATHLETE_ID": 5, "_X": 1}, {"id": 1, "athlete_id": 5, "_x": 1}),
        # Only names: what is in a value is the value's.
        ({"ID": 1, "LAPS": [{"A": "B"}]}, {"id": 1, "laps": [{"A": "B"}]}),
        ({"ID": 1, "Name": 2}, {"ID": 1, "Name": 2}),
        ({}, {}),
    ],
)
def test_names_in_capitals_are_those_of_oracle(row: object, expected: object):
    assert read({"op": "c", "after": row}).after == expected
    assert read({"op": "d", "before": json.dumps(row)}).before == expected


@pytest.mark.parametrize(
    "value",
    [
        {"ts_ms": 1},
        {"ts_ms": 1, "ts_us": 2, "ts_ns": 3, "serverName": "fit"},
        {"ts_ms": {"long": 1}},
        {"serverName": "fit"},
        {"id": "x", "aggregate_type": "Initial Snapshot", "type": "STARTED", "timestamp": "1"},
        wrapped({"ts_ms": 1}),
        {"status": "BEGIN", "id": "571:1", "event_count": None, "ts_ms": 1},
        {"status": "END", "id": "571:1", "data_collections": []},
        {"status": "END", "id": {"string": "571:1"}},
        {"source": {}, "ddl": "CREATE TABLE x", "tableChanges": []},
        {"ts_ms": 1, "source": {}, "tableChanges": []},
        event({"ts_ms": 1}),
        event({"status": "END", "id": "1"}, op="u"),
    ],
)
def test_messages_about_no_row(value: object):
    assert read(value) == CONTROL


def test_a_message_of_an_application_is_about_no_row():
    assert read({"op": "m", "message": {"prefix": "x"}}).is_control
    assert read(event({"before": None, "after": None}, op="m")).is_control
    assert flat(__op="m", __ts_ms=1).is_control


@pytest.mark.parametrize(
    "value",
    [
        {"ts_ms": 1, "id": 1},
        {"status": "BEGIN", "id": 1},
        {"status": "BEGIN", "id": "x", "name": "a row"},
        {"aggregate_type": "x", "name": "a row"},
        {"status": "begun", "id": "1"},
        {"op": "c", "after": {"id": 1}, "ddl": "x"},
        {},
    ],
)
def test_what_only_looks_like_a_message_about_no_row(value: object):
    assert not read(value).is_control


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"table": "a", "collection": "b"}, "a"),
        ({"table": None, "collection": "b"}, "b"),
        ({"table": ""}, None),
        ({"collection": ""}, None),
        ({"table": 7, "collection": "b"}, "b"),
        ({"table": 7}, None),
        ({"table": ["a"]}, None),
        ([], None),
        ("a", None),
    ],
)
def test_the_table_of_a_message(source: object, expected: str | None):
    assert read({"op": "c", "source": source}).table == expected
