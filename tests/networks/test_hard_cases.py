"""The hard cases of a network: the right state, or a typed error that names the element.

An outage, an island with black start, a closed loop, a switched tap, a zero-length line, a NaN
load, a disconnected slack: each gives the right state or a typed error naming the element; never a
NaN in a result without a finding. What has a state is held against pandapower's ``runpp``.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import BadInputError, GridError
from grid.site import Network
from networks.flow.judge import compare as judged
from networks.limits.findings import findings
from networks.operating.blackstart import black_start
from networks.operating.islands import FormingSource
from networks.operating.state import Injections, nominal, solved, unserved
from networks.operating.steps import Policy
from networks.sources.compile import compile_net
from networks.sources.source import load, read_net
from networks.sources.tables import check_tables
from networks.topology import connect, island

MV = "simbench:1-MV-rural--0-sw"
LIMITS = Network(source=MV)
AGREES_PU = 1e-8
LINE = {
    "index": 7, "from_bus": 0, "to_bus": 1, "length_km": 0.2, "r_ohm_per_km": 0.2,
    "x_ohm_per_km": 0.08, "max_i_ka": 0.3,
}  # fmt: skip


@pytest.fixture(scope="module")
def mv():
    return load(MV)


def dead_by_findings(found):
    """Return the buses that the findings call dead."""
    told = set()
    for one in found:
        if one.code == "network.dead_bus":
            for run in re.findall(r"\d+(?:-\d+)?", one.message.rpartition(": bus ")[2]):
                first, _, last = run.partition("-")
                told |= set(range(int(first), int(last or first) + 1))
    return told


def accounted_for(model, state):
    """Check that nothing is NaN but the voltages of buses that a finding calls dead."""
    nan = set()
    for name, values in state.data_vars.items():
        empty = values.isnull()
        if name in ("vm_pu", "va_degree"):
            nan |= set(state["bus"].to_numpy()[empty.any("interval").to_numpy()].tolist())
            assert bool((state["vm_pu"].isnull() == state["va_degree"].isnull()).all())
        else:
            assert not bool(empty.any()), name
    told = dead_by_findings(findings(state, model, LIMITS))
    assert told & set(model.bus.tolist()) == nan
    assert nan == set(model.bus[model.node < 0].tolist())


def agrees(model, state):
    """Check a state against ``runpp``: the same buses dead, the others alike."""
    assert judged(model, state, steps=[0])["vm_pu"] <= AGREES_PU


def test_an_outage(mv):
    out = mv.switched(out=[("line", 44)])
    state = solved(out, nominal(out))
    agrees(out, state)
    accounted_for(out, state)
    dark = unserved(out, nominal(out))
    assert len(dark) > 5
    assert sum(one.kw for one in dark) == pytest.approx(float(state["unserved_kw"][0]))


def test_a_closed_loop(mv):
    ties = mv.equipment.switch.index[~mv.switching.closed].tolist()
    looped = mv.switched(closed=ties)
    state = solved(looped, nominal(looped))
    agrees(looped, state)
    accounted_for(looped, state)


@pytest.mark.parametrize("position", [-9, 9])
def test_a_switched_tap(mv, position):
    tapped = mv.switched(taps={0: position, 1: position})
    state = solved(tapped, nominal(tapped))
    agrees(tapped, state)
    accounted_for(tapped, state)
    assert abs(float(state["vm_pu"].sel(bus=2)[0]) - 1.0) > 0.1


def test_two_transformers_at_different_taps_drive_a_current_in_circle(mv):
    apart = mv.switched(taps={0: 4, 1: -4})
    state = solved(apart, nominal(apart, 0.0))
    agrees(apart, state)
    assert float(state["trafo_loading_percent"].max()) > 20.0


def test_a_zero_length_line_of_a_file_is_named():
    tables = {
        "bus": [{"index": 0, "vn_kv": 0.4}, {"index": 1, "vn_kv": 0.4}],
        "ext_grid": [{"index": 0, "bus": 0}],
        "line": [LINE | {"length_km": 0.0}],
    }
    with pytest.raises(BadInputError, match=r"line row 1: length_km is 0\.0"):
        check_tables(tables)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("line", "length_km", 0.0), "line 3 .*length_km is 0.0"),
        (("line", "length_km", np.nan), "line 3 .*length_km is nan"),
        (("load", "p_mw", np.nan), "load 3 .*p_mw is nan"),
        (("trafo", "vk_percent", 0.0), "trafo 1 .*vk_percent is 0.0"),
        (("ext_grid", "in_service", False), "no external grid in service"),
    ],
)
def test_an_element_that_has_no_state_is_named(change, words):
    table, column, value = change
    net = read_net("pandapower:create_cigre_network_mv")
    net[table].loc[min(3, len(net[table]) - 1), column] = value
    with pytest.raises(BadInputError, match=words):
        compile_net(net, source="a net", base_dir=None)


def test_a_line_without_impedance_is_named():
    net = read_net("pandapower:create_cigre_network_mv")
    net.line.loc[3, ["r_ohm_per_km", "x_ohm_per_km"]] = 0.0
    with pytest.raises(BadInputError, match=r"line 3 .*no impedance"):
        compile_net(net, source="a net", base_dir=None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_load_that_is_no_load_names_its_bus_and_interval(mv, value):
    drawn = nominal(mv)
    absorbed = drawn.inputs[0].copy()
    absorbed[0, mv.position(67)] = value
    broken = Injections((absorbed, *drawn.inputs[1:]), drawn.starts, drawn.voltage_share)
    with pytest.raises(BadInputError, match=r"bus 67 .*1970-01-01T00:00Z: absorbed_kw is"):
        solved(mv, broken)


def test_a_slack_that_is_switched_off_is_named():
    net = read_net("pandapower:create_cigre_network_mv")
    net.bus.loc[0, "in_service"] = False
    with pytest.raises(BadInputError, match="bus 0 of its source is off"):
        connect(compile_net(net, source="a net", base_dir=None))


def test_a_slack_that_is_cut_off_leaves_everything_dead_and_named(mv):
    """Both transformers' breakers open: only the upper busbar lives."""
    cut = mv.switched(opened=[1, 3])
    state = solved(cut, nominal(cut))
    agrees(cut, state)
    accounted_for(cut, state)
    assert set(cut.bus[cut.node >= 0].tolist()) == {0, 1}
    dark = unserved(cut, nominal(cut))
    assert sum(one.kw for one in dark) == pytest.approx(cut.equipment.nominal_absorbed_kw.sum())


