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
from paceline.sources.changelog import STATEMENT_TIMED
from paceline.sources.refusals import CHANGE_TIME_AHEAD, WITHOUT_FIELDS

# Added by `with_age`, used by `with_disposition`, and by recipes that pick single columns.
AGE = "_age"  # struct that orders versions: time, log, position in it, then where it was delivered
IS_COPY = "_is_copy"  # says what another record says, which is the one that counts
IS_OPEN = "_is_open"  # an image that no later delete has closed
IS_CLOCK_BEHIND = "_is_clock_behind"  # a later place in a log of PostgreSQL has an earlier time
REFUSAL = "_refusal"  # why it is refused before any rule is asked; NULL: it is not
IS_VALID = "_is_valid"  # may be published under the policy in force

LOG = ("change_log", "change_position", "change_id")
"""Columns of bronze that only change data fills."""

# A change may be from so many days after it was received: clocks are not that wrong.
MOST_DAYS_AHEAD = 1
MICROS_A_DAY = 86_400_000_000
# So long a statement may take, or wait, before it commits.
LONGEST_WAIT_US = 3_600_000_000


def with_age(
    records: DataFrame,
    subject: list[Column],
    has_statement_time: Column | None = None,
    is_refused: Column | None = None,
) -> DataFrame:
    """Adds the order of versions, which of them are copies, and whether a delete has closed them.

    Args:
        records: bronze records, with the columns of `LOG`.
        subject: what the versions are versions of. Where all of it is NULL, each different change
            or payload stands for itself.
        has_statement_time: whether the time of a change is only that of its statement.
        is_refused: whether a delete is refused, so that it closes nothing.
    """
    nameless = F.when(
        F.coalesce(*[column.cast("string") for column in subject]).isNull(),
        F.coalesce("change_id", "payload"),
    )
    named = records.withColumns(
        {"_subject": F.struct(*subject, nameless.alias("nameless")), "_place": _place()}
    )
    copied = named.withColumn(IS_COPY, _is_copy())
    timed = copied.withColumns(_times(has_statement_time))
    age = F.struct(
        F.col("_time_us").alias("time_us"),
        F.coalesce("change_log", F.lit("")).alias("log"),
        F.coalesce("change_position", F.lit("")).alias("position"),
        "source_path",
        "line_number",
        F.sha2("payload", 256).alias("payload_digest"),
        "source_digest",
    )
    aged = timed.withColumn(AGE, age)
    counts = ~(F.col(IS_COPY) & is_change())
    closes = (F.col("op") == "d") & counts & ~is_ahead()
    if is_refused is not None:
        closes = closes & ~is_refused
    last_delete = F.max(F.when(closes, F.col(AGE))).over(of_subject())
    is_later = last_delete.isNull() | (F.col(AGE) > last_delete)
    return aged.withColumn(IS_OPEN, (F.col("op") != "d") & counts & is_later)


def without_log(records: DataFrame) -> DataFrame:
    """Adds the columns of `LOG` to records of a table that no change data feeds."""
    return records.withColumns({name: F.lit(None).cast("string") for name in LOG})


def is_change() -> Column:
    """Whether a record is one of the deliveries of a certain change."""
    return F.col("change_id").isNotNull()


def _place() -> Column:
    """The position in a log: file, place and row, without the server, nobody in a snapshot."""
    is_of_server = F.split_part("change_log", F.lit("/"), F.lit(1)).isin(*STATEMENT_TIMED)
    position = F.col("change_position")
    return F.when(is_of_server, F.substring_index(position, " ", -3)).otherwise(position)


def _is_copy() -> Column:
    """Whether another record says the same.

    A change is delivered again as the same change, and its first delivery counts. For all other
    sources a later copy says that the activity is like that once more, and is the one that counts.
    """
    same = F.struct("source", "op", F.coalesce("change_id", F.sha2("payload", 256)))
    delivered = F.struct("change_time_us", "source_path", "line_number", "source_digest")
    # The log comes first, so that the rows are sorted for `_times`, too.
    copies = Window.partitionBy("_subject", "change_log", "_place", same)
    first = F.when(is_change(), delivered)
    return F.row_number().over(copies.orderBy(is_ahead(), first, delivered.desc())) > 1


