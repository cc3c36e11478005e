"""Schemas that are called otherwise, as where several deployments share a catalog."""

from types import SimpleNamespace

import pytest

from paceline.cli.main import exit_code, job_command
from paceline.errors import UsageError
from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.store.warehouse import SCHEMAS, Warehouse, schema_names

AS_THEY_ARE = {"bronze": "bronze", "silver": "silver", "feature_store": "feature_store",
               "ops": "ops"}  # fmt: skip


def recording(root, catalog, schemas):
    statements = []

    def sql(statement):
        statements.append(statement)
        return SimpleNamespace(collect=lambda: [("dev_silver",)] * (statement == "SHOW SCHEMAS"))

    return Warehouse(SimpleNamespace(sql=sql), root, catalog, schemas), statements


def test_without_names_every_layer_is_called_as_it_is():
    assert schema_names(()) == AS_THEY_ARE
    assert schema_names([""]) == AS_THEY_ARE


def test_a_named_layer_is_called_so_and_the_others_are_not_touched():
    named = schema_names(["silver=Dev_Ann_silver", "ops=dev_ann_ops"])
    assert named == AS_THEY_ARE | {"silver": "dev_ann_silver", "ops": "dev_ann_ops"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["gold=x"], "names no layer"),
        (["silver"], "is no name of a table"),
        (["silver="], "is no name of a table"),
        (["silver=x", "silver=y"], "for the second time"),
        (["silver=silver", "silver=silver"], "for the second time"),
        (["silver=x; DROP"], "is no name of a table"),
        (["silver=x", "bronze=X"], "share a schema"),
        (["silver=bronze"], "share a schema"),
    ],
)
def test_what_names_no_schemas_is_refused(given, message):
    with pytest.raises(UsageError, match=message):
        schema_names(given)


def test_layers_may_swap_names():
    assert schema_names(["silver=bronze", "bronze=silver"])["silver"] == "bronze"


def test_names_in_sql_follow_and_paths_do_not(tmp_path):
    schemas = schema_names([f"{layer}=dev_{layer}" for layer in SCHEMAS])
    remote, _ = recording(None, "main", schemas)
    assert remote.identifier("silver.shoes") == "`main`.dev_silver.shoes"
    assert remote.identifier("ops.staging_silver_shoes") == "`main`.dev_ops.staging_silver_shoes"
    assert remote.reference("feature_store.x") == "`main`.dev_feature_store.x"

    local, statements = recording(tmp_path, "", schemas)
    local.create_schemas()
    assert f"CREATE SCHEMA IF NOT EXISTS dev_ops LOCATION '{tmp_path}/ops'" in statements
    assert "SHOW TABLES IN dev_silver" in statements
    assert local.reference("silver.shoes") == f"delta.`{tmp_path}/silver/shoes`"


def test_a_job_refuses_bad_names_before_it_opens_anything(capsys, tmp_path):
    (tmp_path / "a.jsonl").touch()
    arguments = ["--landing", str(tmp_path), "--catalog=main", "--schema=gold=x"]
    assert exit_code(job_command(FEATURE_ACTIVITY), arguments) == 2
    assert "--schema 'gold=x' names no layer" in capsys.readouterr().err
