"""Drawn orders stop where, counted one by one, the first limit breaks."""

import numpy as np
import pytest
import xarray as xr

from grid.errors import BadInputError
from grid.interval import starts
from networks.flow.solve import flow
from networks.hosting.addition import Addition
from networks.hosting.deployment import deployments
from networks.hosting.limits import HostingLimits
from networks.injection import INPUTS

LIMITS = HostingLimits(voltage_max_pu=1.03)
SITE_KW = 15.0


@pytest.fixture(scope="module")
def village(rural, random_inputs):
    inputs = random_inputs(rural, 5)
    return xr.Dataset(
        {name: (("interval", "bus"), values) for name, values in zip(INPUTS, inputs, strict=True)},
        {"interval": starts(1_463_313_600, 5, 900), "bus": rural.bus},
    )


def _holds(model, series, buses):
    inputs = [series[name].to_numpy().copy() for name in INPUTS]
    for bus in buses:
        inputs[1][:, model.position(bus)] += SITE_KW
    state = flow(
        model, *inputs, starts=series["interval"].to_numpy(), grid_available=np.ones(5, bool),
        forming_bus=None,
    )  # fmt: skip
    return bool(
        (state["vm_pu"] <= 1.03).all()
        and (state["line_loading_percent"] <= 100).all()
        and (state["trafo_loading_percent"] <= 100).all()
    )


def test_each_order_stops_where_counting_one_by_one_stops(rural, village):
    sites = dict.fromkeys(rural.bus[:14].tolist(), SITE_KW)
    addition = Addition(profile=np.ones(5))
    found = deployments(rural, village, sites, draws=12, seed=3, addition=addition, limits=LIMITS)
    draw = np.random.default_rng(3)
    counted = []
    for _ in range(12):
        order = np.array(list(sites))[draw.permutation(14)].tolist()
        holding = [_holds(rural, village, order[:count]) for count in range(15)]
        counted.append(holding.index(False) - 1)
    assert found["sites"].to_numpy().tolist() == counted
    assert len(set(counted)) > 1
    assert (found["limit"] != "").all()
    assert float(found["kept_kw_quantile"][0]) == SITE_KW * min(counted)
    assert float(found["penetration_percent_quantile"][-1]) == pytest.approx(
        100 * max(counted) / 14
    )
    again = deployments(rural, village, sites, draws=12, seed=3, addition=addition, limits=LIMITS)
    assert again.identical(found)


def test_where_all_sites_are_kept_nothing_is_named(rural, village):
    sites = dict.fromkeys(rural.bus[:14].tolist(), 0.1)
    found = deployments(rural, village, sites, draws=3)
    assert found["penetration_percent"].to_numpy().tolist() == [100.0] * 3
    assert set(found["limit"].to_numpy()) == {""}


def test_sites_without_size_are_refused(rural, village):
    with pytest.raises(BadInputError, match="more than 0 kW"):
        deployments(rural, village, {int(rural.bus[0]): 0.0})
