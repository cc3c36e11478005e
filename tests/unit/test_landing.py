import gzip
import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from unittest.mock import MagicMock

import pyarrow as pa
import pytest

from paceline.errors import UsageError
from paceline.intake import landing
from paceline.intake.files import Delivery, discover, source_of, unknown_files
from paceline.intake.landing import record_batches
from paceline.intake.zone import LandingZone
from paceline.sources import strava_api
from paceline.sources.files import listing
from paceline.sources.record import Record, Remark
from paceline.sources.sport_types import SPORT_TYPES, compact
from paceline.store import deliveries
from paceline.tables.silver.activity_versions import SPORT_FAMILIES

ACTIVITIES = landing.SOURCES["strava_activities"]
DAY = date(2024, 6, 2)
# 2024-06-01T06:00:00Z, and a modification time one day later.
SIX = 1_717_221_600_000_000
NOON = SIX + 21_600_000_000
MTIME_US = SIX + 86_400_000_000
MTIME_DAY = "2024-06-02"
SETTINGS = {"export_headers": {}, "cdc_tables": ("activities",)}


def put(root: Path, path: str, content: str | bytes = '{"id":1}\n') -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(file, ns=(MTIME_US * 1000, MTIME_US * 1000))
    return file


def new_paths(root: Path, sources: frozenset[str] = ACTIVITIES) -> list[str]:
    return [delivery.path for delivery in discover(listing(root), sources, []).new]


def batches(
    root: Path, table: str = "strava_activities"
) -> list[tuple[Delivery, pa.RecordBatch, landing.Aside]]:
    new = discover(listing(root), landing.SOURCES[table], []).new
    return list(record_batches(root, new, table, DAY, SETTINGS))


def rows(root: Path, table: str = "strava_activities") -> list[dict[str, object]]:
    return [row for _, batch, _ in batches(root, table) for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("strava_api/a.jsonl", "strava_api"),
        ("strava_api/x/y/a.json.gz", "strava_api"),
        ("strava_api/a.csv", None),
        ("strava_api/a.jsonl.zip", None),
        ("strava_api/_tmp/a.jsonl", None),
        ("strava_api/.a.jsonl", None),
        ("strava_export/athlete_id=7/activities.csv", "strava_export"),
        ("strava_export/athlete_id=7/2024/x/activities.csv.gz", "strava_export"),
        ("strava_export/athlete_id=7/bikes.csv", None),
        ("strava_export/athlete_id=x/activities.csv", None),
        ("strava_export/2024/athlete_id=7/activities.csv", None),
        ("strava_export/activities.csv", None),
        ("strava_export/athlete_id=7/export_7.zip", "strava_export"),
        ("strava_export/athlete_id=7/2024/x.zip", "strava_export"),
        ("strava_export/athlete_id=7/Activities.CSV", "strava_export"),
        ("strava_export/athlete_id=7/EXPORT_7.ZIP", "strava_export"),
        ("strava_api/A.JSONL.GZ", "strava_api"),
        ("strava_export/athlete_id=7/x.zip.gz", None),
        ("strava_export/export_7.zip", None),
        ("strava_export/athlete_id=7/.x.zip", None),
        ("athlete_settings/a.zip", None),
        ("cdc/a.zip", None),
        ("athlete_settings/a.jsonl", "athlete_settings"),
        ("athlete_settings/2024/a.jsonl.gz", "athlete_settings"),
        ("athlete_settings/a.json", None),
        ("cdc/a.jsonl", "debezium"),
        ("cdc/x/y/a.jsonl.gz", "debezium"),
        ("cdc/a.json", "debezium"),
        ("cdc/a.json.gz", "debezium"),
        ("cdc/a.csv", None),
        ("cdc/_offsets/a.jsonl", None),
        ("cdc", None),
        ("debezium/a.jsonl", None),
        ("other/a.jsonl", None),
        ("strava_api", None),
        ("a.jsonl", None),
    ],
)
def test_the_first_directory_and_the_file_say_the_source(path: str, expected: str | None):
    assert source_of(path) == expected


def test_only_files_of_the_wanted_sources_are_found_in_order(tmp_path: Path):
    for path in (
        "strava_export/athlete_id=7/activities.csv",
        "strava_api/b.jsonl",
        "strava_api/a/z.json",
        "cdc/c.jsonl",
        "cdc/c.json",
        "cdc/c.avro",
        "athlete_settings/s.jsonl",
        "strava_api/_SUCCESS",
        "strava_api/.hidden/a.jsonl",
        "_staging/strava_api/a.jsonl",
        "notes.txt",
        "strava_api/bikes.csv",
    ):
        put(tmp_path, path)
    assert new_paths(tmp_path) == [
        "cdc/c.json",
        "cdc/c.jsonl",
        "strava_api/a/z.json",
        "strava_api/b.jsonl",
        "strava_export/athlete_id=7/activities.csv",
    ]
    assert new_paths(tmp_path, landing.SOURCES["athlete_settings"]) == ["athlete_settings/s.jsonl"]
    assert unknown_files(listing(tmp_path)) == [
        f"{path} is no delivery of a known kind and is ignored"
        for path in ("cdc/c.avro", "notes.txt", "strava_api/bikes.csv")
    ]


