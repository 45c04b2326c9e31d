"""Every outage is what pandapower makes of it, and the tie named is the one it would choose."""

import numpy as np
import pandapower as pp
import pandapower.topology as top
import pytest

from grid.site import Network
from networks.operating.contingency import contingencies
from networks.operating.state import Injections, nominal
from networks.operating.words import outage

TIGHT = Network(source="x", voltage_min_pu=0.95, voltage_max_pu=1.05, loading_max_percent=60.0)


@pytest.fixture(scope="module")
def found(mv, limits):
    return contingencies(mv, nominal(mv), limits)


def _dark_kw(model, net):
    dead = top.unsupplied_buses(net)
    rows = [model.position(bus) for bus in dead]
    return float(model.equipment.nominal_absorbed_kw[rows].sum())


def test_every_element_is_out_once_and_the_worst_is_first(mv, found):
    lines = [one.index for one in found.outages if one.table == "line"]
    # Lines that are open at one end carry their charging current; they count too.
    assert sorted(lines) == mv.line.index[mv.line.from_node >= 0].tolist()
    assert [one.index for one in found.outages if one.table == "trafo"] == [0, 1]
    assert [one.index for one in found.outages if one.table == "source"] == [0]
    rank = [(-one.unserved_kw, -one.severity) for one in found.outages]
    assert rank == sorted(rank)
    assert found.outages[0].name == "source at bus 0 'HV1 Bus 17'"


def test_every_outage_leaves_dark_what_pandapower_leaves_dark(mv, found):
    for one in found.outages:
        if one.table != "source":
            net = mv.switched(out=[(one.table, one.index)]).pandapower_net()
            assert one.unserved_kw == pytest.approx(_dark_kw(mv, net)), one.name
            assert one.unserved_kw == pytest.approx(sum(bus.kw for bus in one.unserved))


def test_limits_broken_by_an_outage_are_those_of_runpp(cigre, runpp):
    drawn = nominal(cigre, 0.6)
    meshed = cigre.switched(closed=[4, 1, 2])
    found = contingencies(meshed, drawn, TIGHT)
    seen = 0
    for one in found.outages:
        if one.table == "source" or not one.solved:
            continue
        net = runpp(meshed.switched(out=[(one.table, one.index)]), drawn)
        known = {(limit.kind, limit.subject): limit.excess for limit in found.base}
        theirs = {}
        for bus, value in net.res_bus.vm_pu.items():
            if value < 0.95 or value > 1.05:
                kind = "voltage_low" if value < 0.95 else "voltage_high"
                theirs[kind, cigre.bus_label(cigre.position(bus))] = value
        for table in ("line", "trafo"):
            for index, value in net[f"res_{table}"].loading_percent.items():
                if value > 60.0:
                    name = net[table].name.loc[index]
                    theirs[table, f"{table} {index} {name!r}"] = value
        ours = {(limit.kind, limit.subject): limit.value for limit in one.broken}
        for key, value in ours.items():
            assert value == pytest.approx(theirs[key], abs=1e-5)
        assert set(theirs) - set(ours) <= set(known)
        seen += len(ours)
    assert seen > 5


def _best_tie(model, drawn, limits, net):
    """Return the tie whose single closing restores most within limits, by runpp alone."""
    before = _dark_kw(model, net)
    best = (1e-6, None)
    for tie in net.switch.index[~net.switch.closed]:
        net.switch.loc[tie, "closed"] = True
        back = before - _dark_kw(model, net)
        try:
            pp.runpp(net, calculate_voltage_angles=True, max_iteration=50)
            vm_pu = net.res_bus.vm_pu
            loading = max(net.res_line.loading_percent.max(), net.res_trafo.loading_percent.max())
            keeps = (
                vm_pu.min() >= limits.voltage_min_pu
                and vm_pu.max() <= limits.voltage_max_pu
                and loading <= limits.loading_max_percent
            )
        except pp.LoadflowNotConverged:
            keeps = False
        if keeps and back > best[0]:
            best = (back, int(tie))
        net.switch.loc[tie, "closed"] = False
    return best


def test_the_tie_named_is_the_one_that_a_search_by_runpp_finds(cigre):
    drawn = nominal(cigre, 0.6)
    limits = Network(source="x", voltage_min_pu=0.93, loading_max_percent=90.0)
    found = contingencies(cigre, drawn, limits)
    assert found.base == ()
    named = refused = 0
    for one in found.outages:
        if one.table == "source":
            continue
        net = cigre.switched(out=[(one.table, one.index)]).pandapower_net()
        net.load["scaling"] *= 0.6
        back_kw, tie = _best_tie(cigre, drawn, limits, net)
        if tie is None:
            assert one.backfeed is None, one.name
            refused += one.refused is not None
        else:
            assert one.backfeed is not None, one.name
            assert one.backfeed.restored_kw == pytest.approx(0.6 * back_kw), one.name
            assert one.backfeed.within_limits
            named += 1
    assert named > 3
    assert refused > 0


def test_a_tie_that_would_break_limits_is_named_with_why(cigre):
    found = contingencies(cigre, nominal(cigre), Network(source="x", voltage_min_pu=0.9))
    trafo = next(one for one in found.outages if (one.table, one.index) == ("trafo", 0))
    assert trafo.backfeed is None
    assert not trafo.refused.solved
    assert "do not close switch 4 'S1': the voltage would collapse" in outage(trafo)
    line = next(one for one in found.outages if (one.table, one.index) == ("line", 0))
    assert line.refused.broken
    assert "trafo 1 'Trafo 0-12' loaded" in outage(line)


def test_of_several_intervals_the_worst_is_told(cigre, limits):
    low, high = nominal(cigre, 0.2), nominal(cigre, 0.7)
    both = Injections(
        tuple(np.concatenate(pair) for pair in zip(low.inputs, high.inputs, strict=True)),
        np.array([0, 900], dtype="datetime64[s]"),
        high.voltage_share,
    )
    alone, together = (contingencies(cigre, drawn, TIGHT).outages for drawn in (high, both))
    by_name = {one.name: one for one in together}
    for one in alone:
        assert by_name[one.name].unserved_kw == pytest.approx(one.unserved_kw)
        worse = {limit.subject for limit in by_name[one.name].broken}
        assert {limit.subject for limit in one.broken} <= worse


def test_one_of_two_sources_out_leaves_the_other(from_net, limits):
    def second_source(net):
        pp.create_ext_grid(net, 12, vm_pu=1.0, va_degree=-30.0)

    model = from_net(second_source)
    found = contingencies(model, nominal(model, 0.3), limits)
    sources = [one for one in found.outages if one.table == "source"]
    assert {one.index for one in sources} == {0, 12}
    assert all(one.unserved == () for one in sources)


def test_a_whole_network_without_a_solution_is_an_error(cigre, limits):
    from grid.errors import SolverError

    with pytest.raises(SolverError, match="no power flow solution"):
        contingencies(cigre, nominal(cigre, 30.0), limits)


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_a_load_that_is_no_load_is_named(cigre, limits, value):
    from grid.errors import BadInputError

    drawn = nominal(cigre)
    absorbed = drawn.inputs[0].copy()
    absorbed[0, 3] = value
    with pytest.raises(BadInputError, match=r"bus 3 .*absorbed_kw is"):
        contingencies(cigre, Injections((absorbed, *drawn.inputs[1:]), drawn.starts), limits)
