"""Charts as geometry for a template: lines, bars and bands, the ticks of two axes, and no words.

Everything is in percent of the plot, from its left and from its top. A page stretches the marks
over whatever room it has and sets the labels beside them, so that texts stay readable on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

DECIMAL_STEPS = (1.0, 2.0, 5.0)
# Of minutes per kilometre: 5, 10, 15 and 30 seconds, then minutes.
PACE_STEPS = (5 / 60, 10 / 60, 15 / 60, 30 / 60, 1.0, 2.0, 5.0, 10.0, 20.0)
MOST_TICKS = 5
MOST_MONTHS = 12
MOST_RUNS = 6
# Labels so close to an end would stick out of the page.
EDGE = 3.0
# The logarithmic axis begins below 1, so that a single row is seen.
LOG_START = 0.4


@dataclass(frozen=True)
class Tick:
    """A label of an axis; minor ones are left out where there is little room."""

    at: float
    label: str
    is_minor: bool = False


@dataclass(frozen=True)
class Mark:
    """A line or an area: the kind that a style sheet knows it by, and the `d` of an SVG path."""

    kind: str
    path: str


@dataclass(frozen=True)
class Bar:
    """An upright rectangle; `title` is what pointing at it says."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str = ""


@dataclass(frozen=True)
class Band:
    """A range of values across the whole plot, named by a word."""

    kind: str
    y: float
    height: float
    label: str


