"""What the page says of the online store: who is left wrong, and what it costs to follow gold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import figures
from benchmarks.figures import Document, Line, case_text, ratio, seconds, times, title
from benchmarks.section import Section

FULL_LOAD = "full load"
REPAIRS = ("newest rows corrected", "newest rows deleted", "athletes erased")
"""The acts after which a store has to take something back."""


def online(document: Document, found: Sequence[Line]) -> Section:
    """Each way to follow gold, act by act, against the full load of paceline."""
    full_load = _cpu(found, FULL_LOAD, "sync")
    columns = {
        "what happened to gold": lambda line: str(line.case["act"]),
        "contender": lambda line: title(line.contender),
        "athletes": lambda line: _count(line, "athletes_touched"),
        "of them wrong": lambda line: _count(line, "athletes_left_wrong"),
        "wrong in all": lambda line: _count(line, "athletes_wrong"),
        "rows written": lambda line: _count(line, "rows_written"),
        "rows deleted": lambda line: _count(line, "rows_deleted"),
        "CPU / full load": lambda line: times(ratio(line.settled.get("cpu_s"), full_load)),
        "CPU warm": lambda line: seconds(line.warm.get("cpu_s")),
        "CPU cold": lambda line: seconds(line.cold.get("cpu_s")),
        "wall warm": lambda line: seconds(line.warm.get("wall_s")),
    }
    world = case_text({name: found[0].case[name] for name in ("athletes", "days")})
    table = f"{world}:\n\n{figures.table(columns, found)}"
    return Section(document, table, facts=_facts(found, full_load))


def figure_of(line: Line, name: str) -> Any:
    """A figure that every round has, or the first one alone."""
    return line.warm.get(name, line.cold.get(name))


def _facts(found: Sequence[Line], full_load: float | None) -> Mapping[str, Any]:
    repairs = [line for line in found if line.case["act"] in REPAIRS]
    touched = {line.case["act"]: figure_of(line, "athletes_touched") for line in repairs}
    corrected = _cpu(found, REPAIRS[0], "sync")
    increment = _cpu(found, REPAIRS[0], "materialize_incremental")
    return {
        "athletes": found[0].case["athletes"],
        "touched": sum(count or 0 for count in touched.values()),
        "left": {
            line.contender: sum(
                figure_of(one, "athletes_left_wrong") or 0
                for one in repairs
                if one.contender == line.contender
            )
            for line in repairs
        },
        "cpu": ratio(corrected, full_load),
        "feast": ratio(increment, corrected),
    }


def _cpu(found: Sequence[Line], act: str, contender: str) -> float | None:
    of_act = (line for line in found if line.case["act"] == act and line.contender == contender)
    return next((line.settled.get("cpu_s") for line in of_act), None)


def _count(line: Line, name: str) -> str:
    return figures.number(figure_of(line, name))
