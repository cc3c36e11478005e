"""What the page says of each experiment: its table, its chart, and the figures of its sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks import figures
from benchmarks.charts import Bar, Bars, Chart, Curve, Panel
from benchmarks.figures import Document, Line, case_text, ratio, seconds, size, times, title
from benchmarks.increment_sections import athletes, change, history, increment
from benchmarks.online_section import online
from benchmarks.section import OURS, Section, files

MAINTENANCE = {True: "with maintenance", False: "without"}


def backfill(document: Document, found: Sequence[Line]) -> Section:
    """Each contender against the rewrite floor; a table per case, a chart of the fullest one."""
    cases: dict[str, list[Line]] = {}
    for line in sorted(found, key=lambda line: line.settled.get("cpu_s") or 0):
        cases.setdefault(case_text(line.case), []).append(line)
    name, fullest = max(cases.items(), key=lambda case: (len(case[1]), _extent(case[1][0])))
    tables = [f"{case}:\n\n{_backfill_table(of_case)}" for case, of_case in cases.items()]
    facts = {"case": name, **_backfill_facts(fullest)}
    return Section(document, "\n\n".join(tables), _backfill_chart(fullest), facts)


def _backfill_table(found: Sequence[Line]) -> str:
    floor, recipe = (_warm_cpu(found, name) for name in ("floor_rewrite", "recipe"))
    columns = {
        "contender": lambda line: title(line.contender),
        "CPU warm / floor": lambda line: times(ratio(line.warm.get("cpu_s"), floor)),
        "cold / floor": lambda line: times(ratio(line.cold.get("cpu_s"), floor)),
        "warm / bare recipe": lambda line: times(ratio(line.warm.get("cpu_s"), recipe)),
        "peak memory": lambda line: size(line.settled.get("peak_bytes")),
        "bytes written": lambda line: size(line.settled.get("written_bytes")),
        "Spark jobs": lambda line: figures.number(line.settled.get("jobs")),
        "CPU s": lambda line: seconds(line.settled.get("cpu_s")),
        "wall s": lambda line: seconds(line.settled.get("wall_s")),
    }
    return figures.table(columns, found)


def _backfill_chart(found: Sequence[Line]) -> Chart | None:
    floor = _warm_cpu(found, "floor_rewrite")
    bars = []
    for line in found:
        warm, cold = (ratio(of.get("cpu_s"), floor) for of in (line.warm, line.cold))
        if warm is not None:
            text = times(warm) + (f" (cold {times(cold)})" if cold else "")
            bars.append(Bar(title(line.contender), warm, text, cold, line.contender in OURS))
    return Bars(bars, mark=1.0) if bars else None


def _backfill_facts(found: Sequence[Line]) -> Mapping[str, float | None]:
    warm = {line.contender: line.warm.get("cpu_s") for line in found}
    # Against Spark, what is quick to start counts with its start.
    cold = {line.contender: line.cold.get("cpu_s") for line in found}
    recipe = warm.get("recipe")
    return {
        "floor": ratio(recipe, warm.get("floor_rewrite")),
        "wap": ratio(warm.get("full"), recipe),
        "careful": ratio(warm.get("careful"), recipe),
        "usual": ratio(warm.get("usual"), recipe),
        "polars": ratio(recipe, cold.get("with_polars")),
        "duckdb": ratio(recipe, cold.get("with_duckdb")),
    }


def small(document: Document, found: Sequence[Line]) -> Section:
    """What a run costs that finds nothing, or next to nothing, to do: counts."""
    columns = {
        "what changed": lambda line: str(line.case["act"]),
        "job": lambda line: title(line.contender),
        "Spark jobs": lambda line: figures.number(line.settled.get("jobs")),
        "commits": lambda line: figures.counts(line.settled.get("commits")),
        "files": files,
        "bytes written": lambda line: size(line.settled.get("written_bytes")),
        "CPU warm": lambda line: seconds(line.warm.get("cpu_s")),
        "CPU cold": lambda line: seconds(line.cold.get("cpu_s")),
    }
    return Section(document, figures.table(columns, found))


def audit(document: Document, found: Sequence[Line]) -> Section:
    """The audit of Great Expectations against the same checks by hand."""
    by_hand = {
        case_text(line.case): line.settled.get("cpu_s")
        for line in found
        if line.contender.replace("_", " ") == "by hand"
    }
    others = [line for line in found if line.contender.replace("_", " ") != "by hand"]
    columns = {
        "table": lambda line: str(line.case["table"]),
        "rows": lambda line: figures.number(line.case["rows"]),
        "checked by": lambda line: title(line.contender),
        "CPU / by hand": lambda line: times(
            ratio(line.settled.get("cpu_s"), by_hand.get(case_text(line.case)))
        ),
    }
    return Section(document, figures.table(columns, others))


def growth(document: Document, found: Sequence[Line]) -> Section:
    """What lies on disk after so many daily runs, with and without maintenance."""
    series: dict[bool, dict[int, Line]] = {}
    for line in sorted(found, key=lambda line: line.case["day"]):
        series.setdefault(bool(line.case["maintenance"]), {})[line.case["day"]] = line
    panels = []
    for name, what, unit in (("files", "data files", 1), ("log_bytes", "log, kB", 1000)):
        curves = []
        for is_maintained, days in series.items():
            known = [(day, line.settled.get(name)) for day, line in days.items()]
            points = [(day, value / unit) for day, value in known if value is not None]
            role = "ours" if is_maintained else "other"
            if len(points) > 1:
                curves.append(Curve(MAINTENANCE[is_maintained], points, role))
        if curves:
            panels.append(Panel(what, "daily runs", curves))
    ends = [days[end] for days in series.values() for end in (min(days), max(days))]
    columns = {
        "daily runs": lambda line: figures.number(line.case["day"]),
        "maintenance": lambda line: MAINTENANCE[bool(line.case["maintenance"])],
        "data files": lambda line: figures.number(line.settled.get("files")),
        "log files": lambda line: figures.number(line.settled.get("logfiles")),
        "log": lambda line: size(line.settled.get("log_bytes")),
        "on disk": lambda line: size(line.settled.get("table_bytes")),
        "CPU of the run": lambda line: seconds(line.settled.get("cpu_s")),
    }
    return Section(document, figures.table(columns, ends), panels or None, _upkeep(found))


def _upkeep(found: Sequence[Line]) -> Mapping[str, float | None]:
    """The last maintenance against the daily run before it."""
    kept = [line for line in found if line.settled.get("maintenance_cpu_s")]
    last = max(kept, key=lambda line: line.case["day"], default=None)
    settled = last.settled if last else {}
    return {"maintenance": ratio(settled.get("maintenance_cpu_s"), settled.get("cpu_s"))}


def ledger(document: Document, found: Sequence[Line]) -> Section:
    """An idle run after more and more runs, against one after the fewest."""
    ordered = sorted(found, key=lambda line: line.case["past_runs"])
    fewest = ordered[0].settled.get("cpu_s")
    columns = {
        "earlier runs": lambda line: figures.number(line.case["past_runs"]),
        "CPU / fewest": lambda line: times(ratio(line.settled.get("cpu_s"), fewest)),
        "bytes read": lambda line: size(line.settled.get("read_bytes")),
        "Spark jobs": lambda line: figures.number(line.settled.get("jobs")),
        "CPU s": lambda line: seconds(line.settled.get("cpu_s")),
    }
    return Section(document, figures.table(columns, ordered))


def extreme(document: Document, found: Sequence[Line]) -> Section:
    """Work that goes to the limits of the memory, or of a task."""
    columns = {
        "contender": lambda line: title(line.contender),
        "longest task / median of its stage": lambda line: times(
            line.settled.get("longest_task_against_median")
        ),
        "peak memory": lambda line: size(line.settled.get("peak_bytes")),
        "CPU s": lambda line: seconds(line.settled.get("cpu_s")),
        "wall s": lambda line: seconds(line.settled.get("wall_s")),
    }
    table = f"{case_text(found[0].case)}:\n\n{figures.table(columns, found)}"
    return Section(document, table)


def other(document: Document, found: Sequence[Line]) -> Section:
    """An experiment that has no section of its own: every number that was measured."""
    names = dict.fromkeys(
        name
        for line in found
        for name, value in line.settled.items()
        if isinstance(value, int | float)
    )
    columns: dict[str, Callable[[Line], str]] = {
        "case": lambda line: case_text(line.case),
        "contender": lambda line: title(line.contender),
    }
    for name in names:
        columns[name.removesuffix("_s").removesuffix("_bytes").replace("_", " ")] = (
            lambda line, name=name: _written(name, line.settled.get(name))
        )
    return Section(document, figures.table(columns, found))


SECTIONS: Mapping[str, Callable[[Document, Sequence[Line]], Section]] = {
    "backfill": backfill,
    "history": history,
    "change": change,
    "athletes": athletes,
    "new_day": increment,
    "late": increment,
    "small": small,
    "audit": audit,
    "growth": growth,
    "ledger": ledger,
    "skew": extreme,
    "memory": extreme,
    "online": online,
}


def _written(name: str, value: float | None) -> str:
    if name.endswith("_bytes"):
        return size(value)
    return seconds(value) if name.endswith("_s") else figures.number(value)


def _warm_cpu(found: Sequence[Line], contender: str) -> float | None:
    return next((line.warm.get("cpu_s") for line in found if line.contender == contender), None)


def _extent(line: Line) -> int:
    return int(line.case.get("athletes", 0)) * int(line.case.get("days", 0))
