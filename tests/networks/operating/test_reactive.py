"""Inverters settle where pandapower's controllers settle, and every one on its characteristic."""

from dataclasses import replace

import numpy as np
import pandapower as pp
import pytest

from grid.errors import BadInputError
from networks.operating.characteristics import (
    Q_OF_U,
    CosPhiOfP,
    Inverter,
    QOfU,
    cos_phi_of_p,
)
from networks.operating.reactive import settle
from networks.operating.state import Injections, nominal, solved


@pytest.fixture(scope="module")
def sunny(rural):
    """Little load and three times the plants: the voltage is high."""
    drawn = nominal(rural, 0.1)
    a, b, c, d = drawn.inputs
    return Injections((a, 3.0 * b, c, d), drawn.starts)


def _inverters(model, drawn, curve_of):
    rows = np.flatnonzero(drawn.inputs[1][0] > 0)
    made = [
        Inverter(int(model.bus[row]), kw, 1.15 * kw, curve_of(number, kw))
        for number, (row, kw) in enumerate(zip(rows, drawn.inputs[1][0][rows], strict=True))
    ]
    return made, drawn.inputs[1][:, rows]


def test_q_of_u_settles_where_pandapower_settles(rural, sunny):
    from pandapower.control.controller.DERController import DERController
    from pandapower.control.controller.DERController.QModels import QModelQVCurve

    inverters, power_kw = _inverters(rural, sunny, lambda *_: Q_OF_U)
    ours = settle(rural, sunny, inverters, power_kw)
    net = rural.pandapower_net()
    for table in ("load", "sgen", "storage"):
        net[table] = net[table].drop(index=net[table].index)
    a, _, c, d = (values[0] for values in sunny.inputs)
    pp.create_loads(net, rural.bus, p_mw=a * 1e-3, q_mvar=(c - d) * 1e-3)
    points = np.array(Q_OF_U.points).T
    for inverter, kw in zip(inverters, power_kw[0], strict=True):
        plant = pp.create_sgen(net, inverter.bus, kw * 1e-3, sn_mva=inverter.rated_kva * 1e-3)
        curve = {"vm_points_pu": points[0].tolist(), "q_points_pu": points[1].tolist()}
        DERController(
            net, plant, q_model=QModelQVCurve(curve), max_q_error=1e-10, saturate_sn_mva=np.nan
        )
    pp.runpp(net, run_control=True, tolerance_mva=1e-10, calculate_voltage_angles=True,
             max_iter=200)  # fmt: skip
    theirs_kvar = 1e3 * net.sgen.q_mvar.to_numpy()
    assert ours.converged.all()
    assert (ours.injected_kvar - ours.absorbed_kvar)[0] == pytest.approx(theirs_kvar, abs=1e-3)
    assert np.abs(theirs_kvar).max() > 5.0
    vm_pu = solved(rural, ours.injections)["vm_pu"].to_numpy()[0]
    assert np.abs(vm_pu - net.res_bus.vm_pu.to_numpy()).max() < 1e-6


def test_every_inverter_is_on_its_characteristic_by_runpp(rural, sunny, runpp):
    inverters, power_kw = _inverters(
        rural, sunny, lambda number, kw: Q_OF_U if number % 2 else cos_phi_of_p(kw)
    )
    ours = settle(rural, sunny, inverters, power_kw)
    vm_pu = runpp(rural, ours.injections).res_bus.vm_pu
    both = 0
    for column, one in enumerate(inverters):
        kvar = float(ours.injected_kvar[0, column] - ours.absorbed_kvar[0, column])
        if one.curve is Q_OF_U:
            wanted = np.interp(vm_pu[one.bus], *np.array(Q_OF_U.points).T) * one.rated_kva
        else:
            wanted = -power_kw[0, column] * np.tan(np.arccos(0.9 if one.rated_kva > 4.6 else 0.95))
        assert kvar == pytest.approx(wanted, abs=1e-4)
        both += kvar < -1.0
    assert both >= 2
    before, after = solved(rural, sunny), solved(rural, ours.injections)
    assert float(after["vm_pu"].max()) < float(before["vm_pu"].max()) - 0.005


