"""The oracle of the property tests, against values worked out by hand: which version wins."""

import pytest

from tests.oracle.worlds import (
    ACTIVITIES,
    PARTS,
    ROW_OF_RUN,
    RUN,
    activity,
    api,
    change,
    delivery,
    export,
    refusals,
    splits,
    world,
)


def test_the_newest_version_wins_in_any_order():
    old, new = api({**RUN, "name": "old"}, at=1), api({**RUN, "name": "new"}, at=2)
    assert activity(old, new)["name"] == activity(new, old)["name"] == "new"


def test_the_time_of_a_version():
    own = {**RUN, "name": "own", "updated_at": "2024-07-01T00:00:00+00:00"}
    named = delivery("strava_api/x_2024-06-30T06-00-00.jsonl", {**RUN, "name": "file"}, at=10**13)
    assert activity(named, api(own))["name"] == "own"
    assert activity(named, api({**own, "updated_at": "2024-06-29"}))["name"] == "file"
    first, again = (delivery("strava_api/a.jsonl", {**RUN, "name": "a"}, at=at) for at in (1, 5))
    assert activity(first, again, api({**RUN, "name": "b"}, at=3))["name"] == "b"


def test_position_in_the_log_path_line_and_digest_break_ties():
    by_lsn = [change("u", {**RUN, "name": name}, 5, lsn) for name, lsn in (("a", 2), ("b", 10))]
    assert activity(*by_lsn)["name"] == "b"
    early, late = (
        delivery(f"strava_api/{name}.jsonl", {**RUN, "name": name}, at=1) for name in ("x", "y")
    )
    assert activity(late, early)["name"] == "y"
    for names in "abc", "cba":
        assert activity(api(*({**RUN, "name": name} for name in names), at=1))["name"] == names[-1]
    # The SHA-256 of these lines begin with d6 for a and 29 for b.
    for names in "ab", "ba":
        again = [api({**RUN, "name": name}, at=1) for name in names]
        assert activity(*again)["name"] == "a"


def test_the_better_source_wins_over_the_newer():
    header = "Activity ID,Activity Date,Moving Time,Elapsed Time,Activity Name"
    exported = export(header, "1,2024-06-01,60,60,export")
    from_api = api({**RUN, "name": "api"}, at=50)
    changed = change("u", {**ROW_OF_RUN, "name": "flat", "is_race": True, "is_manual": True}, 5)
    assert activity(exported)["source"] == "strava_export"
    assert activity(exported, from_api)["name"] == "api"
    row = activity(exported, from_api, changed)
    assert (row["source"], row["name"], row["distance_m"]) == ("debezium", "flat", 10000.0)
    assert (row["is_race"], row["is_manual"]) == (True, True)


def test_a_delete_closes_what_is_not_later():
    delete = change("d", {"activity_id": 1}, 5)
    assert activity(api(RUN, at=4), delete) is None
    assert activity(delete, api(RUN, at=4)) is None
    assert activity(api(RUN, at=5), change("d", {"id": 1}, 5, lsn=1)) is None
    assert activity(change("c", RUN, 5, lsn=3), change("d", {"id": 1}, 5, lsn=2))
    assert activity(change("c", RUN, 5, lsn=3), change("d", {"id": 1}, 5, lsn=4)) is None


def test_a_delete_has_no_precedence_at_equal_time():
    # Neither says where it is in a log, so the paths decide: cdc/ comes before strava_api/.
    assert activity(api(RUN, at=5), change("d", {"activity_id": 1}, 5))


def test_a_recreated_activity_lives():
    story = [change("c", {**RUN, "name": "first"}, 1), change("d", {"id": 1}, 2)]
    assert activity(*story, change("c", {**RUN, "name": "again"}, 3))["name"] == "again"
    assert activity(*story, api({**RUN, "name": "api"}, at=3))["name"] == "api"


def test_envelopes():
    plain = {"op": "c", "after": RUN, "ts_ms": 1}
    assert activity(delivery("cdc/a.jsonl", "null", {"schema": {}, "payload": plain}))
    assert not refusals(delivery("cdc/a.jsonl", "null", {"schema": {}, "payload": None}))
    bad = [{"op": "x", "after": RUN}, {"op": "c", "after": None}, {"op": "d", "before": {"x": 1}}]
    for envelope in bad:
        assert refusals(delivery("cdc/a.jsonl", envelope))
    timed = {"op": "u", "after": {**RUN, "name": "source time"}, "source": {"ts_ms": "3"}}
    found = activity(delivery("cdc/a.jsonl", plain, timed))
    assert found["name"] == "source time"


def test_the_newest_valid_version_stays():
    good, bad = api({**RUN, "name": "good"}, at=1), api({**RUN, "moving_time": -1}, at=2)
    found = world(good, bad)
    assert [row["name"] for row in found.tables[ACTIVITIES].values()] == ["good"]
    assert found.refused == {(ACTIVITIES, (7, 1), ("moving_time_positive",))}
    assert refusals(bad, delivery("strava_api/copy.jsonl", bad.text, at=3)) == found.refused


def test_quarantine_closes():
    bad = api({**RUN, "moving_time": -1}, at=2)
    assert not refusals(bad, api(RUN, at=3))
    assert not refusals(bad, change("d", {"id": 1}, 2, lsn=1))
    assert refusals(bad, api(RUN, at=1), change("d", {"id": 1}, 1))


def test_the_winner_decides_the_athlete():
    moved = api({**RUN, "athlete": {"id": 8}}, at=2)
    found = world(api({**RUN, "splits_metric": splits((1, 1))}, at=1), moved)
    assert list(found.tables[ACTIVITIES]) == [(8, 1)]
    assert list(found.tables[PARTS]) == [(8, 1, "split", 1)]


def test_absent_is_not_empty():
    rich = api({**RUN, "calories": 500, "splits_metric": splits((1000, 300))}, at=1)
    thin = api({**RUN, "name": "thin", "calories": None}, at=2)
    found = world(rich, thin).tables
    assert [(row["name"], row["calories"]) for row in found[ACTIVITIES].values()] == [("thin", 500)]
    assert list(found[PARTS]) == [(7, 1, "split", 1)]
    assert not world(rich, thin, api({**RUN, "splits_metric": []}, at=3)).tables[PARTS]
    invalid = api({**RUN, "moving_time": -1, "splits_metric": []}, at=4)
    assert world(rich, thin, invalid).tables[PARTS]


def test_a_delete_closes_children_too():
    rich = api({**RUN, "calories": 500, "splits_metric": splits((1000, 300))}, at=1)
    found = world(rich, change("d", {"id": 1}, 2), api(RUN, at=3)).tables
    assert found[ACTIVITIES][7, 1]["calories"] is None
    assert not found[PARTS]


def test_children_of_a_lesser_source_are_kept():
    rich = api({**RUN, "laps": [{"lap_index": 1, "elevation_difference": 5}]}, at=1)
    flat = change("u", ROW_OF_RUN, 2)
    (row,) = world(rich, flat).tables[PARTS].values()
    assert (row["kind"], row["elevation_difference_m"]) == ("lap", None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [([2, 5], [2, 5]), ([None, 5], [1, 2]), ([3, 3, 1], [1, 2, 3]), ([0, 1], [1])],
)
def test_the_numbers_of_parts(given, expected):
    parts = [{"split": index} for index in given]
    found = world(api({**RUN, "splits_metric": parts})).tables[PARTS]
    assert [index for *_, index in found] == expected
