"""The compiled three-phase operator: three factorisations, current injection over a batch.

A load is a *port*: a phase of a node to neutral, or two phases of it. With `u`
the voltages at the ports, ``u = w + Z conj(s / u)``: `w` without loads, `Z` the
impedances between ports. `Z` comes from one factorisation of each sequence
network, in which currents of single phases are summed to sequence currents. The
iteration is the one of :mod:`networks.flow.operator`; only ports take part in
it, and the voltages of all nodes follow from their currents once it has settled
(compensation method: Cheng and Shirmohammadi, IEEE Trans. Power Syst. 10(2),
1995, doi:10.1109/59.387902).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from grid.errors import SolverError
from networks.model import Bool, Complex, Int
from networks.threephase.fortescue import POSITIVE, TO_PHASE, TO_SEQUENCE
from networks.threephase.model import ThreePhaseModel

TOLERANCE_PU = 1e-12
MAX_ITERATIONS = 60
_DENSE_NODES = 160
_PORT_ENTRIES = 600**2
"""Port impedances up to this many entries are one dense product a step."""
_REACH_ENTRIES = 3_000_000
"""Complex numbers that the voltages of all nodes per port current may take, a sequence."""

Solve = Callable[[Complex], Complex]

_PORT = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -1, 0], [0, 1, -1], [-1, 0, 1]], dtype=np.float64
)
"""Phases that a port's voltage is taken across: a, b, c, ab, bc, ca."""
_VOLTAGE: Complex = _PORT @ TO_PHASE
_CURRENT: Complex = TO_SEQUENCE @ _PORT.T


@dataclass(frozen=True, eq=False)
class Ports:
    """Where loads are connected.

    Attributes
    ----------
    node : int64 (port,)
    kind : int64 (port,)
        0 to 2 for phases a, b, c to neutral, 3 to 5 for pairs ab, bc, ca.
    """

    node: Int
    kind: Int

    def __len__(self) -> int:
        return len(self.node)


@dataclass(frozen=True, eq=False)
class Operator:
    """A three-phase network seen from its source.

    Attributes
    ----------
    solve : three callables
        Voltages (node, column) that sequence currents (node, column) into the
        network add; zero, positive and negative sequence.
    idle : complex128 (node,)
        Positive-sequence voltages without loads; the other two are zero.
    """

    solve: tuple[Solve, Solve, Solve]
    idle: Complex


def factorised(matrix: Any) -> Solve:
    """Return what solves `matrix` (node, node) for a block of columns (node, column).

    Raises
    ------
    SolverError
        When the matrix is singular.
    """
    from scipy.sparse.linalg import splu

    try:
        factor = splu(matrix.tocsc())
    except RuntimeError as error:
        raise SolverError("a sequence network has a part without a path to earth") from error
    size = matrix.shape[0]
    if size <= _DENSE_NODES:
        inverse = np.asarray(factor.solve(np.eye(size, dtype=np.complex128)), dtype=np.complex128)
        return lambda current: inverse @ current
    return lambda current: np.asarray(factor.solve(np.asfortranarray(current)), dtype=np.complex128)


def operator(model: ThreePhaseModel) -> Operator:
    """Return the operator of `model`; kept on the model.

    Raises
    ------
    SolverError
        When a sequence network is singular.
    """
    known: Operator | None = model._kept.get("operator")
    if known is not None:
        return known
    zero, positive, negative = (_sequence(model, sequence) for sequence in range(3))
    count, slack = len(model.node_kv), model.slack_node
    push: Complex = np.zeros((count, 1), dtype=np.complex128)
    if model.source_z_pu[POSITIVE] == 0:
        push -= model.y[POSITIVE][:, [slack]].toarray() * model.source_voltage_pu
        idle = positive(push)[:, 0]
        idle[slack] = model.source_voltage_pu
    else:
        push[slack] = model.source_voltage_pu / model.source_z_pu[POSITIVE]
        idle = positive(push)[:, 0]
    built = model._kept["operator"] = Operator((zero, positive, negative), idle)
    return built


def _sequence(model: ThreePhaseModel, sequence: int) -> Solve:
    """Return the solution of one sequence network with its source's voltage at zero."""
    import scipy.sparse as sp

    matrix, impedance = model.y[sequence], model.source_z_pu[sequence]
    count, slack = matrix.shape[0], model.slack_node
    if impedance != 0:
        source = sp.csr_array(([1 / impedance], ([slack], [slack])), shape=matrix.shape)
        return factorised(matrix + source)
    others = np.delete(np.arange(count, dtype=np.int64), slack)
    inner = factorised(matrix[others][:, others]) if count > 1 else None

    def solve(current: Complex) -> Complex:
        voltage = np.zeros(current.shape, dtype=np.complex128)
        if inner is not None:
            voltage[others] = inner(current[others])
        return voltage

    return solve


