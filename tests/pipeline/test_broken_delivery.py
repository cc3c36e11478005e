"""One bad file: it does not stop the others, and what is published does not depend on the batch.

A share is judged here in batches of 20 records, and a twentieth of them may be broken. The oracle
knows no batches: `World.check` finds out whether one has changed anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.errors import RejectedError
from paceline.pipeline import alerts
from paceline.pipeline.jobs import FEATURE_ACTIVITY, Jobs
from paceline.store import ledger
from paceline.store.ledger import Entry
from paceline.tables.bronze import athlete_settings as bronze_settings
from paceline.tables.bronze import strava_activities as bronze
from paceline.tables.silver import athlete_settings as silver_settings
from paceline.tables.silver import strava_activities as silver
from tests.pipeline.warehouse import checks
from tests.pipeline.worlds import World, plain_run

pytestmark = pytest.mark.slow

ACTIVITIES = {FEATURE_ACTIVITY: (bronze.TABLE, silver.TABLE)}
SETTINGS = {FEATURE_ACTIVITY: (bronze_settings.TABLE, silver_settings.TABLE)}
FIRST_DAY = date(2024, 3, 1)


def runs(first: int, count: int, athlete: int, **fields: Any) -> list[dict[str, Any]]:
    days = (FIRST_DAY + timedelta(days=n) for n in range(count))
    return [plain_run(first + n, athlete, day, **fields) for n, day in enumerate(days)]


def settings(first: int, count: int, **fields: Any) -> list[dict[str, Any]]:
    values = {"threshold_pace_s_per_km": 270, "hr_max_bpm": 190, "hr_rest_bpm": 50}
    values |= {"valid_from": "2024-01-01", "lthr_bpm": 170, "sex": "F"} | fields
    return [{"athlete_id": athlete} | values for athlete in range(first, first + count)]


# Their hearts beat faster at rest.
GOOD, BAD = settings(1, 60), [*settings(101, 5), *settings(201, 25, hr_rest_bpm=195)]
FEW_BROKEN = settings(301, 4, hr_rest_bpm=195)


class House(World):
    """A world that keeps what its runs log and send."""

    def __init__(self, spark: SparkSession, root: Path, jobs: Jobs) -> None:
        super().__init__(spark, root, date(2024, 7, 1), jobs=jobs)
        self.silver = self.judged[0]
        self.lines: list[str] = []
        self.alerts: list[str] = []
        contract = root / "conf" / "contracts" / f"{self.silver}.odcs.yaml"
        text, limit = contract.read_text("utf-8"), "  - {property: maxBrokenShare, value: 0.05}\n"
        assert limit in text
        few = f"{limit}  - {{property: minRows, value: 20}}\n"
        contract.write_text(text.replace(limit, few), "utf-8")

    def published_by(self, **options: Any) -> Entry:
        """The row of the ledger for silver, after a run that published it."""
        entry = self.run(tell=self.lines.append, **options)[self.silver]
        assert entry.status == ledger.PUBLISHED
        return entry

    def rejection(self) -> str:
        """What a run says that rejects silver."""
        with pytest.raises(RejectedError) as rejected:
            self.run(tell=self.lines.append)
        return str(rejected.value)


@pytest.fixture
def make(
    quick_spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Jobs], House]:
    """A house in which some tables are made."""

    def make(jobs: Jobs) -> House:
        house = House(quick_spark, tmp_path / "world", jobs)
        monkeypatch.setenv("PACELINE_WEBHOOK", "https://hooks.example.org/x")
        monkeypatch.setattr(alerts, "send", lambda url, text: house.alerts.append(text))
        return house

    return make


def test_a_bad_file_is_named_and_the_others_are_published(make: Callable[[Jobs], House]) -> None:
    house, path = make(ACTIVITIES), "strava_api/athlete_id=7/bad.jsonl"
    # They move for longer than they last.
    broken = runs(2001, 25, athlete=7, moving_time=9000)
    house.deliver(path, *runs(3001, 5, athlete=7), *broken)
    house.deliver("strava_api/good.jsonl", *runs(1001, 60, athlete=1))
    entry = house.published_by()
    assert (entry.rows_inserted, entry.rows_quarantined, entry.verdict) == (65, 25, "WARN")
    house.check()

    named = "strava_api/athlete_id=***/bad.jsonl (25 of 30 records broken)"
    warning = f"warning: {silver.NAME} delivery_broken: {named}"
    assert house.lines.count(warning) == 1
    said, query = (entry.message or "").split(" Where they are from: ")
    assert said == (
        f"delivery_broken: {named}; valid records were published, broken ones quarantined. "
        "Mend these at the source and deliver them again."
    )
    assert [tuple(row) for row in house.spark.sql(query).collect()] == [(path, 25)]
    (alert,) = house.alerts
    assert alert.splitlines()[0].startswith("paceline Feature_Activity PUBLISHED, verdict WARN")
    assert f"- {silver.NAME} PUBLISHED: {said}" in alert
    judged = {
        row["check_name"]: (row["observed"], row["threshold"], row["severity"], row["verdict"])
        for row in checks(house.spark, house.warehouse)
        if row["table_name"] == silver.NAME
    }
    assert judged["delivery_broken"] == (1, 0, "warning", "WARN")
    assert judged["broken_share"] == (0, 0.05, "error", "PASS")


def test_a_batch_that_is_mostly_a_bad_file_waits_for_others(make: Callable[[Jobs], House]) -> None:
    house = make(SETTINGS)
    house.deliver("athlete_settings/bad.jsonl", *BAD)
    said = house.rejection()
    assert "broken_share was broken by 83.33% of the rows, allowed are 5.00%" in said
    assert (
        "nothing was published. 1 delivery that is broken by itself holds more than half of the "
        "records, and so counts in the shares: athlete_settings/bad.jsonl (25 of 30 "
        "records broken). All checks: "
    ) in said
    assert [said[:60]] == [alert.split(" REJECTED: ")[1][:60] for alert in house.alerts]

    house.deliver("athlete_settings/good.jsonl", *GOOD)
    entry = house.published_by()
    assert (entry.rows_inserted, entry.rows_quarantined) == (65, 25)
    house.check()

    later = {"updated_at": "2026-07-01T07:00:00Z"}
    house.deliver("athlete_settings/mended.jsonl", *settings(201, 25, hr_rest_bpm=45, **later))
    mended = house.published_by()
    assert (mended.rows_inserted, mended.rows_quarantined, mended.message) == (25, 0, None)
    house.check()


def test_a_bad_file_that_comes_alone_is_published_once_a_person_accepts_it(
    make: Callable[[Jobs], House],
) -> None:
    house = make(SETTINGS)
    house.deliver("athlete_settings/good.jsonl", *GOOD)
    house.published_by()
    house.deliver("athlete_settings/bad.jsonl", *BAD)
    run_id = house.rejection().split("--accept ")[1].rstrip(".")
    entry = house.published_by(accept=run_id)
    assert (entry.rows_inserted, entry.rows_quarantined) == (5, 25)
    assert (entry.message or "").startswith(
        "accepted by a person: broken_share; delivery_broken: athlete_settings/bad.jsonl"
    )
    house.check()


def test_the_other_records_may_be_too_many_broken_ones_by_themselves(
    make: Callable[[Jobs], House],
) -> None:
    house = make(SETTINGS)
    house.deliver("athlete_settings/good.jsonl", *GOOD[:56])
    house.deliver("athlete_settings/bad.jsonl", *BAD)
    # Too few for a share of their own, and 4 of the 60 records besides the bad file.
    house.deliver("athlete_settings/few.jsonl", *FEW_BROKEN)
    said = house.rejection()
    assert "broken_share was broken by 6.67% of the rows, allowed are 5.00%" in said
    assert (
        "1 delivery that is broken by itself is left out of the shares: "
        "athlete_settings/bad.jsonl (25 of 30 records broken)."
    ) in said
