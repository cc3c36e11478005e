"""Contracts without Spark: what the files promise, and what a mistake in one says."""

import math
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from paceline.contract import NullLimit, Thresholds, load, load_all
from paceline.errors import LockedError, PacelineError, RejectedError, UsageError

CONTRACTS = Path(__file__).parents[2] / "conf" / "contracts"

RECEIVED = (
    "source_path STRING, source_digest STRING, line_number BIGINT, payload STRING, "
    "is_base64 BOOLEAN, source STRING, op STRING, athlete_id BIGINT, {second} "
    "change_time_us BIGINT, lsn BIGINT, {change}ingest_date DATE"
)
CHANGE = "change_log STRING, change_position STRING, change_id STRING, "
COLUMNS = {
    "bronze.strava_activities": RECEIVED.format(second="activity_id BIGINT,", change=CHANGE),
    "bronze.athlete_settings": RECEIVED.format(second="valid_from DATE,", change=""),
    "silver.strava_activities": (
        "athlete_id BIGINT, activity_id BIGINT, name STRING, sport_type STRING, "
        "sport_family STRING, workout_type BIGINT, is_race BOOLEAN, start_date TIMESTAMP, "
        "start_date_local TIMESTAMP_NTZ, local_day DATE, timezone STRING, distance_m DOUBLE, "
        "moving_time_s BIGINT, elapsed_time_s BIGINT, elevation_gain_m DOUBLE, "
        "average_heartrate_bpm DOUBLE, max_heartrate_bpm DOUBLE, average_cadence_rpm DOUBLE, "
        "average_watts_w DOUBLE, kilojoules DOUBLE, calories DOUBLE, is_manual BOOLEAN, "
        "is_trainer BOOLEAN, is_commute BOOLEAN, visibility STRING, source STRING"
    ),
    "silver.strava_sub_activity": (
        "athlete_id BIGINT, activity_id BIGINT, kind STRING, sub_index INT, distance_m DOUBLE, "
        "moving_time_s BIGINT, elapsed_time_s BIGINT, elevation_difference_m DOUBLE, "
        "average_speed_mps DOUBLE, average_heartrate_bpm DOUBLE, grade_adjusted_speed_mps DOUBLE, "
        "source STRING"
    ),
    "silver.athlete_settings": (
        "athlete_id BIGINT, valid_from DATE, threshold_pace_s_per_km DOUBLE, hr_max_bpm DOUBLE, "
        "hr_rest_bpm DOUBLE, lthr_bpm DOUBLE, sex STRING"
    ),
    "feature_store.activity_features": (
        "athlete_id BIGINT, activity_id BIGINT, event_timestamp TIMESTAMP, local_day DATE, "
        "sport_family STRING, is_race BOOLEAN, distance_km DOUBLE, moving_time_s BIGINT, "
        "elapsed_time_s BIGINT, elevation_gain_m DOUBLE, pace_min_km DOUBLE, "
        "elapsed_pace_min_km DOUBLE, speed_km_h DOUBLE, elevation_per_km DOUBLE, "
        "threshold_pace_min_km DOUBLE, intensity_factor DOUBLE, estimated_tss DOUBLE, "
        "tss_method STRING, trimp DOUBLE, hr_reserve_ratio DOUBLE, efficiency_m_per_beat DOUBLE, "
        "split_pace_cv DOUBLE, second_half_pace_ratio DOUBLE, hr_drift_ratio DOUBLE, "
        "is_duplicate_recording BOOLEAN, is_restricted BOOLEAN"
    ),
    "feature_store.athlete_rolling_features": (
        "athlete_id BIGINT, as_of_date DATE, event_timestamp TIMESTAMP, activities_1d BIGINT, "
        "distance_km_1d DOUBLE, moving_time_s_1d BIGINT, elevation_gain_m_1d DOUBLE, "
        "tss_1d DOUBLE, activities_without_tss_1d BIGINT, "
        "activities_7d BIGINT, active_days_7d BIGINT, distance_km_7d DOUBLE, "
        "moving_time_s_7d BIGINT, elevation_gain_m_7d DOUBLE, tss_7d DOUBLE, runs_7d BIGINT, "
        "run_distance_km_7d DOUBLE, "
        "activities_30d BIGINT, active_days_30d BIGINT, distance_km_30d DOUBLE, "
        "moving_time_s_30d BIGINT, elevation_gain_m_30d DOUBLE, tss_30d DOUBLE, runs_30d BIGINT, "
        "run_distance_km_30d DOUBLE, "
        "activities_90d BIGINT, active_days_90d BIGINT, distance_km_90d DOUBLE, "
        "moving_time_s_90d BIGINT, elevation_gain_m_90d DOUBLE, tss_90d DOUBLE, runs_90d BIGINT, "
        "run_distance_km_90d DOUBLE, "
        "tss_28d DOUBLE, tss_42d DOUBLE, run_pace_min_km_30d DOUBLE, run_pace_min_km_90d DOUBLE, "
        "ctl_42d DOUBLE, atl_7d DOUBLE, ctl_ewma_42d DOUBLE, atl_ewma_7d DOUBLE, tsb_ewma DOUBLE, "
        "acwr DOUBLE, acwr_uncoupled DOUBLE, monotony_7d DOUBLE, strain_7d DOUBLE, "
        "days_since_last_activity BIGINT, history_days BIGINT"
    ),
}
DELIVERY = ("source_path", "source_digest", "line_number")
ALL_RULES_OF_ACTIVITIES = {
    "error": (
        "athlete_id_present activity_id_present start_date_present moving_time_positive "
        "elapsed_time_positive moving_within_elapsed distance_not_negative elevation_gain_range "
        "run_speed_max ride_speed_max average_heartrate_range average_heartrate_below_max "
        "numbers_finite"
    ),
    "warning": "elapsed_over_24h run_slower_than_3_km_h gain_over_200_m_per_km",
}

