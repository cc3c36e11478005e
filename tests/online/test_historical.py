"""Feast's own reading of the past gives the training sets of paceline, bit for bit."""

from __future__ import annotations

import random
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureStore
from pyspark.sql import SparkSession

import paceline
from tests.online.gold import DAY, ROLLING, Gold, noon
from tests.online.stores import made

ATHLETES, LABELS = range(1, 41), 2_000
FEATURES = [
    *("ctl_ewma_42d", "acwr", "tss_7d", "activities_7d", "history_days", "run_pace_min_km_30d"),
]


def written(root: Path, chance: random.Random) -> Gold:
    """Forty athletes with a row on some of seventy days, and values of all magnitudes."""
    gold = Gold(root)
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for athlete in ATHLETES:
        first = chance.randrange(40)
        for n in range(first, 70):
            day = DAY + timedelta(days=n)
            if n > first and chance.random() < 0.2:
                continue
            rows[athlete, day.toordinal()] = gold._row(
                ROLLING,
                athlete_id=athlete,
                as_of_date=day,
                event_timestamp=noon(day),
                ctl_ewma_42d=chance.uniform(0, 1) * 10 ** chance.randrange(-300, 300),
                tss_7d=chance.choice([0.0, -0.0, 0.1 + 0.2, 5e-324]),
                acwr=None if chance.random() < 0.3 else chance.random(),
                run_pace_min_km_30d=None if chance.random() < 0.3 else chance.random(),
                activities_7d=chance.randrange(50),
                history_days=n - first + 1,
            )
    gold._put(ROLLING, rows)
    gold.put_activity(1, 1, noon(DAY))
    gold.seal()
    return gold


def labels(chance: random.Random) -> pd.DataFrame:
    """Instants before, between, at and after those of the rows; of unknown athletes, too."""
    at = []
    for _ in range(LABELS):
        at_noon = noon(DAY + timedelta(days=chance.randrange(-5, 80)))
        at.append(
            at_noon + timedelta(microseconds=chance.choice([0, 0, 1, -1, chance.randrange(10**11)]))
        )
    athletes = [chance.randrange(1, 45) for _ in range(LABELS)]
    return pd.DataFrame({"number": range(LABELS), "athlete_id": athletes, "event_timestamp": at})


def bits(value: Any) -> Any:
    if value is None or value is pd.NA or value != value:
        return None
    return struct.pack("<d", value)


def by_label(rows: list[dict[str, Any]]) -> dict[int, list[Any]]:
    return {int(row["number"]): [bits(row[name]) for name in FEATURES] for row in rows}


@pytest.mark.filterwarnings("ignore:The spark:RuntimeWarning")
def test_two_thousand_labels(spark: SparkSession, tmp_path: Path) -> None:
    chance = random.Random(21)
    gold = written(tmp_path / "warehouse", chance)
    asked = labels(chance)
    frame = spark.createDataFrame(pa.Table.from_pandas(asked))
    ours = paceline.training_set(
        spark, frame, FEATURES, timestamp_column="event_timestamp", warehouse=gold.root
    )
    expected = by_label([row.asDict() for row in ours.frame.collect()])
    repo = made(tmp_path / "feature_repo", gold.root)
    store = FeatureStore(repo_path=str(repo.directory))
    job = store.get_historical_features(
        entity_df=asked, features=[f"athlete_rolling:{name}" for name in FEATURES]
    )
    found = by_label(job.to_df().astype(object).to_dict("records"))
    assert len(found) == LABELS
    assert found == expected
    known = [values for values in found.values() if values[FEATURES.index("history_days")]]
    assert LABELS // 2 < len(known) < LABELS
