"""What is said before a switching operation is what pandapower says after it."""

import warnings

import networkx as nx
import numpy as np
import pandapower as pp
import pandapower.topology as top
import pytest

from grid.errors import BadInputError
from networks.operating.meshes import meshes, source_groups
from networks.operating.state import nominal, solved
from networks.operating.switching import Change, compare
from networks.operating.terminals import across, current_a, switch_types
from networks.operating.words import comparison

TIES = (193, 195, 197, 199, 201, 203)


def _graph(model):
    """Return pandapower's multigraph of a network, fused buses joined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return top.create_nxgraph(model.pandapower_net(), include_out_of_service=False)


def test_an_outage_names_who_is_dark_and_what_stays_broken(mv, limits, runpp):
    made = compare(mv, nominal(mv), limits, Change(out=(("line", 3),)))
    net = runpp(made.after.model)
    dead = top.unsupplied_buses(net) & set(net.bus.index[net.bus.in_service])
    assert {one.bus for one in made.lost} <= dead
    kw = mv.equipment.nominal_absorbed_kw[[mv.position(bus) for bus in sorted(dead)]].sum()
    assert sum(one.kw for one in made.lost) == pytest.approx(kw)
    assert made.after.unserved_kw == pytest.approx(kw)
    assert made.after.lowest.value == pytest.approx(float(net.res_bus.vm_pu.min()), abs=1e-8)
    assert made.after.loaded.value == pytest.approx(
        max(net.res_line.loading_percent.max(), net.res_trafo.loading_percent.max()), abs=1e-5
    )
    losses = 1e3 * (net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum())
    assert made.after.losses_kw == pytest.approx(losses, abs=1e-4)
    assert [one.code for one in made.new] == ["network.dead_bus"]
    assert not made.gone
    assert made.regained == ()


def test_a_tie_that_feeds_back_interrupts_nobody_when_it_closes_first(mv, limits):
    made = compare(mv, nominal(mv), limits, Change(out=(("line", 3),), closed=(193,)))
    assert made.lost == ()
    assert {one.bus for one in made.interrupted} >= {8, 9, 10, 11, 12}
    assert [one.code for one in made.warnings] == ["network.close_first"]


def test_switching_back_regains_what_was_lost(mv, limits):
    away = compare(mv, nominal(mv), limits, Change(opened=(94,)))
    again = compare(away.after.model, nominal(mv), limits, Change(closed=(94,)))
    assert away.lost
    assert again.regained == away.lost
    assert [one.code for one in again.gone] == ["network.dead_bus"]
    assert again.after.losses_kw == pytest.approx(away.before.losses_kw, abs=1e-9)


@pytest.mark.parametrize("closed", [(), (193,), (195, 201), TIES])
def test_loops_are_those_that_networkx_finds(mv, closed):
    model = mv.switched(closed=closed)
    found = meshes(model)
    graph = _graph(model)
    alive = graph.subgraph(model.bus[model.node >= 0].tolist())
    edges, buses = alive.number_of_edges(), alive.number_of_nodes()
    assert found.count == edges - buses + nx.number_connected_components(alive)
    simple = nx.Graph(alive)
    bridges = {frozenset(edge) for edge in nx.bridges(simple)}
    looped = [
        index
        for index, a, b in zip(
            model.line.index.tolist(), model.line.from_bus, model.line.to_bus, strict=True
        )
        if simple.has_edge(a, b)
        and (frozenset((int(a), int(b))) not in bridges or alive.number_of_edges(a, b) > 1)
    ]
    assert list(found.line) == looped
    assert (found.count == 1) == (not looped)


def test_closing_a_loop_names_the_lines_on_it(mv, limits):
    made = compare(mv, nominal(mv), limits, Change(closed=(193,)))
    assert made.after.meshes.count == made.before.meshes.count + 1
    assert 93 in made.looped_line
    assert set(made.looped_line) == set(made.after.meshes.line)
    assert made.lost == ()


def test_the_voltage_across_an_open_tie_is_what_pandapower_measures(mv, runpp):
    """The line's open end is a bus of its own there, with its charging voltage."""
    state = solved(mv, nominal(mv))
    net = runpp(mv)
    for index in TIES:
        row = net.switch.loc[index]
        line = net.line.loc[row["element"]]
        end = "from" if line["from_bus"] == row["bus"] else "to"
        theirs = net.res_line.loc[row["element"], f"vm_{end}_pu"]
        bus = net.res_bus.vm_pu.loc[row["bus"]]
        one = across(mv, state, index)
        assert one.live == 2
        assert one.difference_percent == pytest.approx(100.0 * abs(theirs - bus), abs=1e-6)


