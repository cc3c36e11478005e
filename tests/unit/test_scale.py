"""The model behind docs/scale.md: its arithmetic by hand, its boxes against single rows."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks import scale, scale_inputs, scale_model
from benchmarks.scale_model import DEFAULTS, Scale, files_hit, layouts
from paceline.generate.activities import _delay
from paceline.generate.athletes import uniforms

ROUND = {
    "activities_per_week": 7,
    "active_days_per_week": 3.5,
    "rows_per_year": 365,
    "awake_share": 0.5,
    "late_share": 0,
    "rolling_bytes": 10,
    "state_bytes": 3,
    "activity_bytes": 20,
    "day_bytes": 5,
    "record_bytes": 100,
    "parse_s": 50,
    "append_s": 2,
    "read_s": 1000,
    "recipe_s": 3000,
    "full_s": 4000,
    "file_bytes": 1000,
}
TINY = Scale(athletes=2, years=1)
CLUSTERED = "clustered by (day, athlete)"


@pytest.fixture
def inputs() -> scale_model.Inputs:
    return dict(DEFAULTS) | {
        name: replace(DEFAULTS[name], value=value) for name, value in ROUND.items()
    }


def test_size(inputs):
    assert scale_model.size(TINY, inputs) == scale_model.Size(
        records=730,
        record_bytes=73_000,
        activity_bytes=14_600,
        rows=730,
        row_bytes=7_300,
        files=8,
    )


def test_a_day_with_late_changes(inputs, monkeypatch):
    # Athlete 0 from the fifth day before the newest on, athlete 1 from the second.
    late = np.array([[0, 0, 359, 364], [1, 1, 362, 364]])
    monkeypatch.setattr(scale_model, "late_changes", lambda *_: late)
    day = scale_model.daily(TINY, inputs, columns=12)
    # Eight files are wished for, in slabs of 1 athlete and about 122 days: only the last ones.
    assert len(layouts(TINY, 8)[CLUSTERED]) == 9
    assert (day.activities, day.late_athletes) == (2, 2)
    assert (day.inserted, day.updated) == (1, 5 + 2)
    assert day.written_bytes == (3 * 1 + 5 * 7) * 10
    assert day.state_bytes == 730 * 3
    assert day.compute_cpu_s == pytest.approx(8 / 1e6 * 4000)
    assert day.state_cpu_s == pytest.approx(730 / 1e6 * 1000 * 6 / 12)
    assert day.read_bytes == pytest.approx(2 * 7_300 * day.read_files / 9)
    assert day.read_cpu_s == pytest.approx(2 * 730 / 1e6 * 1000 * day.read_files / 9)
    assert day.cpu_s == pytest.approx(day.compute_cpu_s + day.read_cpu_s + day.state_cpu_s)
    assert day.parse_s == pytest.approx(2 / 1e6 * 50)


def test_a_day_without_late_changes(inputs):
    day = scale_model.daily(TINY, inputs, columns=12)
    assert (day.late_athletes, day.updated, day.needed_files) == (0, 0, 0)
    assert day.written_bytes == 30


def test_the_first_run(inputs, monkeypatch):
    monkeypatch.setattr(scale_model.landing, "MAX_BATCH_RECORDS", 100)
    monkeypatch.setattr(scale_model, "ATHLETES_A_BLOCK", 2)
    monkeypatch.setattr(scale_model, "MEASURES", range(5))
    first = scale_model.backfill(TINY, inputs, columns=20)
    assert first.frames == 8
    assert first.append_s == 16
    assert first.parse_s == pytest.approx(730 / 1e6 * 50)
    assert first.shuffle_bytes == pytest.approx(2 * 365 * 5)
    assert first.block_bytes == 8 * 2 * 365 * (40 + 5 + 10)
    assert first.cpu_s == pytest.approx(730 / 1e6 * 4000)
    assert first.recipe_cpu_s == pytest.approx(730 / 1e6 * 3000)
    assert first.staged_bytes == 7_300


def test_large_records_fill_a_frame_by_their_bytes(inputs, monkeypatch):
    monkeypatch.setattr(scale_model.landing, "MAX_BATCH_BYTES", 1_000)
    assert scale_model.backfill(TINY, inputs, columns=20).frames == 73


@pytest.mark.parametrize(
    ("name", "order"),
    [("sorted by athlete", lambda row: row), ("sorted by day", lambda row: (row[1], row[0]))],
)
def test_boxes_of_sorted_files_are_those_of_their_rows(name, order):
    # Five files of whole athletes, or of whole days.
    rows = sorted(product(range(10), range(365)), key=order)
    chunks = [rows[at : at + 730] for at in range(0, 3650, 730)]
    boxes = [
        [ends for values in zip(*chunk, strict=True) for ends in (min(values), max(values))]
        for chunk in chunks
    ]
    assert layouts(Scale(10, 1), 5)[name].tolist() == boxes


@pytest.mark.parametrize("files", [1, 7, 12, 40, 800])
@pytest.mark.parametrize(
    "name", ["sorted by athlete", "sorted by day", CLUSTERED, "month partitions, by athlete"]
)
def test_files_share_no_row_and_leave_none_out(name, files):
    held = np.zeros((900, 365), dtype=int)
    for first, last, since, until in layouts(Scale(900, 1), files)[name].tolist():
        held[first : last + 1, since : until + 1] += 1
    assert (held == 1).all()


@pytest.mark.parametrize("name", list(layouts(TINY, 1)))
def test_files_hit_are_those_with_a_wanted_row(name):
    small = Scale(30, 1)
    files = layouts(small, 20)[name]
    random = np.random.default_rng(5)
    for _ in range(20):
        athletes, days = (np.sort(random.integers(0, n, (3, 2))) for n in (30, 365))
        wanted = np.hstack([athletes, days])
        rows = {
            row
            for first, last, since, until in wanted.tolist()
            for row in product(range(first, last + 1), range(since, until + 1))
        }
        with_row = sum(
            any(first <= a <= last and since <= d <= until for a, d in rows)
            for first, last, since, until in files.tolist()
        )
        assert files_hit(files, wanted) == with_row


def test_a_backfill_leaves_files_that_are_always_hit():
    files = layouts(TINY, 8)["as a backfill leaves it"]
    assert files_hit(files, np.array([[1, 1, 100, 100]])) == 8


def test_small_months_have_files_of_their_own():
    assert len(layouts(TINY, 1)["month partitions, by athlete"]) == 12


def test_late_changes_come_as_the_generator_delays_them(inputs):
    draw = uniforms(3, 1)
    days = np.array([_delay(draw).days for _ in range(100_000)])
    assert np.mean(days >= 1) == pytest.approx(0.02, rel=0.1)
    assert np.mean(days >= 30) == pytest.approx(0.004, rel=0.15)
    assert 490 < days.max() < 500

    known = dict(inputs) | {"late_share": replace(DEFAULTS["late_share"], value=0.02)}
    # 500,000 activities a day, 10,000 of them late; few athletes have two.
    boxes = scale_model.late_changes(Scale(500_000, 3), known)
    lateness = boxes[:, 3] - boxes[:, 2]
    assert len(boxes) == pytest.approx(10_000 - 10_000**2 / 2 / 500_000, rel=0.01)
    assert (boxes[:, 0] == boxes[:, 1]).all()
    assert (boxes[:, 3] == 3 * 365 - 1).all()
    assert (lateness.min(), lateness.max()) == (1, 499)
    assert np.mean(lateness >= 30) == pytest.approx(0.2, rel=0.1)
    assert np.median(lateness[lateness >= 30]) == pytest.approx(265, rel=0.05)


def test_an_athlete_with_two_late_activities_counts_once_from_the_earlier(inputs):
    known = dict(inputs) | {"late_share": replace(DEFAULTS["late_share"], value=1)}
    known["activities_per_week"] = replace(DEFAULTS["activities_per_week"], value=3500)
    # Of 500 late activities in a day some are from before the first day, which is where it ends.
    assert scale_model.late_changes(Scale(1, 1), known).tolist() == [[0, 0, 0, 364]]


def test_boxes_are_cut_where_the_days_lie_far_apart():
    changes = np.array([[3, 3, 10, 364], [7, 7, 200, 364], [8, 8, 201, 364]])
    boxes = scale_model.scope_boxes(Scale(10, 1), changes, awake=10)
    assert boxes.tolist() == [[3, 3, 10, 364], [7, 8, 200, 364], [0, 9, 364, 364]]


def test_many_athletes_have_one_box(monkeypatch):
    monkeypatch.setattr(scale_model, "MAX_KEYS", 9)
    changes = np.array([[3, 3, 10, 364]])
    boxes = scale_model.scope_boxes(Scale(10, 1), changes, awake=10)
    assert boxes.tolist() == [[0, 9, 10, 364]]


def test_population_counts_days_like_a_calendar():
    found = scale_inputs.population(years=3, dormant_after_days=100, athletes=20)
    rows = awake = activities = active = 0
    for index in range(20):
        draw = uniforms(1, 1, index)
        athlete = scale_inputs.athlete_of(index, 1095, draw)
        first = scale_inputs.date(2016, 7, 1)
        days = [p.day for p in scale_inputs.plans_of(athlete, first, 1095, draw) if p.day < 1095]
        on = set(days)
        has_row = [bool(on & set(range(day - 100, day + 1))) for day in range(1095)]
        rows, awake = rows + sum(has_row), awake + has_row[-1]
        activities, active = activities + len(days), active + len(on)
    assert awake < 20
    assert found == pytest.approx(
        {
            "activities_per_week": activities / 20 / 1095 * 7,
            "active_days_per_week": active / 20 / 1095 * 7,
            "rows_per_year": rows / 60,
            "awake_share": awake / 20,
        }
    )


def one(contender: str, athletes: int, temperature: str = "warm", **figures: object) -> dict:
    case = {"athletes": athletes, "days": 100}
    shared = {"experiment": "backfill", "case": case, "temperature": temperature, "round": 0}
    return shared | {"contender": contender} | figures


def agreed(athletes: int, rows: int) -> dict:
    case = {"athletes": athletes, "days": 100}
    return {"experiment": "backfill", "case": case, "contender": "careful", "rows": rows}


def test_costs_come_from_the_largest_backfill_of_the_fullest_results(tmp_path: Path):
    small = [
        one("recipe", 10, cpu_s=9.0, written_bytes=5_000),
        one("floor_read", 10, cpu_s=0.5, written_bytes=0),
    ]
    quick = {"measurements": small, "agreement": [agreed(10, 1_000)]}
    tight = {"athletes": 20, "days": 100, "heap": "1g"}
    large = [
        one("recipe", 20, cpu_s=4.0, written_bytes=300_000),
        one("recipe", 20, "cold", cpu_s=99.0, written_bytes=300_000),
        one("full", 20, cpu_s=6.0, written_bytes=900_000, rows={"inserted": 2_000}),
        one("usual", 20, cpu_s=50.0, written_bytes=300_000),
        one("recipe", 10, cpu_s=1.0, written_bytes=1),
        one("full", 20, cpu_s=60.0, rows={"inserted": 2_000}) | {"case": tight},
    ]
    full = {"measurements": large, "agreement": [agreed(20, 2_000), agreed(10, 1_000)]}
    (tmp_path / "quick.json").write_text(json.dumps(quick))
    (tmp_path / "full.json").write_text(json.dumps(full))
    (tmp_path / "parsing.json").write_text('{"records": 2000, "bytes": 800000, "cpu_s": 0.5}')
    assert scale_inputs.measured(tmp_path) == pytest.approx(
        {
            "read_s": 500.0,
            "recipe_s": 2_000.0,
            "full_s": 3_000.0,
            "rolling_bytes": 150.0,
            "parse_s": 250.0,
            "record_bytes": 400.0,
        }
    )


def test_without_results_nothing_is_measured(tmp_path: Path):
    assert scale_inputs.measured(tmp_path) == {}


def test_inputs_say_where_they_come_from(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(scale_inputs, "population", lambda *_: {"awake_share": 0.25})
    (tmp_path / "parsing.json").write_text('{"records": 2000, "bytes": 800000, "cpu_s": 0.5}')
    found = scale_inputs.known(tmp_path)
    assert (found["awake_share"].value, found["awake_share"].origin) == (0.25, "simulated")
    assert (found["parse_s"].value, found["parse_s"].origin) == (250.0, "measured")
    assert found["full_s"] == DEFAULTS["full_s"]
    assert found["full_s"].origin == "assumed"


def test_tables_are_put_into_their_places():
    page = "a\n<!-- table: one -->\nold\n<!-- end -->\nb\n<!-- table: two --><!-- no -->\n"
    filled = "a\n<!-- table: one -->\n\n| x |\n\n<!-- end -->\nb\n<!-- table: two --><!-- no -->\n"
    assert scale.with_tables(page, {"one": "| x |"}) == filled
    assert scale.with_tables(filled, {"one": "| x |"}) == filled
    with pytest.raises(ValueError, match=r"places for \['one'\].*\['one', 'two'\]"):
        scale.with_tables(page, {"one": "", "two": ""})


def test_the_page_has_a_place_for_every_table():
    page = (scale.ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    scale.with_tables(page, dict.fromkeys(scale.TABLES, ""))


def test_every_table_has_a_figure_for_every_cell():
    for name, table in scale.tables(DEFAULTS).items():
        lines = table.splitlines()
        cells = [line.strip("| ").split(" | ") for line in lines[2:]]
        assert all(cell for row in cells for cell in row), name
        assert len({line.count("|") for line in lines}) == 1, name


@pytest.mark.parametrize(
    ("value", "text"),
    [(7, "7"), (4_353, "4,353"), (36_712, "36,700"), (3.477e9, "3.48 billion"), (2e6, "2 million")],
)
def test_counts_are_rounded_for_reading(value, text):
    assert scale._count(value) == text


def test_bytes_and_seconds_have_a_fitting_unit():
    assert [scale._bytes(n) for n in (160, 1_280_000, 128e6, 5.57e11)] == [
        *("160 B", "1.28 MB", "128 MB", "557 GB")
    ]
    assert [scale._seconds(n) for n in (0.327, 90, 7_200)] == ["0.33 s", "1.5 min", "2 h"]


def test_a_landing_zone_is_parsed():
    found = scale_inputs.parsing(athletes=2)
    assert found["records"] > 100
    assert found["bytes"] > 100 * found["records"]
    assert found["cpu_s"] > 0
