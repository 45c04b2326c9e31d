import numpy as np
import pandapower.topology as topology
import pytest

from grid.errors import BadInputError, SolverError
from grid.interval import starts
from networks.flow.judge import TOLERANCE_MVA, compare, judge, judge_flow, verify
from networks.flow.operator import MAX_ITERATIONS
from networks.flow.solve import flow
from networks.injection import INPUTS
from networks.sources.source import load
from networks.sources.tables import write_tables

START_S = 1_463_313_600


def _triangle(open_switch):
    """Return tables of head, busbar and two feeders, the second behind a switch."""
    line = {"length_km": 0.2, "r_ohm_per_km": 0.2, "x_ohm_per_km": 0.08, "c_nf_per_km": 800.0}
    return {
        "bus": [{"index": 10 * n, "vn_kv": 20.0 if n == 0 else 0.4} for n in range(5)],
        "ext_grid": [{"index": 0, "bus": 0}],
        "trafo": [
            {
                "index": 0, "hv_bus": 0, "lv_bus": 10, "sn_mva": 0.16, "vn_hv_kv": 20.0,
                "vn_lv_kv": 0.4, "vk_percent": 4.0, "vkr_percent": 1.4, "pfe_kw": 0.46,
                "i0_percent": 0.3, "shift_degree": 150.0, "tap_side": "hv", "tap_pos": -1.0,
                "tap_step_percent": 2.5,
            }
        ],
        "line": [
            line | {"index": 0, "from_bus": 10, "to_bus": 20, "max_i_ka": 0.27},
            line | {"index": 1, "from_bus": 20, "to_bus": 30, "max_i_ka": 0.27, "parallel": 2},
        ],
        "switch": [
            {"index": 0, "bus": 20, "element": 1, "et": "l", "closed": not open_switch},
            {"index": 1, "bus": 30, "element": 40, "et": "b"},
        ],
    }  # fmt: skip


@pytest.fixture
def small(tmp_path):
    def make(open_switch=False):
        path = tmp_path / f"small-{open_switch}.toml"
        write_tables(_triangle(open_switch), path)
        return load(f"file:{path}", source_voltage_pu=1.0)

    return make


def test_random_steps_agree_with_runpp(rural, random_inputs, solve):
    state = solve(rural, random_inputs(rural, 96))
    gap = compare(rural, state, steps=[0, 17, 50, 95])
    assert gap["vm_pu"] <= 1e-8
    assert gap["losses_kw"] <= 1e-6
    assert gap["head_kw"] <= 1e-5
    assert float(state["residual_mva"].max()) < 1e-10


def test_loading_and_flows_agree_with_runpp(rural, random_inputs, solve):
    inputs = random_inputs(rural, 2)
    state = solve(rural, inputs)
    net = judge(rural).run([values[1] for values in inputs])
    for table in ("line", "trafo"):
        theirs = net[f"res_{table}"]["loading_percent"].to_numpy()
        assert np.abs(state[f"{table}_loading_percent"][1] - theirs).max() < 1e-6
    assert np.abs(state["line_p_from_kw"][1] - 1e3 * net.res_line["p_from_mw"]).max() < 1e-5
    assert np.abs(state["va_degree"][1] - net.res_bus["va_degree"]).max() < 1e-6


def test_an_outage_with_a_forming_bus_agrees_with_runpp(rural, random_inputs, solve):
    available = np.arange(6) % 2 == 0
    inputs = random_inputs(rural, 6)
    state = solve(rural, inputs, available, rural.lv_bus)
    assert verify(rural, state, steps=range(6)) <= 1e-8
    assert compare(rural, state, steps=[1, 3])["losses_kw"] <= 1e-6
    out = state.isel(interval=~available)
    assert (out["head_import_kw"] == 0).all()
    assert (out["head_export_kw"] == 0).all()
    forming = out["forming_injected_kw"] - out["forming_absorbed_kw"]
    supply = out["injected_kw"].sum("bus") - out["absorbed_kw"].sum("bus") + forming
    assert np.abs(supply - out["losses_kw"]).max() < 1e-6
    lv = state["vm_pu"].sel(bus=rural.lv_bus)
    assert np.abs(lv[~available] - 1.0).max() < 1e-12
    assert np.abs(lv[available] - 1.0).min() > 1e-3


def test_an_outage_without_a_forming_bus_leaves_every_bus_dead(rural, random_inputs, solve):
    inputs = random_inputs(rural, 3)
    state = solve(rural, inputs, [True, False, True])
    assert state["vm_pu"][1].isnull().all()
    assert state["vm_pu"][[0, 2]].notnull().all()
    assert float(state["unserved_kw"][1]) == pytest.approx(inputs[0][1].sum())
    assert float(state["losses_kw"][1]) == 0.0
    assert verify(rural, state, steps=[0, 1, 2]) <= 1e-8


def test_buses_behind_an_open_switch_are_dead_and_agree_with_runpp(small, random_inputs, solve):
    model = small(open_switch=True)
    state = solve(model, random_inputs(model, 4, kw=8.0))
    assert state["bus"][state["vm_pu"][0].isnull()].to_numpy().tolist() == [30, 40]
    assert verify(model, state, steps=range(4)) <= 1e-8
    served = state["absorbed_kw"].sel(bus=[30, 40]).sum("bus")
    assert np.abs(state["unserved_kw"] - served).max() < 1e-12


