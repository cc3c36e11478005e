"""The page of measurements: `docs/performance.md` and its charts, out of results files.

`python -m benchmarks.report [RESULTS ...]` renders the files that are named, or those in
`benchmarks/results/`. No number of the page is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks import charts, figures, goals
from benchmarks.figures import Document, case_text, title
from benchmarks.section import Section
from benchmarks.sections import SECTIONS, other

HERE = Path(__file__).parent
PAGE, PICTURES = "performance.md", "pictures"
_LARGEST_FIRST = ("full", "medium", "quick")
NEEDED = {"measurements", "machine", "versions"}


class Reached(Protocol):
    """What a goal came to; `value` is None where it was not measured."""

    name: str
    goal_text: str
    value: float | None
    limit: float
    is_met: bool
    unit: str
    size: str | None


def main() -> None:
    """Renders the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("results", nargs="*", type=Path, help="default: all in benchmarks/results")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs", help="where to write")
    arguments = parser.parse_args()
    known = [HERE / "results" / f"{size}.json" for size in _LARGEST_FIRST]
    documents = load(arguments.results or [path for path in known if path.exists()])
    reached = best([goals.reached(document) for document in documents])
    write(documents, reached, goals.NOTES, arguments.docs)
    print(arguments.docs / PAGE)


def load(paths: Sequence[Path]) -> list[Document]:
    """Reads results files, those of the largest size first.

    Raises:
        SystemExit: when there is none, one is no results file, or one is of a state of the code
            that no commit holds.
    """
    if not paths:
        raise SystemExit("There are no results to render: run `make bench` first.")
    documents = []
    for path in paths:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SystemExit(f"{path} cannot be read ({error}): name a results file.") from error
        if not isinstance(document, dict) or not document.keys() >= NEEDED:
            raise SystemExit(f"{path} is no results file: name one that `make bench` wrote.")
        if str(document.get("commit")).endswith("-dirty"):
            raise SystemExit(
                f"{path} was measured with changes that no commit holds: commit them, and measure "
                "again."
            )
        documents.append(document)
    return sorted(documents, key=lambda document: _rank(document.get("size")))


def _rank(size: object) -> int:
    return _LARGEST_FIRST.index(size) if size in _LARGEST_FIRST else len(_LARGEST_FIRST)


def best(of_documents: Sequence[Sequence[Reached]]) -> list[Reached]:
    """Each goal once: from the first document that measured it, so that no ratio mixes two runs."""
    found: dict[str, Reached] = {}
    for goal in (goal for of_document in of_documents for goal in of_document):
        if goal.name not in found or (found[goal.name].value is None and goal.value is not None):
            found[goal.name] = goal
    return list(found.values())


def write(
    documents: Sequence[Document], reached: Sequence[Reached], notes: Mapping[str, str], docs: Path
) -> None:
    """Writes `performance.md` and the charts that it shows; equal input gives equal bytes.

    An experiment comes from the first document that has it. What was not measured is left out, and
    so is the chart of an earlier page.

    Args:
        documents: the results, those to prefer first.
        reached: the goals, in the order to show them in.
        notes: by the name of a goal, why it is missed.
        docs: the directory of the page; its `pictures` holds the charts.
    """
    sections = find_sections(documents)
    pictures = docs / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    for name in SECTIONS:
        for variant, theme in charts.THEMES.items():
            path = pictures / f"{name}-{variant}.svg"
            path.unlink(missing_ok=True)
            if name in sections and (chart := sections[name].chart):
                path.write_text(charts.svg(chart, theme), encoding="utf-8")
    (docs / PAGE).write_text(render(documents, sections, reached, notes), encoding="utf-8")


def find_sections(documents: Sequence[Document]) -> dict[str, Section]:
    """The sections of all experiments in the documents, those with a place in the page first."""
    measured = [one["experiment"] for document in documents for one in document["measurements"]]
    sections = {}
    for name in [*SECTIONS, *sorted(set(measured) - set(SECTIONS))]:
        for document in documents:
            found = figures.lines(document, name)
            if found and name not in sections:
                sections[name] = SECTIONS.get(name, other)(document, found)
    return sections


def render(
    documents: Sequence[Document],
    sections: Mapping[str, Section],
    reached: Sequence[Reached],
    notes: Mapping[str, str],
) -> str:
    """The page as Markdown."""
    env = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters.update(times=figures.times, number=figures.number, size=figures.size)
    text = env.get_template(f"{PAGE}.jinja").render(
        documents=documents,
        sections=dict.fromkeys(SECTIONS) | dict(sections),
        others=[name for name in sections if name not in SECTIONS],
        goals=goal_table(reached) if reached else "",
        missed=[(goal.name, notes.get(goal.name)) for goal in reached if _is_missed(goal)],
        counts=(sum(goal.is_met for goal in measured(reached)), len(measured(reached))),
        agreement=agreement(sections),
        failures=failures(documents, sections),
        conditions=conditions(documents),
        durations=durations(documents),
        pictures=PICTURES,
    )
    # Parts that are left out leave their empty lines.
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())) + "\n"


