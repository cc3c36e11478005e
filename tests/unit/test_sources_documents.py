"""JSON values of a file: one a line, a page a line, or in one document."""

import gzip
import io

import pytest

from paceline.sources import documents
from paceline.sources.documents import json_values, objects
from paceline.sources.gunzip import Damaged, Gunzip, Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import IGNORED, NOT_JSON, Ignored, Record

LINES, DOCUMENT = "cdc/a.jsonl", "cdc/a.json"
BOM = b"\xef\xbb\xbf"
NONE = "no JSON"
# A value: its number, its text, and what it is.
Value = tuple[int, str, object]


class Drops:
    """A stream that gives a few bytes at a time, whatever is asked for."""

    def __init__(self, content: bytes, size: int) -> None:
        self._stream, self._size = io.BytesIO(content), size

    def read(self, size: int, /) -> bytes:
        return self._stream.read(self._size)


def read_from(
    stream: Readable, path: str = DOCUMENT, limits: Limits = DEFAULTS
) -> list[Value | str]:
    values: list[Value] = []

    def read(number: int, raw: bytes, value: object) -> Ignored:
        values.append((number, raw.decode(), NONE if value is NOT_JSON else value))
        return Ignored(str(len(values) - 1))

    found = json_values(stream, path, read, limits)
    return [
        (one.line_number, one.payload)
        if isinstance(one, Record)
        else values[int(one.other_table)]
        if one.other_table
        else "ignored"
        for one in found
    ]


def read(content: str | bytes, path: str = DOCUMENT, **limits: int) -> list[Value | str]:
    raw = content.encode() if isinstance(content, str) else content
    return read_from(io.BytesIO(raw), path, Limits(**limits))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a":1}\n{"b":2}\n', [(1, '{"a":1}', {"a": 1}), (2, '{"b":2}', {"b": 2})]),
        ('\n \r\n{"a":1}\r\n\n7', [(3, '{"a":1}', {"a": 1}), (5, "7", 7)]),
        # From the first line on that is none, as in a file of lines.
        ('{"a":1}\nx\n[2]', [(1, '{"a":1}', {"a": 1}), (2, "x", NONE), (3, "2", 2)]),
        ("null\nnull", [(1, "null", None), (2, "null", None)]),
        ("7 \t\r\n8", [(1, "7 \t", 7), (2, "8", 8)]),
        # A page a line: each element has a number of its own, at least that of its line.
        ("[1,2]\n[3]\n\n4", [(1, "1", 1), (2, "2", 2), (3, "3", 3), (4, "4", 4)]),
        ("[1,2,3]\n4\n\n\n[5, 6 ]", [*((n, str(n), n) for n in range(1, 7))]),
        ("\n\n[1]\n\n[2]", [(3, "1", 1), (5, "2", 2)]),
        ('[ {"a": 1.50} , [2] ]', [(1, '{"a": 1.50}', {"a": 1.5}), (2, "[2]", [2])]),
        ("[]\n[1]\n[ ]", ["ignored", (2, "1", 1), "ignored"]),
    ],
)
@pytest.mark.parametrize("path", [LINES, DOCUMENT, "cdc/a.jsonl.gz", "cdc/a.json.gz"])
def test_lines_are_read_whatever_the_file_is_called(
    path: str, content: str, expected: list[Value | str]
):
    for text in (content, f"\ufeff{content}"):
        assert read(text, path) == expected
    for size in (1, 2, 3, 7):
        assert read_from(Drops(BOM + content.encode(), size), path) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", []),
        (" \n\r\n", []),
        ("7", [(1, "7", 7)]),
        ('{\n"a": 1\n}\n', [(1, '{\n"a": 1\n}', {"a": 1})]),
        ("[\n1,\n2\n]\n", [(1, "1", 1), (2, "2", 2)]),
        ("[1,\n2]", [(1, "1", 1), (2, "2", 2)]),
        ("\n\n[1,\n\n2]", [(1, "1", 1), (2, "2", 2)]),
        ("[\n]", []),
        ("[\n[\n1],[]]", [(1, "[\n1]", [1]), (2, "[]", [])]),
        # What comes after a fault is one piece.
        ("[1,\n2", [(1, "1", 1), (2, "2", 2)]),
        ("[1,\nx,2]", [(1, "1", 1), (2, "x,2]", NONE)]),
        ("{\n}\n{}", [(1, "{\n}", {}), (2, "{}", NONE)]),
        ("x\n1", [(1, "x\n1", NONE)]),
        ("1 2\n3", [(1, "1", 1), (2, "2\n3", NONE)]),
    ],
)
def test_what_does_not_begin_with_a_line_of_its_own_is_a_document(
    content: str, expected: list[Value]
):
    for text in (content, f"\ufeff{content}"):
        assert read(text) == expected
    for size in (1, 2, 3, 7):
        assert read_from(Drops(BOM + content.encode(), size)) == expected


