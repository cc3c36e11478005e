"""Gzip, read so that a damaged file still gives everything before the damage.

The standard library's reader discards what it decoded together with the faulty bytes, and how much
that is depends on the Python version; what lands in bronze must not.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from paceline.sources.limits import DEFAULTS

_GZIP_WBITS = 31
# Deflate expands at most about 1,000 times, so this also bounds a decompressed chunk to 16 MB.
STORED_CHUNK_BYTES = 16 * 1024


class Readable(Protocol):
    """Anything with a `read` that returns no bytes only at the end."""

    def read(self, size: int, /) -> bytes:
        """Return up to about `size` bytes, and none at the end."""


class Damaged(Exception):
    """A stream is truncated, corrupt or too large; all before that was handed out."""


class Chunks:
    """A stream of chunks as they come, none of which may be empty."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, size: int, /) -> bytes:
        """Return the next chunk, `size` being ignored, and no bytes at the end."""
        return next(self._chunks, b"")


class Gunzip(Chunks):
    """A decompressed view of a gzip stream, which may have several members.

    Reading raises Damaged where the stream breaks off, is corrupt or passes the limit.
    """

    def __init__(
        self,
        stored: Readable,
        max_bytes: int = DEFAULTS.max_expanded_bytes,
        name: str = "gzip stream",
    ) -> None:
        """Read from `stored`, which stays the caller's to close, and give at most `max_bytes`.

        The name is that of the stream in what is said of a fault.
        """
        super().__init__(bounded(_decompressed(stored, name), max_bytes, name))


def bounded(chunks: Iterator[bytes], max_bytes: int, name: str) -> Iterator[bytes]:
    """Yield the chunks; raise Damaged where they have more than `max_bytes`."""
    left = max_bytes
    for chunk in chunks:
        if len(chunk) > left:
            if left:
                yield chunk[:left]
            raise Damaged(f"{name} of more than {max_bytes} bytes")
        left -= len(chunk)
        yield chunk


def _decompressed(stored: Readable, name: str) -> Iterator[bytes]:
    member: zlib._Decompress | None = None
    members = 0
    while data := stored.read(STORED_CHUNK_BYTES):
        while data:
            if member is None:
                # Zeros may follow a member: padding to a block of the medium it was written to.
                data = data.lstrip(b"\0") if members else data
                if not data:
                    break
                member = zlib.decompressobj(_GZIP_WBITS)
            before = member.copy()
            try:
                chunk = member.decompress(data)
            except zlib.error:
                yield from _until_fault(before, data)
                raise Damaged(f"corrupt {name}") from None
            if chunk:
                yield chunk
            data = member.unused_data
            if member.eof:
                member, members = None, members + 1
    if member is not None or not members:
        raise Damaged(f"truncated {name}")


def _until_fault(member: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """Decompress byte by byte, which gives all that comes before the faulty one."""
    for at in range(len(data)):
        try:
            chunk = member.decompress(data[at : at + 1])
        except zlib.error:
            return
        if chunk:
            yield chunk
