import base64
import io
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from paceline.sources.record import Record, Remark
from paceline.sources.strava_export import image, records

PATH = "strava_export/athlete_id=7/2024/activities.csv"
CONF = Path(__file__).parents[2] / "conf" / "paceline.yml"
LOCALISED = yaml.safe_load(CONF.read_text(encoding="utf-8"))["export_headers"]

# The first 51 columns as the website's language English has them, then one far behind.
ENGLISH = (
    "Activity ID,Activity Date,Activity Name,Activity Type,Activity Description,Elapsed Time,"
    "Distance,Max Heart Rate,Relative Effort,Commute,Activity Private Note,Activity Gear,Filename,"
    "Athlete Weight,Bike Weight,Elapsed Time,Moving Time,Distance,Max Speed,Average Speed,"
    "Elevation Gain,Elevation Loss,Elevation Low,Elevation High,Max Grade,Average Grade,"
    "Average Positive Grade,Average Negative Grade,Max Cadence,Average Cadence,Max Heart Rate,"
    "Average Heart Rate,Max Watts,Average Watts,Calories,Max Temperature,Average Temperature,"
    "Relative Effort,Total Work,Number of Runs,Uphill Time,Downhill Time,Other Time,"
    "Perceived Exertion,Type,Start Time,Weighted Average Power,Power Count,"
    "Prefer Perceived Exertion,Perceived Relative Effort,Commute"
)
GERMAN = (
    "Aktivitäts-ID,Aktivitätsdatum,Name der Aktivität,Aktivitätsart,Aktivitätsbeschreibung,"
    "Verstrichene Zeit,Distanz,Max. Herzfrequenz,Relative Leistung,Pendeln,Notiz,Ausrüstung,"
    "Dateiname,Sportlergewicht,Fahrradgewicht,Verstrichene Zeit,Bewegungszeit,Distanz"
)


def read_all(content: str | bytes, path: str = PATH) -> list[Record | Remark]:
    raw = content.encode() if isinstance(content, str) else content
    return list(records(io.BytesIO(raw), path, LOCALISED))


def read(content: str | bytes) -> list[Record]:
    return [found for found in read_all(content) if isinstance(found, Record)]


def fields(header: str, record: str) -> dict[str, object]:
    text = image(f"{header}\n{record}", LOCALISED)
    assert text is not None
    return json.loads(text)


def english(**cells: str) -> dict[str, object]:
    """Return the image of a record whose cells are given by their position, as `at17="5000"`."""
    row = [cells.get(f"at{position}", "") for position in range(51)]
    return fields(ENGLISH, ",".join(f'"{cell}"' if "," in cell else cell for cell in row))


def test_a_record_is_its_header_and_its_exact_text():
    content = (
        "\ufeffActivity ID,Activity Date,Activity Name\r\n"
        '11,"Oct 5, 2014, 4:15:21 PM",Lunch\r\n'
        "\r\n"
        '12,x,"Rain, ""wind""\r\n\nand sun"\r\n'
        "13,y,Last"
    )
    header = "Activity ID,Activity Date,Activity Name"
    assert read(content) == [
        Record(2, f'{header}\n11,"Oct 5, 2014, 4:15:21 PM",Lunch', athlete_id=7, activity_id=11),
        Record(
            4,
            f'{header}\n12,x,"Rain, ""wind""\r\n\nand sun"',
            athlete_id=7,
            activity_id=12,
        ),
        Record(7, f"{header}\n13,y,Last", athlete_id=7, activity_id=13),
    ]


def test_an_export_without_records_has_none():
    assert read("") == []
    assert read(ENGLISH + "\n\n") == []


@pytest.mark.parametrize(
    "bad",
    [
        "2,too few",
        "2,x,y,one too many",
        '2,"open quote,y',
        '2,"closed"too early,y',
        '2,x,"y',
    ],
)
def test_a_malformed_record_is_unreadable_and_the_next_ones_are_read(bad: str):
    header = "Activity ID,Activity Date,Activity Name"
    found = read(f'{header}\n1,x,"two\nlines"\n{bad}\n3,x,"more\nlines"\n4,x,y\n')
    assert [(r.line_number, r.activity_id) for r in found] == [(2, 1), (4, None), (5, 3), (7, 4)]
    assert found[1] == Record(4, f"{header}\n{bad}")


