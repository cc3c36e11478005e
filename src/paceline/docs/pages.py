"""The contract pages: an index of all tables, and a page for each with all that it promises."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from paceline.contract import Column, Contract, Policy, Rule, Value
from paceline.docs.drawing import draw
from paceline.errors import UsageError

MARKER = ".paceline-docs"
WITHHELD = "not shown"
PAGES = ("index.html", "contracts/*.html", "audits/*.html")

BROKEN_ROW: dict[Policy, str] = {
    "STRICT": "A row that breaks an error rule rejects its whole batch: nothing is published.",
    "QUARANTINE": (
        "A row that breaks an error rule goes to quarantine with its reasons; the rest of the "
        "batch is published."
    ),
    "ALWAYS": "A row that breaks an error rule is published all the same, and recorded.",
}
BROKEN_BATCH: dict[Policy, str] = {
    "STRICT": "A batch that breaks a threshold is rejected.",
    "QUARANTINE": "A batch that breaks a threshold is rejected.",
    "ALWAYS": "A batch that breaks a threshold is published all the same, with a warning.",
}


def prepare(out: Path) -> None:
    """Makes `out` an empty site: creates it, or removes the pages that an earlier run wrote.

    Anything else in a directory of ours stays as it is.

    Raises:
        UsageError: when the directory has files but is not a site of ours, or cannot be written.
    """
    marker = out / MARKER
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()) and not marker.is_file():
            raise UsageError(
                f"The directory {out} holds files that paceline docs has not written: name an "
                "empty or a new one with --out."
            )
        marker.write_text("paceline docs writes its pages here and replaces them.\n")
        for page in [path for pattern in PAGES for path in out.glob(pattern)]:
            page.unlink()
    except OSError as error:
        raise UsageError(
            f"The site cannot be written to {out} ({error.strerror}): name another directory with "
            "--out."
        ) from error


def write(
    contracts: Mapping[str, Contract],
    inputs: Mapping[str, Sequence[str]],
    out: Path,
    audited: Collection[str] = (),
) -> None:
    """Writes `index.html` and `contracts/<schema>.<table>.html` into a prepared directory.

    No page loads anything, and none holds a value of a classified column.

    Args:
        contracts: the contract of every table, by name.
        inputs: the tables in the order in which they are made, each with the tables it reads; a
            contract of another table comes last, one that is missing is left out.
        out: the directory of the site.
        audited: the tables that `audits/index.html` has a section of.
    """
    known = {name: inputs[name] for name in inputs if name in contracts}
    known |= {name: () for name in contracts if name not in known}
    env = environment()
    index = env.get_template("index.html.j2").render(
        contracts=[contracts[name] for name in known], drawing=draw(known), audited=audited
    )
    (out / "index.html").write_text(index, encoding="utf-8")
    (out / "contracts").mkdir(exist_ok=True)
    page = env.get_template("contract.html.j2")
    for name, reads in known.items():
        contract = contracts[name]
        text = page.render(
            contract=contract,
            reads=reads,
            readers=[other for other in known if name in known[other]],
            null_limits={limit.column: limit for limit in contract.thresholds.null_limits},
            broken_row=BROKEN_ROW[contract.policy],
            broken_batch=BROKEN_BATCH[contract.policy],
            audited=audited,
        )
        (out / "contracts" / f"{name}.html").write_text(text, encoding="utf-8")


def environment() -> Environment:
    """The templates of the site; every text in them is escaped."""
    made = Environment(
        loader=PackageLoader("paceline.docs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"share": share, "amount": amount}
    made.globals |= {"example": example, "counter_example": counter_example}
    return made


def example(column: Column) -> str:
    """The value of a column in the example row, unless it is classified."""
    return WITHHELD if column.classification else shown(column.example)


def counter_example(rule: Rule, contract: Contract) -> list[tuple[str, str]]:
    """The values that break a rule, by column; the ones of classified columns are withheld.

    That a value is absent is told of every column.
    """
    classified = {column.name for column in contract.columns if column.classification}
    return [
        (name, WITHHELD if name in classified and value is not None else shown(value))
        for name, value in rule.counter_example.items()
    ]


def share(value: float) -> str:
    """A share from 0 to 1 in percent."""
    return f"{value * 100:.6g} %"


def amount(value: float | str) -> str:
    """A number without needless digits, or the text that stands for one."""
    return value if isinstance(value, str) else f"{value:,.10g}"


def shown(value: Value) -> str:
    """A cell in words: SQL's words for NULL and truth, ISO 8601 for dates."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, date | datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)
