"""`paceline online`: the online store, which holds for every athlete the newest gold row.

Feast is imported inside the functions, so that the help does without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from paceline.cli.places import DEBUG, PERSONAL, PLACES, with_options
from paceline.cli.screen import HIDDEN, numbers, say, say_grid, say_json, texts, words
from paceline.errors import PacelineError
from paceline.settings import conf_directory, load_settings

if TYPE_CHECKING:
    from paceline.online.gold import Gold
    from paceline.online.repository import Repository
    from paceline.online.store import Online
    from paceline.online.sync import Synced
    from paceline.online.verify import Compared
    from paceline.pipeline.arguments import Options

REPO = click.option(
    "--repo",
    default="feature_repo",
    show_default=True,
    help="The feature repository: its directory, or one of its yaml files. "
    "Example: --repo feature_repo/redis.yaml",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
# So many athletes are named of those who are wrong.
_SHOWN = 5


@click.group("online")
def online_group() -> None:
    """The online store: registry and views, an exact sync, and the proof of it."""


@online_group.command("apply")
@with_options(REPO, *PLACES, DEBUG)
def apply_command(repo: str, debug: bool, **places: Any) -> None:
    """Register the views that are made from the contracts, as `feast apply` does.

    Example: paceline online apply --warehouse data/warehouse
    """
    from paceline.cli.opening import root_and_catalog
    from paceline.online.repository import apply

    with _repository(repo) as found:
        root_and_catalog(_options(**places))
        apply(found, _environment(**places))
    say(f"{found.file}: the views of the project {found.project} are registered")


@online_group.command("sync")
@with_options(
    REPO,
    click.option("--everybody", is_flag=True, help="Compare all athletes, whatever was synced."),
    *PLACES,
    DEBUG,
)
def sync_command(repo: str, everybody: bool, debug: bool, **places: Any) -> None:
    """Make the store equal to gold, at the cost of the athletes that have changed.

    No Java is needed where the tables are files. What a sync has left unfinished, the next one
    repairs.

    Example: paceline online sync --warehouse data/warehouse
    """
    sync_store(repo, places, is_everybody=everybody)


def sync_store(
    repo: str, places: dict[str, Any], *, is_everybody: bool = False, applies: bool = False
) -> list[Synced]:
    """Makes a store equal to gold, and says what was done to each view.

    Args:
        repo: the feature repository.
        places: where the tables are, by option.
        is_everybody: whether everybody is compared, whatever was synced.
        applies: whether the views are registered first.

    Raises:
        UsageError: when views or tables are missing, or belong to different places.
        LockedError: when another sync is at work.
        PacelineError: when the store does not answer.
    """
    from paceline.online.repository import apply
    from paceline.online.sync import sync

    with _repository(repo) as found:
        gold = _gold(**places)
        if applies:
            apply(found, _environment(**places))
        online, started = _opened(found), datetime.now(UTC)
        done = sync(online, gold, started, is_everybody=is_everybody)
    for view in done:
        say(_told(view))
    _send_lineage(found, gold, done, started)
    return done


@online_group.command("verify")
@with_options(REPO, *PLACES, _JSON, PERSONAL, DEBUG)
def verify_command(repo: str, as_json: bool, is_personal: bool, debug: bool, **places: Any) -> None:
    """Compare the store with gold, value by value, through Feast's own way of reading.

    Everybody is compared who is in gold or in the store, at the version and the instant of the last
    sync. Exit code 1 when anything differs.

    Example: paceline online verify --warehouse data/warehouse
    """
    from paceline.online.verify import verify

    with _repository(repo) as found:
        compared = verify(_opened(found), _gold(**places))
    facts = [_facts(view, is_personal=is_personal) for view in compared]
    if as_json:
        say_json(facts, is_personal=is_personal)
    else:
        columns = [
            *words("view"),
            *numbers("version"),
            *texts("as of"),
            *numbers("athletes", "wrong", "pushed"),
            *texts("for example"),
        ]
        say_grid("The online store beside gold", columns, map(_compared_row, facts))
    if wrong := sum(len(view.wrong) for view in compared):
        raise PacelineError(
            f"The online store differs from gold for {wrong:,} athletes: run `paceline online sync "
            "--everybody`; if they differ again later, something else writes to the store."
        )


@online_group.command("status")
@with_options(REPO, *PLACES, _JSON, DEBUG)
def status_command(repo: str, as_json: bool, debug: bool, **places: Any) -> None:
    """Show up to where the store is exact, and how far gold is ahead.

    Example: paceline online status --warehouse data/warehouse
    """
    from paceline.online.status import status

    with _repository(repo) as found:
        facts = status(found, _opened(found), _gold(**places), datetime.now(UTC))
    if as_json:
        say_json(facts)
        return
    say_status(facts)


def say_status(facts: dict[str, Any]) -> None:
    """Says up to where a store is exact, and how far gold is ahead in each view."""
    rows = [
        (
            view["view"],
            "" if view["version"] is None else f"{view['version']:,}",
            f"{view['gold_version']:,}",
            f"{view['athletes']:,}",
        )
        for view in facts["views"]
    ]
    if facts["is_unfinished"]:
        as_of = "a sync was not finished, run `paceline online sync`"
    elif facts["as_of"] is None:
        as_of = "never synced"
    else:
        as_of = f"exact as of {facts['as_of']:%Y-%m-%d %H:%M} UTC"
    say(f"The online store ({facts['store']}): {as_of}")
    say_grid("Views", [*words("view"), *numbers("version", "gold", "athletes")], rows)


@online_group.command("push")
@click.argument("lines", type=click.File(encoding="utf-8-sig"), default="-", metavar="[FILE]")
@with_options(REPO, *PLACES, DEBUG)
def push_command(lines: TextIO, repo: str, debug: bool, **places: Any) -> None:
    """Show activities that have just ended, until the pipeline has them.

    FILE, or standard input, has a JSON object on each line, with values by column of the contract
    of activity_features. Only the view last_activity is reached, which no model is served. What
    ends earlier than what the store has is left out, and the next sync makes the view equal to gold
    again. One line that cannot be used refuses all.

    Example: paceline online push ended.jsonl --warehouse data/warehouse
    """
    from paceline.contract import load_all
    from paceline.online.push import push
    from paceline.online.views import PUSHABLE

    contract = load_all(conf_directory(places["conf"]) / "contracts")[PUSHABLE.table_name]
    with _repository(repo) as found:
        pushed = push(_opened(found), _gold(**places), contract, lines, datetime.now(UTC))
    say(f"{pushed.written:,} written, {pushed.older:,} not later than what the store has")


@online_group.command("check")
@with_options(
    REPO,
    click.option(
        "--sample",
        type=click.IntRange(min=1),
        default=100,
        show_default=True,
        help="How many athletes are compared in each view. Example: --sample 1000",
    ),
    click.option(
        "--server",
        metavar="URL",
        help="A feature server to ask, too. Example: --server http://127.0.0.1:6566",
    ),
    *PLACES,
    _JSON,
    DEBUG,
)
def check_command(
    repo: str, sample: int, server: str | None, as_json: bool, debug: bool, **places: Any
) -> None:
    """Look at the whole installation: registry, store, last sync, a sample of rows, a server.

    Exit code 1 when anything is not as it has to be.

    Example: paceline online check --warehouse data/warehouse
    """
    from paceline.online.check import check
    from paceline.online.repository import need_feast, repository

    found = repository(repo)
    need_feast()
    now = datetime.now(UTC)
    findings = check(found, _environment(**places), _gold(**places), now, sample, server)
    if as_json:
        say_json([finding._asdict() for finding in findings])
    else:
        rows = [(f.check, "ok" if f.is_good else "WRONG", f.what) for f in findings]
        say_grid(f"{found.file}", [*words("check", ""), *texts("what was found")], rows)
    if wrong := [finding.check for finding in findings if not finding.is_good]:
        raise PacelineError(
            f"The online store is not as it has to be ({', '.join(wrong)}): do what is said above."
        )


@contextmanager
def _repository(given: str) -> Iterator[Repository]:
    """The feature repository; what keeps its store from answering is said in a sentence."""
    from paceline.online.repository import need_feast, repository
    from paceline.online.store import speaking

    found = repository(given)
    need_feast()
    with speaking(found):
        yield found


def _opened(repo: Repository) -> Online:
    from paceline.online.store import opened

    return opened(repo)


def _options(**places: Any) -> Options:
    """The options of a command as the other commands take them."""
    from paceline.pipeline.arguments import Options

    return Options(**places)


def _gold(**places: Any) -> Gold:
    """The reader of the tables: without Spark where they are files."""
    from paceline.cli.opening import looked_at, root_and_catalog
    from paceline.online.gold import FileGold, TableGold

    options = _options(**places)
    root, _ = root_and_catalog(options)
    return TableGold(looked_at(options)) if root is None else FileGold(root)


def _environment(
    warehouse: str | None, catalog: str | None, schema: tuple[str, ...], conf: str | None
) -> dict[str, str]:
    """The place of the tables as the definitions of the repository read it."""
    from paceline.online import views

    settings = load_settings(conf_directory(conf))
    return {
        views.WAREHOUSE: str(Path(warehouse or settings.warehouse).resolve()),
        views.CATALOG: catalog or "",
        views.SCHEMA: ",".join(schema),
        views.CONF: str(Path(conf).resolve()) if conf else "",
    }


def _send_lineage(repo: Repository, gold: Gold, done: Sequence[Synced], started: datetime) -> None:
    """Hands over which version of which table each view was made equal to."""
    from paceline.online.views import SERVED
    from paceline.pipeline.execute import send_lineage
    from paceline.pipeline.jobs import ONLINE_SYNC

    root = gold.root
    namespace, finished = "unitycatalog" if root is None else "file", datetime.now(UTC)
    tables = {served.view: served.table_name for served in SERVED}

    def emit(lineage: Any) -> None:
        views = [
            lineage.Served(
                view=view.view,
                source=(namespace, gold.table(tables[view.view])),
                version=view.version,
                target=repo.dataset(view.view),
                rows=view.written,
                started_at=started,
                finished_at=finished,
            )
            for view in done
        ]
        lineage.emit_served(root, ONLINE_SYNC, views)

    send_lineage(emit)


def _told(view: Synced) -> str:
    why = f" (everybody was compared: {view.reason})" if view.reason else ""
    return (
        f"{view.view:<16} version {view.version}: {view.compared:,} athletes compared, "
        f"{view.written:,} written, {view.deleted:,} deleted{why}"
    )


def _facts(view: Compared, *, is_personal: bool) -> dict[str, Any]:
    facts = asdict(view)
    if not is_personal:
        facts["wrong"] = [{**wrong, "athlete_id": HIDDEN} for wrong in facts["wrong"]]
        facts["pushed"] = [HIDDEN for _ in facts["pushed"]]
    return facts


def _compared_row(facts: dict[str, Any]) -> tuple[str, ...]:
    wrong = facts["wrong"]
    examples = "; ".join(f"{one['athlete_id']}: {one['what']}" for one in wrong[:_SHOWN])
    return (
        facts["view"],
        f"{facts['version']:,}",
        f"{facts['as_of']:%Y-%m-%d %H:%M}",
        f"{facts['athletes']:,}",
        f"{len(wrong):,}",
        f"{len(facts['pushed']):,}",
        examples,
    )
