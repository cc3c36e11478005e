"""The commands of all tasks of the bundle, of every target, executed here in their order.

The arguments are those of the YAML with all variables filled in, but for three that mean nothing
here: the paths of a volume and of the workspace are directories below a temporary one, and the
catalog is Spark's own, which keeps its tables in such a directory. Schemas have the names of the
target.

To save time there is one directory for all targets: the first one makes the tables, the others
find them under their own names and catch up with nothing. Maintenance, whose commands differ in the
names of the schemas alone, is executed for prod only. The sync of the online store reads the tables
that the README's command line has made, and fills a Redis; its secrets are those of a stand-in for
the workspace, and its registry is a file.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, tzinfo
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.cli import main, secrets
from paceline.generate import generate
from paceline.store.warehouse import SCHEMAS
from tests.bundle.bundle import COMMIT, PRINCIPAL, ROOT, USER, is_deployed, load, resolved
from tests.bundle.tasks import RUN_ID, run_file, run_job
from tests.pipeline.warehouse import NOW, content, quick

pytestmark = pytest.mark.slow

GOLD = ("feature_store.activity_features", "feature_store.athlete_rolling_features")
# By target, who deploys it.
TARGETS = {"dev": USER, "staging": PRINCIPAL, "prod": PRINCIPAL}

Rows = dict[str, list[tuple[Any, ...]]]


class Clock(datetime):
    """It is always the same morning, so that all runs have the same horizon."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return NOW.astimezone(tz)


@pytest.fixture(scope="module")
def morning(spark: SparkSession) -> Iterator[SparkSession]:
    with pytest.MonkeyPatch.context() as patch, quick(spark):
        patch.setattr("paceline.pipeline.execute.datetime", Clock)
        for name in ("START_TIME", "END_TIME", "PACELINE_WEBHOOK"):
            patch.delenv(name, raising=False)
        yield spark


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("commands") / "landing"
    generate(place, athletes=2, days=20, seed=3, end=date(2026, 6, 30))
    return place


@pytest.fixture(scope="module")
def plain(morning: SparkSession, landing: Path) -> Rows:
    """The gold tables of the command line of the README."""
    warehouse = landing.parent / "warehouse"
    for job in ("feature_activity", "feature_rolling"):
        arguments = ["--landing", str(landing), "--warehouse", str(warehouse)]
        run_file(ROOT / "jobs" / f"{job}.py", arguments)
    rows = gold(morning, warehouse)
    assert all(rows.values())
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("platform")


@pytest.mark.parametrize("target", TARGETS)
def test_the_tasks_of_a_target_make_the_tables_of_the_command_line(
    target: str, morning: SparkSession, landing: Path, plain: Rows, place: Path
):
    bundle = load()
    resources = resolved(bundle, target, user=TARGETS[target])["resources"]
    schemas = {layer: resources["schemas"][layer]["name"] for layer in SCHEMAS}
    shutil.copytree(landing, place / "Volumes" / "main" / schemas["bronze"] / "landing")
    for key in ("feature_store_pipeline", *(["maintenance"] if target == "prod" else [])):
        folder = bundle.origin["jobs", key].parent
        assert run_job(resources["jobs"][key], {}, folder.joinpath, localized(place))
        assert gold(morning, place / "main") == plain, key
    runs = morning.table(f"{schemas['ops']}.ledger").where(f"target = '{target}'").collect()
    runs = [row for row in runs if row["event"] == "SEALED"]
    assert {row["job"] for row in runs} == {"Feature_Activity", "Feature_Rolling"}
    assert {row["status"] for row in runs} == {"PUBLISHED" if target == "dev" else "UNCHANGED"}
    assert {(row["git_commit"], row["job_run_id"]) for row in runs} == {(COMMIT, RUN_ID)}


def localized(place: Path) -> Callable[[str], str]:
    """Turns the arguments that name a catalog, a volume or a deployed file into places of ours."""

    def changed(argument: str) -> str:
        argument = re.sub("^(--landing|--repo)=/", rf"\1={place}/", argument)
        return re.sub("^--catalog=main$", f"--warehouse={place}/main", argument)

    return changed


