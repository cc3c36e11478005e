"""Brings the online store to what gold says now, at the cost of the athletes that have changed.

A sync pins a version of each gold table and an instant. Athletes can differ whom commits since the
cursor have touched, who have a row that has become known since, and of whom something was pushed;
without a usable cursor or change feed it is everybody. What the store holds of them is read, and
written only where it differs. The cursor comes last. The store notes what a sync has begun before
its first write: the next sync finds that note, and knows that rows may be newer than the cursor.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from paceline.errors import UsageError
from paceline.online.gold import Gold
from paceline.online.store import Online, Row, State
from paceline.online.views import ATHLETE, PUSHABLE, ROLLING, SERVED, Served, refuse_other_place
from paceline.store.warehouse import Position

if TYPE_CHECKING:
    from feast import FeatureView

_log = logging.getLogger(__name__)

BATCH = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Mark:
    """How far a view has come.

    Attributes:
        position: the version of its gold table.
        commit: what tells the commit of that version from others, as `Gold.commit`.
        fields: names and types of its features.
    """

    position: Position
    commit: str | None
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Cursor:
    """Up to where the store is exact, or will be when a sync has ended.

    Attributes:
        as_of: rows with a later event_timestamp do not count; in microseconds.
        views: by view, its mark.
        zone: the time zone on which the instants in the store depend, if they do.
        is_everybody: whether the sync compares everybody, so that one that takes over must, too.
    """

    as_of: int
    views: Mapping[str, Mark]
    zone: str | None
    is_everybody: bool = False

    def text(self) -> str:
        """As the store keeps it."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Synced:
    """What a sync did to a view.

    Attributes:
        view: the view.
        version: of its gold table.
        reason: why everybody was compared; None when the change feed told.
        compared: athletes.
        written: athletes whose row was written.
        deleted: athletes of whom there was something, and of whom gold has no row.
    """

    view: str
    version: int
    reason: str | None
    compared: int
    written: int
    deleted: int


def sync(online: Online, gold: Gold, now: datetime, *, is_everybody: bool = False) -> list[Synced]:
    """Makes the store equal to gold; returns what it did to each view.

    Args:
        online: the store.
        gold: the tables.
        now: rows that become known later do not count.
        is_everybody: whether to compare everybody, whatever the cursor says.

    Raises:
        LockedError: when another sync is at work, or has taken over from this one.
        UsageError: when a view is registered for other tables, or they are missing.
    """
    refuse_other_gold(online, gold)
    with online.store.lock():
        state = online.store.state()
        target = _target(online, gold, micros(now))
        before, reason = _start(state, target)
        if is_everybody:
            reason = reason or "it was asked for"
        plans = [_Plan(served, online, gold, target, before, reason, state) for served in SERVED]
        is_idle = all(plan.is_idle for plan in plans)
        if not is_idle:
            target = replace(target, is_everybody=any(plan.reason for plan in plans))
            online.store.begin(target.text())
        done = [plan.carry_out() for plan in plans]
        finished = replace(target, is_everybody=False).text()
        if not is_idle or finished != state.cursor or state.intent is not None:
            online.store.finish(finished)
    return done


def refuse_other_gold(online: Online, gold: Gold) -> None:
    """Refuses tables that are not those of the registry.

    Raises:
        UsageError: when they are others.
    """
    for served in SERVED:
        refuse_other_place(online.views[served.view], gold.table(served.table_name))


def read_cursor(state: State) -> Cursor | None:
    """Up to where the store is exact; None when nothing that can be read says so."""
    return _cursor(state.cursor)


