"""ops.erasures: who has been erased, as salted hashes, so that nothing of them is taken in again.

A hash keeps an id from being read, not from being guessed: whoever may read the table can try ids.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from paceline.sources.record import folder_athlete_id
from paceline.store.ledger import append_rows
from paceline.store.warehouse import NO_STATISTICS, Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ERASURES = "ops.erasures"
ERASURES_DDL = """
kind STRING NOT NULL COMMENT 'salt, athlete, activity, file or done',
value STRING NOT NULL COMMENT 'the salt, a salted hash, the SHA-256 of a delivery, or the run',
athlete STRING COMMENT 'the salted hash of the athlete; NULL for the salt',
run_id STRING NOT NULL COMMENT 'the run that erased',
erased_at TIMESTAMP NOT NULL COMMENT 'when it began; when it ended, for done'
"""
SALT, ATHLETE, ACTIVITY, FILE, DONE = "salt", "athlete", "activity", "file", "done"
KINDS = (SALT, ATHLETE, ACTIVITY)

# What Python and Spark read alike in a record that names nobody, broken JSON in a text included.
ATHLETE_MENTION = (
    r'athlete(?:_id)?\\*"?\s*[:=]\s*(?:\{[^{}]*?"id\\*"\s*:\s*)?\\*"?0*([0-9]{1,19})(?![0-9])'
)
# An id inside of `athlete` is none of an activity: it is passed over together with its object.
ACTIVITY_MENTION = (
    r'athlete\\*"\s*:\s*\{[^{}]*'
    r'|"(?:activity_)?id\\*"\s*:\s*\\*"?0*([0-9]{1,19})(?![0-9])'
)

# The least id that a number in a path tells of by itself.
LEAST_TELLING = 100
_LABEL = r"(?i)(athlete[^0-9/]{0,4}/?)"
_NUMBER = re.compile(rf"{_LABEL}?(?<![0-9])0*([0-9]{{1,19}})(?![0-9])")
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


@dataclass(frozen=True)
class Erased:
    """Who has been erased from a warehouse.

    Attributes:
        salt: in hexadecimal; every warehouse has its own.
        hashes: (ATHLETE or ACTIVITY, salted hash of the id).
    """

    salt: str
    hashes: frozenset[tuple[str, str]] = frozenset()

    def hash(self, kind: str, number: int) -> str:
        """The salted hash of the id of an athlete or activity, in hexadecimal."""
        text = f"{kind} {number}".encode()
        return hmac.digest(bytes.fromhex(self.salt), text, "sha256").hex()

    def has(self, kind: str, number: int) -> bool:
        """Whether the athlete, or the activity of one, has been erased."""
        return (kind, self.hash(kind, number)) in self.hashes

    def has_folder(self, path: str) -> bool:
        """Whether a file lies in the folder `athlete_id=<id>` of an erased athlete."""
        athlete = folder_athlete_id(path)
        return athlete is not None and self.has(ATHLETE, athlete)

    def anonymous(self, path: str, stand_in: str | None = None) -> str:
        """A path with a pseudonym, or `stand_in`, for each number that is an erased athlete's id.

        A number below 100 may be a day or a part: it counts only where `athlete` stands before it.
        """

        def replaced(found: re.Match[str]) -> str:
            label, number = found[1] or "", int(found[2])
            is_meant = (label or number >= LEAST_TELLING) and self.has(ATHLETE, number)
            return f"{label}{stand_in or self.pseudonym(number)}" if is_meant else found[0]

        return _NUMBER.sub(replaced, path)

    def pseudonym(self, athlete: int) -> str:
        """What stands for an athlete in a path: letters, so that it is never taken for an id."""
        return self.hash(ATHLETE, athlete)[:16].translate(_LETTERS)

    def without(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The records of a batch of bronze that are not of an erased athlete.

        A record that names no athlete is theirs when it names an activity of theirs, or when its
        text, though unreadable, mentions them.
        """
        athletes = batch.column("athlete_id").to_pylist()
        refused = {a for a in set(athletes) if a is not None and self.has(ATHLETE, a)}
        refused_rows = {
            row for row, a in enumerate(athletes) if a is None and self._names(_cells(batch, row))
        }
        if not refused and not refused_rows:
            return batch
        kept = [a not in refused and row not in refused_rows for row, a in enumerate(athletes)]
        return batch.filter(pa.array(kept, pa.bool_()))

    def _names(self, record: Mapping[str, Any]) -> bool:
        activity = record.get("activity_id")
        if activity is not None and self.has(ACTIVITY, activity):
            return True
        text = record["payload"]
        if record["is_base64"]:
            # Latin 1 reads any bytes, and digits as they are.
            text = b64decode(text).decode("latin-1")
        return any(
            self.has(kind, number)
            for kind, pattern in ((ATHLETE, ATHLETE_MENTION), (ACTIVITY, ACTIVITY_MENTION))
            for number in mentioned(pattern, text)
        )


