"""Features that need a value of the request: Feast computes them by the functions of training.

Feast wants every requested value that a view names, so that each feature has a view of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from paceline.features import on_demand

if TYPE_CHECKING:
    from feast import FeatureView, OnDemandFeatureView


def views_on_request(rolling: FeatureView) -> list[OnDemandFeatureView]:
    """The views of `paceline.features.on_demand`.

    Args:
        rolling: the view of the rolling features, which has the usual pace of an athlete.
    """
    return [
        _view(on_demand.pace_deviation, _pace_deviation, ["current_pace_min_km"], rolling),
        _view(on_demand.current_hr_ratio, _current_hr_ratio, ["current_hr", "threshold_hr"]),
    ]


# Feast keeps the text of these functions in the registry and runs it elsewhere, where paceline has
# to be installed: whatever they use, they import.


def _pace_deviation(values: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    from paceline.features.on_demand import pace_deviation

    pairs = zip(values["current_pace_min_km"], values["run_pace_min_km_30d"], strict=True)
    return {"pace_deviation": [pace_deviation(*pair) for pair in pairs]}


def _current_hr_ratio(values: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    from paceline.features.on_demand import current_hr_ratio

    pairs = zip(values["current_hr"], values["threshold_hr"], strict=True)
    return {"current_hr_ratio": [current_hr_ratio(*pair) for pair in pairs]}


def _view(
    function: Callable[..., Any],
    over_rows: Callable[..., Any],
    requested: Sequence[str],
    *views: FeatureView,
) -> OnDemandFeatureView:
    from feast import Field, OnDemandFeatureView, RequestSource
    from feast.types import Float64

    name = function.__name__
    request = RequestSource(
        name=f"{name}_request", schema=[Field(name=value, dtype=Float64) for value in requested]
    )
    return OnDemandFeatureView(
        name=name,
        sources=[request, *views],
        schema=[Field(name=name, dtype=Float64)],
        mode="python",
        udf=cast(FunctionType, over_rows),
        udf_string=inspect.getsource(over_rows),
        description=(inspect.getdoc(function) or "").partition("\n")[0],
        owner="paceline",
    )
