import gzip
import io
import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paceline.sources import encodings
from paceline.sources.debezium import image, records
from paceline.sources.encodings import PLACEHOLDER
from paceline.sources.gunzip import Gunzip
from paceline.sources.limits import Limits
from paceline.sources.record import IGNORED, Ignored, Record

TABLES = ("activities", "Rides")
PATH = "cdc/activities.jsonl"
# 2024-06-01T06:00:00Z.
SIX_MS = 1_717_221_600_000
SIX_US = 1_717_221_600_000_000


def read(content: str | bytes, path: str = PATH) -> list[Record | Ignored]:
    raw = content.encode() if isinstance(content, str) else content
    return list(records(io.BytesIO(raw), path, TABLES))


def change(fields: str, path: str = PATH) -> Record:
    """Read one envelope, given as what stands between its braces."""
    (found,) = read(f"{{{fields}}}", path)
    assert isinstance(found, Record)
    return found


def told(line_number: int, payload: str, **known: object) -> Record:
    """The record of a change of which no log is known and, unless it is given, no time."""
    return Record(line_number, payload, **{"change_log": "", **known})


def as_told(content: str | bytes, path: str = PATH) -> list[Record | Ignored]:
    """What is read, without the digest that test_sources_changelog is about."""
    found = read(content, path)
    return [replace(one, change_id=None) if isinstance(one, Record) else one for one in found]


def created(image: str, path: str = PATH) -> Record:
    return change(f'"op":"c","after":{image}', path)


def deleted(image: str, path: str = PATH) -> Record:
    return change(f'"op":"d","before":{image}', path)


@pytest.mark.parametrize("op", ["c", "u", "r"])
@pytest.mark.parametrize("before", ["null", '{"id":98,"athlete":{"id":97}}'])
def test_create_update_and_read_speak_of_the_row_after(op: str, before: str):
    line = (
        f'{{ "op": "{op}", "before": {before}, "after": {{"id": 16195001131, "distance": 1.50,'
        f' "athlete": {{"id": 5}}}}, "ts_ms": {SIX_MS}, "source": {{"lsn": 24023128, "db": "x"}} }}'
    )
    assert as_told(line) == [
        told(
            line_number=1,
            payload=line,
            op=op,
            athlete_id=5,
            activity_id=16195001131,
            change_time_us=SIX_US,
            lsn=24023128,
            change_position="00000000000024023128",
        )
    ]


@pytest.mark.parametrize("after", ['"after":null,', "", '"after":{"id":98,"athlete":{"id":97}},'])
def test_a_delete_speaks_of_the_row_before(after: str):
    line = (
        f'{{"op":"d",{after}"before":{{"activity_id":11,"athlete_id":5,"distance_m":5000.0}},'
        f'"ts_ms":{SIX_MS},"source":{{"connector":"postgresql","name":"fit"}}}}'
    )
    assert as_told(line) == [
        told(
            *(1, line),
            op="d",
            athlete_id=5,
            activity_id=11,
            change_time_us=SIX_US,
            change_log="postgresql/fit",
        )
    ]


def test_a_wrapped_envelope_says_the_same_and_is_kept_with_its_wrapper():
    envelope = f'{{"op":"u","after":{{"activity_id":11,"athlete_id":5}},"ts_ms":{SIX_MS}}}'
    wrapped = f'{{"schema":{{"type":"struct","fields":[]}},"payload":{envelope}}}'
    no_schema = f'{{"payload":{envelope},"schema":null}}'
    # What happened is the same change, however it is wrapped.
    assert len({one.change_id for one in read(f"{envelope}\n{wrapped}\n{no_schema}")}) == 1
    assert as_told(f"{envelope}\n{wrapped}\n{no_schema}") == [
        told(number, line, op="u", athlete_id=5, activity_id=11, change_time_us=SIX_US)
        for number, line in enumerate((envelope, wrapped, no_schema), start=1)
    ]


