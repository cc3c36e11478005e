"""The warehouses that experiments start from: built once per state of the code, then copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks.contenders import ACTIVITIES, HORIZON, ROLLING
from benchmarks.contenders.full import prepare
from benchmarks.runner import ROOT, WAREHOUSE, Worker, cleared, tell
from paceline.generate import generate

SEED = 11
LATE_DAYS = 30
"""How old an activity is that has come late, where nothing else is said."""
SOURCES = (
    *("src", "conf", "benchmarks/online_gold.py"),
    *("benchmarks/contenders/full.py", "benchmarks/contenders/upstream.py"),
)


class Worlds:
    """Builds warehouses below a folder, and keeps them there for the next time.

    What was built by other code is removed. Building is told, and is no part of any measurement;
    `building_s` is how many seconds it has taken.
    """

    def __init__(self, work: Path) -> None:
        self._folder = work / "worlds" / _digest_of_code()
        for outdated in (work / "worlds").glob("*"):
            if outdated != self._folder:
                shutil.rmtree(outdated)
        self._work = work
        self._builder: Worker | None = None
        self._is_warm = False
        self.building_s = 0.0

    def activities(self, athletes: int, days: int) -> Path:
        """A warehouse that holds nothing but the activities of so many athletes and days."""

        def build(path: Path) -> None:
            self._ask("upstream.create", warehouse=str(path), athletes=athletes, days=days)

        return self._kept(f"activities-{athletes}-{days}", build)

    def crowded(self, athletes: int, days: int, activities: int) -> Path:
        """The same, with so many more activities of one of the athletes."""
        source = self.activities(athletes, days)

        def build(path: Path) -> None:
            prepare(str(source), str(path))
            more = {"day": str(HORIZON), "athletes": 1, "of": athletes, "activities": activities}
            self._ask("upstream.add", warehouse=str(path), **more)

        return self._kept(f"crowded-{athletes}-{days}-{activities}", build)

    def finished(self, athletes: int, days: int) -> Path:
        """The same as `activities` after Feature_Rolling."""
        source = self.activities(athletes, days)

        def build(path: Path) -> None:
            prepare(str(source), str(path))
            self._ask("run", warehouse=str(path))

        return self._kept(f"finished-{athletes}-{days}", build)

    def changed(self, athletes: int, days: int, touched: int, days_ago: int = LATE_DAYS) -> Path:
        """The same as `finished`, with one more activity each of some athletes, not yet followed.

        Args:
            athletes: of the world.
            days: of the world.
            touched: how many athletes have one more.
            days_ago: its day, counted from the horizon; -1 is the day after.
        """
        source = self.finished(athletes, days)
        day = HORIZON - timedelta(days=days_ago)

        def build(path: Path) -> None:
            prepare(str(source), str(path))
            more = {"day": str(day), "athletes": touched, "of": athletes}
            self._ask("upstream.add", warehouse=str(path), **more)

        return self._kept(f"changed-{athletes}-{days}-{touched}-{days_ago}", build)

    def landing(self, athletes: int, days: int) -> Path:
        """A landing zone."""

        def build(path: Path) -> None:
            generate(path, athletes=athletes, days=days, seed=SEED, end=HORIZON)

        return self._kept(f"landing-{athletes}-{days}", build)

    def landing_with(self, athletes: int, days: int, name: str, text: str) -> Path:
        """The same with one more file of the API, of this name and content."""
        source = self.landing(athletes, days)

        def build(path: Path) -> None:
            shutil.copytree(source, path)
            (path / "strava_api").mkdir(exist_ok=True)
            (path / "strava_api" / name).write_text(text, encoding="utf-8")

        return self._kept(f"landing-{athletes}-{days}-{name}", build)

    def landed(self, landing: Path) -> Path:
        """A warehouse after both jobs on a landing zone."""

        def build(path: Path) -> None:
            self._ask("run_both", landing=str(landing), warehouse=str(path))

        return self._kept(f"landed-{landing.name}", build)

    def after_runs(self, landing: Path, runs: int) -> Path:
        """The same as `landed`, after `runs` earlier runs: their events are in the ledger."""
        source = self.landed(landing)

        def build(path: Path) -> None:
            prepare(str(source), str(path))
            self._ask("upstream.remember", warehouse=str(path), runs=runs)

        return self._kept(f"after-{runs}-runs-{landing.name}", build)

    def gold(self, athletes: int, days: int) -> Path:
        """A warehouse that holds nothing but the gold tables, for an online store to follow."""
        from benchmarks import online_gold

        def build(path: Path) -> None:
            online_gold.create(path, athletes, days)

        return self._kept(f"gold-{athletes}-{days}", build)

    @property
    def worker(self) -> Worker:
        """The process that builds; it starts with its first request."""
        if self._builder is None:
            self._builder = Worker("full", self._work / "builder")
        return self._builder

    def warm(self, world: Path) -> Worker:
        """The process that builds, after it has caught up with a world before.

        It is for increments, whose figures shall not depend on which of them comes first. Starting
        a process for each experiment would take longer than measuring.
        """
        if not (self._is_warm and self.worker.is_running):
            began = monotonic()
            place = cleared(self._work / "warm-up")
            self._ask("run", warehouse=copied(world, place))
            shutil.rmtree(place)
            self._is_warm = True
            self._told(began, "a process for increments")
        return self.worker

    def close(self) -> None:
        """Ends the process that builds, so that it is not in the way of a measurement."""
        if self._builder is not None:
            self._builder.close()
            self._builder, self._is_warm = None, False

    def _ask(self, function: str, **arguments: Any) -> None:
        self.worker.asked(function, **arguments)

    def _kept(self, name: str, build: Callable[[Path], None]) -> Path:
        path = self._folder / name
        if not path.exists():
            unfinished = self._folder / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.parent.mkdir(parents=True, exist_ok=True)
            began = monotonic()
            build(unfinished)
            unfinished.rename(path)
            self._told(began, name)
        return path

    def _told(self, began: float, what: str) -> None:
        took = monotonic() - began
        self.building_s += took
        tell("build", {}, f"{what} in {took:.1f} s")


def copied(world: Path, place: Path) -> str:
    """Copies a world into the directory of a round; returns its path."""
    prepare(str(world), str(place / WAREHOUSE))
    return str(place / WAREHOUSE)


def activities_of(world: Path) -> str:
    """The path of the activities of a world."""
    return str(world.joinpath(*ACTIVITIES.split(".")))


def rolling_of(world: Path) -> str:
    """The path of the rolling features of a world."""
    return str(world.joinpath(*ROLLING.split(".")))


def _digest_of_code() -> str:
    digest = sha256()
    for source in SOURCES:
        path = ROOT / source
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]
