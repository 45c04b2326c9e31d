"""Switched, tapped, and with every kind of equipment at once: the engines still agree."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandapower as pp
import pytest

from networks.sources.compile import compile_net
from networks.topology import connect
from tests.networks.engines import grid_model, opendss
from tests.networks.engines.agreement import answers, assert_agree, case
from tests.networks.engines.physical import read

MV = "simbench:1-MV-rural--0-sw"
CIGRE = "pandapower:create_cigre_network_mv"
LV = "simbench:1-LV-rural3--0-sw"
ENGINES = {"power-grid-model": grid_model.solve, "OpenDSS": opendss.solve}
NOMINAL = {"nominal": {}}


def _assert_both_agree(net, model):
    ours = answers(model, NOMINAL)["nominal"]
    for engine in ENGINES.values():
        assert_agree(ours, engine(read(net)))
    return ours


def _switched(source, *, opened=(), closed=(), out=(), taps=None):
    """Return (net, model) of a source, the tables and the model switched the same."""
    net, model = case(source)
    net = deepcopy(net)
    net.switch.loc[list(opened), "closed"] = False
    net.switch.loc[list(closed), "closed"] = True
    for table, index in out:
        net[table].loc[index, "in_service"] = False
    for index, position in (taps or {}).items():
        net.trafo.loc[index, "tap_pos"] = position
    return net, model.switched(opened=opened, closed=closed, out=out, taps=taps)


@pytest.mark.parametrize("source", [MV, CIGRE])
def test_with_every_tie_closed_the_meshes_agree(source):
    net, _ = case(source)
    ties = net.switch.index[~net.switch["closed"]].tolist()
    assert len(ties) >= 3
    _assert_both_agree(*_switched(source, closed=ties))


@pytest.mark.parametrize("at", [3, 20, 41, 77])
def test_a_cable_open_at_one_end_and_what_is_dead_behind_it_agree(at):
    """Opened at its far end, where it stays alive and charges; all behind it is dead."""
    net, _ = case(MV)
    at_line = net.switch[(net.switch["et"] == "l") & net.switch["closed"]]
    far = [
        index
        for index, row in at_line.iterrows()
        if net.line.at[row["element"], "to_bus"] == row["bus"]
    ]
    ours = _assert_both_agree(*_switched(MV, opened=[far[at]]))
    assert np.isnan(ours.vm_pu).any()


def test_a_line_out_of_service_agrees():
    net, _ = case(MV)
    ours = _assert_both_agree(*_switched(MV, out=[("line", int(net.line.index[10]))]))
    assert np.isnan(ours.vm_pu).any()


@pytest.mark.parametrize("end", ["hv_bus", "lv_bus"])
def test_a_transformer_open_at_one_end_agrees(end):
    """Two in parallel; the one that is open idles at its other end, its iron still there."""
    net, _ = case(MV)
    at_trafo = net.switch[(net.switch["et"] == "t") & (net.switch["element"] == 1)]
    opened = at_trafo.index[at_trafo["bus"] == net.trafo.at[1, end]].tolist()
    assert len(opened) == 1
    _assert_both_agree(*_switched(MV, opened=opened))


@pytest.mark.parametrize(
    ("source", "taps"),
    [(LV, {0: -2}), (LV, {0: 1}), (LV, {0: 2}), (MV, {0: -7, 1: -7}), (MV, {0: 3, 1: 5})],
)
def test_taps_agree(source, taps):
    """Unequal taps of two parallel transformers drive a current around them."""
    _, model = case(source)
    before = answers(model, NOMINAL)["nominal"]
    ours = _assert_both_agree(*_switched(source, taps=taps))
    assert np.abs(ours.vm_pu - before.vm_pu).max() > 0.01


def test_an_island_that_a_source_below_the_transformer_forms_agrees():
    """The transformer idles, energised from below; its head's bus stays alive."""
    net, model = case(LV)
    bus = int(net.load.loc[net.load["p_mw"].idxmax(), "bus"])
    ours = answers(model, NOMINAL, forming_bus=bus)["nominal"]
    island = replace(read(net), source_bus=bus, source_pu=1.0)
    for engine in ENGINES.values():
        assert_agree(ours, engine(island))
    assert np.isfinite(ours.vm_pu).all()
    assert ours.vm_pu[ours.bus.index(bus)] == pytest.approx(1.0, abs=1e-12)


