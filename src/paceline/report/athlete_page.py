"""The report of an athlete as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from paceline.report import charts, words
from paceline.report.athlete import ACWR_BANDS, LATE_AFTER_DAYS, SPORTS, Athlete, Day, Volume, band
from paceline.report.charts import Plot
from paceline.report.html import environment

# How far back the change of a load is told: training is planned in blocks of four weeks.
BLOCK_DAYS = 28
TABLES = ("feature_store.athlete_rolling_features", "feature_store.activity_features")


@dataclass(frozen=True)
class _Chart:
    """A plot, and what it says to somebody who cannot see it."""

    plot: Plot
    alt: str


@dataclass(frozen=True)
class _Week:
    """The volume of a week, by sport."""

    monday: date
    volumes: Sequence[Volume]

    @property
    def moving_time_s(self) -> int:
        return sum(volume.moving_time_s for volume in self.volumes)


def render(report: Athlete) -> str:
    """The page, as HTML that loads nothing and runs nothing; it holds personal data."""
    by_day = {day.as_of_date: day for day in report.days}
    days = [by_day.get(day) for day in charts.calendar(report.first, report.last.as_of_date)]
    weeks = _weeks(report)
    template = environment().get_template("athlete.html.j2")
    return template.render(
        report=report,
        last=report.last,
        before=by_day.get(report.last.as_of_date - timedelta(days=BLOCK_DAYS)),
        rows=list(reversed(report.days)),
        weeks=list(reversed(weeks)),
        sports=[sport for sport in SPORTS if any(v.sport == sport for v in report.volumes)],
        without_load=sum(day.activities_without_tss_1d for day in report.days),
        tables=TABLES,
        late_after=LATE_AFTER_DAYS,
        band=band,
        load=_load(report, days),
        form=_form(report, days),
        volume=_volume(report, weeks),
        acwr=_acwr(report, days),
        pace=_pace(report, days),
    )


def _weeks(report: Athlete) -> list[_Week]:
    """All weeks shown, those without an activity too."""
    days = charts.calendar(report.first, report.last.as_of_date)
    return [
        _Week(monday, [volume for volume in report.volumes if volume.monday == monday])
        for monday in days[::7]
    ]


def _load(report: Athlete, days: Sequence[Day | None]) -> _Chart:
    fitness = [day.ctl_ewma_42d if day else None for day in days]
    fatigue = [day.atl_ewma_7d if day else None for day in days]
    along = charts.axis([*fitness, *fatigue], at_least=(0, 10))
    first, last = report.days[0], report.last
    plot = Plot(
        lines=(charts.line("fatigue", fatigue, along), charts.line("fitness", fitness, along)),
        y_ticks=along.labels(_whole),
        x_ticks=_months(report),
    )
    alt = (
        f"Fitness went from {words.number(first.ctl_ewma_42d)} on {words.day(first.as_of_date)} to "
        f"{words.number(last.ctl_ewma_42d)} on {words.day(last.as_of_date)}, fatigue from "
        f"{words.number(first.atl_ewma_7d)} to {words.number(last.atl_ewma_7d)}."
    )
    return _Chart(plot, alt)


def _form(report: Athlete, days: Sequence[Day | None]) -> _Chart:
    form = [day.tsb_ewma if day else None for day in days]
    along = charts.axis(form, at_least=(-10, 10))
    rested = [value if value and value > 0 else None for value in form]
    tired = [value if value and value < 0 else None for value in form]
    plot = Plot(
        areas=(charts.area("rested", rested, along), charts.area("tired", tired, along)),
        y_ticks=along.labels(_whole),
        x_ticks=_months(report),
        zero=along.y(0),
    )
    lowest = min(report.days, key=lambda day: day.tsb_ewma)
    highest = max(report.days, key=lambda day: day.tsb_ewma)
    alt = (
        f"Form was lowest with {words.number(lowest.tsb_ewma)} on {words.day(lowest.as_of_date)}, "
        f"highest with {words.number(highest.tsb_ewma)} on {words.day(highest.as_of_date)}, and is "
        f"{words.number(report.last.tsb_ewma)} on the last day."
    )
    return _Chart(plot, alt)


def _volume(report: Athlete, weeks: Sequence[_Week]) -> _Chart:
    along = charts.axis([week.moving_time_s / 3600 for week in weeks], at_least=(0, 1))
    slots = [
        [
            (
                volume.sport,
                volume.moving_time_s / 3600,
                f"{words.week(week.monday)}, {volume.sport}: {words.hours(volume.moving_time_s)} h,"
                f" {words.number(volume.distance_km)} km",
            )
            for volume in week.volumes
        ]
        for week in weeks
    ]
    plot = Plot(
        bars=charts.stacks(slots, along),
        y_ticks=along.labels(lambda value: f"{value:g} h"),
        x_ticks=charts.month_ticks(report.first, weeks[-1].monday + timedelta(days=6)),
    )
    most = max(weeks, key=lambda week: week.moving_time_s)
    week = words.week(most.monday)
    alt = (
        f"The most was {words.hours(most.moving_time_s)} hours in the week {week}; the last week, "
        f"{words.week(weeks[-1].monday)}, has {words.hours(weeks[-1].moving_time_s)} hours so far."
    )
    return _Chart(plot, alt)


def _acwr(report: Athlete, days: Sequence[Day | None]) -> _Chart | None:
    ratios = [day.acwr if day else None for day in days]
    known = [day for day in report.days if day.acwr is not None]
    if not known:
        return None
    along = charts.axis(ratios, at_least=(0, 2))
    plot = Plot(
        lines=(charts.line("acwr", ratios, along),),
        bands=charts.bands(ACWR_BANDS, along),
        y_ticks=along.labels(lambda value: f"{value:.1f}"),
        x_ticks=_months(report),
    )
    above = sum(1 for day in known if band(day.acwr or 0) == "high")
    alt = (
        f"The ratio is {words.number(known[-1].acwr, 2)} on {words.day(known[-1].as_of_date)}, "
        f"which is {band(known[-1].acwr or 0)}; it was high on {words.count(above, 'day')} of "
        f"{len(known):,}."
    )
    return _Chart(plot, alt)


def _pace(report: Athlete, days: Sequence[Day | None]) -> _Chart | None:
    month = [day.run_pace_min_km_30d if day else None for day in days]
    quarter = [day.run_pace_min_km_90d if day else None for day in days]
    known = [day for day in report.days if day.run_pace_min_km_90d is not None]
    if not known:
        return None
    along = charts.axis([*month, *quarter], steps=charts.PACE_STEPS, is_turned=True)
    plot = Plot(
        lines=(charts.line("quarter", quarter, along), charts.line("month", month, along)),
        y_ticks=along.labels(words.pace),
        x_ticks=_months(report),
    )
    alt = (
        f"The pace over 90 days went from {words.pace(known[0].run_pace_min_km_90d)} minutes per "
        f"kilometre on {words.day(known[0].as_of_date)} to "
        f"{words.pace(known[-1].run_pace_min_km_90d)} on {words.day(known[-1].as_of_date)}."
    )
    return _Chart(plot, alt)


def _months(report: Athlete) -> tuple[charts.Tick, ...]:
    return charts.month_ticks(report.first, report.last.as_of_date)


def _whole(value: float) -> str:
    return words.number(value, 0)
