"""The oracle of the property tests, against values worked out by hand: shape, reading, rules."""

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.oracle import Conf
from tests.oracle.compare import of_columns
from tests.oracle.worlds import (
    ACTIVITIES,
    RUN,
    SETTINGS,
    activity,
    api,
    delivery,
    export,
    refusals,
    settings,
    splits,
    world,
)

CONTRACTS = Path(__file__).parents[2] / "conf" / "contracts"


def test_columns_and_types_are_those_of_the_contracts():
    kinds = {"BIGINT": int, "INT": int, "DOUBLE": float, "STRING": str, "BOOLEAN": bool}
    kinds |= {"DATE": date, "TIMESTAMP": int, "TIMESTAMP_NTZ": datetime}
    full = {**RUN, "splits_metric": splits(*[(1000, 300, 150.0)] * 4), "average_heartrate": 150}
    tables = world(api(full), settings(valid_from="2024-01-01", hr_max_bpm=190)).tables
    assert len(tables) == 5
    for name, rows in tables.items():
        text = (CONTRACTS / f"{name}.odcs.yaml").read_text()
        columns = dict(re.findall(r"- name: (\w+)\n +logicalType: .*\n +physicalType: (\w+)", text))
        # A column that the oracle knows may come to the contract later.
        for row in of_columns(rows, columns).values():
            assert list(row) == list(columns), name
            for column, value in row.items():
                assert value is None or type(value) is kinds[columns[column]], (name, column)


def test_rules_come_in_the_order_of_the_contracts():
    names = {}
    for table in ACTIVITIES, SETTINGS:
        text = (CONTRACTS / f"{table}.odcs.yaml").read_text()
        names[table] = re.findall(r"- name: (\w+)\n.*\n.*\n +severity: error", text)
    everything = {"sport_type": "Run", "moving_time": 5, "elapsed_time": 1, "distance": 1e999}
    everything |= {"average_heartrate": 999, "max_heartrate": 1, "total_elevation_gain": -1}
    hearts = {"hr_rest_bpm": 251, "lthr_bpm": 251, "hr_max_bpm": 20, "sex": "X"}
    found = refusals(
        delivery("strava_api/a.jsonl", json.dumps(everything).replace("Infinity", "1e999")),
        delivery("strava_api/b.jsonl", {}),
        delivery("athlete_settings/a.jsonl", {"threshold_pace_s_per_km": 99, **hearts}),
    )
    broken = {table: [] for table in names}
    for table, _, rules in found:
        assert list(rules) == [name for name in names[table] if name in rules]
        broken[table] += rules
    not_broken = set(names[ACTIVITIES]) - set(broken[ACTIVITIES])
    # What an optional measure breaks is not there: it becomes NULL before it is judged.
    assert not_broken == {
        *("ride_speed_max", "elevation_gain_range"),
        *("average_heartrate_range", "average_heartrate_below_max"),
    }
    assert set(names[SETTINGS]) == set(broken[SETTINGS])


def test_a_record_of_the_api():
    row = activity(api({**RUN, "workout_type": 1, "commute": False, "average_heartrate": "150"}))
    assert row["start_date"] == 1_717_221_600_000_000
    assert row["start_date_local"] == datetime(2024, 6, 1, 8)
    assert (row["local_day"], row["sport_family"]) == (date(2024, 6, 1), "run")
    assert (row["is_race"], row["is_commute"], row["is_manual"]) == (True, False, None)
    assert (row["average_heartrate_bpm"], row["source"]) == (150.0, "strava_api")


@pytest.mark.parametrize(
    ("name", "value", "column", "expected"),
    [
        ("moving_time", 2151.0, "moving_time_s", 2151),
        ("moving_time", "2151.0", "moving_time_s", 2151),
        ("workout_type", 2.5, "workout_type", None),
        ("workout_type", True, "workout_type", None),
        ("distance", "1234.5", "distance_m", 1234.5),
        ("distance", [1], "distance_m", None),
        ("distance", -0.0, "distance_m", 0.0),
        ("name", 5, "name", "5"),
        ("trainer", 1, "is_trainer", True),
        ("trainer", 0.0, "is_trainer", False),
        ("commute", "false", "is_commute", False),
        ("commute", "no", "is_commute", None),
        ("manual", 2, "is_manual", None),
        ("average_watts", "NaN", "average_watts_w", None),
        ("kilojoules", "DDUA", "kilojoules", None),
        ("start_date_local", 1717228800000, "local_day", "2024-06-01"),
        ("utc_offset", "CET", "local_day", "2024-06-01"),
        ("sport_type", None, "sport_type", "Unknown"),
        ("sport_type", "Nordic Ski", "sport_family", "ski"),
    ],
)
def test_a_wrong_type_is_null_in_its_own_field(name, value, column, expected):
    row = activity(api({**RUN, name: value}))
    assert str(row[column]) == str(expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"start_date_local": "2024-06-02T00:30:00Z"}, "2024-06-02"),
        ({"utc_offset": 7200.0}, "2024-06-02"),
        ({"utc_offset": -3600, "timezone": "(GMT+01:00) Europe/Berlin"}, "2024-06-01"),
        ({"timezone": "(GMT+01:00) Europe/Berlin"}, "2024-06-02"),
        ({"timezone": "(GMT+01:00) Nowhere/Atall"}, "2024-06-01"),
        ({"timezone": "(GMT+02:00)"}, "2024-06-02"),
        ({}, "2024-06-01"),
    ],
)
def test_the_local_day(fields, expected):
    late = {**RUN, "start_date": "2024-06-01T22:30:00Z", "start_date_local": None, **fields}
    assert str(activity(api(late))["local_day"]) == expected


