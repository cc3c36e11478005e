"""Which errors say that a change feed is lost, and what is done about the others."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from paceline.errors import PacelineError
from paceline.publish import changes, staging
from paceline.publish.changes import Changes, is_lost
from paceline.recipe import EVERYTHING
from paceline.store.warehouse import Position

FEED = "bronze.x"
FOUND = Changes({FEED: Position(FEED, "a", 3)}, Position("silver.x", "b", 2), {FEED: 1}, None)
LOST = [
    "[FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error while reading file x.parquet.",
    "org.apache.spark.SparkException: java.io.FileNotFoundException: File file:/x does not exist",
    "[DELTA_MISSING_CHANGE_DATA] Error getting change data for range [2 , 3]",
    "[DELTA_VERSION_NOT_FOUND] Cannot time travel Delta table to version 2.",
    "[DELTA_LOG_FILE_NOT_FOUND] Unable to retrieve the delta log files",
    "com.amazonaws.services.s3.model.AmazonS3Exception: NoSuchKey",
]
OTHERS = [
    "java.lang.OutOfMemoryError: Java heap space",
    "Job aborted due to stage failure: ExecutorLostFailure (executor driver exited)",
    "java.net.SocketTimeoutException: Read timed out",
    "java.io.IOException: No space left on device",
    "java.nio.file.AccessDeniedException: /x/part-1.parquet",
]


@pytest.mark.parametrize("said", LOST)
def test_what_a_lost_feed_can_say(said: str) -> None:
    assert is_lost(RuntimeError(said))


@pytest.mark.parametrize("said", OTHERS)
def test_what_says_nothing_about_a_feed(said: str) -> None:
    assert not is_lost(RuntimeError(said))


@dataclass(frozen=True)
class Claimed:
    changes: Changes
    run: Any
    staging: str = "ops.staging_x"


@dataclass
class Staging:
    """Staging that fails with each of some errors in turn, and a feed that may fail as well."""

    errors: list[Exception]
    feed: Exception | None = None
    version: int = 7
    scopes: list[str] = field(default_factory=list)

    def write(self, claimed: Any, scope: Any) -> tuple[Any, dict[str, int]]:
        self.scopes.append(scope)
        if self.errors:
            raise self.errors.pop(0)
        return EVERYTHING, {}

    def change(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read = MagicMock(
            **{"write.format.return_value.mode.return_value.save.side_effect": self.feed}
        )
        monkeypatch.setattr(changes, "feed", lambda name, found, warehouse: read)
        monkeypatch.setattr(
            staging, "_scope", lambda claimed, _: claimed.changes.full_compare_reason or "exact"
        )
        monkeypatch.setattr(staging, "_written_in", self.write)
        warehouse = SimpleNamespace(version=lambda name: self.version)
        staging._changed(Claimed(FOUND, SimpleNamespace(warehouse=warehouse)), None, 7)


def test_a_lost_feed_compares_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Staging([RuntimeError(LOST[0])], feed=RuntimeError(LOST[1]))
    tried.change(monkeypatch)
    assert tried.scopes == [
        "exact",
        f"the change feed of {FEED} no longer reaches back to the last run",
    ]


@pytest.mark.parametrize("said", OTHERS)
def test_another_error_is_tried_once_more_and_never_widened(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    passing = Staging([RuntimeError(said)])
    passing.change(monkeypatch)
    assert passing.scopes == ["exact", "exact"]
    # The feed cannot be read either, for the same reason.
    lasting = Staging([RuntimeError(said), RuntimeError(said)], feed=RuntimeError(said))
    with pytest.raises(RuntimeError, match=re.escape(said)):
        lasting.change(monkeypatch)
    assert lasting.scopes == ["exact", "exact"]


def test_what_may_have_been_staged_already_is_not_staged_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = Staging([RuntimeError(OTHERS[0])], version=8)
    with pytest.raises(RuntimeError):
        tried.change(monkeypatch)
    assert tried.scopes == ["exact"]


def test_a_finding_of_ours_is_no_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Staging([PacelineError("rows outside the scope")])
    with pytest.raises(PacelineError):
        tried.change(monkeypatch)
    assert tried.scopes == ["exact"]
