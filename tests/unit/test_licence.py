"""What the licence of a source forbids, and where the permission of the settings is noted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from paceline.pipeline.jobs import TABLES
from paceline.publish.claim import Run, new_entry
from paceline.recipe import Context
from paceline.settings import load_settings
from paceline.sources import SOURCES
from paceline.sources.licence import NO_MODEL_TRAINING, TAGS, tagged
from paceline.store.ledger import Journal
from paceline.store.state import State
from tests.conftest import CONF


def test_the_api_of_strava_forbids_training() -> None:
    assert {source.name: source.tags for source in SOURCES} == {
        "strava_api": ("no_model_training",),
        "strava_export": (),
        "debezium": (),
        "athlete_settings": (),
    }
    assert tagged(NO_MODEL_TRAINING) == ["strava_api"]
    assert tagged("no_sale") == []


def test_a_tag_is_of_a_source() -> None:
    assert TAGS.keys() <= {source.name for source in SOURCES}


@pytest.mark.parametrize("permission", [None, "generated data", "contract of 2026-03-01"])
def test_the_ledger_notes_the_permission_of_a_run(contracts, permission) -> None:
    policies = {name: contract.policy for name, contract in contracts.items()}
    context = Context(load_settings(CONF).for_recipes(), contracts, policies)
    run = Run(
        *("20260301T000000-a", "Feature_Activity", None, context, State({}, {}), Journal(None)),
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
        code_version="1",
        model_permission=permission,
    )
    entries = [new_entry(table, run, context.for_table(table, None)) for table in TABLES]
    assert {entry.model_permission for entry in entries} == {permission}
