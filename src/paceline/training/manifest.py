"""What a training set was made of, so that the same one can be made again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from paceline.errors import UsageError
from paceline.store.warehouse import Position

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """Features and the versions of the tables that they were read from.

    The same labels with the same manifest give the same rows in the same order, bit for bit.

    Attributes:
        features: as `schema.table.column`, in the order of the columns.
        timestamp_column: the column of the labels with their instant.
        tables: every table that was read, by name, with its id and version.
        paceline_version: the release that made the set.
    """

    features: tuple[str, ...]
    timestamp_column: str
    tables: tuple[Position, ...]
    paceline_version: str

    def to_json(self) -> str:
        """The manifest as JSON, the same text for equal manifests."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The manifest that `to_json` has written.

        Raises:
            UsageError: when the text is no manifest, or one of a newer paceline.
        """
        try:
            found = json.loads(text)
            stated = found.pop("format")
            if stated == FORMAT:
                return cls._of(**found)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                "The text is no manifest of a training set: give one as Manifest.to_json has "
                "written it."
            ) from error
        raise UsageError(
            f"The manifest has the format {stated!r}, and this paceline reads {FORMAT}: upgrade "
            "paceline, or make the training set anew."
        )

    @classmethod
    def _of(
        cls,
        *,
        features: list[str],
        timestamp_column: str,
        tables: list[dict[str, str | int]],
        paceline_version: str,
    ) -> Manifest:
        positions = [
            Position(str(table["table_name"]), str(table["table_id"]), int(table["version"]))
            for table in tables
        ]
        return cls(tuple(features), timestamp_column, tuple(positions), paceline_version)
