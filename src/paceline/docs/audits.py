"""The audit pages: what Great Expectations found in batches, rendered by its own renderer.

The page that Great Expectations puts around its sections loads styles, scripts, fonts and images
from the network. Only its sections are taken, into a page of ours, so that nothing is loaded; what
its scripts do (searching, sorting, folding) is missing. Rendering needs no data context, so there
is none that could send usage statistics.

Importing this module imports Great Expectations, which takes seconds.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import great_expectations
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView
from markupsafe import Markup

from paceline.docs import pages

COUNTS = (
    *("element_count", "unexpected_count", "unexpected_percent"),
    *("missing_count", "missing_percent"),
)
OBSERVES_NAMES = "expect_table_columns_to_match_set"
# The part of the page of Great Expectations that is about the results.
SECTIONS = """
{% for section in sections %}
{% set section_loop = loop %}
{% include 'section.j2' %}
{% endfor %}
"""
COULD_NOT_RUN = "The check could not run; the log of the run says why."


@dataclass(frozen=True)
class _Batch:
    """The line of a batch in the overview."""

    page: str
    success: bool
    run: str
    time: str
    kept: int
    checks: int


def write(results: Mapping[str, Sequence[ExpectationSuiteValidationResult]], out: Path) -> None:
    """Writes `audits/index.html` and a page for every result.

    Of a result only counts are shown, whatever it holds: values of rows and messages of exceptions
    may be personal. A `run_id` in its `meta`, a mapping with `run_name` and `run_time`, names it.

    Args:
        results: by table, the batches to show, in the order to show them in. The expectations in
            them have to be known to Great Expectations.
        out: the directory of the site, prepared.
    """
    env = pages.environment()
    (out / "audits").mkdir(exist_ok=True)
    audits: dict[str, list[_Batch]] = {}
    for table, batches in results.items():
        audits[table] = []
        for number, result in enumerate(batches, start=1):
            batch = _batch(f"{table}.{number}.html", result)
            audits[table].append(batch)
            text = env.get_template("audit.html.j2").render(
                table=table,
                batch=batch,
                sections=_sections(without_values(result)),
                version=great_expectations.__version__,
            )
            (out / "audits" / batch.page).write_text(text, encoding="utf-8")
    index = env.get_template("audits.html.j2").render(audits=audits)
    (out / "audits" / "index.html").write_text(index, encoding="utf-8")


def without_values(result: ExpectationSuiteValidationResult) -> ExpectationSuiteValidationResult:
    """A copy of a result with verdicts, descriptions and counts, and nothing else."""
    found = [_without_values(check) for check in result.results]
    return ExpectationSuiteValidationResult(
        success=bool(result.success),
        results=found,
        suite_name=result.suite_name,
        statistics={
            "evaluated_expectations": len(found),
            "successful_expectations": _kept(result),
            "unsuccessful_expectations": len(found) - _kept(result),
        },
    )


def _without_values(check: ExpectationValidationResult) -> ExpectationValidationResult:
    config = check.expectation_config
    assert config is not None, "a result without its expectation says nothing"
    return ExpectationValidationResult(
        success=check.success,
        expectation_config=ExpectationConfiguration(
            type=config.type,
            kwargs=dict(config.kwargs),
            description=_description(config),
            severity=config.severity,
        ),
        result=_counts(config, check.result),
        exception_info=_exception(check.exception_info),
    )


def _counts(config: ExpectationConfiguration, result: Mapping[str, Any]) -> dict[str, Any]:
    counts = {name: result[name] for name in COUNTS if name in result}
    observed = result.get("observed_value")
    # An expectation about a column may observe one of its values, such as its greatest.
    is_about_values = any(name.startswith("column") for name in config.kwargs)
    if config.type == OBSERVES_NAMES or (isinstance(observed, int) and not is_about_values):
        counts["observed_value"] = observed
    return counts


def _exception(info: Mapping[str, Any]) -> dict[str, Any]:
    """Whether an exception was raised, without what it said; it may come one to a metric."""
    infos = [info] if "raised_exception" in info else list(info.values())
    has_raised = any(found["raised_exception"] for found in infos)
    return {
        "raised_exception": has_raised,
        "exception_message": COULD_NOT_RUN if has_raised else None,
        "exception_traceback": "" if has_raised else None,
    }


def _description(config: ExpectationConfiguration) -> str | None:
    """Name of the check and description as Great Expectations wants them: as a template.

    It escapes only what it fills in. Without a description it finds words of its own.
    """
    if not config.description:
        return None
    name = (config.meta or {}).get("check")
    check = f"<code>{html.escape(name)}</code> " if name else ""
    return (check + html.escape(config.description)).replace("$", "&#36;")


def _sections(result: ExpectationSuiteValidationResult) -> Markup:
    document = ValidationResultsPageRenderer().render(result)
    overview = document.sections[0]
    # The header links to a page of the suite, and the last block is about where the rows came from.
    overview.content_blocks = overview.content_blocks[1:-1]
    view = DefaultJinjaPageView()
    return Markup(view.env.from_string(SECTIONS).render(document.to_json_dict()))


def _batch(page: str, result: ExpectationSuiteValidationResult) -> _Batch:
    run_id: Any = (result.meta or {}).get("run_id") or {}
    run: Any = run_id.to_json_dict() if isinstance(run_id, RunIdentifier) else run_id
    return _Batch(
        page=page,
        success=bool(result.success),
        run=run.get("run_name") or "",
        time=run.get("run_time") or "",
        kept=_kept(result),
        checks=len(result.results),
    )


def _kept(result: ExpectationSuiteValidationResult) -> int:
    return sum(1 for check in result.results if check.success)