def path_pattern(athlete: int) -> str:
    """What finds the id of an athlete in a path, as `Erased.anonymous` does; $1 comes before it."""
    label = f"{_LABEL}?" if athlete >= LEAST_TELLING else _LABEL
    return rf"{label}(?<![0-9])0*{athlete}(?![0-9])"


def mentioned(pattern: str, text: str) -> set[int]:
    """The ids that a pattern finds in a text."""
    return {int(found) for found in re.findall(pattern, text) if found}


def read(warehouse: Warehouse) -> Erased | None:
    """Who has been erased; None while nobody has."""
    if not warehouse.exists(ERASURES):
        return None
    warehouse.register(ERASURES)
    table = warehouse.table(ERASURES)
    rows = table.where(table.kind.isin(*KINDS)).select("kind", "value").collect()
    return of_rows([(row["kind"], row["value"]) for row in rows])


def of_rows(rows: Collection[tuple[str, str]]) -> Erased | None:
    """Who has been erased, by (kind, value) of the `KINDS`; None while nobody has."""
    salts = [value for kind, value in rows if kind == SALT]
    hashes = frozenset((kind, value) for kind, value in rows if kind != SALT)
    return Erased(salts[0], hashes) if salts else None


def remember(
    warehouse: Warehouse,
    known: Erased,
    athlete_id: int,
    activities: Collection[int],
    files: Collection[str],
    run_id: str,
    at: datetime,
) -> None:
    """Notes an athlete, as far as not noted yet, in one commit at most.

    Args:
        warehouse: where.
        known: who has been erased before.
        athlete_id: the athlete.
        activities: ids of activities that are theirs alone.
        files: SHA-256 of the deliveries that held their records.
        run_id: the run that erases.
        at: its start.
    """
    warehouse.create(ERASURES, ERASURES_DDL, NO_STATISTICS)
    athlete = known.hash(ATHLETE, athlete_id)
    hashes = {
        (ATHLETE, athlete),
        *((ACTIVITY, known.hash(ACTIVITY, activity)) for activity in activities),
    }
    new = sorted(hashes - known.hashes)
    new += [(FILE, digest) for digest in sorted(set(files) - set(files_of(warehouse, athlete)))]
    rows: list[tuple[Any, ...]] = [(kind, value, athlete, run_id, at) for kind, value in new]
    if read(warehouse) is None:
        rows.insert(0, (SALT, known.salt, None, run_id, at))
    if rows:
        append_rows(warehouse, ERASURES, ERASURES_DDL, rows)


def finish(warehouse: Warehouse, athlete: str, run_id: str, at: datetime) -> None:
    """Notes when the last row of an athlete, given as salted hash, had been removed."""
    append_rows(warehouse, ERASURES, ERASURES_DDL, [(DONE, run_id, athlete, run_id, at)])


def finished(warehouse: Warehouse, athlete: str) -> datetime | None:
    """When an athlete, given as salted hash, had been erased; None when that never ended."""
    (row,) = _of(warehouse, athlete, DONE).agg({"erased_at": "max"}).collect()
    at: datetime | None = row[0]
    return at.astimezone(UTC) if at else None


def files_of(warehouse: Warehouse, athlete: str) -> list[str]:
    """SHA-256 of the deliveries that held records of an athlete, given as salted hash."""
    return sorted(row["value"] for row in _of(warehouse, athlete, FILE).collect())


def _of(warehouse: Warehouse, athlete: str, kind: str) -> DataFrame:
    table = warehouse.table(ERASURES)
    return table.where((table.kind == kind) & (table.athlete == athlete))


def _cells(batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    names = [n for n in ("activity_id", "payload", "is_base64") if n in batch.schema.names]
    return {name: batch.column(name)[row].as_py() for name in names}