SMALL = """\
kind: DataContract
apiVersion: v3.1.0
id: paceline.silver.shoes
version: 1.2.0
status: active
customProperties:
  - {property: policy, value: QUARANTINE}
  - {property: maxBrokenShare, value: 0.02}
schema:
  - name: shoes
    physicalName: silver.shoes
    description: Shoes of the athletes.
    properties:
      - name: shoe_id
        logicalType: integer
        physicalType: BIGINT
        required: true
        primaryKey: true
        primaryKeyPosition: 1
        description: The shoe. Never NULL.
        tags: [pii]
        classification: confidential
        examples: [7]
      - name: bought_at
        logicalType: timestamp
        physicalType: TIMESTAMP
        description: When it was bought. NULL when unknown.
        examples: ['2024-03-01T10:00:00Z', null]
      - name: worn_km
        logicalType: number
        physicalType: DOUBLE
        description: The athlete's own count of what the shoe has run.
        customProperties: [{property: unit, value: km}]
        examples: [12]
        quality:
          - metric: nullValues
            mustBeLessOrEqualTo: 5
            unit: percent
            severity: warning
            description: Nearly all are counted.
    quality:
      - metric: rowCount
        mustBeGreaterThan: 0
        unit: rows
        severity: error
        description: There are shoes.
      - name: worn_not_negative
        type: custom
        engine: paceline
        severity: error
        description: Nobody runs backwards.
        implementation: worn_km IS NULL OR worn_km >= 0
        customProperties:
          - {property: counterExample, value: {worn_km: -0.5}}
"""


@pytest.fixture(scope="module")
def contracts():
    return load_all(CONTRACTS)


def small(directory: Path, text: str = SMALL) -> Path:
    path = directory / "silver.shoes.odcs.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def line_of(text: str, part: str) -> int:
    """The line of the only place of `part`."""
    assert text.count(part) == 1, part
    return text[: text.index(part)].count("\n") + 1


def test_every_table_has_its_columns_and_types_in_order(contracts):
    found = {
        name: ", ".join(f"{c.name} {c.type}" for c in contract.columns)
        for name, contract in contracts.items()
    }
    assert found == COLUMNS


