"""The catalogue of features, and the command that prints it. Nothing here starts Spark."""

import dataclasses
import json
import subprocess
import sys

import pytest

from paceline.cli.main import exit_code, paceline
from paceline.docs.catalogue import (
    KINDS,
    NO_FEATURES,
    ON_DEMAND,
    ROW_WISE,
    WINDOWED,
    Feature,
    catalogue,
    matching,
)

ROLLING = "feature_store.athlete_rolling_features"
ACTIVITIES = "feature_store.activity_features"


@pytest.fixture(scope="module")
def features(contracts):
    return catalogue(contracts)


@pytest.fixture(scope="module")
def by_name(features):
    return {feature.name: feature for feature in features}


def run(capsys, *arguments):
    assert exit_code(paceline, ["features", *arguments]) == 0
    return capsys.readouterr()


def test_every_column_of_a_feature_table_is_told_of(features, contracts):
    for name, kind in ((ACTIVITIES, ROW_WISE), (ROLLING, WINDOWED)):
        contract = contracts[name]
        told = [feature.name for feature in features if feature.source == name]
        left_out = {*contract.key, *NO_FEATURES}
        assert told == [c for c in contract.column_names if c not in left_out]
        assert {feature.kind for feature in features if feature.source == name} == {kind}
    assert all(feature.meaning and feature.owner and feature.version for feature in features)
    assert {feature.kind for feature in features} == set(KINDS)


def test_descriptions_end_with_when_the_value_is_null(features, contracts):
    required = {(c.name, column.name): column.required for c in contracts.values()
                for column in c.columns}  # fmt: skip
    for feature in features:
        if feature.kind == ON_DEMAND:
            assert feature.null_rule.startswith("Missing when ")
        elif required[feature.source, feature.name]:
            assert feature.null_rule == "Never NULL", feature.name
        else:
            assert feature.null_rule.startswith(("NULL when ", "NULL with")), feature.name
        assert "NULL" not in feature.meaning, feature.name


@pytest.mark.parametrize(
    ("name", "meaning", "formula", "unit", "null_rule"),
    [
        (
            *("acwr", "Acute to chronic workload ratio"),
            *("(tss_7d / 7) / (tss_28d / 28), at most 4", "ratio"),
            "NULL when tss_28d is 0 or history_days < 28",
        ),
        (
            *("estimated_tss", "Training stress score, 100 for an hour at threshold"),
            "Runs with an intensity factor: 100 (moving_time_s / 3600) intensity_factor^2; else "
            "100 trimp / trimp of an hour at threshold heart rate. Rounded to 1e-6",
            *("TSS", "NULL when neither is possible"),
        ),
        (
            *("ctl_ewma_42d", "Chronic load as training software has it"),
            "x + (1 - e^(-1/42)) (tss_1d - x) day by day, from 0 before the first activity",
            *("TSS/day", "Never NULL"),
        ),
        (
            *("run_distance_km_30d",),
            "Distance of the run family over the 30 days that end with as_of_date",
            "sum of distance_km where sport_family = 'run', over 30 days up to as_of_date",
            *("km", "Never NULL"),
        ),
        (
            *("active_days_7d",),
            "Days with an activity among the 7 days that end with as_of_date",
            *("count of days with an activity, over 7 days up to as_of_date", "days"),
            "Never NULL",
        ),
        ("strain_7d", "tss_7d x monotony_7d", "tss_7d x monotony_7d", "TSS",
         "NULL when the monotony is NULL"),
        ("is_race", "True for a race", "", "", "Never NULL"),
    ],
)  # fmt: skip
def test_a_feature(by_name, name, meaning, formula, unit, null_rule):
    found = by_name[name]
    assert found.meaning == meaning
    assert found.formula == formula
    assert found.unit == unit
    assert found.null_rule == null_rule


def test_on_demand_functions_are_told_of_by_their_docstrings(by_name):
    assert by_name["current_hr_ratio"] == Feature(
        name="current_hr_ratio",
        kind=ON_DEMAND,
        source="paceline.features.on_demand",
        meaning="Heart rate of this moment as a share of the one at threshold",
        formula="current / threshold, of (current_hr, threshold_hr)",
        unit="ratio",
        null_rule="Missing when an input is missing, or the threshold is 0",
        version=by_name["current_hr_ratio"].version,
        owner="paceline",
    )
    assert by_name["pace_deviation"].formula.startswith("(current - usual) / usual, ")


def test_every_word_has_to_be_mentioned_anywhere_in_any_case(features):
    names = {feature.name for feature in matching(features, ["EWMA", "chronic"])}
    assert names == {"ctl_ewma_42d"}
    odts = [feature.name for feature in matching(features, ["odt"])]
    assert odts == ["current_hr_ratio", "pace_deviation"]
    assert matching(features, []) == features
    assert matching(features, ["acwr", "no such word"]) == []


def test_a_description_of_another_shape_is_all_meaning(contracts):
    contract = contracts[ACTIVITIES]
    last = next(each for each in contract.columns if each.name == "hr_drift_ratio")
    odd = dataclasses.replace(last, name="odd", description="Odd.")
    other = dataclasses.replace(contract, columns=(*contract.columns[:2], odd))
    (found, *_) = catalogue({ACTIVITIES: other})
    assert (found.name, found.meaning, found.formula, found.null_rule) == ("odd", "Odd", "", "")


def test_piped_output_is_a_line_of_fields_for_each_feature(capsys, features):
    head, *lines = run(capsys).out.splitlines()
    names = [field.name for field in dataclasses.fields(Feature)]
    assert head.split("\t") == names
    assert [line.split("\t")[0] for line in lines] == [feature.name for feature in features]
    assert {line.count("\t") for line in lines} == {len(names) - 1}


def test_json_holds_the_same(capsys, by_name):
    (found,) = json.loads(run(capsys, "acwr", "uncoupled", "--json").out)
    assert found == dataclasses.asdict(by_name["acwr_uncoupled"])
    assert json.loads(run(capsys, "nothing-like-it", "--json").out) == []


def test_a_terminal_gets_a_table_for_each_source(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    out = run(capsys, "ratio", "missing").out
    assert "paceline.features.on_demand" in out
    assert "current_hr_ratio" in out
    assert "\t" not in out
    assert max(map(len, out.splitlines())) <= 100


def test_nothing_found_is_said_beside_the_output(capsys):
    told = run(capsys, "nothing-like-it", "at-all")
    assert told.out == ""
    assert told.err == "No feature mentions nothing-like-it and at-all.\n"


def test_the_catalogue_needs_no_pyspark():
    program = (
        "import sys; sys.modules['pyspark'] = None\n"
        "from paceline.cli.main import exit_code, paceline\n"
        "sys.exit(exit_code(paceline, ['features', 'acwr']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"acwr_uncoupled" in done.stdout
