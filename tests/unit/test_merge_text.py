"""The statement that publishes: the clauses that the staged rows need, and the literals by which
files are skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import combinations
from types import SimpleNamespace

import pytest

from paceline.publish.audit import AuditResult
from paceline.publish.changes import Changes
from paceline.publish.claim import Claim
from paceline.publish.merge import StaleError, merge
from paceline.recipe import EVERYTHING, Scope
from paceline.store.warehouse import Position, Warehouse

NAME = "silver.laps"
PARTITIONS = "spark.sql.shuffle.partitions"
OPS = ("insert", "update", "delete", "quarantine", "resolve")
NO_ROWS = dict.fromkeys(OPS, 0)
COLUMNS = ("athlete_id", "day", "kind", "lap_s", "laps")
# In the order of the statement: when a clause is for a row, and what it does.
CLAUSES = {
    "delete": ("MATCHED", "DELETE"),
    "update": ("MATCHED", "UPDATE SET t.lap_s = s.lap_s, t.laps = s.laps"),
    "insert": (
        "NOT MATCHED",
        "INSERT (athlete_id, day, kind, lap_s, laps)"
        " VALUES (s.athlete_id, s.day, s.kind, s.lap_s, s.laps)",
    ),
}
ROW_OPS = tuple(CLAUSES)
KEYS = "s._run_id = 'run-1' AND t.athlete_id = s.athlete_id AND t.day = s.day AND t.kind = s.kind"
SOURCE = (
    "SELECT * FROM ops.staging_silver_laps VERSION AS OF 12"
    " WHERE _run_id = 'run-1' AND _op IN ('insert', 'update', 'delete')"
)


@dataclass
class Session:
    """As much of a session as publishing asks for; every statement touches so many rows."""

    touched: int
    settings: dict[str, object] = field(default_factory=lambda: {PARTITIONS: "200"})
    statements: list[tuple[str, object]] = field(default_factory=list)

    @property
    def conf(self):
        return SimpleNamespace(get=self.settings.get, set=self.settings.__setitem__)

    def sql(self, statement):
        self.statements.append((statement, self.settings[PARTITIONS]))
        return SimpleNamespace(collect=lambda: [{"num_affected_rows": self.touched}])


@pytest.fixture(scope="module")
def laps(contracts):
    """A table with a key of every type."""
    types = {
        **{"athlete_id": "BIGINT", "day": "DATE", "kind": "STRING"},
        **{"lap_s": "DOUBLE", "laps": "INT"},
    }
    column = contracts["silver.athlete_settings"].columns[0]
    return replace(
        contracts["silver.athlete_settings"],
        name=NAME,
        columns=tuple(replace(column, name=name, type=of) for name, of in types.items()),
        key=("athlete_id", "day", "kind"),
        append_only=False,
    )


def published(contract, counts, scope=EVERYTHING, bounds=None, **given):
    """Merges staged rows into version 7; returns what `merge` returned, and the session."""
    version, is_alone = given.get("version", 7), given.get("is_alone", True)
    session = Session(given.get("touched", sum(counts.values())))
    run = SimpleNamespace(
        run_id="run",
        warehouse=Warehouse(session, None),
        is_alone=is_alone,
        context=SimpleNamespace(contracts={NAME: contract}),
    )
    changes = Changes({}, Position(NAME, "id", version), {}, None)
    claimed = Claim(SimpleNamespace(name=NAME), run, run.context, changes, "", attempt=1)
    result = AuditResult(NO_ROWS | counts, 0, None, bounds or {}, None, ())
    return merge(claimed, 12, scope, result), session


def parts(session):
    """What a MERGE reads and writes, its condition, and its clauses as (when, guard, action)."""
    ((statement, _),) = session.statements
    head, *clauses = statement.split(" WHEN ")
    tables, condition = head.split(" ON ", maxsplit=1)
    split = [re.fullmatch(r"((?:NOT )?MATCHED) AND (.*?) THEN (.*)", text) for text in clauses]
    return tables, condition, [clause.groups() for clause in split]


def condition_of(contract, **given):
    _, condition, _ = parts(published(contract, {"insert": 1}, **given)[1])
    return condition


SUBSETS = [ops for size in (1, 2, 3) for ops in combinations(ROW_OPS, size)]


@pytest.mark.parametrize("ops", SUBSETS, ids="+".join)
def test_merge_has_the_clauses_that_it_needs_and_no_other(laps, ops):
    tables, _, clauses = parts(published(laps, dict.fromkeys(ops, 2))[1])
    assert tables == f"MERGE INTO silver.laps t USING ({SOURCE}) s"
    assert [(when, done) for when, _, done in clauses] == [
        CLAUSES[op] for op in ROW_OPS if op in ops
    ]
    for op, (_, guard, _) in zip([op for op in ROW_OPS if op in ops], clauses, strict=True):
        assert "s._op" in guard
        assert f"'{op}'" in guard


@pytest.mark.parametrize("op", ["delete", "update"])
def test_a_row_is_touched_only_while_it_is_all_that_the_staged_row_replaces(laps, op):
    ((_, guard, _),) = parts(published(laps, {op: 1})[1])[2]
    assert re.findall(r"\bt\.(\w+)", guard) == list(COLUMNS)
    assert "<=>" in guard
    assert "s._replaces" in guard


def test_records_of_the_quarantine_need_no_clause(laps):
    counts = {"insert": 2, "quarantine": 3, "resolve": 4}
    _, session = published(laps, counts, touched=2)
    assert [when for when, *_ in parts(session)[2]] == ["NOT MATCHED"]


@pytest.mark.parametrize(
    ("name", "bounds", "text"),
    [
        ("athlete_id", (-7, 1001), "-7 AND 1001"),
        ("athlete_id", (-(2**63), 2**63 - 1), "-9223372036854775808 AND 9223372036854775807"),
        ("day", (date(1969, 12, 31), date(2024, 2, 29)), "DATE '1969-12-31' AND DATE '2024-02-29'"),
        ("day", (date(1, 1, 1), date(9999, 12, 31)), "DATE '0001-01-01' AND DATE '9999-12-31'"),
        ("kind", ("", "split"), "'' AND 'split'"),
        ("kind", ("a'b", "it's ''"), r"'a\'b' AND 'it\'s \'\''"),
        ("kind", ('"', "x\\"), r"""'"' AND 'x\\'"""),
    ],
)
def test_merge_carries_the_bounds_of_the_staged_keys(laps, name, bounds, text):
    condition = condition_of(laps, bounds={name: bounds})
    assert condition == f"{KEYS} AND t.{name} BETWEEN {text} AND (TRUE)"


def test_merge_carries_the_bounds_of_all_key_columns(laps):
    bounds = {"athlete_id": (1, 2), "day": (date(2024, 1, 1), date(2024, 1, 2)), "kind": ("a", "b")}
    assert condition_of(laps, bounds=bounds) == (
        f"{KEYS} AND t.athlete_id BETWEEN 1 AND 2"
        " AND t.day BETWEEN DATE '2024-01-01' AND DATE '2024-01-02'"
        " AND t.kind BETWEEN 'a' AND 'b' AND (TRUE)"
    )


def test_merge_carries_the_boxes_of_its_scope_in_brackets(laps):
    boxes = (
        {"athlete_id": (-9, -1), "day": (date(1969, 12, 30), date(1970, 1, 1))},
        {"athlete_id": (None, None), "day": (date(2024, 1, 1), date(2024, 1, 1))},
        {"day": (None, None)},
    )
    assert condition_of(laps, scope=Scope(None, bounds=boxes)) == (
        f"{KEYS} AND ("
        "(t.athlete_id BETWEEN -9 AND -1 AND t.day BETWEEN DATE '1969-12-30' AND DATE '1970-01-01')"
        " OR (t.athlete_id IS NULL AND t.day BETWEEN DATE '2024-01-01' AND DATE '2024-01-01')"
        " OR (t.day IS NULL))"
    )


def test_merge_reaches_from_the_first_day_of_a_box_on(laps):
    boxes = ({"athlete_id": (4, 4), "since": (date(1969, 12, 31), date(2024, 1, 1))},)
    assert condition_of(laps, scope=Scope(None, since="day", bounds=boxes)) == (
        f"{KEYS} AND ((t.athlete_id BETWEEN 4 AND 4 AND t.day >= DATE '1969-12-31'))"
    )


@pytest.mark.parametrize(
    ("counts", "partitions"),
    [
        ({"insert": 200_000}, 1),
        ({"insert": 200_000, "quarantine": 1}, 1),
        ({"insert": 200_000, "delete": 1}, "200"),
    ],
)
def test_few_rows_are_written_by_one_task(laps, counts, partitions):
    wanted = sum(counts.get(op, 0) for op in ROW_OPS)
    _, session = published(laps, counts, touched=wanted)
    assert [at_that_time for _, at_that_time in session.statements] == [partitions]
    assert session.settings == {PARTITIONS: "200"}


def test_only_a_run_that_is_alone_appends_to_an_empty_table(laps):
    version, session = published(laps, {"insert": 3}, version=0)
    columns = "athlete_id, day, kind, lap_s, laps"
    assert session.statements == [
        (f"INSERT INTO silver.laps ({columns}) SELECT {columns} FROM ({SOURCE})", "200")
    ]
    assert version == 1
    version, session = published(laps, {"insert": 3}, version=0, is_alone=False)
    assert [when for when, *_ in parts(session)[2]] == ["NOT MATCHED"]
    assert version == 1


def test_a_row_that_was_not_as_it_had_been_read_is_told(laps):
    with pytest.raises(StaleError, match=r"silver\.laps .* \(4 of 5 rows were as they had been"):
        published(laps, {"update": 2, "delete": 3}, touched=4)


@pytest.mark.parametrize(("touched", "version"), [(2, 8), (1, 8), (0, 7)])
def test_rows_that_only_grow_may_be_there_already(laps, touched, version):
    growing = replace(laps, append_only=True)
    assert published(growing, {"insert": 2}, touched=touched)[0] == version
