"""`paceline status`: what is published, how old it is, what waits, and how the last runs went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from paceline.cli.online import say_status
from paceline.cli.opening import looked_at
from paceline.cli.screen import HIDDEN, numbers, say, say_grid, say_json, texts, words
from paceline.contract import Contract, load_all
from paceline.errors import PacelineError
from paceline.intake.zone import LandingZone
from paceline.pipeline.arguments import Options, horizon
from paceline.pipeline.execute import policies_in_force
from paceline.publish.audit import ERROR, FAIL
from paceline.publish.changes import changes
from paceline.publish.fingerprint import fingerprint
from paceline.publish.recovery import known_seals
from paceline.recipe import Context, Table
from paceline.settings import Settings, conf_directory, load_settings
from paceline.sources.files import listing
from paceline.sources.limits import Limits
from paceline.store import deliveries, ledger, quarantine
from paceline.store.state import Sealed, read_state
from paceline.store.warehouse import Warehouse
from paceline.tables.feature_store import athlete_rolling_features

SHOWN_RUNS = 5
# A sync runs each day after noon UTC, and may take its time.
MAX_SYNC_HOURS = 26
ROLLING_COLUMNS = ("athlete_id", "as_of_date", "tss_1d", "ctl_ewma_42d", "atl_ewma_7d", "tsb_ewma")
_HEALTHY = (ledger.PUBLISHED, ledger.UNCHANGED)

Facts = dict[str, Any]


def show(
    recipes: Sequence[Table], options: Options, *, as_json: bool, is_check: bool, is_personal: bool
) -> None:
    """Prints the state of the tables.

    Args:
        recipes: of all tables, in order.
        options: where tables, deliveries and settings are.
        as_json: whether to print JSON.
        is_check: whether what a person should look at is an error.
        is_personal: whether athletes are named.

    Raises:
        UsageError: when there is no warehouse.
        PacelineError: when `is_check` and something is wrong; says what.
    """
    told = found(recipes, options, datetime.now(UTC))
    if not is_personal:
        told["rolling"] = [row | {"athlete_id": HIDDEN} for row in told["rolling"]]
    if as_json:
        say_json(told, is_personal=is_personal)
    else:
        _say(told, is_personal=is_personal)
    if is_check and told["problems"]:
        raise PacelineError(f"Not all is well: {'; '.join(told['problems'])}.")


def found(recipes: Sequence[Table], options: Options, now: datetime) -> Facts:
    """What there is to say at a time: tables, runs, quarantine, rolling rows, and problems.

    Raises:
        UsageError: when there is no warehouse.
    """
    warehouse = looked_at(options)
    for name in (ledger.LEDGER, quarantine.QUARANTINE, deliveries.DELIVERIES):
        warehouse.register(name)
    tables = _tables(recipes, options, warehouse, now)
    problems = [f"{row['table_name']} {problem}" for row in tables for problem in row["problems"]]
    online = _online(options, warehouse, now)
    problems += online["problems"] if online else []
    return {
        "tables": tables,
        "runs": _runs(warehouse),
        "quarantine": _quarantine(warehouse),
        "rolling": _last_days(warehouse),
        "online": online,
        "problems": problems,
    }


def _online(options: Options, warehouse: Warehouse, now: datetime) -> Facts | None:
    """The online store that the settings name, with its problems; None when there is none."""
    configured = load_settings(conf_directory(options.conf)).feature_repo
    if configured is None:
        return None
    from paceline.online.gold import TableGold
    from paceline.online.repository import repository
    from paceline.online.status import status
    from paceline.online.store import opened, speaking

    try:
        repo = repository(configured)
        with speaking(repo):
            facts = status(repo, opened(repo), TableGold(warehouse), now)
    except PacelineError as error:
        return {"store": str(configured), "problems": [str(error).removesuffix(".")]}
    age = facts["age_hours"]
    problems = ["has never been synced"] if age is None else []
    if facts["is_unfinished"]:
        problems.append("has a sync that was not finished")
    if age is not None and age > MAX_SYNC_HOURS:
        problems.append(f"was synced {age:,.0f} hours ago, {MAX_SYNC_HOURS} are allowed")
    return facts | {"problems": [f"the online store {problem}" for problem in problems]}


def _tables(
    recipes: Sequence[Table], options: Options, warehouse: Warehouse, now: datetime
) -> list[Facts]:
    directory = conf_directory(options.conf)
    settings, contracts = load_settings(directory), load_all(directory / "contracts")
    sealed = known_seals(read_state(warehouse), warehouse)
    context = Context(
        settings=settings.for_recipes(),
        contracts=contracts,
        policies=policies_in_force(contracts, None),
        horizon=horizon(None, None, now),
    )
    last = _last_runs(warehouse)
    rows = []
    for table in (table for table in recipes if table.name in last):
        facts = last[table.name]
        is_there = warehouse.exists(table.name)
        if is_there:
            warehouse.register(table.name)
        facts["rows"] = warehouse.table(table.name).count() if is_there else None
        facts |= _freshness(contracts[table.name], sealed.get(table.name), now)
        facts["pending"] = (
            _pending(table, sealed[table.name], context, warehouse)
            if table.inputs and table.name in sealed
            else _deliveries(table, settings, options, warehouse, now)
            if not table.inputs
            else []
        )
        facts["problems"] = _problems(facts, is_there=is_there)
        rows.append(facts)
    return rows


def _freshness(contract: Contract, sealed: Sealed | None, now: datetime) -> Facts:
    """The age of the newest value, in the unit of what is promised, and the promise."""
    newest = sealed.newest if sealed else None
    for level in contract.service_levels:
        if newest is not None and level.max_age is not None:
            return {
                "newest": newest,
                "age": (now - newest) / (level.max_age / float(level.value)),
                "max_age": float(level.value),
                "unit": level.unit,
            }
    return {"newest": newest, "age": None, "max_age": None, "unit": None}


def _pending(table: Table, sealed: Sealed, asked: Context, warehouse: Warehouse) -> list[str]:
    """What the next run of a table would follow, as far as its inputs are published."""
    if not all(warehouse.exists(name) for name in (*table.inputs, table.name)):
        return ["a table that is gone"]
    for name in (*table.inputs, table.name):
        warehouse.register(name)
    context = asked.for_table(table, sealed.horizon)
    found = changes(table, sealed, fingerprint(table, context), warehouse, is_window=False)
    if found.full_compare_reason is not None:
        return [f"all rows: {found.full_compare_reason}"]
    pending = [
        f"{_many(found.pins[name].version - version, 'commit')} of {name}"
        for name, version in found.since.items()
    ]
    if table.has_horizon and context.horizon and context.horizon_before:
        days = (context.horizon - context.horizon_before) // timedelta(days=1)
        pending += [_many(days, "new day")] if days else []
    return pending


def _deliveries(
    table: Table, settings: Settings, options: Options, warehouse: Warehouse, now: datetime
) -> list[str]:
    """How many files of the landing zone no run has read."""
    root = Path(options.landing or settings.landing)
    if not root.is_dir():
        return []
    zone = LandingZone(
        warehouse,
        listing(root),
        deliveries.known(warehouse).get(table.name, ()),
        table.name,
        settings.for_recipes(),
        run_id="",
        now=now,
        limits=Limits(**settings.landing_limits),
    )
    return [_many(len(zone.found.new), "new file")] if zone.found.new else []


def _problems(facts: Facts, *, is_there: bool) -> list[str]:
    """What a person should look at."""
    found = [] if is_there else ["is gone"]
    if facts["last_status"] not in _HEALTHY:
        found.append(f"was {facts['last_status']} by its last run")
    if facts["verified"] in (FAIL, ERROR):
        found.append("differs from its rebuild")
    if facts["age"] is not None and facts["age"] > facts["max_age"]:
        unit = {"d": "days", "h": "hours"}[facts["unit"]]
        found.append(f"is {facts['age']:.1f} {unit} old, {facts['max_age']:g} are promised")
    return found


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _last_runs(warehouse: Warehouse) -> dict[str, Facts]:
    """By table how its newest run ended, and what all runs have published."""
    rows = warehouse.spark.sql(
        f"""
        SELECT table_name,
            max_by(status, started_at) FILTER (WHERE status <> 'VERIFIED') AS last_status,
            max_by(verdict, finished_at)
                FILTER (WHERE verdict IS NOT NULL AND status <> 'VERIFIED') AS verdict,
            max_by(verdict, finished_at) FILTER (WHERE status = 'VERIFIED') AS verified,
            sum(rows_inserted) AS inserted, sum(rows_updated) AS updated,
            sum(rows_deleted) AS deleted,
            max_by(target_version, finished_at)
                FILTER (WHERE target_version IS NOT NULL) AS version, max(horizon) AS horizon,
            max_by(unix_millis(finished_at) - unix_millis(started_at), finished_at)
                FILTER (WHERE status = 'PUBLISHED') AS published_in_ms
        FROM {ledger.lines(warehouse)} GROUP BY table_name
        """
    ).collect()
    return {row["table_name"]: row.asDict() for row in rows}


def _runs(warehouse: Warehouse) -> list[Facts]:
    """The newest runs: when, how long, how many tables came to what, and the worst verdict."""
    rows = warehouse.spark.sql(
        f"""
        SELECT run_id, any_value(job) AS job, min(started_at) AS started_at,
            max(unix_millis(finished_at)) - min(unix_millis(started_at)) AS took_ms,
            max(struct(array_position(array('PASS', 'WARN', 'FAIL', 'ERROR'), verdict) AS worst,
                verdict)).verdict AS verdict,
            count_if(status = 'PUBLISHED') AS published,
            count_if(status IN ('REJECTED', 'SKIPPED', 'FAILED', 'ABANDONED')) AS not_published,
            sum(rows_inserted + rows_updated + rows_deleted) AS rows
        FROM {ledger.lines(warehouse)}
        GROUP BY run_id ORDER BY started_at DESC, run_id DESC LIMIT {SHOWN_RUNS}
        """
    ).collect()
    return [row.asDict() for row in rows]


def _quarantine(warehouse: Warehouse) -> list[Facts]:
    rows = warehouse.spark.sql(
        f"""
        SELECT table_name, array_join(reasons, ', ') AS reasons, count(*) AS records,
            min_by(concat(source_path, ':', line_number), first_seen) AS example
        FROM {warehouse.identifier(quarantine.QUARANTINE)} WHERE resolved_by IS NULL
        GROUP BY ALL ORDER BY table_name, records DESC, reasons
        """
    ).collect()
    return [row.asDict() for row in rows]


def _last_days(warehouse: Warehouse, athletes: int = 2, days: int = 3) -> list[Facts]:
    """The last rolling rows of the first athletes that have them."""
    name = athlete_rolling_features.NAME
    if not warehouse.exists(name):
        return []
    warehouse.register(name)
    columns = ", ".join(ROLLING_COLUMNS)
    rows = warehouse.spark.sql(
        f"""
        WITH last AS (SELECT athlete_id, max(as_of_date) AS last_day
            FROM {warehouse.identifier(name)} GROUP BY athlete_id
            ORDER BY last_day DESC, athlete_id LIMIT {athletes})
        SELECT {columns} FROM {warehouse.identifier(name)} JOIN last USING (athlete_id)
        WHERE as_of_date > last_day - {days} ORDER BY athlete_id, as_of_date
        """
    ).collect()
    return [row.asDict() for row in rows]


def _say(found: Facts, *, is_personal: bool) -> None:
    _say_tables(found["tables"])
    _say_runs(found["runs"])
    refused = [
        (row["table_name"], f"{row['records']:,}", row["reasons"], row["example"] or "")
        for row in found["quarantine"]
    ]
    columns = [*words("table"), *numbers("records"), *texts("broken rules", "for example")]
    title = "Quarantined, waiting for a better record or rule"
    say_grid(title, columns, refused, is_personal=is_personal)
    if found["rolling"]:
        days = [[_cell(row[name]) for name in ROLLING_COLUMNS] for row in found["rolling"]]
        say_grid("The last days of two athletes", numbers(*ROLLING_COLUMNS), days)
    if found["online"] and "views" in found["online"]:
        say_status(found["online"])
    say(*(f"! {problem}" for problem in found["problems"]))


def _say_tables(rows: Sequence[Facts]) -> None:
    columns = [
        *words("table", "last run", "verdict", "verified"),
        *numbers("version", "rows", "took", "age"),
        *texts("pending"),
    ]
    say_grid("Published", columns, map(_table, rows))


def _table(row: Facts) -> Sequence[str]:
    took = row["published_in_ms"]
    return (
        *(row[name] or "" for name in ("table_name", "last_status", "verdict", "verified")),
        *("" if row[name] is None else f"{row[name]:,}" for name in ("version", "rows")),
        "" if took is None else f"{took / 1000:.1f} s",
        "" if row["age"] is None else f"{row['age']:,.1f} {row['unit']}",
        ", ".join(row["pending"]),
    )


def _say_runs(rows: Sequence[Facts]) -> None:
    columns = [*words("run", "job", "verdict"), *numbers("took", "published", "not", "rows")]
    say_grid("The last runs", columns, map(_run, rows))


def _run(row: Facts) -> Sequence[str]:
    took = row["took_ms"]
    return (
        *(row["run_id"], row["job"], row["verdict"] or ""),
        "" if took is None else f"{took / 1000:.1f} s",
        *(f"{row[name] or 0:,}" for name in ("published", "not_published", "rows")),
    )


def _cell(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
