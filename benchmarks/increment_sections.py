"""What the page says of increments: each against what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks import figures
from benchmarks.charts import Chart, Curve, Panel
from benchmarks.figures import Document, Line, case_text, ratio, seconds, size, times, title
from benchmarks.section import OURS, Section, files

Reference = Callable[[Line], Line | None]
"""The line that a line is divided by."""


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
    """A larger and larger share of the athletes changed, two ways, against the full rebuild."""
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
        "files": files,
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
        curves = _increment_curves(found, x, reference, name)
        if curves:
            points = curves[0].points
            first, last = points[0][0], points[-1][0]
            origin = next((place for place, value in points if value == 1), first)
            guide = (
                Curve("rebuild", [(first, 1), (last, 1)], "guide")
                if is_guide_flat
                else Curve(
                    "in proportion", [(first, first / origin), (last, last / origin)], "guide"
                )
            )
            title_ = f"{what}, relative to {base}"
            panels.append(Panel(title_, x_title, [guide, *curves], ticks, True, True))
    return panels or None


def _increment_curves(
    found: Sequence[Line], x: Callable[[Line], float], reference: Reference, name: str
) -> list[Curve]:
    """A curve of two points or more for each contender, ours before the others."""
    places: dict[str, dict[float, float]] = {}
    for line in found:
        value = _against(line, reference, name)
        if value:
            places.setdefault(line.contender, {}).setdefault(x(line), value)
    several = {who: list(of.items()) for who, of in places.items() if len(of) > 1}
    curves = []
    for who in sorted(several, key=lambda who: who not in OURS):
        end = times(several[who][-1][1])
        label = end if len(several) == 1 else f"{who} {end}"
        curves.append(Curve(label, several[who], "ours" if who in OURS else "other"))
    return curves


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