def test_a_quote_left_open_gives_up_only_its_line_however_long_the_file():
    rows = [f"{n},x,y" for n in range(1, 1501)]
    rows[1] = '2,x,"y'
    found = read("Activity ID,Activity Date,Activity Name\n" + "\n".join(rows))
    assert [r.activity_id for r in found] == [1, None, *range(3, 1501)]


def test_a_record_with_bytes_that_are_not_utf8_is_base64_and_unreadable():
    found = read(b"Activity ID,Activity Name\n1,\xe4\n2,b\n")
    # base64 of "Activity ID,Activity Name\n1,<E4>", from coreutils.
    expected = "QWN0aXZpdHkgSUQsQWN0aXZpdHkgTmFtZQoxLOQ="
    assert found[0] == Record(2, expected, is_base64=True)
    assert base64.b64decode(found[0].payload).endswith(b"1,\xe4")
    assert found[1].activity_id == 2


def test_ids_are_digit_strings_and_the_athlete_is_the_folders():
    found = read("Activity ID,x\n15580001842,\n1.0,\nabc,\n,z\n")
    assert [r.activity_id for r in found] == [15580001842, None, None, None]
    assert {r.athlete_id for r in found} == {7}


def cells_at(width: int, **cells: str) -> str:
    """A record of some columns, of which a few are filled: `at17="5000"`."""
    return ",".join(cells.get(f"at{position}", "") for position in range(width))


def test_columns_go_by_name_wherever_they_stand():
    header = "Distance,Filename,Activity ID,Distance,Commute,Moving Time"
    assert fields(header, "1.50,x,12,1504.5,true,300.0") == {
        "distance": "1504.5",
        "id": "12",
        "commute": True,
        "moving_time": "300.0",
    }


def test_columns_of_a_localised_header_go_by_the_map():
    swapped = "Distanz,Aktivitäts-ID,Distanz,Unbekannt,Pendeln"
    record = fields(swapped, '"1,50",12,1504.5,x,true')
    assert record == {"distance": "1504.5", "id": "12", "commute": True}


def test_a_missing_translation_goes_by_position_while_the_others_stand_where_they_should():
    record = cells_at(18, at0="1", at16="300.0")
    known = GERMAN.replace("Bewegungszeit", "Zeit in Bewegung")
    assert fields(known, record)["moving_time"] == "300.0"
    moved = GERMAN.replace("Bewegungszeit", "Zeit in Bewegung").replace("Distanz", "Neu,Distanz", 1)
    assert "moving_time" not in fields(moved, cells_at(19, at0="1", at16="300.0", at17="300.0"))


# By year: columns; positions of elapsed times, distances, moving time, gain, mean and greatest HR.
LAYOUTS = {
    2025: (99, (5, 15), (6, 17), 16, 20, 31, 30),
    2022: (87, (5, 14), (6, 16), 15, 19, 30, 29),
    2019: (72, (5, 13), (6, 15), 14, 18, 29, 28),
}


def record_of(year: int, elapsed: tuple[str, str], distances: tuple[str, str]) -> tuple[int, str]:
    width, *places = LAYOUTS[year]
    values = [elapsed, distances, "1700.0", "31.5", "141.0", "163.0"]
    cells = {"at0": "77", "at1": "2 lug 2022 07:00:00", "at3": "Corsa"}
    for place, value in zip(places, values, strict=True):
        pairs = zip(place, value, strict=True) if isinstance(place, tuple) else [(place, value)]
        cells |= {f"at{at}": text for at, text in pairs}
    return width, cells_at(width, **cells)


def read_as(elapsed: str, distance: str) -> dict[str, object]:
    return {
        "id": "77",
        "start_date": "2022-07-02T07:00:00Z",
        "sport_type": "Corsa",
        "elapsed_time": elapsed,
        "distance": distance,
        "moving_time": "1700.0",
        "total_elevation_gain": "31.5",
        "average_heartrate": "141.0",
        "max_heartrate": "163.0",
    }


