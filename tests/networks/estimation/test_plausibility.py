"""Meters that stand elsewhere than recorded are found, and no others are accused."""

import numpy as np
import pytest
import xarray as xr

from grid.errors import BadInputError
from networks.estimation.plausibility import DIFFERS, PLAUSIBLE, UNDECIDED, findings, plausibility
from networks.estimation.trial import trial
from networks.flow.solve import flow
from networks.injection import INPUTS
from networks.sources.source import load


@pytest.fixture(scope="module")
def tried():
    return trial(load("simbench:1-LV-semiurb4--0-sw", source_voltage_pu=1.0))


@pytest.fixture(scope="module")
def weeks(tried):
    """Return (state, voltages shown) of two winter weeks; the source's voltage wanders."""
    part = tried.inputs.isel(interval=slice(96 * 14, 96 * 28))
    state = flow(
        tried.model,
        *(part[name].to_numpy() for name in INPUTS),
        starts=part["interval"].to_numpy(),
        grid_available=np.ones(part.sizes["interval"], bool),
        forming_bus=None,
    )
    draw = np.random.default_rng(5)
    true = state["vm_pu"].to_numpy()[:, tried.busy]
    wander = np.cumsum(draw.normal(0, 3e-4, len(true)))[:, None]
    gain = 1 + draw.normal(0, 0.004, true.shape[1])
    shown = (true + wander) * gain * (1 + draw.normal(0, 0.001, true.shape))
    measured = xr.Dataset(
        {"vm_pu": (("interval", "point"), shown)},
        {
            "point": [f"UP-{n}" for n in range(len(tried.busy))],
            "bus": ("point", tried.model.bus[tried.busy]),
        },
    )
    return state, measured


def test_meters_that_stand_where_they_are_recorded_are_plausible(tried, weeks):
    judged = plausibility(tried.model, *weeks)
    assert set(judged["verdict"].values) == {PLAUSIBLE}
    assert (judged["possible"] >= 1).all()
    assert findings(tried.model, judged) == []


def test_two_meters_that_were_exchanged_are_found_and_nobody_else(tried, weeks):
    state, measured = weeks
    true = state["vm_pu"].to_numpy()[:, tried.busy]
    far = np.abs(np.corrcoef(true.T) - 1)
    a, b = np.unravel_index(far.argmax(), far.shape)
    wrong = measured.copy(deep=True)
    wrong["vm_pu"].values[:, [a, b]] = measured["vm_pu"].values[:, [b, a]]
    judged = plausibility(tried.model, state, wrong)
    assert np.flatnonzero(judged["verdict"] == DIFFERS).tolist() == sorted([int(a), int(b)])
    for row, other in ((a, b), (b, a)):
        gap = np.ptp(
            state["vm_pu"].sel(bus=int(judged["likeliest_bus"][row])).to_numpy() - true[:, other]
        )
        assert gap < 5e-3
    told = findings(tried.model, judged)
    assert [one.code for one in told] == ["network.wrong_bus"] * 2
    assert f"UP-{min(a, b)} is recorded at" in " ".join(one.message for one in told)


def test_a_meter_of_which_little_is_known_is_undecided(tried, weeks):
    state, measured = weeks
    few = measured.copy(deep=True)
    few["vm_pu"].values[50:, 3] = np.nan
    judged = plausibility(tried.model, state, few)
    assert str(judged["verdict"].values[3]) == UNDECIDED
    assert set(np.delete(judged["verdict"].values, 3)) == {PLAUSIBLE}


def test_other_intervals_than_the_power_flow_has_are_refused(tried, weeks):
    state, measured = weeks
    with pytest.raises(BadInputError, match="has 1344 intervals, the voltages 5"):
        plausibility(tried.model, state, measured.isel(interval=slice(0, 5)))
