"""Which version of a record wins: the rule that silver's tables share.

Records that speak of the same thing (an activity, an athlete's settings from a day) are versions of
it. The outcome depends on the set of versions only, never on the order of their arrival.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.window import WindowSpec

from paceline import recipe
from paceline.contract import Contract
from paceline.sources import SOURCES

# Added by `with_age`, used by `with_disposition`, and by recipes that pick single columns.
AGE = "_age"  # struct that orders versions: change time, lsn, delete last, digest
IS_OPEN = "_is_open"  # an image that no delete at the same time or later has closed
IS_UNREADABLE = "_is_unreadable"  # not even its fields can be told
IS_VALID = "_is_valid"  # may be published under the policy in force


def with_age(records: DataFrame, subject: list[Column]) -> DataFrame:
    """Adds the order of versions, and whether a delete has closed them.

    Args:
        records: bronze records.
        subject: what the versions are versions of. Where all of it is NULL, each different payload
            stands for itself.
    """
    age = F.struct(
        F.col("change_time_us"),
        F.coalesce(F.col("lsn"), F.lit(-1)).alias("lsn"),
        (F.col("op") == "d").alias("is_delete"),
        F.sha2(F.col("payload"), 256).alias("payload_digest"),
        # Equal in all that counts: any order will do, as long as it is always the same.
        F.col("source_path"),
        F.col("source_digest"),
        F.col("line_number"),
    )
    nameless = F.when(
        F.coalesce(*[column.cast("string") for column in subject]).isNull(), F.col("payload")
    )
    aged = records.withColumn(AGE, age).withColumn(
        "_subject", F.struct(*subject, nameless.alias("nameless"))
    )
    last_delete = F.max(F.when(F.col("op") == "d", F.col(AGE))).over(of_subject())
    is_open = (F.col("op") != "d") & (last_delete.isNull() | (F.col(AGE) > last_delete))
    return aged.withColumn(IS_OPEN, is_open)


def with_validity(versions: DataFrame, contract: Contract, policy: str) -> DataFrame:
    """Adds the broken rules of a version, and whether it may be published.

    An unreadable record has that one reason. Under ALWAYS only a missing column forbids publishing.
    """
    unreadable = F.array(F.lit(recipe.UNREADABLE))
    broken = contract.broken_rules("error")
    reasons = F.when(F.col(IS_UNREADABLE), unreadable).otherwise(broken)
    is_sound = F.size(recipe.REASONS) == 0
    if policy == "ALWAYS":
        is_complete = ~F.col(IS_UNREADABLE)
        for name in contract.required_columns:
            is_complete = is_complete & F.col(name).isNotNull()
        is_sound = is_sound | is_complete
    judged = versions.withColumn(recipe.REASONS, reasons)
    return judged.withColumn(IS_VALID, F.col(IS_OPEN) & is_sound)


def with_disposition(versions: DataFrame) -> DataFrame:
    """Adds what becomes of each version: exactly one of `recipe.DISPOSITIONS`.

    The best valid open version is current. An open version that breaks a rule is quarantined unless
    a newer valid one has come. A lesser copy of the same payload is a duplicate. All else has been
    superseded.
    """
    rank = F.struct(_source_rank(), F.col(AGE))
    best = F.max(F.when(F.col(IS_VALID), rank)).over(of_subject())
    newest_valid = F.max(F.when(F.col(IS_VALID), F.col(AGE))).over(of_subject())
    copies = Window.partitionBy("_subject", f"{AGE}.payload_digest", "source", "op")
    is_copy = F.row_number().over(copies.orderBy(F.col(AGE).desc())) > 1
    awaits_mending = F.col(IS_OPEN) & ~F.col(IS_VALID)
    awaits_mending = awaits_mending & (newest_valid.isNull() | (F.col(AGE) > newest_valid))
    disposition = (
        F.when(F.col(IS_VALID) & (rank == best), recipe.CURRENT)
        .when(is_copy, recipe.DUPLICATE)
        .when(F.col("op") == "d", recipe.DELETION)
        .when(awaits_mending & F.col(IS_UNREADABLE), recipe.UNREADABLE)
        .when(awaits_mending, recipe.QUARANTINED)
        .otherwise(recipe.SUPERSEDED)
    )
    return versions.withColumn(recipe.DISPOSITION, disposition)


def newest(name: str) -> Column:
    """Aggregate: a column of the newest valid version that has it; absent is not empty."""
    has_it = F.col(IS_VALID) & F.col(name).isNotNull()
    return F.max(F.when(has_it, F.struct(F.col(AGE), F.col(name).alias("value"))))


def record() -> Column:
    """Where a version came from, for the quarantine."""
    return F.struct("source_path", "line_number", "payload").alias(recipe.RECORD)


def of_subject() -> WindowSpec:
    """The window over all versions of one thing."""
    return Window.partitionBy("_subject")


def _source_rank() -> Column:
    """The better source wins among valid versions; among equals the newest."""
    rank = F.lit(0)
    for source in SOURCES:
        rank = F.when(F.col("source") == source.name, source.rank).otherwise(rank)
    return rank
