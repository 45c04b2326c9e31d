"""How voltages and the feeder head answer to what is injected, exactly, forwards and backwards.

With ``a = conj(s) / conj(v)^2`` a change obeys ``dv + Z a conj(dv) = Z conj(ds) / conj(v) + u dv0``
(see :mod:`networks.flow.sensitivity`). A weighted sum of changes ``Re(c^H dv)`` equals
``Re(y^H (dv + Z a conj(dv)))`` for the `y` that solves ``y = c - a Z^T conj(y)``: the adjoint,
which gives the gradient for all injections at the price of one more solve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.errors import SolverError
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


def adjoint(
    view: View,
    voltage: Complex,
    power: Complex,
    vm_weight: Float,
    head_weight: Complex,
    accuracy: float = _ACCURACY,
) -> tuple[Float, Float, Float]:
    """Return the gradient of a weighted sum of voltage magnitudes and head power.

    Parameters
    ----------
    voltage, power : complex128 (node, interval)
    vm_weight : float64 (node, interval)
    head_weight : complex128 (interval,)
        Weight of active plus j times weight of reactive power.
    accuracy : float
        Relative.

    Returns
    -------
    active, reactive : float64 (node, interval)
        By injection at each node, per unit.
    source : float64 (interval,)
        By the source's voltage.
    """
    op, held = view.op, view.op.held
    v = voltage[op.others]
    phase = voltage / np.abs(voltage)
    source = voltage[held[0]]
    weight = vm_weight * phase
    weight += np.outer(view.head_row.conj(), head_weight.conj() * source)
    pull = power[op.others].conj() / v.conj() ** 2
    c = weight[op.others]
    least = accuracy * max(float(np.max(np.abs(c), initial=0.0)), 1e-30)
    found = _compiled(op, pull, c, least) if view.compiled else _iterated(op, pull, c, least)
    if found is None:
        raise SolverError(
            f"network {view.model.source}: sensitivities do not converge near voltage collapse"
        )
    turned, answer = found
    answer = answer / v.conj()
    active = np.zeros(voltage.shape)
    reactive = np.zeros(voltage.shape)
    active[op.others], reactive[op.others] = answer.real, answer.imag
    # At a held node an injection only offsets what the source gives.
    active[held], reactive[held] = -head_weight.real, -head_weight.imag
    current = view.head_row @ voltage
    by_source = (turned * view.unit[:, None]).real.sum(axis=0)
    by_source += (weight[held].conj()).real.sum(axis=0)
    by_source += (head_weight.conj() * current.conj()).real
    return active, reactive, by_source


def _compiled(
    op: Operator, pull: Complex, c: Complex, least: float
) -> tuple[Complex, Complex] | None:
    from networks.estimation import kernel

    return kernel.adjoint(op.transposed_factor, pull, c, least, _MOST)


def _iterated(
    op: Operator, pull: Complex, c: Complex, least: float
) -> tuple[Complex, Complex] | None:
    """Return ``conj(y)`` and ``Z^T conj(y)``, which is ``conj(Z^H y)``; None if it strays."""
    # Conjugated throughout: it saves two passes over the batch each time.
    pull, turned = pull.conj(), c.conj()
    for _ in range(_MOST):
        updated = c.conj() - pull * op.solve_transposed(turned).conj()
        gap = float(np.max(np.abs(updated - turned), initial=0.0))
        turned = updated
        if gap <= least:
            return turned, op.solve_transposed(turned)
    return None


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