def test_cos_phi_of_p_by_hand():
    """5 kW of 10 kW at cos phi 1; 7.5 kW at 0.95; 10 kW at 0.9: Q = P tan(arccos)."""
    from networks.operating.reactive import _wanted

    inverter = Inverter(0, 10.0, 12.0, cos_phi_of_p(12.0))
    active = np.array([[0.0], [5.0], [7.5], [10.0]])
    kvar = _wanted([inverter], np.ones((4, 1)), active)[:, 0]
    assert kvar == pytest.approx([0.0, 0.0, -7.5 * 0.328684, -10.0 * 0.484322], abs=1e-5)
    assert cos_phi_of_p(4.6).points[1] == (1.0, 0.95)


def test_what_active_power_leaves_bounds_reactive_power(rural, sunny):
    inverters, power_kw = _inverters(rural, sunny, lambda *_: QOfU(((0.9, 0.0), (0.91, -1.0))))
    ours = settle(rural, sunny, inverters, power_kw)
    rated = np.array([one.rated_kva for one in inverters])
    assert np.hypot(power_kw, ours.absorbed_kvar) == pytest.approx(rated[None], rel=1e-9)


@pytest.mark.parametrize(("width", "times"), [(0.04, 4), (0.01, 4)])
def test_a_steep_characteristic_settles_too(rural, sunny, runpp, width, times):
    """Where stepping straight to the characteristic would swing ever further."""
    inverters, power_kw = _inverters(rural, sunny, lambda *_: Q_OF_U)
    steep = QOfU(((1.02 - width / 2, 0.5), (1.02 + width / 2, -0.5)))
    some = [replace(one, curve=steep, rated_kva=times * one.rated_kva) for one in inverters]
    settled = settle(rural, sunny, some, power_kw)
    assert settled.converged.all()
    assert settled.findings == ()
    vm_pu = runpp(rural, settled.injections).res_bus.vm_pu
    for column, one in enumerate(some):
        wanted = np.interp(vm_pu[one.bus], *np.array(steep.points).T) * one.rated_kva
        kvar = settled.injected_kvar[0, column] - settled.absorbed_kvar[0, column]
        assert kvar == pytest.approx(wanted, abs=2e-4 * one.rated_kva)


def test_what_does_not_settle_is_reported(rural, sunny):
    """A characteristic that is nearly a switch."""
    inverters, power_kw = _inverters(rural, sunny, lambda *_: Q_OF_U)
    jump = QOfU(((1.0199, 1.0), (1.0201, -1.0)))
    some = [replace(one, curve=jump, rated_kva=9 * one.rated_kva) for one in inverters]
    early = settle(rural, sunny, some, power_kw)
    assert not early.converged.any()
    assert float(early.residual_kvar[0]) > 1e-4
    assert [one.code for one in early.findings] == ["network.reactive_unsettled"]
    assert "inverter at bus" in early.findings[0].message


def test_intervals_do_not_see_each_other(rural, sunny):
    inverters, power_kw = _inverters(rural, sunny, lambda *_: Q_OF_U)
    many = Injections(
        tuple(np.concatenate([values, 0.5 * values, values]) for values in sunny.inputs),
        np.arange(3).astype("datetime64[s]"),
    )
    together = settle(rural, many, inverters, np.concatenate([power_kw, 0.5 * power_kw, power_kw]))
    alone = settle(rural, sunny, inverters, power_kw)
    assert together.absorbed_kvar[0] == pytest.approx(alone.absorbed_kvar[0], abs=1e-9)
    assert together.absorbed_kvar[2] == pytest.approx(alone.absorbed_kvar[0], abs=1e-9)
    assert together.absorbed_kvar[1].sum() < alone.absorbed_kvar.sum()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CosPhiOfP(((0.5, 1.0), (0.4, 0.9))), "finite and rising"),
        (lambda: CosPhiOfP(((0.5, 1.0), (1.0, 0.0))), "cos phi is 0.0"),
        (lambda: QOfU(((0.9, -0.4), (1.1, 0.4))), "must not rise"),
        (lambda: Inverter(3, 0.0, 1.0, Q_OF_U), "inverter at bus 3: rated_kw is 0.0"),
    ],
)
def test_a_wrong_characteristic_is_named(make, words):
    with pytest.raises(BadInputError, match=words):
        make()


def test_an_inverter_above_its_rating_is_named(rural, sunny):
    inverters, power_kw = _inverters(rural, sunny, lambda *_: Q_OF_U)
    with pytest.raises(BadInputError, match=r"inverter at bus \d+ .*power_kw is"):
        settle(rural, sunny, inverters, power_kw * 2.0)
