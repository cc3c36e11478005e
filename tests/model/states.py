"""What there is: the source over time, the durable tables, two runs, and the rules in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

STEPS = ("claim", "stage", "audit", "record", "quarantine", "publish", "seal")
# A run looks into the ledger before its steps.
LOOK, END = "look", "end"

MAX_ATTEMPTS = 2
MAX_LIVES = 2

# Two values that a row may not have: the first is set aside, the second rejects the batch.
BROKEN, POISON = "broken", "poison"


@dataclass(frozen=True)
class Protocol:
    """The rules that runs follow; by default the fewest that keep the target right without a lock.

    Attributes:
        order: of the steps.
        is_locked: a run begins only when the other one has ended or died.
        refuses_seal: SEAL is refused, and the run begins anew, when the newest seal in the ledger
            is no longer the one that the run has seen.
        knows_newest_seal: of several seals the one committed last is taken; otherwise any, as when
            the clocks of two machines disagree.
        pins_cursor: SEAL moves the cursor to what CLAIM pinned; otherwise to the newest version.
        guards_rows: PUBLISH changes a row only while it is what the staged row replaces.
        counts_rows: a run begins anew when a staged row could not be applied.
        starts_over: a run stages by itself; otherwise it takes what a dead one has left staged.
        keys_by_digest: the quarantine knows a refused record by its content; otherwise by the run.
        notices_writes: all rows are compared when the target is not at its sealed version.
        names_expected_version: SEAL names the version after the pinned one; otherwise the version
            that PUBLISH made.
        appends_to_empty: the first PUBLISH inserts without looking for the keys.
        doubts_unsealed: refused records are compared again when the run that last wrote them to
            the quarantine has not sealed.
        recovers: CLAIM seals for a run that has published and not sealed, as its AUDITED says.
        looks_for_mark: CLAIM does so only when the commit after the sealed version bears the mark
            of that attempt; otherwise when there is such a commit.
    """

    order: tuple[str, ...] = STEPS
    is_locked: bool = False
    refuses_seal: bool = False
    knows_newest_seal: bool = True
    pins_cursor: bool = True
    guards_rows: bool = True
    counts_rows: bool = True
    starts_over: bool = True
    keys_by_digest: bool = True
    notices_writes: bool = True
    names_expected_version: bool = True
    appends_to_empty: bool = False
    doubts_unsealed: bool = False
    recovers: bool = True
    looks_for_mark: bool = True


# Compared by identity, so that it can be a key of a cache.
@dataclass(frozen=True, eq=False)
class History:
    """What the source holds, key to value, at its versions 0, 1, 2 and so on.

    With `is_sealed` the target begins with version 0 of the source, otherwise empty. With
    `has_notebook` somebody else may write into the target once.
    """

    versions: tuple[Mapping[str, str], ...]
    is_sealed: bool = True
    has_notebook: bool = False

    @property
    def keys(self) -> set[str]:
        """Every key that ever occurs."""
        return {key for content in self.versions for key in content}

    def accepted(self, version: int) -> dict[str, str]:
        """The rows that the target should hold for a version of the source."""
        content = self.versions[version]
        return {key: value for key, value in content.items() if value != BROKEN}

    def refused(self, version: int) -> set[tuple[str, str]]:
        """The records that should be open in the quarantine for a version of the source."""
        return {pair for pair in self.versions[version].items() if pair[1] == BROKEN}

    def changed(self, after: int, upto: int) -> set[str]:
        """The change feed: keys that differ between any two neighbouring versions."""
        pairs = zip(self.versions[after:upto], self.versions[after + 1 : upto + 1], strict=True)
        return {key for old, new in pairs for key in self.keys if old.get(key) != new.get(key)}


class Game(NamedTuple):
    """The rules, and what happens to the source meanwhile."""

    protocol: Protocol
    history: History


class Row(NamedTuple):
    """A row of the target; for the invariants also what it was made from, and how."""

    key: str
    value: str
    made_from: int  # the version of the source
    is_covered: bool  # by a recorded verdict that allows it


class Staged(NamedTuple):
    """A row of the staging table; None where there is no value."""

    op: str
    key: str
    value: str | None
    replaces: str | None = None


class Seal(NamedTuple):
    """The event SEALED: up to the cursor, everything is in the target at its version."""

    run: str
    cursor: int
    version: int


class Audited(NamedTuple):
    """The event AUDITED of an attempt that may publish and follows changes only.

    Should its commit bear the mark, the attempt has published up to the cursor. Runs decide nothing
    by the other events of the ledger, so the model does without them.
    """

    run: str
    mark: str
    cursor: int
    base: int


class Reject(NamedTuple):
    """A row of the quarantine, open or resolved, and the run that made it so."""

    key: str
    digest: str
    run: str
    is_open: bool = True


class Run(NamedTuple):
    """A process, its next step, and what it has in memory.

    Attributes:
        known: the newest seal that it has seen.
        unsealed: audits that no seal followed, when it looked.
        pin: the version of the source that it reads.
        base: the version of the target that it compares with.
        own: the keys and values of that version.
        staged: what it has staged; in its restart, what it had staged when it died.
        verdict: PASS or FAIL once judged.
        compares_all: whether it has staged without following changes.
        is_recorded: whether the verdict is durable.
        names: the version of the target that it will name at SEAL.
    """

    name: str
    life: int = 1
    attempt: int = 1
    step: str = LOOK
    known: Seal | None = None
    unsealed: tuple[Audited, ...] = ()
    pin: int = 0
    base: int = 0
    own: tuple[tuple[str, str], ...] = ()
    staged: tuple[Staged, ...] = ()
    verdict: str = ""
    compares_all: bool = False
    is_recorded: bool = False
    names: int = 0

    @property
    def id(self) -> str:
        """A restarted process is another run."""
        return self.name + "'" * (self.life - 1)

    @property
    def mark(self) -> str:
        """Tells the commit of this attempt from all others."""
        return f"{self.id}{self.attempt}"


# A newer row was replaced that is exactly what the run had read; or one that is not.
CAME_BACK, OVERWRITTEN = "came back", "overwritten"


class State(NamedTuple):
    """Everything at one moment; seals and audits in the order of their commits.

    `undone` says what the last step did to rows made from a newer version of the source than its
    run has read: CAME_BACK, OVERWRITTEN, or nothing. `log` has the version and the mark of each
    commit of the target, and `is_written` says that the notebook has made one.
    """

    source: int
    target: tuple[Row, ...]
    version: int
    ledger: tuple[Seal, ...]
    quarantine: tuple[Reject, ...]
    runs: tuple[Run, ...]
    undone: frozenset[str] = frozenset()
    audits: tuple[Audited, ...] = ()
    log: tuple[tuple[int, str], ...] = ()
    is_written: bool = False


def initial(history: History) -> State:
    """Two runs before their first step."""
    runs = (Run("A"), Run("B"))
    if not history.is_sealed:
        return State(0, (), 0, (), (), runs)
    rows = tuple(Row(*pair, 0, True) for pair in sorted(history.accepted(0).items()))
    rejects = tuple(Reject(*pair, "") for pair in sorted(history.refused(0)))
    return State(0, rows, 1, (Seal("", 0, 1),), rejects, runs)


def content(target: tuple[Row, ...]) -> list[tuple[str, str]]:
    """What readers see of the target; a key that is there twice is there twice."""
    return sorted((row.key, row.value) for row in target)
