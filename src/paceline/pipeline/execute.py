"""Runs jobs: where recipes, the machine and the edge meet."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from paceline import __version__
from paceline.contract import Contract, load_all
from paceline.errors import PacelineError, RejectedError, UsageError
from paceline.intake import files
from paceline.intake.zone import LandingZone
from paceline.pipeline import alerts
from paceline.pipeline.arguments import Options, horizon, parse_day, parse_instant, window
from paceline.pipeline.jobs import FEATURE_ACTIVITY, JOBS, TABLES
from paceline.publish import steps
from paceline.publish.claim import Hook, Run, new_entry, no_hook, skip
from paceline.recipe import Context, Table, Window
from paceline.session import disk_trouble, lock, session
from paceline.settings import Settings, conf_directory, load_settings, webhook
from paceline.sources.limits import Limits
from paceline.store import ledger, ops
from paceline.store.ledger import Entry, new_run_id
from paceline.store.warehouse import Warehouse, catalog_of, local_root, schema_names
from paceline.tables.feature_store import activity_features, athlete_rolling_features

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROLLING = athlete_rolling_features.NAME
_log = logging.getLogger(__name__)
BLOCKED = (ledger.REJECTED, ledger.SKIPPED)


@dataclass(frozen=True)
class _Plan:
    """The arguments, understood."""

    settings: Settings
    contracts: dict[str, Contract]
    landing: Path
    root: Path | None
    catalog: str
    schemas: dict[str, str]
    window: Window | None
    end: datetime | None
    horizon: date | None
    now: datetime


def execute(
    jobs: Sequence[str],
    options: Options,
    *,
    hook: Hook = no_hook,
    spark: SparkSession | None = None,
    now: datetime | None = None,
    compare_all: Collection[str] = (),
    is_dry_run: bool = False,
) -> list[Entry]:
    """Runs jobs one after the other in one session; returns their rows of the ledger.

    Args:
        jobs: names of `jobs.JOBS`, in order.
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
    with ExitStack() as held:
        with nullcontext() if is_dry_run else _alerting(jobs):
            plan = _plan(jobs, options, now or datetime.now(UTC))
            is_alone = held.enter_context(lock(plan.root))
            warehouse = Warehouse(
                spark or session(plan.root), plan.root, plan.catalog, plan.schemas
            )
            started = _started(jobs, options, plan, warehouse)
        common = replace(started, hook=hook, is_alone=is_alone, compare_all=compare_all)
        failure = None
        try:
            for position, job in enumerate(jobs):
                run = replace(common, run_id=new_run_id(plan.now), job=job, idle=[])
                _run_job(run, plan, jobs[position:])
        except Exception as error:
            failure = error
            trouble = None if is_dry_run else disk_trouble(error, plan.root)
            if trouble is not None:
                failure = PacelineError(trouble)
                raise failure from error
            raise
        finally:
            if not is_dry_run:
                _alert(jobs, list(common.outcomes.values()), failure, plan.now, warehouse)
                _send_lineage(common, plan.landing)
        entries = list(common.outcomes.values())
    rejected = [entry for entry in entries if entry.status == ledger.REJECTED]
    if rejected and not is_dry_run:
        raise RejectedError(" ".join(entry.message or entry.table_name for entry in rejected))
    return entries


def _started(jobs: Sequence[str], options: Options, plan: _Plan, warehouse: Warehouse) -> Run:
    """What all jobs share, on the opened warehouse."""
    policies = policies_in_force(plan.contracts, options.policy)
    state = _opened(jobs, plan, policies, warehouse)
    last_day = _stored_horizon(warehouse, state)
    return Run(
        run_id="",
        job="",
        warehouse=warehouse,
        context=Context(
            settings=plan.settings.for_recipes(),
            contracts=plan.contracts,
            policies=policies,
            window=plan.window,
            horizon=horizon(last_day, plan.end, plan.horizon, plan.now),
            horizon_before=last_day,
        ),
        state=state,
        started_at=plan.now,
        code_version=__version__,
        git_commit=options.git_commit or None,
        target=options.target or None,
        job_run_id=options.job_run_id or None,
        accepted=_accepted(options.accept, warehouse),
    )


