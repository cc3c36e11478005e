"""A seal that a dead run has not come to write: when the table itself proves it, and when not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import pytest

from paceline.publish.recovery import known_seals, lost_seal
from paceline.store import ledger
from paceline.store.ledger import Entry, Verdict
from paceline.store.state import Sealed, State
from paceline.store.warehouse import Commit, Position

NAME, SOURCE = "silver.shoes", "bronze.shoes"
AT = datetime(2026, 7, 1, 6, tzinfo=UTC)
MARK = "20260701T060000-0a1b2c3d-1"
SEALED = Sealed({SOURCE: Position(SOURCE, "b", 3)}, {}, "s", 7, "rules", None, run_id="before")
AUDITED = Entry(
    *("20260701T060000-0a1b2c3d", "Feature_Activity", NAME),
    verdict="WARN",
    event=ledger.AUDITED_EVENT,
    at=AT,
    checks=[Verdict("volume", 1.0, 2.0, "warning", "WARN")],
    mark=MARK,
    base_version=7,
    horizon=date(2026, 6, 30),
    cursor=[Position(SOURCE, "b", 5)],
    target_id="s",
    rows_inserted=2,
    usual_rows=[2, 40],
    fingerprint="rules",
    newest=AT,
)
MERGE = Commit(8, "MERGE", f'["((_run_id#12 = {MARK}) AND (shoe_id#1L = shoe_id#2L))"]')


@dataclass
class Tables:
    """A table at a version of its log, with the commits since the seal that have written rows."""

    commits: list[Commit]
    table_id: str = "s"
    version: int = 8
    asked: int = 0

    def exists(self, name):
        return name == NAME

    def register(self, name):
        assert name == NAME

    def position(self, name):
        self.asked += 1
        return Position(name, self.table_id, self.version)

    def rewrites_since(self, position):
        assert position.version == SEALED.target_version
        return self.commits


def found(commits=(MERGE,), audited=AUDITED, sealed=SEALED, **of_table):
    state = State({NAME: sealed} if sealed else {}, {NAME: audited} if audited else {})
    return lost_seal(NAME, state, Tables(list(commits), **of_table))


def test_the_marked_commit_after_the_sealed_version_is_sealed_as_was_audited():
    seal = found()
    expected = replace(
        AUDITED,
        event="SEALED",
        status="PUBLISHED",
        at=None,
        target_version=8,
        # It has not taken until now.
        finished_at=AT,
    )
    assert seal == expected
    # Its checks are in AUDITED, and are not told twice.
    assert ledger.dated(seal).checks == []


def test_upkeep_in_between_moves_the_version_that_was_built_on():
    audited = replace(AUDITED, base_version=9)
    assert found([replace(MERGE, version=10)], audited, version=11).target_version == 10


@pytest.mark.parametrize(
    ("commits", "of_table"),
    [
        ([], {}),
        ([], {"version": 7}),
        ([replace(MERGE, predicate='["(shoe_id#1L = shoe_id#2L)"]')], {}),
        ([replace(MERGE, predicate=MERGE.predicate.replace(MARK, f"{MARK}1"))], {}),
        ([replace(MERGE, operation="DELETE")], {}),
        ([replace(MERGE, operation="WRITE", predicate="")], {}),
        ([replace(MERGE, version=9)], {"version": 9}),
        ([MERGE, Commit(9, "UPDATE")], {"version": 9}),
        ([Commit(8)], {}),
        ([MERGE], {"table_id": "another"}),
    ],
    ids=[
        *("nothing written", "no commit", "a notebook's merge", "the eleventh attempt"),
        *("a notebook's delete", "an append", "a later version", "a notebook came after"),
        *("the history has forgotten", "the table is another one"),
    ],
)
def test_anything_else_in_the_log_of_the_table_proves_nothing(commits, of_table):
    assert found(commits, **of_table) is None


@pytest.mark.parametrize(
    "audited",
    [
        None,
        replace(AUDITED, mark=None),
        replace(AUDITED, target_id="another"),
        replace(AUDITED, base_version=6),
        replace(AUDITED, full_compare_reason="the table has been recreated"),
        replace(AUDITED, accepted=["broken_share"]),
    ],
    ids=["none", "an older release", "another table", "another base", "all rows", "accepted"],
)
def test_what_was_audited_must_have_built_on_the_seal_and_on_the_change_feed(audited):
    assert found(audited=audited) is None


def test_without_a_seal_or_an_audit_no_table_is_asked():
    for state in (State({}, {NAME: AUDITED}), State({NAME: SEALED}, {})):
        tables = Tables([MERGE])
        assert lost_seal(NAME, state, tables) is None
        assert tables.asked == 0


def test_who_only_reads_knows_what_a_dead_run_has_published():
    gone = replace(AUDITED, table_name="silver.gone")
    state = State({NAME: SEALED, "silver.gone": SEALED}, {NAME: AUDITED, "silver.gone": gone})
    seals = known_seals(state, Tables([MERGE]))
    assert seals["silver.gone"] is SEALED
    assert (seals[NAME].run_id, seals[NAME].target_version) == (AUDITED.run_id, 8)
    # A run after a crash knows as well as others what is usual.
    assert seals[NAME].usual_rows == (2, 40)
    assert seals[NAME].cursor == {SOURCE: Position(SOURCE, "b", 5)}
    assert known_seals(state, Tables([]))[NAME] is SEALED
