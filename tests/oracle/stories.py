"""Stories of rows in a source database, as the messages of a connector and as they ended.

Each activity lives in a database of its own kind and connector. What the database does is simulated
here, so that its last state is known without reading a single message.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PLACEHOLDER = "__debezium_unavailable_value"
CONNECTORS = ("postgresql", "mysql", "mariadb", "sqlserver", "oracle", "mongodb")
BEGIN_MS = 1_717_221_600_000  # 2024-06-01T06:00:00Z

Message = dict[str, Any]
Row = dict[str, Any]


@dataclass
class Story:
    """What happened to one activity.

    Attributes:
        activity_id: of the row.
        messages: the changes, in the order of their commits.
        last: the row as it ended; None when it is gone.
    """

    activity_id: int
    connector: str
    messages: list[Message] = field(default_factory=list)
    last: Row | None = None


def story(activity_id: int, chance: random.Random) -> Story:
    """A row that is created, updated, deleted and created again, often within a millisecond."""
    told = Story(activity_id, CONNECTORS[activity_id % len(CONNECTORS)])
    clock_ms, place = BEGIN_MS + chance.randrange(86_400_000), chance.randrange(1, 10_000)
    has_gtid = chance.random() < 0.5
    if chance.random() < 0.3:
        told.last = _row(activity_id, chance)
        told.messages.append(_message(told, "r", None, clock_ms, place, has_gtid, is_snapshot=True))
    for _ in range(chance.randrange(1, 7)):
        clock_ms += chance.choice((0, 0, 0, 1, 700, 5_000))
        place += chance.choice((1, 9, 90, 900))
        before = told.last
        if before is None:
            op, told.last = "c", _row(activity_id, chance)
        elif chance.random() < 0.25:
            op, told.last = "d", None
        else:
            op, told.last = "u", {**before, "name": f"edit {place}"}
            if chance.random() < 0.3:
                told.last["splits_metric"] = _splits(chance)
        told.messages.append(_message(told, op, before, clock_ms, place, has_gtid))
    return told


def deliveries(stories: list[Story], chance: random.Random, files: int) -> list[list[str]]:
    """The lines of some files: every change at least once and in any order, and noise.

    Some changes come again after a crash of the connector, which processes them at another time.
    """
    lines = []
    for told in stories:
        for message in told.messages:
            lines.append(message)
            if chance.random() < 0.3:
                lines.append(
                    {**message, "ts_ms": message["ts_ms"] + chance.randrange(1, 9_000_000)}
                )
        lines += _noise(told, chance)
    found: list[list[str]] = [[] for _ in range(files)]
    for message in lines:
        found[chance.randrange(files)].append(json.dumps(message))
    for of_file in found:
        chance.shuffle(of_file)
    return found


def _row(activity_id: int, chance: random.Random) -> Row:
    return {
        "activity_id": activity_id,
        "athlete_id": 1000 + activity_id % 7,
        "name": f"new {chance.randrange(1_000_000)}",
        "sport_type": "Run",
        "start_date": "2024-06-01T06:00:00Z",
        "distance_m": float(chance.randrange(5_000, 9_000)),
        "moving_time_s": 3000,
        "elapsed_time_s": 3100,
        "splits_metric": _splits(chance),
    }


def _splits(chance: random.Random) -> str:
    part = {"split": 1, "distance": float(chance.randrange(900, 1100)), "moving_time": 300}
    return json.dumps([part])


def _message(
    told: Story,
    op: str,
    before: Row | None,
    clock_ms: int,
    place: int,
    has_gtid: bool,
    *,
    is_snapshot: bool = False,
) -> Message:
    """A change as the connector of the story prints it."""
    after = told.last
    if told.connector == "postgresql" and before is not None:
        # The default replica identity: only the key before, and no long value that is unchanged.
        if after is not None and after["splits_metric"] == before["splits_metric"]:
            after = {**after, "splits_metric": PLACEHOLDER}
        before = {**dict.fromkeys(before), "activity_id": told.activity_id, "athlete_id": 0}
        before = before if op == "d" else None
    source = _source(told.connector, clock_ms, place, has_gtid, is_snapshot)
    images: Message = {"before": before, "after": after}
    if told.connector == "mongodb":
        # Images are texts, without their pre-images a delete could not be told.
        images = {name: each and json.dumps(each) for name, each in images.items()}
        source["collection"] = "activities"
    elif told.connector == "oracle":
        images = {
            name: each and {key.upper(): value for key, value in each.items()}
            for name, each in images.items()
        }
        source["table"] = "ACTIVITIES"
    else:
        source["table"] = "activities"
    return {**images, "source": source, "op": op, "ts_ms": clock_ms + 100}


def _source(
    connector: str, clock_ms: int, place: int, has_gtid: bool, is_snapshot: bool
) -> Message:
    source: Message = {"connector": connector, "name": "app", "db": "app", "ts_ms": clock_ms}
    if connector == "postgresql":
        return source | {"lsn": place}
    if connector in ("mysql", "mariadb"):
        binlog = {"file": f"binlog.{place // 1000:06}", "pos": place % 1000, "row": 0}
        if is_snapshot:
            return source | binlog | {"server_id": 0, "gtid": None}
        if not has_gtid:
            # Printed is when the statement began, which may then have waited for a lock.
            source["ts_ms"] = (clock_ms - (place * 7919) % 3000) // 1000 * 1000
        return source | binlog | {"server_id": 223, "gtid": f"x:{place}" if has_gtid else None}
    if connector == "sqlserver":
        lsn = f"00000027:{place:08x}:0002"
        return source | {"commit_lsn": lsn, "change_lsn": None if is_snapshot else lsn}
    if connector == "oracle":
        return source | {"commit_scn": str(place), "scn": str(place - 1), "ssn": 0}
    # MongoDB counts the changes of a second.
    return source | {"ts_ms": clock_ms // 1000 * 1000, "ord": clock_ms % 1000 * 10_000 + place}


def _noise(told: Story, chance: random.Random) -> Iterator[Message]:
    """What is about no activity, even where it has the number of one."""
    of_row = {"connector": told.connector, "name": "app", "ts_ms": BEGIN_MS * 2}
    key = {"id": told.activity_id, "activity_id": told.activity_id}
    noise = [
        {"op": "d", "before": key, "after": None, "source": {**of_row, "table": "photos"}},
        {"op": "t", "before": None, "after": None, "source": {**of_row, "table": "gear"}},
        {"op": "m", "source": of_row, "message": {"prefix": "p", "content": "aGk="}},
        {"ts_ms": BEGIN_MS},
        {"status": "BEGIN", "id": "571:1", "event_count": None, "ts_ms": BEGIN_MS},
        {"source": of_row, "databaseName": "app", "ddl": "ALTER TABLE activities", "ts_ms": 1},
    ]
    yield from chance.sample(noise, 2)


def uglier(message: Message, chance: random.Random) -> Any:
    """The message as another converter, transform or fault would have it."""
    after = message["after"]
    if not isinstance(after, dict) or "activity_id" not in after:
        return message
    return chance.choice(_FORMS)(message, after, chance)


def _changed(message: Message, **cells: Any) -> Message:
    return {**message, "after": {**message["after"], **cells}}


_MICROS = "io.debezium.time.MicroTimestamp"
_DECIMAL = {
    "name": "org.apache.kafka.connect.data.Decimal",
    "parameters": {"scale": "2"},
    "field": "distance_m",
}


def _wrapped(message: Message, *fields: Message) -> Message:
    schema = {"fields": [{"field": "after", "fields": list(fields)}]}
    return {"schema": schema, "payload": message}


def _flat(message: Message, after: Row, chance: random.Random) -> Message:
    source = message["source"]
    flat = {f"__source_{name}": each for name, each in source.items()}
    return {**after, **flat, "__op": message["op"], "__ts_ms": message["ts_ms"]}


def _union(value: Any) -> Any:
    names = {bool: "boolean", int: "long", float: "double", str: "string"}
    return None if value is None else {names[type(value)]: value}


def _cloud_event(message: Message, after: Row, chance: random.Random) -> Message:
    attributes = {
        f"iodebezium{name.replace('_', '')}": each for name, each in message["source"].items()
    }
    data = {"before": message["before"], "after": after}
    return {"specversion": "1.0", **attributes, "iodebeziumop": message["op"], "data": data}


_FORMS = (
    lambda message, after, chance: message,
    lambda message, after, chance: message,
    lambda message, after, chance: {"schema": None, "payload": message},
    lambda message, after, chance: _changed(
        message, name=chance.choice((PLACEHOLDER, [PLACEHOLDER]))
    ),
    lambda message, after, chance: _changed(message, splits_metric=PLACEHOLDER),
    # 8,000.00 in base64: known by its schema, or not at all.
    lambda message, after, chance: _changed(message, distance_m="DDUA"),
    lambda message, after, chance: _wrapped(_changed(message, distance_m="DDUA"), _DECIMAL),
    lambda message, after, chance: _changed(message, distance_m={"scale": 2, "value": "DDUA"}),
    lambda message, after, chance: _changed(message, start_date=BEGIN_MS * 1000),
    lambda message, after, chance: _wrapped(
        _changed(message, start_date=BEGIN_MS * 1000), {"field": "start_date", "name": _MICROS}
    ),
    lambda message, after, chance: _changed(
        message, start_date=chance.choice(("infinity", "2024-06-01Z", "2024-06-01"))
    ),
    lambda message, after, chance: _changed(
        message, distance_m=chance.choice(("NaN", "1e3", True))
    ),
    lambda message, after, chance: _changed(message, moving_time_s=chance.choice((2999.5, "2999"))),
    lambda message, after, chance: _changed(message, is_commute=chance.choice((1, "yes", "AQ=="))),
    lambda message, after, chance: _changed(
        message, splits_metric=chance.choice(("{}", "[", "[]"))
    ),
    lambda message, after, chance: _changed(
        message, splits_metric=[{"split": 1, "distance": chance.choice(("DDUA", 900, None))}, None]
    ),
    lambda message, after, chance: _changed(message, laps=chance.choice(([5], [{}], "[[]]"))),
    lambda message, after, chance: _changed(message, name=chance.choice((5, {"bytes": "x"}))),
    lambda message, after, chance: _changed(
        message, activity_id=chance.choice(("DDUA", {"scale": 0, "value": "DDUA"}, 1.5))
    ),
    lambda message, after, chance: _changed(message, athlete_id=chance.choice(("DDUA", 0, "7"))),
    lambda message, after, chance: {
        **message,
        "source": {**message["source"], "ts_ms": chance.choice(("now", -1, None))},
    },
    lambda message, after, chance: _changed(message, id=7),
    lambda message, after, chance: _changed(message, activity_id=0, id=7),
    lambda message, after, chance: {
        **message,
        "after": {"app.public.activities.Value": {k: _union(v) for k, v in after.items()}},
    },
    _flat,
    lambda message, after, chance: after,
    _cloud_event,
    lambda message, after, chance: {**message, "source": {"lsn": message["source"].get("lsn")}},
    lambda message, after, chance: {**message, "source": {**message["source"], "ts_ms": 0}},
    # After the day of ingest and the one that clocks may be wrong by.
    lambda message, after, chance: {
        **message,
        "source": {**message["source"], "ts_ms": BEGIN_MS + 86_400_000 * 3},
    },
    lambda message, after, chance: {**message, "op": "t"},
    lambda message, after, chance: {**message, "after": None},
    lambda message, after, chance: [message, message],
    lambda message, after, chance: {**_cloud_event(message, after, chance), "data": "AAAA"},
)
