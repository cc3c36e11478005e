"""A real process is killed in each step, again and again, on the way to one round of changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

from paceline.errors import LockedError
from paceline.publish.steps import STEPS
from paceline.store import ledger
from tests.pipeline.base import grown_chain
from tests.pipeline.faults import Chain, rows_after
from tests.pipeline.warehouse import quick

pytestmark = pytest.mark.slow

# Runs the chain and, where it is told to, says that it is there, waits until it may die, and dies
# with the JVM that has started it.
DRIVER = """
import os, signal, sys, time
from pathlib import Path
from tests.pipeline import faults

root, moment, step, minute = sys.argv[1:]

def die(*at):
    if at == (moment, step, faults.silver.NAME):
        Path(root, "there").touch()
        while not Path(root, "go").exists():
            time.sleep(0.05)
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

chain = faults.Chain(None, Path(root))
chain.runs = int(minute)
chain.run(die)
"""
is_deep = settings.get_current_profile_name() == "deep"
EVERYWHERE = [("after", step) for step in STEPS[:-1]]
# A process costs half a minute of a core, and deaths in this one are tried at every commit: here
# only those that leave something which others than paceline can read.
PLACES = EVERYWHERE if is_deep else [("after", "quarantine"), ("after", "publish")]
ROOT = Path(__file__).parents[2]
PATIENCE_S = 300


@pytest.fixture(scope="module")
def chain(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, base_chain: Path
) -> Iterator[Chain]:
    with quick(spark):
        made = grown_chain(spark, tmp_path_factory.mktemp("kill"), base_chain)
        made.deliver()
        yield made


def submitted(chain: Chain, moment: str, step: str) -> subprocess.Popen[str]:
    """A run in a process of its own, which stops at a moment of a step."""
    script = chain.root / "driver.py"
    script.write_text(DRIVER, encoding="utf-8")
    tools = Path(sys.executable).parent
    paths = [str(ROOT), *sys.path]
    environment = {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    minute = chain.runs
    chain.runs += 1
    return subprocess.Popen(
        [tools / "spark-submit", script, chain.root, moment, step, str(minute)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until_there(chain: Chain, process: subprocess.Popen[str]) -> None:
    """Returns when the process has come to its place."""
    until = monotonic() + PATIENCE_S
    while not (chain.root / "there").exists():
        assert process.poll() is None, process.communicate()[0]
        assert monotonic() < until
        sleep(0.1)


def test_a_run_may_be_killed_in_every_step(chain: Chain) -> None:
    for moment, step in PLACES:
        for name in ("there", "go"):
            (chain.root / name).unlink(missing_ok=True)
        process = submitted(chain, moment, step)
        wait_until_there(chain, process)
        if (moment, step) == PLACES[0]:
            # The first of them is also the one that another run finds at work.
            with pytest.raises(LockedError, match=r"in use by process \d+ since 20") as refused:
                chain.run()
            assert refused.value.exit_code == 4
        (chain.root / "go").touch()
        assert process.wait(PATIENCE_S) == -9
        process.communicate()
        is_published = step in ("publish", "seal")
        assert chain.read_new_versions() == rows_after(chain.round - (not is_published))
    chain.check(chain.run(), chain.round)
    # The last of them had published, which the next run has found out.
    killed = [ledger.ABANDONED] * (len(PLACES) - 1) + [ledger.PUBLISHED]
    assert chain.statuses(1) == [*killed, ledger.UNCHANGED]
    assert chain.run().rows_compared == 0
