"""`scripts/lint-contracts.sh` with the real linter and a real git, on a copy of the contracts."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PARTS = "silver.strava_sub_activity"
SETTINGS = "silver.athlete_settings"
FEATURES = "feature_store.activity_features"
RAW = "bronze.athlete_settings"


class Clone:
    """A copy of script and contracts, without a repository until one is released."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "my clone"
        for name in ("scripts", "conf/contracts"):
            shutil.copytree(ROOT / name, self.folder / name)
        python = Path(sys.executable).parent
        self.env = {
            "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            # A repository around the folder of the tests is not that of the clone.
            "GIT_CEILING_DIRECTORIES": str(folder),
        }

    def contract(self, table: str) -> Path:
        return self.folder / f"conf/contracts/{table}.odcs.yaml"

    def edit(self, table: str, old: str, new: str) -> None:
        text = self.contract(table).read_text()
        assert old in text
        self.contract(table).write_text(text.replace(old, new, 1))

    def set_version(self, table: str, version: str) -> None:
        text = self.contract(table).read_text()
        text = re.sub("^version: .*", f"version: {version}", text, flags=re.MULTILINE)
        self.contract(table).write_text(text)

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=self.folder, env=self.env, check=True)

    def release(self, tag: str) -> None:
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("commit", "--quiet", "--allow-empty", "--message", tag)
        self.git("tag", tag)

    def lint(self) -> tuple[int, list[str]]:
        """Exit code and lines; both streams in one, as a user sees them."""
        result = subprocess.run(
            ["scripts/lint-contracts.sh"],
            cwd=self.folder,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return result.returncode, result.stdout.splitlines()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_contracts_follow_the_standard_and_without_a_release_nothing_is_compared(
    clone: Clone,
) -> None:
    count = len(list((ROOT / "conf/contracts").iterdir()))
    follow = f"{count} contracts follow the Open Data Contract Standard"
    code, lines = clone.lint()
    assert (code, lines[0], len(lines)) == (0, follow, 2)
    assert lines[1].startswith("Breaking changes of contracts: skipped, fatal: not a git repo")

    clone.release("nightly")
    skipped = "Breaking changes of contracts: skipped, no tag v* up to here holds contracts"
    assert clone.lint() == (0, [follow, skipped])


def test_planted_mistakes_are_found(clone: Clone) -> None:
    clone.edit(PARTS, "        required: true", "        requird: true")
    clone.edit(SETTINGS, "logicalType: integer", "logicalType: integr")
    clone.edit(FEATURES, "version: ", "# version: ")
    clone.contract(RAW).write_text("schema: [")
    code, lines = clone.lint()
    assert code == 1
    settings, features, parts, raw = (
        [line for line in lines if line.startswith(f"conf/contracts/{table}.odcs.yaml: ")]
        for table in (SETTINGS, FEATURES, PARTS, RAW)
    )
    assert [len(found) for found in (settings, features, parts, raw)] == [1, 1, 1, 1]
    assert "$.schema[0].properties[0].logicalType: 'integr' is not one of" in settings[0]
    assert features[0].endswith(": $: 'version' is a required property")
    assert "$.schema[0].properties[0]: " in parts[0]
    assert "('requird' was unexpected)" in parts[0]
    assert "Cannot parse YAML" in raw[0]
    assert len(lines) == 4


def test_breaking_changes_pass_only_with_a_higher_major_version(clone: Clone) -> None:
    clone.set_version(PARTS, "1.4.0")
    clone.release("v0.1.0")
    text = clone.contract(PARTS).read_text()
    start = text.index("      - name: average_speed_mps")
    end = text.index("      - name: average_heartrate_bpm")
    clone.contract(PARTS).write_text(text[:start] + text[end:])
    clone.edit(PARTS, "physicalType: INT\n", "physicalType: BIGINT\n")
    clone.edit(PARTS, "- name: distance_m\n", "- name: distance_m\n        required: true\n")
    # One that the tool only warns of, and one that it takes for harmless.
    clone.edit(PARTS, "        primaryKey: true\n        primaryKeyPosition: 1\n", "")
    key = "        primaryKey: true\n        primaryKeyPosition: 2\n"
    clone.edit(PARTS, f"        required: true\n{key}", key)
    clone.set_version(PARTS, "1.5.0")

    columns = "schema.strava_sub_activity.properties"
    changes = [
        f"Removed requiredness at {columns}.activity_id.required",
        f"Removed key constraint at {columns}.athlete_id.primaryKey",
        "Removed property average_speed_mps",
        f"Added requiredness at {columns}.distance_m.required",
        f"Changed type at {columns}.sub_index.physicalType from 'INT' to 'BIGINT'",
    ]
    code, lines = clone.lint()
    assert code == 1
    remedy = "a breaking change since v0.1.0: undo it, or raise version 1.4.0 to 2.0.0"
    path = f"conf/contracts/{PARTS}.odcs.yaml"
    assert lines == [f"{path}: {change}, {remedy}" for change in changes]

    clone.set_version(PARTS, "2.0.0")
    code, lines = clone.lint()
    none = "Breaking changes of contracts since v0.1.0: none without a higher major version"
    assert (code, lines[1:]) == (0, [none])


def test_harmless_changes_pass(clone: Clone) -> None:
    clone.release("v0.1.0")
    clone.edit(PARTS, "Distance of the part.", "Length of the part.")
    clone.edit(PARTS, "BETWEEN 0 AND 2000000", "BETWEEN 0 AND 3000000")
    # YAML makes a date of it, which the comparison has to bear.
    clone.edit(PARTS, "examples: [split, lap]", "examples: [2026-01-31]")
    column = "      - {name: note, logicalType: string, physicalType: STRING, required: true}\n"
    clone.edit(PARTS, "      - name: kind\n", f"{column}      - name: kind\n")
    assert clone.lint()[0] == 0


def test_contract_may_go_only_after_a_release_as_deprecated(clone: Clone) -> None:
    clone.release("v0.9.0")
    clone.contract(PARTS).rename(clone.contract("silver.parts"))
    gone = (
        f"conf/contracts/{PARTS}.odcs.yaml: gone since v0.9.0, where its status is active: bring it"
        " back, or release it with status deprecated first"
    )
    assert clone.lint() == (1, [gone])

    clone.contract("silver.parts").rename(clone.contract(PARTS))
    clone.edit(PARTS, "status: active", "status: deprecated")
    clone.release("v0.10.0")
    clone.contract(PARTS).unlink()
    code, lines = clone.lint()
    assert (code, lines[1].split(":")[0]) == (0, "Breaking changes of contracts since v0.10.0")


def test_last_release_is_the_highest_tag_up_to_here_that_holds_contracts(clone: Clone) -> None:
    clone.release("v1.0.0-rc1")
    clone.edit(PARTS, "Splits and laps", "Laps and splits")
    clone.release("v1.0.0")
    shutil.move(clone.folder / "conf", clone.folder / "elsewhere")
    clone.release("v1.1.0")
    shutil.move(clone.folder / "elsewhere", clone.folder / "conf")
    clone.git("checkout", "--quiet", "-b", "other")
    clone.release("v2.0.0")
    clone.git("checkout", "--quiet", "v1.1.0")
    clone.git("checkout", "--quiet", "v1.0.0", "--", "conf")
    code, lines = clone.lint()
    assert (code, lines[1].split(":")[0]) == (0, "Breaking changes of contracts since v1.0.0")


def test_no_contracts_at_all_is_a_mistake(clone: Clone) -> None:
    shutil.rmtree(clone.folder / "conf/contracts")
    assert clone.lint() == (1, ["conf/contracts: no *.odcs.yaml in it: bring the contracts back"])