def test_a_name_that_is_not_text_is_reported_and_ignored(tmp_path: Path):
    folder = put(tmp_path, "strava_api/a.jsonl").parent
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/\xe4.jsonl")).touch()
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    assert new_paths(tmp_path) == ["strava_api/a.jsonl"]
    (told,) = unknown_files(listing(tmp_path))
    assert told == "strava_api/\ufffd.jsonl is no delivery of a known kind and is ignored"


def test_a_delivery_has_the_digest_of_the_stored_bytes(tmp_path: Path):
    stored = gzip.compress(b'{"id":1}\n')
    put(tmp_path, "strava_api/a.jsonl.gz", stored)
    assert discover(listing(tmp_path), ACTIVITIES, []).new == (
        Delivery(
            "strava_api/a.jsonl.gz", len(stored), MTIME_US, hashlib.sha256(stored).hexdigest()
        ),
    )


def test_a_known_delivery_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path, "strava_api/a.jsonl")
    known = discover(listing(tmp_path), ACTIVITIES, []).new
    # Same size and time: the change must go unnoticed, or the file was read.
    put(tmp_path, "strava_api/a.jsonl", '{"id":2}\n')
    found = discover(listing(tmp_path), ACTIVITIES, known)
    assert (found.new, found.seen_again, found.unchanged) == ((), (), 1)


def test_known_content_with_another_time_is_seen_again_not_new(tmp_path: Path):
    file = put(tmp_path, "strava_api/a.jsonl")
    known = discover(listing(tmp_path), ACTIVITIES, []).new
    os.utime(file, ns=(SIX * 1000, SIX * 1000))
    found = discover(listing(tmp_path), ACTIVITIES, known)
    assert (found.new, found.unchanged) == ((), 0)
    assert found.seen_again == (Delivery(known[0].path, known[0].size, SIX, known[0].digest),)
    assert discover(listing(tmp_path), ACTIVITIES, [*known, *found.seen_again]).unchanged == 1


def test_other_content_or_another_path_is_a_new_delivery(tmp_path: Path):
    put(tmp_path, "strava_api/a.jsonl")
    known = discover(listing(tmp_path), ACTIVITIES, []).new
    put(tmp_path, "strava_api/a.jsonl", '{"id":10}\n')
    put(tmp_path, "strava_api/b.jsonl")
    found = discover(listing(tmp_path), ACTIVITIES, known)
    assert [delivery.path for delivery in found.new] == ["strava_api/a.jsonl", "strava_api/b.jsonl"]
    # Back to what was delivered first: any earlier content counts.
    file = put(tmp_path, "strava_api/a.jsonl")
    os.utime(file, ns=(SIX * 1000, SIX * 1000))
    again = discover(listing(tmp_path), ACTIVITIES, [*known, *found.new])
    assert [delivery.path for delivery in again.seen_again] == ["strava_api/a.jsonl"]


