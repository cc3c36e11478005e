"""The landing zone: which files are new, and their records as Arrow batches.

The first directory of a path says the kind of source. A delivery is a file with certain content:
the same path and digest again is not a new one, whatever its modification time.
"""

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import BufferedReader
from pathlib import Path, PurePosixPath

import pyarrow as pa

from paceline.errors import UsageError
from paceline.sources import athlete_settings, debezium, strava_api, strava_export
from paceline.sources.files import Refused, as_text, listing, open_file, shown
from paceline.sources.gunzip import Gunzip, Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import Record, folder_athlete_id, parse_instant_us

MAX_BATCH_RECORDS = 50_000
MAX_BATCH_BYTES = 64_000_000
"""Of payload; a single record that is larger has a batch of its own."""

_HEAD = [
    ("source_path", pa.string()),
    ("source_digest", pa.string()),
    ("line_number", pa.int64()),
    ("payload", pa.string()),
    ("is_base64", pa.bool_()),
    ("source", pa.string()),
    ("op", pa.string()),
    ("athlete_id", pa.int64()),
]
_TAIL = [("change_time_us", pa.int64()), ("lsn", pa.int64()), ("ingest_date", pa.date32())]

SCHEMAS: Mapping[str, pa.Schema] = {
    "strava_activities": pa.schema([*_HEAD, ("activity_id", pa.int64()), *_TAIL]),
    "athlete_settings": pa.schema([*_HEAD, ("valid_from", pa.date32()), *_TAIL]),
}
"""Bronze table -> the columns of its batches."""

SOURCES: Mapping[str, frozenset[str]] = {
    "strava_activities": frozenset({"strava_api", "strava_export", "debezium"}),
    "athlete_settings": frozenset({"athlete_settings"}),
}
"""Bronze table -> the sources that feed it."""

_EXTENSIONS = {
    "strava_api": (".jsonl", ".json"),
    "cdc": (".jsonl",),
    "athlete_settings": (".jsonl",),
}
_NAME_TIME = re.compile(
    r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})T(\d{2})[-:_]?(\d{2})[-:_]?(\d{2})(?:[.,](\d+))?(?!\d)"
    # After a minus only hours and minutes apart are an offset; digits alone there number a part.
    r"(?:(Z)|([+])(\d{2})(?:[-:_]?(\d{2}))?(?!\d)|(-)(\d{2})[-:_](00|15|30|45)(?!\d))?"
)
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
    parts = PurePosixPath(path).parts
    is_text = path.isascii() or "\ufffd" not in as_text(path)
    if len(parts) < 2 or not is_text or any(part.startswith((".", "_")) for part in parts):
        return None
    kind, name = parts[0], parts[-1].removesuffix(".gz")
    if kind == "strava_export":
        is_export = len(parts) > 2 and folder_athlete_id("/".join(parts[1:3])) is not None
        return kind if is_export and name == "activities.csv" else None
    if not name.endswith(_EXTENSIONS.get(kind, ())):
        return None
    return "debezium" if kind == "cdc" else kind


def unknown_files(root: Path) -> list[str]:
    """Return the paths, relative to the landing zone, that fit no pattern and will be ignored.

    Names that start with `.` or `_` are not reported. Raises UsageError as `discover` does.
    """
    return [shown(path) for path in listing(root).paths if source_of(path) is None]


def refused_files(root: Path) -> list[str]:
    """Return a sentence for each thing that is left alone because it is not safe to open.

    These are links out of the landing zone or to nothing, pipes, sockets and devices, and folders
    that cannot be read. Raises UsageError as `discover` does.
    """
    return [f"{shown(path)} {why} and is skipped" for path, why in listing(root).refused.items()]


def has_deliveries(root: Path) -> bool:
    """Return whether the landing zone holds any file that fits a pattern.

    Raises UsageError as `discover` does.
    """
    return any(source_of(path) is not None for path in listing(root).paths)


