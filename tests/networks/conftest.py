"""One cache for the whole session, so that each network is compiled once."""

import os
from copy import deepcopy

import numpy as np
import pytest

from grid.interval import starts
from networks.flow.solve import flow
from networks.sources.source import load

RURAL = "simbench:1-LV-rural1--0-sw"
START_S = 1_463_313_600


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    before = os.environ.get("KHAZRI_CACHE")
    if before is None:
        os.environ["KHAZRI_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["KHAZRI_CACHE"]


@pytest.fixture(scope="session")
def rural():
    return load(RURAL, source_voltage_pu=1.015)


@pytest.fixture(scope="session")
def rural_net(rural):
    """Return a function that gives a fresh copy of the pandapower net of `rural`."""
    net = rural.pandapower_net()
    return lambda: deepcopy(net)


@pytest.fixture(scope="session")
def random_inputs():
    """Return a function (model, count, kw) -> four arrays (interval, bus)."""

    def make(model, count, kw=4.0, seed=7):
        draw = np.random.default_rng(seed)
        shape = (count, len(model.bus))
        return tuple(draw.random(shape) * scale for scale in (kw, kw, kw / 3, kw / 4))

    return make


@pytest.fixture(scope="session")
def solve():
    """Return a function (model, inputs, available, forming_bus) -> power flow."""

    def run(model, inputs, available=None, forming_bus=None):
        count = len(inputs[0])
        return flow(
            model,
            *inputs,
            starts=starts(START_S, count, 900),
            grid_available=np.ones(count, bool) if available is None else np.array(available),
            forming_bus=forming_bus,
        )

    return run