def test_keys(contracts):
    assert {name: contract.key for name, contract in contracts.items()} == {
        "bronze.strava_activities": DELIVERY,
        "bronze.athlete_settings": DELIVERY,
        "silver.strava_activities": ("athlete_id", "activity_id"),
        "silver.strava_sub_activity": ("athlete_id", "activity_id", "kind", "sub_index"),
        "silver.athlete_settings": ("athlete_id", "valid_from"),
        "feature_store.activity_features": ("athlete_id", "activity_id"),
        "feature_store.athlete_rolling_features": ("athlete_id", "as_of_date"),
    }


def test_policies_follow_the_layer(contracts):
    policies = {"bronze": "ALWAYS", "silver": "QUARANTINE", "feature_store": "STRICT"}
    for name, contract in contracts.items():
        layer = name.split(".")[0]
        assert contract.policy == policies[layer], name
        assert contract.append_only == (layer == "bronze"), name


def test_tables_without_a_source_may_be_empty_and_the_others_need_rows(contracts):
    may_be_empty = {name for name, contract in contracts.items() if contract.may_be_empty}
    assert may_be_empty == {
        "bronze.athlete_settings",
        "silver.athlete_settings",
        "silver.strava_sub_activity",
    }
    for name, contract in contracts.items():
        assert contract.thresholds.min_table_rows == (name not in may_be_empty), name


def test_rules_of_silver_activities_have_the_names_that_quarantine_shows(contracts):
    rules = contracts["silver.strava_activities"].rules
    for severity, names in ALL_RULES_OF_ACTIVITIES.items():
        assert [r.name for r in rules if r.severity == severity] == names.split()


def test_heart_rates_are_health_data_and_identifiers_are_personal(contracts):
    for name, contract in contracts.items():
        for column in contract.columns:
            if "heartrate" in column.name or column.name.startswith(("hr_", "lthr", "trimp")):
                assert "health" in column.tags, f"{name}.{column.name}"
            if column.name in ("athlete_id", "activity_id", "name", "sex", "payload"):
                assert "pii" in column.tags, f"{name}.{column.name}"
            assert bool(column.tags) == bool(column.classification), f"{name}.{column.name}"


def test_every_finite_rule_names_every_double(contracts):
    for name, contract in contracts.items():
        doubles = {c.name for c in contract.columns if c.type == "DOUBLE"}
        for rule in contract.rules:
            if rule.name == "numbers_finite":
                assert {d for d in doubles if f"abs({d})" in rule.predicate} == doubles, name


def test_example_row_has_the_types_of_python(contracts):
    row = contracts["silver.strava_activities"].example()
    assert list(row)[:3] == ["athlete_id", "activity_id", "name"]
    assert row["activity_id"] == 12345678901
    assert row["start_date"] == datetime(2024, 6, 1, 6, tzinfo=UTC)
    assert row["start_date_local"] == datetime(2024, 6, 1, 8)
    assert row["local_day"] == date(2024, 6, 1)
    assert row["average_watts_w"] is None
    assert isinstance(row["distance_m"], float)


def test_small_contract_is_read_whole(tmp_path):
    contract = load(small(tmp_path))
    assert (contract.name, contract.version) == ("silver.shoes", "1.2.0")
    assert contract.description == "Shoes of the athletes."
    assert contract.column_names == ("shoe_id", "bought_at", "worn_km")
    assert contract.key == ("shoe_id",)
    assert (contract.policy, contract.append_only, contract.may_be_empty) == (
        "QUARANTINE",
        False,
        False,
    )
    shoe, bought, worn = contract.columns
    assert (shoe.type, shoe.required, shoe.unit) == ("BIGINT", True, None)
    assert (shoe.classification, shoe.tags) == ("confidential", ("pii",))
    assert (bought.required, bought.example) == (False, datetime(2024, 3, 1, 10, tzinfo=UTC))
    assert (worn.unit, worn.example, type(worn.example)) == ("km", 12.0, float)
    (rule,) = contract.rules
    assert (rule.name, rule.severity) == ("worn_not_negative", "error")
    assert rule.predicate == "worn_km IS NULL OR worn_km >= 0"
    assert rule.counter_example == {"worn_km": -0.5}
    assert contract.thresholds == Thresholds(
        min_rows=1000,
        max_broken_share=0.02,
        null_limits=(NullLimit("worn_km", 0.05, "warning"),),
        min_table_rows=1,
    )


