"""The compiled operator: one factorisation, current injection over a batch of steps.

With the slack voltage held, Kirchhoff's law of the other nodes is
``v = w + Z conj(s / v)``: `w` the voltages without injections and `Z` the
inverse of their admittances. The iteration contracts wherever the network is
far from voltage collapse (Bolognani and Zampieri, IEEE Trans. Power Syst.
31(1), 2016, doi:10.1109/TPWRS.2015.2395452).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from networks.model import Bool, Complex, Int, NetworkModel

TOLERANCE_PU = 1e-12
MAX_ITERATIONS = 60
_DENSE_NODES = 160


@dataclass(frozen=True, eq=False)
class Operator:
    """The network seen from one slack node.

    Attributes
    ----------
    slack : int
        Node whose voltage is held.
    others : int64 (node - 1,)
        The other nodes, in order.
    solve : callable
        Voltages from currents at the other nodes, complex (node - 1, column).
    unit : complex128 (node - 1,)
        Voltages without injections at 1 pu at the slack.
    """

    slack: int
    others: Int
    solve: Callable[[Complex], Complex]
    unit: Complex


def operator(model: NetworkModel, slack: int) -> Operator:
    """Return the operator of `model` with the voltage held at node `slack`; kept on the model."""
    key = f"operator {slack}"
    known: Operator | None = model._kept.get(key)
    if known is not None:
        return known
    from scipy.sparse.linalg import splu

    count = len(model.node_kv)
    others = np.delete(np.arange(count, dtype=np.int64), slack)
    rows = model.ybus[others]
    factor = splu(rows[:, others].tocsc())
    # Below a few hundred nodes one dense product beats a triangular solve per column.
    if 0 < len(others) <= _DENSE_NODES:
        impedance = np.asarray(
            factor.solve(np.eye(len(others), dtype=np.complex128)), dtype=np.complex128
        )

        def solve(current: Complex) -> Complex:
            return impedance @ current
    else:

        def solve(current: Complex) -> Complex:
            return np.asarray(factor.solve(np.asfortranarray(current)), dtype=np.complex128)

    towards_slack = np.asarray(rows[:, [slack]].todense()).ravel()
    unit = np.asarray(factor.solve(-towards_slack), dtype=np.complex128)
    built = Operator(slack, others, solve, unit)
    model._kept[key] = built
    return built


def iterate(op: Operator, power: Complex, slack_voltage: float) -> tuple[Complex, int, Bool]:
    """Return node voltages of a batch of constant-power injections.

    Parameters
    ----------
    op : Operator
    power : complex128 (node, interval)
        Into the network, per unit.
    slack_voltage : float
        Held at the slack, angle 0.

    Returns
    -------
    voltage : complex128 (node, interval)
    iterations : int
    converged : bool (interval,)
    """
    columns = power.shape[1]
    idle = op.unit * slack_voltage
    conjugate = power[op.others].conj()
    voltage = np.repeat(idle[:, None], columns, axis=1)
    converged = np.zeros(columns, dtype=np.bool_)
    iterations = 0
    with np.errstate(all="ignore"):
        for iterations in range(1, MAX_ITERATIONS + 1):  # noqa: B007 - told after the loop
            updated = op.solve(conjugate / voltage.conj())
            updated += idle[:, None]
            voltage -= updated
            change = np.max(np.abs(voltage), axis=0, initial=0.0)
            voltage = updated
            converged = change < TOLERANCE_PU
            if converged.all() or not np.isfinite(change).all():
                break
    full = np.empty(power.shape, dtype=np.complex128)
    full[op.others] = voltage
    full[op.slack] = slack_voltage
    return full, iterations, converged
