"""Weighted least squares over all intervals at once.

With the knowledge ``x ~ N(m, S)`` of what is injected and measurements ``z = h(x) + e``,
``e ~ N(0, R)``, the optimum is ``x = m + S H(x)^T k`` with ``R k = z - h(x)``: as many
multipliers `k` as there are measurements of voltage and of the head, which are few. They are
found by Newton's method with the derivative of one typical interval; `h` is the power flow and
``H(x)^T k`` its adjoint, both exact, so that the optimum is that of the nonlinear problem
(Schweppe and Wildes, IEEE Trans. PAS 89(1), 1970, in the form of Tarantola, Inverse Problem
Theory, 2005, section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from grid.errors import SolverError
from grid.interval import label
from networks.estimation.linear import Jacobian, View, adjoint, jacobian, view_of
from networks.estimation.problem import Problem
from networks.model import Complex, Float, Int

CHUNK = 1_024
_ACCURACY_PU = 1e-9
_MOST_STEPS = 40
_MOST_SWEEPS = 60


@dataclass(frozen=True, eq=False)
class Solution:
    """The optimum of each interval, per unit.

    Attributes
    ----------
    injection : float64 (interval, 2 point + 1)
    voltage : complex128 (node, interval)
    power : complex128 (node, interval)
    multiplier : float64 (interval, measurement)
        Residuals divided by their measurements' variances.
    gain : float64 (interval, measurement, measurement)
        Inverse covariance of what measurements tell beyond what was known.
    derivative : Jacobian
        At the typical interval.
    """

    injection: Float
    voltage: Complex
    power: Complex
    multiplier: Float
    gain: Float
    derivative: Jacobian


def solve(problem: Problem) -> Solution:
    """Return the optimum of every interval.

    Raises
    ------
    SolverError
        Naming the first interval that has none.
    """
    view = view_of(problem.model)
    typical = _typical(view, problem)
    rows = measured_rows(problem, typical)
    parts = [_solve(view, part, typical, rows) for part in _chunks(problem)]
    return Solution(
        injection=np.concatenate([part.injection for part in parts]),
        voltage=np.concatenate([part.voltage for part in parts], axis=1),
        power=np.concatenate([part.power for part in parts], axis=1),
        multiplier=np.concatenate([part.multiplier for part in parts]),
        gain=np.concatenate([part.gain for part in parts]),
        derivative=typical,
    )


def measured_rows(problem: Problem, derivative: Jacobian) -> Float:
    """Return the derivative of the measurements, (measurement, 2 point + 1)."""
    return np.concatenate([derivative.vm[problem.vm_node], derivative.head])


def _chunks(problem: Problem) -> Iterator[Problem]:
    count = len(problem.starts)
    names = ("starts", "mean", "variance", "shared", "metered", "usual", "value", "spread",
             "present")  # fmt: skip
    for first in range(0, count, CHUNK):
        part = slice(first, first + CHUNK)
        yield replace(problem, **{name: getattr(problem, name)[part] for name in names})


def node_power(problem: Problem, injection: Float) -> Complex:
    """Return power into the nodes, complex (node, interval), per unit."""
    points = len(problem.node)
    total = np.zeros((len(problem.model.node_kv), len(injection)), dtype=np.complex128)
    power = (injection[:, :points] + 1j * injection[:, points : 2 * points]).T
    np.add.at(total, problem.node, power)
    return total


def _flow(view: View, power: Complex, source: Float, start: Complex | None) -> Complex:
    """Return node voltages at constant power, (node, interval), from a near start."""
    op = view.op
    idle = view.unit[:, None] * source[None]
    voltage = idle if start is None else start[op.others]
    conjugate = power[op.others].conj()
    for _ in range(_MOST_SWEEPS):
        updated = op.solve(conjugate / voltage.conj()) + idle
        gap = float(np.max(np.abs(updated - voltage), initial=0.0))
        voltage = updated
        if gap < 1e-11 or not np.isfinite(gap):
            break
    full = np.empty(power.shape, dtype=np.complex128)
    full[op.others] = voltage
    full[op.held] = source
    return full


def _typical(view: View, problem: Problem) -> Jacobian:
    mean = problem.mean.mean(axis=0, keepdims=True)
    power = node_power(problem, mean)
    voltage = _flow(view, power, mean[:, -1], None)
    return jacobian(view, voltage[:, 0], power[:, 0], problem.node)


def times_knowledge(problem: Problem, columns: Float) -> Float:
    """Return ``S columns`` of a column for each interval, (interval, unknown)."""
    own: Float = problem.variance * columns
    if problem.shared.shape[2]:
        mixed = np.einsum("tuf,tu->tf", problem.shared, columns)
        own += np.einsum("tuf,tf->tu", problem.shared, mixed)
    return own


def knowledge_of_rows(problem: Problem, rows: Float) -> Float:
    """Return ``S rows^T``, (interval, unknown, row)."""
    wide: Float = problem.variance[:, :, None] * rows.T[None]
    if problem.shared.shape[2]:
        wide += problem.shared @ np.einsum("tuf,ru->tfr", problem.shared, rows, optimize=True)
    return wide


def knowledge_through(problem: Problem, rows: Float) -> Float:
    """Return ``rows S rows^T``, (interval, row, row)."""
    width = rows.shape[0]
    # One product for all intervals: each pair of rows is a column.
    pairs = (rows[:, None, :] * rows[None, :, :]).reshape(width * width, -1)
    through = (problem.variance @ pairs.T).reshape(-1, width, width)
    if problem.shared.shape[2]:
        mixed = np.einsum("ru,tuf->trf", rows, problem.shared, optimize=True)
        through += mixed @ mixed.transpose(0, 2, 1)
    return through


def _solve(view: View, problem: Problem, typical: Jacobian, rows: Float) -> Solution:
    through = knowledge_through(problem, rows)
    diagonal = np.arange(rows.shape[0])
    through[:, diagonal, diagonal] += problem.spread
    gain = np.linalg.inv(through)
    points = len(problem.node)
    injection = problem.mean.copy()
    # Where the head's voltage was told, it is the better place to begin.
    told = problem.present[:, len(problem.vm_point) - 1]
    injection[told, -1] = problem.value[told, len(problem.vm_point) - 1]
    multiplier = np.zeros(problem.value.shape)
    voltage = None
    gap = np.full(len(injection), np.inf)
    for _ in range(_MOST_STEPS):
        power = node_power(problem, injection)
        voltage = _flow(view, power, injection[:, -1], voltage)
        pull = _pull(view, problem, voltage, power, multiplier, points)
        away = problem.mean + times_knowledge(problem, pull) - injection
        short = problem.value - _seen(view, problem, voltage, power) - problem.spread * multiplier
        step = np.einsum("tij,tj->ti", gain, short - away @ rows.T)
        change = away + times_knowledge(problem, step @ rows)
        multiplier = multiplier + step
        injection = injection + change
        gap = np.abs(change).max(axis=1)
        if gap.max(initial=0.0) < _ACCURACY_PU or not np.isfinite(gap).all():
            break
    lost = np.flatnonzero(~(gap < 10 * _ACCURACY_PU))
    if lost.size:
        at = label(int(problem.starts[lost[0]].astype(np.int64)))
        raise SolverError(f"network {problem.model.source} {at}: no estimate of its state")
    power = node_power(problem, injection)
    voltage = _flow(view, power, injection[:, -1], voltage)
    return Solution(injection, voltage, power, multiplier, gain, typical)


def _seen(view: View, problem: Problem, voltage: Complex, power: Complex) -> Float:
    """Return what the measurements would be in a state, (interval, measurement)."""
    seen = np.empty(problem.value.shape)
    nodes: Int = problem.vm_node
    seen[:, : len(nodes)] = np.abs(voltage[nodes]).T
    held = view.op.held
    head = voltage[held[0]] * (view.head_row @ voltage).conj() - power[held].sum(axis=0)
    seen[:, -2], seen[:, -1] = head.real, head.imag
    return seen


def _pull(
    view: View, problem: Problem, voltage: Complex, power: Complex, multiplier: Float, points: int
) -> Float:
    """Return ``H(x)^T multiplier``, (interval, 2 point + 1)."""
    weight = np.zeros(voltage.shape)
    nodes = problem.vm_node
    np.add.at(weight, nodes, multiplier[:, : len(nodes)].T)
    active, reactive, source = adjoint(
        view, voltage, power, weight, multiplier[:, -2] + 1j * multiplier[:, -1]
    )
    return np.concatenate(
        [active[problem.node].T, reactive[problem.node].T, source[:, None]], axis=1
    )
