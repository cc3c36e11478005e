"""What every experiment needs: sizes, worlds, and where the findings go."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.runner import WAREHOUSE, Case, Entrant, Findings, take_turns, tell
from benchmarks.sizes import Size
from benchmarks.worlds import Worlds, rolling_of


@dataclass(frozen=True)
class Bench:
    """What every experiment needs.

    Attributes:
        size: how large the experiments are.
        worlds: what they start from.
        work: a folder of their own.
        findings: gets what they bring.
    """

    size: Size
    worlds: Worlds
    work: Path
    findings: Findings

    @property
    def rounds_folder(self) -> Path:
        """Where rounds take place; empty between experiments."""
        return self.work / "rounds"

    def turns(self, experiment: str, entrants: Sequence[Entrant], **options: Any) -> None:
        """Lets entrants take turns; who builds is in nobody's way, unless some answer in it."""
        if all(entrant.worker is None for entrant in entrants):
            self.worlds.close()
        options = {"rounds": self.size.rounds, "work": self.rounds_folder} | options
        take_turns(self.findings, experiment, entrants, **options)

    def comparing(self, experiment: str, case: Case) -> Callable[[Mapping[str, Path]], None]:
        """Compares what contenders have made with what the recipe has made, column by column."""
        # Polars is not loaded by those who only want to know which experiments there are.
        from benchmarks.agreement import agrees, differences

        def compare(places: Mapping[str, Path]) -> None:
            if "recipe" not in places:
                return
            ours = rolling_of(places["recipe"] / WAREHOUSE)
            for name in places:
                if name not in ("recipe", "floor_read"):
                    found = differences(ours, rolling_of(places[name] / WAREHOUSE))
                    # JSON knows no infinity, which stands for what cannot be compared.
                    columns = {
                        column: difference if math.isfinite(difference) else None
                        for column, difference in found["columns"].items()
                    }
                    verdict = {**found, "columns": columns, "agrees": agrees(found)}
                    about = {"experiment": experiment, "case": dict(case), "contender": name}
                    self.findings.agreement.append(about | {"against": "recipe"} | verdict)
                    tell(experiment, case, f"{name}: agrees: {verdict['agrees']}")

        return compare