def test_ddl_escapes_comments(tmp_path):
    assert load(small(tmp_path, SMALL.replace("has run", r"h\as run"))).ddl() == (
        "shoe_id BIGINT NOT NULL COMMENT 'The shoe. Never NULL.', "
        "bought_at TIMESTAMP COMMENT 'When it was bought. NULL when unknown.', "
        r"worn_km DOUBLE COMMENT 'The athlete\'s own count of what the shoe h\\as run. Unit: km.'"
    )


def test_not_a_number_can_be_a_counter_example(tmp_path):
    contract = load(small(tmp_path, SMALL.replace("-0.5", ".nan")))
    assert math.isnan(contract.rules[0].counter_example["worn_km"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("worn_km >= 0", "worn_km > 0"),
        ("value: QUARANTINE", "value: STRICT"),
        ("physicalType: TIMESTAMP", "physicalType: TIMESTAMP\n        required: true"),
        ("name: worn_not_negative", "name: worn"),
    ],
)
def test_fingerprint_changes_with_what_can_change_a_row(tmp_path, old, new):
    before = load(small(tmp_path)).fingerprint_text()
    assert old in SMALL
    assert load(small(tmp_path, SMALL.replace(old, new))).fingerprint_text() != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Nobody runs backwards.", "Shoes do not run backwards."),
        ("tags: [pii]", "tags: [pii, shoe]"),
        ("examples: [12]", "examples: [13]"),
        ("version: 1.2.0", "version: 1.2.1"),
    ],
)
def test_fingerprint_stays_when_only_words_change(tmp_path, old, new):
    before = load(small(tmp_path)).fingerprint_text()
    assert old in SMALL
    assert load(small(tmp_path, SMALL.replace(old, new))).fingerprint_text() == before


