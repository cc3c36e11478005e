"""Lenient reading of a record's fields: a wrong type in one field never costs another.

Every field of a JSON record is first taken as text; these functions turn the text into a value, or
NULL when it is not one. Nothing here raises under ANSI mode, or depends on the session time zone.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

# Each digit can be matched in one way only: two would try all of them on a long hostile text.
_A_NUMBER = r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?\s*"
_NUMBER = f"^{_A_NUMBER}$"
# Between texts that are matched together: no number and no flag has it.
_BETWEEN = "\x1f"
_A_FLAG = r" *(?:[tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|[01](?:\.0)?) *"
_MINUTES = r"^\s*\d{1,3}:[0-5]\d\s*$"
# Only a time has a zone: what a day with one means, its column says and not its text.
_INSTANT = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$"
_ZONE = r"\s*(Z|[+-]\d{2}:?\d{2})$"
_MICROS_A_DAY = 86_400_000_000


def json_struct(text: Column, fields: str) -> Column:
    """A JSON object as a struct of text fields, with `_corrupt_record` set when it is none."""
    options = {"columnNameOfCorruptRecord": "_corrupt_record", "allowSingleQuotes": "false"}
    return F.from_json(text, f"{fields}, _corrupt_record STRING", options)


def number(text: Column) -> Column:
    """A DOUBLE from a number or a numeric string; -0.0 becomes 0.0; too large is infinite."""
    return F.when(text.rlike(_NUMBER), F.trim(text).try_cast("double") + F.lit(0.0))


def is_id(text: Column) -> Column:
    """Whether a text is a positive BIGINT in digits."""
    return text.rlike(r"^\s*\d+\s*$") & (F.trim(text).try_cast("bigint") > 0)


def are_numbers(texts: list[Column], placeholder: str = _A_NUMBER) -> Column:
    """Whether each text that is there is a number, or the placeholder of one."""
    return _are_all(texts, _A_NUMBER, placeholder)


def are_flags(texts: list[Column], placeholder: str) -> Column:
    """Whether each text that is there is a flag, or the placeholder of one."""
    return _are_all(texts, _A_FLAG, placeholder)


def _are_all(texts: list[Column], pattern: str, placeholder: str) -> Column:
    one = f"(?:{pattern}|{placeholder})"
    together = F.concat_ws(_BETWEEN, *texts)
    is_any = F.coalesce(*texts).isNotNull()
    return ~is_any | together.rlike(rf"^{one}(?:{_BETWEEN}{one})*\z")


def whole_number(text: Column) -> Column:
    """A BIGINT from a number without a fraction; 2151.0 is one, 2151.5 is not."""
    value = number(text)
    return F.when(value == F.floor(value), value.try_cast("bigint"))


def minutes(text: Column) -> Column:
    """A DOUBLE of seconds from minutes and seconds such as 4:05."""
    parts = F.split(F.when(text.rlike(_MINUTES), F.trim(text)), ":")
    minutes, seconds = (F.get(parts, F.lit(place)).try_cast("double") for place in (0, 1))
    return minutes * F.lit(60) + seconds


def flag(text: Column) -> Column:
    """A BOOLEAN from true/false, 1/0 or 1.0/0.0."""
    word = F.lower(F.trim(text))
    return F.when(word.isin("true", "1", "1.0"), True).when(word.isin("false", "0", "0.0"), False)


def instant(text: Column) -> Column:
    """A TIMESTAMP from an ISO text; without a zone it is UTC."""
    clean = F.when(F.trim(text).rlike(_INSTANT), F.trim(text))
    in_utc = F.when(clean.rlike(r"(Z|[+-]\d{2}:?\d{2})$") & (F.length(clean) > 10), clean)
    return F.coalesce(in_utc, F.concat(clean, _midnight(clean), F.lit("Z"))).try_cast("timestamp")


def wall_clock(text: Column) -> Column:
    """A TIMESTAMP_NTZ from an ISO text, its zone suffix ignored: the API prints a false Z."""
    clean = F.when(F.trim(text).rlike(_INSTANT), F.regexp_replace(F.trim(text), _ZONE, ""))
    return F.when(F.length(clean) >= 10, clean).try_cast("timestamp_ntz")


def utc_clock(moment: Column) -> Column:
    """The TIMESTAMP_NTZ that a clock in UTC shows at an instant."""
    return _epoch_plus(F.unix_micros(moment) / F.lit(1_000_000))


def shifted(moment: Column, offset_s: Column) -> Column:
    """The TIMESTAMP_NTZ that a clock `offset_s` seconds ahead of UTC shows; 18 hours at most."""
    possible = F.when(F.abs(offset_s) <= 18 * 3600, offset_s)
    return _epoch_plus(F.unix_micros(moment) / F.lit(1_000_000) + possible)


def in_zone(moment: Column, zone: Column) -> Column:
    """The TIMESTAMP_NTZ that a clock in a region such as Europe/Berlin shows at an instant.

    NULL when no such zone exists, so that one mistyped zone cannot stop a run.
    """
    exists = F.concat(F.lit("2000-01-01 00:00:00 "), zone).try_cast("timestamp").isNotNull()
    known = F.when(exists & (zone != ""), zone)
    return F.convert_timezone(F.lit("UTC"), known, utc_clock(moment))


def utc_day(moment: Column) -> Column:
    """Days since 1970-01-01 of an instant, in UTC."""
    return F.floor(F.unix_micros(moment) / F.lit(_MICROS_A_DAY))


def _midnight(clean: Column) -> Column:
    return F.when(F.length(clean) == 10, F.lit("T00:00:00")).otherwise(F.lit(""))


def _epoch_plus(seconds: Column) -> Column:
    epoch = F.lit("1970-01-01 00:00:00").cast("timestamp_ntz")
    zero = F.lit(0)
    return epoch + F.make_dt_interval(zero, zero, zero, seconds.cast("decimal(18, 6)"))
