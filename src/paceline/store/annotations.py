"""What a contract says about a table, where people look it up: comments and tags in the catalog.

Neither changes a row, and a catalog that refuses them keeps no run from publishing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from paceline.contract import Contract
from paceline.sql import identifier, literal
from paceline.store.warehouse import Warehouse

# Which contract the comments of a table come from, so that they are looked at only when it changes.
_log = logging.getLogger(__name__)

CONTRACT_PROPERTY = "paceline.contract"
# Of catalogs other than Unity Catalog, which have no such statement.
_UNKNOWN_STATEMENT = "PARSE_SYNTAX_ERROR"


def stated_contract(contract: Contract) -> str:
    """A contract by name and version."""
    return f"{contract.name}@{contract.version}"


def describe(warehouse: Warehouse, contract: Contract) -> bool:
    """Brings the comments and tags of a table up to its contract; returns whether it took a commit.

    What the catalog refuses is a warning.
    """
    name = warehouse.identifier(contract.name)
    (detail,) = warehouse.spark.sql(f"DESCRIBE DETAIL {name}").collect()
    stored = {
        field.name: field.metadata.get("comment") for field in warehouse.table(contract.name).schema
    }
    statements = comments(contract, name, detail["description"], stored)
    if warehouse.properties(contract.name).get(CONTRACT_PROPERTY) != stated_contract(contract):
        stated = f"{literal(CONTRACT_PROPERTY)} = {literal(stated_contract(contract))}"
        statements.append(f"ALTER TABLE {name} SET TBLPROPERTIES ({stated})")
    is_done = _done(warehouse, contract, "comments", statements)
    tag(warehouse, contract)
    return is_done and bool(statements)


def set_properties(warehouse: Warehouse, table_name: str, wanted: Mapping[str, str]) -> None:
    """Sets properties of a table."""
    listed = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in wanted.items())
    name = warehouse.identifier(table_name)
    warehouse.spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ({listed})")


def tag(warehouse: Warehouse, contract: Contract) -> None:
    """Sets the tags of a table and its columns, in a catalog alone; setting them again is free."""
    if warehouse.root is None and warehouse.catalog:
        name = warehouse.identifier(contract.name)
        _done(warehouse, contract, "tags", tags(contract, name))


def comments(
    contract: Contract, name: str, table_comment: str | None, stored: Mapping[str, str | None]
) -> list[str]:
    """The statements that bring comments up to a contract; none when they are.

    Args:
        contract: of the table.
        name: of the table in SQL.
        table_comment: what the table says now.
        stored: by column of the table, what it says now; one that no run has added yet is missing.
    """
    changed = [
        f"{identifier(column.name)} COMMENT {literal(column.comment)}"
        for column in contract.columns
        if column.name in stored and column.comment != stored[column.name]
    ]
    statements = [f"ALTER TABLE {name} ALTER COLUMN {', '.join(changed)}"] if changed else []
    if table_comment != contract.description:
        statements.append(f"COMMENT ON TABLE {name} IS {literal(contract.description)}")
    return statements


def tags(contract: Contract, name: str) -> list[str]:
    """The statements of Unity Catalog that set the tags of a contract.

    A tag of the contract is a key without a value; the classification of a column is the value of
    the key `classification`.
    """
    statements = []
    if contract.tags:
        statements.append(
            f"ALTER TABLE {name} SET TAGS ({_pairs(dict.fromkeys(contract.tags, ''))})"
        )
    for column in contract.columns:
        pairs = dict.fromkeys(column.tags, "")
        if column.classification is not None:
            pairs["classification"] = column.classification
        if pairs:
            statements.append(
                f"ALTER TABLE {name} ALTER COLUMN {identifier(column.name)}"
                f" SET TAGS ({_pairs(pairs)})"
            )
    return statements


def _pairs(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{literal(key)} = {literal(value)}" for key, value in tags.items())


def _done(
    warehouse: Warehouse,
    contract: Contract,
    what: str,
    statements: list[str],
) -> bool:
    """Runs statements up to the first that is refused; returns whether none is."""
    try:
        for statement in statements:
            warehouse.spark.sql(statement)
    except Exception as error:
        reason = getattr(error, "getCondition", lambda: None)() or type(error).__name__
        way_on = "grant APPLY TAG and MODIFY on it, and `paceline maintenance` sets them."
        if reason == _UNKNOWN_STATEMENT:
            way_on = "this catalog knows none, and nothing else depends on them."
        _log.warning(f"the {what} of {contract.name} could not be set ({reason}): {way_on}")
        return False
    return True
