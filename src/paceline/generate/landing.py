"""The files of the landing zone: how each week's pull looks on disk, and what lies around it."""

import os
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from paceline.generate.athletes import Draw, whole
from paceline.generate.delivery import File, Outbox, pull_folder, stamp
from paceline.generate.faults import DAMAGE

# The weekly pulls take turns, so that a quarter of a year has every one of the usual manners, and
# half a year the others, too.
USUAL_MANNERS = (
    "plain",
    "truncated_json",
    "gzip",
    "invalid_utf8",
    "json_array",
    "text_line",
    "blank_lines",
    "byte_order_mark",
    "file_twice",
    "not_an_activity",
    "plain",
)
MANNERS = (
    *USUAL_MANNERS,
    *USUAL_MANNERS[:7],
    *("day_in_name", "window_in_name", "lines_called_json", "page_a_line"),
)
RECORDS_A_PAGE = 30
GZIP_HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])
GZIP_BLOCK = 0xFFFF


def files_of(outbox: Outbox, draw: Draw) -> Iterator[tuple[str, File]]:
    """Empty the outbox into the files of the landing zone, by path with forward slashes."""
    manners = {pulled: MANNERS[at % len(MANNERS)] for at, pulled in enumerate(outbox.times)}
    while outbox.batches:
        (folder, at), lines = outbox.batches.popitem()
        if folder == pull_folder(at):
            yield from _pull(at, lines, manners[at], outbox, draw).items()
        else:
            noun = "settings" if folder == "athlete_settings" else "activities"
            yield f"{folder}/{noun}_{stamp(at)}.jsonl", File(at, _joined(lines), len(lines))
    yield from outbox.files.items()
    yield from _strays(outbox).items()


def write(name: str, file: File, target: Path) -> None:
    """Write a file below the target, with the time at which it says it was written."""
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)
    written = int(file.written.timestamp())
    os.utime(path, (written, written))


def _pull(
    at: datetime, lines: list[bytes], manner: str, outbox: Outbox, draw: Draw
) -> dict[str, File]:
    """Lay out one week's pull in its manner; what is damaged comes on top of the intact lines."""
    stem = f"{pull_folder(at)}/activities_{_time_in_name(at, manner)}"
    outbox.kinds.update([manner] if manner != "plain" else [])
    if manner == "json_array":
        return {f"{stem}.json": File(at, b"[" + b",\n".join(lines) + b"]\n", len(lines))}
    if manner == "lines_called_json":
        return {f"{stem}.json": File(at, _joined(lines), len(lines))}
    if manner == "page_a_line":
        return {f"{stem}.jsonl": File(at, _joined(_pages(lines)), len(lines))}
    if manner == "gzip":
        return {f"{stem}.jsonl.gz": File(at, gzip_stored(_joined(lines)), len(lines))}
    if manner == "file_twice":
        file = File(at, _joined(lines), len(lines))
        return {f"{stem}.jsonl": file, f"{stem}_copy.jsonl": file}
    content, records = lines, len(lines)
    if manner in DAMAGE:
        damaged = DAMAGE[manner](lines[whole(draw, 0, records - 1)], draw)
        middle = whole(draw, 0, records)
        content, records = [*lines[:middle], damaged, *lines[middle:]], records + 1
    elif manner == "blank_lines":
        content = [b"  ", *lines[: records // 2], b"", *lines[records // 2 :], b""]
    mark = b"\xef\xbb\xbf" if manner == "byte_order_mark" else b""
    return {f"{stem}.jsonl": File(at, mark + _joined(content), records)}


def _time_in_name(at: datetime, manner: str) -> str:
    """Write the instant of a pull, or only its day, or the window that it asks for."""
    if manner == "day_in_name":
        return at.date().isoformat()
    if manner == "window_in_name":
        return f"{stamp(at - timedelta(days=7))}_{stamp(at)}"
    return stamp(at)


def _pages(lines: list[bytes]) -> list[bytes]:
    """Write the answers of the API as they come: an array of some activities a line."""
    starts = range(0, len(lines), RECORDS_A_PAGE)
    return [b"[" + b",".join(lines[at : at + RECORDS_A_PAGE]) + b"]" for at in starts]


def _joined(lines: list[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n"


def gzip_stored(content: bytes) -> bytes:
    """Pack bytes as gzip without compressing them: the same bytes with every build of zlib."""
    starts = range(0, max(len(content), 1), GZIP_BLOCK)
    packed = bytearray(GZIP_HEADER)
    for start in starts:
        block = content[start : start + GZIP_BLOCK]
        packed.append(start == starts[-1])
        packed += len(block).to_bytes(2, "little")
        packed += (len(block) ^ 0xFFFF).to_bytes(2, "little")
        packed += block
    packed += zlib.crc32(content).to_bytes(4, "little")
    packed += (len(content) & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(packed)


def _strays(outbox: Outbox) -> dict[str, File]:
    """What lies around in a landing zone without being a source; it holds no records."""
    at = outbox.times[-1]
    unfinished = b'{"resource_state":2,"athlete":{"id":'
    outbox.kinds.update(stray_file=2, skipped_name=3)
    return {
        "README.txt": File(at, b"Drop the files of the sources here.\n", 0),
        "strava_api/notes.txt": File(at, b"The pull runs every week.\n", 0),
        "strava_api/_SUCCESS": File(at, b"", 0),
        f"strava_api/_incomplete/activities_{stamp(at)}.jsonl": File(at, unfinished, 0),
        "strava_api/.DS_Store": File(at, b"\x00\x00\x00\x01Bud1", 0),
    }
