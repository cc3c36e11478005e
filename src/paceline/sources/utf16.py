"""Texts in UTF-16, as Excel and PowerShell write them, read as UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from paceline.sources.gunzip import Chunks, Damaged, Readable

_CHUNK_BYTES = 64 * 1024
_ENCODINGS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def as_utf8(stream: Readable) -> Readable:
    """Return a stream in UTF-8 of one that begins with a byte order mark of UTF-16.

    Any other stream stays as it is. Half a surrogate pair becomes bytes that are not UTF-8, so that
    it costs only the line that it stands in. Reading raises Damaged where half a character is left.
    """
    return Chunks(_recoded(stream))


def _recoded(stream: Readable) -> Iterator[bytes]:
    head = b""
    while len(head) < 2 and (chunk := stream.read(_CHUNK_BYTES)):
        head += chunk
    encoding = _ENCODINGS.get(head[:2])
    if encoding is None:
        if head:
            yield head
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
        return
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    chunk = head[2:]
    while chunk or (chunk := stream.read(_CHUNK_BYTES)):
        if text := decoder.decode(chunk):
            yield text.encode("utf-8", "surrogatepass")
        chunk = b""
    left, _ = decoder.getstate()
    if left:
        raise Damaged("truncated UTF-16 text")
