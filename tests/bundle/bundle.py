"""Reads the files of the bundle as the Databricks CLI does: includes, targets, variables, presets.

Only what the bundle uses is imitated. Anything else is an error, so that no test passes because a
setting was ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pathspec
import yaml

ROOT = Path(__file__).parents[2]
# What a deployment learns from the workspace and from git.
USER = {"userName": "ann.smith@example.com", "short_name": "ann_smith"}
PRINCIPAL = {"userName": "0f0e0d0c-aaaa-bbbb-cccc-0123456789ab"} | {"short_name": "robot"}
COMMIT = "1a2b3c4d5e6f"

# Where a deployment lies, unless a target says otherwise.
WORKSPACE = {
    "root_path": "/Workspace/Users/${workspace.current_user.userName}/.bundle/${bundle.name}/"
    "${bundle.target}",
    "file_path": "${workspace.root_path}/files",
}

REFERENCE = re.compile(r"\$\{([^}]*)\}")


class BundleError(Exception):
    """The files cannot be read as a bundle; the message is one sentence."""


@dataclass(frozen=True)
class Bundle:
    """The files, merged, before a target is chosen.

    Attributes:
        root: the directory of databricks.yml.
        config: all files as one tree.
        files: by path, each file as it is.
        unmatched: patterns under `include` that match no file.
        origin: by (kind, key), the file of a resource; paths inside it are relative to that file.
    """

    root: Path
    config: dict[str, Any]
    files: dict[Path, dict[str, Any]]
    unmatched: list[str]
    origin: dict[tuple[str, str], Path] = field(default_factory=dict)


class _Loader(yaml.CSafeLoader):
    """Refuses a key that is given twice, of which YAML would keep the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            line = node.start_mark.line + 1
            raise BundleError(f"The key {key} is given twice in the mapping at line {line}.")
    loader.flatten_mapping(node)
    return {
        loader.construct_object(key, deep=True): loader.construct_object(value, deep=True)
        for key, value in node.value
    }


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(root: Path = ROOT, include: tuple[str, ...] | None = None) -> Bundle:
    """The bundle of a directory.

    Args:
        root: the directory of databricks.yml.
        include: patterns to take instead of those of the file.

    Raises:
        BundleError: when a file is no YAML, has a key twice or a resource is in two files.
    """
    main = root / "databricks.yml"
    config = _read(main)
    patterns = list(include or config.get("include", []))
    found = {pattern: sorted(root.glob(pattern)) for pattern in patterns}
    files = {main: config}
    merged = deepcopy(config)
    origin: dict[tuple[str, str], Path] = {}
    for path in dict.fromkeys(path for paths in found.values() for path in paths):
        files[path] = _read(path)
        for kind, resources in files[path].get("resources", {}).items():
            for key in resources:
                if (kind, key) in origin:
                    raise BundleError(f"The resource {kind}.{key} is in two files.")
                origin[kind, key] = path
        merged = merge(merged, files[path])
    unmatched = [pattern for pattern, paths in found.items() if not paths]
    return Bundle(root, merged, files, unmatched, origin)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise BundleError(f"{path.name} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path.name} is no mapping.")
    return content


def merge(base: Any, over: Any) -> Any:
    """Mappings key by key, lists one after the other, and of all else the second."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {
            key: merge(base[key], over[key])
            if key in base and key in over
            else deepcopy(over.get(key, base.get(key)))
            for key in [*base, *(key for key in over if key not in base)]
        }
    if isinstance(base, list) and isinstance(over, list):
        return deepcopy(base + over)
    return deepcopy(over)


def walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every leaf of a tree, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from walk(child, (*path, str(key)))
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from walk(child, (*path, str(position)))
    else:
        yield path, value


def resolved(
    bundle: Bundle,
    target: str,
    variables: Mapping[str, Any] | None = None,
    user: Mapping[str, str] = USER,
) -> dict[str, Any]:
    """What the CLI would deploy to a target.

    Args:
        bundle: the files.
        target: one of its targets.
        variables: values as given with --var.
        user: who deploys.

    Raises:
        BundleError: when a reference has no value.
    """
    config = deepcopy(bundle.config)
    over = config.pop("targets")[target] or {}
    stated = over.pop("variables", {})
    mode, is_default = over.pop("mode", None), over.pop("default", False)
    config = merge(config, over)
    config["bundle"] |= {"target": target, "mode": mode, "git": {"commit": COMMIT}}
    config["workspace"] = WORKSPACE | config.get("workspace", {}) | {"current_user": dict(user)}
    values = {
        name: (variables or {}).get(name, stated.get(name, declared.get("default")))
        for name, declared in config.pop("variables", {}).items()
    }
    prefix = config.get("presets", {}).get("name_prefix", "")
    if mode == "development":
        prefix = f"[dev {user['short_name']}] "
    _prepend(config["resources"], prefix)
    done = _fill(config, config, values)
    done["is_default"] = is_default
    return done


def _prepend(resources: dict[str, Any], prefix: str) -> None:
    """Names with the prefix of a deployment; schemas take the form of it that SQL allows."""
    of_schemas = re.sub(r"[^a-z0-9]+", "_", prefix.lower()).strip("_")
    for job in resources.get("jobs", {}).values():
        job["name"] = prefix + job.get("name", "")
    for schema in resources.get("schemas", {}).values():
        name = schema.get("name", "")
        schema["name"] = f"{of_schemas}_{name}" if prefix else name


def _fill(value: Any, config: dict[str, Any], values: Mapping[str, Any]) -> Any:
    """A tree with the values of all references; one that is the whole text keeps its type."""
    if isinstance(value, dict):
        return {key: _fill(child, config, values) for key, child in value.items()}
    if isinstance(value, list):
        return [_fill(child, config, values) for child in value]
    if not isinstance(value, str):
        return value
    if whole := REFERENCE.fullmatch(value):
        return _value_of(whole[1], config, values)
    return REFERENCE.sub(lambda match: str(_value_of(match[1], config, values)), value)


def _value_of(name: str, config: dict[str, Any], values: Mapping[str, Any]) -> Any:
    first, *rest = name.split(".")
    if rest[-1:] == ["volume_path"]:
        parts = (f"${{{'.'.join((first, *rest[:-1]))}.{part}}}" for part in VOLUME_NAME)
        return _fill("/Volumes/" + "/".join(parts), config, values)
    found: Any = values if first == "var" else config.get(first)
    for part in rest:
        found = found.get(part) if isinstance(found, dict) else None
    if found is None:
        raise BundleError(f"The reference ${{{name}}} has no value.")
    return _fill(found, config, values)


VOLUME_NAME = ("catalog_name", "schema_name", "name")


def is_deployed(bundle: Bundle, relative: str) -> bool:
    """Whether a file of the clone is put into the workspace."""
    sync = bundle.config.get("sync", {})
    inside = any(
        root in (".", "./") or relative.startswith(root.strip("./") + "/")
        for root in sync.get("paths", ["."])
    )
    ignored = bundle.root / ".gitignore"
    left_out = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
    is_out = _matches([*left_out, *sync.get("exclude", [])], relative)
    return (inside and not is_out) or _matches(sync.get("include", []), relative)


def _matches(patterns: list[str], relative: str) -> bool:
    return pathspec.GitIgnoreSpec.from_lines(patterns).match_file(relative)
