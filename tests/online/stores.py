"""Feature repositories with a store of their own, and what Feast reads from them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from redis import Redis

from paceline.online.gold import FileGold
from paceline.online.repository import Repository, apply, repository
from paceline.online.store import Online, opened
from paceline.online.views import CONF as CONF_VARIABLE
from paceline.online.views import WAREHOUSE
from tests.conftest import CONF
from tests.online.gold import ACTIVITIES, VIEWS, Gold, Served

REPO = Path(__file__).parents[2] / "feature_repo"
UNKNOWN = "the athlete is not in the store"


@contextmanager
def redis_server(folder: Path, *more: str) -> Iterator[int]:
    """A Redis on a free port of the loopback; without one its tests are skipped, and fail in CI.

    It keeps nothing in files, but for what `more` of its settings say.
    """
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server")
    port = free_port()
    settings = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    settings += ["--save", "", "--appendonly", "no", *more]
    with subprocess.Popen([program, *settings], stdout=subprocess.DEVNULL) as server:
        try:
            until_open(port)
            yield port
        finally:
            server.terminate()


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL on a free port of the loopback: the address of its database, for Feast."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        missing("postgresql")
    # It does not run as root, and its user does not reach the folders of pytest.
    with tempfile.TemporaryDirectory() as made:
        folder, port = Path(made), free_port()
        (folder / "password").write_text("open")
        as_user = []
        if os.geteuid() == 0:
            as_user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        data = folder / "data"
        create = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={folder}/password"]
        subprocess.run(
            [*as_user, programs[-1] / "initdb", "-D", data, "-U", "feast", "--no-sync", *create],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        run = ["-p", str(port), "-k", str(folder), "-h", "127.0.0.1", "-c", "fsync=off"]
        log = subprocess.DEVNULL
        program = [*as_user, programs[-1] / "postgres", "-D", data, *run]
        with subprocess.Popen(program, stdout=log, stderr=log) as server:
            try:
                until_open(port)
                yield f"postgresql+psycopg://feast:open@127.0.0.1:{port}/postgres"
            finally:
                # runuser passes the signal on.
                server.terminate()


def missing(package: str) -> NoReturn:
    """Skips what needs a server that is not installed, and fails in CI."""
    end = pytest.fail if os.environ.get("CI") else pytest.skip
    end(f"{package} is not installed: apt-get install {package}")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def until_open(port: int, seconds: float = 60) -> None:
    """Waits until somebody listens at a port of the loopback."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"nobody listens at port {port}")


def copied(folder: Path) -> Path:
    """A copy of the product's repository, of which nothing is registered."""
    shutil.copytree(REPO, folder, ignore=shutil.ignore_patterns("data", "__pycache__"))
    return folder


def made(folder: Path, warehouse: Path, redis: int | None = None) -> Repository:
    """A copy of the repository with a new store, registered for the tables of a warehouse."""
    file = copied(folder) / "feature_store.yaml"
    if redis is not None:
        Redis(port=redis).flushall()
        settings = yaml.safe_load(file.read_text())
        settings["online_store"] = {
            "type": "redis",
            "connection_string": f"127.0.0.1:{redis},db=0",
            "skip_dedup": True,
        }
        file.write_text(yaml.safe_dump(settings))
    found = repository(folder)
    apply(found, {WAREHOUSE: str(warehouse), CONF_VARIABLE: str(CONF)})
    return found


class Place:
    """Gold, a store that follows it, and both as the product opens them."""

    def __init__(self, folder: Path, redis: int | None = None) -> None:
        self.gold = Gold(folder / "warehouse")
        self.repo = made(folder / "feature_repo", self.gold.root, redis)
        self.online: Online = opened(self.repo)
        self.reader = FileGold(self.gold.root)

    def read(self, athletes: set[int]) -> dict[str, Served]:
        """By view, what Feast's own reading path gives of athletes; absent ones are left out."""
        found: dict[str, Served] = {}
        for view, name in VIEWS.items():
            columns = self.gold.contracts[name].column_names
            features = [c for c in columns if c not in ("athlete_id", "event_timestamp")]
            asked = sorted(athletes)
            response = self.online.feast.get_online_features(
                features=[f"{view}:{feature}" for feature in features],
                entity_rows=[{"athlete_id": athlete} for athlete in asked],
            )
            values, instants = response.to_dict(), response.proto.results[-1].event_timestamps
            key = "history_days" if view == "athlete_rolling" else "activity_id"
            found[view] = {
                athlete: {
                    "athlete_id": athlete,
                    "event_timestamp": instants[n].ToDatetime(tzinfo=UTC),
                    **{feature: _value(values[feature][n]) for feature in features},
                }
                for n, athlete in enumerate(asked)
                if values[key][n] is not None
            }
        return found

    def expected(self, as_of: datetime) -> dict[str, Served]:
        """By view, what the store must hold."""
        return {
            view: {
                athlete: {column: _value(value) for column, value in row.items()}
                for athlete, row in rows.items()
            }
            for view, rows in self.gold.served(as_of).items()
        }

    def check(self, as_of: datetime, athletes: set[int]) -> None:
        """The store holds what it must, and nothing of anybody else."""
        assert self.read(athletes) == self.expected(as_of)
        for view in VIEWS:
            held = self.online.store.athletes(self.online.views[view])
            assert held == set(self.gold.served(as_of)[view])


def activity(place: Place, athlete: int, number: int, end: datetime, **values: Any) -> str:
    """An activity as a line to push: the contract's example, with other values."""
    row: dict[str, Any] = place.gold.contracts[ACTIVITIES].example() | {
        "athlete_id": athlete,
        "activity_id": number,
        "event_timestamp": end,
        "local_day": end.date(),
        **values,
    }
    given = {k: v.isoformat() if isinstance(v, date) else v for k, v in row.items()}
    return json.dumps({name: value for name, value in given.items() if value is not None})


def _value(value: Any) -> Any:
    """Feast gives days as midnight UTC, and floats are compared by their bits."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value
