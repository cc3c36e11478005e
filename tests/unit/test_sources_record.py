import base64
import gzip
import io
from datetime import date

import pytest

from paceline.sources import athlete_settings, record, strava_api
from paceline.sources.gunzip import Damaged, Gunzip
from paceline.sources.limits import DEFAULTS, Limits

API = "strava_api/a.jsonl"


def api_records(content: bytes, path: str = API, limits: Limits = DEFAULTS) -> list[record.Record]:
    return list(strava_api.records(io.BytesIO(content), path, limits))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (17, 17),
        ("17", 17),
        ("007", 7),
        (9223372036854775807, 9223372036854775807),
        ("9223372036854775807", 9223372036854775807),
        # 2**53 + 1 has no float of its own.
        ("9007199254740993", 9007199254740993),
        (9223372036854775808, None),
        ("9223372036854775808", None),
        ("9" * 5000, None),
        (0, None),
        (-1, None),
        ("0", None),
        ("-1", None),
        (17.0, None),
        ("17.0", None),
        ("1e3", None),
        (" 17", None),
        ("\u0661\u0667", None),
        ("", None),
        (True, None),
        (None, None),
        ([17], None),
    ],
)
def test_an_id_is_an_integer_or_a_digit_string_of_64_bits(value: object, expected: int | None):
    assert record.parse_id(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        ("0", 0),
        ("0" * 5000, 0),
        ("00017", 17),
        (9223372036854775807, 9223372036854775807),
        ("9223372036854775807", 9223372036854775807),
        (9223372036854775808, None),
        ("9223372036854775808", None),
        (-1, None),
        ("-1", None),
        (0.0, None),
        (False, None),
        ("", None),
        (None, None),
    ],
)
def test_a_natural_number_may_be_zero(value: object, expected: int | None):
    found = record.parse_natural(value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # 19,875 days after 1970 and six hours.
        ("2024-06-01T06:00:00Z", 1_717_221_600_000_000),
        ("2024-06-01T06:00:00", 1_717_221_600_000_000),
        ("2024-06-01T08:00:00+02:00", 1_717_221_600_000_000),
        ("2024-06-01T06:00:00.25Z", 1_717_221_600_250_000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000_000),
        ("yesterday", None),
        (1717221600, None),
        (None, None),
    ],
)
def test_an_instant_without_zone_is_utc(value: object, expected: int | None):
    assert record.parse_instant_us(value) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("strava_api/athlete_id=42/x/a.jsonl", 42),
        ("strava_api/x/athlete_id=42/a.jsonl", 42),
        ("strava_api/athlete_id=0/a.jsonl", None),
        ("strava_api/athlete_id=4x/a.jsonl", None),
        ("strava_api/athlete_id=42", None),
        ("strava_api/a.jsonl", None),
    ],
)
def test_the_athlete_of_a_path_stands_in_a_folder(path: str, expected: int | None):
    assert record.folder_athlete_id(path) == expected


def test_lines_keep_their_number_across_blank_ones_and_a_bom():
    content = b'\xef\xbb\xbf{"id":1}\r\n\n  \t\n{"id":2} \n\r\n{"id":3}'
    assert [(r.line_number, r.payload, r.activity_id) for r in api_records(content)] == [
        (1, '{"id":1}', 1),
        (4, '{"id":2} ', 2),
        (6, '{"id":3}', 3),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_lines_do_not_depend_on_how_the_stream_is_cut(monkeypatch, size: int):
    monkeypatch.setattr(record, "CHUNK_BYTES", size)
    found = list(record.lines(io.BytesIO(b"\xef\xbb\xbfab\n\ncdefgh\r\n\xc3\xa4")))
    assert found == [
        (1, b"ab", True),
        (2, b"", True),
        (3, b"cdefgh\r", True),
        (4, "ä".encode(), True),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "7",
        "null",
        '"x"',
        '{"id":1}{"id":2}',
        '{"id":1} x',
        '{"id":1},',
        "Activity ID,Activity Date",
        '{"a":' * 100_000,
        '{"a":' + "1" * 5000 + "}",
    ],
)
def test_anything_but_one_object_is_unreadable_and_kept_verbatim(text: str):
    content = f'{{"id":1}}\n{text}\n{{"id":2}}\n'.encode()
    before, bad, after = api_records(content, "strava_api/athlete_id=5/a.jsonl")
    assert (before.activity_id, after.activity_id) == (1, 2)
    assert bad == record.Record(2, text)


def test_a_json_null_is_not_what_is_no_json():
    content = b'null \r\n\n{"a":[1.0]}\nnul\n"x" 1\n"\xff"\n'
    assert list(record.json_lines(io.BytesIO(content))) == [
        (1, b"null ", None),
        (3, b'{"a":[1.0]}', {"a": [1.0]}),
        (4, b"nul", record.NOT_JSON),
        (5, b'"x" 1', record.NOT_JSON),
        (6, b'"\xff"', record.NOT_JSON),
    ]


