"""AUDIT on staged rows: what is counted, by us and by Great Expectations."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from paceline.contract import NullLimit, Thresholds
from paceline.publish.audit import ERROR, FAIL, PASS, WARN, AuditContext, audit
from paceline.publish.broken_deliveries import (
    NONE,
    BrokenDeliveries,
    Delivery,
    broken_deliveries,
)
from paceline.publish.staged import INSERT, REFUSE, REMOVE, RESOLVE, UPDATE, staging_ddl
from tests.spark.given import CONTRACTS, row

NOW = datetime(2026, 7, 1, 6, tzinfo=UTC)

NAME = "silver.athlete_settings"
LIMITS = Thresholds(
    min_rows=4,
    max_broken_share=0.25,
    null_limits=(NullLimit("hr_max_bpm", 0.5, "error"), NullLimit("sex", 0.5, "warning")),
    min_table_rows=1,
)
CONTRACT = replace(CONTRACTS[NAME], thresholds=LIMITS)


def staged(spark, *rows):
    """Staged rows of (op, cells, broken rules), and the path of the delivery if there is one."""
    values = []
    for number, (op, cells, reasons, *path) in enumerate(rows, start=1):
        of_table = row(NAME, **{"athlete_id": number, **cells})
        kept = [of_table[name] for name in CONTRACT.column_names]
        record = (*path, number, "{}") if path else None
        values.append((op, *kept, None, "", list(reasons), [], record, None, "run-1"))
    return spark.createDataFrame(values, staging_ddl(CONTRACT))


def judged(spark, rows, policy="QUARANTINE", contract=CONTRACT, **known):
    return audit(staged(spark, *rows), contract, AuditContext(policy, NOW, **known))


def checks(judgement):
    return {check.name: (check.observed, check.verdict) for check in judgement.checks}


def verdicts(spark, rows, policy="QUARANTINE"):
    found = checks(judged(spark, rows, policy))
    return {name: found[name] for name in found if name.endswith("_share") or "null_share" in name}


GOOD, NO_MAXIMUM, NO_SEX = (
    (INSERT, {}, ()),
    (INSERT, {"hr_max_bpm": None}, ()),
    (INSERT, {"sex": None}, ()),
)
REFUSED = (REFUSE, {}, ("hr_rest_below_max",))


def test_a_share_at_its_limit_passes(spark):
    rows = [GOOD, GOOD, NO_MAXIMUM, NO_MAXIMUM, REFUSED]
    assert verdicts(spark, [*rows, GOOD, GOOD, REFUSED]) == {
        "broken_share": (0.25, PASS),
        "null_share_hr_max_bpm": (2 / 6, PASS),
        "null_share_sex": (0.0, PASS),
    }


def test_great_expectations_looks_at_the_values_and_not_at_the_marks(spark):
    marked = (INSERT, {"hr_max_bpm": 40.0, "lthr_bpm": None}, ("hr_rest_below_max",))
    unmarked = (INSERT, {"hr_max_bpm": 40.0, "lthr_bpm": None}, ())
    gone = (REMOVE, {"hr_max_bpm": 40.0}, ())
    found = checks(judged(spark, [GOOD, marked, unmarked, gone], "STRICT"))
    assert found["hr_rest_below_max"] == (2, FAIL)
    assert found["lthr_within_max"] == (0, PASS)


@pytest.mark.parametrize("policy", ["STRICT", "QUARANTINE", "ALWAYS"])
def test_a_key_twice_or_without_a_value_fails_under_every_policy(spark, policy):
    twice = {"athlete_id": 7}
    no_day = {"valid_from": None}
    rows = [GOOD, (INSERT, twice, ()), (UPDATE, twice, ()), (INSERT, no_day, ()), NO_SEX]
    found = judged(spark, rows, policy)
    assert checks(found)["key_unique"] == (1, FAIL)
    assert checks(found)["key_not_null"] == (1, FAIL)
    assert checks(found)["required_not_null"] == (1, FAIL)


def test_a_check_that_cannot_run_is_an_error(spark):
    rule = replace(CONTRACT.rules[0], predicate="raise_error('no') IS NULL")
    contract = replace(CONTRACT, rules=(rule,))
    found = judged(spark, [GOOD], "ALWAYS", contract)
    assert checks(found)[rule.name] == (None, ERROR)


def last_query(spark):
    """The number of the newest query of this session's process; they are counted from 0."""
    spark._jsc.sc().listenerBus().waitUntilEmpty()
    queries = spark._jsparkSession.sharedState().statusStore().executionsList()
    return queries.apply(queries.size() - 1).executionId()


