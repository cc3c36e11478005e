"""The commands of the online store: what they say, and how they end."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from paceline.cli.main import exit_code, paceline, run_sync
from paceline.online.repository import Repository
from paceline.pipeline import alerts
from tests.online.gold import DAY, ROLLING, Gold
from tests.online.stores import copied, made

TABLES = ["athlete_rolling_features", "activity_features"]
DAYS = [DAY + timedelta(days=n) for n in range(3)]


@pytest.fixture
def gold(tmp_path: Path) -> Gold:
    made = Gold(tmp_path / "warehouse")
    made.put_days(1001, DAYS)
    made.put_days(1002, DAYS)
    made.seal()
    return made


@pytest.fixture
def repo(gold: Gold, tmp_path: Path) -> Repository:
    return made(tmp_path / "feature_repo", gold.root)


def online(*arguments: str, gold: Gold, repo: Path) -> int:
    return exit_code(
        paceline, ["online", *arguments, "--warehouse", str(gold.root), "--repo", str(repo)]
    )


def test_from_nothing_to_a_proof(
    gold: Gold, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = copied(tmp_path / "mine")
    assert online("apply", gold=gold, repo=repo) == 0
    assert online("status", gold=gold, repo=repo) == 0
    assert "never synced" in capsys.readouterr().out
    assert online("sync", gold=gold, repo=repo) == 0
    assert (
        "athlete_rolling  version 2: 2 athletes compared, 2 written, 0 deleted "
        "(everybody was compared: nothing has been synced yet)"
    ) in capsys.readouterr().out
    assert online("verify", gold=gold, repo=repo) == 0
    capsys.readouterr()
    gold.put_days(1002, DAYS[-1:], acwr=None)
    gold.delete(ROLLING, [(1001, day.toordinal()) for day in DAYS])
    assert online("status", "--json", gold=gold, repo=repo) == 0
    told = json.loads(capsys.readouterr().out)
    rolling = told["views"][0]
    assert (told["store"], told["is_unfinished"]) == ("sqlite", False)
    assert (rolling["version"], rolling["athletes"]) == (2, 2)
    assert rolling["gold_version"] > 2
    assert online("sync", gold=gold, repo=repo) == 0
    assert "2 athletes compared, 1 written, 1 deleted\n" in capsys.readouterr().out


def test_what_is_wrong_is_shown_without_the_athlete(
    gold: Gold, repo: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    assert online("sync", gold=gold, repo=repo.directory) == 0
    with sqlite3.connect(repo.sqlite_path) as store:
        store.execute(
            "UPDATE paceline_athlete_rolling SET value = ? WHERE feature_name = 'tss_7d'"
            " AND entity_key = (SELECT min(entity_key) FROM paceline_athlete_rolling)",
            (b"\x29\x00\x00\x00\x00\x00\x00\x00\x00",),
        )
    capsys.readouterr()
    assert online("verify", gold=gold, repo=repo.directory) == 1
    said = capsys.readouterr()
    assert "tss_7d" in said.out
    assert "1001" not in said.out
    assert "The online store differs from gold for 1 athletes" in said.err
    assert online("verify", "--personal", gold=gold, repo=repo.directory) == 1
    assert "1001: tss_7d" in capsys.readouterr().out


def test_a_sync_tells_what_each_view_was_made_from(
    gold: Gold, redis: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENLINEAGE_DISABLED")
    monkeypatch.setenv("HOME", str(tmp_path))  # which may configure OpenLineage
    repo = made(tmp_path / "feature_repo", gold.root, redis)
    text = repo.file.read_text(encoding="utf-8").replace("db=0", "db=0,username=default")
    repo.file.write_text(text)
    assert online("sync", gold=gold, repo=repo.directory) == 0
    lines = (gold.root / "openlineage.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    told = [
        (
            event["eventType"],
            event["inputs"][0]["name"],
            event["inputs"][0]["facets"]["version"]["datasetVersion"],
            event["outputs"][0]["namespace"],
            event["outputs"][0]["name"],
        )
        for event in events
    ]
    tables = [f"{gold.root}/feature_store/{name}" for name in TABLES]
    views = ["paceline.athlete_rolling", "paceline.last_activity"]
    assert told == [
        (end, table, version, f"redis://127.0.0.1:{redis}", view)
        for table, view, version in zip(tables, views, ["2", "0"], strict=True)
        for end in ("START", "COMPLETE")
    ]
    facets = [event["outputs"][0]["outputFacets"] for event in events[1::2]]
    assert [facet["outputStatistics"]["rowCount"] for facet in facets] == [2, 0]


def test_a_job_that_fails_alerts(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setenv("PACELINE_WEBHOOK", "https://hooks.example/secret")
    monkeypatch.setattr(alerts, "send", lambda url, text: sent.append(text))
    nowhere = ["--warehouse", str(tmp_path / "nowhere"), "--repo", str(repo.directory)]
    monkeypatch.setattr(sys, "argv", ["sync_online.py", *nowhere])
    with pytest.raises(SystemExit, match="2"):
        run_sync()
    (text,) = sent
    assert text.startswith("paceline Online_Sync FAILED\n- The warehouse")


def said_of(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


def test_a_view_that_is_not_registered(
    gold: Gold, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = copied(tmp_path / "mine")
    assert online("sync", gold=gold, repo=repo) == 2
    assert "run `paceline online apply` first" in said_of(capsys)


def test_no_repository(gold: Gold, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert online("sync", gold=gold, repo=tmp_path / "nowhere") == 2
    assert "There is no feature repository at" in said_of(capsys)


def test_nothing_synced(gold: Gold, repo: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    assert online("verify", gold=gold, repo=repo.directory) == 2
    assert "has never been synced" in said_of(capsys)


def test_another_warehouse_than_the_registered_one(
    repo: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Gold(tmp_path / "other")
    assert online("sync", gold=other, repo=repo.directory) == 2
    assert f"not for {other.root}" in said_of(capsys)


def test_a_file_that_is_no_store(
    gold: Gold, repo: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repo.sqlite_path.write_bytes(b"no database at all, but long enough to be read as one" * 40)
    assert online("sync", gold=gold, repo=repo.directory) == 1
    assert "cannot be used (file is not a database)" in said_of(capsys)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"type": "dynamodb"}, "its type must be sqlite or redis"),
        ({"type": "redis", "connection_string": "h:1"}, "without `skip_dedup: true`"),
        ({"redis_type": "redis_cluster"}, "no cluster and no Sentinel"),
        ({"redis_type": "redis_sentinel"}, "no cluster and no Sentinel"),
        ({"key_ttl_seconds": 60}, "key_ttl_seconds would delete"),
        ({"client": "glide"}, "by the client redis only"),
        ({"connection_string": "${NO_SUCH_VARIABLE}"}, "needs NO_SUCH_VARIABLE, which"),
        ({"connection_string": ""}, "connection_string of Redis is no host:port"),
    ],
)
def test_a_store_that_cannot_be_kept_exact(
    gold: Gold,
    repo: Repository,
    change: dict[str, object],
    part: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = yaml.safe_load(repo.file.read_text())
    redis = {"type": "redis", "connection_string": "127.0.0.1:1", "skip_dedup": True}
    settings["online_store"] = change if "type" in change else {**redis, **change}
    repo.file.write_text(yaml.safe_dump(settings))
    assert online("sync", gold=gold, repo=repo.directory) == 2
    assert part in said_of(capsys)


def test_redis_is_down(gold: Gold, repo: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    settings = yaml.safe_load(repo.file.read_text())
    settings["online_store"] = {
        "type": "redis",
        "connection_string": "127.0.0.1:1",
        "skip_dedup": True,
    }
    repo.file.write_text(yaml.safe_dump(settings))
    assert online("sync", gold=gold, repo=repo.directory) == 1
    assert "Redis does not answer" in said_of(capsys)


def test_a_wrong_password(
    gold: Gold, redis: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = made(tmp_path / "feature_repo", gold.root, redis)
    settings = yaml.safe_load(repo.file.read_text())
    settings["online_store"]["connection_string"] += ",username=nobody,password=wrong-one"
    repo.file.write_text(yaml.safe_dump(settings))
    assert online("sync", gold=gold, repo=repo.directory) == 2
    said = said_of(capsys)
    assert "Redis refuses the user or the password" in said
    assert "wrong-one" not in said


def test_redis_goes_away_in_the_middle_and_the_next_sync_repairs(
    gold: Gold,
    redis: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from paceline.online.redis_store import RedisStore

    repo = made(tmp_path / "feature_repo", gold.root, redis)
    real = RedisStore.write

    def cut(self: RedisStore, *arguments: object) -> None:
        real(self, *arguments)  # type: ignore[arg-type]
        pool = self._client.connection_pool
        pool.connection_kwargs |= {"port": 1, "retry": Retry(NoBackoff(), 0)}
        pool.reset()

    with monkeypatch.context() as patch:
        patch.setattr(RedisStore, "write", cut)
        assert online("sync", gold=gold, repo=repo.directory) == 1
    assert "the next sync repairs" in said_of(capsys)
    client = Redis(port=redis)
    assert client.delete("paceline:paceline:lock") == 1  # as after a minute
    assert online("status", gold=gold, repo=repo.directory) == 0
    assert "a sync was not finished" in capsys.readouterr().out
    assert online("sync", gold=gold, repo=repo.directory) == 0
    assert online("verify", gold=gold, repo=repo.directory) == 0


def test_the_views_say_what_the_contracts_say(repo: Repository, gold: Gold) -> None:
    from paceline.online.repository import feature_store

    store = feature_store(repo)
    for name, table in (
        ("athlete_rolling", "feature_store.athlete_rolling_features"),
        ("last_activity", "feature_store.activity_features"),
    ):
        view, contract = store.get_feature_view(name), gold.contracts[table]
        columns = [c for c in contract.columns if c.name not in ("athlete_id", "event_timestamp")]
        assert {(f.name, f.description) for f in view.features} == {
            (c.name, c.description) for c in columns
        }
        assert view.ttl == timedelta(0)
        assert (view.owner, view.tags["contract_version"]) == ("paceline", contract.version)
    services = store.list_feature_services()
    assert [service.name for service in services] == ["train_time_v1"]
    served = {view.name for service in services for view in service.feature_view_projections}
    assert served == {"athlete_rolling"}
