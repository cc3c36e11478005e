"""Where a change stands in the log of its database, and which change it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_WIDTH = 20  # those of Oracle are texts of up to 20 digits
_MISSING = "-"  # sorts before every digit
_NUMBER = re.compile(r"([0-9]{1,20})(,.*)?", re.DOTALL)
_LAST_DIGITS = re.compile(r"([0-9]{1,20})[^0-9]*\Z")
_HEXADECIMAL = re.compile(r"[0-9a-f]{1,16}", re.IGNORECASE)


def log(source: Mapping[str, Any]) -> str:
    """The log that a change is from: connector and server."""
    return "/".join(_text(source.get(name)) for name in ("connector", "name")).strip("/")


def position(source: Mapping[str, Any]) -> str | None:
    """The place of a change in its log, as a text that sorts as the log does; None if unknown."""
    connector = _text(source.get("connector"))
    for name, (telling, read) in _POSITIONS.items():
        # A log of unknown kind is one of those whose numbers it has: Db2 has those of SQL Server.
        if name == connector or connector not in _POSITIONS:
            numbers = read(source)
            if any(numbers[place] != _MISSING for place in telling):
                return " ".join(numbers)
    return None


def identity(
    source: Mapping[str, Any], op: str, key: int | None, time_us: int | None, images: object
) -> str | None:
    """A digest that is equal for each delivery of one change of a row, and for no other change.

    None when a change has neither position nor time. A position alone does not tell: rows of one
    statement share it, in some logs all changes of a transaction do, and a log that was reset
    counts from its start.

    Args:
        source: of the change.
        op: of the change.
        key: the activity.
        time_us: when it was committed; without a position also when it was processed.
        images: of the row, before and after.
    """
    place = position(source)
    if place is None and time_us is None:
        return None
    table = [_text(source.get(name)) for name in ("db", "schema", "table", "collection")]
    told = [log(source), table, op, key, place, time_us, images]
    text = json.dumps(told, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


STATEMENT_TIMED = ("mysql", "mariadb")
"""Connectors whose position begins with the number of a server, which is 0 in a snapshot."""


def has_statement_time(source: Mapping[str, Any]) -> bool:
    """Whether the time is that of a statement, to the second, and not that of its commit.

    The GTID of MySQL comes with the latter; that of MariaDB does not.
    """
    if source.get("server_id") in (0, "0"):
        return False  # a snapshot
    connector = source.get("connector")
    return connector == "mariadb" or (connector == "mysql" and not source.get("gtid"))


def _postgresql(source: Mapping[str, Any]) -> list[str]:
    return [_number(source.get("lsn"))]


def _mysql(source: Mapping[str, Any]) -> list[str]:
    # `mysql-bin.000012`, or `binlog-000012.ibb`.
    file = _LAST_DIGITS.search(_text(source.get("file")))
    numbers = (source.get("server_id"), file and file[1], *map(source.get, ("pos", "row")))
    return [_number(each) for each in numbers]


def _sqlserver(source: Mapping[str, Any]) -> list[str]:
    lsns = [_hexadecimals(source.get(name), ":") for name in ("commit_lsn", "change_lsn")]
    return [*lsns[0], *lsns[1], _number(source.get("event_serial_no"))]


def _oracle(source: Mapping[str, Any]) -> list[str]:
    # Of many changes with one number of the system, the place in the redo log tells the order.
    place = _hexadecimals(source.get("rs_id"), separator=".")
    numbers = [_number(source.get(name)) for name in ("commit_scn", "scn", "ssn")]
    return [*numbers[:2], *place, numbers[2]]


def _mongodb(source: Mapping[str, Any]) -> list[str]:
    # The ordinal counts within the second of the time.
    return [_number(source.get(name)) for name in ("ts_ms", "ord")]


_POSITIONS: Mapping[str, tuple[tuple[int, ...], Callable[[Mapping[str, Any]], list[str]]]] = {
    "postgresql": ((0,), _postgresql),
    "mysql": ((1, 2), _mysql),
    "mariadb": ((1, 2), _mysql),
    "sqlserver": ((0, 3), _sqlserver),
    "oracle": ((0, 1), _oracle),
    "mongodb": ((1,), _mongodb),
}
"""Connector -> the numbers of a position, in order, and the places of those that alone tell one."""


def _number(value: object) -> str:
    """A natural number, also as text; of a list, such as Oracle's of several nodes, the first."""
    if isinstance(value, bool) or value is None:
        return _MISSING
    if isinstance(value, float):
        value = int(value) if value.is_integer() else value
    digits = _NUMBER.fullmatch(str(value))
    return digits[1].zfill(_WIDTH) if digits else _MISSING


def _hexadecimals(value: object, separator: str) -> list[str]:
    """The three numbers of `00000027:00000ac0:0002`, or of Oracle's `0x000086.00000146.0010`."""
    parts = _text(value).strip().removeprefix("0x").split(separator)
    if len(parts) != 3 or not all(map(_HEXADECIMAL.fullmatch, parts)):
        return [_MISSING] * 3
    return [str(int(part, 16)).zfill(_WIDTH) for part in parts]


def _text(value: object) -> str:
    """A text that any encoding has; JSON may hold halves of characters, which a table cannot."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
