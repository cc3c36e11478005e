"""OpenLineage events of a run: what they say, where they go, and that nothing depends on them."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest
from openlineage.client.serde import Serde
from openlineage.client.transport.transport import Transport

from paceline import __version__
from paceline.contract import load
from paceline.pipeline import execute, openlineage
from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.publish.claim import Outcome, Run
from paceline.recipe import Context, Table
from paceline.store import ledger
from paceline.store.ledger import Entry, Journal, Verdict
from paceline.store.state import State
from paceline.store.warehouse import Position, Warehouse
from tests.unit.test_contract import SMALL

ROOT, LANDING = Path("/data/warehouse"), Path("/data/landing")
STARTED, FINISHED = (datetime(2026, 7, 1, 6, 0, second, tzinfo=UTC) for second in (5, 9))
SHOES = Table("silver.shoes", ("bronze.shoes", "silver.feet"), touched=None, rows=None)
RECEIVED = Table("bronze.shoes", (), touched=None, rows=None)
PUBLISHED = Entry(
    run_id="run-1",
    job=FEATURE_ACTIVITY,
    table_name=SHOES.name,
    status=ledger.PUBLISHED,
    verdict="WARN",
    input_versions=[Position("bronze.shoes", "id-1", 4), Position("silver.feet", "id-2", 0)],
    target_version=7,
    full_compare_reason="a new rule",
    rows_inserted=3,
    rows_updated=2,
    rows_deleted=1,
    code_version="0.1.0",
    contract_version="1.2.0",
    git_commit="abc123",
    started_at=STARTED,
    finished_at=FINISHED,
    message="accepted by a person: broken_share",
)
VERDICTS = [
    Verdict("key_unique", 0.0, 0.0, "structural", "PASS"),
    Verdict("broken_share", 0.1, 0.02, "error", "WARN"),
    Verdict("null_share", None, 0.05, "error", "ERROR"),
    Verdict("volume", 9.0, 4.5, "warning", "PASS"),
]
SECRET = "T0K3N"
SYNCED = "urn:paceline/Online_Sync/redis://cache:6379/shop.last_steps/2026-07-01T06:00:05+00:00"

# Written by hand, without the two fields by which every facet names its producer and schema.
JOB = {
    "namespace": "paceline",
    "name": "Feature_Activity.silver.shoes",
    "facets": {
        "jobType": {"processingType": "BATCH", "integration": "PACELINE", "jobType": "TASK"}
    },
}
PARENT = {
    "run": {"runId": "a41f35e3-2ccb-5d8f-92be-c5481818955f", "facets": {}},
    "job": {"namespace": "paceline", "name": "Feature_Activity", "facets": {}},
}
# Of "urn:paceline/run-1/silver.shoes", as above of "urn:paceline/run-1", by RFC 9562, version 5.
RUN_ID = "ebefd1fb-43d5-5bf1-9cf0-4c642564d83b"
PROVENANCE = {
    "run_id": "run-1",
    "git_commit": "abc123",
    "code_version": "0.1.0",
    "contract_version": "1.2.0",
}
INPUTS = [
    {
        "namespace": "file",
        "name": "/data/warehouse/bronze/shoes",
        "facets": {"version": {"datasetVersion": "4"}},
        "inputFacets": {},
    },
    {
        "namespace": "file",
        "name": "/data/warehouse/silver/feet",
        "facets": {"version": {"datasetVersion": "0"}},
        "inputFacets": {},
    },
]
OUTPUT = {"namespace": "file", "name": "/data/warehouse/silver/shoes"}


def tags(**values):
    return {
        "tags": [{"key": key, "value": text, "source": "PACELINE"} for key, text in values.items()]
    }


START = {
    "eventTime": "2026-07-01T06:00:05+00:00",
    "eventType": "START",
    "run": {"runId": RUN_ID, "facets": {"parent": PARENT, "tags": tags(**PROVENANCE)}},
    "job": JOB,
    "inputs": INPUTS,
    "outputs": [OUTPUT | {"facets": {}, "outputFacets": {}}],
}
COMPLETE = {
    "eventTime": "2026-07-01T06:00:09+00:00",
    "eventType": "COMPLETE",
    "run": {
        "runId": RUN_ID,
        "facets": {
            "parent": PARENT,
            "tags": tags(
                **PROVENANCE, status="PUBLISHED", verdict="WARN", full_compare_reason="a new rule"
            ),
            "test": {
                "tests": [
                    {
                        "name": "key_unique",
                        "status": "pass",
                        "severity": "error",
                        "expected": "0.0",
                        "actual": "0.0",
                    },
                    {
                        "name": "broken_share",
                        "status": "fail",
                        "severity": "warn",
                        "expected": "0.02",
                        "actual": "0.1",
                    },
                    {
                        "name": "null_share",
                        "status": "fail",
                        "severity": "error",
                        "expected": "0.05",
                    },
                    {
                        "name": "volume",
                        "status": "pass",
                        "severity": "warn",
                        "expected": "4.5",
                        "actual": "9.0",
                    },
                ]
            },
        },
    },
    "job": JOB,
    "inputs": INPUTS,
    "outputs": [
        OUTPUT
        | {
            "facets": {
                "version": {"datasetVersion": "7"},
                "schema": {
                    "fields": [
                        {
                            "name": "shoe_id",
                            "type": "BIGINT",
                            "description": "The shoe. Never NULL.",
                        },
                        {
                            "name": "bought_at",
                            "type": "TIMESTAMP",
                            "description": "When it was bought. NULL when unknown.",
                        },
                        {
                            "name": "worn_km",
                            "type": "DOUBLE",
                            "description": "The athlete's own count of what the shoe has run."
                            " Unit: km.",
                        },
                    ]
                },
            },
            "outputFacets": {"outputStatistics": {"rowCount": 5}},
        }
    ],
}


class Refusing(Transport):
    """A transport, named by its path, that fails with a secret in its text."""

    def __init__(self, config):
        pass

    def emit(self, event):
        raise RuntimeError(f"https://user:{SECRET}@host refused") from ConnectionError(SECRET)


class Slow(Transport):
    """A transport that sends in the background, and is not done in time."""

    def __init__(self, config):
        pass

    def emit(self, event):
        pass

    def close(self, timeout=-1):
        return False


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of two tables, before any of them is dealt with."""
    path = tmp_path / "silver.shoes.odcs.yaml"
    path.write_text(SMALL)
    contract = load(path)
    return Run(
        run_id="run-1",
        job=FEATURE_ACTIVITY,
        warehouse=Warehouse(None, ROOT),
        context=Context({}, {SHOES.name: contract, RECEIVED.name: contract}, {}),
        state=State({}, {}),
        journal=Journal(Warehouse(None, ROOT)),
        started_at=STARTED,
        code_version="0.1.0",
        recipes={table.name: table for table in (RECEIVED, SHOES)},
    )


