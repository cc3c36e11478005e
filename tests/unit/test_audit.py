"""AUDIT, from counts to verdicts: what forbids publishing, what warns, and what may be accepted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from paceline.contract import NullLimit, ServiceLevel, Thresholds, load_all
from paceline.publish.audit import ERROR, FAIL, PASS, WARN, AuditContext, weigh
from tests.conftest import CONF

NOW = datetime(2026, 7, 1, 6, tzinfo=UTC)
LIMITS = Thresholds(
    min_rows=4,
    max_broken_share=0.25,
    null_limits=(NullLimit("hr_max_bpm", 0.5, "error"), NullLimit("sex", 0.5, "warning")),
    min_table_rows=1,
)
CONTRACT = replace(load_all(CONF / "contracts")["silver.athlete_settings"], thresholds=LIMITS)
RULE = "hr_rest_below_max"
HARD = ("columns", "key_not_null", "key_unique", "required_not_null")
POLICIES = ("STRICT", "QUARANTINE", "ALWAYS")


def judged(
    policy="QUARANTINE",
    *,
    staged=None,
    broken=None,
    marked=0,
    refused=None,
    staged_newest=None,
    contract=CONTRACT,
    **known,
):
    """Verdicts on `staged` rows by what they ask for, of which some break or were set aside."""
    counts = {op: 0 for op in ("insert", "update", "delete", "quarantine", "resolve")}
    counts |= staged or {}
    tally = {f"op_{op}": count for op, count in counts.items()}
    tally |= {f"refused_{rule.name}": 0 for rule in contract.rules} | {"refused_unreadable": 0}
    tally |= {f"refused_{name}": count for name, count in (refused or {}).items()}
    tally |= {"athletes": 1, "broken": marked, "newest": staged_newest}
    tally |= {f"{end}_{name}": None for end in ("min", "max") for name in contract.key}
    return weigh(contract, AuditContext(policy, NOW, **known), tally, broken or {})


def checks(judgement):
    return {check.name: (check.observed, check.verdict) for check in judgement.checks}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_batch_that_keeps_everything_passes_under_every_policy(policy):
    found = judged(policy, staged={"insert": 10})
    assert found.verdict == PASS
    assert {name: checks(found)[name] for name in HARD} == dict.fromkeys(HARD, (0, PASS))


@pytest.mark.parametrize(
    ("policy", "verdict"), [("STRICT", FAIL), ("QUARANTINE", ERROR), ("ALWAYS", WARN)]
)
def test_a_row_that_breaks_a_rule_and_was_not_set_aside(policy, verdict):
    # Under QUARANTINE it cannot be there: whoever split the rows and who judges them disagree.
    found = judged(policy, staged={"insert": 2}, broken={RULE: 1})
    assert checks(found)[RULE] == (1, verdict)
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("policy", "verdict"), [("STRICT", FAIL), ("QUARANTINE", WARN), ("ALWAYS", WARN)]
)
@pytest.mark.parametrize(("reason", "check"), [(RULE, RULE), ("unreadable", "readable")])
def test_a_row_that_was_set_aside(policy, verdict, reason, check):
    found = judged(policy, staged={"insert": 1, "quarantine": 2}, refused={reason: 2})
    assert checks(found)[check] == (2, verdict)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", HARD)
def test_the_structure_is_hard_under_every_policy_and_cannot_be_accepted(policy, name):
    found = judged(policy, staged={"insert": 2}, broken={name: 1}, accepted={name: 9})
    assert [check.name for check in found.failures] == [name]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", [*HARD, RULE, "null_share_sex"])
def test_a_check_that_cannot_run_is_an_error_under_every_policy(policy, name):
    found = judged(policy, staged={"insert": 2}, broken={name: None}, accepted={name: 9})
    assert checks(found)[name] == (None, ERROR)
    assert (found.verdict, [check.name for check in found.failures]) == (ERROR, [name])


def test_what_could_not_run_comes_first_among_the_failures():
    found = judged("STRICT", staged={"insert": 2}, broken={RULE: 1, "lthr_within_max": None})
    assert [check.name for check in found.failures] == ["lthr_within_max", RULE]


@pytest.mark.parametrize(
    ("policy", "verdict"), [("STRICT", FAIL), ("QUARANTINE", FAIL), ("ALWAYS", WARN)]
)
def test_shares_fail_above_their_limit_unless_the_policy_is_always(policy, verdict):
    at_limit = judged(
        policy, staged={"insert": 6, "quarantine": 2}, marked=2, broken={"null_share_hr_max_bpm": 3}
    )
    assert checks(at_limit)["broken_share"] == (0.25, PASS)
    assert checks(at_limit)["null_share_hr_max_bpm"] == (0.5, PASS)
    above = judged(
        policy, staged={"insert": 5, "quarantine": 2}, marked=2, broken={"null_share_hr_max_bpm": 3}
    )
    assert checks(above)["broken_share"] == (2 / 7, verdict)
    assert checks(above)["null_share_hr_max_bpm"] == (3 / 5, verdict)


def test_a_limit_that_only_warns_warns():
    found = judged(staged={"insert": 4}, broken={"null_share_sex": 3})
    assert checks(found)["null_share_sex"] == (0.75, WARN)


def test_a_small_batch_is_not_judged_by_the_share_of_broken_rows():
    found = judged(staged={"insert": 1, "quarantine": 2, "delete": 5}, marked=2)
    assert "broken_share" not in checks(found)


def test_what_was_accepted_passes_and_what_is_worse_does_not():
    accepted = {RULE: 2.0, "broken_share": 0.5}
    released = judged("STRICT", staged={"insert": 4}, broken={RULE: 2}, marked=2, accepted=accepted)
    assert released.failures == []
    assert checks(released)[RULE] == (2, WARN)
    worse = judged("STRICT", staged={"insert": 6}, broken={RULE: 3}, marked=3, accepted=accepted)
    assert checks(worse)[RULE] == (3, FAIL)
    assert checks(worse)["broken_share"] == (0.5, WARN)


@pytest.mark.parametrize(
    ("before", "deleted", "rows", "verdict"),
    [(None, 0, 0, FAIL), (2, 2, 0, FAIL), (3, 2, 1, PASS)],
)
def test_a_table_keeps_its_least_number_of_rows(before, deleted, rows, verdict):
    count = None if before is None else lambda: before
    found = judged(staged={"delete": deleted}, rows_before=count)
    assert checks(found)["row_count"] == (rows, verdict)
    always = judged("ALWAYS", staged={"delete": deleted}, rows_before=count)
    assert always.verdict == (WARN if verdict == FAIL else PASS)
    # What is missing may be accepted as well, and less of it is worse.
    assert judged(staged={"delete": deleted}, rows_before=count, accepted={"row_count": 0})
    twice = judged(staged={"delete": 2}, rows_before=lambda: 2, accepted={"row_count": 1})
    assert checks(twice)["row_count"] == (0, FAIL)


def test_the_rows_of_a_table_are_counted_only_when_some_leave_it():
    def count():
        raise AssertionError("there is no need to")

    assert "row_count" not in checks(judged(staged={"insert": 1}, rows_before=count))


@pytest.mark.parametrize(
    ("usual", "rows", "expected"),
    [
        ((1, 1), 40, None),  # two runs say nothing
        ((1, 9, 1), 11, (11, WARN)),
        ((2, 1, 1), 10, (10, PASS)),
        ((0, 0, 0), 3, (3, PASS)),  # small batches vary
        ((30, 30, 31), 2, (2, WARN)),
        ((30, 30, 31), 3, (3, PASS)),
    ],
)
def test_a_batch_of_unusual_size_warns(usual, rows, expected):
    found = judged(staged={"update": rows}, usual_rows=usual)
    assert checks(found).get("volume") == expected


@pytest.mark.parametrize(("unit", "age"), [("d", 1.25), ("h", 30.0)])
def test_a_table_whose_newest_row_is_old_warns(unit, age):
    newest = (NOW - timedelta(hours=30)).astimezone().replace(tzinfo=None)  # as Spark gives it
    for value, verdict in ((age, PASS), (age - 0.25, WARN)):
        level = ServiceLevel("freshness", value, unit, "valid_from", None)
        contract = replace(CONTRACT, service_levels=(level,))
        found = judged(staged={"insert": 1}, contract=contract, staged_newest=newest)
        assert checks(found)["freshness"] == (age, verdict)
        # A late row is no reason to warn when newer ones have come before.
        late = judged(staged={"insert": 1}, contract=contract, staged_newest=newest, newest=NOW)
        assert checks(late)["freshness"] == (0, PASS)
