"""AUDIT on staged rows: shares of a batch, and when they are judged."""

from dataclasses import replace

import pytest

from paceline.audit import FAIL, PASS, WARN, audit
from paceline.contract import NullLimit, Thresholds
from paceline.diff import INSERT, REFUSE, REMOVE, staging_ddl
from tests.spark.given import CONTRACTS, row

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
        of_table = row(NAME, athlete_id=number, **cells)
        kept = [of_table[name] for name in CONTRACT.column_names]
        values.append((op, *kept, None, "", list(reasons), [], None, None, "run-1"))
    return spark.createDataFrame(values, staging_ddl(CONTRACT))


def verdicts(spark, rows, policy="QUARANTINE"):
    found = audit(staged(spark, *rows), CONTRACT, policy)
    return {
        check.name: (check.observed, check.verdict)
        for check in found.checks
        if check.name == "broken_share" or check.name.startswith("null_share_")
    }


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


@pytest.mark.parametrize(("policy", "verdict"), [("QUARANTINE", FAIL), ("ALWAYS", WARN)])
def test_a_share_above_its_limit_fails_the_batch_unless_the_policy_is_always(
    spark, policy, verdict
):
    rows = [GOOD, NO_MAXIMUM, NO_MAXIMUM, NO_MAXIMUM, REFUSED, REFUSED]
    found = verdicts(spark, rows, policy)
    assert found["broken_share"] == (2 / 6, verdict)
    assert found["null_share_hr_max_bpm"] == (0.75, verdict)


def test_a_limit_that_only_warns_warns(spark):
    found = verdicts(spark, [NO_SEX, NO_SEX, NO_SEX, GOOD])
    assert found["null_share_sex"] == (0.75, WARN)


def test_a_small_batch_is_not_judged_by_shares(spark):
    assert verdicts(spark, [NO_MAXIMUM, NO_MAXIMUM, REFUSED]) == {}


def test_rows_that_leave_are_no_part_of_a_share(spark):
    gone = (REMOVE, {"hr_max_bpm": None}, ())
    assert verdicts(spark, [GOOD, GOOD, GOOD, gone, gone]) == {}
