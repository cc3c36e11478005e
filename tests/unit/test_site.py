"""The pages of the documentation say what is so, as far as that can be checked without Spark."""

import logging
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from unittest import mock

import click
import pytest
import yaml

from paceline.cli.main import job_command, paceline
from paceline.contract import load
from paceline.features import functions
from paceline.pipeline.jobs import JOBS
from scripts import reference, site_links

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Written for this site; the others have tests of their own, or are records of their time.
OURS = sorted(
    path
    for pattern in ("index.md", "tutorial.md", "conformance.md", "how-to/*.md", "explanation/*.md")
    for path in DOCS.glob(pattern)
)
CONTRACTS = ROOT / "conf" / "contracts"
SHELL = re.compile(r"^( *)```(?:sh|console)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PATH = re.compile(r"`((?:src|tests|conf|docs|jobs|scripts)/[\w./-]+)`")
SUBMIT = re.compile(r"jobs/(\w+)\.py")


def commands(text):
    """The commands of ours in shell blocks, on one line each and without prompts."""
    for _, block in SHELL.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.strip().removeprefix("$ ")
            if command.startswith(("paceline ", "spark-submit ")):
                yield command


def lost_tests(text):
    """Tests that a page names and no file has."""
    named = TEST.findall(text)
    assert named
    return [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file()
        or not re.search(rf"^ *def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    ]


def parse_problem(line):
    """Why a command line would be refused; None when it is taken. Nothing is run."""
    arguments, command = shlex.split(line, comments=True)[1:], paceline
    if job := SUBMIT.search(line):
        arguments = shlex.split(line[job.end() :], comments=True)
        command = {name.lower(): job_command(name) for name in JOBS}[job[1]]
    with mock.patch.object(click.Command, "invoke"), mock.patch.object(click.Group, "invoke", walk):
        try:
            command.main(arguments, standalone_mode=False)
        except click.ClickException as error:
            return error.format_message()
    return None


def walk(group, context):
    """Parses the command below a group, as invoking it would, and does nothing."""
    _, command, arguments = group.resolve_command(
        context, [*context._protected_args, *context.args]
    )
    with command.make_context(command.name, arguments, parent=context) as below:
        command.invoke(below)


@pytest.mark.parametrize("name", sorted(reference.pages()))
def test_the_reference_is_what_the_code_says(name):
    written = (reference.FOLDER / name).read_text(encoding="utf-8")
    assert written == reference.pages()[name], "run `make reference`"


def test_no_page_of_the_reference_is_left_over():
    assert {path.name for path in reference.FOLDER.iterdir()} == set(reference.pages())


def test_every_test_of_the_conformance_matrix_exists():
    assert lost_tests((DOCS / "conformance.md").read_text(encoding="utf-8")) == []


def test_a_test_that_is_gone_is_noticed():
    here = "tests/unit/test_site.py"
    gone = [f"{here}::test_that_never_was", "tests/unit/test_nothing.py::test_a"]
    kept = f"{here}::test_a_test_that_is_gone_is_noticed"
    assert lost_tests(" ".join(f"`{name}`" for name in (*gone, kept))) == gone


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_commands_and_files_of_a_page_exist(path):
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for line in commands(text):
        assert parse_problem(line) is None, line
    assert {target for target in re.findall(r"`make ([a-z-]+)`", text)} <= set(targets)
    assert [name for name in PATH.findall(text) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("paceline frobnicate", "No such command"),
        ("paceline verify --everything", "No such option"),
        ("paceline quarantine show", "Missing argument"),
        ("spark-submit --driver-memory 4g jobs/feature_rolling.py --frob", "No such option"),
        ("paceline run --start=  # a comment", None),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line, problem):
    found = parse_problem(line)
    assert found is problem is None or problem in found


@pytest.mark.parametrize(
    ("written", "shown", "warns"),
    [
        ("[a](tables.md#ops)", "[a](tables.md#ops)", False),
        ("[up](../tables.md)", "[up](../tables.md)", False),
        ("[readme](../../README.md#limits)", "readme (`README.md`)", False),
        ("[`conf/contracts/`](../../conf/contracts/)", "`conf/contracts/`", False),
        ("[gone](../../nothing.md)", "gone (`nothing.md`)", True),
        ("[out](https://example.org/../x)", "[out](https://example.org/../x)", False),
    ],
)
def test_links_that_leave_the_pages_become_paths(written, shown, warns, caplog):
    with caplog.at_level(logging.WARNING):
        page = DOCS / "how-to" / "page.md"
        assert site_links.without_outside_links(written, page, DOCS) == shown
    assert bool(caplog.records) is warns


@pytest.mark.parametrize(
    ("page", "contract", "place"),
    [
        ("a-new-feature", "feature_store.activity_features", "properties"),
        ("a-new-check", "silver.strava_activities", "quality"),
    ],
)
def test_the_entry_of_a_how_to_page_is_one_that_a_contract_takes(tmp_path, page, contract, place):
    text = (DOCS / "how-to" / f"{page}.md").read_text(encoding="utf-8")
    (entry,) = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```$", text, re.M | re.S)[1])
    name = f"{contract}.odcs.yaml"
    document = yaml.safe_load((CONTRACTS / name).read_text(encoding="utf-8"))
    document["schema"][0][place].append(entry)
    (tmp_path / name).write_text(yaml.safe_dump(document), encoding="utf-8")
    found = load(tmp_path / name)
    assert entry["name"] in {*found.column_names, *(rule.name for rule in found.rules)}


def test_the_counter_example_of_the_how_to_page_breaks_its_rule():
    text = (DOCS / "how-to" / "a-new-check.md").read_text(encoding="utf-8")
    (entry,) = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```$", text, re.M | re.S)[1])
    ((name, value),) = entry["customProperties"][0]["value"].items()
    judged = f"SELECT {entry['implementation']} FROM (SELECT ? AS {name})"
    with closing(sqlite3.connect(":memory:")) as database:
        verdicts = [database.execute(judged, [given]).fetchone()[0] for given in (value, 85.0)]
    assert verdicts == [False, True]


def test_the_function_of_the_how_to_page_gives_the_example_of_its_contract_entry():
    text = (DOCS / "how-to" / "a-new-feature.md").read_text(encoding="utf-8")
    program = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    made = dict(vars(functions))
    exec(program, made)
    share = made["moving_share"](duration_s=3000, elapsed_time_s=3100)
    assert f"examples: [{share}]" in text


@pytest.mark.slow
def test_the_site_is_built_strictly_and_loads_nothing_from_a_network(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(OURS)
    loaded = re.compile(r"<(?:script|link|img|source|iframe)\b[^>]*?(?:src|srcset|href)=\"?(\S+)")
    for page in pages:
        remote = [
            url
            for url in loaded.findall(page.read_text(encoding="utf-8"))
            if url.startswith(("http:", "https:", "//"))
        ]
        assert remote == [], page
