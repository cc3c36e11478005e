"""How the bulk export speaks: its headers, types, numbers and dates in some languages.

What a language does not translate here stays English. Swedish and Chinese are languages whose
headers the pipeline does not know.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

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
DUTCH = {
    "Activity ID": "Activiteits-ID",
    "Activity Date": "Datum van activiteit",
    "Activity Name": "Naam activiteit",
    "Activity Type": "Activiteitstype",
    "Activity Description": "Beschrijving van activiteit",
    "Elapsed Time": "Verstreken tijd",
    "Distance": "Afstand",
    "Max Heart Rate": "Max. hartslag",
    "Commute": "Woon-werkverkeer",
    "Filename": "Bestandsnaam",
    "Moving Time": "Beweegtijd",
    "Max Speed": "Max. snelheid",
    "Average Speed": "Gemiddelde snelheid",
    "Elevation Gain": "Totale stijging",
    "Elevation Low": "Kleinste hoogte",
    "Elevation High": "Grootste hoogte",
    "Average Cadence": "Gemiddelde cadans",
    "Average Heart Rate": "Gemiddelde hartslag",
    "Average Watts": "Gemiddeld wattage",
    "Competition": "Wedstrijd",
    "Run": "Hardloopsessie",
    "Ride": "Fietsrit",
    "Walk": "Wandeling",
    "Swim": "Zwemmen",
}
SWEDISH = {
    "Activity ID": "Aktivitets-ID",
    "Activity Date": "Aktivitetsdatum",
    "Activity Name": "Aktivitetsnamn",
    "Activity Type": "Aktivitetstyp",
    "Elapsed Time": "Total tid",
    "Distance": "Distans",
    "Max Heart Rate": "Maxpuls",
    "Commute": "Pendling",
    "Moving Time": "Tid i rörelse",
    "Elevation Gain": "Höjdökning",
    "Average Heart Rate": "Medelpuls",
    "Competition": "Tävling",
    "Run": "Löpning",
    "Ride": "Cykling",
    "Walk": "Promenad",
    "Swim": "Simning",
}
CHINESE = {
    "Activity ID": "活动 ID",
    "Activity Date": "活动日期",
    "Activity Name": "活动名称",
    "Activity Type": "活动类型",
    "Elapsed Time": "全程耗时",
    "Distance": "距离",
    "Max Heart Rate": "最大心率",
    "Commute": "通勤",
    "Moving Time": "移动时间",
    "Elevation Gain": "爬升海拔",
    "Average Heart Rate": "平均心率",
    "Competition": "比赛",
    "Run": "跑步",
    "Ride": "骑行",
    "Walk": "步行",
    "Swim": "游泳",
}
MONTHS = {
    "english": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "dutch": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "swedish": "jan. feb. mars apr. maj juni juli aug. sep. okt. nov. dec.",
}


class Language(NamedTuple):
    """What a variant of the export translates, and the signs in numbers that people read."""

    words: Mapping[str, str]
    point: str = "."
    thousands: str = ","


LANGUAGES = {
    "narrow_space": Language({}),
    "plain": Language({}),
    "first_layout": Language({}),
    "german": Language(GERMAN, ",", "."),
    "dutch": Language(DUTCH, ",", "."),
    "swedish": Language(SWEDISH, ",", "\xa0"),
    "chinese": Language(CHINESE),
}


def date_in(variant: str, instant: str) -> str:
    """Write an instant as a variant of the export does, whatever language the machine speaks."""
    moment = datetime.fromisoformat(instant[:19])
    if variant in {"german", "first_layout"}:
        return moment.isoformat(sep=" ")
    if variant == "chinese":
        return f"{moment.year}年{moment.month}月{moment.day}日 {moment:%H:%M:%S}"
    month = MONTHS.get(variant, MONTHS["english"]).split()[moment.month - 1]
    if variant in MONTHS:
        return f"{moment.day} {month} {moment.year}, {moment:%H:%M:%S}"
    space = "\u202f" if variant == "narrow_space" else " "
    hour = (moment.hour + 11) % 12 + 1
    half = "AM" if moment.hour < 12 else "PM"
    return f"{month} {moment.day}, {moment.year}, {hour}:{moment:%M:%S}{space}{half}"
