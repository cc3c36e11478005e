"""JSON values of a file: one a line, or in one document; an array stands for its elements."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from paceline.sources.gunzip import Damaged, Readable
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sources.record import (
    CHUNK_BYTES,
    IGNORED,
    NOT_JSON,
    Ignored,
    Record,
    json_lines,
    json_value,
    too_deep_at,
    unreadable,
)

Read = Callable[[int, bytes, Any], Record | Ignored]
"""From the number of a value, its verbatim bytes, and what it is: NOT_JSON for what is none."""

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_BLANK = re.compile(rb"[ \t\r\n\xef\xbb\xbf]*")  # and a byte order mark


def json_values(
    stream: Readable, relative_path: str, read: Read, limits: Limits = DEFAULTS
) -> Iterator[Record | Ignored]:
    """Yield what `read` makes of each value of a `.jsonl` or `.json` file.

    A `.json` file whose first line is a whole value has one a line, as sinks write them, and so has
    one that is no document but has a line that is a whole object. Any other is one document, which
    is read whole. The number of a value is its line, or its position in a document; where a line
    holds several, each has the next number that is free.
    """
    if relative_path.lower().removesuffix(".gz").endswith(".json"):
        stream = _Peeked(stream, min(limits.max_line_bytes, limits.max_document_bytes))
        if not stream.starts_with_value(limits):
            yield from _of_document(stream, read, limits)
            return
    yield from _of_lines(stream, read, limits)


def _of_lines(stream: Readable, read: Read, limits: Limits) -> Iterator[Record | Ignored]:
    number = 0
    for line in json_lines(stream, limits):
        if not isinstance(line.value, list):
            number = max(number + 1, line.number)
            yield read(number, line.raw, line.value)
            continue
        if not line.value:
            yield IGNORED
        for text, value in _elements(line.raw.decode(), limits.max_json_depth):
            number = max(number + 1, line.number)
            if number > limits.max_lines:
                yield unreadable(number, _too_many(limits).encode())
                return
            yield read(number, text.encode(), value)


def objects(read: Callable[[int, str, dict[str, Any]], Record | Ignored]) -> Read:
    """A reader of values that are objects, each with its text; anything else is unreadable."""

    def read_value(number: int, raw: bytes, value: Any) -> Record | Ignored:
        if isinstance(value, dict):
            return read(number, raw.decode(), value)
        return unreadable(number, raw)

    return read_value


class _Peeked:
    """A stream whose first line that is not blank is known before it is read."""

    def __init__(self, stream: Readable, max_bytes: int) -> None:
        self._stream, self._max_bytes = stream, max_bytes
        self._head = bytearray()
        self._begin, self._end = 0, -1
        self._damage: Damaged | None = None
        try:
            while self._end < 0 and len(self._head) <= max_bytes:
                chunk = stream.read(CHUNK_BYTES)
                if not chunk:
                    break
                self._hold(chunk)
        except Damaged as damage:
            self._damage = damage

    def _hold(self, chunk: bytes) -> None:
        known = len(self._head)
        self._head += chunk
        if self._begin == known and (blank := _BLANK.match(self._head, known)):
            self._begin = blank.end()
        self._end = self._head.find(b"\n", max(self._begin, known))

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, of the head in any number, and none at the end."""
        if self._head:
            head = bytes(self._head)
            self._head.clear()
            return head
        if self._damage:
            raise self._damage
        return self._stream.read(size)

    def starts_with_value(self, limits: Limits) -> bool:
        """Whether the first line that is not blank is a whole value, and not too long."""
        end = len(self._head) if self._end < 0 else self._end
        if end - self._begin > self._max_bytes:
            return False
        line = bytes(self._head[self._begin : end]).rstrip(b" \t\r")
        return json_value(line, limits) is not NOT_JSON


class _Held:
    """A stream of what is in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int, /) -> bytes:
        """Return all of it, then none."""
        content, self._content = self._content, b""
        return content


def _of_document(stream: Readable, read: Read, limits: Limits) -> Iterator[Record | Ignored]:
    text, fault = _whole_text(stream, limits.max_document_bytes)
    if fault is None and _is_lines_after_a_broken_one(text, limits):
        content = text.encode("utf-8", "surrogateescape")
        yield from _of_lines(_Held(content), read, limits)
        return
    position = 0
    for element, value in _elements(text, limits.max_json_depth):
        if fault and value is NOT_JSON:
            break
        if position == limits.max_lines:
            fault = _too_many(limits)
            break
        position += 1
        # Bytes that are not UTF-8 spoil only the element that they stand in.
        raw = element.encode("utf-8", "surrogateescape")
        is_text = not any("\udc80" <= sign <= "\udcff" for sign in element)
        yield read(position, raw, value if is_text else NOT_JSON)
    if fault:
        yield unreadable(position + 1, fault.encode())


def _is_lines_after_a_broken_one(text: str, limits: Limits) -> bool:
    """Whether a text that begins with no value has a line that is a whole object."""
    _, first = next(_elements(text, limits.max_json_depth), ("", None))
    if first is not NOT_JSON or text.lstrip().startswith("["):
        return False
    lines = (line.strip() for line in text.split("\n"))
    return any(
        line.startswith("{") and line.endswith("}") and _is_object(line, limits) for line in lines
    )


def _is_object(line: str, limits: Limits) -> bool:
    return isinstance(json_value(line.encode("utf-8", "surrogateescape"), limits), dict)


def _too_many(limits: Limits) -> str:
    return f"document of more than {limits.max_lines} elements"


def _whole_text(stream: Readable, max_bytes: int) -> tuple[str, str | None]:
    """Return the text of the stream, and why it breaks off if it does: damage, or its size."""
    whole = bytearray()
    fault = None
    try:
        while chunk := stream.read(CHUNK_BYTES):
            whole += chunk
            if len(whole) > max_bytes:
                del whole[max_bytes:]
                fault = f"document of more than {max_bytes} bytes"
                break
    except Damaged as damage:
        fault = str(damage)
    return whole.decode("utf-8-sig", "surrogateescape"), fault


def _elements(text: str, max_depth: int) -> Iterator[tuple[str, Any]]:
    """Yield verbatim text and value of the elements of an array, or of the one value there is.

    From the first fault on, and after the end of the document, the text is one element that is
    NOT_JSON: where the next element begins is then anybody's guess. So it is from an element on
    that is nested too deeply.
    """
    at = _skip_space(text, 0)
    in_array = text.startswith("[", at)
    # The decoder sees nothing that is too deep: it recurses.
    shallow = text[: too_deep_at(text, max_depth + in_array)]
    if in_array:
        at = _skip_space(text, at + 1)
    is_open = not (in_array and text.startswith("]", at))
    while is_open and at < len(text):
        try:
            value, end = _DECODER.raw_decode(shallow, at)
        except (ValueError, RecursionError):
            break
        yield text[at:end], value
        at = _skip_space(text, end)
        is_open = in_array and text.startswith(",", at)
        if is_open:
            at = _skip_space(text, at + 1)
    if not is_open and in_array and text.startswith("]", at):
        at = _skip_space(text, at + 1)
    if at < len(text):
        yield text[at:], NOT_JSON


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