def test_tombstones_are_ignored_and_leave_the_numbers_of_the_lines():
    delete = '{"op":"d","before":{"id":1}}'
    lines = [delete, "null", "", " null\t\r", '{"schema":null,"payload":null}', delete]
    assert read("\n".join(lines)) == [
        told(1, delete, op="d", activity_id=1),
        IGNORED,
        IGNORED,
        IGNORED,
        told(6, delete, op="d", activity_id=1),
    ]


def test_a_file_may_hold_nothing_but_tombstones():
    assert read("null\nnull\n") == [IGNORED, IGNORED]
    assert read("\n \n") == []


def test_duplicates_are_kept():
    line = '{"op":"d","before":{"id":1}}'
    assert read(f"{line}\n{line}\n") == [
        told(1, line, op="d", activity_id=1),
        told(2, line, op="d", activity_id=1),
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"table":"activities"}', None),
        # A table is the same however it is written, in the message and in the settings.
        ('{"table":"ACTIVITIES"}', None),
        ('{"table":"rides"}', None),
        ('{"table":null,"collection":"activities"}', None),
        ('{"table":"","db":"x"}', None),
        ('{"table":7}', None),
        ("{}", None),
        ('{"table":"shoes"}', "shoes"),
        ('{"collection":"Shoes"}', "Shoes"),
        ('{"table":"public.activities"}', "public.activities"),
    ],
)
@pytest.mark.parametrize(
    "fields",
    [
        '"op":"c","after":{"id":1}',
        # Which table it is comes before any judgement of what is said about it.
        '"op":"t"',
        '"op":"u","after":null',
        '"op":"?"',
    ],
)
def test_only_the_named_tables_are_read(fields: str, source: str, expected: str | None):
    (found,) = read(f'{{{fields},"source":{source}}}')
    assert found == Ignored(expected) if expected else isinstance(found, Record)


def test_a_truncation_says_when_and_where_but_of_no_activity():
    line = (
        f'{{"op":"t","ts_ms":9,"source":{{"ts_ms":{SIX_MS},"lsn":7,"connector":"postgresql",'
        '"name":"fit","table":"activities"}}'
    )
    assert as_told(line) == [
        Record(
            *(1, line),
            change_time_us=SIX_US,
            change_log="postgresql/fit",
            change_position="00000000000000000007",
        )
    ]
    (found,) = read(line)
    assert found.change_id
    assert image(line) == '{"_refusal": "table_truncated"}'


@pytest.mark.parametrize(
    ("image", "athlete_id", "activity_id"),
    [
        ('{"id":11,"athlete":{"id":5}}', 5, 11),
        ('{"activity_id":11,"athlete_id":5}', 5, 11),
        ('{"id":11,"athlete_id":5}', 5, 11),
        ('{"activity_id":11,"athlete":{"id":5}}', 5, 11),
        # A row that knows activities by another name has a key of its own.
        ('{"id":11,"activity_id":12,"athlete":{"id":5},"athlete_id":6}', 5, 12),
        ('{"id":11,"activity_id":null,"athlete":{"id":null},"athlete_id":6}', 6, None),
        ('{"id":11,"activity_id":0,"athlete":{"id":0},"athlete_id":6}', None, None),
        ('{"activity_id":12,"athlete":null,"athlete_id":6}', 6, 12),
        ('{"activity_id":12,"athlete":7,"athlete_id":6}', 6, 12),
        ('{"activity_id":12,"athlete":"Ann","athlete_id":6}', 6, 12),
        ('{"activity_id":12,"athlete":"{\\"id\\": 5}","athlete_id":6}', 5, 12),
        ('{"activity_id":12,"athlete":7}', None, 12),
        ('{"id":"0011","athlete":{"id":"5"}}', 5, 11),
        ('{"activity_id":"11","athlete_id":"5"}', 5, 11),
        # 2**53 + 1 has no float of its own, and 2**63 has no place in a table.
        ('{"id":9007199254740993,"athlete":{"id":9007199254740993}}',) + (9007199254740993,) * 2,
        ('{"id":9223372036854775807,"athlete":{"id":5}}', 5, 9223372036854775807),
        ('{"id":9223372036854775808,"athlete":{"id":9223372036854775808}}', None, None),
        ('{"activity_id":"9223372036854775808","athlete_id":5}', 5, None),
        ('{"id":0,"athlete":{"id":-1}}', None, None),
        ('{"id":11.0,"athlete":{"id":5.0}}', None, None),
        ('{"activity_id":1.1e1,"athlete_id":"5.0"}', None, None),
        ('{"id":true,"athlete":{"id":[5]}}', None, None),
        # One that is there but unreadable is not replaced.
        ('{"id":12,"activity_id":11.0,"athlete":{"id":"x"},"athlete_id":6}', None, None),
        ('{"x":1}', None, None),
    ],
)
def test_the_ids_of_an_image(image: str, athlete_id: int | None, activity_id: int | None):
    found = created(image)
    assert (found.op, found.athlete_id, found.activity_id) == ("c", athlete_id, activity_id)


