"""AUDIT, from counts to verdicts: what forbids publishing, what warns, and what may be accepted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from paceline.contract import NullLimit, ServiceLevel, Thresholds, load_all
from paceline.publish.audit import ERROR, FAIL, PASS, WARN, AuditContext, weigh
from paceline.publish.broken_deliveries import NONE, BrokenDeliveries, Delivery, may_be_among
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
    deliveries=NONE,
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
    return weigh(contract, AuditContext(policy, NOW, **known), tally, broken or {}, deliveries)


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


# Batches of 100 records, the fewest of which shares are judged, at the limit of 25 %: records and
# broken ones of all, of the broken deliveries, and the share that is judged.
BATCHES = [
    # 60 good ones beside 30 of which 25 are broken, and ten broken ones elsewhere: 10 of 70.
    (100, 35, 30, 25, (10 / 70, PASS)),
    # The same, but the rest is over the limit by itself: 18 of 70.
    (100, 43, 30, 25, (18 / 70, FAIL)),
    # Exactly half is not more than half.
    (100, 50, 50, 50, (0, PASS)),
    # More than half: all is judged together, as if there were no delivery.
    (100, 51, 51, 51, (0.51, FAIL)),
    (100, 14, 51, 14, (0.14, PASS)),
]


@pytest.mark.parametrize(("records", "broken", "held", "held_broken", "expected"), BATCHES)
def test_a_delivery_that_is_broken_by_itself_counts_in_no_share(
    records, broken, held, held_broken, expected
):
    batch = {
        "staged": {"insert": records - broken, "quarantine": broken, "delete": 9, "resolve": 9},
        "marked": broken,
        "refused": {RULE: broken},
        "deliveries": BrokenDeliveries(1, held, held_broken, kept=held - held_broken),
        "contract": replace(CONTRACT, thresholds=replace(LIMITS, min_rows=records)),
        "judges_records": True,
    }
    found = judged(**batch)
    assert checks(found)["broken_share"] == expected
    assert checks(found)["delivery_broken"] == (1, WARN)
    over_limit = ["broken_share"] * (expected[1] == FAIL)
    assert [check.name for check in found.failures] == over_limit
    assert [check.name for check in judged("STRICT", **batch).failures] == [RULE, *over_limit]
    always = judged("ALWAYS", **batch)
    assert (always.verdict, always.failures) == (WARN, [])


@pytest.mark.parametrize(
    ("held", "kept", "nulls", "expected"),
    [
        (40, 20, 20, (0.5, PASS)),  # 40 of the other 80
        (40, 20, 0, (0.75, FAIL)),  # 60 of the other 80
        (80, 20, 20, (0.6, FAIL)),  # more than half of 120 records: 60 of all 100 rows
    ],
)
def test_its_rows_count_in_no_share_of_nulls(held, kept, nulls, expected):
    found = BrokenDeliveries(1, held, 20, kept, nulls={"hr_max_bpm": nulls})
    batch = judged(
        staged={"insert": 60, "update": 40, "quarantine": 20},
        broken={"null_share_hr_max_bpm": 60},
        deliveries=found,
    )
    assert checks(batch)["null_share_hr_max_bpm"] == expected


def test_there_is_no_share_of_nulls_when_all_rows_to_publish_are_of_broken_deliveries():
    # 20 of these 50 records are broken, and the other 50 records of the batch all are.
    found = BrokenDeliveries(1, 50, 20, 30, nulls={"hr_max_bpm": 30})
    batch = judged(
        staged={"insert": 30, "quarantine": 70},
        marked=70,
        broken={"null_share_hr_max_bpm": 30},
        deliveries=found,
    )
    assert checks(batch)["null_share_hr_max_bpm"] == (0, PASS)
    assert checks(batch)["broken_share"] == (1, FAIL)


def test_a_small_batch_has_no_share_but_tells_of_a_broken_delivery():
    limits = replace(LIMITS, min_rows=1000)
    batch = judged(
        staged={"insert": 5, "quarantine": 25},
        marked=25,
        contract=replace(CONTRACT, thresholds=limits),
        deliveries=BrokenDeliveries(1, 30, 25, 5),
        judges_records=True,
    )
    assert "broken_share" not in checks(batch)
    assert (checks(batch)["delivery_broken"], batch.failures) == ((1, WARN), [])


def test_only_a_table_that_judges_records_has_the_verdict_and_it_passes_without_one():
    assert "delivery_broken" not in checks(judged(staged={"insert": 50}))
    assert checks(judged(staged={"insert": 50}, judges_records=True))["delivery_broken"] == (
        0,
        PASS,
    )


def test_what_was_accepted_of_a_batch_passes_however_its_deliveries_count_then():
    accepted, found = {"broken_share": 0.6}, BrokenDeliveries(1, 60, 60)
    same = {"insert": 40, "quarantine": 60}
    again = judged(staged=same, marked=60, deliveries=found, accepted=accepted)
    assert checks(again)["broken_share"] == (0.6, WARN)
    # Others have come since, so that the delivery is left out; what is left is no worse.
    more = {"insert": 80, "quarantine": 100}
    others = judged(staged=more, marked=100, deliveries=found, accepted=accepted)
    assert checks(others)["broken_share"] == (40 / 120, WARN)
    # What was accepted without it says nothing of a batch that is mostly that delivery.
    worse = judged(staged=same, marked=60, deliveries=found, accepted={"broken_share": 0.3})
    assert checks(worse)["broken_share"] == (0.6, FAIL)


@pytest.mark.parametrize(("broken", "expected"), [(0, False), (5, False), (6, True)])
def test_deliveries_are_looked_at_when_one_can_be_broken(broken, expected):
    # A quarter of the 20 records from which on a delivery has a share.
    assert may_be_among(broken, CONTRACT) == expected


def test_the_worst_deliveries_are_named():
    one, two = Delivery("b/2.jsonl", 1300, 1200), Delivery("a/1.jsonl", 20, 15)
    assert BrokenDeliveries(1, worst=(two,)).named(str.upper) == (
        "A/1.JSONL (15 of 20 records broken)"
    )
    assert BrokenDeliveries(4, worst=(one, two)).named(str) == (
        "b/2.jsonl (1,200 of 1,300 records broken), a/1.jsonl (15 of 20 records broken) and 2 more"
    )


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