@pytest.mark.parametrize("year", LAYOUTS)
def test_a_layout_in_another_language_is_known_by_the_names_that_stand_there_twice(year: int):
    width, elapsed, distances, *_ = LAYOUTS[year]
    names = {elapsed[1]: f"c{elapsed[0]}", distances[1]: f"c{distances[0]}"}
    header = ",".join(names.get(n, f"c{n}") for n in range(width))
    # Cropped, so that the pairs say nothing.
    _, record = record_of(year, ("1800", "2600.0"), ("5.01", "9000.5"))
    assert fields(header, record) == read_as("1800", "5010")


@pytest.mark.parametrize("year", LAYOUTS)
def test_a_layout_without_known_names_is_known_by_what_a_record_holds(year: int):
    width, record = record_of(year, ("1800", "1800.0"), ("5.01", "5012.5"))
    header = ",".join(f"c{n}" for n in range(width))
    assert fields(header, record) == read_as("1800.0", "5012.5")
    # A pool is shown in metres.
    _, swum = record_of(year, ("1800", "1800.0"), ("1.250", "1250.0"))
    assert fields(header, swum) == read_as("1800.0", "1250.0")


@pytest.mark.parametrize(
    ("elapsed", "distances"),
    [
        (("1800", "1900.0"), ("5.01", "5012.5")),
        (("1800", "1800.0"), ("5.01", "7012.5")),
        (("1800", ""), ("5.01", "")),
        (("", ""), ("", "")),
    ],
)
def test_a_record_of_an_unknown_layout_is_refused(
    elapsed: tuple[str, str], distances: tuple[str, str]
):
    width, record = record_of(2025, elapsed, distances)
    header = ",".join(f"c{n}" for n in range(width))
    assert fields(header, record) == {"_refusal": "layout_unknown"}


@pytest.mark.parametrize("name", ["", "c"])
def test_headers_that_are_all_alike_name_no_layout(name: str):
    width, record = record_of(2022, ("1800", "1800.0"), ("5.01", "5012.5"))
    assert fields(",".join([name] * width), record) == read_as("1800.0", "5012.5")


def test_a_layout_that_is_newer_has_more_columns_at_the_end():
    _, record = record_of(2025, ("1800", "1800.0"), ("5.01", "5012.5"))
    names = {15: "c5", 17: "c6", 30: "c7", 37: "c8", 50: "c9"}
    header = ",".join(names.get(n, f"c{n}") for n in range(104))
    assert fields(header, f"{record},,,,,") == read_as("1800.0", "5012.5")
    # Without names that stand there twice, nobody has ever seen it.
    header = ",".join(f"c{n}" for n in range(104))
    assert fields(header, f"{record},,,,,") == {"_refusal": "layout_unknown"}


@pytest.mark.parametrize("place", [18, 19, 24, 30, 36, 49])
def test_a_column_in_between_makes_a_layout_unknown(place: int):
    width, record = record_of(2025, ("1800", "1800.0"), ("5.01", "5012.5"))
    names = {15: "c5", 17: "c6", 30: "c7", 37: "c8", 50: "c9"}
    header = [names.get(n, f"c{n}") for n in range(width)]
    cells = record.split(",")
    header.insert(place, "new")
    cells.insert(place, "9.9")
    assert fields(",".join(header), ",".join(cells)) == {"_refusal": "layout_unknown"}


@pytest.mark.parametrize("width", [60, 71, 86, 98, 100])
def test_a_width_that_nobody_has_seen_is_no_layout(width: int):
    _, record = record_of(2025, ("1800", "1800.0"), ("5.01", "5012.5"))
    cells = (record + ",").split(",")[:width]
    header = ",".join(f"c{n}" for n in range(width))
    assert fields(header, ",".join(cells)) == {"_refusal": "layout_unknown"}


def test_the_width_tells_what_a_record_without_distance_does_not():
    width, record = record_of(2022, ("1800", "1800.0"), ("0.00", "0.0"))
    cells = record.split(",")
    # All of it in motion, so that the elapsed time stands where that of today's layout is.
    cells[15] = "1800.0"
    header = ",".join(f"c{n}" for n in range(width))
    assert fields(header, ",".join(cells)) == read_as("1800.0", "0.0") | {"moving_time": "1800.0"}