@pytest.mark.parametrize("image", ['{"id":11}', '{"activity_id":11}', '{"activity_id":"11"}'])
def test_a_delete_may_have_only_the_key(image: str):
    found = deleted(image)
    assert found == told(1, found.payload, op="d", activity_id=11)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ('{"id":11}', 3),
        ('{"id":11,"athlete_id":null}', 3),
        # What a log has no value of is 0.
        ('{"id":11,"athlete_id":0}', 3),
        ('{"id":11,"athlete_id":5}', 5),
        ('{"id":11,"athlete_id":5.0}', None),
    ],
)
def test_a_delete_without_athlete_has_that_of_the_folder(image: str, expected: int | None):
    assert deleted(image, "cdc/athlete_id=3/a.jsonl").athlete_id == expected


def test_a_row_without_athlete_does_not_take_that_of_the_folder():
    assert created('{"id":11}', "cdc/athlete_id=3/a.jsonl").athlete_id is None


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (f'"ts_ms":{SIX_MS}', SIX_US),
        (f'"ts_ms":"{SIX_MS}"', SIX_US),
        (f'"ts_ms":{SIX_MS}.0', SIX_US),
        ('"ts_ms":1.7172216e12', SIX_US),
        ('"ts_ms":0', 0),
        ('"ts_ms":253402300799999', 253_402_300_799_999_000),
        # When it was committed, and not when it was processed.
        (f'"ts_ms":{SIX_MS},"source":{{"ts_ms":1}}', 1000),
        ('"source":{"ts_ms":1}', 1000),
        ('"ts_ms":null,"source":{"ts_ms":"1"}', 1000),
        ('"ts_ms":1,"source":{"ts_ms":0}', 1000),
        ('"ts_ms":1,"source":{"ts_ms":null}', 1000),
        ('"source":{"ts_ms":253402300800000.0},"ts_ms":1.0', 1000),
        ('"source":{"ts_ms":-1},"ts_ms":1', 1000),
        ('"source":{"ts_ms":1.5},"ts_ms":1', 1000),
        ('"source":{"ts_ms":"1.0"},"ts_ms":1', 1000),
        ('"source":{"ts_ms":true},"ts_ms":1', 1000),
        ('"source":{"ts_ms":NaN},"ts_ms":1', 1000),
        ('"source":{"ts_ms":1e400},"ts_ms":1', 1000),
        ('"source":{"ts_ms":[1]},"ts_ms":1', 1000),
        (f'"source":{{"ts_ms":"{"9" * 5000}"}},"ts_ms":1', 1000),
        ('"ts_ms":"2024-06-01T06:00:00Z"', None),
        ('"ts_ms":9223372036854775807', None),
        ('"source":{"ts_ms":null}', None),
        ('"source":[1]', None),
        ('"source":null', None),
    ],
)
def test_the_change_time_is_in_milliseconds(times: str, expected: int | None):
    assert change(f'"op":"u","after":{{"id":1}},{times}').change_time_us == expected


