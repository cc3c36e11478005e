import gzip
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paceline.sources.debezium import records
from paceline.sources.gunzip import Gunzip
from paceline.sources.record import Record

PATH = "cdc/activities.jsonl"
# 2024-06-01T06:00:00Z.
SIX_MS = 1_717_221_600_000
SIX_US = 1_717_221_600_000_000


def read(content: str | bytes, path: str = PATH) -> list[Record | None]:
    raw = content.encode() if isinstance(content, str) else content
    return list(records(io.BytesIO(raw), path))


def change(fields: str, path: str = PATH) -> Record:
    """Read one envelope, given as what stands between its braces."""
    (found,) = read(f"{{{fields}}}", path)
    assert found is not None
    return found


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
    assert read(line) == [
        Record(
            line_number=1,
            payload=line,
            op=op,
            athlete_id=5,
            activity_id=16195001131,
            change_time_us=SIX_US,
            lsn=24023128,
        )
    ]


@pytest.mark.parametrize("after", ['"after":null,', "", '"after":{"id":98,"athlete":{"id":97}},'])
def test_a_delete_speaks_of_the_row_before(after: str):
    line = (
        f'{{"op":"d",{after}"before":{{"activity_id":11,"athlete_id":5,"distance_m":5000.0}},'
        f'"ts_ms":{SIX_MS},"source":{{"lsn":7}}}}'
    )
    assert read(line) == [
        Record(1, line, op="d", athlete_id=5, activity_id=11, change_time_us=SIX_US, lsn=7)
    ]


def test_a_wrapped_envelope_says_the_same_and_is_kept_with_its_wrapper():
    envelope = f'{{"op":"u","after":{{"activity_id":11,"athlete_id":5}},"ts_ms":{SIX_MS}}}'
    wrapped = f'{{"schema":{{"type":"struct","fields":[]}},"payload":{envelope}}}'
    no_schema = f'{{"payload":{envelope},"schema":null}}'
    assert read(f"{envelope}\n{wrapped}\n{no_schema}") == [
        Record(1, envelope, op="u", athlete_id=5, activity_id=11, change_time_us=SIX_US),
        Record(2, wrapped, op="u", athlete_id=5, activity_id=11, change_time_us=SIX_US),
        Record(3, no_schema, op="u", athlete_id=5, activity_id=11, change_time_us=SIX_US),
    ]


def test_tombstones_are_none_and_leave_the_numbers_of_the_lines():
    delete = '{"op":"d","before":{"id":1}}'
    lines = [delete, "null", "", " null\t\r", '{"schema":null,"payload":null}', delete]
    assert read("\n".join(lines)) == [
        Record(1, delete, op="d", activity_id=1),
        None,
        None,
        None,
        Record(6, delete, op="d", activity_id=1),
    ]


def test_a_file_may_hold_nothing_but_tombstones():
    assert read("null\nnull\n") == [None, None]
    assert read("\n \n") == []


def test_duplicates_are_kept():
    line = '{"op":"d","before":{"id":1}}'
    assert read(f"{line}\n{line}\n") == [
        Record(1, line, op="d", activity_id=1),
        Record(2, line, op="d", activity_id=1),
    ]


@pytest.mark.parametrize(
    ("image", "athlete_id", "activity_id"),
    [
        ('{"id":11,"athlete":{"id":5}}', 5, 11),
        ('{"activity_id":11,"athlete_id":5}', 5, 11),
        ('{"id":11,"athlete_id":5}', 5, 11),
        ('{"activity_id":11,"athlete":{"id":5}}', 5, 11),
        ('{"id":11,"activity_id":12,"athlete":{"id":5},"athlete_id":6}', 5, 11),
        ('{"id":null,"activity_id":12,"athlete":{"id":null},"athlete_id":6}', 6, 12),
        ('{"activity_id":12,"athlete":null,"athlete_id":6}', 6, 12),
        ('{"activity_id":12,"athlete":7,"athlete_id":6}', 6, 12),
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
        ('{"id":11.0,"activity_id":12,"athlete":{"id":"x"},"athlete_id":6}', None, None),
        ("{}", None, None),
    ],
)
def test_the_ids_of_an_image(image: str, athlete_id: int | None, activity_id: int | None):
    found = created(image)
    assert (found.op, found.athlete_id, found.activity_id) == ("c", athlete_id, activity_id)


