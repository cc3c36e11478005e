"""The one door to the terminal: what goes through it, and that nothing goes past it."""

from __future__ import annotations

import ast
import json
import logging
from pathlib import Path

import click
import pytest

import paceline
from paceline.cli import screen
from paceline.cli.main import exit_code
from paceline.errors import UsageError

SOURCES = Path(paceline.__file__).parent
DOOR = SOURCES / "cli" / "screen.py"


@pytest.mark.parametrize("path", sorted(set(SOURCES.rglob("*.py")) - {DOOR}), ids=str)
def test_nothing_is_printed_past_the_door(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {
        *("print", "click.echo", "click.secho", "echo", "Console", "sys.stdout.write"),
        *("sys.stderr.write", "traceback.print_exc", "sys.stdout.buffer.write"),
    }


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("strava_export/athlete_id=4711/a.csv", "strava_export/athlete_id=***/a.csv"),
        ("athlete_id=004711x/a", "athlete_id=***/a"),
        ("strava_api/athlete-4711.jsonl:3", "strava_api/athlete-***.jsonl:3"),
        ("strava_api/Athlete_4711/a.jsonl", "strava_api/Athlete_***/a.jsonl"),
        ("athletes/4711/a.jsonl", "athletes/***/a.jsonl"),
        ("strava_export/export_12345678/a", "strava_export/export_***/a"),
        ("{'athlete_id': 4711}", "{'athlete_id': ***}"),
        ("athlete_ids=4711,4712/a.csv", "athlete_ids=***/a.csv"),
        ("Athlete #4711", "Athlete #***"),
        ("athlete_id%3D4711/a.csv", "athlete_id%3D***/a.csv"),
        ("a sample of 20 athletes, 30 days each", "a sample of 20 athletes, 30 days each"),
        ("strava_export/2024-06.csv", "strava_export/2024-06.csv"),
        ("20240601T060000-12345678: done", "20240601T060000-12345678: done"),
    ],
)
def test_who_is_named_is_masked(text: str, masked: str, capsys: pytest.CaptureFixture[str]) -> None:
    screen.say(text, is_error=True)
    screen.say(text, is_personal=True)
    assert capsys.readouterr() == (f"{text}\n", f"{masked}\n")


@pytest.mark.parametrize("is_personal", [True, False])
def test_commands_for_the_terminal_are_written_out(
    capsys: pytest.CaptureFixture[str], is_personal: bool
) -> None:
    hostile = "a\x1b[2J\x07\r\n\u202eb\udcff"
    written = r"a\x1b[2J\x07\r\n\u202eb\udcff"
    screen.say(hostile, is_personal=is_personal)
    assert capsys.readouterr().out == f"{written}\n"
    screen.say_json({hostile: [{"x": (hostile, 1, None)}]}, is_personal=is_personal)
    shown = capsys.readouterr().out
    assert json.loads(shown) == {written: [{"x": [written, 1, None]}]}
    screen.say_grid("t", screen.words("c"), [(hostile.replace("\n", ""),)], is_personal=is_personal)
    assert written.replace(r"\n", "") in capsys.readouterr().out


def test_what_is_logged_goes_through_the_door(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("paceline.publish.steps")
    with screen.logged():
        log.info("read athlete_id=4711/a\x1b")
        screen.be_quiet(True)
        log.info("not this")
        log.warning("athlete_id=4711/b is odd")
    log.info("nor this")
    out, err = capsys.readouterr()
    assert out == "read athlete_id=***/a\\x1b\n"
    assert err == "warning: athlete_id=***/b is odd\n"


@pytest.mark.parametrize("flags", [[], ["--debug"]])
def test_errors_go_through_the_door(capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    @click.command()
    @click.option("--debug", is_flag=True)
    def command(debug: bool) -> None:
        raise UsageError("The file athlete_id=4711/\x1b[2J is odd: remove it.")

    assert exit_code(command, flags) == 2
    err = capsys.readouterr().err
    assert r"paceline: The file athlete_id=***/\x1b[2J is odd" in err
    assert "4711" not in err
    assert "\x1b" not in err
