"""Change data: from a line under cdc/ to a record, and what changes need of each other."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tests.oracle.activities import fields_read
from tests.oracle.encodings import (
    decoded_row,
    document_of_mongodb,
    has_value,
    is_placeholder,
    row_types,
)
from tests.oracle.envelopes import Envelope, Object, named_as_usual, opened
from tests.oracle.model import Delivery
from tests.oracle.record import Change, Log, Place, Position, Record, record, refusal
from tests.oracle.sub_activities import ARRAYS
from tests.oracle.values import identifier, instant_us, json_value, number, string, whole

_SOURCE = "debezium"
_BINLOG = ("mysql", "mariadb")
_END_MS = 253_402_300_800_000  # the year 10000
_MISSING = -1
_SECONDS = ("moving_time", "moving_time_s", "elapsed_time", "elapsed_time_s")
# What is later by more is from before the log was begun anew, or from another server.
_LONGEST_WAIT_US = 3_600_000_000

# By connector, the numbers that tell a position; those that alone tell one.
_POSITIONS = {
    "postgresql": (("lsn",), ("lsn",)),
    "mysql": (("server_id", "file", "pos", "row"), ("file", "pos")),
    "mariadb": (("server_id", "file", "pos", "row"), ("file", "pos")),
    "sqlserver": (("commit_lsn", "change_lsn", "event_serial_no"), ("commit_lsn", "change_lsn")),
    "oracle": (("commit_scn", "scn", "rs_id", "ssn"), ("commit_scn", "scn")),
    "mongodb": (("ts_ms", "ord"), ("ord",)),
}
_NUMBER_OF_FILE = re.compile(r"\d+", re.ASCII)
_HEXADECIMAL = re.compile(r"[0-9a-f]+", re.ASCII | re.IGNORECASE)
_LSN_OF_SQL_SERVER = re.compile(r"[0-9a-f]+(:[0-9a-f]+)*", re.ASCII | re.IGNORECASE)


def change_record(
    text: str, delivery: Delivery, place: Place, tables: Collection[str]
) -> Record | None:
    """The record of a line; None for one that is ignored."""
    try:
        found = opened(json_value(text))
    except (ValueError, RecursionError):
        return refusal(delivery, _SOURCE, text, place, "unreadable")
    if found is None:
        return None
    table = _table(found.source)
    if table is not None and table.lower() not in [name.lower() for name in tables]:
        return None
    if found.reason is not None:
        return refusal(delivery, _SOURCE, text, place, found.reason)
    if found.content.get("op") == "t":
        return refusal(delivery, _SOURCE, text, place, "table_truncated")
    return _row_change(found, text, delivery, place)


def _table(source: Object) -> str | None:
    return string(source.get("table")) or string(source.get("collection")) or None


def _row_change(envelope: Envelope, text: str, delivery: Delivery, place: Place) -> Record:
    op = envelope.content.get("op")
    image = _image(envelope, "before" if op == "d" else "after")
    given_id, given_athlete = _ids(image, is_delete=op == "d")
    is_no_change = op not in ("c", "u", "d", "r") or not image
    names_nothing = op == "d" and given_id is None
    activity_id = identifier(given_id)
    if is_no_change or names_nothing:
        return refusal(delivery, _SOURCE, text, place, "unreadable")
    athlete_id = identifier(given_athlete)
    time_us, is_time_known = _time_us(envelope, image)
    is_known = is_time_known and not _is_unread(given_id, activity_id)
    durations = (image.get(name) for name in _SECONDS)
    is_known = is_known and (op == "d" or not any(map(_lasts_years, durations)))
    # Whose activity it was does not matter for a delete.
    is_known = is_known and (op == "d" or not _is_unread(given_athlete, athlete_id))
    source = envelope.source
    change = Change(
        str(op),
        tuple(string(source.get(name)) or "" for name in ("db", "schema", "table", "collection")),
        json.dumps([envelope.content.get(name) for name in ("before", "after")], sort_keys=True),
        _has_time_of_statement(source),
        whole(source.get("ts_ms")) or None,
    )
    return record(
        delivery,
        _SOURCE,
        text,
        place,
        _without_surrogate_key(image),
        (athlete_id, activity_id),
        reason=None if is_known else "encoding_unknown",
        time_us=time_us,
        log=_log(source),
        position=position(source),
        change=change,
    )


def _has_time_of_statement(source: Object) -> bool:
    """Whether a change has no time of its commit; rows of a snapshot, of server 0, have theirs."""
    if source.get("server_id") in (0, "0"):
        return False
    connector = source.get("connector")
    return connector == "mariadb" or (connector == "mysql" and not source.get("gtid"))


def _image(envelope: Envelope, name: str) -> Mapping[str, Any]:
    value = envelope.content.get(name)
    if isinstance(value, str):
        value = document_of_mongodb(value)
    if isinstance(value, dict) and len(value) == 1 and "athlete" not in value:
        (inner,) = value.values()  # of an Avro record without a namespace
        is_image = isinstance(inner, dict) and ("id" in inner or "activity_id" in inner)
        value = inner if is_image else value
    types = row_types(envelope.schema, None if envelope.is_flattened else name)
    row = decoded_row(value, types) if isinstance(value, dict) else {}
    for name in ARRAYS:
        if row.get(name) == "null":
            row[name] = None  # of a column of JSON
    return named_as_usual(row)


def _is_unread(given: Any, found: Any) -> bool:
    return given is not None and found is None


def _lasts_years(seconds: Any) -> bool:
    found = number(seconds)
    return found is not None and found > 366 * 86_400


def _ids(image: Mapping[str, Any], is_delete: bool) -> tuple[Any, Any]:
    """What an image says about activity and athlete; 0 may be only what a type has by default."""

    def said(value: Any) -> Any:
        return None if is_delete and whole(value) == 0 else value

    activity = said(image["activity_id"] if "activity_id" in image else image.get("id"))
    athlete = image.get("athlete")
    if isinstance(athlete, str) and athlete.startswith("{"):
        with suppress(ValueError, RecursionError):
            athlete = json_value(athlete)
    nested = said(athlete.get("id")) if isinstance(athlete, dict) else None
    found = said(image.get("athlete_id")) if nested is None else nested
    if found is None and athlete is not None and not isinstance(athlete, dict) and not is_delete:
        found = [athlete]  # it says something, and no id
    return activity, found


def _without_surrogate_key(image: Mapping[str, Any]) -> dict[str, Any]:
    """A flat row has the key of its own table as `id`, which does not make it an API's object."""
    is_flat = "activity_id" in image
    return {name: value for name, value in image.items() if not (is_flat and name == "id")}