@pytest.mark.parametrize(
    ("sport", "elapsed", "first", "second", "metres"),
    [
        # Cropped: what can be done in the time, and is nearer to the whole.
        ("Rowing", "600", "1,800", "2000.0", "1800"),
        ("Virtual Row", "600", "1,500", "2000.0", "1500"),
        ("Open Water Swim", "1500", "1,200", "1500.0", "1200"),
        ("swim", "1500", "1,200", "", "1200"),
        ("Canoe", "3600", "5.20", "9000.0", "5200"),
        ("Run", "1200", "4.00", "8000.0", "4000"),
        ("Walk", "6000", "1.10", "3000.0", "1100"),
        # Corrected on a treadmill, whose drift was 12 m.
        ("Run", "1800", "5.00", "12.0", "5000"),
        # Nobody knows how long: kilometres, as most are.
        ("Run", "", "5.00", "", "5000"),
        # Unreadable, which does not contradict the second.
        ("Run", "3000", "8.00 km", "8000.0", "8000.0"),
        ("Ride", "90000", "1'500.25", "1500250.0", "1500250.0"),
        ("Ride", "90000", "1\u2019500.25", "", "1500250"),
        # A run is in no miles of the sea.
        ("Run", "3600", "10.00", "18520.0", "10000"),
        ("Sail", "7200", "10.00", "18520.0", "18520.0"),
    ],
)
def test_the_first_distance_in_the_unit_that_is_possible(
    sport: str, elapsed: str, first: str, second: str, metres: str
):
    cells = {"at3": sport, "at5": elapsed, "at15": elapsed, "at6": first, "at17": second}
    assert english(**cells)["distance"] == metres


def test_types_are_translated_whatever_their_case():
    header = GERMAN
    record = cells_at(header.count(",") + 1, at0="1", at3="lauf", at6="")
    assert fields(header, record)["sport_type"] == "Run"


def test_of_a_cropped_activity_nobody_knows_the_moving_time():
    cropped = {"at5": "1200", "at15": "2400.0", "at6": "4.00", "at17": "8000.0"}
    assert english(**cropped, at16="2390.0") == {
        "elapsed_time": "1200",
        "distance": "4000",
        "moving_time": "0",
    }
    # It may have been as short as that.
    assert english(**cropped, at16="1100.0")["moving_time"] == "1100.0"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_another_separator_is_known_by_the_header(separator: str):
    header = separator.join(["Activity ID", '"Activity Name"', "Distance", "Activity Type"])
    rows = [f'11{separator}"a, b {separator}\nc"{separator}8.00{separator}Run', "12,x,1,Run", "13"]
    first, *others = read("\r\n".join([header, *rows, separator.join("4567")]))
    assert first == Record(2, f"{header}\n{rows[0]}", athlete_id=7, activity_id=11)
    found = [(record.line_number, record.activity_id) for record in others]
    assert found == [(4, None), (5, None), (6, 4)]
    assert fields(header, rows[0]) == {
        "id": "11",
        "name": f"a, b {separator}\nc",
        "distance": "8000",
        "sport_type": "Run",
    }


def separated(separator: str, header: str, **cells: str) -> dict[str, object]:
    """The image of a record whose cells are given by their position, `at17="5000"`."""
    width = header.count(",") + 1
    record = separator.join(cells.get(f"at{position}", "") for position in range(width))
    return fields(header.replace(",", separator), record)


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize(
    ("cells", "distance", "gain"),
    [
        # As Strava writes numbers.
        ({"at6": "8.00", "at17": "8001.5", "at20": "73.524"}, "8001.5", "73.524"),
        ({"at3": "Swim", "at6": "1,500", "at20": "0.0"}, "1500", "0.0"),
        # As a program of another language writes them; one comma that groups nothing tells.
        ({"at6": "8,01", "at17": "8012,5", "at20": "73,524"}, "8012.5", "73.524"),
        ({"at6": "5,012", "at20": "73,5"}, "5012", "73.5"),
        ({"at6": "12,25"}, "12250", None),
        ({"at6": "5,012", "at17": "5012"}, "5012", None),
    ],
)
def test_what_a_comma_is_in_numbers_between_other_separators(
    separator: str, cells: dict[str, str], distance: str, gain: str | None
):
    record = separated(separator, ENGLISH, **{"at3": "Run", **cells})
    assert (record.get("distance"), record.get("total_elevation_gain")) == (distance, gain)


