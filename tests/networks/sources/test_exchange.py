"""Tables and pandapower nets are two forms of one network."""

import json
import math
import warnings

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import BadInputError
from networks.sources.columns import COLUMNS
from networks.sources.exchange import from_net, to_net
from networks.sources.source import read_net
from networks.sources.tables import check_tables, read_tables, write_tables

BALANCED = {
    "SimBench MV": lambda: read_net("simbench:1-MV-rural--1-sw"),
    "CIGRE LV": pn.create_cigre_network_lv,
    "CIGRE MV with DER": lambda: pn.create_cigre_network_mv(with_der="all"),
    "case33bw": pn.case33bw,
    "Kerber": pn.create_kerber_landnetz_freileitung_1,
    "two external grids": pn.mv_oberrhein,
    "generators": pn.case9,
}
"""Grids with plants, storages, switches, taps, generators and more than one source."""


_EXACT = {
    "calculate_voltage_angles": True, "tolerance_mva": 1e-10, "max_iteration": 30, "numba": False,
}  # fmt: skip


def _made(build):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build()


@pytest.mark.parametrize("name", ["SimBench LV", *BALANCED])
def test_a_net_through_a_file_has_the_same_power_flow(name, tmp_path, rural_net):
    net = rural_net() if name == "SimBench LV" else _made(BALANCED[name])
    path = tmp_path / "net.toml"
    write_tables(from_net(net), path)
    again = to_net(read_tables(path))
    for one in (net, again):
        pp.runpp(one, **_EXACT)
    for table in ("bus", "line", "trafo", "ext_grid", "gen", "load", "sgen", "storage"):
        before, after = net[f"res_{table}"], again[f"res_{table}"]
        assert before.shape == after.shape
        # Both NaN or within the bound.
        assert np.allclose(before, after, rtol=0, atol=1e-9, equal_nan=True), table


def test_european_lv_through_a_file_has_the_same_three_phase_flow(tmp_path):
    net = _made(lambda: pn.ieee_european_lv_asymmetric("on_peak_566"))
    path = tmp_path / "net.json"
    write_tables(from_net(net), path)
    again = to_net(read_tables(path))
    for one in (net, again):
        pp.runpp_3ph(one)
    before = net.res_bus_3ph.filter(like="vm_")
    assert np.allclose(before, again.res_bus_3ph.filter(like="vm_"), rtol=0, atol=1e-9)
    # The three phases differ, so that the comparison is of an unbalanced state.
    assert float(np.ptp(before.to_numpy(), axis=1).max()) > 0.01
    # Its places are metres in a plane, which no longitude is.
    assert again.bus["x"].notna().all()


def test_short_circuit_through_a_file_is_the_same():
    from pandapower.shortcircuit import calc_sc

    net = _made(pn.create_cigre_network_mv)
    net.line["endtemp_degree"] = 80.0
    again = to_net(from_net(net))
    for case in ("max", "min"):
        for one in (net, again):
            calc_sc(one, fault="3ph", case=case)
        assert np.allclose(net.res_bus_sc["ikss_ka"], again.res_bus_sc["ikss_ka"], rtol=1e-12)


def _value(column):
    if column.kind == "bool":
        return st.booleans()
    if column.kind == "int":
        return st.integers(int(column.low), int(min(column.high, 1000)))
    if column.kind == "float":
        number = st.floats(column.low, column.high)
        unknown = column.default is not None and math.isnan(column.default)
        return number | st.just(math.nan) if unknown else number
    if column.choices:
        return st.sampled_from(column.choices)
    if column.pattern:
        return st.sampled_from(["", "Dyn5" if "DYZ" in column.pattern else "PV 3.1"])
    return st.text(st.characters(exclude_categories=("C", "Z")), max_size=8)


@st.composite
def _tables(draw):
    buses = list(range(0, 3 * draw(st.integers(2, 4)), 3))
    made = {"network": [{"name": draw(_value(COLUMNS["network"]["name"]))}]}
    for table, columns in COLUMNS.items():
        if table == "network":
            continue
        count = len(buses) if table == "bus" else draw(st.integers(table == "ext_grid", 2))
        rows = made[table] = []
        for number in range(count):
            row = {name: draw(_value(column)) for name, column in columns.items()}
            row["index"] = buses[number] if table == "bus" else 7 * number + 1
            ends = draw(st.permutations(buses))
            places = ("from_bus", "to_bus", "hv_bus", "lv_bus", "bus")
            row |= {name: ends[at % 2] for at, name in enumerate(places) if name in row}
            if table == "load":
                row |= {name: value / 2 for name, value in row.items() if name.startswith("const")}
            if table == "switch":
                row["et"], row["element"] = "b", ends[1]
            rows.append(row)
    return made


@settings(max_examples=15, deadline=None)
@given(_tables())
def test_tables_to_a_net_and_back_are_equal(given_tables):
    with_nan = {
        table: [{k: v for k, v in row.items() if v == v} for row in rows]
        for table, rows in given_tables.items()
    }
    tables = check_tables(with_nan)
    assert json.dumps(from_net(to_net(tables))) == json.dumps(tables)


