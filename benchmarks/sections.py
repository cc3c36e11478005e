"""What the page says of each experiment: its table, its chart, and the figures of its sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import figures
from benchmarks.charts import Bar, Bars, Chart, Curve, Panel
from benchmarks.figures import Document, Line, case_text, ratio, seconds, size, times, title

Reference = Callable[[Line], Line | None]
"""The line that a line is divided by."""

OURS = {"full", "recipe"}
MAINTENANCE = {True: "with OPTIMIZE", False: "without"}


@dataclass(frozen=True)
class Section:
    """A section of the page. `document` is the run whose figures it shows."""

    document: Document
    table: str
    chart: Chart | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the sentences around the table mention; None where it was not measured."""


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


def history(document: Document, found: Sequence[Line]) -> Section:
    """The same touched rows on more and more history, against one year of it."""

    def one_year(line: Line) -> Line:
        same = [other for other in found if other.contender == line.contender]
        return min(same, key=lambda other: abs(other.case["days"] - 365))

    ordered = sorted(found, key=lambda line: line.case["days"])
    ticks = {line.case["days"] / 365: f"{line.case['days'] / 365:.2g}" for line in ordered}
    chart = _increment_chart(
        ordered,
        lambda line: line.case["days"] / 365,
        one_year,
        ("years of history", "one year", ticks),
    )
    return _increment(document, ordered, one_year, "1 year", chart)


def athletes(document: Document, found: Sequence[Line]) -> Section:
    """One changed activity among more and more athletes, against the fewest."""

    def fewest(line: Line) -> Line:
        same = [other for other in found if other.contender == line.contender]
        return min(same, key=lambda other: other.case["athletes"])

    ordered = sorted(found, key=lambda line: line.case["athletes"])
    few = f"{ordered[0].case['athletes']:,} athletes"
    ticks = {line.case["athletes"]: f"{line.case['athletes']:,}" for line in ordered}
    chart = _increment_chart(
        ordered, lambda line: line.case["athletes"], fewest, ("athletes", few, ticks)
    )
    return _increment(document, ordered, fewest, few, chart)


def change(document: Document, found: Sequence[Line]) -> Section:
    """A larger and larger share of the athletes changed, against the full rebuild."""
    ordered = sorted(found, key=share)
    rebuild = _rebuild_of(document)
    # Where one activity is a thousandth of all, it names the tick.
    ticks = {share(line): _share_text(line) for line in reversed(ordered)}
    axis = ("athletes with a change", "the full rebuild", ticks)
    chart = _increment_chart(ordered, share, rebuild, axis, is_guide_flat=True)
    return _increment(document, ordered, rebuild, "rebuild", chart)


def increment(document: Document, found: Sequence[Line]) -> Section:
    """Single increments against the full rebuild of the same athletes and days."""
    return _increment(document, found, _rebuild_of(document), "rebuild", None)


def share(line: Line) -> float:
    """The share of athletes that a line of `change` touches, at least one of them."""
    found = line.case["share"]
    return max(0.0 if isinstance(found, str) else found, 1 / line.case["athletes"])


def _share_text(line: Line) -> str:
    found = line.case["share"]
    return "one" if isinstance(found, str) else f"{100 * found:.3g} %"


def _increment(
    document: Document,
    found: Sequence[Line],
    reference: Reference,
    base: str,
    chart: Chart | None,
) -> Section:
    def against(name: str) -> Callable[[Line], str]:
        return lambda line: times(_against(line, reference, name))

    same = {
        name: value
        for name, value in found[0].case.items()
        if all(line.case.get(name) == value for line in found)
    }

    def differing(line: Line) -> str:
        return case_text({name: line.case[name] for name in line.case if name not in same})

    columns: dict[str, Callable[[Line], str]] = {}
    if len(found) > 1:
        columns["case"] = differing
    if len({line.contender for line in found}) > 1:
        columns["contender"] = lambda line: title(line.contender)
    columns |= {
        f"CPU / {base}": against("cpu_s"),
        f"bytes / {base}": against("written_bytes"),
        "rows written": lambda line: figures.rows_written(line.settled.get("rows")),
        "bytes written": lambda line: size(line.settled.get("written_bytes")),
        "bytes read": lambda line: size(line.settled.get("read_bytes")),
        "files": _files,
        "commits": lambda line: figures.counts(line.settled.get("commits")),
        "Spark jobs": lambda line: figures.number(line.settled.get("jobs")),
        "CPU s": lambda line: seconds(line.settled.get("cpu_s")),
    }
    last = next((line for line in reversed(found) if line.contender in OURS), found[-1])
    facts = {
        "base": base,
        "case": differing(last),
        "cpu": _against(last, reference, "cpu_s"),
        "bytes": _against(last, reference, "written_bytes"),
    }
    table = f"{case_text(same)}:\n\n{figures.table(columns, found)}"
    return Section(document, table, chart, facts)


