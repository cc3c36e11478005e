"""One Spark session for all tests, made when the first one asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from paceline.contract import Contract, load_all

CONF = Path(__file__).parents[1] / "conf"
# The data sets that may lie beside a clone; the product ships none.
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

# `make test-deep`; every test that is given a budget of its own looks at the name.
settings.register_profile("deep")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The session that the jobs would get: same settings, same jars."""
    from paceline.run import session

    made = session(tmp_path_factory.mktemp("spark"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def contracts() -> dict[str, Contract]:
    return load_all(CONF / "contracts")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data sets do not lie beside this clone")
    return SHARED_DATA
