"""`paceline quarantine`: the records that were refused, and what can be done about them.

What needs PySpark is imported inside the functions, so that the help does without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from paceline.cli.places import DEBUG, PLACES, need_pyspark, with_options
from paceline.cli.quarantine_screen import as_data, print_groups, print_records, shown
from paceline.cli.screen import say, say_json
from paceline.contract import Contract, load_all
from paceline.errors import RejectedError, UsageError
from paceline.session import lock
from paceline.settings import conf_directory
from paceline.store import quarantine
from paceline.store.quarantine import Wanted

if TYPE_CHECKING:
    from paceline.pipeline.arguments import Options
    from paceline.store.warehouse import Warehouse


class _ListByDefault(click.Group):
    """A group that lists when no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


_PLACE = (*PLACES, DEBUG)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_TABLE = click.option(
    "--table",
    "table_name",
    help="The table that refused them. Example: --table silver.strava_activities",
)
_WANTED = [
    _TABLE,
    click.option("--reason", help="A rule they break, or unreadable. Example: --reason unreadable"),
    click.option("--athlete", "athlete_id", type=int, help="In their key. Example: --athlete 1001"),
    click.option("--run", "run_id", help="The run that refused or resolved them."),
    click.option("--resolved", "is_resolved", is_flag=True, help="Resolved ones, not open ones."),
]


_EXAMPLES = """\b
Examples:
  paceline quarantine
  paceline quarantine --table silver.strava_activities --reason run_speed_max
  paceline quarantine --athlete 1001 --resolved
  paceline quarantine group
  paceline quarantine show 3fa9c1
  paceline quarantine redrive --table silver.athlete_settings
  paceline quarantine prune --older-than 90 --dry-run"""


@click.group("quarantine", cls=_ListByDefault, epilog=_EXAMPLES)
def quarantine_group() -> None:
    """Look into the quarantine: records that a table refused, with the rules they break.

    Without a command it lists. A record leaves by itself when a newer version of it passes, or
    when the rule changes.
    """


@quarantine_group.command("list")
@with_options(*_WANTED)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows.")
@_JSON
@with_options(*_PLACE)
def list_command(limit: int, as_json: bool, **arguments: Any) -> None:
    """List refused records, the newest first.

    What is personal in them is hidden: payloads, values, and ids of athletes and activities.

    Example: paceline quarantine list --reason unreadable --limit 50
    """
    options, wanted = _options(arguments), _wanted(arguments)
    found, total = quarantine.records(_opened(options), wanted, limit)
    contracts = _contracts(options)
    if as_json:
        listed = [as_data(record, contracts.get(record.table_name)) for record in found]
        say_json({"records": listed, "total": total})
        return
    if not found:
        say(f"No {'resolved' if wanted.is_resolved else 'open'} record is like that.")
        return
    print_records(found, contracts, is_resolved=wanted.is_resolved)
    if total > len(found):
        say(
            f"{total - len(found):,} more: raise --limit, or ask for fewer with --table, --reason, "
            "--athlete or --run."
        )


@quarantine_group.command("group")
@with_options(*_WANTED, _JSON, *_PLACE)
def group_command(as_json: bool, **arguments: Any) -> None:
    """Count refused records by table and broken rule.

    A record that breaks two rules counts under each of them, and once in the last line.

    Example: paceline quarantine group --table silver.strava_activities
    """
    options, wanted = _options(arguments), _wanted(arguments)
    *found, total = quarantine.groups(_opened(options), wanted)
    if as_json:
        say_json({"groups": [asdict(group) for group in found], "total": asdict(total)})
        return
    if not found:
        say(f"No {'resolved' if wanted.is_resolved else 'open'} record is like that.")
        return
    print_groups(found, total)


@quarantine_group.command("show")
@click.argument("reject_key")
@with_options(_TABLE, _JSON, *_PLACE)
def show_command(reject_key: str, table_name: str | None, as_json: bool, **arguments: Any) -> None:
    """Show one refused record, PERSONAL DATA included.

    It is shown as it was received, with the rules it breaks and where it came from.

    REJECT_KEY is what the list shows, or as many of its first digits as no other has. The other
    commands of the quarantine print no payload, no id of an athlete and no value of a record.

    Example: paceline quarantine show 3fa9c1
    """
    options = _options(arguments)
    _check_table(table_name)
    found = quarantine.find(_opened(options), reject_key, table_name)
    if as_json:
        say_json({"records": [asdict(record) for record in found]}, is_personal=True)
        return
    say(*shown(found, _contracts(options).get(found[0].table_name)), is_personal=True)


