"""Names, paths and secrets from outside: checked at the edge, and told to nobody."""

import logging
import re
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from paceline import settings
from paceline.cli.main import exit_code, job_command, paceline
from paceline.contract import load
from paceline.errors import UsageError
from paceline.pipeline import alerts, execute
from paceline.pipeline.jobs import FEATURE_ACTIVITY
from paceline.sources.limits import DEFAULTS, Limits
from paceline.sql import identifier, literal
from paceline.store import ledger
from paceline.store.ledger import Entry
from paceline.store.warehouse import LAYOUT_PROPERTY, Warehouse, catalog_of, local_root
from tests.unit.test_contract import SMALL

CONF = Path(__file__).parents[2] / "conf"
SOURCE = Path(__file__).parents[2] / "src" / "paceline"
ACTIVITY = job_command(FEATURE_ACTIVITY)
NOW = datetime(2026, 7, 1, 6, tzinfo=UTC)
TOKEN = "T0K3N"

HOSTILE_NAMES = [
    "x; DROP",
    "x`; DROP TABLE y; --",
    "x'",
    'x"',
    "x\\",
    "x y",
    "x\ny",
    "x\n",
    "x.y",
    "1x",
    "/*",
    "Läufe",
    "\N{FULLWIDTH LATIN SMALL LETTER A}",
    "x\0",
]


@pytest.fixture
def landing(tmp_path):
    delivery = tmp_path / "landing" / "strava_api" / "a.jsonl"
    delivery.parent.mkdir(parents=True)
    delivery.write_text("{}\n")
    return str(tmp_path / "landing")


def recording_warehouse(root, catalog=""):
    """A warehouse whose session notes the statements, and finds nothing."""
    statements = []

    def sql(statement):
        statements.append(statement)
        return SimpleNamespace(collect=list)

    return Warehouse(SimpleNamespace(sql=sql), root, catalog), statements


@pytest.mark.parametrize("name", ["x", "_", "silver", "A1_b", "x" * 300])
def test_a_plain_name_is_taken(name):
    assert identifier(name) == name


@pytest.mark.parametrize("name", ["", "x-y", *HOSTILE_NAMES])
def test_no_other_name_gets_into_sql(name):
    with pytest.raises(UsageError, match="is no name of a table, schema or column"):
        identifier(name)


def test_a_message_about_a_name_stays_one_line():
    with pytest.raises(UsageError, match=r"'x\\n\\x1b\[2J' is no name"):
        identifier("x\n\x1b[2J")


def test_the_name_of_a_table_has_plain_parts():
    warehouse, _ = recording_warehouse(None, "uc-athlete_data")
    assert warehouse.identifier("silver.shoes") == "`uc-athlete_data`.silver.shoes"
    assert recording_warehouse(None)[0].identifier("silver.shoes") == "silver.shoes"
    for name in ("silver.x; DROP", "silver.", "silver.shoes -- "):
        with pytest.raises(UsageError, match="is no name of a table"):
            warehouse.identifier(name)


@pytest.mark.parametrize("name", ["", "main", "uc_athlete_data", "uc-athlete-data"])
def test_a_catalog_may_have_hyphens_or_be_none(name):
    assert catalog_of(name) == name


@pytest.mark.parametrize("name", ["-x", *HOSTILE_NAMES])
def test_a_catalog_of_another_name_is_refused(name):
    for door in (catalog_of, partial(Warehouse, None, None)):
        with pytest.raises(UsageError, match="is no name of a catalog"):
            door(name)


def test_a_hostile_catalog_is_refused_before_anything_is_opened(
    capsys, tmp_path, landing, monkeypatch
):
    monkeypatch.setattr(execute, "session", lambda root: pytest.fail("Spark is started"))
    warehouse = tmp_path / "warehouse"
    arguments = ["--landing", landing, "--warehouse", str(warehouse), "--catalog", "x`; DROP"]
    assert exit_code(ACTIVITY, arguments) == 2
    assert "'x`; DROP' is no name of a catalog" in capsys.readouterr().err
    assert not warehouse.exists()


