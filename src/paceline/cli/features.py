"""`paceline features`: the catalogue of what models may use. It needs no PySpark, no warehouse."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import groupby
from typing import TYPE_CHECKING

import click

from paceline.cli.places import CONF, DEBUG
from paceline.cli.screen import say, say_fields, say_grid, say_json, texts, words

if TYPE_CHECKING:
    from paceline.docs.catalogue import Feature

_EPILOG = """\b
Classes:
  MIT           made of one activity, stored, for any model
  windowed MIT  made of the days up to a day, stored, for any model
  ODT           a function of a value that only the request knows; not stored"""


@click.command("features", epilog=_EPILOG)
@click.argument("words", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@CONF
@DEBUG
def features_command(words: tuple[str, ...], as_json: bool, conf: str | None, debug: bool) -> None:
    """List the features: meaning, unit, formula, class, when NULL, version and owner.

    With WORDS, those that mention each of them anywhere. Piped, a feature is one line of fields
    between tabs, after a line with their names.

    Example: paceline features load 7d
    """
    from paceline.contract import load_all
    from paceline.docs.catalogue import catalogue, matching
    from paceline.settings import conf_directory

    found = matching(catalogue(load_all(conf_directory(conf) / "contracts")), words)
    if as_json:
        say_json([asdict(feature) for feature in found])
    elif not found:
        say(f"No feature mentions {' and '.join(words)}.", is_error=True)
    elif sys.stdout.isatty():
        _print(found)
    else:
        say_fields(_fields(found))


def _fields(found: Sequence[Feature]) -> list[list[str]]:
    rows = [[" ".join(value.split()) for value in vars(feature).values()] for feature in found]
    return [[field.name for field in fields(found[0])], *rows]


def _print(found: Sequence[Feature]) -> None:
    for source, features in groupby(found, key=lambda feature: feature.source):
        shown = list(features)
        about = f"{source} {shown[0].version}, {shown[0].kind}, owner: {shown[0].owner or 'none'}"
        columns = [*words("feature"), *texts("unit", "meaning and formula", "when NULL")]
        say_grid(about, columns, map(_row, shown))


def _row(feature: Feature) -> tuple[str, ...]:
    formula = f" = {feature.formula}" if _has_own_formula(feature) else ""
    return feature.name, feature.unit, f"{feature.meaning}{formula}", feature.null_rule


def _has_own_formula(feature: Feature) -> bool:
    return feature.formula not in ("", feature.meaning)
