"""Small worlds by hand: deliveries of a run, a change or settings, and what comes of them."""

import json
from datetime import date

from tests.oracle import Conf, Delivery, outcome

ACTIVITIES = "silver.strava_activities"
PARTS = "silver.strava_sub_activity"
SETTINGS = "silver.athlete_settings"
FEATURES = "feature_store.activity_features"
ROLLING = "feature_store.athlete_rolling_features"

# A run of 10 km in 50 minutes: 5:00 per kilometre, and with the default threshold of 4:30 an
# intensity of 0.9, so 100 x 50/60 x 0.81 = 67.5 TSS.
RUN = {
    "id": 1,
    "athlete": {"id": 7},
    "sport_type": "Run",
    "start_date": "2024-06-01T06:00:00Z",
    "start_date_local": "2024-06-01T08:00:00Z",
    "distance": 10000.0,
    "moving_time": 3000,
    "elapsed_time": 3100,
}
ROW_OF_RUN = {
    "activity_id": 1,
    "athlete_id": 7,
    "sport_type": "Run",
    "start_date": "2024-06-01T06:00:00Z",
    "distance_m": 10000.0,
    "moving_time_s": 3000,
    "elapsed_time_s": 3100,
}


def delivery(path, *lines, at=0):
    """A file that was seen `at` milliseconds after 1970; a line is a text or becomes JSON."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return Delivery(path, "\n".join(texts) + "\n", at * 1000, date(2025, 1, 1))


def api(*objects, at=0):
    return delivery(f"strava_api/{at}.jsonl", *objects, at=at)


def change(op, image, at, lsn=None):
    """A delivery of one change envelope; `at` is its ts_ms."""
    image_name = "before" if op == "d" else "after"
    envelope = {"op": op, image_name: image, "ts_ms": at, "source": {"lsn": lsn}}
    return delivery(f"cdc/{op}{at}-{lsn}.jsonl", envelope, at=9)


def settings(at=0, **fields):
    return delivery(f"athlete_settings/{at}.jsonl", {"athlete_id": 7, **fields}, at=at)


def export(header, *rows, athlete_id=7):
    return delivery(f"strava_export/athlete_id={athlete_id}/activities.csv", header, *rows)


def run_on(day, tss=67.5, **fields):
    """A run of some load: at the default threshold 100 TSS are an hour."""
    seconds = round(36 * tss)
    return {
        **RUN,
        "id": date.fromisoformat(day).toordinal(),
        "start_date": f"{day}T06:00:00Z",
        "start_date_local": f"{day}T06:00:00Z",
        "distance": seconds / 270 * 1000,
        "moving_time": seconds,
        "elapsed_time": seconds,
        **fields,
    }


def world(*deliveries, horizon="2024-06-30", **conf):
    return outcome(deliveries, Conf(date.fromisoformat(horizon), **conf))


def activity(*deliveries, **conf):
    """The one row of silver's activities; None when there is none."""
    rows = list(world(*deliveries, **conf).tables[ACTIVITIES].values())
    assert len(rows) < 2
    return rows[0] if rows else None


def features(*deliveries, **conf):
    (row,) = world(*deliveries, **conf).tables[FEATURES].values()
    return row


def days(*deliveries, **conf):
    """The rolling rows of the one athlete, by day as text."""
    rows = world(*deliveries, **conf).tables[ROLLING]
    return {str(day): row for (_, day), row in rows.items()}


def refusals(*deliveries, **conf):
    return world(*deliveries, **conf).refused


def splits(*parts):
    names = "distance", "moving_time", "average_heartrate"
    return [
        {"split": n, **dict(zip(names, part, strict=False))}
        for n, part in enumerate(parts, start=1)
    ]
