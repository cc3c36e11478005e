"""What a contract has to promise so that it can be broken, its limits, and its constraints."""

import re
import sqlite3
from pathlib import Path

import pytest

from paceline.contract import NullLimit, load, load_all
from paceline.errors import UsageError
from tests.unit.test_contract import CONTRACTS, SMALL, line_of, small

LIMIT = SMALL[SMALL.index("        quality:\n") : SMALL.index("    quality:\n      - metric: rowC")]
ROW_COUNT = SMALL[SMALL.index("      - metric: rowCount") : SMALL.index("      - name: worn_not")]
SLA = (
    "slaProperties:\n  - {property: latency, value: 2, unit: d, element: shoes.bought_at}\nschema:"
)
OPTIONAL = "{property: optional, value: Few athletes count.}"
NOBODY = "        description: Nobody runs backwards."
MAY_BE_EMPTY = "{property: mayBeEmpty, value: true}"

# As a contract writes them, and as a message shows them.
NO_SHARES = {"1": "1", "-0.1": "-0.1", "'0.1'": "'0.1'", "true": "True", ".nan": "nan"}
NO_COUNTS = {"0": "0", "-5": "-5", "2.0": "2.0", "true": "True", "many": "'many'", "null": "None"}
NEEDS_A_TIME = "it needs one of the columns with a time"
BREAKS_NOTHING = "the counterExample of 'worn_not_negative' breaks nothing, it has to change a "


def edited(*edits: tuple[str, str]) -> str:
    """The small contract after edits; what one replaces has to be there once."""
    text = SMALL
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def refusal(directory: Path, text: str) -> tuple[int, str]:
    """Line and words of the one sentence by which the contract is refused."""
    path = small(directory, text)
    with pytest.raises(UsageError) as error:
        load_all(directory)
    said = str(error.value)
    assert "\n" not in said
    found = re.fullmatch(rf"{re.escape(str(path))}:(\d+): (.+)", said)
    assert found, said
    return int(found[1]), found[2]


