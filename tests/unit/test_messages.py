"""What people are told of an audit that found deliveries which are broken by themselves."""

from types import SimpleNamespace

import pytest

from paceline.publish.audit import FAIL, WARN, AuditResult, Check
from paceline.publish.broken_deliveries import NONE, BrokenDeliveries, Delivery
from paceline.publish.messages import note, rejection, warn_of_deliveries

SHARE = Check("broken_share", 0.25, 0.05, "error", FAIL)
WORST = (
    Delivery("strava_export/athlete_id=77/a.csv", 1300, 1200),
    Delivery("cdc/kafka/0/100-163.jsonl", 64, 20),
)
ONE, MANY = BrokenDeliveries(1, 1300, 1200, worst=WORST[:1]), BrokenDeliveries(4, worst=WORST)
PATHS = (
    "SELECT _record.source_path, count(*) AS broken FROM <ops.staging> WHERE _run_id = 'run-1-1' "
    "AND _record IS NOT NULL AND size(_reasons) > 0 GROUP BY ALL ORDER BY broken DESC"
)


def claimed(policy="QUARANTINE"):
    return SimpleNamespace(
        policy=policy,
        table=SimpleNamespace(name="silver.t"),
        contract=SimpleNamespace(rules=()),
        run=SimpleNamespace(run_id="run-1", warehouse=SimpleNamespace(reference="<{}>".format)),
        staging="ops.staging",
        attempt_id="run-1-1",
    )


def result(deliveries, *checks, judged=3000):
    counts = {"insert": judged, "update": 0, "delete": 5, "quarantine": 0, "resolve": 5}
    return AuditResult(counts, None, None, {}, None, checks, deliveries)


@pytest.mark.parametrize(
    ("deliveries", "judged", "said"),
    [
        (
            ONE,
            2600,
            "1 delivery that is broken by itself is left out of the shares: "
            "strava_export/athlete_id=***/a.csv (1,200 of 1,300 records broken)",
        ),
        (
            ONE,
            2599,
            "1 delivery that is broken by itself holds more than half of the records, and so "
            "counts in the shares: "
            "strava_export/athlete_id=***/a.csv (1,200 of 1,300 records broken)",
        ),
        (
            MANY,
            3000,
            "4 deliveries that are broken by themselves are left out of the shares: "
            "strava_export/athlete_id=***/a.csv (1,200 of 1,300 records broken), "
            "cdc/kafka/***/***-***.jsonl (20 of 64 records broken) and 2 more",
        ),
    ],
)
def test_a_rejection_says_what_broken_deliveries_have_to_do_with_it(deliveries, judged, said):
    text = rejection(claimed(), [SHARE], result(deliveries, SHARE, judged=judged))
    assert text == (
        "silver.t was rejected by its audit under QUARANTINE: broken_share was broken by 25.00% of "
        f"the rows, allowed are 5.00%; nothing was published. {said}. All checks: SELECT "
        "inline(checks) FROM <ops.ledger> WHERE run_id = 'run-1' AND event = 'AUDITED'. The rows: "
        "SELECT * FROM <ops.staging> WHERE _run_id = 'run-1-1'. Mend them at the source, or "
        "publish all the same with --accept run-1."
    )


def test_a_rejection_without_broken_deliveries_does_not_speak_of_them():
    assert rejection(claimed(), [SHARE]) == rejection(claimed(), [SHARE], result(NONE, SHARE))
    assert "deliver" not in rejection(claimed(), [SHARE])


@pytest.mark.parametrize(
    ("policy", "became"), [("QUARANTINE", "quarantined"), ("ALWAYS", "published as well")]
)
def test_a_published_table_names_its_broken_deliveries(policy, became):
    assert note(claimed(policy), result(ONE)) == (
        "delivery_broken: strava_export/athlete_id=***/a.csv (1,200 of 1,300 records broken); "
        f"valid records were published, broken ones {became}. Mend these at the source and deliver "
        f"them again. Where they are from: {PATHS}"
    )


def test_what_a_person_accepted_comes_first():
    accepted = Check("broken_share", 0.5, 0.5, "error", WARN, is_accepted=True)
    assert note(claimed(), result(NONE, accepted)) == "accepted by a person: broken_share"
    both = note(claimed(), result(ONE, accepted))
    assert both.startswith("accepted by a person: broken_share; delivery_broken: strava_export/")
    assert note(claimed(), result(NONE)) is None


def test_the_log_hides_athletes_and_no_other_numbers(caplog):
    warn_of_deliveries(claimed(), result(MANY))
    warn_of_deliveries(claimed(), result(NONE))
    assert caplog.messages == [
        "silver.t delivery_broken: "
        "strava_export/athlete_id=***/a.csv (1,200 of 1,300 records broken), "
        "cdc/kafka/0/100-163.jsonl (20 of 64 records broken) and 2 more"
    ]
