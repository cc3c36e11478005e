"""One Redis for all tests of the online store, which each of them finds empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("feast", reason="Feast is not installed: make setup-online")

from tests.online.stores import Place, redis_server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Empty gold tables, with a store of each kind."""
    port = request.getfixturevalue("redis") if request.param == "redis" else None
    return Place(tmp_path, port)
