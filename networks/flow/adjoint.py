"""What a network tells backwards: the slope of one number by every injection, for one solve.

With ``a = s / v^2`` a change obeys ``conj(dv) + a conj(Z) dv = ...`` (see
:mod:`networks.flow.sensitivity`), and a weighted sum of changes ``Re(c^H dv)`` has the slopes
``dL/dP + j dL/dQ = Z^T t / conj(v)`` with the `t` that solves ``t = conj(c) - a conj(Z^T t)``.
"""

from __future__ import annotations

import numpy as np

from grid.errors import SolverError
from networks.flow.operator import Operator
from networks.model import Complex

_ACCURACY = 1e-10
_MOST = 60


def adjoint(
    op: Operator,
    voltage: Complex,
    power: Complex,
    weight: Complex,
    *,
    source: str,
    accuracy: float = _ACCURACY,
    compiled: bool = False,
) -> tuple[Complex, Complex]:
    """Return `t` and the slopes, complex (node, interval); 0 at nodes that a source holds.

    Parameters
    ----------
    voltage, power, weight : complex128 (node, interval)
        A state per unit, and `c`; what it is at nodes that a source holds does not matter.
    source : str
        Name of the network, for the error.
    accuracy : float
        Of `t`, relative to the largest weight.
    compiled : bool
        Iterate in compiled code: worth loading it for a long batch.

    Raises
    ------
    SolverError
        Near voltage collapse, where the iteration does not settle.
    """
    largest = float(np.max(np.abs(weight.view(np.float64)), initial=0.0))
    least = accuracy * max(largest, 1e-30)
    if compiled:
        from networks.flow import kernel

        found = kernel.adjoint(op, voltage, power, weight, least, _MOST)
    else:
        found = _iterated(op, voltage, power, weight, least)
    if found is None:
        raise SolverError(f"network {source}: sensitivities do not converge near voltage collapse")
    return found


def _iterated(
    op: Operator, voltage: Complex, power: Complex, weight: Complex, least: float
) -> tuple[Complex, Complex] | None:
    at = op.others
    wanted, pull = weight[at].conj(), power[at] / voltage[at] ** 2
    turned = wanted
    for _ in range(_MOST):
        answer = op.solve_transposed(turned)
        updated = wanted - pull * answer.conj()
        gap = float(np.max(np.abs(updated - turned), initial=0.0))
        turned = updated
        if gap <= least:
            found = np.zeros((2, *voltage.shape), dtype=np.complex128)
            found[0, at], found[1, at] = turned, answer / voltage[at].conj()
            return found[0], found[1]
    return None
