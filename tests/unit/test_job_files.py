"""Job files as platforms execute them: the text alone, in a fresh namespace or a cell of IPython.

None of these starts Spark.
"""

import ast
import builtins
import sys
from pathlib import Path
from types import ModuleType

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from paceline.errors import UsageError

FILES = sorted((Path(__file__).parents[2] / "jobs").glob("*.py"))
PIPELINE = ("feature_activity", "feature_rolling")


def texts():
    return [pytest.param(path.read_text(encoding="utf-8"), id=path.stem) for path in FILES]


def text_of(job):
    (path,) = (path for path in FILES if path.stem == job)
    return path.read_text(encoding="utf-8")


def execute(text, arguments, patch):
    """Without `__file__` and `__name__`: what a platform executes is a text."""
    patch.setattr(sys, "argv", ["job", *arguments])
    exec(compile(text, "<job>", "exec"), {})


def run_cell(text, arguments, patch, place):
    """The result of a cell, in a shell that keeps nothing and takes no module's name."""
    patch.setattr(sys, "argv", ["job", *arguments])
    patch.setattr(builtins, "__IPYTHON__", True, raising=False)
    quiet = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell(
        config=quiet, ipython_dir=str(place), user_module=ModuleType("cell_of_a_test")
    )
    try:
        return shell.run_cell(text)
    finally:
        del sys.modules["cell_of_a_test"]


def test_there_are_job_files():
    assert {path.stem for path in FILES} >= set(PIPELINE)


@pytest.mark.parametrize("text", texts())
def test_wrong_arguments_exit_with_2_and_one_sentence(text, monkeypatch, capsys):
    with pytest.raises(SystemExit) as left:
        execute(text, ["--frobnicate"], monkeypatch)
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("paceline: No such option")
    assert error.count("\n") == 1


@pytest.mark.parametrize("text", texts())
def test_what_succeeds_does_not_exit(text, monkeypatch, capsys):
    execute(text, ["--help"], monkeypatch)
    assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize("text", texts())
def test_a_cell_succeeds_or_raises_what_went_wrong(text, monkeypatch, capsys, tmp_path):
    assert run_cell(text, ["--help"], monkeypatch, tmp_path).success
    wrong = run_cell(text, ["--frobnicate"], monkeypatch, tmp_path)
    assert not isinstance(wrong.error_in_exec, SystemExit)
    assert "No such option" in str(wrong.error_in_exec)


@pytest.mark.parametrize("job", PIPELINE)
def test_empty_parameters_are_not_given(job, monkeypatch, capsys, tmp_path):
    places = [f"--landing={tmp_path / 'none'}", f"--warehouse={tmp_path}"]
    empty = ["--start=", "--end=", "--horizon="]
    for variable in ("START_TIME", "END_TIME"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(SystemExit, match="2"):
        execute(text_of(job), [*places, *empty], monkeypatch)
    missing = "none does not exist" if job == "feature_activity" else "run Feature_Activity first"
    assert missing in capsys.readouterr().err
    error = run_cell(text_of(job), [*places, *empty], monkeypatch, tmp_path).error_in_exec
    assert isinstance(error, UsageError)
    assert missing in str(error)


def unfit(tree):
    """(line, what) for everything in a job file that a platform does not take."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in ("__file__", "__name__", "exit", "quit"):
            yield node.lineno, node.id
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] != "paceline":
            yield node.lineno, node.module
    last = ast.unparse(tree.body[-1])
    if last != "main()":
        yield tree.body[-1].lineno, f"ends with {last} instead of main()"


@pytest.mark.parametrize("text", texts())
def test_a_job_file_needs_only_the_wheel(text):
    assert list(unfit(ast.parse(text))) == []


@pytest.mark.parametrize(
    "broken",
    [
        "import sys\nmain()",
        "from pathlib import Path\nmain()",
        "from . import other\nmain()",
        "here = __file__\nmain()",
        "if __name__ == '__main__':\n    main()",
        "exit(main())",
        "def main(): pass",
    ],
)
def test_an_unfit_job_file_is_found(broken):
    assert list(unfit(ast.parse(broken)))
