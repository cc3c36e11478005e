"""The page of measurements, rendered from small results with known figures."""

import doctest
import json
import re
import subprocess
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest

from benchmarks import __main__ as command
from benchmarks import charts, figures, report, sections
from benchmarks.charts import Bars

WORLD = {"athletes": 1000, "days": 1095}


@dataclass(frozen=True)
class Reached:
    name: str
    goal_text: str
    value: float | None
    limit: float
    is_met: bool
    unit: str
    size: str | None = "quick"


def measurement(experiment, case, contender, temperature="warm", number=1, **found):
    about = {"experiment": experiment, "case": case, "contender": contender}
    return about | {"temperature": temperature, "round": number} | found


def results(*measurements, size="quick", **more):
    machine = {"cpu": "A | B", "cores": 2, "memory_bytes": 16_000_000_000, "system": "Linux"}
    about = {"paceline": "0.1.0", "commit": None, "at": "2026-11-22T21:00:00Z", "size": size}
    found = {"measurements": list(measurements), "agreement": [], "failures": []}
    return about | {"machine": machine, "versions": {"polars": "2.1"}} | found | more


def backfills(**cpu):
    return [measurement("backfill", WORLD, who, cpu_s=cpu_s) for who, cpu_s in cpu.items()]


CHANGES = ["one activity", 0.01, 1.0]


def increments(experiment, name, values, contender="full", **fixed):
    """One increment per value of the case, of 1, 2, 3, ... CPU seconds and 100 bytes each."""
    return [
        measurement(experiment, fixed | {name: value}, contender, cpu_s=cpu_s, written_bytes=100)
        for cpu_s, value in enumerate(values, start=1)
    ]


WAYS = ["sync", "materialize_incremental", "materialize"]


def followed(act, left, wrong, cpu, **more):
    """How each of the three ways has followed an act: once cold and judged, once warm."""
    found = []
    for way, left_wrong, in_all, cpu_s in zip(WAYS, left, wrong, cpu, strict=True):
        case = {"athletes": 500, "days": 60, "act": act}
        judged = {"athletes_left_wrong": left_wrong, "athletes_wrong": in_all}
        figures = {"athletes_touched": 5, "rows_written": 9}
        found += [
            measurement("online", case, way, "cold", 0, cpu_s=90.0, **figures, **judged),
            measurement("online", case, way, "warm", 1, cpu_s=cpu_s, **figures),
        ]
    return found


ONLINE = [
    *followed("full load", [0, 0, 0], [0, 0, 0], [4.0, 8.0, 8.0]),
    *followed("newest rows corrected", [0, 5, 0], [0, 5, 0], [0.2, 6.0, 8.0]),
    *followed("newest rows deleted", [0, 4, 0], [0, 9, 0], [0.2, 2.0, 8.0]),
    *followed("athletes erased", [0, 3, 2], [0, 12, 2], [0.1, 2.0, 8.0]),
    *followed("a new day", [0, 1, 1], [0, 8, 3], [3.0, 4.0, 8.0]),
    measurement("online", {"athletes": 500, "days": 60, "act": "verify"}, "sync", cpu_s=2.0),
]


EVERYTHING = results(
    *backfills(floor_read=1.0, floor_rewrite=4.0, recipe=6.0, full=9.0, usual=60.0),
    *increments("history", "days", [183, 365, 1095, 3650], athletes=10, touched_rows=310),
    *increments("change", "share", CHANGES, "exact", **WORLD),
    *increments("change", "share", CHANGES[::-1], "whole", **WORLD),
    *increments("athletes", "athletes", [100, 1000], days=365),
    *increments("new_day", "days", [1095], athletes=1000),
    *increments("late", "days", [1095], athletes=1000),
    *increments("small", "act", ["nothing", "one activity"]),
    *increments("skew", "activities_of_one", [200_000]),
    *increments("memory", "heap", ["1 GB"]),
    *increments("ledger", "past_runs", [10, 1_000]),
    *ONLINE,
    *increments("surprise", "answer", [42]),
    measurement("audit", {"table": "silver.a", "rows": 1000}, "by hand", cpu_s=2.0),
    measurement("audit", {"table": "silver.a", "rows": 1000}, "suite", cpu_s=3.0),
    *(
        measurement("growth", {"maintenance": kept, "day": day}, "full", files=day, log_bytes=9000)
        for kept in (True, False)
        for day in (1, 2, 3)
    ),
)


