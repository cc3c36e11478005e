"""The layouts of the bulk export: what the columns of an `activities.csv` hold, by its header."""

import csv
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from paceline.sources.sport_types import compact

Languages = Mapping[str, Mapping[str, str]]
"""Language code -> what Strava writes there -> what it writes in English."""

_FIRST_COLUMNS = ("Activity ID", "Activity Date", "Activity Name", "Activity Type")
STANDARD_POSITIONS: Mapping[str, tuple[int, ...]] = {
    "Activity ID": (0,),
    "Activity Date": (1,),
    "Activity Name": (2,),
    "Activity Type": (3,),
    "Elapsed Time": (5, 15),
    "Distance": (6, 17),
    "Max Heart Rate": (7, 30),
    "Commute": (9, 50),
    "Moving Time": (16,),
    "Elevation Gain": (20,),
    "Average Cadence": (29,),
    "Average Heart Rate": (31,),
    "Average Watts": (33,),
    "Calories": (34,),
    "Total Work": (38,),
    "Competition": (95,),
}
"""The columns that are read, and where they stand in the layout of today (counted from 0)."""

# In 2022 there was no Activity Private Note before the gear, in 2019 no first Max Heart Rate.
_POSITIONS_OF_2022 = {
    name: tuple(position - (position >= 10) for position in positions)
    for name, positions in STANDARD_POSITIONS.items()
    if name != "Competition"
}
_POSITIONS_OF_2019: Mapping[str, tuple[int, ...]] = {
    **{name: STANDARD_POSITIONS[name] for name in _FIRST_COLUMNS},
    "Elapsed Time": (5, 13),
    "Distance": (6, 15),
    "Max Heart Rate": (28,),
    "Commute": (8, 46),
    "Moving Time": (14,),
    "Elevation Gain": (18,),
    "Average Cadence": (26,),
    "Average Heart Rate": (29,),
    "Average Watts": (31,),
    "Calories": (32,),
    "Total Work": (36,),
}
# Two columns more have the same name, and are not read.
_REPEATED_OF_2019 = ((5, 13), (6, 15), (7, 35), (8, 46))
_REPEATED_OF_2022 = ((5, 14), (6, 16), (7, 29), (8, 36), (9, 49))
_REPEATED = ((5, 15), (6, 17), (7, 30), (8, 37), (9, 50))


class _Known(NamedTuple):
    """A layout that has been seen: its columns, those with the same names, and how many it has."""

    positions: Mapping[str, tuple[int, ...]]
    repeated: tuple[tuple[int, int], ...]
    width: int


_LAYOUTS = (
    _Known(STANDARD_POSITIONS, _REPEATED, 99),
    _Known(_POSITIONS_OF_2022, _REPEATED_OF_2022, 87),
    _Known(_POSITIONS_OF_2019, _REPEATED_OF_2019, 72),
)
"""By age, newest first; later columns have been added at the end of each."""
SEPARATORS = ",;\t"
"""Strava's comma, and what other programs make of it."""
_LEAST_WIDTH = 1 + min(known.positions["Elapsed Time"][1] for known in _LAYOUTS)
"""With fewer columns, a header cannot repeat the names of a layout."""

_FIRST_EXPORTS = {
    "id": "Activity ID",
    "date": "Activity Date",
    "name": "Activity Name",
    "type": "Activity Type",
    "elapsed_time": "Elapsed Time",
    "distance": "Distance",
    "commute": "Commute",
}
"""The headers before July 2019, when distances were in metres."""

_FrozenLanguages = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


class Layout(NamedTuple):
    """How a header is read.

    Attributes:
        width: the number of columns.
        separator: what stands between them.
        positions: by English name, those of the columns; None where nothing tells them.
        needs_evidence: whether each record has to agree, as only the width tells the positions.
        language: of the file, as the settings call it; None where its header does not tell, and in
            English, of which the regions contradict each other.
        sports: what the file's language calls types of sport, as `compact` spells it -> English.
        decimal_comma: whether a comma stands before decimals.
        is_in_metres: whether the one distance is in metres, as in exports that know no moving time.
    """

    width: int
    separator: str
    positions: Mapping[str, Sequence[int]] | None
    decimal_comma: bool
    needs_evidence: bool = False
    language: str | None = None
    sports: Mapping[str, str] = MappingProxyType({})
    is_in_metres: bool = False


