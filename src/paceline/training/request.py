"""Which columns of which feature tables are asked for, under which names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from paceline.contract import Contract
from paceline.errors import UsageError

ATHLETE = "athlete_id"
EVENT_TIME = "event_timestamp"


@dataclass(frozen=True)
class Feature:
    """A column of a feature table (`schema.table`)."""

    table_name: str
    column: str

    def __str__(self) -> str:
        return f"{self.table_name}.{self.column}"


def requested(asked: Sequence[str], contracts: Mapping[str, Contract]) -> tuple[Feature, ...]:
    """The features that are meant, in the order in which they are asked for.

    Args:
        asked: names as `column`, `table.column` or `schema.table.column`.
        contracts: of the tables that have features.

    Raises:
        UsageError: when none is asked for, a name means no column or several, or two of them would
            be columns of the same name.
    """
    if isinstance(asked, str) or not asked:
        raise UsageError(
            "A training set needs a list of features: name at least one, for example "
            "features=['athlete_rolling_features.ctl_ewma_42d']."
        )
    features = [_meant(name, contracts) for name in asked]
    names = [feature.column for feature in features]
    for feature in features:
        if names.count(feature.column) > 1:
            raise UsageError(
                f"Two features would be the column {feature.column}: ask for one of them, and "
                "join a second training set for the other."
            )
    return tuple(features)


def _meant(name: str, contracts: Mapping[str, Contract]) -> Feature:
    known: dict[str, list[Feature]] = {}
    for contract in contracts.values():
        for column in contract.column_names:
            if column != ATHLETE:
                for spelling in _spellings(feature := Feature(contract.name, column)):
                    known.setdefault(spelling, []).append(feature)
    meant = known.get(name, [])
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise UsageError(
            f"The feature {name!a} is in several tables: write "
            f"{' or '.join(_spellings(feature)[1] for feature in meant)}."
        )
    near = get_close_matches(name, known, n=1)
    raise UsageError(
        f"There is no feature {name!a}: "
        + (f"did you mean {near[0]}?" if near else f"the tables are {', '.join(contracts)}.")
    )


def _spellings(feature: Feature) -> tuple[str, str, str]:
    table = feature.table_name.partition(".")[2]
    return feature.column, f"{table}.{feature.column}", str(feature)
