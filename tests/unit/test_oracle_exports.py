"""The oracle of the property tests, against values worked out by hand: exports, sensors, times."""

from datetime import datetime

import pytest

from tests.oracle.export_dates import iso
from tests.oracle.export_numbers import written
from tests.oracle.worlds import (
    ACTIVITIES,
    ROW_OF_RUN,
    RUN,
    activity,
    api,
    change,
    delivery,
    export,
    refusals,
    world,
)

FIRST_EXPORTS = "id,date,name,type,description,elapsed_time,distance,commute,gear,filename"
ENGLISH = "Activity ID,Activity Date,Activity Name,Activity Type,Elapsed Time,Distance"
ENGLISH += ",Elapsed Time,Moving Time,Distance"
WIDTH = 33

# Where elapsed time, distance, moving time, gain, average and highest heart rate are.
TODAY = (5, 15), (6, 17), 16, 20, 31, 30
OF_2022 = (5, 14), (6, 16), 15, 19, 30, 29
OF_2019 = (5, 13), (6, 15), 14, 18, 29, 28
LAYOUTS = pytest.mark.parametrize("layout", [TODAY, OF_2022, OF_2019])

UNKNOWN = {(ACTIVITIES, (7, 31), ("layout_unknown",))}


def quoted(cells):
    return ",".join(f'"{cell}"' for cell in cells)


def invented(layout):
    """A header in a language that nobody speaks, in which only two names are there twice."""
    cells = [f"zub{position}" for position in range(WIDTH)]
    elapsed, distance, *_ = layout
    for positions, name in (elapsed, "tempu"), (distance, "longu"):
        for position in positions:
            cells[position] = name
    return quoted(cells)


def plain_header(*, first="lipu"):
    return quoted([first, *(f"zub{position}" for position in range(1, WIDTH))])


def hike(layout, **changes):
    """A row of a hike of 12.3 km in 4:10 hours."""
    elapsed, distance, moving, gain, average, highest = layout
    said = {"first_s": 15_000, "second_s": 15_000.0, "first": "12,34", "second": 12338.6, **changes}
    cells = [""] * WIDTH
    cells[:4] = ["31", "2 mai 2021, 06:07:08", "molo", "Hike"]
    cells[elapsed[0]], cells[elapsed[1]] = said["first_s"], said["second_s"]
    cells[distance[0]], cells[distance[1]] = said["first"], said["second"]
    cells[moving], cells[gain], cells[average], cells[highest] = 13_001.0, 540.5, 111.5, 155.0
    return quoted(cells)


def measures(row):
    names = "elapsed_time_s", "distance_m", "moving_time_s", "elevation_gain_m"
    return tuple(row[name] for name in (*names, "average_heartrate_bpm", "max_heartrate_bpm"))


HIKED = (15_000, 12_338.6, 13_001, 540.5, 111.5, 155.0)


def english(sport, first, second="", elapsed=1000, exact_elapsed=1000.0):
    cells = 31, "2021-05-02 06:07:08", "x", sport, elapsed, first, exact_elapsed, 900.0, second
    return activity(export(ENGLISH, quoted(cells)))


def test_the_first_exports_are_in_metres():
    found = world(
        export(
            FIRST_EXPORTS,
            "31,2017-05-02 06:07:08,dawn,Swim,,1234,2005.5,true,,",
            "32,2017-05-03 06:07:08,noon,Sail,wind,4000,9000,false,boat,x.gpx",
            "33,2017-05-04 06:07:08,none,Yoga,,0,,,,",
        )
    )
    swim, sail = found.tables[ACTIVITIES].values()
    assert (swim["name"], swim["sport_type"], swim["is_commute"]) == ("dawn", "Swim", True)
    assert swim["start_date_local"] == datetime(2017, 5, 2, 6, 7, 8)
    assert measures(swim) == (1234, 2005.5, 1234, None, None, None)
    assert measures(sail)[:3] == (4000, 9000.0, 4000)
    broken = ("moving_time_positive", "elapsed_time_positive")
    assert found.refused == {(ACTIVITIES, (7, 33), broken)}