@pytest.mark.parametrize(
    ("times", "updated_at", "expected"),
    [
        ('"ts_ms":1', '"2024-06-01T06:00:00Z"', 1000),
        ('"source":{"ts_ms":1}', '"2024-06-01T06:00:00Z"', 1000),
        ('"ts_ms":-1,"source":{"ts_ms":-1}', '"2024-06-01T06:00:00Z"', SIX_US),
        ('"source":{}', '"2024-06-01T08:00:00.25+02:00"', SIX_US + 250_000),
        ('"source":{}', '"9999-12-31T23:59:59.999999"', 253_402_300_799_999_999),
        ('"source":{}', '"9999-12-31T23:59:59-01:00"', None),
        ('"source":{}', '"1969-12-31T23:59:59Z"', None),
        ('"source":{}', str(SIX_MS), None),
    ],
)
def test_the_change_time_may_be_that_of_the_image(
    times: str, updated_at: str, expected: int | None
):
    image = f'{{"id":1,"updated_at":{updated_at}}}'
    assert change(f'"op":"u","after":{image},{times}').change_time_us == expected
    assert change(f'"op":"d","before":{image},{times}').change_time_us == expected


def test_1970_in_the_image_of_a_delete_is_no_time_but_what_a_log_has_no_value_of():
    image = '{"id":1,"updated_at":"1970-01-01T00:00:00Z"}'
    assert (created(image).change_time_us, deleted(image).change_time_us) == (0, None)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"lsn":24023128}', 24023128),
        ('{"lsn":"24023128"}', 24023128),
        ('{"lsn":0}', 0),
        ('{"lsn":9007199254740993}', 9007199254740993),
        ('{"lsn":9223372036854775807}', 9223372036854775807),
        ('{"lsn":9223372036854775808}', None),
        ('{"lsn":"9223372036854775808"}', None),
        ('{"lsn":-1}', None),
        ('{"lsn":"0/16E8F58"}', None),
        ('{"lsn":1.0}', None),
        ('{"lsn":false}', None),
        ('{"lsn":null}', None),
        ("{}", None),
        ('"lsn"', None),
    ],
)
def test_the_number_of_a_position_in_a_log_of_postgresql(source: str, expected: int | None):
    found = change(f'"op":"c","after":{{"id":1}},"source":{source}')
    assert (found.lsn, type(found.lsn)) == (expected, type(expected))


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "nul",
        "null null",
        "7",
        '"null"',
        "{}",
        '{"op":"c","after":{"id":1}}{"op":"c","after":{"id":1}}',
        # An operation that is none of those there are.
        '{"op":"C","after":{"id":1}}',
        '{"op":"","after":{"id":1}}',
        '{"op":null,"after":{"id":1}}',
        '{"op":["c"],"after":{"id":1}}',
        '{"after":{"id":1,"athlete":{"id":5}}}',
        # No image of the row, or one in the wrong place.
        '{"op":"c","ts_ms":1}',
        '{"op":"c","after":{}}',
        '{"op":"u","before":{"id":1},"after":null}',
        '{"op":"r","after":[{"id":1}]}',
        '{"op":"c","after":"{\\"id\\":1"}',
        '{"op":"c","after":"[{}]"}',
        '{"op":"d","before":null,"after":{"id":1}}',
        '{"op":"d","before":[1]}',
        # Nothing that could be deleted.
        '{"op":"d","before":{}}',
        '{"op":"d","before":{"athlete":{"id":5}},"ts_ms":1}',
        '{"op":"d","before":{"id":1,"activity_id":0}}',
        '{"op":"d","before":{"id":1,"activity_id":"0"}}',
        '{"op":"d","before":{"id":1,"activity_id":0.0}}',
        # Wrappers around something else.
        '{"schema":null,"payload":"x"}',
        '{"schema":null,"payload":{}}',
        '{"schema":null,"payload":[{"op":"c","after":{"id":1}}]}',
        '{"schema":null,"payload":{"op":"c","after":{"id":1}},"op":"d","before":{}}',
        '{"schema":null,"payload":{"op":"c","after":{"id":1}},"version":1}',
        '{"schema":null}',
    ],
)
def test_what_is_no_change_is_unreadable_and_kept_verbatim(line: str):
    sound = '{"op":"c","after":{"id":1}}'
    assert read(f"{sound}\n{line}\n{sound}\n", "cdc/athlete_id=3/a.jsonl") == [
        told(1, sound, op="c", activity_id=1),
        told(2, line),
        told(3, sound, op="c", activity_id=1),
    ]
    assert image(line) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id":1,"athlete":{"id":5}}', "flattened_change"),
        ('{"activity_id":1,"__op":"u"}', "flattened_change"),
        ('{"specversion":"1.0","data":"AAAA"}', "envelope_unknown"),
    ],
)
def test_what_is_a_change_but_does_not_say_which_has_its_own_reason(line: str, reason: str):
    assert read(line) == [told(1, line)]
    assert json.loads(image(line)) == {"_refusal": reason}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('"op":"c","after":{"id":1,"distance":1.50,"n":NaN}', {"distance": "1.50", "n": "NaN"}),
        ('"op":"u","before":{"id":1,"name":"a"},"after":{"id":1,"name":null}', {"name": None}),
        ('"op":"r","after":{"id":1,"name":"\\ud800"}', {"name": "\ud800"}),
        # The key of the table is not that of the activity.
        ('"op":"c","after":{"id":9,"activity_id":1}', {"activity_id": 1}),
        # What a row has been before may be a default of its type.
        ('"op":"u","before":{"name":""},"after":{"id":1,"name":"?"}', {"name": PLACEHOLDER}),
        ('"op":"u","after":{"id":1,"laps":["?"]}', {"laps": PLACEHOLDER}),
        ('"op":"u","after":{"id":1,"laps":"?"}', {"laps": PLACEHOLDER}),
        # Arrays are arrays, perhaps as texts.
        ('"op":"c","after":{"id":1,"laps":"[{}]"}', {"laps": [{}]}),
        ('"op":"c","after":{"id":1,"laps":"\\n [1.50] "}', {"laps": ["1.50"]}),
        ('"op":"c","after":{"id":1,"laps":"null"}', {"laps": None}),
        ('"op":"c","after":{"id":1,"laps":"{}"}', {"laps": "{}", "_refusal": "encoding_unknown"}),
        ('"op":"c","after":{"id":1,"laps":7}', {"laps": 7, "_refusal": "encoding_unknown"}),
        ('"op":"c","after":{"id":1},"source":{"connector":"mysql"}', {"_has_statement_time": True}),
        # What a row says does not pass for what the reader says.
        ('"op":"c","after":{"id":1,"_refusal":"x","_has_statement_time":1}', {}),
    ],
)
def test_the_image_that_a_change_leaves(fields: str, expected: dict[str, object]):
    found = image(f"{{{fields}}}".replace('"?"', f'"{PLACEHOLDER}"'))
    assert json.loads(found) == {"id": 1, **expected}


