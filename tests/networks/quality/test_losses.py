"""Losses by group are those of pandapower, and what enters is delivered or lost."""

import numpy as np
import pytest
import xarray as xr

from grid.interval import starts
from networks.flow.judge import judge
from networks.flow.year import year
from networks.injection import INPUTS
from networks.quality.losses import losses


@pytest.fixture(scope="module")
def few(rural, random_inputs):
    inputs = random_inputs(rural, 4)
    return xr.Dataset(
        {name: (("interval", "bus"), values) for name, values in zip(INPUTS, inputs, strict=True)},
        {"interval": starts(1_463_313_600, 4, 900), "bus": rural.bus},
    )


def test_groups_are_what_runpp_says_of_lines_and_transformers(rural, few):
    found = losses(rural, few, year(rural, few))
    court = judge(rural)
    line = trafo = 0.0
    for step in range(4):
        net = court.run([few[name].to_numpy()[step] for name in INPUTS])
        line += float(net.res_line["pl_mw"].sum()) * 250.0
        trafo += float(net.res_trafo["pl_mw"].sum()) * 250.0
    names = found["group"].to_numpy().tolist()
    group = dict(zip(names, found["losses_kwh"].to_numpy().tolist(), strict=True))
    assert group["lines 0.4 kV"] == pytest.approx(line, abs=1e-6)
    both = group["transformers, load"] + group["transformers, no load"]
    assert both == pytest.approx(trafo, abs=1e-6)
    assert group["shunts"] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < group["transformers, load"] < group["transformers, no load"]


def test_no_load_losses_are_what_an_unloaded_transformer_takes(rural, few):
    """All of it without any load is the iron, and here its high-voltage side is held."""
    idle = few * 0.0
    found = losses(rural, idle, year(rural, idle))
    assert float(found["trafo_load_kwh"].sum()) == pytest.approx(0.0, abs=1e-4)
    net = rural.pandapower_net()
    iron = float(net.trafo["pfe_kw"].iloc[0]) * rural.source_voltage_pu**2
    assert float(found["trafo_no_load_kwh"][0]) == pytest.approx(iron, rel=5e-3)
    assert float(found["trafo_no_load_uncertain_kwh"][0]) == pytest.approx(0.0, abs=1e-9)
    loaded = losses(rural, few, year(rural, few))
    assert float(loaded["trafo_no_load_kwh"][0]) == pytest.approx(
        float(found["trafo_no_load_kwh"][0]), abs=1e-9
    )


def test_what_enters_is_delivered_or_lost(rural, few):
    found = losses(rural, few, year(rural, few))
    assert abs(found.attrs["balance_kwh"]) < 1e-6 < found.attrs["losses_kwh"]
    assert found.attrs["entering_kwh"] > float(few["injected_kw"].sum()) * 0.25
    assert float(found["losses_kwh"].sum()) == pytest.approx(found.attrs["losses_kwh"])
    assert (
        np.abs(
            found["share_percent"] - 100 * found["losses_kwh"] / found.attrs["entering_kwh"]
        ).max()
        < 1e-12
    )


def test_what_dead_buses_would_take_is_not_delivered(rural, few):
    cut = rural.switched(out=[("line", int(rural.line.index[0]))])
    found = losses(cut, few, year(cut, few))
    whole = losses(rural, few, year(rural, few))
    assert abs(found.attrs["balance_kwh"]) < 1e-6
    assert found.attrs["delivered_kwh"] != pytest.approx(whole.attrs["delivered_kwh"])