@LAYOUTS
def test_a_layout_by_repeated_names(layout):
    row = activity(export(invented(layout), hike(layout)))
    assert measures(row) == HIKED
    assert (row["activity_id"], row["name"], row["sport_type"]) == (31, "molo", "Hike")
    assert row["start_date_local"] == datetime(2021, 5, 2, 6, 7, 8)


@LAYOUTS
def test_repeated_names_need_no_evidence(layout):
    cropped = hike(layout, first_s=14_000, first="9,87")
    assert measures(activity(export(invented(layout), cropped)))[:2] == (14_000, 9870.0)


def test_the_first_max_heart_rate_serves_where_there_is_no_second():
    for layout in TODAY, OF_2022:
        elapsed, distance, moving, gain, average, highest = layout
        moved = (elapsed, distance, moving, gain, average, 7)
        assert highest != 7
        assert measures(activity(export(invented(layout), hike(moved)))) == HIKED


@LAYOUTS
def test_a_layout_by_evidence(layout):
    for header in plain_header(), plain_header(first="id"):
        assert measures(activity(export(header, hike(layout)))) == HIKED


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("", "", None),
        ("12338", 12_338.6, 12_338.6),
        ("12.338", 12_338.6, 12_338.6),
        ("12,338", 12_338.6, 12_338.6),
        ("0,00", 0.0, 0.0),
    ],
)
def test_evidence_of_distances(first, second, expected):
    row = activity(export(plain_header(), hike(OF_2022, first=first, second=second)))
    assert measures(row)[:2] == (15_000, expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"first_s": 15_001},
        {"first_s": "", "second_s": ""},
        {"second_s": ""},
        {"first": "12,30"},
        {"first": ""},
        {"second": ""},
        {"first": "far", "second": "away"},
        # Nautical miles are no evidence: 6.66 of them are 12,334 m.
        {"first": "6,66"},
    ],
)
def test_without_evidence_a_layout_is_unknown(changes):
    assert refusals(export(plain_header(), hike(TODAY, **changes))) == UNKNOWN


def test_evidence_of_two_layouts_is_none():
    cells = ["31", "2021-05-02 06:07:08", "x", "Yoga", "", "1800"] + [""] * WIDTH
    cells[15] = "1800.0"
    cells[16] = "1700.0"
    assert measures(activity(export(plain_header(), quoted(cells))))[:3] == (1800, None, 1700)
    cells[14], cells[16] = "1800.0", ""
    assert refusals(export(plain_header(), quoted(cells))) == UNKNOWN


def test_each_row_has_its_own_evidence():
    bare = quoted(["31", "2021-05-02 06:07:08", "x", "Run"])
    other = hike(OF_2019).replace('"31"', '"32"')
    found = world(export(plain_header(), bare, other))
    assert list(found.tables[ACTIVITIES]) == [(7, 32)]
    assert found.refused == UNKNOWN


def test_blank_names_are_not_repeated():
    header = quoted(["lipu", *([""] * (WIDTH - 1))])
    assert measures(activity(export(header, hike(OF_2019)))) == HIKED
    assert refusals(export(header, hike(OF_2019, first_s=1))) == UNKNOWN


def test_a_newer_version_resolves_an_unknown_layout():
    unknown = export(plain_header(), hike(TODAY, first_s=1))
    assert not refusals(unknown, api({**RUN, "id": 31}, at=1))
    assert refusals(unknown, api({**RUN, "id": 32}, at=1)) == UNKNOWN
    assert not refusals(unknown, change("d", {"id": 31}, 1))


def test_the_key_of_an_unknown_layout_may_be_unknown_too():
    row = hike(TODAY, first_s=1).replace('"31"', '"x"', 1)
    assert refusals(export(plain_header(), row)) == {
        (ACTIVITIES, (7, None), ("layout_unknown",)),
    }
    readable = hike(TODAY).replace('"31"', '"x"', 1)
    assert refusals(export(plain_header(), readable)) == {
        (ACTIVITIES, (7, None), ("encoding_unknown",)),
    }


