"""One athlete per kind of change: what there was before, what comes then, and the runs over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any

from paceline.cli import status
from paceline.cli.plan import Plan, plan
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import JOBS, TABLES
from paceline.store.ledger import Entry
from tests.oracle import Outcome
from tests.pipeline.warehouse import NOW, changed, versions
from tests.pipeline.worlds import Effects, World, edited, effects, plain_run

HORIZON, NEXT_DAY = date(2024, 6, 30), date(2024, 7, 1)
SPLITS = [
    {"split": n, "distance": 1000.0, "moving_time": 290 + n, "average_heartrate": 140.0 + n}
    for n in range(1, 6)
]


def run_of(athlete: int, number: int, day: str, **fields: Any) -> dict[str, Any]:
    distance = {"distance": 10000.0 + number}
    return plain_run(athlete * 100 + number, athlete, day, **distance | fields)


def changes(*envelopes: tuple[str, dict[str, Any], int]) -> list[dict[str, Any]]:
    """Envelopes of (op, image, day in July 2024)."""
    return [
        {
            "op": op,
            "before" if op == "d" else "after": image,
            "ts_ms": 1_719_792_000_000 + (day - 1) * 86_400_000,
        }
        for op, image, day in envelopes
    ]


@dataclass
class Case:
    """What has been there before, and what comes then; lines by kind of source."""

    before: dict[str, list[Any]]
    then: dict[str, list[Any]] = field(default_factory=dict)


def api(*objects: Any) -> dict[str, list[Any]]:
    return {"strava_api": list(objects)}


def cdc(*envelopes: tuple[str, dict[str, Any], int]) -> dict[str, list[Any]]:
    return {"cdc": changes(*envelopes)}


def three(athlete: int) -> list[dict[str, Any]]:
    return [
        run_of(athlete, n, day) for n, day in enumerate(("2024-06-01", "2024-06-10", "2024-06-20"))
    ]


def settings(athlete: int, valid_from: str, **values: Any) -> dict[str, Any]:
    return {"athlete_id": athlete, "valid_from": valid_from, **values}


FLAT = {
    "activity_id": 1900,
    "athlete_id": 19,
    "start_date": "2024-06-01T06:00:00Z",
    "distance_m": 10000.0,
    "moving_time_s": 2900,
    "elapsed_time_s": 3100,
}
HEART = {"average_heartrate": 150.0}
WATCH = run_of(24, 1, "2024-06-10", start_date="2024-06-10T06:01:00Z", **HEART)
FIVE_DAYS = {"moving_time": 432_000, "elapsed_time": 440_000, "distance": 3e5}
# On Hawaii at 22:00; five hours later it is 13:00 of the next day in UTC.
IN_THE_WEST = run_of(26, 0, "2024-06-10", start_date="2024-06-11T08:00:00Z")
IN_THE_WEST |= {"start_date_local": "2024-06-10T22:00:00Z"}
ATHLETES = {
    1: ("left alone", Case(api(*three(1)))),
    2: ("edited", Case(api(*three(2)), api(edited(three(2)[1], moving_time=2700)))),
    3: ("deleted", Case(api(*three(3)), cdc(("d", {"id": 301}, 3)))),
    4: (
        "moved to a later day",
        Case(
            api(*three(4)),
            api(
                edited(
                    three(4)[0],
                    start_date="2024-06-15T06:00:00Z",
                    start_date_local="2024-06-15T08:00:00Z",
                )
            ),
        ),
    ),
    5: (
        "given to another athlete",
        Case(api(*three(5)), api(edited(three(5)[2], athlete={"id": 6}))),
    ),
    6: ("given an activity", Case(api(*three(6)))),
    7: ("first one removed", Case(api(*three(7)), cdc(("d", {"id": 700}, 3)))),
    8: (
        "last one removed",
        Case(
            api(run_of(8, 0, "2024-03-01"), run_of(8, 1, "2024-04-20")), cdc(("d", {"id": 801}, 3))
        ),
    ),
    9: ("all removed", Case(api(*three(9)), cdc(*(("d", {"id": 900 + n}, 3) for n in range(3))))),
    10: (
        "splits replaced",
        Case(
            api(run_of(10, 0, "2024-06-01", splits_metric=SPLITS)),
            api(edited(run_of(10, 0, "2024-06-01", splits_metric=SPLITS[:4]))),
        ),
    ),
    11: (
        "splits removed by an empty array",
        Case(
            api(run_of(11, 0, "2024-06-01", splits_metric=SPLITS)),
            api(edited(run_of(11, 0, "2024-06-01", splits_metric=[]))),
        ),
    ),
    12: (
        "settings back-dated",
        Case(
            api(*three(12))
            | {"athlete_settings": [settings(12, "2024-06-15", threshold_pace_s_per_km=280)]},
            {"athlete_settings": [settings(12, "2024-06-05", threshold_pace_s_per_km=260)]},
        ),
    ),
    13: (
        "average and maximum heart rate swapped with NULL",
        Case(
            api(run_of(13, 0, "2024-06-01", max_heartrate=150.0)),
            api(edited(run_of(13, 0, "2024-06-01", average_heartrate=150.0))),
        ),
    ),
    14: (
        "newest version breaks a rule",
        Case(api(*three(14)), api(edited(three(14)[1], moving_time=-1))),
    ),
    15: (
        "broken from the start, then mended",
        Case(
            api(run_of(15, 0, "2024-06-01", moving_time=-1)),
            api(edited(run_of(15, 0, "2024-06-01"))),
        ),
    ),
    16: (
        "deleted before it came, and another made again",
        Case(
            cdc(
                ("d", {"id": 1600}, 3),
                ("c", run_of(16, 1, "2024-06-05"), 1),
                ("d", {"id": 1601}, 2),
            ),
            cdc(("c", run_of(16, 0, "2024-06-01"), 1), ("c", run_of(16, 1, "2024-06-05"), 5)),
        ),
    ),
    17: (
        "comes back after years",
        Case(api(run_of(17, 0, "2021-01-10")), api(run_of(17, 1, "2024-06-25"))),
    ),
    18: (
        "one beyond the horizon",
        Case(api(*three(18)), api(run_of(18, 9, "2024-07-01"))),
    ),
    19: (
        "thin after rich",
        Case(
            api(run_of(19, 0, "2024-06-01", splits_metric=SPLITS, calories=700.0)),
            cdc(("u", FLAT, 4)),
        ),
    ),
    20: ("new", Case({}, api(*three(20)))),
    21: ("only the name changes", Case(api(*three(21)), api(edited(three(21)[0], name="Renamed")))),
    22: (
        "from nothing to nothing",
        Case({}, {"cdc": ["null", *changes(("d", {"id": 2200}, 3))], "strava_api": ["{broken"]}),
    ),
    23: (
        "unusual loads",
        Case(
            api(
                run_of(23, 0, "2024-06-01", moving_time=180_000, elapsed_time=180_000, distance=9e5)
            ),
            api(*(run_of(23, n, f"2024-06-{n + 2:02d}", distance="-0.0") for n in range(1, 8))),
        ),
    ),
    24: (
        "the watch comes after the phone",
        Case(api(run_of(24, 0, "2024-06-10")), api(WATCH)),
    ),
    25: (
        "one of five days removed",
        Case(
            api(*three(25), run_of(25, 3, "2024-06-12", **FIVE_DAYS)), cdc(("d", {"id": 2503}, 3))
        ),
    ),
    26: (
        "an evening far in the west goes on until noon",
        Case(api(IN_THE_WEST), api(edited(IN_THE_WEST, elapsed_time=18_000))),
    ),
    27: (
        "of two devices the better one removed",
        Case(
            api(run_of(27, 0, "2024-06-10"), run_of(27, 1, "2024-06-10", **HEART)),
            cdc(("d", {"id": 2701}, 3)),
        ),
    ),
}


@dataclass
class Story:
    """The world before, after all changes, and one day later; with what the ledger said.

    Before the changes were taken in they were planned, and `status` was asked.
    """

    world: World
    planned: Plan = field(init=False)
    status: dict[str, Any] = field(default_factory=dict)
    digests: list[dict[str, str]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    entries: list[dict[str, Entry]] = field(default_factory=list)
    commits: list[dict[str, int]] = field(default_factory=list)

    def go_on(self) -> None:
        before = versions(self.world.warehouse)
        self.entries.append(self.world.run())
        self.commits.append(changed(before, versions(self.world.warehouse)))
        self.outcomes.append(self.world.expected())
        self.world.check()

    def look_ahead(self) -> None:
        """Plans the next run, and asks for the status."""
        world = self.world
        places = {name: str(world.root / name) for name in ("landing", "warehouse", "conf")}
        options = Options(**places, horizon=world.horizon.isoformat())
        self.digests.append(self._files())
        self.planned = plan(JOBS, options, spark=world.spark, now=NOW)
        self.digests.append(self._files())
        self.status = status.found(TABLES, options, NOW)

    def _files(self) -> dict[str, str]:
        """By path, the digest of each file of the tables."""
        root = self.world.warehouse
        return {
            str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest()
            for path in root.glob("*/*/**/*")
            if path.is_file()
        }

    def effects(self, chapter: int) -> Effects:
        return effects(self.outcomes[chapter - 1], self.outcomes[chapter])
