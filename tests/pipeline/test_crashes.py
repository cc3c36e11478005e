"""Every commit fails in every way, and the next run makes good what the failed one left.

Nothing but tables outlives a process, so a fault before a commit is a fault after the one before
it. What remains are the commits, each followed by death or by an error that the program handles.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.store import deliveries, ledger, quarantine
from paceline.store.ledger import Entry
from paceline.tables.bronze import athlete_settings as bronze
from paceline.tables.silver import athlete_settings as silver
from tests.pipeline.faults import (
    BEFORE,
    LAST,
    REPORTED,
    RESTLESS,
    Chain,
    Death,
    LostConnectionError,
    broken,
    committed,
    faults,
    pace,
    rows_after,
)
from tests.pipeline.warehouse import NOW, content, lines, quick, run, versions

pytestmark = pytest.mark.slow

STAGING = "ops.staging_silver_athlete_settings"
# The commits of an undisturbed run, by step; AUDIT only reads.
COMMITS = {
    "claim": ledger.LEDGER,
    "stage": STAGING,
    "record": ledger.LEDGER,
    "quarantine": quarantine.QUARANTINE,
    "publish": silver.NAME,
    "seal": ledger.LEDGER,
}
WHOLE = tuple(COMMITS)
AFTER_QUARANTINE = tuple(step for step in WHOLE if step != "quarantine")
# What a run commits that compares all rows and finds none, and one that has nothing to do.
VAIN, IDLE = [ledger.LEDGER, ledger.LEDGER], [ledger.LEDGER]
# The next run knows the commit of a run that has died after it, and seals for it.
RECOVERED = [ledger.LEDGER, *IDLE]


@pytest.fixture(scope="module")
def chain(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with quick(spark):
        made = Chain(spark, tmp_path_factory.mktemp("crashes"))
        _create(made)
        yield made


def _create(chain: Chain) -> None:
    """Runs that die right after the first commit that they make, until all tables are there."""
    made = Counter[str]()
    while True:
        with faults(chain.warehouse, 1, LAST) as fault:
            chain.create()
        made.update(fault.commits)
        assert made == committed({}, versions(chain.warehouse))
        if not fault.commits:
            break


def fail(chain: Chain, step: str, mode: str, left: tuple[str, ...] = WHOLE) -> None:
    """A run whose commit of a step fails, of the commits that are left to do: all if not given.

    What readers see is old or new.
    """
    at = left.index(step) + 1
    before = versions(chain.warehouse)
    with (
        faults(chain.warehouse, at, mode) as fault,
        pytest.raises(Death if mode == LAST else LostConnectionError),
    ):
        chain.run()
    assert Counter(fault.commits) == committed(before, versions(chain.warehouse))
    # An error that the program sees is noted in the ledger, a death is not; the last word of all is
    # said once more.
    noted = [ledger.LEDGER] * (mode != LAST)
    assert fault.commits == [COMMITS[s] for s in left[: at - (mode == BEFORE)]] + noted
    is_published = silver.NAME in fault.commits
    assert chain.read_new_versions() == rows_after(chain.round - (not is_published))


def heal(chain: Chain) -> list[str]:
    """The next run ends as one that nothing has disturbed; returns its commits."""
    before = versions(chain.warehouse)
    with faults(chain.warehouse) as none:
        entry = chain.run()
    assert Counter(none.commits) == committed(before, versions(chain.warehouse))
    chain.check(entry, chain.round)
    return none.commits


def whole() -> list[str]:
    return list(COMMITS.values())


def test_the_first_rows_are_not_appended_twice(chain: Chain) -> None:
    chain.deliver()
    fail(chain, "publish", LAST)
    assert heal(chain) == VAIN
    assert chain.statuses() == [ledger.ABANDONED, ledger.UNCHANGED]


def test_runs_that_fail_before_anything_shows_are_started_over(chain: Chain) -> None:
    seen = len(chain.statuses())
    chain.deliver()
    fail(chain, "claim", BEFORE)
    for step in ("claim", "stage", "record"):
        fail(chain, step, REPORTED)
    assert heal(chain) == whole()
    assert chain.statuses(seen) == [ledger.FAILED] * 4 + [ledger.PUBLISHED]


def test_runs_that_die_before_anything_shows_are_abandoned_and_started_over(chain: Chain) -> None:
    seen = len(chain.statuses())
    chain.deliver()
    fail(chain, "claim", LAST)
    assert chain.statuses(seen) == [ledger.STARTED]
    fail(chain, "stage", LAST)
    assert chain.statuses(seen) == [ledger.ABANDONED, ledger.STARTED]
    fail(chain, "record", LAST)
    assert heal(chain) == whole()
    assert chain.statuses(seen) == [ledger.ABANDONED] * 3 + [ledger.PUBLISHED]


def test_a_quarantine_that_is_doubted_is_not_filled_twice(chain: Chain) -> None:
    seen = len(chain.statuses())
    chain.deliver()
    fail(chain, "quarantine", REPORTED)
    fail(chain, "publish", LAST, AFTER_QUARANTINE)
    assert heal(chain) == RECOVERED
    assert chain.statuses(seen) == [ledger.FAILED, ledger.PUBLISHED, ledger.UNCHANGED]


def test_a_publish_that_is_doubted_is_not_repeated(chain: Chain) -> None:
    seen = len(chain.statuses())
    chain.deliver()
    fail(chain, "quarantine", LAST)
    fail(chain, "publish", BEFORE, AFTER_QUARANTINE)
    fail(chain, "publish", REPORTED, AFTER_QUARANTINE)
    # The program has said FAILED, because it could not know better.
    assert chain.statuses(seen) == [ledger.ABANDONED, ledger.FAILED, ledger.FAILED]
    assert heal(chain) == RECOVERED
    expected = [ledger.ABANDONED, ledger.FAILED, ledger.PUBLISHED, ledger.UNCHANGED]
    assert chain.statuses(seen) == expected


def test_a_seal_that_is_lost_or_doubted_is_repeated(chain: Chain) -> None:
    seen = len(chain.statuses())
    chain.deliver()
    fail(chain, "seal", LAST)
    # It has sealed: the next run only says that there is nothing to do.
    assert heal(chain) == IDLE
    chain.deliver()
    fail(chain, "seal", REPORTED)
    assert heal(chain) == IDLE
    chain.deliver()
    fail(chain, "seal", BEFORE)
    assert heal(chain) == IDLE
    assert chain.statuses(seen) == [ledger.PUBLISHED, ledger.UNCHANGED] * 3


def test_every_version_that_readers_could_see_had_been_judged(chain: Chain) -> None:
    """Each row came from staging under a verdict that was durable before the version was."""
    staged = staged_rows(chain)
    passed = verdict_times(chain)
    assert len(chain.published) == len(commits(chain, silver.NAME))
    for version, (at, _) in enumerate(commits(chain, silver.NAME)):
        if version == 0:
            assert chain.published[0] == {}
            continue
        old, new = chain.published[version - 1], chain.published[version]
        arrived = set(new.items()) - set(old.items())
        covering = [
            run
            for run, (kept, removed) in staged.items()
            if kept == arrived and removed == old.keys() - new.keys() and passed.get(run, at) < at
        ]
        assert covering, f"version {version} holds rows that no recorded verdict covers"


def test_a_commit_without_the_mark_of_the_dead_run_is_compared_with_all_rows(chain: Chain) -> None:
    """The run died before PUBLISH, and a notebook wrote just the version that it would have."""
    seen = len(chain.statuses())
    chain.deliver()
    fail(chain, "quarantine", LAST)
    chain.spark.sql(
        f"UPDATE delta.`{chain.path(silver.NAME)}` SET threshold_pace_s_per_km = 350"
        f" WHERE athlete_id = {RESTLESS}"
    )
    chain.read_new_versions()
    assert heal(chain) == [COMMITS[step] for step in AFTER_QUARANTINE]
    assert chain.statuses(seen) == [ledger.ABANDONED, ledger.PUBLISHED]


def test_a_commit_after_that_of_the_dead_run_is_compared_with_all_rows(chain: Chain) -> None:
    seen = len(chain.statuses())
    chain.deliver()
    fail(chain, "publish", LAST)
    chain.spark.sql(f"DELETE FROM delta.`{chain.path(silver.NAME)}` WHERE athlete_id = {RESTLESS}")
    chain.read_new_versions()
    assert heal(chain) == [COMMITS[step] for step in AFTER_QUARANTINE]
    assert chain.statuses(seen) == [ledger.ABANDONED, ledger.PUBLISHED]


def test_what_a_dead_run_has_refused_is_resolved_although_nothing_was_open_before(
    chain: Chain,
) -> None:
    """A run need not look into a quarantine that was empty at the last seal, but for this."""
    athlete, refused, mended = 77, pace(1), pace(310)
    chain.put((broken(chain.round), "r", mended))
    assert chain.run().open_rejects == 0
    chain.put((athlete, "r", refused))
    at = WHOLE.index("quarantine") + 1
    with faults(chain.warehouse, at, LAST) as fault, pytest.raises(Death):
        chain.run()
    assert fault.commits[-1] == quarantine.QUARANTINE
    chain.put((athlete, "r", mended))
    assert chain.run().open_rejects == 0
    assert chain.refused()[athlete] == [False]
    chain.put((athlete, "r", refused))
    assert [chain.run().open_rejects for _ in range(2)] == [1, 1]


# The commits of a run that reads a delivery; the last word is of both tables.
OF_BRONZE = (
    *(ledger.LEDGER, "ops.staging_bronze_athlete_settings", ledger.LEDGER, bronze.NAME),
    *(deliveries.DELIVERIES, ledger.LEDGER),
)


@pytest.mark.parametrize(
    ("last", "statuses"),
    [
        # The files that the dead run has read are read again, and found to be there already.
        (bronze.NAME, [ledger.ABANDONED, ledger.UNCHANGED]),
        (deliveries.DELIVERIES, [ledger.PUBLISHED, ledger.UNCHANGED]),
    ],
)
def test_a_delivery_of_a_dead_run_is_neither_lost_nor_counted_twice(
    quick_spark: SparkSession, tmp_path: Path, last: str, statuses: list[str]
) -> None:
    landing, warehouse = tmp_path / "landing", tmp_path / "warehouse"
    folder = landing / "athlete_settings"
    folder.mkdir(parents=True)

    def deliver(name: str, *athletes: int) -> None:
        lines = (f'{{"athlete_id": {athlete}, "valid_from": "2026-01-01"}}' for athlete in athletes)
        (folder / name).write_text("\n".join(lines), encoding="utf-8")
        os.utime(folder / name, (NOW.timestamp(), NOW.timestamp()))

    def caught_up() -> Entry:
        jobs = {FEATURE_ACTIVITY: (bronze.TABLE,)}
        return run(quick_spark, landing, warehouse, jobs=jobs)[bronze.NAME]

    deliver("first.jsonl", 1, 2)
    assert caught_up().rows_inserted == 2
    deliver("second.jsonl", 3, 4, 5)
    with faults(warehouse, OF_BRONZE.index(last) + 1, LAST) as fault, pytest.raises(Death):
        caught_up()
    assert fault.commits == list(OF_BRONZE[: OF_BRONZE.index(last) + 1])
    # The second of them has nothing to do.
    for healed in (caught_up(), caught_up()):
        assert (healed.status, healed.rows_inserted) == (ledger.UNCHANGED, 0)
    found = content(quick_spark, warehouse, bronze.NAME)
    assert len(found) == len(set(found)) == 5
    told = lines(quick_spark, warehouse)
    assert [row["status"] for row in told] == [ledger.PUBLISHED, *statuses, ledger.UNCHANGED]
    inserted = 2 if last == bronze.NAME else 5
    assert sum(row["rows_inserted"] for row in told) == inserted


def staged_rows(chain: Chain) -> dict[str, tuple[set[tuple[int, float]], set[int]]]:
    """By run, the rows that it staged to be inserted or updated, and the keys to be deleted."""
    found: dict[str, tuple[set[tuple[int, float]], set[int]]] = {}
    for row in chain.rows(STAGING):
        kept, removed = found.setdefault(row["_run_id"].rsplit("-", 1)[0], (set(), set()))
        if row["_op"] in ("insert", "update"):
            kept.add((row["athlete_id"], row["threshold_pace_s_per_km"]))
        if row["_op"] == "delete":
            removed.add(row["athlete_id"])
    return found


def verdict_times(chain: Chain) -> dict[str, int]:
    """By run that was judged PASS or WARN, when its verdicts became durable."""
    frame = chain.spark.read.format("delta").load(chain.path(ledger.LEDGER))
    rows = frame.where("event = 'AUDITED' AND verdict IN ('PASS', 'WARN')")
    added = {name: at for at, names in commits(chain, ledger.LEDGER) for name in names}
    found = rows.select("run_id", "_metadata.file_name").collect()
    return {row["run_id"]: added[row["file_name"]] for row in found}


def commits(chain: Chain, table: str) -> list[tuple[int, list[str]]]:
    """By version of a table, when it was committed, and the names of the files that it added."""
    found = []
    for path in sorted(Path(chain.path(table), "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        (at,) = (action["commitInfo"]["timestamp"] for action in actions if "commitInfo" in action)
        names = [Path(action["add"]["path"]).name for action in actions if "add" in action]
        found.append((at, names))
    return found