def test_a_comma_groups_thousands_in_every_english_file_with_commas():
    record = english(at3="Run", at6="1,234", at20="73,5")
    assert (record["distance"], record["total_elevation_gain"]) == ("1234000", "73.5")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_languages_have_other_separators_too(separator: str):
    cells = {"at0": "1", "at3": "Lauf", "at6": "1,234", "at16": "300.0"}
    record = separated(separator, GERMAN, **cells)
    expected = {"id": "1", "sport_type": "Run", "distance": "1234", "moving_time": "300.0"}
    assert record == expected


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("year", LAYOUTS)
def test_an_unknown_header_with_another_separator_is_known_by_its_width(year: int, separator: str):
    width, record = record_of(year, ("1800", "1800.0"), ("5.01", "5012.5"))
    header = separator.join(f"c{n}" for n in range(width))
    assert fields(header, record.replace(",", separator)) == read_as("1800.0", "5012.5")


@pytest.mark.parametrize(
    ("header", "record", "expected"),
    [
        # Commas stay what they are, whatever else a header or a record holds.
        ("Activity ID,a;b;c;d", "1,x;y;z", {"id": "1"}),
        ("Activity ID,Activity Name\t", "1,x\ty", {"id": "1", "name": "x\ty"}),
        (";".join("abc") + ",Aktivitäts-ID", "x;y,1", {"id": "1"}),
        ("id,date,name,type,x;y;z;u;v", "1,,x;y,,", {"id": "1", "name": "x;y", "moving_time": "0"}),
        (
            ",".join(["c;" * 9] * 99),
            record_of(2025, ("1800", "1800.0"), ("5.01", "5012.5"))[1],
            read_as("1800.0", "5012.5"),
        ),
    ],
)
def test_a_file_with_commas_is_read_by_commas(
    header: str, record: str, expected: dict[str, object]
):
    assert fields(header, record) == expected


def test_a_header_of_few_columns_that_are_unknown_is_read_by_commas():
    (found,) = read("c;d;e\n1;2;3")
    assert (found.line_number, found.activity_id) == (2, None)
    assert fields("c;d;e", "1;2;3") == {"_refusal": "layout_unknown"}


@pytest.mark.parametrize("separator", [";", "\t"])
def test_the_first_exports_with_another_separator(separator: str):
    header = "id,date,name,type,description,elapsed_time,distance".replace(",", separator)
    record = fields(header, separator.join(["5", "", "row", "Rowing", "", "640", "2000,5"]))
    assert (record["distance"], record["elapsed_time"]) == ("2000.5", "640")


HEADERS = st.lists(st.sampled_from([*ENGLISH.split(","), "a", "b", "id", "date", "", "Distanz"]))
CELLS = st.sampled_from(
    ["", "1", "1.5", "1,500", "1e99", "-0", "\u0661", "Swim", '"', "x;y", "NaN"]
)


@given(HEADERS, st.integers(0, 110), st.sampled_from(",;\t"), st.data())
def test_no_header_and_no_record_is_an_error(
    names: list[str], width: int, separator: str, data: st.DataObject
):
    header = separator.join((names + [f"c{n}" for n in range(width)])[: max(width, len(names))])
    record = separator.join(data.draw(CELLS) for _ in range(header.count(separator) + 1))
    content = f"{header}\n{record}\n".encode()
    for found in read(content):
        text = image(found.payload, LOCALISED)
        assert text is None or isinstance(json.loads(text), dict)


def test_the_first_exports_are_in_metres_and_have_no_moving_time():
    header = "id,date,name,type,description,elapsed_time,distance,commute,gear,filename"
    assert fields(header, "5,2017-03-04 05:06:07,row,Rowing,,640,2000.5,false,,x.gpx") == {
        "id": "5",
        "start_date": "2017-03-04T05:06:07Z",
        "name": "row",
        "sport_type": "Rowing",
        "elapsed_time": "640",
        "moving_time": "0",
        "distance": "2000.5",
        "commute": False,
    }


