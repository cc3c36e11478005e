"""Values in the encodings of connectors and converters, where their type is certain."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.oracle.values import EPOCH, day, json_object, number, whole

# What a value becomes whose type is certain and which does not fit it: no field can be read so.
UNDECODED = ("undecoded",)

_UNAVAILABLE = "__debezium_unavailable_value"
_PLACEHOLDERS = (_UNAVAILABLE, base64.b64encode(_UNAVAILABLE.encode()).decode())

# Not `bytes`: Avro prints these as text of another alphabet than that of a connector.
_AVRO_TYPES = {"null", "boolean", "int", "long", "float", "double", "string"}
_AVRO_TYPES |= {"enum", "array", "map", "fixed"}
_RECORD_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)

_ISO_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(Z|[+-]\d\d:\d\d)?", re.ASCII)
# No column has numbers of more digits; a hostile one costs nothing.
_GREATEST_SCALE = 1000
_LONGEST_BYTES = 1000

Type = tuple[str | None, Mapping[str, Any]]


def is_placeholder(value: Any) -> bool:
    """Whether a connector says that it does not know a value that has not changed."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return isinstance(value, str) and value in _PLACEHOLDERS


def has_value(value: Any) -> bool:
    return value is not None and not is_placeholder(value)


def without_unions(value: Any) -> Any:
    """A value with all unions of Avro replaced by what they hold: {"long": 1} is 1."""
    if isinstance(value, list):
        return [without_unions(element) for element in value]
    if not isinstance(value, dict):
        return value
    held = {name: without_unions(inner) for name, inner in value.items()}
    if len(held) != 1:
        return held
    ((name, inner),) = held.items()
    if name in _DECODERS:
        return decoded(inner, (name, {}))
    return inner if name in _AVRO_TYPES or _RECORD_NAME.fullmatch(name) else held


def decoded_row(row: Mapping[str, Any], types: Mapping[str, Type]) -> dict[str, Any]:
    return {name: decoded(value, types.get(name, (None, {}))) for name, value in row.items()}


def decoded(value: Any, of_type: Type) -> Any:
    """A value as an API would have given it; unchanged where its type does not say how."""
    name, parameters = of_type
    decode = _DECODERS.get(name or "")
    if decode is None or not has_value(value):
        return value
    found = decode(value, parameters)
    return UNDECODED if found is None else found


def row_types(schema: Any, image_name: str | None) -> dict[str, Type]:
    """What a schema of Kafka Connect says about the columns of an image, or of the row itself."""
    if image_name is not None:
        images = [field for field in _fields(schema) if field.get("field") == image_name]
        schema = images[0] if images else None
    return {
        field["field"]: (_text(field.get("name")), _object(field.get("parameters")))
        for field in _fields(schema)
        if isinstance(field.get("field"), str)
    }


def _fields(schema: Any) -> list[dict[str, Any]]:
    fields = _object(schema).get("fields")
    fields = fields if isinstance(fields, list) else []
    return [field for field in fields if isinstance(field, dict)]


def document_of_mongodb(text: str) -> dict[str, Any] | None:
    """The row in a text of MongoDB's extended JSON; None when it is no object."""
    found = json_object(text)
    return None if found is None else {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(element) for element in value]
    if not isinstance(value, dict):
        return value
    held = {name: _plain(inner) for name, inner in value.items()}
    if held.keys() == {"$date"}:
        as_number = whole(held["$date"])
        return held["$date"] if as_number is None else decoded(as_number, _MILLISECONDS)
    if len(held) == 1 and held.keys() <= {"$numberLong", "$numberInt"}:
        (inner,) = held.values()
        return inner if whole(inner) is None else whole(inner)
    if len(held) == 1 and held.keys() <= {"$numberDouble", "$numberDecimal"}:
        (inner,) = held.values()
        return inner
    return held


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _decimal(value: Any, parameters: Mapping[str, Any]) -> Any:
    # A converter with decimal.format=NUMERIC prints the number itself.
    if not isinstance(value, str):
        return value if number(value) is not None else None
    return _scaled(_twos_complement(value), parameters.get("scale"))


def _decimal_with_scale(value: Any, _: Mapping[str, Any]) -> Any:
    if isinstance(value, dict) and isinstance(value.get("value"), str):
        return _scaled(_twos_complement(value["value"]), value.get("scale"))
    return None


def _twos_complement(text: str) -> int | None:
    try:
        content = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    if not 0 < len(content) <= _LONGEST_BYTES:
        return None
    return int.from_bytes(content, "big", signed=True)


def _scaled(unscaled: int | None, scale: Any) -> int | str | None:
    """A number exactly: an integer, or a text with a fraction."""
    scale = whole(scale)
    if unscaled is None or scale is None or abs(scale) > _GREATEST_SCALE:
        return None
    digits = tuple(map(int, str(abs(unscaled))))
    value = Decimal((int(unscaled < 0), digits, -scale))
    return int(value) if value == value.to_integral_value() else format(value, "f")


def _instant(value: Any, microseconds: Callable[[int], int]) -> str | None:
    """As ISO without a zone: it is UTC, or the clock of the place in a column without a zone."""
    as_number = whole(value)
    if as_number is None:
        return None
    try:
        instant = EPOCH + timedelta(microseconds=microseconds(as_number))
    except OverflowError:
        return None
    return instant.replace(tzinfo=None).isoformat()


def _milliseconds(value: Any, _: Mapping[str, Any]) -> str | None:
    return _instant(value, lambda milliseconds: milliseconds * 1000)


def _microseconds(value: Any, _: Mapping[str, Any]) -> str | None:
    return _instant(value, lambda microseconds: microseconds)


def _nanoseconds(value: Any, _: Mapping[str, Any]) -> str | None:
    return _instant(value, lambda nanoseconds: nanoseconds // 1000)


def _days(value: Any, _: Mapping[str, Any]) -> str | None:
    days = whole(value)
    try:
        return None if days is None else (date(1970, 1, 1) + timedelta(days=days)).isoformat()
    except OverflowError:
        return None


def _iso_date(value: Any, _: Mapping[str, Any]) -> str | None:
    found = _ISO_DATE.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found and day(found[1]) else None


def _iso_timestamp(value: Any, _: Mapping[str, Any]) -> str | None:
    return _text(value)


def _seconds(scale: int) -> Callable[[Any, Mapping[str, Any]], int | str | None]:
    return lambda value, _: _scaled(whole(value), scale)


_DECODERS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "org.apache.kafka.connect.data.Decimal": _decimal,
    "io.debezium.data.VariableScaleDecimal": _decimal_with_scale,
    "io.debezium.time.Timestamp": _milliseconds,
    "org.apache.kafka.connect.data.Timestamp": _milliseconds,
    "io.debezium.time.MicroTimestamp": _microseconds,
    "io.debezium.time.NanoTimestamp": _nanoseconds,
    "io.debezium.time.Date": _days,
    "org.apache.kafka.connect.data.Date": _days,
    "io.debezium.time.IsoDate": _iso_date,
    "io.debezium.time.ZonedTimestamp": _iso_timestamp,
    "io.debezium.time.IsoTimestamp": _iso_timestamp,
    "io.debezium.time.Time": _seconds(3),
    "org.apache.kafka.connect.data.Time": _seconds(3),
    "io.debezium.time.MicroTime": _seconds(6),
    "io.debezium.time.NanoTime": _seconds(9),
    "io.debezium.time.MicroDuration": _seconds(6),
    "io.debezium.time.NanoDuration": _seconds(9),
}
_MILLISECONDS: Type = ("io.debezium.time.Timestamp", {})
