"""What the model of scale starts from: simulated athletes, measured costs, and assumptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from benchmarks.figures import lines
from benchmarks.scale_model import DAYS_A_YEAR, DEFAULTS, MEASURED, MILLION, SIMULATED, Known
from paceline.generate import generate
from paceline.generate.athletes import athlete_of, uniforms
from paceline.generate.plans import plans_of
from paceline.intake import files, landing
from paceline.settings import conf_directory, load_settings
from paceline.sources.files import listing

SIMULATED_YEARS = 10


def population(years: int, dormant_after_days: int, athletes: int = 140) -> dict[str, float]:
    """How the generator's athletes train, over so many years.

    Args:
        years: how many.
        dormant_after_days: days after the last activity for which an athlete still gets a row.
        athletes: how many to draw; what is decided by their number repeats every 140.
    """
    days = years * DAYS_A_YEAR
    activities = active = rows = awake = 0
    for index in range(athletes):
        draw = uniforms(1, 1, index)
        plans = plans_of(athlete_of(index, days, draw), date(2016, 7, 1), days, draw)
        planned = [plan.day for plan in plans if plan.day < days]
        on = sorted(set(planned))
        gaps = [after - before for before, after in zip(on, [*on[1:], days], strict=True)]
        rows += sum(min(gap, dormant_after_days + 1) for gap in gaps)
        awake += bool(gaps) and gaps[-1] <= dormant_after_days + 1
        activities, active = activities + len(planned), active + len(on)
    weeks = athletes * days / 7
    return {
        "activities_per_week": activities / weeks,
        "active_days_per_week": active / weeks,
        "rows_per_year": rows / athletes / years,
        "awake_share": awake / athletes,
    }


def parsing(athletes: int = 100) -> dict[str, float]:
    """Parses a generated landing zone on one core: records, bytes and CPU seconds."""
    with TemporaryDirectory() as temporary:
        root = Path(temporary) / "landing"
        generate(root, athletes=athletes, days=DAYS_A_YEAR, seed=1)
        settings = load_settings(conf_directory(None)).for_recipes()
        before = process_time()
        found = files.discover(listing(root), landing.SOURCES["strava_activities"], [])
        batches = landing.record_batches(
            root, found.new, "strava_activities", date(2026, 7, 1), settings
        )
        records = sum(batch.num_rows for _, batch, _ in batches)
        cpu_s = process_time() - before
    return {"records": records, "bytes": sum(d.size for d in found.new), "cpu_s": cpu_s}


def measured(results: Path) -> dict[str, float]:
    """The costs per row that results files know, by the names of DEFAULTS.

    They come from the largest backfill that was measured, of the largest size that was run.
    """
    costs: dict[str, float] = {}
    for name in ("quick.json", "medium.json", "full.json"):
        if (results / name).exists():
            costs |= _costs(json.loads((results / name).read_text(encoding="utf-8")))
    if (results / "parsing.json").exists():
        found = json.loads((results / "parsing.json").read_text(encoding="utf-8"))
        costs["parse_s"] = found["cpu_s"] / found["records"] * MILLION
        costs["record_bytes"] = found["bytes"] / found["records"]
    return costs


def _costs(document: Mapping[str, Any]) -> dict[str, float]:
    rows = {
        json.dumps(one["case"], sort_keys=True): one["rows"]
        for one in document.get("agreement", ())
        if one["experiment"] == "backfill"
    }
    wanted = {"floor_read": "read_s", "recipe": "recipe_s", "full": "full_s"}
    costs: dict[str, float] = {}
    # A case with more to it, such as a small heap, is another question.
    plain = {"athletes", "days"}
    measurements = [line for line in lines(document, "backfill") if set(line.case) == plain]
    for line in sorted(measurements, key=lambda one: one.case["athletes"] * one.case["days"]):
        count = rows.get(json.dumps(line.case, sort_keys=True)) or _inserted(line.settled)
        if not count or line.contender not in wanted:
            continue
        if line.warm.get("cpu_s"):
            costs[wanted[line.contender]] = line.warm["cpu_s"] / count * MILLION
        if line.contender == "recipe" and line.settled.get("written_bytes"):
            costs["rolling_bytes"] = line.settled["written_bytes"] / count
    return costs


def _inserted(figures: Mapping[str, Any]) -> int:
    return (figures.get("rows") or {}).get("inserted", 0)


def known(results: Path) -> dict[str, Known]:
    """The inputs of the model: assumed, unless they can be simulated or have been measured."""
    dormant_after_days = load_settings(conf_directory(None)).dormant_after_days
    inputs = dict(DEFAULTS)
    simulated = population(SIMULATED_YEARS, dormant_after_days)
    for values, origin in ((simulated, SIMULATED), (measured(results), MEASURED)):
        for name, value in values.items():
            inputs[name] = replace(inputs[name], value=value, origin=origin)
    return inputs
