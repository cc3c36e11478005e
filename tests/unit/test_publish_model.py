"""The order of the seven steps, tried in every interleaving of two runs with every crash.

The model is in `tests/model/`. A history says what the source holds at its versions; a protocol is
the rules that the runs follow, and each change of the rules has to be found out. `pytest -rP` shows
the shortest way to each fault.
"""

import gc
from dataclasses import replace
from functools import cache

import pytest

from tests.model.explore import (
    SAFETY,
    catch_up_mends_the_quarantine,
    cursor_is_held_at_any_version,
    explore,
    no_newer_row_is_replaced,
)
from tests.model.states import BROKEN, POISON, STEPS, Game, History, Protocol

pytestmark = pytest.mark.slow

HISTORIES = {
    "rows never return": History(({"k": "a"}, {"k": "b", "l": "a"}, {"k": "c", "l": "b"})),
    "a row returns": History(({"k": "a", "l": "a"}, {"k": "b", "l": "a"}, {"k": "a", "m": "a"})),
    "refused, mended, refused": History(
        ({"k": "a", "l": BROKEN}, {"k": "a", "l": "b"}, {"k": "a", "l": BROKEN})
    ),
    "refused, then gone": History(({"k": "a", "l": BROKEN}, {"k": "a"}), is_sealed=False),
    "a batch is rejected": History(({"k": "a"}, {"k": POISON, "l": "a"}, {"k": "b", "l": "a"})),
    "a notebook writes": History(({"k": "a", "l": "a"}, {"k": "b"}), has_notebook=True),
    "an empty target": History(({"k": "a"}, {"k": "b"}, {"k": "c"}), is_sealed=False),
}
LOCKED, FREE, REFUSING = Protocol(is_locked=True), Protocol(), Protocol(refuses_seal=True)
DOUBTING = replace(FREE, doubts_unsealed=True)
PROTOCOLS = {
    # Where there is a lock, the first rows are appended.
    "one run at a time": replace(LOCKED, appends_to_empty=True),
    "side by side": FREE,
    "side by side, SEAL refused to the slower": REFUSING,
}


@pytest.fixture(scope="module", autouse=True)
def no_garbage_collection():
    # Among millions of tuples without a cycle the collector searches long and finds nothing.
    gc.disable()
    yield
    gc.enable()


@cache
def safety(protocol, history):
    return explore(Game(PROTOCOLS[protocol], HISTORIES[history]), SAFETY)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_interleaving_and_no_crash_breaks_anything(protocol, history):
    found = safety(protocol, history)
    assert not found.broken, found.trace


def test_the_exploration_has_seen_every_step_crash_and_false_failure():
    seen = {event for history in HISTORIES for event in safety("side by side", history).events}
    for run in ("A", "A'", "B", "B'"):
        assert {f"{run} {step}" for step in ("look", *STEPS)} <= seen
    for run in ("A", "B"):
        assert {f"{run} dies before {step}" for step in STEPS} <= seen
        commits = [step for step in STEPS if step != "audit"]
        assert {f"{run} {step}, told that it failed" for step in commits} <= seen
        assert f"{run} publish, late, begins anew" in seen
    assert {f"{run} claim, seals for another" for run in ("A'", "B", "B'")} <= seen
    assert "a notebook writes" in seen


@pytest.mark.parametrize("history", ["rows never return", "a row returns"])
def test_it_does_not_matter_which_of_two_seals_counts_as_the_newer(history):
    protocol = replace(FREE, knows_newest_seal=False)
    found = explore(Game(protocol, HISTORIES[history]), SAFETY)
    assert not found.broken, found.trace


def reordered(step, before):
    """The steps with one of them moved to the place before another."""
    others = [other for other in STEPS if other != step]
    place = others.index(before)
    return (*others[:place], step, *others[place:])


