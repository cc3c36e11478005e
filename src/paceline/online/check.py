"""Looks at a whole installation: registry, store, last sync, a sample of the rows, a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import Request, urlopen

from paceline.errors import PacelineError, in_short
from paceline.online.gold import Gold
from paceline.online.repository import Repository
from paceline.online.status import status
from paceline.online.store import Online, opened, speaking
from paceline.online.sync import fields_of
from paceline.online.verify import verify
from paceline.online.views import ATHLETE, ROLLING, SERVED, definitions, refuse_other_place

if TYPE_CHECKING:
    from feast import FeatureView

EVICTS_NOTHING = "noeviction"
_SERVER_SECONDS = 5.0


class Finding(NamedTuple):
    """What was found.

    Attributes:
        check: what was looked at.
        is_good: whether it is as it has to be.
        what: a sentence about it, which says what to do when it is not.
    """

    check: str
    is_good: bool
    what: str


def check(
    repo: Repository,
    place: Mapping[str, str],
    gold: Gold,
    now: datetime,
    sample: int,
    server: str | None,
) -> list[Finding]:
    """Looks at everything that has to be right for predictions to be.

    Args:
        repo: the feature repository.
        place: variables for its definitions, as `views.definitions` reads them.
        gold: the tables.
        now: the time.
        sample: how many athletes are compared in each view.
        server: the address of a feature server, such as `http://127.0.0.1:6566`; None for none.
    """
    online: list[Online] = []

    def registry() -> str:
        online.append(opened(repo))
        _refuse_unlike(online[0], place, gold)
        return f"the views of the project {repo.project} are those of the contracts"

    looks: dict[str, Callable[[], str]] = {
        "registry": registry,
        "store": lambda: _store(online[0]),
        "sync": lambda: _sync(repo, online[0], gold, now),
        "rows": lambda: _rows(online[0], gold, sample),
    }
    if server is not None:
        looks["server"] = lambda: _server(online[0], server.rstrip("/"))
    found = []
    for name, look in looks.items():
        try:
            with speaking(repo):
                found.append(Finding(name, True, look()))
        except Exception as error:
            found.append(Finding(name, False, in_short(error)))
            if not online:
                break
    return found


def _refuse_unlike(online: Online, place: Mapping[str, str], gold: Gold) -> None:
    defined = definitions(place)
    for served in SERVED:
        view: FeatureView = online.views[served.view]
        refuse_other_place(view, gold.table(served.table_name))
        if fields_of(view) != fields_of(defined[served.view]):
            raise PacelineError(
                f"The registered view {served.view} has other features than its contract: run "
                "`paceline online apply`, then `paceline online sync`."
            )
    registry = online.feast.registry
    known = {view.name for view in registry.list_all_feature_views(online.feast.project)}
    known |= {service.name for service in online.feast.list_feature_services()}
    known |= {entity.name for entity in online.feast.list_entities()}
    if missing := sorted(defined.keys() - known):
        raise PacelineError(f"The registry has no {missing[0]}: run `paceline online apply`.")


def _store(online: Online) -> str:
    policy = online.store.eviction_policy()
    if policy != EVICTS_NOTHING:
        raise PacelineError(
            f"The store may drop rows when its memory is full, by its policy {policy}: set "
            f"maxmemory-policy to {EVICTS_NOTHING}."
        )
    return "the store answers, and drops no rows by itself"


def _sync(repo: Repository, online: Online, gold: Gold, now: datetime) -> str:
    facts = status(repo, online, gold, now)
    if facts["as_of"] is None or facts["is_unfinished"]:
        problem = "has never been filled" if facts["as_of"] is None else "has an unfinished sync"
        raise PacelineError(f"The store {problem}: run `paceline online sync`.")
    behind = sum(view["gold_version"] != view["version"] for view in facts["views"])
    ahead = f"gold is newer in {behind} of its tables" if behind else "gold has nothing newer"
    return f"the store is exact as of {facts['as_of']:%Y-%m-%d %H:%M} UTC, {ahead}"


def _rows(online: Online, gold: Gold, sample: int) -> str:
    compared = verify(online, gold, sample)
    if wrong := sum(len(view.wrong) for view in compared):
        raise PacelineError(
            f"{wrong:,} of the compared rows differ from gold: run `paceline online sync "
            "--everybody`, then `paceline online verify`."
        )
    return f"{sum(view.athletes for view in compared):,} rows equal those of gold"


def _server(online: Online, address: str) -> str:
    """Asks a feature server for an athlete, and compares its answer with the store's."""
    name = f"{ROLLING.view}:{ROLLING.never_null}"
    athlete = min(online.store.athletes(online.views[ROLLING.view]), default=0)
    asked = {"features": [name], "entities": {ATHLETE: [athlete]}}
    try:
        with urlopen(
            Request(
                f"{address}/get-online-features",
                json.dumps(asked).encode(),
                {"Content-Type": "application/json"},
            ),
            timeout=_SERVER_SECONDS,
        ) as answer:
            results = json.load(answer)["results"]
            values = results[-1]["values"]
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
        raise PacelineError(
            f"No feature server answers at {address} ({type(error).__name__}): start it by `feast "
            "-c feature_repo -f feature_repo/serve.yaml serve`, or correct the address."
        ) from error
    held = online.feast.get_online_features([name], [{ATHLETE: athlete}]).to_dict()
    if values != held[ROLLING.never_null]:
        raise PacelineError(
            f"The feature server at {address} serves other rows than the store holds: start it "
            "with the same yaml file."
        )
    return f"the feature server at {address} serves what the store holds"