def _increment_chart(
    found: Sequence[Line],
    x: Callable[[Line], float],
    reference: Reference,
    axis: tuple[str, str, Mapping[float, str]],
    is_guide_flat: bool = False,
) -> Chart | None:
    """CPU and bytes against `x`, both logarithmic; the guide is the reference, or grows with x."""
    x_title, base, ticks = axis
    panels = []
    for name, what in (("cpu_s", "CPU"), ("written_bytes", "bytes written")):
        places: dict[float, float] = {}
        for line in found:
            value = _against(line, reference, name)
            if line.contender == "full" and value:
                places.setdefault(x(line), value)
        points = list(places.items())
        if len(points) > 1:
            first, last = points[0][0], points[-1][0]
            origin = next((place for place, value in points if value == 1), first)
            guide = (
                Curve("rebuild", [(first, 1), (last, 1)], "guide")
                if is_guide_flat
                else Curve(
                    "in proportion", [(first, first / origin), (last, last / origin)], "guide"
                )
            )
            ours = Curve(times(points[-1][1]), points)
            panel = Panel(f"{what}, relative to {base}", x_title, [guide, ours], ticks, True, True)
            panels.append(panel)
    return panels or None


def small(document: Document, found: Sequence[Line]) -> Section:
    """What a run costs that finds nothing, or next to nothing, to do: counts."""
    columns = {
        "what changed": lambda line: str(line.case["act"]),
        "job": lambda line: title(line.contender),
        "Spark jobs": lambda line: figures.number(line.settled.get("jobs")),
        "commits": lambda line: figures.counts(line.settled.get("commits")),
        "files": _files,
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
        "log files": lambda line: figures.number(line.settled.get("log_files")),
        "log": lambda line: size(line.settled.get("log_bytes")),
        "on disk": lambda line: size(line.settled.get("table_bytes")),
        "CPU of the run": lambda line: seconds(line.settled.get("cpu_s")),
    }
    return Section(document, figures.table(columns, ends), panels or None)


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
    "skew": extreme,
    "memory": extreme,
}


def _written(name: str, value: float | None) -> str:
    if name.endswith("_bytes"):
        return size(value)
    return seconds(value) if name.endswith("_s") else figures.number(value)


def _files(line: Line) -> str:
    added, removed = (line.settled.get(f"files_{what}") for what in ("added", "removed"))
    return figures.NOTHING if added is None else f"+{added:,} -{removed or 0:,}"


def _warm_cpu(found: Sequence[Line], contender: str) -> float | None:
    return next((line.warm.get("cpu_s") for line in found if line.contender == contender), None)


def _extent(line: Line) -> int:
    return int(line.case.get("athletes", 0)) * int(line.case.get("days", 0))


def _against(line: Line, reference: Reference, name: str) -> float | None:
    other = reference(line)
    return None if other is None else ratio(line.settled.get(name), other.settled.get(name))


def _rebuild_of(document: Document) -> Reference:
    """The rebuild of the same athletes and days, by the real entry point and in the same run."""
    rebuilds = {
        (line.case.get("athletes"), line.case.get("days")): line
        for line in figures.lines(document, "backfill")
        if line.contender == "full" and set(line.case) == {"athletes", "days"}
    }
    return lambda line: rebuilds.get((line.case.get("athletes"), line.case.get("days")))
