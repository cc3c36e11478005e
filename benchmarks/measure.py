"""What an act costs a process and everything it has started, seen from outside (Linux only)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic
from typing import TypeVar

import psutil

T = TypeVar("T")

SAMPLE_S = 0.05
# To read the proportional size of a process takes the kernel a millisecond for each 50 MB, so it is
# done for small ones only, and again when they have grown or shrunk by this much, or processes have
# come or gone.
SMALL_BYTES = 256 * 2**20
NOTICEABLE_BYTES = 4 * 2**20
ATTEMPTS = 20


@dataclass(frozen=True)
class Bill:
    """The cost of one act.

    Attributes:
        wall_s: seconds on the clock.
        cpu_s: seconds of CPU, user and system, of all processes of the tree, the ended ones too.
        peak_bytes: the most memory that the tree held at once. A process counts with its
            proportional set size (PSS) up to 256 MB, so that pages shared by forked workers count
            once, and above with its resident set size (RSS).
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int


class Tree:
    """A process and its descendants, also those whose parent has died before them."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._known: set[psutil.Process] = {self._root}
        self._sized: set[psutil.Process] = set()
        self._sizes: dict[psutil.Process, tuple[int, int]] = {}

    def members(self) -> set[psutil.Process]:
        """The processes that are there now, zombies included."""
        found = {process for process in self._known if process.is_running()}
        for process in tuple(found):
            # A descendant of the root is found through the root; an orphan is not.
            if process == self._root or not _is_below(process, found):
                with suppress(psutil.NoSuchProcess):
                    found.update(process.children(recursive=True))
        self._known = found
        return found

    def cpu_s(self) -> float:
        """CPU seconds of the members and of the children that they have buried.

        When a process ends, its time moves to its parent. A look that falls in between would count
        it twice or never, so a look counts only when the same processes were there after it.
        """
        for _ in range(ATTEMPTS):
            members = self.members()
            total = sum(_cpu_s(process) for process in members)
            if self.members() == members:
                break
        return total

    def size_bytes(self) -> int:
        """Memory held by the members."""
        members = self.members()
        if members != self._sized:
            # Who comes or goes changes the share that others have in their pages.
            self._sizes.clear()
            self._sized = members
        return sum(self._size(process) for process in members)

    def _size(self, process: psutil.Process) -> int:
        with suppress(psutil.Error):
            resident: int = process.memory_info().rss
            if resident > SMALL_BYTES:
                return resident
            seen, size = self._sizes.get(process, (-NOTICEABLE_BYTES, 0))
            if abs(resident - seen) >= NOTICEABLE_BYTES:
                size = process.memory_full_info().pss
                self._sizes[process] = resident, size
            return size
        return 0


class Meter:
    """CPU and memory of a tree, sampled in a thread from `start` to `stop`."""

    def __init__(self, pid: int) -> None:
        self._tree = Tree(pid)
        self._ended = Event()
        self._thread = Thread(target=self._sample, daemon=True)
        self._last_s = 0.0
        self.cpu_s = 0.0
        self.peak_bytes = 0

    def start(self, *, since_birth: bool) -> None:
        """Begins; `since_birth` charges what the tree has used before, too."""
        self._last_s = 0.0 if since_birth else self._tree.cpu_s()
        self._thread.start()

    def stop(self) -> None:
        """Ends with a last sample."""
        self._ended.set()
        self._thread.join()
        self._look()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self._look()

    def _look(self) -> None:
        now_s = self._tree.cpu_s()
        # The sum falls only when an orphan dies, whose time nobody inherits: it has been charged.
        self.cpu_s += max(0.0, now_s - self._last_s)
        self._last_s = now_s
        self.peak_bytes = max(self.peak_bytes, self._tree.size_bytes())


def bill(pid: int, act: Callable[[], T], born: float | None = None) -> tuple[Bill, T]:
    """What it costs the tree of a process while `act` waits for what that process does.

    Args:
        pid: of the root of the tree.
        act: called once, in this process, whose own time does not count unless it is the root.
        born: `time.monotonic()` when the process was about to be started; then everything since
            then counts. None counts from now on.

    Returns:
        The bill, and what `act` has returned.

    Raises:
        psutil.NoSuchProcess: when there is no such process.
    """
    meter = Meter(pid)
    began = monotonic() if born is None else born
    meter.start(since_birth=born is not None)
    try:
        answer = act()
        wall_s = monotonic() - began
    finally:
        meter.stop()
    return Bill(wall_s, meter.cpu_s, meter.peak_bytes), answer


def _is_below(process: psutil.Process, others: set[psutil.Process]) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.parent() in others
    return False


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