def _time_us(envelope: Envelope, image: Mapping[str, Any]) -> tuple[int | None, bool]:
    """The time of a change, and whether what should tell it could be read."""
    committed, processed = envelope.source.get("ts_ms"), envelope.content.get("ts_ms")
    if committed is not None and whole(committed) != 0:
        found = _milliseconds(committed)
        return (found, True) if found is not None else (_milliseconds(processed), False)
    if processed is not None:
        found = _milliseconds(processed)
        return found, found is not None
    updated = image.get("updated_at")
    updated_us = instant_us(updated)
    # 1970 in the image of a delete is the default of a type.
    if envelope.content["op"] == "d" and (updated_us == 0 or whole(updated) == 0):
        return None, True
    return updated_us, not _is_unread(updated, updated_us)


def _milliseconds(value: Any) -> int | None:
    """Microseconds since 1970 of milliseconds before the year 10000."""
    found = whole(value)
    return found * 1000 if found is not None and 0 <= found < _END_MS else None


def _log(source: Object) -> Log:
    return string(source.get("connector")) or "", string(source.get("name")) or ""


def position(source: Object) -> Position:
    """The place in the log, to be compared within one log; empty when nothing is said of it."""
    names, needed = _names(source)
    numbers = {name: _numbers(name, source.get(name)) for name in names}
    if not any(numbers[name] for name in needed):
        return ()
    return tuple(numbers[name] or (_MISSING,) for name in names)


