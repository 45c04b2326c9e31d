"""From a pandapower net to a :class:`~networks.model.NetworkModel`.

pandapower builds the admittances (taps, switches, shunts, line charging); the
compiled model keeps them and nothing else of it.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from grid.errors import BadInputError, SolverError
from networks.model import Branches, Complex, Float, Int, NetworkModel
from networks.sources.layout import tree_layout

_UNSUPPORTED = (
    "gen", "dcline", "ward", "xward", "trafo3w", "impedance", "motor", "asymmetric_load",
    "asymmetric_sgen", "svc", "ssc", "tcsc", "vsc", "line_dc", "load_dc", "source_dc",
)  # fmt: skip
_ZIP = ("const_z_p_percent", "const_i_p_percent", "const_z_q_percent", "const_i_q_percent")
_POSITIVE = {
    "bus": ("vn_kv",),
    "line": ("length_km", "max_i_ka", "df", "parallel"),
    "trafo": ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "df", "parallel"),
}
_FINITE = {
    "line": ("r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km"),
    "trafo": ("vkr_percent", "pfe_kw", "i0_percent", "shift_degree"),
    "load": ("p_mw", "q_mvar", "scaling"),
    "sgen": ("p_mw", "q_mvar", "scaling"),
    "storage": ("p_mw", "q_mvar", "scaling"),
    "ext_grid": ("vm_pu",),
}


def _element(net: Any, table: str, position: int) -> str:
    frame = net[table]
    name = frame["name"].iloc[position] if "name" in frame else None
    index = frame.index[position]
    return f"{table} {index} {name!r}" if isinstance(name, str) and name else f"{table} {index}"


def check_net(net: Any) -> None:
    """Refuse a pandapower net that the engine could not solve truthfully.

    Raises
    ------
    BadInputError
        Naming the element: a value that is not finite or not positive, a line
        without impedance, an element kind that the engine does not model, or a
        network with other than one external grid.
    """
    for table in _UNSUPPORTED:
        frame = net.get(table)
        if frame is not None and len(frame) and bool(frame["in_service"].any()):
            position = int(np.flatnonzero(frame["in_service"].to_numpy(dtype=bool))[0])
            raise BadInputError(
                f"{_element(net, table, position)}: a {table} is not supported by the power flow"
            )
    for table in (*_POSITIVE, *_FINITE):
        frame = net[table]
        for column in (*_POSITIVE.get(table, ()), *_FINITE.get(table, ())):
            values = frame[column].to_numpy(dtype=np.float64)
            low = 0.0 if column in _POSITIVE.get(table, ()) else -np.inf
            bad = np.flatnonzero(~np.isfinite(values) | (values <= low))
            if bad.size:
                value = values[bad[0]]
                need = "finite and above 0" if low == 0.0 else "finite"
                raise BadInputError(
                    f"{_element(net, table, int(bad[0]))}: {column} is {value}, must be {need}"
                )
    short = np.flatnonzero((net.line["r_ohm_per_km"] == 0) & (net.line["x_ohm_per_km"] == 0))
    if short.size:
        raise BadInputError(f"{_element(net, 'line', int(short[0]))}: has no impedance")
    for column in _ZIP:
        if column in net.load and bool((net.load[column].fillna(0) != 0).any()):
            position = int(np.flatnonzero(net.load[column].fillna(0) != 0)[0])
            raise BadInputError(f"{_element(net, 'load', position)}: depends on voltage ({column})")
    heads = int(net.ext_grid["in_service"].sum())
    if heads != 1:
        raise BadInputError(f"the network has {heads} external grids in service, must be 1")


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


def _solve_unloaded(net: Any) -> None:
    import pandapower as pp

    for table in ("load", "sgen", "storage"):
        net[table]["in_service"] = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pp.runpp(net, tolerance_mva=1e-8, calculate_voltage_angles=True)
    except pp.LoadflowNotConverged as error:
        raise SolverError("the network without loads has no power flow solution") from error


def _branches(net: Any, table: str, rated: tuple[Float, Float]) -> Branches:
    frame = net[table]
    internal = net._ppc["internal"]
    first, last = net._pd2ppc_lookups["branch"].get(table, (0, 0))
    alive = np.asarray(internal["branch_is"], dtype=bool)
    row = np.where(alive, np.cumsum(alive) - 1, -1)[first:last]
    on = row >= 0
    ends = internal["branch"][:, :2].real.astype(np.int64)
    yf, yt = internal["Yf"].tocsr(), internal["Yt"].tocsr()
    nodes = np.full((2, len(frame)), -1, dtype=np.int64)
    admittance: Complex = np.zeros((4, len(frame)), dtype=np.complex128)
    f, t = ends[row[on], 0], ends[row[on], 1]
    nodes[:, on] = f, t
    for position, (matrix, column) in enumerate(((yf, f), (yf, t), (yt, f), (yt, t))):
        admittance[position, on] = np.asarray(matrix[row[on], column]).ravel()
    series = net._ppc["branch"][first:last, 2:4].real
    ends_name = ("hv_bus", "lv_bus") if table == "trafo" else ("from_bus", "to_bus")
    return Branches(
        index=frame.index.to_numpy(dtype=np.int64),
        name=_names(frame),
        from_bus=frame[ends_name[0]].to_numpy(dtype=np.int64),
        to_bus=frame[ends_name[1]].to_numpy(dtype=np.int64),
        from_node=nodes[0],
        to_node=nodes[1],
        yff=admittance[0],
        yft=admittance[1],
        ytf=admittance[2],
        ytt=admittance[3],
        rated_from_ka=rated[0],
        rated_to_ka=rated[1],
        r_pu=np.ascontiguousarray(series[:, 0]),
        x_pu=np.ascontiguousarray(series[:, 1]),
    )


def _names(frame: Any) -> tuple[str, ...]:
    return tuple(name if isinstance(name, str) else "" for name in frame["name"])


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


def _lv_bus(trafo: Branches, slack_bus: int, node: Int, bus: Int) -> int:
    where = {int(index): position for position, index in enumerate(bus)}
    for hv, lv in zip(trafo.from_bus.tolist(), trafo.to_bus.tolist(), strict=True):
        if node[where[hv]] == node[where[slack_bus]]:
            return int(lv)
    return slack_bus


def compile_net(
    net: Any, *, source: str, source_voltage_pu: float, base_dir: Path | None
) -> NetworkModel:
    """Return the compiled model of `net`, which is changed on the way.

    Raises
    ------
    BadInputError
        See :func:`check_net`.
    SolverError
        When the unloaded network has no solution.
    """
    import scipy.sparse as sp

    check_net(net)
    bus = net.bus.index.to_numpy(dtype=np.int64)
    active = _by_bus(net, ("load", "sgen", "storage"), "p_mw", bus)
    reactive = _by_bus(net, ("load", "sgen", "storage"), "q_mvar", bus)
    net.ext_grid["vm_pu"] = source_voltage_pu
    net.ext_grid["va_degree"] = 0.0
    _solve_unloaded(net)
    internal = net._ppc["internal"]
    lookup = np.asarray(net._pd2ppc_lookups["bus"])
    dead = net.res_bus["vm_pu"].isna().to_numpy()
    node = np.where(dead, -1, lookup[bus]).astype(np.int64)
    slack_bus = int(net.ext_grid.loc[net.ext_grid["in_service"], "bus"].iloc[0])
    line_rating, trafo_rating = _ratings(net)
    trafo = _branches(net, "trafo", trafo_rating)
    x, y, geographic = _coordinates(net, bus, slack_bus)
    return NetworkModel(
        source=source,
        base_dir=base_dir,
        source_voltage_pu=source_voltage_pu,
        base_mva=float(internal["baseMVA"]),
        bus=bus,
        bus_name=_names(net.bus),
        vn_kv=net.bus["vn_kv"].to_numpy(dtype=np.float64),
        x=x,
        y=y,
        geographic=geographic,
        node=node,
        node_kv=np.ascontiguousarray(internal["bus"][:, 9].real),
        ybus=sp.csr_array(internal["Ybus"]),
        slack_bus=slack_bus,
        slack_node=int(lookup[slack_bus]),
        lv_bus=_lv_bus(trafo, slack_bus, node, bus),
        line=_branches(net, "line", line_rating),
        trafo=trafo,
        nominal_absorbed_kw=active[0],
        nominal_injected_kw=active[1],
        nominal_absorbed_kvar=reactive[0],
        nominal_injected_kvar=reactive[1],
    )
