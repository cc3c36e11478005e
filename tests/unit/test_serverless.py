"""The rules of serverless compute, as far as they can be read from the source.

Every check is a function that yields what breaks its rule, and has a broken example that it finds.
"""

import ast
import re
import tomllib

import pytest

from tests.unit.test_purity import MODULES, RECIPES, SOURCE, docstrings, dotted, ends_like, found

ROOT = SOURCE.parents[1]
JOB_FILES = sorted((ROOT / "jobs").glob("*.py"))
# Recipes, features, and the readers of single records, which a recipe calls in Python workers.
ON_WORKERS = [
    *RECIPES,
    *(path for path in SOURCE.glob("sources/*.py") if path.name != "files.py"),
]

# Stricter than serverless compute, which would let a program change four more: session.timeZone,
# ansi.enabled, files.maxPartitionBytes and legacy.timeParserPolicy. Nothing here needs to.
ALLOWED_SETTINGS = ("spark.sql.shuffle.partitions",)
REFUSED = {
    *("persist", "unpersist", "checkpoint", "localCheckpoint", "rdd", "toJavaRDD", "parallelize"),
    *("sparkContext", "_sc", "_jvm", "_jsc", "_jdf", "_jsparkSession", "_jc", "cacheTable"),
    *("createGlobalTempView", "createOrReplaceGlobalTempView", "_set_all", "newSession"),
}
REFUSED_IMPORTS = {"SparkContext", "SparkConf", "StorageLevel", "RDD", "py4j", "DeltaTable"}
REFUSED_SQL = re.compile(
    r"^\s*(UN)?CACHE\s+(LAZY\s+)?TABLE\b|^\s*SET\s+spark\.|\bGLOBAL\s+TEMP|\bglobal_temp\.",
    re.IGNORECASE,
)
TO_WORKERS = {
    *("udf", "pandas_udf", "arrow_udf", "udtf", "mapInArrow", "mapInPandas", "applyInArrow"),
    *("applyInPandas", "foreach", "foreachPartition"),
}
FILE_MODULES = {"os", "io", "shutil", "tempfile", "glob", "fileinput", "socket", "urllib"}
FILE_NAMES = {"open", "open_file", "Path", "importlib.resources"}
FILE_METHODS = {"read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "rglob"}
PLATFORM = {"pyspark", "delta-spark", "databricks-connect", "pandas"}


def forbidden(tree):
    """(line, what) for everything that Spark Connect or serverless compute does not have."""
    texts = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in REFUSED:
            yield node.lineno, node.attr
        elif isinstance(node, ast.Import | ast.ImportFrom):
            named = {getattr(node, "module", None) or "", *(alias.name for alias in node.names)}
            for name in named:
                if REFUSED_IMPORTS & set(name.split(".")):
                    yield node.lineno, name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in texts and REFUSED_SQL.search(node.value):
                yield node.lineno, node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = dotted(node.func)
            if node.func.attr == "cache" and name != "functools.cache":
                yield node.lineno, ".cache()"
            elif ends_like(name, ("conf.set", "conf.unset")) and not is_allowed_at_run_time(node):
                yield node.lineno, name


def is_allowed_at_run_time(call):
    """Whether a setting is one that serverless compute lets a program change."""
    return isinstance(call.args[0], ast.Constant) and call.args[0].value in ALLOWED_SETTINGS


def sessions(tree):
    """(line, what) for every session that is made or stopped."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("getOrCreate", "builder"):
            yield node.lineno, node.attr
    yield from stops(tree)


def stops(tree):
    """(line, what) for every session that is stopped: it may belong to the platform."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("stop", "interruptAll"):
            yield node.lineno, node.attr


def work_in_python(tree):
    """(line, what) for every Python function that is handed to workers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in TO_WORKERS:
                yield node.lineno, name


def looks_at_files(tree):
    """(line, what) for everything by which code reaches paths, which workers do not share."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            for name in {module, *(alias.name for alias in node.names)}:
                if name.split(".")[0] in FILE_MODULES or name in FILE_NAMES:
                    yield node.lineno, name
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            last = node.func.attr if isinstance(node.func, ast.Attribute) else name
            if name in FILE_NAMES or last in FILE_METHODS or last == "open":
                yield node.lineno, f"{name}()"


def core_of_the_platform(project):
    """Core requirements that the platform has to bring itself."""
    names = {re.split(r"[^\w.-]", text)[0].lower() for text in project["project"]["dependencies"]}
    yield from sorted(names & PLATFORM)


def not_in_the_wheel(project):
    """What of conf/ is for a run and would not travel; conf/spark is for one machine."""
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    inside = wheel.get("force-include", {})
    for path in sorted((ROOT / "conf").iterdir()):
        name = f"conf/{path.name}"
        if path.name != "spark" and inside.get(name) != f"paceline/{name}":
            yield name


def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_nothing_is_used_that_serverless_refuses():
    assert found(forbidden, MODULES) == []


def test_only_the_edge_makes_a_session_and_nobody_stops_one():
    assert found(sessions, [path for path in MODULES if path.name != "session.py"]) == []
    assert found(stops, MODULES) == []
    for path in JOB_FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert [*sessions(tree), *forbidden(tree)] == [], path.name


def test_workers_only_run_what_opens_no_file():
    assert len(ON_WORKERS) > len(RECIPES)
    assert found(work_in_python, RECIPES), "without any, this test would check nothing"
    assert found(work_in_python, [path for path in MODULES if path not in RECIPES]) == []
    assert found(looks_at_files, ON_WORKERS) == []


def test_the_wheel_leaves_the_platform_to_the_platform_and_brings_its_conf():
    project = pyproject()
    assert list(core_of_the_platform(project)) == []
    assert list(not_in_the_wheel(project)) == []
    extra = project["project"]["optional-dependencies"]["spark"]
    assert {text.split("==")[0] for text in extra} >= {"pyspark", "delta-spark"}


CAUGHT = {
    forbidden: (
        "def rows(frame): return frame.persist()",
        "def rows(frame): return frame.select('a').cache()",
        "def rows(frame): return frame.checkpoint()",
        "def rows(frame): return frame.localCheckpoint()",
        "def rows(frame): return frame.rdd.map(len)",
        "def rows(spark): return spark.sparkContext",
        "def rows(spark): return spark._jvm.java",
        "def rows(spark): return spark._jsparkSession",
        "def rows(frame): return frame._jdf",
        "def rows(frame): frame.createGlobalTempView('a')",
        "def rows(frame): frame.createOrReplaceGlobalTempView('a')",
        "def rows(spark): spark.catalog.cacheTable('a')",
        "def rows(spark): spark.sql('CACHE TABLE a')",
        "def rows(spark): spark.sql(f'cache lazy table {a}')",
        "def rows(spark): spark.sql('CREATE GLOBAL TEMPORARY VIEW a AS SELECT 1')",
        "def rows(spark): spark.sql('SELECT * FROM global_temp.a')",
        "def rows(spark): spark.sql('SET spark.sql.adaptive.enabled = false')",
        "def rows(spark): spark.conf.set('spark.sql.adaptive.enabled', 'false')",
        "def rows(spark): spark.conf.set(name, 'false')",
        "def rows(spark): spark.conf.unset('spark.sql.adaptive.enabled')",
        "from pyspark import SparkContext",
        "from pyspark import StorageLevel",
        "from delta.tables import DeltaTable",
        "import py4j.protocol",
    ),
    sessions: (
        "from pyspark.sql import SparkSession\nspark = SparkSession.builder",
        "spark = builder.getOrCreate()",
        "def end(spark): spark.stop()",
    ),
    stops: ("def end(frame): frame.sparkSession.stop()", "def end(spark): spark.interruptAll()"),
    work_in_python: (
        "def rows(frame): return frame.mapInArrow(fold, 'a INT')",
        "from pyspark.sql import functions as F\ndef rows(): return F.udf(len)",
        "from pyspark.sql.functions import udf\n@udf\ndef text(value): return value",
    ),
    looks_at_files: (
        "def fold(batches): return open('/landing/a')",
        "from pathlib import Path",
        "import os",
        "from os import path",
        "import urllib.request",
        "def fold(path): return path.read_text()",
        "def fold(path): return path.open('rb')",
        "from paceline.sources.files import open_file",
    ),
}
ALLOWED = {
    forbidden: (
        "import functools\n@functools.cache\ndef layout(): pass",
        "def rows(frame): frame.createOrReplaceTempView('a')",
        "def rows(names): names.conf = set()",
        "def rows(spark): spark.conf.set('spark.sql.shuffle.partitions', 1)",
        "def rows(spark): spark.sql('UPDATE a SET spark = 1')",
        '"""CACHE TABLE is not for us."""',
    ),
    looks_at_files: (
        "from pathlib import PurePosixPath",
        "def fold(batches): return [batch.to_pydict() for batch in batches]",
    ),
}


def snippets(table):
    return [(check, source) for check, sources in table.items() for source in sources]


@pytest.mark.parametrize(("check", "source"), snippets(CAUGHT))
def test_a_check_fires(check, source):
    assert list(check(ast.parse(source)))


@pytest.mark.parametrize(("check", "source"), snippets(ALLOWED))
def test_a_check_is_silent(check, source):
    assert list(check(ast.parse(source))) == []


def test_a_broken_project_file_is_found():
    project = pyproject()
    project["project"]["dependencies"] += ["PySpark>=4", "delta-spark==4.4.0"]
    assert list(core_of_the_platform(project)) == ["delta-spark", "pyspark"]
    del project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]["conf/contracts"]
    assert list(not_in_the_wheel(project)) == ["conf/contracts"]
