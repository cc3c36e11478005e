"""Values in words, as the reports print them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

MINUS = "\N{MINUS SIGN}"
NOTHING = "none"


def number(value: float | None, digits: int = 1) -> str:
    """A number with so many digits behind the point; rounded to 0 it has no sign."""
    if value is None:
        return NOTHING
    # Adding 0 turns a negative zero into a positive one.
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", MINUS)


def amount(value: float | None) -> str:
    """A number of any size: whole, or with four digits that matter."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"


def power_of_ten(exponent: int) -> str:
    """A power of ten, short enough for an axis: 100, 1k, 10k, 100k, 1M."""
    thousands, rest = divmod(exponent, 3)
    return f"{10**rest}{('', 'k', 'M', 'G', 'T')[thousands]}"


def change(value: float, digits: int = 1) -> str:
    """A difference, with its sign."""
    text = number(value, digits)
    return text if text.startswith(MINUS) or not float(text.replace(",", "")) else f"+{text}"


def pace(minutes: float | None) -> str:
    """Minutes per kilometre, to the second."""
    if minutes is None:
        return NOTHING
    whole, seconds = divmod(round(minutes * 60), 60)
    return f"{whole}:{seconds:02d}"


def hours(seconds: float) -> str:
    """A time in motion, to the minute."""
    whole, minutes = divmod(round(seconds / 60), 60)
    return f"{whole}:{minutes:02d}"


def duration(seconds: float | None) -> str:
    """How long a run took: 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 59.95 else "1 min 0 s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def day(value: date) -> str:
    """A day in words: 28 June 2026."""
    return f"{value.day} {value:%B %Y}"


def minute(value: datetime | None) -> str:
    """An instant, to the minute: 2026-06-28 06:00."""
    return NOTHING if value is None else f"{value:%Y-%m-%d %H:%M}"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """So many of something."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def week(monday: date) -> str:
    """A week, by its first and last day."""
    return f"{monday:%d %b} to {monday + timedelta(days=6):%d %b %Y}"
