"""Islands: the switches named cut them off, and what they ask of the source is what runpp says."""

import networkx as nx
import numpy as np
import pandapower as pp
import pytest

from grid.errors import BadInputError
from networks.operating.islands import FormingSource, islands
from networks.operating.sections import joints, sectioning, sections, single_cuts, smallest_cut
from networks.operating.state import Injections, nominal

SOURCE = FormingSource(67, 8000.0, 9000.0, 8000.0, 20_000.0, 2000.0)


@pytest.fixture(scope="module")
def found(mv, limits):
    return islands(mv, nominal(mv), limits, SOURCE)


def test_every_island_is_cut_off_and_one_switch_less_is_not(mv, found):
    single = [one for one in found if len(one.opened) == 1]
    assert len(single) > 5
    for one in single:
        assert mv.switched(opened=one.opened).node[mv.position(67)] < 0
        assert one.model.node[mv.position(67)] >= 0
        assert one.model.held_bus.tolist() == [67]


def test_what_an_island_asks_of_its_source_is_what_runpp_says(mv, found):
    for one in found[:4]:
        net = one.model.pandapower_net()
        pp.runpp(net, tolerance_mva=1e-10, calculate_voltage_angles=True)
        p_kw, q_kvar = 1e3 * net.res_ext_grid.loc[net.ext_grid.in_service].sum().to_numpy()[:2]
        assert one.burden.given_kw == pytest.approx(max(p_kw, 0.0), abs=1e-4)
        assert one.burden.taken_kw == pytest.approx(max(-p_kw, 0.0), abs=1e-4)
        assert one.burden.given_kva == pytest.approx(np.hypot(p_kw, q_kvar), abs=1e-4)
        assert one.lowest.value == pytest.approx(float(net.res_bus.vm_pu.min()), abs=1e-8)
        served = one.model.node >= 0
        assert one.load_kw == pytest.approx(mv.equipment.nominal_absorbed_kw[served].sum())
        assert sum(bus.kw for bus in one.unserved) == pytest.approx(
            mv.equipment.nominal_absorbed_kw[~served].sum()
        )


def test_what_can_be_goes_before_what_cannot_and_says_why(found):
    can = [not one.reason for one in found]
    assert can == sorted(can, reverse=True)
    assert any(can)
    assert not all(can)
    loads = [one.load_kw for one in found if not one.reason]
    assert loads == sorted(loads, reverse=True)
    assert next(one.reason for one in found if one.reason).endswith("pu, above 1.1")


def test_a_source_that_is_too_small_says_by_how_much(mv, limits):
    weak = FormingSource(67, 1000.0, 1500.0, 1000.0, 2e4, 500.0)
    found = islands(mv, nominal(mv), limits, weak)
    for one in found:
        asked = (one.burden.given_kw, one.burden.taken_kw, one.burden.given_kva / 1.5)
        over = max(asked) > 1000.0
        assert over == one.reason.startswith("the source at bus 67 would")
    assert {bool(one.reason) for one in found} == {True, False}


def test_hours_of_one_interval_and_along_several(mv, limits):
    source = FormingSource(67, 30_000.0, 30_000.0, 30_000.0, 1000.0, 30_000.0)
    rated = nominal(mv)
    a, _, c, _ = rated.inputs
    none = np.zeros_like(a)
    alone = Injections((a, none, c, none), rated.starts)
    one = next(o for o in islands(mv, alone, limits, source) if o.opened == (114,))
    assert one.burden.hours == pytest.approx(1000.0 / one.burden.given_kw)
    # Half an hour of half load, then full load.
    steps = np.array([0.5, 0.5, 1.0, 1.0, 1.0, 1.0])[:, None]
    series = Injections(
        (a * steps, none * steps, c * steps, none * steps),
        (np.arange(6) * 900).astype("datetime64[s]"),
    )
    small = FormingSource(67, 30_000.0, 30_000.0, 30_000.0, 150.0, 30_000.0)
    along = next(o for o in islands(mv, series, limits, small) if o.opened == (114,))
    first_kwh = 0.5 * one.burden.given_kw * 0.5
    assert along.burden.hours == pytest.approx(
        0.5 + (150.0 - first_kwh) / one.burden.given_kw, rel=1e-3
    )


@pytest.mark.parametrize("ties", [(193, 195, 197), (193, 195, 197, 199, 201, 203)])
def test_the_fewest_switches_are_as_few_as_networkx_finds(mv, ties):
    model = mv.switched(closed=ties)
    for bus in (67, 54, 15):
        cut = smallest_cut(model, bus)
        graph = nx.Graph()
        for joint in joints(model):
            room = 1 if joint.switches else 10**6
            known = graph.get_edge_data(joint.a, joint.b, {"capacity": 0})["capacity"]
            graph.add_edge(joint.a, joint.b, capacity=known + room)
        fewest = nx.maximum_flow_value(graph, model.position(0), model.position(bus))
        assert len(cut) == fewest
        assert model.switched(opened=cut).node[model.position(bus)] < 0
        if fewest > 1:
            assert single_cuts(model, bus) == []


def test_sections_are_parted_by_every_switch_and_joined_by_the_way(mv):
    apart = sectioning(mv, 67)
    parted = sections(mv, apart, 67)
    alive = set(np.flatnonzero(mv.node >= 0).tolist())
    assert {int(row) for row in np.flatnonzero(np.isin(parted.of, parted.order))} == alive
    opened = mv.switched(opened=apart)
    for section in parted.order[1:]:
        closed = [index for step in parted.way(section) for index in parted.by[step]]
        fed = opened.switched(closed=closed)
        from networks.topology import island

        row = int(np.flatnonzero(parted.of == section)[0])
        assert island(fed, 67).node[row] >= 0
        assert island(opened, 67).node[row] < 0


def test_a_source_that_is_none_is_named(mv, limits):
    with pytest.raises(BadInputError, match=r"bus 67: power_kw is nan"):
        FormingSource(67, float("nan"), 1.0, 1.0, 1.0, 1.0)
    with pytest.raises(BadInputError, match=r"bus 67 .* cut off"):
        islands(mv.switched(opened=[1, 3]), nominal(mv), limits, SOURCE)
    with pytest.raises(BadInputError, match="bus 999 is not in the network"):
        islands(mv, nominal(mv), limits, FormingSource(999, 1.0, 1.0, 1.0, 1.0, 1.0))