def _times(has_statement_time: Column | None) -> dict[str, Column]:
    """The time by which versions are ordered, and where a clock contradicts its log.

    Some logs have only the time of the statement, which may have waited for others to commit: then
    a change is not older than what lies before it in the log. What is much later than it there is
    from before the log was begun anew, or from another server.
    """
    own = F.col("change_time_us")
    counts = F.col("change_position").isNotNull() & ~F.col(IS_COPY) & ~is_ahead()
    so_far = Window.partitionBy("_subject", "change_log").orderBy("_place")
    latest = F.max(F.when(counts, own)).over(so_far)
    is_early = F.lit(False) if has_statement_time is None else has_statement_time
    is_behind = F.startswith(F.col("change_log"), F.lit("postgresql")) & counts & (own < latest)
    return {
        "_time_us": F.when(is_early & counts & (latest - own <= LONGEST_WAIT_US), latest).otherwise(
            own
        ),
        IS_CLOCK_BEHIND: F.coalesce(is_behind, F.lit(False)),
    }


def is_ahead() -> Column:
    """Whether a record claims a time that lies too far after its arrival: it would win for ever."""
    day = F.floor(F.col("change_time_us") / F.lit(MICROS_A_DAY))
    return day > F.unix_date("ingest_date") + MOST_DAYS_AHEAD


def refused_as(fields_refusal: Column) -> Column:
    """Why a version is refused: what its fields say, else the time it claims. NULL: it is not."""
    return F.coalesce(fields_refusal, F.when(is_ahead(), CHANGE_TIME_AHEAD))


def with_validity(versions: DataFrame, contract: Contract, policy: str) -> DataFrame:
    """Adds the broken rules of a version, and whether it may be published.

    A record that is refused has that one reason. Under ALWAYS only that or a missing column forbids
    publishing.
    """
    broken = contract.broken_rules("error")
    is_refused = F.col(REFUSAL).isNotNull()
    reasons = F.when(is_refused, F.array(REFUSAL)).otherwise(broken)
    is_sound = F.size(recipe.REASONS) == 0
    if policy == "ALWAYS":
        is_complete = ~is_refused
        for name in contract.required_columns:
            is_complete = is_complete & F.col(name).isNotNull()
        is_sound = is_sound | is_complete
    judged = versions.withColumn(recipe.REASONS, reasons)
    return judged.withColumn(IS_VALID, F.col(IS_OPEN) & is_sound)


def with_disposition(versions: DataFrame) -> DataFrame:
    """Adds what becomes of each version: exactly one of `recipe.DISPOSITIONS`.

    The best valid open version is current. An open version that breaks a rule is quarantined unless
    a newer valid one has come; so is a delete that is refused. All else has been superseded.
    """
    rank = F.struct(_source_rank(), F.col(AGE))
    best = F.max(F.when(F.col(IS_VALID), rank)).over(of_subject())
    newest_valid = F.max(F.when(F.col(IS_VALID), F.col(AGE))).over(of_subject())
    is_delete = F.col("op") == "d"
    awaits_mending = F.col(IS_OPEN) & ~F.col(IS_VALID)
    awaits_mending = awaits_mending | (is_delete & F.col(REFUSAL).isNotNull())
    awaits_mending = awaits_mending & (newest_valid.isNull() | (F.col(AGE) > newest_valid))
    disposition = (
        F.when(F.col(IS_VALID) & (rank == best), recipe.CURRENT)
        .when(F.col(IS_COPY), recipe.DUPLICATE)
        .when(is_delete & ~awaits_mending, recipe.DELETION)
        .when(awaits_mending & F.col(REFUSAL).isin(*WITHOUT_FIELDS), recipe.UNREADABLE)
        .when(awaits_mending, recipe.QUARANTINED)
        .otherwise(recipe.SUPERSEDED)
    )
    return versions.withColumn(recipe.DISPOSITION, disposition)


def newest(name: str) -> Column:
    """Aggregate: a column of the newest valid version that has it, as `value`, and its `source`.

    Absent is not empty.
    """
    has_it = F.col(IS_VALID) & F.col(name).isNotNull()
    return F.max(F.when(has_it, F.struct(F.col(AGE), F.col(name).alias("value"), "source")))


def record() -> Column:
    """Where a version came from, for the quarantine."""
    return F.struct("source_path", "line_number", "payload").alias(recipe.RECORD)


def of_subject() -> WindowSpec:
    """The window over all versions of one thing."""
    return Window.partitionBy("_subject")


def in_log() -> WindowSpec:
    """The window over the earlier changes of one thing in the same log, from the oldest on."""
    earlier = Window.partitionBy("_subject", "change_log").orderBy(AGE)
    return earlier.rowsBetween(Window.unboundedPreceding, -1)


def _source_rank() -> Column:
    """The better source wins among valid versions; among equals the newest."""
    rank = F.lit(0)
    for source in SOURCES:
        rank = F.when(F.col("source") == source.name, source.rank).otherwise(rank)
    return rank
