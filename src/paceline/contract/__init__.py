"""Contracts: what each table promises, read from `conf/contracts/<schema>.<table>.odcs.yaml`.

A contract is an Open Data Contract Standard v3.1 document. From one file come the table's
definition, its schema, the predicates that judge its rows and the text that is hashed to notice
that a promise has changed. Reading one needs neither Spark nor a JVM.

**Row rules.** An entry of the table's `quality` with `type: custom` and `engine: paceline`. Its
`implementation` is a Spark SQL expression over the columns of one row that must be TRUE for a good
row. NULL counts as broken, so a rule that lets an absent value pass says so:
`distance_m IS NULL OR distance_m >= 0`. A predicate may never raise, whatever the row holds:
multiply instead of dividing, and compute with DOUBLE where a BIGINT could overflow. Words of SQL
are written in capitals; any other name has to be a column or a function. The custom property
`counterExample` gives the column values that, put into the example row, break this rule and no
other.

**Thresholds.** An entry of `quality`, of the table or of one column, with a `metric` of the
standard (`rowCount`, `nullValues`): a limit that a batch must keep.

**The example row** is the first of each column's `examples`. It breaks nothing.

**Custom properties of the document.** `policy` (what a broken rule does to a batch), `appendOnly`
(rows are only ever added) and `mayBeEmpty` (an empty table is fine).
"""

from paceline.contract.model import (
    Column,
    Contract,
    Policy,
    Rule,
    Severity,
    Threshold,
    Value,
)
from paceline.contract.reader import load, load_all

__all__ = [
    "Column",
    "Contract",
    "Policy",
    "Rule",
    "Severity",
    "Threshold",
    "Value",
    "load",
    "load_all",
]
