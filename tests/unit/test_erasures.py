"""Whose records are refused, which rows are erased, and what a run after that believes."""

import base64
import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from paceline.cli.main import exit_code, paceline
from paceline.contract import load_all
from paceline.errors import UsageError
from paceline.intake import landing
from paceline.operations.erase import REASON, Standing, refuse_unknown, seals
from paceline.operations.find_athlete import Found, Place, _belongs
from paceline.publish.staged import staging_ddl
from paceline.recipe import RECORD, Table
from paceline.sources.files import masked
from paceline.store.erasures import (
    ACTIVITY,
    ACTIVITY_MENTION,
    ATHLETE,
    ATHLETE_MENTION,
    Erased,
    mentioned,
    path_pattern,
)
from paceline.store.ledger import Entry
from paceline.store.state import Sealed, State
from paceline.store.warehouse import Position
from tests.conftest import CONF

NOBODY = Erased("00" * 32)
GONE, THEIRS = 1001, 555
HMAC_OF_ATHLETE_1001 = "32a2b600b75f9becbc06ceb3ef6db239e02818026ec70267e3db5768fac420fc"
ERASED = replace(
    NOBODY,
    hashes=frozenset(
        {(ATHLETE, NOBODY.hash(ATHLETE, GONE)), (ACTIVITY, NOBODY.hash(ACTIVITY, THEIRS))}
    ),
)


def test_the_hash_is_an_hmac_of_kind_and_id():
    # echo -n 'athlete 1001' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0000...00
    assert NOBODY.hash(ATHLETE, 1001) == HMAC_OF_ATHLETE_1001
    assert replace(NOBODY, salt="01" * 32).hash(ATHLETE, 1001) != HMAC_OF_ATHLETE_1001
    assert not ERASED.has(ATHLETE, THEIRS)


@pytest.mark.parametrize(
    ("text", "athletes", "activities"),
    [
        ('{"id": 5, "athlete": {"id": 1001}, "name": "cut o', {1001}, {5}),
        ('{"athlete": {"resource_state": 1, "id": "1001"}, "id": 5', {1001}, {5}),
        ('{"athlete_id":1001,"activity_id":"0005"', {1001}, {5}),
        (r'{"after": "{\"id\": 5, \"athlete\": {\"id\": 1001', {1001}, {5}),
        ("athlete_id=1001;", {1001}, set()),
        ('{"athlete": {"name": "x"}, "upload_id": 5, "gear_id": 7}', set(), set()),
        (f'{{"athlete_id": {"9" * 20}, "id": {"9" * 20}}}', set(), set()),
        ("athlete 1001 ran 5 km", set(), set()),
    ],
)
def test_ids_are_found_in_broken_records(text, athletes, activities):
    assert mentioned(ATHLETE_MENTION, text) == athletes
    assert mentioned(ACTIVITY_MENTION, text) == activities


def batch(*rows):
    """Rows of (athlete, activity, payload)."""
    athletes, activities, payloads = zip(*rows, strict=True)
    return pa.RecordBatch.from_pydict(
        {
            "athlete_id": pa.array(athletes, pa.int64()),
            "activity_id": pa.array(activities, pa.int64()),
            "payload": payloads,
            "is_base64": [text.endswith("=") for text in payloads],
        }
    )


def test_records_of_an_erased_athlete_are_left_out():
    binary = base64.b64encode(b'{"athlete_id": 1001, "name": "\xff"').decode()
    assert binary.endswith("=")
    found = ERASED.without(
        batch(
            (GONE, 1, "named"),
            (2, THEIRS, "of another who has their activity"),
            (None, THEIRS, "a deletion that names nobody"),
            (None, 3, "a deletion of another activity"),
            (None, None, '{"athlete": {"id": 1001'),
            (None, None, '{"athlete": {"id": 555'),
            (None, None, binary),
        )
    )
    assert found.column("payload").to_pylist() == [
        "of another who has their activity",
        "a deletion of another activity",
        '{"athlete": {"id": 555',
    ]


