"""Shows an activity that has just ended, until the pipeline has it.

A push reaches the view of last activities only, which no model is served. The store notes the
athlete first, and the next sync makes the view equal to gold again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from paceline.contract import Column, Contract
from paceline.contract.values import cell
from paceline.errors import UsageError
from paceline.online.gold import Gold
from paceline.online.store import Online, Row, entity_key
from paceline.online.sync import instant, refuse_other_gold, utc
from paceline.online.views import ATHLETE, EVENT_TIME, PUSHABLE
from paceline.store import erasures

if TYPE_CHECKING:
    from feast import FeatureView

_DUPLICATE, _ACTIVITY = "is_duplicate_recording", "activity_id"


class Pushed(NamedTuple):
    """What a push did.

    Attributes:
        written: athletes whose activity is shown now.
        older: athletes of whom the store has an activity that ends as late, or later.
    """

    written: int
    older: int


def push(
    online: Online, gold: Gold, contract: Contract, lines: Iterable[str], now: datetime
) -> Pushed:
    """Writes activities that end later than what the store has; all are right, or none is written.

    Args:
        online: the store.
        gold: where erased athletes are known.
        contract: of the gold table whose newest rows the view shows.
        lines: a JSON object each, with values by column as the contract types them; days and
            instants are ISO texts. A column that is left out is NULL.
        now: an activity that ends later is refused.

    Raises:
        UsageError: when a line is no such object, or is of an athlete who was erased.
        LockedError: when a sync is at work.
    """
    refuse_other_gold(online, gold)
    view = online.views[PUSHABLE.view]
    columns = {c.name: c for c in contract.columns if c.name in (ATHLETE, EVENT_TIME)}
    columns |= {c.name: c for c in contract.columns if c.name in {f.name for f in view.features}}
    try:
        given = {
            number: _row(number, line, columns, now)
            for number, line in enumerate(lines, 1)
            if line.strip()
        }
    except UnicodeDecodeError as error:
        raise UsageError("The lines are no UTF-8; nothing was pushed.") from error
    with online.store.lock():
        _refuse_erased(given, gold.erased())
        newest: dict[int, dict[str, Any]] = {}
        for row in sorted(given.values(), key=lambda row: (row[EVENT_TIME], row[_ACTIVITY])):
            newest[row[ATHLETE]] = row
        later = _later(online, view, [_feast_row(view, row) for row in newest.values()])
        if later:
            online.store.note_pushed([row[0].entity_values[0].int64_val for row in later])
            online.store.write(view, later)
    return Pushed(len(later), len(newest) - len(later))


def _row(number: int, line: str, columns: Mapping[str, Column], now: datetime) -> dict[str, Any]:
    """A line as a row of the view; a sentence with its number when it is none."""

    def refuse(what: str) -> NoReturn:
        raise UsageError(f"Line {number} {what}; nothing was pushed.")

    try:
        given = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        refuse("is no JSON")
    if not isinstance(given, dict):
        refuse("is no JSON object")
    if unknown := sorted(given.keys() - columns.keys()):
        refuse(
            f"has {unknown[0]!r}, which the view {PUSHABLE.view} does not have: correct the name, "
            "or run `paceline online apply` when the contract has it"
        )
    row: dict[str, Any] = {}
    for name, column in columns.items():
        try:
            row[name] = cell(given.get(name), column.type)
            if isinstance(row[name], str):
                row[name].encode()
        except (ValueError, OverflowError):
            refuse(f"has a value of {name} that is no {column.type}")
        if isinstance(row[name], float) and not math.isfinite(row[name]):
            refuse(f"has a value of {name} that is not finite")
    if missing := [c.name for c in columns.values() if c.required and row[c.name] is None]:
        refuse(f"has no {', '.join(missing)}")
    if row[ATHLETE] < 1:
        refuse(f"has an {ATHLETE} below 1")
    if row[EVENT_TIME] > now:
        refuse("ends later than now")
    if row[EVENT_TIME] < instant(0):
        refuse("ends before 1970")
    if row.get(_DUPLICATE):
        refuse("is a duplicate recording, which the view does not show")
    return row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object none of whose names is given twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _refuse_erased(given: Mapping[int, Mapping[str, Any]], erased: erasures.Erased | None) -> None:
    for number, row in given.items():
        if erased and (
            erased.has(erasures.ATHLETE, row[ATHLETE])
            or erased.has(erasures.ACTIVITY, row[_ACTIVITY])
        ):
            raise UsageError(f"Line {number} is of an athlete who was erased; nothing was pushed.")


def _feast_row(view: FeatureView, row: Mapping[str, Any]) -> Row:
    """A row as Feast's stores take it."""
    from feast.type_map import python_values_to_proto_values

    values = {}
    for field in view.features:
        value = row[field.name]
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time(), UTC)
        (values[field.name],) = python_values_to_proto_values([value], field.dtype.to_value_type())
    return entity_key(row[ATHLETE]), values, utc(row[EVENT_TIME]), None


def _later(online: Online, view: FeatureView, rows: list[Row]) -> list[Row]:
    """Those that end later than what the store has."""
    feast, kept = online.feast, online.store.kept
    keys = [key for key, *_ in rows]
    held = feast._get_provider().online_store.online_read(feast.config, view, keys) if keys else []
    return [
        row for row, (at, _) in zip(rows, held, strict=True) if at is None or kept(row[2]) > utc(at)
    ]