def layout_of(header_line: str, localised: Languages) -> Layout:
    """Return how the records below a header are read."""
    terms = ((language, tuple(of.items())) for language, of in localised.items())
    return _layout(header_line, tuple(terms))


def cells_of(texts: Iterator[str], separator: str = ",") -> list[str] | None:
    """Return the cells of the first record, reading no further, or None when it is malformed."""
    try:
        return next(csv.reader(texts, delimiter=separator, strict=True), None)
    except csv.Error:
        return None


@lru_cache(maxsize=256)
def _layout(header_line: str, languages: _FrozenLanguages) -> Layout:
    headers = {s: [plain(c) for c in cells_of(iter([header_line]), s) or ()] for s in SEPARATORS}
    for separator, header in headers.items():
        if known := _known(header, separator, languages):
            return known
    # Strava writes commas; fewer columns than any layout has are none of its own.
    wide = (s for s, header in headers.items() if len(header) >= _LEAST_WIDTH)
    separator = next(wide, ",")
    header = headers[separator]
    width = len(header)
    if told := _standard(header):
        return Layout(width, separator, told, decimal_comma=True)
    wide_as = next((known.positions for known in _LAYOUTS if known.width == width), None)
    return Layout(width, separator, wide_as, decimal_comma=True, needs_evidence=True)


def _known(header: list[str], separator: str, languages: _FrozenLanguages) -> Layout | None:
    """The layout of a header in a language that is known, None for any other."""
    width = len(header)
    if "Activity ID" in header:
        return Layout(width, separator, _by_name(header), decimal_comma=False)
    if header[:4] == list(_FIRST_EXPORTS)[:4]:
        names = [_FIRST_EXPORTS.get(cell, cell) for cell in header]
        positions = _by_name(names)
        return Layout(width, separator, positions, decimal_comma=False, is_in_metres=True)
    for language, terms in languages:
        english = {plain(local): name for local, name in terms}
        names = [english.get(cell, cell) for cell in header]
        if "Activity ID" in names:
            standard = _standard(header) or STANDARD_POSITIONS
            return Layout(
                *(width, separator, _with_untranslated(names, standard)),
                decimal_comma=True,
                language=language,
                sports={compact(local): name for local, name in english.items()},
            )
    return None


def _standard(header: Sequence[str]) -> Mapping[str, Sequence[int]] | None:
    """The layout of a header in any language: the one in which repeated names are its pairs.

    Elapsed time and distance have to be there twice; of the others none may be elsewhere, where a
    column has come in between.
    """
    for known in _LAYOUTS:
        (_, elapsed), (_, distance), *_ = known.repeated
        pairs = {first: [first, second] for first, second in known.repeated}
        found = {
            first: [place for place, name in enumerate(header) if name == header[first]]
            for first in pairs
            if first < len(header) and header[first]
        }
        is_told = found.get(5) == [5, elapsed] and found.get(6) == [6, distance]
        if is_told and all(found[first] in ([first], pairs[first]) for first in found):
            return _cut(known.positions, len(header))
    return None


def _cut(positions: Mapping[str, Sequence[int]], width: int) -> Mapping[str, Sequence[int]]:
    """The columns of a layout that a file with fewer columns has."""
    return {
        name: [position for position in found if position < width]
        for name, found in positions.items()
        if found[0] < width
    }


def _by_name(names: Sequence[str]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        if name in STANDARD_POSITIONS:
            positions.setdefault(name, []).append(position)
    return positions


def _with_untranslated(
    names: Sequence[str], standard: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """Add the columns whose header is not known, by position, if the known ones are at theirs."""
    positions = _by_name(names)
    if all(set(found) <= set(standard.get(name, ())) for name, found in positions.items()):
        for name, places in standard.items():
            for position in places:
                if position < len(names) and names[position] not in STANDARD_POSITIONS:
                    positions.setdefault(name, []).append(position)
            if name in positions:
                positions[name].sort()
    return positions


def plain(text: str) -> str:
    """Return the text as the map spells it, whatever apostrophe or composition the file uses."""
    plain = unicodedata.normalize("NFC", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return plain.strip("\ufeff \t\r\n\xa0")
