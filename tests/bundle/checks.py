"""What has to hold for the bundle, and the CLI does not notice: each check lists problems.

A problem is one sentence. Checks of the files look at them as they are written; checks of a target
look at what would be deployed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from paceline.store.warehouse import SCHEMAS
from tests.bundle import online, schema
from tests.bundle.bundle import REFERENCE, Bundle, BundleError, is_deployed, load, resolved, walk
from tests.bundle.cron import cron_problem
from tests.bundle.tasks import order, parse_problem, programs, substituted

Tree = dict[str, Any]

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HOST_KEYS = {"host", "profile", "account_id", "workspace_id"}
_NAMES_OF_THINGS = {"timezone_id", "metric_id"}
_DYNAMIC = re.compile(r"\{\{(.*?)\}\}")
_KNOWN_DYNAMIC = re.compile(
    r"job\.(id|name|run_id|repair_count|start_time\.\w+|trigger\.\w+|trigger\.time\.\w+)"
    r"|task\.(name|run_id|execution_count)|workspace\.(id|url)"
)
_PARAMETER = re.compile(r"job\.parameters\.(\w+)")


def problems(root: Path, include: tuple[str, ...] | None = None) -> list[str]:
    """Everything that is wrong with the bundle of a directory."""
    try:
        bundle = load(root, include)
    except BundleError as error:
        return [str(error)]
    found = [problem for check in OF_FILES for problem in check(bundle)]
    trees = {}
    for name in bundle.config["targets"]:
        try:
            trees[name] = resolved(bundle, name)
        except BundleError as error:
            found.append(f"In {name}: {error}")
    for name, tree in trees.items():
        # The other checks rely on the shape.
        listed = [problem for check in OF_SHAPE for problem in check(bundle, tree)]
        listed = listed or [problem for check in OF_TARGETS for problem in check(bundle, tree)]
        found += (f"In {name}: {problem}" for problem in listed)
    return [*found, *shared_between_targets(trees)]


def includes(bundle: Bundle) -> Iterator[str]:
    """Every pattern matches, and every file under resources/ that is not classic is matched."""
    yield from (f"The include {pattern} matches no file." for pattern in bundle.unmatched)
    for path in sorted((bundle.root / "resources").glob("*.yml")):
        if path not in bundle.files and path.stem not in _left_to_classic(bundle):
            yield f"No include matches resources/{path.name}."


def _left_to_classic(bundle: Bundle) -> set[str]:
    """Files of jobs in the place of which their classic variants are included."""
    return {path.stem for path in bundle.files if path.parent.name == "classic"}


def variables(bundle: Bundle) -> Iterator[str]:
    """Each is described, has a default, is used, and is known where it is used or given."""
    declared = bundle.config.get("variables", {})
    for name, variable in declared.items():
        for needed in ("description", "default"):
            if needed not in variable:
                yield f"The variable {name} has no {needed}."
    used = {name.removeprefix("var.") for name in _references(bundle) if name.startswith("var.")}
    yield from (f"The variable {name} is used but not declared." for name in used - set(declared))
    yield from (f"The variable {name} is never used." for name in set(declared) - used)
    for target, over in bundle.config["targets"].items():
        for name in set(over.get("variables", {})) - set(declared):
            yield f"The target {target} sets the variable {name}, which is not declared."


def _references(bundle: Bundle) -> set[str]:
    texts = (value for _, value in walk(bundle.config) if isinstance(value, str))
    return {name for text in texts for name in REFERENCE.findall(text)}


def targets(bundle: Bundle) -> Iterator[str]:
    """One default target, for development; the others are for a principal and state where."""
    found = bundle.config["targets"]
    defaults = [name for name, over in found.items() if over.get("default")]
    if len(defaults) != 1 or found[defaults[0]].get("mode") != "development":
        yield "There has to be one default target, in development mode."
    for name, over in found.items():
        for kind, key in ((k, key) for k, v in over.get("resources", {}).items() for key in v):
            if key not in bundle.config["resources"].get(kind, {}):
                yield f"The target {name} overrides {kind}.{key}, which is nowhere else."
        if over.get("mode") != "development":
            missing = {"run_as", "permissions"} - set(over)
            missing |= {"root_path"} - set(over.get("workspace", {}))
            yield from (f"The target {name} does not state {key}." for key in sorted(missing))


def literals(bundle: Bundle) -> Iterator[str]:
    """What belongs to one workspace or person is left to profiles and variables."""
    for path, value in walk(bundle.config):
        where, key = ".".join(path), path[-1]
        if key in _HOST_KEYS or "://" in str(value):
            yield f"{where} fixes a workspace."
        if _EMAIL.search(str(value)):
            yield f"{where} holds an e-mail address."
        is_id = key.endswith(("_id", "service_principal_name")) and key not in _NAMES_OF_THINGS
        if _UUID.search(str(value)) or (is_id and "${" not in str(value)):
            yield f"{where} holds an id."


def wheel(bundle: Bundle) -> Iterator[str]:
    """Jobs install what the artifact builds, offline."""
    artifacts = bundle.config.get("artifacts", {})
    built = {
        (bundle.root / artifact.get("path", ".") / "dist" / "*.whl").resolve()
        for artifact in artifacts.values()
        if artifact.get("type") == "whl" and "--no-isolation" in artifact.get("build", "")
    }
    for key, job in bundle.config["resources"].get("jobs", {}).items():
        specs = [environment.get("spec", {}) for environment in job.get("environments", [])]
        asked = [text for spec in specs for text in spec.get("dependencies", [])]
        libraries = [
            library for task in job.get("tasks", []) for library in task.get("libraries", [])
        ]
        asked += [library["whl"] for library in libraries if "whl" in library]
        folder = bundle.origin["jobs", key].parent
        asked = [re.sub(r"\[.*\]$", "", text) for text in asked]  # an extra
        if not asked or not {(folder / text).resolve() for text in asked} <= built:
            yield f"The job {key} does not install the wheel that the bundle builds."


def typed(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """Every resource is one of the typed classes."""
    for kind, resources in tree["resources"].items():
        for key, resource in resources.items():
            made = schema.CLASSES.get(kind)
            if made is None:
                yield f"Nothing is known of resources of the kind {kind}."
                continue
            try:
                made.from_dict(resource)
            except (TypeError, ValueError) as error:
                yield f"{kind}.{key}: {error}."


def in_schema(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """The whole tree is as the JSON schema says."""
    yield from schema.errors(bundle.config | {"resources": tree["resources"]})


def names(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """No two resources of a kind, tasks, parameters or environments are called the same."""
    for kind, resources in tree["resources"].items():
        yield from _twice(f"{kind} are", (resource.get("name") for resource in resources.values()))
    for key, job in _jobs(tree):
        for things, field in (
            *(("tasks", "task_key"), ("parameters", "name")),
            *(("environments", "environment_key"), ("job_clusters", "job_cluster_key")),
        ):
            found = (thing.get(field) for thing in job.get(things, []))
            yield from _twice(f"{things} of {key} are", found)


def kept(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """No deployment to prod removes what holds data."""
    if tree["bundle"]["target"] == "prod":
        for kind in ("schemas", "volumes"):
            for key, resource in tree["resources"].get(kind, {}).items():
                if not resource.get("lifecycle", {}).get("prevent_destroy"):
                    yield f"{kind}.{key} may be destroyed with all that it holds."


def _twice(what: str, found: Iterator[Any]) -> Iterator[str]:
    counts = Counter(found)
    yield from (f"Two {what} called {name}." for name, count in counts.items() if count > 1)


def _jobs(tree: Tree) -> Iterator[tuple[str, Tree]]:
    yield from tree["resources"].get("jobs", {}).items()


def dependencies(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """Tasks wait for tasks that are there, and not for each other."""
    for key, job in _jobs(tree):
        known = {task.get("task_key") for task in job.get("tasks", [])}
        for task in job.get("tasks", []):
            for name in {other["task_key"] for other in task.get("depends_on", [])} - known:
                yield f"{key}: {task['task_key']} depends on {name}, which is no task."
        if order(job.get("tasks", [])) is None:
            yield f"{key}: its tasks wait for each other."


def compute(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """Every task names one environment or cluster of its job."""
    for key, job in _jobs(tree):
        known = {e["environment_key"] for e in job.get("environments", [])}
        known |= {c["job_cluster_key"] for c in job.get("job_clusters", [])}
        for task in programs(job):
            asked = [task[k] for k in ("environment_key", "job_cluster_key") if k in task]
            if len(asked) != 1 or asked[0] not in known:
                yield f"{key}: {task['task_key']} runs on {asked or 'nothing'}, which is not there."


def schedules(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """Cron and zone can be read, and nothing keeps development from being paused."""
    for key, job in _jobs(tree):
        schedule = job.get("schedule")
        if schedule is None:
            yield f"{key} has no schedule."
            continue
        if problem := cron_problem(schedule["quartz_cron_expression"]):
            yield f"{key}: the cron expression {problem}."
        if schedule["timezone_id"] not in available_timezones():
            yield f"{key}: {schedule['timezone_id']} is no time zone."
        if "pause_status" in schedule:
            yield f"{key}: pause_status is written out, which defeats development mode."


def parameters(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """Every {{...}} is known, and every parameter of a job is used by one of its tasks."""
    for key, job in _jobs(tree):
        declared = {parameter["name"] for parameter in job.get("parameters", [])}
        used = set()
        for _, text in walk(job):
            for name in _DYNAMIC.findall(str(text)):
                if parameter := _PARAMETER.fullmatch(name):
                    used.add(parameter[1])
                elif not _KNOWN_DYNAMIC.fullmatch(name):
                    yield f"{key}: {{{{{name}}}}} is nothing that the platform knows."
        yield from (f"{key} has no parameter {name}, but uses it." for name in used - declared)
        yield from (f"{key}: no task uses the parameter {name}." for name in declared - used)


def commands(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """Every task runs a file that is deployed, whose own parser takes the arguments."""
    for key, job in _jobs(tree):
        for task in programs(job):
            given = task.get("spark_python_task", {}).get("parameters", [])
            path = (bundle.origin["jobs", key].parent / _file_of(task)).resolve()
            relative = path.relative_to(bundle.root.resolve()).as_posix()
            if not path.is_file():
                yield f"{key}: {task['task_key']} runs {relative}, which is not there."
                continue
            if not is_deployed(bundle, relative):
                yield f"{key}: {relative} is not deployed: sync leaves it out."
            if not all(re.match(r"--[a-z-]+=", text) for text in given):
                yield f"{key}: {task['task_key']} has an argument that is no single token."
            if problem := parse_problem(path, substituted(job, task)):
                yield f"{key}: {task['task_key']} is refused by its parser: {problem}."


def _file_of(task: Tree) -> str:
    return str(task.get("spark_python_task", {}).get("python_file", "nothing"))


def schema_arguments(bundle: Bundle) -> Iterator[str]:
    """Tasks learn the name of every schema from the resource that makes it."""
    for key, job in bundle.config["resources"].get("jobs", {}).items():
        for task in programs(job):
            given = task.get("spark_python_task", {}).get("parameters", [])
            for layer in SCHEMAS:
                if f"--schema={layer}=${{resources.schemas.{layer}.name}}" not in given:
                    yield f"{key}: {task['task_key']} is not told the schema of {layer}."


def operations(bundle: Bundle, tree: Tree) -> Iterator[str]:
    """Runs never overlap or hang, are tried again after a pause, and are told about."""
    for key, job in _jobs(tree):
        if job.get("max_concurrent_runs") != 1 or not job.get("queue", {}).get("enabled"):
            yield f"{key}: runs may overlap or be lost; it needs one at a time, and a queue."
        if not job.get("timeout_seconds") or not job.get("health", {}).get("rules"):
            yield f"{key} has no timeout or no health rule."
        for task in programs(job):
            needed = ("timeout_seconds", "max_retries", "min_retry_interval_millis")
            if missing := [field for field in needed if not task.get(field)]:
                yield f"{key}: {task['task_key']} has no {', '.join(missing)}."
    for key, job in bundle.config["resources"].get("jobs", {}).items():
        if not REFERENCE.fullmatch(str(job.get("email_notifications", {}).get("on_failure"))):
            yield f"{key}: nobody can be told of failures by a variable."


def shared_between_targets(trees: dict[str, Tree]) -> Iterator[str]:
    """Targets that share a catalog and a workspace do not touch each other's tables and jobs."""
    seen: Counter[str] = Counter()
    for tree in trees.values():
        resources = tree["resources"]
        seen.update(f"{s['catalog_name']}.{s['name']}" for s in resources["schemas"].values())
        seen.update(job["name"] for job in resources["jobs"].values())
    yield from (f"Two targets share {name}." for name, count in seen.items() if count > 1)


OF_FILES: tuple[Callable[[Bundle], Iterator[str]], ...] = (
    *(includes, variables, targets, literals, wheel, schema_arguments, online.repository),
)
OF_SHAPE: tuple[Callable[[Bundle, Tree], Iterator[str]], ...] = (typed, in_schema)
OF_TARGETS: tuple[Callable[[Bundle, Tree], Iterator[str]], ...] = (
    *(names, dependencies, compute, schedules, parameters, commands, operations, kept),
    *(online.installed, online.alike, online.flow, online.at_noon),
)
