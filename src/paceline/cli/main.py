"""The command `paceline`, and the entry of the job files, which take the same arguments."""

from __future__ import annotations

import builtins
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paceline import __version__
from paceline.cli.erase import erase_command
from paceline.cli.explain import explain_command
from paceline.cli.features import features_command
from paceline.cli.online import REPO, online_group, sync_store
from paceline.cli.places import DEBUG, LANDING, PERSONAL, PLACES, QUIET, need_pyspark, with_options
from paceline.cli.quarantine import quarantine_group
from paceline.cli.report import report_command
from paceline.cli.screen import be_quiet, logged, progress, say, steps
from paceline.cli.secrets import SECRET_SCOPE, fill_environment
from paceline.errors import PacelineError

if TYPE_CHECKING:
    from paceline.pipeline.arguments import Options

_OPTIONS = [
    click.option(
        "--start",
        help="Reprocess activities that start at or after this date or ISO timestamp (UTC without "
        "a zone); without it everything that has changed is caught up. Environment: START_TIME. "
        "Example: --start 2024-01-01",
    ),
    click.option(
        "--end",
        help="The first instant after the window; it also bounds the days of the rolling table. "
        "Environment: END_TIME. Example: --end 2024-02-01",
    ),
    LANDING,
    *PLACES,
    click.option(
        "--horizon",
        help="Last day of the rolling table; only this may pass yesterday, and it never shrinks. "
        "Example: --horizon 2024-01-31",
    ),
    click.option(
        "--policy",
        type=click.Choice(["STRICT", "QUARANTINE", "ALWAYS"]),
        help="What a broken rule does, for all tables instead of what each contract says. "
        "Example: --policy STRICT",
    ),
    click.option(
        "--accept",
        help="Publish what the audit of this run has rejected, as far as it is no worse now. "
        "Example: --accept 20240101T060000-1a2b3c4d",
    ),
    click.option("--git-commit", help="Provenance for the ledger. Example: --git-commit 1a2b3c4"),
    click.option("--target", help="Provenance: the deployment. Example: --target prod"),
    click.option("--job-run-id", help="Provenance: the platform's run. Example: --job-run-id 7"),
    DEBUG,
]

job_options = with_options(*_OPTIONS)


@click.group(help="Athlete activities to audited feature tables on Delta Lake.")
@click.version_option(__version__)
def paceline() -> None:
    """The group of all commands."""


@paceline.command("run")
@job_options
@QUIET
def run_command(is_quiet: bool, **arguments: Any) -> None:
    """Run Feature_Activity and Feature_Rolling in one session.

    Example: paceline run --landing data/landing --warehouse data/warehouse
    """
    need_pyspark()
    from paceline.pipeline import jobs
    from paceline.pipeline.execute import execute

    be_quiet(is_quiet)
    with progress(is_quiet=is_quiet) as doing:
        execute(jobs.JOBS, _options(arguments), hook=steps(doing))


@paceline.command("plan")
@job_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@PERSONAL
def plan_command(as_json: bool, is_personal: bool, **arguments: Any) -> None:
    """Show what a run with the same arguments would do, and change nothing.

    Both jobs run in a temporary copy that links to the files of a local warehouse, so that a plan
    says what the run will say, and takes as long. Exit code 0, also when an audit would reject.

    Example: paceline plan --landing data/landing --warehouse data/warehouse
    """
    need_pyspark()
    from paceline.cli.plan import plan, show
    from paceline.pipeline import jobs

    # What a run says of itself would be of one that cannot be found later.
    be_quiet(True)
    with progress(is_quiet=False) as doing:
        planned = plan(jobs.JOBS, _options(arguments), hook=steps(doing))
    show(planned, as_json=as_json, is_personal=is_personal)