def test_a_missing_directory_is_named_and_not_created(tmp_path: Path):
    with pytest.raises(UsageError, match=r"landing directory .*nowhere does not exist"):
        listing(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_linked_folders_are_followed_once(tmp_path: Path):
    put(tmp_path, "shared/a.jsonl")
    (tmp_path / "strava_api").mkdir()
    (tmp_path / "strava_api" / "linked").symlink_to(tmp_path / "shared")
    (tmp_path / "strava_api" / "loop").symlink_to(tmp_path)
    # The folder goes by its path without a link, where it is no delivery.
    assert (new_paths(tmp_path), unknown_files(listing(tmp_path))) == (
        [],
        ["shared/a.jsonl is no delivery of a known kind and is ignored"],
    )
    (tmp_path / "shared").rename(tmp_path / "_shared")
    (tmp_path / "strava_api" / "linked").unlink()
    (tmp_path / "strava_api" / "linked").symlink_to(tmp_path / "_shared")
    assert new_paths(tmp_path) == ["strava_api/linked/a.jsonl"]


def test_the_columns_of_activities(tmp_path: Path):
    put(tmp_path, "strava_api/a.jsonl", '{"athlete":{"id":5},"id":16195001131}\nnonsense')
    ((delivery, batch, _),) = batches(tmp_path)
    assert [(field.name, str(field.type)) for field in batch.schema] == [
        ("source_path", "string"),
        ("source_digest", "string"),
        ("line_number", "int64"),
        ("payload", "string"),
        ("is_base64", "bool"),
        ("source", "string"),
        ("op", "string"),
        ("athlete_id", "int64"),
        ("activity_id", "int64"),
        ("change_time_us", "int64"),
        ("lsn", "int64"),
        ("change_log", "string"),
        ("change_position", "string"),
        ("change_id", "string"),
        ("ingest_date", "date32[day]"),
    ]
    first, second = batch.to_pylist()
    assert first == {
        "source_path": "strava_api/a.jsonl",
        "source_digest": delivery.digest,
        "line_number": 1,
        "payload": '{"athlete":{"id":5},"id":16195001131}',
        "is_base64": False,
        "source": "strava_api",
        "op": "r",
        "athlete_id": 5,
        "activity_id": 16195001131,
        "change_time_us": MTIME_US,
        "lsn": None,
        "change_log": None,
        "change_position": None,
        "change_id": None,
        "ingest_date": DAY,
    }
    unread = (second["line_number"], second["payload"], second["athlete_id"], second["activity_id"])
    assert unread == (2, "nonsense", None, None)


def test_the_columns_of_settings(tmp_path: Path):
    put(tmp_path, "athlete_settings/s.jsonl", '{"athlete_id":5,"valid_from":"2024-01-31"}')
    ((_, batch, _),) = batches(tmp_path, "athlete_settings")
    assert [(field.name, str(field.type)) for field in batch.schema][7:] == [
        ("athlete_id", "int64"),
        ("valid_from", "date32[day]"),
        ("change_time_us", "int64"),
        ("lsn", "int64"),
        ("ingest_date", "date32[day]"),
    ]
    (row,) = batch.to_pylist()
    assert (row["source"], row["athlete_id"], row["valid_from"]) == (
        "athlete_settings",
        5,
        date(2024, 1, 31),
    )


def test_a_change_has_its_operation_its_time_and_its_position(tmp_path: Path):
    source = '{"connector":"postgresql","name":"fit","lsn":7}'
    line = f'{{"op":"d","before":{{"activity_id":16195001131}},"ts_ms":1000,"source":{source}}}'
    put(tmp_path, "cdc/2024-06-01T06-00-00.jsonl", f'{line}\n{{"op":"u","after":{{"id":1}}}}')
    ((delivery, batch, _),) = batches(tmp_path)
    first, second = batch.to_pylist()
    assert len(first.pop("change_id")) == 64
    assert first == {
        "source_path": "cdc/2024-06-01T06-00-00.jsonl",
        "source_digest": delivery.digest,
        "line_number": 1,
        "payload": line,
        "is_base64": False,
        "source": "debezium",
        "op": "d",
        "athlete_id": None,
        "activity_id": 16195001131,
        "change_time_us": 1_000_000,
        "lsn": 7,
        "change_log": "postgresql/fit",
        "change_position": "00000000000000000007",
        "ingest_date": DAY,
    }
    assert (second["op"], second["change_time_us"], second["lsn"]) == ("u", SIX, None)
    # It says neither where nor when it happened.
    unknown = [second[name] for name in ("change_log", "change_position", "change_id")]
    assert unknown == ["", None, None]


def test_tombstones_are_counted_and_become_no_rows(tmp_path: Path):
    change = '{"op":"d","before":{"id":1}}'
    lines = ["null", change, "", "nonsense", '{"schema":null,"payload":null}', "null", change]
    put(tmp_path, "cdc/a.jsonl", "\n".join(lines))
    ((_, batch, (ignored, _)),) = batches(tmp_path)
    assert batch.column("line_number").to_pylist() == [2, 4, 7]
    assert batch.column("activity_id").to_pylist() == [1, None, 1]
    assert ignored == {None: 3}


def test_changes_of_other_tables_are_counted_by_their_names(tmp_path: Path):
    lines = [f'{{"op":"t","source":{{"table":"{name}"}}}}' for name in ("shoes", "gear", "shoes")]
    lines += ['{"ts_ms":1}', '{"op":"c","after":{"id":1},"source":{"table":"ACTIVITIES"}}']
    put(tmp_path, "cdc/a.jsonl", "\n".join(lines))
    ((_, batch, (ignored, _)),) = batches(tmp_path)
    assert batch.column("activity_id").to_pylist() == [1]
    assert ignored == {"shoes": 2, "gear": 1, None: 1}


def test_a_file_of_tombstones_is_a_delivery_without_records(tmp_path: Path):
    put(tmp_path, "cdc/a.jsonl", "null\nnull\n")
    put(tmp_path, "strava_api/a.jsonl", "null\n")
    assert [(d.path, b.num_rows, aside.ignored) for d, b, aside in batches(tmp_path)] == [
        ("cdc/a.jsonl", 0, {None: 2}),
        # An answer of the API is never empty by design: this one is an unreadable record.
        ("strava_api/a.jsonl", 1, {}),
    ]


def zone_of(root: Path, settings: Mapping[str, object] = SETTINGS) -> LandingZone:
    """A landing zone whose warehouse remembers nothing, and hands out frames as they were given."""
    warehouse = MagicMock()
    warehouse.spark.createDataFrame = lambda table: table
    now = datetime(2024, 6, 2, tzinfo=UTC)
    listed, name = listing(root), "bronze.strava_activities"
    return LandingZone(warehouse, listed, (), name, settings, "run-1", now)


def test_the_landing_zone_counts_what_it_read_and_what_it_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(landing, "MAX_BATCH_RECORDS", 2)
    change = '{"op":"c","after":{"id":1}}\n'
    put(tmp_path, "cdc/a.jsonl", "null\n" + change * 2 + "null\n" + change + "null\n")
    put(tmp_path, "cdc/b.jsonl", "null\n")
    put(tmp_path, "strava_api/c.jsonl")
    remembered: list[tuple[object, ...]] = []
    monkeypatch.setattr(deliveries, "append_rows", lambda *args: remembered.extend(args[-1]))
    zone = zone_of(tmp_path)
    assert (zone.read(), zone.ignored()) == (0, 0)
    for _ in range(2):
        assert [frame.num_rows for frame in zone.frames()] == [2, 2]
        assert (zone.read(), zone.ignored()) == (4, 4)
    zone.remember()
    assert [(row[1], row[5]) for row in remembered] == [
        ("cdc/a.jsonl", 3),
        ("cdc/b.jsonl", 0),
        ("strava_api/c.jsonl", 1),
    ]


CHANGE = '{{"op":"c","after":{{"id":1}},"source":{{"table":"{}"}}}}\n'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a": ["activities"]}, []),
        (
            {"a": ["activities", "shoes", "gear", "shoes"]},
            ["changes of other tables were ignored "],
        ),
        ({"a": ["shoes", "shoes", "gear"]}, ["cdc/a.jsonl gave no record, only changes of other "]),
        (
            {"b": ["shoes"], "c": ["shoes"], "a": ["gear"]},
            ["cdc/a.jsonl and 2 more gave no record, only changes of other tables (2 of shoes, 1 "],
        ),
        # One sentence for all that gave records, and one for all that gave none.
        (
            {"b": ["activities", "shoes"], "c": ["shoes"], "a": ["activities", "shoes", "gear"]},
            ["cdc/c.jsonl gave no record, ", "changes of other tables were ignored (2 of shoes, 1"],
        ),
    ],
)
def test_the_landing_zone_warns_of_changes_of_other_tables(
    tmp_path: Path, files: dict[str, list[str]], expected: list[str]
):
    for name, tables in files.items():
        put(tmp_path, f"cdc/{name}.jsonl", "".join(CHANGE.format(table) for table in tables))
    zone = zone_of(tmp_path)
    for _ in range(2):
        list(zone.frames())
        told = zone.warnings()
        assert [said[: len(start)] for said, start in zip(told, expected, strict=True)] == expected
        assert all("cdc_tables of paceline.yml" in said for said in told)


