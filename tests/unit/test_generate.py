"""The generated landing zone, read back with nothing but the standard library."""

import csv
import gzip
import hashlib
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from paceline.errors import UsageError
from paceline.generate import Summary, generate
from paceline.generate.landing import gzip_stored

RUNS = {"Run", "TrailRun"}
RIDES = {"Ride", "VirtualRide"}
# The ends of the names of files that hold what has been delivered before.
AGAIN = ("_copy.jsonl", "_retry.jsonl")


@dataclass(frozen=True)
class Landing:
    """A landing zone, its summary, and its API lines as (path, line, object or None)."""

    root: Path
    summary: Summary
    lines: list[tuple[str, bytes, dict | None]]

    @property
    def objects(self) -> list[dict]:
        return [found for _, _, found in self.lines if found is not None]

    @property
    def sound(self) -> Iterator[dict]:
        """The objects of which every field has the type that the API gives it."""
        for found in self.objects:
            numbers = (found[key] for key in ("id", "moving_time", "elapsed_time"))
            measures = (found[key] for key in ("distance", "total_elevation_gain"))
            if all(type(number) is int for number in numbers) and all(
                type(measure) is float for measure in measures
            ):
                yield found


def lines_of(path: Path) -> list[bytes]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    lines = [line for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    if lines[0].startswith(b"["):
        # One array in the whole file, or one a line.
        arrays = [content] if path.suffix == ".json" else lines
        records = [record for array in arrays for record in json.loads(array)]
        return [json.dumps(record, ensure_ascii=False).encode() for record in records]
    return lines


def parsed(line: bytes) -> dict | None:
    try:
        found = json.loads(line.decode())
    except ValueError:
        return None
    return found if isinstance(found, dict) and "id" in found else None


def api_files(root: Path) -> list[Path]:
    found = sorted(path for path in (root / "strava_api").rglob("activit*") if path.is_file())
    return [path for path in found if "_incomplete" not in path.parts]


def read(root: Path, summary: Summary) -> Landing:
    lines = [
        (path.relative_to(root).as_posix(), line, parsed(line))
        for path in api_files(root)
        for line in lines_of(path)
    ]
    return Landing(root, summary, lines)


def read_settings(root: Path) -> list[dict]:
    files = sorted((root / "athlete_settings").iterdir())
    return [json.loads(line) for path in files for line in lines_of(path)]


def fingerprint(root: Path) -> dict[str, tuple[str, int]]:
    return {
        path.relative_to(root).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in root.rglob("*")
        if path.is_file()
    }


def local_day(record: dict) -> date:
    if "start_date_local" in record:
        return date.fromisoformat(record["start_date_local"][:10])
    sign, hours, minutes = re.findall(r"GMT([+-])(\d\d):(\d\d)", record["timezone"])[0]
    offset = timedelta(hours=int(sign + hours), minutes=int(sign + minutes))
    if "utc_offset" in record:
        offset = timedelta(seconds=record["utc_offset"])
    return (datetime.fromisoformat(record["start_date"][:19]) + offset).date()


def extracted(path: str) -> datetime:
    """The last time in the name; where there is but a day, the time at which the API is asked."""
    days = re.findall(r"\d{4}-\d\d-\d\d(?:T\d\d-\d\d-\d\d)?", path)
    text = days[-1] if "T" in days[-1] else f"{days[-1]}T06-00-00"
    return datetime.strptime(text, "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)


def owner(path: str, record: dict) -> int:
    if "athlete" in record:
        return record["athlete"]["id"]
    if "athlete_id" in record:
        return record["athlete_id"]
    return int(path.split("athlete_id=")[1].split("/")[0])


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    root = tmp_path_factory.mktemp("generate") / "landing"
    return read(root, generate(root, athletes=40, days=730, seed=7))


def test_equal_arguments_give_equal_bytes_and_times(tmp_path: Path) -> None:
    arguments = {"athletes": 4, "days": 100, "end": date(2025, 3, 31)}
    first = generate(tmp_path / "a", seed=1, **arguments)
    assert generate(tmp_path / "b", seed=1, **arguments) == first
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    generate(tmp_path / "c", seed=2, **arguments)
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "c")


def test_an_athlete_does_not_depend_on_the_others(tmp_path: Path) -> None:
    def by_athlete(count: int) -> tuple[dict[int, Counter[bytes]], dict[str, bytes]]:
        root = tmp_path / str(count)
        found = read(root, generate(root, athletes=count, days=120, seed=3))
        athletes: dict[int, Counter[bytes]] = defaultdict(Counter)
        for path, line, record in found.lines:
            if record is not None:
                athletes[owner(path, record)][line] += 1
        exports = {path.parts[-3]: path.read_bytes() for path in root.rglob("activities.csv")}
        return athletes, exports

    few, few_exports = by_athlete(3)
    many, many_exports = by_athlete(9)
    assert set(few) == {1001, 1002, 1003}
    assert {athlete: many[athlete] for athlete in few} == few
    assert few_exports.keys() == {"athlete_id=1002"}
    assert few_exports.items() < many_exports.items()


def test_athletes_differ(landing: Landing) -> None:
    hearts = {(r["hr_max_bpm"], r["hr_rest_bpm"]) for r in read_settings(landing.root)}
    assert len(hearts) >= 30


def test_every_kind_is_there(landing: Landing) -> None:
    assert {kind for kind, count in landing.summary.kinds.items() if count > 0} == {
        *("athlete_in_folder", "flat_athlete_id", "detail", "single_object", "splits_do_not_sum"),
        *("export", "export_row", "export_german", "export_narrow_space", "export_plain"),
        *("blank_second_column", "settings_back_dated", "settings_corrected", "settings_invalid"),
        *("gps_glitch", "invalid_heartrate", "moving_over_elapsed", "elapsed_over_a_day"),
        *("wrong_type", "numeric_string", "missing_sport_type", "edit", "moved_day"),
        *("delivered_twice", "file_twice", "gzip", "json_array", "blank_lines", "byte_order_mark"),
        *("truncated_json", "invalid_utf8", "text_line", "not_an_activity", "stray_file"),
        *("skipped_name", "late_upload", "future_day", "dst_day", "other_day_in_utc", "travel"),
        *("race", "manual", "no_heartrate", "treadmill_without_distance", "id_beyond_32_bits"),
        *("zero_heartrate", "heartrate_without_sensor", "zero_power", "average_over_maximum"),
        *("negative_gain", "zero_moving_time", "treadmill_drift", "fast_race", "e_bike"),
        *("second_device", "multi_day_run", "overnight_run"),
        *("label_without_region", "no_local_start", "settings_as_text", "broken_delivery"),
        *("day_in_name", "window_in_name", "lines_called_json", "page_a_line"),
        *("export_dutch", "export_swedish", "export_chinese", "export_first_layout"),
        *("export_cropped", "export_swim_in_metres"),
    }


def test_files_carry_the_time_of_their_extraction(landing: Landing) -> None:
    for path in api_files(landing.root):
        assert path.stat().st_mtime == extracted(path.name).timestamp()


def test_the_last_day_is_the_given_end(tmp_path: Path) -> None:
    generate(tmp_path / "zone", athletes=3, days=20, seed=5, end=date(2024, 3, 10))
    days = {local_day(record) for record in read(tmp_path / "zone", None).objects}
    assert date(2024, 3, 10) in days
    # Only where the day begins before UTC's does anybody train on the 11th.
    assert max(days) == date(2024, 3, 11)


def test_one_day_of_one_athlete_is_enough(tmp_path: Path) -> None:
    summary = generate(tmp_path / "zone", athletes=1, days=1, seed=1)
    assert summary.activities <= 2
    assert summary.athletes == 1


def test_summary_counts_what_is_there(landing: Landing) -> None:
    summary = landing.summary
    files = [path for path in landing.root.rglob("*") if path.is_file()]
    exports = [
        list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
        for path in landing.root.rglob("activities.csv")
    ]
    rows = [row for export in exports for row in export[1:]]
    ids = {int(record["id"]) for record in landing.objects} | {int(row[0]) for row in rows}
    assert summary.athletes == 40
    assert summary.files == len(files)
    assert 100 <= summary.files <= 200
    assert summary.records == len(landing.lines) + len(rows)
    assert summary.settings == len(read_settings(landing.root))
    assert summary.activities == len(ids)
    assert summary.kinds["export_row"] == len(rows)
    assert summary.kinds["export"] == len(exports) == 10


def test_unreadable_lines_are_the_damaged_ones(landing: Landing) -> None:
    found: Counter[str] = Counter()
    for _, line, record in landing.lines:
        if record is not None:
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError:
            found["invalid_utf8"] += 1
            continue
        if text.startswith('{"resource_state"'):
            found["truncated_json"] += 1
        elif text.startswith(("<html>", "Rate")):
            found["text_line"] += 1
        else:
            json.loads(text)
            found["not_an_activity"] += 1
    assert set(found) == {"invalid_utf8", "truncated_json", "text_line", "not_an_activity"}
    assert {kind: landing.summary.kinds[kind] for kind in found} == found


def test_every_manner_of_file_is_there(landing: Landing) -> None:
    kinds = landing.summary.kinds
    paths = api_files(landing.root)
    contents = [path.read_bytes() for path in paths]
    blank = [
        path.name
        for path, content in zip(paths, contents, strict=True)
        if path.suffix == ".jsonl" and content.startswith(b"  \n") and b"}\n\n{" in content
    ]
    singles = [path for path in paths if path.name.startswith("activity_")]
    more = [path for path in paths if path.suffix == ".json" and path not in singles]
    arrays = [path for path in more if path.read_bytes().startswith(b"[")]
    assert kinds["blank_lines"] == len(blank) > 0
    byte_order_marks = sum(content.startswith(b"\xef\xbb\xbf") for content in contents)
    assert kinds["byte_order_mark"] == byte_order_marks > 0
    assert kinds["gzip"] == sum(path.suffix == ".gz" for path in paths) > 0
    assert kinds["file_twice"] == len(contents) - len(set(contents)) > 0
    assert kinds["json_array"] == len(arrays) > 0
    assert kinds["lines_called_json"] == len(more) - len(arrays) > 0
    pages = [path for path in paths if path.suffix == ".jsonl" and path.read_bytes()[:1] == b"["]
    assert kinds["page_a_line"] == len(pages) > 0
    assert all(path.read_bytes().count(b"\n") > 2 for path in pages)
    assert kinds["single_object"] == len(singles) > 0
    assert all(isinstance(json.loads(path.read_bytes()), dict) for path in singles)
    names = {path.relative_to(landing.root).as_posix() for path in landing.root.rglob("*")}
    assert {"README.txt", "strava_api/_SUCCESS", "strava_api/.DS_Store"} <= names


def test_names_have_a_day_or_a_window(landing: Landing) -> None:
    days, windows = [], []
    for path in api_files(landing.root):
        if re.fullmatch(r"activities_\d{4}-\d\d-\d\d\.jsonl", path.name):
            days.append(path)
        times = re.findall(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", path.name)
        if len(times) == 2:
            assert path.name == f"activities_{times[0]}_{times[1]}.jsonl"
            assert times[0] < times[1]
            windows.append(path)
    assert landing.summary.kinds["day_in_name"] == len(days) > 0
    assert landing.summary.kinds["window_in_name"] == len(windows) > 0


def fastest_km_h(record: dict) -> float:
    """The speed that no run or ride has; others have any."""
    sport, km = record.get("sport_type", record["type"]), record["distance"] / 1000
    if sport in RIDES:
        return 100 if km < 5 else 80
    if sport not in RUNS:
        return 1000
    steps = ((0.4, 45), (0.8, 36.5), (1.5, 31), (5, 28.5), (10, 26), (21.097, 25), (42.195, 24))
    return next((km_h for below, km_h in steps if km < below), 23)


def test_impossible_values_are_there(landing: Landing) -> None:
    found: dict[str, set[int]] = defaultdict(set)
    for record in landing.sound:
        if 3.6 * record["distance"] > fastest_km_h(record) * record["moving_time"]:
            found["gps_glitch"].add(record["id"])
        if record.get("average_heartrate") in {20, 300}:
            found["invalid_heartrate"].add(record["id"])
        if record["moving_time"] > record["elapsed_time"]:
            found["moving_over_elapsed"].add(record["id"])
        if record["elapsed_time"] > 86_400:
            found["elapsed_over_a_day"].add(record["id"])
    # An activity that came with an old export, or with numbers as text, is counted but not here.
    for kind in ("gps_glitch", "invalid_heartrate", "moving_over_elapsed", "elapsed_over_a_day"):
        assert 0.7 * landing.summary.kinds[kind] <= len(found[kind]) <= landing.summary.kinds[kind]


def test_ordinary_activities_are_possible(landing: Landing) -> None:
    strange = 0
    for record in landing.sound:
        moving, heart = record["moving_time"], record.get("average_heartrate", 100)
        limit = {"Run": 22.5, "TrailRun": 22.5, "Ride": 80, "VirtualRide": 80, "Swim": 7}
        km_h = 3.6 * record["distance"] / max(moving, 1)
        strange += (
            km_h > limit.get(record.get("sport_type", record["type"]), 40)
            or not 0 < moving <= record["elapsed_time"]
            or moving > 12 * 3600
            or not 40 < heart <= record.get("max_heartrate", 250)
            or record["has_heartrate"] is not ("average_heartrate" in record)
            or record["total_elevation_gain"] < 0
        )
        assert record["distance"] >= 0
    assert 0 < strange < 0.03 * len(landing.objects)


def test_wrong_types_and_numeric_strings(landing: Landing) -> None:
    numbers = ("id", "distance", "moving_time", "elapsed_time")
    strings = sum(any(isinstance(r[key], str) for key in numbers) for r in landing.objects)
    floats = sum(isinstance(r["moving_time"], float) for r in landing.objects)
    wrong = sum(
        r["total_elevation_gain"] == "unknown"
        or isinstance(r["max_speed"], dict)
        or isinstance(r.get("average_cadence"), list)
        or r["name"] == 17
        or r["trainer"] == "yes"
        for r in landing.objects
    )
    old = sum("sport_type" not in record for record in landing.objects)
    kinds = landing.summary.kinds
    # Twice delivered records are twice wrong, so that there may be a few more.
    assert min(strings, floats) > 0
    for kind, count in (
        ("numeric_string", strings + floats),
        ("wrong_type", wrong),
        ("missing_sport_type", old),
    ):
        assert 0 < kinds[kind] <= count <= 1.3 * kinds[kind]


def test_versions_of_an_activity(landing: Landing) -> None:
    deliveries: Counter[tuple[int, bytes]] = Counter()
    moved, updated_at = set(), 0
    first_day: dict[int, date] = {}
    for path, _, record in landing.lines:
        if record is None or path.endswith(AGAIN) or "splits_metric" in record:
            continue
        key = int(record["id"])
        deliveries[key, json.dumps(record)] += 1
        if first_day.setdefault(key, local_day(record)) != local_day(record):
            moved.add(key)
        if "updated_at" in record:
            updated_at += 1
            changed = datetime.fromisoformat(record["updated_at"][:19]).replace(tzinfo=UTC)
            assert changed < extracted(path)
    kinds = landing.summary.kinds
    payloads = Counter(key for key, _ in deliveries)
    assert kinds["edit"] == sum(count - 1 for count in payloads.values()) > 0
    assert kinds["delivered_twice"] == sum(count - 1 for count in deliveries.values()) > 0
    assert kinds["moved_day"] == len(moved) > 0
    assert 0.3 * kinds["edit"] < updated_at < 0.7 * kinds["edit"]


def test_edits_are_newer_than_what_they_edit(landing: Landing) -> None:
    plain: dict[int, datetime] = {}
    edits: dict[int, datetime] = {}
    for path, _, record in landing.lines:
        if record is None:
            continue
        key = int(record["id"])
        if "updated_at" in record:
            edits[key] = datetime.fromisoformat(record["updated_at"][:19]).replace(tzinfo=UTC)
        else:
            plain[key] = max(plain.get(key, extracted(path)), extracted(path))
    both = edits.keys() & plain.keys()
    assert both
    assert all(edits[key] > plain[key] for key in both)


def test_local_time_is_utc_and_the_offset_of_the_zone(landing: Landing) -> None:
    offsets: dict[str, set[float]] = defaultdict(set)
    labels = set()
    for record in landing.objects:
        if "start_date_local" not in record:
            continue
        start, local = (
            datetime.fromisoformat(record[key].removesuffix("Z"))
            for key in ("start_date", "start_date_local")
        )
        labels.add(record["timezone"])
        zone = record["timezone"].split()[-1]
        expected = start.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        # An edit that moves the day keeps the clock, also over a change of the clocks.
        if abs(expected - local) != timedelta(hours=1):
            assert local == expected
            offsets[zone].add((local - start).total_seconds())
            if "utc_offset" in record and "updated_at" not in record:
                stated = record["utc_offset"]
                assert abs(stated - (local - start).total_seconds()) in {0, 3600}
    assert offsets["Europe/Berlin"] == {3600, 7200}
    assert offsets["America/Los_Angeles"] == {-28800, -25200}
    assert offsets["Asia/Shanghai"] == {28800}
    assert offsets["Asia/Kolkata"] == {19800}
    assert {
        "(GMT+01:00) Europe/Berlin",
        "(GMT-08:00) America/Los_Angeles",
        "(GMT+05:30) Asia/Kolkata",
        "(GMT-03:30) America/St_Johns",
        "(GMT+09:30) Australia/Adelaide",
    } <= labels


def test_days_of_all_sorts(landing: Landing) -> None:
    end = date(2026, 6, 30)
    found: dict[str, set[int]] = defaultdict(set)
    clocks_change = {date(2024, 10, 27), date(2025, 3, 30), date(2025, 10, 26), date(2026, 3, 29)}
    oldest = end
    for path, _, record in landing.lines:
        if record is None:
            continue
        key, day = int(record["id"]), local_day(record)
        oldest = min(oldest, day)
        found["future_day"] |= {key} if day > end else set()
        late = extracted(path).date() - day > timedelta(days=45) and "updated_at" not in record
        found["late"] |= {key} if late else set()
        found["berlin"] |= (
            {key} if day in clocks_change and "Berlin" in record["timezone"] else set()
        )
    assert landing.summary.kinds["future_day"] == len(found["future_day"]) > 0
    assert landing.summary.kinds["dst_day"] > len(found["berlin"]) > 0
    assert len(found["late"]) >= 24
    assert oldest < date(2021, 6, 30)
    assert all(int(record["id"]) > 2**31 for record in landing.objects)


def test_every_sport_and_the_races(landing: Landing) -> None:
    sports = {record.get("sport_type", record["type"]) for record in landing.objects}
    assert sports == {
        *("Run", "TrailRun", "Ride", "VirtualRide", "Swim", "Walk", "Hike", "NordicSki"),
        *("WeightTraining", "Workout", "EBikeRide", "EMountainBikeRide"),
    }
    races = {(r.get("workout_type"), r["type"]) for r in landing.objects if r["name"] == "Race day"}
    assert {(1, "Run"), (11, "Ride")} <= races
    treadmill = [r for r in landing.sound if r["trainer"] is True and r["distance"] == 0]
    assert any(record["type"] == "Run" for record in treadmill)
    in_berlin = {1001, 1014, 1027, 1040}
    months = {
        record["start_date"][5:7]
        for path, _, record in landing.lines
        if record and record["type"] == "NordicSki" and owner(path, record) in in_berlin
    }
    assert months
    assert months <= {"11", "12", "01", "02", "03", "04"}


def test_gaps_in_training(landing: Landing) -> None:
    days: dict[int, set[date]] = defaultdict(set)
    for path, _, record in landing.lines:
        if record is not None and local_day(record) >= date(2024, 7, 1):
            days[owner(path, record)].add(local_day(record))
    longest = {
        athlete: max((b - a).days for a, b in zip(sorted(own), sorted(own)[1:], strict=False))
        for athlete, own in days.items()
    }
    assert len(days) == 40
    assert longest[1004] > 365
    assert longest[1024] > 365
    injured = [athlete for athlete, gap in longest.items() if 14 < gap < 90]
    assert len(injured) >= 20


def test_splits_and_laps_sum_to_their_run(landing: Landing) -> None:
    details = [record for record in landing.objects if "splits_metric" in record]
    assert len(details) == landing.summary.kinds["detail"] > 0
    wrong = 0
    for detail in details:
        assert detail["resource_state"] == 3
        for kind, index in (("splits_metric", "split"), ("laps", "lap_index")):
            parts = detail[kind]
            assert [part[index] for part in parts] == list(range(1, len(parts) + 1))
            sums = [
                sum(part[key] for part in parts)
                for key in ("distance", "moving_time", "elapsed_time")
            ]
            wanted = [detail["distance"], detail["moving_time"], detail["elapsed_time"]]
            if sums != pytest.approx(wanted, abs=0.01):
                assert kind == "splits_metric"
                wrong += 1
        kilometres = [split["distance"] for split in detail["splits_metric"][:-1]]
        assert all(990 < metres < 1010 for metres in kilometres)
    assert wrong == landing.summary.kinds["splits_do_not_sum"] > 0


def test_whose_record_it_is(landing: Landing) -> None:
    places: Counter[str] = Counter()
    for path, _, record in landing.lines:
        if record is not None and "athlete" not in record and not path.endswith("_copy.jsonl"):
            places["flat_athlete_id" if "athlete_id" in record else "athlete_in_folder"] += 1
            assert owner(path, record) in {1003, 1007}
    assert set(places) == {"flat_athlete_id", "athlete_in_folder"}
    assert {place: landing.summary.kinds[place] for place in places} == places


def test_settings_change_and_are_wrong_here_and_there(landing: Landing) -> None:
    settings = read_settings(landing.root)
    by_athlete: dict[int, list[dict]] = defaultdict(list)
    for record in settings:
        by_athlete[record["athlete_id"]].append(record)
    assert {1001 + index for index in range(40)} - by_athlete.keys() == {1008, 1018, 1028, 1038}
    assert sum(len(own) > 2 for own in by_athlete.values()) >= 30
    invalid = [r["athlete_id"] for r in settings if r["hr_rest_bpm"] > int(r["hr_max_bpm"])]
    assert sorted(invalid) == [1005, 1025]
    for athlete in (1006, 1026):
        dates = [record["valid_from"] for record in by_athlete[athlete]]
        assert dates[-1] < max(dates)
    assert all(
        30 <= r["hr_rest_bpm"] < r["lthr_bpm"] < int(r["hr_max_bpm"]) <= 250
        and 150 < pace_s(r["threshold_pace_s_per_km"] or 300) < 450
        for r in settings
        if r["athlete_id"] not in invalid
    )
    written = [r for r in settings if isinstance(r["threshold_pace_s_per_km"], str)]
    assert landing.summary.kinds["settings_as_text"] == len(written) > 0
    assert {r["athlete_id"] for r in written} == {1010, 1020, 1030, 1040}
    assert {r["sex"] for r in written} == {" F ", " M "}


def pace_s(told: str | float) -> float:
    if isinstance(told, str):
        minutes, seconds = told.split(":")
        return 60 * int(minutes) + int(seconds)
    return told


def test_exports_have_the_columns_of_the_real_one(landing: Landing) -> None:
    header, rows, texts = {}, {}, {}
    for athlete in (1002, 1010, 1018):
        folder = landing.root / "strava_export" / f"athlete_id={athlete}"
        texts[athlete] = next(folder.rglob("activities.csv")).read_text(encoding="utf-8")
        table = list(csv.reader(io.StringIO(texts[athlete], newline="")))
        header[athlete], rows[athlete] = table[0], table[1:]
        assert {len(row) for row in table} == {99}
        assert len(rows[athlete]) > 50
    english = header[1002]
    assert english == header[1018]
    twice = {name for name, count in Counter(english).items() if count == 2}
    assert twice == {
        *("Elapsed Time", "Distance", "Max Heart Rate", "Relative Effort", "Commute"),
    }
    assert [english[at] for at in (16, 20, 95)] == ["Moving Time", "Elevation Gain", "Competition"]
    assert header[1010][:4] == [
        *("Aktivitäts-ID", "Aktivitätsdatum", "Name der Aktivität", "Aktivitätsart"),
    ]
    assert "\u202fPM" in texts[1002]
    assert "\u202f" not in texts[1018]
    names = {row[2] for own in rows.values() for row in own}
    assert any("\n" in name for name in names)
    assert any('"' in name for name in names)
    assert any("," in name for name in names)
    cropped = 0
    for row in rows[1018]:
        if row[17]:
            shown, metres = float(row[6].replace(",", "")), float(row[17])
            unit = 1 if row[3] == "Swim" else 1000
            is_cropped = float(row[5]) < float(row[15])
            cropped += is_cropped
            assert (unit * shown == pytest.approx(metres, abs=0.006 * unit)) is not is_cropped
        assert datetime.strptime(row[1], "%b %d, %Y, %I:%M:%S %p").year in {2024, 2025}
    for row in rows[1010]:
        assert datetime.fromisoformat(row[1]).year in {2020, 2021, 2022, 2023, 2024, 2025}


def test_export_and_api_agree_on_what_both_have(landing: Landing) -> None:
    by_id = {record["id"]: record for record in landing.sound if "updated_at" not in record}
    path = next((landing.root / "strava_export" / "athlete_id=1018").rglob("activities.csv"))
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))[1:]
    # A cropped activity has another moving time.
    whole = [row for row in rows if float(row[5]) == float(row[15] or row[5])]
    shared = [(row, by_id[int(row[0])]) for row in whole if int(row[0]) in by_id]
    assert shared
    same = [
        datetime.strptime(row[1], "%b %d, %Y, %I:%M:%S %p").isoformat() + "Z"
        == record["start_date"]
        and float(row[16]) == record["moving_time"]
        for row, record in shared
    ]
    assert sum(same) >= len(same) - 1


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 200_000])
def test_gzip_is_read_by_any_reader(size: int) -> None:
    content = bytes(at % 251 for at in range(size))
    assert gzip.decompress(gzip_stored(content)) == content


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"athletes": 0, "days": 10, "seed": 1}, "athletes"),
        ({"athletes": 1, "days": 0, "seed": 1}, "days"),
        ({"athletes": 1, "days": 10_000, "seed": 1}, "days"),
        ({"athletes": 1, "days": 10, "seed": -1}, "seed"),
    ],
)
def test_impossible_counts_are_refused(tmp_path: Path, arguments: dict, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        generate(tmp_path / "zone", **arguments)
    assert not (tmp_path / "zone").exists()


def test_a_directory_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="empty"):
        generate(tmp_path, athletes=1, days=1, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
