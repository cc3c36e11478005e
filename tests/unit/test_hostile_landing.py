"""A landing zone that somebody filled with bad intent: everything else in it is still read."""

import csv
import gzip
import io
import json
import logging
import os
import signal
import socket
import tracemalloc
import zipfile
from dataclasses import asdict
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from paceline.errors import UsageError
from paceline.intake import landing
from paceline.intake.files import discover, refused_files, source_of, unknown_files
from paceline.intake.landing import record_batches
from paceline.pipeline import execute, jobs
from paceline.publish.claim import Outcome
from paceline.settings import load_settings
from paceline.sources import debezium, export_layouts, record, strava_api, strava_export
from paceline.sources.files import Refused, listing, open_file
from paceline.sources.gunzip import Gunzip
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import Record, lines, too_deep_at
from paceline.tables.bronze import strava_activities

ACTIVITIES = landing.SOURCES["strava_activities"]
CONF = Path(__file__).parents[2] / "conf"
GOOD = b'{"id":7}\n'
TABLES = ("activities",)
SETTINGS = {"export_headers": {}, "cdc_tables": TABLES}


def put(root: Path, path: str, content: bytes = GOOD) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def rows(root: Path, limits: Limits = DEFAULTS) -> list[dict[str, object]]:
    new = discover(listing(root), ACTIVITIES, [], limits).new
    batches = record_batches(root, new, "strava_activities", date(2024, 6, 2), SETTINGS, limits)
    return [row for _, batch, _ in batches for row in batch.to_pylist()]


def ids(root: Path, limits: Limits = DEFAULTS) -> list[object]:
    return [row["activity_id"] for row in rows(root, limits)]


def read(content: bytes, path: str = "strava_api/a.jsonl", **limits: int) -> list[Record]:
    return list(strava_api.records(io.BytesIO(content), path, Limits(**limits)))


def nested(depth: int) -> str:
    """An activity of which the innermost array is at this depth."""
    return '{"id":1,"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


