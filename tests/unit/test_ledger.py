"""Rows of ops in Python and as columns: the same names, in the same order."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import get_type_hints

import pytest

from paceline.store.ledger import LEDGER_DDL, Entry, Verdict

PLAIN = {"STRING": "str", "BIGINT": "int", "DATE": "date", "TIMESTAMP": "datetime"}


def columns(ddl: str) -> list[tuple[str, str]]:
    """Names and first words of the types."""
    depth, part, parts = 0, "", []
    in_text = False
    for letter in ddl:
        in_text ^= letter == "'"
        depth += (letter in "<(") - (letter in ">)") if not in_text else 0
        if letter == "," and depth == 0 and not in_text:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [tuple(column.split()[:2]) for column in (*parts, part)]  # type: ignore[misc]


def test_a_row_of_the_ledger_has_its_columns() -> None:
    assert [field.name for field in fields(Entry)] == [name for name, _ in columns(LEDGER_DDL)]


def test_a_verdict_has_its_columns() -> None:
    (checks,) = re.findall(r"checks ARRAY<STRUCT<(.*?)>>", LEDGER_DDL)
    assert list(Verdict._fields) == [name for name, _ in columns(checks)]


@pytest.mark.parametrize("column", columns(LEDGER_DDL), ids=lambda column: column[0])
def test_a_field_has_the_type_of_its_column(column: tuple[str, str]) -> None:
    name, sql_type = column
    if sql_type in PLAIN:
        hint = str(get_type_hints(Entry)[name])
        assert PLAIN[sql_type] in hint.replace("datetime.datetime", "datetime").replace(
            "datetime.date", "date"
        )
