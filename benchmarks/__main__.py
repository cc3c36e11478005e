"""`python -m benchmarks`: runs the experiments and writes `benchmarks/results/<size>.json`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from benchmarks import goals
from benchmarks.bench import Bench
from benchmarks.experiments import EXPERIMENTS, run
from benchmarks.figures import number
from benchmarks.runner import ROOT, Findings
from benchmarks.sizes import SIZES
from benchmarks.worlds import Worlds

# Of an absolute path; not what follows a host, a number or a relative path.
FOLDERS = re.compile(r"(?:file:/*|(?<![\w.:/~-])/)(?:[^\s/\"'<>|:,;()\[\]{}]+/)+")
PACKAGES = (
    *("pyspark", "delta-spark", "polars", "duckdb", "deltalake", "numpy", "pyarrow", "feast"),
)


def main() -> int:
    """Returns 0; 1 when a contender has failed, or with --check a guarded figure is worse."""
    arguments = _arguments()
    path = arguments.results or ROOT / "benchmarks" / "results" / f"{arguments.size}.json"
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    findings = Findings()
    bench = Bench(SIZES[arguments.size], Worlds(work), work, findings)
    made_with = about(arguments.size)
    before, done = _of_commit(made_with["commit"], _read(path)), []
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        run(bench, name)
        done.append(name)
        # After each experiment: the whole may take hours.
        results = made_with | merged(before, asdict(findings), done)
        text = json.dumps(without_paths(results), indent=1)
        path.write_text(text + "\n", encoding="utf-8")
    bench.worlds.close()
    print(f"Results: {path}")
    reached = goals.reached(results)
    print(table(reached))
    broken = goals.broken(reached) if arguments.check else []
    for goal in broken:
        print(f"Worse than its guard of {goal.guard}: {goal.name}.", file=sys.stderr)
    failed = [one for one in findings.failures if one["kind"] == "failed"]
    for one in failed:
        print(f"Failed: {one['contender']} in {one['experiment']}.", file=sys.stderr)
    disagreeing = [one for one in findings.agreement if not one["agrees"]]
    for one in disagreeing:
        print(f"Other values than the recipe: {one['contender']}.", file=sys.stderr)
    return 1 if broken or failed or disagreeing else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument(
        "--only",
        type=_names,
        default=tuple(EXPERIMENTS),
        help=f"some of {', '.join(EXPERIMENTS)}, with commas; the others keep their results of the "
        "same commit",
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 when a guarded figure is worse"
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build" / "bench", help="where inputs are kept"
    )
    parser.add_argument("--results", type=Path, help="the file to write")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := [name for name in names if name not in EXPERIMENTS]:
        raise argparse.ArgumentTypeError(
            f"there is no experiment {', '.join(unknown)}: choose from {', '.join(EXPERIMENTS)}"
        )
    return names


def merged(
    before: dict[str, Any], found: dict[str, list[dict[str, Any]]], done: Sequence[str]
) -> dict[str, Any]:
    """The findings of the experiments that have run, and the earlier ones of the others."""
    return {
        kind: [one for one in before.get(kind, []) if one["experiment"] not in done] + new
        for kind, new in found.items()
    }


def without_paths(found: Any) -> Any:
    r"""The same, but of absolute paths in texts only the last part is left: results are published.

    Example:
        >>> without_paths({"a": ["File \"/home/me/a.py\", file:/tmp/x/y.parquet", "1/2 https://b.c/d"]})
        {'a': ['File "a.py", y.parquet', '1/2 https://b.c/d']}
    """
    if isinstance(found, str):
        return FOLDERS.sub("", found)
    if isinstance(found, dict):
        return {name: without_paths(value) for name, value in found.items()}
    return [without_paths(one) for one in found] if isinstance(found, list) else found


def about(size: str) -> dict[str, Any]:
    """Where and with what the results were made."""
    return {
        "paceline": version("paceline"),
        "commit": _commit(),
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "size": size,
        "machine": {
            "cpu": _cpu(),
            "cores": psutil.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": platform.platform(),
        },
        "versions": {
            "python": platform.python_version(),
            "java": _java(),
            **{package: _version(package) for package in PACKAGES},
        },
    }


def table(reached: Sequence[goals.Reached]) -> str:
    """The goals, what they came to, and whether they are met."""
    lines = []
    for goal in reached:
        verdict = "not measured" if goal.value is None else "met" if goal.is_met else "MISSED"
        verdict += "" if goal.holds else ", WORSE THAN BEFORE"
        shown = f"{number(goal.value)} {goal.unit if goal.value is not None else ''}"
        lines.append(f"{goal.name:<82} {shown:>14}  {verdict:<12} ({goal.goal_text})")
    return "\n".join(lines)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _commit() -> str | None:
    """The commit that is measured; `-dirty` where the code is not what it holds."""
    git = ("git", "-C", str(ROOT))
    # What a measurement writes is no code: results, and the page that shows them.
    written = (":(exclude)benchmarks/results", ":(exclude)docs")
    commit = _said(*git, "rev-parse", "--short", "HEAD")
    changed = _said(*git, "status", "--porcelain", "--untracked-files=no", "--", ".", *written)
    return f"{commit}-dirty" if commit and changed else commit


def _of_commit(commit: str | None, results: dict[str, Any]) -> dict[str, Any]:
    """Results of this commit; empty when they are of another one, or the commit is unknown."""
    return results if commit and results.get("commit") == commit else {}


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _java() -> str | None:
    java = Path(os.environ["JAVA_HOME"]) / "bin" / "java" if "JAVA_HOME" in os.environ else "java"
    said = _said(str(java), "-version")
    return said.splitlines()[0] if said else None


def _said(*command: str) -> str | None:
    """What a command prints, to either stream; None when it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return (done.stdout or done.stderr).strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
