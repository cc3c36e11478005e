"""From deliveries to records: which file is what, and what each of its lines says."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from tests.oracle.change_data import change_record, settled
from tests.oracle.export import export_records
from tests.oracle.model import CDC_TABLES, Delivery
from tests.oracle.record import Place, Record, record
from tests.oracle.values import day, identifier, instant_us, json_object, json_value

_FOLDER_OF_ATHLETE = re.compile(r"athlete_id=(\d+)", re.ASCII)
_SEPARATOR = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()

Texts = Iterator[tuple[Place, str]]


def records(
    deliveries: Iterable[Delivery], cdc_tables: Collection[str] = CDC_TABLES
) -> Iterator[Record]:
    """Every record of the files that the landing zone reads; the same delivery counts once."""
    return settled(_received(deliveries, cdc_tables))


def _received(deliveries: Iterable[Delivery], cdc_tables: Collection[str]) -> Iterator[Record]:
    seen = set()
    for delivery in deliveries:
        identity = delivery.path, delivery.text
        if identity not in seen:
            seen.add(identity)
            yield from _records_of_file(delivery, cdc_tables)


def _records_of_file(delivery: Delivery, cdc_tables: Collection[str]) -> Iterator[Record]:
    path = PurePosixPath(delivery.path)
    if len(path.parts) < 2 or any(part.startswith((".", "_")) for part in path.parts):
        return
    match path.parts[0], path.suffix:
        case "strava_api", ".jsonl" | ".json":
            texts = _lines_and_arrays if path.suffix == ".jsonl" else _document
            for place, text in texts(delivery.text):
                yield _api_record(text, delivery, place)
        case "cdc", ".jsonl" | ".json":
            texts = _lines_and_arrays if path.suffix == ".jsonl" else _document
            for place, text in texts(delivery.text):
                found = change_record(text, delivery, place, cdc_tables)
                if found is not None:
                    yield found
        case "athlete_settings", ".jsonl":
            for place, text in _lines_and_arrays(delivery.text):
                yield _settings_record(text, delivery, place)
        case "strava_export", ".csv" if path.name == "activities.csv":
            athlete = _FOLDER_OF_ATHLETE.fullmatch(path.parts[1])
            if athlete:
                yield from export_records(delivery, identifier(athlete[1]))


def _lines(text: str) -> Texts:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if line.strip():
            yield Place(number), line.removesuffix("\r")


def _lines_and_arrays(text: str) -> Texts:
    """The lines; instead of an array its elements."""
    for place, line in _lines(text):
        for element, found in enumerate(_elements(line), start=1):
            yield Place(place.line, element), found


def _document(text: str) -> Texts:
    """The elements of a document; where each line is a value by itself, those of the lines."""
    lines = [line for _, line in _lines(text)]
    if len(lines) > 1 and not _is_json(text.removeprefix("\ufeff")) and _is_json(lines[0]):
        yield from _lines_and_arrays(text)
        return
    for element, found in enumerate(_elements(text), start=1):
        yield Place(element), found


def _is_json(text: str) -> bool:
    try:
        json_value(text)
    except (ValueError, RecursionError):
        return False
    return True


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


def _api_record(text: str, delivery: Delivery, place: Place) -> Record:
    image = json_object(text)
    if image is None:
        return record(delivery, "strava_api", text, place)
    athlete = _athlete_of(image)
    if athlete is None:
        folders = map(_FOLDER_OF_ATHLETE.fullmatch, delivery.path.split("/")[:-1])
        athlete = next((folder[1] for folder in folders if folder), None)
    said, key = (athlete, image.get("id")), (identifier(athlete), identifier(image.get("id")))
    reason = "encoding_unknown" if _is_unread(said, key) else None
    changed_us = instant_us(image.get("updated_at"))
    return record(
        *(delivery, "strava_api", text, place, image, key), reason=reason, time_us=changed_us
    )


def _is_unread(said: tuple[Any, ...], read: tuple[Any, ...]) -> bool:
    """Whether anything is said that could not be read."""
    return any(one is not None and other is None for one, other in zip(said, read, strict=True))


def _athlete_of(image: Mapping[str, Any]) -> Any:
    athlete = image.get("athlete")
    nested = athlete.get("id") if isinstance(athlete, dict) else None
    return image.get("athlete_id") if nested is None else nested


def _settings_record(text: str, delivery: Delivery, place: Place) -> Record:
    """A record of settings, refused when a part of its key, or its time, is given and is none."""
    image = json_object(text)
    if image is None:
        return record(delivery, "athlete_settings", text, place)
    key = identifier(image.get("athlete_id")), day(image.get("valid_from"))
    changed_us = instant_us(image.get("updated_at"))
    said = tuple(image.get(name) for name in ("athlete_id", "valid_from", "updated_at"))
    reason = "encoding_unknown" if _is_unread(said, (*key, changed_us)) else None
    return record(
        *(delivery, "athlete_settings", text, place, image, key), reason=reason, time_us=changed_us
    )
