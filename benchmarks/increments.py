"""Experiments that change something and let paceline catch up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.contenders import HORIZON
from benchmarks.runner import WAREHOUSE, Case, Entrant, FailedError, Worker
from benchmarks.worlds import copied

WAYS = ("exact", "whole")
"""Compute what the change can reach, or the whole table; written is what differs."""
PAST_RUNS = (10, 1_000)
# What is compared is a few per cent, and an idle run takes seconds.
LEDGER_ROUNDS = 5
AN_ACTIVITY = {
    "id": 9_000_000_001,
    "athlete": {"id": 1001},
    "sport_type": "Run",
    "start_date": f"{HORIZON - timedelta(days=30)}T06:00:00Z",
    "start_date_local": f"{HORIZON - timedelta(days=30)}T08:00:00Z",
    "distance": 10000.0,
    "moving_time": 3000,
    "elapsed_time": 3100,
    "total_elevation_gain": 50.0,
    "updated_at": f"{HORIZON}T00:00:00Z",
}


def change(bench: Bench) -> None:
    """One activity more, 30 days old, of one athlete, of some, and of all."""
    count, days = bench.size.largest
    shares: Mapping[float | str, float] = {"one activity": 0.0, **{s: s for s in bench.size.shares}}
    changed = [
        (
            {"athletes": count, "days": days, "share": name},
            bench.worlds.changed(count, days, max(1, round(share * count))),
        )
        for name, share in shares.items()
    ]
    worker = bench.worlds.warm(changed[0][1])
    entrants = [
        _catching_up(case, world, worker, contender=way, way=way)
        for case, world in changed
        for way in WAYS
    ]
    bench.turns("change", entrants)


def athletes(bench: Bench) -> None:
    """One activity of one athlete among more and more of them."""
    changed = [
        ({"athletes": count, "days": days}, bench.worlds.changed(count, days, 1))
        for count, days in bench.size.athletes
    ]
    _turns(bench, "athletes", changed)


def new_day(bench: Bench) -> None:
    """The next day is over, on which every second athlete was active."""
    count, days = bench.size.largest
    world = bench.worlds.changed(count, days, count // 2, days_ago=-1)
    _turns(bench, "new_day", [({"athletes": count, "days": days}, world)], days_later=1)


def late(bench: Bench) -> None:
    """One activity arrives three years late."""
    count, days = bench.size.largest
    world = bench.worlds.changed(count, days, 1, days_ago=min(days, 1095) - 1)
    _turns(bench, "late", [({"athletes": count, "days": days}, world)])


def history(bench: Bench) -> None:
    """The same rows touched in worlds that reach further and further back."""
    touched = bench.size.touched
    changed = [
        (
            {"athletes": count, "days": days, "touched_rows": touched * 31},
            bench.worlds.changed(count, days, touched),
        )
        for count, days in bench.size.history
    ]
    _turns(bench, "history", changed)


def small(bench: Bench) -> None:
    """Both jobs from a landing zone, in which nothing or one activity is new.

    A run that finds nothing is measured cold, too. After one activity, Feature_Rolling catches up
    with what Feature_Activity has just made of it.
    """
    count, days = bench.size.small
    landing = bench.worlds.landing(count, days)
    more = bench.worlds.landing_with(count, days, "late.jsonl", json.dumps(AN_ACTIVITY) + "\n")
    before = bench.worlds.landed(landing)
    worker = bench.worlds.warm(before)
    nothing, one = {"act": "nothing"}, {"act": "one activity"}
    idle = [_feature_activity(nothing, landing, before), _feature_rolling(nothing, before)]
    received = bench.rounds_folder / "feature_activity" / "round" / WAREHOUSE
    busy = [_feature_activity(one, more, before, worker), _feature_rolling(one, received, worker)]
    bench.turns("small", [*idle, *idle, *busy])


def ledger(bench: Bench) -> None:
    """A run of both jobs that finds nothing, after few and after many earlier runs."""
    landing = bench.worlds.landing(*bench.size.small)
    after = {runs: bench.worlds.after_runs(landing, runs) for runs in PAST_RUNS}
    worker = bench.worlds.warm(bench.worlds.landed(landing))

    def idle(runs: int, world: Path) -> Entrant:
        def arrange(place: Path) -> dict[str, str]:
            return {"landing": str(landing), "warehouse": copied(world, place)}

        return Entrant("full", {"past_runs": runs}, "full.run_both", arrange, worker=worker)

    bench.turns("ledger", [idle(*each) for each in after.items()], rounds=LEDGER_ROUNDS)


def _turns(
    bench: Bench, experiment: str, changed: Sequence[tuple[Case, Path]], days_later: int = 0
) -> None:
    """Feature_Rolling catches up with worlds, all in the process that built them."""
    worker = bench.worlds.warm(changed[0][1])
    entrants = [_catching_up(*each, worker, days_later=days_later) for each in changed]
    bench.turns(experiment, entrants)


def _catching_up(
    case: Case, world: Path, worker: Worker | None, *, contender: str = "full", **arguments: Any
) -> Entrant:
    """Feature_Rolling catches up with a world."""

    def arrange(place: Path) -> dict[str, Any]:
        if not world.exists():
            raise FailedError("The job before has left nothing to catch up with.")
        return {"warehouse": copied(world, place), **arguments}

    return Entrant(contender, case, "full.run", arrange, module="full", worker=worker)


def _feature_rolling(case: Case, world: Path, worker: Worker | None = None) -> Entrant:
    return _catching_up(case, world, worker, contender="feature_rolling")


def _feature_activity(
    case: Case, landing: Path, world: Path, worker: Worker | None = None
) -> Entrant:
    """Feature_Activity catches up with a landing zone."""

    def arrange(place: Path) -> dict[str, str]:
        return {"landing": str(landing), "warehouse": copied(world, place)}

    function = "upstream.feature_activity"
    return Entrant("feature_activity", case, function, arrange, module="full", worker=worker)