def test_an_image_has_the_names_and_units_of_the_api():
    record = english(
        at0="203000000",
        at1="Oct 5, 2014, 4:15:21 PM",
        at2="Lunch, Ride",
        at3="Nordic Ski",
        at5="2833",
        at6="13.61",
        at7="150",
        at9="false",
        at15="2834.0",
        at16="2499.0",
        at17="13609.2001953125",
        at20="73.52400207519531",
        at29="81.5",
        at30="151.0",
        at31="133.25",
        at33="83.4",
        at34="218.4",
        at38="208500.0",
        at50="1.0",
    )
    assert record == {
        "id": "203000000",
        "name": "Lunch, Ride",
        "sport_type": "Nordic Ski",
        "start_date": "2014-10-05T16:15:21Z",
        "distance": "13609.2001953125",
        "moving_time": "2499.0",
        "elapsed_time": "2834.0",
        "total_elevation_gain": "73.52400207519531",
        "average_heartrate": "133.25",
        "max_heartrate": "151.0",
        "average_cadence": "81.5",
        "average_watts": "83.4",
        "calories": "218.4",
        "kilojoules": "208.5",
        "commute": True,
    }


def test_blank_second_values_give_way_to_the_first_and_blank_fields_are_absent():
    record = english(at0="1", at3="Run", at5="2833", at6="13.61", at7="150", at9="true")
    # 13.61 km; as a float product it would be 13609.999999999998.
    assert record == {
        "id": "1",
        "sport_type": "Run",
        "elapsed_time": "2833",
        "distance": "13610",
        "max_heartrate": "150",
        "commute": True,
    }


@pytest.mark.parametrize(
    ("sport", "first", "second", "metres"),
    [
        ("Run", "0.07", "", "70"),
        ("Run", "0", "", "0"),
        ("Run", "1,234.56", "", "1234560"),
        ("Run", "1,234", "", "1234000"),
        ("Run", "9.44", "9439.9", "9439.9"),
        ("Run", "12.3", "12312.9", "12312.9"),
        ("Run", "", "9439.9", "9439.9"),
        # Cropped or corrected: what Strava shows wins.
        ("Run", "9.44", "0.0", "9440"),
        ("Hike", "3.80", "20195.8", "3800"),
        ("Run", "9.44", "9461.1", "9440"),
        ("Sail", "10.5", "", "19446"),
        ("Sail", "10.5", "19400.0", "19400.0"),
        ("Sail", "10.50", "19400.0", "19446"),
        # Metres, as pools have.
        ("Swim", "1,500", "1500.0", "1500.0"),
        ("Swim", "750", "", "750"),
        ("Swim", "2,025", "", "2025"),
        ("Swim", "1,500", "400.0", "1500"),
        ("Rowing", "1,500", "1500.0", "1500.0"),
        ("Rowing", "5.25", "5251.0", "5251.0"),
        ("Run", "n/a", "", "n/a"),
        ("Run", "NaN", "", "NaN"),
        ("Run", "", "", None),
    ],
)
def test_distances_are_in_metres_whatever_they_are_shown_in(
    sport: str, first: str, second: str, metres: str | None
):
    assert english(at3=sport, at6=first, at17=second).get("distance") == metres


@pytest.mark.parametrize(
    ("cell", "metres"),
    [
        ("9,44", "9440"),
        ("1,234", "1234"),
        ("1.234,56", "1234560"),
        ("1\u202f234,56", "1234560"),
        ("1,234.56", "1234560"),
        ("9.44", "9440"),
        ("1.500", "1500000"),
        ("1,2,3", "1,2,3"),
        ("1,2.3", "1,2.3"),
    ],
)
def test_localised_distances_have_a_decimal_comma(cell: str, metres: str | None):
    row = ["1", "", "", "Lauf", "", "", f'"{cell}"', *[""] * 11]
    assert fields(GERMAN, ",".join(row)).get("distance") == metres