def test_a_batch_of_settings_has_no_activities():
    schema = landing.SCHEMAS["athlete_settings"]
    row = {"athlete_id": GONE, "payload": "{}", "is_base64": False, "valid_from": date(2024, 1, 1)}
    rows = [row, row | {"athlete_id": 2}, row | {"athlete_id": None}]
    found = ERASED.without(pa.RecordBatch.from_pylist(rows, schema=schema))
    assert found.column("athlete_id").to_pylist() == [2, None]
    assert found.schema == schema


def test_the_folder_of_an_erased_athlete_is_known_and_its_id_is_not_told():
    assert ERASED.has_folder("strava_export/athlete_id=1001/activities.csv")
    assert ERASED.has_folder("strava_api/athlete_id=01001/x/a.jsonl")
    assert not ERASED.has_folder("strava_api/athlete_id=10010/a.jsonl")
    assert not ERASED.has_folder("strava_api/a.jsonl")
    assert masked("x/athlete_id=1001/a\n.csv") == "x/athlete_id=***/a\\n.csv"


def test_every_table_and_its_staging_are_searched():
    contracts = load_all(CONF / "contracts")
    assert len(contracts) == 7
    for name, contract in contracts.items():
        condition = _belongs(contract.column_names)
        assert "t.athlete_id = s.athlete_id" in condition
        assert ("t.source_path RLIKE s.folder" in condition) == name.startswith("bronze.")
        columns = [part.split()[0] for part in staging_ddl(contract).split(", ")]
        staged = _belongs(columns)
        record = "t" if name.startswith("bronze.") else f"t.{RECORD}"
        assert f"{record}.source_path RLIKE s.folder" in staged
        assert ("s.activities" in staged) == ("activity_id" in contract.column_names)


class Tables:
    """A warehouse that only knows versions, and the commits that have written rows."""

    def __init__(self, versions, rewrites):
        self.versions, self.rewrites = versions, rewrites

    def position(self, name):
        return at(name, self.versions[name])

    def rewrites_since(self, position):
        return [None] * self.rewrites.get(position.table_name, 0)


def at(name, version):
    return Position(name, f"id of {name}", version)


BEFORE = {"bronze.a": at("bronze.a", 3), "silver.a": at("silver.a", 5)}
AFTER = {"bronze.a": 6, "silver.a": 7}
SETTLED = frozenset({("bronze.a", "bronze.a"), ("silver.a", "silver.a"), ("silver.a", "bronze.a")})
NOW = datetime(2026, 7, 1, tzinfo=UTC)
COMMON = Entry("the run", "erase", "", started_at=NOW, finished_at=NOW)
KNOWN = State(
    sealed={
        "bronze.a": Sealed({}, {}, "id of bronze.a", 3, "rules", None),
        "silver.a": Sealed(
            {"bronze.a": at("bronze.a", 3)},
            {"bronze.a": at("bronze.a", 3)},
            *("id of silver.a", 5, "rules", None),
        ),
    },
    unsealed={},
)


def sealed(settled=SETTLED, rewrites=None, shared=frozenset()):
    """By table, the version and the cursor with which an erasure seals it."""
    places = tuple(Place(name, "") for name in BEFORE)
    found = Found(GONE, places, {"bronze.a": 2, "silver.a": 1}, (), shared, ())
    warehouse = Tables(AFTER, {"bronze.a": 1, "silver.a": 1} if rewrites is None else rewrites)
    entries = seals(warehouse, found, Standing(BEFORE, settled), KNOWN, COMMON)
    assert {(e.full_compare_reason, e.fingerprint, e.status) for e in entries} <= {
        (REASON, "rules", "PUBLISHED")
    }
    return {e.table_name: (e.target_version, [p.version for p in e.cursor]) for e in entries}


def test_an_erasure_is_no_change_for_the_next_run():
    assert sealed() == {"bronze.a": (6, []), "silver.a": (7, [6])}


