"""The bulk export: activities.csv with 99 columns, five of whose names occur twice."""

import csv
import io
from datetime import datetime

from paceline.generate.activities import Record
from paceline.generate.athletes import Draw, pick

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
GERMAN = {
    "Activity ID": "Aktivitäts-ID",
    "Activity Date": "Aktivitätsdatum",
    "Activity Name": "Name der Aktivität",
    "Activity Type": "Aktivitätsart",
    "Activity Description": "Aktivitätsbeschreibung",
    "Elapsed Time": "Verstrichene Zeit",
    "Distance": "Distanz",
    "Max Heart Rate": "Max. Herzfrequenz",
    "Commute": "Pendeln",
    "Filename": "Dateiname",
    "Moving Time": "Bewegungszeit",
    "Max Speed": "Höchstgeschw.",
    "Average Speed": "Durchschnittliche Geschwindigkeit",
    "Elevation Gain": "Höhenzunahme",
    "Elevation Low": "Min. Höhe",
    "Elevation High": "Max. Höhe",
    "Average Cadence": "Durchschnittliche Trittfrequenz",
    "Average Heart Rate": "Durchschnittliche Herzfrequenz",
    "Average Watts": "Durchschnittliche Watt",
    "Competition": "Wettkampf",
}
VARIANTS = ("narrow_space", "german", "plain")
AWKWARD_NAMES = (
    "Hills, rain, and mud",
    'The "easy" one',
    "Two lines:\nout and back",
    "Semicolon; tab\tand ümlaut",
)
# Columns by position, because their names do not tell them apart.
ELAPSED, DISTANCE, MAX_HEART_RATE, COMMUTE = 15, 17, 30, 50


def export_csv(records: list[Record], variant: str, draw: Draw) -> tuple[bytes, int]:
    """Write an export of one of the VARIANTS: its bytes, and how many rows leave the second of
    their duplicated columns blank.

    The dates are UTC without saying so: "Oct 5, 2014, 4:15:21 PM", with a narrow no-break space
    before PM in "narrow_space", and ISO in "german", whose headers are German too.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(GERMAN.get(name, name) if variant == "german" else name for name in HEADER)
    blanks = 0
    for record in records:
        row = _row(record, variant, draw)
        if variant != "german" and draw() < 0.02:
            row[ELAPSED] = row[DISTANCE] = row[MAX_HEART_RATE] = ""
            blanks += 1
        writer.writerow(row)
    return text.getvalue().encode(), blanks


def _row(record: Record, variant: str, draw: Draw) -> list[str]:
    sport: str = record["sport_type"]
    kilometres = f"{record['distance'] / 1000:.2f}"
    heart = [str(record.get(f"{kind}_heartrate", "")) for kind in ("average", "max")]
    named: dict[str, str] = {
        "Activity ID": str(record["id"]),
        "Activity Date": _date(record["start_date"], variant),
        "Activity Name": pick(draw, AWKWARD_NAMES) if draw() < 0.08 else record["name"],
        "Activity Type": {
            "NordicSki": "Nordic Ski",
            "VirtualRide": "Virtual Ride",
            "TrailRun": "Run",
            "WeightTraining": "Weight Training",
        }.get(sport, sport),
        "Filename": "" if record["manual"] else f"activities/{record['id']}.fit.gz",
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
    row[HEADER.index("Elapsed Time")] = str(record["elapsed_time"])
    row[HEADER.index("Distance")] = (
        kilometres.replace(".", ",") if variant == "german" else kilometres
    )
    row[HEADER.index("Max Heart Rate")] = heart[1].removesuffix(".0")
    row[HEADER.index("Commute")] = "true" if record["commute"] else "false"
    row[ELAPSED] = str(float(record["elapsed_time"]))
    row[DISTANCE] = str(record["distance"])
    row[MAX_HEART_RATE] = heart[1]
    row[COMMUTE] = "1.0" if record["commute"] else "0.0"
    return row


def _date(instant: str, variant: str) -> str:
    """Write an instant as the export does, whatever language the machine speaks."""
    moment = datetime.fromisoformat(instant[:19])
    if variant == "german":
        return moment.isoformat(sep=" ")
    months = (
        "Jan",
        "Feb",
        "Mar",
        "Apr",
        "May",
        "Jun",
        "Jul",
        "Aug",
        "Sep",
        "Oct",
        "Nov",
        "Dec",
    )
    space = "\u202f" if variant == "narrow_space" else " "
    hour = (moment.hour + 11) % 12 + 1
    half = "AM" if moment.hour < 12 else "PM"
    day = f"{months[moment.month - 1]} {moment.day}, {moment.year}"
    return f"{day}, {hour}:{moment:%M:%S}{space}{half}"
