"""The tutorial, command by command: what it shows is what comes out.

Commands of paceline run in this session, as they would in a terminal but for a start of Spark each.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from paceline.cli.main import exit_code, paceline

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANYTHING = "..."


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language and content."""
    return [(found[1], found[2]) for found in FENCE.finditer(text)]


def commands(console: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines that are shown below it."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, shown


def missing(shown: list[str], output: str) -> str | None:
    """The first shown line that does not come, in its turn; None when all do.

    Widths of columns and empty lines do not count. `...` stands for anything within a line, and
    between two lines others may come anyway.
    """
    lines = iter([" ".join(line.split()) for line in output.splitlines()])
    for line in shown:
        if line.strip() in ("", ANYTHING):
            continue
        parts = " ".join(line.split()).split(ANYTHING)
        pattern = re.compile(".*".join(re.escape(part) for part in parts))
        if not any(pattern.fullmatch(candidate) for candidate in lines):
            return line
    return None


@pytest.mark.parametrize(
    ("shown", "lost"),
    [
        (["a 1", "c 3"], None),
        (["a   1", "", "...", " b 2"], None),
        (["a ...", "... 3"], None),
        (["c 3", "a 1"], "a 1"),
        (["a"], "a"),
        (["a 1", "a 1"], "a 1"),
        (["b .", "c 3"], "b ."),
    ],
)
def test_what_is_shown_has_to_come_in_its_order(shown, lost):
    assert missing(shown, "a 1\n  b   2\nc 3\n") == lost


@pytest.mark.slow
def test_every_command_prints_what_the_tutorial_shows(quick_spark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("START_TIME", "END_TIME", "PACELINE_WEBHOOK"):
        monkeypatch.delenv(name, raising=False)
    for language, content in blocks(TUTORIAL.read_text(encoding="utf-8")):
        if language == "sh":
            subprocess.run(["sh", "-eu", "-c", content], check=True)
            continue
        assert language == "console", f"a block that nobody executes: {content}"
        for command, shown in commands(content):
            program, *arguments = shlex.split(command)
            assert program == "paceline", command
            # In the order in which a terminal shows both.
            with StringIO() as screen, redirect_stdout(screen), redirect_stderr(screen):
                code = exit_code(paceline, arguments)
                output = screen.getvalue()
            assert code == 0, f"{command}\n{output}"
            lost = missing(shown, output)
            assert lost is None, f"$ {command}\nno longer prints {lost!r}, but\n{output}"