def test_a_warning_of_other_tables_names_the_first_few_and_forges_nothing(tmp_path: Path):
    names = ["a\\nwarning: x", *(f"t{n}" for n in range(9)), "y" * 10_000]
    put(tmp_path, "cdc/a.jsonl", "".join(CHANGE.format(name) * 2 for name in names))
    zone = zone_of(tmp_path)
    list(zone.frames())
    assert zone.warnings() == [
        "cdc/a.jsonl gave no record, only changes of other tables (2 of a\\nwarning: x, 2 of t0, "
        "2 of t1, 2 of t2, 2 of t3, and others): name a table in cdc_tables of paceline.yml if it "
        "holds activities"
    ]
    assert (zone.read(), zone.ignored()) == (0, 22)


def test_an_export_is_read_with_the_localised_headers(tmp_path: Path):
    header = "Unbekannt,Kennung"
    put(tmp_path, "strava_export/athlete_id=7/activities.csv", f"{header}\nx,12\n")
    new = discover(listing(tmp_path), ACTIVITIES, []).new
    settings = {**SETTINGS, "export_headers": {"xx": {"Kennung": "Activity ID"}}}
    ((_, batch, _),) = record_batches(tmp_path, new, "strava_activities", DAY, settings)
    (row,) = batch.to_pylist()
    assert (row["athlete_id"], row["activity_id"], row["payload"]) == (7, 12, f"{header}\nx,12")


