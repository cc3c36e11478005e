"""What each step does; a step is one commit or one read, and Delta makes commits atomic."""

from __future__ import annotations

from collections.abc import Callable

from tests.model.states import (
    CAME_BACK,
    END,
    LOOK,
    MAX_ATTEMPTS,
    MAX_LIVES,
    OVERWRITTEN,
    POISON,
    Audited,
    Game,
    Reject,
    Row,
    Run,
    Seal,
    Staged,
    State,
)

INSERT, UPDATE, DELETE, REFUSE, RESOLVE = "insert", "update", "delete", "refuse", "resolve"


def taken(game: Game, state: State, run: Run) -> list[State]:
    """The states after the next step of a run; several where chance decides."""
    if run.step == LOOK:
        return look(game, state, run)
    return [_STEPS[run.step](game, state, run)]


def look(game: Game, state: State, run: Run) -> list[State]:
    seals = state.ledger[-1:] if game.protocol.knows_newest_seal else state.ledger
    step = game.protocol.order[0]
    return [
        put(state, run._replace(step=step, known=seal, unsealed=unsealed(game, state, seal)))
        for seal in seals or (None,)
    ]


def unsealed(game: Game, state: State, newest: Seal | None) -> tuple[Audited, ...]:
    """The audits of runs that have built on a seal and may have published without one."""
    if newest is None or not game.protocol.recovers:
        return ()
    sealed = {seal.run for seal in state.ledger}
    return tuple(
        audit for audit in state.audits if audit.base == newest.version and audit.run not in sealed
    )


def claim(game: Game, state: State, run: Run) -> State:
    own = tuple((row.key, row.value) for row in state.target)
    known = run.known
    if recovered := next((a for a in run.unsealed if _has_published(game, state, a)), None):
        known = Seal(recovered.run, recovered.cursor, recovered.base + 1)
        state = state._replace(ledger=(*state.ledger, known))
    is_written = known is None or known.version != state.version
    pinned = run._replace(
        known=known,
        unsealed=(),
        pin=state.source,
        base=state.version,
        names=state.version,
        own=own,
        compares_all=known is None or (is_written and game.protocol.notices_writes),
    )
    return onward(game, state, pinned)


def _has_published(game: Game, state: State, audit: Audited) -> bool:
    """Whether the commit after the version that an audit built on is the one of that attempt."""
    return any(
        version == audit.base + 1 and (mark == audit.mark or not game.protocol.looks_for_mark)
        for version, mark in state.log
    )


def stage(game: Game, state: State, run: Run) -> State:
    # Without starting over, what a dead run has left staged stands for what would be staged now.
    staged = run.staged or (*_row_changes(game, state, run), *_reject_changes(game, state, run))
    # A late run that begins anew compares all rows in any case, because the target was written.
    known = run.known if game.protocol.refuses_seal else None
    return onward(game, state, run._replace(known=known, staged=staged, own=()))


def audit(game: Game, state: State, run: Run) -> State:
    is_poisoned = any(staged.value == POISON for staged in run.staged)
    return onward(game, state, run._replace(verdict="FAIL" if is_poisoned else "PASS"))


def record(game: Game, state: State, run: Run) -> State:
    if run.verdict == "PASS" and not run.compares_all:
        audited = Audited(run.id, run.mark, run.pin, run.base)
        state = state._replace(audits=(*state.audits, audited))
    return onward(game, state, run._replace(is_recorded=True))


def quarantine(game: Game, state: State, run: Run) -> State:
    rejects = list(state.quarantine)
    for staged in run.staged:
        same = [row for row in rejects if row.is_open and _is_same(game, row, staged, run)]
        if staged.op == RESOLVE:
            closed = (row._replace(run=run.id, is_open=False) for row in same)
            rejects = [*(row for row in rejects if row not in same), *closed]
        elif staged.op == REFUSE and not same:
            rejects.append(Reject(staged.key, staged.value or "", run.id))
    return onward(game, state._replace(quarantine=tuple(sorted(rejects))), run)


def publish(game: Game, state: State, run: Run) -> State:
    rows, undone, affected = list(state.target), set[str](), 0
    is_covered = run.is_recorded and run.verdict == "PASS"
    wanted = [staged for staged in run.staged if staged.op in (INSERT, UPDATE, DELETE)]
    for staged in wanted:
        replaced = _replaced(game, rows, staged, run)
        if replaced is None:
            continue
        affected += 1
        undone |= _undone(replaced, staged, run)
        rows = [row for row in rows if row not in replaced]
        if staged.value is not None:
            rows.append(Row(staged.key, staged.value, run.pin, is_covered))
    # Delta makes no version of a MERGE that changes nothing.
    version = state.version + (affected > 0)
    log = (*state.log, *([(version, run.mark)] if affected else []))
    after = state._replace(
        target=tuple(sorted(rows)), version=version, undone=frozenset(undone), log=log
    )
    if affected < len(wanted) and game.protocol.counts_rows:
        return again(game, after, run)
    names = run.base + 1 if game.protocol.names_expected_version else version
    return onward(game, after, run._replace(names=names))


