"""A contract file as parsed text: what it says, and on which line it says it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import yaml
from open_data_contract_standard.model import CustomProperty, OpenDataContractStandard
from pydantic import BaseModel, ValidationError

from paceline.contract.model import Value
from paceline.contract.values import cell
from paceline.errors import UsageError

Place: TypeAlias = tuple[str | int, ...]
"""The way to an entry of the document: field names and positions in lists."""

TABLE: Place = ("schema", 0)
"""The place of the one table that a contract is about."""

Custom: TypeAlias = dict[str, tuple[Place, Any]]
"""Custom properties by name: where the value stands, and the value."""

_Word = TypeVar("_Word", bound=str)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Loader(yaml.CSafeLoader):
    """YAML as JSON sees it: dates stay text, so that a column's type decides what they are.

    Parsed by libyaml, which every wheel of PyYAML brings and which is five times as fast.
    """

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class Document:
    """One contract file: the standard's model of it, and its nodes, which know their lines."""

    path: Path
    root: yaml.Node
    model: OpenDataContractStandard

    def mistake(self, place: Place, problem: str) -> UsageError:
        """The error for a mistake at `place`: file, line and what is wrong."""
        return _mistake(self.path, self.root, place, problem)

    def text(self, place: Place, field: str, value: object) -> str:
        """The text of the `field` of `place`, on one line; `UsageError` when there is none."""
        if not isinstance(value, str) or not value.strip():
            raise self.mistake((*place, field), f"the field '{field}' is missing or no text.")
        return " ".join(value.split())

    def identifier(self, place: Place, field: str, value: object) -> str:
        """The text of the `field` of `place` if it is a name in SQL, else `UsageError`."""
        name = self.text(place, field, value)
        if not _IDENTIFIER.fullmatch(name):
            raise self.mistake(
                (*place, field),
                f"the {field} is {name!a}, a name is made of letters, digits and '_'"
                " and does not begin with a digit.",
            )
        return name

    def one_of(self, place: Place, field: str, value: object, allowed: tuple[_Word, ...]) -> _Word:
        """`value` if it is one of the `allowed` words, else `UsageError`."""
        for word in allowed:
            if value == word:
                return word
        said = "missing" if value is None else f"'{value}'"
        problem = f"the {field} is {said}, allowed are {', '.join(allowed)}."
        raise self.mistake((*place, field), problem)

    def cell(self, place: Place, column: str, value: object, sql_type: str) -> Value:
        """`value` as a cell of `column`; `UsageError` when it does not fit the type."""
        try:
            return cell(value, sql_type)
        except ValueError:
            problem = f"the value {value!r} of '{column}' is no {sql_type}."
            raise self.mistake(place, problem) from None

    def custom_properties(
        self,
        place: Place,
        properties: list[CustomProperty] | None,
        allowed: tuple[str, ...],
    ) -> Custom:
        """The custom properties of `place`.

        Raises `UsageError` when one is not `allowed` or given twice.
        """
        found: Custom = {}
        for position, item in enumerate(properties or []):
            at = (*place, "customProperties", position)
            name = self.one_of(at, "property", item.property, allowed)
            if name in found:
                raise self.mistake(at, f"the custom property '{name}' is given twice.")
            found[name] = ((*at, "value"), item.value)
        return found


def read(path: Path) -> Document:
    """The document in `path`.

    Raises `UsageError` when the file cannot be read, is not YAML, repeats a field, has a field
    that the standard does not know, or a value of the wrong kind.
    """
    root, data = _parse(path)
    try:
        model = OpenDataContractStandard.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "extra_forbidden":
            raise _unknown_field(path, root, first["loc"], OpenDataContractStandard) from None
        problem = f"the value of '{first['loc'][-1]}' is not usable: {first['msg']}."
        raise _mistake(path, root, first["loc"], problem) from None
    for place, owner in _unknown_fields(data, model, ()):
        raise _unknown_field(path, root, place, owner)
    return Document(path, root, model)


def _parse(path: Path) -> tuple[yaml.Node, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the contract cannot be read: {error}.") from None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None or not isinstance(root, yaml.MappingNode):
            raise UsageError(f"{path}:1: a contract is a mapping of fields, this file is not.")
        for key in _repeated_keys(root):
            line = key.start_mark.line + 1
            raise UsageError(f"{path}:{line}: the field '{key.value}' is given twice.")
        return root, loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}: this is not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path}:1: this is not YAML: {' '.join(str(error).split())}.") from None


def _repeated_keys(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """The second and later keys of equal name; YAML itself lets the last one win in silence."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key
                seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)


def _unknown_fields(
    data: object, model: object, place: Place
) -> Iterator[tuple[Place, type[BaseModel]]]:
    """Fields that the models below the top level would ignore, each with the model they are in."""
    if isinstance(data, dict) and isinstance(model, BaseModel):
        fields = {info.alias or name: name for name, info in type(model).model_fields.items()}
        for key, value in data.items():
            if key in fields:
                yield from _unknown_fields(value, getattr(model, fields[key]), (*place, key))
            else:
                yield (*place, key), type(model)
    elif isinstance(data, list) and isinstance(model, list):
        for position, (item, item_model) in enumerate(zip(data, model, strict=True)):
            yield from _unknown_fields(item, item_model, (*place, position))


def _unknown_field(path: Path, root: yaml.Node, place: Place, owner: type[BaseModel]) -> UsageError:
    allowed = sorted(info.alias or name for name, info in owner.model_fields.items())
    problem = f"the field '{place[-1]}' is unknown, allowed are {', '.join(allowed)}."
    return _mistake(path, root, place, problem)


def _mistake(path: Path, root: yaml.Node, place: Place, problem: str) -> UsageError:
    return UsageError(f"{path}:{_line(root, place)}: {problem}")


def _line(root: yaml.Node, place: Place) -> int:
    """The line of the innermost part of `place` that the file has, counted from 1."""
    node, line = root, root.start_mark.line + 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == step:
                    node, line = value, key.start_mark.line + 1
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line
