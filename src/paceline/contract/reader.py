"""Contract files -> contracts, with every mistake named by file and line."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from open_data_contract_standard.model import SchemaObject, SchemaProperty

from paceline.contract.checks import rule
from paceline.contract.document import TABLE, Custom, Document, Place, read
from paceline.contract.limits import thresholds
from paceline.contract.lint import refuse_vacuous
from paceline.contract.model import Column, Contract, Policy, Rule, ServiceLevel
from paceline.contract.values import LOGICAL_TYPES
from paceline.errors import UsageError

SUFFIX = ".odcs.yaml"
API_VERSION = "v3.1.0"

_CUSTOM_PROPERTIES = (
    *("policy", "appendOnly", "mayBeEmpty", "maxBrokenShare", "minRows"),
    "entity",
)


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

    Raises `UsageError` when the file has a mistake, or promises something that nothing could break:
    file, line, what is wrong, what is allowed.
    """
    document = read(path)
    table = _table(document)
    columns = tuple(
        _column(document, (*TABLE, "properties", position), item)
        for position, item in enumerate(table.properties or [])
    )
    _refuse_repeated(document, "column", "properties", [column.name for column in columns])
    rules = _rules(document, table, columns)
    _refuse_repeated(document, "rule", "quality", [entry.name for entry in table.quality or []])
    custom = document.custom_properties((), document.model.customProperties, _CUSTOM_PROPERTIES)
    at, policy = custom.get("policy", ((), None))
    policies: tuple[Policy, ...] = get_args(Policy)
    contract = Contract(
        name=path.name.removesuffix(SUFFIX),
        version=document.text((), "version", document.model.version),
        description=document.text(TABLE, "description", table.description),
        columns=columns,
        key=_key(document, table.properties or []),
        rules=rules,
        thresholds=thresholds(document, table, custom),
        service_levels=_service_levels(document),
        policy=document.one_of(at, "policy", policy, policies),
        append_only=_flag(document, custom, "appendOnly"),
        may_be_empty=_flag(document, custom, "mayBeEmpty"),
        tags=tuple(document.model.tags or ()),
        entity=_entity(document, custom, columns),
        owner=getattr(document.model.team, "name", None) or "",
    )
    refuse_vacuous(document, contract)
    return contract


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
    full_name = document.text(TABLE, "physicalName", tables[0].physicalName)
    if document.path.name != full_name + SUFFIX or full_name.count(".") != 1:
        raise document.mistake(
            (*TABLE, "physicalName"),
            f"the table is called '{full_name}',"
            f" the file has to be called <schema>.<table>{SUFFIX} after it.",
        )
    for part in full_name.split("."):
        document.identifier(TABLE, "physicalName", part)
    return tables[0]


def _column(document: Document, place: Place, item: SchemaProperty) -> Column:
    name = document.identifier(place, "name", item.name)
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
    custom = document.custom_properties(place, item.customProperties, ("unit", "optional"))
    return Column(
        name=name,
        type=sql_type,
        required=required,
        description=document.text(place, "description", item.description),
        unit=_words(document, custom, "unit"),
        classification=item.classification,
        tags=tuple(item.tags or ()),
        example=example,
        optional=_words(document, custom, "optional"),
    )


def _key(document: Document, items: list[SchemaProperty]) -> tuple[str, ...]:
    """The key columns by their position; they have to be the first columns, in that order."""
    key = [item for item in items if item.primaryKey or item.primaryKeyPosition is not None]
    if not key:
        raise document.mistake(
            TABLE, "the table has no key, give its key columns 'primaryKey: true'."
        )
    for position, item in enumerate(items[: len(key)], start=1):
        if not item.primaryKey or item.primaryKeyPosition != position:
            raise document.mistake(
                (*TABLE, "properties", position - 1),
                f"column {position} is '{item.name}', it needs 'primaryKey: true' and"
                f" 'primaryKeyPosition: {position}': the {len(key)} key columns come first,"
                " numbered from 1 without a gap.",
            )
    return tuple(str(item.name) for item in key)


def _rules(
    document: Document, table: SchemaObject, columns: tuple[Column, ...]
) -> tuple[Rule, ...]:
    return tuple(
        rule(document, (*TABLE, "quality", position), entry, columns)
        for position, entry in enumerate(table.quality or [])
        if entry.metric is None
    )


def _service_levels(document: Document) -> tuple[ServiceLevel, ...]:
    return tuple(
        ServiceLevel(
            name=document.text(("slaProperties", position), "property", level.property),
            value=level.value if isinstance(level.value, int | float) else str(level.value),
            unit=level.unit,
            element=level.element.rpartition(".")[2] if level.element else None,
            description=level.description,
        )
        for position, level in enumerate(document.model.slaProperties or [])
    )


def _refuse_repeated(document: Document, what: str, field: str, names: list[str | None]) -> None:
    for position, name in enumerate(names):
        if name is not None and name in names[:position]:
            raise document.mistake(
                (*TABLE, field, position),
                f"there are two {what}s with the name '{name}'.",
            )


def _entity(document: Document, custom: Custom, columns: tuple[Column, ...]) -> str | None:
    """The column with whom or what a row is about."""
    name = _words(document, custom, "entity")
    names = [column.name for column in columns]
    if name is not None and name not in names:
        at, _ = custom["entity"]
        raise document.mistake(
            at, f"the entity '{name}' is no column, allowed are {', '.join(names)}."
        )
    return name


def _flag(document: Document, custom: Custom, name: str) -> bool:
    at, value = custom.get(name, ((), False))
    if not isinstance(value, bool):
        raise document.mistake(at, f"'{name}' is {value!r}, allowed are true, false.")
    return value


def _words(document: Document, custom: Custom, name: str) -> str | None:
    if name not in custom:
        return None
    at, value = custom[name]
    return document.text(at, name, value)