def gold(spark: SparkSession, warehouse: Path) -> Rows:
    return {name: content(spark, warehouse, name) for name in GOLD}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    pytest.importorskip("feast", reason="Feast is not installed: make setup-online")
    from tests.online.stores import redis_server

    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture
def workspace(
    redis: int, plain: Rows, landing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The tables, an empty Redis and the scope `paceline` with its address; no repository yet."""
    from redis import Redis

    Redis(port=redis).flushall()
    (tmp_path / "main").symlink_to(landing.parent / "warehouse")
    kept = {
        "PACELINE_REDIS": f"127.0.0.1:{redis},db=0",
        "PACELINE_REGISTRY": f"sqlite:///{tmp_path}/registry.db",
    }
    scopes = {"paceline": kept, "half": {"PACELINE_REDIS": kept["PACELINE_REDIS"]}}
    runtime = ModuleType("databricks.sdk.runtime")
    runtime.dbutils = SimpleNamespace(
        secrets=SimpleNamespace(get=lambda scope, key: scopes[scope][key])
    )
    monkeypatch.setitem(sys.modules, "databricks.sdk.runtime", runtime)
    monkeypatch.setattr("paceline.cli.online.datetime", Clock)
    for name in secrets.NAMES:
        monkeypatch.setenv(name, "of the test before")
    return tmp_path


def sync(job: str, target: str, place: Path, scope: str = "paceline") -> tuple[bool, Path]:
    """Deploys the repository, runs a job; whether it is green, and the file of the repository."""
    bundle = load()
    variables = {"online_secret_scope": scope}
    tree = resolved(bundle, target, variables, TARGETS[target])
    root = place / tree["workspace"]["file_path"].lstrip("/") / "feature_repo"
    root.mkdir(parents=True)
    for path in (ROOT / "feature_repo").iterdir():
        if path.is_file() and is_deployed(bundle, f"feature_repo/{path.name}"):
            shutil.copy(path, root)
    (root / "__pycache__").touch()  # so that nothing can be written there, by whomever
    before = sorted(root.rglob("*"))
    folder = bundle.origin["jobs", job].parent
    went_well = run_job(tree["resources"]["jobs"][job], {}, folder.joinpath, localized(place))
    assert sorted(root.rglob("*")) == before
    return went_well, root / "redis.yaml"


def is_exact(place: Path, file: Path) -> bool:
    arguments = ["--warehouse", str(place / "main"), "--repo", str(file)]
    return main.exit_code(main.paceline, ["online", "verify", *arguments]) == 0


@pytest.mark.parametrize("target", TARGETS)
def test_the_sync_at_noon_fills_a_redis(
    target: str, workspace: Path, capsys: pytest.CaptureFixture[str]
):
    went_well, file = sync("online_sync", target, workspace)
    said = capsys.readouterr().out
    assert went_well
    assert re.search(r"athlete_rolling .* 2 written, 0 deleted", said)
    assert is_exact(workspace, file)


def test_the_store_is_synced_when_the_pipeline_has_failed(
    workspace: Path, capsys: pytest.CaptureFixture[str]
):
    went_well, file = sync("feature_store_pipeline", "prod", workspace)
    assert not went_well
    assert "The landing directory" in capsys.readouterr().err
    assert is_exact(workspace, file)


def test_without_an_online_store_the_job_is_green(
    workspace: Path, capsys: pytest.CaptureFixture[str]
):
    went_well, _ = sync("online_sync", "prod", workspace, scope="none")
    assert went_well
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("scope", "name"), [("half", "PACELINE_REGISTRY"), ("other", "PACELINE_REDIS")]
)
def test_secrets_that_are_missing_fail_the_sync(
    scope: str, name: str, workspace: Path, capsys: pytest.CaptureFixture[str]
):
    went_well, _ = sync("online_sync", "prod", workspace, scope)
    assert not went_well
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"The secret {name} of the scope {scope} cannot be read (KeyError)" in said
