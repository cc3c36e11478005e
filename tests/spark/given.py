"""What recipe tests are given: rows from a contract's example, frames of them, and a context."""

import io
import json
from datetime import date
from pathlib import Path

from paceline.contract import load_all
from paceline.recipe import EVERYTHING, Context
from paceline.settings import load_settings
from paceline.sources import debezium
from paceline.sources.record import Ignored

CONF = Path(__file__).parents[2] / "conf"
CONTRACTS = load_all(CONF / "contracts")
SETTINGS = load_settings(CONF).for_recipes()

ATHLETE = 1001
BRONZE = "bronze.strava_activities"


def row(table, **cells):
    """The example row of a table with other cells; one it does not have is a mistake."""
    example = CONTRACTS[table].example()
    assert cells.keys() <= example.keys(), cells.keys() - example.keys()
    return example | cells


def frame(spark, table, rows):
    """The rows as a frame in the columns and types of the table's contract."""
    contract = CONTRACTS[table]
    values = [tuple(cells[name] for name in contract.column_names) for cells in rows]
    return spark.createDataFrame(values, contract.schema())


def bronze_api(payload, **cells):
    """A record of bronze.strava_activities: an API object, or the text of what came instead.

    Its ids are those of the object, as far as they are numbers. The line number is the activity, so
    that a record can be told in a result.
    """
    text = payload if isinstance(payload, str) else json.dumps(payload)
    ids = {"athlete_id": None, "activity_id": None}
    if isinstance(payload, dict):
        ids["athlete_id"] = payload.get("athlete", {}).get("id")
        ids["activity_id"] = int(payload["id"]) if "id" in payload else None
    return row(BRONZE, payload=text, **ids | cells)


def bronze_changes(files, tables=SETTINGS["cdc_tables"], **cells):
    """Records of bronze.strava_activities for the lines of files of change data, as received.

    A file is a path with lines; a line is a text, or becomes JSON. What is ignored is left out.
    """
    rows = []
    for path, lines in files.items():
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        content = io.BytesIO("\n".join(texts).encode())
        for record in debezium.records(content, path, tables):
            if not isinstance(record, Ignored):
                names = [name for name in row(BRONZE) if hasattr(record, name)]
                read = {name: getattr(record, name) for name in names}
                read["change_time_us"] = record.change_time_us or 0
                rows.append(row(BRONZE, source="debezium", source_path=path, **read | cells))
    return rows


def activity(activity_id, athlete_id=ATHLETE, **fields):
    """An API object of a plain run: 10 km in 3,000 s at 08:00 in Berlin on 1 June 2024."""
    return {
        "id": activity_id,
        "athlete": {"id": athlete_id},
        "name": "Morning run",
        "sport_type": "Run",
        "start_date": "2024-06-01T06:00:00Z",
        "start_date_local": "2024-06-01T08:00:00Z",
        "distance": 10000.0,
        "moving_time": 3000,
        "elapsed_time": 3100,
    } | fields


def without(payload, *names):
    """The object without some of its fields."""
    return {name: value for name, value in payload.items() if name not in names}


def context(policies=None, horizon=None, horizon_before=None, window=None, **settings):
    """What a recipe may know: the settings and policies of the product, with changes."""
    return Context(
        settings=SETTINGS | settings,
        contracts=CONTRACTS,
        policies={name: c.policy for name, c in CONTRACTS.items()} | (policies or {}),
        window=window,
        horizon=horizon,
        horizon_before=horizon_before,
    )


def rows_of(table, inputs, context, scope=EVERYTHING, own=None):
    """What a recipe gives for a scope; without `own`, for a table that is not there yet."""
    if own is None:
        spark = next(iter(inputs.values())).sparkSession
        own = frame(spark, table.name, [])
    return table.rows(scope, inputs, own, context)


def touched_keys(table, changes, inputs, context, own=None):
    """The keys that a recipe finds touched, as a set of tuples in the order of its columns.

    Inputs that are not named have not changed.
    """
    spark = next(iter(inputs.values())).sparkSession
    if own is None:
        own = frame(spark, table.name, [])
    unchanged = {name: change_feed(spark, name, insert=[]) for name in table.inputs}
    return {
        tuple(key)
        for key in table.touched(unchanged | changes, inputs, own, context).keys.collect()
    }


def change_feed(spark, table, **images):
    """A change feed: rows by kind of change, as `insert=[...]` or `update_preimage=[...]`."""
    from pyspark.sql import functions as F

    from paceline.recipe import union

    return union(
        [
            frame(spark, table, rows).withColumn("_change_type", F.lit(kind))
            for kind, rows in images.items()
        ]
    )


def day(text):
    """A calendar day from its ISO text."""
    return date.fromisoformat(text)
