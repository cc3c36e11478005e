"""Charts as SVG: horizontal bars, and curves in panels side by side.

One colour marks paceline, greys the others. The background is transparent, with a variant for light
pages and one for dark pages. Equal input gives equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogLocator, NullLocator

WIDTH_IN = 7.6
LABEL_GAP_PX = 15
NEAREST_TICKS = 0.1
"""How near the labels of ticks may be, as a share of the axis from the first to the last."""


@dataclass(frozen=True)
class Theme:
    """The colours of a variant."""

    text: str
    quiet: str
    line: str
    other: str
    ours: str


THEMES: Mapping[str, Theme] = {
    "light": Theme(
        text="#1f2328", quiet="#59636e", line="#d1d9e0", other="#b3bcc6", ours="#0969da"
    ),
    "dark": Theme(text="#f0f6fc", quiet="#9198a1", line="#3d444d", other="#656c76", ours="#4493f8"),
}


@dataclass(frozen=True)
class Bar:
    """A bar from zero, and beyond it a thin outline up to a second value."""

    label: str
    value: float
    text: str
    outline: float | None = None
    is_ours: bool = False


@dataclass(frozen=True)
class Bars:
    """Horizontal bars, the first one on top."""

    bars: Sequence[Bar]
    mark: float | None = None
    """Where a thin line crosses all bars."""


@dataclass(frozen=True)
class Curve:
    """Points in the order of x, with a label at the last one; a guide is what to compare with."""

    label: str
    points: Sequence[tuple[float, float]]
    role: Literal["ours", "other", "guide"] = "ours"


@dataclass(frozen=True)
class Panel:
    """Curves that share their axes. Axes that are not logarithmic start at zero."""

    title: str
    x_title: str
    curves: Sequence[Curve]
    x_ticks: Mapping[float, str] = field(default_factory=dict)
    is_log_x: bool = False
    is_log_y: bool = False


Chart = Bars | Sequence[Panel]


def svg(chart: Chart, theme: Theme) -> str:
    """A chart as the text of an SVG file, its words as text, without a date."""
    settings = {
        "font.family": "sans-serif",
        "font.size": 9,
        "svg.fonttype": "none",
        "svg.hashsalt": "paceline",
        "text.color": theme.text,
        "axes.labelcolor": theme.quiet,
        "axes.edgecolor": theme.line,
        "xtick.color": theme.line,
        "ytick.color": theme.line,
        "xtick.labelcolor": theme.quiet,
        "ytick.labelcolor": theme.quiet,
    }
    # The settings of the user and of the machine would give other bytes.
    with matplotlib.rc_context(matplotlib.rcParamsDefault | settings):
        figure = _bars(chart, theme) if isinstance(chart, Bars) else _panels(chart, theme)
        text = StringIO()
        figure.savefig(
            text, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _bars(chart: Bars, theme: Theme) -> Figure:
    figure = Figure(figsize=(WIDTH_IN, 0.34 * len(chart.bars) + 0.2), layout="constrained")
    axes = figure.add_subplot()
    for place, bar in enumerate(chart.bars):
        colour = theme.ours if bar.is_ours else theme.other
        axes.barh(place, bar.value, height=0.6, color=colour)
        if bar.outline is not None:
            axes.barh(place, bar.outline, height=0.6, fill=False, edgecolor=colour, linewidth=0.8)
        end = max(bar.value, bar.outline or 0, chart.mark or 0)
        axes.annotate(
            bar.text,
            (end, place),
            (5, 0),
            textcoords="offset points",
            va="center",
            color=theme.text,
        )
    if chart.mark is not None:
        axes.axvline(chart.mark, color=theme.quiet, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.set_yticks(range(len(chart.bars)), [bar.label for bar in chart.bars])
    axes.tick_params(axis="y", length=0, labelcolor=theme.text)
    axes.invert_yaxis()
    axes.xaxis.set_visible(False)
    axes.set_xlim(left=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    return figure


def _panels(panels: Sequence[Panel], theme: Theme) -> Figure:
    figure = Figure(figsize=(WIDTH_IN, 2.7), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06)
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        for curve in panel.curves:
            _draw_curve(axes, curve, theme)
        _set_axes(axes, panel, theme)
    # Where labels go depends on the limits, which hold once every curve is drawn.
    figure.draw_without_rendering()
    for axes, panel in zip(figure.axes, panels, strict=True):
        _label_curves(axes, panel.curves, theme)
    return figure


def _draw_curve(axes: Axes, curve: Curve, theme: Theme) -> None:
    x, y = zip(*curve.points, strict=True)
    if curve.role == "guide":
        axes.plot(x, y, color=theme.quiet, linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
    else:
        # More points than ticks are a line, and dots on it would hide it.
        marker = "o" if len(curve.points) <= 12 else None
        # Where curves meet, ours is seen.
        colour, order = (theme.ours, 4) if curve.role == "ours" else (theme.quiet, 3)
        style = {"linewidth": 1.8, "marker": marker, "markersize": 4}
        axes.plot(x, y, color=colour, zorder=order, clip_on=False, **style)


def _set_axes(axes: Axes, panel: Panel, theme: Theme) -> None:
    axes.set_title(panel.title, loc="left", fontsize=9, color=theme.text)
    axes.set_xlabel(panel.x_title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=theme.line, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    if panel.is_log_x:
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    if panel.is_log_y:
        axes.set_yscale("log")
        bottom, top = round_limits(y for curve in panel.curves for _, y in curve.points)
        axes.set_ylim(bottom, top)
        # Over few powers of ten, these alone would be one or two ticks.
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if top < 200 * bottom else (1,)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    if panel.x_ticks:
        ticks = dict(sorted(panel.x_ticks.items()))
        axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
        places = [math.log10(x) if panel.is_log_x else x for x in ticks]
        labels = apart(places, list(ticks.values()))
        axes.xaxis.set_major_formatter(FixedFormatter(labels))
        axes.xaxis.set_minor_locator(NullLocator())


def apart(places: Sequence[float], labels: Sequence[str]) -> list[str]:
    """The labels of ticks, but nothing for one that would touch the label before it.

    Example:
        >>> apart([0, 0.09, 0.5, 1], ["one", "few", "half", "all"])
        ['one', '', 'half', 'all']
    """
    shown, last = [], -math.inf
    for place, label in zip(places, labels, strict=True):
        is_free = place - last >= NEAREST_TICKS * (max(places) - min(places))
        shown.append(label if is_free else "")
        last = place if is_free else last
    return shown


def _label_curves(axes: Axes, curves: Sequence[Curve], theme: Theme) -> None:
    ends = [axes.transData.transform(curve.points[-1]) for curve in curves]
    heights = spread([y for _, y in ends], LABEL_GAP_PX)
    colours = {"ours": theme.ours, "other": theme.quiet, "guide": theme.quiet}
    for curve, (_, y), height in zip(curves, ends, heights, strict=True):
        axes.annotate(
            curve.label,
            curve.points[-1],
            (7, (height - y) * 72 / axes.figure.dpi),
            textcoords="offset points",
            va="center",
            color=colours[curve.role],
        )


def round_limits(values: Iterable[float]) -> tuple[float, float]:
    """The nearest of 1, 2 and 5 times a power of ten: below all values, and not below any.

    Example:
        >>> round_limits([0.55, 1.22]), round_limits([1.0, 5.0])
        ((0.5, 2.0), (0.5, 5.0))
    """
    ordered = sorted(values)
    lowest = math.floor(math.log10(ordered[0])) - 1
    highest = math.floor(math.log10(ordered[-1])) + 1
    powers = range(lowest, highest + 1)
    steps = [float(f"{step}e{power}") for power in powers for step in (1, 2, 5)]
    bottom = max(step for step in steps if step < ordered[0])
    return bottom, min(step for step in steps if step >= ordered[-1])


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Heights moved apart, as little as goes in one pass upwards, so that no two are closer.

    Example:
        >>> spread([10.0, 0.0, 1.0], gap=4.0)
        [10.0, 0.0, 4.0]
    """
    placed = list(heights)
    lowest = -float("inf")
    for place in sorted(range(len(heights)), key=heights.__getitem__):
        placed[place] = max(heights[place], lowest + gap)
        lowest = placed[place]
    return placed
