"""A feeder for power-grid-model: its lines, its transformers with clock and tap, its links.

power-grid-model's transformer carries its no-load admittance half at each side (a pi), that
of pandapower in the middle (a T), which is up to 5e-6 pu of voltage at SimBench's feeders. So
each stands here as the T that it is: a transformer with half of the leakage and no iron, a
node with the iron as a shunt, and a line with the other half.
"""

from __future__ import annotations

import numpy as np
from power_grid_model import PowerGridModel, initialize_array

from tests.networks.engines.physical import Answer

TOLERANCE_PU = 1e-7


def solve(feeder, *, middle=True):
    """Return what power-grid-model says of a feeder.

    Parameters
    ----------
    middle : bool
        Whether the iron of a transformer is in its middle, or as power-grid-model has it.
    """
    number = _Numbers()
    buses = list(feeder.kv)
    node = {bus: number() for bus in buses}
    star = {trafo.index: number() for trafo in feeder.trafos if middle}
    tables = {
        "node": _nodes(feeder, node, star),
        "line": _lines(feeder, node, star, number),
        "transformer": _transformers(feeder, node, star, number),
        "link": _links(feeder, node, number),
        "shunt": _shunts(feeder, node, star, number),
        "sym_load": _powers("sym_load", feeder.loads, node, number),
        "sym_gen": _powers("sym_gen", feeder.plants, node, number),
    }
    source = initialize_array("input", "source", 1)
    source["id"], source["node"], source["status"] = number(), node[feeder.source_bus], 1
    source["u_ref"], source["sk"] = feeder.source_pu, 1e3 * feeder.source_kva
    source["rx_ratio"] = 0.1
    tables["source"] = source
    model = PowerGridModel(
        {name: rows for name, rows in tables.items() if len(rows)},
        system_frequency=feeder.frequency_hz,
    )
    told = model.calculate_power_flow(error_tolerance=TOLERANCE_PU, max_iterations=100)
    return _answer(feeder, told)


class _Numbers:
    def __init__(self):
        self.last = -1

    def __call__(self):
        self.last += 1
        return self.last


def _filled(name, rows):
    table = initialize_array("input", name, len(rows))
    for at, row in enumerate(rows):
        for key, value in row.items():
            table[key][at] = value
    return table


def _nodes(feeder, node, star):
    rows = [{"id": node[bus], "u_rated": 1e3 * kv} for bus, kv in feeder.kv.items()]
    rows += [
        {"id": star[trafo.index], "u_rated": 1e3 * feeder.kv[trafo.bus[1]]}
        for trafo in feeder.trafos
        if star
    ]
    return _filled("node", rows)


def _lines(feeder, node, star, number):
    radian_hz = 2 * np.pi * feeder.frequency_hz
    rows = []
    for line in feeder.lines:
        farad = 1e-9 * line.c_nf
        rows.append({
            "id": number(), "from_node": node[line.bus[0]], "to_node": node[line.bus[1]],
            "from_status": line.on[0], "to_status": line.on[1],
            "r1": line.r_ohm, "x1": line.x_ohm, "c1": farad,
            "tan1": 1e-6 * line.g_us / (radian_hz * farad) if line.g_us else 0.0,
        })  # fmt: skip
    rows += [
        {"id": number(), "from_node": star[trafo.index], "to_node": node[trafo.bus[1]],
         "from_status": 1, "to_status": trafo.on[1],
         "r1": trafo.half_ohm.real, "x1": trafo.half_ohm.imag, "c1": 0.0, "tan1": 0.0}
        for trafo in feeder.trafos
        if star
    ]  # fmt: skip
    return _filled("line", rows)


def _transformers(feeder, node, star, number):
    rows = []
    for trafo in feeder.trafos:
        side = int(trafo.turn[1] != 1.0)
        odd = trafo.clock % 2
        to_node = star.get(trafo.index, node[trafo.bus[1]])
        part = 0.5 if star else 1.0
        rows.append({
            "id": number(), "from_node": node[trafo.bus[0]], "to_node": to_node,
            "from_status": trafo.on[0], "to_status": 1 if star else trafo.on[1],
            "u1": 1e3 * trafo.vn_kv[0], "u2": 1e3 * trafo.vn_kv[1], "sn": 1e6 * trafo.sn_mva,
            "uk": part * trafo.vk_percent / 100.0,
            "pk": part * trafo.vkr_percent / 100.0 * 1e6 * trafo.sn_mva,
            "i0": 0.0 if star else trafo.i0_percent / 100.0,
            "p0": 0.0 if star else 1e3 * trafo.pfe_kw,
            # wye-wye for even clocks, delta-wye for odd ones
            "winding_from": 2 if odd else 1, "winding_to": 1, "clock": trafo.clock,
            # One step from the neutral position makes the turns ratio that there is.
            "tap_side": side, "tap_pos": 1, "tap_min": 0, "tap_max": 1, "tap_nom": 0,
            "tap_size": (trafo.turn[side] - 1.0) * 1e3 * trafo.vn_kv[side],
        })  # fmt: skip
    return _filled("transformer", rows)


def _links(feeder, node, number):
    return _filled("link", [
        {"id": number(), "from_node": node[a], "to_node": node[b],
         "from_status": 1, "to_status": 1}
        for a, b in feeder.couplers
    ])  # fmt: skip


def _shunts(feeder, node, star, number):
    rows = [
        {"id": number(), "node": node[bus], "status": 1, "g1": g_s, "b1": b_s}
        for bus, g_s, b_s in feeder.shunts
    ]
    for trafo in feeder.trafos if star else []:
        volt_squared = 1e6 * (trafo.vn_kv[1] * trafo.turn[1]) ** 2
        rows.append({
            "id": number(), "node": star[trafo.index], "status": 1,
            "g1": 1e3 * trafo.pfe_kw / volt_squared,
            "b1": -trafo.magnetising_percent / 100.0 * 1e6 * trafo.sn_mva / volt_squared,
        })  # fmt: skip
    return _filled("shunt", rows)


def _powers(name, powers, node, number):
    return _filled(name, [
        {"id": number(), "node": node[bus], "status": 1, "type": 0,
         "p_specified": 1e3 * p_kw, "q_specified": 1e3 * q_kvar}
        for bus, p_kw, q_kvar in powers
    ])  # fmt: skip


def _answer(feeder, told):
    count = len(feeder.kv)
    nodes = told["node"][:count]
    alive = nodes["energized"] == 1
    lost_w = sum(
        (told[name]["p_from"] + told[name]["p_to"]).sum()
        for name in ("line", "transformer", "link")
        if name in told
    )
    lost_w += told["shunt"]["p"].sum() if "shunt" in told else 0.0
    return Answer(
        bus=tuple(feeder.kv),
        vm_pu=np.where(alive, nodes["u_pu"], np.nan),
        va_degree=np.where(alive, np.degrees(nodes["u_angle"]), np.nan),
        losses_kw=1e-3 * float(lost_w),
        head_kw=1e-3 * float(told["source"]["p"][0]),
        head_kvar=1e-3 * float(told["source"]["q"][0]),
    )
