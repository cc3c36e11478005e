import gzip
import io
import json

import pytest

from paceline.sources.gunzip import Gunzip
from paceline.sources.record import IGNORED, Ignored, Record
from paceline.sources.strava_api import records


def read(content: str | bytes, path: str = "strava_api/a.jsonl") -> list[Record | Ignored]:
    raw = content.encode() if isinstance(content, str) else content
    return list(records(io.BytesIO(raw), path))


@pytest.mark.parametrize(
    ("fields", "path", "expected"),
    [
        ('"athlete":{"id":1},"athlete_id":2', "strava_api/athlete_id=3/a.jsonl", 1),
        ('"athlete":{"id":"1"}', "strava_api/a.jsonl", 1),
        ('"athlete":{},"athlete_id":2', "strava_api/athlete_id=3/a.jsonl", 2),
        ('"athlete":{"id":null},"athlete_id":"2"', "strava_api/a.jsonl", 2),
        ('"athlete":null', "strava_api/athlete_id=3/a.jsonl", 3),
        ('"athlete":7', "strava_api/athlete_id=3/a.jsonl", 3),
        ('"athlete":{"id":1.0}', "strava_api/athlete_id=3/a.jsonl", None),
        ('"name":"x"', "strava_api/a.jsonl", None),
    ],
)
def test_where_the_athlete_comes_from(fields: str, path: str, expected: int | None):
    (found,) = read(f'{{"id":9,{fields}}}', path)
    assert (found.athlete_id, found.activity_id) == (expected, 9)


def test_a_record_keeps_its_text_and_its_own_change_time():
    line = '{ "id" : 16195001131, "updated_at": "2024-06-01T08:00:00+02:00", "distance": 1.50 }'
    assert read(line) == [
        Record(1, line, activity_id=16195001131, change_time_us=1_717_221_600_000_000)
    ]


def test_ids_never_pass_through_a_float():
    assert [r.activity_id for r in read('{"id":9007199254740993}\n{"id":9.0}\n{"id":1e3}')] == [
        9007199254740993,
        None,
        None,
    ]


def test_a_document_is_one_object():
    text = '\ufeff\n{\n "id": 5,\n "laps": []\n}\n'
    (found,) = read(text, "strava_api/x.json")
    assert found == Record(1, '{\n "id": 5,\n "laps": []\n}', activity_id=5)


def test_a_document_is_an_array_whose_elements_are_verbatim():
    text = '[ {"id": 1, "d": 1.50} ,\n{"id":2,"name":"a],{\\" "}, 3, null, [{"id":4}] ]\n'
    assert [(r.line_number, r.payload, r.activity_id) for r in read(text, "strava_api/x.json")] == [
        (1, '{"id": 1, "d": 1.50}', 1),
        (2, '{"id":2,"name":"a],{\\" "}', 2),
        (3, "3", None),
        (4, "null", None),
        (5, '[{"id":4}]', None),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n", []),
        ("[\n]", []),
        ("7", [("7", None)]),
        ('{"id":1}{"id":2}', [('{"id":1}', 1), ('{"id":2}', None)]),
        ('[{"id":1}] x ', [('{"id":1}', 1), ("x ", None)]),
        ('[{"id":1} {"id":2}]', [('{"id":1}', 1), ('{"id":2}]', None)]),
        ('[{"id":1},{"id":2', [('{"id":1}', 1), ('{"id":2', None)]),
        ('[{"id":1},oops,{"id":2}]', [('{"id":1}', 1), ('oops,{"id":2}]', None)]),
        ("[] x", [("x", None)]),
        ("[" * 100_000, [("[" * 99_999, None)]),
    ],
)
def test_a_broken_document_loses_nothing(text: str, expected: list[tuple[str, int | None]]):
    found = read(text, "strava_api/athlete_id=3/x.json")
    assert [(r.payload, r.activity_id) for r in found] == expected
    assert [r.line_number for r in found] == list(range(1, len(expected) + 1))
    assert all(r.athlete_id == (3 if r.activity_id else None) for r in found)


def test_a_file_may_hold_an_object_or_a_page_a_line():
    text = '{"id":1}\n[{"id":2},{"id":3}]\n[]\n\n[{"id":6}]\n7\n'
    for path in ("strava_api/athlete_id=5/a.jsonl", "strava_api/athlete_id=5/a.json"):
        assert read(text, path) == [
            *(Record(n, f'{{"id":{n}}}', athlete_id=5, activity_id=n) for n in (1, 2, 3)),
            # An empty page says that there was nothing.
            IGNORED,
            Record(5, '{"id":6}', athlete_id=5, activity_id=6),
            Record(6, "7"),
        ]
    assert read("[]", "strava_api/a.json") == [IGNORED]


def test_bytes_that_are_not_utf8_spoil_only_their_element():
    first, second = read(
        b'[{"id":1,"name":"\xe4"},{"id":2,"name":"\xc3\xa4"}]', "strava_api/x.json"
    )
    # base64 of {"id":1,"name":"<E4>"}, from coreutils.
    assert first == Record(1, "eyJpZCI6MSwibmFtZSI6IuQifQ==", is_base64=True)
    assert second == Record(2, '{"id":2,"name":"ä"}', activity_id=2)


@pytest.mark.parametrize("extension", ["jsonl", "json"])
def test_records_before_a_truncation_are_kept_and_one_names_the_fault(extension: str):
    objects = [json.dumps({"id": n, "name": str(n**9)}) for n in range(1, 2001)]
    text = "\n".join(objects) if extension == "jsonl" else f"[{','.join(objects)}]"
    stored = gzip.compress(text.encode())
    stream = Gunzip(io.BytesIO(stored[: len(stored) // 2]))
    *kept, fault = records(stream, f"strava_api/a.{extension}.gz")
    assert len(kept) > 500
    assert [r.activity_id for r in kept] == list(range(1, len(kept) + 1))
    assert [r.payload for r in kept] == objects[: len(kept)]
    assert fault == Record(len(kept) + 1, "truncated gzip stream")
