"""What is said about tables in the catalog: statements, by their text."""

from types import SimpleNamespace

import pytest

from paceline.contract import load
from paceline.store.annotations import comments, stated_contract, tag, tags
from paceline.store.warehouse import Warehouse
from tests.unit.test_contract import SMALL

NAME = "`main`.silver.shoes"


@pytest.fixture
def shoes(tmp_path):
    """A contract of few columns, with a tag, a class and a quote in what it says."""
    path = tmp_path / "silver.shoes.odcs.yaml"
    described = SMALL.replace("kind: DataContract\n", "kind: DataContract\ntags: [silver]\n")
    assert described != SMALL
    path.write_text(described, encoding="utf-8")
    return load(path)


def test_comments_that_are_as_they_should_be_need_nothing(shoes):
    stored = {column.name: column.comment for column in shoes.columns}
    assert comments(shoes, NAME, shoes.description, stored) == []


def test_comments_that_differ_are_set_in_one_statement(shoes):
    bought_at = "When it was bought. NULL when unknown."
    stored = {"shoe_id": "it was", "bought_at": bought_at, "worn_km": None}
    assert comments(shoes, NAME, None, stored) == [
        f"ALTER TABLE {NAME} ALTER COLUMN shoe_id COMMENT 'The shoe. Never NULL.',"
        " worn_km COMMENT 'The athlete\\'s own count of what the shoe has run. Unit: km.'",
        f"COMMENT ON TABLE {NAME} IS 'Shoes of the athletes.'",
    ]


def test_a_column_that_no_run_has_added_yet_gets_its_comment_then(shoes):
    stored = {column.name: column.comment for column in shoes.columns[:-1]}
    assert comments(shoes, NAME, shoes.description, stored) == []


def test_the_contracts_say_which_tags_are_set(contracts):
    activities = contracts["silver.strava_activities"]
    statements = tags(activities, NAME)
    assert statements[0] == f"ALTER TABLE {NAME} SET TAGS ('silver' = '')"
    assert (
        f"ALTER TABLE {NAME} ALTER COLUMN athlete_id SET TAGS"
        " ('pii' = '', 'classification' = 'confidential')"
    ) in statements
    tagged = [c for c in activities.columns if c.tags or c.classification]
    assert len(statements) == 1 + len(tagged)
    assert len(tagged) < len(activities.columns)


def test_the_contract_is_stated_with_its_version(shoes):
    assert stated_contract(shoes) == f"silver.shoes@{shoes.version}"


@pytest.fixture
def asked(caplog):
    """The statements that a catalog is asked for, and what is logged."""

    def asked(contract, *, root=None, catalog="main", refuses=""):
        statements = []

        def sql(statement):
            statements.append(statement)
            if refuses and refuses in statement:
                raise PermissionError("User ann@example.org may not do that.")

        tag(Warehouse(SimpleNamespace(sql=sql), root, catalog), contract)
        return statements, caplog.messages

    return asked


def test_a_catalog_is_asked_for_all_tags(asked, shoes):
    assert asked(shoes) == (tags(shoes, NAME), [])


def test_a_local_warehouse_has_no_tags(asked, shoes, tmp_path):
    assert asked(shoes, root=tmp_path, catalog="") == ([], [])
    assert asked(shoes, catalog="") == ([], [])


def test_a_catalog_that_refuses_is_told_about_and_fails_nothing(asked, shoes):
    statements, told = asked(shoes, refuses="SET TAGS")
    assert len(statements) == 1
    assert told == [
        "the tags of silver.shoes could not be set (PermissionError): grant APPLY TAG and "
        "MODIFY on it, and `paceline maintenance` sets them."
    ]
