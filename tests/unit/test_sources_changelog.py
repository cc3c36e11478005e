"""Where a change stands in its log, and which change it is."""

import json
from itertools import pairwise

import pytest

from paceline.sources.changelog import has_statement_time, identity, log, position
from paceline.sources.envelope import read

SQLSERVER = {"connector": "sqlserver", "change_lsn": "00000027:00000ac0:0002"}
POSTGRESQL = {"connector": "postgresql", "name": "fit", "db": "x", "table": "a", "ts_ms": 5}


def mysql(file: object, pos: object, row: object = 0, server_id: object = 1) -> dict[str, object]:
    return {"connector": "mysql", "server_id": server_id, "file": file, "pos": pos, "row": row}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"connector": "postgresql", "name": "fit"}, "postgresql/fit"),
        ({"name": "fit"}, "fit"),
        ({"connector": "mysql", "name": ""}, "mysql"),
        ({}, ""),
        ({"connector": 7, "name": ["fit"]}, ""),
        ({"connector": "mysql", "name": "Läufe"}, "mysql/Läufe"),
        # Half of a character, which no encoding has.
        ({"connector": "mysql", "name": "\ud800"}, "mysql/?"),
    ],
)
def test_a_log_is_a_connector_and_a_server(source: dict[str, object], expected: str):
    assert log(source) == expected


@pytest.mark.parametrize(
    "ascending",
    [
        [{"connector": "postgresql", "lsn": lsn} for lsn in (0, 9, "10", 99, 100, 2**63, 2**64)],
        [
            mysql("binlog.000009", 999, 9, server_id=0),
            mysql("binlog.000009", 999),
            mysql("binlog.000009", 1000, None),
            mysql("binlog.000009", 1000, 0),
            mysql("binlog.000009", "1000", 2),
            mysql("binlog.000009", 1000, 10),
            mysql("binlog.000010", 4),
            mysql("other-bin.1000000", 4),
            mysql("binlog.000009", 4, server_id=2),
        ],
        [{**mysql(None, pos), "connector": "mariadb"} for pos in (4, 40, 300)],
        [
            # A snapshot has no change yet; all numbers are hexadecimal.
            {**SQLSERVER, "commit_lsn": "00000027:00000ac0:0002", "change_lsn": None},
            {**SQLSERVER, "commit_lsn": "00000027:00000ac0:0002"},
            {**SQLSERVER, "commit_lsn": "00000027:00000ac0:0002", "event_serial_no": 1},
            {**SQLSERVER, "commit_lsn": "00000027:00000ac0:0002", "event_serial_no": 2},
            {**SQLSERVER, "commit_lsn": "00000027:00000ac0:0002", "event_serial_no": 10},
            {**SQLSERVER, "commit_lsn": "27:AC0:000a"},
            {**SQLSERVER, "commit_lsn": "00000027:00000ac0:0010"},
            {**SQLSERVER, "commit_lsn": "00000028:00000001:0001"},
            {**SQLSERVER, "commit_lsn": "00000100:00000001:0001"},
        ],
        [
            {"connector": "oracle", "scn": "5"},
            {"connector": "oracle", "commit_scn": "9", "scn": "7"},
            {"connector": "oracle", "commit_scn": "9", "scn": "7", "ssn": 0},
            {"connector": "oracle", "commit_scn": "9", "scn": "7", "ssn": 10},
            {
                "connector": "oracle",
                "commit_scn": "9",
                "scn": "7",
                "rs_id": " 0x000086.0000014f.0010 ",
                "ssn": 0,
            },
            {
                "connector": "oracle",
                "commit_scn": "9",
                "scn": "7",
                "rs_id": "0x000086.00000150.0010",
                "ssn": 0,
            },
            {"connector": "oracle", "commit_scn": "9", "scn": "10", "ssn": 0},
            # One of each of several nodes: the first.
            {"connector": "oracle", "commit_scn": "10,3", "scn": "8"},
            {"connector": "oracle", "commit_scn": "18446744073709551615", "scn": "8"},
        ],
        [{"connector": "mongodb", "ts_ms": ms, "ord": n} for ms, n in ((9, 99), (10, 2), (10, 10))],
    ],
    ids=["postgresql", "mysql", "mariadb", "sqlserver", "oracle", "mongodb"],
)
def test_positions_sort_as_their_logs_do(ascending: list[dict[str, object]]):
    places = [position(source) for source in ascending]
    assert all(one < other for one, other in pairwise(places)), places
    # A connector that does not say what it is has the numbers of one that does.
    assert [position({**source, "connector": None}) for source in ascending] == places


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"lsn": 7}, "00000000000000000007"),
        ({"lsn": 7.0}, "00000000000000000007"),
        ({"connector": "yugabytedb", "lsn": "7"}, "00000000000000000007"),
        ({"connector": ["postgresql"], "lsn": 7}, "00000000000000000007"),
        ({"lsn": 2**64 - 1}, "18446744073709551615"),
        (
            mysql("binlog.000003", 4, None),
            "00000000000000000001 00000000000000000003 00000000000000000004 -",
        ),
        (
            mysql("db7-binlog-000012.ibb", 4, None),
            "00000000000000000001 00000000000000000012 00000000000000000004 -",
        ),
        (mysql("1a" * 1_000_000, 4, 0, None), f"- {'1'.zfill(20)} {'4'.zfill(20)} {'0' * 20}"),
        (mysql("x", 4, 0, None), "- - 00000000000000000004 00000000000000000000"),
        ({"connector": "oracle", "scn": "8"}, "- 00000000000000000008 - - - -"),
        ({"connector": "oracle", "commit_scn": "8"}, "00000000000000000008 - - - - -"),
        # The first log of which a number that tells is there.
        ({"lsn": None, "pos": 4}, "- - 00000000000000000004 -"),
    ],
)
def test_a_missing_number_is_before_all_others(source: dict[str, object], expected: str):
    assert position(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"connector": "postgresql"},
        # What another log calls its position is none.
        {"connector": "postgresql", "pos": 4, "scn": "5"},
        {"connector": "mysql", "lsn": 7, "file": "binlog", "server_id": 1, "row": 1},
        {"connector": "sqlserver", "event_serial_no": 1},
        {"connector": "sqlserver", "commit_lsn": "00000027:00000ac0"},
        {"connector": "sqlserver", "commit_lsn": "00000027:00000ac0:000g"},
        {"connector": "sqlserver", "commit_lsn": 27},
        {"connector": "oracle", "ssn": 9, "rs_id": "0x000086.00000146.0010"},
        {"connector": "mongodb", "ts_ms": 5},
        *(
            {"connector": name, "lsn": value, "pos": value, "scn": value, "ord": value}
            for name in ("postgresql", "mysql", "sqlserver", "oracle", "mongodb", None, [1], {})
            for value in (None, "", "x", "0/16E8F58", -1, "-1", 1.5, True, [7], {}, 10**20, "٣")
        ),
        {"lsn": float("inf"), "pos": float("nan"), "scn": 1e308},
    ],
)
def test_what_is_no_number_is_no_position(source: dict[str, object]):
    assert position(source) is None


