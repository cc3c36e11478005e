"""`paceline features`: the catalogue of what models may use. It needs no PySpark, no warehouse."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import groupby
from typing import TYPE_CHECKING

import click

from paceline.cli.places import CONF, DEBUG

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
    from paceline.run import conf_directory

    found = matching(catalogue(load_all(conf_directory(conf) / "contracts")), words)
    if as_json:
        click.echo(json.dumps([asdict(feature) for feature in found], indent=2))
    elif not found:
        click.echo(f"No feature mentions {' and '.join(words)}.", err=True)
    elif sys.stdout.isatty():
        _print(found)
    else:
        click.echo("\n".join(_lines(found)))


def _lines(found: Sequence[Feature]) -> list[str]:
    rows = [[field.name for field in fields(found[0])]]
    rows += [[" ".join(value.split()) for value in vars(feature).values()] for feature in found]
    return ["\t".join(row) for row in rows]


def _print(found: Sequence[Feature]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as Grid

    console = Console(markup=False, emoji=False, highlight=False)
    for source, features in groupby(found, key=lambda feature: feature.source):
        shown = list(features)
        about = f"{source} {shown[0].version}, {shown[0].kind}, owner: {shown[0].owner or 'none'}"
        grid = Grid(title=about, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        grid.add_column("feature", no_wrap=True)
        for heading in ("unit", "meaning and formula", "when NULL"):
            grid.add_column(heading, overflow="fold")
        for feature in shown:
            formula = f" = {feature.formula}" if _has_own_formula(feature) else ""
            said = f"{feature.meaning}{formula}"
            grid.add_row(feature.name, feature.unit, said, feature.null_rule)
        console.print(grid)


def _has_own_formula(feature: Feature) -> bool:
    return feature.formula not in ("", feature.meaning)
