"""Who trains when, and at what: the sessions of many athletes at once, before they are measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from paceline.generate.activities import SPORTS
from paceline.generate.athletes import DISCIPLINES, HOMES, SOUTHERN
from paceline.generate.plans import SPORT_MIX
from paceline.generate.streams import (
    Bools,
    Draw,
    Floats,
    Ints,
    Keys,
    bell,
    between,
    child_keys,
    uniforms,
    whole,
)

EPOCH = date(1970, 1, 1)
NEWCOMERS = (date(2014, 1, 1), date(2026, 6, 1))
"""The days between which those athletes begin who have not always been there."""
LATEST_PHASE = 1459  # in days, so that the gaps of different athletes come in different seasons

# The first part of a key, so that no two kinds of choices share numbers.
PROFILE, WEEKDAY, PAUSE, DORMANCY, FORM, DAY = range(6)

NAMES = tuple(SPORTS)
RUN, RIDE, NORDIC_SKI, VIRTUAL_RIDE = map(NAMES.index, ("Run", "Ride", "NordicSki", "VirtualRide"))
MIXES = tuple(SPORT_MIX)
MIX_WEIGHT = np.array([sum(mix.values()) for mix in SPORT_MIX.values()])
# One slot per unit of weight, so that a slot drawn at random has the share of its sport.
MIX_SLOTS = np.array(
    [
        np.resize(np.repeat([NAMES.index(name) for name in mix], [*mix.values()]), MIX_WEIGHT.max())
        for mix in SPORT_MIX.values()
    ]
)


@dataclass(frozen=True)
class Athletes:
    """What stays the same about athletes: one value per athlete.

    Attributes:
        index: number from 0, as in the other athletes of the package.
        key: what the keys of the athlete's random streams derive from.
        discipline: position in MIXES.
        is_southern: whether summer is in January.
        offset_s: standard time at home less UTC, in seconds.
        is_female: whether the constants for women apply.
        first_day: first day with training, counted from 1970-01-01.
        weekday_chance: share of days with training; seven values, from Monday.
        block_offset: days by which the four-week blocks are shifted.
        phase: days by which gaps and settings are shifted.
        minutes: length of the sessions relative to the usual one.
        threshold_s_per_km: threshold pace in winter of an ordinary year.
        hr_max: maximum heart rate in bpm.
        hr_rest: resting heart rate in bpm.
        trains_early: whether it is before work on weekdays.
    """

    index: Ints
    key: Keys
    discipline: Ints
    is_southern: Bools
    offset_s: Ints
    is_female: Bools
    first_day: Ints
    weekday_chance: Floats
    block_offset: Ints
    phase: Ints
    minutes: Floats
    threshold_s_per_km: Floats
    hr_max: Floats
    hr_rest: Floats
    trains_early: Bools


@dataclass(frozen=True)
class Sessions:
    """What was planned before it is measured: one value per session.

    Attributes:
        who: position of the athlete.
        day: local day, counted from 1970-01-01.
        nth: 1, or 2 for the second session of a day.
        start_s: local time of the start, in seconds after midnight.
        sport: position in NAMES.
        is_race: whether it is a race.
        is_long: whether it is the long one of the week.
        draw: next numbers of the streams of the sessions.
    """

    who: Ints
    day: Ints
    nth: Ints
    start_s: Ints
    sport: Ints
    is_race: Bools
    is_long: Bools
    draw: Draw


def athletes_of(index: Ints, seed: int) -> Athletes:
    """Draw the profiles; what few athletes must have among them is decided by the index."""
    key = child_keys(child_keys(np.array([seed % 2**64], np.uint64), PROFILE), index)
    draw = uniforms(child_keys(key, PROFILE))
    keenness = 0.62 + 0.1 * bell(draw)
    by_weekday = uniforms(child_keys(child_keys(key, WEEKDAY)[:, None], np.arange(7)))
    first, last = ((day - EPOCH).days for day in NEWCOMERS)
    home = index % len(HOMES)
    return Athletes(
        index=index,
        key=key,
        discipline=np.array([MIXES.index(name) for name in DISCIPLINES])[index % len(DISCIPLINES)],
        is_southern=np.array([zone in SOUTHERN for zone in HOMES])[home],
        offset_s=np.array([_standard_offset_s(zone) for zone in HOMES])[home],
        is_female=draw() < 0.45,
        first_day=np.where(index % 10 == 8, whole(draw, first, last), 0),
        weekday_chance=np.clip(keenness[:, None] + 0.17 * bell(by_weekday), 0.1, 0.95),
        block_offset=whole(draw, 0, 27),
        phase=whole(draw, 0, LATEST_PHASE),
        minutes=between(draw, 0.7, 1.3),
        threshold_s_per_km=between(draw, 225, 350),
        hr_max=whole(draw, 172, 202).astype(np.float64),
        hr_rest=whole(draw, 40, 64).astype(np.float64),
        trains_early=draw() < 0.5,
    )


@lru_cache
def _standard_offset_s(zone: str) -> int:
    some_day = datetime(2024, 1, 1, tzinfo=ZoneInfo(zone))
    zero = timedelta(0)
    standard = (some_day.utcoffset() or zero) - (some_day.dst() or zero)
    return int(standard.total_seconds())


def sessions_of(athletes: Athletes, span: Ints) -> Sessions:
    """Plan the sessions of consecutive days, counted from 1970-01-01, by athlete and start."""
    who, day, is_race = _training_days(athletes, span)
    keys = child_keys(child_keys(athletes.key, DAY)[who], day)
    draw = uniforms(child_keys(keys, 0))
    start_s = _starts(athletes, who, day, is_race, draw)
    has_second = (draw() < 0.07) & (start_s < 10 * 3600) & ~is_race
    at = np.repeat(np.arange(len(who)), 1 + has_second)
    nth = 1 + np.append(False, at[1:] == at[:-1])[: len(at)].astype(np.int64)
    who, day, is_race = who[at], day[at], is_race[at]
    draw = uniforms(child_keys(keys[at], nth))
    recovers = _recovers(athletes.block_offset[who], day)
    return Sessions(
        who=who,
        day=day,
        nth=nth,
        start_s=start_s[at] + 9 * 3600 * (nth - 1),
        sport=_sports(athletes, who, day, is_race, draw),
        is_race=is_race,
        is_long=(_weekday(day) == 6) & ~recovers & (nth == 1) & ~is_race,
        draw=draw,
    )


def _training_days(athletes: Athletes, span: Ints) -> tuple[Ints, Ints, Bools]:
    """Choose the days of each athlete: rhythm of weeks, blocks and seasons, gaps, races."""
    volume = 0.75 + 0.4 * _season(span, athletes.is_southern[:, None])
    volume[_recovers(athletes.block_offset[:, None], span)] *= 0.65
    draw = uniforms(child_keys(child_keys(athletes.key, DAY)[:, None], span))
    is_race = draw() < 1 / 75
    is_race &= (athletes.discipline != MIXES.index("walker"))[:, None]
    trains = draw() < athletes.weekday_chance[:, _weekday(span)] * volume
    trains |= is_race
    trains &= span >= athletes.first_day[:, None]
    trains &= ~_away(athletes, PAUSE, span, cycle=365, latest=300, length=(14, 56), chance=0.6)
    away = _away(athletes, DORMANCY, span, cycle=1460, latest=700, length=(380, 700), chance=1)
    trains &= ~(away & (athletes.index % 10 == 3)[:, None])
    who, at = np.nonzero(trains)
    return who, span[at], is_race[who, at]


def _away(
    athletes: Athletes,
    kind: int,
    span: Ints,
    *,
    cycle: int,
    latest: int,
    length: tuple[int, int],
    chance: float,
) -> Bools:
    """Tell which days of each athlete lie in a gap: at most one per cycle of so many days."""
    numbers = np.arange(span[0] // cycle, (span[-1] + LATEST_PHASE) // cycle + 1)
    draw = uniforms(child_keys(child_keys(athletes.key, kind)[:, None], numbers))
    first = np.where(draw() < chance, whole(draw, 0, latest), cycle)
    last = first + whole(draw, *length)
    number, day = np.divmod(span + athletes.phase[:, None], cycle)
    at = number - numbers[0]
    return (day >= np.take_along_axis(first, at, 1)) & (day <= np.take_along_axis(last, at, 1))


def _weekday(day: Ints) -> Ints:
    """0 on Mondays; 1970-01-01 was a Thursday."""
    return (day + 3) % 7


def _recovers(block_offset: Ints, day: Ints) -> Bools:
    return (day + block_offset) % 28 >= 21


def _season(day: Ints, is_southern: Bools) -> Floats:
    """How far into the season days are, from 0 (deep winter) to 1 (high summer) at home."""
    dates = day.astype("datetime64[D]")
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64) + 1
    away = np.abs(day_of_year - np.where(is_southern, 20, 202)) % 365
    season: Floats = 1 - np.minimum(away, 365 - away) / 182.5
    return season


def threshold_s_per_km(athletes: Athletes, who: Ints, day: Ints) -> Floats:
    """Threshold pace of athletes on days, in s/km: better in season, and another form each year."""
    draw = uniforms(child_keys(child_keys(athletes.key, FORM)[who], day // 365))
    form = between(draw, 0.97, 1.03) - 0.03 * _season(day, athletes.is_southern[who])
    return athletes.threshold_s_per_km[who] * form


def _starts(athletes: Athletes, who: Ints, day: Ints, is_race: Bools, draw: Draw) -> Ints:
    """Draw local starts: before or after work, at weekends in the morning, seldom at night."""
    kinds = [is_race, draw() < 0.01, _weekday(day) >= 5, athletes.trains_early[who]]
    first = np.select(kinds, [9.5, 0.2, 7.0, 5.5], 16.5)
    last = np.select(kinds, [9.5, 3.5, 11.0, 8.0], 20.0)
    hours: Floats = first + (last - first) * draw()
    return (3600 * hours).astype(np.int64)


def _sports(athletes: Athletes, who: Ints, day: Ints, is_race: Bools, draw: Draw) -> Ints:
    """Draw from the mix of the discipline; its first sport replaces what is out of season."""
    discipline = athletes.discipline[who]
    slot = (draw() * MIX_WEIGHT[discipline]).astype(np.int64)
    sport = MIX_SLOTS[discipline, slot]
    warmth = _season(day, athletes.is_southern[who])
    out_of_season = ((sport == NORDIC_SKI) & (warmth > 0.35)) | (
        (sport == VIRTUAL_RIDE) & (warmth > 0.75)
    )
    sport = np.where(out_of_season, MIX_SLOTS[discipline, 0], sport)
    return np.where(is_race, np.where(discipline == MIXES.index("cyclist"), RIDE, RUN), sport)
