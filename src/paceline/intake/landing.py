"""The records of new files, as Arrow batches of bounded size."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from paceline import sources
from paceline.intake.files import Delivery, refuse_changed, reopened, source_of
from paceline.intake.names import extraction_time_us
from paceline.sources import feeding
from paceline.sources.gunzip import Gunzip, Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import Ignored, Record, Remark
from paceline.sources.source import Settings
from paceline.sources.unzip import UnusableZip, unzipped
from paceline.sources.utf16 import as_utf8

MAX_BATCH_RECORDS = 50_000
MAX_BATCH_BYTES = 64_000_000
"""Of payload; a single record that is larger has a batch of its own."""
MAX_OTHER_TABLES, MAX_NAME = 100, 200
"""Of how many other tables a batch counts apart what is ignored, and how much of their names."""

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
_TAIL = [("change_time_us", pa.int64()), ("lsn", pa.int64())]
_CHANGE = [(name, pa.string()) for name in ("change_log", "change_position", "change_id")]
_DAY = ("ingest_date", pa.date32())

SCHEMAS: Mapping[str, pa.Schema] = {
    "strava_activities": pa.schema([*_HEAD, ("activity_id", pa.int64()), *_TAIL, *_CHANGE, _DAY]),
    "athlete_settings": pa.schema([*_HEAD, ("valid_from", pa.date32()), *_TAIL, _DAY]),
}
"""Bronze table -> the columns of its batches."""

SOURCES: Mapping[str, frozenset[str]] = {
    short_name: feeding(f"bronze.{short_name}") for short_name in SCHEMAS
}
"""Bronze table -> the sources that feed it."""


class Aside(NamedTuple):
    """What is no record, since the batch before.

    ignored: how often something was, by the name of another table, or None for what has none or one
    too many. remarks: on the file, each to complete a sentence after its path.
    """

    ignored: Counter[str | None]
    remarks: list[str]


def record_batches(
    root: Path,
    deliveries: Iterable[Delivery],
    table: str,
    ingest_date: date,
    settings: Settings,
    limits: Limits = DEFAULTS,
) -> Iterator[tuple[Delivery, pa.RecordBatch, Aside]]:
    """Yield the records of the deliveries for a bronze table, as batches with its schema.

    Each delivery has at least one batch, which is empty if it has no record, and no batch holds
    records of two; so the rows of its batches are the delivery's count of records. With each batch
    comes what was met on the way to it and is no record. Memory is bounded by `MAX_BATCH_RECORDS`,
    `MAX_BATCH_BYTES` and the limits, whatever a file holds.

    change_time_us is the record's own, else when the file was extracted. Raises UsageError,
    possibly after the last batch of a delivery, when its file is gone, can no longer be opened or
    is no longer what was discovered: nothing of it may then be kept.
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
        default_us = extraction_time_us(delivery.path, delivery.mtime_us)
        with reopened(root, delivery.path) as stored:
            refuse_changed(stored, delivery)
            for records, aside in _bounded(_records(stored, delivery.path, settings, limits)):
                yield delivery, _batch(records, SCHEMAS[table], constants, default_us), aside
            refuse_changed(stored, delivery)


def _records(
    stored: BufferedReader, path: str, settings: Settings, limits: Limits
) -> Iterator[Record | Ignored | Remark]:
    (source,) = (source for source in sources.SOURCES if source.name == source_of(path))
    stream: Readable = stored
    if source.zipped is not None and path.lower().endswith(".zip"):
        try:
            stream = unzipped(stored, source.zipped, limits)
        except UnusableZip as reason:
            return iter([Remark(str(reason))])
    elif path.lower().endswith(".gz"):
        stream = Gunzip(stored, limits.max_expanded_bytes)
    return source.records(as_utf8(stream), path, settings, limits)


def _bounded(
    records: Iterator[Record | Ignored | Remark],
) -> Iterator[tuple[list[Record], Aside]]:
    """Group the records by the limits of a batch, and with each group what is no record.

    No record at all is one empty group.
    """
    group: list[Record] = []
    group_bytes, ignored, remarks = 0, Counter[str | None](), list[str]()
    for record in records:
        if isinstance(record, Remark):
            remarks.append(record.text)
            continue
        if isinstance(record, Ignored):
            name = record.other_table and record.other_table[:MAX_NAME]
            ignored[name if name in ignored or len(ignored) < MAX_OTHER_TABLES else None] += 1
            continue
        payload_bytes = len(record.payload.encode())
        is_full = len(group) == MAX_BATCH_RECORDS or group_bytes + payload_bytes > MAX_BATCH_BYTES
        if group and is_full:
            yield group, Aside(ignored, remarks)
            group, group_bytes, ignored, remarks = [], 0, Counter(), []
        group.append(record)
        group_bytes += payload_bytes
    yield group, Aside(ignored, remarks)


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
