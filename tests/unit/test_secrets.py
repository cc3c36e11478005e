"""The addresses of the online store from a secret scope, with a stand-in for Databricks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from paceline.cli.main import exit_code, sync_job_command
from paceline.cli.secrets import NAMES, fill_environment

SECRETS = {"PACELINE_REDIS": "r.example.org:6379,password=hush", "PACELINE_REGISTRY": "sqlite://"}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """Secrets by scope and key; what an environment has said before is put back."""
    for name in NAMES:
        monkeypatch.setenv(name, "before")
    found = {("paceline", key): value for key, value in SECRETS.items()}
    runtime = ModuleType("databricks.sdk.runtime")
    runtime.dbutils = SimpleNamespace(  # type: ignore[attr-defined]
        secrets=SimpleNamespace(get=lambda scope, key: found[scope, key])
    )
    monkeypatch.setitem(sys.modules, "databricks.sdk.runtime", runtime)
    return found


def failed(capsys: pytest.CaptureFixture[str], repo: Path) -> str:
    """What the job file's command says when it ends with 2."""
    assert exit_code(sync_job_command, ["--secret-scope", "paceline", "--repo", str(repo)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    return said


def test_the_environment_is_filled(kept: dict[tuple[str, str], str]) -> None:
    fill_environment("paceline")
    assert {name: os.environ[name] for name in NAMES} == SECRETS


def test_it_is_filled_before_the_repository_is_read(
    kept: dict[tuple[str, str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "There is no feature repository" in failed(capsys, tmp_path)
    assert {name: os.environ[name] for name in NAMES} == SECRETS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [None, ""])
def test_a_secret_that_is_missing_or_empty(
    value: str | None,
    name: str,
    kept: dict[tuple[str, str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del kept["paceline", name]
    if value is not None:
        kept["paceline", name] = value
    said = failed(capsys, tmp_path)
    assert f"The secret {name} of the scope paceline cannot be read" in said
    assert ("it is empty" if value == "" else "KeyError") in said
    assert "hush" not in said


def test_elsewhere_than_on_databricks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "databricks.sdk.runtime", None)
    assert "--secret-scope is for Databricks: elsewhere leave it away" in failed(capsys, tmp_path)
