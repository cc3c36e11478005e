"""The envelopes in which changes come: wrapped in others, flattened, or no change at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.oracle.encodings import without_unions

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
    """A change, as Debezium tells it; `schema` is that of the images, or of a flattened row."""

    content: Object
    schema: Any = None
    is_flattened: bool = False

    @property
    def source(self) -> Object:
        source = self.content.get("source")
        return source if isinstance(source, dict) else {}


def opened(line: Any) -> Envelope | str | None:
    """The envelope in a line; the reason why there is none; or None for what is ignored."""
    value = without_unions(line)
    schema = None
    attributes: Object | None = None
    while isinstance(value, dict) and not _is_flattened(value):
        if "specversion" in value:
            if not isinstance(value.get("data"), dict):
                return "envelope_unknown"
            attributes = attributes or _attributes(value)
            value = value["data"]
        elif "payload" in value and value.keys() <= {"schema", "payload"}:
            schema = value.get("schema")
            value = value["payload"]
        else:
            break
    if attributes is not None:
        return _of_cloud_event(attributes, value, schema)
    if value is None:
        return None
    if not isinstance(value, dict):
        return "unreadable"
    return _envelope(value, schema)


def _is_flattened(content: Object) -> bool:
    """Whether a transform has marked a row; its own columns may have any name, `op` included."""
    return "__op" in content or "__deleted" in content


def _of_cloud_event(attributes: Object, value: Any, schema: Any) -> Envelope | str | None:
    """The change whose op stands in it or beside it; what is none has a reason of its own."""
    if not isinstance(value, dict):
        return "envelope_unknown"
    if _is_flattened(value) or _is_control_message(value):
        found = _envelope(value, schema)
        return "envelope_unknown" if isinstance(found, str) else found
    content = {**attributes, **value}
    is_change = "before" in value or "after" in value or "op" in value
    return _envelope(content, schema) if is_change and "op" in content else "envelope_unknown"


def _envelope(content: Object, schema: Any) -> Envelope | str | None:
    if not _is_flattened(content):
        if _is_control_message(content):
            return None
        if any(name in content for name in ("op", "before", "after")):
            return Envelope(content, schema)
    unflattened = _unflattened(content)
    if unflattened is not None:
        is_message = unflattened["op"] == "m"
        return None if is_message else Envelope(unflattened, schema, is_flattened=True)
    names_row = content.get("activity_id") is not None or content.get("id") is not None
    return "flattened_change" if names_row else "unreadable"


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


def _unflattened(row: Object) -> Object | None:
    """The envelope that a transform has flattened; None when it has left too little of it."""
    marks = row.get("__op"), row.get("__deleted")
    times = row.get("__source_ts_ms"), row.get("__ts_ms")
    if marks == (None, None) or times == (None, None):
        return None
    op = "d" if row.get("__deleted") in (True, "true") else row.get("__op") or "u"
    return {
        "op": op,
        "before" if op == "d" else "after": {
            name: value for name, value in row.items() if not name.startswith("__")
        },
        "ts_ms": row.get("__ts_ms"),
        "source": {**_flattened_source(row), "ts_ms": row.get("__source_ts_ms")},
    }


def _flattened_source(row: Object) -> Object:
    source = {}
    for name in _SOURCE_FIELDS:
        value = row.get(f"__{name}")
        source[name] = row.get(f"__source_{name}") if value is None else value
    return source