def zipped(content: str | bytes, name: str = "activities.csv") -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("profile.csv", "x")
        packed.writestr(name, content)
    return stored.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("activities.csv", "Activity ID,x\n\n11,a\n12,b\n"),
        ("export_7/activities.csv", "\ufeffActivity ID;x\r\n\r\n11;a\r\n12;b\r\n".encode("utf-16")),
    ],
)
def test_the_export_in_a_zip_archive_is_a_delivery(tmp_path: Path, name: str, content: str | bytes):
    stored = zipped(content, name)
    put(tmp_path, "strava_export/athlete_id=7/export_7.zip", stored)
    found = rows(tmp_path)
    assert [(row["line_number"], row["activity_id"]) for row in found] == [(3, 11), (4, 12)]
    for row in found:
        assert (row["source"], row["athlete_id"]) == ("strava_export", 7)
        assert row["source_path"] == "strava_export/athlete_id=7/export_7.zip"
        assert row["source_digest"] == hashlib.sha256(stored).hexdigest()
    known = discover(listing(tmp_path), ACTIVITIES, []).new
    assert discover(listing(tmp_path), ACTIVITIES, known).unchanged == 1


@pytest.mark.parametrize("name", ["export_20240601.zip", "export_20991231 (2).zip"])
def test_the_archive_of_an_athlete_has_no_time_in_its_name(tmp_path: Path, name: str):
    put(tmp_path, f"strava_export/athlete_id=7/{name}", zipped("Activity ID\n1\n"))
    assert [row["change_time_us"] for row in rows(tmp_path)] == [MTIME_US]


@pytest.mark.parametrize("name", ["2024-06-01.zip", "export_7_2024-06-01.zip"])
def test_an_archive_with_a_day_in_its_name_has_that_time(tmp_path: Path, name: str):
    put(tmp_path, f"strava_export/athlete_id=7/{name}", zipped("Activity ID\n1\n"))
    assert [row["change_time_us"] for row in rows(tmp_path)] == [NOON]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("strava_api/a.jsonl", '{"id":11}\r\n{"id":12}\r\n'),
        ("strava_api/a.json.gz", '[{"id":11},\n{"id":12}]'),
        ("cdc/a.jsonl", '{"op":"c","after":{"id":11}}\nnull\n{"op":"d","before":{"id":12}}'),
        ("strava_export/athlete_id=7/activities.csv.gz", "Activity ID\tx\r\n11\ta\r\n12\tb"),
    ],
)
def test_utf_16_is_read_wherever_it_stands(tmp_path: Path, path: str, content: str):
    for order in ("le", "be"):
        stored = f"\ufeff{content}".encode(f"utf-16-{order}")
        put(tmp_path, path, gzip.compress(stored) if path.endswith(".gz") else stored)
        found = rows(tmp_path)
        assert [row["activity_id"] for row in found] == [11, 12]
        assert all(row["payload"].isascii() for row in found)


@pytest.mark.parametrize(
    "path",
    [
        "strava_export/activities.csv",
        "strava_export/export_7/activities.csv",
        "strava_export/2024/athlete_id=7/activities.csv.gz",
        "strava_export/athlete_id=x/export_7.zip",
        "strava_export/export_7.zip",
    ],
)
def test_an_export_without_an_athletes_folder_is_told_where_to_lie(tmp_path: Path, path: str):
    put(tmp_path, path, "Activity ID\n1\n")
    assert (new_paths(tmp_path), unknown_files(listing(tmp_path))) == (
        [],
        [
            f"{path.replace('=7', '=***').replace('=x', '=***')} is ignored, as no folder says "
            "whose it is: put it into strava_export/athlete_id=<id>/"
        ],
    )


EXPORT = "strava_export/athlete_id=***"
EXPORT_HEADERS = {"xx": {"Kennung": "Activity ID", "Sport": "Activity Type", "Löb": "Run"}}
SPORTS_UNKNOWN = (
    "holds no known type of sport (but {}), so that all count as sport family other: translate its "
    "types in export_headers of paceline.yml"
)
ANSWER = '{{"message":"{}","errors":[{{"resource":"Application","code":"{}"}}]}}'


