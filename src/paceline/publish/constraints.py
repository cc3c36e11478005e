"""CHECK constraints: what the contract promises of a row, kept against every writer.

A new table has them from its first version on. They change with the rules, and only when all rows
are compared, because then every published row keeps them or has been accepted by a person.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from paceline.publish.audit import Check
from paceline.publish.claim import Claim

_log = logging.getLogger(__name__)

PROPERTY = "delta.constraints."

_TEXT_OR_SPACE = re.compile(r"('(?:[^'\\\\]|\\\\.)*')|\s+")


@contextmanager
def constrained(claimed: Claim, checks: Sequence[Check], *, compares_all: bool) -> Iterator[int]:
    """Publishes under the constraints that the rows to publish keep; then those of all rules hold.

    Constraints that are stated otherwise, that no rule has any more, or that a row breaks which was
    accepted, go before; those that are missing come after, when `compares_all`: when all rows have
    been compared. Gives the number of commits before.
    """
    if not compares_all and not claimed.run.accepted:
        yield 0
        return
    expected = claimed.contract.constraints(claimed.policy) | _required(claimed)
    if claimed.policy == "STRICT":
        broken = {check.name for check in checks if check.observed}
        expected = {rule: text for rule, text in expected.items() if rule not in broken}
    stated = _stated(claimed)
    gone = {rule for rule, text in stated.items() if _bare(expected.get(rule, "")) != _bare(text)}
    for rule in sorted(gone):
        _alter(claimed, f"DROP CONSTRAINT {rule}")
    yield len(gone)
    if compares_all:
        for rule in sorted(expected.keys() - (stated.keys() - gone)):
            _add(claimed, rule, expected[rule])


def _required(claimed: Claim) -> dict[str, str]:
    """Columns that the contract requires and the table was created without: they may not be NULL.

    No NOT NULL can be added to a table with rows.
    """
    schema = claimed.run.warehouse.table(claimed.contract.name).schema
    return {
        f"{column.name}_required": f"{column.name} IS NOT NULL"
        for column in claimed.contract.columns
        if column.required and schema[column.name].nullable
    }


def _stated(claimed: Claim) -> dict[str, str]:
    properties = claimed.run.warehouse.properties(claimed.contract.name)
    return {
        key.removeprefix(PROPERTY): text
        for key, text in properties.items()
        if key.startswith(PROPERTY)
    }


def _add(claimed: Claim, rule: str, predicate: str) -> None:
    try:
        _alter(claimed, f"ADD CONSTRAINT {rule} CHECK ({predicate})")
    except Exception as error:
        if "DELTA_NEW_CHECK_CONSTRAINT_VIOLATION" not in str(error):
            raise
        # An earlier run has published rows that break it, because a person has accepted them.
        _log.info(
            f"{claimed.contract.name}: accepted rows break {rule}, so the table has no such "
            "constraint until they are gone"
        )


def _alter(claimed: Claim, change: str) -> None:
    warehouse = claimed.run.warehouse
    warehouse.spark.sql(f"ALTER TABLE {warehouse.identifier(claimed.contract.name)} {change}")


def _bare(predicate: str) -> str:
    """Without the spaces that Delta puts between words; those in texts stay."""
    return _TEXT_OR_SPACE.sub(r"\1", predicate)
