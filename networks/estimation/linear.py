"""How voltages and the feeder head answer to what is injected, exactly, forwards and backwards.

With ``a = conj(s) / conj(v)^2`` a change obeys ``dv + Z a conj(dv) = Z conj(ds) / conj(v) + u dv0``
(see :mod:`networks.flow.sensitivity`); the gradient is that of :mod:`networks.flow.adjoint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grid.errors import SolverError
from networks.flow.adjoint import adjoint
from networks.flow.operator import Operator
from networks.model import Complex, Float, Int, NetworkModel

_ACCURACY = 1e-10
_MOST = 60


@dataclass(frozen=True, eq=False)
class View:
    """A network as the estimator sees it.

    Attributes
    ----------
    model : NetworkModel
    op : Operator
    unit : complex128 (other,)
        Voltages without injections while the source holds 1 pu.
    head_row : complex128 (node,)
        Row of the admittance matrix that gives the current of the sources.
    seat : int64 (node,)
        Place of each node among the others, -1 where a source holds it.
    compiled : bool
        Whether iterations run in compiled code: worth loading it for a long batch.
    """

    model: NetworkModel
    op: Operator
    unit: Complex
    head_row: Complex
    seat: Int
    compiled: bool = False


@dataclass(frozen=True, eq=False)
class Jacobian:
    """Derivatives at one operating point, per unit.

    Attributes
    ----------
    vm : float64 (node, 2 column + 1)
        Of voltage magnitudes by active injections, reactive injections and source voltage.
    head : float64 (2, 2 column + 1)
        Of active and reactive power that enters at the source.
    """

    vm: Float
    head: Float


def gradient(
    view: View,
    voltage: Complex,
    power: Complex,
    vm_weight: Mapping[int, Float],
    head_weight: Complex,
    accuracy: float = _ACCURACY,
) -> tuple[Complex, Float]:
    """Return the gradient of a weighted sum of voltage magnitudes and head power.

    Parameters
    ----------
    voltage, power : complex128 (node, interval)
    vm_weight : float64 (interval,) by node
    head_weight : complex128 (interval,)
        Weight of active plus j times weight of reactive power.
    accuracy : float
        Relative.

    Returns
    -------
    injection : complex128 (node, interval)
        By active plus j times by reactive injection at each node, per unit.
    source : float64 (interval,)
        By the source's voltage.
    """
    op, held = view.op, view.op.held
    at_head = head_weight.conj() * voltage[held[0]]
    weight = np.zeros(voltage.shape, dtype=np.complex128)
    for node in np.flatnonzero(view.head_row).tolist():
        weight[node] = view.head_row[node].conj() * at_head
    for node, share in vm_weight.items():
        weight[node] += share / np.abs(voltage[node]) * voltage[node]
    turned, injection = adjoint(
        op, voltage, power, weight,
        source=view.model.source, accuracy=accuracy, compiled=view.compiled,
    )  # fmt: skip
    # At a held node an injection only offsets what the source gives.
    injection[held] = -head_weight
    current = view.head_row @ voltage
    unit = np.zeros(len(voltage), dtype=np.complex128)
    unit[op.others] = view.unit
    by_source = (unit @ turned).real + weight[held].real.sum(axis=0)
    by_source += (head_weight.conj() * current.conj()).real
    return injection, by_source


def jacobian(view: View, voltage: Complex, power: Complex, nodes: Int) -> Jacobian:
    """Return the derivatives at one operating point.

    Parameters
    ----------
    voltage, power : complex128 (node,)
    nodes : int64 (column,)
        Where is injected.
    """
    op, count = view.op, len(nodes)
    v = voltage[op.others]
    drive = np.zeros((len(v), 2 * count), dtype=np.complex128)
    live = np.flatnonzero(view.seat[nodes] >= 0)
    rows = view.seat[nodes[live]]
    drive[rows, live] = 1.0 / v.conj()[rows]
    drive[rows, count + live] = -1j / v.conj()[rows]
    forced = np.concatenate([op.solve(drive), view.unit[:, None]], axis=1)
    pull = (power[op.others].conj() / v.conj() ** 2)[:, None]
    change = forced
    for _ in range(_MOST):
        updated = forced - op.solve(pull * change.conj())
        gap = float(np.max(np.abs(updated - change), initial=0.0))
        change = updated
        if gap <= _ACCURACY * float(np.max(np.abs(change), initial=1e-30)):
            break
    else:
        raise SolverError(
            f"network {view.model.source}: sensitivities do not converge near voltage collapse"
        )
    full = np.zeros((len(voltage), 2 * count + 1), dtype=np.complex128)
    full[op.others] = change
    full[op.held, -1] = 1.0
    vm = (voltage.conj()[:, None] * full).real / np.abs(voltage)[:, None]
    source = voltage[op.held[0]]
    power_change = source * (view.head_row @ full).conj()
    power_change[-1] += (view.head_row @ voltage).conj()
    head = np.stack([power_change.real, power_change.imag])
    at_head = np.flatnonzero(view.seat[nodes] < 0)
    head[0, at_head] -= 1.0
    head[1, count + at_head] -= 1.0
    return Jacobian(vm, head)


def view_of(model: NetworkModel) -> View:
    """Return what the estimator needs of a network; kept on it."""
    from networks.flow.operator import operator

    known: View | None = model.kept.get("view")
    if known is None:
        op = operator(model)
        seat = np.full(len(model.node_kv), -1, dtype=np.int64)
        seat[op.others] = np.arange(len(op.others))
        head_row = np.asarray(model.ybus[op.held].sum(axis=0), dtype=np.complex128).ravel()
        unit = op.idle / op.held_pu[0]
        known = model.kept["view"] = View(model, op, unit, head_row, seat)
    return known