@paceline.command("generate")
@click.option("--athletes", type=int, default=40, show_default=True, help="How many athletes.")
@click.option("--days", type=int, default=730, show_default=True, help="How many days of history.")
@click.option("--seed", type=int, default=7, show_default=True, help="Equal seeds, equal bytes.")
@click.option("--end", help="The last day. Example: --end 2026-06-30")
@click.option("--into", default="landing", show_default=True, help="An empty or new directory.")
@DEBUG
def generate_command(
    athletes: int, days: int, seed: int, end: str | None, into: str, debug: bool
) -> None:
    """Write a synthetic landing zone, with all the ugly things of real ones.

    Example: paceline generate --athletes 40 --days 730 --seed 7 --into landing
    """
    from paceline.generate import generate
    from paceline.pipeline.arguments import parse_day

    made = generate(
        Path(into), athletes=athletes, days=days, seed=seed, end=parse_day(end, "--end")
    )
    say(
        f"{into}: {made.files} files with {made.records} activity records of {made.activities} "
        f"activities of {made.athletes} athletes, and {made.settings} settings"
    )


@paceline.command("status")
@LANDING
@with_options(*PLACES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--check",
    "is_check",
    is_flag=True,
    help="For monitoring: exit code 1 when a table was not published by its last run, is older "
    "than its contract promises, or differs from its rebuild.",
)
@PERSONAL
@DEBUG
def status_command(
    as_json: bool, is_check: bool, is_personal: bool, debug: bool, **places: Any
) -> None:
    """Show what is published, how old it is, what waits, and how the last runs went.

    Example: paceline status --warehouse data/warehouse
    """
    need_pyspark()
    from paceline.cli.status import show
    from paceline.pipeline import jobs
    from paceline.pipeline.arguments import Options

    shown = {"as_json": as_json, "is_check": is_check, "is_personal": is_personal}
    show(jobs.TABLES, Options(**places), **shown)


