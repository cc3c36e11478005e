"""What the commands of the quarantine print, and what they never print. Nothing starts Spark."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest

from paceline.cli import opening
from paceline.cli.main import exit_code, paceline
from paceline.errors import LockedError, RejectedError, UsageError
from paceline.pipeline import execute
from paceline.pipeline.arguments import Options
from paceline.session import lock
from paceline.store import quarantine
from paceline.store.quarantine import Group, Outcome, Record, Wanted

ACTIVITIES, SETTINGS = "silver.strava_activities", "silver.athlete_settings"
SEEN = datetime(2026, 3, 1, 6, 30, tzinfo=UTC)
PAYLOAD = '{"id":77001,"distance":1.10,"tags":[],"splits":[{"n":1},{"n":1e999}],"name":"A \\"b\\""}'

SPRINT = Record(
    table_name=ACTIVITIES,
    reject_key="3fa9c1" + "0" * 58,
    key='{"athlete_id":4242,"activity_id":77001}',
    source_path="strava_api/athlete_id=4242/march.jsonl",
    line_number=12,
    reasons=("moving_time_positive", "renamed_rule"),
    run_id="run-1",
    contract_version="1.0.0",
    first_seen=SEEN,
    last_seen=SEEN,
    resolved_by=None,
)
PULSE = Record(
    table_name=SETTINGS,
    reject_key="ab" * 32,
    key='{"athlete_id":4242,"valid_from":"2026-01-31"}',
    source_path="athlete_settings/[red]a\x1b[2J\nb.jsonl",
    line_number=3,
    reasons=("unreadable",),
    run_id="run-1",
    contract_version="1.0.0",
    first_seen=SEEN,
    last_seen=SEEN,
    resolved_by="run-9",
)


@pytest.fixture
def ask(capsys, monkeypatch, tmp_path):
    """Runs a command of the quarantine on a warehouse that only fakes look into."""
    monkeypatch.setattr(opening, "root_and_catalog", lambda options: (tmp_path, ""))
    monkeypatch.setattr(opening, "opened", lambda root, catalog, schema: "the warehouse")
    # Wide enough that no cell is folded.
    monkeypatch.setattr("paceline.cli.screen.PIPED_WIDTH", 300)

    def run(*arguments):
        code = exit_code(paceline, ["quarantine", *arguments])
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, error=said.err)

    return run


@pytest.fixture
def fake(monkeypatch):
    """Puts an answer in the place of a function of the machine; returns the calls it gets."""
    real = {module: dict(vars(module)) for module in (quarantine, execute)}

    def put(name, answer, module=quarantine):
        double = create_autospec(real[module][name], side_effect=[answer])
        monkeypatch.setattr(module, name, double)
        return double

    return put


def squeezed(text):
    """The text in one line, so that the width of columns does not matter."""
    return " ".join(text.split())


def test_the_list_shows_what_is_not_personal(ask, fake):
    fake("records", ([SPRINT], 1))
    told = ask()
    assert told.code == 0, told.error
    assert "Open records" in told.out
    for shown in (ACTIVITIES, "3fa9c1000000", "moving_time_positive", "2026-03-01 06:30"):
        assert shown in told.out
    assert "strava_api/athlete_id=***/march.jsonl:12" in told.out
    assert "4242" not in told.out
    assert "77001" not in told.out
    assert "3fa9c10000000" not in told.out
    assert "resolved by" not in told.out
    assert "more:" not in told.out


def test_json_lists_hide_what_is_personal_too(ask, fake):
    fake("records", ([SPRINT], 3))
    told = json.loads(ask("--json").out)
    assert told["total"] == 3
    (record,) = told["records"]
    assert record["key"] == {"athlete_id": "***", "activity_id": "***"}
    assert record["source_path"] == "strava_api/athlete_id=***/march.jsonl"
    assert record.keys().isdisjoint({"payload", "broken_values"})


def test_json_of_one_record_and_of_groups_holds_all_of_them(ask, fake):
    whole = Record(**{**vars(SPRINT), "payload": "{broken", "broken_values": {"a": None}})
    fake("find", [whole])
    (record,) = json.loads(ask("show", "3fa9c1", "--json").out)["records"]
    assert (record["payload"], record["broken_values"]) == ("{broken", {"a": None})
    fake("groups", [Group(ACTIVITIES, "r", 2, SEEN, SEEN), Group(None, None, 2, SEEN, SEEN)])
    told = json.loads(ask("group", "--json").out)
    assert [group["records"] for group in told["groups"]] == [2]
    assert told["total"]["table_name"] is None


def test_a_column_of_the_key_that_is_not_classified_is_shown(ask, fake):
    fake("records", ([PULSE], 1))
    out = squeezed(ask("--resolved").out)
    assert "valid_from 2026-01-31" in out
    assert "athlete_id ***" in out
    assert "4242" not in out


def test_without_a_contract_every_column_of_the_key_is_hidden(ask, fake):
    unknown = Record(**{**vars(PULSE), "table_name": "silver.gone"})
    fake("records", ([unknown], 1))
    assert "valid_from ***" in squeezed(ask("--resolved").out)


def test_names_of_files_are_neither_markup_nor_commands_for_the_terminal(ask, fake):
    fake("records", ([PULSE], 1))
    out = ask("--resolved").out
    assert "\x1b" not in out
    assert "athlete_settings/[red]a\\x1b[2J\\nb.jsonl:3" in out
    assert "run-9" in out


def test_the_list_asks_for_what_the_options_say(ask, fake):
    asked = fake("records", ([SPRINT], 1))
    ask("--table", ACTIVITIES, "--reason", "r", "--athlete", "4242", "--run", "run-1", "--limit=7")
    asked.assert_called_once_with("the warehouse", Wanted(ACTIVITIES, "r", 4242, "run-1", False), 7)


def test_list_is_the_command_when_none_is_named(ask, fake):
    for arguments in ([], ["list"], ["--resolved"], ["list", "--resolved"]):
        asked = fake("records", ([], 0))
        assert ask(*arguments).code == 0
        wanted = Wanted(is_resolved="--resolved" in arguments)
        asked.assert_called_once_with("the warehouse", wanted, 20)


def test_the_list_says_how_many_more_there_are(ask, fake):
    fake("records", ([SPRINT], 1_235))
    assert ask("--limit", "1").out.splitlines()[-1].startswith("1,234 more: raise --limit")


def test_an_empty_list_says_so(ask, fake):
    fake("records", ([], 0))
    assert ask().out == "No open record is like that.\n"
    fake("records", ([], 0))
    assert ask("--resolved").out == "No resolved record is like that.\n"


@pytest.mark.parametrize("command", [["list"], ["group"], ["show", "3fa9"], ["redrive"]])
def test_an_unknown_table_is_refused_with_those_that_are_known(ask, command):
    told = ask(*command, "--table", "silver.nothing")
    assert told.code == 2
    assert "--table is 'silver.nothing'; allowed are " in told.error
    assert ACTIVITIES in told.error


def test_groups_end_with_a_line_that_counts_each_record_once(ask, fake):
    later = SEEN + timedelta(days=1)
    fake(
        "groups",
        [
            Group(ACTIVITIES, "moving_time_positive", 1_500, SEEN, later),
            Group(ACTIVITIES, "start_date_present", 2, SEEN, SEEN),
            Group(None, None, 1_501, SEEN, later),
        ],
    )
    lines = [squeezed(line) for line in ask("group").out.splitlines() if line.strip()]
    first, last = "2026-03-01 06:30", "2026-03-02 06:30"
    assert f"{ACTIVITIES} {first} {last} 1,500 moving_time_positive" in lines
    assert f"{ACTIVITIES} {first} {first} 2 start_date_present" in lines
    assert lines[-1] == f"all records {first} {last} 1,501"


def test_groups_of_nothing(ask, fake):
    fake("groups", [Group(None, None, 0, None, None)])
    assert ask("group").out == "No open record is like that.\n"


def detailed(record, **cells):
    return Record(**{**vars(record), "payload": PAYLOAD, "broken_values": {}, **cells})


def test_show_tells_everything_of_one_record(ask, fake):
    values = {"moving_time_s": "-5", "elapsed_time_s": None}
    asked = fake("find", [detailed(SPRINT, broken_values=values)])
    told = ask("show", "3fa9", "--table", ACTIVITIES)
    asked.assert_called_once_with("the warehouse", "3fa9", ACTIVITIES)
    lines = told.out.splitlines()
    assert "reject key   3fa9c1" + "0" * 58 in lines
    assert 'key          {"athlete_id":4242,"activity_id":77001}' in lines
    assert "source       strava_api/athlete_id=4242/march.jsonl:12" in lines
    assert "refused by   run run-1 under contract 1.0.0" in lines
    assert "resolved by  nothing yet: it is open" in lines
    (rule,) = (line for line in lines if line.startswith("  moving_time_positive: "))
    assert len(rule) > len("  moving_time_positive: ")
    assert "  renamed_rule: There is no such rule in the contract any more." in lines
    assert lines.index("  elapsed_time_s: NULL") + 1 == lines.index("  moving_time_s: -5")


def test_json_is_set_off_and_otherwise_as_it_came(ask, fake):
    fake("find", [detailed(SPRINT)])
    payload = ask("show", "3fa9").out.split("\npayload\n")[1]
    assert payload == (
        '{\n  "id": 77001,\n  "distance": 1.10,\n  "tags": [],\n  "splits": [\n    {\n'
        '      "n": 1\n    },\n    {\n      "n": 1e999\n    }\n  ],\n  "name": "A \\"b\\""\n}\n'
    )


def test_deep_json_is_not_set_off_without_end(ask, fake):
    deep = "[" * 300 + "]" * 300
    fake("find", [detailed(SPRINT, payload=deep)])
    payload = ask("show", "3fa9").out.split("\npayload\n")[1]
    assert "".join(payload.split()) == deep
    assert max(len(line) - len(line.lstrip(" ")) for line in payload.splitlines()) == 40
    assert json.loads(payload) == json.loads(deep)


def test_a_payload_that_is_no_json_is_shown_line_by_line_without_its_commands(ask, fake):
    fake("find", [detailed(SPRINT, payload="Activity ID,Name\n1,\x1b[2Jx\t")])
    payload = ask("show", "3fa9").out.split("\npayload\n")[1]
    assert payload == "Activity ID,Name\n1,\\x1b[2Jx\\t\n"


def test_a_record_that_came_back_tells_its_earlier_stay(ask, fake):
    before = detailed(SPRINT, resolved_by="run-7", first_seen=datetime(2025, 1, 2, tzinfo=UTC))
    fake("find", [detailed(SPRINT), before])
    out = ask("show", "3fa9").out
    assert "before that  refused 2025-01-02 00:00 UTC, resolved by run-7" in out


def test_a_computed_row_came_from_no_file(ask, fake):
    fake("find", [detailed(PULSE, source_path=None, line_number=None)])
    lines = ask("show", "abab").out.splitlines()
    assert "source       none: paceline computed the row" in lines
    assert "  unreadable: Not even the fields of the record can be told." in lines
    assert "resolved by  run-9" in lines


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("encoding_unknown", "decimal.handling.mode=double"),
        ("flattened_change", "ExtractNewRecordState"),
        ("table_truncated", "DELETE instead of TRUNCATE"),
        ("envelope_unknown", "value.converter="),
        ("change_time_ahead", "mend the clock"),
    ],
)
def test_a_record_that_was_refused_says_what_to_do(ask, fake, reason, advice):
    fake("find", [detailed(PULSE, reasons=(reason,))])
    out = squeezed(ask("show", "abab").out)
    assert f"{reason}: " in out
    assert advice in out


def test_the_help_of_show_says_that_it_is_personal(ask):
    assert "PERSONAL DATA" in ask("show", "--help").out
    assert "PERSONAL DATA" in ask("--help").out


class Answers:
    """A warehouse whose session answers one question after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.spark = self

    def identifier(self, name):
        return name

    def sql(self, text):
        return SimpleNamespace(collect=lambda: self.answers.pop(0))