VACUOUS = {
    "no row count": (
        [(ROW_COUNT, "")],
        "- name: shoes",
        "an empty table would keep this contract, add the metric 'rowCount' with"
        " 'mustBeGreaterThan: 0' to 'quality', or the custom property 'mayBeEmpty'.",
    ),
    "row count that no table breaks": (
        [("mustBeGreaterThan: 0", "mustBeGreaterThan: -1")],
        "mustBeGreaterThan",
        "'mustBeGreaterThan' is -1, the number of rows needs a limit from 0.",
    ),
    "row count without a lower bound": (
        [("mustBeGreaterThan: 0", "mustBeLessThan: 9")],
        "- metric: rowCount",
        "'rowCount' needs the comparison 'mustBeGreaterThan' and no other.",
    ),
    "row count with a second bound": (
        [("mustBeGreaterThan: 0", "mustBeGreaterThan: 0\n        mustBeBetween: [0, 9]")],
        "- metric: rowCount",
        "'rowCount' needs the comparison 'mustBeGreaterThan' and no other.",
    ),
    "row count without end": (
        [("mustBeGreaterThan: 0", "mustBeGreaterThan: .inf")],
        "mustBeGreaterThan",
        "'mustBeGreaterThan' is inf, the number of rows needs a limit from 0.",
    ),
    "row count that only warns": (
        [("unit: rows\n        severity: error", "unit: rows\n        severity: warning # rows")],
        "severity: warning # rows",
        "'rowCount' is a warning, it has to be an error.",
    ),
    "row count without a unit": (
        [("        unit: rows\n", "")],
        "- metric: rowCount",
        "the unit is missing, allowed are rows.",
    ),
    "row count twice": (
        [(ROW_COUNT, ROW_COUNT + ROW_COUNT.replace("rowCount", "rowCount # again"))],
        "# again",
        "there are two rules for 'rowCount', keep one.",
    ),
    "empty and not empty": (
        [("value: QUARANTINE}", "value: QUARANTINE}\n  - " + MAY_BE_EMPTY)],
        "- name: shoes",
        "the table may be empty and has a 'rowCount' that forbids it, keep one.",
    ),
    "judged column without a limit": (
        [(LIMIT, "")],
        "- name: worn_km",
        "a batch in which 'worn_km' is NULL throughout would keep all its rules, limit its"
        " 'nullValues' in percent, or say in the custom property 'optional' why it may be.",
    ),
    "limit that an absent column keeps": (
        [("mustBeLessOrEqualTo: 5", "mustBeLessOrEqualTo: 100")],
        "mustBeLessOrEqualTo",
        "'mustBeLessOrEqualTo' is 100, a limit on NULLs is from 0 to below 100 percent; a column"
        " that may be NULL in every row says why in the custom property 'optional'.",
    ),
    "limit below nothing": (
        [("mustBeLessOrEqualTo: 5", "mustBeLessOrEqualTo: -0.5")],
        "mustBeLessOrEqualTo",
        "'mustBeLessOrEqualTo' is -0.5, a limit on NULLs is from 0 to below 100 percent;",
    ),
    "limit that is no number": (
        [("mustBeLessOrEqualTo: 5", "mustBeLessOrEqualTo: .nan")],
        "mustBeLessOrEqualTo",
        "'mustBeLessOrEqualTo' is nan, a limit on NULLs is from 0 to below 100 percent;",
    ),
    "limit from below": (
        [("mustBeLessOrEqualTo: 5", "mustBeGreaterThan: 5")],
        "- metric: nullValues",
        "'nullValues' needs the comparison 'mustBeLessOrEqualTo' and no other.",
    ),
    "limit without a unit": (
        [("            unit: percent\n", "")],
        "- metric: nullValues",
        "the unit is missing, allowed are percent.",
    ),
    "limit in rows": (
        [("unit: percent", "unit: rows # of shoes")],
        "unit: rows # of shoes",
        "the unit is 'rows', allowed are percent.",
    ),
    "limit twice": (
        [
            (
                LIMIT,
                LIMIT + LIMIT.removeprefix("        quality:\n").replace("lValues", "lValues # 2"),
            )
        ],
        "# 2",
        "there are two limits on the NULLs of 'worn_km', keep one.",
    ),
    "limit and optional": (
        [("[{property: unit, value: km}]", f"[{{property: unit, value: km}}, {OPTIONAL}]")],
        "- name: worn_km",
        "the column 'worn_km' has a limit on its NULLs and is optional as well, keep one.",
    ),
    "limit on a required column": (
        [("physicalType: DOUBLE", "physicalType: DOUBLE\n        required: true")],
        "- name: worn_km",
        "the column 'worn_km' is required and never NULL, remove its 'nullValues' or 'optional'.",
    ),
    "optional without a reason": (
        [("{property: unit, value: km}", "{property: optional, value: true}"), (LIMIT, "")],
        "{property: optional, value: true}",
        "the field 'optional' is missing or no text.",
    ),
    "no limit on broken rows": (
        [("  - {property: maxBrokenShare, value: 0.02}\n", "")],
        "customProperties:\n  - {property: policy",
        "there is no limit on broken rows, add the custom property 'maxBrokenShare', a share of"
        " the batch from 0 to below 1.",
    ),
    **{
        f"share of broken rows {share}": (
            [("value: 0.02", f"value: {share}")],
            "maxBrokenShare",
            f"'maxBrokenShare' is {said}, it has to be a share from 0 to below 1.",
        )
        for share, said in NO_SHARES.items()
    },
    **{
        f"least batch {rows}": (
            [("value: 0.02}", f"value: 0.02}}\n  - {{property: minRows, value: {rows}}}")],
            "minRows",
            f"'minRows' is {said}, it has to be a whole number from 1.",
        )
        for rows, said in NO_COUNTS.items()
    },
    "latency of nothing": (
        [("schema:", SLA.replace(", element: shoes.bought_at", ""))],
        "property: latency",
        f"'latency' has no element, {NEEDS_A_TIME} (shoes.bought_at).",
    ),
    "freshness of nothing": (
        [("schema:", "slaProperties:\n  - {property: freshness, value: 2, unit: d}\nschema:")],
        "property: freshness",
        f"'freshness' has no element, {NEEDS_A_TIME} (shoes.bought_at).",
    ),
    "latency of a column without a time": (
        [("schema:", SLA.replace("bought_at", "worn_km"))],
        "property: latency",
        f"'latency' is about 'shoes.worn_km', {NEEDS_A_TIME} (shoes.bought_at).",
    ),
    "latency in a table without a time": (
        [
            ("schema:", SLA),
            ("logicalType: timestamp", "logicalType: string"),
            ("physicalType: TIMESTAMP", "physicalType: STRING"),
        ],
        "property: latency",
        f"'latency' is about 'shoes.bought_at', {NEEDS_A_TIME} (this table has none: remove it).",
    ),
    "latency without a unit": (
        [("schema:", SLA.replace(" unit: d,", ""))],
        "property: latency",
        "the unit is missing, allowed are d, h.",
    ),
    "latency without a value": (
        [("schema:", SLA.replace(" value: 2,", ""))],
        "property: latency",
        "the value of 'latency' is None, it has to be above 0.",
    ),
    "latency before the time": (
        [("schema:", SLA.replace("value: 2", "value: -2"))],
        "property: latency",
        "the value of 'latency' is -2, it has to be above 0.",
    ),
    "service level without a name": (
        [("schema:", SLA.replace("property: latency, ", ""))],
        "- {value: 2",
        "the field 'property' is missing or no text.",
    ),
    "counter-example that is the example": (
        [("{worn_km: -0.5}", "{worn_km: 12}")],
        "{worn_km: 12}",
        BREAKS_NOTHING,
    ),
    "counter-example beside the rule": (
        [("{worn_km: -0.5}", "{bought_at: null}")],
        "{bought_at: null}",
        BREAKS_NOTHING,
    ),
    "rule that names no column": (
        [("worn_km IS NULL OR worn_km >= 0", "TRUE OR 'worn_km' = ''")],
        "{worn_km: -0.5}",
        BREAKS_NOTHING,
    ),
    "name that is no name of a constraint": (
        [("name: worn_not_negative", "name: Worn-not-negative")],
        "Worn-not-negative",
        "the rule is called 'Worn-not-negative', a name is made of lower-case letters, digits and"
        " '_' and begins with a letter, because it names a constraint of the table too.",
    ),
    **{
        f"rule with {word}": (
            [("worn_km >= 0", f"worn_km >= 0 OR {predicate}")],
            "implementation",
            f"the rule 'worn_not_negative' uses '{word}', a rule may look at the values of its row"
            " only.",
        )
        for word, predicate in {
            "CURRENT_DATE": "bought_at < CURRENT_DATE",
            "now": "bought_at < now()",
            "rand": "rand() < 0.5",
            "SELECT": "worn_km < (SELECT 1)",
            "OVER": "avg(worn_km) OVER (PARTITION BY shoe_id) > 0",
        }.items()
    },
}


