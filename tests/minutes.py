"""Where the time of the tests goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

SHOWN_MODULES = 15
# A handful of tests needs no list.
_WORTH_A_LIST_S = 60


def minutes(durations: Iterable[tuple[str, float]]) -> Iterator[str]:
    """Lines with the minutes of each folder of tests, and of the slowest modules.

    What the first test of a module waits for, such as Spark or a story, is in the module's minutes.

    Args:
        durations: ids of tests, and the seconds of their set-up, call or tear-down.
    """
    parts, modules = Counter[str](), Counter[str]()
    for test, seconds in durations:
        module = test.partition("::")[0]
        modules[module] += seconds
        parts["/".join(module.split("/")[:2])] += seconds
    if parts.total() < _WORTH_A_LIST_S:
        return
    for name, seconds in [*parts.most_common(), *modules.most_common(SHOWN_MODULES)]:
        yield f"{seconds / 60:6.1f}  {name}"