def measured(reached: Sequence[Reached]) -> list[Reached]:
    """The goals with a value."""
    return [goal for goal in reached if goal.value is not None]


def goal_table(reached: Sequence[Reached]) -> str:
    """The goals as a Markdown table; one that was not measured says so."""
    rows = ["| experiment | goal | reached | | size |", "| --- | --- | ---: | --- | --- |"]
    for goal in reached:
        verdict = "**missed**" if _is_missed(goal) else "met"
        verdict = "not measured" if goal.value is None else verdict
        name, text = figures.cell(goal.name), figures.cell(goal.goal_text)
        size = figures.NOTHING if goal.value is None else goal.size or figures.NOTHING
        rows.append(f"| {name} | {text} | {_value(goal)} | {verdict} | {size} |")
    return "\n".join(rows)


def agreement(sections: Mapping[str, Section]) -> Mapping[str, Mapping[str, Any]]:
    """By experiment, how far the contenders' outputs are apart.

    Returns:
        For each: `pairs`, how many were compared; `worst`, the largest relative difference and its
        column; `broken`, the comparisons that failed, in words.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, section in sections.items():
        compared = [
            one for one in section.document.get("agreement", ()) if one["experiment"] == name
        ]
        differences = [
            (difference, column)
            for one in compared
            for column, difference in one["columns"].items()
            if one["agrees"] and difference
        ]
        broken = [
            f"{title(one['contender'])} and {title(one['against'])} ({case_text(one['case'])})"
            for one in compared
            if not one["agrees"]
        ]
        if compared:
            worst = max(differences, default=(0.0, None))
            found[name] = {"pairs": len(compared), "worst": worst, "broken": broken}
    return found


def failures(documents: Sequence[Document], sections: Mapping[str, Section]) -> list[str]:
    """Who has dropped out of which experiment, and why, a sentence each.

    As elsewhere, an experiment that is shown counts only in the document it is shown from.
    """
    found = []
    for document in documents:
        for one in document.get("failures", ()):
            name = one["experiment"]
            if name in sections and sections[name].document is not document:
                continue
            who = title(one["contender"]) if one["contender"] else "the experiment"
            where = ", ".join(filter(None, (name, case_text(one["case"]))))
            # The first line is the error itself; what follows is the log of the process.
            why = (one["message"].splitlines() or [""])[0]
            found.append(f"{where}: {who}, {one['kind']}. {why}".rstrip())
    return found


def conditions(documents: Sequence[Document]) -> str:
    """With what the figures were measured, as a Markdown table with a column per document."""
    columns = []
    for document in documents:
        machine, versions = document["machine"], document["versions"]
        about = {name: document.get(name) for name in ("size", "at", "paceline", "commit")}
        about |= {"processor": machine.get("cpu"), "cores": machine.get("cores")}
        about |= {"memory": figures.size(machine.get("memory_bytes"))}
        columns.append(about | {"system": machine.get("system")} | dict(versions))
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [
        [name, *(figures.cell(str(column.get(name) or figures.NOTHING)) for column in columns)]
        for name in names
    ]
    header, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([header, f"|{' --- |' * (len(columns) + 1)}", *body])


def durations(documents: Sequence[Document]) -> str:
    """How long the experiments took, as a Markdown table with a column per document, or empty."""
    took: dict[str, dict[int, float]] = {}
    for place, document in enumerate(documents):
        for one in document.get("durations", ()):
            took.setdefault(one["experiment"], {})[place] = one["wall_s"]
    if not took:
        return ""
    measured = sorted({place for of_one in took.values() for place in of_one})
    total = {place: sum(of_one.get(place, 0.0) for of_one in took.values()) for place in measured}
    header = f"| experiment | {' | '.join(str(documents[p].get('size')) for p in measured)} |"
    body = [
        f"| {name} | {' | '.join(figures.duration(of_one.get(place)) for place in measured)} |"
        for name, of_one in {**took, "all": total}.items()
    ]
    return "\n".join([header, f"| --- |{' ---: |' * len(measured)}", *body])


def _is_missed(goal: Reached) -> bool:
    return goal.value is not None and not goal.is_met


def _value(goal: Reached) -> str:
    if goal.unit == "bytes":
        return figures.size(goal.value)
    if goal.unit == "x":
        return figures.times(goal.value)
    if goal.value is None or goal.value != int(goal.value):
        return (
            f"{figures.number(goal.value)} {goal.unit if goal.value is not None else ''}".rstrip()
        )
    return f"{int(goal.value):,} {goal.unit}".rstrip()


if __name__ == "__main__":
    main()