@pytest.mark.parametrize("case", VACUOUS)
def test_contract_that_nothing_could_break_is_refused(tmp_path, case):
    edits, at, message = VACUOUS[case]
    text = edited(*edits)
    line, said = refusal(tmp_path, text)
    assert said.startswith(message)
    assert line == line_of(text, at)


ACCEPTED = {
    "as it is": [],
    "table that may be empty": [
        (ROW_COUNT, ""),
        ("value: QUARANTINE}", "value: QUARANTINE}\n  - " + MAY_BE_EMPTY),
    ],
    "column that may be absent, with a reason": [
        ("[{property: unit, value: km}]", f"[{{property: unit, value: km}}, {OPTIONAL}]"),
        (LIMIT, ""),
    ],
    "required column": [
        ("physicalType: DOUBLE", "physicalType: DOUBLE\n        required: true"),
        (LIMIT, ""),
    ],
    "column that only a warning judges": [
        (f"severity: error\n{NOBODY}", f"severity: warning\n{NOBODY}"),
        (LIMIT, ""),
    ],
    "column that a rule only tests for NULL": [
        ("worn_km IS NULL OR worn_km >= 0", "bought_at IS NOT NULL OR worn_km IS NULL"),
        ("{worn_km: -0.5}", "{bought_at: null}"),
        (LIMIT, ""),
    ],
    "no NULL at all": [("mustBeLessOrEqualTo: 5", "mustBeLessOrEqualTo: 0")],
    "no broken row at all": [("value: 0.02", "value: 0")],
    "latency of a time": [("schema:", SLA)],
    "frequency of nothing": [
        ("schema:", "slaProperties:\n  - {property: frequency, value: 1, unit: d}\nschema:")
    ],
    "counter-example that removes a value": [("{worn_km: -0.5}", "{worn_km: null}")],
    "word of the clock as a text": [("worn_km >= 0", "'now' <> 'rand' OR worn_km >= 0")],
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_contract_that_can_be_broken_is_accepted(tmp_path, case):
    small(tmp_path, edited(*ACCEPTED[case]))
    assert list(load_all(tmp_path)) == ["silver.shoes"]


def test_column_judged_by_a_set_of_values_needs_a_limit_too(tmp_path):
    text = edited(
        (LIMIT, ""),
        ("worn_km IS NULL OR worn_km >= 0", "coalesce(worn_km, 0) IN (0, 12)"),
    )
    _, said = refusal(tmp_path, text)
    assert said.startswith("a batch in which 'worn_km' is NULL throughout would keep all its rules")


def test_limits_are_shares(tmp_path):
    text = edited(
        ("mustBeLessOrEqualTo: 5", "mustBeLessOrEqualTo: 12.5"),
        ("severity: warning", "severity: error"),
        ("mustBeGreaterThan: 0", "mustBeGreaterThan: 9"),
        ("value: 0.02}", "value: 0.02}\n  - {property: minRows, value: 50}"),
    )
    found = load(small(tmp_path, text)).thresholds
    assert found.null_limits == (NullLimit("worn_km", 0.125, "error"),)
    assert (found.min_rows, found.max_broken_share, found.min_table_rows) == (50, 0.02, 10)


def test_reason_of_an_optional_column_is_kept(tmp_path):
    text = edited(*ACCEPTED["column that may be absent, with a reason"])
    assert [c.optional for c in load(small(tmp_path, text)).columns] == [
        None,
        None,
        "Few athletes count.",
    ]


@pytest.mark.parametrize(
    "edits",
    [
        [("mustBeLessOrEqualTo: 5", "mustBeLessOrEqualTo: 6")],
        [("mustBeGreaterThan: 0", "mustBeGreaterThan: 1")],
        [("value: 0.02", "value: 0.5")],
        [("value: 0.02}", "value: 0.02}\n  - {property: minRows, value: 5}")],
        ACCEPTED["table that may be empty"],
        ACCEPTED["column that may be absent, with a reason"],
    ],
)
def test_limits_are_no_part_of_the_fingerprint(tmp_path, edits):
    before = load(small(tmp_path))
    after = load(small(tmp_path, edited(*edits)))
    assert after != before
    assert after.fingerprint_text() == before.fingerprint_text()


def test_constraint_refuses_what_breaks_its_rule_by_name(tmp_path):
    contract = load(small(tmp_path, edited(("worn_km IS NULL OR worn_km >= 0", "worn_km >= 0"))))
    ((name, predicate),) = contract.constraints("QUARANTINE").items()
    with sqlite3.connect(":memory:") as shop:
        shop.execute(f"CREATE TABLE shoes (worn_km REAL, CONSTRAINT {name} CHECK ({predicate}))")
        shop.execute("INSERT INTO shoes VALUES (0)")
        # A CHECK of standard SQL lets NULL pass; a rule does not.
        for broken in (-0.5, None):
            with pytest.raises(sqlite3.IntegrityError, match="worn_not_negative"):
                shop.execute("INSERT INTO shoes VALUES (?)", [broken])


def test_constraints_leave_out_warnings_and_tables_that_publish_broken_rows(tmp_path):
    assert list(load(small(tmp_path)).constraints("STRICT")) == ["worn_not_negative"]
    warns = edited(*ACCEPTED["column that only a warning judges"])
    assert load(small(tmp_path, warns)).constraints("STRICT") == {}
    assert load(small(tmp_path)).constraints("ALWAYS") == {}


def test_tables_carry_a_constraint_for_each_error_rule():
    for name, contract in load_all(CONTRACTS).items():
        errors = [rule.name for rule in contract.rules if rule.severity == "error"]
        assert errors
        expected = [] if name.startswith("bronze.") else errors
        assert list(contract.constraints(contract.policy)) == expected, name


def test_limits_of_the_tables_follow_the_layer():
    for name, contract in load_all(CONTRACTS).items():
        found = contract.thresholds
        assert found.min_rows == 1000, name
        # Bronze keeps what cannot be read, and a broken feature is a fault of ours.
        assert found.max_broken_share == (0.05 if name.startswith("silver.") else 0), name
        assert found.null_limits, name
