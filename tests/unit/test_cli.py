"""What a user sees when something is wrong: one sentence, and the exit code that says whose fault.

None of these starts Spark.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from paceline.cli.main import exit_code, job_command, paceline
from paceline.pipeline.jobs import FEATURE_ACTIVITY, FEATURE_ROLLING

ROOT = Path(__file__).parents[2]
ACTIVITY, ROLLING = job_command(FEATURE_ACTIVITY), job_command(FEATURE_ROLLING)


def told(capsys, command, *arguments):
    """The exit code, and the one line on standard error."""
    code = exit_code(command, arguments)
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    return code, error


@pytest.fixture
def landing(tmp_path):
    delivery = tmp_path / "landing" / "strava_api" / "a.jsonl"
    delivery.parent.mkdir(parents=True)
    delivery.write_text("{}\n")
    return str(tmp_path / "landing")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "soon"], "neither a date nor an ISO timestamp"),
        (["--start", "2024-02-01", "--end", "2024-01-01"], "The window is empty"),
        (["--horizon", "tomorrow"], "is no date"),
        (["--policy", "MAYBE"], "'MAYBE' is not one of"),
        (["--frobnicate"], "No such option"),
        (["--conf", "/nowhere"], "has no paceline.yml"),
    ],
)
def test_wrong_usage_exits_with_2(capsys, landing, arguments, message):
    code, error = told(capsys, ACTIVITY, "--landing", landing, *arguments)
    assert code == 2
    assert message in error


def test_a_missing_landing_directory(capsys, tmp_path):
    code, error = told(capsys, ACTIVITY, "--landing", str(tmp_path / "none"))
    assert code == 2
    assert "does not exist" in error
    assert "--landing" in error


def test_an_empty_landing_directory(capsys, tmp_path):
    code, error = told(
        capsys, ACTIVITY, "--landing", str(tmp_path), "--warehouse", str(tmp_path / "w")
    )
    assert code == 2
    assert "holds no delivery" in error


def test_a_landing_directory_with_nothing_but_an_export_without_its_athlete(capsys, tmp_path):
    (tmp_path / "strava_export").mkdir()
    (tmp_path / "strava_export" / "export_7.zip").touch()
    given = ("--landing", str(tmp_path), "--warehouse", str(tmp_path / "w"))
    assert exit_code(ACTIVITY, given) == 2
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.endswith("whose it is: put it into strava_export/athlete_id=<id>/")
    assert "holds no delivery" in error


def test_feature_rolling_on_an_empty_warehouse_names_feature_activity(capsys, tmp_path):
    code, error = told(capsys, ROLLING, "--warehouse", str(tmp_path))
    assert code == 2
    assert "run Feature_Activity first" in error


def test_a_warehouse_that_cannot_be_written(capsys, landing, tmp_path):
    (tmp_path / "file").write_text("")
    code, error = told(
        capsys, ACTIVITY, "--landing", landing, "--warehouse", str(tmp_path / "file" / "w")
    )
    assert code == 2
    assert "cannot be created" in error


def test_a_contract_with_a_mistake_names_file_line_and_what_is_allowed(capsys, landing, tmp_path):
    conf = tmp_path / "conf"
    (conf / "contracts").mkdir(parents=True)
    (conf / "paceline.yml").write_bytes((ROOT / "conf" / "paceline.yml").read_bytes())
    for path in (ROOT / "conf" / "contracts").iterdir():
        text = path.read_text(encoding="utf-8")
        (conf / "contracts" / path.name).write_text(
            text.replace("severity: error", "severity: fatal", 1), encoding="utf-8"
        )
    code, error = told(capsys, ACTIVITY, "--landing", landing, "--conf", str(conf))
    assert code == 2
    assert "bronze.athlete_settings.odcs.yaml:" in error
    assert "error, warning" in error


def test_missing_delta_jars(capsys, landing, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: None)
    code, error = told(capsys, ACTIVITY, "--landing", landing, "--warehouse", str(tmp_path / "w"))
    assert code == 2
    assert "jars of Delta Lake are missing" in error
    assert "make setup" in error


def test_status_of_an_empty_warehouse(capsys, tmp_path):
    code, error = told(capsys, paceline, "status", "--warehouse", str(tmp_path))
    assert code == 2
    assert "is empty" in error


@pytest.mark.parametrize("flag", ["start", "end", "landing", "warehouse", "catalog", "conf",
                                  "horizon", "policy"])  # fmt: skip
def test_help_explains_every_argument_with_an_example(capsys, flag):
    assert exit_code(ACTIVITY, ["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    explained = text[text.index(f"--{flag} ") :]
    assert f"Example: --{flag} " in explained


def test_an_empty_flag_is_not_given_and_the_environment_counts(capsys, landing, monkeypatch):
    monkeypatch.setenv("START_TIME", "soon")
    code, error = told(capsys, ACTIVITY, "--landing", landing, "--start=")
    assert code == 2
    assert "--start is 'soon'" in error


def test_a_flag_wins_over_the_environment(capsys, landing, monkeypatch):
    monkeypatch.setenv("END_TIME", "soon")
    code, error = told(capsys, ACTIVITY, "--landing", landing, "--end", "never")
    assert code == 2
    assert "--end is 'never'" in error


def test_debug_shows_the_stack_trace(capsys, tmp_path):
    assert exit_code(ACTIVITY, ["--landing", str(tmp_path / "none"), "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("job", ["feature_activity", "feature_rolling"])
def test_a_job_file_runs_without_its_path_in_a_fresh_namespace(job, tmp_path):
    """As job platforms do: the text is compiled and executed, and a failure is an exit code."""
    text = (ROOT / "jobs" / f"{job}.py").read_text(encoding="utf-8")
    program = "import sys; text = sys.argv.pop(1); exec(compile(text, 'job', 'exec'), {})"
    arguments = ["--landing", str(tmp_path / "none"), "--warehouse", str(tmp_path), "--start="]
    done = subprocess.run(
        [sys.executable, "-c", program, text, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"START_TIME": ""},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("paceline: ")


def test_generate_writes_a_landing_zone(capsys, tmp_path):
    target = tmp_path / "landing"
    arguments = ["--athletes", "2", "--days", "30", "--seed", "1", "--into", str(target)]
    assert exit_code(paceline, ["generate", *arguments]) == 0
    assert "activities of 2 athletes" in capsys.readouterr().out
    assert any(target.rglob("*.jsonl"))


def test_help_needs_no_pyspark():
    """In a Python where pyspark cannot be found."""
    program = (
        "import sys; sys.modules['pyspark'] = None\n"
        "from paceline.cli.main import exit_code, paceline\n"
        "sys.exit(exit_code(paceline, ['run', '--help']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
