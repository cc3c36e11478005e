"""How large the experiments are: quick for every day, medium and full for hours."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.contenders import ACTIVITIES, ROLLING

GOLD = (ACTIVITIES, ROLLING)


@dataclass(frozen=True)
class Size:
    """How large the experiments are. A world is (athletes, days).

    `worlds` are those of backfill, the last of them also of change, new_day and late; the others
    are called after their experiment. `touched` is the number of athletes that history changes in
    each of its worlds. `shares` are of the athletes of which change gives one activity more; one
    athlete is always among its cases. `audit` has the rows of its batches, and `audit_tables` the
    tables, all when it is empty. Of the `backfill_rounds` the first is cold.
    """

    name: str
    worlds: tuple[tuple[int, int], ...]
    backfill_rounds: int
    rounds: int
    history: tuple[tuple[int, int], ...]
    touched: int
    shares: tuple[float, ...]
    athletes: tuple[tuple[int, int], ...]
    small: tuple[int, int]
    audit: tuple[int, ...]
    audit_tables: tuple[str, ...]
    growth: tuple[int, int]
    growth_runs: int
    skew: tuple[int, int]
    skew_activities: int
    memory: tuple[int, int] | None
    online: tuple[int, int]
    patience_s: float

    @property
    def largest(self) -> tuple[int, int]:
        """The world of increments that are compared with a rebuild."""
        return self.worlds[-1]


# The same few worlds serve most experiments, because building one takes as long as an increment.
QUICK = Size(
    name="quick",
    worlds=((200, 1095),),
    backfill_rounds=3,
    rounds=1,
    history=tuple((200, days) for days in (183, 365, 1095, 3650)),
    touched=20,
    # One athlete is half a percent of them.
    shares=(0.3, 1.0),
    athletes=((200, 365), (1_000, 365)),
    small=(20, 365),
    audit=(1_000,),
    audit_tables=GOLD,
    growth=(200, 365),
    growth_runs=8,
    skew=(200, 1095),
    skew_activities=200_000,
    memory=None,
    online=(500, 60),
    patience_s=300,
)
MEDIUM = Size(
    name="medium",
    worlds=((2_000, 1095),),
    backfill_rounds=3,
    rounds=2,
    history=tuple((500, days) for days in (183, 365, 1095, 3650)),
    touched=50,
    shares=(0.001, 0.01, 0.3, 1.0),
    athletes=((500, 1095), (2_000, 1095)),
    small=(100, 1095),
    audit=(1_000, 50_000),
    audit_tables=(),
    growth=(500, 365),
    growth_runs=30,
    skew=(500, 1095),
    skew_activities=200_000,
    memory=(2_000, 1095),
    online=(2_000, 90),
    patience_s=600,
)
FULL = Size(
    name="full",
    worlds=((2_000, 1095), (10_000, 1095)),
    backfill_rounds=2,
    rounds=3,
    history=tuple((1_000, days) for days in (183, 365, 1095, 3650)),
    touched=100,
    shares=(0.001, 0.01, 0.3, 1.0),
    athletes=((1_000, 1095), (3_000, 1095), (10_000, 1095)),
    small=(200, 1095),
    audit=(1_000, 200_000),
    audit_tables=(),
    growth=(1_000, 365),
    growth_runs=60,
    skew=(1_000, 1095),
    skew_activities=200_000,
    memory=(10_000, 1095),
    online=(10_000, 90),
    patience_s=900,
)
# So small that its figures say nothing: to see whether the suite itself works.
SMOKE = Size(
    name="smoke",
    worlds=((20, 1095),),
    backfill_rounds=2,
    rounds=1,
    history=((10, 183), (10, 365), (10, 3650)),
    touched=2,
    shares=(0.3, 1.0),
    athletes=((10, 365), (20, 365)),
    small=(3, 60),
    audit=(100,),
    audit_tables=GOLD,
    growth=(10, 365),
    growth_runs=7,
    skew=(10, 365),
    skew_activities=5_000,
    memory=(20, 1095),
    online=(50, 30),
    patience_s=100,
)
SIZES = {size.name: size for size in (SMOKE, QUICK, MEDIUM, FULL)}