def seal(game: Game, state: State, run: Run) -> State:
    if run.verdict == "FAIL":
        return onward(game, state, run)
    newest = state.ledger[-1] if state.ledger else None
    if game.protocol.refuses_seal and newest != run.known:
        return again(game, state, run)
    cursor = run.pin if game.protocol.pins_cursor else state.source
    ledger = (*state.ledger, Seal(run.id, cursor, run.names))
    return onward(game, state._replace(ledger=ledger), run)


def written_by_hand(state: State) -> State:
    """The state after somebody else has written into the target, which no run's mark tells of."""
    others = tuple(row for row in state.target if row.key != "k")
    version = state.version + 1
    return state._replace(
        target=tuple(sorted((Row("k", "by hand", 0, True), *others))),
        version=version,
        log=(*state.log, (version, "")),
        is_written=True,
    )


_STEPS: dict[str, Callable[[Game, State, Run], State]] = {
    step.__name__: step for step in (claim, stage, audit, record, quarantine, publish, seal)
}


def put(state: State, run: Run) -> State:
    """The state with a run as it is now."""
    return state._replace(runs=tuple(run if r.name == run.name else r for r in state.runs))


def onward(game: Game, state: State, run: Run) -> State:
    """The run before its next step that has something to do."""
    ops = {staged.op for staged in run.staged}
    is_allowed = run.verdict != "FAIL"
    has_work = {
        "audit": bool(ops),
        "record": bool(ops),
        "quarantine": is_allowed and bool(ops & {REFUSE, RESOLVE}),
        "publish": is_allowed and bool(ops & {INSERT, UPDATE, DELETE}),
    }
    rest = game.protocol.order[game.protocol.order.index(run.step) + 1 :]
    step = next((step for step in rest if has_work.get(step, True)), END)
    return put(state, ended(run) if step == END else run._replace(step=step))


def again(game: Game, state: State, run: Run) -> State:
    """The run at CLAIM once more, with new pins; a bounded number of times."""
    if run.attempt == MAX_ATTEMPTS:
        return restarted(game, state, run)
    begun = Run(run.name, run.life, run.attempt + 1)
    if not game.protocol.refuses_seal:
        begun = begun._replace(step=game.protocol.order[0], known=run.known)
    return put(state, begun)


def restarted(game: Game, state: State, run: Run) -> State:
    """The process is gone with all that it had in memory, and a new one begins."""
    if run.life == MAX_LIVES:
        return put(state, ended(run))
    left = () if game.protocol.starts_over else run.staged
    return put(state, Run(run.name, run.life + 1, staged=left))


def ended(run: Run) -> Run:
    return Run(run.name, step=END)


def _scope(game: Game, state: State, run: Run) -> set[str]:
    """The keys to compare: those that the source has changed since the seal, or all."""
    protocol, history = game
    if run.known is None or run.compares_all:
        return history.keys
    keys = history.changed(run.known.cursor, run.pin)
    if protocol.doubts_unsealed:
        sealed = {"", *(seal.run for seal in state.ledger)}
        keys |= {reject.key for reject in state.quarantine if reject.run not in sealed}
    return keys


def _row_changes(game: Game, state: State, run: Run) -> list[Staged]:
    wanted, own = game.history.accepted(run.pin), dict(run.own)
    changes = []
    for key in sorted(_scope(game, state, run)):
        new, old = wanted.get(key), own.get(key)
        if new != old:
            op = INSERT if old is None else DELETE if new is None else UPDATE
            changes.append(Staged(op, key, new, old))
    return changes


def _reject_changes(game: Game, state: State, run: Run) -> list[Staged]:
    keys = _scope(game, state, run)
    wanted = {pair for pair in game.history.refused(run.pin) if pair[0] in keys}
    present = {(row.key, row.digest) for row in state.quarantine if row.is_open and row.key in keys}
    return [
        *(Staged(REFUSE, *pair) for pair in sorted(wanted - present)),
        *(Staged(RESOLVE, *pair) for pair in sorted(present - wanted)),
    ]


def _is_same(game: Game, reject: Reject, staged: Staged, run: Run) -> bool:
    if staged.op == REFUSE and not game.protocol.keys_by_digest:
        return (reject.key, reject.run) == (staged.key, run.id)
    return (reject.key, reject.digest) == (staged.key, staged.value)


def _replaced(game: Game, rows: list[Row], staged: Staged, run: Run) -> list[Row] | None:
    """The rows that a staged one takes the place of; None when it cannot be applied."""
    present = [row for row in rows if row.key == staged.key]
    if staged.op == INSERT:
        is_blind = game.protocol.appends_to_empty and run.base == 0
        return [] if is_blind or not present else None
    if game.protocol.guards_rows:
        present = [row for row in present if row.value == staged.replaces]
    return present or None


def _undone(replaced: list[Row], staged: Staged, run: Run) -> set[str]:
    newer = [row for row in replaced if row.made_from > run.pin]
    return {CAME_BACK if row.value == staged.replaces else OVERWRITTEN for row in newer}