@pytest.mark.parametrize(
    ("path", "content", "counts", "expected"),
    [
        (
            "strava_api/error.json",
            ANSWER.format("Record Not Found", "not found"),
            (0, 1),
            ["strava_api/error.json holds an answer without data (Record Not Found): fetch the "],
        ),
        (
            "strava_api/b.jsonl",
            '{"id":1}\n' + (ANSWER.format("Authorization Error", "x") + "\n") * 3 + '{"id":2}',
            (2, 3),
            ["strava_api/b.jsonl holds 3 answers without data (Authorization Error): fetch the "],
        ),
        (
            "strava_api/pages.jsonl.gz",
            gzip.compress(f'[{{"id":1}}]\n{ANSWER.format("x" * 999, "y")}\n[{{"id":2}}]'.encode()),
            (2, 1),
            [f"strava_api/pages.jsonl.gz holds an answer without data ({'x' * 60}): fetch "],
        ),
        (
            "strava_api/forged.json",
            f'[{ANSWER.format("a" + chr(92) + "nwarning: b", "y")},{{"id":1}}]',
            (1, 1),
            ["strava_api/forged.json holds an answer without data (a\\nwarning: b): fetch the "],
        ),
        # An activity may have such fields, and something else may have one of them.
        ("strava_api/a.jsonl", '{"id":1,"message":"x","errors":[]}\n{"message":"x"}', (2, 0), []),
        ("strava_api/a.json", '{"errors":[]}', (1, 0), []),
        (
            "strava_export/athlete_id=7/activities.csv",
            "Kennung,Sport\n1,Juoksu\n2,Uinti\n3,Juoksu\n4,\n",
            (4, 0),
            [f"{EXPORT}/activities.csv {SPORTS_UNKNOWN.format('Juoksu, Uinti')}"],
        ),
        (
            "strava_export/athlete_id=7/x/activities.csv",
            "Kennung;Sport\n" + "".join(f"{n};sport {n}\n" for n in range(1, 9)),
            (8, 0),
            [
                f"{EXPORT}/x/activities.csv "
                + SPORTS_UNKNOWN.format("sport 1, sport 2, sport 3, sport 4, sport 5")
            ],
        ),
        (
            "strava_export/athlete_id=7/a.zip",
            zipped(f"Activity ID,Activity Type\n1,{'x' * 99}\n"),
            (1, 0),
            [f"{EXPORT}/a.zip {SPORTS_UNKNOWN.format('x' * 40)}"],
        ),
        # One that is known is enough, and so is a file without types.
        ("strava_export/athlete_id=7/activities.csv", "Kennung,Sport\n1,x\n2,Löb\n", (2, 0), []),
        ("strava_export/athlete_id=7/activities.csv", "Kennung,Sport\n1,x\n2,Yoga\n", (2, 0), []),
        ("strava_export/athlete_id=7/activities.csv", "Kennung,Sport\n1,\n", (1, 0), []),
        ("strava_export/athlete_id=7/activities.csv", "Kennung,Art\n1,x\n", (1, 0), []),
        (
            "strava_export/athlete_id=7/b.zip",
            zipped("x", "bikes.csv"),
            (0, 0),
            [f"{EXPORT}/b.zip holds no activities.csv: put the archive there as Strava made it, "],
        ),
        (
            "strava_export/athlete_id=7/c.zip",
            b"Activity ID\n1\n",
            (0, 0),
            [f"{EXPORT}/c.zip is a damaged or incomplete zip archive: fetch it again"],
        ),
    ],
)
def test_the_landing_zone_remarks_on_a_file_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    content: str | bytes,
    counts: tuple[int, int],
    expected: list[str],
):
    monkeypatch.setattr(landing, "MAX_BATCH_RECORDS", 2)
    put(tmp_path, path, content)
    settings = {**SETTINGS, "export_headers": EXPORT_HEADERS}
    zone = zone_of(tmp_path, settings)
    for _ in range(2):
        list(zone.frames())
        assert (zone.read(), zone.ignored()) == counts
        told = zone.warnings()
        assert [said[: len(start)] for said, start in zip(told, expected, strict=True)] == expected


def test_a_remark_comes_with_the_batch_that_it_precedes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(landing, "MAX_BATCH_RECORDS", 1)
    found = [Remark("a"), Record(1, "x"), Remark("b"), Record(2, "y"), Remark("c")]
    source = replace(strava_api.SOURCE, records=lambda *arguments: iter(found))
    monkeypatch.setattr(landing.sources, "SOURCES", (source,))
    put(tmp_path, "strava_api/a.jsonl")
    assert [aside.remarks for _, _, aside in batches(tmp_path)] == [["a", "b"], ["c"]]


