"""Values of the rolling table worked out from activities; no session is started."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paceline.cli import opening
from paceline.cli.explain_screen import as_data, lines
from paceline.cli.main import exit_code, paceline
from paceline.contract import Contract
from paceline.errors import PacelineError, UsageError
from paceline.explain.calculation import Calculation, calculate, same_bits
from paceline.explain.explanation import Detail, Explained, Explanation, features_of, known_since
from paceline.explain.past import Activity, Past
from paceline.explain.reading import ROLLING, Origin, absence
from paceline.features.daily_fold import History, daily_rows
from paceline.features.windows import MEASURES

DAY = date(2024, 6, 10)
KNOWN = (datetime(2024, 6, 11, 12, tzinfo=UTC), "noon")


def run_on(
    day: date, number: int = 1, km: float | None = 10.0, tss: float | None = 50.0
) -> Activity:
    """A run of 50 minutes with a climb of 80.0005 m."""
    amounts = {
        "activities": 1,
        "active_days": 1,
        "distance_km": km or 0.0,
        "moving_time_s": 3000,
        "elevation_gain_m": 80.0005,
        "tss": tss or 0.0,
        "activities_without_tss": int(tss is None),
        "runs": 1,
        "run_distance_km": km or 0.0,
    }
    return Activity(number, day, "run", amounts | ({"measured_run_time_s": 3000} if km else {}))


def ride_on(
    day: date, number: int = 1, km: float | None = 30.0, tss: float | None = None
) -> Activity:
    amounts = dict(run_on(day, number, km, tss).amounts)
    for measure in ("runs", "run_distance_km", "measured_run_time_s"):
        amounts.pop(measure, None)
    return Activity(number, day, "ride", amounts)


def ago(days: int) -> date:
    return DAY - timedelta(days=days)


def explained(feature: str, *activities: Activity, day: date = DAY) -> Calculation:
    return calculate(feature, Past(activities, day))


def test_the_sum_of_a_window_is_worked_out_in_whole_numbers() -> None:
    found = explained(
        "distance_km_7d",
        run_on(ago(7)),
        run_on(ago(6), 2, 12.5),
        ride_on(DAY, 3, 0.1),
        run_on(ago(-1)),
    )
    assert found.value == 12.6
    assert found.steps == (
        "12.5 + 0.1 = 12.6",
        "in whole numbers: 12600000 / 1000000 = 12.6",
    )
    assert found.since == ago(6)
    assert [(p.activity.activity_id, p.amount, p.weight) for p in found.parts] == [
        (2, 12.5, None),
        (3, 0.1, None),
    ]
    assert [p.share for p in found.parts] == pytest.approx([12.5 / 12.6, 0.1 / 12.6], rel=1e-12)


def test_each_activity_is_rounded_before_it_is_summed() -> None:
    # 80.0005 m are 80 000.5 mm, which are rounded up, once for each of the three.
    found = explained("elevation_gain_m_1d", *(run_on(DAY, number) for number in (1, 2, 3)))
    assert found.value == 240.003
    assert found.steps[0] == "80.001 + 80.001 + 80.001 = 240.003"


def test_a_day_without_anything_is_zero() -> None:
    found = explained("tss_1d", run_on(ago(3)))
    assert (found.value, found.parts, found.steps[0]) == (0.0, (), "0 = 0.0")


def test_an_active_day_counts_once_and_is_shared_by_its_activities() -> None:
    found = explained("active_days_7d", run_on(DAY, 1), ride_on(DAY, 2), run_on(ago(2), 3))
    assert (found.value, found.steps) == (2, ("1 + 1 = 2",))
    assert {p.activity.activity_id: (p.amount, p.share) for p in found.parts} == {
        3: (1, 0.5),
        1: (0.5, 0.25),
        2: (0.5, 0.25),
    }


def test_the_weight_of_a_load_in_an_ewma_decays_by_its_age() -> None:
    found = explained("atl_ewma_7d", run_on(ago(2), 1, tss=70.0), run_on(DAY, 2, tss=14.0))
    # 1 - e^(-1/7) of it on its day, and e^(-1/7) less on each day after it.
    today, before = 0.1331221002498184, 0.1331221002498184 * math.exp(-2 / 7)
    assert [p.weight for p in found.parts] == pytest.approx([before, today], rel=1e-12)
    assert found.value == pytest.approx(70 * before + 14 * today, rel=1e-12)
    assert sum(p.adds for p in found.parts) == pytest.approx(found.value, rel=1e-12)
    assert found.steps[0] == "atl_ewma_7d is 0.0 after 0 days from 0, then day by day"
    assert (
        found.steps[1] == f"{ago(2)}: 0.0 + 0.1331221002498184 x (70.0 - 0.0) = 9.318547017487289"
    )
    assert found.steps[-1].endswith(f" = {found.value!r}")
    assert len(found.steps) == 4


def test_form_looks_at_the_day_before() -> None:
    assert explained("tsb_ewma", run_on(DAY)).value == 0.0
    found = explained("tsb_ewma", run_on(ago(1), tss=100.0), run_on(DAY, 2))
    assert found.value == pytest.approx(2.3528313347756735 - 13.31221002498184, rel=1e-12)
    assert [p.weight for p in found.parts] == pytest.approx([-0.109593786902062, 0.0], abs=1e-12)
    assert {p.share for p in found.parts} == {None}


def test_why_a_ratio_is_null() -> None:
    def why(feature: str, *activities: Activity) -> str:
        found = explained(feature, *activities)
        assert found.value is None
        return found.steps[-1]

    assert why("acwr", run_on(ago(26))) == "NULL, for the history has 27 days, fewer than 28"
    assert why("acwr", run_on(ago(28))) == "NULL, for the 28 days have no load"
    only_acute = run_on(DAY, 2), run_on(ago(60))
    assert (
        why("acwr_uncoupled", *only_acute) == "NULL, for the 21 days before the last 7 have no load"
    )
    assert why("monotony_7d", run_on(ago(5))) == "NULL, for the history has 6 days, fewer than 7"
    assert why("strain_7d", run_on(ago(20))) == "NULL, for all of them are equal"
    assert why("run_pace_min_km_30d", ride_on(DAY)) == "NULL, for there is no run with a distance"


def test_ratios_of_loads_and_times() -> None:
    loads = run_on(ago(27), 1, tss=60.0), run_on(ago(6), 2, tss=20.0), run_on(DAY, 3, 15.0, 60.0)
    # 80 of the last week, 140 of four, 60 of the three before.
    assert explained("acwr", *loads).value == pytest.approx((80 / 7) / (140 / 28), rel=1e-15)
    assert explained("acwr_uncoupled", *loads).value == pytest.approx(
        (80 / 7) / (60 / 21), rel=1e-15
    )
    # The mean of 20, five zeros and 60 is 80/7, their mean square 4000/7.
    spread = math.sqrt(4000 / 7 - (80 / 7) ** 2)
    assert explained("monotony_7d", *loads).value == pytest.approx(80 / 7 / spread, rel=1e-14)
    assert explained("strain_7d", *loads).value == pytest.approx(80 * 80 / 7 / spread, rel=1e-14)
    # 3 runs of 50 minutes over 35 km.
    assert explained("run_pace_min_km_30d", *loads).value == pytest.approx(150 / 35, rel=1e-15)
    assert explained("ctl_42d", *loads).steps == (
        f"(60 + 20 + 60) / 42 = 140.0 / 42 = {140 / 42!r}",
    )
    assert explained("days_since_last_activity", *loads[:2]).value == 6
    assert explained("history_days", *loads).value == 28


def test_same_bits_tells_zero_from_minus_zero_and_whole_from_broken_numbers() -> None:
    assert same_bits(None, None)
    assert same_bits(0.1 + 0.2, 0.30000000000000004)
    for one, other in ((0.0, -0.0), (1, 1.0), (None, 0), (0.3, 0.1 + 0.2)):
        assert not same_bits(one, other)


ACTIVITY = st.builds(
    lambda age, number, km, tss, is_run: (run_on if is_run else ride_on)(ago(age), number, km, tss),
    st.integers(0, 150),
    st.integers(1, 10**6),
    st.one_of(st.none(), st.floats(0, 300)),
    st.one_of(st.none(), st.floats(0, 900)),
    st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ACTIVITY, min_size=1, max_size=12, unique_by=lambda one: one.activity_id))
def test_every_feature_is_worked_out_to_the_bits_of_the_fold(
    contracts: Mapping[str, Contract], activities: list[Activity]
) -> None:
    folded = fold(activities)
    for number in {0, len(folded["as_of_day"]) // 2, len(folded["as_of_day"]) - 1}:
        row = {name: column[number].item() for name, column in folded.items()}
        past = Past(activities, date(1970, 1, 1) + timedelta(days=row["as_of_day"]))
        for column in features_of(contracts[ROLLING]):
            value = None if math.isnan(row[column.name]) else row[column.name]
            found = calculate(column.name, past)
            assert same_bits(value, found.value), (column.name, value, found)


def fold(activities: list[Activity]) -> dict[str, Any]:
    """The rows that the product makes of them, by its own code."""
    days = sorted({one.local_day for one in activities})
    loads = {
        measure.name: np.array(
            [
                (max if measure.daily == "max" else sum)(
                    one.fixed(measure.name) for one in activities if one.local_day == day
                )
                for day in days
            ],
            dtype=np.int64,
        )
        for measure in MEASURES
    }
    numbers = np.array([(day - date(1970, 1, 1)).days for day in days])
    history = History(1, numbers, np.zeros_like(numbers), loads)
    return daily_rows([history], (DAY - date(1970, 1, 1)).days, 365)


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (datetime(2024, 6, 11, 12, tzinfo=UTC), "noon (UTC) of the next day"),
        # Run 2 went on until then.
        (datetime(2024, 6, 12, 5, tzinfo=UTC), "the end of activity 2"),
        (datetime(2024, 6, 12, 5, 0, 0, 3, tzinfo=UTC), "a microsecond after the row before it"),
    ],
)
def test_why_a_row_is_known_when_it_is(known: datetime, why: str) -> None:
    ends = {1: datetime(2024, 6, 10, 7, tzinfo=UTC), 2: datetime(2024, 6, 12, 5, tzinfo=UTC)}
    runs = [replace(run_on(DAY, one), end_us=micros(end)) for one, end in ends.items()]
    found, said = known_since(micros(known), Past(runs, DAY))
    assert found == known
    assert said.startswith(why)


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("days", "day", "error", "message"),
    [
        ([], DAY, UsageError, "no activity of this athlete"),
        ([ago(3)], ago(-1), UsageError, "after the horizon, 2024-06-10"),
        (
            [ago(3), ago(1)],
            ago(4),
            UsageError,
            "before the athlete's first activity, on 2024-06-07",
        ),
        ([ago(400)], DAY, UsageError, "dormant, for the last activity was on 2023-05-07"),
        ([ago(400)], DAY, UsageError, "ask for a day up to 2024-05-06"),
        ([ago(3)], ago(3), PacelineError, "although there should be one"),
        ([ago(365)], DAY, PacelineError, "although there should be one"),
    ],
)
def test_why_a_row_is_missing(
    days: list[date], day: date, error: type[PacelineError], message: str
) -> None:
    found = absence(days, day, DAY, 365)
    assert type(found) is error
    assert message in str(found)


def test_a_feature_that_is_none_is_refused_before_anything_is_opened(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "session", lambda root: pytest.fail("Spark is started"))
    asked = ["explain", "--athlete", "1", "--date", "2024-06-10", "--feature", "tss_6d"]
    assert exit_code(paceline, asked) == 2
    error = capsys.readouterr().err
    assert "'tss_6d' is no feature" in error
    assert "tss_7d" in error


def test_a_day_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(paceline, ["explain", "--athlete", "1", "--date", "soon"]) == 2
    assert "--date" in capsys.readouterr().err


def test_the_screen_shows_what_is_not_known_and_no_command_to_the_terminal(
    contracts: Mapping[str, Contract],
) -> None:
    (column,) = (c for c in contracts[ROLLING].columns if c.name == "distance_km_7d")
    one = Explained(column, 12.5, explained("distance_km_7d", run_on(DAY, 1), run_on(DAY, 2, 2.5)))
    shown = {"activity_id": 1, "sport_type": "Run\x1b[2J"}
    origins = {1: Origin(shown, "strava_api/\x1b[2J.jsonl", 3), 2: Origin(None, None, None)}
    detail = Detail(one, one.calculation.parts, 3, origins, (), first_version=4)
    said = list(lines(Explanation(7, DAY, 5, KNOWN, [one], None, detail)))
    assert all(line.isprintable() for line in said)
    for line in (
        "published  not known: the change feed does not reach back to it",
        "5 activities count from 2024-06-04 on",
        "  and 3 that add less: see --activities",
        "  1            Run\\x1b[2J  strava_api/\\x1b[2J.jsonl line 3",
        "  2                        not known: the rules have changed since",
        "  CUT: the change feed begins at version 4 of the table; what was before is not known",
    ):
        assert line in said
    said_of_row = list(lines(Explanation(7, DAY, 5, KNOWN, [one], None)))
    assert "may be used from 2024-06-11 12:00:00.000000 UTC on: noon" in said_of_row
    assert said[-1] == "worked out 12.5, published 12.5: equal, bit for bit."
    data = as_data(Explanation(7, DAY, 5, KNOWN, [one], None, detail))
    assert data["event_timestamp"] == "2024-06-11T12:00:00+00:00"
    assert (data["published"], data["history"], data["unlisted_activities"]) == (None, [], 3)
    assert [one["source_path"] for one in data["activities"]] == [origins[1].source_path, None]