def discover(
    root: Path,
    sources: Collection[str],
    known: Iterable[Delivery],
    limits: Limits = DEFAULTS,
) -> Found:
    """Look for files of the wanted sources that were not delivered before.

    A file with path, size and modification time of a known delivery is not read; another one is
    new unless path and digest are those of a known delivery. A file that is too large or cannot be
    opened is refused, and keeps no other from being found. Raises UsageError when the landing
    directory is missing or cannot be read, and when a file vanishes.
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
    for path in listing(root).paths:
        if source_of(path) not in sources:
            continue
        try:
            with _opened(root, path) as stored:
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


def record_batches(
    root: Path,
    deliveries: Iterable[Delivery],
    table: str,
    ingest_date: date,
    localised: strava_export.Languages,
    limits: Limits = DEFAULTS,
) -> Iterator[tuple[Delivery, pa.RecordBatch, int]]:
    """Yield the records of the deliveries for a bronze table, as batches with its schema.

    Each delivery has at least one batch, which is empty if it has no record, and no batch holds
    records of two; so the rows of its batches are the delivery's count of records. With each batch
    comes the number of lines that were ignored on the way to it, which are no records. Memory is
    bounded by `MAX_BATCH_RECORDS`, `MAX_BATCH_BYTES` and the limits, whatever a file holds.

    change_time_us is the record's own, else the time in the file's name, else the file's
    modification time. Raises UsageError, possibly after the last batch of a delivery, when its
    file is gone, can no longer be opened or is no longer what was discovered: nothing of it may
    then be kept.
    """
    for delivery in deliveries:
        source = source_of(delivery.path)
        if source not in SOURCES[table]:
            raise ValueError(f"{delivery.path} does not feed {table}")
        constants = {
            "source_path": delivery.path,
            "source_digest": delivery.digest,
            "source": source,
            "ingest_date": ingest_date,
        }
        default_us = _name_time_us(delivery.path)
        if default_us is None:
            default_us = delivery.mtime_us
        with _reopened(root, delivery.path) as stored:
            _refuse_changed(stored, delivery)
            for records, ignored in _bounded(_records(stored, delivery.path, localised, limits)):
                yield delivery, _batch(records, SCHEMAS[table], constants, default_us), ignored
            _refuse_changed(stored, delivery)


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
def _reopened(root: Path, path: str) -> Iterator[BufferedReader]:
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


def _refuse_changed(stored: BufferedReader, delivery: Delivery) -> None:
    if _stat(stored) != (delivery.size, delivery.mtime_us):
        raise UsageError(
            f"The landing file {shown(delivery.path)} changed during the run: "
            "run again when it has been written completely."
        )


def _name_time_us(path: str) -> int | None:
    """Return the extraction time in the file's name in microseconds since 1970, if there is one."""
    for match in _NAME_TIME.finditer(PurePosixPath(path).name):
        year, month, day, hour, minute, second, fraction, *zone = match.groups(default="")
        _, plus, plus_hour, plus_minute, minus, minus_hour, minus_minute = zone
        offset = "+00:00"
        if plus:
            offset = f"+{plus_hour}:{plus_minute or '00'}"
        elif minus:
            offset = f"-{minus_hour}:{minus_minute}"
        time = f"{hour}:{minute}:{second}.{fraction or '0'}{offset}"
        instant_us = parse_instant_us(f"{year}-{month}-{day}T{time}")
        if instant_us is not None:
            return instant_us
    return None


def _records(
    stored: BufferedReader, path: str, localised: strava_export.Languages, limits: Limits
) -> Iterator[Record | None]:
    stream: Readable = stored
    if path.endswith(".gz"):
        stream = Gunzip(stored, limits.max_expanded_bytes)
    match source_of(path):
        case "strava_export":
            return strava_export.records(stream, path, localised, limits)
        case "debezium":
            return debezium.records(stream, path, limits)
        case "athlete_settings":
            return athlete_settings.records(stream, path, limits)
        case _:
            return strava_api.records(stream, path, limits)


def _bounded(records: Iterator[Record | None]) -> Iterator[tuple[list[Record], int]]:
    """Group the records by the limits of a batch, and count the ignored lines of each group.

    No record at all is one empty group.
    """
    group: list[Record] = []
    group_bytes = ignored = 0
    for record in records:
        if record is None:
            ignored += 1
            continue
        payload_bytes = len(record.payload.encode())
        is_full = len(group) == MAX_BATCH_RECORDS or group_bytes + payload_bytes > MAX_BATCH_BYTES
        if group and is_full:
            yield group, ignored
            group, group_bytes, ignored = [], 0, 0
        group.append(record)
        group_bytes += payload_bytes
    yield group, ignored


def _batch(
    records: list[Record], schema: pa.Schema, constants: Mapping[str, object], default_us: int
) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        if field.name in constants:
            constant = pa.scalar(constants[field.name], field.type)
            arrays.append(pa.repeat(constant, len(records)))
            continue
        values = [getattr(record, field.name) for record in records]
        if field.name == "change_time_us":
            values = [default_us if value is None else value for value in values]
        arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
