"""A JSON schema of the bundle, made of the typed classes, which the CLI's makers publish.

The classes cover resources and take numbers for texts; the schema made of them does not. What is
around resources has no classes: those keys are listed here as the documentation of bundles has
them, as far as the bundle uses them.
"""

from __future__ import annotations

import typing
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

import jsonschema_rs
from databricks.bundles.core import Variable
from databricks.bundles.jobs import Job
from databricks.bundles.schemas import Schema
from databricks.bundles.volumes import Volume

CLASSES = {"jobs": Job, "schemas": Schema, "volumes": Volume}

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
_TEXT, _FLAG = {"type": "string"}, {"type": "boolean"}
_TEXTS = {"type": "array", "items": _TEXT}


def errors(config: dict[str, Any]) -> list[str]:
    """What in a tree is not as the schema says, one sentence each."""
    return [
        f"{'.'.join(map(str, error.instance_path)) or 'the root'}: {error.message}."
        for error in _validator().iter_errors(config)
    ]


@cache
def _validator() -> Any:
    definitions: dict[str, Any] = {}
    resources = {kind: _map(_of(made, definitions)) for kind, made in CLASSES.items()}
    return jsonschema_rs.validator_for(_root(_closed(resources)) | {"$defs": definitions})


def _of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; classes are put into the definitions once."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        # References have been resolved, and what is not given is not there.
        (only,) = (a for a in arguments if get_origin(a) is not Variable and a is not type(None))
        return _of(only, definitions)
    if origin is list:
        return {"type": "array", "items": _of(arguments[0], definitions)}
    if origin is dict:
        return _map(_of(arguments[1], definitions))
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if hint is Any:
        return {}
    if issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    assert is_dataclass(hint), hint
    name = f"{hint.__module__}.{hint.__name__}"
    if name not in definitions:
        definitions[name] = {}  # a class may hold itself
        definitions[name] = _of_class(hint, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _of_class(made: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(made)
    needed = [f.name for f in fields(made) if f.default is f.default_factory is MISSING]
    return _closed({f.name: _of(hints[f.name], definitions) for f in fields(made)}, needed)


def _closed(properties: dict[str, Any], needed: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": needed or [],
        "additionalProperties": False,
    }


def _map(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": value}


def _root(resources: dict[str, Any]) -> dict[str, Any]:
    sync = _closed({"paths": _TEXTS, "include": _TEXTS, "exclude": _TEXTS})
    artifact = _closed(
        {
            "type": {"enum": ["whl", "jar"]},
            "build": _TEXT,
            "path": _TEXT,
            "dynamic_version": _FLAG,
            "executable": {"enum": ["bash", "sh", "cmd"]},
        }
    )
    permission = _closed(
        {
            "level": {"enum": ["CAN_MANAGE", "CAN_VIEW", "CAN_RUN"]},
            "user_name": _TEXT,
            "group_name": _TEXT,
            "service_principal_name": _TEXT,
        },
        ["level"],
    )
    shared = {
        "artifacts": _map(artifact),
        "permissions": {"type": "array", "items": permission},
        "presets": _closed(
            {
                "name_prefix": _TEXT,
                "artifacts_dynamic_version": _FLAG,
                "trigger_pause_status": {"enum": ["PAUSED", "UNPAUSED"]},
                "jobs_max_concurrent_runs": {"type": "integer"},
                "tags": _map(_TEXT),
            }
        ),
        "resources": resources,
        "run_as": _closed({"service_principal_name": _TEXT, "user_name": _TEXT}),
        "sync": sync,
        "workspace": _closed(
            {name: _TEXT for name in ("host", "profile", "root_path", "file_path", "state_path")}
        ),
    }
    bundle = {"name": _TEXT, "engine": {"enum": ["direct", "terraform"]}}
    variable = {"description": _TEXT, "type": {"const": "complex"}, "default": {}}
    # What a target changes of a resource is judged where it has been merged.
    target = shared | {
        "resources": {"type": "object"},
        "default": _FLAG,
        "mode": {"enum": ["development", "production"]},
        "variables": {"type": "object"},
    }
    return _closed(
        shared
        | {
            "bundle": _closed(bundle | {"databricks_cli_version": _TEXT}, ["name"]),
            "include": _TEXTS,
            "variables": _map(_closed(variable)),
            "targets": _map(_closed(target)),
        },
        ["bundle", "targets"],
    )
