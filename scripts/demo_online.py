"""What `make demo-online` does in Python: change the past of two athletes, and read both stores.

    python scripts/demo_online.py before    # read, then deliver a deletion and a correction
    python scripts/demo_online.py after     # read again; exit code 1 when paceline's store is wrong

Nothing is known beforehand: athletes and activities are chosen from the tables, and what a store
must hold is read from gold.
"""

import json
import sys
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from feast import FeatureStore

from paceline.online.repository import quiet, repository
from paceline.online.store import opened
from paceline.online.sync import instant
from paceline.online.verify import required_cursor

LANDING, WAREHOUSE = Path("demo/landing"), Path("demo/warehouse")
OURS, FEASTS = Path("demo/online/paceline"), Path("demo/online/feast")
STORY = Path("demo/online/before.json")  # what gold said of the two athletes
TABLES = {
    "bronze": "bronze/strava_activities",
    "silver": "silver/strava_activities",
    "gold": "feature_store/activity_features",
    "rolling": "feature_store/athlete_rolling_features",
}
VIEW, FEATURES = "athlete_rolling", ("activities_7d", "distance_km_7d", "ctl_ewma_42d")

# The activities of the seven days that the served row of their athlete covers, the newest first.
# An athlete with a second recording of one is left out: it would count where the first is deleted.
# `payload` is the record of an activity that has only one.
RECENT = """
SELECT * FROM (
    SELECT a.athlete_id, a.activity_id, a.local_day, a.distance_m, a.sport_family, a.source,
           b.records, b.payload, b.changed_ms,
           row_number() OVER (PARTITION BY a.athlete_id ORDER BY a.start_date DESC) AS nth,
           max(g.is_duplicate_recording) OVER (PARTITION BY a.athlete_id) AS has_duplicate
    FROM silver a JOIN gold g ON g.activity_id = a.activity_id
    JOIN (SELECT activity_id, count(*) AS records, max(payload) AS payload,
                 max(change_time_us) / 1000 AS changed_ms
          FROM bronze GROUP BY activity_id) b ON b.activity_id = a.activity_id
    JOIN (SELECT athlete_id, max(as_of_date) AS last_day FROM rolling
          WHERE event_timestamp <= '{as_of}' GROUP BY athlete_id) r ON r.athlete_id = a.athlete_id
    WHERE a.local_day BETWEEN r.last_day - INTERVAL '6 days' AND r.last_day
) WHERE NOT has_duplicate AND distance_m > 0 ORDER BY athlete_id, nth
"""

Values = dict[int, dict[str, Any]]  # by athlete, the features


def main(step: str) -> None:
    """Does one of the two steps."""
    # Up to this instant the last sync is exact; rows that become known later are not served yet.
    as_of = instant(required_cursor(opened(repository(OURS))).as_of)
    if step == "before":
        materialize(is_first=True)
        deleted, edited = chosen(as_of)
        said = gold([deleted["athlete_id"], edited["athlete_id"]], as_of)
        compare(said)
        deliver(deleted, edited)
        STORY.write_text(json.dumps(said))
        return
    materialize(is_first=False)
    said = {int(athlete): row for athlete, row in json.loads(STORY.read_text()).items()}
    says = gold(list(said), as_of)
    ours, feasts = compare(says)
    print(f"Wrong values: {ours} in paceline's store, {feasts} in Feast's own")
    if any(said[athlete] == says[athlete] for athlete in said):
        sys.exit("The deliveries have not reached gold: look at the lines of the jobs above.")
    if ours:
        sys.exit("paceline's store differs from gold.")


def materialize(*, is_first: bool) -> None:
    """Fills the other store as Feast does it by itself, with Spark."""
    with quiet():
        store = FeatureStore(repo_path=str(FEASTS))
    now = datetime.now(UTC)
    with quiet():
        if is_first:
            store.materialize(datetime(2000, 1, 1, tzinfo=UTC), now, [VIEW])
        else:
            store.materialize_incremental(now, [VIEW])


def query(sql: str) -> list[dict[str, Any]]:
    """Reads tables of the demo, without Spark."""
    reader = QueryBuilder()
    for name, path in TABLES.items():
        reader = reader.register(name, DeltaTable(WAREHOUSE / path))
    rows: list[dict[str, Any]] = pa.table(reader.execute(sql).read_all()).to_pylist()
    return rows


