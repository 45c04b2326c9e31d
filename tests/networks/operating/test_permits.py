"""What a permit cuts off is what pandapower finds without supply, and nothing makes it live."""

import warnings

import numpy as np
import pandapower.topology as top
import pytest

from grid.errors import BadInputError
from grid.site import Network
from networks.operating.blackstart import black_start
from networks.operating.islands import FormingSource
from networks.operating.permits import behind, live, without
from networks.operating.state import nominal


def _unsupplied(model, kind, index):
    """Return the buses that pandapower's topology cuts off without an element."""
    net = model.pandapower_net()
    if kind == "bus":
        net.bus.loc[index, "in_service"] = False
    else:
        net[kind].loc[index, "in_service"] = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dark = {int(bus) for bus in top.unsupplied_buses(net)}
    return dark | ({index} if kind == "bus" else set())


@pytest.mark.parametrize("network", ["mv", "cigre"])
def test_what_is_behind_an_element_is_what_pandapower_finds_without_supply(network, request):
    model = request.getfixturevalue(network)
    known = _unsupplied(model, "bus", int(model.bus[-1])) - set(
        behind(model, "bus", int(model.bus[-1])).buses
    )
    assert known == set(model.bus[model.node < 0].tolist())
    for kind, indices in (
        ("line", model.equipment.line.index[::7]),
        ("trafo", model.equipment.trafo.index),
        ("bus", model.bus[::11]),
    ):
        for index in indices.tolist():
            if kind == "bus" and index in model.held_bus:
                continue
            found = set(behind(model, kind, index).buses)
            assert found == _unsupplied(model, kind, index) - known, (kind, index)


def test_a_tie_that_would_feed_it_otherwise_is_named(mv):
    found = behind(mv, "line", 3)
    assert found.buses
    assert found.ties
    cut = without(mv, [("line", 3)])
    dark = [mv.position(bus) for bus in found.buses]
    assert (cut.node[dark] < 0).all()
    for switch in np.flatnonzero(~mv.switching.closed):
        index = int(mv.equipment.switch.index[switch])
        feeds = (cut.switched(closed=[index]).node[dark] >= 0).any()
        assert feeds == (index in found.ties)


def test_what_becomes_live_is_told_and_a_bus_stays_dead_whatever_is_closed(mv):
    element = ("line", 3)
    assert live(mv, [element]) == [element]
    dead = without(mv, [element])
    assert live(dead, [element]) == []
    assert live(dead.switched(back=[element]), [element]) == [element]
    bus = ("bus", int(mv.line.to_bus[3]))
    dead = without(mv, [bus])
    assert live(dead, [bus]) == []


def test_no_step_of_a_black_start_energises_an_element_under_a_permit(mv):
    source = FormingSource(
        bus=mv.slack_bus, power_kw=3e4, apparent_kva=4e4, absorb_kw=3e4, energy_kwh=1e6, step_kw=2e4
    )
    element = ("line", 3)
    dead = without(mv, [element])
    made = black_start(dead, nominal(mv), Network(source="mv"), source)
    dark = set(behind(mv, "line", 3).buses)
    assert {one.bus for one in made.unserved} >= dark & {
        int(bus) for bus, kw in zip(mv.bus, nominal(mv).absorbed_kw, strict=True) if kw > 0
    }


@pytest.mark.parametrize(
    ("element", "told"),
    [(("line", 9999), "line 9999 is not"), (("bus", 9999), "bus 9999"), (("switch", 1), "permit")],
)
def test_what_is_not_there_is_refused_by_name(mv, element, told):
    with pytest.raises(BadInputError, match=told):
        without(mv, [element])
