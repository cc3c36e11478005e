"""What a table is made with: which code, contracts and settings, and what of them counts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import pytest

import paceline
from paceline.contract import Contract
from paceline.errors import PacelineError
from paceline.pipeline.jobs import TABLES
from paceline.publish import fingerprint as module
from paceline.publish.fingerprint import essence, fingerprint, modules
from paceline.recipe import Context, Table

SOURCES = (
    *("sources", "sources.athlete_settings", "sources.changelog", "sources.debezium"),
    *("sources.documents", "sources.encodings", "sources.envelope"),
    *("sources.export_dates", "sources.export_layouts", "sources.export_values"),
    *("sources.gunzip", "sources.licence"),
    *("sources.limits", "sources.record", "sources.refusals", "sources.source"),
    "sources.sport_types",
    *("sources.strava_api", "sources.strava_export"),
)
SILVER = (
    *("recipe", "tables", "tables.names", "tables.silver", "tables.silver.fields"),
    "tables.silver.versions",
)
ACTIVITIES = (
    *(*SOURCES, *SILVER, "tables.silver.activity_versions", "tables.silver.local_start"),
    *("tables.silver.measures", "tables.silver.parts", "tables.windows"),
)
# Written down, so that an import that drags in more than a recipe needs is seen in a review.
CODE = {
    "bronze.strava_activities": {"recipe", "tables.bronze.received"},
    "bronze.athlete_settings": {"recipe", "tables.bronze.received"},
    "silver.strava_activities": {*ACTIVITIES, "tables.silver.strava_activities"},
    "silver.strava_sub_activity": {*ACTIVITIES, "tables.silver.strava_sub_activity"},
    "silver.athlete_settings": {*SOURCES, *SILVER, "tables.silver.athlete_settings"},
    "feature_store.activity_features": {
        *("features", "features.functions", "features.splits", "recipe", "sources.licence"),
        *("tables.feature_store", "tables.feature_store.activity_features"),
        *("tables.feature_store.duplicates", "tables.names", "tables.windows"),
    },
    "feature_store.athlete_rolling_features": {
        *("features", "features.daily_fold", "features.functions", "features.windows", "recipe"),
        *("tables", "tables.feature_store.athlete_rolling_features", "tables.names"),
    },
}
BY_NAME = {table.name: table for table in TABLES}
ROLLING = BY_NAME["feature_store.athlete_rolling_features"]
FEATURES = BY_NAME["feature_store.activity_features"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_code_of_a_recipe(table: Table) -> None:
    assert modules(table) == sorted(f"paceline.{name}" for name in CODE[table.name])


@pytest.fixture
def context(contracts: dict[str, Contract]) -> Context:
    settings = {
        "athlete_timezone": {"default": "UTC", 7: "Europe/Berlin"},
        "cdc_tables": ["activities"],
        "default_threshold_pace_s_per_km": 270,
        "detect_duplicate_recordings": True,
        "dormant_after_days": 365,
        "export_headers": {"de": {"a": "b"}},
    }
    return Context(settings, contracts, dict.fromkeys(contracts, "QUARANTINE"))


def changed(context: Context, **settings: object) -> set[str]:
    """The tables of which the fingerprint is another one with other settings."""
    other = replace(context, settings={**context.settings, **settings})
    return {t.name for t in TABLES if fingerprint(t, context) != fingerprint(t, other)}


def test_a_setting_counts_for_the_tables_that_read_it(context: Context) -> None:
    assert changed(context, dormant_after_days=90) == {ROLLING.name}
    assert changed(context, default_threshold_pace_s_per_km=280) == {FEATURES.name}
    assert changed(context, cdc_tables=["rides"]) == {"bronze.strava_activities"}
    both = {"silver.strava_activities", "silver.strava_sub_activity"}
    assert changed(context, athlete_timezone="UTC") == both
    assert changed(context, export_headers={}) == both


def test_the_order_of_a_setting_in_yaml_does_not_count(context: Context) -> None:
    other = {7: "Europe/Berlin", "default": "UTC"}
    assert changed(context, athlete_timezone=other) == set()


def test_a_contract_and_a_policy_count_for_their_own_table(context: Context) -> None:
    name = "silver.strava_activities"
    contract = context.contracts[name]
    stricter = replace(contract, rules=contract.rules[1:])
    for other in (
        replace(context, contracts={**context.contracts, name: stricter}),
        replace(context, policies={**context.policies, name: "STRICT"}),
    ):
        differing = {t.name for t in TABLES if fingerprint(t, context) != fingerprint(t, other)}
        # The parents of splits are judged by the same rules.
        assert differing == {name, "silver.strava_sub_activity"}


PROGRAM = '''"""About a module.

