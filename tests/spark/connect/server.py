"""A Spark Connect server like serverless compute: no JVM here, and what is refused there raises."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NoReturn

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.connect import catalog, conf, dataframe, session

# What serverless compute lets a program change.
SETTINGS = {
    "spark.sql.shuffle.partitions",
    "spark.sql.session.timeZone",
    "spark.sql.ansi.enabled",
    "spark.sql.files.maxPartitionBytes",
    "spark.sql.legacy.timeParserPolicy",
}
REFUSED = {
    dataframe.DataFrame: (
        *("persist", "cache", "unpersist", "checkpoint", "localCheckpoint", "rdd"),
        *("createGlobalTempView", "createOrReplaceGlobalTempView"),
    ),
    session.SparkSession: ("sparkContext",),
    catalog.Catalog: ("cacheTable",),
}
_PATIENCE_S = 120
# The server ends with its test process, however that one ends: its input is closed then.
_WHILE_SOMEBODY_LISTENS = '"$@" </dev/null & read -r _; kill $!; wait'
_SETTINGS_OF_SERVER = {
    "spark.master": "local[2]",
    "spark.connect.grpc.binding.address": "127.0.0.1",
    # As on Databricks; conf/spark turns it off for one machine.
    "spark.sql.adaptive.enabled": "true",
    # Tiny frames are planned and compiled at length, and computed in no time.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2",
}


@contextmanager
def remote_session(place: Path) -> Iterator[SparkSession]:
    """A session on a server of its own, which keeps its files in `place`."""
    url = f"sc://127.0.0.1:{_free_port()}"
    with _server(place, url), pytest.MonkeyPatch.context() as patch:
        # So the product takes it for the session of a platform.
        patch.setenv("SPARK_REMOTE", url)
        made = SparkSession.builder.getOrCreate()
        refuse(patch)
        yield made
        made.stop()


def refuse(patch: pytest.MonkeyPatch) -> None:
    """Lets everything raise that serverless compute does not have."""
    for owner, names in REFUSED.items():
        for name in names:
            patch.setattr(owner, name, property(_refusal(name)), raising=False)
    change = conf.RuntimeConf.set

    def change_allowed(self: conf.RuntimeConf, key: str, value: Any) -> None:
        if key not in SETTINGS:
            raise AssertionError(f"serverless compute refuses to set {key}")
        change(self, key, value)

    patch.setattr(conf.RuntimeConf, "set", change_allowed)


def _refusal(name: str) -> Callable[[object], NoReturn]:
    def raise_(self: object) -> NoReturn:
        raise AssertionError(f"serverless compute has no {name}")

    return raise_


@contextmanager
def _server(place: Path, url: str) -> Iterator[None]:
    port = url.rpartition(":")[2]
    settings = _SETTINGS_OF_SERVER | {
        "spark.connect.grpc.binding.port": port,
        "spark.sql.warehouse.dir": str(place / "default"),
    }
    here = Path(sys.executable).parent
    command = [
        *("sh", "-c", _WHILE_SOMEBODY_LISTENS, "sh"),
        *(str(here / "spark-submit"), "--name", "tests"),
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *(part for setting in settings.items() for part in ("--conf", "=".join(setting))),
    ]
    environment = os.environ | {
        "PATH": f"{here}{os.pathsep}{os.environ['PATH']}",
        "PYSPARK_PYTHON": sys.executable,
    }
    log = place / "server.log"
    # Leaving closes the input of the shell, and waits.
    with (
        log.open("w") as written,
        subprocess.Popen(
            command,
            cwd=place,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=written,
            stderr=subprocess.STDOUT,
        ),
    ):
        _wait_for(int(port), log)
        yield


def _wait_for(port: int, log: Path) -> None:
    deadline = monotonic() + _PATIENCE_S
    while monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.2)
    raise RuntimeError(f"the Spark Connect server did not start: {log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
