"""The report of the pipeline as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paceline.report import charts, words
from paceline.report.charts import Plot
from paceline.report.html import environment
from paceline.report.pipeline import BAD, SEVEREST, Pipeline, Run
from paceline.store import ledger

MOST_CHECKS = 200


@dataclass(frozen=True)
class _Chart:
    """A plot of one bar per run, and what it says to somebody who cannot see it."""

    title: str
    plot: Plot
    alt: str


def render(report: Pipeline) -> str:
    """The page, as HTML that loads nothing and runs nothing; it holds nothing personal."""
    runs = report.runs
    checks = [(run, check) for run in reversed(runs) for check in run.checks]
    return (
        environment()
        .get_template("pipeline.html.j2")
        .render(
            report=report,
            last=runs[-1],
            outcomes=[(name, report.outcomes[name]) for name in SEVEREST if report.outcomes[name]],
            written=sum(run.written for run in runs),
            rows=list(reversed(runs)),
            checks=checks[:MOST_CHECKS],
            more_checks=len(checks) - len(checks[:MOST_CHECKS]),
            kind=kind,
            charts=(_durations(runs), _rows(runs), _rejects(runs)),
        )
    )


def kind(status: str) -> str:
    """How a status is coloured: as good, as idle, or as bad."""
    if status in BAD:
        return "bad"
    return "good" if status == ledger.PUBLISHED else "idle"


def _durations(runs: Sequence[Run]) -> _Chart:
    values = [
        (kind(run.status), run.seconds or 0, f"{_named(run)}: {words.duration(run.seconds)}")
        for run in runs
    ]
    longest = max(runs, key=lambda run: run.seconds or 0)
    alt = (
        f"The longest run took {words.duration(longest.seconds)} "
        f"({words.minute(longest.started_at)}), the last one {words.duration(runs[-1].seconds)}."
    )
    return _chart("Duration", values, runs, alt, unit=" s")


def _rows(runs: Sequence[Run]) -> _Chart:
    values = [
        (
            kind(run.status),
            run.written,
            f"{_named(run)}: {run.inserted:,} inserted, {run.updated:,} updated, "
            f"{run.deleted:,} deleted",
        )
        for run in runs
    ]
    most = max(runs, key=lambda run: run.written)
    alt = (
        f"The most rows, {most.written:,}, were written at {words.minute(most.started_at)}; the "
        f"last run wrote {runs[-1].written:,}."
    )
    return _chart("Rows written", values, runs, alt)


def _rejects(runs: Sequence[Run]) -> _Chart:
    values = [
        (
            "refused",
            run.quarantined,
            f"{_named(run)}: {words.count(run.quarantined, 'record')} refused",
        )
        for run in runs
    ]
    most = max(runs, key=lambda run: run.quarantined)
    alt = (
        f"The most records, {most.quarantined:,}, were refused at {words.minute(most.started_at)}; "
        f"the last run refused {runs[-1].quarantined:,}."
    )
    return _chart("Records refused", values, runs, alt)


def _chart(
    title: str,
    values: Sequence[tuple[str, float, str]],
    runs: Sequence[Run],
    alt: str,
    unit: str = "",
) -> _Chart:
    along = charts.log_axis([value for _, value, _ in values])
    is_bad = [run.status in BAD for run in runs]
    plot = Plot(
        bars=(*charts.shades("failed", is_bad), *charts.log_bars(values, along)),
        y_ticks=along.labels(lambda power: words.power_of_ten(round(power)) + unit),
        x_ticks=charts.slot_ticks([f"{run.started_at.day} {run.started_at:%b}" for run in runs]),
    )
    return _Chart(title, plot, alt)


def _named(run: Run) -> str:
    return f"{words.minute(run.started_at)}, {run.job}, {run.status}"