def test_a_line_that_is_not_whole_has_no_value(monkeypatch):
    monkeypatch.setattr(record, "KEPT_BYTES", 4)
    content = b"null" + b"x" * 17 + b"\nnull"
    assert list(record.json_lines(io.BytesIO(content), Limits(max_line_bytes=20))) == [
        (1, b"null", record.NOT_JSON),
        (2, b"null", None),
    ]


def test_invalid_utf8_is_kept_as_base64():
    raw = b'{"athlete":{"id":1},"id":2,"name":"\xff"}'
    (found,) = api_records(raw + b"\n")
    assert found == record.Record(1, base64.b64encode(raw).decode(), is_base64=True)


def test_a_line_beyond_the_limit_is_one_unreadable_record(monkeypatch):
    monkeypatch.setattr(record, "KEPT_BYTES", 10)
    monkeypatch.setattr(record, "CHUNK_BYTES", 8)
    # The tenth byte is the first of two of an umlaut: it is not cut in half.
    content = b'{"id":123456789012}\n' + b"x" * 9 + "ä".encode() + b"y" * 50 + b'\n{"id":3}'
    first, cut, last = api_records(content, limits=Limits(max_line_bytes=20))
    assert (first.activity_id, last.activity_id, last.line_number) == (123456789012, 3, 3)
    assert cut == record.Record(2, "x" * 9)


def test_a_line_of_exactly_the_limit_is_read():
    found = api_records(b'{"id":1}\n{"id":2}', limits=Limits(max_line_bytes=8))
    assert [r.activity_id for r in found] == [1, 2]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"null", None),
        (b'{"a":[1.0]}', {"a": [1.0]}),
        (b"", record.NOT_JSON),
        (b"1 2", record.NOT_JSON),
        (b'"\xe4"', record.NOT_JSON),
        (b"9" * 5000, record.NOT_JSON),
        (b"[[1]]", [[1]]),
        (b"[[[1]]]", record.NOT_JSON),
        (b"[" * 100_000, record.NOT_JSON),
    ],
)
def test_a_value_is_all_of_a_text(raw: bytes, expected: object):
    found = record.json_value(raw, Limits(max_json_depth=2))
    assert found is expected or found == expected


def test_a_page_of_settings_is_as_many_records():
    content = b'[{"athlete_id":1,"valid_from":"2024-01-01"},{"athlete_id":2}]\n[]\n'
    found = list(athlete_settings.records(io.BytesIO(content), "athlete_settings/s.jsonl"))
    assert [(r.line_number, r.athlete_id) for r in found[:2]] == [(1, 1), (2, 2)]
    assert found[2:] == [record.IGNORED]


def test_settings_have_athlete_day_and_change_time():
    content = b"""{"athlete_id":"7","valid_from":"2024-02-29","updated_at":"1970-01-01T00:00:01Z"}
{"valid_from":"2024-02-30"}
{"athlete_id":1.5,"valid_from":20240101}
nonsense
"""
    path = "athlete_settings/athlete_id=9/s.jsonl"
    found = list(athlete_settings.records(io.BytesIO(content), path))
    assert [(r.athlete_id, r.valid_from, r.change_time_us, r.op) for r in found] == [
        (7, date(2024, 2, 29), 1_000_000, "r"),
        (9, None, None, "r"),
        (None, None, None, "r"),
        (None, None, None, "r"),
    ]
    assert found[3] == record.Record(4, "nonsense")


def decompressed(stored: bytes) -> tuple[bytes, str]:
    stream, got = Gunzip(io.BytesIO(stored)), b""
    try:
        while chunk := stream.read(100):
            got += chunk
    except Damaged as fault:
        return got, str(fault)
    return got, ""


# Random enough not to compress to nothing, without a seed: squares of a counter.
TEXT = b"".join(b"%d\n" % (n * n) for n in range(20_000))


@pytest.mark.parametrize(
    "stored",
    [
        gzip.compress(TEXT),
        gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]),
        gzip.compress(TEXT[:1000]) + b"\0" * 40_000 + gzip.compress(TEXT[1000:]) + b"\0" * 40_000,
    ],
)
def test_gunzip_reads_members_and_padding(stored: bytes):
    assert decompressed(stored) == (TEXT, "")


def test_gunzip_gives_all_before_the_end_of_a_truncated_file():
    stored = gzip.compress(TEXT)
    got, fault = decompressed(stored[: len(stored) // 2])
    assert fault == "truncated gzip stream"
    assert len(got) > len(TEXT) // 3
    assert TEXT.startswith(got)
    assert decompressed(b"") == (b"", "truncated gzip stream")


def test_gunzip_gives_all_before_a_fault_even_in_a_small_file():
    stored = bytearray(gzip.compress(b"first line\nsecond line\n", compresslevel=0))
    # The checksum, which is checked when all has been decompressed.
    stored[-8] ^= 0xFF
    assert decompressed(bytes(stored)) == (b"first line\nsecond line\n", "corrupt gzip stream")
    assert decompressed(b"not gzip at all") == (b"", "corrupt gzip stream")
    assert decompressed(gzip.compress(b"a\n") + b"junk") == (b"a\n", "corrupt gzip stream")