More of it.
"""

X = 1  # a comment


class A:
    """About a class."""

    def f(self, a: str = "# no comment") -> str:
        """About a function, Läufe."""
        text = """kept

        # as it is"""
        return a + text  # and why


def g(): "a docstring"; return "no docstring"
'''
REDUCED = '''X = 1
class A:
    def f(self, a: str = "# no comment") -> str:
        text = """kept
        # as it is"""
        return a + text
def g(): ; return "no docstring"'''


def test_what_counts_of_a_text() -> None:
    assert essence(PROGRAM) == REDUCED


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("# a comment", "# another one", False),
        ("About a class", "Of a class", False),
        ("X = 1", "X = 1   ", False),
        ("X = 1", "X = 2", True),
        ("# no comment", "# nor this", True),
        ("kept", "changed", True),
        ("no docstring", "none", True),
        ("    def f", "\n\n    def f", False),
    ],
)
def test_a_formula_counts_and_a_comment_does_not(old: str, new: str, *, counts: bool) -> None:
    assert (essence(PROGRAM.replace(old, new)) != essence(PROGRAM)) is counts


def test_a_changed_formula_is_noticed(monkeypatch: pytest.MonkeyPatch, context: Context) -> None:
    before = {t.name: fingerprint(t, context) for t in TABLES}
    read = module._source

    def source(name: str) -> str:
        text = read(name)
        return text.replace("3.6 *", "3.61 *") if name.endswith("features.functions") else text

    assert "3.6 *" in read("paceline.features.functions")
    monkeypatch.setattr(module, "_source", source)
    module._digest.cache_clear()
    try:
        after = {t.name: fingerprint(t, context) for t in TABLES}
    finally:
        module._digest.cache_clear()
    assert {n for n in after if after[n] != before[n]} == {FEATURES.name, ROLLING.name}


def test_code_without_its_source_is_refused(
    monkeypatch: pytest.MonkeyPatch, context: Context
) -> None:
    module._source.cache_clear()
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    try:
        with pytest.raises(PacelineError, match=r"The source of paceline\..* is missing"):
            module._source("paceline.recipe")
    finally:
        module._source.cache_clear()


def test_what_a_recipe_says_of_itself_counts(context: Context) -> None:
    before = fingerprint(FEATURES, context)
    assert fingerprint(replace(FEATURES, follows_window=False), context) != before
    assert fingerprint(replace(FEATURES), context) == before


def test_a_recipe_is_made_of_functions(context: Context) -> None:
    bound = 7
    for rows in (partial(FEATURES.rows), lambda *given: given[bound]):
        with pytest.raises(PacelineError, match=f"rows of {FEATURES.name} have to be functions"):
            fingerprint(replace(FEATURES, rows=rows), context)


def test_a_wheel_and_a_clone_have_the_same_digests(tmp_path: Path) -> None:
    """A wheel is an archive of the same texts; read from one, by a program of its own."""
    root = Path(paceline.__file__).parents[1]
    archive = tmp_path / "paceline.zip"
    with ZipFile(archive, "w") as packed:
        for path in (root / "paceline").rglob("*.py"):
            packed.write(path, path.relative_to(root))
    program = (
        "import paceline; from paceline.pipeline.jobs import TABLES\n"
        "from paceline.publish.fingerprint import _digest, modules\n"
        "print(paceline.__file__)\n"
        "for table in TABLES: print([_digest(name) for name in modules(table)])"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(place)!r})\n{program}"],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        ).stdout.splitlines()
        for place in (archive, root)
    ]
    assert [lines[0].startswith(str(archive)) for lines in told] == [True, False]
    assert told[0][1:] == told[1][1:]
    assert len(told[0]) == 1 + len(TABLES)
