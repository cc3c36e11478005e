"""The product, against the inputs that the oracle is tested with."""

import io
import json
from collections import defaultdict
from pathlib import PurePosixPath

import pytest

from paceline.recipe import CURRENT, DISPOSITION, QUARANTINED, REASONS, UNREADABLE, WARNINGS
from paceline.sources import SOURCES
from paceline.sources.limits import DEFAULTS
from paceline.sources.record import Record
from paceline.tables.silver import athlete_settings, strava_activities, strava_sub_activity
from tests.fixtures.change_cases import CASES
from tests.spark.given import CONTRACTS, SETTINGS, context, frame, row, rows_of

BRONZE, SILVER = "bronze.strava_activities", "silver.strava_activities"
OF_SETTINGS = "bronze.athlete_settings"
WARNED_OF = {
    "an answer with a time that is a number",
    "an answer with a split that is a number",
}


def received(number, case):
    """The bronze rows of a case; its activity and athlete get numbers of their own."""
    (source,) = (one for one in SOURCES if one.folder == PurePosixPath(case.path).parts[0])
    texts = [line if isinstance(line, str) else json.dumps(line) for line in case.lines]
    stream = io.BytesIO("\n".join(texts).encode())
    for found in source.records(stream, case.path, SETTINGS, DEFAULTS):
        if isinstance(found, Record):
            cells = {name: getattr(found, name, None) for name in row(source.table)}
            cells |= {"source": source.name, "source_path": f"{number}/{case.path}"}
            cells |= {"change_time_us": found.change_time_us or 0}
            cells |= {name: row(source.table)[name] for name in ("ingest_date", "source_digest")}
            for name in {"activity_id", "athlete_id"} & cells.keys():
                if cells[name] is not None:
                    cells[name] += 1000 * number
            yield source.table, cells


@pytest.fixture(scope="module")
def outcome(spark):
    """By number of the case: rows and their parts, reasons, and all warnings."""
    rows = defaultdict(list)
    for number, case in enumerate(CASES.values()):
        for table, cells in received(number, case):
            rows[table].append(cells)
    bronze = frame(spark, BRONZE, rows[BRONZE])
    activities = rows_of(strava_activities.TABLE, {BRONZE: bronze}, context()).cache()
    current = activities.where(activities[DISPOSITION] == CURRENT)
    published = current.select(*CONTRACTS[SILVER].column_names)
    inputs = {BRONZE: bronze, SILVER: published}
    parts = rows_of(strava_sub_activity.TABLE, inputs, context()).collect()
    settings = frame(spark, OF_SETTINGS, rows[OF_SETTINGS])
    of_settings = rows_of(athlete_settings.TABLE, {OF_SETTINGS: settings}, context()).collect()
    found = defaultdict(lambda: ([], [], {}, set()))
    for judged in [*activities.collect(), *of_settings]:
        number = int(judged["_record"]["source_path"].partition("/")[0])
        rows_found, refused, _, warnings = found[number]
        if judged[DISPOSITION] == CURRENT:
            rows_found.append(judged.asDict())
            warnings.update(judged.asDict().get(WARNINGS) or [])
        elif judged[DISPOSITION] in (QUARANTINED, UNREADABLE):
            refused.append(tuple(judged[REASONS]))
    for part in parts:
        _, _, of_case, warnings = found[part["activity_id"] // 1000]
        of_case[part["kind"], part["sub_index"]] = part.asDict()
        warnings.update(part[WARNINGS])
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_case(outcome, name):
    case = CASES[name]
    rows, refused, parts, warnings = outcome[list(CASES).index(name)]
    published = {} if case.published is None else case.published
    assert len(rows) == (case.published is not None)
    assert all(found.items() >= published.items() for found in rows), rows
    assert sorted(refused) == sorted(case.refused)
    assert parts.keys() == case.parts.keys()
    for key, cells in case.parts.items():
        assert parts[key].items() >= cells.items()
    assert ("value_unreadable" in warnings) is (name in WARNED_OF)
