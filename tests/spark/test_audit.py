"""AUDIT on staged rows: what is counted, by us and by Great Expectations."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from paceline.contract import NullLimit, Thresholds
from paceline.publish.audit import ERROR, FAIL, PASS, AuditContext, audit
from paceline.publish.staged import INSERT, REFUSE, REMOVE, UPDATE, staging_ddl
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
    """Staged rows of (op, cells, broken rules)."""
    values = []
    for number, (op, cells, reasons) in enumerate(rows, start=1):
        of_table = row(NAME, **{"athlete_id": number, **cells})
        kept = [of_table[name] for name in CONTRACT.column_names]
        values.append((op, *kept, None, "", list(reasons), [], None, None, "run-1"))
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