def _feeder_of_everything():
    """Return a net with each kind of equipment and each oddity of its tables."""
    net = pp.create_empty_network(f_hz=50.0, sn_mva=1.0)
    kv = {
        0: 20.0,
        1: 20.0,
        2: 0.4,
        3: 0.4,
        4: 0.4,
        5: 0.4,
        6: 0.4,
        7: 10.0,
        8: 10.0,
        9: 0.4,
        10: 0.4,
    }
    for index, vn_kv in kv.items():
        pp.create_bus(net, vn_kv, index=index)
    pp.create_ext_grid(net, 0, vm_pu=1.013)

    def line(a, b, km, r, x, c, **more):
        return pp.create_line_from_parameters(net, a, b, km, r, x, c, 0.3, **more)

    def trafo(hv, lv, mva, hv_kv, lv_kv, shift, **more):
        name_plate = {"vkr_percent": 1.1, "vk_percent": 5.3, "pfe_kw": 1.9, "i0_percent": 0.8}
        pp.create_transformer_from_parameters(
            net, hv, lv, mva, hv_kv, lv_kv, shift_degree=shift, **name_plate | more
        )

    line(0, 1, 7.3, 0.21, 0.12, 260.0, parallel=2, g_us_per_km=0.4)
    # Rated off the buses' voltages, two in parallel, tapped at the LV side.
    trafo(
        1, 2, 0.4, 21.0, 0.42, 150.0, parallel=2, tap_side="lv", tap_neutral=1, tap_min=-3,
        tap_max=3, tap_pos=-2, tap_step_percent=1.25, tap_changer_type="Ratio",
    )  # fmt: skip
    # A second voltage level, then a third; the first of them has a tap that no changer moves.
    trafo(
        1, 7, 0.63, 20.0, 10.5, 0.0, tap_side="hv", tap_neutral=0, tap_min=-2, tap_max=2,
        tap_pos=2, tap_step_percent=2.5,
    )  # fmt: skip
    net.trafo.loc[1, "tap_changer_type"] = None
    trafo(
        8, 9, 0.25, 10.0, 0.4, 30.0, tap_side="hv", tap_neutral=0, tap_min=-2, tap_max=2,
        tap_pos=-1, tap_step_percent=2.5, tap_changer_type="Ratio",
    )  # fmt: skip
    line(7, 8, 3.1, 0.33, 0.1, 190.0)
    line(2, 3, 0.21, 0.25, 0.08, 830.0, parallel=3)
    hanging = line(3, 4, 0.3, 0.25, 0.08, 830.0)
    line(3, 5, 0.17, 0.6, 0.09, 400.0)
    line(5, 4, 0.2, 0.6, 0.09, 400.0, in_service=False)
    line(9, 10, 0.1, 0.3, 0.08, 700.0)
    pp.create_switch(net, 4, hanging, "l", closed=False)
    pp.create_switch(net, 5, 6, "b", closed=True)
    pp.create_switch(net, 6, 4, "b", closed=False)
    pp.create_load(net, 3, 0.09, 0.03, scaling=0.7)
    pp.create_load(net, 3, 0.02, -0.01)
    pp.create_load(net, 6, 0.04, 0.01)
    pp.create_load(net, 5, 0.05, 0.05, in_service=False)
    pp.create_load(net, 4, 0.01, 0.0)
    pp.create_load(net, 10, 0.06, 0.02)
    pp.create_sgen(net, 6, 0.11, 0.02, scaling=0.5)
    pp.create_sgen(net, 10, 0.02, -0.01)
    pp.create_storage(net, 9, -0.03, 0.1, q_mvar=0.004)
    pp.create_shunt(net, 7, q_mvar=-0.08, p_mw=0.002, vn_kv=10.5, step=2, max_step=4)
    pp.create_shunt(net, 3, q_mvar=0.01, vn_kv=0.4, in_service=False)
    return net


def test_every_kind_of_equipment_agrees():
    net = _feeder_of_everything()
    model = connect(compile_net(net, source="everything", base_dir=None))
    ours = _assert_both_agree(net, model)
    dead = np.flatnonzero(np.isnan(ours.vm_pu)).tolist()
    assert dead == [4]


@pytest.mark.parametrize(
    ("table", "row", "column", "value"),
    [
        ("line", 0, "parallel", 1),
        ("line", 0, "g_us_per_km", 0.0),
        ("trafo", 0, "parallel", 1),
        ("trafo", 0, "vn_lv_kv", 0.4),
        ("trafo", 0, "tap_pos", -1),
        ("trafo", 1, "tap_changer_type", "Ratio"),
        ("trafo", 2, "shift_degree", 0.0),
        ("load", 0, "scaling", 1.0),
        ("load", 3, "in_service", True),
        ("sgen", 0, "scaling", 1.0),
        ("storage", 0, "q_mvar", 0.0),
        ("shunt", 0, "step", 1),
        ("shunt", 0, "vn_kv", 10.0),
        ("switch", 1, "closed", False),
        ("switch", 2, "closed", True),
    ],
)
def test_each_entry_of_its_tables_matters(table, row, column, value):
    """One entry changed for the peers alone: they no longer agree with us."""
    net = _feeder_of_everything()
    model = connect(compile_net(net, source="everything", base_dir=None))
    ours = answers(model, NOMINAL)["nominal"]
    net[table].loc[row, column] = value
    for engine in ENGINES.values():
        with pytest.raises(AssertionError, match=r"^(bus \d+|losses_kw|head_kw|head_kvar)"):
            assert_agree(ours, engine(read(net)))
