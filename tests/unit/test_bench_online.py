"""The gold of the experiment `online`, what happens to it, and who is asked what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from benchmarks import online, online_gold
from benchmarks.bench import Bench
from benchmarks.contenders import ACTIVITIES, ROLLING
from benchmarks.contenders.full import prepare
from benchmarks.runner import Findings, cleared
from benchmarks.sizes import SMOKE

ATHLETES, DAYS = 250, 30
TABLES = {ROLLING: "as_of_date", ACTIVITIES: "activity_id"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world") / "gold"
    online_gold.create(path, ATHLETES, DAYS)
    return path


def newest(warehouse: Path) -> dict[str, dict[int, tuple[Any, ...]]]:
    """By table and athlete, the newest row."""
    found = {}
    for name, key in TABLES.items():
        rows = pl.read_delta(str(warehouse.joinpath(*name.split("."))))
        last = rows.sort(key).unique("athlete_id", keep="last")
        found[name] = {row["athlete_id"]: tuple(row.values()) for row in last.iter_rows(named=True)}
    return found


def test_equal_sizes_give_equal_gold(world: Path, tmp_path: Path) -> None:
    again = tmp_path / "gold"
    online_gold.create(again, ATHLETES, DAYS)
    assert newest(again) == newest(world)
    rolling = newest(world)[ROLLING]
    assert len(set(rolling.values())) == ATHLETES


def test_an_act_changes_the_newest_rows_of_those_whom_it_names(world: Path, tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse"
    prepare(str(world), str(warehouse))
    seen: set[int] = set()
    for act in online_gold.ACTS:
        before = newest(warehouse)
        touched = set(online_gold.happen(act, warehouse, ATHLETES, online_gold.LOADED_AT))
        after = newest(warehouse)
        changed = {
            name: {
                athlete
                for athlete in before[name].keys() | after[name].keys()
                if before[name].get(athlete) != after[name].get(athlete)
            }
            for name in TABLES
        }
        assert changed[ROLLING] == touched
        if act == online_gold.NEXT_DAY:
            assert 0 < len(changed[ACTIVITIES]) < len(touched)
        else:
            assert changed[ACTIVITIES] == touched
            assert touched.isdisjoint(seen)
        instants = {
            name: {athlete: row[2] for athlete, row in rows.items() if athlete in touched}
            for name, rows in after.items()
        }
        if act == "newest rows corrected":
            assert instants == {
                name: {athlete: before[name][athlete][2] for athlete in touched} for name in TABLES
            }
        if act == "athletes erased":
            assert instants == {name: {} for name in TABLES}
        seen |= touched
    assert seen == set(online_gold.everybody(ATHLETES))


class Pretender:
    """A process that only notes what it is asked."""

    def __init__(self, module: str, folder: Path) -> None:
        self.name, self.asked_for, self.is_running = folder.name, [], False

    def __enter__(self) -> Pretender:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self.is_running = False

    def asked(self, function: str, **arguments: Any) -> list[int]:
        self.is_running = True
        self.asked_for.append(function)
        if function == "prepare":
            settings = yaml.safe_load((Path(arguments["repo"]) / "feature_store.yaml").read_text())
            assert settings["materialization"] == {"pull_latest_features": True}
        return arguments["athletes"][:2] if function == online.WRONG else []

    def measured(self, function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        temperature = "warm" if self.is_running else "cold"
        self.asked(function)
        about = {"temperature": temperature, "cpu_s": 1.0, "wall_s": 1.0, "stages": None}
        return about | {"result": {"rows_written": 7}}


def test_each_way_follows_every_act_and_the_first_round_is_judged(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, Pretender] = {}

    def start(module: str, folder: Path) -> Pretender:
        return started.setdefault(folder.name, Pretender(module, folder))

    class KeptWorlds:
        def gold(self, *size: int) -> Path:
            assert size == SMOKE.online
            return world

        def close(self) -> None:
            pass

    monkeypatch.setattr(online, "Worker", start)
    findings = Findings()
    work = cleared(tmp_path / "work")
    online.online(Bench(SMOKE, KeptWorlds(), work, findings))  # type: ignore[arg-type]

    acts = list(online_gold.ACTS)
    expected = [
        *(("full load", way) for way in ("sync", "materialize")),
        *((act, way) for act in acts for way in online.WAYS),
        ("verify", "sync"),
    ]
    found = [(one["case"]["act"], one["contender"]) for one in findings.measurements]
    assert found == expected * 2
    cold = [
        (one["round"], one["case"]["act"], one["contender"])
        for one in findings.measurements
        if one["temperature"] == "cold"
    ]
    assert cold == [
        *((0, "full load", way) for way in ("sync", "materialize")),
        *((0, "nothing", way) for way in online.WAYS),
    ]
    rounds = {one["round"] for one in findings.measurements if "athletes_wrong" in one}
    assert rounds == {0}
    judged = started["judge"].asked_for
    assert judged.count(online.WRONG) == 2 + 3 * len(acts)
    assert started["materialize_incremental"].asked_for[0] == "materialize"
    # The judge names the first two athletes, of whom the first is corrected.
    (corrected,) = (
        one
        for one in findings.measurements
        if (one["round"], one["case"]["act"], one["contender"])
        == (0, "newest rows corrected", "sync")
    )
    figures = ("athletes_touched", "athletes_left_wrong", "athletes_wrong", "rows_written")
    assert [corrected[name] for name in figures] == [1, 1, 2, 7]
    assert not (work / "rounds").exists()
