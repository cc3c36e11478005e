"""The wheel of the bundle, built and installed out of reach of network and source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What a terminal of a developer may say about Python, Spark and paceline.
_OURS = {"PYTHONPATH", "VIRTUAL_ENV", "SPARK_HOME", "PYSPARK_PYTHON", "START_TIME", "END_TIME"}
# Each process says in its last line where it has found the package.
_SAY_WHERE = (
    "import atexit, sys; atexit.register(lambda: 'paceline' in sys.modules"
    " and print('imported from', sys.modules['paceline'].__file__))\n"
)


def environment() -> dict[str, str]:
    """The variables of a process that knows no package index and nothing of this clone."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    return kept | {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}


def build(out: Path) -> Path:
    """Builds the wheel into a directory, without a build environment; returns its path."""
    _alone(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT)
    (built,) = out.glob("*.whl")
    return built


def install(wheel: Path, place: Path) -> Path:
    """Makes an environment with the wheel and what it depends on; returns its directory `bin`."""
    _alone(sys.executable, "-m", "venv", "--without-pip", place)
    pip = (sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install", "--quiet")
    _alone(*pip, "--no-index", "--no-deps", "--disable-pip-version-check", wheel)
    (site,) = place.glob("lib/python3.*/site-packages")
    # Only the directory: the file in it that leads to the source tree is read in its own site only.
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{_SAY_WHERE}")
    return place / "bin"


def _alone(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
