"""What a message of a change log says, whichever way it is wrapped.

Debezium's envelope is `{"op", "before", "after", "source", "ts_ms"}`. Converters, transforms and
other connectors wrap it, print the unions of Avro, or lay its fields flat into the row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paceline.sources.encodings import UNREAD_BYTES, Printed, decoded

OPS = ("c", "u", "d", "r")
TRUNCATE, MESSAGE = "t", "m"

_HEARTBEAT = {"ts_ms", "ts_us", "ts_ns", "serverName"}
_TRANSACTION = {"status", "id", "ts_ms", "event_count", "data_collections"}
_NOTIFICATION = {"id", "aggregate_type", "type", "additional_data", "timestamp"}
_SCHEMA_CHANGE = {"ddl", "tableChanges"}
# Avro's names of types; those of records have dots. Bytes are left as they are: they are no text.
_AVRO_TYPES = frozenset(
    ("null", "boolean", "int", "long", "float", "double", "string", "enum", "array", "map", "fixed")
)
_RECORD_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_CLOUD_EVENT = "iodebezium"
# The columns that ExtractNewRecordState adds, from the envelope or, as `source.*`, from its source.
_FLATTENED = {"__op", "__deleted"}
_OF_CHANGE = {"op", "before", "after"}
_KEYS = {"activity_id", "athlete_id", "id"}
_ADDED, _ADDED_SOURCE = "__", "__source_"
# MongoDB's extended JSON.
_EXTENDED = re.compile(r"\$(numberLong|numberInt|numberDouble|numberDecimal|oid)")


@dataclass(frozen=True)
class Message:
    """A message, unwrapped.

    Attributes:
        op: what happened; None when it does not say.
        before, after: the images of the row, decoded; None where there is none.
        source: where the change is from.
        ts_ms: when the connector processed it.
        is_control: whether it is about no row: heartbeat, transaction, notification, schema change,
            message.
        is_flat: whether it is a bare row, which says neither what happened nor when.
        is_wrapped: whether it is a change, in a wrapping that is not read.
    """

    op: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    ts_ms: Any = None
    is_control: bool = False
    is_flat: bool = False
    is_wrapped: bool = False

    @property
    def table(self) -> str | None:
        """The table of the row, or what MongoDB calls a collection; None when it does not say."""
        names = (self.source.get(name) for name in ("table", "collection"))
        return next((name for name in names if name and isinstance(name, str)), None)


def read(value: object) -> Message | None:
    """The message in a JSON value; None for a tombstone."""
    schema: object = None
    while isinstance(value, dict):
        if not value.keys().isdisjoint(_FLATTENED):
            # Beside these a row may have columns of any name.
            return _flattened(value, schema)
        if "payload" in value and value.keys() <= {"schema", "payload"}:
            schema, value = value.get("schema"), value["payload"]
        elif "specversion" in value:
            return _cloud_event(value)
        elif (inner := _union_branch(value)) is not value:
            value = inner
        else:
            return _message(value, schema)
    return None if value is None else Message()


def _message(value: dict[str, Any], schema: object) -> Message:
    if "op" not in value and _is_control(value):
        return Message(is_control=True)
    if not value.keys() & _OF_CHANGE or _is_row(value):
        return _flattened(value, schema)
    op = _op(_without_unions(value.get("op")))
    fields = _fields(schema)
    before, after = (_image(value.get(name), fields.get(name)) for name in ("before", "after"))
    return Message(
        op,
        before,
        after,
        source=_object(_without_unions(value.get("source"))),
        ts_ms=_without_unions(value.get("ts_ms")),
        is_control=op == MESSAGE,
    )


def _is_row(value: dict[str, Any]) -> bool:
    """Whether a row has columns with the names of an envelope's fields."""
    has_image = any(isinstance(value.get(name), dict) for name in ("before", "after"))
    return not has_image and not _KEYS.isdisjoint(map(str.lower, value))


def _op(value: object) -> str | None:
    """A text; a number may be printed as one."""
    return value if isinstance(value, str) and not isinstance(value, Printed) else None


def _is_control(value: dict[str, Any]) -> bool:
    value = _object(_without_unions(value))
    is_heartbeat = bool(value) and value.keys() <= _HEARTBEAT
    # A flat row may have columns of these names, too, but its id is a number, or it has others.
    is_transaction = (
        value.get("status") in ("BEGIN", "END")
        and isinstance(value.get("id"), str)
        and value.keys() <= _TRANSACTION
    )
    is_notification = "aggregate_type" in value and value.keys() <= _NOTIFICATION
    is_schema_change = "source" in value and not value.keys().isdisjoint(_SCHEMA_CHANGE)
    return is_heartbeat or is_transaction or is_notification or is_schema_change