@pytest.fixture
def _impatient():
    """Ends a test that waits for a pipe, which would be for ever."""

    def give_up(*arguments: object) -> None:
        raise TimeoutError("it waits for a pipe")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class Generated:
    """A stream of `before`, then one byte `times` over, then `after`; it is nowhere as a whole."""

    def __init__(self, before: bytes, times: int, after: bytes) -> None:
        self._chunk = b"x" * 1_000_000
        self._parts = [before, *[self._chunk] * (times // 1_000_000), after][::-1]

    def read(self, size: int, /) -> bytes:
        return self._parts.pop() if self._parts else b""


def test_the_limits_of_the_project_are_those_of_the_code():
    assert load_settings(CONF).landing_limits == asdict(DEFAULTS)


def test_a_limit_is_no_input_of_a_recipe():
    assert "landing_limits" not in load_settings(CONF).for_recipes()


def test_a_gigabyte_on_one_line_is_cut_in_bounded_memory():
    stream = Generated(b'{"id":1}\n{"name":"', 1_000_000_000, b'"}\n{"id":3}\n')
    tracemalloc.start()
    try:
        first, cut, last = strava_api.records(stream, "strava_api/a.jsonl")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (first.activity_id, last.activity_id) == (1, 3)
    assert (first.line_number, cut.line_number, last.line_number) == (1, 2, 3)
    assert cut == Record(2, '{"name":"' + "x" * (1024 * 1024 - 9))
    assert peak < 4 * DEFAULTS.max_line_bytes


def test_a_gigabyte_of_one_document_is_cut_in_bounded_memory():
    limit = 4_000_000
    stream = Generated(b'[{"id":1},{"name":"', 1_000_000_000, b'"}]')
    tracemalloc.start()
    try:
        found = list(
            strava_api.records(stream, "strava_api/a.json", Limits(max_document_bytes=limit))
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [
        Record(1, '{"id":1}', activity_id=1),
        Record(2, "document of more than 4000000 bytes"),
    ]
    assert peak < 5 * limit


def test_a_document_of_exactly_the_limit_is_read():
    content = b'[{"id":1}]'
    assert read(content, "strava_api/a.json", max_document_bytes=10) == [
        Record(1, '{"id":1}', activity_id=1)
    ]
    assert read(content, "strava_api/a.json", max_document_bytes=9) == [
        Record(1, '{"id":1}', activity_id=1),
        Record(2, "document of more than 9 bytes"),
    ]
    # What was read together with the beginning is beyond the limit all the same.
    assert read(b'[{"id":1},{"id":2}]', "strava_api/a.json", max_document_bytes=10) == [
        Record(1, '{"id":1}', activity_id=1),
        Record(2, "document of more than 10 bytes"),
    ]


def test_the_lines_of_a_file_are_limited():
    content = b'{"id":1}\n\n{"id":3}'
    assert [r.activity_id for r in read(content, max_lines=3)] == [1, 3]
    assert [r.activity_id for r in read(content + b"\n", max_lines=3)] == [1, 3]
    for more in (content, content + b"\n", content + b"\n\n\n"):
        assert read(more, max_lines=2) == [
            Record(1, '{"id":1}', activity_id=1),
            Record(3, "file of more than 2 lines"),
        ]


def test_the_elements_of_a_document_are_limited():
    found = read(b'[{"id":1},{"id":2},{"id":3}]', "strava_api/a.json", max_lines=2)
    assert [(r.line_number, r.activity_id) for r in found] == [(1, 1), (2, 2), (3, None)]
    assert found[2].payload == "document of more than 2 elements"
    assert len(read(b'[{"id":1},{"id":2}]', "strava_api/a.json", max_lines=2)) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("[[[]]]", None),
        ("[[[[]]]]", 3),
        ('{"a":[{"b":{}}]}', 11),
        # Brackets of texts do not count, not even after an escaped quote.
        ('["[[[[", "\\"[[[[", "\\\\"]', None),
        ('["\\\\", [[[', 9),
        # Many, but side by side.
        ("[[],[],[],[],[]]", None),
        # A text that never ends has no brackets.
        ('["[[[[[', None),
    ],
)
def test_depth_is_counted_without_parsing(text: str, expected: int | None):
    assert too_deep_at(text, 3) == expected


def test_a_text_that_never_ends_is_passed_over_at_once():
    assert too_deep_at('{"a":"' + "[\\" * 1_000_000, 3) is None


def test_deep_nesting_is_unreadable_and_the_next_line_is_read():
    deep, deepest = nested(101), "[" * 1_000_000
    content = f'{nested(100)}\n{deep}\n{deepest}\n{{"id":4}}'.encode()
    assert [(r.line_number, r.payload[:8], r.activity_id) for r in read(content)] == [
        (1, '{"id":1,', 1),
        (2, '{"id":1,', None),
        (3, "[[[[[[[[", None),
        (4, '{"id":4}', 4),
    ]
    assert read(content)[1] == Record(2, deep)


def test_deep_nesting_is_never_parsed(monkeypatch: pytest.MonkeyPatch):
    parsed: list[str] = []
    monkeypatch.setattr(record.json, "loads", lambda text: parsed.append(text) or {})
    read(f"{nested(101)}\n{nested(100)}".encode())
    assert parsed == [nested(100)]


def test_deep_nesting_ends_what_is_read_of_a_document():
    shallow, deep = nested(100), nested(101)
    content = f'[{shallow},{deep},{{"id":3}}]'
    assert read(content.encode(), "strava_api/a.json") == [
        Record(1, shallow, activity_id=1),
        Record(2, f'{deep},{{"id":3}}]'),
    ]
    assert read(shallow.encode(), "strava_api/a.json") == [Record(1, shallow, activity_id=1)]
    assert read(deep.encode(), "strava_api/a.json") == [Record(1, deep)]


def test_a_zip_bomb_is_read_to_the_limit(tmp_path: Path):
    bomb = gzip.compress(b'{"id":1}\n{"id":2}\n' + b"\0" * 10_000_000)
    assert len(bomb) < 20_000
    put(tmp_path, "strava_api/a.jsonl.gz", bomb)
    put(tmp_path, "strava_api/b.jsonl")
    found = rows(tmp_path, Limits(max_expanded_bytes=1_000_000))
    assert [(row["line_number"], row["activity_id"]) for row in found] == [
        (1, 1),
        (2, 2),
        (3, None),
        (1, 7),
    ]
    assert found[2]["payload"] == "gzip stream of more than 1000000 bytes"


@pytest.mark.parametrize(
    ("limits", "payload"),
    [
        (Limits(), None),
        (Limits(max_expanded_bytes=1_000), "zip member of more than 1000 bytes"),
        (Limits(max_zip_members=1), "nothing"),
    ],
)
def test_a_zip_archive_keeps_no_other_file_from_being_read(
    tmp_path: Path, limits: Limits, payload: str | None
):
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("../../../etc/passwd", b"x")
        packed.writestr("activities.csv", b"Activity ID,x\n1,a\n" + b"\0" * 10_000_000)
    bomb = put(tmp_path, "strava_export/athlete_id=5/bomb.zip", stored.getvalue())
    put(tmp_path, "strava_export/athlete_id=5/z.zip", b"PK\x05\x06" + b"\xff" * 18)
    put(tmp_path, "strava_export/athlete_id=6/activities.csv", b"Activity ID,x\n6,a\n")
    most = f"zip member of more than {250 * compressed_size(bomb)} bytes"
    *found, good = rows(tmp_path, limits)
    assert good["activity_id"] == 6
    expected = [] if payload == "nothing" else [(2, "Activity ID,x\n1,a"), (3, payload or most)]
    assert [(row["line_number"], row["payload"]) for row in found] == expected
    assert [file.name for file in tmp_path.iterdir()] == ["strava_export"]


def compressed_size(archive: Path) -> int:
    return zipfile.ZipFile(archive).getinfo("activities.csv").compress_size


def test_a_zip_bomb_gives_the_same_bytes_however_it_is_stored():
    text = b"0123456789" * 10
    for stored in (
        gzip.compress(text),
        b"".join(gzip.compress(text[n : n + 1]) for n in range(100)),
    ):
        (line,) = lines(Gunzip(io.BytesIO(stored), 100))
        assert line == (1, text, True)
        assert list(lines(Gunzip(io.BytesIO(stored), 99))) == [
            (1, b"gzip stream of more than 99 bytes", False)
        ]
        assert Gunzip(io.BytesIO(stored), 99).read(1) in text


def test_a_bomb_inside_a_document_ends_it():
    stored = gzip.compress(b'[{"id":1},"' + b"x" * 1000 + b'"]')
    found = list(strava_api.records(Gunzip(io.BytesIO(stored), 500), "strava_api/a.json.gz"))
    assert found == [
        Record(1, '{"id":1}', activity_id=1),
        Record(2, "gzip stream of more than 500 bytes"),
    ]


@pytest.mark.parametrize(
    ("line", "activity_id", "is_base64"),
    [
        (b'{"id":1,"name":"a\0b"}', None, False),
        (b'\0{"id":1}', None, False),
        (b'{"id":1,"name":"a\\u0000b"}', 1, False),
        (b'{"id":1,"name":"\xff"}', None, True),
        # A surrogate, as Java writes it by mistake.
        (b'{"id":1,"name":"\xed\xa0\x80"}', None, True),
        (b'{"id":1,"name":"\\ud800"}', 1, False),
        (b'{"id":"\\ud800"}', None, False),
        (b'{"id":1,"updated_at":"2024-06-01\\ud80006:00"}', 1, False),
        (b'{"id":1,"distance":1e999}', 1, False),
        (b'{"id":1e999}', None, False),
        (b'{"id":1,"distance":NaN,"calories":-Infinity}', 1, False),
        (b'{"id":1,"distance":' + b"9" * 5000 + b"}", None, False),
        (b'{"id":"' + b"9" * 5000 + b'"}', None, False),
        (b'{"id":-1}', None, False),
        # Of a field that is given twice the last one counts, as in Spark.
        (b'{"id":1,"id":2}', 2, False),
        (b'{"id":1,"id":null}', None, False),
        ('{"id":"\N{FULLWIDTH DIGIT ONE}"}'.encode(), None, False),
    ],
)
def test_a_hostile_line_is_one_record_and_the_next_is_read(
    tmp_path: Path, line: bytes, activity_id: int | None, is_base64: bool
):
    put(tmp_path, "strava_api/a.jsonl", line + b"\n" + GOOD)
    hostile, good = rows(tmp_path)
    assert (hostile["activity_id"], hostile["is_base64"]) == (activity_id, is_base64)
    assert is_base64 or hostile["payload"] == line.decode()
    assert (good["line_number"], good["activity_id"]) == (2, 7)


@pytest.mark.parametrize(
    "envelope",
    [
        {"op": "\ud800", "after": {"id": 1}},
        {"op": ["c"], "after": {"id": 1}},
        {"schema": 1, "payload": {"schema": 1, "payload": {"op": "c", "after": [{"id": 1}]}}},
        {"op": "d", "before": {"id": None}},
    ],
)
def test_a_hostile_envelope_is_unreadable(envelope: dict[str, object]):
    content = json.dumps(envelope).encode()
    assert list(debezium.records(io.BytesIO(content), "cdc/a.jsonl", TABLES)) == [
        Record(1, content.decode(), change_log="")
    ]


def test_times_and_positions_out_of_range_are_absent():
    content = b'{"op":"c","after":{"id":1},"ts_ms":1e308,"source":{"ts_ms":1e999,"lsn":1e999}}'
    (found,) = debezium.records(io.BytesIO(content), "cdc/a.jsonl", TABLES)
    assert (found.activity_id, found.change_time_us, found.lsn) == (1, None, None)
    assert (found.change_position, found.change_id) == (None, None)


@pytest.mark.parametrize(
    "message",
    [
        {"source": {"connector": ["mysql"], "name": {}, "table": [], "pos": {}, "ts_ms": []}},
        {"source": {"connector": "mysql", "file": "1a" * 100_000, "pos": 4, "name": "\ud800"}},
        {"after": {"id": 1, "name": "\ud800", "laps": "\ud800"}, "before": "[" * 100_000},
        {"after": {"id": 1, "a.B": {"a.B": {"bytes": 5}}, "laps": {"array": {"array": []}}}},
        {"after": json.dumps({"id": {"$numberLong": "1"}, "x": {"$date": {"$date": []}}})},
    ],
)
def test_a_hostile_change_becomes_a_row_and_an_image(tmp_path: Path, message: dict[str, object]):
    line = json.dumps({"op": "c", "after": {"id": 1}, **message})
    put(tmp_path, "cdc/a.jsonl", f"{line}\n{line}".encode())
    # Both rows, so that Arrow has been able to hold whatever is in them.
    assert [(row["activity_id"], row["payload"]) for row in rows(tmp_path)] == [(1, line)] * 2
    assert json.loads(debezium.image(line).encode())["id"] in (1, "1")


@pytest.mark.parametrize("size", [1, 1000])
def test_names_of_other_tables_are_counted_in_bounded_memory(tmp_path: Path, size: int):
    lines = [json.dumps({"op": "t", "source": {"table": f"{n:0{size}}"}}) for n in range(1000)]
    put(tmp_path, "cdc/a.jsonl", "\n".join([*lines, "null"]).encode())
    new = discover(listing(tmp_path), ACTIVITIES, []).new
    day = date(2024, 6, 2)
    ((_, _, (ignored, _)),) = record_batches(tmp_path, new, "strava_activities", day, SETTINGS)
    assert ignored.total() == 1001
    assert len(ignored) <= landing.MAX_OTHER_TABLES + 1
    assert max(len(name) for name in ignored if name) <= landing.MAX_NAME


def test_a_schema_of_many_columns_is_looked_up_once():
    names = [f"f{number}" for number in range(20_000)]
    after = {"field": "after", "fields": [{"field": name, "name": "x"} for name in names]}
    payload = {"op": "c", "after": {"id": 1, **dict.fromkeys(names, 1)}}
    content = json.dumps({"schema": {"fields": [after]}, "payload": payload}).encode()
    (found,) = debezium.records(io.BytesIO(content), "cdc/a.jsonl", TABLES)
    # One after the other it would be half a minute.
    assert found.activity_id == 1


def export(content: bytes, **limits: int) -> list[Record]:
    path = "strava_export/athlete_id=5/activities.csv"
    return list(strava_export.records(io.BytesIO(content), path, {}, Limits(**limits)))


def test_a_row_of_100000_columns_is_unreadable_and_the_next_is_read():
    wide, good = export(b"Activity ID,x\n" + b"1," * 99_999 + b"\n2,y\n")
    assert wide == Record(2, "Activity ID,x\n" + "1," * 99_999)
    assert (good.line_number, good.activity_id, good.athlete_id) == (3, 2, 5)


def test_a_header_that_is_too_long_is_not_repeated_in_each_record():
    header = "Activity ID," + "x" * 100
    assert export(f"{header}\n1,a\n2,b".encode(), max_header_bytes=111) == [
        Record(1, header),
        Record(2, "1,a"),
        Record(3, "2,b"),
    ]
    found = export(f"{header}\n1,a\n2,b".encode(), max_header_bytes=112)
    assert [r.activity_id for r in found] == [1, 2]


def test_a_header_that_was_cut_makes_no_header_of_the_next_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record, "KEPT_BYTES", 4)
    content = b"Activity ID," + b"x" * 30 + b"\nActivity ID,x\n1,y"
    assert export(content, max_line_bytes=20) == [
        Record(1, "Acti"),
        Record(2, "Activity ID,x"),
        Record(3, "1,y"),
    ]