def test_pending_changes_are_left_to_the_change_feed():
    assert sealed(SETTLED - {("silver.a", "bronze.a")})["silver.a"] == (7, [3])


def test_shared_activities_are_left_to_the_change_feed():
    assert sealed(shared=frozenset({"bronze.a"}))["silver.a"] == (7, [3])


def test_what_others_have_written_is_not_sealed():
    assert sealed(SETTLED - {("silver.a", "silver.a")}) == {"bronze.a": (6, [])}
    assert sealed(rewrites={"bronze.a": 1, "silver.a": 2}) == {"bronze.a": (6, [])}
    assert sealed(rewrites={"bronze.a": 2, "silver.a": 1}) == {"silver.a": (7, [3])}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--athlete", "1", "-o", "/nowhere/c.json"], "its directory does not exist"),
        (["--athlete", "0"], "is not in the range"),
        ([], "Missing option '--athlete'"),
    ],
)
def test_wrong_usage_erases_nothing(capsys, tmp_path, arguments, message):
    code = exit_code(paceline, ["erase", *arguments, "--warehouse", str(tmp_path)])
    assert code == 2
    assert message in capsys.readouterr().err


def test_an_empty_warehouse_is_told(capsys, tmp_path):
    out = str(tmp_path / "c.json")
    assert exit_code(paceline, ["erase", "--athlete", "1", "-o", out, "--warehouse", out]) == 2
    assert "is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("cdc/4711.jsonl", "cdc/{}.jsonl"),
        ("cdc/004711.jsonl", "cdc/{}.jsonl"),
        ("cdc/x4711y-4711.jsonl", "cdc/x{}y-{}.jsonl"),
        ("cdc/14711.jsonl", "cdc/14711.jsonl"),
        ("cdc/47110.jsonl", "cdc/47110.jsonl"),
        ("cdc/athlete_4711/2024-06-07.jsonl", "cdc/athlete_{}/2024-06-07.jsonl"),
        ("cdc/99999999999999999999.jsonl", "cdc/99999999999999999999.jsonl"),
    ],
)
def test_a_path_names_no_erased_athlete(path, kept):
    erased = erased_with(4711)
    name = erased.pseudonym(4711)
    assert re.fullmatch("[a-p]{16}", name)
    assert erased.anonymous(path) == kept.format(name, name)
    assert erased.anonymous(erased.anonymous(path)) == kept.format(name, name)
    assert erased.anonymous(path, "***") == kept.format("***", "***")
    # What SQL looks for is the same.
    assert re.sub(path_pattern(4711), rf"\1{name}", path) == kept.format(name, name)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("cdc/2024-06-07.jsonl", "cdc/2024-06-07.jsonl"),
        ("cdc/part-7.jsonl", "cdc/part-7.jsonl"),
        ("cdc/athlete-7_part-7.jsonl", "cdc/athlete-{}_part-7.jsonl"),
        ("athletes/7/2024-06-07.jsonl", "athletes/{}/2024-06-07.jsonl"),
        ("strava_export/athlete_id=007/a", "strava_export/athlete_id={}/a"),
    ],
)
def test_a_small_number_tells_only_after_the_word_athlete(path, kept):
    erased = erased_with(7)
    name = erased.pseudonym(7)
    assert erased.anonymous(path) == kept.format(name)
    assert re.sub(path_pattern(7), rf"\1{name}", path) == kept.format(name)


def erased_with(athlete):
    known = Erased("5a" * 32)
    return Erased(known.salt, frozenset({(ATHLETE, known.hash(ATHLETE, athlete))}))


def test_a_table_without_a_recipe_stops_an_erasure():
    recorded = {"silver.shoes", "inference.estimates"}
    with pytest.raises(UsageError, match=r"holds inference.estimates, for .* paceline\[ml\]"):
        refuse_unknown([Table("silver.shoes", (), None, None)], recorded)
    refuse_unknown([Table(name, (), None, None) for name in recorded], recorded)