def _plan(jobs: Sequence[str], options: Options, now: datetime) -> _Plan:
    directory = conf_directory(options.conf)
    settings = load_settings(directory)
    contracts = load_all(directory / "contracts")
    if missing := [table.name for table in TABLES if table.name not in contracts]:
        raise UsageError(
            f"{directory / 'contracts'} has no contract for {', '.join(missing)}: copy it from the "
            "project's conf/contracts."
        )
    start = parse_instant(options.start, "--start")
    end = parse_instant(options.end, "--end")
    asked = window(start, end)
    last_day = parse_day(options.horizon, "--horizon")
    catalog = catalog_of(options.catalog or settings.catalog)
    schemas = schema_names(options.schema)
    landing_root = Path(options.landing or settings.landing)
    warehouse = Path(options.warehouse or settings.warehouse)
    if FEATURE_ACTIVITY in jobs:
        _check_landing(landing_root, warehouse, catalog)
    elif not catalog:
        _check_activities(warehouse)
    return _Plan(
        settings=settings,
        contracts=contracts,
        landing=landing_root,
        root=None if catalog else local_root(warehouse),
        catalog=catalog,
        schemas=schemas,
        window=asked,
        end=end,
        horizon=last_day,
        now=now,
    )


def _check_landing(root: Path, warehouse: Path, catalog: str) -> None:
    """Refuses a landing zone with nothing in it, unless it has been emptied after earlier runs."""
    has_deliveries = files.has_deliveries(root)
    if not has_deliveries and not catalog and not _is_table(warehouse, "ops.deliveries"):
        raise UsageError(
            f"The landing directory {root} holds no delivery: put files into it, for example "
            f"{root}/strava_api/activities.jsonl, or name another one with --landing."
        )


def _check_activities(warehouse: Path) -> None:
    if not _is_table(warehouse, activity_features.NAME):
        raise UsageError(
            f"The warehouse {warehouse} holds no {activity_features.NAME}: run Feature_Activity "
            "first (spark-submit jobs/feature_activity.py), or name another one with --warehouse."
        )


def _is_table(warehouse: Path, name: str) -> bool:
    return warehouse.joinpath(*name.split("."), "_delta_log").is_dir()


def _opened(
    jobs: Sequence[str], plan: _Plan, policies: Mapping[str, str], warehouse: Warehouse
) -> ledger.State:
    """Makes the tables of the jobs known, creating what is missing; returns what has been done."""
    warehouse.create_schemas()
    ops.create(warehouse)
    tables = [table for job in jobs for table in JOBS[job]]
    for name in dict.fromkeys(n for table in tables for n in (*table.inputs, table.name)):
        steps.create(warehouse, plan.contracts[name], policies[name])
    state = ledger.state(warehouse)
    ledger.abandon(warehouse, state.unfinished)
    return state


def _run_job(run: Run, plan: _Plan, left: Sequence[str]) -> None:
    _log.info(f"{run.job} {run.run_id}: {_described(plan.window)}")
    if run.job == FEATURE_ACTIVITY:
        for path in files.unknown_files(plan.landing):
            _log.warning(f"{path} is no delivery of a known kind and is ignored")
        for refused in files.refused_files(plan.landing):
            _log.warning(refused)
    tables = JOBS[run.job]
    try:
        for table in tables:
            started = monotonic()
            entry = _publish(table, run, plan)
            _log.info(f"{_told(entry)}  {monotonic() - started:.1f} s")
    except Exception:
        with suppress(Exception):
            _give_up(run, left)
        raise
    if run.idle:
        ledger.append(run.warehouse, run.idle)


def _give_up(run: Run, left: Sequence[str]) -> None:
    """Notes, as far as that is still possible, that the tables after a failed one were left."""
    statuses = {name: entry.status for name, entry in run.outcomes.items()}
    failed = next((name for name in statuses if statuses[name] == ledger.FAILED), run.job)
    for job in left:
        for table in JOBS[job]:
            if table.name not in statuses:
                skip(table, replace(run, job=job), f"{failed} has failed")
    ledger.append(run.warehouse, run.idle)


