"""From a pandapower net to its :class:`~networks.equipment.Equipment`, and back.

pandapower builds the admittances (every tap position, shunts, line charging); the
equipment keeps them and nothing else of it.
"""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from networks.equipment import (
    SWITCH_KINDS,
    Branches,
    Complex,
    Equipment,
    Float,
    Int,
    Switches,
    Switching,
)
from networks.model import NetworkModel
from networks.sources.check import check_net
from networks.sources.layout import tree_layout


def _by_bus(net: Any, tables: tuple[str, ...], column: str, bus: Int) -> tuple[Float, Float]:
    """Return (absorbed, injected) kW or kvar by bus of in-service elements."""
    where = {int(index): position for position, index in enumerate(bus)}
    absorbed, injected = np.zeros(len(bus)), np.zeros(len(bus))
    for table in tables:
        frame = net[table]
        sign = -1.0 if table == "sgen" else 1.0
        values = sign * 1e3 * (frame[column] * frame["scaling"] * frame["in_service"]).to_numpy()
        for index, value in zip(frame["bus"], values, strict=True):
            (absorbed if value >= 0 else injected)[where[int(index)]] += abs(float(value))
    return absorbed, injected


def _branch_table(net: Any) -> tuple[Any, Complex, float]:
    """Return (two-ports by branch row, shunt admittance of each bus, base MVA) of a net.

    All of it is taken as in service, whatever is switched.
    """
    from pandapower.auxiliary import _add_ppc_options
    from pandapower.pd2ppc import _pd2ppc
    from pandapower.pypower.makeYbus import branch_vectors

    net["_options"] = {}
    _add_ppc_options(
        net,
        calculate_voltage_angles=True,
        trafo_model="t",
        check_connectivity=False,
        mode="pf",
        switch_rx_ratio=2,
        init_vm_pu="flat",
        init_va_degree="flat",
        enforce_q_lims=False,
        enforce_p_lims=False,
        recycle=None,
        voltage_depend_loads=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ppc, _ = _pd2ppc(net)
    ytt, yff, yft, ytf = branch_vectors(ppc["branch"], len(ppc["branch"]))
    lookup = np.asarray(net["_pd2ppc_lookups"]["bus"])[net.bus.index]
    base_mva = float(ppc["baseMVA"])
    shunt = (ppc["bus"][lookup, 4] + 1j * ppc["bus"][lookup, 5]) / base_mva
    return np.stack([yff, yft, ytf, ytt], axis=1), shunt.astype(np.complex128), base_mva


def _whole(net: Any) -> Any:
    """Return a copy of `net` with everything in service, nothing switched and no load."""
    whole = deepcopy(net)
    whole.switch = whole.switch.iloc[:0]
    for table in ("bus", "line", "trafo"):
        whole[table]["in_service"] = True
    for table in ("load", "sgen", "storage"):
        whole[table]["in_service"] = False
    # Admittances do not depend on what is held; sources at one bus may hold different voltages.
    whole.ext_grid["vm_pu"], whole.ext_grid["va_degree"] = 1.0, 0.0
    return whole


def _branches(net: Any, table: str, two_port: Complex, rated: tuple[Float, Float]) -> Branches:
    frame = net[table]
    ends = ("hv_bus", "lv_bus") if table == "trafo" else ("from_bus", "to_bus")
    nowhere = np.full(len(frame), -1, dtype=np.int64)
    return Branches(
        index=frame.index.to_numpy(dtype=np.int64),
        name=_names(frame),
        from_bus=frame[ends[0]].to_numpy(dtype=np.int64),
        to_bus=frame[ends[1]].to_numpy(dtype=np.int64),
        from_node=nowhere,
        to_node=nowhere,
        yff=np.ascontiguousarray(two_port[:, 0]),
        yft=np.ascontiguousarray(two_port[:, 1]),
        ytf=np.ascontiguousarray(two_port[:, 2]),
        ytt=np.ascontiguousarray(two_port[:, 3]),
        rated_from_ka=rated[0],
        rated_to_ka=rated[1],
    )


def _tap_range(net: Any) -> tuple[Int, Int, Int]:
    """Return (lowest, highest, present) tap position of each transformer.

    A transformer without a tap changer that acts, or between two positions, has one position.
    """
    trafo = net.trafo
    low, high, now = (
        trafo[name].to_numpy(dtype=np.float64) if name in trafo else np.full(len(trafo), np.nan)
        for name in ("tap_min", "tap_max", "tap_pos")
    )
    acts = trafo["tap_changer_type"].notna().to_numpy() if "tap_changer_type" in trafo else False
    movable = acts & (low <= now) & (now <= high) & (now == np.round(now))
    fixed = np.where(np.isfinite(now), np.round(now), 0.0)
    low, high = np.where(movable, low, fixed), np.where(movable, high, fixed)
    return low.astype(np.int64), high.astype(np.int64), fixed.astype(np.int64)


def _tap_two_ports(whole: Any, low: Int, high: Int, now: Complex) -> Complex:
    """Return two-ports (position, trafo, 4) from the lowest position on; NaN beyond the highest."""
    steps = int((high - low).max(initial=0)) + 1
    made = np.full((steps, len(low), 4), np.nan, dtype=np.complex128)
    made[0] = now
    if steps == 1:
        return made
    moved = high > low
    for step in range(steps):
        there = moved & (low + step <= high)
        whole.trafo.loc[there, "tap_pos"] = (low + step)[there]
        two_port, _, _ = _branch_table(whole)
        first, last = whole["_pd2ppc_lookups"]["branch"]["trafo"]
        made[step, there] = two_port[first:last][there]
    return made


def _rows(net: Any, table: str) -> slice:
    first, last = net["_pd2ppc_lookups"]["branch"].get(table, (0, 0))
    return slice(first, last)


def _names(frame: Any, column: str = "name") -> tuple[str, ...]:
    values = frame[column] if column in frame else [""] * len(frame)
    return tuple(name if isinstance(name, str) else "" for name in values)


def _ratings(net: Any) -> tuple[tuple[Float, Float], tuple[Float, Float]]:
    line, trafo = net.line, net.trafo
    line_ka = (line["max_i_ka"] * line["df"] * line["parallel"]).to_numpy(dtype=np.float64)
    mva = (trafo["sn_mva"] * trafo["df"] * trafo["parallel"]).to_numpy(dtype=np.float64)
    hv_ka = mva / np.sqrt(3) / trafo["vn_hv_kv"].to_numpy(dtype=np.float64)
    lv_ka = mva / np.sqrt(3) / trafo["vn_lv_kv"].to_numpy(dtype=np.float64)
    return (line_ka, line_ka), (hv_ka, lv_ka)


def _coordinates(net: Any, bus: Int, root: int) -> tuple[Float, Float, bool]:
    points = []
    for text in net.bus.get("geo", ()):
        try:
            lon, lat = json.loads(text)["coordinates"][:2]
            points.append((float(lon), float(lat)))
        except (TypeError, ValueError, KeyError):
            break
    if len(points) == len(bus) and np.isfinite(points).all():
        x, y = np.array(points, dtype=np.float64).T.copy()
        earthly = bool((np.abs(x) <= 180).all() and (np.abs(y) <= 90).all())
        return x, y, earthly and bool(np.ptp(x) < 20 and np.abs(y).max() > 1)
    where = {int(index): position for position, index in enumerate(bus)}
    edges = [(where[a], where[b]) for a, b in zip(net.line.from_bus, net.line.to_bus, strict=True)]
    edges += [(where[a], where[b]) for a, b in zip(net.trafo.hv_bus, net.trafo.lv_bus, strict=True)]
    joints = net.switch[(net.switch["et"] == "b") & net.switch["closed"].astype(bool)]
    edges += [(where[a], where[b]) for a, b in zip(joints["bus"], joints["element"], strict=True)]
    return *tree_layout(len(bus), edges, where[root]), False


def _voltage_share(net: Any, bus: Int) -> Float:
    """Return the constant-impedance and constant-current shares of each bus's load, (bus, 4)."""
    where = {int(index): position for position, index in enumerate(bus)}
    shares = np.zeros((len(bus), 4))
    total = np.zeros((len(bus), 2))
    for load in net.load[net.load["in_service"].astype(bool)].to_dict("records"):
        row = where[int(load["bus"])]
        for column, name in enumerate(("p_mw", "q_mvar")):
            size = abs(float(load[name]) * float(load["scaling"]))
            total[row, column] += size
            for number, kind in enumerate(("z", "i")):
                percent = float(load.get(f"const_{kind}_{name[0]}_percent") or 0.0)
                shares[row, 2 * column + number] += size * np.nan_to_num(percent) / 100.0
    for column in range(2):
        some = total[:, column] > 0
        shares[some, 2 * column : 2 * column + 2] /= total[some, column, None]
    return shares


def _switches(net: Any) -> tuple[Switches, Any]:
    frame = net.switch
    kind = [SWITCH_KINDS.index(et) for et in frame["et"]]
    switches = Switches(
        index=frame.index.to_numpy(dtype=np.int64),
        name=_names(frame),
        bus=frame["bus"].to_numpy(dtype=np.int64),
        element=frame["element"].to_numpy(dtype=np.int64),
        kind=np.array(kind, dtype=np.int64),
        type=_names(frame, "type"),
    )
    return switches, frame["closed"].to_numpy(dtype=bool)


def _heads(net: Any) -> tuple[Int, Complex]:
    frame = net.ext_grid[net.ext_grid["in_service"].astype(bool)]
    degree = frame["va_degree"].fillna(0.0).to_numpy(dtype=np.float64)
    held = frame["vm_pu"].to_numpy(dtype=np.float64) * np.exp(1j * np.radians(degree - degree[0]))
    return frame["bus"].to_numpy(dtype=np.int64), held.astype(np.complex128)


def compile_net(net: Any, *, source: str, base_dir: Path | None) -> Equipment:
    """Return the equipment of `net`, and how `net` has it switched.

    Raises
    ------
    BadInputError
        See :func:`check_net`.
    """
    check_net(net)
    bus = net.bus.index.to_numpy(dtype=np.int64)
    active = _by_bus(net, ("load", "sgen", "storage"), "p_mw", bus)
    reactive = _by_bus(net, ("load", "sgen", "storage"), "q_mvar", bus)
    whole = _whole(net)
    two_port, shunt, base_mva = _branch_table(whole)
    line_rating, trafo_rating = _ratings(net)
    at_line, at_trafo = _rows(whole, "line"), _rows(whole, "trafo")
    low, high, position = _tap_range(net)
    switches, closed = _switches(net)
    head_bus, head_pu = _heads(net)
    x, y, geographic = _coordinates(net, bus, int(head_bus[0]))
    return Equipment(
        source=source,
        base_dir=base_dir,
        base_mva=base_mva,
        bus=bus,
        bus_name=_names(net.bus),
        vn_kv=net.bus["vn_kv"].to_numpy(dtype=np.float64),
        bus_on=net.bus["in_service"].to_numpy(dtype=bool),
        x=x,
        y=y,
        geographic=geographic,
        shunt=shunt,
        line=_branches(net, "line", two_port[at_line], line_rating),
        trafo=_branches(net, "trafo", two_port[at_trafo], trafo_rating),
        switch=switches,
        switching=Switching(
            closed=closed,
            line_on=net.line["in_service"].to_numpy(dtype=bool),
            trafo_on=net.trafo["in_service"].to_numpy(dtype=bool),
            tap_position=position,
        ),
        tap_lowest=low,
        tap_highest=high,
        tap_two_port=_tap_two_ports(whole, low, high, two_port[at_trafo]),
        head_bus=head_bus,
        head_pu=head_pu,
        nominal_absorbed_kw=active[0],
        nominal_injected_kw=active[1],
        nominal_absorbed_kvar=reactive[0],
        nominal_injected_kvar=reactive[1],
        voltage_share=_voltage_share(net, bus),
    )


def switched_net(model: NetworkModel) -> Any:
    """Return a pandapower net of a model's source, switched, tapped and fed as the model is."""
    import pandapower as pp

    from networks.sources.source import read_net

    equipment, switching = model.equipment, model.switching
    base = equipment.kept.get("net")
    if base is None:
        base = read_net(model.source, base_dir=model.base_dir)
        base.pop("profiles", None)
        equipment.kept["net"] = base
    net = deepcopy(base)
    net.switch["closed"] = switching.closed
    net.line["in_service"], net.trafo["in_service"] = switching.line_on, switching.trafo_on
    moved = switching.tap_position != equipment.switching.tap_position
    net.trafo.loc[moved, "tap_pos"] = switching.tap_position[moved]
    net.ext_grid["in_service"] = False
    for bus, held in zip(model.held_bus.tolist(), model.held_pu.tolist(), strict=True):
        pp.create_ext_grid(net, bus, vm_pu=abs(held), va_degree=float(np.degrees(np.angle(held))))
    return net
