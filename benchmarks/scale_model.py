"""The arithmetic of scale: rows, bytes, files, and what a daily and a first run come to.

Pure functions of a scale (athletes, years) and of inputs (costs per row, how athletes behave).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paceline.features.windows import EWMA_DAYS, MEASURES
from paceline.intake import landing
from paceline.publish.bounds import MAX_BOUNDS, MAX_KEYS
from paceline.tables.feature_store.athlete_rolling_features import ATHLETES_A_BLOCK

MEASURED, SIMULATED, ASSUMED = "measured", "simulated", "assumed"
DAYS_A_YEAR = 365
MILLION, MB = 1e6, 1e6
CLUSTERED = "clustered by (day, athlete)"
STATE_COLUMNS = 4 + len(EWMA_DAYS)
"""Columns of the rolling table in which a fold goes on: the key, two counts of days, the EWMAs."""

DELAYS = ((0.016, 1, 30), (0.004, 30, 500))
"""How late activities arrive, as the generator draws it: (share, from days, to days)."""

Boxes = npt.NDArray[np.int64]
"""One box a row: first athlete, last athlete, first day, last day; both ends inside."""


@dataclass(frozen=True)
class Known:
    """A number that the model starts from; `origin` is MEASURED, SIMULATED or ASSUMED."""

    value: float
    unit: str
    meaning: str
    origin: str = ASSUMED


Inputs = Mapping[str, Known]

DEFAULTS: Inputs = {
    "activities_per_week": Known(3.5, "", "activities of an athlete in a week"),
    "active_days_per_week": Known(3.3, "", "days of a week with an activity"),
    "rows_per_year": Known(345, "", "rolling rows of an athlete in a year"),
    "awake_share": Known(0.95, "", "athletes who get a row for a new day"),
    "late_share": Known(sum(share for share, _, _ in DELAYS), "", "activities that come late"),
    "rolling_bytes": Known(160, "B", "a rolling row in the table"),
    "state_bytes": Known(30, "B", "of it, the columns in which a fold goes on"),
    "activity_bytes": Known(100, "B", "a row of activity_features in the table"),
    "day_bytes": Known(80, "B", "a day of an athlete in a shuffle, compressed"),
    "record_bytes": Known(800, "B", "a record in the landing zone"),
    "parse_s": Known(25, "s", "parsing a million records, on one core of the driver"),
    "append_s": Known(1.5, "s", "appending one frame of records to a staging table"),
    "read_s": Known(2, "s", "CPU to read a million rolling rows, all columns"),
    "recipe_s": Known(16, "s", "CPU to compute and write a million rolling rows"),
    "full_s": Known(24, "s", "the same with write-audit-publish"),
    "file_bytes": Known(128 * MB, "B", "size of a file that OPTIMIZE aims at"),
    "busy_share": Known(0.6, "", "share of its time that a core of a cluster works"),
}
"""What is assumed where nothing is measured or simulated; sizes and costs are round numbers."""


@dataclass(frozen=True)
class Scale:
    """So many athletes, all of them over so many years."""

    athletes: int
    years: int

    @property
    def days(self) -> int:
        """Calendar days."""
        return self.years * DAYS_A_YEAR


@dataclass(frozen=True)
class Size:
    """What a scale comes to: rows, bytes, and files of the size that was asked for."""

    records: float
    record_bytes: float
    activity_bytes: float
    rows: float
    row_bytes: float
    files: int


def size(scale: Scale, inputs: Inputs) -> Size:
    """The size of the landing zone, of activity_features and of the rolling table."""
    records = scale.athletes * scale.days / 7 * inputs["activities_per_week"].value
    rows = scale.athletes * scale.years * inputs["rows_per_year"].value
    row_bytes = rows * inputs["rolling_bytes"].value
    return Size(
        records=records,
        record_bytes=records * inputs["record_bytes"].value,
        activity_bytes=records * inputs["activity_bytes"].value,
        rows=rows,
        row_bytes=row_bytes,
        files=max(1, math.ceil(row_bytes / inputs["file_bytes"].value)),
    )


def layouts(scale: Scale, files: int) -> dict[str, Boxes]:
    """The boxes of the files of the rolling table, by the way in which its rows are laid out.

    Args:
        scale: all athletes have all days of it.
        files: how many files of the wished size the table has; month partitions have at least one
            each, and those of less than a full file are smaller.
    """
    by_day = (math.ceil(files / scale.days), scale.days) if files > scale.days else (1, files)
    side = max(1, round(math.sqrt(files)))
    months = 12 * scale.years
    whole = np.array([0, scale.athletes - 1, 0, scale.days - 1])
    return {
        "as a backfill leaves it": np.tile(whole, (files, 1)),
        "sorted by athlete": _grid(scale, files, 1),
        "sorted by day": _grid(scale, *by_day),
        CLUSTERED: _grid(scale, math.ceil(files / side), side),
        "month partitions, by athlete": _grid(scale, math.ceil(files / months), months),
    }


def _grid(scale: Scale, athlete_slabs: int, day_slabs: int) -> Boxes:
    athletes = np.arange(athlete_slabs + 1) * scale.athletes // athlete_slabs
    days = np.arange(day_slabs + 1) * scale.days // day_slabs
    slabs = np.indices((athlete_slabs, day_slabs)).reshape(2, -1)
    columns = (athletes[slabs[0]], athletes[slabs[0] + 1] - 1, days[slabs[1]], days[slabs[1] + 1])
    return np.stack(columns, axis=1) - np.array([0, 0, 0, 1])


def files_hit(files: Boxes, wanted: Boxes) -> int:
    """How many files have a box that meets any of the wanted boxes."""
    hit = np.zeros(len(files), dtype=bool)
    for first, last, since, until in wanted.tolist():
        meets = (files[:, 0] <= last) & (files[:, 1] >= first)
        hit |= meets & (files[:, 2] <= until) & (files[:, 3] >= since)
    return int(hit.sum())


def late_changes(scale: Scale, inputs: Inputs, seed: int = 1) -> Boxes:
    """The rows that the late activities of one day reach: from their days up to the newest one.

    An athlete is there once, with the earliest day: everything after it is computed again.
    """
    random = np.random.default_rng(seed)
    late = round(size(scale, inputs).records / scale.days * inputs["late_share"].value)
    shares = np.array([share for share, _, _ in DELAYS])
    kind = random.choice(len(DELAYS), size=late, p=shares / shares.sum())
    low, high = (np.array(ends)[kind] for ends in list(zip(*DELAYS, strict=True))[1:])
    days = np.floor(random.uniform(low, high)).astype(np.int64)
    athletes = random.integers(0, scale.athletes, size=late)
    since = np.full(scale.athletes, scale.days)
    np.minimum.at(since, athletes, np.maximum(scale.days - 1 - days, 0))
    reached = np.unique(athletes)
    last_day = np.full(len(reached), scale.days - 1)
    return np.stack([reached, reached, since[reached], last_day], axis=1)


def scope_boxes(scale: Scale, changes: Boxes, awake: int) -> Boxes:
    """The boxes by which a daily run skips files, as `paceline.publish.bounds` draws them.

    Of few athletes in scope the days are cut where they lie furthest apart; of more than MAX_KEYS
    there is one box from the smallest to the greatest. A box has no upper end of days.

    Args:
        scale: whose newest day is the new one.
        changes: the late changes.
        awake: how many athletes, spread over all, get a row for the new day.
    """
    last = scale.days - 1
    athletes = np.arange(awake) * scale.athletes // max(1, awake)
    since = np.full(scale.athletes, scale.days)
    since[athletes] = last
    since[changes[:, 0]] = changes[:, 2]
    in_scope = np.flatnonzero(since < scale.days)
    in_scope = in_scope[np.argsort(since[in_scope], kind="stable")]
    cuts = np.array([], dtype=np.int64)
    if len(in_scope) <= MAX_KEYS:
        gaps = np.diff(since[in_scope])
        widest = np.argsort(-gaps, kind="stable")[: MAX_BOUNDS - 2]
        cuts = np.sort(widest[gaps[widest] > 1]) + 1
    runs = np.split(in_scope, cuts)
    return np.array([[run.min(), run.max(), since[run].min(), last] for run in runs])


@dataclass(frozen=True)
class Daily:
    """One daily run of the rolling table, once OPTIMIZE has clustered it by (day, athlete).

    `updated` counts the rows that are computed again, at most all of them differ. `needed_files`
    hold such rows, `read_files` lie in the boxes of the scope and are read. `state_bytes` is what
    looking for the stored rows before the scope reads, in all files.
    """

    activities: float
    late_athletes: int
    inserted: float
    updated: float
    written_bytes: float
    needed_files: int
    read_files: int
    read_bytes: float
    state_bytes: float
    compute_cpu_s: float
    read_cpu_s: float
    state_cpu_s: float
    parse_s: float

    @property
    def cpu_s(self) -> float:
        """All of it."""
        return self.compute_cpu_s + self.read_cpu_s + self.state_cpu_s


def daily(scale: Scale, inputs: Inputs, columns: int) -> Daily:
    """What a daily run does when every awake athlete gets a row and some activities come late.

    An inserted row is written to staging, table and change feed; an updated one to staging
    together with what it replaces, to the table, and to the change feed before and after.
    Comparing and merging read the files of the scope's boxes once each, with all `columns`.
    """
    value = {name: known.value for name, known in inputs.items()}
    whole = size(scale, inputs)
    activities = whole.records / scale.days
    changes = late_changes(scale, inputs)
    inserted = scale.athletes * value["awake_share"]
    updated = float((changes[:, 3] - changes[:, 2]).sum())
    files = layouts(scale, whole.files)[CLUSTERED]
    boxes = scope_boxes(scale, changes, round(inserted))
    read_files = files_hit(files, boxes)
    twice = 2 * read_files / len(files)
    read_s = whole.rows / MILLION * value["read_s"]
    return Daily(
        activities=activities,
        late_athletes=len(changes),
        inserted=inserted,
        updated=updated,
        written_bytes=(3 * inserted + 5 * updated) * value["rolling_bytes"],
        needed_files=files_hit(files, changes),
        read_files=read_files,
        read_bytes=whole.row_bytes * twice,
        state_bytes=whole.rows * value["state_bytes"],
        compute_cpu_s=(inserted + updated) / MILLION * value["full_s"],
        read_cpu_s=read_s * twice,
        state_cpu_s=read_s * STATE_COLUMNS / columns,
        parse_s=activities / MILLION * value["parse_s"],
    )


@dataclass(frozen=True)
class Backfill:
    """The first run: the landing zone through the driver, and the rolling table over a cluster."""

    frames: int
    parse_s: float
    append_s: float
    shuffle_bytes: float
    block_bytes: float
    cpu_s: float
    recipe_cpu_s: float
    staged_bytes: float


def backfill(scale: Scale, inputs: Inputs, columns: int) -> Backfill:
    """What the first run costs; `columns` are those of the rolling table.

    The days of the athletes are shuffled twice: to be summed, and to meet in one task per athlete.
    A block of athletes holds the measures, some working columns and the result, which exists twice
    while it becomes Arrow.
    """
    value = {name: known.value for name, known in inputs.items()}
    whole = size(scale, inputs)
    frame_records = min(landing.MAX_BATCH_RECORDS, landing.MAX_BATCH_BYTES / value["record_bytes"])
    frames = math.ceil(whole.records / frame_records)
    active_days = scale.athletes * scale.days / 7 * value["active_days_per_week"]
    wide = 2 * columns + len(MEASURES) + 10
    return Backfill(
        frames=frames,
        parse_s=whole.records / MILLION * value["parse_s"],
        append_s=frames * value["append_s"],
        shuffle_bytes=2 * active_days * value["day_bytes"],
        block_bytes=8.0 * ATHLETES_A_BLOCK * scale.days * wide,
        cpu_s=whole.rows / MILLION * value["full_s"],
        recipe_cpu_s=whole.rows / MILLION * value["recipe_s"],
        staged_bytes=whole.row_bytes,
    )