OLD = """
[[bus]]
index = 1
vn_kv = 20.0
longitude = 49.8
latitude = 40.4

[[bus]]
index = 2
vn_kv = 0.4

[[bus]]
index = 3
name = "end"
vn_kv = 0.4

[[line]]
index = 4
from_bus = 2
to_bus = 3
length_km = 0.3
r_ohm_per_km = 0.2067
x_ohm_per_km = 0.0804
c_nf_per_km = 830.0
max_i_ka = 0.27
parallel = 2

[[trafo]]
index = 0
hv_bus = 1
lv_bus = 2
sn_mva = 0.25
vn_hv_kv = 20.0
vn_lv_kv = 0.4
vk_percent = 6.0
vkr_percent = 1.44
pfe_kw = 0.8
i0_percent = 0.32
shift_degree = 150.0
tap_side = "hv"
tap_pos = -1.0
tap_step_percent = 2.5

[[ext_grid]]
index = 0
bus = 1

[[switch]]
index = 9
bus = 2
element = 4
et = "l"

[[load]]
index = 0
bus = 3
p_mw = 0.05
q_mvar = 0.01
"""


def test_a_file_from_before_the_newer_columns_means_the_same(tmp_path):
    path = tmp_path / "old.toml"
    path.write_text(OLD)
    net = to_net(read_tables(path))
    by_hand = pp.create_empty_network(sn_mva=1.0)
    for index, vn_kv in ((1, 20.0), (2, 0.4), (3, 0.4)):
        pp.create_bus(by_hand, vn_kv, index=index)
    pp.create_line_from_parameters(
        by_hand, 2, 3, 0.3, 0.2067, 0.0804, 830.0, 0.27, index=4, parallel=2
    )
    pp.create_transformer_from_parameters(
        by_hand, 1, 2, 0.25, 20.0, 0.4, 1.44, 6.0, 0.8, 0.32, shift_degree=150.0, tap_side="hv",
        tap_neutral=0.0, tap_pos=-1.0, tap_step_percent=2.5, tap_changer_type="Ratio",
    )  # fmt: skip
    pp.create_ext_grid(by_hand, 1)
    pp.create_switch(by_hand, 2, 4, "l", index=9)
    pp.create_load(by_hand, 3, 0.05, 0.01)
    for one in (net, by_hand):
        pp.runpp(one, **_EXACT)
    assert np.allclose(net.res_bus, by_hand.res_bus, rtol=0, atol=1e-12)
    # The tap acts, and what the file does not say is not there.
    assert float(net.res_bus.vm_pu.at[2]) > 1.01
    assert "r0_ohm_per_km" not in net.line
    assert "s_sc_max_mva" not in net.ext_grid
    assert json.loads(net.bus.geo.at[1])["coordinates"] == [49.8, 40.4]


def test_a_tap_that_does_not_act_stays_without_effect():
    net = _made(pn.create_kerber_landnetz_freileitung_1)
    net.trafo["tap_side"], net.trafo["tap_changer_type"] = "hv", None
    net.trafo["tap_neutral"], net.trafo["tap_pos"], net.trafo["tap_step_percent"] = 0.0, 2.0, 2.5
    tables = from_net(net)
    assert tables["trafo"][0]["tap_changer_type"] == ""
    again = to_net(tables)
    for one in (net, again):
        pp.runpp(one, **_EXACT)
    assert np.allclose(net.res_bus.vm_pu, again.res_bus.vm_pu, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda n: pp.create_ward(n, 2, 1, 1, 1, 1), "ward 0: the network file has no table"),
        (lambda n: pp.create_impedance(n, 2, 3, 0.1, 0.1, 1), "impedance 0: .* no table"),
        (lambda n: n.load.__setitem__("q_mvar", math.nan), "load 0: q_mvar is missing"),
        (lambda n: n.line.__setitem__("length_km", 0.0), "line row 1: length_km is 0.0"),
        (lambda n: n.line.__setitem__("max_i_ka", math.nan), "line 4: max_i_ka is missing"),
        (lambda n: n.load.__setitem__("const_z_p_percent", 120.0), "const_z_p_percent is 120.0"),
        (lambda n: n.trafo.__setitem__("tap_dependency_table", True), "tap_dependency_table"),
        (lambda n: n.load.__setitem__("bus", 77), "load 0: bus 77 is not a bus"),
        (lambda n: n.switch.__setitem__("et", "t3"), "et is 't3'"),
    ],
)  # fmt: skip
def test_what_a_file_cannot_hold_is_refused_by_name(tmp_path, spoil, reason):
    path = tmp_path / "old.toml"
    path.write_text(OLD)
    net = to_net(read_tables(path))
    spoil(net)
    with pytest.raises(BadInputError, match=reason):
        from_net(net)


def test_a_controller_is_refused_since_the_file_would_change_what_it_does(rural_net):
    from pandapower.control import DiscreteTapControl

    net = rural_net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        DiscreteTapControl(net, 0, 0.98, 1.02)
    with pytest.raises(BadInputError, match="controller 0: a controller acts"):
        from_net(net)
