"""From deliveries to records: which file is what, and what each of its lines says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from tests.oracle.export import export_records
from tests.oracle.model import Delivery
from tests.oracle.record import NO_LSN, Record, record
from tests.oracle.values import day, given, identifier, instant_us, json_object, whole

_FOLDER_OF_ATHLETE = re.compile(r"athlete_id=(\d+)", re.ASCII)
_SEPARATOR = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


def records(deliveries: Iterable[Delivery]) -> Iterator[Record]:
    """Every record of the files that the landing zone reads; the same delivery counts once."""
    seen = set()
    for delivery in deliveries:
        identity = delivery.path, delivery.text
        if identity not in seen:
            seen.add(identity)
            yield from _records_of_file(delivery)


def _records_of_file(delivery: Delivery) -> Iterator[Record]:
    path = PurePosixPath(delivery.path)
    if len(path.parts) < 2 or any(part.startswith((".", "_")) for part in path.parts):
        return
    match path.parts[0], path.suffix:
        case "strava_api", ".jsonl":
            for text in _lines(delivery.text):
                yield _api_record(text, delivery)
        case "strava_api", ".json":
            for text in _elements(delivery.text):
                yield _api_record(text, delivery)
        case "cdc", ".jsonl":
            for text in _lines(delivery.text):
                yield from _change(text, delivery)
        case "athlete_settings", ".jsonl":
            for text in _lines(delivery.text):
                yield _settings_record(text, delivery)
        case "strava_export", ".csv" if path.name == "activities.csv":
            athlete = _FOLDER_OF_ATHLETE.fullmatch(path.parts[1])
            if athlete:
                yield from export_records(delivery, identifier(athlete[1]))


def _lines(text: str) -> Iterator[str]:
    for line in text.removeprefix("\ufeff").split("\n"):
        if line.strip():
            yield line.removesuffix("\r")


def _elements(text: str) -> list[str]:
    """The verbatim texts in a document: of the elements of an array, else of the whole."""
    text = text.removeprefix("\ufeff").strip()
    if not text.startswith("["):
        return [text] if text else []
    found = []
    try:
        json.loads(text)
        position = _SEPARATOR.match(text, 1).end()
        while text[position] != "]":
            _, end = _DECODER.raw_decode(text, position)
            found.append(text[position:end])
            position = _SEPARATOR.match(text, end).end()
    except (ValueError, RecursionError):
        return [text]
    return found


def _api_record(text: str, delivery: Delivery) -> Record:
    image = json_object(text)
    if image is None:
        return record(delivery, "strava_api", text)
    athlete = _athlete_of(image)
    if athlete is None:
        folders = map(_FOLDER_OF_ATHLETE.fullmatch, delivery.path.split("/")[:-1])
        athlete = next((folder[1] for folder in folders if folder), None)
    changed_us = instant_us(image.get("updated_at"))
    ids = athlete, image.get("id")
    return _activity(delivery, "strava_api", text, image, ids, change_time_us=changed_us)


def _activity(
    delivery: Delivery,
    source: str,
    text: str,
    image: Mapping[str, Any],
    ids: tuple[Any, Any],
    **order: Any,
) -> Record:
    """A record of an activity; unreadable when an activity id is given that is none."""
    athlete_id, activity_id = map(identifier, ids)
    if ids[1] is not None and activity_id is None:
        return record(delivery, source, text)
    return record(delivery, source, text, image, (athlete_id, activity_id), **order)


def _athlete_of(image: Mapping[str, Any]) -> Any:
    nested = _object(image.get("athlete")).get("id")
    return image.get("athlete_id") if nested is None else nested


def _change(text: str, delivery: Delivery) -> Iterator[Record]:
    """The record of a change envelope; none for a tombstone."""
    if text.strip() == "null":
        return
    envelope = json_object(text) or {}
    if "payload" in envelope and "op" not in envelope:
        if envelope["payload"] is None:
            return
        envelope = _object(envelope["payload"])
    op = envelope.get("op")
    image = _object(envelope.get("before" if op == "d" else "after"))
    ids = _athlete_of(image), given(image, "id", "activity_id")
    if op not in ("c", "u", "d", "r") or not image or (op == "d" and ids[1] is None):
        yield record(delivery, "debezium", text)
    else:
        place = _place_in_log(envelope, image)
        yield _activity(delivery, "debezium", text, image, ids, is_delete=op == "d", **place)


def _place_in_log(envelope: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    source = _object(envelope.get("source"))
    lsn = whole(source.get("lsn"))
    milliseconds = whole(envelope.get("ts_ms"))
    if milliseconds is None:
        milliseconds = whole(source.get("ts_ms"))
    if milliseconds is None:
        change_time_us = instant_us(image.get("updated_at"))
    else:
        change_time_us = milliseconds * 1000
    return {"change_time_us": change_time_us, "lsn": NO_LSN if lsn is None else lsn}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _settings_record(text: str, delivery: Delivery) -> Record:
    """A record of settings; unreadable when a part of its key is given that is none."""
    image = json_object(text)
    if image is None:
        return record(delivery, "athlete_settings", text)
    key = identifier(image.get("athlete_id")), day(image.get("valid_from"))
    asked = image.get("athlete_id"), image.get("valid_from")
    if any(part is None and value is not None for part, value in zip(key, asked, strict=True)):
        return record(delivery, "athlete_settings", text)
    changed_us = instant_us(image.get("updated_at"))
    return record(delivery, "athlete_settings", text, image, key, change_time_us=changed_us)