@pytest.mark.parametrize(
    "name",
    [
        "a\\b",
        "a`b",
        "a%20b",
        "a*",
        "a?",
        "a[b]",
        "a{b,c}",
        "a#b",
        "a;b",
        "a\nb",
        "a\x1bb",
        "a\N{RIGHT-TO-LEFT OVERRIDE}b",
        "a\udce4b",
    ],
)
def test_a_warehouse_that_spark_would_misread_is_refused_before_it_is_made(tmp_path, name):
    with pytest.raises(UsageError, match=r"misread: give another directory with --war") as raised:
        local_root(tmp_path / name / "warehouse")
    assert str(raised.value).isprintable()
    assert list(tmp_path.iterdir()) == []


def test_a_job_on_such_a_warehouse_makes_nothing(capsys, tmp_path, landing, monkeypatch):
    monkeypatch.setattr(execute, "session", lambda root: pytest.fail("Spark is started"))
    arguments = ["--landing", landing, "--warehouse", str(tmp_path / "a`b")]
    assert exit_code(ACTIVITY, arguments) == 2
    assert "which Spark would misread" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["landing"]


def test_a_link_does_not_hide_such_a_warehouse(tmp_path):
    (tmp_path / "a%b").mkdir()
    (tmp_path / "plain").symlink_to(tmp_path / "a%b")
    with pytest.raises(UsageError, match="has '%' in its path"):
        local_root(tmp_path / "plain")


def test_quotes_and_blanks_in_a_path_stay_inside_a_literal(tmp_path):
    root = local_root(tmp_path / 'it\'s a "warehouse", Läufe')
    assert root.is_dir()
    warehouse, statements = recording_warehouse(root)
    warehouse.create_schemas()
    assert statements[1] == (
        f"CREATE SCHEMA IF NOT EXISTS bronze LOCATION '{tmp_path}"
        "/it\\'s a \"warehouse\", Läufe/bronze'"
    )


def test_a_table_of_another_name_in_the_session_is_quoted(tmp_path):
    statements = []

    def sql(statement):
        statements.append(statement)
        names = ("x`; y", "view", "of others")
        tables = [{"tableName": name, "isTemporary": name == "view"} for name in names]
        rows = {
            "SHOW SCHEMAS": [("bronze",)],
            "SHOW TABLES IN bronze": tables,
            "SHOW TBLPROPERTIES bronze.`x``; y`": [{"key": LAYOUT_PROPERTY, "value": "1"}],
        }
        return SimpleNamespace(collect=lambda: rows.get(statement, []))

    external = SimpleNamespace(getTable=lambda name: SimpleNamespace(tableType="EXTERNAL"))
    conf = SimpleNamespace(get=lambda name: "app")
    Warehouse(SimpleNamespace(sql=sql, catalog=external, conf=conf), tmp_path).create_schemas()
    # A view of the session is listed with every schema, and belongs to none.
    dropped = [statement for statement in statements if statement.startswith("DROP")]
    assert dropped == ["DROP TABLE bronze.`x``; y`"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", "'x'"),
        ("it's", r"'it\'s'"),
        # A backslash of the text must not escape the quote that ends the literal.
        ("x\\", r"'x\\'"),
        ("\\' OR 1=1 --", r"'\\\' OR 1=1 --'"),
        ('"`;\n', "'\"`;\n'"),
        (7, "7"),
    ],
)
def test_a_text_cannot_leave_its_literal(value, expected):
    assert literal(value) == expected


@pytest.mark.parametrize("place", ["landing", "--conf", "--git-commit"])
def test_other_arguments_may_hold_anything(capsys, tmp_path, landing, place):
    strange = tmp_path / 'it\'s `a` "%20" \\n; --'
    if place == "landing":
        Path(landing).rename(strange)
        arguments = ["--landing", str(strange), "--horizon", "tomorrow"]
    elif place == "--conf":
        strange.symlink_to(CONF)
        arguments = ["--landing", landing, "--conf", str(strange), "--horizon", "tomorrow"]
    else:
        arguments = ["--landing", landing, place, str(strange), "--horizon", "tomorrow"]
    # The last thing to be refused, so that all else has been taken.
    assert exit_code(ACTIVITY, arguments) == 2
    assert "--horizon is 'tomorrow', which is no date" in capsys.readouterr().err


