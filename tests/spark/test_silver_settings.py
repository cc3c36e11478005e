"""silver.athlete_settings: which settings may be published, and which version of them wins."""

import json
from datetime import datetime

import pytest
from chispa import assert_df_equality

from paceline.recipe import (
    CURRENT,
    DISPOSITION,
    DUPLICATE,
    QUARANTINED,
    REASONS,
    SUPERSEDED,
    UNREADABLE,
)
from paceline.tables.silver import athlete_settings
from tests.spark.given import (
    CONTRACTS,
    change_feed,
    context,
    day,
    frame,
    row,
    rows_of,
    touched_keys,
)

BRONZE, NAME = "bronze.athlete_settings", "silver.athlete_settings"
T = 1_717_221_600_000_000
FULL = {
    "threshold_pace_s_per_km": 270,
    "hr_max_bpm": 190,
    "hr_rest_bpm": 50,
    "lthr_bpm": 170,
    "sex": "M",
}
NONE = dict.fromkeys(FULL)


def received(athlete_id, fields, valid_from="2024-01-01", **cells):
    """A record of bronze.athlete_settings."""
    payload = {"athlete_id": athlete_id, "valid_from": valid_from} | fields
    if "updated_at" in fields:
        changed = datetime.fromisoformat(fields["updated_at"])
        cells["change_time_us"] = int(changed.timestamp()) * 1_000_000
    return row(
        BRONZE,
        payload=json.dumps(payload),
        athlete_id=athlete_id,
        valid_from=day(valid_from),
        **cells,
    )


# By athlete: what is received, and what it is read as.
READ = {
    11: (FULL, FULL),
    12: ({}, NONE),
    13: ({"threshold_pace_s_per_km": "255.5"}, NONE | {"threshold_pace_s_per_km": 255.5}),
    14: ({"sex": "female"}, NONE | {"sex": "F"}),
    15: ({"sex": " m"}, NONE | {"sex": "M"}),
    # Minutes and seconds.
    16: ({"threshold_pace_s_per_km": " 4:00"}, NONE | {"threshold_pace_s_per_km": 240}),
    20: ({"threshold_pace_s_per_km": "12:05"}, NONE | {"threshold_pace_s_per_km": 725}),
    # The bounds themselves are allowed.
    17: ({"threshold_pace_s_per_km": 100}, NONE | {"threshold_pace_s_per_km": 100}),
    18: ({"threshold_pace_s_per_km": 1200}, NONE | {"threshold_pace_s_per_km": 1200}),
    19: (
        {"hr_rest_bpm": 30, "lthr_bpm": 250, "hr_max_bpm": 250},
        NONE | {"hr_rest_bpm": 30, "lthr_bpm": 250, "hr_max_bpm": 250},
    ),
}
BROKEN = {
    31: ({"threshold_pace_s_per_km": 99.9}, ["threshold_pace_range"]),
    32: ({"threshold_pace_s_per_km": 1201}, ["threshold_pace_range"]),
    33: ({"hr_rest_bpm": 29}, ["heartrates_range"]),
    34: ({"hr_max_bpm": 251}, ["heartrates_range"]),
    35: ({"hr_rest_bpm": 60, "lthr_bpm": 60}, ["hr_rest_below_lthr"]),
    36: ({"hr_rest_bpm": 60, "hr_max_bpm": 60}, ["hr_rest_below_max"]),
    37: ({"lthr_bpm": 171, "hr_max_bpm": 170}, ["lthr_within_max"]),
    # A word is not judged by its first letter.
    38: ({"sex": "Mrs"}, ["sex_known"]),
    39: ({"sex": "W"}, ["sex_known"]),
    # What is there and cannot be read is not taken for absent.
    40: (FULL | {"hr_max_bpm": [190]}, ["encoding_unknown"]),
    41: ({"lthr_bpm": "2:50"}, ["encoding_unknown"]),
    42: ({"threshold_pace_s_per_km": "4:60"}, ["encoding_unknown"]),
    # The record came in on 2 June 2024.
    43: ({"updated_at": "2024-06-04T00:00:00Z"}, ["change_time_ahead"]),
}
# Versions of the settings of an athlete, with their dispositions.
VERSIONS = {
    "the newest wins": [
        (received(51, {"hr_max_bpm": 191}, change_time_us=T + 2), CURRENT),
        (received(51, {"hr_max_bpm": 190}, change_time_us=T + 1), SUPERSEDED),
    ],
    "days do not compete with each other": [
        (received(52, {}, "2024-01-01", change_time_us=T + 2), CURRENT),
        (received(52, {}, "2024-02-01", change_time_us=T + 1), CURRENT),
    ],
    "an invalid newest keeps the newest valid": [
        (received(53, {"hr_max_bpm": 190}, change_time_us=T + 1), CURRENT),
        (received(53, {"hr_max_bpm": 300}, change_time_us=T + 2), QUARANTINED),
    ],
    "the same record twice is a duplicate": [
        (received(54, {}, source_path="a.jsonl"), DUPLICATE),
        (received(54, {}, source_path="b.jsonl"), CURRENT),
    ],
}
NAMELESS = [
    (row(BRONZE, payload="{", athlete_id=None, valid_from=None), UNREADABLE, ["unreadable"]),
    (
        row(BRONZE, payload='{"hr_max_bpm": 190}', athlete_id=None, valid_from=None),
        QUARANTINED,
        ["athlete_id_present", "valid_from_present"],
    ),
    (
        row(BRONZE, payload='{"athlete_id": 61}', athlete_id=61, valid_from=None),
        QUARANTINED,
        ["valid_from_present"],
    ),
]