def _flattened(value: dict[str, Any], schema: object) -> Message:
    """A row with the columns that ExtractNewRecordState adds; without them it is only a row."""
    plain = _object(_without_unions(value))
    added = {name: each for name, each in plain.items() if name.startswith(_ADDED)}
    row = {name: each for name, each in value.items() if name not in added}
    source = {name.removeprefix(_ADDED): each for name, each in added.items()}
    source |= {
        name.removeprefix(_ADDED_SOURCE): each
        for name, each in added.items()
        if name.startswith(_ADDED_SOURCE)
    }
    ts_ms = added.get("__ts_ms")
    if "__source_ts_ms" not in added:
        source.pop("ts_ms", None)
    op = _op(added.get("__op"))
    if "__deleted" in added:
        is_deleted = str(added["__deleted"]).lower() == "true"
        op = "d" if is_deleted else op or "u"
    if not isinstance(op, str) or (ts_ms is None and source.get("ts_ms") is None):
        return Message(is_flat=True, after=_decoded(row, schema), source=source)
    image = _decoded(row, schema)
    is_delete = op == "d"
    return Message(
        op=op,
        before=image if is_delete else None,
        after=None if is_delete else image,
        source=source,
        ts_ms=ts_ms,
        is_control=op == MESSAGE,
    )


def _cloud_event(event: dict[str, Any]) -> Message:
    """The change in a CloudEvent, whose attributes have lost case and underscores."""
    names = {
        "tsms": "ts_ms",
        "serverid": "server_id",
        "commitlsn": "commit_lsn",
        "changelsn": "change_lsn",
        "eventserialno": "event_serial_no",
        "commitscn": "commit_scn",
        "rsid": "rs_id",
    }
    said = {
        name.removeprefix(_CLOUD_EVENT): each
        for name, each in event.items()
        if name.startswith(_CLOUD_EVENT)
    }
    source = {names.get(name, name): each for name, each in said.items()}
    data = event.get("data")
    # What has no image has the source of its attributes only.
    bare = data if isinstance(data, dict) and data.keys().isdisjoint(_OF_CHANGE) else {}
    if said.get("op") == MESSAGE or _is_control({"source": source, **bare}):
        return Message(is_control=True)
    inner = read(data)
    if inner is None or not isinstance(data, dict):
        return Message(source=source, is_wrapped=True)
    if inner.is_control:
        return inner
    op = inner.op or said.get("op")
    if op is None or inner.is_flat:
        return Message(source=source, is_wrapped=True)
    return Message(
        op,
        inner.before,
        inner.after,
        source={**source, **inner.source},
        ts_ms=inner.ts_ms,
        is_control=op == MESSAGE,
    )


def _image(value: object, schema: object) -> dict[str, Any] | None:
    """A row, its values decoded; MongoDB prints it as a text of JSON."""
    value = _union_branch(value)
    if isinstance(value, dict) and len(value) == 1:
        ((name, inner),) = value.items()
        # A record of Avro whose name has no namespace.
        if name != "athlete" and isinstance(inner, dict) and inner.keys() & {"activity_id", "id"}:
            value = inner
    if isinstance(value, str):
        try:
            value = _unextended(json.loads(value, parse_float=str, parse_constant=str))
        except (ValueError, RecursionError):
            return None
    return _decoded(value, schema) if isinstance(value, dict) else None


def _decoded(value: dict[str, Any], schema: object) -> dict[str, Any]:
    fields = _fields(schema)
    row = {name: _value(each, fields.get(name)) for name, each in value.items()}
    # Oracle and Db2 know names in capitals.
    is_shouted = bool(row) and not any(name != name.upper() for name in row)
    return {name.lower(): each for name, each in row.items()} if is_shouted else row


def _value(value: object, schema: object) -> object:
    """A value of a row; the name of an Avro record says as much as a schema."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, inner),) = value.items()
        if name == "bytes":
            return value if schema is None else decoded(inner, schema, UNREAD_BYTES)
        if _RECORD_NAME.fullmatch(name):
            return decoded(_without_unions(inner), {"name": name}, UNREAD_BYTES)
    return decoded(_without_unions(value), schema)


def _union_branch(value: object) -> object:
    """The value in a union of Avro, which JSON prints with the name of its type."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, inner),) = value.items()
        if name in _AVRO_TYPES or _RECORD_NAME.fullmatch(name):
            return inner
    return value


def _without_unions(value: object) -> object:
    value = _union_branch(value)
    if isinstance(value, dict):
        return {name: _without_unions(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_unions(each) for each in value]
    return value


def _unextended(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1:
            ((name, inner),) = value.items()
            if _EXTENDED.fullmatch(name):
                return inner
            if name == "$date":
                return _date(_unextended(inner))
        return {name: _unextended(each) for name, each in value.items()}
    return [_unextended(each) for each in value] if isinstance(value, list) else value


def _date(value: object) -> Any:
    """A time of MongoDB, in milliseconds or, in its relaxed form, as a timestamp."""
    is_number = not isinstance(value, str) or value.lstrip("-").isdecimal()
    return decoded(value, {"name": "io.debezium.time.Timestamp"}) if is_number else value


def _fields(schema: object) -> dict[str, object]:
    """The schemas of the fields of a struct by their names."""
    fields = _object(schema).get("fields")
    named = [one for one in fields if isinstance(one, dict)] if isinstance(fields, list) else []
    return {one["field"]: one for one in named if isinstance(one.get("field"), str)}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
