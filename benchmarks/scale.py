"""Beyond one machine: the tables of docs/scale.md.

`python -m benchmarks.scale` rewrites them. Costs per row are taken from the results in
`benchmarks/results/`; what is not there is assumed, and the page says so. With `--measure` the cost
of parsing the landing zone is measured first, on one core and without Spark.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.scale_inputs import known, parsing
from benchmarks.scale_model import (
    CLUSTERED,
    DAYS_A_YEAR,
    MB,
    STATE_COLUMNS,
    Boxes,
    Inputs,
    Known,
    Scale,
    backfill,
    daily,
    files_hit,
    late_changes,
    layouts,
    size,
)
from paceline.contract import load_all
from paceline.publish.bounds import MAX_KEYS
from paceline.settings import conf_directory
from paceline.tables.feature_store.athlete_rolling_features import NAME

ROOT = Path(__file__).parents[1]
SMALL, MIDDLE, LARGE = Scale(10_000, 3), Scale(100_000, 5), Scale(1_000_000, 10)
SCALES = (SMALL, MIDDLE, LARGE)
FILE_SIZES = (32 * MB, 128 * MB, 512 * MB, 1000 * MB)
PARTITION_BYTES = 128 * MB
"""Of a shuffle, compressed: what a task of 4 GB of memory sorts without spilling much."""
BACKFILL_H, DAILY_H = 4, 0.5
"""Hours in which a first and a daily run should be done."""

Rows = Sequence[Sequence[str]]


def main() -> None:
    """Rewrites the tables of the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "scale.md")
    parser.add_argument("--measure", action="store_true", help="measure parsing first")
    arguments = parser.parse_args()
    if arguments.measure:
        arguments.results.mkdir(parents=True, exist_ok=True)
        found = json.dumps(parsing(), indent=1) + "\n"
        (arguments.results / "parsing.json").write_text(found, encoding="utf-8")
    text = arguments.page.read_text(encoding="utf-8")
    arguments.page.write_text(with_tables(text, tables(known(arguments.results))), encoding="utf-8")
    print(arguments.page)


def with_tables(text: str, by_name: Mapping[str, str]) -> str:
    """The page with its tables between `<!-- table: name -->` and `<!-- end -->` replaced.

    Raises:
        ValueError: when a table has no place, or a place no table.
    """
    places = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
    names = [match[2] for match in places.finditer(text)]
    if sorted(names) != sorted(by_name):
        raise ValueError(f"The page has places for {names}, but the tables are {list(by_name)}.")
    return places.sub(lambda match: f"{match[1]}\n{by_name[match[2]]}\n\n{match[3]}", text)


def tables(inputs: Inputs) -> dict[str, str]:
    """The tables of the page in Markdown, by the names of their places."""
    return {name: table(inputs) for name, table in TABLES.items()}


def _breaks(inputs: Inputs) -> str:
    columns = _columns()
    first, day = backfill(LARGE, inputs, columns), daily(LARGE, inputs, columns)
    whole = size(LARGE, inputs)
    rows = (
        (
            "the first run",
            "records are parsed on one core of the driver, and appended frame by frame",
            f"{_hours(first.parse_s)} of parsing and {_hours(first.append_s)} of appending, "
            f"in {_count(first.frames)} frames",
        ),
        (
            "the first run",
            "its files hold all athletes and all days, so that no file is ever skipped",
            f"{_count(whole.files)} of {_count(whole.files)} files read, until OPTIMIZE has run",
        ),
        (
            "a daily run",
            "the last stored row of each athlete is looked for among all rows",
            f"{_count(whole.rows)} rows of {STATE_COLUMNS} columns: {_bytes(day.state_bytes)} read",
        ),
        (
            "a daily run",
            f"of more than {MAX_KEYS:,} athletes, one box says which files are in reach",
            f"{_count(day.read_files)} of {_count(whole.files)} files, "
            f"{_count(day.needed_files)} of which hold a row to be computed again",
        ),
        (
            "any run",
            "staging tables keep what was staged, and nothing removes it",
            f"{_bytes(first.staged_bytes)} of the rolling table after the first run",
        ),
        (
            "the first run",
            "athletes are folded in blocks, outside the heap of the JVM",
            f"{_bytes(first.block_bytes)} in the Python worker of each core",
        ),
        (
            "any run",
            "the audit counts touched athletes as a set, which one task holds in the end",
            f"{_count(day.inserted)} ids",
        ),
    )
    return _markdown(("where", "what", "how much"), rows, texts=3)