@pytest.fixture
def home(tmp_path, monkeypatch):
    """OpenLineage switched on, where nobody has configured it; the working directory as well."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.delenv("OPENLINEAGE_DISABLED")
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.chdir(place)
    return place


def plain(value):
    """What an event says, without who says it."""
    if isinstance(value, dict):
        noise = ("_producer", "_schemaURL", "producer", "schemaURL")
        return {key: plain(part) for key, part in value.items() if key not in noise}
    return [plain(part) for part in value] if isinstance(value, list) else value


def told(run, **changes):
    """The two events of a table, as JSON."""
    outcome = Outcome(replace(PUBLISHED, checks=VERDICTS, **changes))
    return [Serde.to_dict(event) for event in openlineage.events(outcome, run, LANDING)]


def emit(run, root, *entries):
    outcomes = [
        Outcome(replace(e, checks=VERDICTS if e.table_name == SHOES.name else [])) for e in entries
    ]
    openlineage.emit(replace(run, warehouse=Warehouse(None, root)), outcomes, LANDING)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_published_table(run):
    start, end = told(run)
    assert plain(start) == START
    assert plain(end) == COMPLETE
    assert start["producer"] == f"urn:paceline:{__version__}"
    assert start["job"]["facets"]["jobType"]["_producer"] == start["producer"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("REJECTED", "FAIL"), ("FAILED", "FAIL"), ("SKIPPED", "ABORT")],
)
def test_what_was_not_published_has_no_version_and_says_why(run, status, expected):
    _, end = told(
        run,
        status=status,
        target_version=None,
        message="athlete_id=77/a.jsonl has too many broken rows",
    )
    assert end["eventType"] == expected
    facets = plain(end["run"]["facets"])
    assert facets["errorMessage"] == {
        "message": "athlete_id=***/a.jsonl has too many broken rows",
        "programmingLanguage": "PYTHON",
    }
    assert plain(end["outputs"]) == [OUTPUT | {"facets": {}, "outputFacets": {}}]


def test_a_table_that_was_up_to_date_keeps_its_version(run):
    _, end = told(run, status="UNCHANGED", rows_inserted=0, rows_updated=0, message=None)
    assert end["eventType"] == "COMPLETE"
    (output,) = plain(end["outputs"])
    assert output["facets"] == {"version": {"datasetVersion": "7"}}
    assert output["outputFacets"] == {"outputStatistics": {"rowCount": 0}}


def test_a_table_that_was_never_claimed_has_inputs_without_versions(run):
    start, _ = told(run, status="SKIPPED", input_versions=[], target_version=None)
    assert [table["facets"] for table in start["inputs"]] == [{}, {}]
    assert [table["name"] for table in start["inputs"]] == [table["name"] for table in INPUTS]
    assert start["job"]["name"] == JOB["name"]
    assert start["run"]["facets"]["parent"]["job"]["name"] == FEATURE_ACTIVITY


def test_bronze_is_made_from_the_landing_zone(run):
    start, _ = told(run, table_name=RECEIVED.name, input_versions=[])
    landing = {"namespace": "file", "name": "/data/landing", "facets": {}, "inputFacets": {}}
    assert start["inputs"] == [landing]


def test_a_backfill_has_the_window_as_its_nominal_time(run):
    window = {"window_start": datetime(2024, 1, 1, tzinfo=UTC)}
    closed = window | {"window_end": datetime(2024, 2, 1, tzinfo=UTC)}
    times = [
        plain(told(run, **given)[0]["run"]["facets"]["nominalTime"]) for given in (window, closed)
    ]
    start = {"nominalStartTime": "2024-01-01T00:00:00+00:00"}
    assert times == [start, start | {"nominalEndTime": "2024-02-01T00:00:00+00:00"}]


def test_a_catalog_and_a_deployment_are_part_of_the_names(run):
    schemas = {"silver": "dev_ann_silver"}
    run = replace(run, warehouse=Warehouse(None, None, "uc-athletes", schemas))
    start, _ = told(run, target="dev")
    assert start["job"]["namespace"] == "paceline.dev"
    assert start["run"]["facets"]["parent"]["job"]["namespace"] == "paceline.dev"
    assert start["outputs"][0]["namespace"] == "unitycatalog"
    assert start["outputs"][0]["name"] == "uc-athletes.dev_ann_silver.shoes"
    assert start["inputs"][0]["name"] == "uc-athletes.bronze.shoes"


def test_a_view_of_the_online_store_is_made_from_a_version_of_its_table():
    view = openlineage.Served(
        view="last_steps",
        source=("file", "/data/warehouse/silver/shoes"),
        version=7,
        target=("redis://cache:6379", "shop.last_steps"),
        rows=3,
        started_at=STARTED,
        finished_at=FINISHED,
    )
    target = {"namespace": "redis://cache:6379", "name": "shop.last_steps", "facets": {}}
    common = {
        # Of "urn:paceline/Online_Sync/redis://cache:6379/shop.last_steps/" and the start.
        "run": {"runId": str(uuid5(NAMESPACE_URL, SYNCED)), "facets": {}},
        "job": JOB | {"name": "Online_Sync.last_steps"},
        "inputs": [
            {
                "namespace": "file",
                "name": "/data/warehouse/silver/shoes",
                "facets": {"version": {"datasetVersion": "7"}},
                "inputFacets": {},
            }
        ],
    }
    start, end = map(plain, map(Serde.to_dict, openlineage.served_events("Online_Sync", view)))
    assert start == common | {
        "eventTime": "2026-07-01T06:00:05+00:00",
        "eventType": "START",
        "outputs": [target | {"outputFacets": {}}],
    }
    assert end == common | {
        "eventTime": "2026-07-01T06:00:09+00:00",
        "eventType": "COMPLETE",
        "outputs": [target | {"outputFacets": {"outputStatistics": {"rowCount": 3}}}],
    }


def test_events_are_added_to_a_file_of_the_warehouse(run, home, tmp_path):
    # As in a clone: the client would name its origin.
    (home / ".git").mkdir()
    (home / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (home / ".git" / "config").write_text(f'[remote "origin"]\nurl = https://u:{SECRET}@host/x\n')
    root = tmp_path / "warehouse"
    root.mkdir()
    received = replace(PUBLISHED, table_name=RECEIVED.name)
    for _ in range(2):
        emit(run, root, received, PUBLISHED)
    found = lines(root / "openlineage.jsonl")
    kinds = [(event["eventType"], event["job"]["name"]) for event in found]
    jobs = ("Feature_Activity.bronze.shoes", "Feature_Activity.silver.shoes")
    assert kinds == [(kind, job) for job in jobs for kind in ("START", "COMPLETE")] * 2
    assert SECRET not in json.dumps(found)
    assert [path.name for path in root.iterdir()] == ["openlineage.jsonl"]
    assert [path.name for path in home.iterdir()] == [".git"]


def test_who_has_configured_openlineage_says_where_events_go(run, home, tmp_path):
    (home / "openlineage.yml").write_text(
        "transport: {type: file, log_file_path: mine.jsonl, append: true}\n"
    )
    for root in (tmp_path, None):
        emit(run, root, PUBLISHED)
    assert len(lines(home / "mine.jsonl")) == 4
    assert not (tmp_path / "openlineage.jsonl").exists()


def test_nothing_is_written_for_a_catalog_or_when_switched_off(run, home, tmp_path, monkeypatch):
    before = sorted(tmp_path.rglob("*"))
    emit(run, None, PUBLISHED)
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    emit(run, tmp_path, PUBLISHED)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("transport", "kind"), [("Refusing", "ConnectionError"), ("Slow", "PacelineError")]
)
def test_events_that_do_not_arrive_are_a_warning(
    run, home, monkeypatch, capfd, warning, transport, kind
):
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", f"{__name__}.{transport}")
    assert warning(run, None) == (
        f"not all lineage events were written ({kind}), and no table is affected: look at "
        "the configuration of OpenLineage, or at the disk of the warehouse"
    )
    assert SECRET not in "".join(capfd.readouterr())


def test_a_file_that_cannot_be_written_is_a_warning(run, home, tmp_path, warning):
    (tmp_path / "openlineage.jsonl").mkdir()
    assert "(IsADirectoryError)" in warning(run, tmp_path)


@pytest.fixture
def warning(caplog):
    """The only line that a run says about its lineage."""

    def said(run, root):
        placed = replace(run, warehouse=Warehouse(None, root))
        outcomes = [Outcome(replace(PUBLISHED, checks=VERDICTS))]
        execute.send_lineage(lambda lineage: lineage.emit(placed, outcomes, LANDING))
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        return record.getMessage()

    return said
