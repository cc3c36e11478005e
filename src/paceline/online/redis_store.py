"""The online store of many machines: a Redis, and a lock in it that can be lost.

Feast keeps all views of an athlete in one hash, whose fields are hashes of view and feature.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import Event, Lock, Thread
from time import sleep
from typing import TYPE_CHECKING, Any, cast

from paceline.errors import LockedError, PacelineError, UsageError
from paceline.online.store import CURSOR, INTENT, PUSHED, ErasedOnline, Row, State, entity_key

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

LOCK_SECONDS = 60.0
_AT_ONCE = 1_000
_POLLS, _POLL_SECONDS = 600, 0.1
_LOST = (
    "The lock of the online store was lost, because this sync has stood still for too long: "
    "nothing was written after that, sync again."
)


class RedisStore:
    """A single Redis of Feast.

    A transaction is carried out only while the lock is this sync's: Redis watches its key from
    before the token is read until everything that was queued is done.
    """

    def __init__(self, feast: FeatureStore, lock_seconds: float = LOCK_SECONDS) -> None:
        self._config = feast.config
        self._store = cast(Any, feast._get_provider().online_store)
        try:
            self._client = self._store._get_client(feast.config.online_store)
        except (TypeError, ValueError, LookupError) as error:
            raise UsageError(
                "The connection_string of Redis cannot be used: write host:port, and behind it "
                "options such as db=0 and password=..., all divided by commas."
            ) from error
        self._at_work = Lock()
        self._names = f"paceline:{feast.config.project}"
        self._seconds = lock_seconds
        self._lock = self._client.lock(
            f"{self._names}:lock", timeout=lock_seconds, blocking=False, thread_local=False
        )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other syncs out, and renews the lock as long as this process is alive."""
        from redis.exceptions import ConnectionError, LockError, TimeoutError

        if not self._lock.acquire():
            raise LockedError(
                "The online store is in use by another sync: wait until it has ended; the lock of "
                f"one that has died is free after {self._seconds:g} seconds."
            )
        is_over = Event()
        heart = Thread(target=self._beat, args=(is_over,), daemon=True)
        heart.start()
        try:
            yield
        finally:
            is_over.set()
            heart.join()
            # Another one has it by now, or Redis is gone.
            with suppress(LockError, ConnectionError, TimeoutError):
                self._lock.release()

    def state(self) -> State:
        """What syncs and pushes have left."""
        cursor, intent = self._client.mget(self._name(CURSOR), self._name(INTENT))
        pushed = frozenset(map(int, self._client.smembers(self._name(PUSHED))))
        return State(cursor and cursor.decode(), intent and intent.decode(), pushed)

    def begin(self, intent: str) -> None:
        """Says what is going to be written."""
        self._transaction(lambda queue: queue.set(self._name(INTENT), intent))

    def finish(self, cursor: str) -> None:
        """Says that everything is written."""

        def queued(queue: Any) -> None:
            queue.set(self._name(CURSOR), cursor)
            queue.delete(self._name(INTENT), self._name(PUSHED))

        self._transaction(queued)

    def note_pushed(self, athletes: Collection[int]) -> None:
        """Says of whom something is going to be pushed."""
        self._transaction(lambda queue: queue.sadd(self._name(PUSHED), *athletes))

    def kept(self, moment: datetime) -> datetime:
        """The instant itself."""
        return moment

    def zone(self) -> str | None:
        """None: Redis keeps instants as they are."""
        return None

    def is_empty(self, view: FeatureView) -> bool:
        """Whether a view holds nothing of anybody."""
        return next(self._holding(view), None) is None

    def athletes(self, view: FeatureView) -> set[int]:
        """Everybody of whom a view holds anything."""
        from feast.infra.key_encoding_utils import deserialize_entity_key

        suffix = self._config.project.encode()
        return {
            deserialize_entity_key(key.removesuffix(suffix)).entity_values[0].int64_val
            for key in self._holding(view)
        }

    def _holding(self, view: FeatureView) -> Iterator[bytes]:
        """The keys that have a field of a view."""
        fields = set(self._fields(view))
        for keys in self._keys():
            with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hkeys(key)
                held = pipe.execute()
            yield from (key for key, names in zip(keys, held, strict=True) if fields & set(names))

    def write(self, view: FeatureView, rows: Sequence[Row]) -> None:
        """Replaces the rows of some athletes."""

        def queued(queue: Any) -> None:
            self._store._client = _Queueing(queue)
            try:
                self._store.online_write_batch(self._config, view, rows, None)
            finally:
                self._store._client = self._client

        self._transaction(queued)

    def delete(self, view: FeatureView, athletes: Collection[int]) -> int:
        """Removes what a view holds of some athletes."""
        fields = self._fields(view)

        def queued(queue: Any) -> None:
            for athlete in athletes:
                queue.hdel(self._key(athlete), *fields)

        return sum(count > 0 for count in self._transaction(queued))

    def erase(self, athlete: int) -> ErasedOnline:
        """Removes all that any view holds of an athlete, and writes the files of Redis anew."""

        def queued(queue: Any) -> None:
            queue.delete(self._key(athlete))
            queue.srem(self._name(PUSHED), athlete)

        erased, _ = self._transaction(queued)
        return ErasedOnline(erased, self._are_files_rewritten())

    def eviction_policy(self) -> str:
        """The setting `maxmemory-policy`, which Redis tells where its settings are hidden, too."""
        policy: str = self._client.info("memory")["maxmemory_policy"]
        return policy

    def _are_files_rewritten(self) -> bool:
        """Has Redis write its log and its snapshot without what was deleted, where it has them.

        Returns:
            False when it may not be asked: a managed Redis hides its settings and its files.

        Raises:
            PacelineError: when it does not within a minute.
        """
        from redis.exceptions import ResponseError

        try:
            saved = self._client.config_get("save").get("save")
            if self._client.info("persistence")["aof_enabled"]:
                self._client.bgrewriteaof()
            if saved:
                self._client.bgsave(schedule=True)
        except ResponseError:
            return False
        for _ in range(_POLLS):
            persistence = self._client.info("persistence")
            flags = ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled")
            if not any(persistence.get(flag) for flag in flags):
                return True
            sleep(_POLL_SECONDS)
        raise PacelineError(
            "Redis has not written its files anew within a minute, so that they may still name the "
            "athlete: erase again."
        )

    def forget(self, view: FeatureView, names: Collection[str]) -> None:
        """Removes features that a view no longer has."""
        from feast.infra.online_stores.helpers import _mmh3

        fields = [_mmh3(f"{view.name}:{name}") for name in names]
        for keys in self._keys():

            def queued(queue: Any, keys: Sequence[bytes] = keys) -> None:
                for key in keys:
                    queue.hdel(key, *fields)

            self._transaction(queued)

    def _transaction(self, queued: Callable[[Any], object]) -> list[int]:
        """Carries out at once what `queued` queues, or nothing of it; returns the answers.

        Raises:
            LockedError: when the lock has been lost.
        """
        from redis.exceptions import WatchError

        # The heart would change the key that is watched; the transaction renews the lock itself.
        with self._at_work, self._client.pipeline() as queue:
            queue.watch(self._lock.name)
            token = self._lock.local.token
            if token is None or queue.get(self._lock.name) != token:
                raise LockedError(_LOST)
            queue.multi()
            queued(queue)
            queue.pexpire(self._lock.name, int(self._seconds * 1_000))
            try:
                answers: list[int] = queue.execute()
            except WatchError as error:
                raise LockedError(_LOST) from error
            return answers[:-1]

    def _beat(self, is_over: Event) -> None:
        while not is_over.wait(self._seconds / 3):
            # Once lost it stays lost; a Redis that is away for a moment may be asked again.
            with self._at_work, suppress(Exception):
                self._lock.reacquire()

    def _keys(self) -> Iterator[list[bytes]]:
        """The keys of all athletes of this project, and of no other whose name ends like it."""
        key, project = self._key(0), self._config.project.encode()
        begin = key.removesuffix(project)[:-8]  # all but the eight bytes of the id
        some: list[bytes] = []
        for found in self._client.scan_iter(begin + b"*" + project, count=_AT_ONCE):
            if len(found) == len(key):
                some.append(found)
            if len(some) == _AT_ONCE:
                yield some
                some = []
        yield some

    def _key(self, athlete: int) -> bytes:
        from feast.infra.online_stores.helpers import _redis_key

        key: bytes = _redis_key(self._config.project, entity_key(athlete))
        return key

    @staticmethod
    def _fields(view: FeatureView) -> list[bytes]:
        from feast.infra.online_stores.helpers import _mmh3

        return [
            *(_mmh3(f"{view.name}:{f.name}") for f in view.features),
            f"_ts:{view.name}".encode(),
        ]

    def _name(self, what: str) -> str:
        return f"{self._names}:{what}"


class _Queueing:
    """Stands for the client in Feast's store, which opens a pipeline and executes it."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    @contextmanager
    def pipeline(self, transaction: bool = True) -> Iterator[_Queueing]:
        """The transaction that is open already."""
        yield self

    def hset(self, key: bytes, mapping: dict[Any, Any]) -> None:
        """Queues the fields of a hash."""
        self._queue.hset(key, mapping=mapping)

    def execute(self) -> list[int]:
        """Nothing: the transaction is carried out when it is left."""
        return []
