"""The real `databricks` command deploys, runs and destroys the bundle on a workspace of our own."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
import yaml

from paceline.generate import generate
from tests.bundle.bundle import COMMIT, PRINCIPAL, ROOT, USER, load, resolved
from tests.bundle.fake_workspace import Call, Workspace, answer, serving
from tests.bundle.tasks import programs, run_job
from tests.bundle.test_bundle import CLASSIC
from tests.bundle.test_commands import Clock, gold, localized
from tests.pipeline.warehouse import quick

WHAT_IS_DEPLOYED = ("databricks.yml", "resources", "jobs", "feature_repo")
WHAT_THE_WHEEL_IS_MADE_OF = ("src", "conf", "pyproject.toml", "README.md", "LICENSE", ".gitignore")
PIPELINE = "feature_store_pipeline"
WHEEL = re.compile(r"(environments\[.*\]\.spec\.dependencies|tasks\[.*\]\.libraries)\[0\](\.whl)?")
SECONDS_FOR_A_COMMAND = 300
# Nothing listens there: what would leave this machine fails at once.
NOWHERE = "http://127.0.0.1:9"

# Who deploys, the prefix of schemas, and whether the schedules run.
TARGETS = {
    "dev": (USER["userName"], "dev_ann_smith_", "PAUSED"),
    "staging": (PRINCIPAL["userName"], "staging_", "PAUSED"),
    "prod": (PRINCIPAL["userName"], "", "UNPAUSED"),
}
LAYERS = ("bronze", "silver", "feature_store", "ops")


def version_of(text):
    return tuple(int(part) for part in re.search(r"(\d+)\.(\d+)\.(\d+)", text).groups())


def why_not():
    """Why the command cannot be driven here, or nothing."""
    bundle = yaml.safe_load((ROOT / "databricks.yml").read_text())["bundle"]
    needed = version_of(bundle["databricks_cli_version"])
    how = "install the Databricks CLI {}.{}.{} or newer, docs.databricks.com/dev-tools/cli".format(
        *needed
    )
    if shutil.which("databricks") is None:
        return f"no `databricks` on PATH: {how}"
    said = subprocess.run(["databricks", "version"], capture_output=True, text=True, timeout=60)
    if version_of(said.stdout) < needed:
        return f"`databricks` on PATH is {said.stdout.strip()}: {how}"
    return ""


REASON = why_not()
with_the_cli = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture
def source(tmp_path):
    """A clone of the bundle, so that what the command writes stays out of the working tree."""
    folder = tmp_path / "paceline"
    folder.mkdir()
    for name in WHAT_IS_DEPLOYED + WHAT_THE_WHEEL_IS_MADE_OF:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in ("init -q", "add .", "commit -q -m A"):
        subprocess.run([*git, *arguments.split()], cwd=folder, check=True)
    return folder


def run_command(folder, url, target, *arguments, fails=False):
    """What `databricks bundle` prints; its failure or a warning is one of the test."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder.parent),
        "DATABRICKS_HOST": url,
        "DATABRICKS_TOKEN": "anything",
        "DATABRICKS_CONFIG_FILE": str(folder.parent / "no-profiles"),
        "DATABRICKS_CLI_DISABLE_TELEMETRY": "true",
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "PIP_NO_INDEX": "1",
    }
    done = subprocess.run(
        ["databricks", "bundle", *arguments, "--target", target],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_FOR_A_COMMAND,
    )
    said = f"databricks bundle {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    assert (done.returncode != 0) == fails, said
    assert "Warning" not in said, said
    return said if fails else done.stdout


def actions(plan):
    return {name: entry["action"] for name, entry in json.loads(plan)["plan"].items()}


def changed_fields(plan):
    return {
        path
        for entry in json.loads(plan)["plan"].values()
        if entry["action"] != "skip"
        for path, change in entry.get(
            "changes", {"everything": {"action": entry["action"]}}
        ).items()
        if change["action"] != "skip"
    }


def wheels_of(settings):
    """The wheels of a job: those of its environments, and those of its tasks on clusters."""
    environments = [each["spec"] for each in settings.get("environments", [])]
    libraries = [each for task in settings["tasks"] for each in task.get("libraries", [])]
    wheels = [
        re.sub(r"\[\w+\]$", "", text) for spec in environments for text in spec["dependencies"]
    ]
    return wheels + [each["whl"] for each in libraries if "whl" in each]


def check_files(workspace, folder, root):
    """What the jobs name is in the workspace: the job files as they are, and the wheel."""
    for job in workspace.jobs.values():
        for task in programs(job["settings"]):
            path = task["spark_python_task"]["python_file"]
            assert path.startswith(f"{root}/files/jobs/")
            assert workspace.files[path] == (folder / "jobs" / Path(path).name).read_bytes()
        assert wheels_of(job["settings"])
        for wheel in wheels_of(job["settings"]):
            names = zipfile.ZipFile(BytesIO(workspace.files[wheel])).namelist()
            assert {"paceline/pipeline/jobs.py", "paceline/conf/paceline.yml"} <= set(names)
    for name in ("redis.yaml", "features.py"):
        deployed = workspace.files[f"{root}/files/feature_repo/{name}"]
        assert deployed == (folder / "feature_repo" / name).read_bytes()


