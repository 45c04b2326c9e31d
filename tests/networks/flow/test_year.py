"""The compiled year says what the state of each interval says."""

import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from grid.errors import BadInputError, SolverError
from grid.interval import starts
from networks.flow.judge import judge_year
from networks.flow.operator import MAX_ITERATIONS, iterate, operator
from networks.flow.year import chunks, year
from networks.injection import INPUTS, node_power
from networks.sources.source import load


def _dataset(model, inputs):
    times = starts(1_463_313_600, len(inputs[0]), 900)
    return xr.Dataset(
        {name: (("interval", "bus"), values) for name, values in zip(INPUTS, inputs, strict=True)},
        {"interval": times, "bus": model.bus},
    )


def _states(model, inputs):
    return xr.concat([state for _, state in chunks(model, inputs)], "interval")


@pytest.mark.parametrize("count", [1, 31, 32, 33, 500])
def test_the_year_equals_the_state_of_each_interval(rural, random_inputs, count):
    inputs = _dataset(rural, random_inputs(rural, count))
    result, states = year(rural, inputs), _states(rural, inputs)
    same = {
        "losses_kw": states["losses_kw"],
        "head_import_kw": states["head_import_kw"],
        "head_export_kw": states["head_export_kw"],
        "vm_pu_lowest": states["vm_pu"].min("bus"),
        "vm_pu_highest": states["vm_pu"].max("bus"),
        "vm_pu_minimum": states["vm_pu"].min("interval"),
        "vm_pu_maximum": states["vm_pu"].max("interval"),
        "line_loading_percent": states["line_loading_percent"].max("interval"),
        "trafo_loading_percent": states["trafo_loading_percent"].max("interval"),
        "line_loading_percent_highest": states["line_loading_percent"].max("line"),
    }
    for name, expected in same.items():
        assert np.abs(result[name] - expected).max() < 1e-8, name
    hours = 0.25 if count > 1 else 0.0
    lost = (states["line_p_from_kw"] + states["line_p_to_kw"]).sum("interval") * hours
    assert np.abs(result["line_losses_kwh"] - lost).max() < 1e-7
    assert float(result["residual_mva"].max()) < 1e-10


def test_compiled_code_and_the_dense_product_give_the_same_voltages(rural, random_inputs):
    count = 30_000
    power = node_power(rural, *random_inputs(rural, count))
    assert power.size >= 400_000
    compiled, _, converged = iterate(operator(rural), power)
    assert converged.all()
    some = power[:, :50]
    plain, _, _ = iterate(operator(rural), some)
    assert np.abs(compiled[:, :50] - plain).max() < 1e-12


def test_a_meshed_network_is_factored_too(random_inputs):
    model = load("pandapower:create_cigre_network_mv")
    ties = model.equipment.switch.index[~model.switching.closed].tolist()
    looped = model.switched(closed=ties)
    inputs = _dataset(looped, random_inputs(looped, 64, kw=800.0))
    gap, _ = judge_year(looped, inputs, year(looped, inputs), [0, 40])
    assert gap <= 1e-8


def test_only_the_buses_that_are_given_have_loads(rural, random_inputs):
    whole = _dataset(rural, random_inputs(rural, 40))
    some = whole.isel(bus=[3, 7, 7])
    blank = xr.zeros_like(whole)
    for name in INPUTS:
        blank[name][:, 3] = whole[name][:, 3]
        blank[name][:, 7] = 2 * whole[name][:, 7]
    assert np.abs(year(rural, some)["losses_kw"] - year(rural, blank)["losses_kw"]).max() < 1e-9


def test_newton_raphson_finishes_what_the_iteration_cannot():
    model = load("pandapower:case33bw", source_voltage_pu=1.0)
    factors = np.ones(100)
    factors[[5, 70]] = 3.5
    inputs = [
        factors[:, None] * getattr(model.equipment, f"nominal_{name}")[None] for name in INPUTS
    ]
    result = year(model, _dataset(model, inputs))
    assert result["vm_pu_lowest"][[5, 70]].to_numpy() == pytest.approx(0.527481, abs=1e-6)
    assert float(result["vm_pu_minimum"].min()) == pytest.approx(0.527481, abs=1e-6)
    assert result["vm_pu_lowest"][0] == pytest.approx(0.91309, abs=1e-5)
    assert result["losses_kw"][[0, 99]].to_numpy() == pytest.approx(202.677, abs=1e-3)
    assert MAX_ITERATIONS < 100


def test_a_load_beyond_collapse_names_its_interval():
    model = load("pandapower:case33bw", source_voltage_pu=1.0)
    inputs = [np.repeat(getattr(model.equipment, f"nominal_{n}")[None], 50, 0) for n in INPUTS]
    inputs[0][17] *= 50
    with pytest.raises(SolverError, match="2016-05-15T16:15Z: no power flow solution"):
        year(model, _dataset(model, inputs))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1])
def test_a_value_that_is_no_load_names_its_bus_and_interval(rural, random_inputs, value):
    inputs = random_inputs(rural, 80)
    inputs[2][77, 4] = value
    with pytest.raises(BadInputError, match=rf"bus {rural.bus[4]} .*07:15Z: absorbed_kvar is"):
        year(rural, _dataset(rural, inputs))


def test_the_result_does_not_depend_on_the_number_of_cores(rural, random_inputs, monkeypatch):
    inputs = _dataset(rural, random_inputs(rural, 1_000))
    several = year(rural, inputs)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    alone = year(rural, inputs)
    for name in several.data_vars:
        assert np.abs(several[name] - alone[name]).max() <= 1e-9, name
        if several[name].dims == ("interval",):
            assert several[name].identical(alone[name]), name


def test_the_result_does_not_depend_on_how_it_was_compiled(tmp_path):
    """A function compiled afresh, and the one that a later process finds in the cache."""
    code = (
        "import hashlib, numpy as np, tests.networks.flow.test_year as t\n"
        "from networks.flow.year import year\n"
        "model = t.load('simbench:1-LV-rural1--0-sw')\n"
        "share = np.random.default_rng(5).uniform(0, 1.5, (300, 1))\n"
        "given = [share * getattr(model.equipment, f'nominal_{n}')[None] for n in t.INPUTS]\n"
        "result = year(model, t._dataset(model, given))\n"
        "parts = [result[name].to_numpy().tobytes() for name in result.data_vars]\n"
        "print(hashlib.sha256(b''.join(parts)).hexdigest())\n"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    fresh, cached = (
        subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    )
    assert fresh == cached
    assert len(fresh) == 65