SECOND_KEY = "logicalType: timestamp\n        primaryKey: true\n        required: true"
DOUBLE_CUSTOM = "{property: policy, value: QUARANTINE}\n  - {property: policy, value: STRICT}"
MISTAKES = {
    "not yaml": ("status: active", "status: [active", "customProperties:\n  -", "this is not YAML"),
    "tab": ("status: active", "\tstatus: active", "\tstatus", "this is not YAML"),
    "unknown field at the top": (
        "status: active",
        "status: active\nstate: new",
        "state: new",
        "the field 'state' is unknown, allowed are apiVersion, ",
    ),
    "unknown field of a column": (
        "tags: [pii]",
        "tag: [pii]",
        "tag: [pii]",
        "the field 'tag' is unknown, allowed are authoritativeDefinitions, ",
    ),
    "unknown field of a rule": (
        "implementation:",
        "predicate:",
        "predicate:",
        "the field 'predicate' is unknown, allowed are arguments, ",
    ),
    "field twice": (
        "tags: [pii]",
        "tags: [pii]\n        tags: []",
        "tags: []",
        "the field 'tags' is given twice.",
    ),
    "wrong kind of value": (
        "tags: [pii]",
        "tags: pii",
        "tags: pii",
        "the value of 'tags' is not usable",
    ),
    "other standard": (
        "apiVersion: v3.1.0",
        "apiVersion: v2.2.2",
        "apiVersion",
        "the apiVersion is 'v2.2.2', allowed are v3.1.0.",
    ),
    "unknown policy": (
        "value: QUARANTINE",
        "value: LENIENT",
        "value: LENIENT",
        "the policy is 'LENIENT', allowed are STRICT, QUARANTINE, ALWAYS.",
    ),
    "no policy": (
        "  - {property: policy, value: QUARANTINE}\n",
        "",
        "kind: DataContract",
        "the policy is missing, allowed are STRICT, QUARANTINE, ALWAYS.",
    ),
    "policy twice": (
        "{property: policy, value: QUARANTINE}",
        DOUBLE_CUSTOM,
        "value: STRICT",
        "the custom property 'policy' is given twice.",
    ),
    "unknown custom property": (
        "{property: policy, value: QUARANTINE}",
        "{property: polices, value: QUARANTINE}",
        "polices",
        "the property is 'polices', allowed are policy, appendOnly, mayBeEmpty, maxBrokenShare, "
        "minRows, entity.",
    ),
    "flag that is no flag": (
        "value: QUARANTINE}",
        "value: QUARANTINE}\n  - {property: appendOnly, value: 'no'}",
        "appendOnly",
        "'appendOnly' is 'no', allowed are true, false.",
    ),
    "unknown type": (
        "physicalType: DOUBLE",
        "physicalType: FLOAT",
        "FLOAT",
        "the physicalType is 'FLOAT', allowed are BIGINT, INT, DOUBLE, BOOLEAN, DATE, TIMESTAMP, "
        "TIMESTAMP_NTZ, STRING.",
    ),
    "types that contradict": (
        "logicalType: number",
        "logicalType: string",
        "logicalType: string",
        "the logicalType is 'string', allowed are number.",
    ),
    "column twice": (
        "name: worn_km",
        "name: bought_at # again",
        "name: bought_at # again",
        "there are two columns with the name 'bought_at'.",
    ),
    "column without a name": (
        "- name: worn_km\n        logicalType",
        "- logicalType",
        "- logicalType",
        "the field 'name' is missing or no text.",
    ),
    "column without a description": (
        "        description: The shoe. Never NULL.\n",
        "",
        "- name: shoe_id",
        "the field 'description' is missing or no text.",
    ),
    "no key": (
        "        primaryKey: true\n        primaryKeyPosition: 1\n",
        "",
        "- name: shoes",
        "the table has no key, give its key columns 'primaryKey: true'.",
    ),
    "nullable key": (
        "        required: true\n        primaryKey: true",
        "        primaryKey: true",
        "- name: shoe_id",
        "the key column 'shoe_id' needs 'required: true'.",
    ),
    "key that does not start at 1": (
        "primaryKeyPosition: 1",
        "primaryKeyPosition: 2",
        "- name: shoe_id",
        "column 1 is 'shoe_id', it needs 'primaryKey: true' and 'primaryKeyPosition: 1'",
    ),
    "gap in the key": (
        "logicalType: timestamp",
        SECOND_KEY + "\n        primaryKeyPosition: 3",
        "- name: bought_at",
        "column 2 is 'bought_at', it needs 'primaryKey: true' and 'primaryKeyPosition: 2'",
    ),
    "no examples": (
        "        examples: [7]\n",
        "",
        "- name: shoe_id",
        "the column 'shoe_id' has no examples",
    ),
    "example of another type": (
        "examples: [7]",
        "examples: ['7']",
        "examples: ['7']",
        "the value '7' of 'shoe_id' is no BIGINT.",
    ),
    "example too large": (
        "examples: [7]",
        "examples: [9223372036854775808]",
        "examples: [92",
        "the value 9223372036854775808 of 'shoe_id' is no BIGINT.",
    ),
    "instant without a zone": (
        "10:00:00Z",
        "10:00:00",
        "10:00:00",
        "the value '2024-03-01T10:00:00' of 'bought_at' is no TIMESTAMP.",
    ),
    "null as example of a required column": (
        "examples: [7]",
        "examples: [null, 7]",
        "examples: [null",
        "the required column 'shoe_id' has a null as first example.",
    ),
    "unknown severity": (
        "severity: warning",
        "severity: fatal",
        "severity: fatal",
        "the severity is 'fatal', allowed are error, warning.",
    ),
    "rule without a name": (
        "- name: worn_not_negative\n        type",
        "- type",
        "- type: custom",
        "the field 'name' is missing or no text.",
    ),
    "rule without an expression": (
        "        implementation: worn_km IS NULL OR worn_km >= 0\n",
        "",
        "- name: worn_not_negative",
        "the field 'implementation' is missing or no text.",
    ),
    "rule of another engine": (
        "engine: paceline",
        "engine: soda",
        "engine: soda",
        "the engine is 'soda', allowed are paceline.",
    ),
    "rule without a counter-example": (
        "        customProperties:\n          - {property: counterExample, "
        "value: {worn_km: -0.5}}\n",
        "",
        "- name: worn_not_negative",
        "the rule 'worn_not_negative' has no counterExample",
    ),
    "rule on an unknown column": (
        "worn_km >= 0",
        "worn_miles >= 0",
        "worn_miles",
        "the rule 'worn_not_negative' names the unknown column 'worn_miles', allowed are "
        "shoe_id, bought_at, worn_km",
    ),
    "counter-example of an unknown column": (
        "{worn_km: -0.5}",
        "{worn_miles: -0.5}",
        "worn_miles",
        "the counterExample names the unknown column 'worn_miles', allowed are "
        "shoe_id, bought_at, worn_km.",
    ),
    "counter-example of another type": (
        "{worn_km: -0.5}",
        "{worn_km: far}",
        "worn_km: far",
        "the value 'far' of 'worn_km' is no DOUBLE.",
    ),
    "empty counter-example": (
        "{worn_km: -0.5}",
        "{}",
        "value: {}",
        "a counterExample is a mapping of columns to values.",
    ),
    "unknown metric": (
        "metric: nullValues",
        "metric: nilValues",
        "nilValues",
        "the metric is 'nilValues', allowed are nullValues.",
    ),
    "metric without a comparison": (
        "        mustBeGreaterThan: 0\n",
        "",
        "- metric: rowCount",
        "'rowCount' needs the comparison 'mustBeGreaterThan' and no other.",
    ),
    "table called differently from the file": (
        "physicalName: silver.shoes",
        "physicalName: silver.socks",
        "physicalName",
        "the table is called 'silver.socks', the file has to be called "
        "<schema>.<table>.odcs.yaml after it.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named_with_file_line_and_what_is_allowed(tmp_path, mistake):
    old, new, at, message = MISTAKES[mistake]
    assert SMALL.count(old) == 1
    text = SMALL.replace(old, new)
    path = small(tmp_path, text)
    with pytest.raises(UsageError) as error:
        load(path)
    said = str(error.value)
    assert said.startswith(f"{path}:{line_of(text, at)}: {message}")
    assert "\n" not in said


def test_rule_twice(tmp_path):
    rule = SMALL[SMALL.index("      - name: worn_not_negative") :]
    path = small(tmp_path, SMALL + rule)
    with pytest.raises(UsageError) as error:
        load(path)
    second = SMALL.count("\n") + 1
    assert str(error.value) == (
        f"{path}:{second}: there are two rules with the name 'worn_not_negative'."
    )


def test_words_in_quotes_are_no_columns(tmp_path):
    text = SMALL.replace("worn_km >= 0", "'it\\'s worn' <> CAST(worn_km AS STRING) OR 2.5D > 1e3")
    assert load(small(tmp_path, text)).rules[0].predicate.endswith("1e3")


@pytest.mark.parametrize("text", ["", "- a list\n", "just words\n"])
def test_file_that_is_no_mapping(tmp_path, text):
    path = small(tmp_path, text)
    with pytest.raises(UsageError) as error:
        load(path)
    assert str(error.value) == f"{path}:1: a contract is a mapping of fields, this file is not."


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(UsageError, match="the contract cannot be read"):
        load(tmp_path / "silver.shoes.odcs.yaml")
    path = small(tmp_path)
    path.write_bytes(b"kind: \xff\n")
    with pytest.raises(UsageError, match="the contract cannot be read"):
        load(path)
    path.write_bytes(b"kind: \x00\n")
    with pytest.raises(UsageError, match="this is not YAML"):
        load(path)


def test_directory_without_contracts(tmp_path):
    with pytest.raises(UsageError, match="there is no contract here"):
        load_all(tmp_path)


def test_loading_needs_no_spark():
    code = (
        "import sys; from pathlib import Path; from paceline.contract import load_all;"
        "print(len(load_all(Path(sys.argv[1])))); assert 'pyspark' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(CONTRACTS)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "7\n"


def test_exit_codes():
    assert PacelineError.exit_code == 1
    assert UsageError("").exit_code == 2
    assert RejectedError("").exit_code == 3
    assert LockedError("").exit_code == 4
    for error in (UsageError, RejectedError, LockedError):
        assert issubclass(error, PacelineError)
