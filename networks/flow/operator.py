"""The compiled operator: one factorisation, current injection over a batch of steps.

With the voltages of the sources held, Kirchhoff's law of the other nodes is
``v = w + Z conj(s / v)``: `w` the voltages without injections and `Z` the
inverse of their admittances. The iteration contracts wherever the network is
far from voltage collapse (Bolognani and Zampieri, IEEE Trans. Power Syst.
31(1), 2016, doi:10.1109/TPWRS.2015.2395452).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from networks.model import Bool, Complex, Int, NetworkModel

if TYPE_CHECKING:
    import scipy.sparse as sp

    from networks.flow.factor import Factor

TOLERANCE_PU = 1e-12
MAX_ITERATIONS = 60
_DENSE_NODES = 160
_KERNEL_WORK = 400_000
"""Nodes times intervals from which compiled code saves more than loading it costs."""


@dataclass(frozen=True, eq=False)
class Operator:
    """A network seen from its sources.

    Attributes
    ----------
    held : int64 (source,)
        Nodes whose voltage is held.
    others : int64 (other,)
        The other nodes, in order.
    admittance : scipy.sparse.csc_array, complex128 (other, other)
    solve : callable
        Voltages from currents at the other nodes, complex (other, column).
    solve_transposed : callable
        The same of the transposed admittances.
    idle : complex128 (other,)
        Voltages without injections.
    held_pu : complex128 (source,)
    """

    held: Int
    others: Int
    admittance: sp.csc_array[np.complex128]
    solve: Callable[[Complex], Complex]
    solve_transposed: Callable[[Complex], Complex]
    idle: Complex
    held_pu: Complex

    @cached_property
    def factor(self) -> Factor:
        """The factors for compiled code."""
        from networks.flow.factor import factor

        return factor(self.admittance)

    @cached_property
    def transposed_factor(self) -> Factor:
        """The factors of the transposed admittances."""
        from networks.flow.factor import factor

        return factor(self.admittance.T.tocsc())


def operator(model: NetworkModel) -> Operator:
    """Return the operator of `model`; kept on the model."""
    known: Operator | None = model.kept.get("operator")
    if known is not None:
        return known
    others = np.delete(np.arange(len(model.node_kv), dtype=np.int64), model.held_node)
    rows = model.ybus[others]
    admittance = rows[:, others].tocsc()
    towards = np.asarray(rows[:, model.held_node] @ model.held_pu, dtype=np.complex128)

    solve, transposed = _solvers(admittance)
    idle = solve(-towards)
    built = Operator(model.held_node, others, admittance, solve, transposed, idle, model.held_pu)
    model.kept["operator"] = built
    return built


def _solvers(
    admittance: sp.csc_array[np.complex128],
) -> tuple[Callable[[Complex], Complex], Callable[[Complex], Complex]]:
    """Return what solves for voltages, and what solves with the transposed admittances."""
    from scipy.sparse.linalg import splu

    count = admittance.shape[0]
    if not count:
        return np.array, np.array
    factors = splu(admittance)
    # Below a few hundred nodes one dense product beats a triangular solve per column.
    if count <= _DENSE_NODES:
        impedance = np.asarray(factors.solve(np.eye(count, dtype=np.complex128)), np.complex128)
        turned = np.ascontiguousarray(impedance.T)
        return lambda current: impedance @ current, lambda current: turned @ current

    turned_factors = splu(admittance.T.tocsc())

    def solve(current: Complex) -> Complex:
        return np.asarray(factors.solve(np.asfortranarray(current)), dtype=np.complex128)

    def transposed(current: Complex) -> Complex:
        return np.asarray(turned_factors.solve(np.asfortranarray(current)), dtype=np.complex128)

    return solve, transposed


@dataclass(frozen=True, eq=False)
class VoltageDependent:
    """What a load injects beside constant power, per unit at 1 pu; complex (node, interval)."""

    constant_current: Complex
    constant_impedance: Complex


def iterate(
    op: Operator, power: Complex, dependent: VoltageDependent | None = None
) -> tuple[Complex, int, Bool]:
    """Return node voltages of a batch of injections.

    Parameters
    ----------
    op : Operator
    power : complex128 (node, interval)
        Constant power into the network, per unit.
    dependent : VoltageDependent, optional
        What beside it depends on voltage.

    Returns
    -------
    voltage : complex128 (node, interval)
    iterations : int
    converged : bool (interval,)
    """
    full = np.empty(power.shape, dtype=np.complex128)
    full[op.held] = op.held_pu[:, None]
    if dependent is None and power.size >= _KERNEL_WORK and len(op.others):
        from networks.flow.kernel import voltages

        full[op.others], iterations, converged = voltages(op, power[op.others])
        return full, iterations, converged
    conjugate = power[op.others].conj()
    if dependent is not None:
        current = dependent.constant_current[op.others].conj()
        impedance = dependent.constant_impedance[op.others].conj()
    columns = power.shape[1]
    voltage = np.repeat(op.idle[:, None], columns, axis=1)
    converged = np.zeros(columns, dtype=np.bool_)
    iterations = 0
    with np.errstate(all="ignore"):
        for iterations in range(1, MAX_ITERATIONS + 1):  # noqa: B007 - told after the loop
            given = conjugate / voltage.conj()
            if dependent is not None:
                given += current * (voltage / np.abs(voltage)) + impedance * voltage
            updated = op.solve(given)
            updated += op.idle[:, None]
            voltage -= updated
            change = np.max(np.abs(voltage), axis=0, initial=0.0)
            voltage = updated
            converged = change < TOLERANCE_PU
            if converged.all() or not np.isfinite(change).all():
                break
    full[op.others] = voltage
    return full, iterations, converged
