"""Faults on purpose, and the small chain on which they happen.

A commit can fail before it is made, be made and reported as failed, or be the last thing that the
process does. The chain is the settings of athletes from bronze to silver, delivered in rounds of
which each inserts, updates, deletes, refuses and mends records.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pyspark.sql import DataFrameWriter, SparkSession

from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.recipe import Table
from paceline.store.ledger import Entry
from paceline.tables.bronze import athlete_settings as bronze
from paceline.tables.silver import athlete_settings as silver
from tests.pipeline.warehouse import NOW, lines, run, versions

BEFORE, REPORTED, LAST = "before", "after, reported as failed", "after"

_COMMITS = re.compile(
    r"\s*(?:MERGE INTO|INSERT INTO|UPDATE|DELETE FROM|ALTER TABLE|CREATE TABLE(?! IF NOT EXISTS))"
    r"\s+([\w.]+)"
)


class LostConnectionError(Exception):
    """An ordinary error, after which the program can still tidy up."""


class Death(BaseException):
    """The end of a process: nothing of the program is done after it."""


@dataclass
class Faults:
    """What goes wrong, and the tables that have been committed to, in order.

    Attributes:
        warehouse: the directory whose commits are counted.
        at: the number of the commit at which it goes wrong, from 1; 0 for none.
        mode: BEFORE, REPORTED or LAST.
        commits: the tables of the commits that have been made.
    """

    warehouse: Path
    at: int = 0
    mode: str = ""
    commits: list[str] = field(default_factory=list)
    _is_dead: bool = False

    def around(self, original: Callable[..., Any], table: str | None, *args: Any) -> Any:
        """Calls what may commit to a table, and fails where it has been asked to."""
        if self._is_dead:
            raise Death
        if table is None:
            return original(*args)
        is_here = len(self.commits) + 1 == self.at
        if is_here and self.mode == BEFORE:
            self.at = 0
            raise LostConnectionError
        newest = versions(self.warehouse).get(table)
        result = original(*args)
        if versions(self.warehouse).get(table) == newest:
            return result  # Delta makes no commit without rows
        self.commits.append(table)
        if is_here and self.mode == REPORTED:
            raise LostConnectionError
        if is_here:
            self._is_dead = True
            raise Death
        return result


@contextmanager
def faults(warehouse: Path, at: int = 0, mode: str = "") -> Iterator[Faults]:
    """Counts the commits of everything inside, and lets one of them fail."""
    fault = Faults(warehouse, at, mode)
    sql, save = SparkSession.sql, DataFrameWriter.saveAsTable

    def counted_sql(spark: SparkSession, query: str) -> Any:
        found = _COMMITS.match(query)
        return fault.around(sql, found and found[1], spark, query)

    def counted_save(writer: DataFrameWriter, name: str) -> Any:
        return fault.around(save, name, writer, name)

    with (
        patch.object(SparkSession, "sql", counted_sql),
        patch.object(DataFrameWriter, "saveAsTable", counted_save),
    ):
        yield fault


SINCE = date(2026, 1, 1)
NEW, EDITED, MENDED = 300.0, 290.0, 310.0
Rows = dict[int, float]


def broken(number: int) -> int:
    """The athlete whose settings are refused in a round, and mended in the next one."""
    return 10 * number + 2


def good(number: int) -> int:
    """The athlete whose settings arrive in a round, are edited in the next and then deleted."""
    return 10 * number + 1


# Athletes whose settings change in every round, are there after odd ones, and after even ones.
RESTLESS, ODD, EVEN = 3, 4, 5


def rows_after(number: int) -> Rows:
    """By athlete, the threshold pace that silver holds after a round; rounds count from 1."""
    if number == 0:
        return {}
    rows = {broken(earlier): MENDED for earlier in range(1, number)}
    rows |= {good(number): NEW, RESTLESS: 400.0 + number, (ODD if number % 2 else EVEN): 500.0}
    return rows | ({good(number - 1): EDITED} if number > 1 else {})


def pace(seconds: float) -> str:
    """The settings of an athlete as JSON: the threshold pace alone, in seconds per km."""
    return f'{{"threshold_pace_s_per_km": {seconds}}}'


class Chain:
    """A warehouse with the settings of athletes, where rounds are put into bronze by hand."""

    def __init__(self, spark: SparkSession, root: Path) -> None:
        self.spark, self.root = spark, root
        self.round = 0
        self.runs = self.puts = 0
        self.published: list[Rows] = []

    @property
    def landing(self) -> Path:
        """The landing zone, with a file in it that says nothing."""
        path = self.root / "landing" / "athlete_settings" / "empty.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return self.root / "landing"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"

    def path(self, table: str) -> str:
        """The directory of a table."""
        return str(self.warehouse.joinpath(*table.split(".")))

    def run(
        self,
        hook: Callable[[str, str, str], None] = lambda moment, step, name: None,
        spark: SparkSession | None = None,
        tables: tuple[Table, ...] = (silver.TABLE,),
    ) -> Entry:
        """Runs silver alone, unless more tables are given; returns its last event."""
        self.runs += 1
        now = NOW + timedelta(minutes=self.runs)
        places = spark or self.spark, self.landing, self.warehouse
        return run(*places, jobs={FEATURE_ACTIVITY: tables}, now=now, hook=hook)[silver.NAME]

    def create(self) -> None:
        """Makes the tables by a run that dies before its first step."""

        def die(*at: str) -> None:
            raise Death

        with suppress(Death):
            self.run(die, tables=(bronze.TABLE, silver.TABLE))

    def deliver(self) -> int:
        """Puts the next round into bronze; returns its number."""
        self.round = number = self.round + 1
        here, gone = (ODD, EVEN) if number % 2 else (EVEN, ODD)
        records = [
            (good(number), "r", pace(NEW)),
            (broken(number), "r", pace(1)),
            (RESTLESS, "r", pace(400 + number)),
            (here, "r", pace(500)),
            (gone, "d", "{}"),
        ]
        if number > 1:
            records += [
                (good(number - 1), "r", pace(EDITED)),
                (broken(number - 1), "r", pace(MENDED)),
            ]
        if number > 2:
            records.append((good(number - 2), "d", "{}"))
        self.put(*records)
        return number

    def put(self, *records: tuple[int, str, str]) -> None:
        """Puts records (athlete, operation, payload) into bronze, newer than all before."""
        self.puts += 1
        values = ", ".join(
            f"('by hand', '{self.puts}', {line}, '{payload}', false, 'athlete_settings', '{op}',"
            f" {athlete}, DATE'{SINCE}', {self.puts}, NULL, DATE'{SINCE}')"
            for line, (athlete, op, payload) in enumerate(records, 1)
        )
        self.spark.sql(f"INSERT INTO delta.`{self.path(bronze.NAME)}` VALUES {values}")

    def read_new_versions(self) -> Rows:
        """Reads every version of silver that has come since the last call; returns the newest."""
        for version in range(len(self.published), versions(self.warehouse)[silver.NAME] + 1):
            self.published.append(self.at(version))
        return self.published[-1]

    def at(self, version: int) -> Rows:
        """The threshold pace by athlete in a version of silver."""
        reader = self.spark.read.format("delta").option("versionAsOf", version)
        rows = reader.load(self.path(silver.NAME)).collect()
        held = {row["athlete_id"]: row["threshold_pace_s_per_km"] for row in rows}
        assert len(held) == len(rows), f"version {version} has a key twice"
        return held

    def refused(self) -> dict[int, list[bool]]:
        """By athlete, whether each of its rows of the quarantine is open."""
        found: dict[int, list[bool]] = {}
        for row in self.rows("ops.quarantine"):
            athlete = int(re.findall(r"\d+", row["key"])[0])
            found.setdefault(athlete, []).append(row["resolved_by"] is None)
        return found

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table as they are now."""
        frame = self.spark.read.format("delta").load(self.path(table))
        return [row.asDict(recursive=True) for row in frame.collect()]

    def statuses(self, since: int = 0) -> list[str]:
        """What the ledger says about the runs of silver, without the first ones."""
        told = lines(self.spark, self.warehouse)
        return [row["status"] for row in told if row["table_name"] == silver.NAME][since:]

    def check(self, sealed: Entry, number: int) -> None:
        """Silver, quarantine and cursor are those of an undisturbed run after a round."""
        assert self.read_new_versions() == rows_after(number)
        refused = self.refused()
        assert {athlete for athlete, rows in refused.items() if any(rows)} == {broken(number)}
        assert all(len(rows) == 1 for rows in refused.values()), "a record is refused twice"
        newest = versions(self.warehouse)
        (cursor,) = sealed.cursor
        assert (cursor.version, sealed.target_version) == (newest[bronze.NAME], newest[silver.NAME])


def committed(before: dict[str, int], after: dict[str, int]) -> Counter[str]:
    """By table, how many versions its log has more than before."""
    return Counter(
        {
            name: grown
            for name, version in after.items()
            if (grown := version - before.get(name, -1))
        }
    )
