"""Files of the landing zone: what they are, and which of them are new.

The first directory of a path says the kind of source. A delivery is a file with certain
content: the same path and digest again is not a new one, whatever its modification time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath

from paceline.errors import UsageError
from paceline.sources import SOURCES
from paceline.sources.files import Listing, Refused, as_text, open_file, shown
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import folder_athlete_id
from paceline.sources.source import Source

# The years 1 to 9999: a file system may hold times that no table can.
_LEAST_MTIME_US, _GREATEST_MTIME_US = -62_135_596_800_000_000, 253_402_300_799_999_999


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file of the landing zone with the content it had when it was looked at.

    path: relative to the landing zone, with `/`. size: stored bytes. mtime_us: modification time
    in microseconds since 1970. digest: SHA-256 of the stored bytes (compressed ones, for `.gz`)
    in hexadecimal.
    """

    path: str
    size: int
    mtime_us: int
    digest: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at the landing zone gave, in the order of the paths.

    new: to be read. seen_again: delivered before and not to be read, but with a size or time that
    is worth remembering, so that the file need not be opened next time. unchanged: the number of
    files that were recognised without opening them. refused: for each file of the wanted sources
    that is too large or cannot be opened, a sentence that says so; nothing of it is read.
    """

    new: tuple[Delivery, ...]
    seen_again: tuple[Delivery, ...]
    unchanged: int
    refused: tuple[str, ...] = ()


def source_of(path: str) -> str | None:
    """Return the source of a path relative to the landing zone, None if it fits no pattern."""
    source = _alike(path)
    return source.name if source and _has_athlete(path, source) else None


def _alike(path: str) -> Source | None:
    """The source whose files are called so, wherever the athlete's folder may be."""
    parts = PurePosixPath(path).parts
    is_text = path.isascii() or "\ufffd" not in as_text(path)
    if len(parts) < 2 or not is_text or any(part.startswith((".", "_")) for part in parts):
        return None
    for source in SOURCES:
        is_file = path.lower().removesuffix(".gz").endswith(source.suffixes)
        is_archive = source.zipped is not None and path.lower().endswith(".zip")
        if parts[0] == source.folder and (is_file or is_archive):
            return source
    return None


def _has_athlete(path: str, source: Source) -> bool:
    """Whether a folder names the athlete, where the source needs that."""
    parts = PurePosixPath(path).parts
    is_named = len(parts) > 2 and folder_athlete_id("/".join(parts[1:3])) is not None
    return is_named or not source.needs_athlete


def unknown_files(listed: Listing) -> list[str]:
    """Return a sentence for each file that fits no pattern and will be ignored.

    Names that start with `.` or `_` are not reported.
    """
    sentences = []
    for path in listed.paths:
        source = _alike(path)
        if source is None:
            sentences.append(f"{shown(path)} is no delivery of a known kind and is ignored")
        elif not _has_athlete(path, source):
            sentences.append(
                f"{shown(path)} is ignored, as no folder says whose it is: "
                f"put it into {source.folder}/athlete_id=<id>/"
            )
    return sentences


def refused_files(listed: Listing) -> list[str]:
    """Return a sentence for each thing that is left alone because it is not safe to open.

    These are links out of the landing zone or to nothing, pipes, sockets and devices, and folders
    that cannot be read.
    """
    return [f"{shown(path)} {why} and is skipped" for path, why in listed.refused.items()]


def has_deliveries(listed: Listing) -> bool:
    """Return whether the landing zone holds any file that fits a pattern."""
    return any(source_of(path) is not None for path in listed.paths)


def discover(
    listed: Listing,
    sources: Collection[str],
    known: Iterable[Delivery],
    limits: Limits = DEFAULTS,
) -> Found:
    """Look for files of the wanted sources that were not delivered before.

    A file with path, size and modification time of a known delivery is not read; another one is
    new unless path and digest are those of a known delivery. A file that is too large or cannot be
    opened is refused, and keeps no other from being found. Raises UsageError when a file vanishes.
    """
    stats: set[tuple[str, int, int]] = set()
    contents: set[tuple[str, str]] = set()
    for delivery in known:
        stats.add((delivery.path, delivery.size, delivery.mtime_us))
        contents.add((delivery.path, delivery.digest))
    new: list[Delivery] = []
    seen_again: list[Delivery] = []
    refused: list[str] = []
    unchanged = 0
    for path in listed.paths:
        if source_of(path) not in sources:
            continue
        try:
            with _opened(listed.root, path) as stored:
                size, mtime_us = _stat(stored)
                if (path, size, mtime_us) in stats:
                    unchanged += 1
                    continue
                _refuse_large(size, limits)
                delivery = Delivery(path, size, mtime_us, _digest(stored))
        except Refused as reason:
            refused.append(f"{shown(path)} {reason} and is skipped")
            continue
        (seen_again if (path, delivery.digest) in contents else new).append(delivery)
    return Found(tuple(new), tuple(seen_again), unchanged, tuple(refused))


@contextmanager
def _opened(root: Path, path: str) -> Iterator[BufferedReader]:
    try:
        stored = open_file(root, path)
    except FileNotFoundError:
        raise UsageError(
            f"The landing file {shown(path)} vanished during the run: put it back and run again."
        ) from None
    with stored:
        yield stored


@contextmanager
def reopened(root: Path, path: str) -> Iterator[BufferedReader]:
    """Open a file that could be opened before, when it was discovered."""
    try:
        with _opened(root, path) as stored:
            yield stored
    except Refused as reason:
        raise UsageError(
            f"The landing file {shown(path)} changed during the run, it {reason}: run again."
        ) from None


def _stat(stored: BufferedReader) -> tuple[int, int]:
    """Return size and modification time in microseconds."""
    status = os.fstat(stored.fileno())
    mtime_us = min(max(status.st_mtime_ns // 1000, _LEAST_MTIME_US), _GREATEST_MTIME_US)
    return status.st_size, mtime_us


def _refuse_large(size: int, limits: Limits) -> None:
    if size > limits.max_file_bytes:
        raise Refused(f"has {size} bytes, more than the {limits.max_file_bytes} of landing_limits,")


def _digest(stored: BufferedReader) -> str:
    return hashlib.file_digest(stored, "sha256").hexdigest()


def refuse_changed(stored: BufferedReader, delivery: Delivery) -> None:
    """Raises UsageError when a file is no longer what was discovered."""
    if _stat(stored) != (delivery.size, delivery.mtime_us):
        raise UsageError(
            f"The landing file {shown(delivery.path)} changed during the run: "
            "run again when it has been written completely."
        )