def chosen(as_of: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to delete, the last activity of somebody, and an earlier run of another to correct."""
    recent = query(RECENT.format(as_of=as_of.isoformat()))
    last = [row for row in recent if row["nth"] == 1]
    earlier_runs = [
        row
        for row in recent
        if row["nth"] > 1
        and (row["sport_family"], row["source"], row["records"]) == ("run", "strava_api", 1)
    ]
    for deleted, edited in product(last, earlier_runs):
        if deleted["athlete_id"] != edited["athlete_id"]:
            return deleted, edited
    sys.exit("Nothing is left in the demo to delete and to correct: run `make demo` again.")


def gold(athletes: list[int], as_of: datetime) -> Values:
    """Of each athlete the newest rolling row that is known: what a store must hold."""
    rows = query(
        f"SELECT athlete_id, {', '.join(FEATURES)} FROM rolling"
        f" WHERE athlete_id IN ({', '.join(map(str, athletes))})"
        f" AND event_timestamp <= '{as_of.isoformat()}' ORDER BY event_timestamp"
    )
    newest = {row["athlete_id"]: row for row in rows}  # the last one of each stays
    return {athlete: {name: newest[athlete][name] for name in FEATURES} for athlete in athletes}


def served(directory: Path, athletes: list[int]) -> Values:
    """What an application gets from a store."""
    store = FeatureStore(repo_path=str(directory), fs_yaml_file=directory / "serve.yaml")
    read = store.get_online_features(
        features=[f"{VIEW}:{name}" for name in FEATURES],
        entity_rows=[{"athlete_id": athlete} for athlete in athletes],
    ).to_dict()
    return {a: {name: read[name][n] for name in FEATURES} for n, a in enumerate(athletes)}


def compare(expected: Values) -> tuple[int, int]:
    """Prints gold beside what both stores serve; returns how many values of each are wrong."""
    ours, feasts = (served(directory, list(expected)) for directory in (OURS, FEASTS))
    line = "{:<9}{:<15}{:>9}{:>11} {:<5}{:>13} {:<5}"
    print(line.format("athlete", "feature", "gold", "paceline", "", "Feast's own", "").rstrip())
    wrong = [0, 0]
    for athlete, feature in product(expected, FEATURES):
        right = expected[athlete][feature]
        cells = [str(athlete), feature, text(right)]
        for n, store in enumerate((ours, feasts)):
            value = store[athlete][feature]
            wrong[n] += value != right
            cells += [text(value), "" if value == right else "wrong"]
        print(line.format(*cells).rstrip())
    return wrong[0], wrong[1]


def text(value: Any) -> str:
    """A value with two decimals, if it has any."""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def deliver(deleted: dict[str, Any], edited: dict[str, Any]) -> None:
    """Puts a deletion by change data and a correction by the API into the landing zone.

    Each is one second newer than what is known: the later change wins, not the later delivery.
    """
    now = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    deletion = {
        "op": "d",
        "before": {"activity_id": deleted["activity_id"], "athlete_id": deleted["athlete_id"]},
        "source": {"table": "activities", "ts_ms": deleted["changed_ms"] + 1000},
    }
    put(f"cdc/deletion_{now}.jsonl", deletion, f"{told(deleted)} is deleted")
    correction = {
        **json.loads(edited["payload"]),
        "athlete": {"id": edited["athlete_id"]},  # not every record names its athlete
        "distance": round(0.9 * edited["distance_m"], 1),
        "updated_at": datetime.fromtimestamp(edited["changed_ms"] / 1000 + 1, UTC).isoformat(),
    }
    put(f"strava_api/correction_{now}.jsonl", correction, f"{told(edited)} was too long by a tenth")


def told(activity: dict[str, Any]) -> str:
    """An activity in words."""
    athlete, day, metres = (activity[name] for name in ("athlete_id", "local_day", "distance_m"))
    return f"athlete {athlete}, {day}: an activity of {metres / 1000:.2f} km"


def put(name: str, record: dict[str, Any], meaning: str) -> None:
    """Puts a delivery of one record into the landing zone."""
    path = LANDING / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    print(f"{path}\n    {meaning}")


if __name__ == "__main__":
    main(sys.argv[1])