def test_currents_at_switches_are_those_of_pandapower(mv, runpp):
    state = solved(mv, nominal(mv))
    net = runpp(mv)
    for index in (2, 94, 95, 110):
        row = net.switch.loc[index]
        table = net.res_line if row["et"] == "l" else net.res_trafo
        frame, ends = (net.line, ("from", "to")) if row["et"] == "l" else (net.trafo, ("hv", "lv"))
        side = next(end for end in ends if frame.loc[row["element"], f"{end}_bus"] == row["bus"])
        theirs_a = 1e3 * table.loc[row["element"], f"i_{side}_ka"]
        assert current_a(mv, state, nominal(mv), index) == pytest.approx(theirs_a, rel=1e-7)


def test_the_current_through_a_coupler_is_that_of_a_small_impedance(mv):
    net = mv.pandapower_net()
    net.switch.loc[5, "z_ohm"] = 1e-4
    pp.runpp(net, calculate_voltage_angles=True, tolerance_mva=1e-9)
    theirs_a = 1e3 * float(net.res_switch.i_ka.loc[5])
    ours_a = current_a(mv, solved(mv, nominal(mv)), nominal(mv), 5)
    assert theirs_a > 10.0
    assert ours_a == pytest.approx(theirs_a, rel=1e-3)


def test_a_disconnector_may_not_break_load_and_a_breaker_may(mv, limits):
    change = Change(opened=(94,))
    told = compare(mv, nominal(mv), limits, change, types={94: "DS"}).warnings
    assert [one.code for one in told] == ["network.no_load_break"]
    assert "switch 94 'MV1.101 Switch 95': is a disconnector and breaks" in told[0].message
    assert compare(mv, nominal(mv), limits, change, types={94: "LBS"}).warnings == ()
    # Behind an open tie there is the line's charging current only.
    charging = Change(opened=(192,))
    amount = current_a(mv, solved(mv, nominal(mv)), nominal(mv), 192)
    warned = compare(mv, nominal(mv), limits, charging, types={192: "DS"}).warnings
    assert bool(warned) == (amount > 0.5)


def test_the_kinds_of_switches_are_those_of_the_source(mv):
    net = mv.pandapower_net()
    assert dict(switch_types(mv)) == net.switch["type"].to_dict()


def test_transformers_of_different_vector_groups_may_not_be_paralleled(from_net, limits):
    def turn(net):
        net.trafo.loc[1, "shift_degree"] = 150.0

    model = from_net(turn)
    told = compare(model, nominal(model, 0.1), limits, Change(closed=(4,)))
    asynchronous = [one for one in told.warnings if one.code == "network.asynchronous"]
    assert len(asynchronous) == 1
    assert "switch 4 'S1'" in asynchronous[0].message
    assert across(model, solved(model, nominal(model, 0.1)), 4).angle_degree > 110.0


def test_two_sources_that_will_feed_one_network_are_told_with_their_difference(from_net, limits):
    def second_source(net):
        pp.create_ext_grid(net, 12, vm_pu=0.97, va_degree=-25.0)
        net.trafo.loc[1, "in_service"] = False

    model = from_net(second_source)
    assert source_groups(model) == [(0,), (12,)]
    made = compare(model, nominal(model, 0.3), limits, Change(closed=(4,)))
    told = {one.code: one.message for one in made.warnings}
    assert (
        "bus 0, 12: will feed one network, 6.0 % and 25.0 degrees"
        in told["network.parallel_sources"]
    )
    assert source_groups(made.after.model) == [(0, 12)]


def test_a_switch_is_not_ordered_both_ways(mv, limits):
    with pytest.raises(BadInputError, match="switch 5: ordered both ways"):
        compare(mv, nominal(mv), limits, Change(opened=(5,), closed=(5,)))
    with pytest.raises(BadInputError, match="line 3: ordered both ways"):
        compare(mv, nominal(mv), limits, Change(out=(("line", 3),), back=(("line", 3),)))


def test_the_text_has_the_worst_first_and_is_short(mv, limits):
    customers = {12: ["E-17", "E-18"]}
    change = Change(out=(("line", 3),), taps={0: -9, 1: -9})
    lines = comparison(compare(mv, nominal(mv), limits, change, customers=customers)).splitlines()
    assert lines[0].startswith("LOST      1421.0 kW at 7 buses: bus 12 'MV1.101 Bus 12' 331.0 kW")
    assert "(E-17, E-18)" in lines[0]
    assert any(line.startswith("BROKEN") and "above 1.1" in line for line in lines)
    assert len(lines) < 12
    assert max(map(len, lines)) < 400
    assert not np.isnan(compare(mv, nominal(mv), limits, change).after.losses_kw)