def contract(directory, old, new, name="silver.shoes"):
    assert old in SMALL
    path = directory / f"{name}.odcs.yaml"
    path.write_text(SMALL.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize("schema", ["x; DROP", "x`", "x'", "1x", "Läufe"])
def test_a_contract_for_a_hostile_schema_or_table_is_refused(tmp_path, schema):
    for name in (f"{schema}.shoes", f"silver.{schema}"):
        path = contract(
            tmp_path, "physicalName: silver.shoes", f'physicalName: "{name}"', name=name
        )
        with pytest.raises(UsageError, match=r"odcs\.yaml:11: the physicalName is "):
            load(path)


@pytest.mark.parametrize("name", ["x; DROP", "x BIGINT, y", "x`", "x'", "1x", "x.y", "x-y"])
def test_a_hostile_column_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r":24: the name is .* a name is made of letters"):
        load(contract(tmp_path, "- name: bought_at", f'- name: "{name}"'))


@pytest.mark.parametrize("name", ["x; DROP", "x`", "x'", "1x", "X", "x-y"])
def test_a_hostile_rule_name_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r":47: the rule is called '.*', a name is made of"):
        load(contract(tmp_path, "- name: worn_not_negative", f'- name: "{name}"'))


@pytest.mark.parametrize(
    ("predicate", "found"),
    [
        ("worn_km >= 0; DROP TABLE x", "has ; in it"),
        ("worn_km >= 0 -- ) NOT ENFORCED", "has -- in it"),
        ("worn_km >= 0 /* x */", r"has /\* in it"),
        ("`worn_km` >= 0", "has ` in it"),
        # The single quotes inside would hide the function from the look at names.
        ('"\'" <> reflect(1) OR "\'" = CAST(worn_km AS STRING)', 'has " in it'),
        # In a raw text the backslash does not escape the quote that follows it.
        ("r'\\' <> reflect(1) OR CAST(worn_km AS STRING) <> r'\\'", "has r'' in it"),
        ("reflect('java.lang.System', 'getenv') IS NULL OR worn_km >= 0", "uses 'reflect'"),
        ("JAVA_METHOD('java.lang.System', 'exit') = worn_km", "uses 'JAVA_METHOD'"),
        ("secret('scope', 'key') <> CAST(worn_km AS STRING)", "uses 'secret'"),
    ],
)
def test_a_rule_is_one_harmless_expression(tmp_path, predicate, found):
    lines = f"implementation: >-\n          {predicate}"
    with pytest.raises(UsageError, match=found):
        load(contract(tmp_path, "implementation: worn_km IS NULL OR worn_km >= 0", lines))


