"""Every way of switching a network gives what pandapower gives when it is switched the same."""

import numpy as np
import pytest

from grid.errors import BadInputError
from networks.flow.judge import compare, verify
from networks.flow.year import nominal_flow
from networks.sources.source import load

MV = "simbench:1-MV-rural--0-sw"


@pytest.fixture(scope="module")
def mv():
    return load(MV)


@pytest.fixture(scope="module")
def cigre():
    return load("pandapower:create_cigre_network_mv")


def _open_switches(model):
    return model.equipment.switch.index[~model.switching.closed].tolist()


def test_a_simbench_feeder_with_open_ties_agrees(mv):
    state = nominal_flow(mv)
    assert len(_open_switches(mv)) > 3
    gap = compare(mv, state, steps=[0])
    assert gap["vm_pu"] <= 1e-9
    assert gap["losses_kw"] <= 1e-5


def test_a_closed_loop_agrees(cigre):
    ties = _open_switches(cigre)
    assert ties
    looped = cigre.switched(closed=ties)
    state = nominal_flow(looped)
    assert compare(looped, state, steps=[0])["vm_pu"] <= 1e-9
    assert np.abs(state["vm_pu"] - nominal_flow(cigre)["vm_pu"]).max() > 1e-3


@pytest.mark.parametrize("end", ["from_bus", "to_bus"])
def test_a_line_that_is_open_at_one_end_charges_from_the_other(mv, end):
    """The cable behind an open switch stays energised and loads the end that feeds it."""
    switch = mv.equipment.switch
    at_line = np.flatnonzero((switch.kind == 1) & mv.switching.closed)
    rows = {int(index): row for row, index in enumerate(mv.line.index)}
    chosen = [
        int(switch.index[k])
        for k in at_line
        if getattr(mv.line, end)[rows[int(switch.element[k])]] == switch.bus[k]
    ]
    for number in chosen[:: max(len(chosen) // 6, 1)]:
        open_ended = mv.switched(opened=[number])
        state = nominal_flow(open_ended)
        gap = compare(open_ended, state, steps=[0])
        assert gap["vm_pu"] <= 1e-9, number
        assert gap["losses_kw"] <= 1e-5, number


def test_every_line_out_in_turn_agrees_with_runpp_and_names_what_is_dead(rural):
    dead_after = []
    for index in rural.line.index.tolist():
        out = rural.switched(out=[("line", index)])
        state = nominal_flow(out)
        assert verify(out, state, steps=[0]) <= 1e-9, index
        dead = np.isnan(state["vm_pu"].to_numpy()[0])
        unserved = rural.equipment.nominal_absorbed_kw[dead].sum()
        assert float(state["unserved_kw"][0]) == pytest.approx(unserved)
        dead_after.append(int(dead.sum()))
    assert min(dead_after) == 1
    assert max(dead_after) > 3


def test_the_transformer_out_leaves_only_its_upper_side(rural):
    state = nominal_flow(rural.switched(out=[("trafo", 0)]))
    alive = state["bus"][state["vm_pu"][0].notnull()].to_numpy()
    assert alive.tolist() == [rural.slack_bus]
    assert float(state["losses_kw"][0]) == 0.0


def test_what_was_switched_can_be_switched_back(rural):
    away = rural.switched(out=[("line", 3)], taps={0: rural.switching.tap_position[0] + 1})
    assert away.topology_hash != rural.topology_hash
    again = away.switched(back=[("line", 3)], taps={0: rural.switching.tap_position[0]})
    assert again.topology_hash == rural.topology_hash


@pytest.mark.parametrize("source", ["simbench:1-LV-rural1--0-sw", MV])
def test_every_tap_position_agrees(source):
    model = load(source)
    assert (model.equipment.tap_highest > model.equipment.tap_lowest).all()
    lowest = []
    for position in range(int(model.equipment.tap_lowest[0]), int(model.equipment.tap_highest[0])):
        tapped = model.switched(taps={int(model.trafo.index[0]): position})
        state = nominal_flow(tapped)
        assert verify(tapped, state, steps=[0]) <= 1e-9, position
        lowest.append(float(state["vm_pu"].min()))
    assert np.ptp(lowest) > 0.02


def test_a_tap_beyond_its_range_names_the_range(rural):
    with pytest.raises(BadInputError, match=r"trafo 0: tap 9 must be within -2 to 2"):
        rural.switched(taps={0: 9})


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"opened": [9999]}, "switch 9999"),
        ({"out": [("line", 9999)]}, "line 9999"),
        ({"back": [("bus", 1)]}, "only a line or trafo"),
        ({"taps": {9999: 0}}, "trafo 9999"),
    ],
)
def test_what_is_not_there_cannot_be_switched(rural, change, name):
    with pytest.raises(BadInputError, match=name):
        rural.switched(**change)


