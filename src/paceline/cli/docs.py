"""`paceline docs`: a static site of the contracts, and of how the last batches were judged."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paceline.cli.opening import opened, root_and_catalog
from paceline.contract import load_all
from paceline.docs import pages
from paceline.pipeline import jobs
from paceline.pipeline.arguments import Options
from paceline.settings import conf_directory

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult

_log = logging.getLogger(__name__)


def audits(options: Options) -> Mapping[str, Sequence[ExpectationSuiteValidationResult]]:
    """By table, how the last batches in a warehouse were judged.

    Raises:
        UsageError: when the local warehouse is empty.
    """
    from paceline.docs.batches import last_batches

    root, catalog = root_and_catalog(options)
    contracts = load_all(conf_directory(options.conf) / "contracts")
    return last_batches(opened(root, catalog, options.schema), contracts)


def write_site(
    out: Path,
    conf: str | None,
    results: Mapping[str, Sequence[ExpectationSuiteValidationResult]] | None = None,
) -> None:
    """Writes the contract pages, and the audit pages where there are results.

    Args:
        out: the directory of the site; pages of an earlier run are replaced.
        conf: the directory of the settings, None for the packaged one.
        results: by table, the batches whose audit is shown.

    Raises:
        UsageError: when a contract has a mistake, or `out` holds other files or cannot be written.
    """
    contracts = load_all(conf_directory(conf) / "contracts")
    inputs = {table.name: table.inputs for table in jobs.TABLES}
    shown = {name: batches for name, batches in (results or {}).items() if batches}
    pages.prepare(out)
    pages.write(contracts, inputs, out, audited=shown)
    if shown:
        from paceline.docs import audits

        audits.write(shown, out)
    _log.info(f"{out / 'index.html'}: {len(contracts)} contracts, {len(shown)} tables with audits")
