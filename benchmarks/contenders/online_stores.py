"""Ways to fill an online store of Feast from gold: paceline's sync, and Feast's own.

Feast's own materialisation reads Delta tables by Spark; it gets the session of paceline's own jobs.
Everybody opens the repository anew, as a command does that a scheduler calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
"""Earlier than any row."""

Figures = dict[str, int]


def prepare(repo: str, warehouse: str) -> None:
    """Registers the views of a repository, which the store does not hold yet."""
    from paceline.online.repository import apply, repository
    from paceline.online.views import WAREHOUSE

    apply(repository(repo), {WAREHOUSE: warehouse})


def sync(repo: str, warehouse: str, now: str) -> Figures:
    """`paceline online sync`.

    Args:
        repo: the directory of the repository.
        warehouse: where gold lies.
        now: the time, in ISO 8601.

    Returns:
        Rows written, by all views; one has the values of one athlete.
    """
    from paceline.online.gold import FileGold
    from paceline.online.repository import repository
    from paceline.online.store import opened
    from paceline.online.sync import sync as synced

    online = opened(repository(repo))
    with _counted() as figures:
        done = synced(online, FileGold(Path(warehouse)), datetime.fromisoformat(now))
    return figures | {"rows_deleted": sum(view.deleted for view in done)}


def verify(repo: str, warehouse: str) -> Figures:
    """`paceline online verify`.

    Returns:
        Athletes whom it finds wrong, in any view.
    """
    from paceline.online.gold import FileGold
    from paceline.online.repository import repository
    from paceline.online.store import opened
    from paceline.online.verify import verify as compared

    found = compared(opened(repository(repo)), FileGold(Path(warehouse)))
    return {"athletes_wrong": len({one.athlete_id for view in found for one in view.wrong})}


def materialize(repo: str, warehouse: str, now: str) -> Figures:
    """`feast materialize` from the beginning; as `sync`."""
    with _counted() as figures:
        _feast(repo, warehouse).materialize(BEGINNING, datetime.fromisoformat(now))
    return figures


def materialize_incremental(repo: str, warehouse: str, now: str) -> Figures:
    """`feast materialize-incremental`; as `sync`."""
    with _counted() as figures:
        _feast(repo, warehouse).materialize_incremental(datetime.fromisoformat(now))
    return figures


def _feast(repo: str, warehouse: str) -> Any:
    from feast import FeatureStore

    from benchmarks.contenders import session

    session(warehouse)
    return FeatureStore(repo_path=repo)


@contextmanager
def _counted() -> Iterator[Figures]:
    """Counts what Feast's store is given to write, whoever gives it."""
    from feast.infra.online_stores.sqlite import SqliteOnlineStore

    figures = {"rows_written": 0}
    write = SqliteOnlineStore.online_write_batch

    def counting(self: Any, config: Any, table: Any, data: Any, progress: Any) -> None:
        figures["rows_written"] += len(data)
        write(self, config, table, data, progress)

    SqliteOnlineStore.online_write_batch = counting
    try:
        yield figures
    finally:
        SqliteOnlineStore.online_write_batch = write