@pytest.mark.parametrize("image", ['{"id":11}', '{"activity_id":11}', '{"activity_id":"11"}'])
def test_a_delete_may_have_only_the_key(image: str):
    found = deleted(image)
    assert found == Record(1, found.payload, op="d", activity_id=11)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ('{"id":11}', 3),
        ('{"id":11,"athlete_id":null}', 3),
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
        (f'"ts_ms":{SIX_MS},"source":{{"ts_ms":1}}', SIX_US),
        ('"source":{"ts_ms":1}', 1000),
        ('"ts_ms":null,"source":{"ts_ms":"1"}', 1000),
        ('"ts_ms":253402300800000,"source":{"ts_ms":1.0}', 1000),
        ('"ts_ms":-1,"source":{"ts_ms":1}', 1000),
        ('"ts_ms":1.5,"source":{"ts_ms":1}', 1000),
        ('"ts_ms":"1.0","source":{"ts_ms":1}', 1000),
        ('"ts_ms":true,"source":{"ts_ms":1}', 1000),
        ('"ts_ms":NaN,"source":{"ts_ms":1}', 1000),
        ('"ts_ms":1e400,"source":{"ts_ms":1}', 1000),
        ('"ts_ms":[1],"source":{"ts_ms":1}', 1000),
        (f'"ts_ms":"{"9" * 5000}","source":{{"ts_ms":1}}', 1000),
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
def test_the_position_in_the_log(source: str, expected: int | None):
    found = change(f'"op":"c","after":{{"id":1}},"source":{source}').lsn
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "nul",
        "null null",
        "[]",
        "7",
        '"null"',
        "{}",
        '[{"op":"c","after":{"id":1}}]',
        '{"op":"c","after":{"id":1}}{"op":"c","after":{"id":1}}',
        # An operation that is none of the four.
        '{"op":"t","before":null,"after":null,"ts_ms":1}',
        '{"op":"t","before":{"id":1},"after":{"id":1}}',
        '{"op":"m","after":{"id":1}}',
        '{"op":"C","after":{"id":1}}',
        '{"op":"","after":{"id":1}}',
        '{"op":null,"after":{"id":1}}',
        '{"op":["c"],"after":{"id":1}}',
        '{"after":{"id":1,"athlete":{"id":5}}}',
        '{"id":1,"athlete":{"id":5}}',
        # No image of the row, or one in the wrong place.
        '{"op":"c","ts_ms":1}',
        '{"op":"u","before":{"id":1},"after":null}',
        '{"op":"r","after":[{"id":1}]}',
        '{"op":"c","after":"{\\"id\\":1}"}',
        '{"op":"d","before":null,"after":{"id":1}}',
        '{"op":"d","before":[1]}',
        # Nothing that could be deleted.
        '{"op":"d","before":{}}',
        '{"op":"d","before":{"athlete":{"id":5}},"ts_ms":1,"source":{"lsn":1}}',
        '{"op":"d","before":{"id":1.0,"activity_id":1}}',
        '{"op":"d","before":{"activity_id":9223372036854775808}}',
        # Wrappers around something else.
        '{"schema":null,"payload":"x"}',
        '{"schema":null,"payload":{}}',
        '{"schema":null,"payload":{"schema":null,"payload":null}}',
        '{"schema":null,"payload":{"op":"d","before":{}},"op":"c","after":{"id":1}}',
        '{"payload":null}',
        '{"schema":null}',
    ],
)
def test_what_is_no_change_is_unreadable_and_kept_verbatim(line: str):
    sound = '{"op":"c","after":{"id":1}}'
    assert read(f"{sound}\n{line}\n{sound}\n", "cdc/athlete_id=3/a.jsonl") == [
        Record(1, sound, op="c", activity_id=1),
        Record(2, line),
        Record(3, sound, op="c", activity_id=1),
    ]


def test_bytes_that_are_not_utf8_are_unreadable_and_kept_as_base64():
    # base64 of {"op":"c","after":{"id":1,"name":"<E4>"}}, from coreutils.
    payload = "eyJvcCI6ImMiLCJhZnRlciI6eyJpZCI6MSwibmFtZSI6IuQifX0="
    assert read(b'{"op":"c","after":{"id":1,"name":"\xe4"}}') == [
        Record(1, payload, is_base64=True)
    ]


def test_the_text_of_a_line_is_kept_to_its_last_space():
    line = '  {"op":"c", "after":{"id":1,"name":"ä\\u00e4"}} \t'
    assert read(f"\ufeff{line}\r\n") == [Record(1, line, op="c", activity_id=1)]


def test_changes_before_a_truncation_are_kept_and_one_record_names_the_fault():
    lines = [f'{{"op":"c","after":{{"id":{n},"name":"{n**9}"}}}}' for n in range(1, 2001)]
    stored = gzip.compress("\n".join(lines).encode())
    stream = Gunzip(io.BytesIO(stored[: len(stored) // 2]))
    *kept, fault = records(stream, "cdc/a.jsonl.gz")
    assert len(kept) > 500
    assert kept == [
        Record(n, line, op="c", activity_id=n) for n, line in enumerate(lines[: len(kept)], start=1)
    ]
    assert fault == Record(len(kept) + 1, "truncated gzip stream")


KEYS = st.sampled_from(
    [
        *("op", "before", "after", "ts_ms", "source", "lsn", "schema", "payload"),
        *("id", "activity_id", "athlete", "athlete_id", "updated_at"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["c", "u", "r", "d", "t", "17", "2024-06-01T06:00:00Z", "9" * 5000])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
IMAGES = st.dictionaries(KEYS, LEAVES | VALUES, max_size=5)
ENVELOPES = st.fixed_dictionaries(
    {"op": st.sampled_from("curd")},
    optional={
        "before": IMAGES | VALUES,
        "after": IMAGES | VALUES,
        "ts_ms": VALUES,
        "source": st.fixed_dictionaries({"lsn": VALUES, "ts_ms": VALUES}) | VALUES,
    },
)
WRAPPED = st.fixed_dictionaries({"schema": VALUES, "payload": ENVELOPES | VALUES})
BIGINT = range(-(2**63), 2**63)


@given(st.lists(ENVELOPES | WRAPPED | VALUES, max_size=5))
def test_any_json_gives_one_outcome_a_line_that_fits_into_bronze(values: list[object]):
    lines = [json.dumps(value) for value in values]
    found = read("\n".join(lines), "cdc/athlete_id=3/a.jsonl")
    for number, (value, record) in enumerate(zip(values, found, strict=True), start=1):
        if record is None:
            assert value is None or value["payload"] is None
            continue
        assert (record.line_number, record.payload) == (number, lines[number - 1])
        assert record.op in {"c", "u", "r", "d"}
        assert record.op != "d" or record.activity_id is not None
        numbers = (record.athlete_id, record.activity_id, record.change_time_us, record.lsn)
        assert all(number is None or number in BIGINT for number in numbers)


@given(st.binary())
@example(b"\xef\xbb\xbfnull")
@example(b'{"op":"c","after":' * 10_000)
def test_any_bytes_are_read_without_an_error(content: bytes):
    assert len(read(content)) <= content.count(b"\n") + 1
