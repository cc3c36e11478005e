import io
import json

import pytest

from paceline.sources.gunzip import Damaged, Readable
from paceline.sources.record import Record
from paceline.sources.strava_api import records
from paceline.sources.utf16 import as_utf8

TEXT = "id,näme\r\n1,Läufe 🏃 跑步\r\n"
BOMS = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}


class Chunked:
    """A stream that gives few bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content, self._size = io.BytesIO(content), size

    def read(self, size: int, /) -> bytes:
        return self._content.read(self._size)


def all_of(stream: Readable) -> bytes:
    return b"".join(iter(lambda: stream.read(1), b""))


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("encoding", BOMS)
def test_utf_16_becomes_utf_8(encoding: str, size: int):
    stored = BOMS[encoding] + TEXT.encode(encoding)
    assert all_of(as_utf8(Chunked(stored, size))) == TEXT.encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"a", b"ab", TEXT.encode(), b"\xef\xbb\xbf1", b"\xfe\xfe\xff", b"\xff" * 9],
)
def test_everything_else_stays(content: bytes):
    assert all_of(as_utf8(Chunked(content, 1))) == content


def test_half_a_character_at_the_end_is_damage():
    stream = as_utf8(io.BytesIO(b"\xff\xfe" + "ab".encode("utf-16-le") + b"c"))
    assert stream.read(1) == b"ab"
    with pytest.raises(Damaged, match="truncated UTF-16 text"):
        stream.read(1)


@pytest.mark.parametrize("encoding", BOMS)
def test_half_a_pair_costs_its_line(encoding: str):
    half = "\ud83c".encode(encoding, "surrogatepass")
    lines = ['{"id":1}\n'.encode(encoding), half, '\n{"id":3}'.encode(encoding)]
    stored = BOMS[encoding] + b"".join(lines)
    first, spoiled, last = records(as_utf8(Chunked(stored, 5)), "strava_api/a.jsonl")
    assert (first.activity_id, last.activity_id) == (1, 3)
    # base64 of ED A0 BC, which is how UTF-8 would have half a pair if it could.
    assert spoiled == Record(2, "7aC8", is_base64=True)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.jsonl", '{"id":1,"name":"跑"}\r\n\r\n[{"id":2},{"id":3}]\r\n'),
        ("a.json", '{"id":1,"name":"ü"}\r\n{"id":2}\r\n{"id":3}'),
        ("a.json", json.dumps([{"id": 1, "name": "🏃"}, {"id": 2}, {"id": 3}], indent=1)),
    ],
)
def test_json_in_any_form_is_read(path: str, content: str, encoding: str):
    stored = BOMS.get(encoding, b"") * (encoding == "utf-16-be") + content.encode(encoding)
    found = records(as_utf8(io.BytesIO(stored)), f"strava_api/{path}")
    assert [record.activity_id for record in found] == [1, 2, 3]
