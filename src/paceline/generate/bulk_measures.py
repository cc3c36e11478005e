"""What sessions amounted to: the measures and settings from which features are made, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from paceline.generate.activities import RACES, SPORTS
from paceline.generate.bulk_sessions import (
    NAMES,
    RIDE,
    RUN,
    VIRTUAL_RIDE,
    Athletes,
    Sessions,
    threshold_s_per_km,
)
from paceline.generate.streams import Floats, Ints, bell, between, whole

Columns = dict[str, npt.NDArray[Any]]

DEFAULT_THRESHOLD_S_PER_KM = 270.0
DAYS_A_SETTING = 150
DAY_S = 86_400
HIKE, SWIM = map(NAMES.index, ("Hike", "Swim"))
MINUTES, SPEED, CLIMB, EFFORT = np.array(
    [(sport.minutes, sport.speed, sport.climb, sport.effort) for sport in SPORTS.values()]
).T
# Runs, then rides; the shorter list twice, so that both have equal chances of four.
RACE = np.array([RACES["Run"], RACES["Ride"] * 2])


def measures_of(athletes: Athletes, sessions: Sessions) -> Columns:
    """Measure the sessions: what silver knows of them, NaN where it has no value."""
    draw, sport = sessions.draw, sessions.sport
    distance, moving = _distance_and_time(athletes, sessions)
    is_run = sport == RUN
    is_trainer = (sport == VIRTUAL_RIDE) | (is_run & ~sessions.is_race & (draw() < 0.05))
    on_treadmill = np.where(draw() < 0.6, 0.0, 10 * np.rint(distance / 10))
    distance = np.where(is_trainer & is_run, on_treadmill, distance)
    # Some devices write 0 for a sport without distance, others nothing.
    distance = np.where((SPEED[sport] == 0) & (draw() < 0.5), np.nan, distance)
    is_manual = ~is_trainer & ~sessions.is_race & (draw() < 0.01)
    climb = CLIMB[sport] * between(draw, 0.4, 1.6) * distance / 1000
    gain = np.where(is_trainer, 0.0, np.round(climb, 1))
    has_heartrate = (athletes.index % 9 != 7)[sessions.who] & ~is_manual & (draw() < 0.95)
    return {
        "distance_m": distance,
        "moving_time_s": moving,
        "elapsed_time_s": moving + _pauses(sessions, moving),
        "elevation_gain_m": np.where(is_manual, np.nan, gain),
        "average_heartrate_bpm": np.where(has_heartrate, _heartrate(athletes, sessions), np.nan),
    }


def _distance_and_time(athletes: Athletes, sessions: Sessions) -> tuple[Floats, Ints]:
    """Draw the distance in m and the moving time in s from the form of the day."""
    draw, sport, is_race = sessions.draw, sessions.sport, sessions.is_race
    ability = 270 / threshold_s_per_km(athletes, sessions.who, sessions.day)
    minutes = MINUTES[sport] * athletes.minutes[sessions.who] * np.where(sessions.is_long, 1.8, 1.0)
    minutes *= 1 + 0.2 * bell(draw)
    moving = np.rint(60 * minutes)
    fatigue = 1 - 0.0004 * (minutes - 50)
    distance = SPEED[sport] * ability * fatigue * (1 + 0.05 * bell(draw)) * moving
    distance = np.where(sport == SWIM, 25 * np.rint(distance / 25), np.round(distance, 1))
    race = whole(draw, 0, RACE.shape[1] - 1)
    length, usual = RACE[(sport == RIDE).astype(np.int64), race].T
    length = np.round(length * between(draw, 1.0, 1.01), 1)
    record = np.rint(length / (usual * ability * (1 + 0.015 * bell(draw))))
    return np.where(is_race, length, distance), np.where(is_race, record, moving).astype(np.int64)


def _pauses(sessions: Sessions, moving: Ints) -> Ints:
    """Draw the seconds that the watch ran while the athlete stood; some forget to stop it."""
    draw = sessions.draw
    luck = draw()
    rests_long = (sessions.sport == RIDE) | (sessions.sport == HIKE)
    pauses = (moving * draw() * np.where(rests_long, 0.25, 0.08)).astype(np.int64)
    pauses = np.where(sessions.is_race | (luck < 0.4), whole(draw, 0, 15), pauses)
    return np.where(luck < 0.001, whole(draw, DAY_S, 140_000), pauses)


def _heartrate(athletes: Athletes, sessions: Sessions) -> Floats:
    """Draw the mean heart rate in bpm."""
    effort = np.where(sessions.is_race, 0.86, EFFORT[sessions.sport])
    share = np.minimum(0.95, effort + 0.05 * bell(sessions.draw))
    rest = athletes.hr_rest[sessions.who]
    return np.round(rest + share * (athletes.hr_max[sessions.who] - rest), 1)


def settings_of(athletes: Athletes, sessions: Sessions) -> Columns:
    """Settings in use: none for every tenth athlete, and for some newcomers not at once."""
    who, day = sessions.who, sessions.day
    index = athletes.index[who]
    since = athletes.first_day[who] + np.where(index % 3 == 1, 45, 0)
    renewed = day - (day + athletes.phase[who]) % DAYS_A_SETTING
    threshold = np.round(threshold_s_per_km(athletes, who, np.maximum(renewed, since)), 1)
    is_known = (index % 10 != 7) & (day >= since)
    rest, highest = athletes.hr_rest[who], athletes.hr_max[who]
    is_female = athletes.is_female[who] & is_known & (index % 10 != 2)
    return {
        "threshold_pace_s_per_km": np.where(
            is_known & (index % 10 != 6), threshold, DEFAULT_THRESHOLD_S_PER_KM
        ),
        "hr_rest_bpm": np.where(is_known, rest, np.nan),
        "hr_max_bpm": np.where(is_known, highest, np.nan),
        "lthr_bpm": rest + np.rint(0.87 * (highest - rest)),
        "trimp_factor": np.where(is_female, 0.86, 0.64),
        "trimp_exponent": np.where(is_female, 1.67, 1.92),
    }
