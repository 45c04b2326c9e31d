"""Renewable energy is matched in each interval, and CO2 is rounded once."""

import numpy as np
import pytest

from grid.errors import BadInputError
from trading.origin import Origin, origin


def of(own, local, imported, co2=(0,)):
    arrays = (np.array(values, np.int64) for values in (own, local, imported))
    return origin(*arrays, np.resize(np.array(co2, np.int64), len(imported)))


def test_own_local_and_grid_energy_and_its_co2():
    """300 Wh x 412,500 mg/kWh + 100 Wh x 90,000 mg/kWh = 123,750 + 9,000 mg."""
    found = of([50, 0], [0, 200], [300, 300], [412_500, 90_000])
    assert found == Origin(own_wh=50, local_wh=200, grid_wh=400, co2_mg=132_750)
    assert found.local_permille == 384, "250 of 650 is 384.6, never rounded up"


@pytest.mark.parametrize(("wh", "co2_mg"), [(499, 0), (500, 1), (1_499, 1), (1_500, 2)])
def test_half_a_milligram_counts_as_one_and_only_the_sum_is_rounded(wh, co2_mg):
    assert of([0] * wh, [0] * wh, [1] * wh, [1]).co2_mg == co2_mg


def test_nothing_used_claims_nothing():
    assert of([], [], []).local_permille == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([0], [5], [4]), r"local_wh\[0\] is 5, must be at most import_wh 4"),
        (([-1], [0], [4]), "own_wh is -1, must be at least 0"),
        (([0, 0], [0], [4]), r"own_wh has shape \(2,\), must have \(1,\)"),
        (([0], [0], [2**40], [2**40]), "may be beyond"),
    ],
)
def test_what_cannot_be_matched_is_refused(arrays, message):
    with pytest.raises(BadInputError, match=message):
        of(*arrays)
