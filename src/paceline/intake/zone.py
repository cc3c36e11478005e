"""The landing zone as publishing sees it: frames of new records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from paceline.intake import files, landing
from paceline.intake.files import Delivery
from paceline.sources.files import HIDDEN, Listing, escaped, masked, shown
from paceline.sources.limits import DEFAULTS, Limits
from paceline.store import deliveries, erasures
from paceline.store.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

_MOST_TABLES = 5


class LandingZone:
    """The new deliveries for one bronze table; what `staging.NewRecords` asks for."""

    def __init__(
        self,
        warehouse: Warehouse,
        listed: Listing,
        known: Iterable[deliveries.Noted],
        table_name: str,
        settings: Mapping[str, Any],
        run_id: str,
        now: datetime,
        limits: Limits = DEFAULTS,
    ) -> None:
        self._warehouse, self._listed, self._table_name = warehouse, listed, table_name
        self._settings, self._run_id, self._now = settings, run_id, now
        self._limits = limits
        self._records: dict[Delivery, int] = {}
        self._ignored: Counter[str | None] = Counter()
        self._other_tables: dict[Delivery, Counter[str]] = {}
        self._remarks: list[tuple[str, str]] = []
        self._refused: Counter[str] = Counter()
        self._erased: erasures.Erased | None = None
        self._closed: list[str] = []
        # The landing zone knows tables without their schema.
        self._short_name = table_name.split(".")[1]
        self.found = self._discover([Delivery(*noted) for noted in known])

    @property
    def is_empty(self) -> bool:
        """Whether there is no new delivery."""
        return not self.found.new and not self.found.seen_again

    def read_all_again(self) -> None:
        """Takes every file as new."""
        self.found = self._discover([])

    def frames(self) -> Iterator[DataFrame]:
        """The records of all new deliveries, in frames of bounded size."""
        self._records = dict.fromkeys(self.found.new, 0)
        self._ignored.clear()
        self._other_tables.clear()
        self._remarks.clear()
        self._refused.clear()
        for batches in self._bounded(self.found.new):
            import pyarrow as pa

            yield self._warehouse.spark.createDataFrame(pa.Table.from_batches(batches))

    def read(self) -> int:
        """How many records the frames held."""
        return sum(self._records.values())

    def ignored(self) -> int:
        """How much the frames skipped that is about no activity, such as tombstones."""
        return self._ignored.total()

    def warnings(self) -> list[str]:
        """Sentences about what was left out, and about files as a whole."""
        remarks = [f"{self._shown(path)} {masked(text)}" for path, text in self._remarks]
        return [*self._of_other_tables(), *remarks, *self._of_erased()]

    def _of_other_tables(self) -> list[str]:
        setting = "name a table in cdc_tables of paceline.yml if it holds activities"
        only, mixed = Counter[str](), Counter[str]()
        for delivery, tables in self._other_tables.items():
            (mixed if self._records[delivery] else only).update(tables)
        sentences = []
        if only:
            # A sink may write a file for each table.
            paths = sorted(d.path for d in self._other_tables if not self._records[d])
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            sentences.append(
                f"{self._shown(paths[0])}{more} gave no record, only changes of other tables "
                f"({_listed(only)}): {setting}"
            )
        if mixed:
            sentences.append(f"changes of other tables were ignored ({_listed(mixed)}): {setting}")
        return sentences

    def _of_erased(self) -> list[str]:
        told = [
            f"{self._shown(path)} holds records of erased athletes ({count}), which were left out: "
            "remove them from the file"
            for path, count in sorted(self._refused.items())
        ]
        return told + [
            f"{self._shown(path)} lies in the folder of an erased athlete and is skipped: remove it"
            for path in self._closed
        ]

    def remember(self) -> None:
        """Notes the deliveries, so that they are not opened again."""
        noted = [*self._records.items(), *((again, 0) for again in self.found.seen_again)]
        if not noted:
            return
        rows = [
            (
                *(self._table_name, self._kept_name(d.path), d.size, d.mtime_us),
                *(d.digest, count, self._run_id, self._now),
            )
            for d, count in noted
        ]
        deliveries.remember(self._warehouse, rows)

    def _discover(self, known: list[Delivery]) -> files.Found:
        sources = landing.SOURCES[self._short_name]
        found = files.discover(self._listed, sources, known, self._limits)
        self._closed = []
        # A run without a new delivery asks nobody.
        self._erased = erasures.read(self._warehouse) if found.new else None
        if self._erased is None:
            return found
        self._closed = [d.path for d in found.new if self._erased.has_folder(d.path)]
        # A delivery that was named after an erased athlete is known by another name.
        delivered = {(d.path, d.digest) for d in known}
        new = tuple(
            d
            for d in found.new
            if d.path not in self._closed
            and (self._erased.anonymous(d.path), d.digest) not in delivered
        )
        return replace(found, new=new)

    def _shown(self, path: str) -> str:
        return shown(path if self._erased is None else self._erased.anonymous(path, HIDDEN))

    def _kept_name(self, path: str) -> str:
        return path if self._erased is None else self._erased.anonymous(path)

    def _bounded(self, new: tuple[Delivery, ...]) -> Iterator[list[pa.RecordBatch]]:
        """Batches of many small files together, up to the size of one full batch."""
        together: list[pa.RecordBatch] = []
        records = size = 0
        batches = landing.record_batches(
            self._listed.root,
            new,
            self._short_name,
            self._ingest_date,
            self._settings,
            self._limits,
        )
        for delivery, received, (ignored, remarks) in batches:
            batch = received if self._erased is None else self._erased.without(received)
            if refused := received.num_rows - batch.num_rows:
                self._refused[delivery.path] += refused
            self._records[delivery] += batch.num_rows
            self._ignored += ignored
            self._remarks += ((delivery.path, text) for text in remarks)
            for name, count in ignored.items():
                if name is not None:
                    self._other_tables.setdefault(delivery, Counter())[name] += count
            if batch.num_rows == 0:
                continue
            is_full = records + batch.num_rows > landing.MAX_BATCH_RECORDS
            if together and (is_full or size + batch.nbytes > landing.MAX_BATCH_BYTES):
                yield together
                together, records, size = [], 0, 0
            together.append(batch)
            records, size = records + batch.num_rows, size + batch.nbytes
        if together:
            yield together

    @property
    def _ingest_date(self) -> date:
        return self._now.date()


def _listed(tables: Counter[str]) -> str:
    """How many changes of each table; others have given the names."""
    most = [f"{count} of {escaped(name)[:60]}" for name, count in tables.most_common(_MOST_TABLES)]
    return ", ".join([*most, *(["and others"] if len(tables) > _MOST_TABLES else [])])
