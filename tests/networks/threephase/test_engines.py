"""Against engines that share no line with pandapower: power-grid-model and OpenDSS."""

import numpy as np
import opendssdirect as dss
import pytest

from networks.bench_threephase import Batch, rows
from networks.threephase.flow import flow, nominal_flow

SCENARIOS = ("off_peak_1", "on_peak_566", "off_peak_1440")


def inputs(model):
    """Return (buses, four inputs of one interval) of the loads that the net has."""
    used = np.flatnonzero(model.nominal_wye.any(axis=(0, 2)))
    return model.bus[used], list(model.nominal_wye[:, None, used])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_european_feeder_agrees_with_power_grid_model(european, compiled, scenario):
    net = european(scenario)
    model = compiled(net, 1.05).behind_impedance()
    at, given = inputs(model)
    batch = Batch(net, at, given)
    batch(0)
    state = flow(model, *given, starts=np.zeros(1, "datetime64[s]"), at=at)
    assert np.abs(state["vm_pu"].to_numpy() - batch.vm_pu).max() < 2e-5
    # So close that a wrong voltage factor of the source impedance would be seen.
    assert np.abs(state["vm_pu"].to_numpy() - batch.vm_pu).max() < 1e-6


def test_a_weak_source_agrees_with_power_grid_model(european, compiled):
    net = european("on_peak_566")
    net.ext_grid[["s_sc_max_mva", "rx_max", "r0x0_max", "x0x_max"]] = 8.0, 0.4, 0.4, 2.5
    net.trafo["vector_group"], net.trafo["shift_degree"] = "YNyn", 0.0
    model = compiled(net, 1.05).behind_impedance()
    at, given = inputs(model)
    batch = Batch(net, at, given)
    batch(0)
    state = flow(model, *given, starts=np.zeros(1, "datetime64[s]"), at=at)
    assert np.abs(state["vm_pu"].to_numpy() - batch.vm_pu).max() < 1e-6
    held = nominal_flow(compiled(net, 1.05))
    assert np.abs(held["vm_pu"] - state["vm_pu"]).max() > 1e-3


def test_four_buses_agree_with_opendss(compiled, tmp_path):
    import pandapower as pp

    net = pp.create_empty_network(sn_mva=1.0)
    buses = [pp.create_bus(net, 0.4) for _ in range(4)]
    pp.create_ext_grid(
        net, buses[0], vm_pu=1.03, s_sc_max_mva=10.0, rx_max=0.5, r0x0_max=0.5, x0x_max=1.6
    )
    dss.Basic.ClearAll()
    dss.Text.Command("set defaultbasefrequency=50")
    x = 1.1 * 0.4**2 / 10.0 / np.sqrt(1.25)
    dss.Text.Command(
        f"new circuit.four bus1=b0 basekv=0.4 pu=1.03 r1={x / 2} x1={x} r0={x * 0.8} x0={x * 1.6}"
    )
    for number in range(3):
        pp.create_line_from_parameters(
            net, buses[number], buses[number + 1], 0.15, r_ohm_per_km=0.32, x_ohm_per_km=0.08,
            c_nf_per_km=300.0, max_i_ka=0.2, r0_ohm_per_km=1.2, x0_ohm_per_km=0.3,
            c0_nf_per_km=120.0,
        )  # fmt: skip
        dss.Text.Command(
            f"new line.l{number} bus1=b{number} bus2=b{number + 1} length=0.15 r1=0.32 x1=0.08 "
            "c1=300 r0=1.2 x0=0.3 c0=120 basefreq=50"
        )
    model_loads = {1: (9.0, 1.0, 3.0), 2: (0.0, 7.5, 2.0), 3: (6.0, 0.5, 8.0)}
    given = np.zeros((4, 1, 3, 3))
    volts = 400.0 / np.sqrt(3)
    for row, (bus, powers) in enumerate(model_loads.items()):
        given[0, 0, row], given[2, 0, row] = powers, np.array(powers) * 0.25
        for phase, kw in enumerate(powers):
            dss.Text.Command(
                f"new load.d{bus}{phase} bus1=b{bus}.{phase + 1} phases=1 kv={volts / 1e3} "
                f"kw={kw} kvar={kw * 0.25} model=1 vminpu=0.5 vmaxpu=1.5"
            )
    dss.Text.Command("set tolerance=1e-10")
    dss.Text.Command("set maxiterations=100")
    dss.Text.Command("solve")
    assert dss.Solution.Converged()
    state = flow(
        compiled(net, 1.03).behind_impedance(), *given, starts=np.zeros(1, "datetime64[s]"),
        at=list(model_loads),
    ).isel(interval=0)  # fmt: skip
    for bus in range(4):
        dss.Circuit.SetActiveBus(f"b{bus}")
        theirs = np.array(dss.Bus.VMagAngle())[::2] / volts
        assert np.abs(state["vm_pu"].sel(bus=bus) - theirs).max() < 1e-6, bus
    dss.Circuit.SetActiveElement("line.l0")
    leaving = np.array(dss.CktElement.Currents()[:6]).view(complex)
    assert float(state["line_neutral_a"][0]) == pytest.approx(abs(leaving.sum()), rel=1e-5)


def test_the_benchmark_does_the_same_work_as_its_peer():
    (row,) = rows(quick=True, progress=lambda text: None)
    assert row.error is not None
    assert row.error.ok
    assert row.ours.count == row.theirs.count
