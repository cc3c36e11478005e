"""Values and names in SQL."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from paceline.errors import UsageError

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def identifier(name: str) -> str:
    """The name, if it is one that SQL takes without quotes: letters, digits and `_`.

    Raises:
        UsageError: when it is not.
    """
    if not _IDENTIFIER.fullmatch(name):
        raise UsageError(
            f"{name!a} is no name of a table, schema or column: use letters, digits and _, "
            "and begin with a letter or _."
        )
    return name


def literal(value: str | int | date | datetime) -> str:
    """A value as a literal of Spark SQL."""
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}Z'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