def check_jobs(workspace, folder, target, offline):
    """The jobs are what the offline checks of the bundle take them for."""
    user, _, schedule = TARGETS[target]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()
    expected = {job["name"]: job for job in offline["resources"]["jobs"].values()}
    deployed = {job["settings"]["name"]: job["settings"] for job in workspace.jobs.values()}
    assert deployed.keys() == expected.keys()
    for name, settings in deployed.items():
        commands = [task["spark_python_task"]["parameters"] for task in programs(settings)]
        assert commands == [
            [each.replace(COMMIT, commit) for each in task["spark_python_task"]["parameters"]]
            for task in programs(expected[name])
        ]
        conditions = [task.get("condition_task") for task in settings["tasks"]]
        assert conditions == [task.get("condition_task") for task in expected[name]["tasks"]]
        assert settings["schedule"]["pause_status"] == schedule
        if target != "dev":
            assert settings["run_as"] == {"service_principal_name": user}


@with_the_cli
@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_deployed_run_and_destroyed(target, source):
    user, prefix, _ = TARGETS[target]
    root = f"/Workspace/Users/{user}/.bundle/paceline/{target}"
    runs, outcomes = [], [False, True]
    workspace = Workspace(lambda *run: runs.append(run) or outcomes.pop(0), user)
    with serving(workspace) as url:
        bundle = partial(run_command, source, url, target)
        bundle("validate", "--strict")
        assert set(actions(bundle("plan", "--output", "json")).values()) == {"create"}
        bundle("deploy")
        check_files(workspace, source, root)
        check_jobs(workspace, source, target, resolved(load(), target, user=person(user)))
        assert set(workspace.schemas) == {f"main.{prefix}{layer}" for layer in LAYERS}
        assert set(workspace.volumes) == {f"main.{prefix}bronze.landing"}
        changes = changed_fields(bundle("plan", "--output", "json"))
        # A deployment to dev always brings a new wheel, whose name has the time in it.
        assert all(WHEEL.fullmatch(path) for path in changes) if target == "dev" else not changes
        bundle("deploy")
        check_files(workspace, source, root)
        summary = json.loads(bundle("summary", "--output", "json"))["resources"]["jobs"]
        assert {int(job["id"]) for job in summary.values()} == set(workspace.jobs)
        assert "did not succeed" in bundle("run", PIPELINE, fails=True)
        bundle("run", PIPELINE, "--params", "start=2024-01-01,end=2024-02-01")
        if target == "prod":
            refuse_and_release(source, bundle)
        bundle("destroy", "--auto-approve")
    assert [parameters for _, parameters in runs] == [
        {"start": "", "end": ""},
        {"start": "2024-01-01", "end": "2024-02-01"},
    ]
    assert workspace.left(root) == []
    assert workspace.unexpected == []


def refuse_and_release(folder, bundle):
    """What prod keeps is not destroyed, and is let go when its file no longer says so."""
    assert "schemas.silver has lifecycle.prevent_destroy set" in bundle(
        "destroy", "--auto-approve", fails=True
    )
    main = folder / "databricks.yml"
    kept = "            prevent_destroy: true\n"
    assert kept in main.read_text()
    main.write_text(main.read_text().replace(kept, kept.replace("true", "false")))


@with_the_cli
@pytest.mark.slow
def test_the_classic_variant_is_deployed_and_destroyed(source):
    main = source / "databricks.yml"
    serverless = "include:\n  - resources/*.yml\n"
    assert serverless in main.read_text()
    classic = "include:\n" + "".join(f"  - {pattern}\n" for pattern in CLASSIC)
    main.write_text(main.read_text().replace(serverless, classic))
    workspace = Workspace(lambda *_: True, PRINCIPAL["userName"])
    root = f"/Workspace/Users/{PRINCIPAL['userName']}/.bundle/paceline/staging"
    with serving(workspace) as url:
        bundle = partial(run_command, source, url, "staging")
        bundle("validate", "--strict")
        bundle("deploy")
        check_files(workspace, source, root)
        settings = [job["settings"] for job in workspace.jobs.values()]
        assert all("job_clusters" in each and "environments" not in each for each in settings)
        assert not changed_fields(bundle("plan", "--output", "json"))
        bundle("destroy", "--auto-approve")
    assert workspace.left(root) == []
    assert workspace.unexpected == []


@with_the_cli
@pytest.mark.slow
def test_a_deployed_job_makes_the_gold_tables(source, spark, tmp_path, monkeypatch):
    user, prefix, _ = TARGETS["dev"]
    volume = tmp_path / "Volumes" / "main" / f"{prefix}bronze" / "landing"
    generate(volume, athletes=1, days=10, seed=3, end=date(2026, 6, 30))
    monkeypatch.setattr("paceline.pipeline.execute.datetime", Clock)

    def uploaded(path):
        local = tmp_path / Path(path).name
        local.write_bytes(workspace.files[path])
        return local

    def execute(settings, parameters):
        return run_job(settings, parameters, uploaded, localized(tmp_path))

    workspace = Workspace(execute, user)
    with serving(workspace) as url, quick(spark):
        bundle = partial(run_command, source, url, "dev")
        bundle("deploy")
        bundle("run", PIPELINE)
        assert all(gold(spark, tmp_path / "main").values())
        (run,) = spark.table(f"{prefix}ops.ledger").select("target").distinct().collect()
        assert run["target"] == "dev"


def person(user):
    return next(each for each in (USER, PRINCIPAL) if each["userName"] == user)


def test_the_workspace_notes_what_it_does_not_know():
    workspace = Workspace(lambda *_: True)
    status, _ = answer(workspace, Call("GET", "/api/2.0/clusters/list", {}, b""))
    assert status == 404
    assert workspace.unexpected == ["GET /api/2.0/clusters/list"]