def records():
    for athlete_id, (fields, _) in (READ | BROKEN).items():
        yield received(athlete_id, fields)
    for versions in VERSIONS.values():
        yield from (record for record, _ in versions)
    yield from (record for record, *_ in NAMELESS)


@pytest.fixture(scope="module")
def rows(spark):
    given = {BRONZE: frame(spark, BRONZE, list(records()))}
    return rows_of(athlete_settings.TABLE, given, context())


@pytest.fixture(scope="module")
def judged(rows):
    return rows.collect()


def test_rows_are_what_was_read(spark, rows):
    expected = [row(NAME, athlete_id=athlete_id) | cells for athlete_id, (_, cells) in READ.items()]
    measures = ("threshold_pace_s_per_km", "hr_max_bpm", "hr_rest_bpm", "lthr_bpm")
    for cells in expected:
        cells |= {name: None if cells[name] is None else float(cells[name]) for name in measures}
    published = rows.where(f"{DISPOSITION} = '{CURRENT}'").select(*CONTRACTS[NAME].column_names)
    assert_df_equality(
        published.where(f"athlete_id <= {max(READ)}"),
        frame(spark, NAME, expected),
        ignore_row_order=True,
        ignore_nullable=True,
    )


@pytest.mark.parametrize("athlete_id", BROKEN)
def test_a_broken_rule_is_named(judged, athlete_id):
    (found,) = [r for r in judged if r["athlete_id"] == athlete_id]
    assert (found[DISPOSITION], found[REASONS]) == (QUARANTINED, BROKEN[athlete_id][1])


@pytest.mark.parametrize("case", VERSIONS)
def test_which_version_wins(judged, case):
    expected = [
        (record["payload"], record["source_path"], disposition)
        for record, disposition in VERSIONS[case]
    ]
    athlete_id = VERSIONS[case][0][0]["athlete_id"]
    found = [
        (r["_record"]["payload"], r["_record"]["source_path"], r[DISPOSITION])
        for r in judged
        if r["athlete_id"] == athlete_id
    ]
    assert sorted(found) == sorted(expected)


def test_records_without_a_key_are_not_published(judged):
    found = {
        r["_record"]["payload"]: (r[DISPOSITION], r[REASONS]) for r in judged if not r["valid_from"]
    }
    assert found == {
        record["payload"]: (disposition, reasons) for record, disposition, reasons in NAMELESS
    }


def test_each_record_has_one_disposition(judged):
    assert len(judged) == len(list(records()))


def test_new_records_touch_their_days(spark):
    new = [received(11, FULL), received(11, FULL, "2024-02-01"), received(11, {})]
    changes = {BRONZE: change_feed(spark, BRONZE, insert=new)}
    assert touched_keys(athlete_settings.TABLE, changes, changes, context()) == {
        (11, day("2024-01-01")),
        (11, day("2024-02-01")),
    }