def told(source: dict[str, object], **others: object) -> str | None:
    known = {"op": "u", "key": 1, "time_us": 5000, "images": ({"x": 1}, {"x": 2})}
    return identity(source, **{**known, **others})


def test_a_change_is_delivered_again_as_the_same_change():
    source = {**POSTGRESQL, "lsn": 7}
    assert told(source) == told(json.loads(json.dumps(source)))
    # What a connector says of it later, or another way to print it, does not matter.
    assert told(source) == told({**source, "snapshot": "true", "lsn": "7"})
    assert told(POSTGRESQL) == told({**POSTGRESQL, "snapshot": "true"})
    assert told(POSTGRESQL) == told(POSTGRESQL, images=[{"x": 1}, {"x": 2}])


def test_changes_of_a_transaction_may_share_a_position():
    source = {**POSTGRESQL, "lsn": 7}
    assert told(source, images=({"x": 2}, {"x": 3})) != told(source)


@pytest.mark.parametrize("lsn", [7, None])
@pytest.mark.parametrize(
    ("source", "others"),
    [
        ({"name": "other"}, {}),
        ({"connector": "vitess"}, {}),
        ({"db": "y"}, {}),
        ({"schema": "archive"}, {}),
        ({"table": "b"}, {}),
        ({"collection": "a"}, {}),
        ({}, {"op": "c"}),
        ({}, {"key": 2}),
        ({}, {"key": None}),
        ({"lsn": 8}, {}),
        # A log that was reset counts from its start again.
        ({}, {"time_us": 6000}),
    ],
)
def test_another_change_is_another(
    lsn: int | None, source: dict[str, object], others: dict[str, object]
):
    known = {**POSTGRESQL, "lsn": lsn}
    assert told({**known, **source}, **others) != told(known)


def test_without_position_images_and_time_tell_changes_apart():
    assert told(POSTGRESQL, images=({"x": 1}, {"x": 3})) != told(POSTGRESQL)
    assert told(POSTGRESQL, images=({"x": 2}, {"x": 1})) != told(POSTGRESQL)
    assert told(POSTGRESQL, time_us=6000) != told(POSTGRESQL)
    assert told({**POSTGRESQL, "lsn": "0/16E8F58"}, images=None) != told(POSTGRESQL)
    # Neither where nor when.
    assert told({}, time_us=None) is None
    assert told({"lsn": 7}, time_us=None) is not None


def test_images_are_the_same_however_they_are_encoded():
    source = {"connector": "postgresql", "ts_ms": 5}
    plain = {"op": "c", "after": {"x": 1, "id": 1}, "source": source}
    union = {"op": "c", "after": {"a.B": {"id": {"long": 1}, "x": {"int": 1}}}, "source": source}
    one, other = (read(message) for message in (plain, union))
    assert told(source, images=(one.before, one.after)) == told(
        source, images=(other.before, other.after)
    )


@pytest.mark.parametrize("hostile", ["\ud800", float("nan"), [[]], {"a": {}}, True, 10**400, None])
def test_anything_gives_an_identity(hostile: object):
    source = dict.fromkeys(("connector", "name", "db", "table", "lsn", "ts_ms"), hostile)
    assert len(told(source, images=({"x": hostile}, None))) == 64
    assert log(source).encode() is not None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"connector": "mysql"}, True),
        ({"connector": "mariadb", "gtid": None}, True),
        ({"connector": "mysql", "gtid": ""}, True),
        ({"connector": "mysql", "gtid": "24da-0001:5"}, False),
        ({"connector": "mariadb", "gtid": "0-1-5"}, True),
        ({"connector": "postgresql"}, False),
        ({"connector": ["mysql"]}, False),
        ({"pos": 4}, False),
        ({}, False),
    ],
)
def test_mariadb_and_mysql_without_gtid_have_the_time_of_the_statement(
    source: dict[str, object], expected: bool
):
    assert has_statement_time(source) is expected
