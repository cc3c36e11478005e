"""The feature repository: which file of it is meant, and the one door to Feast.

Feast takes seconds to import, so that what can be refused is refused before it is.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from paceline.errors import UsageError

if TYPE_CHECKING:
    from feast import FeatureStore

DEFAULT_FILE = "feature_store.yaml"
STORES = ("sqlite", "redis")
KEY_VERSION = 3
_ADDRESS = re.compile(r"[^\s:/@]+:\d+")
_SECONDS = {"socket_connect_timeout": 5, "socket_timeout": 20}
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Repository:
    """A feature repository, by one of its files.

    Attributes:
        directory: of the repository; relative paths in the file begin here.
        file: which store and registry are meant.
        settings: what the file says, with the environment's variables filled in.
    """

    directory: Path
    file: Path
    settings: Mapping[str, Any]

    @property
    def project(self) -> str:
        """The name that separates this repository from others in the same store."""
        return str(self.settings["project"])

    @property
    def online_store(self) -> Mapping[str, Any]:
        """What the file says of the online store."""
        store: Mapping[str, Any] = self.settings["online_store"]
        return store

    @property
    def store_type(self) -> str:
        """One of `STORES`."""
        return str(self.online_store["type"])

    @property
    def sqlite_path(self) -> Path:
        """The file of a sqlite store."""
        return self.directory / str(self.online_store.get("path", "data/online.db"))

    def dataset(self, view: str) -> tuple[str, str]:
        """Namespace and name of a view of the online store, as lineage calls it."""
        if self.store_type == "sqlite":
            return "file", f"{self.sqlite_path}/{view}"
        parts = str(self.online_store["connection_string"]).split(",")
        address = next(part for part in parts if "=" not in part)
        return f"redis://{address}", f"{self.project}.{view}"


def repository(given: str | Path) -> Repository:
    """The repository that is given as its directory or as one of its yaml files.

    Raises:
        UsageError: when there is none, or its store is one that cannot be kept exact.
    """
    place = Path(given)
    file = place / DEFAULT_FILE if place.is_dir() else place
    if not file.is_file():
        raise UsageError(
            f"There is no feature repository at {place}: name a directory with {DEFAULT_FILE}, "
            "or one of its yaml files, with --repo."
        )
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is no YAML: correct it, or copy the project's file.") from error
    settings = _filled_in(file, settings)
    _check(file, settings)
    if settings["online_store"]["type"] == "redis":
        settings["online_store"]["connection_string"] += _timeouts(settings["online_store"])
    return Repository(file.parent.resolve(), file.resolve(), settings)


def _filled_in(file: Path, value: Any) -> Any:
    """The settings with the variables that they name."""
    if isinstance(value, dict):
        return {key: _filled_in(file, part) for key, part in value.items()}
    if not isinstance(value, str):
        return value
    unset = [name for name in _VARIABLE.findall(value) if not os.environ.get(name)]
    if unset:
        raise UsageError(f"{file} needs {unset[0]}, which the environment does not have: set it.")
    return _VARIABLE.sub(lambda found: os.environ[found[1]], value)


def _check(file: Path, settings: Any) -> None:
    """Refuses what Feast would take, and what nobody could keep equal to gold."""
    if not isinstance(settings, dict) or not isinstance(settings.get("project"), str):
        raise UsageError(f"{file} names no project: add a line such as `project: paceline`.")
    store = settings.get("online_store")
    kind = store.get("type") if isinstance(store, dict) else store
    if not isinstance(store, dict) or kind not in STORES:
        raise UsageError(
            f"{file}: the online store {kind!r} is none that paceline keeps exact: its type must "
            f"be {' or '.join(STORES)}."
        )
    if settings.get("entity_key_serialization_version", KEY_VERSION) != KEY_VERSION:
        raise UsageError(f"{file}: entity_key_serialization_version must be {KEY_VERSION}.")
    registry = settings.get("registry")
    if isinstance(registry, dict) and registry.get("enable_online_feature_view_versioning"):
        raise UsageError(
            f"{file}: enable_online_feature_view_versioning would leave the rows of older versions "
            "in the store: remove it."
        )
    if kind != "redis":
        return
    if store.get("redis_type", "redis") != "redis":
        raise UsageError(
            f"{file}: redis_type is {store['redis_type']!r}; paceline keeps a single Redis exact, "
            "no cluster and no Sentinel: leave redis_type out."
        )
    if store.get("client", "redis") != "redis":
        raise UsageError(f"{file}: paceline writes by the client redis only: leave client out.")
    if store.get("skip_dedup") is not True:
        raise UsageError(
            f"{file}: without `skip_dedup: true` Redis keeps a row that gold has corrected: add it "
            "to online_store."
        )
    if store.get("key_ttl_seconds"):
        raise UsageError(
            f"{file}: key_ttl_seconds would delete athletes that gold still has: remove it."
        )
    parts = str(store.get("connection_string") or "").split(",")
    if [bool(_ADDRESS.fullmatch(part)) for part in parts if "=" not in part] != [True]:
        raise UsageError(
            f"{file}: the connection_string of Redis is no host:port with options such as db=0 and "
            "password=... behind it, all divided by commas: correct it."
        )


def _timeouts(store: Mapping[str, Any]) -> str:
    """Options of a connection that ends the wait for a Redis that does not answer."""
    given = {part.partition("=")[0] for part in str(store["connection_string"]).split(",")}
    wanted = {name: value for name, value in _SECONDS.items() if name not in given}
    return "".join(f",{name}={value}" for name, value in wanted.items())


def need_feast() -> None:
    """Refuses to go on without the extra.

    Raises:
        UsageError: when Feast is not installed.
    """
    if find_spec("feast") is None:
        raise UsageError(
            "Feast is not installed here: run `make setup-online`, or install paceline[online]."
        )


def feature_store(repo: Repository) -> FeatureStore:
    """Feast on a repository, for reading and writing online only: it never needs Spark.

    Raises:
        UsageError: when Feast is not installed, or does not take the file.
    """
    need_feast()
    # Said of every table, each time that the registry is read.
    warnings.filterwarnings("ignore", message="The spark data source API is an experimental")
    with quiet():
        from feast import FeatureStore
        from feast.repo_config import RepoConfig

        try:
            # An offline store of Spark would import it into every process.
            config = RepoConfig(**{**repo.settings, "offline_store": {"type": "dask"}})
            config.repo_path = repo.directory
            return FeatureStore(repo_path=str(repo.directory), config=config)
        except ValueError as error:
            problem = next(iter(str(error).strip().splitlines()), "")
            raise UsageError(f"Feast does not take {repo.file}: {problem}") from error


def apply(repo: Repository, place: Mapping[str, str]) -> None:
    """Brings the registry and the tables of the store up to the definitions of the repository.

    The same as `feast apply` with `place` in the environment, but for the validation of sources,
    which would start Spark.

    Args:
        repo: the repository.
        place: variables for its definitions, as `views.definitions` reads them.
    """
    need_feast()
    with quiet(), _in_directory(repo.directory), _environment(place):
        from feast.repo_operations import apply_total

        sys.modules.pop("features", None)  # that of another repository, or with another place
        sys.path.insert(0, str(repo.directory))
        try:
            store = feature_store(repo)
            apply_total(store.config, repo.directory, skip_source_validation=True)
        except (ImportError, SyntaxError, NameError, SystemExit) as error:
            raise UsageError(
                f"The definitions in {repo.directory} cannot be loaded ({type(error).__name__}: "
                f"{error}): correct them."
            ) from error
        finally:
            sys.path.remove(str(repo.directory))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps Feast from printing, and from warnings about its own state."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        # Feast has filters of its own, which would win over one that ignores.
        warnings.showwarning = lambda *about, **more: None
        yield


@contextlib.contextmanager
def _in_directory(directory: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