def test_a_field_that_never_closes_costs_only_its_line():
    rest = b"".join(b"%d,y\n" % n for n in range(2, 1002))
    opened, *after = export(b'Activity ID,x\n1,"' + b"z" * 200_000 + b"\n" + rest)
    assert opened == Record(2, 'Activity ID,x\n1,"' + "z" * 200_000)
    assert [r.activity_id for r in after] == list(range(2, 1002))


def test_a_record_over_several_lines_is_no_longer_than_a_line_may_be():
    content = b'Activity ID,x\n1,"' + b"\n".join([b"a" * 9] * 3) + b'"\n2,y'
    assert [r.activity_id for r in export(content, max_line_bytes=31)] == [1, 2]
    found = export(content, max_line_bytes=30)
    assert [(r.line_number, r.activity_id) for r in found] == [
        (2, None),
        (3, None),
        (4, None),
        (5, 2),
    ]


def test_open_quotes_are_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch):
    texts: list[str] = []
    read_csv = csv.reader

    def counting(given, **options):
        return read_csv((texts.append(text) or text for text in given), **options)

    monkeypatch.setattr(export_layouts.csv, "reader", counting)
    monkeypatch.setattr(strava_export, "_MAX_BYTES_AGAIN", 100_000)
    # Each of these lines leaves a quote open, whether one was open before or not.
    found = export(b"Activity ID,x\n" + b'a","b\n' * 10_000)
    assert [r.line_number for r in found] == list(range(2, 10_002))
    assert not any(r.activity_id for r in found)
    # The limit is 40 times 500 lines; without it there would be nearly 5,000,000.
    assert len(texts) < 50_000


