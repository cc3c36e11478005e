"""`paceline erase`: removes an athlete from all tables, and certifies what is left where.

What needs PySpark is imported inside the functions, so that the help does without.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paceline import __version__
from paceline.cli.places import DEBUG, PLACES, check_out, need_pyspark, unwritable, with_options
from paceline.errors import PacelineError, UsageError
from paceline.sources.files import HIDDEN, shown

if TYPE_CHECKING:
    from paceline.online.store import ErasedOnline, Online
    from paceline.operations.erase import Checked, Erasure
    from paceline.operations.find_athlete import Found
    from paceline.pipeline.arguments import Options
    from paceline.recipe import Table
    from paceline.store.erasures import Erased

FORMAT = 1
_log = logging.getLogger(__name__)

_EXAMPLES = """\b
Examples:
  paceline erase --athlete 1001 -o certificate.json
  paceline erase --athlete 1001 -o certificate.json --yes"""


@click.command("erase", epilog=_EXAMPLES)
@click.option(
    "--athlete",
    type=click.IntRange(min=1),
    required=True,
    help="Whom to erase: their id. Example: --athlete 1001",
)
@click.option(
    "--out",
    "-o",
    default="certificate.json",
    show_default=True,
    help="The certificate; one that is there is replaced. Example: -o certificate.json",
)
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask before erasing.")
@with_options(*PLACES)
@DEBUG
def erase_command(athlete: int, out: str, is_confirmed: bool, debug: bool, **places: Any) -> None:
    """Erase an athlete for ever, from all tables and what is kept beside them.

    Says first what there is, and asks. Keeps salted hashes, by which records of the athlete in new
    or old deliveries are refused from then on. The deliveries themselves have to be removed by you:
    they are listed. Old files go as soon as the retention of their table allows: the certificate
    says when, and erasing or maintenance removes them then. What was interrupted is finished by
    erasing again.
    """
    path = Path(out)
    check_out(path, "certificate")
    need_pyspark()
    from paceline.pipeline import jobs
    from paceline.pipeline.arguments import Options

    confirm = (lambda: True) if is_confirmed else _confirmed
    erase_athlete(jobs.TABLES, Options(**places), athlete, path, confirm)


def erase_athlete(
    recipes: Sequence[Table],
    options: Options,
    athlete_id: int,
    out: Path,
    confirm: Callable[[], bool] = lambda: True,
) -> dict[str, Any]:
    """Erases an athlete; returns the certificate, which is written to `out` too.

    Args:
        recipes: of all tables.
        options: where the tables are, and the settings.
        athlete_id: the athlete.
        out: the file of the certificate.
        confirm: asked once it has been said what there is; False erases nothing.

    Raises:
        UsageError: when there is no such warehouse or athlete.
        LockedError: when a run holds the local warehouse.
        PacelineError: when it was not confirmed, or rows are left because others have written.
    """
    from paceline.cli.opening import opened, root_and_catalog
    from paceline.operations import find_athlete
    from paceline.operations.erase import erase_everywhere, refuse_unknown
    from paceline.session import lock
    from paceline.store import erasures, ledger

    root, catalog = root_and_catalog(options)
    with lock(root), _online(options) as online:
        warehouse = opened(root, catalog, options.schema)
        refuse_unknown(recipes, ledger.table_names(warehouse))
        known = erasures.read(warehouse) or erasures.Erased(secrets.token_hex(32))
        with find_athlete.found(warehouse, recipes, athlete_id, known) as found:
            _say_found(found, known)
            if not confirm():
                raise PacelineError(
                    "Nothing was erased, because nobody has confirmed it: answer y, or give --yes."
                )
            erasure = erase_everywhere(warehouse, recipes, found, known)
        # After gold, from which a sync would bring the athlete back.
        erased_online = None if online is None else online.store.erase(athlete_id)
    certificate = _certificate(found, erasure) | _online_part(erased_online)
    _write(out, certificate)
    _say_done(out, erasure.checked)
    return certificate


@contextmanager
def _online(options: Options) -> Iterator[Online | None]:
    """The online store that follows the tables, closed to syncs; None when there is none."""
    from paceline.settings import conf_directory, load_settings

    configured = load_settings(conf_directory(options.conf)).feature_repo
    if configured is None:
        yield None
        return
    from paceline.online.repository import repository
    from paceline.online.store import opened, speaking

    repo = repository(configured)
    with speaking(repo):
        online = opened(repo)
        with online.store.lock():
            yield online


def _confirmed() -> bool:
    try:
        return click.confirm("Erase all of this for ever?")
    except click.Abort:
        return False


def _say_found(found: Found, known: Erased) -> None:
    """Says what there is of the athlete.

    Raises:
        UsageError: when there is nothing, and never was.
    """
    from paceline.store import erasures

    rows = sum(found.rows.values())
    if not rows and not known.has(erasures.ATHLETE, found.athlete_id):
        raise UsageError(
            "No table holds anything of this athlete: check the id given with --athlete; files "
            "that no run has read yet are not looked at."
        )
    tables = sum(count > 0 for count in found.rows.values())
    _log.info(f"{rows:,} rows in {tables} tables are of this athlete")
    if found.files:
        _log.info("Deliveries with their records, which you have to remove from the landing zone:")
    for file in found.files:
        others = f"{file.others:,} of others: keep those" if file.others else "and no others"
        path = re.sub(erasures.path_pattern(found.athlete_id), rf"\1{HIDDEN}", file.path)
        _log.info(f"  {shown(path)}: {file.records:,} records, {others}")


def _certificate(found: Found, erasure: Erasure) -> dict[str, Any]:
    """What is left of the athlete and where, without an id, a path or another personal value."""
    files = {file.digest: file for file in found.files}
    checked = erasure.checked
    return {
        "format": FORMAT,
        "athlete": erasure.athlete,
        "run_id": erasure.run_id,
        "code_version": __version__,
        "erased_at": _text(erasure.erased_at),
        "certified_at": _text(datetime.now(UTC)),
        "residual_rows": sum(table.residual_rows for table in checked),
        "vacuum_after": _text(_vacuum_after(checked)),
        "tables": [
            {name: _text(value) for name, value in asdict(table).items()} for table in checked
        ],
        "deliveries": [
            {
                "sha256": digest,
                "records": files[digest].records if digest in files else None,
                "records_of_others": files[digest].others if digest in files else None,
            }
            for digest in erasure.files
        ],
    }


def _online_part(erased: ErasedOnline | None) -> dict[str, Any]:
    """What the certificate says of the online store."""
    if erased is None:
        return {"online_rows": None, "online_files_rewritten": None}
    if not erased.are_files_rewritten:
        _log.warning(
            "The online store does not let its files be written anew: its log and its snapshots "
            "may name the athlete until its provider has replaced them"
        )
    return {
        "online_rows": erased.rows,
        "online_files_rewritten": erased.are_files_rewritten,
    }


def _vacuum_after(checked: Sequence[Checked]) -> datetime | None:
    return max((table.vacuum_after for table in checked if table.vacuum_after), default=None)


def _text(value: Any) -> Any:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value


def _say_done(out: Path, checked: Sequence[Checked]) -> None:
    left = [table.table_name for table in checked if table.residual_rows]
    if left:
        raise PacelineError(
            f"Rows of the athlete are left in {', '.join(left)}, because another run has written "
            f"meanwhile: stop the jobs and erase again; {out} says how many."
        )
    _log.info(f"{out}: no row of the athlete is left in any table")
    if (last := _vacuum_after(checked)) is not None:
        _log.info(
            f"Old files wait for VACUUM until {last:%Y-%m-%d %H:%M} UTC: erase again then, which "
            "removes them and certifies it"
        )


def _write(out: Path, certificate: dict[str, Any]) -> None:
    try:
        out.write_text(f"{json.dumps(certificate, indent=2)}\n", encoding="utf-8")
    except OSError as error:
        raise unwritable(out, "certificate", str(error.strerror)) from error
