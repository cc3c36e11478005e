"""The activities of an athlete up to a day, as the whole numbers that are summed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from paceline.features.windows import MEASURES

SCALES = {measure.name: measure.scale for measure in MEASURES}
# Measures of which a day has one, however many activities it has.
ONCE_A_DAY = frozenset(measure.name for measure in MEASURES if measure.daily == "max")


@dataclass(frozen=True)
class Activity:
    """A row of feature_store.activity_features, as far as the rolling table looks at it.

    Attributes:
        activity_id, local_day, sport_family: the columns of that name.
        amounts: by measure of `features.windows`, what the activity adds to its day before it is
            rounded; a measure for which it does not count is missing.
        end_us: its event_timestamp, in microseconds since 1970.
        shown: columns to show to people.
    """

    activity_id: int
    local_day: date
    sport_family: str
    amounts: Mapping[str, int | float]
    end_us: int = 0
    shown: Mapping[str, object] = field(default_factory=dict)

    def fixed(self, measure: str) -> int:
        """What it adds to its day, in whole fixed-point units."""
        amount, scale = self.amounts.get(measure, 0), SCALES[measure]
        return int(amount) if scale == 1 else math.floor(amount * scale + 0.5)


class Past:
    """The activities of an athlete up to a day, at least one, and what they add to each day."""

    def __init__(self, activities: Iterable[Activity], day: date) -> None:
        counted = (activity for activity in activities if activity.local_day <= day)
        self.day = day
        self.activities = sorted(counted, key=lambda one: (one.local_day, one.activity_id))
        self.first_day = self.activities[0].local_day
        self.last_day = self.activities[-1].local_day
        self._daily: dict[str, dict[date, int]] = {}

    @property
    def history_days(self) -> int:
        """Days from the first activity to the day, both included."""
        return (self.day - self.first_day).days + 1

    def since(self, days: int) -> date:
        """The first of so many calendar days that end with the day."""
        return self.day - timedelta(days=days - 1)

    def within(self, days: int) -> list[Activity]:
        """The activities of the last calendar days."""
        return [one for one in self.activities if one.local_day >= self.since(days)]

    def on(self, measure: str, day: date) -> int:
        """The fixed-point total of a day."""
        return self._by_day(measure).get(day, 0)

    def terms(self, measure: str, days: int) -> list[int]:
        """What makes up the total of the last calendar days, without zeros: a term per activity.

        A measure of which a day has but one has a term per day.
        """
        if measure in ONCE_A_DAY:
            first = self.since(days)
            window = (first + timedelta(days=number) for number in range(days))
            return [total for day in window if (total := self.on(measure, day))]
        return [fixed for one in self.within(days) if (fixed := one.fixed(measure))]

    def _by_day(self, measure: str) -> dict[date, int]:
        if measure not in self._daily:
            by_day: dict[date, list[int]] = defaultdict(list)
            for activity in self.activities:
                by_day[activity.local_day].append(activity.fixed(measure))
            combined = max if measure in ONCE_A_DAY else sum
            self._daily[measure] = {day: combined(amounts) for day, amounts in by_day.items()}
        return self._daily[measure]