UNREAD_KEYS = [
    *('{"id":"DDUA"}', '{"id":{"scale":0,"value":"DDUA"}}', '{"activity_id":{"bytes":"x"}}'),
    *('{"activity_id":1.5}', '{"id":1.0}', '{"id":"1.0"}', '{"id":true}', '{"id":[1]}'),
    *('{"id":-1}', '{"id":9223372036854775808}', '{"id":1,"activity_id":"x"}'),
]


@pytest.mark.parametrize("row", UNREAD_KEYS)
@pytest.mark.parametrize("op", ["c", "u", "r", "d"])
def test_an_id_that_is_there_and_cannot_be_read_is_not_absent(op: str, row: str):
    line = f'{{"op":"{op}","{"before" if op == "d" else "after"}":{row}}}'
    (found,) = read(line)
    assert (found.op, found.activity_id) == (op, None)
    assert json.loads(image(line))["_refusal"] == "encoding_unknown"


def test_an_athlete_that_cannot_be_read_refuses_a_row_but_no_delete():
    for athlete in ('"athlete_id":"DDUA"', '"athlete":{"id":"x"},"athlete_id":6', '"athlete_id":0'):
        line = f'{{"op":"c","after":{{"id":1,{athlete}}}}}'
        assert created(f'{{"id":1,{athlete}}}').athlete_id is None
        assert json.loads(image(line))["_refusal"] == "encoding_unknown"
    line = '{"op":"d","before":{"id":1,"athlete_id":"DDUA"}}'
    assert (deleted('{"id":1,"athlete_id":"DDUA"}').activity_id, image(line)) == (1, "{}")


