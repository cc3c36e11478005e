"""What a sync asks of an online store, beyond what Feast offers: to delete, to list, to remember.

Rows are written and read by Feast's own store. A sync keeps its state beside them, so that a store
that is emptied or restored has the state that belongs to its rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from paceline.errors import PacelineError, UsageError
from paceline.online.repository import Repository, feature_store, quiet
from paceline.online.views import ATHLETE, SERVED

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

CURSOR, INTENT, PUSHED = "cursor", "intent", "pushed"

# As Feast's stores take it: entity key, values by feature, event_timestamp, time of creation.
Row = tuple[Any, dict[str, Any], datetime, datetime | None]


class State(NamedTuple):
    """What syncs and pushes have left in the store.

    Attributes:
        cursor: up to where it is exact.
        intent: what a sync has begun and not finished.
        pushed: athletes of whom something was pushed since the last sync.
    """

    cursor: str | None
    intent: str | None
    pushed: frozenset[int]


class ErasedOnline(NamedTuple):
    """What an erasure did to a store.

    Attributes:
        rows: in how many views there was something; where views share a key, it is at most 1.
        are_files_rewritten: whether its files are without the athlete; False where the store does
            not let its files be written anew.
    """

    rows: int
    are_files_rewritten: bool


class OnlineStore(Protocol):
    """An online store that can be kept exact.

    Every write is one transaction. None happens once the lock has been lost.
    """

    def lock(self) -> AbstractContextManager[None]:
        """Keeps other syncs out.

        Raises:
            LockedError: when another one holds it.
        """
        ...

    def state(self) -> State:
        """What syncs and pushes have left."""
        ...

    def begin(self, intent: str) -> None:
        """Says what is going to be written, before it is."""
        ...

    def finish(self, cursor: str) -> None:
        """Says that everything is written, and that nothing pushed is left."""
        ...

    def note_pushed(self, athletes: Collection[int]) -> None:
        """Says of whom something is going to be pushed, before it is."""
        ...

    def kept(self, moment: datetime) -> datetime:
        """An event_timestamp as Feast gives it back from this store."""
        ...

    def zone(self) -> str | None:
        """The time zone on which its instants depend; None when they do not."""
        ...

    def is_empty(self, view: FeatureView) -> bool:
        """Whether a view holds nothing of anybody."""
        ...

    def athletes(self, view: FeatureView) -> set[int]:
        """Everybody of whom a view holds anything."""
        ...

    def write(self, view: FeatureView, rows: Sequence[Row]) -> None:
        """Replaces the rows of some athletes."""
        ...

    def delete(self, view: FeatureView, athletes: Collection[int]) -> int:
        """Removes what a view holds of some athletes; returns of how many there was something."""
        ...

    def erase(self, athlete: int) -> ErasedOnline:
        """Removes all that any view holds of an athlete, and what files keep of it."""
        ...

    def eviction_policy(self) -> str:
        """What the store does when its memory is full, in the words of Redis."""
        ...

    def forget(self, view: FeatureView, names: Collection[str]) -> None:
        """Removes features that a view no longer has."""
        ...


class Online(NamedTuple):
    """A repository that is opened: Feast, the views that are kept exact, and the store."""

    feast: FeatureStore
    views: Mapping[str, FeatureView]
    store: OnlineStore


def opened(repo: Repository) -> Online:
    """Opens a repository whose views are registered.

    Raises:
        UsageError: when they are not.
    """
    feast = feature_store(repo)
    with quiet():
        from feast.errors import FeatureViewNotFoundException

        views = {}
        for served in SERVED:
            try:
                views[served.view] = feast.get_feature_view(served.view)
            except FeatureViewNotFoundException as error:
                raise UsageError(
                    f"The registry of {repo.file} has no view {served.view}: run `paceline online "
                    "apply` first."
                ) from error
        # A store that was lost gets its tables again.
        online = feast._get_provider().online_store
        online.update(feast.config, [], list(views.values()), [], [], partial=True)
    if repo.store_type == "redis":
        from paceline.online.redis_store import RedisStore

        return Online(feast, views, RedisStore(feast))
    from paceline.online.sqlite_store import SqliteStore

    return Online(feast, views, SqliteStore(feast, repo.sqlite_path))


def entity_key(athlete: int) -> Any:
    """The key of an athlete, as Feast writes it."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=[ATHLETE], entity_values=[Value(int64_val=athlete)])


@contextmanager
def speaking(repo: Repository) -> Iterator[None]:
    """Says in a sentence what keeps a store or a registry from answering.

    Raises:
        UsageError: when it refuses the password.
        PacelineError: when it does not answer, or its data cannot be read.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise PacelineError(
            f"The sqlite store {repo.sqlite_path} cannot be used ({error}): make its directory "
            "writable, or remove the file, and run `paceline online sync`."
        ) from error
    except Exception as error:
        kind = f"{type(error).__module__}.{type(error).__name__}"
        if kind.startswith("redis.exceptions."):
            raise _of_redis(repo, type(error).__name__) from error
        if kind.startswith(("sqlalchemy.", "psycopg.")):
            if "authentication failed" in str(error):
                raise UsageError(
                    f"The registry of {repo.file} refuses the user or the password: correct them "
                    "in the environment."
                ) from error
            raise PacelineError(
                f"The registry of {repo.file} does not answer ({type(error).__name__}): start its "
                "database, or correct its address in the environment."
            ) from error
        if kind.startswith("google.protobuf."):
            raise PacelineError(
                f"The registry or the store of {repo.file} cannot be read ({type(error).__name__}):"
                " delete the registry and run `paceline online apply`, or empty the store and run "
                "`paceline online sync`."
            ) from error
        raise


def _of_redis(repo: Repository, kind: str) -> PacelineError:
    if "Auth" in kind:
        return UsageError(
            f"Redis refuses the user or the password of {repo.file}: correct them in the "
            "environment."
        )
    if "NoPermission" in kind:
        return UsageError(
            f"The user of {repo.file} lacks a right that a sync needs: docs/how-to/online-store.md "
            "lists them."
        )
    if "OutOfMemory" in kind or "ReadOnly" in kind:
        return PacelineError(
            f"Redis does not take writes ({kind}): give it more memory, or name the primary in "
            f"{repo.file}; the next sync repairs whatever this one has left."
        )
    return PacelineError(
        f"Redis does not answer as {repo.file} expects ({kind}): start it, or correct its address; "
        "the next sync repairs whatever this one has left."
    )
