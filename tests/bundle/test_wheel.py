"""The wheel of the bundle: what is in it, and that it is all that the job files need."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.pipeline.worlds import plain_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
JOBS = ("feature_activity", "feature_rolling")
PLATFORM = {"pyspark", "delta-spark", "pandas"}
# Both jobs in one process, as a platform executes them; and where the package has come from.
PROGRAM = """\
import sys
from pathlib import Path

for job in sys.argv.pop(1).split(","):
    exec(compile(Path(f"{job}.py").read_text(), "<job>", "exec"), {})

import paceline
print("imported from", paceline.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built without network and without a build environment."""
    out = tmp_path_factory.mktemp("wheel")
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    alone(sys.executable, *command)
    (built,) = out.glob("*.whl")
    return built


def alone(*command, **options):
    """Runs a command to which a package index is out of reach; returns what it printed."""
    ours = {"PYTHONPATH", "VIRTUAL_ENV", "SPARK_HOME", "PYSPARK_PYTHON", "START_TIME", "END_TIME"}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"},
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_requires_nothing_that_the_platform_brings(wheel, names):
    (path,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(path).decode())
    required = metadata.get_all("Requires-Dist")
    core = {text.split("==")[0] for text in required if "extra ==" not in text}
    of_extra = {text.split("==")[0] for text in required if "extra == 'spark'" in text}
    assert {"click", "great-expectations", "pyyaml"} <= core
    assert not core & PLATFORM
    assert of_extra == PLATFORM
    assert metadata["Name"] == "paceline"


def test_the_wheel_holds_the_package_and_its_conf_and_nothing_else(wheel, names):
    conf = [ROOT / "conf" / "paceline.yml", *(ROOT / "conf" / "contracts").iterdir()]
    with zipfile.ZipFile(wheel) as archive:
        for path in conf:
            inside = f"paceline/{path.relative_to(ROOT).as_posix()}"
            assert archive.read(inside) == path.read_bytes()
    code = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    assert code <= set(names)
    strange = [name for name in names if not name.startswith(("paceline/", "paceline-"))]
    assert strange == []


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An environment with the wheel, and with what it depends on, but without the source tree."""
    place = tmp_path_factory.mktemp("clean") / "venv"
    alone(sys.executable, "-m", "venv", "--without-pip", str(place))
    made = place / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(made), "install", "--quiet")
    alone(*pip, "--no-index", "--no-deps", "--disable-pip-version-check", str(wheel))
    (site,) = place.glob("lib/python3.*/site-packages")
    # Only the directory: the file in it that leads to the source tree is read in its own site only.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return made


def test_the_job_files_need_only_the_wheel(python, tmp_path):
    for job in JOBS:
        shutil.copy(ROOT / "jobs" / f"{job}.py", tmp_path)
    delivery = tmp_path / "landing" / "strava_api" / "a.jsonl"
    delivery.parent.mkdir(parents=True)
    delivery.write_text(json.dumps(plain_run(1, 7, "2024-06-01")) + "\n")
    places = ["--landing=landing", "--warehouse=warehouse", "--horizon=2024-06-30"]
    told = alone(
        *(str(python), "-c", PROGRAM, ",".join(JOBS), *places, "--start=", "--end="), cwd=tmp_path
    )
    published = {line.split()[0]: line.split()[1:5] for line in told.splitlines() if "+" in line}
    assert published["feature_store.activity_features"] == ["PUBLISHED", "+1", "~0", "-0"]
    # One row for each day of June.
    assert published["feature_store.athlete_rolling_features"] == ["PUBLISHED", "+30", "~0", "-0"]
    (source,) = (line.split()[-1] for line in told.splitlines() if line.startswith("imported"))
    assert python.parents[1] in Path(source).parents
