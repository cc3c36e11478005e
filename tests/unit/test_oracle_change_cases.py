"""The oracle, against the inputs that the product is tested with."""

import pytest

from tests.fixtures.change_cases import CASES
from tests.oracle.worlds import ACTIVITIES, PARTS, SETTINGS, delivery, world


@pytest.mark.parametrize("name", CASES)
def test_a_case(name):
    case = CASES[name]
    found = world(delivery(case.path, *case.lines))
    rows = [*found.tables[ACTIVITIES].values(), *found.tables[SETTINGS].values()]
    published = {} if case.published is None else case.published
    assert len(rows) == (case.published is not None)
    assert all(row.items() >= published.items() for row in rows), rows
    assert sorted(reasons for _, _, reasons in found.refused) == sorted(case.refused)
    parts = {key[2:]: row for key, row in found.tables[PARTS].items()}
    assert parts.keys() == case.parts.keys()
    for key, cells in case.parts.items():
        assert parts[key].items() >= cells.items()
