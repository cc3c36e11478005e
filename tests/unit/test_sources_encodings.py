"""Values of change data, by the names of Kafka Connect and Debezium for their types."""

import base64

import pytest

from paceline.sources.encodings import PLACEHOLDER, UNREAD_BYTES, Printed, decoded

CONNECT, DEBEZIUM = "org.apache.kafka.connect.data", "io.debezium.time"
DECIMAL, VARIABLE = f"{CONNECT}.Decimal", "io.debezium.data.VariableScaleDecimal"
MILLIS = (f"{DEBEZIUM}.Timestamp", f"{CONNECT}.Timestamp")
INSTANTS = (*MILLIS, f"{DEBEZIUM}.MicroTimestamp", f"{DEBEZIUM}.NanoTimestamp")
DAYS = (f"{DEBEZIUM}.Date", f"{CONNECT}.Date")
LENGTHS = (
    *(f"{DEBEZIUM}.Time", f"{CONNECT}.Time", f"{DEBEZIUM}.MicroTime", f"{DEBEZIUM}.NanoTime"),
    *(f"{DEBEZIUM}.MicroDuration", f"{DEBEZIUM}.NanoDuration"),
)
READ = (DECIMAL, VARIABLE, *INSTANTS, *DAYS, f"{DEBEZIUM}.IsoDate", *LENGTHS)
# What has no name, an unknown one, or one whose values are as the API gives them.
PLAIN = (None, {}, 7, [], {"name": None}, {"name": "x.Y"}, {"name": [7]}, {"type": "double"})


def text_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def decimal(value: object, scale: object) -> object:
    return decoded(value, {"name": DECIMAL, "parameters": {"scale": scale}})


@pytest.mark.parametrize(
    ("raw", "scale", "expected"),
    [
        (b"\x01", "0", "1"),
        (b"\x04\xe8", "2", "12.56"),
        (b"\x04\xe8", 2, "12.56"),
        # A whole number may be an id.
        (b"\x03\xe8", "2", "10"),
        (b"\x00", "1", "0"),
        # Two's complement: the first bit is the sign.
        (b"\xff", "1", "-0.1"),
        (b"\x80", "0", "-128"),
        (b"\x00\x80", "0", "128"),
        (b"\x00\x00\x00\x01", "3", "0.001"),
        (b"\x01", "-2", "100"),
        # 2**64 and its hundredth: nothing passes through a float.
        (b"\x01" + b"\0" * 8, "0", "18446744073709551616"),
        (b"\x01" + b"\0" * 8, "2", "184467440737095516.16"),
        (b"\x01", "300", "0." + "0" * 299 + "1"),
        (b"\x01", "-300", "1" + "0" * 300),
        (b"\x01" + b"\0" * 99, "0", str(256**99)),
    ],
)
def test_a_decimal_is_an_integer_of_bytes_and_a_scale(raw: bytes, scale: object, expected: str):
    assert decimal(text_of(raw), scale) == expected
    variable = {"scale": int(scale), "value": text_of(raw)}
    assert decoded(variable, {"name": VARIABLE}) == expected
    # As Avro prints it, in the alphabet of bytes.
    printed = raw.decode("latin-1")
    avro = {"scale": {"int": int(scale)}, "value": {"bytes": printed}}
    assert decoded(avro, {"name": VARIABLE}) == expected
    stated = {"name": DECIMAL, "parameters": {"scale": scale}}
    assert decoded(printed, stated, UNREAD_BYTES) == expected


@pytest.mark.parametrize("value", [5, -5, 5.25, Printed("5.250"), Printed("1e10"), Printed("NaN")])
def test_a_decimal_may_be_the_number_itself(value: object):
    assert decimal(value, "2") is value


@pytest.mark.parametrize(
    ("value", "scale"),
    [
        ("", "0"),
        ("5.25", "2"),
        ("A", "0"),
        ("AQ", "0"),
        ("AQ==\n", "0"),
        (" AQ==", "0"),
        ("ä===", "0"),
        (text_of(b"\x01" * 101), "0"),
        ("A" * 1_000_000, "0"),
        ("AQ==", "301"),
        ("AQ==", "-301"),
        ("AQ==", "9" * 5000),
        ("AQ==", "1.5"),
        ("AQ==", "x"),
        ("AQ==", None),
        ("AQ==", True),
        ("AQ==", [1]),
        (True, "0"),
        ([1], "0"),
        ({"bytes": "AQ=="}, "0"),
        (PLACEHOLDER[1:], "0"),
    ],
)
def test_a_hostile_decimal_is_unreadable(value: object, scale: object):
    assert decimal(value, scale) == {"unreadable": value}


@pytest.mark.parametrize("parameters", [None, {}, [], 7, "scale", {"Scale": "1"}])
def test_a_decimal_without_scale_is_unreadable(parameters: object):
    stated = {"name": DECIMAL, "parameters": parameters}
    assert decoded("AQ==", stated) == {"unreadable": "AQ=="}
    assert decoded("AQ==", {"name": DECIMAL}) == {"unreadable": "AQ=="}