def test_the_texts_of_a_rule_may_hold_anything(tmp_path):
    predicate = "worn_km >= 0 OR CAST(worn_km AS STRING) IN ('; -- /* ` \"', 'it\\'s')"
    lines = f"implementation: >-\n          {predicate}"
    path = contract(tmp_path, "implementation: worn_km IS NULL OR worn_km >= 0", lines)
    assert load(path).rules[0].predicate == predicate


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('catalog: ""', "catalog: 5", "catalog must be a text"),
        ("landing: landing\n", "landing: [a]\n", "landing must be a text"),
        ("  max_lines: 20000000", "  max_line: 20000000", "a map of some of max_document_bytes"),
        ("  max_lines: 20000000", "  max_lines: 0", "max_lines of landing_limits is 0"),
        ("  max_lines: 20000000", "  max_lines: 1.5", "is 1.5; allowed are whole numbers from 1"),
        ("  max_lines: 20000000", "  max_lines: true", "is True; allowed"),
    ],
)
def test_settings_of_the_edge_are_checked(tmp_path, old, new, message):
    text = (CONF / "paceline.yml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "paceline.yml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        settings.load_settings(tmp_path)


def test_a_limit_that_an_older_file_does_not_have_has_its_default(tmp_path):
    text = (CONF / "paceline.yml").read_text(encoding="utf-8")
    older, dropped = re.subn(r"(?m)^  max_zip_.*\n", "", text)
    assert dropped == 2
    (tmp_path / "paceline.yml").write_text(older, encoding="utf-8")
    assert Limits(**settings.load_settings(tmp_path).landing_limits) == DEFAULTS


@contextmanager
def server(answer):
    """Takes one connection; answers with some bytes, or with nothing at all for None."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with listener.accept()[0] as connection:
                connection.settimeout(10)
                connection.recv(65536)
                if answer is None:
                    done.wait(10)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        done.set()
        thread.join(10)


def told_about(monkeypatch, caplog, url):
    """What a run with a rejected table says, and notes in the ledger, about its webhook."""
    noted = []
    monkeypatch.setenv("PACELINE_WEBHOOK", url)
    monkeypatch.setattr(alerts, "send", partial(alerts.send, timeout_s=0.5))
    monkeypatch.setattr(ledger, "append_rows", lambda *arguments: noted.append(arguments[-1]))
    rejected = Entry("run-1", "Feature_Activity", "silver.shoes", ledger.REJECTED, "FAIL")
    execute._alert(["Feature_Activity"], [rejected], None, None)
    said = [r.getMessage() for r in caplog.records if r.name.startswith("paceline")]
    return said, noted


@pytest.mark.parametrize(
    ("scheme", "answer", "expected"),
    [
        ("http", b"HTTP/1.1 500 no " + TOKEN.encode() + b"\r\n\r\n", "the webhook answered 500"),
        (
            "http",
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/" + TOKEN.encode() + b"\r\n\r\n",
            "the webhook answered 302, and redirects are not followed",
        ),
        ("http", TOKEN.encode() + b"\r\n", "posting to the webhook failed (BadStatusLine)"),
        ("http", None, "the webhook did not answer within 0.5 s"),
        ("https", TOKEN.encode() + b"\r\n", "posting to the webhook failed (SSLError)"),
    ],
)
def test_a_run_keeps_the_secret_of_a_webhook_that_fails(
    monkeypatch, capfd, caplog, scheme, answer, expected
):
    caplog.set_level(logging.DEBUG)
    with server(answer) as address:
        url = f"{scheme}://{address}/services/{TOKEN}?key={TOKEN}"
        said, noted = told_about(monkeypatch, caplog, url)
    assert said == [f"the alert was not delivered: {expected}"]
    assert len(noted) == 1
    everything = f"{said} {noted} {capfd.readouterr()} {caplog.text}"
    assert not any(secret in everything for secret in (TOKEN, "services", address))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"http://127.0.0.1:1/services/{TOKEN}", "failed (ConnectionRefusedError)"),
        (f"http://127.0.0.1:{TOKEN}/services", "must start with http:// or https://"),
        (f"ftp://127.0.0.1/services/{TOKEN}", "must start with http:// or https://"),
        (f"services/{TOKEN}", "must start with http:// or https://"),
        (f"http://[{TOKEN}/services", "must start with http:// or https://"),
    ],
)
def test_a_run_keeps_the_secret_of_a_webhook_that_cannot_be_reached(
    monkeypatch, capfd, caplog, url, expected
):
    caplog.set_level(logging.DEBUG)
    said, noted = told_about(monkeypatch, caplog, url)
    (line,) = said
    assert expected in line
    everything = f"{said} {noted} {capfd.readouterr()} {caplog.text}"
    assert not any(secret in everything for secret in (TOKEN, "services", "127.0.0.1"))


def test_an_error_about_an_address_holds_none_of_it():
    for url in (f"ftp://example.org/{TOKEN}", f"http://x:{TOKEN}@example.org"):
        with pytest.raises(ValueError, match="must start with http") as raised:
            alerts._connection(url, 1.0)
        assert TOKEN not in repr(raised.value)
        assert "example" not in repr(raised.value)


def commands(command, name=""):
    yield name, command
    if isinstance(command, click.Group):
        for child_name, child in command.commands.items():
            yield from commands(child, f"{name} {child_name}".strip())


def test_no_option_takes_a_secret():
    options = {
        f"{name} {flag}"
        for name, command in [*commands(paceline), ("job", ACTIVITY)]
        for parameter in command.params
        for flag in (*parameter.opts, str(parameter.envvar or ""))
    }
    assert "run --warehouse" in options
    words = ("webhook", "url", "token", "secret", "password", "credential")
    assert [option for option in options if any(word in option.lower() for word in words)] == []


def test_the_secret_is_read_in_one_place_and_goes_to_no_other_process():
    naming = [path for path in SOURCE.glob("**/*.py") if "PACELINE_WEBHOOK" in path.read_text()]
    assert naming == [SOURCE / "settings.py"]
    calling = {path for path in SOURCE.glob("**/*.py") if "webhook()" in path.read_text()}
    assert calling == {SOURCE / "settings.py", SOURCE / "pipeline" / "execute.py"}
