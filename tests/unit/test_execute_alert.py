"""Alerts of a run: sent when there is something to tell, and noted when nobody took them."""

import fcntl
import shutil
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from paceline.errors import LockedError, PacelineError, UsageError
from paceline.pipeline import alerts, execute
from paceline.pipeline.arguments import Options
from paceline.pipeline.jobs import JOBS
from paceline.store import ledger
from paceline.store.ledger import Entry
from paceline.store.state import State
from tests.conftest import CONF

REJECTED = Entry("run-1", "Feature_Activity", "silver.strava_activities", ledger.REJECTED, "FAIL")
FINE = Entry("run-1", "Feature_Activity", "silver.athlete_settings", ledger.PUBLISHED, "PASS")
JOB = {"Feature_Activity": JOBS["Feature_Activity"]}
NOW = datetime(2026, 7, 1, 6, tzinfo=UTC)


@pytest.fixture
def noted(monkeypatch, caplog):
    """What was sent, said and noted when a run ends."""
    found = {"sent": [], "log": caplog, "noted": []}
    monkeypatch.setattr(
        ledger, "note_lost_alert", lambda warehouse, entry: found["noted"].append(entry)
    )
    return found


def end(noted, monkeypatch, entries, reason=None, url="https://hooks.example/secret", failure=None):
    monkeypatch.setenv("PACELINE_WEBHOOK", url)
    monkeypatch.setattr(alerts, "send", lambda to, text: noted["sent"].append((to, text)) or reason)
    execute._alert(["Feature_Activity"], entries, failure, None)
    return noted


def test_a_rejection_is_told(noted, monkeypatch):
    found = end(noted, monkeypatch, [FINE, REJECTED])
    ((to, text),) = found["sent"]
    assert to == "https://hooks.example/secret"
    assert "silver.strava_activities" in text
    assert (found["log"].messages, found["noted"]) == ([], [])


def test_an_alert_that_nobody_took_is_said_and_noted_without_the_address(noted, monkeypatch):
    found = end(noted, monkeypatch, [FINE, REJECTED], reason="the server answered 500")
    assert found["log"].messages == ["the alert was not delivered: the server answered 500"]
    assert found["noted"] == [REJECTED]


def test_good_news_are_no_alert(noted, monkeypatch):
    assert end(noted, monkeypatch, [FINE])["sent"] == []


def test_without_an_address_nothing_is_sent(noted, monkeypatch):
    assert end(noted, monkeypatch, [REJECTED], url=" ")["sent"] == []


def test_a_failure_beside_the_tables_is_told_without_numbers_in_paths(noted, monkeypatch):
    failure = UsageError("The landing file strava_api/4711 (2).jsonl vanished during the run.")
    ((_, text),) = end(noted, monkeypatch, [FINE], failure=failure)["sent"]
    assert text == (
        "paceline Feature_Activity FAILED\n"
        "- The landing file strava_api/*** (2).jsonl vanished during the run."
    )


def test_a_failure_of_others_is_told_by_its_kind(noted, monkeypatch):
    failure = ConnectionError("athlete 4711 at 2001:db8::1")
    ((_, text),) = end(noted, monkeypatch, [], failure=failure)["sent"]
    assert text.endswith("\n- ConnectionError")


def test_a_failed_table_is_told_once(noted, monkeypatch):
    failed = replace(REJECTED, status=ledger.FAILED, message="it is full")
    ((_, text),) = end(noted, monkeypatch, [failed], failure=PacelineError("it is full"))["sent"]
    assert text.count("it is full") == 1


@pytest.mark.parametrize(
    ("broken", "error", "said"),
    [
        ("no landing", UsageError, "does not exist"),
        ("mistake in a contract", UsageError, "error, warning"),
        ("lock", LockedError, "is in use by"),
        ("wrong columns", PacelineError, "The columns of silver.x are not"),
        ("unknown run", UsageError, "no audit of that run"),
    ],
)
def test_a_run_that_fails_before_its_first_table_alerts(
    noted, monkeypatch, tmp_path, broken, error, said
):
    sent = noted["sent"]
    monkeypatch.setenv("PACELINE_WEBHOOK", "https://hooks.example/secret")
    monkeypatch.setattr(alerts, "send", lambda to, text: sent.append(text))
    landing, conf = tmp_path / "landing", tmp_path / "conf"
    (landing / "strava_api").mkdir(parents=True)
    (landing / "strava_api" / "a.jsonl").write_text("{}\n")
    shutil.copytree(CONF, conf)
    if broken == "no landing":
        shutil.rmtree(landing)
    if broken == "mistake in a contract":
        contract = conf / "contracts" / "silver.strava_activities.odcs.yaml"
        text = contract.read_text(encoding="utf-8")
        contract.write_text(text.replace("severity: error", "severity: fatal"), encoding="utf-8")

    def opened(*arguments):
        if broken == "wrong columns":
            raise PacelineError("The columns of silver.x are not those of its contract.")
        return State({}, {})

    monkeypatch.setattr(execute, "_opened", opened)
    monkeypatch.setattr(ledger, "rejected", lambda warehouse, run_id: {})
    places = {"landing": str(landing), "warehouse": str(tmp_path / "w"), "conf": str(conf)}
    options = Options(**places, accept="20260101T000000-1")
    with ExitStack() as held:
        if broken == "lock":
            (tmp_path / "w").mkdir()
            other = held.enter_context((tmp_path / "w" / ".paceline.lock").open("w"))
            fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(error, match=said):
            execute.execute(JOB, options, spark=object())
        (text,) = sent
        assert text.startswith("paceline Feature_Activity FAILED\n- ")
        assert said in text
        with pytest.raises(error):
            execute.execute(JOB, options, spark=object(), is_dry_run=True)
        assert len(sent) == 1
