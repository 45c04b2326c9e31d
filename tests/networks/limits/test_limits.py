import numpy as np
import pytest
from scipy.optimize import linprog

from grid.errors import BadInputError
from grid.site import Network
from networks.flow.sensitivity import node_voltage, voltage_sensitivity
from networks.limits.cuts import cuts
from networks.limits.findings import findings


def _network(**limits):
    return Network(source="simbench:1-LV-rural1--0-sw", **limits)


def _loop(model, solve, inputs, network, buses, **options):
    """Curtail injections at `buses` by an LP over the cuts of all rounds; return the rounds."""
    inputs = [values.copy() for values in inputs]
    given = inputs[1].copy()
    where = [model.position(bus) for bus in buses]
    known = []
    for attempt in range(6):
        state = solve(model, inputs, *options.get("outage", ()))
        fresh = cuts(model, state, network, buses, **options.get("limits", {}))
        if not fresh:
            return attempt, state, given - inputs[1]
        known += fresh
        for step in {cut.interval_index for cut in fresh}:
            rows = [cut for cut in known if cut.interval_index == step]
            a = np.array([cut.coefficient for cut in rows])
            b = [
                cut.limit - cut.base + np.dot(cut.coefficient, cut.base_injection_kw)
                for cut in rows
            ]
            absorbed = inputs[0][step, where]
            bounds = [
                (-use, most - use) for use, most in zip(absorbed, given[step, where], strict=True)
            ]
            best = linprog(-np.ones(len(where)), A_ub=a, b_ub=b, bounds=bounds)
            assert best.success
            inputs[1][step, where] = np.maximum(best.x + absorbed, 0.0)
    raise AssertionError("no feasible plan after six rounds")


@pytest.fixture(scope="module")
def sunny(rural, random_inputs):
    """Return inputs that lift the far buses above 1.05 pu for some steps."""
    inputs = list(random_inputs(rural, 12, kw=1.0))
    shape = np.sin(np.linspace(0, np.pi, 12))[:, None]
    inputs[1] = inputs[1] * 0.1 + shape * 21.0 * (rural.vn_kv < 1)
    return inputs


def test_voltage_cuts_make_a_plan_feasible_within_three_rounds(rural, solve, sunny):
    network = _network(voltage_max_pu=1.05, loading_max_percent=300.0)
    buses = rural.bus[rural.vn_kv < 1][::2].tolist()
    assert float(solve(rural, sunny)["vm_pu"].max()) > 1.052
    rounds, state, curtailed = _loop(rural, solve, sunny, network, buses)
    assert 1 <= rounds <= 3
    assert float(state["vm_pu"].max()) <= 1.05 + 1e-9
    # A plan that curtails everything would be feasible too: the limit must be used.
    assert float(state["vm_pu"].max()) > 1.0485
    assert (curtailed >= -1e-9).all()


def test_transformer_cuts_make_a_plan_feasible_within_three_rounds(rural, solve, sunny):
    peak = float(solve(rural, sunny)["trafo_loading_percent"].max())
    network = _network(loading_max_percent=max(1.0, peak * 0.8), voltage_max_pu=1.4)
    buses = rural.bus[rural.vn_kv < 1].tolist()
    rounds, state, _ = _loop(rural, solve, sunny, network, buses)
    assert 1 <= rounds <= 3
    assert float(state["trafo_loading_percent"].max()) <= network.loading_max_percent + 1e-6


def test_head_export_cuts_hold_in_ac(rural, solve, sunny):
    network = _network(voltage_max_pu=1.4, loading_max_percent=300.0)
    buses = rural.bus[rural.vn_kv < 1].tolist()
    limit = float(solve(rural, sunny)["head_export_kw"].max()) * 0.7
    options = {"limits": {"head_export_limit_kw": limit}}
    rounds, state, _ = _loop(rural, solve, sunny, network, buses, **options)
    assert 1 <= rounds <= 3
    assert float(state["head_export_kw"].max()) <= limit + 1e-6


