"""What stands at the terminals of a switch: the current through it, the voltage across it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.errors import BadInputError
from networks.equipment import SWITCH_KINDS
from networks.flow.sensitivity import node_voltage
from networks.model import Complex, Int, NetworkModel
from networks.operating.state import Injections

DISCONNECTOR = "DS"
"""pandapower's word; the others (CB, LS, LBS) break load current."""


@dataclass(frozen=True, slots=True)
class Across:
    """Both sides of an open switch.

    Attributes
    ----------
    switch : int
    live : int
        How many sides are live.
    difference_percent : float
        Of the voltage magnitudes, of nominal; 0 unless both sides are live.
    angle_degree : float
        Between the voltages, 0 to 180; 0 unless both sides are live.
    """

    switch: int
    live: int
    difference_percent: float
    angle_degree: float


def switch_row(model: NetworkModel, index: int) -> int:
    """Return the row of a switch.

    Raises
    ------
    BadInputError
        When there is none.
    """
    found = np.flatnonzero(model.equipment.switch.index == index)
    if not found.size:
        raise BadInputError(f"switch {index} is not in the network {model.source}")
    return int(found[0])


def switch_label(model: NetworkModel, index: int) -> str:
    """Return how a switch is named in messages: ``switch 193 'loop_line 10 Switch 1'``."""
    name = model.equipment.switch.name[switch_row(model, index)]
    return f"switch {index} {name!r}" if name else f"switch {index}"


def switch_types(model: NetworkModel) -> Mapping[int, str]:
    """Return what kind of switch each is (CB, LS, LBS, DS), as far as its source says."""
    switch = model.equipment.switch
    pairs = zip(switch.index.tolist(), switch.type, strict=True)
    return {index: kind for index, kind in pairs if kind}


def across(model: NetworkModel, state: xr.Dataset, index: int) -> Across:
    """Return what stands across a switch in the worst interval, as if it were open."""
    row = switch_row(model, index)
    voltage = node_voltage(model, state)
    switch = model.equipment.switch
    here = _at_bus(model, voltage, int(switch.bus[row]))
    kind = SWITCH_KINDS[int(switch.kind[row])]
    if kind == "b":
        there = _at_bus(model, voltage, int(switch.element[row]))
    else:
        there = _at_open_end(model, voltage, row, "line" if kind == "l" else "trafo")
    if here is None or there is None:
        return Across(index, (here is not None) + (there is not None), 0.0, 0.0)
    angle = np.abs(np.degrees(np.angle(here * there.conj())))
    difference = 100.0 * np.abs(np.abs(here) - np.abs(there))
    return Across(index, 2, float(difference.max()), float(angle.max()))


def _at_bus(model: NetworkModel, voltage: Complex, bus: int) -> Complex | None:
    node = int(model.node[model.position(bus)])
    return None if node < 0 else voltage[node]


def _at_open_end(model: NetworkModel, voltage: Complex, row: int, table: str) -> Complex | None:
    """Return the voltage at a branch's end behind an open switch, None when the end is dead."""
    switch = model.equipment.switch
    connected = model.line if table == "line" else model.trafo
    branch = int(np.flatnonzero(connected.index == switch.element[row])[0])
    node = int(connected.from_node[branch])
    at_from = bool(connected.from_bus[branch] == switch.bus[row])
    if node < 0:
        return None
    if connected.yft[branch] != 0:
        # Both ends are connected: the switch is closed, and both its sides are one.
        return _at_bus(model, voltage, int(switch.bus[row]))
    whole = getattr(model.equipment, table)
    if not end_joined(model, table, branch, whole.to_bus if at_from else whole.from_bus):
        return None
    ports = [getattr(whole, name)[branch] for name in ("yff", "yft", "ytf", "ytt")]
    if table == "trafo":
        step = model.switching.tap_position[branch] - model.equipment.tap_lowest[branch]
        ports = list(model.equipment.tap_two_port[step, branch])
    yff, yft, ytf, ytt = ports
    ratio = -yft / yff if at_from else -ytf / ytt
    behind: Complex = ratio * voltage[node]
    return behind


