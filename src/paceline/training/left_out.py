"""Labels that are left out: where models may not use the data, and of duplicate recordings."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, get_args

from paceline.errors import UsageError
from paceline.store.warehouse import Position
from paceline.training.labels import OWN_ACTIVITY, quoted
from paceline.training.request import ATHLETE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_log = logging.getLogger(__name__)

Restricted = Literal["refuse", "drop"]
IS_RESTRICTED, IS_DUPLICATE = "is_restricted", "is_duplicate_recording"


def check_choice(restricted: str) -> None:
    """Refuses what is no choice.

    Raises:
        UsageError: when it is neither "refuse" nor "drop".
    """
    if restricted not in get_args(Restricted):
        raise UsageError(f'restricted is {restricted!a}: say "refuse" or "drop".')


def without_restricted(
    labels: DataFrame, activities: DataFrame, position: Position, restricted: Restricted
) -> tuple[DataFrame, int]:
    """The labels of athletes who have no restricted activity, and the number of the others.

    Args:
        labels: as they are given.
        activities: activity_features at a version.
        position: this version.
        restricted: "refuse" to have none left out.

    Raises:
        UsageError: when labels would have to be left out, or the version is of the time before
            restricted activities were marked.
    """
    from pyspark.sql import functions as F

    of_athlete = labels.groupBy(F.col(ATHLETE).cast("bigint").alias(ATHLETE)).count()
    marks = activities.groupBy(ATHLETE).agg(
        F.bool_or(IS_RESTRICTED).alias("restricted"),
        F.bool_or(F.isnull(IS_RESTRICTED)).alias("unknown"),
    )
    of_restricted = F.sum(F.when(F.col("restricted"), F.col("count")))
    counts = of_athlete.join(marks, ATHLETE).agg(
        F.coalesce(of_restricted, F.lit(0)), F.count_if("restricted"), F.count_if("unknown")
    )
    ((count, athletes, unknown),) = counts.collect()
    if unknown:
        raise UsageError(
            f"Version {position.version} of {position.table_name} does not say yet which data "
            "models may use: choose a later one, or make a new training set without as_of_version."
        )
    if not count:
        return labels, 0
    if restricted == "refuse":
        raise UsageError(
            f"{count:,} labels are of {athletes:,} athletes with data whose licence forbids models "
            'to be trained on it: leave them out with restricted="drop", or say in '
            "model_permission of paceline.yml by what right models may use it."
        )
    _log.warning(
        f"{count:,} labels of {athletes:,} athletes are left out, because the licence of their "
        "data forbids models to be trained on it"
    )
    return _without(labels, activities.where(IS_RESTRICTED), ATHLETE), count


def without_duplicates(labels: DataFrame, activities: DataFrame) -> tuple[DataFrame, int]:
    """The labels that are about no duplicate recording, and the number of the others.

    Args:
        labels: as they are given.
        activities: activity_features at a version, perhaps without that column.
    """
    if OWN_ACTIVITY not in labels.columns or IS_DUPLICATE not in activities.columns:
        return labels, 0
    key = (ATHLETE, OWN_ACTIVITY)
    duplicates = activities.where(IS_DUPLICATE)
    count = labels.join(duplicates.select(*key), list(key), "left_semi").count()
    if not count:
        return labels, 0
    _log.warning(f"{count:,} labels are left out, because their activity was recorded twice")
    return _without(labels, duplicates, *key), count


def _without(labels: DataFrame, rows: DataFrame, *key: str) -> DataFrame:
    kept = labels.join(rows.select(*key).distinct(), list(key), "left_anti")
    return kept.select(*map(quoted, labels.columns))
