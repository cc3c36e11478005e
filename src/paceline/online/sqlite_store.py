"""The online store of one machine: a sqlite file, and a lock beside it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from paceline.online.store import CURSOR, INTENT, PUSHED, ErasedOnline, Row, State, entity_key
from paceline.session import hold

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView


class SqliteStore:
    """A sqlite file of Feast.

    The lock belongs to a process and ends with it, so that it cannot be lost.
    """

    def __init__(self, feast: FeatureStore, path: Path) -> None:
        self._config, self._path = feast.config, path
        # No project may begin with an underscore, so that this is the table of no view.
        self._state = f'"_paceline_{feast.config.project}"'
        self._store = cast(Any, feast._get_provider().online_store)
        self._connection = self._store._get_conn(feast.config)
        with self._connection as connection:
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {self._state}"
                " (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other syncs out."""
        with hold(self._path.with_name(f"{self._path.name}.lock"), f"The store {self._path}"):
            yield

    def state(self) -> State:
        """What syncs and pushes have left."""
        found = dict(self._connection.execute(f"SELECT name, value FROM {self._state}").fetchall())
        pushed = map(int, filter(str.isdecimal, found.get(PUSHED, "").split(",")))
        return State(found.get(CURSOR), found.get(INTENT), frozenset(pushed))

    def begin(self, intent: str) -> None:
        """Says what is going to be written."""
        with self._connection as connection:
            connection.execute(f"REPLACE INTO {self._state} VALUES (?, ?)", (INTENT, intent))

    def finish(self, cursor: str) -> None:
        """Says that everything is written."""
        with self._connection as connection:
            connection.execute(f"REPLACE INTO {self._state} VALUES (?, ?)", (CURSOR, cursor))
            connection.execute(f"DELETE FROM {self._state} WHERE name IN (?, ?)", (INTENT, PUSHED))

    def note_pushed(self, athletes: Collection[int]) -> None:
        """Says of whom something is going to be pushed."""
        self._keep_pushed(self.state().pushed.union(athletes))

    def _keep_pushed(self, athletes: Collection[int]) -> None:
        with self._connection as connection:
            connection.execute(
                f"REPLACE INTO {self._state} VALUES (?, ?)", (PUSHED, ",".join(map(str, athletes)))
            )

    def kept(self, moment: datetime) -> datetime:
        """The second of the instant.

        Feast takes the time of day in UTC for one of this machine's zone, and back: in the hour
        that a zone skips in spring it comes back as another one.
        """
        naive = moment.astimezone(UTC).replace(tzinfo=None)
        return datetime.fromtimestamp(int(naive.timestamp())).replace(tzinfo=UTC)

    def zone(self) -> str | None:
        """That of this machine, see `kept`."""
        return f"{'/'.join(time.tzname)} {-time.timezone} {-time.altzone}"

    def is_empty(self, view: FeatureView) -> bool:
        """Whether a view holds nothing of anybody."""
        found = self._connection.execute(f"SELECT 1 FROM {self._table(view)} LIMIT 1")
        return found.fetchone() is None

    def athletes(self, view: FeatureView) -> set[int]:
        """Everybody of whom a view holds anything."""
        from feast.infra.key_encoding_utils import deserialize_entity_key

        keys = self._connection.execute(f"SELECT DISTINCT entity_key FROM {self._table(view)}")
        return {deserialize_entity_key(key).entity_values[0].int64_val for (key,) in keys}

    def write(self, view: FeatureView, rows: Sequence[Row]) -> None:
        """Replaces the rows of some athletes."""
        self._store.online_write_batch(self._config, view, rows, None)

    def delete(self, view: FeatureView, athletes: Collection[int]) -> int:
        """Removes what a view holds of some athletes."""
        table, keys = self._table(view), [self._key(athlete) for athlete in athletes]
        deleted = 0
        with self._connection as connection:
            for key in keys:
                done = connection.execute(f"DELETE FROM {table} WHERE entity_key = ?", (key,))
                deleted += done.rowcount > 0
        return deleted

    def erase(self, athlete: int) -> ErasedOnline:
        """Removes all that any view holds of an athlete, and the pages that still have it."""
        named = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        project = f"{self._config.project}_"
        tables = [name for (name,) in named.fetchall() if name.startswith(project)]
        erased = 0
        with self._connection as connection:
            for table in tables:
                done = connection.execute(
                    f'DELETE FROM "{table}" WHERE entity_key = ?', (self._key(athlete),)
                )
                erased += done.rowcount > 0
        self._keep_pushed(self.state().pushed - {athlete})
        # A row that was replaced before may lie in a free page.
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return ErasedOnline(erased, are_files_rewritten=True)

    def eviction_policy(self) -> str:
        """A file drops nothing."""
        return "noeviction"

    def forget(self, view: FeatureView, names: Collection[str]) -> None:
        """Removes features that a view no longer has."""
        with self._connection as connection:
            connection.executemany(
                f"DELETE FROM {self._table(view)} WHERE feature_name = ?",
                [(name,) for name in names],
            )

    def _table(self, view: FeatureView) -> str:
        return f'"{self._config.project}_{view.name}"'

    @staticmethod
    def _key(athlete: int) -> bytes:
        from feast.infra.key_encoding_utils import serialize_entity_key

        return serialize_entity_key(entity_key(athlete))