@pytest.mark.parametrize("prefix", ["", "xyz", "3fa9'", "0" * 65, "3fa9\n"])
def test_what_is_no_reject_key_is_refused_before_anything_is_read(prefix):
    with pytest.raises(UsageError, match=r"is no reject key: give the first digits of one"):
        quarantine.find(Answers(), prefix)


def test_an_unknown_reject_key_says_where_to_look():
    with pytest.raises(UsageError, match=r"begins with 3fa9: list them with `paceline quarantine`"):
        quarantine.find(Answers([]), "3FA9")


def test_an_ambiguous_prefix_names_the_candidates():
    rows = [{"table_name": ACTIVITIES, "reject_key": f"3fa9{n}" + "0" * 59} for n in range(6)]
    with pytest.raises(UsageError) as told:
        quarantine.find(Answers(rows[:2]), "3fa9")
    assert str(told.value) == (
        f"More than one reject key begins with 3fa9 (3fa900000000 of {ACTIVITIES}, 3fa910000000 "
        f"of {ACTIVITIES}): give more digits, or the table with --table."
    )
    with pytest.raises(UsageError, match=r"3fa940000000 of silver.strava_activities, and others"):
        quarantine.find(Answers(rows), "3fa9")


def redriven(fake, answer):
    fake("open_counts", {ACTIVITIES: 5, SETTINGS: 1})
    ran = fake("execute", answer, module=execute)
    fake(
        "outcomes",
        {
            ACTIVITIES: Outcome(ACTIVITIES, released=3, remaining=2, added=1),
            SETTINGS: Outcome(SETTINGS, released=0, remaining=1, added=0),
        },
    )
    return ran


