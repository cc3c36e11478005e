"""The pages of `paceline docs`, parsed."""

import dataclasses
import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from paceline.cli.docs import write_site
from paceline.cli.main import exit_code, paceline
from paceline.contract import Column, Contract, NullLimit, Rule, ServiceLevel, Thresholds
from paceline.docs import pages
from paceline.docs.drawing import draw
from paceline.errors import UsageError

VOID = {"meta", "link", "br"}
HOSTILE = '<script>alert(1)</script> & "quotes" {{ 1 + 1 }} $HOME'
SECRET = "Zaphod Beeblebrox"


class Page(HTMLParser):
    """What a page says: its links, ids, tags, and the rows of its tables as texts of cells."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.tags, self.rows, self.open = [], [], [], [], []
        self.words = ""
        self.feed(text)
        self.rows = [[" ".join(cell.split()) for cell in row] for row in self.rows]
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        self.links += [given[name] for name in ("href", "src") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def audit_result(table, *, is_good):
    """The result of one hostile expectation, with values that no page may show."""
    from great_expectations.core import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    def checked(kind, result, *, raised=False, description=None, check=None, **arguments):
        return ExpectationValidationResult(
            success=is_good and not raised,
            expectation_config=ExpectationConfiguration(
                type=kind,
                kwargs=arguments,
                description=description,
                meta={"check": check} if check else {},
            ),
            result=result,
            exception_info={
                "metric": {
                    "raised_exception": raised,
                    "exception_message": SECRET,
                    "exception_traceback": SECRET,
                }
            },
        )

    found = {
        "element_count": 9422,
        "unexpected_count": 4711,
        "unexpected_percent": 50.0,
        "partial_unexpected_list": [SECRET],
    }
    return ExpectationSuiteValidationResult(
        success=is_good,
        results=[
            checked("expect_column_values_to_not_be_null", found, column="shoe"),
            checked("expect_column_max_to_be_between", {"observed_value": 90125}, column="shoe"),
            checked(
                "expect_table_row_count_to_be_between",
                {"observed_value": 2112},
                description=HOSTILE,
                check="enough_shoes",
            ),
            checked("expect_table_row_count_to_equal", {}, raised=not is_good, value=5),
        ],
        suite_name=table,
        meta={
            "run_id": {"run_name": f"run <b>{is_good}", "run_time": "2024-06-01T00:00:00Z"},
            "batch_spec": {"path": SECRET},
        },
    )


def audited_site(out):
    """The site of the packaged contracts, with two audits of one table."""
    name = "silver.strava_activities"
    results = [audit_result(name, is_good=is_good) for is_good in (True, False)]
    write_site(out, None, {name: results})
    return out


def column(name, sql_type, value, **changes):
    made = Column(name, sql_type, False, f"The {name}.", None, None, (), value, None)
    return dataclasses.replace(made, **changes)


SHOES = Contract(
    name="silver.shoes",
    version="7.1.3",
    description=HOSTILE,
    columns=(
        column("shoe", "BIGINT", 31, required=True),
        column("owner", "STRING", SECRET, classification="confidential", tags=("pii", "health")),
        column("worn_km", "DOUBLE", 12.5, unit="km", optional="Few athletes count."),
        column("bought_at", "TIMESTAMP", datetime(2024, 6, 1, 6, tzinfo=UTC)),
    ),
    key=("shoe",),
    rules=(
        Rule("worn_positive", "worn_km > 0 AND '<b>' <> ''", "error", "Worn.", {"worn_km": -1.5}),
        Rule("owner_known", "owner <> ''", "warning", "Owned.", {"owner": SECRET + "!"}),
        Rule("owner_present", "owner IS NOT NULL", "warning", "Owned.", {"owner": None}),
    ),
    thresholds=Thresholds(
        min_rows=1500,
        max_broken_share=0.07,
        null_limits=(NullLimit("bought_at", 0.2, "warning"),),
        min_table_rows=3,
    ),
    policy="QUARANTINE",
    append_only=False,
    may_be_empty=False,
    service_levels=(ServiceLevel("latency", 36, "h", "bought_at", "Next day."),),
)
WORN = dataclasses.replace(SHOES, name="gold.worn", description="Sums.", policy="STRICT")
INPUTS = {"silver.shoes": (), "gold.worn": ("silver.shoes",)}


@pytest.fixture
def shoes(tmp_path):
    pages.prepare(tmp_path)
    pages.write({"silver.shoes": SHOES, "gold.worn": WORN}, INPUTS, tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return audited_site(tmp_path_factory.mktemp("site"))


def test_every_link_leads_to_a_page_and_place_of_the_site(site):
    found = {path.resolve(): read(path) for path in site.rglob("*.html")}
    for path, page in found.items():
        for link in page.links:
            if link == "data:,":
                continue
            file, _, place = link.partition("#")
            target = (path.parent / unquote(file)).resolve() if file else path
            assert target in found, f"{path.name}: {link}"
            assert not place or unquote(place) in found[target].ids, f"{path.name}: {link}"


def test_every_page_can_be_read_with_a_screen_reader(site):
    for path in site.rglob("*.html"):
        page = read(path)
        assert len(page.ids) == len(set(page.ids)), path
        headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-3]", tag)]
        assert headings[0] == 1, path
        assert headings.count(1) == 1, path
        if path.parent.name != "audits":
            tables = [tag for tag, _ in page.tags].count("table")
            assert tables == [tag for tag, _ in page.tags].count("caption"), path
            assert all("scope" in given for tag, given in page.tags if tag == "th"), path


def test_no_page_has_a_script_or_an_address_of_the_network(site):
    for path in site.rglob("*.html"):
        assert "script" not in [tag for tag, _ in read(path).tags], path
        assert "://" not in path.read_text(encoding="utf-8"), path


def test_every_column_and_rule_of_every_contract_is_on_its_page(site, contracts):
    index = read(site / "index.html")
    listed = {(row[1], row[0]): row[2:7] for row in index.rows}
    for name, contract in contracts.items():
        page = read(site / "contracts" / f"{name}.html")
        rows = {row[0]: row[1:] for row in page.rows}
        for found in contract.columns:
            assert rows[found.name][0] == found.type
            assert rows[found.name][5] == found.description
        for rule in contract.rules:
            assert rows[rule.name][:2] == [rule.severity, f"{rule.description} {rule.predicate}"]
        assert listed[tuple(name.split("."))] == [
            contract.description,
            contract.policy,
            contract.version,
            str(len(contract.columns)),
            str(len(contract.rules)),
        ]
    assert len(listed) == 1 + len(contracts)


def test_what_a_contract_page_tells(shoes):
    page = read(shoes / "contracts" / "silver.shoes.html")
    assert page.rows[1:5] == [
        ["shoe", "BIGINT", "", "never", "", "", "The shoe.", "31"],
        [
            "owner",
            "STRING",
            "",
            "allowed",
            "confidential",
            "pii, health",
            "The owner.",
            "not shown",
        ],
        ["worn_km", "DOUBLE", "km", "allowed: Few athletes count.", "", "", "The worn_km.", "12.5"],
        [
            *("bought_at", "TIMESTAMP", "", "in at most 20 % of a batch", "", ""),
            *("The bought_at.", "2024-06-01T06:00:00Z"),
        ],
    ]
    assert page.rows[6:9] == [
        ["worn_positive", "error", "Worn. worn_km > 0 AND '<b>' <> ''", "worn_km: -1.5"],
        ["owner_known", "warning", "Owned. owner <> ''", "owner: not shown"],
        ["owner_present", "warning", "Owned. owner IS NOT NULL", "owner: NULL"],
    ]
    assert page.rows[10] == ["latency", "36 h", "bought_at", "Next day."]
    words = " ".join(page.words.split())
    for told in (
        "Version 7.1.3 Key shoe Policy QUARANTINE. A row that breaks an error rule goes to",
        "Reads what is delivered to the landing zone Read by gold.worn",
        "Shares are judged in batches of at least 1,500 rows.",
        "Rows that break an error rule: at most 7 % of a batch.",
        "The table has at least 3 rows.",
        "bought_at is NULL in at most 20 % of a batch (warning).",
    ):
        assert told in words


def test_hostile_text_is_text(shoes, site):
    told_by = [shoes / "index.html", shoes / "contracts" / "silver.shoes.html"]
    described = [*told_by, *site.glob("audits/silver.*.html")]
    assert len(described) == 4
    for path in described:
        page = read(path)
        assert HOSTILE in page.words, path
        assert not {"script", "b"} & {tag for tag, _ in page.tags}, path


def test_no_value_of_a_classified_column_is_on_any_page(shoes, site):
    for path in [*shoes.rglob("*.html"), *site.rglob("*.html")]:
        assert SECRET not in path.read_text(encoding="utf-8"), path


def test_audit_pages_hold_counts_and_no_observed_values(site):
    good, bad = (read(site / "audits" / f"silver.strava_activities.{n}.html") for n in (1, 2))
    assert "2112" in bad.words
    assert "4711 unexpected values" in bad.words
    assert "90125" not in bad.words
    assert "enough_shoes" in bad.words
    assert "The check could not run" in bad.words
    assert "The check could not run" not in good.words
    words = " ".join(read(site / "audits" / "index.html").words.split())
    assert "run <b>True, 2024-06-01T00:00:00Z: passed, 4 of 4 expectations met" in words
    assert "run <b>False, 2024-06-01T00:00:00Z: failed, 0 of 4 expectations met" in words


def test_the_results_that_were_given_stay_as_they_are(tmp_path):
    from paceline.docs import audits

    given = audit_result("silver.shoes", is_good=False)
    before = given.to_json_dict()
    audits.write({"silver.shoes": [given]}, tmp_path)
    assert given.to_json_dict() == before


def test_the_index_links_to_the_audits_there_are(shoes, site):
    audited = {row[0]: row[7] for row in read(site / "index.html").rows[1:] if row[1] == "silver"}
    assert audited == {
        "strava_activities": "audits of silver.strava_activities",
        "strava_sub_activity": "none",
        "athlete_settings": "none",
    }
    assert not (shoes / "audits").exists()
    assert "udit" not in read(shoes / "index.html").words


def test_a_table_stands_to_the_right_of_all_that_it_reads():
    drawing = draw({"s.a": (), "s.b": ("s.a",), "s.c": ("s.a", "s.b"), "s.d": ("elsewhere",)})
    columns = sorted({box.x for box in drawing.boxes})
    assert {box.table: columns.index(box.x) for box in drawing.boxes} == {
        **{"s.a": 0, "s.d": 0},
        **{"s.b": 1, "s.c": 2},
    }
    assert len({(box.x, box.y) for box in drawing.boxes}) == 4
    assert len(drawing.arrows) == 3
    for box in drawing.boxes:
        assert 0 <= box.x <= drawing.width - drawing.box_width
        assert 0 <= box.y <= drawing.height - drawing.box_height


def test_an_arrow_past_a_column_keeps_clear_of_its_tables():
    drawing = draw({"s.a": (), "s.b": ("s.a",), "s.c": ("s.a", "s.b")})
    b = drawing.boxes[1]
    bends = [re.findall(r"C(?:\S+ ){4}(\S+) (\S+)", arrow) for arrow in drawing.arrows]
    assert [len(found) for found in bends] == [1, 2, 1]
    x, y = map(float, bends[1][0])
    assert x == b.x
    assert not b.y <= y <= b.y + drawing.box_height


def test_a_second_run_replaces_the_pages_and_leaves_the_rest(shoes):
    (shoes / "CNAME").write_text("docs.example.org")
    pages.prepare(shoes)
    pages.write({"gold.worn": WORN}, INPUTS, shoes)
    assert [path.name for path in shoes.glob("contracts/*")] == ["gold.worn.html"]
    assert "silver.shoes" not in (shoes / "index.html").read_text()
    assert (shoes / "CNAME").read_text() == "docs.example.org"


def test_a_directory_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(UsageError, match="holds files that paceline docs has not written"):
        pages.prepare(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("index.html", "mine")
    ]


def test_the_command(tmp_path, capsys, contracts):
    out = tmp_path / "made" / "here"
    assert exit_code(paceline, ["docs", "--out", str(out), "--no-data"]) == 0
    told = capsys.readouterr().out
    assert told == f"{out / 'index.html'}: {len(contracts)} contracts, 0 tables with audits\n"
    assert {path.stem for path in out.glob("contracts/*.html")} == set(contracts)
    assert exit_code(paceline, ["docs", "--out", str(out / "index.html"), "--no-data"]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "NULL"), (True, "TRUE"), (False, "FALSE"), (0, "0"), (float("nan"), "NaN")),
        *((float("-inf"), "-Infinity"), (0.1, "0.1"), ("", ""), (date(2024, 6, 1), "2024-06-01")),
        (datetime(2024, 6, 1, 8), "2024-06-01T08:00:00"),
    ],
)
def test_how_a_value_is_written(value, text):
    assert pages.shown(value) == text


def test_every_ink_can_be_read_on_every_paper():
    source, _, _ = pages.environment().loader.get_source(pages.environment(), "style.css")
    schemes = re.findall(r":root \{(.*?)\}", source, re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): #([0-9a-f]{6})", scheme))
        for ink in ("ink", "faint", "link", "good", "warn", "bad"):
            for paper in ("paper", "shade"):
                ratio = contrast(colours[ink], colours[paper])
                assert ratio >= 4.5, (ink, paper, ratio)


def contrast(one, other):
    """The contrast ratio of WCAG 2, from 1 to 21."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