@pytest.mark.parametrize(
    ("sport", "first", "second", "expected"),
    [
        # Without an exact distance: km, metres of a swim, nautical miles of sailing.
        ("Run", "4.25", "", 4250.0),
        ("Swim", "850", "", 850.0),
        ("swim", "2,050", "", 2050.0),
        ("Sail", "2.50", "", 4630.0),
        ("Hike", "1,203.45", "", 1_203_450.0),
        # The exact one, in whichever of the three units.
        ("Run", "4.25", "4251.7", 4251.7),
        ("Swim", "2,050", "2049.6", 2049.6),
        ("Rowing", "850", "850.4", 850.4),
        ("Sail", "2.50", "4641.0", 4641.0),
        ("Kitesurf", "2.50", "4641.0", 4641.0),
        ("Run", "4.25", "4260", 4260.0),
        ("Run", "4.25", "4240", 4240.0),
        ("Swim", "2,050", "2051", 2051.0),
        ("Run", "4.2567", "4257.7", 4257.7),
        # Cropped or corrected.
        ("Run", "4.25", "4260.1", 4250.0),
        ("Run", "4.25", "7310.4", 4250.0),
        ("Swim", "2,050", "2051.1", 2050.0),
        ("Sail", "2.50", "4700", 4630.0),
        ("Run", "0.00", "512.5", 0.0),
        # Only one of them can be read, or is there.
        ("Run", "", "4251.7", 4251.7),
        ("Run", "4.25", "far", 4250.0),
        ("Run", "far", "4251.7", 4251.7),
        ("Run", "4,25", "", None),
        ("Run", "", "", None),
    ],
)
def test_distances(sport, first, second, expected):
    row = english(sport, first, second)
    assert row["distance_m"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "in_english", "elsewhere"),
    [
        ("12", 12, 12),
        ("12.30", 12.3, 12.3),
        ("12,30", None, 12.3),
        ("2,345", 2345, 2345),
        ("2.345", 2.345, 2345),
        ("2,345.60", 2345.6, 2345.6),
        ("2.345,60", None, 2345.6),
        ("1,002,345", 1_002_345, 1_002_345),
        ("1.002.345", None, 1_002_345),
        ("0,345", None, 0.345),
        ("0.345", 0.345, 0.345),
        ("2345,6", None, 2345.6),
        ("2345,678", None, 2345.678),
        ("", None, None),
        ("1,2,3", None, None),
    ],
)
def test_numbers_for_people(text, in_english, elsewhere):
    found = [written(text, is_english=is_english) for is_english in (True, False)]
    assert [number and number.value for number in found] == [in_english, elsewhere]


