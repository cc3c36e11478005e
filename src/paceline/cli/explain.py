"""`paceline explain`: where a value of the rolling table comes from.

What needs PySpark is imported inside the functions, so that the help does without.
"""

from __future__ import annotations

from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from paceline.cli.places import DEBUG, PLACES, need_pyspark, with_options
from paceline.cli.screen import say, say_json
from paceline.contract import Contract, load_all
from paceline.errors import PacelineError, UsageError
from paceline.pipeline.arguments import parse_day
from paceline.settings import conf_directory, load_settings

if TYPE_CHECKING:
    from paceline.explain.explanation import Explanation
    from paceline.pipeline.arguments import Options

LISTED = 40

_EXAMPLES = """\b
Examples:
  paceline explain --athlete 1001 --date 2026-06-28
  paceline explain --athlete 1001 --date 2026-06-28 --feature ctl_ewma_42d"""


@click.command("explain", epilog=_EXAMPLES)
@click.option(
    "--athlete", type=int, required=True, help="Whose value: their id. Example: --athlete 1001"
)
@click.option(
    "--date", "day", required=True, help="Of which day (as_of_date). Example: --date 2026-06-28"
)
@click.option(
    "--feature",
    help="The feature to explain in full; without it all of them, in short. "
    "Example: --feature tss_7d",
)
@click.option(
    "--activities",
    "listed",
    type=click.IntRange(min=1, max=1000),
    default=LISTED,
    show_default=True,
    help="How many activities are listed, those that add most. Example: --activities 100",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_options(*PLACES)
@DEBUG
def explain_command(
    athlete: int,
    day: str,
    feature: str | None,
    listed: int,
    as_json: bool,
    debug: bool,
    **places: Any,
) -> None:
    """Explain a value of the rolling table, PERSONAL DATA included.

    Shows the formula, the activities that count with their share or weight, the records that they
    come from with file and line, the run that published the row, and what the value was before and
    why it changed. It ends with the same number worked out again, by other code than that of the
    table. Nothing is written. Exit code 1 when the numbers are not the same.
    """
    need_pyspark()
    from paceline.cli.explain_screen import as_data, lines
    from paceline.pipeline.arguments import Options

    options = Options(**places)
    asked = parse_day(day, "--date")
    if asked is None:
        raise UsageError("--date is empty: give a day, for example --date 2026-06-28.")
    contracts = load_all(conf_directory(options.conf) / "contracts")
    if feature is not None:
        _check_feature(feature, contracts)
    found = _explained(options, contracts, athlete, asked, feature, listed)
    if as_json:
        say_json(as_data(found), is_personal=True)
    else:
        say(*lines(found), is_personal=True)
    if found.differing:
        raise PacelineError(
            f"{', '.join(found.differing)}: the table has another value than its activities give; "
            "look with `paceline verify`, and report it if that finds the table as it should be."
        )


def _check_feature(feature: str, contracts: dict[str, Contract]) -> None:
    from paceline.explain.explanation import features_of
    from paceline.explain.reading import ROLLING

    names = [column.name for column in features_of(contracts[ROLLING])]
    if feature in names:
        return
    close = get_close_matches(feature, names, n=3, cutoff=0.5) or names[:3]
    raise UsageError(
        f"--feature {feature!a} is no feature of {ROLLING}: ask for {', '.join(close)}, or leave "
        "it away to see all of them."
    )


def _explained(
    options: Options,
    contracts: dict[str, Contract],
    athlete_id: int,
    day: date,
    feature: str | None,
    listed: int,
) -> Explanation:
    from paceline.cli.opening import looked_at
    from paceline.explain.explanation import explain
    from paceline.pipeline.execute import policies_in_force
    from paceline.recipe import Context

    settings = load_settings(conf_directory(options.conf)).for_recipes()
    context = Context(settings, contracts, policies_in_force(contracts, None))
    return explain(looked_at(options), context, athlete_id, day, feature, listed)
