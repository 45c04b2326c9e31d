"""Slopes and cuts are those of the AC flow in networks with ties and several sources too."""

import numpy as np
import pandapower as pp
import pytest

from grid.errors import BadInputError
from grid.site import Network
from networks.flow.sensitivity import flow_sensitivity, voltage_sensitivity
from networks.limits.cuts import cuts
from networks.sources.compile import compile_net
from networks.sources.source import read_net
from networks.topology import connect

CASES = {
    "rural": ("rural", 4.0, None, False),
    "rural in an outage": ("rural", 4.0, "lv", False),
    "cigre, its ties open": ("cigre", 300.0, None, False),
    "cigre, its ties closed": ("cigre", 300.0, None, True),
    "mv with an open cable and taps": ("open_ended", 60.0, None, False),
    "two sources": ("two_sources", 300.0, None, False),
    "two sources, meshed": ("two_sources", 300.0, None, True),
    "an island of what had two sources": ("two_sources", 200.0, 7, False),
}


@pytest.fixture(params=CASES)
def case(request, random_inputs, solve):
    """Return (model, inputs, function from inputs to state, kW of a small change)."""
    name, most_kw, forming, meshed = CASES[request.param]
    model = request.getfixturevalue(name)
    if meshed:
        switch = model.equipment.switch
        model = model.switched(closed=switch.index[~model.switching.closed].tolist())
    forming = model.lv_bus if forming == "lv" else forming
    available = [forming is None] * 2
    inputs = random_inputs(model, 2, kw=most_kw)
    return model, inputs, lambda given: solve(model, given, available, forming), most_kw * 1e-3


def _slopes(case, bus, of):
    """Return the central difference of `of(state)` by kW injected at a bus."""
    model, inputs, run, change = case
    values = []
    for sign in (1.0, -1.0):
        moved = [one.copy() for one in inputs]
        moved[int(sign > 0)][:, model.position(bus)] += change
        values.append(of(run(moved)))
    return (values[0] - values[1]) / (2.0 * change)


def _some_buses(model, count=5):
    alive = model.bus[model.node >= 0]
    return alive[:: max(1, len(alive) // count)].tolist()


@pytest.mark.parametrize("table", ["line", "trafo"])
def test_the_flow_sensitivity_is_the_slope_of_the_loading(case, table):
    model, inputs, run, _ = case
    buses = _some_buses(model)
    given = flow_sensitivity(model, run(inputs), buses, 1, table)
    assert given.shape == (len(getattr(model, table)), len(buses))
    on = getattr(model, table).from_node >= 0
    assert (np.isnan(given).all(axis=1) == ~on).all()
    for column, bus in enumerate(buses):
        slope = _slopes(case, bus, lambda state: state[f"{table}_loading_percent"].to_numpy()[1])
        scale = np.abs(given[on]).max()
        assert np.allclose(given[on, column], slope[on], rtol=1e-3, atol=1e-5 * scale)
    # A transformer above the source of an island idles whatever is injected.
    idle = table == "trafo" and not run(inputs)["grid_available"].any() and len(given) == 1
    assert (np.abs(given[on]).max() > 1e-5) != idle


def test_the_voltage_sensitivity_is_the_slope_of_the_voltage(case):
    model, inputs, run, _ = case
    buses = _some_buses(model)
    given = voltage_sensitivity(model, run(inputs), buses, 1)
    for column, bus in enumerate(buses):
        slope = _slopes(case, bus, lambda state: state["vm_pu"].to_numpy()[1])
        assert np.allclose(given[:, column], slope, rtol=1e-4, atol=1e-11, equal_nan=True)


def test_every_cut_is_the_tangent_of_what_it_limits(case):
    """Each limit is made to break; each coefficient is the slope, each base the value."""
    model, inputs, run, _ = case
    network = Network("x", voltage_min_pu=1.0, voltage_max_pu=1.0, loading_max_percent=1.0)
    buses = [*_some_buses(model), int(model.held_bus[0])]
    state = run(inputs)
    heads = {"head_import_limit_kw": 0.0, "head_export_limit_kw": 0.0}
    made = [c for c in cuts(model, state, network, buses, **heads) if c.interval_index == 1]
    kinds = {cut.name.split()[0] for cut in made}
    assert kinds >= {"vm_pu", "loading_percent"}
    for column, bus in enumerate(buses):
        slopes = _slopes(case, bus, lambda state: np.array([_value(state, cut) for cut in made]))
        given = np.array([cut.coefficient[column] for cut in made])
        assert np.allclose(given, slopes, rtol=1e-3, atol=2e-7)
    assert [cut.base for cut in made] == pytest.approx([_value(state, cut) for cut in made])


def _value(state, cut):
    words = cut.name.split()
    sign = -1.0 if ">=" in words else 1.0
    step = state.isel(interval=cut.interval_index)
    if words[0] == "vm_pu":
        return sign * float(step["vm_pu"].sel(bus=int(words[2])))
    if words[0] == "loading_percent":
        return float(step[f"{words[1]}_loading_percent"].sel({words[1]: int(words[2])}))
    return float(step[words[0]])


def test_what_an_outage_leaves_dead_moves_nothing_in_the_island(random_inputs, solve):
    """Two feeders with a source each, not joined: in the outage only one has a forming source."""
    net = read_net("pandapower:create_cigre_network_mv")
    pp.create_ext_grid(net, 14, vm_pu=1.01)
    net.trafo.loc[1, "in_service"] = False
    model = connect(compile_net(net, source="two feeders", base_dir=None))
    assert (model.node >= 0).all()
    inputs = random_inputs(model, 1, kw=300.0)
    state = solve(model, inputs, [False], 7)
    dead = state["bus"][state["vm_pu"][0].isnull()].to_numpy().tolist()
    assert 13 in dead
    network = Network("x", voltage_min_pu=1.0, voltage_max_pu=1.0, loading_max_percent=1.0)
    made = cuts(model, state, network, [5, 13])
    assert made
    assert all(cut.coefficient[1] == 0.0 for cut in made)
    assert any(abs(cut.coefficient[0]) > 1e-6 for cut in made)
    assert not any(f"bus {bus} " in cut.name for cut in made for bus in dead)


def test_a_flow_sensitivity_of_what_is_no_branch_is_refused(rural, random_inputs, solve):
    state = solve(rural, random_inputs(rural, 1))
    with pytest.raises(BadInputError, match="line or trafo, not of 'switch'"):
        flow_sensitivity(rural, state, [int(rural.bus[0])], 0, "switch")
    with pytest.raises(BadInputError, match="at least one"):
        flow_sensitivity(rural, state, [], 0)
