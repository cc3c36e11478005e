"""Values of change data whose type only their schema tells, as plain text or numbers.

What names no type that is known here, or holds something else, stays as it is: silver finds out
that it is no number and no time. Names and forms are those of Kafka Connect and Debezium:
https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-data-types
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

PLACEHOLDER = "__debezium_unavailable_value"
"""Stands for a long value that an update has not touched, which PostgreSQL does not log."""

UNREAD_BYTES = "latin-1"
"""How Avro prints bytes in JSON; Kafka Connect prints base64."""


class Printed(str):
    """A number with a fraction or an exponent as JSON prints it, told from a text of JSON."""

    __slots__ = ()


_PLACEHOLDER_BASE64 = base64.b64encode(PLACEHOLDER.encode()).decode()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# No column has longer numbers; those of a hostile message cost nothing.
_MOST_BYTES, _MOST_SCALE = 100, 300
_EXACT = Context(prec=600)


def decoded(value: object, schema: object, bytes_as: str | None = None) -> Any:
    """A value as its schema says to read it.

    Args:
        value: as JSON holds it.
        schema: its schema, whose `name` is the semantic type; None when there is none.
        bytes_as: the encoding of text that stands for bytes; None for base64.
    """
    if value in (PLACEHOLDER, _PLACEHOLDER_BASE64, [PLACEHOLDER], [_PLACEHOLDER_BASE64]):
        return PLACEHOLDER
    stated: Mapping[str, Any] = schema if isinstance(schema, dict) else {}
    read = _READERS.get(str(stated.get("name")))
    if read is None or value is None:
        return value
    try:
        return read(value, stated, bytes_as)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, binascii.Error):
        # Told apart from a value of the column's own type: no text of it is a number or a time.
        return {"unreadable": value}


def _decimal(value: Any, schema: Mapping[str, Any], bytes_as: str | None) -> Any:
    # Converters may print the number itself.
    is_number = isinstance(value, int | float | Printed) and not isinstance(value, bool)
    return value if is_number else _scaled(value, schema["parameters"]["scale"], bytes_as)


def _variable_decimal(value: Any, schema: Mapping[str, Any], bytes_as: str | None) -> str:
    unscaled, scale = value["value"], value["scale"]
    if isinstance(unscaled, dict):
        # An Avro record holds its bytes as Avro prints them.
        unscaled, bytes_as = unscaled["bytes"], UNREAD_BYTES
    return _scaled(unscaled, scale["int"] if isinstance(scale, dict) else scale, bytes_as)


def _scaled(text: str, scale: object, bytes_as: str | None) -> str:
    raw = base64.b64decode(text, validate=True) if bytes_as is None else text.encode(bytes_as)
    places = int(str(scale))
    if not 0 < len(raw) <= _MOST_BYTES or abs(places) > _MOST_SCALE:
        raise ValueError("no number")
    number = Decimal(int.from_bytes(raw, "big", signed=True)).scaleb(-places, _EXACT)
    # A whole number may be an id, which has no fraction.
    return f"{number:.0f}" if number == number.to_integral_value() else f"{number:f}"


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("no whole number")
    return int(value)


def _instant(per_second: int) -> Callable[[Any, Mapping[str, Any], str | None], str]:
    def read(value: Any, schema: Mapping[str, Any], bytes_as: str | None) -> str:
        moment = _EPOCH + timedelta(microseconds=_whole(value) * 1_000_000 // per_second)
        return moment.isoformat().replace("+00:00", "Z")

    return read


def _day(value: Any, schema: Mapping[str, Any], bytes_as: str | None) -> str:
    return (_EPOCH.date() + timedelta(days=_whole(value))).isoformat()


def _iso_day(value: Any, schema: Mapping[str, Any], bytes_as: str | None) -> str:
    return date.fromisoformat(str(value).removesuffix("Z")).isoformat()


def _seconds(per_second: int) -> Callable[[Any, Mapping[str, Any], str | None], str]:
    def read(value: Any, schema: Mapping[str, Any], bytes_as: str | None) -> str:
        return f"{Decimal(_whole(value)) / per_second:f}"

    return read


_READERS: Mapping[str, Callable[[Any, Mapping[str, Any], str | None], Any]] = {
    "org.apache.kafka.connect.data.Decimal": _decimal,
    "io.debezium.data.VariableScaleDecimal": _variable_decimal,
    "io.debezium.time.Timestamp": _instant(1_000),
    "org.apache.kafka.connect.data.Timestamp": _instant(1_000),
    "io.debezium.time.MicroTimestamp": _instant(1_000_000),
    "io.debezium.time.NanoTimestamp": _instant(1_000_000_000),
    "io.debezium.time.Date": _day,
    "org.apache.kafka.connect.data.Date": _day,
    "io.debezium.time.IsoDate": _iso_day,
    # Columns of type TIME or INTERVAL that hold how long something took.
    "io.debezium.time.Time": _seconds(1_000),
    "org.apache.kafka.connect.data.Time": _seconds(1_000),
    "io.debezium.time.MicroTime": _seconds(1_000_000),
    "io.debezium.time.NanoTime": _seconds(1_000_000_000),
    "io.debezium.time.MicroDuration": _seconds(1_000_000),
    "io.debezium.time.NanoDuration": _seconds(1_000_000_000),
}
