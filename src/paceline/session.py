"""The Spark session, and the lock of a local warehouse."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from threading import RLock
from typing import TYPE_CHECKING

from paceline.errors import LockedError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# The names of tables are known to the whole process, and mean those of one local warehouse.
_one_at_a_time = RLock()


def session(root: Path | None) -> SparkSession:
    """The session of the platform, or a local one with the settings of conf/spark.

    One that is there is taken as it is, and belongs to whoever has made it: nobody here stops it.

    Args:
        root: the local warehouse, which stands for the directory of Spark's schema `default`: Spark
            would otherwise make one in the working directory; None on a platform.

    Raises:
        UsageError: when Java or the Delta jars are missing.
    """
    import pyspark
    from pyspark.sql import SparkSession

    if (active := SparkSession.getActiveSession()) is not None:
        return active
    if "DATABRICKS_RUNTIME_VERSION" in os.environ or "SPARK_REMOTE" in os.environ:
        # Its settings are those of the platform, which may refuse any of ours.
        return SparkSession.builder.getOrCreate()
    _check_java()
    jars = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent) / "jars"
    if not any(jars.glob("delta-spark_*.jar")):
        raise UsageError(
            f"The jars of Delta Lake are missing in {jars}: run `make setup`, which puts them "
            "there."
        )
    # Workers have to be the same Python, whatever python3 is on PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("paceline")
    if root is not None:
        builder = builder.config("spark.sql.warehouse.dir", str(root))
    return builder.getOrCreate()


def disk_trouble(error: Exception, root: Path | None) -> str | None:
    """What to do about an error that comes from the disk of a local warehouse; None for others."""
    said = str(error)
    if root is None:
        return None
    if "No space left on device" in said:
        return (
            f"The disk of the warehouse {root} is full: free space and run again; what was "
            "published before is as it was, and the rest follows."
        )
    if any(text in said for text in ("Read-only file system", "Permission denied")):
        return (
            f"The warehouse {root} can no longer be written: make it writable and run again; what "
            "was published before is as it was, and the rest follows."
        )
    return None


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else which("java")
    if java is None or which(java) is None:
        where = f"JAVA_HOME is {home}" if home else "there is no java on PATH"
        raise UsageError(
            f"Java 17 or 21 is missing ({where}): install it with "
            "`apt-get install openjdk-17-jre-headless` or `brew install openjdk@17`."
        )


@contextmanager
def lock(root: Path | None) -> Iterator[bool]:
    """Holds a local warehouse for one run; the lock of a process that has died is free.

    Threads of one process take turns, even on different warehouses.

    Gives whether no other run can publish meanwhile: a catalog knows no such lock.

    Raises:
        LockedError: when another process holds it.
    """
    if root is None:
        yield False
        return
    with _one_at_a_time, hold(root / ".paceline.lock", f"The warehouse {root}"):
        yield True


@contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Holds a file for this process; that of a process that has died is free.

    Args:
        path: the file, which is made if it is missing.
        what: it stands for, as a sentence begins.

    Raises:
        LockedError: when another process holds it.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise LockedError(
                f"{what} is in use by {file.read().strip() or 'another run'}: "
                "wait until it has ended, or stop it."
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")
        file.flush()
        yield
        file.truncate(0)
