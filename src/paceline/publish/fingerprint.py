"""What a table is made with: contract, policy, settings, and its recipe with the code of it.

The code of a recipe is its module and all that this imports, transitively, from `tables`,
`features`, `sources` and `recipe`. What counts is the text of the source, so that a wheel, a clone
and every version of Python agree; comments, docstrings, blank lines and blanks at the end do not.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType

from paceline.errors import PacelineError
from paceline.recipe import Context, Table

# Raised when contract/ or publish/ come to make other rows of the same recipe.
MACHINE_VERSION = 1

_FUNCTIONS = ("touched", "rows")
PACKAGE = __name__.partition(".")[0]
_CODE = tuple(f"{PACKAGE}.{name}" for name in ("tables", "features", "sources", "recipe"))

Span = tuple[tuple[int, int], tuple[int, int]]
"""Begin and end in a text: line from 1, character from 0."""


def fingerprint(table: Table, context: Context) -> str:
    """Digest of everything besides the inputs that can change a row of the table."""
    names = (table.name, *table.contracts)
    parts = [
        *(context.contracts[name].fingerprint_text() for name in names),
        *(context.policies[name] for name in names),
        repr([getattr(table, each.name) for each in fields(table) if each.name not in _FUNCTIONS]),
        repr([(name, _sorted(context.settings[name])) for name in sorted(table.settings)]),
        *(f"{module} {_digest(module)}" for module in modules(table)),
        str(MACHINE_VERSION),
    ]
    return sha256("\n".join(parts).encode()).hexdigest()


def modules(table: Table) -> list[str]:
    """The modules that are the code of a recipe, by name."""
    found: set[str] = set()
    functions = [getattr(table, name) for name in _FUNCTIONS]
    if not all(isinstance(f, FunctionType) and f.__closure__ is None for f in functions):
        raise PacelineError(
            f"{' and '.join(_FUNCTIONS)} of {table.name} have to be functions of a module, or "
            "changes of what else they are made of would not be noticed."
        )
    waiting = {f.__module__ for f in functions}
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= set(_imported(module)) - found
    return sorted(found)


def essence(source: str) -> str:
    """A source text without comments, docstrings, blank lines and blanks at the end of lines."""
    lines = source.splitlines()
    for (line, begin), (last_line, end) in sorted(_unimportant(source), reverse=True):
        kept = lines[line - 1][:begin] + lines[last_line - 1][end:]
        lines[line - 1 : last_line] = [kept]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _unimportant(source: str) -> Iterator[Span]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start, token.end
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        match node.body:
            case [ast.Expr(ast.Constant(str())) as text, *_]:
                # ast counts bytes, and a docstring stands where nothing but blanks is before it.
                line = source.splitlines()[text.lineno - 1].encode()
                begin = len(line[: text.col_offset].decode())
                last = source.splitlines()[(text.end_lineno or 0) - 1].encode()
                end = len(last[: text.end_col_offset].decode())
                yield (text.lineno, begin), (text.end_lineno or 0, end)


@cache
def _digest(module: str) -> str:
    return sha256(essence(_source(module)).encode()).hexdigest()


@cache
def _source(module: str) -> str:
    spec = find_spec(module)
    # Not every loader has it, and that of an archive is of no class that says so.
    get_source = getattr(spec.loader if spec else None, "get_source", None)
    source = get_source(module) if get_source else None
    if source is None and spec and spec.origin and spec.origin.endswith(".py"):
        source = Path(spec.origin).read_text(encoding="utf-8")
    if source is None:
        raise PacelineError(
            f"The source of {module} is missing, without which no change of a recipe is noticed: "
            "install paceline from a wheel or a clone, with its .py files."
        )
    return str(source)


@cache
def _imported(module: str) -> tuple[str, ...]:
    """The modules among the code of recipes that a module imports."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.add(node.module)
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
    return tuple(sorted(name for name in named if _is_code(name) and _is_module(name)))


def _is_code(name: str) -> bool:
    return any(name == code or name.startswith(f"{code}.") for code in _CODE)


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False  # a name in a module that is no package


def _sorted(value: object) -> object:
    """A setting whose order in YAML does not matter."""
    if isinstance(value, dict):
        return sorted((str(key), _sorted(each)) for key, each in value.items())
    return value
