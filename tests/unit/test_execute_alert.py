"""Alerts of a run: sent when there is something to tell, and noted when nobody took them."""

from datetime import UTC, datetime

import pytest

from paceline import alerts, ledger
from paceline.cli import execute
from paceline.ledger import Entry

REJECTED = Entry("run-1", "Feature_Activity", "silver.strava_activities", ledger.REJECTED, "FAIL")
FINE = Entry("run-1", "Feature_Activity", "silver.athlete_settings", ledger.PUBLISHED, "PASS")
NOW = datetime(2026, 7, 1, 6, tzinfo=UTC)


@pytest.fixture
def noted(monkeypatch):
    """What was sent, said and noted when a run ends."""
    found = {"sent": [], "said": [], "noted": []}
    monkeypatch.setattr(
        ledger, "note_lost_alert", lambda warehouse, entry, at: found["noted"].append((entry, at))
    )
    return found


def end(noted, monkeypatch, entries, reason=None, url="https://hooks.example/secret"):
    monkeypatch.setenv("PACELINE_WEBHOOK", url)
    monkeypatch.setattr(alerts, "send", lambda to, text: noted["sent"].append((to, text)) or reason)
    execute._alert(["Feature_Activity"], entries, NOW, None, noted["said"].append)
    return noted


def test_a_rejection_is_told(noted, monkeypatch):
    found = end(noted, monkeypatch, [FINE, REJECTED])
    ((to, text),) = found["sent"]
    assert to == "https://hooks.example/secret"
    assert "silver.strava_activities" in text
    assert (found["said"], found["noted"]) == ([], [])


def test_an_alert_that_nobody_took_is_said_and_noted_without_the_address(noted, monkeypatch):
    found = end(noted, monkeypatch, [FINE, REJECTED], reason="the server answered 500")
    assert found["said"] == ["warning: the alert was not delivered: the server answered 500"]
    assert found["noted"] == [(REJECTED, NOW)]


def test_good_news_are_no_alert(noted, monkeypatch):
    assert end(noted, monkeypatch, [FINE])["sent"] == []


def test_without_an_address_nothing_is_sent(noted, monkeypatch):
    assert end(noted, monkeypatch, [REJECTED], url=" ")["sent"] == []