def test_buses_joined_by_a_closed_switch_share_their_voltage(small, random_inputs, solve):
    model = small()
    state = solve(model, random_inputs(model, 4, kw=8.0), [True, True, False, False], 40)
    assert (state["vm_pu"].sel(bus=30) == state["vm_pu"].sel(bus=40)).all()
    assert verify(model, state, steps=range(4)) <= 1e-8


def test_a_forming_bus_that_is_cut_off_is_refused(small, random_inputs, solve):
    model = small(open_switch=True)
    with pytest.raises(BadInputError, match="bus 40"):
        solve(model, random_inputs(model, 1), [False], 40)
    with pytest.raises(BadInputError, match="bus 99"):
        solve(model, random_inputs(model, 1), [False], 99)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("column", range(4))
def test_a_value_that_is_no_load_names_its_bus_and_interval(
    rural, random_inputs, solve, value, column
):
    inputs = random_inputs(rural, 3)
    inputs[column][2, 5] = value
    with pytest.raises(BadInputError, match=rf"bus {rural.bus[5]} .*Z: {INPUTS[column]} is"):
        solve(rural, inputs)


def test_a_wrong_shape_is_refused(rural, random_inputs):
    inputs = random_inputs(rural, 3)
    times = np.zeros(2, "datetime64[s]")
    with pytest.raises(BadInputError, match="shape"):
        flow(rural, *inputs, starts=times, grid_available=np.ones(2, bool), forming_bus=None)


def test_a_load_beyond_voltage_collapse_has_no_solution(small, random_inputs, solve):
    model = small()
    inputs = random_inputs(model, 3, kw=5.0)
    inputs[0][1, 4] = 50_000.0
    with pytest.raises(SolverError, match="no power flow solution"):
        solve(model, inputs)


def test_newton_raphson_takes_over_where_the_iteration_is_too_slow(solve):
    model = load("pandapower:case33bw", source_voltage_pu=1.0)
    inputs = [
        np.stack([factor * values for factor in (1.0, 3.5)])
        for values in (
            model.equipment.nominal_absorbed_kw,
            model.equipment.nominal_injected_kw,
            model.equipment.nominal_absorbed_kvar,
            model.equipment.nominal_injected_kvar,
        )
    ]
    state = solve(model, inputs)
    assert (state["iterations"] == MAX_ITERATIONS).all()
    assert float(state["vm_pu"].min()) == pytest.approx(0.527481, abs=1e-6)
    # Newton-Raphson stops when active and reactive mismatch are each below its tolerance.
    assert float(state["residual_mva"].max()) <= np.sqrt(2) * TOLERANCE_MVA
    assert verify(model, state, steps=[0, 1]) <= 1e-8


def test_the_judge_returns_the_feeder_head_of_each_step(rural, random_inputs, solve):
    inputs = random_inputs(rural, 4)
    available = np.array([True, False, True, True])
    state = solve(rural, inputs, available, rural.lv_bus)
    truth = judge_flow(
        rural, *inputs, starts=state["interval"].to_numpy(), grid_available=available,
        forming_bus=rural.lv_bus,
    )  # fmt: skip
    for name in truth.data_vars:
        assert np.abs(truth[name] - state[name]).max() < 1e-5, name


def test_the_judge_gives_the_same_bytes_whatever_it_judged_before(rural, random_inputs):
    inputs = random_inputs(rural, 4)
    times = np.zeros(4, "datetime64[s]")

    def judged(order):
        state = judge_flow(
            rural, *(values[order] for values in inputs), starts=times,
            grid_available=np.array([True, False, True, True])[order],
            forming_bus=rural.lv_bus,
        )  # fmt: skip
        return state.isel(interval=np.argsort(order))

    assert judged([0, 1, 2, 3]).identical(judged([3, 1, 0, 2]))


def test_verify_sees_a_voltage_that_is_wrong(rural, random_inputs, solve):
    state = solve(rural, random_inputs(rural, 1))
    state["vm_pu"][0, 3] += 1e-4
    assert verify(rural, state, steps=[0]) == pytest.approx(1e-4, rel=1e-3)


def test_the_same_batch_gives_the_same_bytes(rural, random_inputs, solve):
    inputs = random_inputs(rural, 20)
    assert solve(rural, inputs).identical(solve(rural, inputs))


def test_the_judge_finds_what_is_behind_an_opened_branch_dead(rural, rural_net, random_inputs):
    inputs = random_inputs(rural, 1)
    line = int(rural.line.index[3])
    net = rural_net()
    net.line.loc[line, "in_service"] = False
    dead = topology.unsupplied_buses(net)
    options = {
        "starts": starts(START_S, 1, 900),
        "grid_available": np.array([True]),
        "forming_bus": None,
    }
    opened = judge_flow(rural, *inputs, **options, opened=frozenset({("line", line)}))
    assert dead
    assert set(rural.bus[np.isnan(opened["vm_pu"].values[0])].tolist()) == dead
    less = [np.where(np.isin(rural.bus, list(dead)), 0.0, values) for values in inputs]
    # Nothing flows behind it: the head gives what it would if those loads were not there.
    whole = judge_flow(rural, *less, **options)
    assert float(opened["head_import_kw"][0]) == pytest.approx(
        float(whole["head_import_kw"][0]), abs=0.05
    )
    assert not np.isnan(judge_flow(rural, *inputs, **options)["vm_pu"].values).any()
    with pytest.raises(BadInputError, match="line 999 is not in the network"):
        judge_flow(rural, *inputs, **options, opened=frozenset({("line", 999)}))
