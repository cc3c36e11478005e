"""A seeded synthetic landing zone: athletes who train, and everything that goes wrong with it.

The files have the formats of the real sources. Equal arguments give equal bytes, on every
machine; the records of an athlete do not depend on how many other athletes there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

from paceline.errors import UsageError
from paceline.generate.athletes import athlete_of, uniforms
from paceline.generate.delivery import Outbox, deliver, pull_times
from paceline.generate.landing import files_of, write

__all__ = ["DEFAULT_END", "Summary", "generate"]

DEFAULT_END = date(2026, 6, 30)
EARLIEST_START = date(2010, 1, 1)
MOST_ATHLETES = 100_000
# The first part of a stream's key, so that no athlete shares numbers with the files.
FILES, ATHLETES, ODD = 0, 1, 2


@dataclass(frozen=True)
class Summary:
    """Counts of what was written.

    `records` are the deliveries of activities, readable or not, each line, array element and
    row once per file that holds it; `settings` the settings records; `activities` the distinct
    activities among the records. `kinds` counts, by name, what is special or wrong.
    """

    files: int
    athletes: int
    activities: int
    records: int
    settings: int
    kinds: Mapping[str, int]


def generate(
    target: Path, *, athletes: int, days: int, seed: int, end: date | None = None
) -> Summary:
    """Write the landing zone of so many athletes over the days up to and including `end`.

    The target is created; it must be empty, so that no other file mixes with the generated ones.
    `end` defaults to 2026-06-30. All of it is held in memory until it is written: about half a
    megabyte per athlete and three years.

    Raises UsageError for a target that is not an empty directory, and for counts out of range.
    """
    end = end or DEFAULT_END
    if not 1 <= athletes <= MOST_ATHLETES:
        raise UsageError(f"--athletes must be 1 to {MOST_ATHLETES:,}, not {athletes}.")
    if seed < 0:
        raise UsageError(f"--seed must not be negative, but is {seed}.")
    if not 1 <= days <= (end - EARLIEST_START).days:
        raise UsageError(f"--days must be at least 1 and begin after 2010-01-01, not {days}.")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(f"{target} is not an empty directory; name a new one or empty it first.")
    first_day = end - timedelta(days=days - 1)
    outbox = Outbox(pull_times(first_day, days))
    for index in range(athletes):
        draw = uniforms(seed, ATHLETES, index)
        odd = uniforms(seed, ODD, index)
        deliver(athlete_of(index, days, draw), first_day, days, draw, odd, outbox)
    files = records = 0
    for name, file in files_of(outbox, uniforms(seed, FILES)):
        write(name, file, target)
        files += 1
        records += file.records
    return Summary(
        files=files,
        athletes=athletes,
        activities=outbox.activities,
        records=records - outbox.settings,
        settings=outbox.settings,
        kinds=MappingProxyType(dict(sorted(outbox.kinds.items()))),
    )
