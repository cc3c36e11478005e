"""`paceline report`: one page about an athlete, or about the runs of the pipeline.

What needs PySpark is imported inside the functions, so that the help does without.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paceline.cli.places import DEBUG, PLACES, check_out, need_pyspark, unwritable, with_options
from paceline.cli.screen import say
from paceline.errors import UsageError

if TYPE_CHECKING:
    from paceline.pipeline.arguments import Options

WEEKS = 26
# Longer than any history; a page of ten years is slow, but it opens.
MOST_WEEKS = 2000


_EXAMPLES = """\b
Examples:
  paceline report --athlete 1001 -o report.html
  paceline report --pipeline -o runs.html --weeks 8"""


@click.command("report", epilog=_EXAMPLES)
@click.option("--athlete", type=int, help="Whom it is about: their id. Example: --athlete 1001")
@click.option("--pipeline", is_flag=True, help="About the runs, and nobody.")
@click.option(
    "--out",
    "-o",
    default="report.html",
    show_default=True,
    help="The page; one that is there is replaced. Example: -o report.html",
)
@click.option(
    "--weeks",
    type=click.IntRange(1, MOST_WEEKS),
    default=WEEKS,
    show_default=True,
    help="How far back, from the newest day or run. Example: --weeks 52",
)
@with_options(*PLACES)
@DEBUG
def report_command(
    athlete: int | None, pipeline: bool, out: str, weeks: int, debug: bool, **places: Any
) -> None:
    """Write one page of charts and tables, which needs no network and no script.

    With --athlete: training load, weekly volume by sport, workload ratio, run pace and data
    quality. That page holds PERSONAL DATA, the id of the athlete among it: keep it and pass it on
    as such. With --pipeline: durations, rows and refused records of the runs, without anything
    personal. No table is changed.
    """
    if pipeline == (athlete is not None):
        raise UsageError(
            "A report is about one thing: give either --athlete with an id, or --pipeline."
        )
    path = Path(out)
    check_out(path, "report")
    need_pyspark()
    from paceline.pipeline.arguments import Options

    options = Options(**places)
    page = _pipeline(options, weeks) if athlete is None else _athlete(options, athlete, weeks)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise unwritable(path, "report", str(error.strerror)) from error
    about = "the pipeline" if athlete is None else "an athlete; it holds personal data"
    say(f"{path}: a report about {about}")


def _athlete(options: Options, athlete_id: int, weeks: int) -> str:
    from paceline.cli.opening import looked_at
    from paceline.contract import load_all
    from paceline.report import athlete_page, reading
    from paceline.settings import conf_directory

    contracts = load_all(conf_directory(options.conf) / "contracts")
    found = reading.read_athlete(looked_at(options), contracts, athlete_id, weeks)
    return athlete_page.render(found)


def _pipeline(options: Options, weeks: int) -> str:
    from paceline.cli.opening import looked_at
    from paceline.pipeline import jobs
    from paceline.report import pipeline_page, reading

    order = [table.name for table in jobs.TABLES]
    return pipeline_page.render(reading.read_pipeline(looked_at(options), order, weeks))
