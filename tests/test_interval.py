"""Civil times become instants, and those that no clock or two clocks show become none."""

from __future__ import annotations

import pytest

from grid import interval
from grid.errors import BadInputError


def test_a_civil_time_is_an_instant_of_its_zone() -> None:
    assert interval.parse_civil("2026-05-27T14:40", "Asia/Baku") == interval.parse(
        "2026-05-27T10:40Z"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-03-29T02:30", "comes never in Europe/Berlin"),
        ("2026-10-25T02:30", "comes twice in Europe/Berlin"),
        ("noon", "is not a civil time"),
        ("0001-01-01T00:00", "is before 1970"),
    ],
)
def test_a_civil_time_that_is_no_single_instant_is_told(text: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        interval.parse_civil(text, "Europe/Berlin")