@contextmanager
def _alerting(jobs: Sequence[str]) -> Iterator[None]:
    """Alerts people to an error that comes before the first table, and lets it out."""
    try:
        yield
    except Exception as error:
        _send(jobs, [], error)
        raise


def _alert(
    jobs: Sequence[str],
    entries: list[Entry],
    failure: Exception | None,
    now: datetime,
    warehouse: Warehouse,
) -> None:
    """Alerts people to what went wrong; an alert that is not taken is noted in the verdicts."""
    is_lost = _send(jobs, entries, failure) is not None
    if is_lost and entries:
        with suppress(Exception):  # what keeps this from being noted is said by the run itself
            ledger.note_lost_alert(warehouse, entries[-1], now)


def _send(jobs: Sequence[str], entries: list[Entry], failure: Exception | None) -> str | None:
    """Sends an alert if there is a reason for one; returns why it was not taken."""
    url, text = webhook(), alerts.text_of(entries, " and ".join(jobs), failure)
    if url is None or text is None:
        return None
    reason = alerts.send(url, text)
    if reason is not None:
        _log.warning(f"the alert was not delivered: {reason}")
    return reason


def _send_lineage(run: Run, landing: Path) -> None:
    """Hands over the lineage of a run; what keeps it from arriving is said, and changes nothing."""
    try:
        # What the client needs is imported here, for that may fail as well.
        from paceline.pipeline import openlineage

        openlineage.emit(run, landing)
    except Exception as error:
        # The text of the error may hold an address with its password, its kind cannot.
        kind = type(error.__cause__ or error).__name__
        _log.warning(
            f"not all lineage events were written ({kind}), and no table is affected: "
            "look at the configuration of OpenLineage, or at the disk of the warehouse"
        )


def _stored_horizon(warehouse: Warehouse, state: ledger.State) -> date | None:
    """The last day of daily tables: as sealed, else (when ops was lost) as published."""
    sealed = state.sealed.get(ROLLING)
    if sealed is not None:
        return sealed.horizon
    if not warehouse.exists(ROLLING):
        return None
    warehouse.register(ROLLING)
    (newest,) = warehouse.table(ROLLING).agg({"as_of_date": "max"}).collect()
    day: date | None = newest[0]
    return day


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


def _publish(table: Table, run: Run, plan: _Plan) -> Entry:
    blocked = [name for name in table.inputs if _status(run, name) in BLOCKED]
    if blocked:
        return skip(table, run, f"{blocked[0]} was not published")
    arrivals = None
    if not table.inputs:
        with steps.noting_failure(partial(new_entry, table, run), run):
            arrivals = LandingZone(
                run.warehouse,
                plan.landing,
                table.name,
                plan.settings.for_recipes(),
                run.run_id,
                run.started_at,
                Limits(**plan.settings.landing_limits),
            )
        for refused in arrivals.found.refused:
            _log.warning(refused)
    entry = steps.publish(table, run, arrivals)
    for refusal in arrivals.refusals() if arrivals else ():
        _log.warning(refusal)
    return entry


def _status(run: Run, name: str) -> str | None:
    return run.outcomes[name].status if name in run.outcomes else None


def _described(window: Window | None) -> str:
    if window is None:
        return "catching up with everything that has changed"
    end = f"{window.end:%Y-%m-%d %H:%M}" if window.end else "open"
    return f"activities that start in [{window.start:%Y-%m-%d %H:%M}, {end}) UTC"


def _told(entry: Entry) -> str:
    line = f"  {entry.table_name:<40} {entry.status:<9}"
    if entry.status == ledger.PUBLISHED:
        line += f" +{entry.rows_inserted} ~{entry.rows_updated} -{entry.rows_deleted}"
    if entry.rows_quarantined:
        line += f"  {entry.rows_quarantined} quarantined"
    return line