# What is changed, in which history it shows, and what breaks.
MUTATIONS = {
    "seal before publish": (
        replace(LOCKED, order=reordered("seal", before="publish")),
        "rows never return",
        "cursor_is_held",
    ),
    "AUDITED after PUBLISH": (
        replace(LOCKED, order=reordered("publish", before="record")),
        "rows never return",
        "rows_are_covered",
    ),
    "cursor taken at seal": (
        replace(LOCKED, pins_cursor=False),
        "rows never return",
        "cursor_is_held",
    ),
    "resuming from the staged rows of a dead run": (
        replace(LOCKED, starts_over=False),
        "rows never return",
        "catch_up_heals",
    ),
    "no look at what a row replaces": (
        replace(FREE, guards_rows=False),
        "rows never return",
        "newer_rows_stay",
    ),
    "sealing although rows could not be published": (
        replace(FREE, counts_rows=False),
        "rows never return",
        "cursor_is_held",
    ),
    "quarantine keyed by run": (
        replace(FREE, keys_by_digest=False),
        "refused, then gone",
        "no_reject_is_twice",
    ),
    "ignoring that the target was written since the seal": (
        replace(FREE, notices_writes=False),
        "a row returns",
        "catch_up_heals",
    ),
    "sealing the version that publish made": (
        replace(FREE, names_expected_version=False),
        "a row returns",
        "cursor_is_held",
    ),
    "sealing the version that publish made, SEAL refused": (
        replace(REFUSING, names_expected_version=False),
        "a row returns",
        "cursor_is_held",
    ),
    "credit by version alone": (
        replace(LOCKED, looks_for_mark=False),
        "a notebook writes",
        "catch_up_heals",
    ),
    "appending to an empty target without the lock": (
        replace(FREE, appends_to_empty=True),
        "an empty target",
        "catch_up_heals",
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_every_change_of_the_protocol_is_found_out(mutation):
    protocol, history, broken = MUTATIONS[mutation]
    found = explore(Game(protocol, HISTORIES[history]), SAFETY)
    print(found.trace)
    assert found.broken == broken, found.trace


@pytest.mark.parametrize("mutation", [m for m in MUTATIONS if not MUTATIONS[m][0].is_locked])
def test_one_run_at_a_time_does_without_what_only_a_second_run_needs(mutation):
    protocol, history, _ = MUTATIONS[mutation]
    found = explore(Game(replace(protocol, is_locked=True), HISTORIES[history]), SAFETY)
    assert not found.broken, found.trace


def test_newer_rows_are_never_replaced_where_no_row_returns():
    checks = {
        check.__name__: check for check in (no_newer_row_is_replaced, cursor_is_held_at_any_version)
    }
    found = explore(Game(FREE, HISTORIES["rows never return"]), checks)
    assert not found.broken, found.trace


@pytest.mark.parametrize("check", [no_newer_row_is_replaced, cursor_is_held_at_any_version])
def test_a_row_that_returns_lets_a_late_run_through_until_the_next_catch_up(check):
    # Compared by content, the returned row is the one that the late run has read. SAFETY holds in
    # this history: the next run finds the target written since the seal and compares all rows.
    found = explore(Game(FREE, HISTORIES["a row returns"]), {check.__name__: check})
    print(found.trace)
    assert found.broken == check.__name__


EXACT = {**SAFETY, "catch_up_mends_the_quarantine": catch_up_mends_the_quarantine}


@pytest.mark.parametrize("history", ["refused, mended, refused", "refused, then gone"])
def test_with_one_run_at_a_time_the_quarantine_is_exact(history):
    found = explore(Game(LOCKED, HISTORIES[history]), EXACT)
    assert not found.broken, found.trace


def test_to_quarantine_after_the_seal_loses_refused_records():
    order = (*(step for step in STEPS if step != "quarantine"), "quarantine")
    protocol = replace(LOCKED, order=order)
    found = explore(Game(protocol, HISTORIES["refused, then gone"]), EXACT)
    print(found.trace)
    assert found.broken == "catch_up_mends_the_quarantine", found.trace


@pytest.mark.parametrize("protocol", [FREE, REFUSING, DOUBTING])
def test_a_late_run_that_dies_can_leave_the_quarantine_wrong(protocol):
    # PUBLISH has a guard and a version that tell of a late write, QUARANTINE has neither: what it
    # has written stays until its record changes again or all rows are compared.
    found = explore(Game(protocol, HISTORIES["refused, then gone"]), EXACT)
    print(found.trace)
    assert found.broken == "catch_up_mends_the_quarantine", found.trace


def test_refused_seals_and_doubt_in_unsealed_rows_would_keep_the_quarantine_exact():
    protocol = replace(REFUSING, doubts_unsealed=True)
    found = explore(Game(protocol, HISTORIES["refused, then gone"]), EXACT)
    assert not found.broken, found.trace
