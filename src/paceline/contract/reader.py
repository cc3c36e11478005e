"""Contract files -> contracts, with every mistake named by file and line."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from open_data_contract_standard.model import SchemaObject, SchemaProperty

from paceline.contract.checks import rule, threshold
from paceline.contract.document import Document, Place, read
from paceline.contract.model import Column, Contract, Policy, Rule, Threshold
from paceline.contract.values import LOGICAL_TYPES
from paceline.errors import UsageError

SUFFIX = ".odcs.yaml"
API_VERSION = "v3.1.0"

_TABLE: Place = ("schema", 0)


def load_all(directory: Path) -> dict[str, Contract]:
    """Every contract in `directory`, by table name, in the order of the names.

    Raises `UsageError` when there is none, or when one has a mistake.
    """
    contracts = {c.name: c for c in map(load, sorted(directory.glob(f"*{SUFFIX}")))}
    if not contracts:
        raise UsageError(
            f"{directory}: there is no contract here,"
            f" put one <schema>.<table>{SUFFIX} per table into it."
        )
    return contracts


def load(path: Path) -> Contract:
    """The contract in the file `path`, named `<schema>.<table>.odcs.yaml`.

    Raises `UsageError` when the file has a mistake: file, line, what is wrong, what is allowed.
    """
    document = read(path)
    table = _table(document)
    columns = tuple(
        _column(document, (*_TABLE, "properties", position), item)
        for position, item in enumerate(table.properties or [])
    )
    _refuse_repeated(document, "column", "properties", [column.name for column in columns])
    rules, thresholds = _quality(document, table, columns)
    _refuse_repeated(document, "rule", "quality", [entry.name for entry in table.quality or []])
    custom = document.custom_properties(
        (), document.model.customProperties, ("policy", "appendOnly", "mayBeEmpty")
    )
    at, policy = custom.get("policy", ((), None))
    policies: tuple[Policy, ...] = get_args(Policy)
    return Contract(
        name=path.name.removesuffix(SUFFIX),
        version=document.text((), "version", document.model.version),
        description=document.text(_TABLE, "description", table.description),
        columns=columns,
        key=_key(document, table.properties or []),
        rules=rules,
        thresholds=thresholds,
        policy=document.one_of(at, "policy", policy, policies),
        append_only=_flag(document, custom, "appendOnly"),
        may_be_empty=_flag(document, custom, "mayBeEmpty"),
    )


def _table(document: Document) -> SchemaObject:
    """The one table of the document, after a look at what every document must say of itself."""
    model = document.model
    document.one_of((), "kind", model.kind, ("DataContract",))
    document.one_of((), "apiVersion", model.apiVersion, (API_VERSION,))
    document.text((), "id", model.id)
    document.text((), "status", model.status)
    tables = model.schema_ or []
    if len(tables) != 1:
        raise document.mistake(
            ("schema",),
            f"'schema' has {len(tables)} tables, a contract is about exactly one.",
        )
    full_name = document.text(_TABLE, "physicalName", tables[0].physicalName)
    if document.path.name != full_name + SUFFIX or full_name.count(".") != 1:
        raise document.mistake(
            (*_TABLE, "physicalName"),
            f"the table is called '{full_name}',"
            f" the file has to be called <schema>.<table>{SUFFIX} after it.",
        )
    return tables[0]


def _column(document: Document, place: Place, item: SchemaProperty) -> Column:
    name = document.text(place, "name", item.name)
    sql_type = document.one_of(place, "physicalType", item.physicalType, tuple(LOGICAL_TYPES))
    document.one_of(place, "logicalType", item.logicalType, (LOGICAL_TYPES[sql_type],))
    required = bool(item.required)
    if item.primaryKey and not required:
        raise document.mistake(place, f"the key column '{name}' needs 'required: true'.")
    if not item.examples:
        raise document.mistake(
            place,
            f"the column '{name}' has no examples, the first one goes to the example row.",
        )
    example = document.cell((*place, "examples", 0), name, item.examples[0], sql_type)
    if required and example is None:
        raise document.mistake(
            (*place, "examples", 0),
            f"the required column '{name}' has a null as first example.",
        )
    custom = document.custom_properties(place, item.customProperties, ("unit",))
    at, unit = custom.get("unit", (place, None))
    return Column(
        name=name,
        type=sql_type,
        required=required,
        description=document.text(place, "description", item.description),
        unit=None if unit is None else document.text(at, "unit", unit),
        classification=item.classification,
        tags=tuple(item.tags or ()),
        example=example,
    )


def _key(document: Document, items: list[SchemaProperty]) -> tuple[str, ...]:
    """The key columns by their position; they have to be the first columns, in that order."""
    key = [item for item in items if item.primaryKey or item.primaryKeyPosition is not None]
    if not key:
        raise document.mistake(
            _TABLE, "the table has no key, give its key columns 'primaryKey: true'."
        )
    for position, item in enumerate(items[: len(key)], start=1):
        if not item.primaryKey or item.primaryKeyPosition != position:
            raise document.mistake(
                (*_TABLE, "properties", position - 1),
                f"column {position} is '{item.name}', it needs 'primaryKey: true' and"
                f" 'primaryKeyPosition: {position}': the {len(key)} key columns come first,"
                " numbered from 1 without a gap.",
            )
    return tuple(str(item.name) for item in key)


def _quality(
    document: Document, table: SchemaObject, columns: tuple[Column, ...]
) -> tuple[tuple[Rule, ...], tuple[Threshold, ...]]:
    """The row rules, and the thresholds of the table and then of its columns, in file order."""
    rules, thresholds = [], []
    for position, entry in enumerate(table.quality or []):
        place = (*_TABLE, "quality", position)
        if entry.metric is None:
            rules.append(rule(document, place, entry, columns))
        else:
            thresholds.append(threshold(document, place, entry, None))
    for number, item in enumerate(table.properties or []):
        for position, entry in enumerate(item.quality or []):
            place = (*_TABLE, "properties", number, "quality", position)
            thresholds.append(threshold(document, place, entry, item.name))
    return tuple(rules), tuple(thresholds)


def _refuse_repeated(document: Document, what: str, field: str, names: list[str | None]) -> None:
    for position, name in enumerate(names):
        if name is not None and name in names[:position]:
            raise document.mistake(
                (*_TABLE, field, position),
                f"there are two {what}s with the name '{name}'.",
            )


def _flag(document: Document, custom: dict[str, tuple[Place, object]], name: str) -> bool:
    at, value = custom.get(name, ((), False))
    if not isinstance(value, bool):
        raise document.mistake(at, f"'{name}' is {value!r}, allowed are true, false.")
    return value
