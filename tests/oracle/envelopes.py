"""The envelopes in which changes come: wrapped in others, flattened, or no change at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.oracle.encodings import without_unions
from tests.oracle.values import string

# The fields of `source` that are read, whatever the connector.
_SOURCE_FIELDS = (
    *("connector", "name", "db", "schema", "table", "collection", "ts_ms", "lsn", "server_id"),
    *("gtid", "file", "pos", "row", "commit_lsn", "change_lsn", "event_serial_no"),
    *("commit_scn", "scn", "rs_id", "ssn", "ord"),
)
_CLOUD_EVENT_PREFIX = "iodebezium"
_HEARTBEAT_FIELDS = {"ts_ms", "ts_us", "ts_ns", "serverName"}
_TRANSACTION_FIELDS = {"status", "id", "ts_ms", "event_count", "data_collections"}
_NOTIFICATION_FIELDS = {"id", "aggregate_type", "type", "additional_data", "timestamp"}

Object = Mapping[str, Any]


class Envelope(NamedTuple):
    """What a message says; `schema` is that of the images, or of a flattened row.

    A `reason` says why it is no change that can be read, or that it is "ignored".
    """

    content: Object
    schema: Any = None
    is_flattened: bool = False
    reason: str | None = None

    @property
    def source(self) -> Object:
        source = self.content.get("source")
        return source if isinstance(source, dict) else {}


def opened(line: Any) -> Envelope | None:
    """The envelope in a line; None for what is ignored."""
    found = _opened(without_unions(line), None)
    return None if found is None or found.reason == "ignored" else found


def _opened(value: Any, schema: Any) -> Envelope | None:
    """None for a tombstone."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return Envelope({})
    # Marked by a transform, a row may have columns of any name beside the marks, `op` included.
    if "__op" in value or "__deleted" in value:
        return _unflattened(value, schema)
    if "payload" in value and value.keys() <= {"schema", "payload"}:
        return _opened(value["payload"], value.get("schema"))
    if "specversion" in value:
        return _of_cloud_event(value)
    if _is_control_message(value):
        return Envelope(value, reason="ignored")
    has_image = any(isinstance(value.get(name), dict) for name in ("before", "after"))
    is_row = bool({name.lower() for name in value} & {"activity_id", "athlete_id", "id"})
    is_change = any(name in value for name in ("op", "before", "after"))
    if has_image or (is_change and not is_row):
        return Envelope(value, schema)
    return _unflattened(value, schema)


def _of_cloud_event(event: Object) -> Envelope:
    """The change, whose op and source may stand beside it; what is none has its own reason."""
    said, data = _attributes(event), event.get("data")
    unknown = Envelope(said, reason="envelope_unknown")
    if said.get("op") == "m":
        return unknown._replace(reason="ignored")
    is_bare = isinstance(data, dict) and not any(name in data for name in ("op", "before", "after"))
    if is_bare and _is_control_message({"source": {}, **data}):
        return unknown._replace(reason="ignored")
    found = _opened(data, None) if isinstance(data, dict) else None
    if found is None:
        return unknown
    if found.reason == "ignored":
        return found
    op = string(found.content.get("op")) or said.get("op")
    if found.reason is not None or op is None:
        return unknown
    source = {**said.get("source", {}), **found.source}
    reason = "ignored" if op == "m" else None
    return found._replace(content={**found.content, "op": op, "source": source}, reason=reason)


def _attributes(event: Object) -> Object:
    """Op and source in the attributes of a CloudEvent, whose names have no underscores."""
    found = {}
    if event.get(f"{_CLOUD_EVENT_PREFIX}op") is not None:
        found["op"] = event[f"{_CLOUD_EVENT_PREFIX}op"]
    names = {name: _CLOUD_EVENT_PREFIX + name.replace("_", "") for name in _SOURCE_FIELDS}
    source = {name: event[said] for name, said in names.items() if event.get(said) is not None}
    return {**found, "source": source} if source else found


def _is_control_message(content: Object) -> bool:
    op = content.get("op")
    if op is not None:
        return bool(op == "m")
    is_heartbeat = bool(content) and content.keys() <= _HEARTBEAT_FIELDS
    is_transaction = (
        content.get("status") in ("BEGIN", "END")
        and isinstance(content.get("id"), str)
        and content.keys() <= _TRANSACTION_FIELDS
    )
    is_notification = "aggregate_type" in content and content.keys() <= _NOTIFICATION_FIELDS
    is_schema_change = "source" in content and ("ddl" in content or "tableChanges" in content)
    return is_heartbeat or is_transaction or is_notification or is_schema_change


def _unflattened(row: Object, schema: Any) -> Envelope:
    """The envelope that a transform has flattened, which may have left too little of it."""
    times = row.get("__source_ts_ms"), row.get("__ts_ms")
    op = string(row.get("__op"))
    if "__deleted" in row:
        is_deleted = str(row["__deleted"]).lower() == "true"
        op = "d" if is_deleted else op or "u"
    source = {**_flattened_source(row), "ts_ms": row.get("__source_ts_ms")}
    image = {name: value for name, value in row.items() if not name.startswith("__")}
    if op is None or times == (None, None):
        row = named_as_usual(image)
        names_row = row.get("activity_id", row.get("id")) is not None
        reason = "flattened_change" if names_row else "unreadable"
        return Envelope({"source": source}, reason=reason)
    content = {"op": op, "ts_ms": row.get("__ts_ms"), "source": source}
    content["before" if op == "d" else "after"] = image
    reason = "ignored" if op == "m" else None
    return Envelope(content, schema, is_flattened=True, reason=reason)


def named_as_usual(row: Object) -> dict[str, Any]:
    """A row, whose names Oracle and Db2 write in capitals."""
    is_in_capitals = all(name == name.upper() for name in row)
    return {name.lower() if is_in_capitals else name: each for name, each in row.items()}


def _flattened_source(row: Object) -> Object:
    source = {}
    for name in _SOURCE_FIELDS:
        value = row.get(f"__{name}")
        source[name] = row.get(f"__source_{name}") if value is None else value
    return source
