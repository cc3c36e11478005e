"""paceline: athlete activities to audited feature tables on Delta Lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paceline.training import Manifest, TrainingSet, training_set

__version__ = "0.1.0"
__all__ = ["Manifest", "TrainingSet", "__version__", "training_set"]


def __getattr__(name: str) -> Any:
    # The readers of contracts and settings are no business of whoever wants the version.
    if name not in __all__:
        raise AttributeError(f"module 'paceline' has no attribute {name!r}")
    from paceline import training

    return getattr(training, name)