def test_distances_in_other_languages():
    for first, second, expected in [
        ("2.050", 2050.4, 2050.4),
        ("1.050", "", 1_050_000.0),
        ("1.203,45", "", 1_203_450.0),
        ("3,5", "", 3500.0),
    ]:
        row = activity(export(invented(TODAY), hike(TODAY, first=first, second=second)))
        assert row["distance_m"] == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (1001, 1000.0, 1000),
        (999, 1000.0, 1000),
        (1002, 1000.0, 1002),
        (950, 1000.0, 950),
        ("", 1000.0, 1000),
        (1000, "", 1000),
        (1000, "long", 1000),
        ("long", 1000.0, 1000),
    ],
)
def test_elapsed_times(first, second, expected):
    row = english("Hike", "3.00", "3000", elapsed=first, exact_elapsed=second)
    assert row["elapsed_time_s"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("May 2, 2021, 6:07:08 AM", "2021-05-02T06:07:08"),
        ("May 2, 2021, 12:07:08\u202fPM", "2021-05-02T12:07:08"),
        ("2 may 2021, 18:07:08", "2021-05-02T18:07:08"),
        ("2 mei 2021 18:07:08", "2021-05-02T18:07:08"),
        ("2. Mai 2021, 18:07:08", "2021-05-02T18:07:08"),
        ("2 mai 2021 à 18:07:08", "2021-05-02T18:07:08"),
        ("2 de mai. de 2021, 18:07:08", "2021-05-02T18:07:08"),
        ("2 mag 2021, 18:07:08", "2021-05-02T18:07:08"),
        ("2 мая 2021 \u0433., 18:07:08", "2021-05-02T18:07:08"),
        ("2021. máj. 2. 18:07:08", "2021-05-02T18:07:08"),
        ("2 thg 5, 2021 18:07:08", "2021-05-02T18:07:08"),
        ("2 gen 2021, 0:07:08", "2021-01-02T00:07:08"),
        ("2 jan. 2021, 18:07", "2021-01-02T18:07:00"),
        ("2 mrt. 2021, 18:07:08", "2021-03-02T18:07:08"),
        ("2 mar 2021, 6:07:08 p. m.", "2021-03-02T18:07:08"),
        ("2 févr. 2021, 18:07:08", "2021-02-02T18:07:08"),
        ("2 août 2021", "2021-08-02T00:00:00"),
        ("2 de out. de 2021, 18:07:08", "2021-10-02T18:07:08"),
        ("2 Sept 2021, 18:07:08", "2021-09-02T18:07:08"),
        ("2021年5月2日 18:07:08", "2021-05-02T18:07:08"),
        ("2021年12月31日 下午6:07:08", "2021-12-31T18:07:08"),
        ("2021年5月2日 午前0:07:08", "2021-05-02T00:07:08"),
        ("2021/05/02", "2021-05-02T00:00:00"),
        ("2021/5/2 8:07:08", "2021-05-02T08:07:08"),
        ("2021. 5. 2. 오후 6:07:08", "2021-05-02T18:07:08"),
        ("2021. 5. 2. 오전 12:07:08", "2021-05-02T00:07:08"),
        ("2021. 5. 2. 오후 12:07:08", "2021-05-02T12:07:08"),
        ("2021년 5월 2일 오전 6:07:08", "2021-05-02T06:07:08"),
        ("2021-05-02 18:07:08", "2021-05-02 18:07:08"),
    ],
)
def test_dates(text, expected):
    assert iso(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2 zub 2021, 18:07:08",
        # October in Croatian, November in Polish.
        "2 listopada 2021, 18:07:08",
        "31 feb 2021, 18:07:08",
        "2 mai 2021, 25:07:08",
        "2 mai 2021, 13:07:08 PM",
        "2 mai 21, 18:07:08",
        "mai 2021",
        "2021/13/02",
        "02/05/2021",
        "18:07:08",
    ],
)
def test_what_is_no_date(text):
    assert iso(text) == text
    row = f'31,"{text}",x,Run,100,0.20,100.0,90.0,200.0'
    assert refusals(export(ENGLISH, row)) == {(ACTIVITIES, (7, 31), ("start_date_present",))}


@pytest.mark.parametrize(
    ("text", "expected"), [("TRUE", True), ("0.0", False), ("yes", None), ("2", None), ("", None)]
)
def test_flags(text, expected):
    row = f"31,2021-05-02,x,Run,100,0.20,100.0,90.0,200.0,{text},{text}"
    found = activity(export(f"{ENGLISH},Commute,Competition", row))
    assert (found["is_commute"], found["is_race"]) == (expected, expected is True)


def test_a_moving_time_of_zero_is_not_known():
    row = "31,2021-05-02,x,Yoga,1800,,1800.0,0.0,"
    changed = {**ROW_OF_RUN, "moving_time_s": 0}
    assert activity(export(ENGLISH, row))["moving_time_s"] == 1800
    assert activity(api({**RUN, "moving_time": 0}))["moving_time_s"] == 3100
    assert activity(api({**RUN, "moving_time": "0.0"}))["moving_time_s"] == 3100
    assert activity(change("c", changed, 5))["moving_time_s"] == 3100


@pytest.mark.parametrize(
    ("moving", "elapsed", "rules"),
    [
        (-1, 3100, ("moving_time_positive",)),
        (None, 3100, ("moving_time_positive",)),
        ("soon", 3100, ("moving_time_positive",)),
        (0, 0, ("moving_time_positive", "elapsed_time_positive")),
        (0, None, ("moving_time_positive", "elapsed_time_positive")),
        (0, -5, ("moving_time_positive", "elapsed_time_positive", "moving_within_elapsed")),
        (0, 2_592_001, ("moving_time_positive",)),
        # As fast as the elapsed time says: 10 km in 1,430 s are 25.2 km/h.
        (0, 1430, ("run_speed_max",)),
    ],
)
def test_moving_times_that_stay_broken(moving, elapsed, rules):
    found = refusals(api({**RUN, "moving_time": moving, "elapsed_time": elapsed}))
    assert found == {(ACTIVITIES, (7, 1), rules)}


