"""`paceline verify`: whether the published tables equal a rebuild from bronze."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from paceline import __version__
from paceline.cli.opening import opened, root_and_catalog
from paceline.cli.screen import HIDDEN, say, say_json
from paceline.contract import Contract, load_all
from paceline.errors import PacelineError, UsageError
from paceline.operations.verify import Difference, Finding, sample, verify
from paceline.pipeline.arguments import Options
from paceline.pipeline.execute import policies_in_force
from paceline.publish.recovery import known_seals
from paceline.recipe import Context, Table
from paceline.session import lock
from paceline.settings import conf_directory, load_settings
from paceline.store import ledger
from paceline.store.ledger import Entry, new_run_id
from paceline.store.state import Sealed, read_state
from paceline.store.warehouse import Warehouse

JOB = "verify"


def verify_tables(
    recipes: Sequence[Table],
    options: Options,
    athletes: int | None,
    table_name: str | None,
    *,
    as_json: bool = False,
    is_quiet: bool = False,
    is_personal: bool = False,
) -> list[Finding]:
    """Compares published tables with their rebuild, says the result and notes it in the ledger.

    Args:
        recipes: of all tables, in the order in which they are made.
        options: where the tables are, and the settings.
        athletes: how many athletes to compare, chosen by the hash of their id; None means all.
        table_name: the only table to compare; None means all.
        as_json: whether the result is printed as JSON.
        is_quiet: whether only JSON and errors are printed.
        is_personal: whether values that the contracts classify are shown.

    Raises:
        UsageError: when there is no such table or warehouse.
        LockedError: when a run holds the local warehouse.
        PacelineError: when a table differs, or cannot be judged.
    """
    made = [table for table in recipes if table.inputs]
    names = [table.name for table in made]
    if table_name is not None and table_name not in names:
        raise UsageError(f"--table is {table_name!r}; allowed are {', '.join(names)}.")
    root, catalog = root_and_catalog(options)
    directory = conf_directory(options.conf)
    contracts = load_all(directory / "contracts")
    settings = load_settings(directory).for_recipes()
    with lock(root):
        started_at = datetime.now(UTC)
        warehouse = opened(root, catalog, options.schema)
        sealed = known_seals(read_state(warehouse), warehouse)
        tables = _known(warehouse, [table for table in made if table.name in sealed], contracts)
        policies = policies_in_force(contracts, options.policy)
        context = Context(settings, contracts, policies)
        chosen = sample(tables, contracts, athletes, warehouse) if athletes and tables else None
        asked = set(names if table_name is None else [table_name])
        findings = verify(made, asked, sealed, context, warehouse, chosen)
        scope = None if chosen is None else f"a sample of {len(chosen)} athletes"
        run_id = new_run_id(started_at)
        common = Entry(
            *(run_id, JOB, ""),
            full_compare_reason=scope,
            code_version=__version__,
            started_at=started_at,
        )
        entries = [_entry(common, f, sealed, contracts[f.table_name]) for f in findings]
        ledger.append(warehouse, entries)
    shown = findings if is_personal else [_hidden(f, contracts[f.table_name]) for f in findings]
    if as_json:
        judged = [asdict(finding) | {"verdict": finding.verdict} for finding in shown]
        found = {"run_id": run_id, "scope": scope or "all rows", "tables": judged}
        say_json(found, is_personal=is_personal)
    elif not is_quiet:
        say(f"{JOB} {run_id}: {scope or 'all rows'}")
        for finding in shown:
            say(_told(finding))
            for difference in finding.first:
                say(*_shown(difference), is_personal=is_personal)
    _raise(findings)
    return findings


def _known(
    warehouse: Warehouse, tables: list[Table], contracts: dict[str, Contract]
) -> list[Table]:
    """Published tables, with their inputs made known to the session."""
    for name in dict.fromkeys(n for table in tables for n in (*table.inputs, table.name)):
        if name not in contracts:
            raise UsageError(f"The settings have no contract for {name}: copy it from the project.")
        if not warehouse.exists(name):
            raise PacelineError(
                f"{name} has been published but is gone: run the jobs, which make it again."
            )
        warehouse.register(name)
    return tables


def _entry(
    common: Entry, finding: Finding, sealed: Mapping[str, Sealed], contract: Contract
) -> Entry:
    """The event of the ledger; it names no values, which may be personal."""
    columns = sorted({name for found in finding.first for name, _, _ in found.columns})
    message = finding.problem
    if finding.differing:
        where = f", first in {', '.join(columns)}" if columns else ""
        message = f"{finding.differing} rows differ from a rebuild{where}"
    last = sealed.get(finding.table_name)
    return replace(
        common,
        table_name=finding.table_name,
        status=ledger.VERIFIED,
        verdict=finding.verdict,
        horizon=last.horizon if last else None,
        rows_compared=finding.compared,
        rows_unchanged=finding.compared - finding.differing,
        contract_version=contract.version,
        finished_at=datetime.now(UTC),
        message=message,
    )


def _told(finding: Finding) -> str:
    line = f"  {finding.table_name:<40} {finding.verdict:<5}"
    if finding.problem is not None:
        return f"{line} {finding.problem}"
    found = f"{finding.differing:,} of them differ" if finding.differing else "all equal"
    return f"{line} {finding.compared:,} rows compared, {found}"


def _hidden(finding: Finding, contract: Contract) -> Finding:
    """The same without the values of columns that the contract classifies."""
    classified = {column.name for column in contract.columns if column.classification}

    def shown(name: str, value: Any) -> Any:
        return HIDDEN if name in classified and value is not None else value

    hidden = tuple(
        Difference(
            {name: shown(name, value) for name, value in difference.key.items()},
            difference.what,
            tuple((n, shown(n, old), shown(n, new)) for n, old, new in difference.columns),
        )
        for difference in finding.first
    )
    return replace(finding, first=hidden)


def _shown(difference: Difference) -> list[str]:
    key = ", ".join(f"{name} {_text(value)}" for name, value in difference.key.items())
    return [
        f"    {key} {difference.what}",
        *(
            f"        {name}: published {_text(published)}, rebuilt {_text(rebuilt)}"
            for name, published, rebuilt in difference.columns
        ),
    ]


def _text(value: Any) -> str:
    return "NULL" if value is None else str(value)


def _raise(findings: list[Finding]) -> None:
    unjudged = [finding for finding in findings if finding.problem is not None]
    differing = [finding.table_name for finding in findings if finding.differing]
    if differing:
        raise PacelineError(
            f"{', '.join(differing)} differ from a rebuild from bronze: run the jobs, which repair "
            "what was written behind their back; if it differs even then, report it."
        )
    if unjudged:
        raise PacelineError(
            f"{unjudged[0].table_name} cannot be judged ({unjudged[0].problem}): run the jobs "
            "without --start first, and verify then."
        )
