"""One Spark session for all tests, made when the first one asks for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from paceline.contract import Contract, load_all
from tests.minutes import minutes

CONF = Path(__file__).parents[1] / "conf"
# The data sets that may lie beside a clone; the product ships none.
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

# The runs of tests are nobody's lineage, whatever this machine is configured for; tests about
# OpenLineage switch it on again.
for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
    del os.environ[name]
os.environ["OPENLINEAGE_DISABLED"] = "true"

# `make test-deep`; every test that is given a budget of its own looks at the name.
settings.register_profile("deep")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--connect",
        action="store_true",
        help="run on a Spark Connect server that refuses what serverless compute refuses",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What is about Spark Connect needs its server."""
    is_about_connect = collection_path == Path(__file__).parent / "spark" / "connect"
    return True if is_about_connect and not config.getoption("--connect") else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says where the time went; two processes side by side have twice as many minutes."""
    reports = (report for some in terminalreporter.stats.values() for report in some)
    lines = list(
        minutes((r.nodeid, r.duration) for r in reports if isinstance(r, pytest.TestReport))
    )
    if lines:
        terminalreporter.section("minutes by part, the slowest modules below")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def spark(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[object]:
    """The session that the jobs would get: same settings, same jars; or one of Spark Connect."""
    place = tmp_path_factory.mktemp("spark")
    if request.config.getoption("--connect"):
        from tests.spark.connect.server import remote_session

        with remote_session(place) as remote:
            yield remote
        return
    from paceline.session import session

    with pytest.MonkeyPatch.context() as patch:
        # Jobs are over before Java's better compiler pays; a session of all tests is not.
        java = "-XX:ReservedCodeCacheSize=512m -XX:+UseParallelGC"
        if sys.platform == "linux":
            # Without its native library, Hadoop starts chmod and readlink some hundred times a run.
            java += " -Djdk.lang.Process.launchMechanism=VFORK"
        options = f"--conf 'spark.driver.extraJavaOptions={java}'"
        patch.setenv("PYSPARK_SUBMIT_ARGS", f"{options} pyspark-shell")
        made = session(place)
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
