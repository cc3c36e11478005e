"""The bulk export: activities.csv with 99 columns, five of whose names occur twice.

The first of such a pair is what the website shows, the second the raw value.
"""

import csv
import io
from collections import Counter

from paceline.generate.activities import Record
from paceline.generate.athletes import Draw, between, pick
from paceline.generate.export_languages import LANGUAGES, date_in

HEADER_LINE = (
    "Activity ID,Activity Date,Activity Name,Activity Type,Activity Description,"
    "Elapsed Time,Distance,Max Heart Rate,Relative Effort,Commute,"
    "Activity Private Note,Activity Gear,Filename,Athlete Weight,Bike Weight,"
    "Elapsed Time,Moving Time,Distance,Max Speed,Average Speed,Elevation Gain,"
    "Elevation Loss,Elevation Low,Elevation High,Max Grade,Average Grade,"
    "Average Positive Grade,Average Negative Grade,Max Cadence,Average Cadence,"
    "Max Heart Rate,Average Heart Rate,Max Watts,Average Watts,Calories,"
    "Max Temperature,Average Temperature,Relative Effort,Total Work,Number of Runs,"
    "Uphill Time,Downhill Time,Other Time,Perceived Exertion,Type,Start Time,"
    "Weighted Average Power,Power Count,Prefer Perceived Exertion,"
    "Perceived Relative Effort,Commute,Total Weight Lifted,From Upload,"
    "Grade Adjusted Distance,Weather Observation Time,Weather Condition,"
    "Weather Temperature,Apparent Temperature,Dewpoint,Humidity,Weather Pressure,"
    "Wind Speed,Wind Gust,Wind Bearing,Precipitation Intensity,Sunrise Time,"
    "Sunset Time,Moon Phase,Bike,Gear,Precipitation Probability,Precipitation Type,"
    "Cloud Cover,Weather Visibility,UV Index,Weather Ozone,Jump Count,Total Grit,"
    "Average Flow,Flagged,Average Elapsed Speed,Dirt Distance,Newly Explored Distance,"
    "Newly Explored Dirt Distance,Activity Count,Total Steps,Carbon Saved,Pool Length,"
    "Training Load,Intensity,Average Grade Adjusted Pace,Timer Time,Total Cycles,"
    "Recovery,With Pet,Competition,Long Run,For a Cause,Media"
)
HEADER = next(csv.reader([HEADER_LINE]))
VARIANTS = ("narrow_space", "german", "plain")
MORE_VARIANTS = ("dutch", "swedish", "chinese", "first_layout")
FIRST_HEADER = (
    *("id", "date", "name", "type", "description", "elapsed_time", "distance", "commute"),
    *("gear", "filename"),
)
SPORTS = {
    "NordicSki": "Nordic Ski",
    "VirtualRide": "Virtual Ride",
    "TrailRun": "Run",
    "WeightTraining": "Weight Training",
    "EBikeRide": "E-Bike Ride",
    "EMountainBikeRide": "E-Mountain Bike Ride",
}
AWKWARD_NAMES = (
    "Hills, rain, and mud",
    'The "easy" one',
    "Two lines:\nout and back",
    "Semicolon; tab\tand ümlaut",
)
# Columns by position, because their names do not tell them apart.
SHOWN_ELAPSED, SHOWN_DISTANCE, SHOWN_MAX_HEART_RATE, SHOWN_COMMUTE = 5, 6, 7, 9
ELAPSED, DISTANCE, MAX_HEART_RATE, COMMUTE = 15, 17, 30, 50
MOVING = 16
# The first variants stay as they were, so that small sets do.
CROPPING = frozenset({"plain", "dutch", "swedish"})


Kinds = Counter[str]
"""How much of what is special there is, by name."""