@pytest.mark.parametrize(
    "folder",
    [
        "athlete_id=",
        "athlete_id=0",
        "athlete_id=-1",
        "athlete_id=1e3",
        "athlete_id=9223372036854775808",
        "athlete_id=" + "9" * 200,
        "athlete_id=\N{FULLWIDTH DIGIT ONE}",
        "athlete_id=1; DROP TABLE x",
        "athlete_id=1\n",
        "ATHLETE_ID=1",
    ],
)
def test_an_export_of_a_hostile_athlete_is_no_delivery(tmp_path: Path, folder: str):
    put(tmp_path, f"strava_export/{folder}/activities.csv", b"Activity ID\n1\n")
    put(tmp_path, "strava_api/b.jsonl")
    assert ids(tmp_path) == [7]
    assert len(unknown_files(listing(tmp_path))) == 1


@pytest.mark.parametrize(
    "name",
    [
        "with space.jsonl",
        'it\'s "quoted".jsonl',
        "line\nbreak.jsonl",
        "back\\slash\\n.jsonl",
        "100%25.jsonl",
        "$(reboot) `id`; --.jsonl",
        "\x1b[2J\r.jsonl",
        "\N{RIGHT-TO-LEFT OVERRIDE}lnosj.jsonl",
        "Läufe \N{RUNNER}.jsonl",
        # Digits, but no time.
        "\N{ARABIC-INDIC DIGIT TWO}024-06-01T06-00-00.jsonl",
        "9999-12-31T23-59-59-23-45.jsonl",
    ],
)
def test_a_name_survives_as_it_is(tmp_path: Path, name: str):
    put(tmp_path, f"strava_api/{name}")
    (row,) = rows(tmp_path)
    assert (row["source_path"], row["activity_id"]) == (f"strava_api/{name}", 7)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nwarning: all is well", "a\\nwarning: all is well"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}x", "\\u202ex"),
        ("Läufe \N{RUNNER}'\"", "Läufe \N{RUNNER}'\""),
    ],
)
def test_a_name_cannot_forge_a_line_of_the_log(tmp_path: Path, name: str, shown: str):
    put(tmp_path, f"strava_api/{name}")
    (told,) = unknown_files(listing(tmp_path))
    assert told == f"strava_api/{shown} is no delivery of a known kind and is ignored"
    put(tmp_path, f"strava_api/{name}.jsonl")
    found = discover(listing(tmp_path), ACTIVITIES, [], Limits(max_file_bytes=8)).refused
    assert found == (
        f"strava_api/{shown}.jsonl has 9 bytes, more than the 8 of landing_limits, and is skipped",
    )


