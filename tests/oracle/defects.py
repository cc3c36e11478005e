"""Rows of a table, good ones and ones with planted defects, made from what its contract says.

A third of the rows is good. The others have a defect or a few of these kinds: an absent value, NaN,
infinities, -0.0, the smallest and greatest values of a type, empty texts, texts with a newline
inside or at the end, dates far away, the value of another column, and the values at which a
predicate turns. Those are found in its text: numbers, texts and timestamps with their neighbours,
and for `a <= b` the values at which one column passes the other. Speeds are also planted on both
sides of each distance from which another one is the greatest.

Whole numbers go to the ends of BIGINT, so predicates may compare them, but calculate with them in
DOUBLE only. Never are two of them huge and close to each other, where DOUBLE cannot tell them
apart. TIMESTAMPs keep two days from the ends of the calendar, so that any zone can show them.
"""

from __future__ import annotations

import math
import random
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from tests.oracle.model import SPEED_LIMITS, speed_limit

Row = dict[str, Any]

_SMALLEST, _GREATEST = 5e-324, sys.float_info.max
_WHOLE_BITS = {"INT": 32, "BIGINT": 64}
_HOSTILE: dict[str, tuple[Any, ...]] = {
    **{
        name: (-(1 << bits - 1), (1 << bits - 1) - 1, -1, 0, 1)
        for name, bits in _WHOLE_BITS.items()
    },
    "DOUBLE": (
        *(math.nan, math.inf, -math.inf, 0.0, -0.0, _SMALLEST, -_SMALLEST),
        *(_GREATEST, -_GREATEST),
    ),
    "BOOLEAN": (True, False),
    "DATE": (date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(9999, 12, 31)),
    "TIMESTAMP": (
        datetime(1, 1, 3, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(9999, 12, 29, tzinfo=UTC),
    ),
    "TIMESTAMP_NTZ": (datetime(1, 1, 3), datetime(9999, 12, 29)),
    "STRING": ("", "\n", "'", "\u00e9\U0001f3c3", "x" * 10_000),
}
# What the $ of a regular expression may take for the end of a text.
_LINE_ENDS = ("\n", "\r\n", "\u2028")
_FIRST_KEY = 100_000
_DAYS_OF_GOOD_ROWS = 200

_STEPS = (-1, 0, 1)
_TEXT = r"'([^']*)'"
_NUMBER = r"(?<![\w.])\d+(?:\.\d+)?(?=D?(?![\w.]))"
_SIDE = r"(?:(\d+(?:\.\d+)?)D? \* )?\b([a-z]\w*)(?: \+ (\d+(?:\.\d+)?)D?)?"
_LOOKS_FURTHER = re.compile(r"(\w+)(?:, '[^']*'\))? <> '([^']*)'")
_COMPARISON = re.compile(rf"{_SIDE} (?:<=|<|>=|>) (?:least\(\d+, )?{_SIDE}")


@dataclass(frozen=True)
class Field:
    """A column: its Spark SQL type, and its value in a row that keeps every rule."""

    name: str
    type: str
    required: bool
    example: Any
    is_key: bool


@dataclass(frozen=True)
class Table:
    """The columns of a table in order, and the predicates of its rules."""

    fields: tuple[Field, ...]
    predicates: tuple[str, ...]

    @property
    def key(self) -> list[str]:
        return [field.name for field in self.fields if field.is_key]


class _Defect(NamedTuple):
    """`columns` are those that it looks at or changes; `values` gives the new ones for a row."""

    columns: tuple[str, ...]
    values: Callable[[Row], Row]


class _Side(NamedTuple):
    """factor * column + offset."""

    factor: float
    column: str
    offset: float


class _Turn(NamedTuple):
    """Two columns that a predicate compares; its verdict turns where both sides are equal."""

    left: _Side
    right: _Side


def table_of(contract: Any) -> Table:
    """The table that a contract describes, from its `columns`, `key` and `rules`."""
    return Table(
        tuple(
            Field(c.name, c.type, c.required, c.example, c.name in contract.key)
            for c in contract.columns
        ),
        tuple(rule.predicate for rule in contract.rules),
    )


def rows(table: Table, seed: int, count: int) -> list[Row]:
    """`count` rows with different keys; every third is good.

    Each defect is planted once, alone in its row where `count` leaves the room for that. Rows that
    are left over have two defects. Raises ValueError when `count` is too small for all defects.
    """
    chance = random.Random(seed)
    made = [good_row(table, number, chance) for number in range(count)]
    faulty = [number for number in range(count) if number % 3]
    touched: dict[int, set[str]] = {number: set() for number in faulty}

    def plant(defect: _Defect, numbers: list[int]) -> bool:
        """In the first row whose other defects are in other columns."""
        for number in numbers:
            if touched[number].isdisjoint(defect.columns):
                made[number] |= defect.values(made[number])
                touched[number].update(defect.columns)
                return True
        return False

    defects = list(_defects(table, chance))
    chance.shuffle(defects)
    for position, defect in enumerate(defects):
        start = position % max(len(faulty), 1)
        if not plant(defect, faulty[start:] + faulty[:start]):
            raise ValueError(f"{count} rows are too few for {len(defects)} defects, ask for more.")
    inside = [defect for defect in defects if not set(defect.columns) & set(table.key)]
    for number in faulty[len(defects) :]:
        for defect in chance.sample(inside, 2):
            plant(defect, [number])
    return made


def good_row(table: Table, number: int, chance: random.Random) -> Row:
    """The example row on another day, with all measures a little smaller or larger.

    All columns move alike, so that what held between them still holds. The whole numbers of the key
    are those of the row alone.
    """
    factor, later = chance.uniform(0.97, 1.03), timedelta(chance.randrange(_DAYS_OF_GOOD_ROWS))
    row = {}
    for field in table.fields:
        value = field.example
        if isinstance(value, float):
            value *= factor
        elif isinstance(value, date):
            value += later
        elif field.is_key and field.type in _WHOLE_BITS:
            value = _FIRST_KEY + number
        row[field.name] = value
    return row


def _defects(table: Table, chance: random.Random) -> Iterator[_Defect]:
    for field in table.fields:
        for value in _bad_values(field, table.predicates):
            yield _put({field.name: value})
        donors = [f for f in table.fields if f.type == field.type and f.name != field.name]
        if donors and not field.is_key:
            yield _copied(field.name, chance.choice(donors).name)
        if field.type == "TIMESTAMP" and field.example is not None:
            yield from (_Defect((field.name,), partial(_later, field.name, us)) for us in (-1, 1))
    types = {field.name: field.type for field in table.fields}
    for predicate in table.predicates:
        yield from _crossings(predicate, types)
    if types.keys() >= {"sport_family", "distance_m", "moving_time_s", "elapsed_time_s"}:
        yield from _greatest_speeds()
    if others := [field.name for field in table.fields if not field.is_key]:
        yield _put(dict.fromkeys(others))


def _greatest_speeds() -> Iterator[_Defect]:
    """Where the limit changes, and just below: the whole seconds that keep it, and one less."""
    for family, limits in SPEED_LIMITS.items():
        for begin, _ in limits[1:]:
            for distance in (math.nextafter(begin, 0.0), float(begin)):
                keeps_s = math.ceil(3.6 * distance / speed_limit(family, distance))
                for seconds in (keeps_s, keeps_s - 1):
                    yield _put(
                        {
                            "sport_family": family,
                            "distance_m": distance,
                            "moving_time_s": seconds,
                            "elapsed_time_s": seconds,
                        }
                    )


def _put(values: Row) -> _Defect:
    return _Defect(tuple(values), lambda _: values)


def _copied(column: str, source: str) -> _Defect:
    return _Defect((column, source), lambda row: {column: row[source]})


def _later(column: str, us: int, row: Row) -> Row:
    return {column: row[column] + timedelta(microseconds=us)}


def _bad_values(field: Field, predicates: tuple[str, ...]) -> list[Any]:
    """None, what is hostile in every column of the type, and where the predicates turn."""
    values = [None, *_HOSTILE[field.type]]
    for predicate in predicates:
        if re.search(rf"\b{field.name}\b", re.sub(_TEXT, "", predicate)):
            for constant in _constants(predicate, field.type):
                values += [_moved(constant, field.type, step) for step in _STEPS]
    if field.type == "STRING" and field.example is not None:
        half = len(field.example) // 2
        values.append(f"{field.example[:half]}\n{field.example[half:]}")
        values += [field.example + end for end in _LINE_ENDS]
    # By their text, which tells 0.0 from -0.0 and takes NaN for NaN.
    return list({repr(value): value for value in values}.values())


def _crossings(predicate: str, types: Mapping[str, str]) -> Iterator[_Defect]:
    """Of two columns each below, at and above the turn; both exchanged; both NaN.

    Some predicates look further only where a column holds a certain text; then it does.
    """
    texts = dict(_LOOKS_FURTHER.findall(predicate))
    for turn in _turns(predicate, types):
        left, right = turn.left.column, turn.right.column
        columns = (left, right, *texts)
        for solved in (turn, _Turn(turn.right, turn.left)):
            for step in _STEPS:
                sql_type = types[solved.left.column]
                yield _Defect(columns, partial(_beside, solved, sql_type, step, texts))
        if types[left] == types[right]:
            yield _Defect(columns, partial(_exchanged, left, right))
            if types[left] == "DOUBLE":
                yield _put(dict.fromkeys((left, right), math.nan))


def _exchanged(left: str, right: str, row: Row) -> Row:
    return {left: row[right], right: row[left]}


def _beside(turn: _Turn, sql_type: str, step: int, texts: Row, row: Row) -> Row:
    """The left column a step from the value at which both sides are equal, if there is one."""
    other = row[turn.right.column]
    if other is None:
        return {}
    equal = turn.right.factor * other + turn.right.offset - turn.left.offset
    return texts | {turn.left.column: _moved(equal / turn.left.factor, sql_type, step)}


def _moved(value: Any, sql_type: str, step: int) -> Any:
    """The value (step 0), or the next smaller (-1) or greater (1) one that the type can hold."""
    if sql_type == "DOUBLE":
        return math.nextafter(value, step * math.inf) if step else float(value)
    if sql_type in _WHOLE_BITS:
        return math.floor(value) + step
    if sql_type == "TIMESTAMP":
        return value + timedelta(microseconds=step)
    return {-1: value.upper(), 0: value, 1: f"{value}\n"}[step]


def _turns(predicate: str, columns: Collection[str]) -> Iterator[_Turn]:
    """The comparisons of two columns in a predicate."""
    for found in _COMPARISON.finditer(predicate):
        left, right = (
            _Side(float(factor or 1), column, float(offset or 0))
            for factor, column, offset in (found.groups()[:3], found.groups()[3:])
        )
        if left.column in columns and right.column in columns:
            yield _Turn(left, right)


def _constants(predicate: str, sql_type: str) -> list[Any]:
    """What a predicate may compare a column of a type with: numbers, texts or timestamps."""
    if sql_type == "STRING":
        return re.findall(_TEXT, predicate)
    if sql_type == "TIMESTAMP":
        texts = re.findall(rf"TIMESTAMP {_TEXT}", predicate)
        return [datetime.fromisoformat(text) for text in texts]
    if sql_type == "DOUBLE" or sql_type in _WHOLE_BITS:
        return [float(number) for number in re.findall(_NUMBER, re.sub(_TEXT, "", predicate))]
    return []


def empty(_: list[Row]) -> list[Row]:
    """A batch without rows."""
    return []


def all_null(batch: list[Row], column: str) -> list[Row]:
    """A batch in which a column is NULL throughout."""
    return [{**row, column: None} for row in batch]


def duplicate_new_key(table: Table, batch: list[Row]) -> list[Row]:
    """The batch, and a row with the key of its first and the other values of its last."""
    return [*batch, _with_key(table, batch[-1], batch[0])]


def duplicate_old_key(table: Table, batch: list[Row], published: Row) -> list[Row]:
    """The batch, and two different rows with the key of a row that is published already."""
    return [*batch, *(_with_key(table, row, published) for row in (batch[0], batch[-1]))]


def null_key(table: Table, batch: list[Row]) -> list[Row]:
    """The batch, and for each column of the key a row in which it is NULL."""
    return [*batch, *({**batch[0], column: None} for column in table.key)]


def _with_key(table: Table, row: Row, other: Row) -> Row:
    return row | {column: other[column] for column in table.key}
