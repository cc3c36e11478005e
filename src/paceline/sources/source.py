"""What a kind of source is: where its files lie, what they feed, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from paceline.sources.gunzip import Readable
from paceline.sources.licence import TAGS
from paceline.sources.limits import Limits
from paceline.sources.record import Ignored, Record, Remark

# What a payload holds, for silver to read.
PLAIN, IN_ENVELOPE, EXPORT = "plain", "in envelope", "export"

Settings = Mapping[str, Any]
"""Those of `paceline.yml` by which sources read."""


@dataclass(frozen=True)
class Source:
    """A kind of source.

    Attributes:
        name: in the column `source` of bronze.
        folder: the first directory of its files in the landing zone.
        suffixes: the ends of their paths, without `.gz`.
        table: the bronze table that it feeds.
        rank: the better of two valid versions comes from the source of the higher rank.
        records: (stream, path, settings, limits) -> the records of a file, what is ignored of it,
            and remarks on it. It never raises on content.
        image: what a payload holds: PLAIN is an object of the API or settings, IN_ENVELOPE one in a
            change event, perhaps with the names of a database, EXPORT a line of the bulk export.
        needs_athlete: whether its files lie in a folder `athlete_id=<id>` right below.
        zipped: the name of the one file that is read of a `.zip` archive; None reads no archive.
    """

    name: str
    folder: str
    suffixes: tuple[str, ...]
    table: str
    rank: int
    records: Callable[[Readable, str, Settings, Limits], Iterator[Record | Ignored | Remark]]
    image: str = PLAIN
    needs_athlete: bool = False
    zipped: str | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """What its licence forbids, such as `no_model_training`."""
        return TAGS.get(self.name, ())