def test_activity_types_are_translated_in_their_own_language():
    row = ["1", "05.10.2014, 16:15:21", "Lauf", "Segeln", "", "60", "2,0", *[""] * 11]
    record = fields(GERMAN, ",".join(f'"{cell}"' for cell in row))
    assert record["name"] == "Lauf"
    assert record["sport_type"] == "Sail"
    assert record["distance"] == "3704"
    assert record["start_date"] == "2014-10-05T16:15:21Z"
    assert english(at3="Segeln")["sport_type"] == "Segeln"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Oct 5, 2014, 4:15:21 PM", "2014-10-05T16:15:21Z"),
        ("Oct 5, 2014, 4:15:21\u202fPM", "2014-10-05T16:15:21Z"),
        ("Oct 5, 2014, 4:15:21\u00a0PM", "2014-10-05T16:15:21Z"),
        ("Sept 5, 2014, 4:15:21 AM", "2014-09-05T04:15:21Z"),
        ("May 1, 2024, 12:00:01 AM", "2024-05-01T00:00:01Z"),
        ("May 1, 2024, 12:00:01 PM", "2024-05-01T12:00:01Z"),
        ("2014-10-05 16:15:21", "2014-10-05T16:15:21Z"),
        ("2014-10-05T16:15:21Z", "2014-10-05T16:15:21Z"),
        ("2014-10-05T16:15:21+02:00", "2014-10-05T14:15:21Z"),
        ("05.10.2014, 16:15:21", "2014-10-05T16:15:21Z"),
        ("5. März 2024, 06:15:21", "2024-03-05T06:15:21Z"),
        ("5 oct. 2014, 16:15:21", "2014-10-05T16:15:21Z"),
        ("5 oct. 2014 à 16:15:21", "2014-10-05T16:15:21Z"),
        ("1 févr. 2024, 16:15:21", "2024-02-01T16:15:21Z"),
        ("1 juin 2024, 16:15:21", "2024-06-01T16:15:21Z"),
        ("1 juil. 2024, 16:15:21", "2024-07-01T16:15:21Z"),
        ("1 août 2024, 16:15:21", "2024-08-01T16:15:21Z"),
        ("31 déc. 2024, 16:15:21", "2024-12-31T16:15:21Z"),
        ("5 oct 2014, 16:15:21", "2014-10-05T16:15:21Z"),
        ("1 ene 2024, 6:15:21", "2024-01-01T06:15:21Z"),
        ("1 ago. 2024, 6:15:21 p. m.", "2024-08-01T18:15:21Z"),
        ("31 dic 2024, 16:15:21", "2024-12-31T16:15:21Z"),
        # Dutch, Italian, Portuguese, Russian, Polish, Czech, Danish, Finnish, Turkish, Greek.
        ("12 mrt 2026, 17:02:11", "2026-03-12T17:02:11Z"),
        ("12 mei 2026, 17:02:11", "2026-05-12T17:02:11Z"),
        ("7 gen 2022, 18:30:00", "2022-01-07T18:30:00Z"),
        ("7 de out. de 2022, 18:30:00", "2022-10-07T18:30:00Z"),
        ("16 июл. 2022 г., 18:30:00", "2022-07-16T18:30:00Z"),  # noqa: RUF001
        ("16 мая 2022 г., 18:30:00", "2022-05-16T18:30:00Z"),  # noqa: RUF001
        ("6 sty 2022, 10:00:00", "2022-01-06T10:00:00Z"),
        ("6. prosince 2022 10:00:00", "2022-12-06T10:00:00Z"),
        ("6. okt. 2022 18.30.00", "2022-10-06T18:30:00Z"),
        ("6. heinäkuuta 2022 18.30.00", "2022-07-06T18:30:00Z"),
        ("6 Ağu 2022 10:00:00", "2022-08-06T10:00:00Z"),
        ("6 Αυγ 2022, 10:00:00", "2022-08-06T10:00:00Z"),  # noqa: RUF001
        # The eleventh month in Polish, and the tenth in Croatian.
        ("6 listopada 2022, 10:00:00", None),
        # Chinese, Japanese, Korean.
        ("2021年11月6日 09:01:41", "2021-11-06T09:01:41Z"),
        ("2021年11月6日 下午3:01:41", "2021-11-06T15:01:41Z"),
        ("2021/11/06 9:01:41", "2021-11-06T09:01:41Z"),
        ("2021年11月6日 午前12:01:41", "2021-11-06T00:01:41Z"),
        ("2021. 11. 6. 오후 3:01:41", "2021-11-06T15:01:41Z"),
        ("2021년 11월 6일 오전 3:01:41", "2021-11-06T03:01:41Z"),
        ("Oct 32, 2014, 4:15:21 PM", None),
        ("Oct 5, 2014, 16:15:21 PM", None),
        ("Foo 5, 2014, 4:15:21 PM", None),
        ("05/10/2014, 16:15:21", None),
        ("31.02.2014, 16:15:21", None),
        ("yesterday", None),
        ("", None),
        # One order only gives a date.
        ("25/10/2014, 16:15:21", "2014-10-25T16:15:21Z"),
        ("10/25/2014, 16:15:21", "2014-10-25T16:15:21Z"),
        ("10/10/2014, 16:15:21", "2014-10-10T16:15:21Z"),
        ("25 janv. 2018, 16 h 05 min 09 s", "2018-01-25T16:05:09Z"),
        ("May 13, 2018 at 4:05:09 PM", "2018-05-13T16:05:09Z"),
        ("1er mai 2020 à 10:00:00", "2020-05-01T10:00:00Z"),
        ("2018. jan. 25. 16:05:09", "2018-01-25T16:05:09Z"),
        ("25.01.2018 \u0433., 16:05:09", "2018-01-25T16:05:09Z"),
        ("\u0447\u0442, 25 \u044f\u043d\u0432. 2018 \u0433., 16:05:09", "2018-01-25T16:05:09Z"),
        # A Tuesday, which is also a month elsewhere.
        ("mar 5 giu 2018, 10:00:00", "2018-06-05T10:00:00Z"),
        ("2021年11月6日 9時01分41秒", "2021-11-06T09:01:41Z"),
        ("2021年11月6日 午前0:05:00", "2021-11-06T00:05:00Z"),
        ("2021年11月6日 午後0:05:00", "2021-11-06T12:05:00Z"),
        ("\uff12\uff10\uff12\uff11年11月6日 9:01:41", "2021-11-06T09:01:41Z"),
        # What is no part of a date could say anything.
        ("5 oct. 2014, 16:15:21 tomorrow", None),
        ("5 oct. 2014, 4:15:21 noonish", None),
    ],
)
def test_dates_are_utc_in_every_form(cell: str, expected: str | None):
    assert english(at0="1", at1=cell).get("start_date") == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("true", "", True),
        ("true", "0.0", False),
        ("false", "1.0", True),
        ("", "0.0", False),
        ("maybe", "", "maybe"),
        ("", "", None),
    ],
)
def test_flags(first: str, second: str, expected: bool | str | None):
    assert english(at9=first, at50=second).get("commute") == expected


