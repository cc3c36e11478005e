"""A disk that fills up, or becomes read-only, in the middle of a run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.errors import PacelineError
from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.store import ledger
from paceline.tables.bronze import athlete_settings as bronze
from paceline.tables.silver import athlete_settings as silver
from tests.pipeline.warehouse import NOW, content, run

pytestmark = pytest.mark.slow

MEGABYTES = 6


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs"]
    if subprocess.run(["mount", *options, path], capture_output=True).returncode:
        pytest.skip("only who may mount a disk can try what happens when it is full")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[Callable[[], Any]]:
    """Gives what makes a folder read-only from then on."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    yield lambda: subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        for _ in range(MEGABYTES * 1024):
            filler.write(bytes(1024))


def test_nothing_is_lost_and_the_next_run_heals(
    quick_spark: SparkSession, disk: Path, tmp_path: Path
) -> None:
    landing, warehouse = tmp_path / "landing", disk / "warehouse"
    runs = 0

    def deliver(athlete: int) -> None:
        path = landing / "athlete_settings" / f"{athlete}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"athlete_id": athlete, "valid_from": "2026-01-01"}) + "\n")
        # As old as the clock of the runs says.
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))

    def chapter(trouble: Callable[[], Any] = lambda: None, at: str = "") -> dict[str, Any]:
        nonlocal runs
        runs += 1

        def hook(moment: str, step: str, name: str) -> None:
            if (moment, step, name) == ("before", at, silver.NAME):
                trouble()

        jobs = {FEATURE_ACTIVITY: (bronze.TABLE, silver.TABLE)}
        now = NOW + timedelta(hours=runs)
        return run(quick_spark, landing, warehouse, jobs=jobs, now=now, hook=hook)

    def athletes() -> list[int]:
        return [row[0] for row in content(quick_spark, warehouse, silver.NAME)]

    deliver(1)
    chapter()
    for athlete, step in ((2, "stage"), (3, "publish")):
        deliver(athlete)
        with pytest.raises(PacelineError, match=r"disk of the warehouse .* is full: free"):
            chapter(lambda: fill(disk), step)
        (disk / "filler").unlink()
        assert athletes() == [1]
    deliver(4)
    refused = pytest.raises(PacelineError, match=r"The warehouse .* can no longer be written")
    with read_only(warehouse / "silver") as become_read_only, refused:
        chapter(become_read_only, "publish")
    assert athletes() == [1]

    assert chapter()[silver.NAME].status == ledger.PUBLISHED
    assert athletes() == [1, 2, 3, 4]
