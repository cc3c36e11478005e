"""What has to hold for the sync of the online store: checks as those of `checks`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from tests.bundle.bundle import Bundle, is_deployed, resolved
from tests.bundle.tasks import is_success, programs, states

Tree = dict[str, Any]

SYNC = "Online_Sync"
STORE = "--repo=${workspace.file_path}/feature_repo/redis.yaml"
SCOPE = "--secret-scope=${var.online_secret_scope}"
# With a store, and where the schedules have another zone.
ELSEWHERE = {"online_secret_scope": "paceline", "timezone": "Asia/Tokyo"}
_DAILY = re.compile(r"(\d+) (\d+) (\d+) (?:\* \* \?|\? \* \*)")


def _syncs(tree: Tree) -> Iterator[tuple[str, Tree, Tree]]:
    """The syncs of the jobs, each as the key of its job, the job and the task."""
    for key, job in tree["resources"].get("jobs", {}).items():
        for task in job.get("tasks", []):
            if task.get("task_key") == SYNC:
                yield key, job, task


def repository(bundle: Bundle) -> Iterator[str]:
    """The store is that of redis.yaml, which is deployed, and its addresses are secrets."""
    for key, _, task in _syncs(bundle.config):
        given = task["spark_python_task"]["parameters"]
        if [text for text in given if text.startswith("--repo=")] != [STORE]:
            yield f"{key}: {SYNC} has another store than that of feature_repo/redis.yaml."
        if SCOPE not in given:
            yield f"{key}: {SYNC} is not told the scope of its secrets."
    for name in ("redis.yaml", "features.py"):
        if not is_deployed(bundle, f"feature_repo/{name}"):
            yield f"feature_repo/{name} is not deployed: sync leaves it out."


def installed(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """A sync has what the extra `online` of the package asks for, in the same versions."""
    package = tomllib.loads((bundle.root / "pyproject.toml").read_text(encoding="utf-8"))
    extra = set(package["project"]["optional-dependencies"]["online"])
    for key, job, task in _syncs(tree):
        specs = {each["environment_key"]: each["spec"] for each in job.get("environments", [])}
        asked = specs.get(task.get("environment_key"), {}).get("dependencies", [])
        libraries = [
            each["pypi"]["package"] for each in task.get("libraries", []) if "pypi" in each
        ]
        if not any(text.endswith(".whl[online]") for text in asked) and set(libraries) != extra:
            yield f"{key}: {SYNC} is not installed with the extra online."


def alike(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """Every sync is the same task."""
    found = list(_syncs(tree))
    for key, _, task in found[1:]:
        if differs := [name for name in task if task[name] != found[0][2].get(name)]:
            yield f"{SYNC} of {key} differs from that of {found[0][0]}: {', '.join(differs)}."


def flow(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """A sync comes last, failures neither stop it nor are hidden by it, and it needs a store."""
    for key, job, _ in _syncs(tree):
        ended = states(job, lambda _: True)
        if ended.get(SYNC) != "EXCLUDED" or not is_success(job, ended):
            yield f"{key}: without an online store a run is not green, or {SYNC} runs all the same."
    for key, job, task in _syncs(resolved(bundle, tree["bundle"]["target"], ELSEWHERE)):
        others = {other["task_key"] for other in programs(job)} - {SYNC}
        if states(job, lambda _: True).get(SYNC) != "SUCCESS":
            yield f"{key}: {SYNC} does not run where there is an online store."
        if missing := others - _ancestors(job, task):
            yield f"{key}: {SYNC} does not wait for {', '.join(sorted(missing))}."
        for name in sorted(others):
            ended = states(job, lambda other, name=name: other["task_key"] != name)
            if ended.get(SYNC) != "SUCCESS":
                yield f"{key}: {SYNC} does not run when {name} has failed."
            if is_success(job, ended):
                yield f"{key}: a run in which {name} has failed is taken for a success."


def _ancestors(job: Tree, task: Tree) -> set[str]:
    """All tasks that a task waits for."""
    found: set[str] = set()
    waiting = [task]
    while waiting:
        names = {other["task_key"] for other in waiting.pop().get("depends_on", [])} - found
        found |= names
        waiting += [other for other in job["tasks"] if other["task_key"] in names]
    return found


def at_noon(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """A sync is scheduled every day after noon of UTC, whatever the zone of the other schedules."""
    jobs = [job for _, job, _ in _syncs(resolved(bundle, tree["bundle"]["target"], ELSEWHERE))]
    if not any(_is_after_noon(job.get("schedule", {})) for job in jobs):
        yield "No job syncs the online store every day after 12:00 UTC."


def _is_after_noon(schedule: Tree) -> bool:
    daily = _DAILY.fullmatch(schedule.get("quartz_cron_expression", ""))
    if daily is None or schedule["timezone_id"] != "UTC":
        return False
    seconds, minutes, hours = map(int, daily.groups())
    return (hours, minutes, seconds) > (12, 0, 0)
