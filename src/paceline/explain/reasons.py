"""Why a commit changed a value: activities, the deliveries behind them, rules, horizon, window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from paceline.explain.calculation import Calculation
from paceline.explain.causes import Received, circumstances, deliveries, received, window_of
from paceline.explain.history import INSERTED, Commit, by_version, changed_rows
from paceline.explain.past import Activity
from paceline.explain.reading import ACTIVITY, FEATURES, SHOWN, Record, activity, amounts
from paceline.explain.runs import Runs, before, publisher, taken_in
from paceline.sql import literal
from paceline.store.warehouse import Position, Warehouse

# Of the activities that a commit is about so many are named.
MOST_NAMED = 5
UNSEALED = (
    "no sealed run has made this version: it was written by a run that ended before SEAL, or by "
    "somebody else"
)


@dataclass(frozen=True)
class Reason:
    """A sentence without its full stop, and the delivered records behind it."""

    text: str
    records: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Changed:
    """An activity before and after, None where it was not there; `version` wrote it last."""

    activity_id: int
    before: Activity | None
    after: Activity | None
    version: int


@dataclass(frozen=True)
class Question:
    """Whose value of which day is asked about, and how it is calculated."""

    athlete_id: int
    day: date
    calculation: Calculation


def reasons(
    warehouse: Warehouse,
    runs: Runs,
    features: Position,
    question: Question,
    commits: Sequence[Commit],
) -> list[tuple[Reason, ...]]:
    """For each commit why it changed the value, as far as ops and the change feeds tell.

    Args:
        warehouse: where the tables are.
        runs: sealed rows of the ledger.
        features: the version of activity_features that the rolling table was made from.
        question: whose value it is.
        commits: that have changed it.
    """
    followed = [_followed(runs, commit, question.day) for commit in commits]
    rows, first = _features_feed(warehouse, features, question.athlete_id, followed)
    changed = [_changed(rows, versions, question) for versions in followed]
    named = {one.activity_id for some in changed for one in some[:MOST_NAMED]}
    found = received(warehouse, question.athlete_id, named)
    told = []
    for commit, versions, some in zip(commits, followed, changed, strict=True):
        texts = _of_run(runs, commit, question.day)
        texts += [_of_activity(one, question, runs, features, found) for one in some[:MOST_NAMED]]
        if len(some) > MOST_NAMED:
            texts.append(Reason(f"{len(some) - MOST_NAMED} more activities"))
        if versions and versions[0] < first:
            texts.append(
                Reason(
                    "which activities changed can no longer be told: the change feed of "
                    f"{FEATURES} begins at version {first}"
                )
            )
        told.append(tuple(texts) or (Reason("ops does not tell why"),))
    return told


def _is_new_day(runs: Runs, commit: Commit, day: date) -> bool:
    """Whether the row came with a later horizon."""
    earlier = before(runs, commit.run) if commit.run else None
    if earlier is None or commit.kind != INSERTED:
        return False
    return earlier.horizon is None or earlier.horizon < day


def _followed(runs: Runs, commit: Commit, day: date) -> range:
    """The versions of activity_features of which the changes may be the reason."""
    if commit.run is None or before(runs, commit.run) is None or _is_new_day(runs, commit, day):
        return range(0)
    return taken_in(runs, commit.run, FEATURES)


def _features_feed(
    warehouse: Warehouse, features: Position, athlete_id: int, followed: Sequence[range]
) -> tuple[list[dict[str, Any]], int]:
    wanted = [versions for versions in followed if versions]
    if not wanted:
        return [], 0
    versions = range(min(one[0] for one in wanted), max(one[-1] for one in wanted) + 1)
    columns = [*ACTIVITY, *amounts()]
    condition = f"athlete_id = {literal(athlete_id)}"
    return changed_rows(warehouse, features, condition, columns, versions)


def _changed(
    rows: Sequence[Mapping[str, Any]], versions: range, question: Question
) -> list[Changed]:
    """The activities that changed in some versions in a way that the value depends on."""
    by_activity = defaultdict(list)
    for row in rows:
        if row["_commit_version"] in versions:
            by_activity[row["activity_id"]].append(row)
    found = []
    for activity_id, of_activity in by_activity.items():
        images = sorted(by_version(of_activity).items())
        first, last = images[0][1][0], images[-1][1][1]
        one = Changed(
            activity_id,
            None if first is None else activity(first),
            None if last is None else activity(last),
            images[-1][0],
        )
        if _added(one.before, question) != _added(one.after, question):
            found.append(one)
    return sorted(found, key=lambda one: one.activity_id)


def _added(one: Activity | None, question: Question) -> object:
    """What an activity adds to the value; None when it lies outside its days."""
    since = question.calculation.since
    if one is None or one.local_day > question.day or (since and one.local_day < since):
        return None
    counted = [name for name in question.calculation.measures if name in one.amounts]
    return (one.local_day, [(name, one.fixed(name)) for name in counted]) if counted else None


def _of_run(runs: Runs, commit: Commit, day: date) -> list[Reason]:
    if commit.run is None:
        return [Reason(UNSEALED)]
    earlier = before(runs, commit.run)
    if earlier is None:
        return [Reason("the first run of the table that ops.ledger knows of")]
    if _is_new_day(runs, commit, day):
        moved = f"the horizon moved from {earlier.horizon} to {commit.run.horizon}"
        return [Reason(moved)]
    texts = [
        f"all rows were compared ({commit.run.full_compare_reason})"
        if commit.run.full_compare_reason
        else "",
        window_of(commit.run),
    ]
    return [Reason(text) for text in texts if text]


def _of_activity(
    one: Changed, question: Question, runs: Runs, features: Position, found: Received
) -> Reason:
    text = _difference(one, question)
    made = publisher(runs, Position(FEATURES, features.table_id, one.version))
    if made is None:
        return Reason(f"{text}; {UNSEALED}")
    known = one.after or one.before
    assert known is not None
    records = deliveries(runs, made, known, found)
    if records:
        return Reason(text, records)
    return Reason("; ".join([text, *circumstances(runs, made)]))


def _difference(one: Changed, question: Question) -> str:
    """What has changed in an activity, in words."""
    if one.before is not None and one.after is not None:
        old, new = one.before.shown, one.after.shown
        changes = [f"{n} {old[n]} -> {new[n]}" for n in SHOWN if old[n] != new[n]]
        return f"activity {one.activity_id} changed: {', '.join(changes)}"
    known, verb = (one.after, "came") if one.after else (one.before, "went")
    assert known is not None
    name = question.calculation.measure
    amount = f", {name} {known.amounts[name]}" if name in known.amounts else ""
    return f"activity {one.activity_id} of {known.local_day} {verb}{amount}"