@pytest.mark.parametrize(
    ("times", "is_refused"),
    [
        ('"ts_ms":1', False),
        ('"ts_ms":1,"source":{"ts_ms":0}', False),
        ('"ts_ms":"x","source":{"ts_ms":1}', False),
        ('"ts_ms":1.7172216e12', False),
        ('"ts_ms":1,"source":{"ts_ms":"2024-06-01T06:00:00Z"}', True),
        ('"ts_ms":1,"source":{"ts_ms":-1}', True),
        ('"ts_ms":1,"source":{"ts_ms":1.5}', True),
        ('"ts_ms":1,"source":{"ts_ms":253402300800000}', True),
        ('"ts_ms":"x","source":{"ts_ms":0}', True),
        ('"ts_ms":[1]', True),
    ],
)
@pytest.mark.parametrize("op", ["u", "d"])
def test_a_time_that_is_there_and_cannot_be_read_is_not_absent(
    op: str, times: str, is_refused: bool
):
    row = '"before":{"id":1}' if op == "d" else '"after":{"id":1}'
    left = json.loads(image(f'{{"op":"{op}",{row},{times}}}'))
    assert left.get("_refusal") == ("encoding_unknown" if is_refused else None)


def test_the_time_of_the_image_is_needed_where_there_is_no_other():
    row = '"op":"u","after":{"id":1,"updated_at":1717221600}'
    assert json.loads(image(f"{{{row}}}"))["_refusal"] == "encoding_unknown"
    assert "_refusal" not in json.loads(image(f'{{{row},"ts_ms":1}}'))


def test_a_text_is_no_object_and_no_array():
    for value in ('{"bytes":"x"}', "[1]", '{"a":1}'):
        left = json.loads(image(f'{{"op":"c","after":{{"id":1,"name":{value}}}}}'))
        assert left["_refusal"] == "encoding_unknown"


def test_a_delete_leaves_nothing():
    assert image('{"op":"d","before":{"id":1,"laps":7}}') == "{}"
    assert image("null") is None


def test_deep_nesting_is_unreadable_whatever_the_limits_are():
    for depth in (100, 400, 500, 900, 100_000):
        nested = "[" * depth + "]" * depth
        for after in (f'{{"id":1,"x":{nested}}}', json.dumps(f'{{"id":1,"x":{nested}}}')):
            line = f'{{"op":"c","after":{after}}}'
            limits = Limits(max_json_depth=1_000_000)
            (found,) = records(io.BytesIO(line.encode()), PATH, TABLES, limits)
            assert found.payload == line
            assert image(line) is None or json.loads(image(line))["id"] == 1


