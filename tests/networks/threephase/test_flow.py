import warnings

import numpy as np
import pandapower as pp
import pytest

from grid.errors import BadInputError, SolverError
from grid.interval import starts
from networks.flow.year import nominal_flow as single_phase_flow
from networks.sources.source import load as load_single
from networks.sources.tables import write_tables
from networks.threephase.flow import flow, nominal_flow
from networks.threephase.judge import compare, judge_flow, results
from networks.threephase.source import load

EUROPEAN = "pandapower:ieee_european_lv_asymmetric"
RURAL = "simbench:1-LV-rural1--0-sw"


def runpp_3ph(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp_3ph(net, numba=False, max_iteration=100)
    return results(net)


def gaps(state, truth):
    """Return the largest difference of each column; dead buses must be the same."""
    found = {}
    for name, (_, theirs) in truth.items():
        ours = state[name].isel(interval=0).to_numpy()
        gap = ours - theirs
        if name == "va_degree":
            gap = (gap + 180.0) % 360.0 - 180.0
        if name in ("vm_pu", "unbalance_percent"):
            assert (np.isnan(ours) == np.isnan(theirs)).all()
        found[name] = float(np.nanmax(np.abs(gap)))
    return found


@pytest.mark.parametrize("scenario", ["off_peak_1", "on_peak_566", "off_peak_1440"])
def test_the_european_feeder_agrees_with_runpp_3ph(european, compiled, scenario):
    net = european(scenario)
    state = nominal_flow(compiled(net, 1.05))
    gap = gaps(state, runpp_3ph(net))
    assert gap["vm_pu"] < 1e-7
    assert gap["va_degree"] < 1e-5
    assert gap["unbalance_percent"] < 1e-5
    assert gap["line_loading_percent"] < 1e-4
    assert gap["line_neutral_a"] < 1e-3
    assert gap["trafo_loading_percent"] < 1e-4
    assert gap["losses_kw"] < 1e-4
    assert float(state["residual_kva"].max()) < 1e-6


@pytest.mark.parametrize(
    ("group", "shift", "vn_hv_kv"),
    [
        ("Dyn", 150.0, 20.0), ("Dyn", 30.0, 20.4), ("Dyn", -30.0, 20.0), ("Dyn11", 330.0, 20.0),
        ("YNyn", 0.0, 20.0), ("YNyn6", 180.0, 19.8), ("Yzn", 150.0, 20.0), ("Yzn5", 150.0, 20.2),
    ],
)  # fmt: skip
def test_every_vector_group_agrees_with_runpp_3ph(
    small_net, draw_load, compiled, group, shift, vn_hv_kv
):
    net = draw_load(small_net(group, shift, vn_hv_kv), kinds=("wye", "delta"))
    state = nominal_flow(compiled(net, 1.02))
    net.trafo["vector_group"] = group.rstrip("0123456789")
    gap = gaps(state, runpp_3ph(net))
    assert gap["vm_pu"] < 1e-7
    assert gap["va_degree"] < 1e-5
    assert gap["line_neutral_a"] < 1e-3
    assert gap["losses_kw"] < 1e-5
    assert float(state["unbalance_percent"].max()) > 0.05


def test_buses_behind_an_open_switch_are_dead_and_their_load_is_named(
    small_net, draw_load, compiled
):
    net = small_net()
    net.switch.loc[0, "bus"] = net.line.at[2, "from_bus"]
    net.switch.loc[0, "element"] = 2
    draw_load(net)
    state = nominal_flow(compiled(net, 1.02))
    dead = state["bus"][state["vm_pu"][0, :, 0].isnull()].to_numpy().tolist()
    assert dead == [4, 5]
    assert gaps(state, runpp_3ph(net))["vm_pu"] < 1e-7
    absorbed = net.asymmetric_load.loc[net.asymmetric_load["bus"].isin(dead)]
    kw = absorbed[["p_a_mw", "p_b_mw", "p_c_mw"]].clip(lower=0).to_numpy().sum() * 1e3
    assert float(state["unserved_kw"][0]) == pytest.approx(kw)


def test_a_balanced_load_gives_the_single_phase_power_flow():
    one = single_phase_flow(load_single(RURAL, source_voltage_pu=1.015))
    model = load(RURAL, source_voltage_pu=1.015, assume_zero_sequence=True)
    three = nominal_flow(model.stiff())
    assert np.abs(three["vm_pu"][0] - one["vm_pu"][0]).max() < 1e-9
    assert float(three["unbalance_percent"].max()) < 1e-9
    turn = (three["va_degree"][0].isel(phase=0) - one["va_degree"][0] + 180) % 360 - 180
    assert np.abs(turn).max() < 1e-7
    loading = three["line_loading_percent"][0] - one["line_loading_percent"][0]
    assert np.abs(loading).max() < 1e-6
    assert float(three["losses_kw"][0]) == pytest.approx(float(one["losses_kw"][0]), abs=1e-7)
    assert float(three["line_neutral_a"].max()) < 1e-6
    exported = three["head_export_kw"].sum("phase") - three["head_import_kw"].sum("phase")
    single = one["head_export_kw"] - one["head_import_kw"]
    assert float(exported[0]) == pytest.approx(float(single[0]), abs=1e-6)


def test_the_cigre_lv_feeders_with_uneven_loads_agree_with_runpp_3ph():
    model = load("pandapower:create_cigre_network_lv", assume_zero_sequence=True)
    draw = np.random.default_rng(6)
    total = 0.8 * model.nominal_wye.sum(axis=2, keepdims=True)
    uneven = (total * draw.dirichlet([3, 3, 3], len(model.bus)))[:, None]
    when = starts(0, 1, 900)
    state = flow(model, *uneven, starts=when)
    gap = compare(state, judge_flow(model, *uneven, starts=when))
    assert gap["vm_pu"] < 1e-8
    assert gap["line_neutral_a"] < 1e-4
    assert gap["losses_kw"] < 1e-5
    assert float(state["unbalance_percent"].max()) > 0.5
    assert int(state["iterations"][0]) < 30


def test_power_at_the_head_is_load_and_losses(small_net, draw_load, compiled):
    model = compiled(draw_load(small_net(), kinds=("wye", "delta")), 1.02)
    state = nominal_flow(model)
    alive = model.node >= 0
    loads = (model.nominal_wye + model.nominal_delta)[:, alive].sum(axis=(1, 2))
    head = state["head_import_kw"].sum() - state["head_export_kw"].sum()
    assert float(head) == pytest.approx(loads[0] - loads[1] + float(state["losses_kw"][0]))


def test_random_intervals_and_chunks_agree_with_the_judge(small_net, monkeypatch):
    model = load("pandapower:create_kerber_landnetz_freileitung_1", source_voltage_pu=1.0,
                 assume_zero_sequence=True)  # fmt: skip
    draw = np.random.default_rng(4)
    at = model.bus[[3, 7, 11, 14]]
    given = [draw.random((7, 4, 3)) * kw for kw in (6.0, 4.0, 2.0, 1.0)]
    pairs = [draw.random((7, 4, 3)) * kw for kw in (2.0, 1.0, 0.5, 0.5)]
    when = starts(1_463_313_600, 7, 900)
    whole = flow(model, *given, starts=when, at=at, delta=pairs)
    monkeypatch.setattr("networks.threephase.flow.chunk_length", lambda _: 3)
    parts = flow(model, *given, starts=when, at=at, delta=pairs)
    for name in set(whole.data_vars) - {"iterations"}:
        assert np.abs(whole[name] - parts[name]).max() < 1e-6, name
    some = [0, 6]
    truth = judge_flow(
        model, *(values[some] for values in given), starts=when[some], at=at,
        delta=[values[some] for values in pairs],
    )  # fmt: skip
    gap = compare(whole, truth)
    assert gap["vm_pu"] < 1e-7
    assert gap["losses_kw"] < 1e-5
    moved = whole.copy(deep=True)
    moved["vm_pu"][6, 3, 2] += 1e-4
    assert compare(moved, truth)["vm_pu"] == pytest.approx(1e-4, rel=1e-2)


@pytest.mark.parametrize(("entries", "reach"), [(0, 3_000_000), (0, 0)])
def test_every_way_through_the_network_gives_the_same_voltages(
    small_net, draw_load, compiled, monkeypatch, entries, reach
):
    net = draw_load(small_net(), kinds=("wye", "delta"))
    expected = nominal_flow(compiled(net, 1.02))
    monkeypatch.setattr("networks.threephase.operator._PORT_ENTRIES", entries)
    monkeypatch.setattr("networks.threephase.operator._REACH_ENTRIES", reach)
    monkeypatch.setattr("networks.threephase.operator._DENSE_NODES", 0)
    state = nominal_flow(compiled(net, 1.02))
    assert np.abs(state["vm_pu"] - expected["vm_pu"]).max() < 1e-10
    assert float(state["residual_kva"].max()) < 1e-6


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_value_that_is_no_load_names_its_bus_phase_and_interval(small_net, compiled, value):
    model = compiled(small_net(), 1.0)
    given = [np.zeros((2, 6, 3)) for _ in range(4)]
    given[2][1, 4, 2] = value
    message = rf"bus 4 'bus 4' 1970-01-01T00:15Z: absorbed_kvar of c is {value}"
    when = starts(0, 2, 900)
    with pytest.raises(BadInputError, match=message):
        flow(model, *given, starts=when)
    with pytest.raises(BadInputError, match="of ca is"):
        flow(model, *np.zeros((4, 2, 6, 3)), starts=when, delta=given)
    with pytest.raises(BadInputError, match="shape"):
        flow(model, *given, starts=when[:1])
    with pytest.raises(BadInputError, match="bus 77"):
        flow(model, *np.zeros((4, 2, 1, 3)), starts=when, at=[77])


def test_a_load_beyond_voltage_collapse_names_its_interval():
    model = load("pandapower:create_kerber_landnetz_freileitung_1", source_voltage_pu=1.0,
                 assume_zero_sequence=True)  # fmt: skip
    given = np.zeros((4, 3, 1, 3))
    given[0, :, 0, 1] = 1.0, 2_000.0, 1.0
    with pytest.raises(SolverError, match="1970-01-01T00:15Z: no three-phase power flow"):
        flow(model, *given, starts=starts(0, 3, 900), at=[model.bus[-1]])


def test_a_network_without_zero_sequence_data_is_refused_unless_they_are_assumed():
    with pytest.raises(BadInputError, match=r"line 0 .*r0_ohm_per_km is missing"):
        load(RURAL, source_voltage_pu=1.0)
    model = load(RURAL, source_voltage_pu=1.0, assume_zero_sequence=True)
    assert [one.subject for one in model.findings] == ["line", "trafo", "ext_grid"]
    again = load(RURAL, source_voltage_pu=1.0, assume_zero_sequence=True)
    assert again.findings == model.findings
    ohm = 1 / model.line.yff[:, 0] - 1j * 0
    assert ohm[0].real == pytest.approx(4 * ohm[1].real, rel=1e-3)


def test_an_unknown_vector_group_is_refused_with_its_name(small_net, compiled):
    with pytest.raises(BadInputError, match="trafo 0: vector group 'Yy' has no three-phase"):
        compiled(small_net("Yy0"), 1.0)


def test_a_network_without_load_has_the_source_voltage_everywhere(small_net, compiled):
    state = nominal_flow(compiled(small_net(vn_hv_kv=20.0), None).stiff())
    assert float(state["vm_pu"].sel(bus=0).max()) == pytest.approx(1.02, abs=1e-12)
    assert float(state["unbalance_percent"].max()) < 1e-9
    assert float(state["line_neutral_a"].max()) < 1e-9
    assert 0.4 < float(state["losses_kw"][0]) < 0.6
    twice = small_net()
    pp.create_ext_grid(twice, 1)
    with pytest.raises(BadInputError, match="2 external grids"):
        compiled(twice, 1.0)


def test_a_stiff_source_is_judged_as_one(small_net):
    model = load("pandapower:create_kerber_landnetz_freileitung_1", assume_zero_sequence=True)
    assert model.source_voltage_pu == 1.0
    given = np.random.default_rng(9).random((4, 1, 1, 3)) * 9.0
    when, at = starts(0, 1, 900), model.bus[[9]]
    stiff = load(EUROPEAN).stiff()
    assert stiff.source_voltage_pu == pytest.approx(1.05)
    some = stiff.bus[[900]]
    gap = compare(
        flow(stiff, *given, starts=when, at=some),
        judge_flow(stiff, *given, starts=when, at=some),
    )
    assert gap["vm_pu"] < 1e-8
    assert gap["unbalance_percent"] < 1e-6
    gap = compare(
        flow(model, *given, starts=when, at=at), judge_flow(model, *given, starts=when, at=at)
    )
    assert gap["vm_pu"] < 1e-8


def test_the_cache_gives_the_same_power_flow():
    first = nominal_flow(load(EUROPEAN, source_voltage_pu=1.05))
    assert nominal_flow(load(EUROPEAN, source_voltage_pu=1.05)).identical(first)


def test_a_file_of_tables_is_solved_with_assumed_data(tmp_path):
    line = {"length_km": 0.2, "r_ohm_per_km": 0.2, "x_ohm_per_km": 0.08, "max_i_ka": 0.27}
    tables = {
        "bus": [{"index": n, "vn_kv": 0.4} for n in range(3)],
        "ext_grid": [{"index": 0, "bus": 0}],
        "line": [
            line | {"index": 0, "from_bus": 0, "to_bus": 1},
            line | {"index": 1, "from_bus": 1, "to_bus": 2},
        ],
    }
    path = tmp_path / "feeder.toml"
    write_tables(tables, path)
    model = load(f"file:{path}", source_voltage_pu=1.0, assume_zero_sequence=True)
    given = np.zeros((4, 1, 1, 3))
    given[0, 0, 0, 0] = 4.6
    state = flow(model, *given, starts=np.zeros(1, "datetime64[s]"), at=[2]).isel(interval=0)
    # By hand: loop impedance (2 z1 + z0) / 3 = 2 z1 of a phase with an equal neutral.
    z_ohm, u, s = 2 * 0.4 * (0.2 + 0.08j), 400 / np.sqrt(3), 4600.0
    v = u
    for _ in range(50):
        v = u - z_ohm * (s / v).conjugate()
    assert float(state["vm_pu"].sel(bus=2, phase="a")) == pytest.approx(abs(v) / u, abs=1e-9)
    assert float(state["line_neutral_a"][1]) == pytest.approx(abs(s / v), rel=1e-9)
    assert float(state["losses_kw"]) == pytest.approx(abs(s / v) ** 2 * z_ohm.real / 1e3)


def test_pandapower_takes_over_where_the_iteration_is_too_slow(monkeypatch):
    model = load("pandapower:create_kerber_landnetz_freileitung_1", source_voltage_pu=1.0,
                 assume_zero_sequence=True)  # fmt: skip
    given = np.random.default_rng(2).random((4, 2, 2, 3)) * 5.0
    when, at = starts(0, 2, 900), model.bus[[5, 13]]
    own = flow(model, *given, starts=when, at=at)
    monkeypatch.setattr("networks.threephase.operator.MAX_ITERATIONS", 2)
    taken_over = flow(model, *given, starts=when, at=at)
    assert (taken_over["iterations"] == 2).all()
    assert np.abs(taken_over["vm_pu"] - own["vm_pu"]).max() < 1e-7
    assert float(taken_over["residual_kva"].max()) < 1e-3
    with pytest.raises(SolverError, match="no three-phase power flow solution"):
        flow(model.behind_impedance(), *given, starts=when, at=at)
