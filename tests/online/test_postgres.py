"""redis.yaml: the store in Redis, and the registry in PostgreSQL, for several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from paceline.cli.main import exit_code, paceline
from paceline.online.repository import repository
from paceline.online.store import opened
from tests.online.gold import DAY, Gold
from tests.online.stores import copied, free_port, postgres_server


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with postgres_server() as address:
        yield address


@pytest.fixture
def gold(tmp_path: Path) -> Gold:
    made = Gold(tmp_path / "warehouse")
    made.put_days(1001, [DAY])
    made.seal()
    return made


@pytest.fixture
def arguments(
    gold: Gold, tmp_path: Path, registry: str, redis: int, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The options of the commands; addresses come from the environment."""
    Redis(port=redis).flushall()
    monkeypatch.setenv("PACELINE_REGISTRY", registry)
    monkeypatch.setenv("PACELINE_REDIS", f"127.0.0.1:{redis},db=0")
    file = copied(tmp_path / "feature_repo") / "redis.yaml"
    return ["--repo", str(file), "--warehouse", str(gold.root)]


def elsewhere(command: str, arguments: list[str]) -> str:
    """What a command says in a process of its own."""
    program = Path(sys.executable).with_name("paceline")
    done = subprocess.run(
        [program, "online", command, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    return done.stdout


def test_what_one_process_registers_others_read(
    arguments: list[str], gold: Gold, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "are registered" in elsewhere("apply", arguments)
    assert exit_code(paceline, ["online", "sync", *arguments]) == 0
    assert "1 athletes compared, 1 written" in capsys.readouterr().out
    gold.put_days(1001, [DAY], acwr=None)
    assert "1 athletes compared, 1 written" in elsewhere("sync", arguments)
    assert exit_code(paceline, ["online", "check", *arguments]) == 0
    # A view that is gone for one process is gone for the other.
    opened(repository(arguments[1])).feast.delete_feature_view("last_activity")
    assert exit_code(paceline, ["online", "sync", *arguments]) == 2
    assert "run `paceline online apply` first" in capsys.readouterr().err


def test_a_wrong_password(
    arguments: list[str],
    registry: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PACELINE_REGISTRY", registry.replace(":open@", ":wrong-one@"))
    assert exit_code(paceline, ["online", "sync", *arguments]) == 2
    said = capsys.readouterr().err
    assert "refuses the user or the password" in said
    assert said.count("\n") == 1
    assert "wrong-one" not in said


def test_a_registry_that_is_down(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"postgresql+psycopg://feast:open@127.0.0.1:{free_port()}/postgres"
    monkeypatch.setenv("PACELINE_REGISTRY", address)
    assert exit_code(paceline, ["online", "apply", *arguments]) == 1
    said = capsys.readouterr().err
    assert "does not answer (OperationalError)" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("variable", ["PACELINE_REGISTRY", "PACELINE_REDIS"])
def test_a_variable_that_is_not_set(
    arguments: list[str],
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv(variable)
    assert exit_code(paceline, ["online", "apply", *arguments]) == 2
    said = f"needs {variable}, which the environment does not have"
    assert said in capsys.readouterr().err
