"""The states that prove a claim: voltages, what they leave over, and which limits bind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from grid.errors import SolverError
from networks.equipment import Complex, Float, Int
from networks.limits.existence import Reduced, existence, mismatch, reduced, solve

RESIDUAL_MAX_W = 0.1
"""What the verifier lets a node's power be off."""

_DIGITS = 14
_PORTS = ("yff", "yft", "ytf", "ytt")


@dataclass(frozen=True, eq=False)
class _Values:
    """The values of one kind of limit, (row, interval), and how rows are named."""

    limit: str
    element: list[str]
    value: Float
    bound: float
    sign: float
    near: float


def states(content: dict[str, Any]) -> list[dict[str, Any] | None]:
    """Return the states of the intervals of a claim, None where all is dead.

    Parameters
    ----------
    content : dict
        Of :class:`networks.limits.certificate.Claim`.

    Raises
    ------
    SolverError
        Naming the first interval without a solution.
    """
    found: list[dict[str, Any] | None] = [None] * len(content["intervals"])
    for number, given in enumerate(content["networks"]):
        steps = [n for n, one in enumerate(content["intervals"]) if one["network"] == number]
        chosen = [content["intervals"][step] for step in steps]
        told = _states(given, chosen, content["limits"])
        for step, state in zip(steps, told, strict=True):
            found[step] = state
    return found


def _states(
    given: dict[str, Any], intervals: list[dict[str, Any]], limits: dict[str, str]
) -> list[dict[str, Any]]:
    from networks.limits.certificate import written

    node = np.array([bus["node"] for bus in given["bus"]], dtype=np.int64)
    base_w = float(given["base_mva"]) * 1e6
    net = _reduced(given, node)
    power = _node_power(node, intervals, net.ybus.shape[0]) / base_w
    voltage, residual = solve(net, power)
    for step in np.flatnonzero(~(residual * base_w <= RESIDUAL_MAX_W)):
        raise SolverError(
            f"network {intervals[step]['start']}: no power flow solution, {residual[step] * base_w}"
            " W are left over at a node"
        )
    voltage = np.round(voltage.real, _DIGITS) + 1j * np.round(voltage.imag, _DIGITS)
    left_w = np.round(mismatch(net, voltage, power) * base_w, 3).tolist()
    margin, alone = (np.round(part, 6).tolist() for part in existence(net, voltage, power))
    binding = _binding(given, node, voltage, limits)
    return [
        {
            "binding": binding[step],
            "margin": written(margin[step]),
            "residual_w": written(left_w[step]),
            "unique_within_pu": written(alone[step]),
            "v_imag_pu": [written(value) for value in voltage[:, step].imag.tolist()],
            "v_real_pu": [written(value) for value in voltage[:, step].real.tolist()],
        }
        for step in range(len(intervals))
    ]


def _reduced(given: dict[str, Any], node: Int) -> Reduced:
    import scipy.sparse as sp

    rows, columns, values = [], [], []
    for branch in given["line"] + given["trafo"]:
        f, t = branch["from_node"], branch["to_node"]
        if f >= 0:
            rows += [f, f, t, t]
            columns += [f, t, f, t]
            values += [_complex(branch[port]) for port in _PORTS]
    alive = np.flatnonzero(node >= 0)
    rows += node[alive].tolist()
    columns += node[alive].tolist()
    values += [_complex(given["bus"][position]["shunt"]) for position in alive]
    size = int(node.max()) + 1
    ybus = sp.csr_array(sp.coo_array((values, (rows, columns)), shape=(size, size)))
    place = {bus["index"]: bus["node"] for bus in given["bus"]}
    held = np.array([place[one["bus"]] for one in given["held"]], dtype=np.int64)
    held_pu = np.array([_complex(one["v_pu"]) for one in given["held"]], dtype=np.complex128)
    return reduced(ybus, held, held_pu)


def _node_power(node: Int, intervals: list[dict[str, Any]], size: int) -> Complex:
    """Return complex power into the nodes, W and var (node, interval)."""
    power = np.array([one["p_w"] for one in intervals], dtype=np.complex128).T
    power += 1j * np.array([one["q_var"] for one in intervals], dtype=np.float64).T
    total = np.zeros((size, len(intervals)), dtype=np.complex128)
    np.add.at(total, node[node >= 0], power[node >= 0])
    return total


def _binding(
    given: dict[str, Any], node: Int, voltage: Complex, limits: dict[str, str]
) -> list[list[dict[str, str]]]:
    """Return for each interval the limits that bind or are broken."""
    from networks.limits.certificate import written

    alive = np.flatnonzero(node >= 0)
    names = [f"bus {given['bus'][position]['index']}" for position in alive]
    vm_pu = np.abs(voltage)[node[alive]]
    near_pu, near_percent = (float(limits[f"binding_within_{u}"]) for u in ("pu", "percent"))
    kinds = [
        _Values(limit, names, vm_pu, float(limits[limit]), sign, near_pu)
        for limit, sign in (("voltage_min_pu", -1.0), ("voltage_max_pu", 1.0))
    ]
    most = float(limits["loading_max_percent"])
    for table in ("line", "trafo"):
        labels, loading = _loading(given, table, node, voltage)
        kinds.append(_Values("loading_max_percent", labels, loading, most, 1.0, near_percent))
    found: list[list[dict[str, str]]] = [[] for _ in range(voltage.shape[1])]
    for kind in kinds:
        for row, step in np.argwhere(kind.sign * (kind.value - kind.bound) >= -kind.near):
            found[step].append(
                {
                    "bound": written(kind.bound),
                    "element": kind.element[row],
                    "limit": kind.limit,
                    "value": written(round(float(kind.value[row, step]), 6)),
                }
            )
    return found


def _loading(
    given: dict[str, Any], table: str, node: Int, voltage: Complex
) -> tuple[list[str], Float]:
    """Return names of the branches that are on, and percent of their rating (row, interval)."""
    on = [branch for branch in given[table] if branch["from_node"] >= 0]
    node_kv = np.zeros(len(voltage))
    for position in range(len(node) - 1, -1, -1):
        if node[position] >= 0:
            node_kv[node[position]] = float(given["bus"][position]["vn_kv"])
    yff, yft, ytf, ytt = (
        np.array([_complex(branch[port]) for branch in on], dtype=np.complex128)[:, None]
        for port in _PORTS
    )
    scale = 100.0 * float(given["base_mva"]) / np.sqrt(3.0)
    f, t = (np.array([b[f"{end}_node"] for b in on], dtype=np.int64) for end in ("from", "to"))
    rated = (
        np.array([float(branch[f"rated_{end}_ka"]) for branch in on]) for end in ("from", "to")
    )
    sizes = (
        np.abs(yff * voltage[f] + yft * voltage[t]),
        np.abs(ytf * voltage[f] + ytt * voltage[t]),
    )
    percent = [
        size * (scale / (node_kv[end] * most))[:, None]
        for size, end, most in zip(sizes, (f, t), rated, strict=True)
    ]
    return [f"{table} {branch['index']}" for branch in on], np.maximum(*percent)


def _complex(parts: list[str]) -> complex:
    return complex(float(parts[0]), float(parts[1]))