def test_two_sources_hold_their_own_voltages():
    """CIGRE MV has two transformers; a second source at its far end feeds back."""
    from copy import deepcopy

    import pandapower as pp

    from networks.sources.compile import compile_net
    from networks.sources.source import read_net
    from networks.topology import connect

    net = read_net("pandapower:create_cigre_network_mv")
    pp.create_ext_grid(net, 11, vm_pu=0.98, va_degree=-30.5)
    model = connect(compile_net(deepcopy(net), source="two sources", base_dir=None))
    model.equipment.kept["net"] = net
    state = nominal_flow(model)
    assert model.held_bus.tolist() == [0, 11]
    assert verify(model, state, steps=[0]) <= 1e-9
    assert float(state["vm_pu"].sel(bus=11)[0]) == pytest.approx(0.98)


def test_a_source_behind_a_coupler_feeds_on_when_the_coupler_opens():
    from copy import deepcopy

    import pandapower as pp

    from networks.sources.compile import compile_net
    from networks.sources.source import read_net
    from networks.topology import connect

    net = read_net("pandapower:case33bw")
    pp.create_bus(net, vn_kv=12.66)
    pp.create_ext_grid(net, 33)
    pp.create_switch(net, 33, 17, et="b", closed=True)
    pp.create_switch(net, 0, 33, et="b", closed=True)
    model = connect(compile_net(deepcopy(net), source="coupled", base_dir=None))
    model.equipment.kept["net"] = net
    assert model.held_bus.tolist() == [0]
    apart = model.switched(opened=[int(net.switch.index[-1])])
    assert apart.held_bus.tolist() == [0, 33]
    assert verify(apart, nominal_flow(apart), steps=[0]) <= 1e-9


def test_two_sources_of_different_voltage_at_one_node_are_named():
    import pandapower as pp

    from networks.sources.compile import compile_net
    from networks.sources.source import read_net
    from networks.topology import connect

    net = read_net("pandapower:case33bw")
    pp.create_ext_grid(net, 0, vm_pu=0.9)
    equipment = compile_net(net, source="x", base_dir=None)
    with pytest.raises(BadInputError, match="bus 0 and bus 0 hold different voltages"):
        connect(equipment)


def test_loads_that_depend_on_voltage_agree_with_runpp():
    import pandapower as pp

    from networks.sources.compile import compile_net
    from networks.sources.source import read_net
    from networks.topology import connect

    net = read_net("pandapower:case33bw")
    columns = ("const_z_p_percent", "const_i_p_percent", "const_z_q_percent", "const_i_q_percent")
    for column, percent in zip(columns, (30.0, 50.0, 10.0, 60.0), strict=True):
        net.load[column] = percent
    net.load.loc[5, "const_z_p_percent"] = 0.0
    model = connect(compile_net(net, source="x", base_dir=None))
    state = nominal_flow(model)
    pp.runpp(net, tolerance_mva=1e-11)
    assert np.abs(state["vm_pu"][0] - net.res_bus["vm_pu"].to_numpy()).max() < 1e-9
    assert abs(float(state["losses_kw"][0]) - 1e3 * net.res_line["pl_mw"].sum()) < 1e-5
    assert float(state["residual_mva"][0]) < 1e-9


def test_a_source_that_is_off_is_named():
    from networks.sources.compile import compile_net
    from networks.sources.source import read_net
    from networks.topology import connect

    net = read_net("pandapower:case33bw")
    net.bus.loc[0, "in_service"] = False
    equipment = compile_net(net, source="x", base_dir=None)
    with pytest.raises(BadInputError, match="bus 0 of its source is off"):
        connect(equipment)
