"""What a training set asks for, and its manifest as a text."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import paceline
from paceline.errors import UsageError
from paceline.settings import load_settings
from paceline.store.warehouse import Position
from paceline.training import Manifest
from paceline.training.reader import _opened
from paceline.training.request import requested
from tests.conftest import CONF

ACTIVITIES, ROLLING = "feature_store.activity_features", "feature_store.athlete_rolling_features"
MANIFEST = Manifest(
    features=(f"{ROLLING}.tss_7d", f"{ACTIVITIES}.pace_min_km"),
    timestamp_column="at",
    tables=(Position(ACTIVITIES, "a1", 3), Position(ROLLING, "b2", 14)),
    paceline_version="0.1.0",
)
TEXT = {
    "format": 1,
    "features": [f"{ROLLING}.tss_7d", f"{ACTIVITIES}.pace_min_km"],
    "timestamp_column": "at",
    "tables": [
        {"table_name": ACTIVITIES, "table_id": "a1", "version": 3},
        {"table_name": ROLLING, "table_id": "b2", "version": 14},
    ],
    "paceline_version": "0.1.0",
}


@pytest.fixture(scope="module")
def tables(contracts):
    return {name: contracts[name] for name in (ACTIVITIES, ROLLING)}


def test_features_are_found_by_every_spelling(tables):
    asked = ["tss_7d", "activity_features.pace_min_km", f"{ROLLING}.acwr", "as_of_date"]
    assert list(map(str, requested(asked, tables))) == [
        f"{ROLLING}.tss_7d",
        f"{ACTIVITIES}.pace_min_km",
        f"{ROLLING}.acwr",
        f"{ROLLING}.as_of_date",
    ]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([], "needs a list of features"),
        ("tss_7d", "needs a list of features"),
        (
            ["event_timestamp"],
            "'event_timestamp' is in several tables: write activity_features.event_timestamp or "
            r"athlete_rolling_features.event_timestamp\.",
        ),
        (["pace_min_kn"], r"no feature 'pace_min_kn': did you mean pace_min_km\?"),
        (["shoe_size"], f"no feature 'shoe_size': the tables are {ACTIVITIES}, {ROLLING}"),
        (["athlete_rolling_features.pace_min_km"], "There is no feature"),
        (["athlete_id"], "There is no feature 'athlete_id'"),
        (["tss_7d", f"{ROLLING}.tss_7d"], "Two features would be the column tss_7d"),
    ],
)
def test_other_names_are_refused(tables, asked, message):
    with pytest.raises(UsageError, match=message):
        requested(asked, tables)


def test_a_manifest_is_the_same_after_writing_and_reading():
    assert json.loads(MANIFEST.to_json()) == TEXT
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert Manifest.from_json(json.dumps(TEXT)).to_json() == MANIFEST.to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no manifest"),
        ("[1]", "is no manifest"),
        ("null", "is no manifest"),
        (json.dumps(TEXT | {"extra": 1}), "is no manifest"),
        (json.dumps({"format": 1, "features": []}), "is no manifest"),
        (json.dumps(TEXT | {"tables": [{"table_name": "x"}]}), "is no manifest"),
        (json.dumps(TEXT | {"format": 2}), "has the format 2, and this paceline reads 1: upgrade"),
    ],
)
def test_another_text_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        Manifest.from_json(text)


def test_the_place_is_that_of_the_settings_unless_it_is_given():
    places = {
        (None, None): (Path("warehouse").resolve(), ""),
        ("elsewhere", None): (Path("elsewhere").resolve(), ""),
        (None, "athletes"): (None, "athletes"),
    }
    for given, expected in places.items():
        opened = _opened(None, load_settings(CONF), *given, {"feature_store": "mine"})
        assert (opened.root, opened.catalog) == expected
        assert opened.schemas == {"feature_store": "mine"}


@pytest.mark.parametrize("wrong", ["keep", "Drop", "", None, True, 1])
def test_another_choice_for_restricted_labels_is_refused(wrong):
    with pytest.raises(UsageError, match=f'restricted is {wrong!r}: say "refuse" or "drop"'):
        paceline.training_set(None, None, ["tss_7d"], restricted=wrong)


def test_importing_paceline_is_light():
    program = (
        "import sys, paceline\n"
        "assert not {'pyspark', 'yaml', 'numpy'} & set(sys.modules)\n"
        "assert callable(paceline.training_set)\n"
        "assert 'pyspark' not in sys.modules\n"
        "assert not hasattr(paceline, 'nothing')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
