"""The commands of all tasks of the bundle, of every target, executed here in their order.

The arguments are those of the YAML with all variables filled in, but for two that mean nothing
here: a path of a volume is a directory below a temporary one, and the catalog is Spark's own, which
keeps its tables in such a directory. Schemas have the names of the target.

To save time there is one directory for all targets: the first one makes the tables, the others
find them under their own names and catch up with nothing. Maintenance, whose commands differ in the
names of the schemas alone, is executed for prod only.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from paceline.generate import generate
from paceline.store.warehouse import SCHEMAS
from tests.bundle.bundle import COMMIT, PRINCIPAL, ROOT, USER, load, resolved
from tests.bundle.tasks import RUN_ID, run_file, run_job
from tests.pipeline.warehouse import NOW, content, quick

pytestmark = pytest.mark.slow

GOLD = ("feature_store.activity_features", "feature_store.athlete_rolling_features")
# By target, who deploys it.
TARGETS = {"dev": USER, "staging": PRINCIPAL, "prod": PRINCIPAL}

Rows = dict[str, list[tuple[Any, ...]]]


class Clock(datetime):
    """It is always the same morning, so that all runs have the same horizon."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return NOW.astimezone(tz)


@pytest.fixture(scope="module")
def morning(spark: SparkSession) -> Iterator[SparkSession]:
    with pytest.MonkeyPatch.context() as patch, quick(spark):
        patch.setattr("paceline.pipeline.execute.datetime", Clock)
        for name in ("START_TIME", "END_TIME", "PACELINE_WEBHOOK"):
            patch.delenv(name, raising=False)
        yield spark


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("commands") / "landing"
    generate(place, athletes=2, days=20, seed=3, end=date(2026, 6, 30))
    return place


@pytest.fixture(scope="module")
def plain(morning: SparkSession, landing: Path) -> Rows:
    """The gold tables of the command line of the README."""
    warehouse = landing.parent / "warehouse"
    for job in ("feature_activity", "feature_rolling"):
        arguments = ["--landing", str(landing), "--warehouse", str(warehouse)]
        run_file(ROOT / "jobs" / f"{job}.py", arguments)
    rows = gold(morning, warehouse)
    assert all(rows.values())
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("platform")


@pytest.mark.parametrize("target", TARGETS)
def test_the_tasks_of_a_target_make_the_tables_of_the_command_line(
    target: str, morning: SparkSession, landing: Path, plain: Rows, place: Path
):
    bundle = load()
    resources = resolved(bundle, target, user=TARGETS[target])["resources"]
    schemas = {layer: resources["schemas"][layer]["name"] for layer in SCHEMAS}
    shutil.copytree(landing, place / "Volumes" / "main" / schemas["bronze"] / "landing")
    for key in ("feature_store_pipeline", *(["maintenance"] if target == "prod" else [])):
        folder = bundle.origin["jobs", key].parent
        assert run_job(resources["jobs"][key], {}, folder.joinpath, localized(place))
        assert gold(morning, place / "main") == plain, key
    runs = morning.table(f"{schemas['ops']}.ledger").where(f"target = '{target}'").collect()
    runs = [row for row in runs if row["event"] == "SEALED"]
    assert {row["job"] for row in runs} == {"Feature_Activity", "Feature_Rolling"}
    assert {row["status"] for row in runs} == {"PUBLISHED" if target == "dev" else "UNCHANGED"}
    assert {(row["git_commit"], row["job_run_id"]) for row in runs} == {(COMMIT, RUN_ID)}


def localized(place: Path) -> Callable[[str], str]:
    """Turns the two arguments that name a catalog and a volume into directories of a place."""

    def changed(argument: str) -> str:
        argument = re.sub("^--landing=/Volumes/", f"--landing={place}/Volumes/", argument)
        return re.sub("^--catalog=main$", f"--warehouse={place}/main", argument)

    return changed


def gold(spark: SparkSession, warehouse: Path) -> Rows:
    return {name: content(spark, warehouse, name) for name in GOLD}