def test_a_file_above_the_limit_is_told_and_not_read(tmp_path: Path):
    put(tmp_path, "strava_api/a.jsonl", GOOD + b"\n")
    put(tmp_path, "strava_api/b.jsonl")
    found = discover(listing(tmp_path), ACTIVITIES, [], Limits(max_file_bytes=9))
    assert [delivery.path for delivery in found.new] == ["strava_api/b.jsonl"]
    assert found.refused == (
        "strava_api/a.jsonl has 10 bytes, more than the 9 of landing_limits, and is skipped",
    )
    assert discover(listing(tmp_path), landing.SOURCES["athlete_settings"], []).refused == ()


def test_links_out_of_the_landing_zone_are_told_and_not_followed(tmp_path: Path):
    put(tmp_path, "outside/secret.jsonl")
    root = tmp_path / "landing"
    api = put(root, "strava_api/b.jsonl").parent
    (api / "file.jsonl").symlink_to(tmp_path / "outside" / "secret.jsonl")
    (api / "folder").symlink_to(tmp_path / "outside")
    (api / "relative.jsonl").symlink_to("../../outside/secret.jsonl")
    (api / "twice.jsonl").symlink_to(api / "file.jsonl")
    # The name of the landing zone is the beginning of another one's.
    put(tmp_path, "landing2/secret.jsonl")
    (api / "sibling.jsonl").symlink_to(tmp_path / "landing2" / "secret.jsonl")
    assert ids(root) == [7]
    assert refused_files(listing(root)) == [
        f"strava_api/{name} links out of the landing zone and is skipped"
        for name in ("file.jsonl", "folder", "relative.jsonl", "sibling.jsonl", "twice.jsonl")
    ]


