"""Linear cuts: how broken limits answer to power injected at chosen buses.

The slopes are those of :mod:`networks.flow.sensitivity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.errors import BadInputError
from grid.site import Network
from networks.flow.operator import Operator, operator
from networks.flow.sensitivity import connected, loading_slope, node_voltage, sensitivity
from networks.injection import INPUTS, node_power
from networks.limits.findings import TOLERANCE
from networks.model import Complex, Float, NetworkModel

WATCH_PU = 0.005
"""How near to its limit a watched voltage is cut: nearer costs rounds, further costs rows."""


@dataclass(frozen=True)
class Cut:
    """``base + sum_b coefficient[b] * (net_injection_kw[b] - base_injection_kw[b]) <= limit``.

    Attributes
    ----------
    interval_index : int
        Position in the dataset the cut was made from.
    name : str
        The limit in words: ``"vm_pu bus 25 <= 1.05"``.
    coefficient : tuple of float
        Change of the value per kW injected at each controllable bus.
    base : float
        The value at the operating point; negated where the limit is a lower one.
    limit : float
        The limit, tightened by the margin; negated likewise.
    base_injection_kw : tuple of float
        Injected minus absorbed kW at each controllable bus at the operating point.
    bus : int, optional
        The bus of a voltage limit.
    """

    interval_index: int
    name: str
    coefficient: tuple[float, ...]
    base: float
    limit: float
    base_injection_kw: tuple[float, ...]
    bus: int | None = None


@dataclass(frozen=True)
class _Broken:
    """One broken limit: what (kind), where (row), how much."""

    kind: str
    row: int
    value: float
    limit: float
    excess: float


def cuts(
    model: NetworkModel,
    dataset: xr.Dataset,
    network: Network,
    controllable_bus: Sequence[int],
    margin: float = 2e-4,
    *,
    worst: int = 3,
    watched_bus: Sequence[int] = (),
    head_import_limit_kw: float = np.inf,
    head_export_limit_kw: float = np.inf,
) -> list[Cut]:
    """Return cuts for the limits that a power flow breaks; none when it keeps them all.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`networks.flow.solve.flow`.
    network : grid.site.Network
        The limits.
    controllable_bus : sequence of int
        Buses whose injection may change.
    margin : float
        By which cuts are tightened: per unit for voltages, relative for
        loadings and head flows.
    worst : int
        At most this many cuts for each interval and kind of limit.
    watched_bus : sequence of int
        Buses whose upper voltage limit is cut in every interval in which it is within
        `WATCH_PU`, kept or not.
    head_import_limit_kw, head_export_limit_kw : float
        Limits at the feeder head.
    """
    if not controllable_bus:
        raise BadInputError("cuts need at least one controllable bus")
    chosen = connected(model, controllable_bus)
    head = (head_import_limit_kw, head_export_limit_kw)
    broken = _broken(model, dataset, network, worst, head)
    _watch(model, dataset, network, watched_bus, broken)
    available = dataset["grid_available"].to_numpy()
    inputs = [dataset[name].to_numpy() for name in INPUTS]
    net_kw = inputs[1] - inputs[0]
    made: list[Cut] = []
    for has_grid in (True, False):
        steps = [step for step in sorted(broken) if bool(available[step]) == has_grid]
        if not steps:
            continue
        part = model if has_grid else model.islanded(int(dataset.attrs["forming_bus"]))
        op = operator(part)
        voltage = node_voltage(part, dataset, steps)
        power = node_power(part, *(values[steps] for values in inputs))
        change = sensitivity(part, op, voltage, power, part.node[chosen])
        for column, step in enumerate(steps):
            base = tuple(net_kw[step, chosen].tolist())
            for item in broken[step]:
                slope = _slope(part, op, item, voltage[:, column], change[:, :, column])
                if item.kind.startswith("head"):
                    # Power at the head's own node moves no voltage and offsets the flow directly.
                    at_head = np.isin(part.node[chosen], op.held)
                    slope[at_head] = -1.0 if item.kind == "head_import" else 1.0
                made.append(_cut(model, step, item, slope, base, margin))
    return sorted(made, key=lambda cut: (cut.interval_index, cut.name))


def broken(
    model: NetworkModel, dataset: xr.Dataset, network: Network
) -> list[tuple[str, int | None]]:
    """Return the worst broken limit of each interval and kind, each limit once.

    Returns
    -------
    list of (str, int or None)
        The limit in words, and the bus of a voltage limit; sorted.
    """
    found = _broken(model, dataset, network, 1, (np.inf, np.inf))
    names = {(_name(model, item), _bus(model, item)) for items in found.values() for item in items}
    return sorted(names, key=lambda one: one[0])


def _broken(
    model: NetworkModel,
    dataset: xr.Dataset,
    network: Network,
    worst: int,
    head_limits: tuple[float, float],
) -> dict[int, list[_Broken]]:
    kinds: list[tuple[str, Float, float, float]] = []
    vm_pu = dataset["vm_pu"].to_numpy()
    kinds.append(("vm_high", vm_pu, network.voltage_max_pu, 1.0))
    kinds.append(("vm_low", vm_pu, network.voltage_min_pu, -1.0))
    for table in ("line", "trafo"):
        loading = dataset[f"{table}_loading_percent"].to_numpy()
        kinds.append((table, loading, network.loading_max_percent, 1.0))
    for kind, limit in zip(("head_import", "head_export"), head_limits, strict=True):
        kinds.append((kind, dataset[f"{kind}_kw"].to_numpy()[:, None], limit, 1.0))
    result: dict[int, list[_Broken]] = {}
    for kind, values, limit, sign in kinds:
        excess = np.nan_to_num(sign * (values - limit), nan=-1.0)
        for step in np.flatnonzero((excess > TOLERANCE).any(axis=1)):
            order = np.argsort(-excess[step], kind="stable")[:worst]
            result.setdefault(int(step), []).extend(
                _Broken(kind, int(row), float(values[step, row]), limit, float(excess[step, row]))
                for row in order
                if excess[step, row] > TOLERANCE
            )
    return result


def _watch(
    model: NetworkModel,
    dataset: xr.Dataset,
    network: Network,
    watched_bus: Sequence[int],
    broken: dict[int, list[_Broken]],
) -> None:
    """Add the upper voltage limits of watched buses to what is to be cut."""
    vm_pu = dataset["vm_pu"].to_numpy()
    for row in (model.position(bus) for bus in watched_bus):
        excess = np.nan_to_num(vm_pu[:, row] - network.voltage_max_pu, nan=-np.inf)
        for step in np.flatnonzero(excess > -WATCH_PU):
            known = broken.setdefault(int(step), [])
            if not any(item.kind == "vm_high" and item.row == row for item in known):
                value, limit = float(vm_pu[step, row]), network.voltage_max_pu
                known.append(_Broken("vm_high", row, value, limit, float(excess[step])))


def _slope(
    model: NetworkModel, op: Operator, item: _Broken, voltage: Complex, change: Complex
) -> Float:
    """Return the change of a limited value per kW, (controllable,); change is (node, bus)."""
    if item.kind in ("vm_high", "vm_low"):
        node = int(model.node[item.row])
        rising: Float = (voltage[node].conj() * change[node]).real / np.abs(voltage[node])
        return rising
    if item.kind in ("line", "trafo"):
        branches = model.line if item.kind == "line" else model.trafo
        rows = np.array([item.row])
        return np.asarray(loading_slope(model, branches, rows, voltage, change)[0])
    drawn = voltage[op.held, None] * model.currents(change)[op.held].conj()
    head: Float = drawn.real.sum(axis=0) * (model.base_mva * 1e3)
    return head if item.kind == "head_import" else -head


def _cut(
    model: NetworkModel,
    step: int,
    item: _Broken,
    slope: Float,
    base_kw: tuple[float, ...],
    margin: float,
) -> Cut:
    sign = -1.0 if item.kind == "vm_low" else 1.0
    room = margin if item.kind.startswith("vm") else margin * abs(item.limit)
    return Cut(
        interval_index=step,
        name=_name(model, item),
        coefficient=tuple((sign * slope).tolist()),
        base=sign * item.value,
        limit=sign * item.limit - room,
        base_injection_kw=base_kw,
        bus=_bus(model, item),
    )


def _name(model: NetworkModel, item: _Broken) -> str:
    if item.kind.startswith("vm"):
        subject = f"vm_pu bus {model.bus[item.row]}"
    elif item.kind.startswith("head"):
        subject = f"{item.kind}_kw"
    else:
        branches = model.line if item.kind == "line" else model.trafo
        subject = f"loading_percent {item.kind} {branches.index[item.row]}"
    return f"{subject} {'>=' if item.kind == 'vm_low' else '<='} {item.limit:g}"


def _bus(model: NetworkModel, item: _Broken) -> int | None:
    return int(model.bus[item.row]) if item.kind.startswith("vm") else None