def test_the_zone_of_the_conf_comes_last():
    late = {**RUN, "start_date": "2024-06-01T22:30:00", "start_date_local": None}
    row = activity(api(late), athlete_timezone="Asia/Tokyo")
    tokyo = datetime(2024, 6, 2, 7, 30)
    assert (row["local_day"], row["start_date_local"]) == (date(2024, 6, 2), tokyo)


def test_the_export_is_read_by_name_and_position():
    header = "Activity ID,Activity Date,Activity Name,Activity Type,Elapsed Time,Distance,Commute"
    header += ",Elapsed Time,Moving Time,Distance,Commute,Competition"
    rows = world(
        export(
            header,
            '11,"Oct 5, 2014, 4:15:21\u202fPM","a,b",Nordic Ski,61,0.1,true,60.0,50.0,100.5,0.0,1',
            "12,2014-10-06 04:00:00,,Sail,60,1.5,true,,50,,,",
            "x3,,,,,,,,,,,",
        )
    )
    first, second = rows.tables[ACTIVITIES].values()
    assert first["start_date"] == datetime(2014, 10, 5, 16, 15, 21, tzinfo=UTC).timestamp() * 1e6
    assert (first["name"], first["sport_family"], first["is_race"]) == ("a,b", "ski", True)
    assert (first["elapsed_time_s"], first["distance_m"], first["is_commute"]) == (60, 100.5, False)
    assert (second["elapsed_time_s"], second["distance_m"]) == (60, 2778.0)
    assert (second["name"], second["is_commute"], second["is_race"]) == (None, True, False)
    assert rows.refused == {(ACTIVITIES, (7, None), ("encoding_unknown",))}


def test_files_that_are_not_read():
    line = json.dumps(RUN)
    paths = ("a.jsonl", "strava_api/_a.jsonl", "strava_api/.x/a.jsonl", "cdc/a.txt", "x/a.jsonl")
    assert activity(*(delivery(path, line) for path in paths)) is None


def test_a_document_and_the_athlete_in_the_folder():
    array = json.dumps([{**RUN, "athlete": None}, 3], indent=1)
    found = world(delivery("strava_api/athlete_id=8/a.json", f"\ufeff{array}"))
    assert list(found.tables[ACTIVITIES]) == [(8, 1)]
    assert found.refused == {(ACTIVITIES, (None, None), ("unreadable",))}


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({"start_date": "1979-12-31T23:59:59Z"}, ("start_date_present",)),
        ({"start_date": "2025-01-04T00:00:00Z"}, ("start_date_present",)),
        ({"start_date": "soon"}, ("start_date_present",)),
        ({"moving_time": -1}, ("moving_time_positive",)),
        ({"elapsed_time": 2997}, ("moving_within_elapsed",)),
        ({"distance": 0.0005}, ("distance_not_negative",)),
        # 25 km/h for 3,000 s are 20,833.3 m, 80 km/h are 66,666.7 m.
        ({"distance": 20_834}, ("run_speed_max",)),
        ({"sport_type": "Ride", "distance": 66_667}, ("ride_speed_max",)),
        ({"athlete": None}, ("athlete_id_present",)),
    ],
)
def test_rules(fields, rules):
    found = world(api({**RUN, **fields}))
    key = (None if "athlete" in fields else 7, 1)
    assert found.refused == {(ACTIVITIES, key, rules)}
    assert not found.tables[ACTIVITIES]


def test_the_edges_of_rules_pass():
    edges = {"elapsed_time": 2998, "distance": 20_833, "average_heartrate": 25}
    assert activity(api({**RUN, **edges, "start_date": "2025-01-03T23:10:00Z"}))
    assert activity(api({**RUN, "distance": 0}))
    assert activity(api({**RUN, "distance": None}))


def test_limits_can_be_changed():
    assert refusals(api(RUN), limits={"run_speed_max": 11.9})
    half = {**RUN, "distance": 21_098.0, "moving_time": 3_000}
    assert refusals(api(half))
    assert activity(api(half), limits={"run_speed_max": 25.4})
    assert activity(api({**RUN, "elapsed_time": 2900}), limits={"moving_within_elapsed_s": 100})
    with pytest.raises(ValueError, match="walk_speed_max"):
        Conf(date(2024, 1, 1), limits={"walk_speed_max": 9})


def test_what_cannot_be_read():
    broken = [
        "{",
        "[1]",
        "null",
        "NaN",
    ]
    for line in broken:
        assert refusals(api(line)) == {(ACTIVITIES, (None, None), ("unreadable",))}
    for line in ('{"id": 1.0}', '{"id": "x"}', '{"id": 9223372036854775808}'):
        assert refusals(api(line)) == {(ACTIVITIES, (None, None), ("encoding_unknown",))}
    assert refusals(settings(valid_from="soon")) == {(SETTINGS, (7, None), ("encoding_unknown",))}
    ((_, key, rules),) = refusals(api({**RUN, "id": None}))
    assert (key, rules) == ((7, None), ("activity_id_present",))
