"""The list of minutes below a run of the tests."""

from tests.minutes import SHOWN_MODULES, minutes


def test_minutes_are_those_of_all_phases_by_folder_and_then_by_module():
    durations = [
        ("tests/unit/test_a.py::test_one", 6.0),
        ("tests/pipeline/test_b.py::test_two[x::y]", 60.0),
        ("tests/pipeline/test_b.py::test_two[x::y]", 30.0),
        ("tests/pipeline/test_c.py::test_three", 120.0),
        ("tests/unit/test_a.py::test_four", 12.0),
    ]
    assert list(minutes(durations)) == [
        "   3.5  tests/pipeline",
        "   0.3  tests/unit",
        "   2.0  tests/pipeline/test_c.py",
        "   1.5  tests/pipeline/test_b.py",
        "   0.3  tests/unit/test_a.py",
    ]


def test_only_the_slowest_modules_are_listed():
    durations = [(f"tests/unit/test_{n}.py::test_one", 60.0 + n) for n in range(50)]
    _, *modules = minutes(durations)
    assert len(modules) == SHOWN_MODULES
    assert modules[0].endswith("test_49.py")


def test_a_short_run_has_no_list():
    assert list(minutes([("tests/unit/test_a.py::test_one", 50.0)])) == []