@pytest.mark.parametrize("has_grid", [True, False])
def test_every_coefficient_is_the_slope_of_the_ac_flow(rural, solve, sunny, has_grid):
    available = np.full(12, has_grid)
    forming = None if has_grid else rural.lv_bus
    network = _network(voltage_max_pu=1.0001, voltage_min_pu=0.9999, loading_max_percent=1.0)
    buses = [*rural.bus.tolist()[::3], rural.lv_bus, rural.slack_bus]
    state = solve(rural, sunny, available, forming)
    options = {"head_import_limit_kw": 1.0, "head_export_limit_kw": 1.0}
    made = [c for c in cuts(rural, state, network, buses, **options) if c.interval_index in (0, 6)]
    assert {cut.name.split()[0] for cut in made} >= {"vm_pu", "loading_percent"}
    for column, bus in enumerate(buses):
        values = []
        for change in (1e-3, -1e-3):
            moved = [v.copy() for v in sunny]
            moved[1][:, rural.position(bus)] += max(change, 0.0)
            moved[0][:, rural.position(bus)] += max(-change, 0.0)
            again = solve(rural, moved, available, forming)
            values.append([_value(rural, again, cut) for cut in made])
        slope = (np.array(values[0]) - np.array(values[1])) / 2e-3
        given = np.array([cut.coefficient[column] for cut in made])
        assert np.allclose(slope, given, rtol=2e-4, atol=2e-8)


def _value(model, state, cut):
    words = cut.name.split()
    sign = -1.0 if ">=" in words else 1.0
    step = state.isel(interval=cut.interval_index)
    if words[0] == "vm_pu":
        return sign * float(step["vm_pu"].sel(bus=int(words[2])))
    if words[0] == "loading_percent":
        name = f"{words[1]}_loading_percent"
        return float(step[name].sel({words[1]: int(words[2])}))
    return float(step[words[0]])


def test_a_state_within_its_limits_needs_no_cut(rural, solve, random_inputs):
    state = solve(rural, random_inputs(rural, 4, kw=0.5))
    assert cuts(rural, state, _network(), [int(rural.lv_bus)]) == []
    assert findings(state, rural, _network()) == []


def test_findings_name_the_bus_its_worst_interval_and_the_limit(rural, solve, sunny):
    state = solve(rural, sunny)
    found = findings(state, rural, _network(voltage_max_pu=1.05))
    high = [f for f in found if f.code == "network.voltage_high"]
    worst = state["vm_pu"].max("bus")
    top = max(high, key=lambda f: float(f.message.split(": ")[1].split()[0]))
    position = int(state["vm_pu"].max("interval").to_numpy().argmax())
    assert top.subject == rural.bus_label(position)
    assert f"{float(worst.max()):.4f} pu is above 1.05 pu" in top.message
    assert top.interval in top.message
    assert found == sorted(found)


def test_dead_buses_are_named_with_the_load_they_miss(rural, solve, random_inputs):
    inputs = random_inputs(rural, 4)
    state = solve(rural, inputs, [True, False, False, True])
    (found,) = [f for f in findings(state, rural, _network()) if f.code == "network.dead_bus"]
    assert f"{len(rural.bus)} of {len(rural.bus)} buses are dead for 2 intervals" in found.message
    assert f"{inputs[0][1:3].sum(axis=1).max():.1f} kW" in found.message
    assert found.message.endswith("bus 0-13, 42")


def test_node_voltages_come_back_from_a_power_flow(rural, solve, random_inputs):
    state = solve(rural, random_inputs(rural, 2))
    voltage = node_voltage(rural, state)
    assert np.abs(np.abs(voltage[rural.node]) - state["vm_pu"].to_numpy().T).max() < 1e-14


def test_the_voltage_sensitivity_is_the_slope_of_the_power_flow(rural, solve, random_inputs):
    inputs = random_inputs(rural, 3)
    buses = rural.bus[rural.vn_kv < 1][:4].tolist()
    slope = voltage_sensitivity(rural, solve(rural, inputs), buses, 1)
    for column, bus in enumerate(buses):
        low, high = (
            solve(rural, (inputs[0], inputs[1] + moved, *inputs[2:]))["vm_pu"].values[1]
            for moved in (sign * 0.01 * (rural.bus == bus)[None, :] for sign in (-1.0, 1.0))
        )
        assert np.allclose(slope[:, column], (high - low) / 0.02, rtol=1e-5, atol=1e-11)
    assert (slope[rural.vn_kv < 1] > 0).all()


def test_a_voltage_sensitivity_is_refused_where_the_feeder_is_dead(rural, solve, random_inputs):
    dark = solve(rural, random_inputs(rural, 2), [True, False])
    bus = int(rural.bus[-1])
    assert np.isfinite(voltage_sensitivity(rural, dark, [bus], 0)).all()
    with pytest.raises(BadInputError, match="dead at step 1"):
        voltage_sensitivity(rural, dark, [bus], 1)
    with pytest.raises(BadInputError, match="at least one"):
        voltage_sensitivity(rural, dark, [], 0)