class _Plan:
    """The part of a sync that is about one view."""

    def __init__(
        self,
        served: Served,
        online: Online,
        gold: Gold,
        target: Cursor,
        before: Cursor | None,
        reason: str | None,
        state: State,
    ) -> None:
        self._served, self._online, self._gold, self._target = served, online, gold, target
        self._view = online.views[served.view]
        self._mark = target.views[served.view]
        self._before = before.views.get(served.view) if before else None
        self._features_gone = {
            name
            for cursor in map(_cursor, (state.cursor, state.intent))
            if cursor and served.view in cursor.views
            for name in cursor.views[served.view].fields.keys() - self._mark.fields.keys()
        }
        self.reason = reason or self._unlike()
        self._athletes: set[int] | None = None
        if self.reason is None and before is not None:
            self._athletes = self._touched(before.as_of)
        if self._athletes is not None and served is PUSHABLE:
            self._athletes |= state.pushed

    @property
    def is_idle(self) -> bool:
        """Whether nothing can differ."""
        return self._athletes == set()

    def carry_out(self) -> Synced:
        """Writes and deletes what differs."""
        store, view = self._online.store, self._view
        result = Synced(view.name, self._mark.position.version, self.reason, 0, 0, 0)
        if self.is_idle:
            return result
        if self._features_gone:
            store.forget(view, self._features_gone)
        rows = self._gold.rows(
            *(self._served, self._mark.position, self._target.as_of),
            list(self._mark.fields),
            self._athletes,
        )
        held = store.athletes(view) if self._athletes is None else self._athletes
        gone_athletes = sorted(held - set(rows[ATHLETE].to_pylist()))
        written = 0
        for batch in _batches(rows, view):
            differing = self._differing(batch)
            if differing:
                store.write(view, differing)
            written += len(differing)
        deleted = sum(
            store.delete(view, gone_athletes[start : start + BATCH])
            for start in range(0, len(gone_athletes), BATCH)
        )
        compared = rows.num_rows + len(gone_athletes)
        return replace(result, compared=compared, written=written, deleted=deleted)

    def _unlike(self) -> str | None:
        """Why the change feed cannot tell who differs in this view."""
        if self._before is None:
            return "the view has never been filled"
        then, now = self._before.position, self._mark.position
        if then.table_id != now.table_id or then.version > now.version:
            return f"{now.table_name} is another table"
        if self._before.commit is None or self._gold.commit(then) != self._before.commit:
            return f"{now.table_name} has another history"
        if self._before.fields != self._mark.fields:
            return "the view has changed"
        if self._online.store.is_empty(self._view) and self._has_rows(then):
            return "the store has lost the view"
        return None

    def _has_rows(self, position: Position) -> bool:
        """Whether gold has anything to serve at a version that was synced."""
        rows = self._gold.rows(self._served, position, self._target.as_of, [], None)
        return bool(rows.num_rows)

    def _touched(self, as_of: int) -> set[int] | None:
        """Who can differ; None for everybody, with a reason."""
        assert self._before is not None
        then, now = self._before.position, self._mark.position
        known = (
            self._gold.became_known(now, as_of, self._target.as_of)
            if as_of < self._target.as_of
            else set[int]()
        )
        if then.version == now.version:
            return known
        try:
            return known | self._gold.changed(then, now.version)
        except Exception as error:
            self.reason = f"the change feed cannot be read ({type(error).__name__})"
            _log.warning(f"{now.table_name}: {self.reason}, everybody is compared")
            return None

    def _differing(self, rows: Sequence[Row]) -> list[Row]:
        """Those that the store does not hold, bit for bit."""
        feast = self._online.feast
        keys = [key for key, *_ in rows]
        held = feast._get_provider().online_store.online_read(feast.config, self._view, keys)
        kept = self._online.store.kept
        return [
            row
            for row, (at, values) in zip(rows, held, strict=True)
            if not _same(row, kept(utc(row[2])), at, values)
        ]


def micros(moment: datetime) -> int:
    """An instant in microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def instant(microseconds: int) -> datetime:
    """The instant of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _target(online: Online, gold: Gold, as_of: int) -> Cursor:
    """The versions and the instant of this sync.

    The other table is read at the version that the newest rolling rows are made from.
    """
    inputs = gold.inputs(ROLLING.table_name)
    marks = {}
    for served in SERVED:
        position = newest = gold.newest(served.table_name)
        pinned = inputs.get(served.table_name)
        if pinned is not None and pinned.table_id == newest.table_id:
            position = pinned
        fields = fields_of(online.views[served.view])
        if missing := sorted(fields.keys() - gold.columns(position)):
            raise UsageError(
                f"{served.table_name} has no column {missing[0]} yet, which the view {served.view} "
                "has: run the jobs first."
            )
        marks[served.view] = Mark(position, gold.commit(position), fields)
    return Cursor(as_of, marks, online.store.zone())


def fields_of(view: FeatureView) -> dict[str, str]:
    """The features of a view, with their types."""
    return {field.name: str(field.dtype) for field in view.features}


def _start(state: State, target: Cursor) -> tuple[Cursor | None, str | None]:
    """The cursor to start from, and why everybody has to be compared."""
    cursor = _cursor(state.cursor)
    if cursor is None:
        return None, "nothing has been synced yet"
    if target.as_of < cursor.as_of:
        return cursor, "the clock has gone back"
    if target.zone != cursor.zone:
        return cursor, "the time zone of the machine has changed"
    if state.intent is None:
        return cursor, None
    begun = _cursor(state.intent)
    if begun is None or begun.is_everybody or not _is_reached(begun, target):
        return cursor, "a sync that was not finished may have written newer rows"
    return cursor, None


def _is_reached(begun: Cursor, target: Cursor) -> bool:
    """Whether everything that a sync may have written lies before the target of another."""
    return begun.as_of <= target.as_of and all(
        name in target.views
        and mark.fields == target.views[name].fields
        and mark.position.table_id == target.views[name].position.table_id
        and mark.position.version <= target.views[name].position.version
        for name, mark in begun.views.items()
    )


def _cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        read = json.loads(text)
        views = {
            name: Mark(Position(**mark["position"]), mark["commit"], dict(mark["fields"]))
            for name, mark in read["views"].items()
        }
        instant(int(read["as_of"]))
        return Cursor(int(read["as_of"]), views, read["zone"], bool(read["is_everybody"]))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None  # written by hand, or by a later release: everybody is compared


def _batches(rows: pa.Table, view: FeatureView) -> Iterator[list[Row]]:
    """The rows as Feast's stores take them."""
    from feast import ValueType
    from feast.utils import _convert_arrow_to_proto

    for start in range(0, rows.num_rows, BATCH):
        # Feast converts the first chunk alone.
        some = rows.slice(start, BATCH).combine_chunks()
        yield _convert_arrow_to_proto(some, view, {ATHLETE: ValueType.INT64})


def _same(row: Row, kept: datetime, at: datetime | None, held: Mapping[str, Any] | None) -> bool:
    """Whether the store holds a row, bit for bit; `kept` is its instant as the store keeps it."""
    if at is None or held is None or at != kept:
        return False
    return all(
        name in held and held[name].SerializeToString() == value.SerializeToString()
        for name, value in row[1].items()
    )


def utc(moment: datetime) -> datetime:
    """An instant with its zone; one without is in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
