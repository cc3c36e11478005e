"""The environment of the templates, shared by the reports."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from paceline.report import words


def environment() -> Environment:
    """The templates of the reports, with the style sheet of the site; every text is escaped."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("paceline.report"), PackageLoader("paceline.docs")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = (words.number, words.amount, words.change, words.count)
    times = (words.pace, words.hours, words.duration, words.day, words.minute)
    made.filters |= {word.__name__: word for word in (*numbers, *times)}
    return made