def _sizes(inputs: Inputs) -> str:
    def column(scale: Scale) -> tuple[str, ...]:
        found = size(scale, inputs)
        return (
            _count(found.records),
            _bytes(found.record_bytes),
            _bytes(found.activity_bytes),
            _count(found.rows),
            _bytes(found.row_bytes),
            _count(found.files),
        )

    names = (
        "activities",
        "landing zone, one record each, not compressed",
        "activity_features",
        "rows of athlete_rolling_features",
        "athlete_rolling_features",
        f"files of {_bytes(inputs['file_bytes'].value)}",
    )
    return _by_scale(names, column)


def _daily(inputs: Inputs) -> str:
    def column(scale: Scale) -> tuple[str, ...]:
        day = daily(scale, inputs, _columns())
        total = size(scale, inputs).row_bytes
        return (
            _count(day.activities),
            _seconds(day.parse_s),
            _count(day.late_athletes),
            _count(day.inserted),
            _count(day.updated),
            f"{_bytes(day.written_bytes)} ({day.written_bytes / total:.2%})",
            _count(day.needed_files),
            _count(day.read_files),
            _bytes(day.read_bytes),
            _bytes(day.state_bytes),
            _seconds(day.compute_cpu_s),
            _seconds(day.read_cpu_s),
            _seconds(day.state_cpu_s),
            _cores(day.cpu_s, DAILY_H, inputs),
        )

    names = (
        "activities that arrive",
        "parsing them on the driver",
        "athletes with a late activity",
        "rows inserted: the new day",
        "rows computed again, and updated at most",
        "bytes written, and their share of the table",
        "files with rows to be computed again",
        "files read",
        "bytes read of them, to compare and to merge",
        "bytes read to find the stored rows",
        "CPU to compute, compare, audit and write",
        "CPU to read the files",
        "CPU to find the stored rows",
        f"cores for {DAILY_H * 60:g} minutes",
    )
    return _by_scale(names, column)


def _layouts(scale: Scale, inputs: Inputs) -> str:
    last = scale.days - 1
    some, since = scale.athletes // 2, max(0, last - 3 * DAYS_A_YEAR)
    late = late_changes(scale, inputs)
    questions: dict[str, Boxes] = {
        "late changes of a day": late,
        "one box around them": _around(late),
        "one activity 3 years late": np.array([[some, some, since, last]]),
        "an athlete, all days": np.array([[some, some, 0, last]]),
        "a day, all athletes": np.array([[0, scale.athletes - 1, last, last]]),
    }
    rows = [
        (name, _count(len(files)), *(_count(files_hit(files, box)) for box in questions.values()))
        for name, files in layouts(scale, size(scale, inputs).files).items()
    ]
    return _markdown((f"layout, {_scale(scale)}", "files", *questions), rows)


def _around(boxes: Boxes) -> Boxes:
    """The one box that holds all of them."""
    low, high = boxes.min(axis=0), boxes.max(axis=0)
    return np.array([[low[0], high[1], low[2], high[3]]])


