"""The edge: arguments, settings, window, horizon, session, clock. Nothing inside looks at these."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from shutil import which
from threading import RLock
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zoneinfo import available_timezones

import yaml

from paceline.errors import LockedError, UsageError
from paceline.sources.limits import Limits
from paceline.table import Window

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXAMPLE = "for example --start 2024-01-01 --end 2024-02-01"
MIN_DORMANT_DAYS = 90


@dataclass(frozen=True)
class Settings:
    """`paceline.yml`. All but the first four reach the recipes and are part of the fingerprint."""

    landing: str
    warehouse: str
    catalog: str
    landing_limits: Mapping[str, int]
    athlete_timezone: str | Mapping[Any, str]
    default_threshold_pace_s_per_km: float
    dormant_after_days: int
    export_headers: Mapping[str, Mapping[str, str]]

    def for_recipes(self) -> dict[str, Any]:
        """The settings that a recipe may read."""
        edge = ("landing", "warehouse", "catalog", "landing_limits")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in edge}


def conf_directory(given: str | None) -> Path:
    """The directory of `paceline.yml` and `contracts/`: the given one, else the package's own.

    Raises:
        UsageError: when the given one does not hold them.
    """
    packaged = Path(str(resources.files("paceline"))) / "conf"
    source_tree = packaged.parents[2] / "conf"
    directory = Path(given) if given else packaged if packaged.is_dir() else source_tree
    for needed in ("paceline.yml", "contracts"):
        if not (directory / needed).exists():
            raise UsageError(
                f"The settings directory {directory} has no {needed}: "
                "copy conf/ of the project and change the copy, or leave --conf away."
            )
    return directory


def load_settings(directory: Path) -> Settings:
    """Reads `paceline.yml`.

    Raises:
        UsageError: when it is not valid; the message names the setting and what is allowed.
    """
    path = directory / "paceline.yml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", "not YAML")
        raise UsageError(f"{path}{line} cannot be read ({problem}): mend the YAML.") from error
    names = {f.name for f in fields(Settings)}
    if not isinstance(raw, dict) or set(raw) != names:
        given = set(raw) if isinstance(raw, dict) else set()
        raise UsageError(
            f"{path} must have exactly the settings {', '.join(sorted(names))}; "
            f"missing: {', '.join(sorted(names - given)) or 'none'}, "
            f"unknown: {', '.join(sorted(map(str, given - names))) or 'none'}."
        )
    settings = Settings(**raw)
    _check_settings(path, settings)
    return settings


def _check_settings(path: Path, settings: Settings) -> None:
    for name in ("landing", "warehouse", "catalog"):
        if not isinstance(getattr(settings, name), str):
            raise UsageError(f"{path}: {name} must be a text: put it into quotes.")
    _check_limits(path, settings.landing_limits)
    threshold, dormant = settings.default_threshold_pace_s_per_km, settings.dormant_after_days
    if not isinstance(threshold, int | float) or not 100 <= threshold <= 1200:
        raise UsageError(
            f"{path}: default_threshold_pace_s_per_km is {threshold!r}; "
            "allowed are 100 to 1200 seconds per kilometre."
        )
    if not isinstance(dormant, int) or dormant < MIN_DORMANT_DAYS:
        raise UsageError(
            f"{path}: dormant_after_days is {dormant!r}; allowed are whole numbers from "
            f"{MIN_DORMANT_DAYS} on, the longest window."
        )
    given = settings.athlete_timezone
    zones = given if isinstance(given, dict) else {"default": given}
    for athlete, zone in zones.items():
        if athlete != "default" and not str(athlete).isdecimal():
            raise UsageError(
                f"{path}: athlete_timezone names the athlete {athlete!r}; allowed are athlete ids "
                "and default."
            )
        if zone not in available_timezones():
            raise UsageError(
                f"{path}: athlete_timezone names the unknown zone {zone!r}; "
                "allowed are names such as Europe/Berlin or UTC."
            )
    if not isinstance(settings.export_headers, dict):
        raise UsageError(f"{path}: export_headers must be a map of languages to headers.")


def _check_limits(path: Path, given: object) -> None:
    names = {f.name for f in fields(Limits)}
    if not isinstance(given, dict) or set(given) != names:
        raise UsageError(
            f"{path}: landing_limits must be a map with exactly {', '.join(sorted(names))}."
        )
    for name, limit in given.items():
        if type(limit) is not int or limit < 1:
            raise UsageError(
                f"{path}: {name} of landing_limits is {limit!r}; allowed are whole numbers from 1 "
                "on."
            )


def parse_instant(text: str | None, flag: str) -> datetime | None:
    """A date or an ISO timestamp as an instant in UTC; an empty text is not given.

    Raises:
        UsageError: when it is neither.
    """
    if text is None or not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(
            f"{flag} is {text!r}, which is neither a date nor an ISO timestamp: "
            f"write it as 2024-01-01 or 2024-01-01T06:00:00Z, {EXAMPLE}."
        ) from error
    if not date(1900, 1, 1) <= moment.date() <= date(2999, 12, 31):
        raise UsageError(f"{flag} is {text!r}; allowed are the years 1900 to 2999, {EXAMPLE}.")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_day(text: str | None, flag: str) -> date | None:
    """A date; an empty text is not given.

    Raises:
        UsageError: when it is no date.
    """
    if text is None or not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(
            f"{flag} is {text!r}, which is no date: write it as 2024-01-31."
        ) from error


def window(start: datetime | None, end: datetime | None) -> Window | None:
    """The window to reprocess, or None for a catch-up, which is a run without a start.

    Raises:
        UsageError: when the window holds no instant.
    """
    if start is None:
        return None
    if end is not None and start >= end:
        raise UsageError(
            f"The window is empty, because --start {start:%Y-%m-%dT%H:%M:%SZ} is not before "
            f"--end {end:%Y-%m-%dT%H:%M:%SZ} (the end is not part of it): {EXAMPLE}."
        )
    return Window(start, end)


def horizon(
    stored: date | None, end: datetime | None, explicit: date | None, now: datetime
) -> date:
    """The last day of daily tables: it only grows, and only an explicit one passes the clock."""
    yesterday = now.astimezone(UTC).date() - timedelta(days=1)
    wanted = explicit
    if wanted is None:
        last_of_window = (end - timedelta(days=1)).date() if end is not None else yesterday
        wanted = min(last_of_window, yesterday)
    return wanted if stored is None else max(stored, wanted)


def webhook() -> str | None:
    """Where alerts go, a secret; None when nobody wants them."""
    return os.environ.get("PACELINE_WEBHOOK", "").strip() or None


def new_run_id(now: datetime) -> str:
    """A name for a run that sorts by time and is never given twice."""
    return f"{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"


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


# The names of tables are known to the whole process, and mean those of one local warehouse.
_one_at_a_time = RLock()


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
    path = root / ".paceline.lock"
    with _one_at_a_time, path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise LockedError(
                f"The warehouse {root} is in use by {file.read().strip() or 'another run'}: "
                "wait until it has ended, or stop it."
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")
        file.flush()
        yield True
        file.truncate(0)