@paceline.command("verify")
@click.option(
    "--athletes",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many athletes to compare; the same ones every time. Example: --athletes 100",
)
@click.option("--all", "everyone", is_flag=True, help="Compare every row of every athlete.")
@click.option("--table", help="Compare this table only. Example: --table silver.strava_activities")
@with_options(*PLACES)
@click.option(
    "--policy",
    type=click.Choice(["STRICT", "QUARANTINE", "ALWAYS"]),
    help="The --policy that the tables have been made with, if any.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@PERSONAL
@QUIET
@DEBUG
def verify_command(
    athletes: int,
    everyone: bool,
    table: str | None,
    as_json: bool,
    is_personal: bool,
    is_quiet: bool,
    debug: bool,
    **arguments: Any,
) -> None:
    """Rebuild from bronze, beside the published tables, and compare bit by bit.

    Nothing is written but the verdict, to the ledger. Exit code 1 when a row differs.

    Example: paceline verify --all --warehouse data/warehouse
    """
    need_pyspark()
    from paceline.cli.verify import verify_tables
    from paceline.pipeline import jobs
    from paceline.pipeline.arguments import Options

    athletes_asked = None if everyone else athletes
    shown = {"as_json": as_json, "is_quiet": is_quiet, "is_personal": is_personal}
    with progress(is_quiet=is_quiet) as doing:
        doing("comparing with a rebuild from bronze")
        verify_tables(jobs.TABLES, Options(**arguments), athletes_asked, table, **shown)


@paceline.command("docs")
@click.option("--out", default="site", show_default=True, help="An empty or new directory.")
@with_options(*PLACES)
@click.option("--no-data", is_flag=True, help="Contract pages only; no warehouse is opened.")
@DEBUG
def docs_command(out: str, no_data: bool, debug: bool, **places: Any) -> None:
    """Write a static site: what each table promises, and how its last batches were judged.

    Example: paceline docs --out site
    """
    need_pyspark()
    from paceline.cli.docs import audits, write_site
    from paceline.pipeline.arguments import Options

    options = Options(**places)
    results = {} if no_data else audits(options)
    write_site(Path(out), options.conf, results)


@paceline.command("maintenance")
@click.option(
    "--retention-hours",
    type=int,
    help="How long files are kept that are no longer part of a table, from 168 to 720 hours; "
    "without it as long as each table states, 168 hours at least. Changes that a later run has to "
    "read are kept in any case. Example: --retention-hours 336",
)
@with_options(*PLACES)
@QUIET
@DEBUG
def maintenance_command(
    retention_hours: int | None, is_quiet: bool, debug: bool, **places: Any
) -> None:
    """Put small files together, and remove what no later run needs.

    Once a week is enough, between two runs. No row changes, and one that finds nothing to do
    commits nothing.

    Example: paceline maintenance --warehouse data/warehouse
    """
    need_pyspark()
    from paceline.cli.maintenance import maintain_tables
    from paceline.pipeline import jobs
    from paceline.pipeline.arguments import Options

    be_quiet(is_quiet)
    with progress(is_quiet=is_quiet) as doing:
        doing("putting files together, and removing what no run needs")
        maintain_tables(jobs.TABLES, Options(**places), retention_hours)


@paceline.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@DEBUG
def completion_command(shell: str, debug: bool) -> None:
    """Print the script with which a shell completes commands and options.

    Example: eval "$(paceline completion bash)"
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    say(*kind(paceline, {}, "paceline", "_PACELINE_COMPLETE").source().splitlines())


paceline.add_command(explain_command)
paceline.add_command(features_command)
paceline.add_command(online_group)
paceline.add_command(quarantine_group)
paceline.add_command(report_command)
paceline.add_command(erase_command)


def _options(arguments: dict[str, Any]) -> Options:
    """The arguments of a run, those that are missing from the environment."""
    from paceline.pipeline.arguments import Options

    given = {name: value for name, value in arguments.items() if name != "debug"}
    for flag, variable in (("start", "START_TIME"), ("end", "END_TIME")):
        given[flag] = given[flag] or os.environ.get(variable)
    return Options(**given)


def job_command(job: str) -> click.Command:
    """The command line of one job."""

    @click.command(job.lower(), help=f"Run {job}.", epilog=_EPILOG)
    @job_options
    def command(**arguments: Any) -> None:
        need_pyspark()
        from paceline.pipeline import jobs
        from paceline.pipeline.execute import execute

        execute({job: jobs.JOBS[job]}, _options(arguments))

    return command


_EPILOG = """\b
Without --start a run catches up with everything that has changed, however old.
Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 rejected by the audit,
4 another run holds the warehouse."""


def exit_code(command: click.Command, arguments: Sequence[str]) -> int:
    """Runs a command and says errors in one sentence; returns the exit code."""
    is_debug = "--debug" in arguments
    with logged():
        try:
            command.main(list(arguments), standalone_mode=False)
        except click.ClickException as error:
            return _failed(f"{error.format_message()} See --help.", 2, is_debug)
        except click.Abort:
            return _failed("interrupted; nothing is half published, run again.", 1, is_debug)
        except PacelineError as error:
            return _failed(str(error), error.exit_code, is_debug)
        except Exception as error:
            first_line = next(iter(str(error).strip().splitlines()), "")
            fault = f"{type(error).__name__}: {first_line} Run again with --debug to see where."
            return _failed(fault, 1, is_debug)
    return 0


def _failed(message: str, code: int, is_debug: bool) -> int:
    if is_debug:
        say(*traceback.format_exc().splitlines(), is_error=True)
    say(f"paceline: {message}", is_error=True)
    return code


def run_job(job: str) -> None:
    """The whole of a job file: exits only when it has failed, as job platforms expect.

    In IPython, which says nothing about an exit but that there was one, the error itself comes out.
    """
    _run_file(job_command(job))


def run_maintenance() -> None:
    """The whole of the job file of maintenance; ends as `run_job` does."""
    _run_file(maintenance_command)


@click.command("online_sync")
@with_options(REPO, *PLACES, SECRET_SCOPE, DEBUG)
def sync_job_command(repo: str, secret_scope: str | None, debug: bool, **places: Any) -> None:
    """Register the views of the contracts, and make the online store equal to gold."""
    from paceline.pipeline.execute import alerting
    from paceline.pipeline.jobs import ONLINE_SYNC

    with alerting([ONLINE_SYNC]):
        if secret_scope:
            fill_environment(secret_scope)
        sync_store(repo, places, applies=True)


def run_sync() -> None:
    """The whole of the job file of the online store; ends as `run_job` does."""
    _run_file(sync_job_command)


def _run_file(command: click.Command) -> None:
    arguments = sys.argv[1:]
    if hasattr(builtins, "get_ipython"):
        with logged():
            command.main(arguments, standalone_mode=False)
    elif code := exit_code(command, arguments):
        sys.exit(code)


def main() -> None:
    """The `paceline` command."""
    sys.exit(exit_code(paceline, sys.argv[1:]))
