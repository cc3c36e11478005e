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
other. Its `name` also names a CHECK constraint of the table.

**Thresholds** are limits that a batch must keep, however good its single rows are. An entry of the
table's `quality` with `metric: rowCount` says how many rows the table has at least, one of a
column's `quality` with `metric: nullValues` in which share of the rows, in percent, it may be NULL.
`maxBrokenShare`, a custom property of the document, is the share of rows (0..1) that may break an
error rule. Shares are judged in batches of at least `minRows` rows, by default 1000. A delivery of
20 records or more that passes `maxBrokenShare` by itself is left out of them, and warned of.

**Nothing passes in vain.** A contract has to ask for rows, or say `mayBeEmpty`. A column that may
be NULL, and whose value an error rule looks at, has a limit on its NULLs, or the custom property
`optional`, whose value is the reason why it may be absent throughout. A service level for latency
or freshness names the column that it is about.

**The example row** is the first of each column's `examples`. It breaks nothing.

**Custom properties of the document.** `policy` (what a broken rule does to a batch), `appendOnly`
(rows are only ever added), `mayBeEmpty` (an empty table is fine), `maxBrokenShare`, `minRows`, and
`entity` (the column with whom a row is about, without which no column may be tagged pii).
"""

from paceline.contract.lint import refuse_nameless
from paceline.contract.model import (
    Column,
    Contract,
    NullLimit,
    Policy,
    Rule,
    ServiceLevel,
    Severity,
    Thresholds,
    Value,
)
from paceline.contract.reader import load, load_all

__all__ = [
    "Column",
    "Contract",
    "NullLimit",
    "Policy",
    "Rule",
    "ServiceLevel",
    "Severity",
    "Thresholds",
    "Value",
    "load",
    "load_all",
    "refuse_nameless",
]