def test_a_forming_source_in_a_dead_part_is_named(mv):
    cut = mv.switched(opened=[1, 3])
    with pytest.raises(BadInputError, match=r"bus 67 .*cut off"):
        cut.islanded(67)


def test_a_load_beyond_what_the_network_can_carry_is_a_typed_error(mv):
    from grid.errors import SolverError

    with pytest.raises(SolverError, match=r"1970-01-01T00:00Z: no power flow solution at \d+"):
        solved(mv, nominal(mv, 100.0))


def test_an_island(mv):
    """The feeder behind one switch, held by a source at its end; the rest is dark and named."""
    part = island(mv.switched(opened=[94]), 67)
    state = solved(part, nominal(part))
    agrees(part, state)
    accounted_for(part, state)
    dark = unserved(part, nominal(part))
    assert 0 < len(dark) < len(part.bus)
    total = float(part.equipment.nominal_absorbed_kw.sum())
    served = float(part.equipment.nominal_absorbed_kw[part.node >= 0].sum())
    assert sum(one.kw for one in dark) == pytest.approx(total - served)


def test_an_island_with_black_start_ends_in_the_state_of_runpp(mv):
    """Without cold load the last step is the whole island at its normal draw."""
    source = FormingSource(67, 4e4, 4.4e4, 4e4, 1e5, 1e4)
    policy = Policy(by_feeder=False, cold_factor=1.0)
    made = black_start(mv, nominal(mv), LIMITS, source, policy, opened=(94,))
    assert made.stopped == ""
    model = island(mv, 67)
    for step in made.steps:
        model = model.switched(opened=step.opened, closed=step.closed)
    served = {bus for step in made.steps if step.action == "pick up" for bus in step.buses}
    plants = {bus for step in made.steps if step.action == "connect" for bus in step.buses}
    drawn = nominal(mv)
    on = np.isin(model.bus, sorted(served))[None], np.isin(model.bus, sorted(plants))[None]
    either = on[0] | on[1]
    inputs = tuple(
        values * kept for values, kept in zip(drawn.inputs, (*on, either, either), strict=True)
    )
    state = solved(model, Injections(inputs, drawn.starts, drawn.voltage_share))
    agrees(model, state)
    last = made.steps[-1]
    assert last.lowest.value == pytest.approx(float(state["vm_pu"].min()), abs=1e-9)
    kw = float(state["forming_injected_kw"][0] - state["forming_absorbed_kw"][0])
    assert last.given_kw - last.taken_kw == pytest.approx(kw, abs=1e-6)
    assert {one.bus for one in made.unserved} == {one.bus for one in unserved(model, drawn)}


def test_a_black_start_that_cannot_go_on_says_at_what(mv):
    source = FormingSource(67, 500.0, 600.0, 500.0, 1e4, 500.0)
    made = black_start(mv, nominal(mv), LIMITS, source, Policy(by_feeder=False))
    assert re.match(r"bus \d+ .*at most [56]00\.0 k", made.stopped)
    assert made.unserved
    assert np.isfinite([step.given_kw for step in made.steps]).all()


@st.composite
def operations(draw):
    """Draw what is switched, tapped and loaded; some of it cannot be."""
    switches = st.integers(0, 203)
    return (
        {
            "opened": draw(st.lists(switches, max_size=3)),
            "closed": draw(st.lists(st.sampled_from([193, 195, 197, 199, 201, 203]), max_size=4)),
            "out": draw(st.lists(st.tuples(st.just("line"), st.integers(0, 100)), max_size=2))
            + draw(st.lists(st.tuples(st.just("trafo"), st.integers(0, 1)), max_size=1)),
            "taps": draw(st.dictionaries(st.integers(0, 1), st.integers(-10, 9), max_size=2)),
        },
        draw(st.sampled_from([0.0, 0.3, 1.0, 1.6, 2.5, 6.0, float("nan")])),
        draw(st.integers(0, 2**16)),
    )


def test_any_operation_gives_the_state_of_runpp_or_a_typed_error(mv):
    states, errors = [], []

    @settings(max_examples=60, derandomize=True, database=None)
    @given(operations())
    def holds(drawn):
        change, factor, seed = drawn
        spread = np.random.default_rng(seed).uniform(0.0, 2.0, len(mv.bus))
        try:
            model = mv.switched(**change)
            rated = nominal(model, factor)
            inputs = tuple(values * spread for values in rated.inputs)
            state = solved(model, Injections(inputs, rated.starts, rated.voltage_share))
        except GridError as error:
            errors.append(str(error))
            return
        agrees(model, state)
        accounted_for(model, state)
        states.append(int((model.node < 0).sum()))

    holds()
    assert len(states) > 15
    assert len(set(states)) > 5
    assert len(errors) > 5
    unnamed = [text for text in errors if not re.search(r"(line|trafo|bus|network) \S", text)]
    assert unnamed == []
