"""From a pandapower net to a :class:`~networks.threephase.model.ThreePhaseModel`.

pandapower builds the admittances of the three sequences (taps, switches, shunts,
vector groups); the compiled model keeps them and nothing else of it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from grid.errors import SolverError
from networks.model import Bool, Complex, Float, Int
from networks.threephase.fortescue import NEGATIVE, POSITIVE, ZERO
from networks.threephase.model import SequenceBranches, ThreePhaseModel
from networks.threephase.nominal import check, nominal, without_loads
from networks.threephase.zero_sequence import complete

BASE_MVA = 1.0
"""On any other base pandapower scales the zero sequence of a Yzn transformer wrongly."""

_GS, _BS, _BASE_KV = 4, 5, 9


def compile_net(
    net: Any,
    *,
    source: str,
    source_voltage_pu: float | None = None,
    base_dir: Path | None,
    assume_zero_sequence: bool,
) -> ThreePhaseModel:
    """Return the compiled three-phase model of `net`, which is changed on the way.

    Parameters
    ----------
    source_voltage_pu : float, optional
        Positive-sequence voltage held at the feeder head; by default the net's own.
    assume_zero_sequence : bool
        Whether zero-sequence data that the net lacks are assumed
        (:mod:`networks.threephase.zero_sequence`) instead of refused.

    Raises
    ------
    BadInputError
        See :func:`networks.threephase.nominal.check`; missing zero-sequence
        data; a vector group that is not Dyn, YNyn or Yzn.
    SolverError
        When the unloaded network has no solution.
    """
    check(net)
    findings = complete(net, assume=assume_zero_sequence)
    bus = net.bus.index.to_numpy(dtype=np.int64)
    head = net.ext_grid[net.ext_grid["in_service"].astype(bool)].iloc[0]
    if source_voltage_pu is None:
        source_voltage_pu = float(head["vm_pu"])
    wye, delta = nominal(net, bus)
    prepare(net, source_voltage_pu)
    _solve_unloaded(net)

    ppc = [net[f"_ppc{sequence}"] for sequence in (ZERO, POSITIVE, NEGATIVE)]
    alive = np.asarray(ppc[POSITIVE]["internal"]["branch_is"], dtype=bool)
    count = len(ppc[POSITIVE]["internal"]["bus"])
    lookup = np.asarray(net._pd2ppc_lookups["bus"])[bus].astype(np.int64)
    node = np.where((lookup >= 0) & (lookup < count), lookup, -1)
    slack_bus = int(head["bus"])
    slack = int(node[np.flatnonzero(bus == slack_bus)[0]])
    source_z = np.zeros(3, dtype=np.complex128)
    for sequence in (ZERO, NEGATIVE):
        nodes = ppc[sequence]["bus"]
        source_z[sequence] = BASE_MVA / (nodes[slack, _GS].real + 1j * nodes[slack, _BS].real)
        nodes[slack, [_GS, _BS]] = 0.0
    matrices = [_admittances(one, count, alive) for one in ppc]
    ends = ppc[POSITIVE]["branch"][:, :2].real.astype(np.int64)
    line, trafo = (
        _branches(net, table, alive, ends, matrices, rated)
        for table, rated in zip(("line", "trafo"), _ratings(net), strict=True)
    )
    return ThreePhaseModel(
        source=source,
        base_dir=base_dir,
        source_voltage_pu=source_voltage_pu,
        base_mva=BASE_MVA,
        bus=bus,
        bus_name=_names(net.bus),
        vn_kv=net.bus["vn_kv"].to_numpy(dtype=np.float64),
        node=node,
        node_kv=np.ascontiguousarray(ppc[POSITIVE]["bus"][:count, _BASE_KV].real),
        y=(matrices[0][0], matrices[1][0], matrices[2][0]),
        source_z_pu=source_z,
        short_circuit_z_pu=complex(source_z[NEGATIVE]),
        slack_bus=slack_bus,
        slack_node=slack,
        line=line,
        trafo=trafo,
        nominal_wye=wye,
        nominal_delta=delta,
        findings=findings,
    )


def prepare(net: Any, source_voltage_pu: float) -> None:
    """Leave `net` without loads and plants, on our base and with the source at its voltage."""
    without_loads(net)
    net.sn_mva = BASE_MVA
    net.ext_grid["vm_pu"] = source_voltage_pu
    net.ext_grid["va_degree"] = 0.0


def _solve_unloaded(net: Any) -> None:
    import pandapower as pp

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pp.runpp_3ph(net, numba=False)
    except pp.LoadflowNotConverged as error:
        raise SolverError("the network without loads has no power flow solution") from error


def _admittances(ppc: Any, count: int, alive: Bool) -> tuple[Any, Any, Any]:
    import scipy.sparse as sp
    from pandapower.pypower.makeYbus import makeYbus

    made = makeYbus(ppc["baseMVA"], ppc["bus"][:count], ppc["branch"][alive])
    bus, from_end, to_end = (sp.csr_array(matrix, dtype=np.complex128) for matrix in made)
    return bus, from_end, to_end


def _branches(
    net: Any,
    table: str,
    alive: Bool,
    ends: Int,
    matrices: list[tuple[Any, Any, Any]],
    rated: tuple[Float, Float],
) -> SequenceBranches:
    frame = net[table]
    first, last = net._pd2ppc_lookups["branch"].get(table, (0, 0))
    row = np.where(alive, np.cumsum(alive) - 1, -1)[first:last]
    on = row >= 0
    nodes = np.full((2, len(frame)), -1, dtype=np.int64)
    nodes[:, on] = ends[first:last][on].T
    f, t = nodes[:, on]
    admittance: Complex = np.zeros((4, 3, len(frame)), dtype=np.complex128)
    for sequence, (_, from_end, to_end) in enumerate(matrices):
        places = ((from_end, f), (from_end, t), (to_end, f), (to_end, t))
        for part, (matrix, column) in enumerate(places):
            admittance[part, sequence, on] = np.asarray(matrix[row[on], column]).ravel()
    names = ("hv_bus", "lv_bus") if table == "trafo" else ("from_bus", "to_bus")
    return SequenceBranches(
        index=frame.index.to_numpy(dtype=np.int64),
        name=_names(frame),
        from_bus=frame[names[0]].to_numpy(dtype=np.int64),
        to_bus=frame[names[1]].to_numpy(dtype=np.int64),
        from_node=nodes[0],
        to_node=nodes[1],
        yff=admittance[0],
        yft=admittance[1],
        ytf=admittance[2],
        ytt=admittance[3],
        rated_from_ka=rated[0],
        rated_to_ka=rated[1],
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
