"""What `paceline quarantine` shows: tables for people, or data for JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from paceline import quarantine
from paceline.contract import Contract
from paceline.quarantine import Group, Record
from paceline.sources.files import masked
from paceline.table import UNREADABLE

PIPED_WIDTH = 160
HIDDEN = "***"
# A hostile payload could ask for gigabytes of blanks: deeper levels are not set off any more.
MOST_INDENTED_LEVELS = 20

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def as_data(record: Record, contract: Contract | None) -> dict[str, Any]:
    """A record as it is listed: without payload and values, and without ids of people."""
    cells = asdict(record)
    del cells["payload"], cells["broken_values"]
    source_path = None if record.source_path is None else masked(record.source_path)
    return cells | {"key": _cells(record, contract), "source_path": source_path}


def print_records(
    found: list[Record], contracts: Mapping[str, Contract], *, is_resolved: bool
) -> None:
    """Prints a table of records, without what is personal in them."""
    title = f"{'Resolved' if is_resolved else 'Open'} records"
    grid = _grid(title, "table", "reject key", "first seen (UTC)")
    for heading in ("key", "broken rules", "source", *(["resolved by"] if is_resolved else [])):
        grid.add_column(heading, overflow="fold")
    for record in found:
        cells = [
            record.table_name,
            record.reject_key[: quarantine.SHOWN_DIGITS],
            _minute(record.first_seen),
            "\n".join(_key(record, contracts.get(record.table_name))),
            "\n".join(record.reasons),
            masked(_source(record)),
        ]
        grid.add_row(*cells, *([record.resolved_by or ""] if is_resolved else []))
    _print(grid)


def print_groups(found: list[Group], total: Group) -> None:
    """Prints how many records each rule has refused, and all of them."""
    grid = _grid("Records by broken rule", "table", "first seen (UTC)", "last seen (UTC)")
    grid.add_column("records", justify="right", no_wrap=True)
    grid.add_column("broken rule", overflow="fold")
    for group in [*found, total]:
        if group is total:
            grid.add_section()
        seen = _minute(group.first_seen), _minute(group.last_seen)
        count, rule = f"{group.records:,}", _printable(group.reason or "")
        grid.add_row(group.table_name or "all records", *seen, count, rule)
    _print(grid)


def _grid(title: str, *headings: str) -> Grid:
    """An empty table whose first columns are never folded."""
    grid = Grid(
        title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for heading in headings:
        grid.add_column(heading, no_wrap=True)
    return grid


def _print(grid: Grid) -> None:
    # Names of files may look like markup. Where nobody looks at a terminal, lines may be long.
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(width=width, markup=False, emoji=False, highlight=False).print(grid)


def shown(found: list[Record], contract: Contract | None) -> list[str]:
    """The lines that tell everything about one record."""
    record, *earlier = found
    rules = {rule.name: rule.description for rule in contract.rules} if contract else {}
    rules[UNREADABLE] = "Not even the fields of the record can be told."
    gone = "There is no such rule in the contract any more."
    broken = [(name, rules.get(name, gone)) for name in record.reasons]
    values = [(name, _text(value)) for name, value in sorted(record.broken_values.items())]
    parts = [
        ("table", record.table_name),
        ("reject key", record.reject_key),
        ("key", _text(record.key)),
        ("source", _source(record) or "none: paceline computed the row"),
        ("refused by", f"run {record.run_id} under contract {record.contract_version}"),
        ("first seen", f"{_minute(record.first_seen)} UTC"),
        ("last seen", f"{_minute(record.last_seen)} UTC"),
        ("resolved by", record.resolved_by or "nothing yet: it is open"),
        *(
            ("before that", f"refused {_minute(r.first_seen)} UTC, resolved by {r.resolved_by}")
            for r in earlier
        ),
    ]
    lines = [f"{name:<12} {_printable(value)}" for name, value in parts]
    for heading, pairs in (("broken rules", broken), ("their values", values)):
        lines += ["", heading, *(f"  {name}: {_printable(value)}" for name, value in pairs)]
    payload = _indented(record.payload or "")
    return [*lines, "", "payload", *(_printable(line) for line in payload.split("\n"))]


def _indented(payload: str) -> str:
    """JSON with a line per value, otherwise as it came; what is no JSON does not change."""
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        return payload
    depth, lines = 0, [""]
    for token in _JSON_TOKEN.findall(payload):
        depth += (token in "{[") - (token in "}]")
        blanks = "  " * min(depth, MOST_INDENTED_LEVELS)
        if token in "}]" and lines[-1].strip():
            lines.append(blanks)
        elif token in "}]":
            lines.pop()
        lines[-1] += ": " if token == ":" else token
        if token in "{[,":
            lines.append(blanks)
    return "\n".join(lines)


def _key(record: Record, contract: Contract | None) -> list[str]:
    return [f"{name} {_printable(str(value))}" for name, value in _cells(record, contract).items()]


def _cells(record: Record, contract: Contract | None) -> dict[str, Any]:
    """The columns of the key, without the values that the contract classifies."""
    open_to_all = {c.name for c in contract.columns if not c.classification} if contract else set()
    cells: dict[str, Any] = json.loads(record.key or "{}")
    return {name: value if name in open_to_all else HIDDEN for name, value in cells.items()}


def _source(record: Record) -> str:
    return f"{record.source_path}:{record.line_number}" if record.source_path else ""


def _printable(text: str) -> str:
    """The text with control characters written out: a payload may hold commands for a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _text(value: str | None) -> str:
    return "NULL" if value is None else value


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""