def test_a_competition_is_one():
    header = "Activity ID,Competition"
    assert fields(header, "1,1.0")["competition"] is True
    assert fields(header, "1,0.0")["competition"] is False
    assert "competition" not in fields(header, "1,")


def test_a_wrong_number_stays_for_the_rules_to_see():
    assert english(at16="n/a", at20="12.5") == {
        "moving_time": "n/a",
        "total_elevation_gain": "12.5",
    }


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "Activity ID",
        "Activity ID,x\n1",
        "Activity ID,x\n1,2,3",
        'Activity ID,x\n1,"2',
        "a\nb\nc",
    ],
)
def test_what_is_no_record_has_no_image(payload: str):
    assert image(payload, LOCALISED) is None


def test_an_image_keeps_inner_newlines_and_letters():
    text = image('Activity ID,Activity Name\n1,"Über\r\nBerge"', LOCALISED)
    assert text is not None
    assert json.loads(text) == {"id": "1", "name": "Über\r\nBerge"}


def test_a_line_for_spreadsheets_is_no_header():
    (found,) = read("sep=;\r\nActivity ID;Activity Type\r\n12;Run\r\n")
    assert (found.line_number, found.activity_id) == (3, 12)


@pytest.mark.parametrize("content", ["Activity ID,x\n", "Activity ID,x\r12,y\r13,z\r"])
def test_a_file_without_activities_says_so(content: str):
    (remark,) = records(io.BytesIO(content.encode()), PATH, LOCALISED)
    assert isinstance(remark, Remark)
    assert remark.text.startswith("has a header and no activity below it")
