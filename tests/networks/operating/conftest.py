"""Networks and pandapower's view of them, made once."""

import numpy as np
import pandapower as pp
import pytest

from grid.site import Network
from networks.operating.state import nominal
from networks.sources.compile import compile_net
from networks.sources.source import load, read_net
from networks.topology import connect

MV = "simbench:1-MV-rural--0-sw"
CIGRE = "pandapower:create_cigre_network_mv"


@pytest.fixture(scope="session")
def mv():
    return load(MV)


@pytest.fixture(scope="session")
def cigre():
    return load(CIGRE)


@pytest.fixture(scope="session")
def limits():
    return Network(source=MV)


@pytest.fixture(scope="session")
def from_net():
    """Return a function (change of a CIGRE MV net) -> network."""

    def make(change):
        net = read_net(CIGRE)
        change(net)
        model = connect(compile_net(net, source="changed", base_dir=None))
        model.equipment.kept["net"] = net
        return model

    return make


@pytest.fixture(scope="session")
def runpp():
    """Return a function (model, injections) -> pandapower net solved at the same injections."""

    def solve(model, drawn=None):
        drawn = nominal(model) if drawn is None else drawn
        net = model.pandapower_net()
        for table in ("load", "sgen", "storage"):
            net[table] = net[table].drop(index=net[table].index)
        a, b, c, d = (values[0] for values in drawn.inputs)
        pp.create_loads(net, model.bus, p_mw=(a - b) * 1e-3, q_mvar=(c - d) * 1e-3)
        pp.runpp(net, tolerance_mva=1e-10, max_iteration=50, calculate_voltage_angles=True)
        return net

    return solve


@pytest.fixture(scope="session")
def day(mv):
    """Return a function (model, factors) -> a series of the rated loads times factors."""
    import xarray as xr

    from networks.injection import INPUTS

    def make(model, factors, step_s=900, *, plants=0.0):
        starts = np.datetime64("2026-01-01", "s") + np.arange(len(factors)) * np.timedelta64(
            step_s, "s"
        )
        column = np.asarray(factors, dtype=float)[:, None]
        rated = nominal(model).inputs
        scale = (column, plants * np.ones_like(column), column, plants * np.ones_like(column))
        return xr.Dataset(
            {
                name: (("interval", "bus"), values * by)
                for name, values, by in zip(INPUTS, rated, scale, strict=True)
            },
            {"interval": starts, "bus": model.bus},
        )

    return make
