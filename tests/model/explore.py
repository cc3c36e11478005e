"""Every state that can be reached, breadth first: the first bad one is reached the shortest way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from tests.model.states import (
    END,
    LOOK,
    MAX_LIVES,
    OVERWRITTEN,
    POISON,
    STEPS,
    Game,
    Protocol,
    Reject,
    Run,
    State,
    content,
    initial,
)
from tests.model.steps import restarted, taken, unsealed, written_by_hand

Check = Callable[[Game, State], bool]
# How each state was reached first: from which one, and by what.
Parents = dict[State, tuple[State, str] | None]


class Exploration(NamedTuple):
    """How many states were seen, what happened on the way, and the first check that failed.

    `trace` is a shortest way to the state in which `broken` failed; both are empty when all held.
    """

    states: int
    events: set[str]
    broken: str = ""
    trace: str = ""


def explore(game: Game, checks: Mapping[str, Check]) -> Exploration:
    """Visits every reachable state until a check fails."""
    start = initial(game.history)
    parents: Parents = {start: None}
    todo, events = deque([start]), set[str]()
    while todo:
        state = todo.popleft()
        for name, holds in checks.items():
            if not holds(game, state):
                return Exploration(len(parents), events, name, _trace(parents, state))
        for event, after in moves(game, state):
            events.add(event)
            known = remembered(game, after)
            if known not in parents:
                parents[known] = (state, event)
                todo.append(known)
    return Exploration(len(parents), events)


def moves(game: Game, state: State) -> Iterator[tuple[str, State]]:
    """Everything that can happen next, faults included, with a name for it."""
    if state.undone:
        state = state._replace(undone=frozenset())
    if state.source + 1 < len(game.history.versions):
        yield "the source changes", state._replace(source=state.source + 1)
    if game.history.has_notebook and not state.is_written:
        yield "a notebook writes", written_by_hand(state)
    for place, run in enumerate(state.runs):
        if run.step == END or (run.step == LOOK and not _may_begin(game, state, run)):
            continue
        has_begun = run.step != LOOK or run.attempt > 1
        is_mortal = has_begun and run.life < MAX_LIVES
        for after in taken(game, state, run):
            is_again = after.runs[place].attempt > run.attempt
            is_for_another = run.step == "claim" and after.ledger != state.ledger
            more = ", late, begins anew" * is_again + ", seals for another" * is_for_another
            yield f"{run.id} {run.step}{more}", after
            if is_mortal and run.step in STEPS and run.step != "audit":
                yield f"{run.id} {run.step}, told that it failed", restarted(game, after, run)
        if is_mortal:
            yield f"{run.id} dies before {run.step}", restarted(game, state, run)


def _may_begin(game: Game, state: State, run: Run) -> bool:
    first, second = state.runs
    if run is second and first == Run(first.name):
        # The runs are alike: the first one is whichever begins first.
        return False
    return not game.protocol.is_locked or all(r.step in (LOOK, END) for r in state.runs)


def remembered(game: Game, state: State) -> State:
    """The state without what nobody will read back, so that the same future is explored once."""
    if game.protocol.knows_newest_seal and len(state.ledger) > 1:
        state = state._replace(ledger=state.ledger[-1:])
    if state.audits or state.log:
        state = _unsealed_read_back(game, state)
    if state.quarantine:
        state = state._replace(quarantine=_rejects_read_back(game.protocol, state))
    return state


def _unsealed_read_back(game: Game, state: State) -> State:
    audits = {audit for seal in state.ledger for audit in unsealed(game, state, seal)}
    asked = audits.union(*(run.unsealed for run in state.runs))
    marks = {(audit.base + 1, audit.mark) for audit in asked}
    versions = {version for version, _ in marks}
    looks = game.protocol.looks_for_mark
    log = (one for one in state.log if (one in marks if looks else one[0] in versions))
    return state._replace(audits=tuple(sorted(audits)), log=tuple(log))


def _rejects_read_back(protocol: Protocol, state: State) -> tuple[Reject, ...]:
    if not protocol.keys_by_digest:
        return state.quarantine
    doubted = set[str]()
    if protocol.doubts_unsealed:
        doubted = {row.run for row in state.quarantine} - {seal.run for seal in state.ledger}
    rows = (row if row.run in doubted else row._replace(run="") for row in state.quarantine)
    return tuple(sorted(row for row in rows if row.is_open or row.run))


@cache
def catch_ups(game: Game, durable: State) -> list[State]:
    """The states after one more run that nothing disturbs."""
    todo, ends = [durable], []
    while todo:
        state = todo.pop()
        (run,) = state.runs
        if run.step == END:
            ends.append(state)
        else:
            todo += taken(game, state, run)
    return ends


def _quiet(state: State) -> State:
    return state._replace(runs=(Run("C"),), undone=frozenset())


def rows_are_covered(game: Game, state: State) -> bool:
    """A reader sees only rows that a recorded verdict allows."""
    return all(row.is_covered for row in state.target)


def newer_rows_stay(game: Game, state: State) -> bool:
    """No run replaces a newer row, unless it is what the run had read."""
    return OVERWRITTEN not in state.undone


def cursor_is_held(game: Game, state: State) -> bool:
    """The target at a sealed version is what the source held at the cursor."""
    for seal in state.ledger:
        wanted = game.history.accepted(seal.cursor)
        is_at_seal = seal.version == state.version
        if seal.version > state.version or (is_at_seal and content(state.target) != _rows(wanted)):
            return False
    return True


def no_reject_is_twice(game: Game, state: State) -> bool:
    """The quarantine has one open row per refused record."""
    is_open = [(row.key, row.digest) for row in state.quarantine if row.is_open]
    return len(is_open) == len(set(is_open))


def catch_up_heals(game: Game, state: State) -> bool:
    """Should both runs die now, one quiet run brings the target up to the source.

    A version that the audit rejects leaves the target as it was.
    """
    wanted = game.history.accepted(state.source)
    rows = content(state.target) if POISON in wanted.values() else _rows(wanted)
    return all(content(end.target) == rows for end in catch_ups(game, _quiet(state)))


SAFETY: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        rows_are_covered,
        newer_rows_stay,
        cursor_is_held,
        no_reject_is_twice,
        catch_up_heals,
    )
}


def no_newer_row_is_replaced(game: Game, state: State) -> bool:
    """No run replaces a newer row at all."""
    return not state.undone


def cursor_is_held_at_any_version(game: Game, state: State) -> bool:
    """Each key is as the source had it at the newest cursor, or later."""
    if not state.ledger:
        return True
    versions = range(state.ledger[-1].cursor, state.source + 1)
    allowed = [game.history.accepted(version) for version in versions]
    target = dict(content(state.target))
    return all(
        any(target.get(key) == rows.get(key) for rows in allowed) for key in game.history.keys
    )


def catch_up_mends_the_quarantine(game: Game, state: State) -> bool:
    """Should both runs die now, one quiet run leaves open what the source's newest version breaks.

    A version that the audit rejects leaves the quarantine as it was.
    """
    if POISON in game.history.accepted(state.source).values():
        return True
    wanted = game.history.refused(state.source)
    ends = catch_ups(game, _quiet(state))
    return all({row[:2] for row in end.quarantine if row.is_open} == wanted for end in ends)


def _rows(wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(wanted.items())


def _trace(parents: Parents, state: State) -> str:
    lines = []
    while (step := parents[state]) is not None:
        before, event = step
        lines.append(f"{event:<32} {_summary(state)}")
        state = before
    return "\n".join(["", *reversed(lines)])


def _summary(state: State) -> str:
    rows = " ".join(f"{row.key}={row.value}" for row in state.target)
    said = f"source {state.source}, target {state.version}: {rows or 'empty'}"
    if state.ledger:
        newest = state.ledger[-1]
        said += f"; sealed to {newest.cursor} at {newest.version}"
    if refused := [f"{row.key}={row.digest}" for row in state.quarantine if row.is_open]:
        said += f"; refused {' '.join(refused)}"
    return said
