"""One file of a zip archive, found and read with bounded memory.

Nothing is unpacked: a path of the archive only tells which of its files is meant. The standard
library's reader holds the whole directory of an archive in memory, and what it refuses depends on
the Python version. Format: https://support.pkware.com/pkzip/appnote
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from paceline.sources.gunzip import (
    STORED_CHUNK_BYTES,
    Chunks,
    Damaged,
    Gunzip,
    Readable,
    bounded,
)
from paceline.sources.limits import DEFAULTS, Limits

_MEMBER = "zip member"  # in what is said of a fault
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x2041  # the file in one of two ways, or the directory
_IN_EXTRA = 0xFFFFFFFF  # the number stands where zip64 has it

# Of each: its signature, and what stands after it.
_END, _END_SIGNATURE = struct.Struct("<4s4H2LH"), b"PK\x05\x06"
_LOCATOR, _LOCATOR_SIGNATURE = struct.Struct("<4sLQL"), b"PK\x06\x07"
_END_64, _END_64_SIGNATURE = struct.Struct("<4sQ2H2L4Q"), b"PK\x06\x06"
_ENTRY, _ENTRY_SIGNATURE = struct.Struct("<4s6H3L5H2L"), b"PK\x01\x02"
_LOCAL, _LOCAL_SIGNATURE = struct.Struct("<4s5H3L2H"), b"PK\x03\x04"
_LONGEST_COMMENT = 65_535
_FROM_END = 2
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


class Seekable(Readable, Protocol):
    """A file that is read at any place; `read` falls short of the size only at its end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place, counted from the start or, for 2, from the end, and return where it is."""


class UnusableZip(Exception):
    """Nothing of an archive is read; the text completes a sentence after its path."""


class _Entry(NamedTuple):
    """A line of the archive's directory: where its file is, and how many bytes it has."""

    name: bytes
    flags: int
    method: int
    crc: int
    stored_size: int
    size: int
    offset: int


def unzipped(stored: Seekable, name: str, limits: Limits = DEFAULTS) -> Readable:
    """Return the content of the file with this name in the archive that is nearest to its root.

    Files in hidden folders, or in such as `__MACOSX`, do not count. Reading raises Damaged where
    the content breaks off, is corrupt or passes a limit. Raises UnusableZip when the archive cannot
    be read, or when there is no such file or more than one.
    """
    try:
        begin, end = _directory(stored)
        entry = _nearest(_entries(stored, begin, end, limits), name)
        at = _content_at(stored, entry, begin)
    except (_Broken, struct.error):
        raise UnusableZip("is a damaged or incomplete zip archive: fetch it again") from None
    stored.seek(at)
    max_bytes = min(limits.max_expanded_bytes, limits.max_zip_ratio * entry.stored_size)
    if entry.method == _STORED:
        return Chunks(bounded(_verified(stored, entry), max_bytes, _MEMBER))
    return Gunzip(Chunks(_as_gzip(stored, entry)), max_bytes, _MEMBER)


class _Broken(Exception):
    """The archive contradicts itself."""


def _directory(stored: Seekable) -> tuple[int, int]:
    """Where the directory of the archive begins and ends, which the end of the archive says."""
    size = stored.seek(0, _FROM_END)
    tail_at = max(size - _END.size - _LONGEST_COMMENT - _LOCATOR.size, 0)
    stored.seek(tail_at)
    tail = stored.read(size - tail_at)
    at = _end_at(tail)
    if at < 0:
        raise _Broken
    length, begin = _END.unpack_from(tail, at)[5:7]
    limit = tail_at + at
    if at >= _LOCATOR.size and tail.startswith(_LOCATOR_SIGNATURE, at - _LOCATOR.size):
        limit = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)[2]
        if limit > size:
            raise _Broken
        stored.seek(limit)
        signature, *_, length, begin = _END_64.unpack(stored.read(_END_64.size))
        if signature != _END_64_SIGNATURE:
            raise _Broken
    if begin + length > limit:
        raise _Broken
    return begin, begin + length


def _end_at(tail: bytes) -> int:
    """Where the end of the archive says what is in it; -1 if nowhere.

    The comment after it may hold the same letters, but does not end where the archive does.
    """
    last = at = tail.rfind(_END_SIGNATURE)
    while at >= 0:
        is_whole = at + _END.size <= len(tail)
        if is_whole and at + _END.size + _END.unpack_from(tail, at)[7] == len(tail):
            return at
        at = tail.rfind(_END_SIGNATURE, 0, at)
    return last


