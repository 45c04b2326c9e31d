"""Renewable energy is matched in each interval, each Wh once; CO2 is rounded once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError
from trading.origin import Origin, matched_local, origin


def test_who_bought_comes_first_and_the_rest_is_shared_by_imports():
    """Of 700 Wh, 300 were bought and used; 400 go to imports of 200 and 600 that are left."""
    assert matched_local([500, 600, 0], [300, 0, 0], [0, 0, 700]) == [400, 300, 0]


def test_what_was_bought_and_not_used_is_nobodys_local_energy():
    assert matched_local([100, 0], [250, 0], [0, 300]) == [100, 0]


def test_what_was_sold_and_not_delivered_is_matched_with_nobody():
    assert matched_local([300, 300, 0], [300, 100, 0], [0, 0, 101]) == [76, 25, 0], (
        "75.75 and 25.25"
    )


POINTS = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000)), max_size=8
)


@given(POINTS)
def test_local_energy_is_at_most_imported_and_each_exported_wh_is_matched_once(points):
    imported, bought, exported = ([one[n] for one in points] for n in range(3))
    local = matched_local(imported, bought, exported)
    assert all(0 <= wh <= most for wh, most in zip(local, imported, strict=True))
    assert sum(local) == min(sum(imported), sum(exported)), "and none is left while one imports"
    claims = [min(wh, most) for wh, most in zip(bought, imported, strict=True)]
    if sum(claims) <= sum(exported):
        assert all(wh >= claim for wh, claim in zip(local, claims, strict=True))


def test_the_rest_is_of_the_grid_and_brings_its_co2():
    """400 Wh x 412,500 mg/kWh = 165,000 mg."""
    found = origin(600, 200, 412_500)
    assert found == Origin(local_wh=200, grid_wh=400, co2_mg=165_000)
    assert found.local_permille == 333, "a third is 333.3, never rounded up"


@pytest.mark.parametrize(("wh", "co2_mg"), [(499, 0), (500, 1), (1_499, 1), (1_500, 2)])
def test_half_a_milligram_counts_as_one_and_only_the_sum_is_rounded(wh, co2_mg):
    assert origin(wh, 0, 1).co2_mg == co2_mg


def test_nothing_is_said_of_co2_that_is_not_known_and_nothing_used_claims_nothing():
    assert origin(100, 0, 0).co2_mg is None
    assert origin(0, 0, 0).local_permille == 0


@pytest.mark.parametrize("facts", [(4, 5, 1), (4, -1, 1), (4, 4, -1)])
def test_what_cannot_be_matched_is_refused(facts):
    with pytest.raises(BadInputError, match="must be"):
        origin(*facts)
