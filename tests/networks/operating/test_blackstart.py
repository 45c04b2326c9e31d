"""A black start, played again in pandapower step by step, holds; it stops for a named reason."""

import numpy as np
import pandapower as pp
import pytest

from grid.errors import BadInputError
from grid.site import Network
from networks.operating.blackstart import black_start
from networks.operating.islands import FormingSource
from networks.operating.meshes import meshes
from networks.operating.state import nominal
from networks.operating.steps import Policy
from networks.topology import island

BIG = FormingSource(5, 200.0, 220.0, 200.0, 400.0, 60.0)
SMALL = FormingSource(5, 60.0, 66.0, 60.0, 200.0, 30.0)
POLICY = Policy(medical=(9,), critical=(0, 3), by_feeder=False)


@pytest.fixture(scope="module")
def whole(rural, limits):
    return black_start(rural, nominal(rural), limits, BIG, POLICY)


@pytest.fixture(scope="module")
def part(rural, limits):
    return black_start(rural, nominal(rural), limits, SMALL, POLICY)


def played(model, made, source, policy):
    """Yield (step, solved pandapower net) of a black start played by pandapower alone."""
    from copy import deepcopy

    base = deepcopy(model.pandapower_net())
    base.ext_grid["in_service"] = False
    pp.create_ext_grid(base, source.bus, vm_pu=1.0)
    for table in ("load", "sgen", "storage"):
        base[table] = base[table].drop(index=base[table].index)
    rated = [values[0] for values in nominal(model).inputs]
    picked, plants = {}, set()
    for step in made.steps:
        base.switch.loc[list(step.opened), "closed"] = False
        base.switch.loc[list(step.closed), "closed"] = True
        at_s = step.at_s
        if step.action == "wait":
            # What is told is the state after the wait, at the next step's time.
            at_s = made.steps[step.number].at_s
        if step.action == "pick up":
            picked |= dict.fromkeys(step.buses, at_s)
        if step.action == "connect":
            plants |= set(step.buses)
        net = deepcopy(base)
        for row, bus in enumerate(model.bus.tolist()):
            on = bus in plants
            cold = 0.0
            if bus in picked:
                age_s = at_s - picked[bus]
                cold = 1.0 + (policy.cold_factor - 1.0) * np.exp(-age_s / policy.cold_s)
            reactive = max(cold, float(on)) * (rated[2][row] - rated[3][row])
            active = cold * rated[0][row] - on * rated[1][row]
            pp.create_load(net, bus, p_mw=active * 1e-3, q_mvar=reactive * 1e-3)
        if step.action != "open":
            pp.runpp(net, tolerance_mva=1e-10, calculate_voltage_angles=True)
        yield step, net


@pytest.mark.parametrize(("name", "source"), [("whole", BIG), ("part", SMALL)])
def test_every_step_played_by_pandapower_is_as_told_and_holds(rural, limits, request, name, source):
    made = request.getfixturevalue(name)
    before_kw, actions = 0.0, set()
    for step, net in played(rural, made, source, POLICY):
        actions.add(step.action)
        if step.action == "open":
            continue
        p_kw, q_kvar = 1e3 * net.res_ext_grid.loc[net.ext_grid.in_service].sum().to_numpy()[:2]
        assert step.given_kw - step.taken_kw == pytest.approx(p_kw, abs=1e-5), step
        assert step.given_kva == pytest.approx(np.hypot(p_kw, q_kvar), abs=1e-5), step
        vm_pu = net.res_bus.vm_pu
        assert step.lowest.value == pytest.approx(float(vm_pu.min()), abs=1e-8)
        assert step.highest.value == pytest.approx(float(vm_pu.max()), abs=1e-8)
        # The source is never asked for more than it can, nor the network.
        assert p_kw <= source.power_kw + 1e-6
        assert p_kw - before_kw <= source.step_kw + 1e-6
        assert limits.voltage_min_pu <= vm_pu.min() <= vm_pu.max() <= limits.voltage_max_pu
        assert step.energy_kwh >= 0.0
        before_kw = p_kw
    assert {"open", "form", "energise", "pick up", "connect"} <= actions
    assert ("wait" in actions) == (name == "part")


def test_a_source_that_is_large_enough_serves_everything(rural, whole):
    assert whole.stopped == ""
    assert whole.unserved == ()
    assert whole.served_kw == pytest.approx(rural.equipment.nominal_absorbed_kw.sum())
    assert 0.0 < whole.hours < 400.0 / whole.served_kw


