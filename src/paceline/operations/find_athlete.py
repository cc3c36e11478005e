"""Where an athlete is: in which tables, which of their rows, and which deliveries.

Conditions refer to a view of one row, so that no id gets into the history of a table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paceline.publish.staged import staging_name
from paceline.recipe import RECORD, Table
from paceline.sql import literal
from paceline.store import deliveries, ledger, quarantine
from paceline.store.erasures import ACTIVITY_MENTION, ATHLETE_MENTION, Erased, path_pattern
from paceline.store.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import Row

# The view, with one row: the athlete.
ATHLETE = "paceline_erased_athlete"
# What the ledger says instead of a message that named an athlete.
REASON = "an athlete was erased"


@dataclass(frozen=True)
class Place:
    """A table that may hold an athlete.

    Attributes:
        table_name: the table.
        condition: of SQL, whether a row `t` is of the athlete `s`.
        forgets: the assignment in SQL after which a row no longer names them; None where whole rows
            are deleted.
        is_received: whether it only ever grows otherwise.
    """

    table_name: str
    condition: str
    forgets: str | None = None
    is_received: bool = False


@dataclass(frozen=True)
class Holding:
    """A delivery with records of the athlete.

    Attributes:
        path: in the landing zone.
        digest: SHA-256 of the file as it was delivered.
        records: rows of bronze that are the athlete's.
        others: rows of bronze that are not.
    """

    path: str
    digest: str
    records: int
    others: int


@dataclass(frozen=True)
class Found:
    """Where an athlete is.

    Attributes:
        athlete_id: the athlete.
        places: where they may be, in the order in which they are erased.
        rows: by table, how many rows are theirs.
        activities: ids of the activities that are theirs alone.
        shared: tables with records of an activity that others have records of as well.
        files: the deliveries that they came with, by path.
    """

    athlete_id: int
    places: tuple[Place, ...]
    rows: Mapping[str, int]
    activities: tuple[int, ...]
    shared: frozenset[str]
    files: tuple[Holding, ...]


@contextmanager
def found(
    warehouse: Warehouse, tables: Sequence[Table], athlete_id: int, known: Erased
) -> Iterator[Found]:
    """Looks for an athlete in all tables that are there, and lets `count` look again meanwhile.

    Args:
        warehouse: with the tables of ops known to the session.
        tables: all that are published, with their inputs.
        athlete_id: the athlete.
        known: who has been erased before, with the salt of the warehouse.
    """
    places = _places(warehouse, tables)
    received = [place for place in places if place.is_received]
    activities: set[int] = set()
    shared = set()
    for name in (place.table_name for place in received):
        if "activity_id" in warehouse.table(name).columns:
            of_table = _activities(warehouse, name, athlete_id)
            activities |= {row["activity_id"] for row in of_table if not row["is_shared"]}
            shared |= {name for row in of_table if row["is_shared"]}
    _name(warehouse, athlete_id, activities, known)
    try:
        yield Found(
            athlete_id,
            places,
            count(warehouse, places),
            tuple(sorted(activities)),
            frozenset(shared),
            tuple(_files(warehouse, received)),
        )
    finally:
        warehouse.spark.catalog.dropTempView(ATHLETE)


def count(warehouse: Warehouse, places: Sequence[Place]) -> dict[str, int]:
    """By table, how many rows are of the athlete who is looked for."""
    parts = [
        f"SELECT {literal(place.table_name)} AS table_name, count(*) AS records"
        f" FROM {warehouse.identifier(place.table_name)} t CROSS JOIN {ATHLETE} s"
        f" WHERE {place.condition}"
        for place in places
    ]
    rows = warehouse.spark.sql(" UNION ALL ".join(parts)).collect()
    return {row["table_name"]: row["records"] for row in rows}


def _places(warehouse: Warehouse, tables: Sequence[Table]) -> tuple[Place, ...]:
    """All tables that are there, made known to the session; bronze and the deliveries last."""
    published: list[Place] = []
    staging: list[Place] = []
    received: list[Place] = []
    for table in reversed(tables):
        kept = published if table.inputs else received
        for name, group in ((table.name, kept), (staging_name(table.name), staging)):
            if warehouse.exists(name):
                warehouse.register(name)
                columns = warehouse.table(name).columns
                if "athlete_id" in columns:
                    place = Place(name, _belongs(columns), is_received=group is received)
                    group.append(place)
    key = {
        name: f"CAST(get_json_object(t.key, '$.{name}') AS BIGINT)"
        for name in ("athlete_id", "activity_id")
    }
    return (
        *published,
        *staging,
        Place(quarantine.QUARANTINE, _is_of(key["athlete_id"], key["activity_id"], "t")),
        # Numbers of a message that names no path are none of an athlete.
        Place(
            ledger.LEDGER,
            "t.message LIKE '%/%' AND t.message RLIKE s.in_path",
            forgets=f"message = {literal(REASON)}",
        ),
        *received,
        # Not deleted: the file would be read again, with the records of others that are in it.
        Place(
            deliveries.DELIVERIES,
            "t.path RLIKE s.in_path",
            forgets="path = regexp_replace(t.path, s.in_path, concat('$1', s.pseudonym))",
        ),
    )


def _belongs(columns: Collection[str]) -> str:
    """Whether a row `t` of a table with these columns is of the athlete `s`."""
    record = "t" if "payload" in columns else f"t.{RECORD}"
    if record == "t" or RECORD in columns:
        activity = "t.activity_id" if "activity_id" in columns else None
        return _is_of("t.athlete_id", activity, record)
    return "t.athlete_id = s.athlete_id"


def _is_of(athlete: str, activity: str | None, record: str) -> str:
    """The same, for a row that knows the record it came from; one that names nobody is read."""
    payload = f"{record}.payload"
    # What was not UTF-8 is kept as base64. Latin 1 reads any bytes, and digits as they are.
    decoded = f"decode(try_to_binary({payload}, 'base64'), 'ISO-8859-1')"
    text = f"concat({payload}, ' ', coalesce({decoded}, ''))"
    mentions = [
        f"arrays_overlap(regexp_extract_all({text}, {literal(pattern)}, 1), s.{ids})"
        for pattern, ids in (
            (ATHLETE_MENTION, "athlete_texts"),
            (ACTIVITY_MENTION, "activity_texts"),
        )
    ]
    signs = [f"{record}.source_path RLIKE s.folder", *mentions]
    if activity is not None:
        signs.append(f"array_contains(s.activities, {activity})")
    return f"({athlete} = s.athlete_id OR ({athlete} IS NULL AND ({' OR '.join(signs)})))"


def _activities(warehouse: Warehouse, name: str, athlete_id: int) -> list[Row]:
    return warehouse.spark.sql(
        f"SELECT activity_id, bool_or(athlete_id <> {athlete_id}) AS is_shared"
        f" FROM {warehouse.identifier(name)} WHERE activity_id IS NOT NULL"
        f" GROUP BY activity_id HAVING bool_or(athlete_id = {athlete_id})"
    ).collect()


def _name(
    warehouse: Warehouse, athlete_id: int, activities: Collection[int], known: Erased
) -> None:
    """Makes the athlete known to SQL: one row, to which the conditions refer as `s`.

    A view without a table below it: Delta would copy any other source of a MERGE first.
    """
    numbers = ", ".join(map(str, sorted(activities)))
    row = {
        "athlete_id": f"CAST({athlete_id} AS BIGINT)",
        "athlete_texts": f"array('{athlete_id}')",
        "folder": literal(rf"\bathlete_id=0*{athlete_id}/"),
        "in_path": literal(path_pattern(athlete_id)),
        "pseudonym": literal(known.pseudonym(athlete_id)),
        "activities": f"CAST(array({numbers}) AS ARRAY<BIGINT>)",
        "activity_texts": f"CAST(array({numbers}) AS ARRAY<STRING>)",
    }
    columns = ", ".join(f"{value} AS {name}" for name, value in row.items())
    warehouse.spark.sql(f"SELECT {columns}").createOrReplaceTempView(ATHLETE)


def _files(warehouse: Warehouse, received: Sequence[Place]) -> list[Holding]:
    parts = [
        f"SELECT source_path, source_digest, count_if({place.condition}) AS records,"
        f" count(*) AS received FROM {warehouse.identifier(place.table_name)} t"
        f" CROSS JOIN {ATHLETE} s GROUP BY source_path, source_digest"
        for place in received
    ]
    rows = warehouse.spark.sql(
        f"SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE records > 0"
        " ORDER BY source_path, source_digest"
    ).collect()
    return [
        Holding(
            row["source_path"],
            row["source_digest"],
            row["records"],
            row["received"] - row["records"],
        )
        for row in rows
    ]