def test_redrive_runs_both_jobs_and_tells_what_became_of_the_open_records(ask, fake):
    ran = redriven(fake, [])
    told = ask("redrive", "--landing", "L", "--warehouse", "W", "--policy", "ALWAYS", "--conf", "C")
    assert told.code == 0, told.error
    assert [squeezed(line) for line in told.out.splitlines()] == [
        "Of the records that were open:",
        f"{SETTINGS} 0 released, 1 remain",
        f"{ACTIVITIES} 3 released, 2 remain; 1 refused anew",
    ]
    (jobs, options), keywords = ran.call_args
    assert tuple(jobs) == ("Feature_Activity", "Feature_Rolling")
    assert options == Options(landing="L", warehouse="W", policy="ALWAYS", conf="C")
    assert keywords["compare_all"] == {ACTIVITIES, SETTINGS}
    (_, at), _ = quarantine.outcomes.call_args
    assert at == keywords["now"]


def test_redrive_of_one_table_compares_and_tells_of_that_alone(ask, fake):
    ran = redriven(fake, [])
    told = ask("redrive", "--table", SETTINGS)
    assert ran.call_args.kwargs["compare_all"] == {SETTINGS}
    assert ACTIVITIES not in told.out


def test_redrive_tells_the_outcome_of_a_run_that_was_rejected_too(ask, fake):
    redriven(fake, RejectedError("silver.x was rejected"))
    told = ask("redrive")
    assert told.code == 3
    assert "3 released, 2 remain" in told.out
    assert "silver.x was rejected" in told.error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "No table has open records.\n"), (["--table", SETTINGS], f"{SETTINGS} has no open")],
)
def test_redrive_of_nothing_runs_nothing(ask, fake, arguments, message):
    fake("open_counts", {} if not arguments else {ACTIVITIES: 1})
    ran = fake("execute", [], module=execute)
    told = ask("redrive", *arguments)
    assert told.out.startswith(message)
    ran.assert_not_called()


