"""Features that need a value of the request are those that training computes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from paceline.online.sync import sync
from tests.online.gold import DAY, noon
from tests.online.stores import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.gold.put_days(1, [DAY], run_pace_min_km_30d=5.0)
    made.gold.put_days(2, [DAY], run_pace_min_km_30d=None)
    made.gold.seal()
    sync(made.online, made.reader, noon(DAY) + timedelta(hours=1))
    return made


def test_a_pace_beside_the_usual_one(place: Place) -> None:
    asked = [
        {"athlete_id": athlete, "current_pace_min_km": pace}
        for athlete, pace in [(1, 5.5), (1, 4.0), (2, 5.5), (99, 5.5), (1, None)]
    ]
    served = place.online.feast.get_online_features(
        features=["pace_deviation:pace_deviation", "athlete_rolling:history_days"],
        entity_rows=asked,
    ).to_dict()
    # (5.5 - 5) / 5 and (4 - 5) / 5; without a usual pace or a present one there is nothing to say.
    assert served["pace_deviation"] == [0.1, -0.2, None, None, None]
    assert served["history_days"] == [40, 40, 40, None, 40]


def test_a_heart_rate_beside_the_threshold(place: Place) -> None:
    served = place.online.feast.get_online_features(
        features=["current_hr_ratio:current_hr_ratio"],
        entity_rows=[
            {"athlete_id": 1, "current_hr": 153.0, "threshold_hr": 170.0},
            {"athlete_id": 2, "current_hr": 153.0, "threshold_hr": 0.0},
        ],
    ).to_dict()
    assert served["current_hr_ratio"] == [0.9, None]


def test_a_request_names_every_value(place: Place) -> None:
    from feast.errors import RequestDataNotFoundInEntityRowsException

    with pytest.raises(RequestDataNotFoundInEntityRowsException, match="threshold_hr"):
        place.online.feast.get_online_features(
            features=["current_hr_ratio:current_hr_ratio"],
            entity_rows=[{"athlete_id": 1, "current_hr": 153.0}],
        )
