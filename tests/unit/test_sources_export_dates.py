"""Dates of the bulk export, against what CLDR itself writes in each language."""

from datetime import datetime

import pytest
from babel import localedata
from babel.dates import format_datetime

from paceline.sources.export_dates import instant


@pytest.mark.parametrize(
    ("cell", "language", "expected"),
    [
        ("6 listopada 2022, 10:00:00", "pl", "2022-11-06T10:00:00Z"),
        ("6. listopada 2022. 10:00:00", "hr", "2022-10-06T10:00:00Z"),
        ("6 Kas 2022 10:00:00", "tr", "2022-11-06T10:00:00Z"),
        ("05/10/2014, 16:15:21", "fr", "2014-10-05T16:15:21Z"),
        ("05/10/2014, 16:15:21", "nonsense", None),
    ],
)
def test_the_language_of_a_file_tells_what_others_contradict(
    cell: str, language: str, expected: str | None
):
    assert instant(cell, language) == expected


# Small languages with a month that a large one calls otherwise, or unknown halves of the day.
CONTRADICTED = {"bas", "dua", "gaa", "ha", "kde", "mfe", "st", "teo", "trv"}
READ = (
    *("ar_MA", "ast", "bg", "bs", "ca", "cs", "da", "de", "de_AT", "el", "en", "en_GB", "en_CA"),
    *("es", "es_MX", "et", "fi", "fr", "fr_CA", "ga", "gl", "hr", "hu", "id", "is", "it"),
    *("ja", "ka", "ko", "lt", "lv", "mk", "ms", "nb", "nl", "nn", "pl", "pt", "pt_PT", "ro", "ru"),
    *("sk", "sl", "sq", "sr", "sr_Latn", "sv", "tr", "uk", "zh", "zh_Hant"),
)


def written(language: str) -> list[tuple[str, str]]:
    """Each month as CLDR writes a date of it, and what that date is."""
    dates = [datetime(2018, month, 25, 16, 5, 9) for month in range(1, 13)]
    return [
        (format_datetime(date, style, locale=language).replace(" UTC", ""), f"{date.isoformat()}Z")
        for date in dates
        for style in ("medium", "long")
    ]


@pytest.mark.parametrize("language", READ)
def test_dates_as_a_language_writes_them(language: str):
    found = {text: (instant(text, language), expected) for text, expected in written(language)}
    assert {text: one for text, one in found.items() if one[0] != one[1]} == {}
    unknown = [
        text for text, expected in written(language) if instant(text) not in (None, expected)
    ]
    assert unknown == []


def test_no_language_is_read_wrongly():
    wrong = {
        language.partition("_")[0]
        for language in localedata.locale_identifiers()
        for text, expected in written(language)
        if instant(text) not in (None, expected)
    }
    assert wrong <= CONTRADICTED