def test_bytes_that_are_not_utf8_are_unreadable_and_kept_as_base64():
    # base64 of {"op":"c","after":{"id":1,"name":"<E4>"}}, from coreutils.
    payload = "eyJvcCI6ImMiLCJhZnRlciI6eyJpZCI6MSwibmFtZSI6IuQifX0="
    assert read(b'{"op":"c","after":{"id":1,"name":"\xe4"}}') == [told(1, payload, is_base64=True)]


def test_the_text_of_a_line_is_kept_to_its_last_space():
    line = '  {"op":"c", "after":{"id":1,"name":"ä\\u00e4"}} \t'
    assert read(f"\ufeff{line}\r\n") == [told(1, line, op="c", activity_id=1)]


def test_a_file_may_be_a_document_or_hold_a_page_a_line():
    one, two = '{"op":"c","after":{"id":1}}', '{"op":"d","before":{"id":2}}'
    changes = [told(1, one, op="c", activity_id=1), told(2, two, op="d", activity_id=2)]
    for text in (f"[\n{one},\n{two}\n]", f"{one}\n{two}\n", f"[{one},{two}]"):
        assert read(text, "cdc/a.json") == changes
    assert read(f"[{one},{two},null]\n") == [*changes, IGNORED]


def test_changes_before_a_truncation_are_kept_and_one_record_names_the_fault():
    lines = [f'{{"op":"c","after":{{"id":{n},"name":"{n**9}"}}}}' for n in range(1, 2001)]
    stored = gzip.compress("\n".join(lines).encode())
    stream = Gunzip(io.BytesIO(stored[: len(stored) // 2]))
    *kept, fault = records(stream, "cdc/a.jsonl.gz", TABLES)
    assert len(kept) > 500
    assert kept == [
        told(n, line, op="c", activity_id=n) for n, line in enumerate(lines[: len(kept)], start=1)
    ]
    assert fault == told(len(kept) + 1, "truncated gzip stream")


@pytest.mark.parametrize(
    ("content", "limits"),
    [
        (
            gzip.compress(b'[\n{"op":"m"},\n{"op":"c","after":{"id":1}}]' * 90, mtime=0)[:60],
            Limits(),
        ),
        (b'[\n{"op":"m"},\n{"op":"m"}]', Limits(max_lines=1)),
        (b'[\n{"op":"m"},\n{"op":"m"}]', Limits(max_document_bytes=15)),
        (b"\xff", Limits()),
    ],
)
def test_every_record_says_that_it_is_of_a_log(content: bytes, limits: Limits):
    is_compressed = content.startswith(b"\x1f\x8b")
    stream = Gunzip(io.BytesIO(content)) if is_compressed else io.BytesIO(content)
    *_, fault = records(stream, "cdc/a.json.gz" if is_compressed else "cdc/a.json", TABLES, limits)
    assert isinstance(fault, Record)
    assert (fault.activity_id, fault.change_log) == (None, "")


KEYS = st.sampled_from(
    [
        *("op", "before", "after", "ts_ms", "source", "lsn", "schema", "payload", "ID"),
        *("id", "activity_id", "athlete", "athlete_id", "updated_at", "laps", "_refusal"),
        *("connector", "table", "collection", "file", "pos", "ord", "scn", "commit_lsn", "gtid"),
        *("fields", "field", "name", "parameters", "scale", "value", "distance", "bytes", "long"),
        *("fit.Value", "io.debezium.data.VariableScaleDecimal", "$date", "$numberLong", "array"),
        *("__op", "__deleted", "__ts_ms", "__source_ts_ms", "__table", "status", "ddl"),
        *("specversion", "data", "iodebeziumop", "iodebeziumtsms", "serverName"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=5)
    | st.sampled_from(["c", "u", "r", "d", "t", "17", "2024-06-01T06:00:00Z", "9" * 5000])
    | st.sampled_from(["mysql", "sqlserver", "activities", "BEGIN", PLACEHOLDER, "00:1:f", "AQ=="])
    | st.sampled_from(['{"id":{"$numberLong":"1"}}', "[{}]", "[", "true", *encodings._READERS])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
IMAGES = st.dictionaries(KEYS, LEAVES | VALUES, max_size=5)
ENVELOPES = st.fixed_dictionaries(
    {"op": st.sampled_from("curdtm")},
    optional={
        "before": IMAGES | VALUES,
        "after": IMAGES | VALUES,
        "ts_ms": VALUES,
        "source": IMAGES | VALUES,
    },
)
FLAT = st.dictionaries(KEYS | st.sampled_from(["__op", "__ts_ms", "id"]), LEAVES | VALUES)
EVENTS = st.fixed_dictionaries({"specversion": VALUES, "data": ENVELOPES | VALUES, "x": VALUES})
SCHEMAS = st.builds(
    lambda types: {
        "fields": [
            {"field": "after", "fields": [{"field": n, "name": t} for n, t in types.items()]},
        ]
    },
    st.dictionaries(KEYS, st.sampled_from([*encodings._READERS, 7])),
)
WRAPPED = st.fixed_dictionaries({"schema": SCHEMAS | VALUES, "payload": ENVELOPES | FLAT | VALUES})
MESSAGES = ENVELOPES | WRAPPED | FLAT | EVENTS | VALUES.filter(lambda value: value != [])
BIGINT = range(-(2**63), 2**63)


def assert_is_whole(found: Record) -> None:
    """Fits into bronze, and leaves an image that is JSON."""
    assert found.op in {"c", "u", "r", "d"}
    numbers = (found.athlete_id, found.activity_id, found.change_time_us, found.lsn)
    assert all(number is None or number in BIGINT for number in numbers)
    for text in (found.change_log, found.change_position, found.change_id):
        assert (text or "").encode("utf-8") is not None
    left = image(found.payload)
    told = None if left is None else json.loads(left.encode())
    assert told is None or isinstance(told, dict)
    # A delete that is not refused deletes an activity.
    assert found.op != "d" or found.activity_id is not None or "_refusal" in told


@given(st.lists(MESSAGES, max_size=5))
def test_any_json_gives_one_outcome_a_line_that_fits_into_bronze(values: list[object]):
    # A page is as many messages as it has elements.
    messages = [one for value in values for one in (value if isinstance(value, list) else [value])]
    found = read("\n".join(map(json.dumps, values)), "cdc/athlete_id=3/a.jsonl")
    for message, record in zip(messages, found, strict=True):
        image(json.dumps(message))
        if isinstance(record, Record):
            assert record.payload == json.dumps(message)
            assert_is_whole(record)
    numbers = [record.line_number for record in found if isinstance(record, Record)]
    assert numbers == sorted(set(numbers))


@given(st.binary() | st.text().map(str.encode))
@example(b"\xef\xbb\xbfnull")
@example(b'{"op":"c","after":' * 10_000)
def test_any_bytes_are_read_without_an_error(content: bytes):
    for path in (PATH, "cdc/a.json"):
        for found in read(content, path):
            assert isinstance(found, Ignored) or assert_is_whole(found) is None


def test_a_message_that_is_unreadable_is_the_same_when_it_comes_again():
    source = {"connector": "postgresql", "name": "app", "table": "activities", "lsn": 5, "ts_ms": 1}

    def delivered(at_ms: int, **more: int) -> Record:
        message = {"op": "d", "before": {"id": 17, "activity_id": None}, "ts_ms": at_ms}
        (found,) = read(json.dumps(message | {"source": source | more}), "cdc/a.jsonl")
        return found

    assert delivered(1).change_id is not None
    assert delivered(1).change_id == delivered(2).change_id
    assert delivered(1).change_id != delivered(1, lsn=6).change_id
