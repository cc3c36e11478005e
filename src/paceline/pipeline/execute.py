"""Runs jobs: where recipes, the machine and the edge meet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING

from paceline import __version__
from paceline.contract import Contract, load_all, refuse_nameless
from paceline.errors import PacelineError, RejectedError, UsageError
from paceline.intake import files
from paceline.intake.zone import LandingZone
from paceline.pipeline import alerts
from paceline.pipeline.arguments import Options, horizon, parse_day, parse_instant, window
from paceline.pipeline.jobs import JOBS, Jobs, layers_of, tables_of
from paceline.publish import steps
from paceline.publish.claim import Hook, Outcome, Run, no_hook, skipped
from paceline.recipe import Context, Table, Window
from paceline.runs import logged_as
from paceline.session import disk_trouble, lock, session
from paceline.settings import Settings, conf_directory, load_settings, webhook
from paceline.sources.files import Listing, listing
from paceline.sources.limits import Limits
from paceline.store import deliveries, ledger, ops
from paceline.store.ledger import Entry, Journal, new_run_id
from paceline.store.state import State, read_state
from paceline.store.warehouse import Warehouse, catalog_of, local_root, schema_names

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)
BLOCKED = (ledger.REJECTED, ledger.SKIPPED)


@dataclass(frozen=True)
class _Plan:
    """The arguments, understood."""

    settings: Settings
    contracts: dict[str, Contract]
    landing: Path
    listed: Listing | None
    root: Path | None
    catalog: str
    schemas: dict[str, str]
    window: Window | None
    end: datetime | None
    horizon: date | None
    now: datetime


def execute(
    jobs: Jobs,
    options: Options,
    *,
    hook: Hook = no_hook,
    spark: SparkSession | None = None,
    now: datetime | None = None,
    compare_all: Collection[str] = (),
    is_dry_run: bool = False,
) -> list[Entry]:
    """Runs jobs one after the other in one session; returns the last event of each table.

    Args:
        jobs: with their tables, in order.
        options: the arguments.
        hook: called around each step of each table.
        spark: the session; None takes the platform's, or makes a local one.
        now: the time of the run; None reads the clock, once.
        compare_all: tables of which every row is to be compared, whatever has changed.
        is_dry_run: whether nobody is to know: no alert and no lineage is sent, and a rejection
            is not raised.

    Raises:
        UsageError: when arguments, settings or input cannot be used.
        LockedError: when another run holds the local warehouse.
        RejectedError: when an audit has rejected a table; the others are done.
    """
    moment = now or datetime.now(UTC)
    run_ids = {job: new_run_id(moment) for job in jobs}
    with ExitStack() as held:
        # What belongs to no job carries the id of the first.
        held.enter_context(logged_as(next(iter(run_ids.values()))))
        with nullcontext() if is_dry_run else alerting(jobs):
            plan = _plan(jobs, options, moment)
            is_alone = held.enter_context(lock(plan.root))
            warehouse = Warehouse(
                spark or session(plan.root), plan.root, plan.catalog, plan.schemas
            )
            started = _started(jobs, options, plan, warehouse)
        common = replace(started, hook=hook, is_alone=is_alone, compare_all=compare_all)
        outcomes: dict[str, Outcome] = {}
        failure = None
        try:
            for job in jobs:
                tables = [table.name for table in jobs[job]]
                run = replace(common, run_id=run_ids[job], job=job, tables=tables)
                with logged_as(run.run_id):
                    _run_job(run, plan, jobs, outcomes)
            common.journal.write()
        except Exception as error:
            failure = error
            trouble = None if is_dry_run else disk_trouble(error, plan.root)
            if trouble is not None:
                failure = PacelineError(trouble)
                raise failure from error
            raise
        finally:
            with suppress(Exception):  # what waits is not lost with an error
                common.journal.write()
            if not is_dry_run:
                entries = [outcome.entry for outcome in outcomes.values()]
                _alert(jobs, entries, failure, warehouse)
                send_lineage(lambda lineage: lineage.emit(common, outcomes.values(), plan.landing))
    entries = [outcome.entry for outcome in outcomes.values()]
    rejected = [entry for entry in entries if entry.status == ledger.REJECTED]
    if rejected and not is_dry_run:
        raise RejectedError(" ".join(entry.message or entry.table_name for entry in rejected))
    return entries


def _started(jobs: Jobs, options: Options, plan: _Plan, warehouse: Warehouse) -> Run:
    """What all jobs share, on the opened warehouse."""
    policies = policies_in_force(plan.contracts, options.policy)
    state, journal = _opened(jobs, plan, policies, warehouse), Journal(warehouse)
    journal.follow(state.newest)
    return Run(
        run_id="",
        job="",
        warehouse=warehouse,
        context=Context(
            settings=plan.settings.for_recipes(),
            contracts=plan.contracts,
            policies=policies,
            window=plan.window,
            horizon=horizon(plan.end, plan.horizon, plan.now),
        ),
        state=state,
        journal=journal,
        started_at=plan.now,
        code_version=__version__,
        git_commit=options.git_commit or None,
        target=options.target or None,
        job_run_id=options.job_run_id or None,
        model_permission=plan.settings.model_permission,
        accepted=_accepted(options.accept, warehouse),
        recipes={table.name: table for table in tables_of(jobs)},
    )


def _plan(jobs: Jobs, options: Options, now: datetime) -> _Plan:
    directory = conf_directory(options.conf)
    settings = load_settings(directory)
    contracts = load_all(directory / "contracts")
    if missing := [name for name in _names(jobs) if name not in contracts]:
        raise UsageError(
            f"{directory / 'contracts'} has no contract for {', '.join(missing)}: copy it from the "
            "project's conf/contracts."
        )
    refuse_nameless(contracts[name] for name in _names(jobs))
    start = parse_instant(options.start, "--start")
    end = parse_instant(options.end, "--end")
    asked = window(start, end)
    last_day = parse_day(options.horizon, "--horizon")
    catalog = catalog_of(options.catalog or settings.catalog)
    schemas = schema_names(options.schema, layers_of(tables_of(jobs)))
    landing_root = Path(options.landing or settings.landing)
    warehouse = Path(options.warehouse or settings.warehouse)
    listed = listing(landing_root) if any(map(_is_fed, tables_of(jobs))) else None
    if listed is not None:
        _check_landing(listed, warehouse, catalog)
    if not catalog:
        _check_inputs(jobs, warehouse)
    return _Plan(
        settings=settings,
        contracts=contracts,
        landing=landing_root,
        listed=listed,
        root=None if catalog else local_root(warehouse),
        catalog=catalog,
        schemas=schemas,
        window=asked,
        end=end,
        horizon=last_day,
        now=now,
    )


def _check_landing(listed: Listing, warehouse: Path, catalog: str) -> None:
    """Refuses a landing zone with nothing in it, unless it has been emptied after earlier runs."""
    root, has_deliveries = listed.root, files.has_deliveries(listed)
    if not has_deliveries and not catalog and not _is_table(warehouse, "ops.deliveries"):
        for sentence in files.unknown_files(listed):
            _log.warning(sentence)
        raise UsageError(
            f"The landing directory {root} holds no delivery: put files into it, for example "
            f"{root}/strava_api/activities.jsonl, or name another one with --landing."
        )


def _check_inputs(jobs: Jobs, warehouse: Path) -> None:
    """Refuses a warehouse without the tables that other jobs have to make first."""
    made = {table.name for table in tables_of(jobs)}
    for name in _names(jobs):
        if name not in made and not _is_table(warehouse, name):
            raise UsageError(
                f"The warehouse {warehouse} holds no {name}, which {' and '.join(jobs)} reads: "
                f"{_first(name)} first, or name another one with --warehouse."
            )


def _first(name: str) -> str:
    """What makes a table that is missing."""
    makers = [job for job, tables in JOBS.items() if name in [table.name for table in tables]]
    return f"run {makers[0]}" if makers else "run the job that makes it"


def _names(jobs: Jobs) -> list[str]:
    """The tables that some jobs make or read."""
    return list(dict.fromkeys(n for table in tables_of(jobs) for n in (*table.inputs, table.name)))


def _is_fed(table: Table) -> bool:
    """Whether the landing zone feeds a table."""
    return not table.inputs


def _is_table(warehouse: Path, name: str) -> bool:
    return warehouse.joinpath(*name.split("."), "_delta_log").is_dir()


def _opened(jobs: Jobs, plan: _Plan, policies: Mapping[str, str], warehouse: Warehouse) -> State:
    """Makes the tables of the jobs known, creating what is missing; returns what has been done."""
    warehouse.create_schemas()
    ops.create(warehouse, is_run=True)
    for name in _names(jobs):
        steps.create(warehouse, plan.contracts[name], policies[name])
    return read_state(warehouse, [table.name for table in tables_of(jobs)])


def _run_job(run: Run, plan: _Plan, jobs: Jobs, outcomes: dict[str, Outcome]) -> None:
    """Adds the outcomes of the tables of a job to those of the jobs before it."""
    _log.info(f"{run.job}: {_described(plan.window)}")
    tables = jobs[run.job]
    # Read once, for all tables that the landing zone feeds.
    delivered = cache(lambda: deliveries.known(run.warehouse))
    if plan.listed is not None and any(map(_is_fed, tables)):
        for sentence in (*files.unknown_files(plan.listed), *files.refused_files(plan.listed)):
            _log.warning(sentence)
    try:
        for table in tables:
            started = monotonic()
            outcome = outcomes[table.name] = _publish(table, run, plan, outcomes, delivered)
            if outcome.error is not None:
                raise outcome.error
            _log.info(f"{_told(outcome.entry)}  {monotonic() - started:.1f} s")
    except Exception:
        with suppress(Exception):
            _give_up(run, jobs, outcomes)
        raise


def _give_up(run: Run, jobs: Jobs, outcomes: dict[str, Outcome]) -> None:
    """Notes, as far as that is still possible, that the tables after a failed one were left."""
    failed = next((name for name, outcome in outcomes.items() if outcome.error), run.job)
    for job, tables in jobs.items():
        for table in tables:
            if table.name not in outcomes:
                reason = f"{failed} has failed"
                outcomes[table.name] = skipped(table, replace(run, job=job), reason)
    run.journal.write()


@contextmanager
def alerting(jobs: Collection[str]) -> Iterator[None]:
    """Alerts people to an error that no table has in the ledger, and lets it out."""
    try:
        yield
    except Exception as error:
        _send(jobs, [], error)
        raise


def _alert(
    jobs: Collection[str],
    entries: list[Entry],
    failure: Exception | None,
    warehouse: Warehouse,
) -> None:
    """Alerts people to what went wrong; an alert that is not taken is noted in the ledger."""
    is_lost = _send(jobs, entries, failure) is not None
    if is_lost and entries:
        with suppress(Exception):  # what keeps this from being noted is said by the run itself
            ledger.note_lost_alert(warehouse, entries[-1])


def _send(jobs: Collection[str], entries: list[Entry], failure: Exception | None) -> str | None:
    """Sends an alert if there is a reason for one; returns why it was not taken."""
    url, text = webhook(), alerts.text_of(entries, " and ".join(jobs), failure)
    if url is None or text is None:
        return None
    reason = alerts.send(url, text)
    if reason is not None:
        _log.warning(f"the alert was not delivered: {reason}")
    return reason


def send_lineage(emit: Callable[[ModuleType], None]) -> None:
    """Hands over lineage; what keeps it from arriving is said, and changes nothing.

    Args:
        emit: calls a function of the module of OpenLineage, which it is given.
    """
    try:
        # What the client needs is imported here, for that may fail as well.
        from paceline.pipeline import openlineage

        emit(openlineage)
    except Exception as error:
        # The text of the error may hold an address with its password, its kind cannot.
        kind = type(error.__cause__ or error).__name__
        _log.warning(
            f"not all lineage events were written ({kind}), and no table is affected: "
            "look at the configuration of OpenLineage, or at the disk of the warehouse"
        )


def _accepted(run_id: str | None, warehouse: Warehouse) -> dict[str, dict[str, float]]:
    if not run_id:
        return {}
    found = ledger.rejected(warehouse, run_id)
    if not found:
        raise UsageError(
            f"--accept {run_id}: no audit of that run has rejected anything; give the run that the "
            "message of the rejection names."
        )
    return found


def policies_in_force(contracts: Mapping[str, Contract], asked: str | None) -> dict[str, str]:
    """By table, the policy: that of its contract, unless another is asked for."""
    return {name: asked or contract.policy for name, contract in contracts.items()}


def _publish(
    table: Table,
    run: Run,
    plan: _Plan,
    outcomes: Mapping[str, Outcome],
    delivered: Callable[[], Mapping[str, Sequence[deliveries.Noted]]],
) -> Outcome:
    blocked = [n for n in table.inputs if n in outcomes and outcomes[n].entry.status in BLOCKED]
    if blocked:
        return skipped(table, run, f"{blocked[0]} was not published")
    new_records = None
    if plan.listed is not None and _is_fed(table):
        try:
            new_records = LandingZone(
                run.warehouse,
                plan.listed,
                delivered().get(table.name, ()),
                table.name,
                plan.settings.for_recipes(),
                run.run_id,
                run.started_at,
                Limits(**plan.settings.landing_limits),
            )
        except Exception as error:
            return steps.failed(table, run, error)
        for refused in new_records.found.refused:
            _log.warning(refused)
    outcome = steps.publish(table, run, new_records)
    for warning in new_records.warnings() if new_records else ():
        _log.warning(warning)
    return outcome


def _described(window: Window | None) -> str:
    if window is None:
        return "catching up with everything that has changed"
    end = f"{window.end:%Y-%m-%d %H:%M}" if window.end else "open"
    return f"activities that start in [{window.start:%Y-%m-%d %H:%M}, {end}) UTC"


def _told(entry: Entry) -> str:
    line = f"{entry.table_name:<40} {entry.status:<9}"
    if entry.status == ledger.PUBLISHED:
        line += f" +{entry.rows_inserted} ~{entry.rows_updated} -{entry.rows_deleted}"
    if entry.rows_quarantined:
        line += f"  {entry.rows_quarantined} quarantined"
    return line
