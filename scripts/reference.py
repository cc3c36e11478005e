"""Writes docs/reference/: what the code says of itself, so that no page repeats it by hand.

`make reference` runs it; a test fails when a page is not what it would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click

from paceline.cli.main import job_command, paceline, sync_job_command
from paceline.contract import Column, Contract, NullLimit, Rule, load_all
from paceline.docs.catalogue import KINDS, Feature, catalogue
from paceline.docs.pages import BROKEN_BATCH, BROKEN_ROW, amount, share
from paceline.pipeline.jobs import JOBS, TABLES

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
HELP_WIDTH = 88
NOTICE = "<!-- Written by `make reference`; edits are lost. -->\n"


def pages() -> dict[str, str]:
    """The text of each page, by the name of its file."""
    contracts = load_all(ROOT / "conf" / "contracts")
    made = {
        "features.md": _features(catalogue(contracts)),
        "commands.md": _commands(),
        "settings.md": _settings((ROOT / "conf" / "paceline.yml").read_text(encoding="utf-8")),
        "contracts.md": _contracts([contracts[table.name] for table in TABLES]),
    }
    return {name: f"{NOTICE}\n{text.rstrip()}\n" for name, text in made.items()}


def _features(features: list[Feature]) -> str:
    parts = [
        "# Features\n",
        "What models may use, from the contracts and the functions: the same as "
        "`paceline features`, which finds them by words.\n",
        _table(("class", "meaning"), list(KINDS.items())),
    ]
    for source, group in groupby(features, key=lambda feature: feature.source):
        shown = list(group)
        parts += [
            f"## {source}\n",
            f"Class {shown[0].kind}, version {shown[0].version}, owner {shown[0].owner}.\n",
            _table(
                ("feature", "meaning", "formula", "unit", "when NULL"),
                [_feature_cells(feature) for feature in shown],
            ),
        ]
    return "\n".join(parts)


def _feature_cells(feature: Feature) -> tuple[str, ...]:
    formula = feature.formula if feature.formula != feature.meaning else ""
    return f"`{feature.name}`", feature.meaning, formula, feature.unit, feature.null_rule


def _commands() -> str:
    parts = [
        "# Commands\n",
        "The texts of `--help`. The files of the two jobs take the arguments of `paceline run`, "
        "`jobs/maintenance.py` those of `paceline maintenance`.\n",
    ]
    jobs = {f"spark-submit jobs/{job.lower()}.py": job_command(job) for job in JOBS}
    jobs["spark-submit jobs/sync_online.py"] = sync_job_command
    listed = [*_below(paceline, "paceline"), *jobs.items()]
    for name, command in listed:
        context = click.Context(
            command, info_name=name, terminal_width=HELP_WIDTH, max_content_width=HELP_WIDTH
        )
        parts.append(f"## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


def _below(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, each with the words that call it."""
    yield name, command
    if isinstance(command, click.Group):
        for child in sorted(command.commands):
            yield from _below(command.commands[child], f"{name} {child}")


def _settings(text: str) -> str:
    return (
        "# Settings\n\n"
        "`conf/paceline.yml` as it is delivered. To change it, copy `conf/`, edit the copy, and "
        "give it with `--conf`.\n\n"
        f"```yaml\n{text.rstrip()}\n```\n"
    )


def _contracts(contracts: list[Contract]) -> str:
    parts = [
        "# Contracts\n",
        "What each table promises, from `conf/contracts/`. How records become rows is in "
        "[Tables](../tables.md).\n",
        *map(_contract, contracts),
    ]
    return "\n".join(parts)


def _contract(contract: Contract) -> str:
    limits = {limit.column: limit for limit in contract.thresholds.null_limits}
    facts = [
        f"Version {contract.version}, owner {contract.owner}, key "
        f"{', '.join(f'`{name}`' for name in contract.key)}, policy {contract.policy}. "
        f"{BROKEN_ROW[contract.policy]}",
        f"At most {share(contract.thresholds.max_broken_share)} of a batch of at least "
        f"{amount(contract.thresholds.min_rows)} rows may break an error rule. "
        f"{BROKEN_BATCH[contract.policy]}",
    ]
    columns = [_column_cells(column, limits.get(column.name)) for column in contract.columns]
    rules = [(f"`{r.name}`", r.severity, r.description, _predicate(r)) for r in contract.rules]
    return "\n".join(
        (
            f"## {contract.name}\n",
            f"{contract.description}\n",
            f"{' '.join(facts)}\n",
            _table(("column", "type", "unit", "meaning", "classification", "NULLs"), columns),
            _table(("rule", "severity", "meaning", "predicate"), rules),
        )
    )


def _column_cells(column: Column, limit: NullLimit | None) -> tuple[str, ...]:
    nulls = "none" if column.required else "any"
    if limit is not None:
        nulls = f"at most {share(limit.max_null_share)} ({limit.severity})"
    kind = column.classification or ""
    return f"`{column.name}`", column.type, column.unit or "", column.description, kind, nulls


def _predicate(rule: Rule) -> str:
    return f"`{rule.predicate}`"


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    """On one line, where a bar or an opening bracket is no markup."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if line.startswith("`") else line.replace("<", "&lt;")


def main() -> None:
    """Writes the pages, and removes those that are no longer made."""
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