def _file_sizes(scale: Scale, inputs: Inputs) -> str:
    last, some = scale.days - 1, scale.athletes // 2
    one = np.array([[some, some, max(0, last - 3 * DAYS_A_YEAR), last]])
    late = late_changes(scale, inputs)
    rows = []
    for file_bytes in FILE_SIZES:
        wished = dict(inputs) | {"file_bytes": Known(file_bytes, "B", "")}
        found = size(scale, wished)
        files = layouts(scale, found.files)[CLUSTERED]
        each = found.row_bytes / len(files)
        hit, hit_once = files_hit(files, late), files_hit(files, one)
        counts = (_count(len(files)), _count(hit))
        rows.append((_bytes(file_bytes), *counts, _bytes(hit * each), _bytes(hit_once * each)))
    names = ("file size", "files", "hit by a day's late changes", "bytes in them")
    return _markdown((*names, "bytes hit by one activity 3 years late"), rows)


def _backfill(inputs: Inputs) -> str:
    columns = _columns()

    def column(scale: Scale) -> tuple[str, ...]:
        first, whole = backfill(scale, inputs, columns), size(scale, inputs)
        by_shuffle = first.shuffle_bytes / 2 / PARTITION_BYTES
        return (
            _count(first.frames),
            _seconds(first.parse_s),
            _seconds(first.append_s),
            _bytes(first.shuffle_bytes),
            _count(max(1, by_shuffle, whole.files)),
            _bytes(first.block_bytes),
            _bytes(first.staged_bytes),
            _seconds(first.recipe_cpu_s),
            _seconds(first.cpu_s),
            _cores(first.cpu_s, BACKFILL_H, inputs),
        )

    names = (
        "frames of records",
        "parsing them, on one core of the driver",
        "appending them, one after the other",
        "bytes shuffled for the rolling table",
        "shuffle partitions that follow",
        "memory of a block of athletes, per core",
        "bytes staged for the rolling table",
        "CPU of the rolling table, its recipe alone",
        "the same with write-audit-publish",
        f"cores for {BACKFILL_H} hours",
    )
    return _by_scale(names, column)


def _inputs(inputs: Inputs) -> str:
    def shown(one: Known) -> str:
        if one.unit == "B":
            return _bytes(one.value)
        return f"{one.value:.3g} {one.unit}".strip()

    rows = [(one.meaning, shown(one), one.origin) for one in inputs.values()]
    return _markdown(("input", "value", "origin"), rows)


def _columns() -> int:
    return len(load_all(conf_directory(None) / "contracts")[NAME].columns)


def _by_scale(names: Sequence[str], column: Callable[[Scale], Sequence[str]]) -> str:
    columns = [column(scale) for scale in SCALES]
    return _markdown(("", *map(_scale, SCALES)), list(zip(names, *columns, strict=True)))


def _markdown(head: Sequence[str], rows: Rows, texts: int = 1) -> str:
    """A table of which the first columns are texts, and the others figures."""
    ruler = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ruler, *rows))


def _scale(scale: Scale) -> str:
    return f"{scale.athletes:,} athletes, {scale.years} years"


def _cores(cpu_s: float, hours: float, inputs: Inputs) -> str:
    return _count(max(1, math.ceil(cpu_s / (hours * 3600 * inputs["busy_share"].value))))


def _count(value: float) -> str:
    for name, unit in (("billion", 1e9), ("million", 1e6)):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value:,.0f}" if value < 1e4 else f"{float(f'{value:.3g}'):,.0f}"


def _bytes(value: float) -> str:
    for name, unit in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value:.0f} B"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2g} hours"


def _seconds(seconds: float) -> str:
    for name, unit in (("h", 3600), ("min", 60)):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.2g} s"


TABLES: Mapping[str, Callable[[Inputs], str]] = {
    "breaks": _breaks,
    "sizes": _sizes,
    "daily": _daily,
    "layouts_large": partial(_layouts, LARGE),
    "layouts_small": partial(_layouts, SMALL),
    "file_sizes": partial(_file_sizes, LARGE),
    "backfill": _backfill,
    "inputs": _inputs,
}
"""The tables by the names of their places in the page."""


if __name__ == "__main__":
    main()