def test_every_sport_that_has_a_family_is_a_known_type():
    families = " ".join(SPORT_FAMILIES.values()).split()
    assert {compact(sport) for sport in families} <= SPORT_TYPES
    assert {
        compact(s) for s in ("E-Bike Ride", "Stand Up Paddling", "High-Intensity Interval Training")
    } <= SPORT_TYPES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("activities.2024-06-01T06-00-00.jsonl", SIX),
        ("2024-06-01T06:00:00-activities.jsonl", SIX),
        ("x_2024-06-01T06_00_00_y.jsonl", SIX),
        ("2024-06-01T060000.jsonl", SIX),
        ("20240601T060000Z.jsonl", SIX),
        ("2024-06-01T06-00-00Z.jsonl", SIX),
        ("2024-06-01T06-00-00.250Z.jsonl", SIX + 250_000),
        ("2024-06-01T06-00-00.123456789.jsonl", SIX + 123_456),
        ("2024-06-01T08-00-00+02-00.jsonl", SIX),
        ("2024-06-01T08-00-00+0200.jsonl", SIX),
        ("2024-06-01T08-00-00+02.jsonl", SIX),
        ("2024-06-01T01-00-00-05:00.jsonl", SIX),
        # A number of a part is no offset, and a wrong date no time.
        ("2024-06-01T06-00-00-0001.jsonl", SIX),
        ("2024-06-01T06-00-00-12.jsonl", SIX),
        ("2024-06-01T06-00-00-1200.jsonl", SIX),
        ("2024-13-01T06-00-00.jsonl", MTIME_US),
        ("2024-13-01T06-00-00_2024-06-01T06-00-00.jsonl", SIX),
        # A day has no time of its own: noon, unless the file was written in it.
        ("2024-06-01.jsonl", NOON),
        ("strava_20240601.jsonl", NOON),
        ("2024_06_01-part-2.jsonl", NOON),
        (f"{MTIME_DAY}.jsonl", MTIME_US),
        ("2024-13-01.jsonl", MTIME_US),
        ("2024-06-31.jsonl", MTIME_US),
        ("120240601.jsonl", MTIME_US),
        # From when until when the activities are; times that are not joined are no window.
        ("runs_2024-06-01T06-00-00_2024-06-08T06-00-00.jsonl", MTIME_US),
        ("2024-06-01T06-00-00Z--2024-06-08T06-00-00Z.jsonl", MTIME_US),
        ("2024-06-01_to_2024-06-08.jsonl", MTIME_US),
        ("20240601-20240608.jsonl", MTIME_US),
        ("2024-06-01T06-00-00_runs_2024-06-08T06-00-00.jsonl", SIX),
        ("2024-06-01T06-00-00_2024-05-01T06-00-00.jsonl", SIX),
        ("2024-06-01T06-00-00_2024-06-01T06-00-00.jsonl", SIX),
        ("2024-06-08_runs_2024-06-01T06-00-00.jsonl", SIX),
        ("12024-06-01T06-00-00.jsonl", MTIME_US),
        # A time without seconds, and one that stands apart.
        ("2024-06-01T06-00.jsonl", SIX),
        ("2024-06-01T06Z.jsonl", SIX),
        ("20240601_060000.jsonl", SIX),
        ("2024-06-01 06.00.00.jsonl", SIX),
        # Windows of days and times, however they are joined; one of a single day, too.
        ("2024-06-01T06-00-00_2024-06-08.jsonl", MTIME_US),
        ("2024-06-01_2024-06-08T06-00-00.jsonl", MTIME_US),
        ("2024-06-01 - 2024-06-08.jsonl", MTIME_US),
        ("after_2024-06-01_before_2024-06-08.jsonl", MTIME_US),
        ("2024-06-01_until_2024-06-08.jsonl", MTIME_US),
        ("2024-06-01~2024-06-08.jsonl", MTIME_US),
        ("20240601_20240608.jsonl", MTIME_US),
        ("2024-06-01_2024-06-01.jsonl", MTIME_US),
        ("2024-06-08_2024-06-01.jsonl", NOON + 7 * 86_400_000_000),
        # The number of an athlete may look like a day.
        ("athlete_20240601.jsonl", MTIME_US),
        ("20240601/export_20240601.jsonl", NOON),
        ("2024-06-01T06-00-00/a.jsonl", MTIME_US),
    ],
)
def test_the_extraction_time_of_a_file_name(tmp_path: Path, name: str, expected: int):
    put(tmp_path, f"strava_api/{name}")
    assert [row["change_time_us"] for row in rows(tmp_path)] == [expected]