@quarantine_group.command("redrive")
@with_options(_TABLE)
@click.option("--landing", help="Where deliveries are dropped. Example: --landing data/landing")
@click.option(
    "--policy",
    type=click.Choice(["STRICT", "QUARANTINE", "ALWAYS"]),
    help="The --policy that the jobs are run with, if any.",
)
@with_options(*_PLACE)
def redrive_command(table_name: str | None, **arguments: Any) -> None:
    """Judge the open records again.

    Runs both jobs to catch up, and compares every row of the tables that refuse records. It is not
    needed after a newer version of a record or a change of a contract or a setting: the next run
    sees those. It is for what the program cannot know, such as changed code or bronze mended by
    hand.

    Example: paceline quarantine redrive --landing landing --warehouse warehouse
    """
    options = _options(arguments)
    _check_table(table_name)
    _redrive(options, table_name)


@quarantine_group.command("prune")
@click.option(
    "--older-than",
    type=click.IntRange(min=0, max=36500),
    required=True,
    metavar="DAYS",
    help="Days since they were resolved. Example: --older-than 90",
)
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@with_options(*_PLACE)
def prune_command(older_than: int, dry_run: bool, **arguments: Any) -> None:
    """Delete records that were resolved long ago.

    Open ones are never deleted, because the next run compares what it refuses with them. Readers
    no longer see deleted ones, but their bytes stay in the files until these are rewritten (REORG
    TABLE ... APPLY (PURGE)) and removed (VACUUM).

    Example: paceline quarantine prune --older-than 90
    """
    options = _options(arguments)
    from paceline.cli.opening import opened, root_and_catalog

    before = datetime.now(UTC) - timedelta(days=older_than)
    root, catalog = root_and_catalog(options)
    with lock(None if dry_run else root):
        warehouse = opened(root, catalog, options.schema)
        count = (
            quarantine.prunable(warehouse, before)
            if dry_run
            else quarantine.prune(warehouse, before)
        )
    done = "to be deleted" if dry_run else "deleted"
    say(f"Records {done}, resolved before {before:%Y-%m-%d %H:%M} UTC: {count:,}")


def _options(arguments: dict[str, Any]) -> Options:
    """The arguments that say where the tables are and how jobs run; they are taken out."""
    need_pyspark()
    from paceline.pipeline.arguments import Options

    arguments.pop("debug")
    names = ("landing", "warehouse", "catalog", "schema", "conf", "policy")
    return Options(**{name: arguments.pop(name) for name in names if name in arguments})


def _wanted(arguments: Mapping[str, Any]) -> Wanted:
    _check_table(arguments["table_name"])
    return Wanted(**arguments)


def _check_table(name: str | None) -> None:
    from paceline.pipeline import jobs

    names = [table.name for table in jobs.TABLES]
    if name is not None and name not in names:
        raise UsageError(f"--table is {name!r}; allowed are {', '.join(names)}.")


def _opened(options: Options) -> Warehouse:
    from paceline.cli.opening import opened, root_and_catalog

    return opened(*root_and_catalog(options), options.schema)


def _contracts(options: Options) -> dict[str, Contract]:
    return load_all(conf_directory(options.conf) / "contracts")


def _redrive(options: Options, table_name: str | None) -> None:
    from paceline.pipeline import jobs
    from paceline.pipeline.execute import execute

    warehouse = _opened(options)
    compared = frozenset(n for n in quarantine.open_counts(warehouse) if table_name in (None, n))
    if not compared:
        say(f"{table_name or 'No table'} has {'no ' if table_name else ''}open records.")
        return
    # The machine dates what it refuses and resolves by the start of the run.
    now, rejected = datetime.now(UTC), None
    try:
        execute(jobs.JOBS, options, now=now, compare_all=compared)
    except RejectedError as error:
        rejected = error
    say("Of the records that were open:")
    for name, found in sorted(quarantine.outcomes(warehouse, now).items()):
        if name in compared:
            told = f"  {name:<40} {found.released:,} released, {found.remaining:,} remain"
            say(f"{told}; {found.added:,} refused anew" if found.added else told)
    if rejected is not None:
        raise rejected
