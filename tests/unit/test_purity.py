"""Recipes and features are pure, and only the edge knows when and where it runs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "paceline"
RECIPES = sorted(
    path for folder in ("tables", "features") for path in SOURCE.glob(f"{folder}/**/*.py")
)
MODULES = sorted(SOURCE.glob("**/*.py"))
# The edge of the program, and the maker of synthetic deliveries, which runs before it.
EDGES = (
    *("settings.py", "session.py", "pipeline/execute.py", "cli/", "generate/"),
    "online/repository.py",
)
# They date events of the ledger, or look for recent ones; no content depends on it.
KEEPERS_OF_TIMES = (
    *("operations/erase.py", "publish/claim.py", "publish/steps.py"),
    *("store/ledger.py", "store/state.py"),
)

SESSION_NAMES = {"SparkSession", "SparkContext", "getActiveSession", "getOrCreate"}
READ_AND_WRITE = {"read", "readStream", "write", "writeTo", "writeStream", "saveAsTable"}
ACTIONS = {
    *("collect", "toPandas", "toArrow", "toLocalIterator", "take", "head", "tail", "show"),
    *("foreach", "foreachPartition", "isEmpty", "createDataFrame"),
}
# Methods of a frame that share their name with functions on columns: only the call without
# arguments is an action.
ACTIONS_WITHOUT_ARGUMENTS = {"count", "first"}
CLOCK_CALLS = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
    *("time.time", "time.time_ns", "time.monotonic", "time.perf_counter"),
}
CLOCK_FUNCTIONS = {
    *("current_timestamp", "current_date", "localtimestamp", "curdate", "now", "current_timezone"),
}
RANDOM_FUNCTIONS = {
    *("rand", "randn", "random", "uuid", "shuffle", "randstr", "uniform"),
    *("monotonically_increasing_id", "spark_partition_id", "sample"),
}
RANDOM_MODULES = {"random", "secrets", "uuid"}
SQL_FUNCTIONS = "|".join(sorted(CLOCK_FUNCTIONS | RANDOM_FUNCTIONS))
SQL_CALL = re.compile(rf"\b({SQL_FUNCTIONS})\s*\(|\bcurrent_(date|timestamp)\b", re.IGNORECASE)


def dotted(node):
    """The name `a.b.c` of an expression, as far as it is made of names."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


def docstrings(tree):
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, owners) and node.body and isinstance(node.body[0], ast.Expr)
    }


def ends_like(name, calls):
    return any(name == call or name.endswith(f".{call}") for call in calls)


def impurities(tree):
    """(line, what) for everything by which a recipe would look at the world."""
    texts = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = {module, *(alias.name for alias in node.names)}
            for name in names & (SESSION_NAMES | RANDOM_MODULES | {"time"}):
                yield node.lineno, name
        elif isinstance(node, ast.Attribute) and node.attr in (SESSION_NAMES | READ_AND_WRITE):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and node.id in SESSION_NAMES:
            yield node.lineno, node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in texts and SQL_CALL.search(node.value):
                yield node.lineno, node.value
        elif isinstance(node, ast.Call):
            yield from impure_call(node)


def impure_call(node):
    name = dotted(node.func)
    last = node.func.attr if isinstance(node.func, ast.Attribute) else name
    has_arguments = bool(node.args or node.keywords)
    is_method = isinstance(node.func, ast.Attribute)
    if is_method and (last in ACTIONS or (last in ACTIONS_WITHOUT_ARGUMENTS and not has_arguments)):
        yield node.lineno, f".{last}()"
    elif ends_like(name, CLOCK_CALLS) or last in CLOCK_FUNCTIONS | RANDOM_FUNCTIONS:
        yield node.lineno, f"{name}()"


def columns_at_import(tree):
    """(line, what) for every Spark function that is called while the module is imported."""
    modules, functions = spark_functions(tree)
    for call in calls_at_import(tree):
        name = dotted(call.func)
        if name in functions or name.rpartition(".")[0] in modules:
            yield call.lineno, f"{name}() at import"


def spark_functions(tree):
    """What a module calls pyspark.sql.functions, and the functions it takes from there."""
    modules, functions = {"pyspark.sql.functions"}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "pyspark.sql":
            modules |= {a.asname or a.name for a in node.names if a.name == "functions"}
        elif isinstance(node, ast.ImportFrom) and node.module == "pyspark.sql.functions":
            functions |= {a.asname or a.name for a in node.names}
        elif isinstance(node, ast.Import):
            modules |= {a.asname for a in node.names if a.name == "pyspark.sql.functions"}
    return modules, functions


def calls_at_import(tree):
    """Calls outside the bodies of functions; default values and decorators run at import."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [*node.decorator_list, *node.args.defaults]
            waiting += [default for default in node.args.kw_defaults if default is not None]
        elif isinstance(node, ast.Lambda):
            waiting += node.args.defaults
        else:
            waiting += ast.iter_child_nodes(node)


def clocks_and_environment(tree):
    """(line, what) for everything that depends on when or where the program runs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ends_like(dotted(node.func), CLOCK_CALLS):
            yield node.lineno, dotted(node.func)
        elif isinstance(node, ast.Attribute) and dotted(node) in ("os.environ", "os.getenv"):
            yield node.lineno, dotted(node)
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            for alias in node.names:
                if alias.name in ("environ", "getenv"):
                    yield node.lineno, f"os.{alias.name}"


