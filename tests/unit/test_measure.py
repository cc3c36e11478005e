"""The bill of real processes, and the reading of logs written by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.delta_log import Written, live_files, version, versions, written, written_since
from benchmarks.measure import Tree, bill

BURN = (
    "import time\n"
    "def burn(seconds):\n"
    "    end = time.process_time() + seconds\n"
    "    while time.process_time() < end: pass\n"
)


def started(code: str) -> subprocess.Popen[bytes]:
    """A process that runs the code when it is told to, says so, and then waits."""
    script = f"{BURN}import os, subprocess, sys\ninput()\n{code}\nprint(flush=True)\ninput()"
    return subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def told(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"\n"


def costs(code: str) -> tuple[float, float, int]:
    """Wall and CPU seconds and peak bytes of the code in a process of its own."""
    process = started(code)
    try:
        found, _ = bill(process.pid, lambda: told(process))
    finally:
        process.communicate(b"\n")
    return found.wall_s, found.cpu_s, found.peak_bytes


CHILD = f"[sys.executable, '-c', {BURN + 'burn(0.4)'!r}]"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("burn(0.4)", id="own time"),
        pytest.param(f"subprocess.run({CHILD})", id="a child that has been buried"),
        pytest.param(
            f"child = subprocess.Popen({CHILD}); time.sleep(1.5)", id="a zombie nobody asks for"
        ),
        pytest.param(
            f"subprocess.run(['sh', '-c', sys.executable + ' -c \"$0\" & sleep 0.3', "
            f"{BURN + 'burn(0.4)'!r}]); time.sleep(1.5)",
            id="an orphan",
        ),
        pytest.param(
            f"import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
            f"child = subprocess.Popen({CHILD}); time.sleep(1.5)",
            id="a child whose time the parent refuses",
        ),
    ],
)
def test_all_time_of_the_tree_is_charged_once(code: str) -> None:
    _, cpu_s, _ = costs(code)
    # A child also has to start, which takes a few hundredths of a second.
    assert 0.33 <= cpu_s <= 0.6


def test_many_short_children_are_neither_lost_nor_charged_twice() -> None:
    forks = (
        "for _ in range(60):\n"
        "    if (pid := os.fork()) == 0:\n"
        "        burn(0.01); os._exit(0)\n"
        "    os.waitpid(pid, 0)"
    )
    process = started(forks)
    try:
        found, _ = bill(process.pid, lambda: told(process))
        since_birth_s = sum(psutil.Process(process.pid).cpu_times()[:4])
    finally:
        process.communicate(b"\n")
    assert 0.5 <= found.cpu_s <= since_birth_s


def test_what_happened_before_counts_only_since_birth() -> None:
    born = monotonic()
    process = started("burn(0.1)")
    try:
        told(process)
        later, _ = bill(process.pid, lambda: sleep(0.2))
        whole, _ = bill(process.pid, lambda: sleep(0.2), born)
    finally:
        process.communicate(b"\n")
    assert later.cpu_s < 0.05
    assert 0.2 <= later.wall_s < 0.35
    assert whole.cpu_s >= 0.1
    assert whole.wall_s >= 0.5


def test_the_peak_is_kept_after_memory_has_been_given_back() -> None:
    size = 100 * 2**20
    hold = f"held = b'x' * {size}; time.sleep(0.3); del held; time.sleep(0.2)"
    _, _, lean = costs("time.sleep(0.3)")
    _, _, peak = costs(hold)
    assert 0.9 * size <= peak - lean <= 1.2 * size


def test_pages_that_a_fork_shares_count_once() -> None:
    size = 100 * 2**20
    # The parent has been looked at alone before it shares its pages.
    hold = f"held = b'x' * {size}\ntime.sleep(0.3)\n"
    fork = hold + "if os.fork() == 0: time.sleep(0.5); os._exit(0)\nos.wait()"
    _, _, peak = costs(fork)
    assert size <= peak <= 1.5 * size


def test_the_answer_of_the_act_is_handed_on() -> None:
    _, answer = bill(psutil.Process().pid, lambda: 7)
    assert answer == 7


def test_a_process_that_has_gone_is_refused() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(psutil.NoSuchProcess):
        Tree(process.pid)


def file(path: str, size: int, rows: int = 0, vector: str | None = None) -> dict[str, object]:
    added: dict[str, object] = {"path": path, "size": size, "dataChange": True}
    if rows:
        added["stats"] = json.dumps({"numRecords": rows})
    if vector:
        added["deletionVector"] = {
            "storageType": "u",
            "pathOrInlineDv": vector,
            "offset": 1,
            "sizeInBytes": 36,
            "cardinality": 2,
        }
    return {"add": added}


def gone(path: str) -> dict[str, object]:
    return {"remove": {"path": path, "dataChange": True}}


def committed(table: Path, *commits: list[dict[str, object]], first: int = 0) -> Path:
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    for number, actions in enumerate(commits, start=first):
        lines = [json.dumps(action) for action in ({"commitInfo": {}}, *actions)]
        (log / f"{number:020}.json").write_text("\n".join(lines) + "\n")
    return table


# Two files; one row struck out and written anew; both files made one.
HISTORY = (
    [{"metaData": {}}],
    [file("a", 1000, 10), file("b", 2000, 20)],
    [gone("a"), file("a", 1000, 10, "x"), file("c", 100, 1), {"cdc": {"path": "d", "size": 7}}],
    [gone("a"), gone("b"), gone("c"), file("e", 2500, 30)],
)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(-1, Written(4, 4, 3, 1, 5643, 61), id="everything"),
        pytest.param(1, Written(2, 2, 3, 1, 2643, 31), id="what followed the first rows"),
        pytest.param(2, Written(1, 1, 3, 0, 2500, 30), id="compaction"),
        pytest.param(3, Written(), id="nothing"),
    ],
)
def test_what_commits_have_written(tmp_path: Path, before: int, expected: Written) -> None:
    assert written_since(committed(tmp_path, *HISTORY), before) == expected


def test_a_file_that_is_listed_again_has_not_been_written_again(tmp_path: Path) -> None:
    again = [file("a", 1000, 10, "x"), file("b", 2000, 20)]
    table = committed(tmp_path, *HISTORY[:3], again)
    assert written_since(table, 2) == Written(commits=1)


def test_a_second_vector_of_a_file_is_new(tmp_path: Path) -> None:
    table = committed(tmp_path, *HISTORY[:3], [gone("a"), file("a", 1000, 10, "y")])
    assert written_since(table, 2) == Written(commits=1, vectors=1, written_bytes=36)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_checkpoint_stands_for_the_commits_before_it(tmp_path: Path, parts: int) -> None:
    table = committed(tmp_path, *HISTORY)
    log = table / "_delta_log"
    vector = {"storageType": "u", "pathOrInlineDv": "x", "offset": 1}
    rows = [
        {"path": "a", "deletionVector": vector},
        None,
        {"path": "b", "deletionVector": None},
        {"path": "c", "deletionVector": None},
    ]
    adds = pa.table({"add": pa.array(rows), "txn": [1, 2, 3, 4]})
    for part in range(parts):
        name = f".{part + 1:010}.{parts:010}" if parts > 1 else ""
        slice_ = adds.slice(part * 2, 2) if parts > 1 else adds
        pq.write_table(slice_, log / f"{2:020}.checkpoint{name}.parquet")
    (log / "_last_checkpoint").write_text("{}")
    (log / f"{0:020}.{2:020}.compacted.json").write_text("")
    for number in range(3):
        (log / f"{number:020}.json").unlink()
    assert written_since(table, 2) == Written(1, 1, 3, 0, 2500, 30)
    assert live_files(table) == 1
    assert version(table) == 3


def test_an_incomplete_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    table = committed(tmp_path, *HISTORY)
    part = table / "_delta_log" / f"{2:020}.checkpoint.{1:010}.{2:010}.parquet"
    pq.write_table(pa.table({"add": pa.array([{"path": "z"}])}), part)
    assert written_since(table, 2) == Written(1, 1, 3, 0, 2500, 30)


def test_a_warehouse_is_told_by_table(tmp_path: Path) -> None:
    committed(tmp_path / "silver" / "rides", *HISTORY[:2])
    committed(tmp_path / "ops" / "ledger", *HISTORY[:1])
    before = versions(tmp_path)
    assert before == {"silver.rides": 1, "ops.ledger": 0}
    committed(tmp_path / "silver" / "rides", HISTORY[2], first=2)
    committed(tmp_path / "ops" / "verdicts", *HISTORY[:1])
    assert written(tmp_path, before) == {
        "silver.rides": Written(1, 1, 0, 1, 143, 1),
        "ops.verdicts": Written(commits=1),
    }
