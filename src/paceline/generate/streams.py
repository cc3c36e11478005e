"""Random streams for whole arrays: each number is a hash of its stream's key and a counter.

Only integers and plain arithmetic are used, so that every machine draws the same numbers.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]
Draw = Callable[[], Floats]
"""The next numbers of an array of random streams, one of each, uniform in [0, 1)."""

STEP = np.uint64(0x9E3779B97F4A7C15)


def scattered(keys: Keys) -> Keys:
    """Scatter keys over all 64 bits: one step of splitmix64 (Steele, Lea and Flood 2014)."""
    bits = keys + STEP
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


def child_keys(parents: Keys, names: Ints | int) -> Keys:
    """Derive keys from other keys and integers: equal pairs give equal keys, others unlike ones.

    The arguments are broadcast against each other; the integers must not be negative.
    """
    return scattered(parents ^ scattered(np.atleast_1d(names).astype(np.uint64)))


def uniforms(keys: Keys) -> Draw:
    """Open the random stream of each key."""
    state = keys.copy()

    def draw() -> Floats:
        nonlocal state
        state += STEP
        return (scattered(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    return draw


def between(draw: Draw, low: float, high: float) -> Floats:
    """Draw numbers of [low, high)."""
    return low + (high - low) * draw()


def whole(draw: Draw, low: int, high: int) -> Ints:
    """Draw integers of low..high, both included."""
    return low + (draw() * (high - low + 1)).astype(np.int64)


def bell(draw: Draw) -> Floats:
    """Draw from a bell around 0 with standard deviation 1, never further out than 3."""
    return 2 * (draw() + draw() + draw() - 1.5)
