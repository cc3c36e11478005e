"""The files of the bundle, without a workspace: what is wrong in them is found, and nothing is."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import jsonschema_rs
import pytest

from tests.bundle import online_breaks
from tests.bundle.breaks import BREAKS
from tests.bundle.bundle import COMMIT, ROOT, is_deployed, load, resolved
from tests.bundle.checks import problems
from tests.bundle.cron import cron_problem
from tests.bundle.tasks import order, programs, substituted

ALL_BREAKS = BREAKS | online_breaks.BREAKS

# What docs/databricks.md tells to include for clusters.
CLASSIC = ("resources/classic/*.yml", "resources/*.schemas.yml", "resources/*.volume.yml")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the bundle, to be broken."""
    folder = tmp_path_factory.mktemp("bundle")
    names = ("databricks.yml", "resources", "jobs", "feature_repo", "pyproject.toml", ".gitignore")
    for name in names:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def test_nothing_is_wrong():
    assert problems(ROOT) == []


def test_nothing_is_wrong_with_the_classic_variant():
    assert problems(ROOT, CLASSIC) == []


@pytest.mark.parametrize("name", ALL_BREAKS)
def test_a_break_is_caught_for_its_reason(copy: Path, name: str):
    file, old, new, reason = ALL_BREAKS[name]
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    assert reason
    path.write_text(text.replace(old, new), encoding="utf-8")
    try:
        found = problems(copy, CLASSIC if "classic" in file else None)
    finally:
        path.write_text(text, encoding="utf-8")
    assert any(reason in problem for problem in found), found


def test_the_classic_variant_differs_in_its_compute_only():
    on_serverless, on_cluster = (
        {key: dict(job) for key, job in load(ROOT, include).config["resources"]["jobs"].items()}
        for include in (None, CLASSIC)
    )
    of_compute = {"environments", "job_clusters", "environment_key", "job_cluster_key", "libraries"}
    for jobs in (on_serverless, on_cluster):
        for job in jobs.values():
            job["tasks"] = [
                {key: value for key, value in task.items() if key not in of_compute}
                for task in job["tasks"]
            ]
            for task in programs(job):
                script = task["spark_python_task"]
                file = script["python_file"].replace("../../", "../")
                task["spark_python_task"] = script | {"python_file": file}
            for key in of_compute & set(job):
                del job[key]
    assert on_serverless == on_cluster


def test_what_a_task_of_a_deployment_to_dev_is_told():
    job = resolved(load(), "dev")["resources"]["jobs"]["feature_store_pipeline"]
    activity, rolling, sync = (t for t in order(job["tasks"]) if t in programs(job))
    assert [task["task_key"] for task in (activity, rolling, sync)] == [
        *("Feature_Activity", "Feature_Rolling", "Online_Sync"),
    ]
    told = substituted(job, activity, {"start": "2024-01-01"})
    assert told == [
        "--start=2024-01-01",
        "--end=",
        "--landing=/Volumes/main/dev_ann_smith_bronze/landing",
        "--catalog=main",
        "--schema=bronze=dev_ann_smith_bronze",
        "--schema=silver=dev_ann_smith_silver",
        "--schema=feature_store=dev_ann_smith_feature_store",
        "--schema=ops=dev_ann_smith_ops",
        "--target=dev",
        f"--git-commit={COMMIT}",
        "--job-run-id=550315892394120",
    ]
    assert substituted(job, rolling, {"start": "2024-01-01"}) == told
    assert substituted(job, sync) == [
        "--repo=/Workspace/Users/ann.smith@example.com/.bundle/paceline/dev/files/feature_repo"
        "/redis.yaml",
        "--secret-scope=none",
        *told[3:8],
    ]


def test_the_values_of_a_target_and_of_the_command_line_win():
    bundle = load()
    schemas = resolved(bundle, "staging", {"catalog": "lake"})["resources"]["schemas"]
    assert schemas["silver"]["catalog_name"] == "lake"
    assert schemas["silver"]["name"] == "staging_silver"
    (grant,) = schemas["feature_store"]["grants"]
    assert grant["principal"] == "paceline-readers"
    (grant,) = resolved(bundle, "dev")["resources"]["schemas"]["feature_store"]["grants"]
    assert grant["principal"] == "ann.smith@example.com"


def test_nothing_but_the_jobs_and_the_feature_repository_is_deployed():
    bundle = load()
    assert is_deployed(bundle, "jobs/feature_activity.py")
    assert is_deployed(bundle, "feature_repo/redis.yaml")
    for file in ("feature_repo/data/online.db", "feature_repo/__pycache__/features.pyc"):
        assert not is_deployed(bundle, file), file
    for file in ("landing/strava_api/a.jsonl", "data/landing/a.jsonl", "README.md", "src/a.py"):
        assert not is_deployed(bundle, file), file


@pytest.mark.parametrize(
    "expression",
    [
        *("0 0 6 * * ?", "0 0 12 ? * SUN", "0 0/15 8-18 ? * MON-FRI", "0 0 0 L * ?"),
        *("30 15 10 15W * ? 2026-2030", "0 0 0 ? JAN,JUL 6#3", "0 0 0 ? * 6L"),
    ],
)
def test_a_cron_expression_that_quartz_takes(expression: str):
    assert cron_problem(expression) is None


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("0 6 * * *", "has 5 fields"),
        ("0 0 6 * * *", "needs a ?"),
        ("0 0 6 ? * ?", "needs a ?"),
        ("60 0 6 * * ?", "has 60 for its seconds"),
        ("0 0 24 * * ?", "has 24 for its hours"),
        ("0 0 6 0 * ?", "has 0 for its day of month"),
        ("0 0 6 ? * SUNDAY", "has SUNDAY for its day of week"),
        ("0 0 6 ? 13 MON", "has 13 for its month"),
        ("0 0/0 6 * * ?", "has 0/0 for its minutes"),
        ("0 ? 6 * * ?", "has ? for its minutes"),
        ("0 0 @6 * * ?", "has @6 for its hours"),
    ],
)
def test_a_cron_expression_that_it_does_not(expression: str, problem: str):
    assert problem in cron_problem(expression)


def test_the_schema_of_the_command_line_interface_accepts_every_file():
    """Where there is one; without it our own schema, made of the typed classes, has to do."""
    command = shutil.which("databricks")
    if command is None:
        return
    said = subprocess.run([command, "bundle", "schema"], capture_output=True, check=True)
    validator = jsonschema_rs.validator_for(json.loads(said.stdout))
    for include in (None, CLASSIC):
        bundle = load(ROOT, include)
        main = bundle.files[ROOT / "databricks.yml"]
        for target, over in main["targets"].items():
            # It asks for whole resources also where a target changes a part.
            over.pop("resources", None)
            tree = {"resources": resolved(bundle, target)["resources"]}
            assert [str(e) for e in validator.iter_errors(tree)] == [], target
        for path, content in bundle.files.items():
            assert [str(e) for e in validator.iter_errors(content)] == [], path
    assert not validator.is_valid({"bundle": {"name": "a", "nmae": "a"}})
