"""What the logs of Delta tables say was written: commits, files, deletion vectors and bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

COMMIT = re.compile(r"(\d{20})\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.\d{10}\.(\d{10}))?\.parquet")
LOG = "_delta_log"


@dataclass
class Written:
    """What some commits have done to a table.

    Attributes:
        commits: their number.
        files_added: data files that were not part of the table before.
        files_removed: data files that were, and are not after.
        vectors: deletion vectors that are new.
        written_bytes: of new data files, new deletion vectors and change data.
        rows: in new data files, where the log says it.
    """

    commits: int = 0
    files_added: int = 0
    files_removed: int = 0
    vectors: int = 0
    written_bytes: int = 0
    rows: int = 0


@dataclass
class _Live:
    """The data files of a version: path -> identity of its deletion vector, or None."""

    vectors: dict[str, str | None] = field(default_factory=dict)

    def follow(self, actions: list[dict[str, Any]]) -> Written:
        """Moves on by one commit, and says what it has done."""
        adds = {a["add"]["path"]: a["add"] for a in actions if "add" in a}
        gone = {a["remove"]["path"] for a in actions if "remove" in a} - adds.keys()
        new = [add for path, add in adds.items() if path not in self.vectors]
        marks = [
            add["deletionVector"]
            for path, add in adds.items()
            if _vector(add) not in (None, self.vectors.get(path))
        ]
        written = Written(
            commits=1,
            files_added=len(new),
            files_removed=len(gone & self.vectors.keys()),
            vectors=len(marks),
            written_bytes=sum(add["size"] for add in new)
            + sum(mark["sizeInBytes"] for mark in marks)
            + sum(action["cdc"]["size"] for action in actions if "cdc" in action),
            rows=sum(json.loads(add.get("stats") or "{}").get("numRecords", 0) for add in new),
        )
        for path in gone:
            self.vectors.pop(path, None)
        self.vectors.update({path: _vector(add) for path, add in adds.items()})
        return written


def tables(root: Path) -> dict[str, Path]:
    """By name (`schema.table`), the tables of a local warehouse."""
    logs = sorted(root.glob(f"*/*/{LOG}"))
    return {f"{log.parents[1].name}.{log.parent.name}": log.parent for log in logs}


def versions(root: Path) -> dict[str, int]:
    """By name, the newest version of each table of a local warehouse."""
    return {name: version(table) for name, table in tables(root).items()}


def version(table: Path) -> int:
    """The newest version of the table in a directory; -1 when it has none."""
    return max(_commits(table), default=-1)


def written(root: Path, before: Mapping[str, int]) -> dict[str, Written]:
    """By name, what has been done to the tables of a warehouse since they had these versions.

    Tables without a commit since then are left out; one that is new counts from its creation.
    """
    found = {name: written_since(path, before.get(name, -1)) for name, path in tables(root).items()}
    return {name: bill for name, bill in found.items() if bill.commits}


def written_since(table: Path, before: int) -> Written:
    """What the commits after a version have done to the table in a directory."""
    live = _live(table, before)
    total = Written()
    for number, commit in _commits(table).items():
        if number > before:
            total = add(total, live.follow(_actions(commit)))
    return total


def add(one: Written, other: Written) -> Written:
    """Both together."""
    return Written(*(getattr(one, name) + getattr(other, name) for name in vars(one)))


def live_files(table: Path) -> int:
    """The data files of the newest version."""
    return len(_live(table, version(table)).vectors)


def _live(table: Path, newest: int) -> _Live:
    """The files of a version, from its last checkpoint on."""
    live, start = _Live(), -1
    for number, parts in _checkpoints(table):
        if number <= newest:
            live, start = (
                _Live({path: mark for part in parts for path, mark in _kept(part)}),
                number,
            )
    for number, commit in _commits(table).items():
        if start < number <= newest:
            live.follow(_actions(commit))
    return live


def _commits(table: Path) -> dict[int, Path]:
    named = [(COMMIT.fullmatch(path.name), path) for path in (table / LOG).glob("*.json")]
    return dict(sorted((int(match[1]), path) for match, path in named if match))


def _checkpoints(table: Path) -> list[tuple[int, list[Path]]]:
    """The complete checkpoints in order, each with its files."""
    found: dict[tuple[int, int], list[Path]] = {}
    for path in (table / LOG).glob("*.checkpoint*.parquet"):
        if match := CHECKPOINT.fullmatch(path.name):
            found.setdefault((int(match[1]), int(match[2] or 1)), []).append(path)
    complete = [(number, parts) for (number, count), parts in found.items() if len(parts) == count]
    return sorted(complete)


def _kept(checkpoint: Path) -> Iterator[tuple[str, str | None]]:
    for row in pq.read_table(checkpoint, columns=["add"]).to_pylist():
        if row["add"] is not None:
            yield row["add"]["path"], _vector(row["add"])


def _actions(commit: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in commit.read_text(encoding="utf-8").splitlines() if line]


def _vector(add: Mapping[str, Any]) -> str | None:
    vector = add.get("deletionVector")
    if vector is None:
        return None
    return f"{vector['storageType']}{vector['pathOrInlineDv']}@{vector.get('offset')}"