def test_a_run_warns_of_all_that_it_leaves_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    root = tmp_path / "landing"
    api = put(root, "strava_api/large.jsonl", GOOD * 2).parent
    (api / "out.jsonl").symlink_to(tmp_path)
    put(root, "notes.txt")
    settings = SimpleNamespace(
        landing_limits=asdict(Limits(max_file_bytes=17)), for_recipes=lambda: SETTINGS
    )
    plan = SimpleNamespace(landing=root, listed=listing(root), window=None, settings=settings)
    job_run = SimpleNamespace(
        run_id="run-1",
        job=jobs.FEATURE_ACTIVITY,
        warehouse=MagicMock(),
        started_at=None,
    )
    done = Outcome(MagicMock())
    monkeypatch.setattr(execute.steps, "publish", lambda table, run, new_records: done)
    monkeypatch.setattr(execute, "_told", lambda entry: "done")
    execute._run_job(job_run, plan, {jobs.FEATURE_ACTIVITY: (strava_activities.TABLE,)}, {})
    # What is merely informed of depends on the level that others have set in this process.
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == [
        "notes.txt is no delivery of a known kind and is ignored",
        "strava_api/out.jsonl links out of the landing zone and is skipped",
        "strava_api/large.jsonl has 18 bytes, more than the 17 of landing_limits, and is skipped",
    ]


def test_links_inside_the_landing_zone_are_followed(tmp_path: Path):
    root = tmp_path / "landing"
    api = put(root, "strava_api/b.jsonl").parent
    (api / "again.jsonl").symlink_to("b.jsonl")
    # The landing zone itself may be a link to anywhere.
    (tmp_path / "link").symlink_to(root)
    for place in (root, tmp_path / "link"):
        assert [row["source_path"] for row in rows(place)] == [
            "strava_api/again.jsonl",
            "strava_api/b.jsonl",
        ]
        assert refused_files(listing(place)) == []