@pytest.mark.parametrize(
    "value",
    [
        *(7, True, "AQ==", [], {}, {"scale": 1}, {"value": "AQ=="}),
        *({"scale": None, "value": "AQ=="}, {"scale": 1, "value": None}),
        *({"scale": 1, "value": 5}, {"scale": 1, "value": {}}, {"scale": {}, "value": "AQ=="}),
        *({"scale": 1, "value": {"bytes": 5}}, {"scale": 1, "value": {"bytes": "Ā"}}),
        *({"scale": 1, "value": {"bytes": [5]}}, {"scale": 10**9, "value": "AQ=="}),
    ],
)
def test_a_decimal_of_another_shape_is_unreadable(value: object):
    assert decoded(value, {"name": VARIABLE}) == {"unreadable": value}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        # 19,875 days after 1970 and six hours.
        *((name, 1_717_221_600_000, "2024-06-01T06:00:00Z") for name in MILLIS),
        *((name, 1_717_221_600_250, "2024-06-01T06:00:00.250000Z") for name in MILLIS),
        *((name, -1, "1969-12-31T23:59:59.999000Z") for name in MILLIS),
        *((name, 0, "1970-01-01T00:00:00Z") for name in INSTANTS),
        (f"{DEBEZIUM}.Timestamp", "1717221600000", "2024-06-01T06:00:00Z"),
        (f"{DEBEZIUM}.Timestamp", 1_717_221_600_000.0, "2024-06-01T06:00:00Z"),
        (f"{DEBEZIUM}.Timestamp", -62_135_596_800_000, "0001-01-01T00:00:00Z"),
        (f"{DEBEZIUM}.Timestamp", 253_402_300_799_000, "9999-12-31T23:59:59Z"),
        (f"{DEBEZIUM}.MicroTimestamp", 1_717_221_600_000_001, "2024-06-01T06:00:00.000001Z"),
        (f"{DEBEZIUM}.NanoTimestamp", 1_717_221_600_000_001_999, "2024-06-01T06:00:00.000001Z"),
        (f"{DEBEZIUM}.NanoTimestamp", -1, "1969-12-31T23:59:59.999999Z"),
        *((name, 19_875, "2024-06-01") for name in DAYS),
        *((name, 0, "1970-01-01") for name in DAYS),
        *((name, -1, "1969-12-31") for name in DAYS),
        (f"{DEBEZIUM}.IsoDate", "2024-06-01Z", "2024-06-01"),
        (f"{DEBEZIUM}.IsoDate", "2024-02-29", "2024-02-29"),
        # How long something took, in seconds.
        (f"{DEBEZIUM}.Time", 240_000, "240"),
        (f"{DEBEZIUM}.Time", 90_500, "90.5"),
        (f"{CONNECT}.Time", 1, "0.001"),
        (f"{DEBEZIUM}.MicroTime", 3_661_000_000, "3661"),
        (f"{DEBEZIUM}.NanoTime", 3_661_000_000_000, "3661"),
        (f"{DEBEZIUM}.MicroDuration", 1, "0.000001"),
        (f"{DEBEZIUM}.MicroDuration", -1_500_000, "-1.5"),
        (f"{DEBEZIUM}.NanoDuration", 1, "0.000000001"),
        (f"{DEBEZIUM}.NanoDuration", 0, "0"),
        # Beyond every clock, but a number.
        (f"{DEBEZIUM}.Time", 2**70, "1180591620717411303.424"),
    ],
)
def test_a_time_is_a_count_since_1970_or_of_seconds(name: str, value: object, expected: str):
    assert decoded(value, {"name": name}) == expected


@pytest.mark.parametrize("name", [*INSTANTS, *DAYS, *LENGTHS, f"{DEBEZIUM}.IsoDate"])
@pytest.mark.parametrize(
    "value",
    [
        *("", "x", "infinity", "1.5", "2024-06-31Z", "2024-06-01T06:00:00Z", "Z", "9" * 5000),
        *(1.5, float("nan"), float("inf"), True, False, [1], {"a": 1}, Printed("1e3")),
    ],
)
def test_what_is_no_such_count_is_unreadable(name: str, value: object):
    assert decoded(value, {"name": name}) == {"unreadable": value}


@pytest.mark.parametrize("name", [*INSTANTS, *DAYS])
@pytest.mark.parametrize("value", [2**70, -(2**70), 10**4000])
def test_a_time_beyond_the_calendar_is_unreadable(name: str, value: int):
    assert decoded(value, {"name": name}) == {"unreadable": value}


@pytest.mark.parametrize(
    "stated", [*PLAIN, {"name": f"{DEBEZIUM}.ZonedTimestamp"}, {"name": "io.debezium.data.Json"}]
)
@pytest.mark.parametrize("value", ["AQ==", 7, 1.5, True, None, [1], {"scale": 1, "value": "AQ=="}])
def test_a_value_of_no_certain_type_stays_as_it_is(stated: object, value: object):
    assert decoded(value, stated) is value


@pytest.mark.parametrize("stated", [*PLAIN, *({"name": name} for name in READ)])
def test_what_is_not_there_is_never_decoded(stated: object):
    assert decoded(None, stated) is None
    # base64 of the placeholder, from coreutils.
    printed = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="
    for value in (PLACEHOLDER, printed, [PLACEHOLDER], [printed]):
        assert decoded(value, stated) == PLACEHOLDER


@pytest.mark.parametrize("value", [[PLACEHOLDER, 1], [[PLACEHOLDER]], f" {PLACEHOLDER}", {}])
def test_what_only_contains_the_placeholder_is_none(value: object):
    assert decoded(value, None) is value