def test_a_records_own_change_time_comes_first(tmp_path: Path):
    lines = '{"id":1,"updated_at":"1970-01-01T00:00:02Z"}\n{"id":2,"updated_at":"?"}'
    put(tmp_path, "strava_api/2024-06-01T06-00-00.jsonl", lines)
    assert [row["change_time_us"] for row in rows(tmp_path)] == [2_000_000, SIX]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("strava_api/a.jsonl.gz", '{"id":1}\n{"id":2}\n'),
        ("strava_api/a.json.gz", '[{"id":1},{"id":2}]'),
        ("strava_export/athlete_id=7/activities.csv.gz", "Activity ID,x\n1,\n2,\n"),
        ("cdc/a.jsonl.gz", '{"op":"c","after":{"id":1}}\nnull\n{"op":"d","before":{"id":2}}'),
    ],
)
def test_every_pattern_is_read_compressed(tmp_path: Path, path: str, content: str):
    put(tmp_path, path, gzip.compress(content.encode()))
    assert [row["activity_id"] for row in rows(tmp_path)] == [1, 2]


def test_a_damaged_gzip_keeps_what_comes_before_the_fault(tmp_path: Path):
    lines = [f"{n},{n**9}" for n in range(1, 2001)]
    stored = gzip.compress("\n".join(["Activity ID,x", *lines]).encode())
    put(tmp_path, "strava_export/athlete_id=7/activities.csv.gz", stored[: len(stored) // 2])
    *kept, fault = rows(tmp_path)
    assert len(kept) > 500
    assert [row["activity_id"] for row in kept] == list(range(1, len(kept) + 1))
    assert (fault["line_number"], fault["payload"]) == (len(kept) + 2, "truncated gzip stream")
    assert (fault["athlete_id"], fault["activity_id"]) == (None, None)


def test_batches_are_bounded_by_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(landing, "MAX_BATCH_RECORDS", 2)
    put(tmp_path, "strava_api/a.jsonl", "".join(f'{{"id":{n}}}\n' for n in range(1, 6)))
    put(tmp_path, "strava_api/b.jsonl", "\n")
    put(tmp_path, "strava_api/c.jsonl", '{"id":6}')
    assert [(d.path[-7], b.column("activity_id").to_pylist()) for d, b, _ in batches(tmp_path)] == [
        ("a", [1, 2]),
        ("a", [3, 4]),
        ("a", [5]),
        ("b", []),
        ("c", [6]),
    ]


def test_batches_are_bounded_by_bytes_of_payload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(landing, "MAX_BATCH_BYTES", 26)
    # 8 + 18, 35, 21 + 8 bytes: an umlaut is two, so that the last two are 26 characters.
    lines = [
        '{"id":1}',
        '{"id":22222222222}',
        '{"id":3,"n":"ääääääääää"}',
        '{"id":4,"n":"äää"}',
        '{"id":5}',
    ]
    put(tmp_path, "strava_api/a.jsonl", "\n".join(lines))
    assert [b.column("activity_id").to_pylist() for _, b, _ in batches(tmp_path)] == [
        [1, 22222222222],
        [3],
        [4],
        [5],
    ]


def test_records_are_read_only_as_batches_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(landing, "MAX_BATCH_RECORDS", 1)
    put(tmp_path, "strava_api/a.jsonl", '{"id":1}\n{"id":2}\n')
    gone = put(tmp_path, "strava_api/b.jsonl")
    new = discover(listing(tmp_path), ACTIVITIES, []).new
    taken = record_batches(tmp_path, new, "strava_activities", DAY, SETTINGS)
    next(taken)
    gone.unlink()
    next(taken)
    with pytest.raises(UsageError, match=r"strava_api/b\.jsonl vanished"):
        next(taken)


def test_a_file_that_changed_since_it_was_found_is_refused(tmp_path: Path):
    put(tmp_path, "strava_api/a.jsonl")
    new = discover(listing(tmp_path), ACTIVITIES, []).new
    put(tmp_path, "strava_api/a.jsonl", '{"id":1}\n{"id":2}\n')
    with pytest.raises(UsageError, match=r"strava_api/a\.jsonl changed"):
        list(record_batches(tmp_path, new, "strava_activities", DAY, SETTINGS))


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path):
    file = put(tmp_path, "strava_api/a.jsonl")
    new = discover(listing(tmp_path), ACTIVITIES, []).new
    taken = record_batches(tmp_path, new, "strava_activities", DAY, SETTINGS)
    next(taken)
    with file.open("ab") as more:
        more.write(b'{"id":2}\n')
    with pytest.raises(UsageError, match="changed during the run"):
        next(taken)


def test_a_delivery_of_another_table_is_a_programming_error(tmp_path: Path):
    put(tmp_path, "strava_api/a.jsonl")
    new = discover(listing(tmp_path), ACTIVITIES, []).new
    with pytest.raises(ValueError, match="does not feed athlete_settings"):
        list(record_batches(tmp_path, new, "athlete_settings", DAY, SETTINGS))