def test_a_link_added_later_renames_no_delivery(tmp_path: Path):
    put(tmp_path, "strava_api/real/b.jsonl")
    before = discover(listing(tmp_path), ACTIVITIES, []).new
    (tmp_path / "strava_api" / "a_link").symlink_to("real")
    (tmp_path / "cdc").symlink_to("strava_api")
    assert discover(listing(tmp_path), ACTIVITIES, before).new == ()


def test_links_in_a_circle_and_to_nothing_are_told(tmp_path: Path):
    api = put(tmp_path, "strava_api/b.jsonl").parent
    (api / "nothing.jsonl").symlink_to(tmp_path / "gone.jsonl")
    (api / "self.jsonl").symlink_to("self.jsonl")
    (api / "up").symlink_to("..")
    assert ids(tmp_path) == [7]
    nothing, circle = refused_files(listing(tmp_path))
    assert nothing == "strava_api/nothing.jsonl is a link to nothing and is skipped"
    assert circle.startswith("strava_api/self.jsonl ")
    assert circle.endswith(" and is skipped")


@pytest.mark.usefixtures("_impatient")
def test_pipes_and_sockets_are_told_and_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    api = put(tmp_path, "strava_api/b.jsonl").parent
    os.mkfifo(api / "pipe.jsonl")
    (api / "link.jsonl").symlink_to("pipe.jsonl")
    # The name of a socket is short, so that it has to be bound from where it is.
    monkeypatch.chdir(api)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jsonl")
        assert ids(tmp_path) == [7]
        assert refused_files(listing(tmp_path)) == [
            f"strava_api/{name} is neither a file nor a folder and is skipped"
            for name in ("link.jsonl", "pipe.jsonl", "socket.jsonl")
        ]


def test_a_device_is_not_opened():
    with pytest.raises(Refused, match="neither a file nor a folder"):
        open_file(Path("/dev"), "null")


@pytest.mark.usefixtures("_impatient")
def test_a_file_that_turns_into_a_pipe_or_a_link_is_not_waited_for(tmp_path: Path):
    file = put(tmp_path, "landing/strava_api/a.jsonl")
    root = tmp_path / "landing"
    new = discover(listing(root), ACTIVITIES, []).new
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(UsageError, match=r"a\.jsonl changed during the run, it is neither a file"):
        list(record_batches(root, new, "strava_activities", date(2024, 6, 2), {}))
    file.unlink()
    file.symlink_to(put(tmp_path, "secret.jsonl"))
    with pytest.raises(UsageError, match=r"a\.jsonl changed during the run, it links out"):
        list(record_batches(root, new, "strava_activities", date(2024, 6, 2), {}))


def test_a_file_and_a_folder_that_may_not_be_read_keep_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    put(tmp_path, "strava_api/a.jsonl")
    put(tmp_path, "strava_api/b.jsonl")
    put(tmp_path, "strava_api/closed/c.jsonl")
    # Permissions do not hold for every user that runs tests.
    really_open, really_scan = os.open, os.scandir

    def closed_file(path, *arguments, **options):
        if str(path).endswith("a.jsonl"):
            raise PermissionError(13, "Permission denied")
        return really_open(path, *arguments, **options)

    def closed_folder(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return really_scan(path)

    monkeypatch.setattr(os, "open", closed_file)
    monkeypatch.setattr(os, "scandir", closed_folder)
    assert ids(tmp_path) == [7]
    told = "cannot be read (Permission denied) and is skipped"
    assert discover(listing(tmp_path), ACTIVITIES, []).refused == (f"strava_api/a.jsonl {told}",)
    assert refused_files(listing(tmp_path)) == [f"strava_api/closed {told}"]


def test_a_time_that_no_table_can_hold_is_brought_into_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    put(tmp_path, "strava_api/b.jsonl")
    # Some file systems have 64 bits for seconds.
    real = os.fstat

    class Status:
        def __init__(self, given: os.stat_result) -> None:
            self.st_size, self.st_mode = given.st_size, given.st_mode
            self.st_mtime_ns = 2**62 * 1_000_000_000

    monkeypatch.setattr(os, "fstat", lambda descriptor: Status(real(descriptor)))
    (row,) = rows(tmp_path)
    # 9999-12-31T23:59:59.999999Z.
    assert row["change_time_us"] == 253_402_300_799_999_999


def test_a_name_that_is_no_text_is_no_delivery():
    assert source_of("strava_api/\udce4.jsonl") is None