def _entries(stored: Seekable, begin: int, end: int, limits: Limits) -> Iterator[_Entry]:
    stored.seek(begin)
    at, count = begin, 0
    while at < end:
        count += 1
        if count > limits.max_zip_members:
            raise UnusableZip(
                f"has more than the {limits.max_zip_members} files of landing_limits, and nothing "
                "of it is read: raise max_zip_members, or unpack it"
            )
        fixed = _ENTRY.unpack(stored.read(_ENTRY.size))
        signature, _, _, flags, method, _, _, crc, *sizes = fixed[:10]
        name_size, extra_size, comment_size = fixed[10:13]
        at += _ENTRY.size + name_size + extra_size + comment_size
        if signature != _ENTRY_SIGNATURE or at > end:
            raise _Broken
        name, extra = stored.read(name_size), stored.read(extra_size)
        stored.read(comment_size)
        numbers = [sizes[1], sizes[0], fixed[-1]]
        size, stored_size, offset = _from_extra(numbers, extra) if _IN_EXTRA in numbers else numbers
        yield _Entry(name, flags, method, crc, stored_size, size, offset)


def _from_extra(numbers: list[int], extra: bytes) -> list[int]:
    """The numbers, those that do not fit into 32 bits from the field of zip64, in this order."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            long = iter(struct.unpack_from(f"<{numbers.count(_IN_EXTRA)}Q", extra, 4))
            return [next(long) if number == _IN_EXTRA else number for number in numbers]
        extra = extra[4 + length :]
    raise _Broken


def _nearest(entries: Iterator[_Entry], name: str) -> _Entry:
    """The only entry of this name with the fewest folders before it."""
    found: _Entry | None = None
    least = count = 0
    for entry in entries:
        *folders, last = entry.name.replace(b"\\", b"/").split(b"/")
        folders = [folder for folder in folders if folder not in (b"", b".")]
        if last != name.encode() or any(folder.startswith((b".", b"_")) for folder in folders):
            continue
        if found is None or len(folders) < least:
            found, least, count = entry, len(folders), 0
        count += len(folders) == least
    if found is None:
        raise UnusableZip(
            f"holds no {name}: put the archive there as Strava made it, or the {name} of it"
        )
    if count > 1:
        raise UnusableZip(
            f"holds {count} files {name} in folders of the same depth, and which of them counts is "
            "unknown: put them there one by one"
        )
    if found.flags & _ENCRYPTED:
        raise UnusableZip(f"holds an encrypted {name}: unpack it with its password")
    if found.method not in (_STORED, _DEFLATED):
        raise UnusableZip(
            f"holds {name} compressed by method {found.method}, which is not read: unpack it"
        )
    return found


def _content_at(stored: Seekable, entry: _Entry, limit: int) -> int:
    """Where the content of a file begins; all of it has to lie before the directory."""
    if entry.offset > limit:
        raise _Broken
    stored.seek(entry.offset)
    signature, *_, name_size, extra_size = _LOCAL.unpack(stored.read(_LOCAL.size))
    at = entry.offset + _LOCAL.size + name_size + extra_size
    if signature != _LOCAL_SIGNATURE or at + entry.stored_size > limit:
        raise _Broken
    return int(at)


def _as_stored(stored: Seekable, size: int) -> Iterator[bytes]:
    while size and (chunk := stored.read(min(size, STORED_CHUNK_BYTES))):
        yield chunk
        size -= len(chunk)


def _verified(stored: Seekable, entry: _Entry) -> Iterator[bytes]:
    """The bytes of a file that is not compressed; Damaged when they are not those packed."""
    crc = 0
    for chunk in _as_stored(stored, entry.stored_size):
        crc = zlib.crc32(chunk, crc)
        yield chunk
    if crc != entry.crc:
        raise Damaged(f"corrupt {_MEMBER}")


def _as_gzip(stored: Seekable, entry: _Entry) -> Iterator[bytes]:
    """The same compressed bytes between what gzip has around them, to be read by `Gunzip`."""
    yield _GZIP_HEADER
    yield from _as_stored(stored, entry.stored_size)
    yield struct.pack("<2L", entry.crc, entry.size & 0xFFFFFFFF)