def export_csv(records: list[Record], variant: str, draw: Draw, odd: Draw) -> tuple[bytes, Kinds]:
    """Write an export of one of the VARIANTS or MORE_VARIANTS, and count what is special in it.

    The dates are UTC without saying so: "Oct 5, 2014, 4:15:21 PM", with a narrow no-break space
    before PM in "narrow_space", ISO in "german" and "first_layout", else as the language has them.
    "first_layout" is the one from before July 2019: ten columns, and metres. `odd` is the luck
    of what is cropped.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    kinds: Kinds = Counter()
    if variant == "first_layout":
        writer.writerow(FIRST_HEADER)
        writer.writerows(_first_row(record) for record in records)
        return text.getvalue().encode(), kinds
    words = LANGUAGES[variant].words
    writer.writerow(words.get(name, name) for name in HEADER)
    for record in records:
        row = _row(record, variant, draw)
        kinds["export_swim_in_metres"] += record["sport_type"] == "Swim"
        if variant != "german" and draw() < 0.02:
            row[ELAPSED] = row[DISTANCE] = row[MAX_HEART_RATE] = ""
            kinds["blank_second_column"] += 1
        elif variant in CROPPING and record["distance"] >= 1000 and odd() < 0.03:
            _crop(row, record, variant, odd)
            kinds["export_cropped"] += 1
        writer.writerow(row)
    return text.getvalue().encode(), kinds


def _row(record: Record, variant: str, draw: Draw) -> list[str]:
    heart = [str(record.get(f"{kind}_heartrate", "")) for kind in ("average", "max")]
    sport = _sport(record)
    named: dict[str, str] = {
        "Activity ID": str(record["id"]),
        "Activity Date": date_in(variant, record["start_date"]),
        "Activity Name": pick(draw, AWKWARD_NAMES) if draw() < 0.08 else record["name"],
        "Activity Type": LANGUAGES[variant].words.get(sport, sport),
        "Filename": _file_of(record),
        "Moving Time": str(float(record["moving_time"])),
        "Max Speed": str(record["max_speed"]),
        "Average Speed": str(record["average_speed"]),
        "Elevation Gain": str(record["total_elevation_gain"]),
        "Elevation Low": str(record.get("elev_low", "")),
        "Elevation High": str(record.get("elev_high", "")),
        "Average Cadence": str(record.get("average_cadence", "")),
        "Average Heart Rate": heart[0],
        "Average Watts": str(record.get("average_watts", "")),
        "Competition": "1.0" if record.get("workout_type") in {1, 11} else "",
    }
    row = [named.get(name, "") for name in HEADER]
    row[SHOWN_ELAPSED] = str(record["elapsed_time"])
    row[SHOWN_DISTANCE] = _shown(record["distance"], record["sport_type"], variant)
    row[SHOWN_MAX_HEART_RATE] = heart[1].removesuffix(".0")
    row[SHOWN_COMMUTE] = "true" if record["commute"] else "false"
    row[ELAPSED] = str(float(record["elapsed_time"]))
    row[DISTANCE] = str(record["distance"])
    row[MAX_HEART_RATE] = heart[1]
    row[COMMUTE] = "1.0" if record["commute"] else "0.0"
    return row


def _shown(distance: float, sport: str, variant: str) -> str:
    """Write a distance for people: swims in metres, all else in kilometres."""
    language = LANGUAGES[variant]
    if sport == "Swim":
        return f"{distance:,.0f}".replace(",", language.thousands)
    return f"{distance / 1000:.2f}".replace(".", language.point)


def _crop(row: list[str], record: Record, variant: str, odd: Draw) -> None:
    """Cut the activity off on the website, which changes what is shown but not the raw values."""
    share = between(odd, 0.4, 0.9)
    row[SHOWN_ELAPSED] = str(int(share * record["elapsed_time"]))
    row[SHOWN_DISTANCE] = _shown(share * record["distance"], record["sport_type"], variant)
    row[MOVING] = str(float(int(share * record["moving_time"])))


def _first_row(record: Record) -> list[str]:
    told = (date_in("first_layout", record["start_date"]), record["name"], _sport(record), "")
    commute = "true" if record["commute"] else "false"
    measures = (str(record["elapsed_time"]), str(record["distance"]), commute)
    return [str(record["id"]), *told, *measures, "", _file_of(record)]


def _file_of(record: Record) -> str:
    return "" if record["manual"] else f"activities/{record['id']}.fit.gz"


def _sport(record: Record) -> str:
    sport: str = record["sport_type"]
    return SPORTS.get(sport, sport)