def end_joined(model: NetworkModel, table: str, branch: int, bus: Int) -> bool:
    """Return whether a branch in service is connected at the end whose buses are given, (branch,).

    What is at that end may be dead.
    """
    on = model.switching.line_on if table == "line" else model.switching.trafo_on
    switch = model.equipment.switch
    kind = SWITCH_KINDS.index(table[0])
    here = (switch.kind == kind) & (switch.element == getattr(model.equipment, table).index[branch])
    here &= switch.bus == bus[branch]
    joined = on[branch] and model.equipment.bus_on[model.position(int(bus[branch]))]
    return bool(joined and model.switching.closed[here].all())


def current_a(model: NetworkModel, state: xr.Dataset, drawn: Injections, index: int) -> float:
    """Return the highest current through a switch in A; NaN where parallel switches share it."""
    row = switch_row(model, index)
    if not model.switching.closed[row] or model.node[_bus_row(model, row)] < 0:
        return 0.0
    voltage = node_voltage(model, state)
    switch = model.equipment.switch
    kind = SWITCH_KINDS[int(switch.kind[row])]
    if kind == "b":
        flow = _through_coupler(model, voltage, drawn, row)
        if flow is None:
            return float("nan")
    else:
        flow = _into_branch(model, voltage, row, "line" if kind == "l" else "trafo")
    kv = model.node_kv[model.node[_bus_row(model, row)]]
    return float(np.abs(flow).max() * model.base_mva * 1e3 / (np.sqrt(3.0) * kv))


def _bus_row(model: NetworkModel, row: int) -> int:
    return model.position(int(model.equipment.switch.bus[row]))


def _into_branch(model: NetworkModel, voltage: Complex, row: int, table: str) -> Complex:
    switch = model.equipment.switch
    branches = model.line if table == "line" else model.trafo
    branch = int(np.flatnonzero(branches.index == switch.element[row])[0])
    f, t = int(branches.from_node[branch]), int(branches.to_node[branch])
    if f < 0:
        return np.zeros(voltage.shape[1], dtype=np.complex128)
    if branches.from_bus[branch] == switch.bus[row]:
        into: Complex = branches.yff[branch] * voltage[f] + branches.yft[branch] * voltage[t]
    else:
        into = branches.ytf[branch] * voltage[f] + branches.ytt[branch] * voltage[t]
    return into


def _through_coupler(
    model: NetworkModel, voltage: Complex, drawn: Injections, row: int
) -> Complex | None:
    """Return the current between two buses, None when other closed switches join them too."""
    switch, closed = model.equipment.switch, model.switching.closed
    first, second = int(switch.bus[row]), int(switch.element[row])
    joints = np.flatnonzero((switch.kind == 0) & closed)
    side, grown = {first}, True
    while grown:
        grown = False
        for one in joints:
            a, b = int(switch.bus[one]), int(switch.element[one])
            if one != row and (a in side) != (b in side):
                side |= {a, b}
                grown = True
    if second in side:
        return None
    held = set(model.held_bus.tolist())
    if held & side:
        node = model.node[model.position(first)]
        fused = set(model.bus[model.node == node].tolist())
        side = fused - side
        if held & side:
            return None
    return _out_of(model, voltage, drawn, side)


def _out_of(model: NetworkModel, voltage: Complex, drawn: Injections, side: set[int]) -> Complex:
    """Return the current that a group of buses takes through its coupler."""
    total = np.zeros(voltage.shape[1], dtype=np.complex128)
    for branches in (model.line, model.trafo):
        f, t = branches.from_node, branches.to_node
        for branch in np.flatnonzero(f >= 0):
            v_f, v_t = voltage[f[branch]], voltage[t[branch]]
            if int(branches.from_bus[branch]) in side:
                total += branches.yff[branch] * v_f + branches.yft[branch] * v_t
            if int(branches.to_bus[branch]) in side:
                total += branches.ytf[branch] * v_f + branches.ytt[branch] * v_t
    absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = drawn.inputs
    for bus in side:
        column = model.position(bus)
        here = voltage[model.node[column]]
        size = np.abs(here)
        z_p, i_p, z_q, i_q = (
            np.zeros(4) if drawn.voltage_share is None else drawn.voltage_share[column]
        )
        active = absorbed_kw[:, column] * (1 - z_p - i_p + i_p * size + z_p * size**2)
        reactive = absorbed_kvar[:, column] * (1 - z_q - i_q + i_q * size + z_q * size**2)
        power = (active - injected_kw[:, column]) + 1j * (reactive - injected_kvar[:, column])
        total += (power * (1e-3 / model.base_mva) / here).conj()
        total += model.equipment.shunt[column] * here
    return total
