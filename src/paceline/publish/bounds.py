"""Between which literals the keys of a scope lie, so that Delta skips the files of other rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paceline.recipe import Bounds, Scope

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# So many keys are carried by value; of more, only the least and the greatest are looked at.
MAX_KEYS = 100_000
# A late record must not stretch the bounds of those that came in time: the keys are cut where they
# lie furthest apart.
MAX_BOUNDS = 16


def bounded(scope: Scope) -> Scope | None:
    """The scope with its bounds, few keys carried by value; None when it holds no key.

    Its keys are computed once here, and not again wherever the scope is used.
    """
    if scope.keys is None:
        return scope
    found = scope.keys.limit(MAX_KEYS + 1).toArrow()
    if not found.num_rows:
        return None
    if found.num_rows > MAX_KEYS:
        return replace(scope, bounds=(_only_bounds(scope.keys),))
    keys = scope.keys.sparkSession.createDataFrame(found, scope.keys.schema)
    bounds = tuple(map(_bounds, _runs(found)))
    return replace(scope, keys=keys, bounds=bounds, number=found.num_rows)


def _only_bounds(keys: DataFrame) -> Bounds:
    from pyspark.sql import functions as F

    ends = [
        F.when(F.count_if(F.col(name).isNull()) == 0, F.array(F.min(name), F.max(name))).alias(name)
        for name in keys.columns
    ]
    (row,) = keys.agg(*ends).collect()
    return {name: tuple(row[name]) for name in keys.columns if row[name] is not None}


def _runs(keys: pa.Table) -> list[pa.Table]:
    """The keys, cut where their last number or day has its widest gaps; NULLs of it come last."""
    numeric = [
        f.name for f in keys.schema if pa.types.is_integer(f.type) or pa.types.is_date(f.type)
    ]
    if not numeric:
        return [keys]
    column = numeric[-1]
    ordered = keys.sort_by([(column, "ascending")])
    known = ordered.num_rows - ordered[column].null_count
    gaps = np.diff(_numbers(ordered[column].slice(0, known)))
    widest = np.argsort(-gaps, kind="stable")[: MAX_BOUNDS - 2]
    cuts = sorted({0, *(int(at) + 1 for at in widest if gaps[at] > 1), known, ordered.num_rows})
    return [ordered.slice(begin, end - begin) for begin, end in pairwise(cuts)]


def _numbers(values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    is_day = pa.types.is_date(values.type)
    whole: npt.NDArray[np.int64] = (values.cast(pa.int32()) if is_day else values).to_numpy()
    return whole.astype(np.int64)


def _bounds(keys: pa.Table) -> Bounds:
    bounds: dict[str, tuple[Any, Any]] = {}
    for name in keys.column_names:
        values = keys[name]
        if values.null_count == 0:
            ends = pc.min_max(values).as_py()
            bounds[name] = (ends["min"], ends["max"])
        elif values.null_count == len(values):
            bounds[name] = (None, None)
    return bounds