class Reduced:
    """The operator seen from the ports of a batch.

    Few ports use the impedances between them, one dense product an iteration.
    Many ports go through the sequence networks instead: by dense blocks while
    those fit, else by the factors.
    """

    def __init__(self, op: Operator, ports: Ports) -> None:
        import scipy.sparse as sp

        self._op = op
        self._ports = ports
        self.at, self._row = np.unique(ports.node, return_inverse=True)
        count, width = len(op.idle), len(self.at)
        self._gather = [
            sp.csr_array(
                (_CURRENT[sequence, ports.kind], (self._row, np.arange(len(ports)))),
                shape=(width, len(ports)),
            )
            for sequence in range(3)
        ]
        self.idle: Complex = _VOLTAGE[ports.kind, POSITIVE] * op.idle[ports.node]
        self._reach: list[Complex] = []
        self._impedance: Complex | None = None
        if count * width > _REACH_ENTRIES:
            return
        unit: Complex = np.zeros((count, width), dtype=np.complex128)
        unit[self.at, np.arange(width)] = 1.0
        self._reach = [np.ascontiguousarray(solve(unit)) for solve in op.solve]
        if len(ports) ** 2 <= min(_PORT_ENTRIES, 6 * width**2):
            self._impedance = sum(
                _VOLTAGE[ports.kind, sequence][:, None]
                * reach[np.ix_(ports.node, self._row)]
                * _CURRENT[sequence, ports.kind]
                for sequence, reach in enumerate(self._reach)
            )
        self._near = [np.ascontiguousarray(reach[self.at]) for reach in self._reach]

    def across(self, current: Complex) -> Complex:
        """Return the voltages (port, column) that port currents (port, column) add at ports."""
        if self._impedance is not None:
            return self._impedance @ current
        total: Complex = np.zeros(current.shape, dtype=np.complex128)
        for sequence in range(3):
            entering = np.asarray(self._gather[sequence] @ current, dtype=np.complex128)
            if self._reach:
                voltage = self._near[sequence] @ entering
            else:
                voltage = self._everywhere(sequence, entering)[self.at]
            part = voltage[self._row]
            part *= _VOLTAGE[self._ports.kind, sequence][:, None]
            total += part
        return total

    def everywhere(self, current: Complex) -> Complex:
        """Return sequence voltages (3, node, column) at port currents (port, column)."""
        made = np.empty((3, len(self._op.idle), current.shape[1]), dtype=np.complex128)
        for sequence in range(3):
            entering = np.asarray(self._gather[sequence] @ current, dtype=np.complex128)
            if self._reach:
                np.matmul(self._reach[sequence], entering, out=made[sequence])
            else:
                made[sequence] = self._everywhere(sequence, entering)
        made[POSITIVE] += self._op.idle[:, None]
        return made

    def _everywhere(self, sequence: int, entering: Complex) -> Complex:
        current = np.zeros((len(self._op.idle), entering.shape[1]), dtype=np.complex128)
        current[self.at] = entering
        return self._op.solve[sequence](current)


def iterate(reduced: Reduced, power: Complex) -> tuple[Complex, int, Bool]:
    """Return sequence voltages of a batch of constant-power injections.

    Parameters
    ----------
    reduced : Reduced
    power : complex128 (port, interval)
        Into the network, per unit of the base of one phase.

    Returns
    -------
    voltage : complex128 (3, node, interval)
    iterations : int
    converged : bool (interval,)
    """
    columns = power.shape[1]
    conjugate = power.conj()
    voltage = np.repeat(reduced.idle[:, None], columns, axis=1)
    current = conjugate / voltage.conj()
    converged = np.ones(columns, dtype=np.bool_)
    iterations = 0
    with np.errstate(all="ignore"):
        for iterations in range(1, MAX_ITERATIONS + 1):  # noqa: B007 - told after the loop
            updated = reduced.across(current)
            updated += reduced.idle[:, None]
            voltage -= updated
            change = np.max(np.abs(voltage), axis=0, initial=0.0)
            voltage = updated
            current = conjugate / voltage.conj()
            converged = change < TOLERANCE_PU
            if (converged | ~np.isfinite(change)).all():
                break
        return reduced.everywhere(current), iterations, converged
