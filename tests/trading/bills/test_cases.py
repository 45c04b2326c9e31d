"""Bills worked out by hand, each with its working in its file, equal to the last digit."""

from pathlib import Path

import pytest

from trading.bill_case import differences, parse_case
from trading.bills import bill

CASES = sorted((Path(__file__).parent / "cases").glob("*.toml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_bill_worked_out_by_hand_is_met_to_the_last_digit(path):
    case = parse_case(path.read_text("utf-8"), path.name)
    assert case.expected is not None
    found = bill(case.given)
    assert differences(case, found) == []
    assert sum(line.amount_nano for line in found.lines) == found.total_nano


def test_there_are_cases_of_every_kind():
    assert len(CASES) >= 20
