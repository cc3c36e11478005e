"""The set-up of a clone, on pretended machines: every program but the shell's tools is a fake.

Nothing is fetched and no Java starts; what the fakes were asked to do is read from their log.
"""

import hashlib
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
SPARK_CONF = ROOT / "conf/spark"
TOOLS = (
    *("awk", "cat", "chmod", "cksum", "cp", "date", "dirname", "grep", "head", "ln", "make"),
    *("mkdir", "mktemp", "mv", "rm", "sed", "sh", "sha256sum", "shasum", "tail"),
)
APT_JAVA = "sudo apt-get update && sudo apt-get install -y openjdk-17-jre-headless"
PYTHON_HINT = (
    "Install it: sudo apt-get update && sudo apt-get install -y python3.12-venv"
    " (Debian, Ubuntu) or brew install python@3.12 (macOS)"
)
JAVA_HINT = f"Install it: {APT_JAVA} (Debian, Ubuntu) or brew install --cask temurin@17 (macOS)"


class Machine:
    """A clone, a PATH and a home of their own, below a folder with a space in its name."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "my machine"
        self.clone = self.root / "clone"
        self.bin = self.root / "bin"
        self.jars = self.root / "cache/jars"
        self.log = self.root / "log"
        self.env = {
            "PATH": str(self.bin),
            "HOME": str(self.root / "home"),
            "PACELINE_CACHE": str(self.root / "cache"),
            "PACELINE_SYSTEM_ROOT": str(self.root / "system"),
        }
        self.bin.mkdir(parents=True)
        for tool in TOOLS:
            if program := shutil.which(tool):
                (self.bin / tool).symlink_to(program)
        self.program(self.bin / "id", "echo 1000")
        self.clone.mkdir()
        for name in ("scripts", "conf", ".ci"):
            shutil.copytree(ROOT / name, self.clone / name)
        for name in ("Makefile", "pyproject.toml", "uv.lock"):
            shutil.copy(ROOT / name, self.clone)

    def program(self, path: Path, body: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Both streams in one, as a user sees them."""
        return subprocess.run(
            command,
            cwd=self.clone,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def python(self, name: str, version: str, venv: str = "venv") -> None:
        """`-m venv` makes an environment that holds an empty pyspark."""
        packages = f".venv/lib/python{version}/site-packages/pyspark"
        self.program(
            self.bin / name,
            f"""if [ "$2" != venv ]; then echo "{version} {venv} $0"; exit; fi
            echo "venv" >>"{self.log}"
            rm -rf .venv; mkdir -p .venv/bin {packages}/jars
            echo 'echo activated' >.venv/bin/activate
            cp "$0" .venv/bin/python""",
        )

    def java(self, home: Path, version: str, *, vector: bool = True, jars: str = "good") -> None:
        """As Ivy it fetches jars whose content is `<jars> <name>`, or fails when `jars` is ""."""
        fetch = "\n".join(f"echo '{jars} {name}' >jars/{name}" for name in recorded_sums())
        self.program(
            home / "bin/java",
            f"""case "$*" in
            *-retrieve*) echo "ivy" >>"{self.log}"
            {fetch if jars else "echo 'unknown host'; exit 1"} ;;
            *--add-modules*) exit {0 if vector else 1} ;;
            *) echo 'openjdk version "{version}.0.1" 2024-01-01' >&2
               echo '    java.home = {home}' >&2 ;;
            esac""",
        )
        self.env["JAVA_HOME"] = str(home)

    def ready(self) -> None:
        """All that set-up needs, and sums that fit the jars of the fake Ivy."""
        self.python("python3.12", "3.12")
        self.java(self.root / "jdk", "17")
        self.program(self.bin / "uv", f'echo "uv $*" >>"{self.log}"')
        sums = "".join(f"{sha256(good(name))}  {name}\n" for name in recorded_sums())
        (self.clone / "conf/spark/delta-jars.sha256").write_text(sums)

    def calls(self) -> list[str]:
        """The fakes that were at work since the last time this was asked."""
        calls = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [call.split()[0] for call in calls if call != "uv --version"]

    @property
    def pyspark(self) -> Path:
        return self.clone / ".venv/lib/python3.12/site-packages/pyspark"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def recorded_sums() -> dict[str, str]:
    lines = (SPARK_CONF / "delta-jars.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def good(name: str) -> bytes:
    return f"good {name}\n".encode()


def test_no_python(machine: Machine) -> None:
    result = machine.run("scripts/find-python.sh")
    assert result.returncode == 1
    assert result.stdout == f"paceline needs Python 3.11 or 3.12, found none. {PYTHON_HINT}\n"


@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_python_of_another_version(machine: Machine, version: str) -> None:
    machine.python("python3", version)
    result = machine.run("scripts/find-python.sh")
    assert result.returncode == 1
    expected = f"paceline needs Python 3.11 or 3.12, found Python {version}. {PYTHON_HINT}\n"
    assert result.stdout == expected


def test_python_without_venv_names_the_package_of_that_version(machine: Machine) -> None:
    machine.python("python3", "3.11", venv="no-venv")
    result = machine.run("scripts/find-python.sh")
    assert result.returncode == 1
    assert "found Python 3.11 without its venv module." in result.stdout
    assert "apt-get install -y python3.11-venv " in result.stdout


def test_shim_without_its_version_is_passed_over(machine: Machine) -> None:
    machine.program(machine.bin / "python3.12", "echo 'pyenv: python3.12: not found' >&2; exit 127")
    machine.python("python3", "3.11")
    result = machine.run("scripts/find-python.sh")
    assert (result.returncode, result.stdout) == (0, f"{machine.bin / 'python3'}\n")


def test_no_java(machine: Machine) -> None:
    result = machine.run("scripts/find-java.sh")
    assert result.returncode == 1
    assert result.stdout == f"paceline needs Java 17 or 21, found none. {JAVA_HINT}\n"


@pytest.mark.parametrize(
    ("version", "vector", "found"),
    [
        ("1.8", True, "Java 8"),
        ("11", True, "Java 11"),
        ("25", True, "Java 25"),
        ("17", False, "Java 17 without the module jdk.incubator.vector"),
    ],
)
def test_java_that_spark_does_not_start_on(
    machine: Machine, version: str, vector: bool, found: str
) -> None:
    machine.java(machine.root / "jdk", version, vector=vector)
    result = machine.run("scripts/find-java.sh")
    assert result.returncode == 1
    assert result.stdout == f"paceline needs Java 17 or 21, found {found}. {JAVA_HINT}\n"


@pytest.mark.parametrize(
    "folder", ["usr/lib/jvm/openjdk-21", "Library/Java/JavaVirtualMachines/t.jdk/Contents/Home"]
)
def test_java_in_a_system_folder_replaces_a_wrong_java_home(machine: Machine, folder: str) -> None:
    suitable = machine.root / "system" / folder
    machine.java(suitable, "21")
    machine.java(machine.root / "old", "11")
    result = machine.run("scripts/find-java.sh")
    assert (result.returncode, result.stdout) == (0, f"{suitable}\n")


def test_apt_command_names_what_this_release_offers(machine: Machine) -> None:
    machine.program(machine.bin / "apt-cache", '[ "$2" = openjdk-21-jre-headless ]')
    assert (
        "apt-get install -y openjdk-21-jre-headless " in machine.run("scripts/find-java.sh").stdout
    )


@pytest.mark.parametrize("target", ["setup", "test", "demo", "demo-online"])
def test_first_lines_of_make_say_what_is_missing(machine: Machine, target: str) -> None:
    result = machine.run("make", target)
    assert result.returncode != 0
    first, second, *_ = result.stdout.splitlines()
    assert first.startswith("paceline needs Java 17 or 21, found none.")
    assert second.startswith("paceline needs Python 3.11 or 3.12, found none.")
    assert not (machine.clone / ".venv").exists()


def test_setup_then_nothing_to_do(machine: Machine) -> None:
    machine.ready()
    first = machine.run("scripts/setup.sh")
    assert first.returncode == 0, first.stdout
    assert machine.calls() == ["venv", "uv", "ivy"]
    assert {jar.name: jar.read_bytes() for jar in (machine.pyspark / "jars").iterdir()} == {
        name: good(name) for name in recorded_sums()
    }
    defaults = machine.pyspark / "conf/spark-defaults.conf"
    assert defaults.read_text() == (SPARK_CONF / "spark-defaults.conf").read_text()

    again = machine.run("scripts/setup.sh")
    assert (again.returncode, machine.calls()) == (0, [])
    assert again.stdout == "Set-up is complete: . .venv/bin/activate\n"
    assert sorted(path.name for path in machine.root.iterdir()) == ["bin", "cache", "clone", "jdk"]


def test_active_environment_uses_the_java_that_was_checked(machine: Machine) -> None:
    machine.ready()
    machine.run("scripts/setup.sh")
    machine.run("scripts/setup.sh")
    activate = (machine.clone / ".venv/bin/activate").read_text()
    assert activate.count("activate-spark") == 1
    machine.env |= {"JAVA_HOME": "/elsewhere", "SPARK_HOME": "/other/spark"}
    script = 'VIRTUAL_ENV=.venv; . .venv/bin/activate-spark; echo "$JAVA_HOME ${SPARK_HOME-unset}"'
    assert machine.run("sh", "-c", script).stdout == f"{machine.root / 'jdk'} unset\n"


def lose_a_jar(machine: Machine) -> None:
    next((machine.pyspark / "jars").iterdir()).unlink()


def change_the_lock(machine: Machine) -> None:
    with (machine.clone / "uv.lock").open("a") as lock:
        lock.write("\n")


def interrupt(machine: Machine) -> None:
    (machine.clone / ".venv/.set-up").unlink()


def move_the_clone(machine: Machine) -> None:
    machine.clone = machine.clone.rename(machine.root / "moved")


@pytest.mark.parametrize(
    ("damage", "calls"),
    [
        (lose_a_jar, ["uv"]),
        (change_the_lock, ["uv"]),
        (interrupt, ["venv", "uv"]),
        (move_the_clone, ["venv", "uv"]),
    ],
)
def test_setup_heals(machine: Machine, damage: Callable[[Machine], None], calls: list[str]) -> None:
    machine.ready()
    machine.run("scripts/setup.sh")
    machine.calls()
    damage(machine)
    healed = machine.run("scripts/setup.sh")
    assert (healed.returncode, machine.calls()) == (0, calls)
    assert len(list((machine.pyspark / "jars").iterdir())) == 7
    assert machine.run("scripts/setup.sh").stdout.startswith("Set-up is complete")


def test_environment_of_a_failed_update_is_made_anew(machine: Machine) -> None:
    machine.ready()
    machine.run("scripts/setup.sh")
    lock = (machine.clone / "uv.lock").read_bytes()
    change_the_lock(machine)
    machine.program(machine.bin / "uv", '[ "$1" = --version ]')
    assert machine.run("scripts/setup.sh").returncode == 1

    (machine.clone / "uv.lock").write_bytes(lock)
    machine.ready()
    machine.calls()
    assert machine.run("scripts/setup.sh").returncode == 0
    assert machine.calls() == ["venv", "uv"]


def test_jars_with_other_sums_are_refused(machine: Machine) -> None:
    machine.ready()
    machine.java(machine.root / "jdk", "17", jars="forged")
    result = machine.run("scripts/setup.sh")
    assert result.returncode == 1
    assert "are not the ones recorded in conf/spark/delta-jars.sha256" in result.stdout
    assert "delta-storage-4.4.0.jar: FAILED" in result.stdout
    assert not list((machine.root / "cache").rglob("*.jar"))
    assert not list((machine.pyspark / "jars").iterdir())
    assert not (machine.clone / ".venv/.set-up").exists()


def test_damaged_jar_in_the_cache_is_fetched_again(machine: Machine) -> None:
    machine.ready()
    machine.jars.mkdir(parents=True)
    damaged = machine.jars / "delta-storage-4.4.0.jar"
    damaged.write_bytes(b"half a j")
    assert machine.run("scripts/setup.sh").returncode == 0
    assert damaged.read_bytes() == good(damaged.name)


def test_without_network_jars_laid_into_the_cache_serve(machine: Machine) -> None:
    machine.ready()
    machine.java(machine.root / "jdk", "17", jars="")
    refused = machine.run("scripts/setup.sh")
    assert refused.returncode == 1
    assert "could not be fetched: is there a network? Without one, put the jars" in refused.stdout
    assert str(machine.jars) in refused.stdout
    assert "unknown host" in refused.stdout

    for name in recorded_sums():
        (machine.jars / name).write_bytes(good(name))
    assert machine.run("scripts/setup.sh").returncode == 0


def test_jars_of_another_delta_version_leave_the_class_path(machine: Machine) -> None:
    machine.ready()
    machine.run("scripts/setup.sh")
    (machine.pyspark / "jars/delta-storage-4.3.0.jar").touch()
    (machine.pyspark / "jars/spark-core.jar").touch()
    change_the_lock(machine)
    machine.run("scripts/setup.sh")
    names = {jar.name for jar in (machine.pyspark / "jars").iterdir()}
    assert names == {*recorded_sums(), "spark-core.jar"}


def test_versions_agree() -> None:
    ivy = ElementTree.parse(SPARK_CONF / "delta-jars.ivy.xml").iter("dependency")
    jars = {f"{jar.get('name')}-{jar.get('rev')}.jar" for jar in ivy}
    assert jars == set(recorded_sums())
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in recorded_sums().values())

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    spark = dict(pin.split("==") for pin in project["optional-dependencies"]["spark"])
    line = ".".join(spark["pyspark"].split(".")[:2])
    assert f"delta-spark_{line}_2.13-{spark['delta-spark']}.jar" in jars


def test_help_is_the_default_and_lists_every_target(machine: Machine) -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    listed = re.findall(r"^  make (\S+) +\S", machine.run("make").stdout, re.MULTILINE)
    assert listed == targets[1].split()


def demo_of_fakes(machine: Machine) -> None:
    """Programs that print how they were called; `paceline` makes what the demo begins with."""
    shutil.copytree(ROOT / "feature_repo", machine.clone / "feature_repo")
    machine.program(machine.bin / "paceline", "mkdir -p demo")
    for name in ("spark-submit", "python"):
        machine.program(machine.bin / name, "true")


def test_demo_online_runs_the_demo_where_there_is_none(machine: Machine) -> None:
    demo_of_fakes(machine)
    result = machine.run("scripts/demo-online.sh")
    assert result.returncode == 0, result.stdout
    first, *commands = re.findall(r"^(?:# The demo|\$ \S+ \S+ \S*)", result.stdout, re.MULTILINE)
    assert first == "# The demo"
    run = ["jobs/feature_activity.py", "jobs/feature_rolling.py"]
    jobs = [f"$ spark-submit {job} --conf" for job in run]
    assert commands == [
        *("$ paceline generate --athletes", *jobs),
        *("$ paceline verify --warehouse", "$ paceline status --warehouse"),
        *("$ paceline online apply", "$ paceline online sync"),
        *("$ python scripts/demo_online.py before", *jobs),
        *("$ paceline online sync", "$ paceline online verify"),
        "$ python scripts/demo_online.py after",
    ]


def test_demo_online_starts_anew_and_leaves_the_repository_alone(machine: Machine) -> None:
    demo_of_fakes(machine)
    table = "demo/warehouse/feature_store/athlete_rolling_features/_delta_log"
    for folder in (table, "demo/online/paceline/data", "feature_repo/data"):
        (machine.clone / folder).mkdir(parents=True)
    result = machine.run("scripts/demo-online.sh")
    assert "generate" not in result.stdout
    for copy in ("paceline", "feast"):
        names = {path.name for path in (machine.clone / "demo/online" / copy).iterdir()}
        assert names == {"feature_store.yaml", "features.py", "redis.yaml", "serve.yaml"}
    machine.program(machine.bin / "python", '[ "$2" = before ]')
    assert machine.run("scripts/demo-online.sh").returncode == 1


def test_ci_runs_the_test_command_alone(machine: Machine) -> None:
    (machine.bin / "make").unlink()
    machine.program(machine.bin / "make", 'echo "make $*"')
    bash = shutil.which("bash")
    assert bash
    result = machine.run(bash, ".ci/run")
    assert (result.returncode, result.stdout) == (0, "make test\n")


def test_make_test_ends_with_all_of_pytest(machine: Machine) -> None:
    commands = machine.run("make", "-n", "test").stdout.splitlines()
    lint, *tests = [command.split("&& ")[1] for command in commands[1:]]
    checks = "ruff check; ruff format --check; mypy --strict src; lint-imports"
    assert lint == f"scripts/timed.sh lint sh -exc '{checks}; scripts/lint-contracts.sh'"
    parallel = "-n 2 --dist loadscope --no-loadscope-reorder"
    assert tests == ["pytest --connect tests/spark/connect", f"pytest {parallel}"]


def test_a_part_says_how_long_it_took_unless_it_has_failed(machine: Machine) -> None:
    result = machine.run("scripts/timed.sh", "lint", "sh", "-ec", "echo one; echo two")
    assert re.fullmatch(r"one\ntwo\nlint: \d+ s\n", result.stdout)
    failed = machine.run("scripts/timed.sh", "lint", "sh", "-ec", "echo one; (exit 3); echo two")
    assert (failed.returncode, failed.stdout) == (3, "one\n")


def test_without_git_contracts_are_linted_and_not_compared(machine: Machine) -> None:
    machine.program(machine.bin / "python", 'echo "lint since <$4>"')
    result = machine.run("scripts/lint-contracts.sh")
    linted, skipped = result.stdout.splitlines()
    assert (result.returncode, linted) == (0, "lint since <>")
    assert skipped.startswith("Breaking changes of contracts: skipped, ")
    assert re.search(r"\bgit\b.*not found", skipped)


def test_an_extra_that_is_installed_stays(machine: Machine) -> None:
    machine.ready()
    machine.program(machine.bin / "uv", f'echo "$*" >>"{machine.log}"')
    machine.run("scripts/setup.sh", "online")
    machine.run("scripts/setup.sh", "ml")
    assert machine.run("scripts/setup.sh").stdout.startswith("Set-up is complete")
    assert machine.run("scripts/setup.sh", "online").stdout.startswith("Set-up is complete")
    synced = [line for line in machine.log.read_text().splitlines() if line.startswith("sync")]
    assert [line.split("--no-python-downloads")[1].strip() for line in synced] == [
        "--extra online",
        "--extra online --extra ml",
    ]