def page(tmp_path, *documents, reached=(), notes=None):
    report.write(documents, reached, notes or {}, tmp_path)
    return (tmp_path / "performance.md").read_text(encoding="utf-8")


def rows_of(text):
    """The cells of table rows by the first cell; of rows that begin alike, the first one."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0]: row[1:] for row in reversed(cells)}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """The directory of the page of all experiments."""
    folder = tmp_path_factory.mktemp("docs")
    page(folder, EVERYTHING)
    return folder


def read(folder):
    return (folder / "performance.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", [charts, command, figures, report])
def test_the_examples_of_docstrings_hold(module):
    assert doctest.testmod(module).failed == 0


def test_a_line_holds_medians_by_temperature():
    found = [
        measurement("backfill", WORLD, "full", "cold", 0, cpu_s=90.0, jobs=7),
        measurement("backfill", WORLD, "full", "warm", 1, cpu_s=10.0, jobs=4, rows={"inserted": 5}),
        measurement("backfill", WORLD, "full", "warm", 2, cpu_s=40.0, jobs=5, rows=None),
        measurement("backfill", WORLD, "full", "warm", 3, cpu_s=11.0, jobs=9, rows={"inserted": 7}),
    ]

    (line,) = figures.lines(results(*found), "backfill")

    assert line.cold == {"cpu_s": 90.0, "jobs": 7}
    assert line.warm == {"cpu_s": 11.0, "jobs": 5, "rows": {"inserted": 7}}


def test_what_was_only_measured_cold_counts():
    (line,) = figures.lines(
        results(measurement("memory", WORLD, "full", "cold", 0, cpu_s=90.0)), "memory"
    )

    assert line.settled == {"cpu_s": 90.0}


def test_backfills_are_divided_by_floor_and_recipe(everything):
    rows = rows_of(read(everything))

    assert rows["paceline, bare recipe"][:2] == ["1.50 x", "1.00 x"]
    assert rows["paceline"][:2] == ["2.25 x", "1.50 x"]
    assert rows["Spark, the usual way"][:2] == ["15.0 x", "10.0 x"]


def test_without_a_floor_there_is_neither_its_ratio_nor_a_chart(tmp_path):
    page(tmp_path, EVERYTHING)
    text = page(tmp_path, results(*backfills(recipe=6.0, full=9.0)))

    assert "/ floor |" not in text
    assert rows_of(text)["paceline"][0] == "1.50 x"
    assert list((tmp_path / "pictures").iterdir()) == []
    assert "<picture>" not in text


def test_increments_are_divided_by_what_they_are_compared_with(everything):
    text = read(everything)

    # Of one year (2 s), of the rebuild (9 s), and of the fewest athletes (1 s).
    assert rows_of(text)["10 years"][:2] == ["2.00 x", "1.00 x"]
    assert rows_of(text)["share 100 %"][:2] == ["exact increment", "0.333 x"]
    assert "| share 100 % | whole table | 0.111 x |" in text
    head = "| case | contender | CPU / rebuild | bytes written | CPU s |\n"
    assert f"{head}| --- | --- | ---: | ---: | ---: |" in text
    assert rows_of(text)["1,000 athletes"][:2] == ["2.00 x", "1.00 x"]
    assert rows_of(text)["silver.a"] == ["1,000", "suite", "1.50 x"]


def test_a_ratio_never_mixes_two_runs(tmp_path):
    full = results(*increments("new_day", "days", [1095], athletes=1000), size="full")

    text = page(tmp_path, full, results(*backfills(full=9.0)))

    assert "/ rebuild" not in text


def test_an_experiment_comes_from_the_first_document_that_has_it(tmp_path):
    full = results(*backfills(floor_rewrite=1.0, recipe=3.0), size="full")

    text = page(tmp_path, full, EVERYTHING)

    assert rows_of(text)["paceline, bare recipe"][0] == "3.00 x"
    assert "Spark, the usual way |" not in text
    assert rows_of(text)["10 years"][0] == "2.00 x"


def test_results_of_the_full_size_come_first(tmp_path):
    paths = [tmp_path / "quick.json", tmp_path / "full.json"]
    for path in paths:
        path.write_text(json.dumps(results(size=path.stem)))

    assert [document["size"] for document in report.load(paths)] == ["full", "quick"]


@pytest.mark.parametrize("text", ["{", "[]", '{"measurements": []}'])
def test_a_file_that_holds_no_results_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)

    with pytest.raises(SystemExit, match=r"x\.json .*: name (a|one)"):
        report.load([path])


def test_without_results_it_says_what_to_do():
    with pytest.raises(SystemExit, match="make bench"):
        report.load([])


def test_a_missed_goal_is_shown_with_its_figure_and_reason(tmp_path):
    reached = [
        Reached("a", "<= 2 x", 1.5, 2.0, True, "x"),
        Reached("b", "<= 2 x", 2.5, 2.0, False, "x"),
        Reached("c", "<= 1 MB", None, 1e6, False, "bytes"),
        Reached("d", "<= 5", 6, 5, False, ""),
    ]

    text = page(tmp_path, results(), reached=reached, notes={"b": "it is hard.", "a": "unused"})

    rows = rows_of(text)
    assert rows["a"] == ["<= 2 x", "1.50 x", "met", "quick"]
    assert rows["b"] == ["<= 2 x", "2.50 x", "**missed**", "quick"]
    assert rows["c"] == ["<= 1 MB", "-", "not measured", "-"]
    assert rows["d"] == ["<= 5", "6", "**missed**", "quick"]
    assert "- **b**: it is hard." in text
    assert "- **d**: the reason is not known yet." in text
    assert "unused" not in text
    assert "Of 3 goals that were measured, 1 is met." in " ".join(text.split())


def test_maintenance_is_compared_with_the_daily_run_before_it(everything):
    runs = [
        measurement(
            "growth", {"maintenance": True, "day": day}, "full", cpu_s=10.0, files=1, **more
        )
        for day, more in ((7, {"maintenance_cpu_s": 90.0}), (14, {"maintenance_cpu_s": 25.0}))
    ]

    document = results(*runs)
    text = report.render([document], report.find_sections([document]), [], {})

    assert "last one took 2.50 x the CPU" in " ".join(text.split())
    assert "The last one" not in read(everything)


def test_changes_that_no_commit_holds_are_not_shown(tmp_path):
    paths = {commit: tmp_path / f"{commit}.json" for commit in ("1a2b3c4", "1a2b3c4-dirty")}
    for commit, path in paths.items():
        path.write_text(json.dumps(results() | {"commit": commit}), encoding="utf-8")

    assert [one["commit"] for one in report.load([paths["1a2b3c4"]])] == ["1a2b3c4"]
    with pytest.raises(SystemExit, match=r"1a2b3c4-dirty\.json was measured with changes that"):
        report.load(list(paths.values()))


def test_what_a_measurement_writes_is_no_change_of_the_code(tmp_path, monkeypatch):
    def git(*arguments):
        about = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(("git", "-C", tmp_path, *about, *arguments), check=True, capture_output=True)

    code, written = tmp_path / "code.py", tmp_path / "benchmarks/results/quick.json"
    written.parent.mkdir(parents=True)
    for path in (code, written):
        path.write_text("1", encoding="utf-8")
    git("init")
    git("add", "-A")
    git("commit", "-m", "all")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    clean = command._commit()
    written.write_text("2", encoding="utf-8")
    assert command._commit() == clean
    code.write_text("2", encoding="utf-8")
    assert command._commit() == f"{clean}-dirty"


def test_results_of_another_commit_are_not_kept():
    before = results() | {"commit": "1a2b3c4"}

    assert command._of_commit("1a2b3c4", before) == before
    assert command._of_commit("5d6e7f8", before) == {}
    assert command._of_commit(None, results()) == {}


def test_a_long_past_is_compared_with_a_short_one(everything):
    rows = rows_of(read(everything).partition("## A long past")[2])
    assert (rows["10"][0], rows["1,000"][0]) == ("1.00 x", "2.00 x")


def test_who_is_left_wrong_in_the_online_store_is_shown_and_summed(everything):
    text = read(everything)

    part = text.partition("## The online store")[2]
    row = "| athletes erased | Feast, incremental | 5 | 3 | 12 | 9 | 0.500 x | 2.00 s | 90.0 s |"
    assert row in part
    assert "| newest rows corrected | paceline | 5 | 0 | 0 | 9 | 1/20 | 0.200 s | 90.0 s |" in part
    assert "| verify | paceline | - | - | - | - | 0.500 x | 2.00 s | - |" in part
    sentences = (
        "Of 15 athletes who were corrected, lost their newest rows or were erased, "
        "`materialize_incremental` leaves 12 wrong, `materialize` 2, and paceline 0. paceline's "
        "sync after the correction of one athlete in a hundred takes 1/20 the CPU of its full "
        "load; Feast's increment takes 30.0 x the CPU of that sync."
    )
    assert sentences in " ".join(part.split())
    short = "Feast's `materialize_incremental` leaves 12 wrong in the online store, and paceline's"
    assert short in " ".join(text.partition("## Goals")[0].split())


def test_how_long_it_took_is_shown_by_size(tmp_path):
    took = [{"experiment": name, "wall_s": s} for name, s in (("late", 40.0), ("skew", 80.0))]

    text = page(tmp_path, results(size="full"), results(durations=took))

    rows = rows_of(text)
    assert "| experiment | quick |" in text
    assert (rows["late"], rows["skew"], rows["all"]) == (["40 s"], ["1.3 min"], ["2.0 min"])
    assert "How long" not in page(tmp_path, results())


def test_a_goal_comes_from_the_first_document_that_measured_it():
    unknown, one, two = (Reached("a", "", value, 1, True, "x") for value in (None, 1.0, 2.0))

    assert report.best([[unknown], [one], [two]]) == [one]
    assert report.best([[unknown], [unknown]]) == [unknown]


def test_outputs_that_differ_are_said(tmp_path):
    about = {"experiment": "backfill", "case": WORLD, "against": "recipe", "rows": 9}
    fine = about | {"contender": "full", "agrees": True, "columns": {"a": 0, "b": 2e-12}}
    other = about | {"contender": "usual", "agrees": False, "columns": {"a": 0.5, "b": None}}
    found = backfills(recipe=1.0)

    agreeing = page(tmp_path, results(*found, agreement=[fine]))
    broken = page(tmp_path, results(*found, agreement=[fine, other]))

    assert "in 1 pair, and agree; the largest relative difference is 2e-12, in `b`." in (
        " ".join(agreeing.split())
    )
    pair = "Spark, the usual way and paceline, bare recipe (1,000 athletes x 3 years)"
    assert f"**Outputs differ:** {pair}." in " ".join(broken.split())


def test_who_dropped_out_is_named_without_the_log(tmp_path):
    late = {"experiment": "backfill", "case": WORLD, "contender": "usual", "kind": "too slow"}
    broken = {"experiment": "skew", "case": {}, "contender": None, "kind": "failed"}
    failures = [late | {"message": "No answer.\n/home/me"}, broken | {"message": ""}]

    text = page(tmp_path, results(failures=failures))

    line = "- backfill, 1,000 athletes x 3 years: Spark, the usual way, too slow. No answer.\n"
    assert line in text
    assert "- skew: the experiment, failed.\n" in text
    assert "/home/me" not in text


def test_every_experiment_may_be_missing(tmp_path):
    names = {one["experiment"] for one in EVERYTHING["measurements"]}
    assert names == set(sections.SECTIONS) | {"surprise"}
    for name in names:
        rest = results(*(one for one in EVERYTHING["measurements"] if one["experiment"] != name))
        assert "# Performance" in report.render([rest], report.find_sections([rest]), [], {})
        alone = [one for one in EVERYTHING["measurements"] if one["experiment"] == name]
        assert page(tmp_path, results(*alone)).count("\n## ") == 4


def test_an_experiment_without_a_section_is_shown_all_the_same(everything):
    text = read(everything)

    assert "## Surprise" in text
    assert rows_of(text)["answer 42"] == ["paceline", "1.00 s", "100 B"]


def test_the_page_tells_machine_and_versions(everything):
    rows = rows_of(read(everything))

    assert rows["processor"] == [r"A \| B"]
    assert rows["memory"] == ["16.0 GB"]
    assert rows["polars"] == ["2.1"]
    assert rows["commit"] == ["-"]


def test_every_picture_of_the_page_exists_for_light_and_dark(everything):
    text = read(everything)

    shown = set(re.findall(r'"pictures/(.+?)"', text))
    names = ("backfill", "history", "change", "athletes", "growth")
    assert shown == {f"{name}-{theme}.svg" for name in names for theme in ("light", "dark")}
    assert shown == {path.name for path in (everything / "pictures").iterdir()}


def test_equal_results_give_equal_bytes(everything, tmp_path):
    page(tmp_path, json.loads(json.dumps(EVERYTHING)))

    def files(folder):
        found = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder): path.read_bytes() for path in found}

    assert files(tmp_path) == files(everything)


def test_words_of_a_chart_are_text_and_its_background_is_transparent(everything):
    text = (everything / "pictures" / "backfill-dark.svg").read_text(encoding="utf-8")

    svg = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(text)
    words = {"".join(element.itertext()).strip() for element in root.iter(f"{svg}text")}
    assert {"paceline", "Spark, the usual way", "15.0 x"} <= words
    assert "date" not in text
    assert not re.search(r"fill: (#ffffff|white)", text)


def test_bars_are_sorted_and_only_paceline_is_marked():
    chart = sections.SECTIONS["backfill"](EVERYTHING, figures.lines(EVERYTHING, "backfill")).chart

    assert isinstance(chart, Bars)
    assert [(bar.label, bar.value, bar.is_ours) for bar in chart.bars] == [
        ("floor: read", 0.25, False),
        ("floor: rewrite", 1.0, False),
        ("paceline, bare recipe", 1.5, True),
        ("paceline", 2.25, True),
        ("Spark, the usual way", 15.0, False),
    ]


def test_a_curve_of_the_change_starts_at_one_athlete_and_is_relative_to_the_rebuild():
    chart = sections.SECTIONS["change"](EVERYTHING, figures.lines(EVERYTHING, "change")).chart

    guide, exact, whole = chart[0].curves
    assert guide.points == [(0.001, 1), (1.0, 1)]
    assert exact.points == [(0.001, 1 / 9), (0.01, 2 / 9), (1.0, 3 / 9)]
    assert whole.points == [(0.001, 3 / 9), (0.01, 2 / 9), (1.0, 1 / 9)]
    assert [(curve.label, curve.role) for curve in (exact, whole)] == [
        ("exact 0.333 x", "ours"),
        ("whole 0.111 x", "other"),
    ]
    assert chart[0].x_ticks == {0.001: "one", 0.01: "1 %", 1.0: "100 %"}


def test_the_guide_of_a_history_goes_through_one_year():
    chart = sections.SECTIONS["history"](EVERYTHING, figures.lines(EVERYTHING, "history")).chart

    guide, ours = chart[0].curves
    assert guide.points == [(183 / 365, 183 / 365), (10.0, 10.0)]
    assert ours.points == [(183 / 365, 0.5), (1.0, 1.0), (3.0, 1.5), (10.0, 2.0)]