SENSORS = {
    "average_heartrate": "average_heartrate_bpm",
    "max_heartrate": "max_heartrate_bpm",
    "average_cadence": "average_cadence_rpm",
    "average_watts": "average_watts_w",
}


@pytest.mark.parametrize("field", SENSORS)
def test_zero_is_no_sensor(field):
    said = {"average_heartrate": 141, "max_heartrate": 162, "average_cadence": 83.5}
    said |= {"average_watts": 205, field: 0}
    for zero in 0, 0.0, -0.0, "0.0":
        row = activity(api({**RUN, **said, field: zero}))
        expected = {column: said[name] or None for name, column in SENSORS.items()}
        assert {column: row[column] for column in expected} == expected


def test_zero_is_no_sensor_in_any_source():
    header = f"{ENGLISH},Average Heart Rate,Average Cadence,Calories"
    row = activity(export(header, "31,2021-05-02,x,Run,100,0.20,100.0,90.0,200.0,0.0,0,0"))
    assert (row["average_heartrate_bpm"], row["average_cadence_rpm"]) == (None, None)
    assert row["calories"] == 0.0
    row = activity(change("c", {**ROW_OF_RUN, "average_watts_w": 0, "kilojoules": 0}, 5))
    assert (row["average_watts_w"], row["kilojoules"]) == (None, 0.0)


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        (False, (None, None, 82.0)),
        ("false", (None, None, 82.0)),
        (0, (None, None, 82.0)),
        (True, (141.0, 162.0, 82.0)),
        (None, (141.0, 162.0, 82.0)),
        ("perhaps", (141.0, 162.0, 82.0)),
    ],
)
def test_a_run_without_heart_rate(flag, expected):
    hearts = {"average_heartrate": 141, "max_heartrate": 162, "average_cadence": 82}
    row = activity(api({**RUN, **hearts, "has_heartrate": flag}))
    names = "average_heartrate_bpm", "max_heartrate_bpm", "average_cadence_rpm"
    assert tuple(row[name] for name in names) == expected


def test_a_changed_row_without_heart_rate():
    hearts = {"average_heartrate_bpm": 141, "max_heartrate_bpm": 162, "has_heartrate": 0}
    row = activity(change("c", {**ROW_OF_RUN, **hearts}, 5))
    assert (row["average_heartrate_bpm"], row["max_heartrate_bpm"]) == (None, None)
    unreadable = {**ROW_OF_RUN, "has_heartrate": "perhaps"}
    assert refusals(change("c", unreadable, 5)) == {(ACTIVITIES, (7, 1), ("encoding_unknown",))}


@pytest.mark.parametrize(
    ("sport", "family"),
    [
        ("E-Mountain Bike Ride", "ride"),
        ("trail run", "run"),
        ("ROLLER-SKI", "ski"),
        ("virtual-ride", "ride"),
        ("run club", "other"),
    ],
)
def test_sports_compare_without_spaces_hyphens_and_case(sport, family):
    row = activity(api({**RUN, "sport_type": sport}))
    assert (row["sport_type"], row["sport_family"]) == (sport, family)


def test_an_export_with_the_separators_of_a_spreadsheet():
    for separator in ";", "\t":
        cells = '31,2021-05-02 06:07:08,"a|b",Run,100,0.20,100.0,90.0,200.0'
        row = separator.join(cells.split(",")).replace("|", separator)
        found = activity(export(separator.join(ENGLISH.split(",")), row))
        assert (found["name"], found["distance_m"]) == (f"a{separator}b", 200.0)
        assert (found["elapsed_time_s"], found["moving_time_s"]) == (100, 90)
    note = ";".join(f"note {number}" for number in range(20))
    quoted = export(f'"{note}",{ENGLISH}', '"x;y;z",32,2021-05-02,n;m,Run,9,0.01,9,9,10')
    assert activity(quoted)["name"] == "n;m"
    assert activity(delivery("strava_export/athlete_id=7/activities.csv", "x;y")) is None
