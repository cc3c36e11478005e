"""What OpenLineage is told of a run: which versions of which tables a new version was made from.

Every table of a run is one run of an OpenLineage job of its own, with an event for its start and
one for its end. Both are sent when the ledger has been written, and nothing depends on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from openlineage.client.client import OpenLineageClient
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    RunEvent,
    RunState,
    set_producer,
)
from openlineage.client.event_v2 import Run as JobRun
from openlineage.client.facet_v2 import (
    DatasetFacet,
    OutputDatasetFacet,
    RunFacet,
    dataset_version_dataset,
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
    tags_run,
    test_run,
)
from openlineage.client.transport import FileTransport, NoopTransport
from openlineage.client.transport.file import FileConfig
from openlineage.client.transport.noop import NoopConfig

from paceline import __version__
from paceline.contract import Contract
from paceline.errors import PacelineError
from paceline.publish.claim import Outcome, Run
from paceline.recipe import Table
from paceline.sources.files import masked
from paceline.store.ledger import PUBLISHED, SEALED, SKIPPED, UNCHANGED, Entry, Verdict
from paceline.store.warehouse import Warehouse

FILE_NAME = "openlineage.jsonl"

_ENDS = {
    PUBLISHED: RunState.COMPLETE,
    UNCHANGED: RunState.COMPLETE,
    SKIPPED: RunState.ABORT,
}
# Columns of the ledger.
_PROVENANCE = ("run_id", "job_run_id", "target", "git_commit", "code_version", "contract_version")
_OUTCOME = ("status", "verdict", "full_compare_reason")
# Some transports send in the background.
_FLUSH_TIMEOUT_S = 10.0
# The client would name the repository of the working directory, which is not that of the recipes
# and whose address may hold a password.
_CONFIG: dict[str, Any] = {"facets": {"source_code_location": {"disabled": True}}}

set_producer(f"urn:paceline:{__version__}")


@dataclass(frozen=True)
class Served:
    """A view of an online store that was made equal to a version of a table.

    Attributes:
        view: its name.
        source: namespace and name of the table.
        version: of the table.
        target: namespace and name of the view.
        rows: how many were written.
        started_at: when the work began.
        finished_at: when it ended.
    """

    view: str
    source: tuple[str, str]
    version: int
    target: tuple[str, str]
    rows: int
    started_at: datetime
    finished_at: datetime


def emit(run: Run, outcomes: Iterable[Outcome], landing: Path) -> None:
    """Sends the events of all tables that a run has dealt with.

    They go where the client is configured to send them, by `OPENLINEAGE_*` in the environment or an
    `openlineage.yml`; else into a file of the local warehouse; else nowhere.

    Args:
        run: the run.
        outcomes: of its tables.
        landing: the landing zone, which is the input of bronze.

    Raises:
        Exception: of any kind, when an event cannot be sent; those after it are not tried.
    """
    found = (event for outcome in outcomes for event in events(outcome, run, landing))
    _send(run.warehouse.root, found)


def emit_served(root: Path | None, job: str, views: Iterable[Served]) -> None:
    """Sends the events of views that were made equal to tables, where `emit` sends those of a run.

    Args:
        root: of the local warehouse; None for a catalog.
        job: which has done it.
        views: what it has done.

    Raises:
        Exception: of any kind, when an event cannot be sent; those after it are not tried.
    """
    _send(root, (event for view in views for event in served_events(job, view)))


def served_events(job: str, view: Served) -> tuple[RunEvent, RunEvent]:
    """The start and the end of filling one view."""
    job_type = job_type_job.JobTypeJobFacet("BATCH", "PACELINE", "TASK")
    named = Job("paceline", f"{job}.{view.view}", {"jobType": job_type})
    run = JobRun(_uuid(job, *view.target, _time(view.started_at)))
    inputs = [InputDataset(*view.source, facets=_version(view.version))]
    rows = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=view.rows)

    def event(at: datetime, state: RunState, output: OutputDataset) -> RunEvent:
        return RunEvent(
            eventTime=_time(at),
            eventType=state,
            run=run,
            job=named,
            inputs=inputs,
            outputs=[output],
        )

    filled = OutputDataset(*view.target, {"outputStatistics": rows})
    return (
        event(view.started_at, RunState.START, OutputDataset(*view.target)),
        event(view.finished_at, RunState.COMPLETE, filled),
    )


def _send(root: Path | None, found: Iterable[RunEvent]) -> None:
    client = _client(root)
    if client.transport.kind == NoopTransport.kind:
        return
    for event in found:
        client.emit(event)
    if not client.close(_FLUSH_TIMEOUT_S):
        raise PacelineError(
            f"OpenLineage has not taken all events within {_FLUSH_TIMEOUT_S:g} s: look at its "
            "transport."
        )


def events(outcome: Outcome, run: Run, landing: Path) -> tuple[RunEvent, RunEvent]:
    """The start and the end of the work on one table.

    The end is COMPLETE when the table is published or was already up to date, ABORT when it was
    skipped, and FAIL when its audit has rejected it or an error came up.
    """
    entry = outcome.entry
    namespace = f"paceline.{entry.target}" if entry.target else "paceline"
    job_type = job_type_job.JobTypeJobFacet("BATCH", "PACELINE", "TASK")
    recipe = run.recipes[entry.table_name]
    job = Job(namespace, f"{entry.job}.{entry.table_name}", {"jobType": job_type})
    run_id, common = _uuid(entry.run_id, entry.table_name), _run_facets(entry, namespace)
    inputs = _inputs(entry, recipe, run.warehouse, landing)
    start = RunEvent(
        eventTime=_time(entry.started_at),
        eventType=RunState.START,
        run=JobRun(run_id, common | _tags(entry, _PROVENANCE)),
        job=job,
        inputs=inputs,
        outputs=[OutputDataset(*_dataset_name(run.warehouse, entry.table_name))],
    )
    end = RunEvent(
        eventTime=_time(entry.finished_at),
        eventType=_ENDS.get(entry.status, RunState.FAIL),
        run=JobRun(run_id, common | _ended(entry)),
        job=job,
        inputs=inputs,
        outputs=[_output(entry, run)],
    )
    return start, end


def _client(root: Path | None) -> OpenLineageClient:
    if root is None:
        default = OpenLineageClient(transport=NoopTransport(NoopConfig()), config=_CONFIG)
    else:
        file = FileConfig(str(root / FILE_NAME), append=True)
        default = OpenLineageClient(transport=FileTransport(file), config=_CONFIG)
    # A transport that is given would win over the one that somebody has configured.
    return OpenLineageClient(config=_CONFIG) if default.config.transport else default


def _run_facets(entry: Entry, namespace: str) -> dict[str, RunFacet]:
    facets: dict[str, RunFacet] = {
        "parent": parent_run.ParentRunFacet(
            parent_run.Run(_uuid(entry.run_id)), parent_run.Job(namespace, entry.job)
        )
    }
    if entry.window_start is not None:
        end = _time(entry.window_end) if entry.window_end else None
        facets["nominalTime"] = nominal_time_run.NominalTimeRunFacet(_time(entry.window_start), end)
    return facets


def _tags(entry: Entry, names: tuple[str, ...]) -> dict[str, RunFacet]:
    values = {name: getattr(entry, name) for name in names}
    tags = [
        tags_run.TagsRunFacetFields(name, value, "PACELINE")
        for name, value in values.items()
        if value is not None
    ]
    return {"tags": tags_run.TagsRunFacet(tags)}


def _ended(entry: Entry) -> dict[str, RunFacet]:
    facets = _tags(entry, (*_PROVENANCE, *_OUTCOME))
    if entry.checks:
        facets["test"] = test_run.TestRunFacet([_test(verdict) for verdict in entry.checks])
    if entry.status not in SEALED and entry.message:
        # A landing file is named by its path, which may name an athlete.
        message = masked(entry.message)
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(message, "PYTHON")
    return facets


def _test(verdict: Verdict) -> test_run.TestExecution:
    only_warns = verdict.severity == "warning" or verdict.verdict == "WARN"
    return test_run.TestExecution(
        name=verdict.check_name,
        status="pass" if verdict.verdict == "PASS" else "fail",
        severity="warn" if only_warns else "error",
        expected=str(verdict.threshold),
        actual=None if verdict.observed is None else str(verdict.observed),
        params=None,
    )


def _inputs(entry: Entry, recipe: Table, warehouse: Warehouse, landing: Path) -> list[InputDataset]:
    if not recipe.inputs:
        return [InputDataset("file", str(landing.absolute()))]
    versions = {pin.table_name: pin.version for pin in entry.input_versions}
    return [
        InputDataset(*_dataset_name(warehouse, name), facets=_version(versions.get(name)))
        for name in recipe.inputs
    ]


def _version(version: int | None) -> dict[str, DatasetFacet]:
    if version is None:
        return {}
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(str(version))}


def _output(entry: Entry, run: Run) -> OutputDataset:
    """The table as this run has left it; what was not sealed may be as it was."""
    facets = _version(entry.target_version)
    statistics: dict[str, OutputDatasetFacet] = {}
    if entry.status == PUBLISHED:
        facets["schema"] = _schema(run.context.contracts[entry.table_name])
    if entry.status in SEALED:
        statistics["outputStatistics"] = (
            output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=entry.rows_inserted + entry.rows_updated
            )
        )
    return OutputDataset(*_dataset_name(run.warehouse, entry.table_name), statistics, facets=facets)


def _schema(contract: Contract) -> schema_dataset.SchemaDatasetFacet:
    columns = [
        schema_dataset.SchemaDatasetFacetFields(
            column.name, column.type, column.comment, fields=None
        )
        for column in contract.columns
    ]
    return schema_dataset.SchemaDatasetFacet(columns)


def _dataset_name(warehouse: Warehouse, table_name: str) -> tuple[str, str]:
    """Namespace and name, as OpenLineage names files, or as Unity Catalog knows the table."""
    if warehouse.root is not None:
        return "file", str(warehouse.root.joinpath(*table_name.split(".")))
    return "unitycatalog", warehouse.identifier(table_name).replace("`", "")


def _uuid(*parts: str) -> str:
    """The same for the same run of paceline, so that an event that is sent twice is known again."""
    return str(uuid5(NAMESPACE_URL, "/".join(("urn:paceline", *parts))))


def _time(moment: datetime | None) -> str:
    assert moment is not None
    return moment.isoformat()
