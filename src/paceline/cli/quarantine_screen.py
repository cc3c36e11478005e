"""What `paceline quarantine` shows: tables for people, or data for JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from paceline.cli.screen import HIDDEN, numbers, say_grid, texts, words
from paceline.contract import Contract
from paceline.sources.refusals import REFUSALS
from paceline.store import quarantine
from paceline.store.quarantine import Group, Record

# A hostile payload could ask for gigabytes of blanks: deeper levels are not set off any more.
MOST_INDENTED_LEVELS = 20

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def as_data(record: Record, contract: Contract | None) -> dict[str, Any]:
    """A record as it is listed: without payload and values, and without ids of people."""
    cells = asdict(record)
    del cells["payload"], cells["broken_values"]
    return cells | {"key": _cells(record, contract)}


def print_records(
    found: list[Record], contracts: Mapping[str, Contract], *, is_resolved: bool
) -> None:
    """Prints a table of records, without what is personal in them."""
    title = f"{'Resolved' if is_resolved else 'Open'} records"
    folded = ("key", "broken rules", "source", *(["resolved by"] if is_resolved else []))
    rows = [
        [
            record.table_name,
            record.reject_key[: quarantine.SHOWN_DIGITS],
            _minute(record.first_seen),
            _key(record, contracts.get(record.table_name)),
            list(record.reasons),
            _source(record),
            *([record.resolved_by or ""] if is_resolved else []),
        ]
        for record in found
    ]
    say_grid(title, [*words("table", "reject key", "first seen (UTC)"), *texts(*folded)], rows)


def print_groups(found: list[Group], total: Group) -> None:
    """Prints how many records each rule has refused, and all of them."""
    columns = [
        *words("table", "first seen (UTC)", "last seen (UTC)"),
        *numbers("records"),
        *texts("broken rule"),
    ]
    say_grid("Records by broken rule", columns, [*map(_group, found), None, _group(total)])


def _group(group: Group) -> list[str]:
    seen = _minute(group.first_seen), _minute(group.last_seen)
    return [group.table_name or "all records", *seen, f"{group.records:,}", group.reason or ""]


def shown(found: list[Record], contract: Contract | None) -> list[str]:
    """The lines that tell everything about one record."""
    record, *earlier = found
    of_contract = {rule.name: rule.description for rule in contract.rules} if contract else {}
    rules = REFUSALS | of_contract
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
    lines = [f"{name:<12} {value}" for name, value in parts]
    for heading, pairs in (("broken rules", broken), ("their values", values)):
        lines += ["", heading, *(f"  {name}: {value}" for name, value in pairs)]
    payload = _indented(record.payload or "")
    return [*lines, "", "payload", *payload.split("\n")]


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
    return [f"{name} {value}" for name, value in _cells(record, contract).items()]


def _cells(record: Record, contract: Contract | None) -> dict[str, Any]:
    """The columns of the key, without the values that the contract classifies."""
    open_to_all = {c.name for c in contract.columns if not c.classification} if contract else set()
    cells: dict[str, Any] = json.loads(record.key or "{}")
    return {name: value if name in open_to_all else HIDDEN for name, value in cells.items()}


def _source(record: Record) -> str:
    return f"{record.source_path}:{record.line_number}" if record.source_path else ""


def _text(value: str | None) -> str:
    return "NULL" if value is None else value


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""
