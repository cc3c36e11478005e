"""Refuses contracts that are well-formed and still promise nothing.

A batch without rows breaks no rule for rows, and a column that is NULL throughout breaks no rule
that lets absent values pass. What a contract has to say about both is asked for here.
"""

from __future__ import annotations

from collections.abc import Iterable

from paceline.contract.checks import judged_names
from paceline.contract.document import TABLE, Document, Place
from paceline.contract.model import LEVELS_OF_AGE, UNITS_OF_AGE, Column, Contract
from paceline.errors import UsageError
from paceline.sources import feeding, known

_TYPES_OF_TIME = ("DATE", "TIMESTAMP")
ATHLETE = "athlete_id"


def refuse_vacuous(document: Document, contract: Contract) -> None:
    """Raises `UsageError` for the first promise of the contract that nothing could break."""
    _ask_for_rows(document, contract)
    _ask_for_null_limits(document, contract)
    _ask_for_elements(document, contract)
    _ask_for_sources(document, contract)


def _ask_for_sources(document: Document, contract: Contract) -> None:
    """A bronze table takes records of the sources that feed it, and of no other."""
    if not feeding(contract.name):
        return
    stated = [rule.predicate for rule in contract.rules if rule.name == "source_known"]
    if stated != [known(contract.name)]:
        raise document.mistake(
            TABLE,
            f"the rule 'source_known' has to say which sources feed the table:"
            f' "implementation: {known(contract.name)}".',
        )


def _ask_for_rows(document: Document, contract: Contract) -> None:
    needs_rows = contract.thresholds.min_table_rows > 0
    if not needs_rows and not contract.may_be_empty:
        raise document.mistake(
            TABLE,
            "an empty table would keep this contract, add the metric 'rowCount' with"
            " 'mustBeGreaterThan: 0' to 'quality', or the custom property 'mayBeEmpty'.",
        )
    if needs_rows and contract.may_be_empty:
        raise document.mistake(
            TABLE, "the table may be empty and has a 'rowCount' that forbids it, keep one."
        )


def _ask_for_null_limits(document: Document, contract: Contract) -> None:
    limited = {limit.column for limit in contract.thresholds.null_limits}
    judged = {
        name
        for rule in contract.rules
        if rule.severity == "error"
        for name in judged_names(rule.predicate)
    }
    for position, column in enumerate(contract.columns):
        if problem := _null_problem(column, column.name in limited, column.name in judged):
            raise document.mistake((*TABLE, "properties", position), problem)


def _null_problem(column: Column, is_limited: bool, is_judged: bool) -> str | None:
    is_optional = column.optional is not None
    if column.required and (is_limited or is_optional):
        return (
            f"the column '{column.name}' is required and never NULL,"
            " remove its 'nullValues' or 'optional'."
        )
    if is_limited and is_optional:
        return (
            f"the column '{column.name}' has a limit on its NULLs and is optional as well,"
            " keep one."
        )
    if is_judged and not (column.required or is_limited or is_optional):
        return (
            f"a batch in which '{column.name}' is NULL throughout would keep all its rules, limit"
            " its 'nullValues' in percent, or say in the custom property 'optional' why it may be."
        )
    return None


def _ask_for_elements(document: Document, contract: Contract) -> None:
    for position, level in enumerate(document.model.slaProperties or []):
        place: Place = ("slaProperties", position)
        name = document.text(place, "property", level.property)
        if name not in LEVELS_OF_AGE:
            continue
        document.one_of(place, "unit", level.unit, tuple(UNITS_OF_AGE))
        value = level.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise document.mistake(
                (*place, "value"), f"the value of '{name}' is {value!r}, it has to be above 0."
            )
        table = contract.name.split(".")[1]
        times = [f"{table}.{c.name}" for c in contract.columns if c.type in _TYPES_OF_TIME]
        if level.element not in times:
            said = "has no element" if level.element is None else f"is about '{level.element}'"
            raise document.mistake(
                (*place, "element"),
                f"'{name}' {said}, it needs one of the columns with a time"
                f" ({', '.join(times) or 'this table has none: remove it'}).",
            )


def refuse_nameless(contracts: Iterable[Contract]) -> None:
    """Raises `UsageError` for the first personal column that no erasure would find.

    An athlete is looked for, and erased, by the column `athlete_id`.
    """
    for contract in contracts:
        personal = [column.name for column in contract.columns if "pii" in column.tags]
        if contract.entity != ATHLETE and personal:
            raise UsageError(
                f"The contract of {contract.name} tags {', '.join(personal)} as pii, and says not "
                f"whose: a row needs a column {ATHLETE}, named by the custom property 'entity', so "
                "that an erasure finds it; add both, or remove the tag."
            )
