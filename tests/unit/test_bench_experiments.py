"""Experiments with processes that only pretend to work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import experiments, growth, increments, runner, worlds
from benchmarks.__main__ import merged
from benchmarks.bench import Bench
from benchmarks.contenders import ROLLING
from benchmarks.runner import Entrant, FailedError, Findings, SlowError, take_turns
from benchmarks.sizes import SIZES
from benchmarks.worlds import Worlds


class Pretender:
    """A process that answers each request with its number; some requests make it fail."""

    def __init__(self, failing: Mapping[int, Exception] | None = None) -> None:
        self.asked_for: list[tuple[str, Mapping[str, Any]]] = []
        self.closed = 0
        self.is_running = True
        self._failing = failing or {}

    def __enter__(self) -> Pretender:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def asked(self, function: str, **arguments: Any) -> None:
        self.asked_for.append((function, arguments))

    def measured(self, function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        number = len(self.asked_for)
        self.asked(function, **arguments)
        if number in self._failing:
            raise self._failing[number]
        about = {"temperature": "warm", "cpu_s": float(number), "wall_s": 0.0}
        return about | {"stages": None, "result": None}

    def close(self) -> None:
        self.closed += 1


def entrant(name: str, case: int, worker: Any = None, process: str = "") -> Entrant:
    case_ = {"case": case}
    return Entrant(name, case_, f"{name}.run", lambda place: {}, worker=worker, process=process)


def test_a_process_that_is_there_before_is_there_after(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept, own = Pretender(), Pretender()
    monkeypatch.setattr(runner, "_worker", lambda *_: own)
    findings = Findings()
    entrants = [entrant("ours", 1, kept), entrant("other", 1), entrant("ours", 2, kept)]
    take_turns(findings, "change", entrants, rounds=2, work=tmp_path / "rounds")
    order = [(one["contender"], one["case"]["case"]) for one in findings.measurements]
    assert order == [("ours", 1), ("other", 1), ("ours", 2)] * 2
    assert [len(one.asked_for) for one in (kept, own)] == [4, 2]
    assert (kept.closed, own.closed) == (0, 1)
    assert not (tmp_path / "rounds").exists()


def test_who_names_the_same_process_shares_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[Pretender] = []

    def start(*_: Any) -> Pretender:
        started.append(Pretender())
        return started[-1]

    monkeypatch.setattr(runner, "_worker", start)
    entrants = [entrant("a", 1, process="x"), entrant("b", 1, process="x"), entrant("c", 1)]
    take_turns(Findings(), "backfill", [*entrants, entrant("c", 2)], rounds=1, work=tmp_path / "r")
    asked = [[function for function, _ in worker.asked_for] for worker in started]
    assert asked == [["a.run", "b.run"], ["c.run", "c.run"]]


@pytest.mark.parametrize(
    ("error", "kind"), [(FailedError("x"), "failed"), (SlowError("x"), "too slow")]
)
def test_who_fails_drops_out_and_the_others_go_on(
    tmp_path: Path, error: Exception, kind: str
) -> None:
    worker, findings = Pretender({0: error}), Findings()
    entrants = [entrant("exact", 1, worker), entrant("whole", 1, worker)]
    take_turns(findings, "change", entrants, rounds=2, work=tmp_path / "rounds")
    assert [one["contender"] for one in findings.measurements] == ["whole", "whole"]
    assert [(one["contender"], one["kind"]) for one in findings.failures] == [("exact", kind)]
    assert worker.closed == 1


class KeptWorlds:
    """Worlds of which each is an empty table."""

    def __init__(self, folder: Path) -> None:
        self.worker, self.building_s, self.closed = Pretender(), 0.0, 0
        self.world = folder / "world"
        log = self.world.joinpath(*ROLLING.split("."), "_delta_log")
        log.mkdir(parents=True)
        (log / f"{0:020}.json").write_text('{"commitInfo": {}}\n')

    def finished(self, *_: int) -> Path:
        return self.world

    changed = landing = landed = landing_with = finished

    def warm(self, world: Path) -> Pretender:
        return self.worker

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    work = tmp_path / "work"
    return Bench(SIZES["quick"], KeptWorlds(tmp_path), work, Findings())  # type: ignore[arg-type]


def test_until_the_first_maintenance_both_ways_are_the_same_runs(bench: Any) -> None:
    growth.growth(bench)
    found = {(m["case"]["maintenance"], m["case"]["day"]): m for m in bench.findings.measurements}
    assert sorted(found) == [(kept, day) for kept in (False, True) for day in range(1, 9)]
    for day in range(1, 7):
        assert found[False, day]["cpu_s"] == found[True, day]["cpu_s"]
    assert [key for key, one in found.items() if "maintenance_cpu_s" in one] == [(True, 7)]
    places = [Path(arguments["warehouse"]) for _, arguments in bench.worlds.worker.asked_for]
    functions = [function for function, _ in bench.worlds.worker.asked_for]
    daily = ["upstream.add", "full.run"]
    assert functions == [*daily * 6, *daily, *daily, "upstream.optimize", *daily, *daily]
    assert [place.parent.name for place in places[12:]] == (
        ["without"] * 2 + ["with"] * 3 + ["without"] * 2 + ["with"] * 2
    )
    assert not bench.rounds_folder.exists()


def test_a_change_is_followed_both_ways_whatever_its_share(bench: Any) -> None:
    increments.change(bench)
    asked = [arguments["way"] for _, arguments in bench.worlds.worker.asked_for]
    assert asked == ["exact", "whole"] * 3
    cases = [(one["case"]["share"], one["contender"]) for one in bench.findings.measurements]
    shares = ("one activity", 0.3, 1.0)
    assert cases == [(share, way) for share in shares for way in ("exact", "whole")]
    assert bench.worlds.closed == 0


@pytest.mark.parametrize("failing", [None, FailedError("x")])
def test_what_finds_nothing_is_first_measured_cold(
    monkeypatch: pytest.MonkeyPatch, bench: Any, failing: Exception | None
) -> None:
    idle = {name: Pretender() for name in ("feature_activity", "feature_rolling")}
    monkeypatch.setattr(runner, "_worker", lambda entrant, _: idle[entrant.contender])
    if failing:
        bench.worlds.worker = Pretender({0: failing})
    increments.small(bench)
    assert [len(worker.asked_for) for worker in idle.values()] == [2, 2]
    asked = [function for function, _ in bench.worlds.worker.asked_for]
    assert asked == ["upstream.feature_activity", *([] if failing else ["full.run"])]
    dropped = [one["contender"] for one in bench.findings.failures]
    assert dropped == (list(idle) if failing else [])


def test_an_experiment_that_fails_as_a_whole_is_told_and_timed(
    monkeypatch: pytest.MonkeyPatch, bench: Any
) -> None:
    def broken(bench: Bench) -> None:
        bench.worlds.building_s += 3.0
        raise FailedError("no worlds")

    monkeypatch.setattr(experiments, "EXPERIMENTS", {"late": broken})
    experiments.run(bench, "late")
    (failure,) = bench.findings.failures
    assert (failure["experiment"], failure["message"]) == ("late", "no worlds")
    (took,) = bench.findings.durations
    assert (took["experiment"], took["building_s"]) == ("late", 3.0)
    assert took["wall_s"] < 3
    assert bench.worlds.closed == 1


def test_of_experiments_that_have_not_run_the_results_stay() -> None:
    before = {"durations": [{"experiment": "late", "wall_s": 1}, {"experiment": "skew"}]}
    found = {"durations": [{"experiment": "late", "wall_s": 2}], "failures": []}
    assert merged(before, found, ["late"]) == {
        "durations": [{"experiment": "skew"}, {"experiment": "late", "wall_s": 2}],
        "failures": [],
    }


def test_what_lies_on_disk(tmp_path: Path) -> None:
    table = tmp_path / "silver" / "rides"
    sizes = {"_delta_log/0.crc": 3, "_delta_log/.0.json.crc": 100, "a.parquet": 50}
    gone = {"add": {"path": "b.parquet", "size": 7}}, {"remove": {"path": "b.parquet"}}
    commits = [[{"add": {"path": "a.parquet", "size": 50}}, gone[0]], [gone[1]]]
    (table / "_delta_log").mkdir(parents=True)
    for name, size in (sizes | {"b.parquet": 7, ".a.parquet.crc": 100}).items():
        (table / name).write_bytes(b"x" * size)
    for number, actions in enumerate(commits):
        text = "\n".join(json.dumps(action) for action in actions)
        (table / "_delta_log" / f"{number:020}.json").write_text(text)
    commit_bytes = sum(path.stat().st_size for path in table.glob("_delta_log/*.json"))
    assert growth.on_disk(tmp_path) == {
        "files": 1,
        "log_files": 3,
        "log_bytes": 3 + commit_bytes,
        "table_bytes": 57,
    }


def test_a_process_is_warmed_up_once_and_again_when_it_was_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[Pretender] = []

    def start(*_: Any) -> Pretender:
        started.append(Pretender())
        return started[-1]

    monkeypatch.setattr(worlds, "Worker", start)
    world = KeptWorlds(tmp_path).world
    kept = Worlds(tmp_path / "work")
    for _ in range(2):
        kept.warm(world)
    assert [function for function, _ in started[0].asked_for] == ["run"]
    started[0].is_running = False
    kept.warm(world)
    assert len(started[0].asked_for) == 2
    kept.close()
    kept.warm(world)
    assert [len(worker.asked_for) for worker in started] == [2, 1]
    assert kept.building_s > 0
    assert not (tmp_path / "work" / "warm-up").exists()
