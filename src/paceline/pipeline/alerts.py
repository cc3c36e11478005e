"""Tells people how a run ended: a short text, posted to a webhook of Slack or one like it.

An alert is sent after the verdict is in the ledger, and nothing depends on it: a webhook that is
slow, broken or gone costs at most the timeout. Its address is a secret, because whoever knows it
may post, so no text made here holds any part of it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from contextlib import closing, suppress
from html import escape
from http.client import HTTPConnection, HTTPSConnection
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.parse import urlsplit

from paceline.errors import in_short
from paceline.sources.files import masked, without_path_numbers
from paceline.store.ledger import FAILED, REJECTED, SEALED, SKIPPED, VERIFIED, Entry

_WORST_STATUSES = (FAILED, REJECTED, SKIPPED)
_WORST_VERDICTS = ("ERROR", "FAIL", "WARN", "PASS")
_MAX_MESSAGE = 1000

_HEADERS = {"Content-Type": "application/json", "User-Agent": "paceline", "Connection": "close"}
_BAD_ADDRESS = (
    "the address of the webhook cannot be used: it must start with http:// or https://, name a "
    "host, and hold no spaces and no password"
)


def text_of(entries: Sequence[Entry], job: str, failure: Exception | None = None) -> str | None:
    """What people should know about a run; None when all is published or unchanged, and passed.

    The first line has the job, its worst status and verdict, and the run. Then comes a line for
    each table that was rejected, failed or skipped, or is wrong, with its message in the ledger, or
    one that says why the run failed apart from its tables. A line follows for each table that was
    published with a message, such as one that names a broken delivery; and one for all tables with
    warnings.

    Args:
        entries: the rows of the ledger to tell about.
        job: the name of what ran; it only labels the text.
        failure: what has ended the run, if it did not end by itself.
    """
    troubled = [entry for entry in entries if _is_troubled(entry)]
    warned = [e for e in entries if e.verdict == "WARN" and not _is_troubled(e)]
    if failure is not None and not troubled:
        # It came before the first table, or after the last one.
        lines = [f"paceline {job} FAILED", f"- {without_path_numbers(_cut(in_short(failure)))}"]
    elif troubled or warned:
        lines = [_headline(troubled or warned, job), *(_line(entry) for entry in troubled)]
    else:
        return None
    if warned:
        lines += [_line(entry) for entry in warned if entry.message]
        tables = "1 table was" if len(warned) == 1 else f"{len(warned)} tables were"
        lines.append(f"{tables} published with warnings.")
    return "\n".join(lines)


def send(url: str, text: str, timeout_s: float = 5.0) -> str | None:
    """Posts a text to a webhook; returns None when it was taken, else the reason in a few words.

    Never raises, and never takes longer than the timeout, whatever the network does; a text that
    was given up on may still arrive. Any answer of 2xx means taken; its body is not read.
    Redirects are not followed. The reason holds no part of the address.

    Args:
        url: the http or https address of the webhook.
        text: plain text; what Slack would take for a link or a mention is escaped.
        timeout_s: seconds for everything together, from looking up the host to the answer.
    """
    reasons: SimpleQueue[str | None] = SimpleQueue()
    try:
        connection, target = _connection(url, timeout_s)
    except ValueError:
        return _BAD_ADDRESS
    except Exception as error:
        return _failure(error, timeout_s)

    def post() -> None:
        try:
            with closing(connection):
                reasons.put(_posted(connection, target, text))
        except Exception as error:
            reasons.put(_failure(error, timeout_s))

    try:
        # The timeout of a socket starts again with each byte and does not cover looking up the
        # host, so the waiting for a thread is bounded instead.
        Thread(target=post, name="paceline-alert", daemon=True).start()
        return reasons.get(timeout=timeout_s)
    except Empty:
        _hang_up(connection)
        return _too_late(timeout_s)
    except Exception as error:
        return _failure(error, timeout_s)


def _is_troubled(entry: Entry) -> bool:
    is_done = entry.status in SEALED or entry.status == VERIFIED
    return not is_done or entry.verdict in ("FAIL", "ERROR")


def _headline(entries: Sequence[Entry], job: str) -> str:
    statuses, verdicts = ({e.status for e in entries}, {e.verdict for e in entries})
    status = next((s for s in _WORST_STATUSES if s in statuses), entries[0].status)
    verdict = next((f"verdict {v}" for v in _WORST_VERDICTS if v in verdicts), "no verdict")
    runs = ", ".join(dict.fromkeys(entry.run_id for entry in entries))
    return f"paceline {job} {status}, {verdict}, run {runs}"


def _line(entry: Entry) -> str:
    line = f"- {entry.table_name} {entry.status}"
    message = masked(_cut(entry.message or ""))
    return f"{line}: {message}" if message else line


def _cut(message: str) -> str:
    message = " ".join(message.split())
    return f"{message[:_MAX_MESSAGE]} ..." if len(message) > _MAX_MESSAGE else message


def _connection(url: str, timeout_s: float) -> tuple[HTTPConnection, str]:
    """A connection that is not open yet, and what to ask it for.

    Raises:
        ValueError: when the address cannot be used.
    """
    # Environment variables filled from files often end in a line break.
    url = url.strip()
    parts = urlsplit(url)
    is_printable_ascii = all("!" <= character <= "~" for character in url)
    if not is_printable_ascii or not parts.hostname or "@" in parts.netloc:
        raise ValueError(_BAD_ADDRESS)
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    if parts.scheme == "https":
        return HTTPSConnection(parts.hostname, parts.port or 443, timeout=timeout_s), target
    if parts.scheme == "http":
        return HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout_s), target
    raise ValueError(_BAD_ADDRESS)


def _posted(connection: HTTPConnection, target: str, text: str) -> str | None:
    """Posts and waits for the status; None when the text was taken."""
    body = json.dumps({"text": escape(text, quote=False)}).encode()
    connection.request("POST", target, body, _HEADERS)
    status = connection.getresponse().status
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"the webhook answered {status}, and redirects are not followed"
    return f"the webhook answered {status}"


def _hang_up(connection: HTTPConnection) -> None:
    """Ends the wait of the other thread, which would otherwise last as long as bytes arrive."""
    with suppress(Exception):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _too_late(timeout_s: float) -> str:
    return f"the webhook did not answer within {timeout_s:g} s"


def _failure(error: Exception, timeout_s: float) -> str:
    """Why posting failed; the text of an exception may quote the address, its type cannot."""
    if isinstance(error, TimeoutError):
        return _too_late(timeout_s)
    kind = type(error).__name__
    if type(error) is OSError and error.errno is not None:
        # Its type says nothing, its number does: no route to the host, network unreachable.
        kind = os.strerror(error.errno)
    return f"posting to the webhook failed ({kind})"