def test_bytes_that_are_not_utf8_spoil_only_their_line_or_element():
    def read_bytes(content: bytes, path: str) -> list[tuple[int, bytes, bool]]:
        found: list[tuple[int, bytes, bool]] = []
        read = lambda n, raw, value: found.append((n, raw, value is NOT_JSON)) or IGNORED  # noqa: E731
        list(json_values(io.BytesIO(content), path, read))
        return found

    expected = [(1, b"1", False), (2, b'"\xe4"', True), (3, b"3", False)]
    assert read_bytes(b'1\n"\xe4"\n3', LINES) == expected
    assert read_bytes(b'1\n"\xe4"\n3', DOCUMENT) == expected
    assert read_bytes(b'[1,\n"\xe4",3]', DOCUMENT) == expected
    # Nor does it make a page of what is no text.
    assert read_bytes(b'[1,"\xe4",3]', LINES) == [(1, b'[1,"\xe4",3]', True)]
    assert read_bytes(b'[1,"\xe4",3]', DOCUMENT) == expected


def test_the_elements_of_pages_are_limited():
    expected = [(1, "1", 1), (2, "2", 2), (3, "document of more than 2 elements")]
    for path in (LINES, DOCUMENT):
        assert read("[1,2,3]", path, max_lines=2) == expected
        assert read("[1,2]\n[3]", path, max_lines=3) == [(1, "1", 1), (2, "2", 2), (3, "3", 3)]
        assert read("1\n[2,3]\n4", path, max_lines=2) == [(1, "1", 1), expected[1], expected[2]]
    assert read("[1,\n2,3]", max_lines=2) == expected


def test_a_line_that_is_too_long_for_a_line_may_be_a_document():
    assert read("[1,2]\n3", max_line_bytes=5) == [(1, "1", 1), (2, "2", 2), (3, "3", 3)]
    assert read("[1,2]\n3", max_line_bytes=4) == [(1, "1", 1), (2, "2", 2), (3, "3", NONE)]
    assert read("[1,2]", max_line_bytes=4) == [(1, "1", 1), (2, "2", 2)]
    assert read("[1,2]", LINES, max_line_bytes=4) == [(1, "[1,2", NONE)]
    # And no longer than a document may be.
    fault = (3, "document of more than 4 bytes")
    assert read("[1,2]", max_document_bytes=4) == [(1, "1", 1), (2, "2", 2), fault]
    assert read("7\n" * 9, max_document_bytes=4) == [(n, "7", 7) for n in range(1, 10)]


def test_depth_is_limited_in_lines_and_documents():
    assert read("[[1]]\n[[[1]]]", LINES, max_json_depth=2) == [
        (1, "[1]", [1]),
        (2, "[[[1]]]", NONE),
    ]
    assert read("[\n[[1]],[[[1]]]]", max_json_depth=2) == [
        (1, "[[1]]", [[1]]),
        (2, "[[[1]]]]", NONE),
    ]
    deep = "[" * 100_000
    assert read(f"1\n{deep}\n2", LINES) == [(1, "1", 1), (2, deep, NONE), (3, "2", 2)]
    assert read(deep) == [(1, deep[1:], NONE)]


@pytest.mark.parametrize("kept", [0, 5, 15])
def test_damage_before_the_end_of_the_first_line_is_told_once(kept: int):
    # Stored and not compressed: ten bytes of header, five of a block, then the text as it is.
    stored = gzip.compress(b'[{"id":1},{"id":2}]\n', compresslevel=0)[: 15 + kept]
    found = read_from(Gunzip(io.BytesIO(stored)), "cdc/a.json.gz")
    assert found[-1] == (len(found), "truncated gzip stream")
    assert [one[1] for one in found[:-1]] == (['{"id":1}'] if kept == 15 else [])


def test_damage_after_the_first_line_leaves_the_lines_before():
    stored = gzip.compress(b"1\n2\n3\n", compresslevel=0)[: 15 + 5]
    found = read_from(Gunzip(io.BytesIO(stored)), "cdc/a.json.gz")
    assert found == [(1, "1", 1), (2, "2", 2), (3, "truncated gzip stream", NONE)]


def test_the_first_line_is_read_no_further_than_it_may_be_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(documents, "CHUNK_BYTES", 4)
    asked: list[int] = []

    class Endless:
        def read(self, size: int, /) -> bytes:
            asked.append(size)
            return b" " * size

    documents._Peeked(Endless(), 100)
    assert sum(asked) == 104


def test_what_was_peeked_at_is_read_once():
    class Broken:
        """Two chunks, and then a fault each time."""

        def __init__(self) -> None:
            self._chunks = [b"7", b" "]

        def read(self, size: int, /) -> bytes:
            if not self._chunks:
                raise Damaged("x")
            return self._chunks.pop(0)

    peeked = documents._Peeked(Broken(), 100)
    assert peeked.starts_with_value(DEFAULTS)
    assert peeked.read(1) == b"7 "
    for _ in range(2):
        with pytest.raises(Damaged):
            peeked.read(1)


def test_objects_are_read_and_anything_else_is_unreadable():
    reader = objects(lambda number, text, value: Record(number, text, activity_id=value["id"]))
    assert reader(1, b'{"id":7}', {"id": 7}) == Record(1, '{"id":7}', activity_id=7)
    for value in ([], 7, None, NOT_JSON):
        assert reader(2, b"x", value) == Record(2, "x")
    assert reader(3, b"\xe4", NOT_JSON) == Record(3, "5A==", is_base64=True)