def _names(source: Object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The numbers of a position, and those that alone tell one.

    A log of unknown kind has those of the first kind of which it has one that tells.
    """
    connector = string(source.get("connector")) or ""
    if connector in _POSITIONS:
        return _POSITIONS[connector]
    kinds = _POSITIONS.values()
    return next(
        (kind for kind in kinds if any(_numbers(name, source.get(name)) for name in kind[1])),
        _POSITIONS["postgresql"],
    )


def _numbers(name: str, value: Any) -> tuple[int, ...]:
    """A number of a position, or the numbers that it consists of; empty when there is none."""
    if name == "file" and isinstance(value, str):
        found = _NUMBER_OF_FILE.findall(value)
        return (int(found[-1]),) if found else ()
    if name == "rs_id":
        parts = value.strip().removeprefix("0x").split(".") if isinstance(value, str) else []
        is_place = len(parts) == 3 and all(map(_HEXADECIMAL.fullmatch, parts))
        return tuple(int(part, 16) for part in parts) if is_place else ()
    if name in ("commit_lsn", "change_lsn") and isinstance(value, str):
        is_lsn = _LSN_OF_SQL_SERVER.fullmatch(value)
        return tuple(int(part, 16) for part in value.split(":")) if is_lsn else ()
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return (int(value),)
    number = whole(value)
    return () if number is None else (number,)


def settled(records: Iterable[Record]) -> Iterator[Record]:
    """The records with every change once, its time, and the values that it does not repeat."""
    changes = []
    for found in records:
        if found.change is None:
            yield found
        else:
            changes.append(found)
    yield from _with_values(_with_times(_first_deliveries(changes)))


def _first_deliveries(changes: list[Record]) -> list[Record]:
    """Of all deliveries of one change the least in order, those from the future last."""

    def rank(found: Record) -> tuple[Any, ...]:
        return found.reason == "change_time_ahead", found.order

    least: dict[Any, Record] = {}
    for change in sorted(changes, key=rank):
        least.setdefault(_identity(change), change)
    return list(least.values())


def _identity(found: Record) -> tuple[Any, ...]:
    assert found.change is not None
    order, change = found.order, found.change
    row = change.images if found.key[1] is None else found.key[1]
    where = order.log, change.table, row, change.op
    time_us = change.committed_ms if order.position else order.time_us
    return *where, order.position, time_us, change.images


def _by_log_and_activity(changes: list[Record]) -> Iterator[list[Record]]:
    """The changes of one activity in one log; each that does not name its activity by itself."""
    groups = defaultdict(list)
    for change in changes:
        if change.key[1] is None:
            yield [change]
        else:
            groups[change.order.log, change.key[1]].append(change)
    yield from groups.values()


def _with_times(changes: list[Record]) -> list[Record]:
    """Times that say when a statement began, raised to what the log has said of the row before."""
    return [
        change
        for of_one in _by_log_and_activity(changes)
        for change in _with_running_maximum(of_one)
    ]


def _with_running_maximum(of_one: list[Record]) -> Iterator[Record]:
    greatest = None
    for found in sorted(of_one, key=_place_in_file):
        # A time that is refused must not become that of later changes.
        if not found.order.position or found.reason == "change_time_ahead":
            yield found
            continue
        time_us = found.order.time_us
        greatest = time_us if greatest is None else max(greatest, time_us)
        assert found.change is not None
        waited_us = greatest - time_us
        if found.change.has_time_of_statement and waited_us <= _LONGEST_WAIT_US:
            found = replace(found, order=found.order._replace(time_us=greatest))
        yield found


def _place_in_file(found: Record) -> Position:
    """The position without the number of the server, which is 0 in a snapshot of MySQL."""
    is_of_server = found.order.log[0] in _BINLOG
    return found.order.position[1:] if is_of_server else found.order.position


def _with_values(changes: list[Record]) -> Iterator[Record]:
    for of_one in _by_log_and_activity(changes):
        known: dict[str, Any] = {}
        for found in sorted(of_one, key=lambda found: found.order):
            if found.is_delete:
                known = {}
                yield found
                continue
            whole_record = _completed(found, known)
            image = whole_record.image or {}
            known |= {name: value for name, value in image.items() if has_value(value)}
            yield whole_record


def _completed(found: Record, known: Mapping[str, Any]) -> Record:
    """A change with the values that it calls unavailable; refused when one that is read is lost."""
    assert found.image is not None
    image = dict(found.image)
    for name, value in image.items():
        if is_placeholder(value):
            image[name] = known.get(name, value)
    is_lost = any(is_placeholder(image.get(name)) for name in fields_read(image, _SOURCE))
    reason = found.reason or ("encoding_unknown" if is_lost else None)
    return replace(found, image=image, reason=reason)
