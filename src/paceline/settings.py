"""Settings: `paceline.yml`, where it lies, and the secret from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import yaml

from paceline.errors import UsageError
from paceline.sources.limits import Limits

MIN_DORMANT_DAYS = 90


@dataclass(frozen=True)
class Settings:
    """`paceline.yml`. Those of `for_recipes` are part of the fingerprint.

    One with a default may be missing, as it is in the file of an older release.
    """

    landing: str
    warehouse: str
    catalog: str
    landing_limits: Mapping[str, int]
    athlete_timezone: str | Mapping[Any, str]
    default_threshold_pace_s_per_km: float
    dormant_after_days: int
    export_headers: Mapping[str, Mapping[str, str]]
    cdc_tables: Sequence[str] = ("activities", "strava_activities", "activity")
    detect_duplicate_recordings: bool = True
    model_permission: str | None = None
    feature_repo: str | None = None

    def for_recipes(self) -> dict[str, Any]:
        """The settings that a recipe may read."""
        edge = {
            *("landing", "warehouse", "catalog", "landing_limits"),
            *("model_permission", "feature_repo"),
        }
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in edge}


def conf_directory(given: str | None) -> Path:
    """The directory of `paceline.yml` and `contracts/`: the given one, else the package's own.

    Raises:
        UsageError: when the given one does not hold them.
    """
    packaged = Path(str(resources.files("paceline"))) / "conf"
    source_tree = packaged.parents[2] / "conf"
    directory = Path(given) if given else packaged if packaged.is_dir() else source_tree
    for needed in ("paceline.yml", "contracts"):
        if not (directory / needed).exists():
            raise UsageError(
                f"The settings directory {directory} has no {needed}: "
                "copy conf/ of the project and change the copy, or leave --conf away."
            )
    return directory


def load_settings(directory: Path) -> Settings:
    """Reads `paceline.yml`.

    Raises:
        UsageError: when it is not valid; the message names the setting and what is allowed.
    """
    path = directory / "paceline.yml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", "not YAML")
        raise UsageError(f"{path}{line} cannot be read ({problem}): mend the YAML.") from error
    names = {f.name for f in fields(Settings)}
    needed = {f.name for f in fields(Settings) if f.default is MISSING}
    if not isinstance(raw, dict) or not needed <= set(raw) <= names:
        given = set(raw) if isinstance(raw, dict) else set()
        raise UsageError(
            f"{path} must have exactly the settings {', '.join(sorted(names))}; "
            f"missing: {', '.join(sorted(needed - given)) or 'none'}, "
            f"unknown: {', '.join(sorted(map(str, given - names))) or 'none'}."
        )
    settings = Settings(**raw)
    _check_settings(path, settings)
    # In the file or by default: the same names are the same setting.
    return replace(settings, cdc_tables=tuple(settings.cdc_tables))


def _check_settings(path: Path, settings: Settings) -> None:
    for name in ("landing", "warehouse", "catalog"):
        if not isinstance(getattr(settings, name), str):
            raise UsageError(f"{path}: {name} must be a text: put it into quotes.")
    _check_limits(path, settings.landing_limits)
    threshold, dormant = settings.default_threshold_pace_s_per_km, settings.dormant_after_days
    if not isinstance(threshold, int | float) or not 100 <= threshold <= 1200:
        raise UsageError(
            f"{path}: default_threshold_pace_s_per_km is {threshold!r}; "
            "allowed are 100 to 1200 seconds per kilometre."
        )
    if not isinstance(dormant, int) or dormant < MIN_DORMANT_DAYS:
        raise UsageError(
            f"{path}: dormant_after_days is {dormant!r}; allowed are whole numbers from "
            f"{MIN_DORMANT_DAYS} on, the longest window."
        )
    given = settings.athlete_timezone
    zones = given if isinstance(given, dict) else {"default": given}
    for athlete, zone in zones.items():
        if athlete != "default" and not str(athlete).isdecimal():
            raise UsageError(
                f"{path}: athlete_timezone names the athlete {athlete!r}; allowed are athlete ids "
                "and default."
            )
        if zone not in available_timezones():
            raise UsageError(
                f"{path}: athlete_timezone names the unknown zone {zone!r}; "
                "allowed are names such as Europe/Berlin or UTC."
            )
    if not isinstance(settings.detect_duplicate_recordings, bool):
        raise UsageError(
            f"{path}: detect_duplicate_recordings is {settings.detect_duplicate_recordings!r}; "
            "allowed are true and false."
        )
    if not isinstance(settings.export_headers, dict):
        raise UsageError(f"{path}: export_headers must be a map of languages to headers.")
    tables = settings.cdc_tables
    if not isinstance(tables, list | tuple) or not all(
        isinstance(name, str) and name for name in tables
    ):
        raise UsageError(
            f"{path}: cdc_tables is {tables!r}; it must be a list of names of tables, such as "
            "[activities]."
        )
    permission = settings.model_permission
    if permission is not None and not (isinstance(permission, str) and permission.strip()):
        raise UsageError(
            f"{path}: model_permission is {permission!r}; it must be null, or a text that says by "
            "what right models may use restricted data."
        )
    repo = settings.feature_repo
    if repo is not None and not (isinstance(repo, str) and repo.strip()):
        raise UsageError(
            f"{path}: feature_repo is {repo!r}; it must be null, or the path of a feature "
            "repository or of one of its yaml files."
        )


def _check_limits(path: Path, given: object) -> None:
    names = {f.name for f in fields(Limits)}
    # One that is missing, as in a file of an older release, has its default.
    if not isinstance(given, dict) or not set(given) <= names:
        raise UsageError(
            f"{path}: landing_limits must be a map of some of {', '.join(sorted(names))}."
        )
    for name, limit in given.items():
        if type(limit) is not int or limit < 1:
            raise UsageError(
                f"{path}: {name} of landing_limits is {limit!r}; allowed are whole numbers from 1 "
                "on."
            )


def webhook() -> str | None:
    """Where alerts go, a secret; None when nobody wants them."""
    return os.environ.get("PACELINE_WEBHOOK", "").strip() or None