@dataclass(frozen=True)
class Plot:
    """What one plot shows; `zero` is the height of the line of zero, where there is one inside."""

    lines: tuple[Mark, ...] = ()
    areas: tuple[Mark, ...] = ()
    bars: tuple[Bar, ...] = ()
    bands: tuple[Band, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    x_ticks: tuple[Tick, ...] = ()
    zero: float | None = None


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high`, with round ones to label; turned over, small ones are on top."""

    low: float
    high: float
    ticks: tuple[float, ...] = field(default=())
    is_turned: bool = False

    def y(self, value: float) -> float:
        """The height of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * (share if self.is_turned else 1 - share), 2)

    def labels(self, label: Callable[[float], str]) -> tuple[Tick, ...]:
        """The ticks, in words; of many, every second one is minor, and 0 is none of these."""
        zero = self.ticks.index(0) if 0 in self.ticks else 0
        is_crowded = len(self.ticks) > MOST_TICKS
        return tuple(
            Tick(self.y(value), label(value), is_crowded and (number - zero) % 2 == 1)
            for number, value in enumerate(self.ticks)
        )


def axis(
    values: Iterable[float | None],
    *,
    at_least: tuple[float, float] | None = None,
    steps: Sequence[float] = (),
    is_turned: bool = False,
) -> Axis:
    """A linear axis that begins and ends with a round value and holds all the values.

    Args:
        values: what has to fit; None is no value.
        at_least: a range that is shown in any case.
        steps: the distances that ticks may have; without any 1, 2 or 5 times a power of ten.
        is_turned: whether small values are on top.
    """
    found = [value for value in values if value is not None]
    low, high = (
        min([*found, *(at_least or ())], default=0.0),
        max([*found, *(at_least or ())], default=1.0),
    )
    if low == high:
        low, high = low - 0.5, high + 0.5
    step = _step((high - low) / MOST_TICKS, steps)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(number * step, 9) for number in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks, is_turned)


def _step(wanted: float, steps: Sequence[float]) -> float:
    if not steps:
        power = 10.0 ** math.floor(math.log10(wanted))
        steps = [power * step for step in (*DECIMAL_STEPS, 10.0)]
    return next((step for step in steps if step >= wanted - 1e-9), steps[-1])


def calendar(first: date, last: date) -> list[date]:
    """Every day from the first to the last."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def line(kind: str, values: Sequence[float | None], along: Axis) -> Mark:
    """A line through values at equal distances; it is broken where there is none."""
    parts, is_drawing = [], False
    for number, value in enumerate(values):
        if value is not None:
            parts.append(
                f"{'L' if is_drawing else 'M'}{_x(number, len(values))} {along.y(value):g}"
            )
            # A single value would be a line without length: its round cap shows it.
            parts += [] if is_drawing else ["h0"]
        is_drawing = value is not None
    return Mark(kind, "".join(parts))


def _x(number: int, count: int) -> str:
    """The middle of a slot."""
    return f"{100 * (number + 0.5) / count:.4g}"


def area(kind: str, values: Sequence[float | None], along: Axis) -> Mark:
    """Steps between values at equal distances and zero; None and 0 leave the zero line bare."""
    width, zero = 100 / len(values), along.y(0)
    steps = (
        f"M{number * width:.5g} {zero:g}V{along.y(value):g}h{width:.4g}V{zero:g}z"
        for number, value in enumerate(values)
        if value
    )
    return Mark(kind, "".join(steps))


def bands(limits: Iterable[tuple[str, str, float, float]], along: Axis) -> tuple[Band, ...]:
    """Ranges of (kind, label, from, to), as far as the axis reaches."""
    made = []
    for kind, label, low, high in limits:
        bottom, top = max(low, along.low), min(high, along.high)
        if bottom < top:
            y = along.y(top)
            made.append(Band(kind, y, round(along.y(bottom) - y, 2), label))
    return tuple(made)


def stacks(
    slots: Sequence[Sequence[tuple[str, float, str]]], along: Axis, gap: float = 0.2
) -> tuple[Bar, ...]:
    """Stacked bars: for each slot its (kind, value, title) from the bottom up.

    Args:
        slots: what stands at equal distances.
        along: an axis that begins with 0.
        gap: the share of a slot that stays free.
    """
    width = 100 / max(len(slots), 1)
    made = []
    for number, parts in enumerate(slots):
        base = 0.0
        for kind, value, title in parts:
            top = along.y(base + value)
            height = round(along.y(base) - top, 2)
            x = round((number + gap / 2) * width, 3)
            made.append(Bar(kind, x, top, round(width * (1 - gap), 3), height, title))
            base += value
    return tuple(made)


def log_axis(values: Iterable[float]) -> Axis:
    """An axis of decimal logarithms, for values of very different sizes: 1, 10, 100 and so on."""
    last = max(1, math.ceil(math.log10(max([*values, 1.0])) - 1e-9))
    return Axis(math.log10(LOG_START), float(last), tuple(map(float, range(last + 1))))


def log_bars(
    values: Sequence[tuple[str, float, str]], along: Axis, gap: float = 0.2
) -> tuple[Bar, ...]:
    """A bar for each (kind, value, title), at equal distances, on an axis of `log_axis`.

    A value of 0 has none, and a small one a low bar.
    """
    width = 100 / max(len(values), 1)
    made = []
    for number, (kind, value, title) in enumerate(values):
        if value > 0:
            top = min(along.y(math.log10(value)), 98.0)
            x = round((number + gap / 2) * width, 3)
            made.append(Bar(kind, x, top, round(width * (1 - gap), 3), round(100 - top, 2), title))
    return tuple(made)


def month_ticks(first: date, last: date) -> tuple[Tick, ...]:
    """The beginnings of months, or every few of them; January is labelled with its year."""
    days = calendar(first, last)
    starts = [(number, day) for number, day in enumerate(days) if day.day == 1]
    every = math.ceil(len(starts) / MOST_MONTHS) or 1
    # Counted from January, so that years are labelled however few months are.
    every = next(step for step in (1, 2, 3, 4, 6, 12 * math.ceil(every / 12)) if step >= every)
    kept = [(n, day) for n, day in starts if (12 * day.year + day.month - 1) % every == 0]
    ticks = [
        Tick(
            round(100 * number / len(days), 2),
            f"{day:%b %Y}" if day.month == 1 else f"{day:%b}",
            is_minor=len(kept) > MOST_MONTHS // 2 and position % 2 == 1,
        )
        for position, (number, day) in enumerate(kept)
    ]
    return tuple(tick for tick in ticks if EDGE <= tick.at <= 100 - EDGE)


def slot_ticks(labels: Sequence[str]) -> tuple[Tick, ...]:
    """The labels of slots at equal distances, or of the middle ones of every few of them."""
    every = math.ceil(len(labels) / MOST_RUNS) or 1
    return tuple(
        Tick(round(100 * (number + 0.5) / len(labels), 2), label, is_minor=number // every % 2 == 1)
        for number, label in enumerate(labels)
        if number % every == every // 2
    )


def shades(kind: str, slots: Sequence[bool]) -> tuple[Bar, ...]:
    """A ground as high as the plot behind each slot that is marked."""
    width = 100 / max(len(slots), 1)
    return tuple(
        Bar(kind, round(number * width, 3), 0, round(width, 3), 100)
        for number, is_marked in enumerate(slots)
        if is_marked
    )