def test_prune_holds_the_warehouse_and_says_how_many(ask, monkeypatch, tmp_path):
    calls = []

    def prune(warehouse, before):
        calls.append(before)
        with pytest.raises(LockedError), lock(tmp_path):
            pass
        return 1_200

    monkeypatch.setattr(quarantine, "prune", prune)
    told = ask("prune", "--older-than", "90")
    assert told.code == 0, told.error
    assert told.out.startswith("Records deleted, resolved before ")
    assert told.out.endswith("UTC: 1,200\n")
    assert abs(datetime.now(UTC) - timedelta(days=90) - calls[0]) < timedelta(minutes=1)


def test_a_dry_prune_deletes_nothing_and_waits_for_nobody(ask, fake, tmp_path):
    fake("prunable", 3)
    pruned = fake("prune", 3)
    with lock(tmp_path):
        told = ask("prune", "--older-than", "0", "--dry-run")
    assert told.out.startswith("Records to be deleted, resolved before ")
    assert told.out.endswith("UTC: 3\n")
    pruned.assert_not_called()


@pytest.mark.parametrize("days", ["-1", "36501", "soon", None])
def test_prune_wants_a_number_of_days(ask, days):
    told = ask("prune", *([] if days is None else ["--older-than", days]))
    assert told.code == 2
    assert "--older-than" in told.error


def test_an_empty_warehouse_is_told(capsys, tmp_path):
    assert exit_code(paceline, ["quarantine", "--warehouse", str(tmp_path)]) == 2
    assert "is empty" in capsys.readouterr().err


def test_the_help_has_an_example_of_every_command(ask):
    out = ask("--help").out
    for command in ("", " group", " show", " redrive", " prune"):
        assert f"paceline quarantine{command}" in out
