"""A row of the rolling table explained: each of its features in short, or one of them in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from paceline.contract import Column, Contract
from paceline.errors import PacelineError
from paceline.explain.calculation import Calculation, Part, Value, calculate, same_bits
from paceline.explain.history import Commit, row_history
from paceline.explain.past import Activity, Past
from paceline.explain.reading import (
    FEATURES,
    ROLLING,
    Origin,
    absence,
    activities,
    features_read,
    opened,
    origins,
    published_row,
)
from paceline.explain.reasons import Question, Reason, reasons
from paceline.explain.runs import Runs, last_at, sealed_runs
from paceline.recipe import Context
from paceline.store.warehouse import Warehouse, refuse_missing

NOT_FEATURES = ("event_timestamp",)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Explained:
    """A feature, as published and as worked out again.

    Attributes:
        column: its entry in the contract.
        value: as published; None is NULL.
        calculation: the same from the activities.
    """

    column: Column
    value: Value
    calculation: Calculation

    @property
    def is_equal(self) -> bool:
        """Whether both are the same, bit for bit."""
        return same_bits(self.value, self.calculation.value)


@dataclass(frozen=True)
class Detail:
    """One feature in full.

    Attributes:
        explained: the feature.
        listed: the activities that weigh most, in the order of their days.
        unlisted: how many others there are.
        origins: by activity that is listed, where it comes from.
        commits: that have changed the value, with their reasons, the oldest first.
        first_version: from which version of the table on these are known; 0 is its creation.
    """

    explained: Explained
    listed: Sequence[Part]
    unlisted: int
    origins: Mapping[int, Origin]
    commits: Sequence[tuple[Commit, tuple[Reason, ...]]]
    first_version: int


@dataclass(frozen=True)
class Explanation:
    """A row of the rolling table.

    Attributes:
        athlete_id, day: its key.
        version: the newest version of the table, from which the row was read.
        known: the row's event_timestamp, and why it is that instant.
        features: all of its features, in the order of the contract.
        published: the commit that has written the row last; None when the change feed does not
            reach back to it.
        detail: the feature that was asked for.
    """

    athlete_id: int
    day: date
    version: int
    known: tuple[datetime, str]
    features: Sequence[Explained]
    published: Commit | None
    detail: Detail | None = None

    @property
    def differing(self) -> list[str]:
        """The features whose calculation gives another value than the table has."""
        return [one.column.name for one in self.features if not one.is_equal]


def features_of(contract: Contract) -> list[Column]:
    """The columns that can be explained."""
    apart = {*contract.key, *NOT_FEATURES}
    return [column for column in contract.columns if column.name not in apart]


def explain(
    warehouse: Warehouse,
    context: Context,
    athlete_id: int,
    day: date,
    feature: str | None,
    listed: int,
) -> Explanation:
    """Explains a row of the rolling table, from one version of each table.

    Args:
        warehouse: where the tables are.
        context: what recipes may know.
        athlete_id: whose row it is.
        day: its as_of_date.
        feature: to be explained in full; None explains all of them in short.
        listed: how many activities are listed for it.

    Raises:
        UsageError: when there is nothing to explain: no table, athlete, or row of that day.
        PacelineError: when the row is missing without a reason.
    """
    opened(warehouse)
    for name in (ROLLING, FEATURES):
        wanted = context.contracts[name].column_names
        refuse_missing(name, warehouse.table(name).columns, wanted)
    runs = sealed_runs(warehouse)
    position = warehouse.position(ROLLING)
    features = features_read(warehouse, runs)
    known = activities(warehouse, features, athlete_id)
    row = published_row(warehouse, position, athlete_id, day)
    if row is None:
        raise _absence(known, runs, day, context)
    past = _past(known, day)
    explained = [
        Explained(column, row[column.name], calculate(column.name, past))
        for column in features_of(context.contracts[ROLLING])
    ]
    history = row_history(warehouse, runs, position, athlete_id, day)
    written = [commit for commit in history.commits if commit.after is not None]
    explanation = Explanation(
        *(athlete_id, day, position.version, known_since(row["known_us"], past), explained),
        written[-1] if written else None,
    )
    if feature is None:
        return explanation
    (one,) = (one for one in explained if one.column.name == feature)
    question = Question(athlete_id, day, one.calculation)
    commits = history.of(feature)
    why = reasons(warehouse, runs, features, question, commits)
    parts = _weightiest(one.calculation.parts, listed)
    ids = [part.activity.activity_id for part in parts]
    detail = Detail(
        explained=one,
        listed=parts,
        unlisted=len(one.calculation.parts) - len(parts),
        origins=origins(warehouse, runs, features, ids, context),
        commits=list(zip(commits, why, strict=True)),
        first_version=history.first_version,
    )
    return replace(explanation, detail=detail)


def _past(known: Sequence[Activity], day: date) -> Past:
    if not any(activity.local_day <= day for activity in known):
        raise PacelineError(
            f"{ROLLING} has a row on {day}, although the athlete has no activity up to then: run "
            "the jobs, and `paceline verify` if it is there even then."
        )
    return Past(known, day)


def known_since(known_us: int, past: Past) -> tuple[datetime, str]:
    """When a row is known, and why then."""
    noon = datetime.combine(past.day + timedelta(days=1), time(12), UTC)
    known = EPOCH + timedelta(microseconds=known_us)
    ending = [one.activity_id for one in past.activities if one.end_us == known_us]
    if known == noon:
        return known, "noon (UTC) of the next day, when its day is over everywhere"
    if ending:
        return known, f"the end of activity {ending[0]}, which is the last to end"
    return known, "a microsecond after the row before it, which waited for a long activity to end"


def _absence(known: Sequence[Activity], runs: Runs, day: date, context: Context) -> PacelineError:
    sealed = last_at(runs, ROLLING, None)
    return absence(
        [activity.local_day for activity in known],
        day,
        sealed.horizon if sealed else None,
        context.settings["dormant_after_days"],
    )


def _weightiest(parts: Sequence[Part], count: int) -> list[Part]:
    """So many of the parts that add most, in the order in which they are given."""
    by_weight = sorted(parts, key=lambda part: abs(part.adds), reverse=True)
    kept = {part.activity.activity_id for part in by_weight[:count]}
    return [part for part in parts if part.activity.activity_id in kept]