def found(check, paths):
    return [
        f"{path.relative_to(SOURCE)}:{line}: {what}"
        for path in paths
        for line, what in check(ast.parse(path.read_text(encoding="utf-8")))
    ]


def outside(excepted):
    return [p for p in MODULES if not p.relative_to(SOURCE).as_posix().startswith(excepted)]


def test_there_is_something_to_check():
    assert len(RECIPES) > 10
    assert len(outside(EDGES)) > len(RECIPES)


def test_recipes_and_features_are_pure():
    assert found(impurities, RECIPES) == []


def test_no_column_is_built_at_import():
    assert found(columns_at_import, RECIPES) == []


def test_the_oracle_shares_no_code_with_the_product():
    oracle = sorted((Path(__file__).parents[1] / "oracle").glob("*.py"))
    assert len(oracle) > 10
    for path in oracle:
        names = [
            name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (getattr(node, "module", None), *(alias.name for alias in node.names))
        ]
        assert not {str(name).split(".")[0] for name in names} & {"paceline", "pyspark"}, path


def test_recipes_can_be_imported_without_a_session():
    names = [
        ".".join(("paceline", *path.relative_to(SOURCE).with_suffix("").parts)) for path in RECIPES
    ]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name.removesuffix('.__init__'))\n"
        "from pyspark import SparkContext\n"
        "assert SparkContext._active_spark_context is None\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_the_edge_looks_at_clock_and_environment():
    assert found(clocks_and_environment, outside((*EDGES, *KEEPERS_OF_TIMES))) == []


def test_the_keepers_of_times_only_ask_for_the_time():
    keepers = [SOURCE / name for name in KEEPERS_OF_TIMES]
    looks = found(clocks_and_environment, [path for path in keepers if path.exists()])
    assert [look for look in looks if not look.endswith(": datetime.now")] == []


CAUGHT = {
    impurities: (
        "from pyspark.sql import SparkSession",
        "def rows(frame): return frame.sparkSession.getActiveSession()",
        "def rows(spark): return spark.read.table('a')",
        "def rows(frame): frame.write.save('a')",
        "def rows(frame): frame.writeTo('a').append()",
        "def rows(frame): return frame.where('a').collect()",
        "def rows(frame): return frame.toPandas()",
        "def rows(frame): return frame.count()",
        "def rows(frame): return frame.first()",
        "def rows(frame): frame.show(5)",
        "from datetime import datetime\nNOW = datetime.now()",
        "import datetime\ndef rows(): return datetime.datetime.now(datetime.UTC)",
        "from datetime import date\ndef rows(): return date.today()",
        "import time",
        "from time import time",
        "def rows(frame): return frame.withColumn('at', F.current_timestamp())",
        "def rows(frame): return frame.withColumn('day', F.curdate())",
        "def rows(frame): return frame.where(F.expr('local_day < current_date'))",
        "def rows(frame): return frame.selectExpr('now() AS at')",
        "def rows(frame): return frame.orderBy(F.rand())",
        "def rows(frame): return frame.selectExpr('uuid()')",
        "def rows(frame): return frame.sample(0.1)",
        "def rows(frame): return frame.select(F.monotonically_increasing_id())",
        "import random",
        "from uuid import uuid4",
    ),
    columns_at_import: (
        "from pyspark.sql import functions as F\nZERO = F.lit(0)",
        "from pyspark.sql import functions as F\ndef rows(zero=F.lit(0)): pass",
        "from pyspark.sql import functions as F\ndef rows(*, zero=F.lit(0)): pass",
        "from pyspark.sql import functions as F\n@F.udf('string')\ndef upper(text): return text",
        "from pyspark.sql import functions as F\nclass A:\n    zero = F.lit(0)",
        "from pyspark.sql import functions as F\nALL = [F.col(name) for name in 'ab']",
        "from pyspark.sql.functions import col as c\nKEY = {'id': c('id')}",
        "import pyspark.sql.functions as G\nKEY = G.col('id') if True else None",
        "import pyspark.sql.functions\nKEY = pyspark.sql.functions.col('id')",
    ),
    clocks_and_environment: (
        "from datetime import datetime\ndef rows(): return datetime.now()",
        "import time\nSTART = time.time()",
        "import os\nHOME = os.environ['HOME']",
        "import os\nHOME = os.getenv('HOME')",
        "from os import environ",
    ),
}
ALLOWED = {
    impurities: (
        '"""A docstring may say now() and current_date."""',
        "def rows(frame): return frame.groupBy('a').agg(F.count('b'), F.first('c'))",
        "def rows(frame): return frame.where('is_known').select('random_walk')",
        "def rows(text): return text.count('a')",
        "from datetime import date\nEPOCH = date(1970, 1, 1)",
    ),
    columns_at_import: (
        "from pyspark.sql import functions as F\ndef rows(): return F.lit(0)",
        "from pyspark.sql import functions as F\nLAZY = lambda: F.lit(0)",
        "from pyspark.sql import functions as F\nFUNCTIONS = {'sum': F.sum}",
    ),
    clocks_and_environment: ("import os\ndef process(): return os.getpid()",),
}


def snippets(table):
    return [(check, source) for check, sources in table.items() for source in sources]


@pytest.mark.parametrize(("check", "source"), snippets(CAUGHT))
def test_a_check_fires(check, source):
    assert list(check(ast.parse(source)))


@pytest.mark.parametrize(("check", "source"), snippets(ALLOWED))
def test_a_check_is_silent(check, source):
    assert list(check(ast.parse(source))) == []