def test_where_a_life_hangs_on_it_comes_first_then_what_is_critical(rural, whole, part):
    for made in (whole, part):
        order = [bus for step in made.steps if step.action == "pick up" for bus in step.buses]
        with_load = [bus for bus in (0, 3) if rural.equipment.nominal_absorbed_kw[bus] > 0]
        assert order[0] == 9
        assert set(order[1 : 1 + len(with_load)]) == set(with_load)
        plants = [step.number for step in made.steps if step.action == "connect"]
        loads = [step.number for step in made.steps if step.action == "pick up"]
        assert min(plants) > max(loads)


def test_it_stops_at_a_named_block_and_names_who_stays_dark(rural, part):
    assert part.stopped.startswith("bus ")
    assert "at most 60.0 kW" in part.stopped
    total = rural.equipment.nominal_absorbed_kw.sum()
    assert part.served_kw + sum(one.kw for one in part.unserved) == pytest.approx(total)
    assert part.unserved[0].name in part.stopped or len(part.unserved) > 1
    picked = {bus for step in part.steps if step.action == "pick up" for bus in step.buses}
    assert not picked & {one.bus for one in part.unserved}


def test_no_loop_is_ever_closed(mv):
    """In a meshed network too: every section is energised from one side only."""
    meshed = mv.switched(closed=[193, 195, 197, 199, 201, 203])
    source = FormingSource(67, 4e4, 4.4e4, 4e4, 1e5, 1e4)
    policy = Policy(by_feeder=False, cold_factor=1.0)
    wide = Network(source="x", voltage_min_pu=0.8, loading_max_percent=200.0)
    made = black_start(meshed, nominal(meshed, 0.7), wide, source, policy)
    model = island(meshed, 67)
    for step in made.steps:
        model = model.switched(opened=step.opened, closed=step.closed)
        # Parallel transformers without a switch between them are one section.
        assert meshes(model).line == ()
    assert made.steps[0].action == "open"
    assert len(made.steps) > 100
    assert made.stopped == ""


def test_load_that_cannot_be_switched_comes_with_its_section(rural, limits):
    policy = Policy(by_feeder=False, load_switches=False)
    made = black_start(rural, nominal(rural), limits, BIG, policy)
    assert made.stopped == ""
    assert not [step for step in made.steps if step.action == "pick up"]
    blocks = sum(s.block_kw for s in made.steps if s.action in ("form", "energise"))
    assert blocks == pytest.approx(2.0 * made.served_kw)
    assert made.served_kw == pytest.approx(rural.equipment.nominal_absorbed_kw.sum())
    lumped = Policy(by_feeder=False, load_switches=False, cold_factor=10.0)
    cold = black_start(rural, nominal(rural), limits, BIG, lumped)
    assert "the load would rise by" in cold.stopped
    assert "switch" in cold.stopped


def test_breakers_part_feeders(mv, limits):
    source = FormingSource(2, 4e4, 4.4e4, 4e4, 1e5, 1e4)
    types = dict.fromkeys((5, *range(6, 24)), "CB")
    made = black_start(mv, nominal(mv), limits, source, Policy(), types=types)
    finer = black_start(mv, nominal(mv), limits, source, Policy(by_feeder=False))
    energised = [sum(s.action == "energise" for s in one.steps) for one in (made, finer)]
    assert 0 < energised[0] < energised[1] / 3
    assert made.served_kw == pytest.approx(finer.served_kw)


def test_energy_that_runs_out_stops_it(rural, limits):
    source = FormingSource(5, 200.0, 220.0, 200.0, 3.0, 60.0)
    made = black_start(rural, nominal(rural), limits, source, POLICY)
    assert "kWh are left" in made.stopped
    spent = [step.energy_kwh for step in made.steps[1:] if step.action != "connect"]
    assert spent == sorted(spent, reverse=True)


def test_what_does_not_cut_the_island_off_is_named(rural, limits):
    with pytest.raises(BadInputError, match=r"switch 1 .*does not cut bus 5 off"):
        black_start(rural, nominal(rural), limits, BIG, POLICY, opened=(1,))
    with pytest.raises(BadInputError, match="bus 77 is not in the network"):
        black_start(rural, nominal(rural), limits, BIG, Policy(medical=(77,)))
    with pytest.raises(BadInputError, match=r"cold_factor is 0\.5"):
        Policy(cold_factor=0.5)