@pytest.mark.classic
def test_a_judgement_takes_three_queries(spark):
    """Our own tally, and one for the whole suite, however many rules there are."""
    rows = staged(spark, GOOD, GOOD, NO_SEX, NO_SEX)
    before = last_query(spark)
    found = audit(rows, CONTRACT, AuditContext("QUARANTINE", NOW, day="valid_from"))
    assert last_query(spark) - before == 3
    assert found.touched_entities == 4
    assert found.counts[INSERT] == 4


def test_deliveries_are_found_by_their_own_share_of_records(spark):
    marked = (INSERT, {}, ("hr_rest_below_max",))
    rows = [
        # 6 of 20 are more than a quarter; 5 of 20 are not; 19 records have no share.
        *[(*REFUSED, "s/a.jsonl")] * 6,
        *[(*GOOD, "s/a.jsonl")] * 11,
        *[(UPDATE, {"hr_max_bpm": None}, (), "s/a.jsonl")] * 3,
        *[(*REFUSED, "s/b.jsonl")] * 5,
        *[(*GOOD, "s/b.jsonl")] * 15,
        *[(*REFUSED, "s/c.jsonl")] * 19,
        # Published although they are broken, as the policy ALWAYS does it.
        *[(*marked, "s/d.jsonl")] * 21,
        # What leaves was not judged, and some rows come from no delivery.
        *[(REMOVE, {}, (), "s/c.jsonl"), (RESOLVE, {}, ("hr_rest_below_max",), "s/c.jsonl")],
        *[REFUSED] * 30,
    ]
    frame = staged(spark, *rows)
    assert broken_deliveries(frame, CONTRACT) == BrokenDeliveries(
        count=2,
        records=41,
        broken=27,
        kept=35,
        nulls={"hr_max_bpm": 3, "sex": 0},
        worst=(Delivery("s/d.jsonl", 21, 21), Delivery("s/a.jsonl", 20, 6)),
    )
    known = AuditContext("QUARANTINE", NOW, judges_records=True)
    found = audit(frame, CONTRACT, known)
    # Of all 110 judged records 81 are broken, of the 69 others 54.
    assert checks(found)["broken_share"] == (54 / 69, FAIL)
    assert checks(found)["delivery_broken"] == (2, WARN)
    assert found.deliveries.count == 2


def test_only_the_worst_deliveries_come_back(spark):
    rows = [(*REFUSED, f"s/{n}.jsonl") for n in range(5) for _ in range(20 + (n == 3))]
    found = broken_deliveries(staged(spark, *rows), CONTRACT)
    assert (found.count, found.records) == (5, 101)
    assert [delivery.path for delivery in found.worst] == ["s/3.jsonl", "s/0.jsonl", "s/1.jsonl"]
    assert broken_deliveries(staged(spark, GOOD, REFUSED), CONTRACT) == NONE


@pytest.mark.classic
def test_deliveries_take_one_more_query_where_enough_records_are_broken(spark):
    few, enough = (staged(spark, *[(*REFUSED, "s/a.jsonl")] * count) for count in (5, 6))
    known = AuditContext("QUARANTINE", NOW, judges_records=True)
    queries = []
    for rows in (few, enough):
        before = last_query(spark)
        audit(rows, CONTRACT, known)
        queries.append(last_query(spark) - before)
    assert queries == [1, 2]
