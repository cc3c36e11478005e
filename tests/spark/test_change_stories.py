"""Change data of five kinds of databases: silver ends as the database ended, however it comes."""

import json
import random

import pytest

from paceline.recipe import CURRENT, DISPOSITION, QUARANTINED, REASONS, UNREADABLE
from paceline.sources.refusals import END_NOT_AHEAD, LAYOUT_UNKNOWN, REFUSALS
from paceline.tables.silver import strava_activities
from tests.oracle import Conf, Delivery, outcome
from tests.oracle.stories import BEGIN_MS, deliveries, story, uglier
from tests.spark.given import CONTRACTS, bronze_changes, context, frame, rows_of

BRONZE, SILVER = "bronze.strava_activities", "silver.strava_activities"
STORIES, FILES = 240, 3
# No change data is needed for these.
OF_OTHERS = {LAYOUT_UNKNOWN, END_NOT_AHEAD}


def judged(spark, rows):
    found = rows_of(strava_activities.TABLE, {BRONZE: frame(spark, BRONZE, rows)}, context())
    return found.collect()


def test_silver_ends_as_the_database_ended(spark):
    chance = random.Random(11)
    stories = [story(activity_id, chance) for activity_id in range(1, STORIES)]
    lines = deliveries(stories, chance, FILES)
    rows = bronze_changes({f"cdc/{n}.jsonl": of_file for n, of_file in enumerate(lines)})
    # Two messages of each story are about something else, and many changes come again.
    assert len(rows) == sum(map(len, lines)) - 2 * len(stories)
    assert len(rows) > 1.2 * sum(len(told.messages) for told in stories)
    found = judged(spark, rows)
    assert {r[DISPOSITION] for r in found} & {QUARANTINED, UNREADABLE} == set()
    names = {
        r["activity_id"]: (r["name"], r["distance_m"]) for r in found if r[DISPOSITION] == CURRENT
    }
    assert names == {
        told.activity_id: (told.last["name"], told.last["distance_m"])
        for told in stories
        if told.last is not None
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_silver_is_what_the_oracle_says(spark, seed):
    chance = random.Random(seed)
    stories = [story(activity_id, chance) for activity_id in range(1, STORIES)]
    files = {}
    for number, lines in enumerate(deliveries(stories, chance, FILES)):
        messages = map(json.loads, lines)
        told = [
            uglier(m, chance) if "after" in m and chance.random() < 0.4 else m for m in messages
        ]
        files[f"cdc/{number}.jsonl"] = [json.dumps(message) for message in told]
    found = judged(spark, bronze_changes(files))
    ingested = CONTRACTS[BRONZE].example()["ingest_date"]
    expected = outcome(
        [
            Delivery(path, "\n".join(lines), mtime_us=BEGIN_MS * 1000, ingest_date=ingested)
            for path, lines in files.items()
        ],
        Conf(horizon=ingested),
    )
    published = {
        (r["athlete_id"], r["activity_id"]): (r["name"], r["distance_m"], r["moving_time_s"])
        for r in found
        if r[DISPOSITION] == CURRENT
    }
    assert published == {
        key: (r["name"], r["distance_m"], r["moving_time_s"])
        for key, r in expected.tables[SILVER].items()
    }
    refused = {
        (SILVER, (r["athlete_id"], r["activity_id"]), tuple(r[REASONS]))
        for r in found
        if r[DISPOSITION] == QUARANTINED
    }
    # The oracle keeps no id of what cannot be read.
    refused |= {
        (SILVER, (None, None), tuple(r[REASONS])) for r in found if r[DISPOSITION] == UNREADABLE
    }
    assert refused == expected.refused
    assert {reason for _, _, (reason, *_) in refused} == set(REFUSALS) - OF_OTHERS
