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

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from grid.errors import SolverError
from networks.estimation.linear import Jacobian, View, gradient, jacobian, view_of
from networks.estimation.problem import Problem, of_steps
from networks.model import Bool, Complex, Float

CHUNK = 512
"""Intervals at a time, whatever the number of cores: the result follows the number."""
_ACCURACY_PU = 1e-7
"""Change of an injection after which the next one, some fifty times smaller, is not made."""
_FINE, _ROUGH = 1e-11, 1e-3
_TYPICAL_SHARE = 0.3
"""Of the rated loads, in a typical interval."""
_COMPILED_WORK = 40_000
"""Nodes times intervals from which compiled code saves more than loading it costs."""
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
        At a share of the network's own loads, the same for every batch.
    solved : bool (interval,)
        Whether there is an optimum; without one the others are NaN.
    """

    injection: Float
    voltage: Complex
    power: Complex
    multiplier: Float
    gain: Float
    derivative: Jacobian
    solved: Bool


def solve(problem: Problem) -> Solution:
    """Return the optimum of every interval."""
    view = view_of(problem.model)
    typical = _typical(view, problem)
    work = len(view.op.others) * len(problem.starts)
    view = replace(view, compiled=work >= _COMPILED_WORK)
    rows = measured_rows(problem, typical)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        parts = list(pool.map(lambda one: _part(view, one, typical, rows), _chunks(problem)))
    return Solution(
        injection=np.concatenate([part.injection for part in parts]),
        voltage=np.concatenate([part.voltage for part in parts], axis=1),
        power=np.concatenate([part.power for part in parts], axis=1),
        multiplier=np.concatenate([part.multiplier for part in parts]),
        gain=np.concatenate([part.gain for part in parts]),
        derivative=typical,
        solved=np.concatenate([part.solved for part in parts]),
    )


def _part(view: View, problem: Problem, typical: Jacobian, rows: Float) -> Solution:
    """Solve intervals together, and alone where one of them spoils the others."""
    together = _solve(view, problem, typical, rows)
    if together.solved.all() or len(problem.starts) == 1:
        return together
    alone = [
        _solve(view, of_steps(problem, slice(step, step + 1)), typical, rows)
        for step in range(len(problem.starts))
    ]
    return Solution(
        injection=np.concatenate([one.injection for one in alone]),
        voltage=np.concatenate([one.voltage for one in alone], axis=1),
        power=np.concatenate([one.power for one in alone], axis=1),
        multiplier=np.concatenate([one.multiplier for one in alone]),
        gain=together.gain,
        derivative=typical,
        solved=np.concatenate([one.solved for one in alone]),
    )


def measured_rows(problem: Problem, derivative: Jacobian) -> Float:
    """Return the derivative of the measurements, (measurement, 2 point + 1)."""
    return np.concatenate([derivative.vm[problem.vm_node], derivative.head])


def _chunks(problem: Problem) -> Iterator[Problem]:
    for first in range(0, len(problem.starts), CHUNK):
        yield of_steps(problem, slice(first, first + CHUNK))


def _node_power(problem: Problem, injection: Float) -> Complex:
    """Return power into the nodes per unit, (node, interval), from (unknown, interval)."""
    points = len(problem.node)
    total = np.zeros((len(problem.model.node_kv), injection.shape[1]), dtype=np.complex128)
    for point, node in enumerate(problem.node.tolist()):
        total.real[node] += injection[point]
        total.imag[node] += injection[points + point]
    return total


def _flow(
    view: View, power: Complex, source: Float, start: Complex | None, accuracy_pu: float = _FINE
) -> Complex:
    """Return node voltages at constant power, (node, interval), from a near start."""
    op = view.op
    if view.compiled:
        from networks.estimation import kernel

        full = np.empty(power.shape, dtype=np.complex128) if start is None else start.copy()
        if start is None:
            full[op.others] = view.unit[:, None] * source[None]
        kernel.flow(op, view.unit, source, power, full, (accuracy_pu, _MOST_SWEEPS))
    else:
        full = np.empty(power.shape, dtype=np.complex128)
        idle = view.unit[:, None] * source[None]
        voltage = idle if start is None else start[op.others]
        conjugate = power[op.others].conj()
        for _ in range(_MOST_SWEEPS):
            updated = op.solve(conjugate / voltage.conj()) + idle
            gap = float(np.max(np.abs(updated - voltage), initial=0.0))
            voltage = updated
            if gap < accuracy_pu or not np.isfinite(gap):
                break
        full[op.others] = voltage
    full[op.held] = source
    return full


def _typical(view: View, problem: Problem) -> Jacobian:
    """Return the derivative at a share of the network's own loads, whatever the batch is."""
    model, rated = problem.model, problem.model.equipment
    power = np.zeros(len(model.node_kv), dtype=np.complex128)
    alive = model.node >= 0
    drawn = rated.nominal_absorbed_kw + 1j * rated.nominal_absorbed_kvar
    np.add.at(power, model.node[alive], -_TYPICAL_SHARE * 1e-3 / model.base_mva * drawn[alive])
    voltage = _flow(view, power[:, None], np.array([model.source_voltage_pu]), None)
    return jacobian(view, voltage[:, 0], power, problem.node)


def _times_knowledge(problem: Problem, variance: Float, columns: Float) -> Float:
    """Return ``S columns`` of a column for each interval, (unknown, interval)."""
    own: Float = variance * columns
    if problem.shared.shape[2]:
        mixed = np.einsum("tuf,ut->tf", problem.shared, columns)
        own += np.einsum("tuf,tf->ut", problem.shared, mixed)
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


def _inverse(view: View, matrices: Float) -> Float:
    if not view.compiled:
        return np.asarray(np.linalg.inv(matrices), dtype=np.float64)
    from networks.estimation import kernel

    kernel.invert(matrices)
    return matrices


def _solve(view: View, problem: Problem, typical: Jacobian, rows: Float) -> Solution:
    through = knowledge_through(problem, rows)
    diagonal = np.arange(rows.shape[0])
    through[:, diagonal, diagonal] += problem.spread
    gain = _inverse(view, through)
    # Time is the inner axis, as it is in the power flow.
    mean, variance, value, spread = (
        np.ascontiguousarray(one.T)
        for one in (problem.mean, problem.variance, problem.value, problem.spread)
    )
    injection, multiplier, voltage = mean, np.zeros(value.shape), None
    gap, accuracy = np.full(injection.shape[1], np.inf), _ROUGH
    for _ in range(_MOST_STEPS):
        power = _node_power(problem, injection)
        voltage = _flow(view, power, injection[-1], voltage, accuracy)
        try:
            pull = _pull(view, problem, voltage, power, multiplier, accuracy)
        except SolverError:
            gap[:] = np.inf
            break
        away = mean + _times_knowledge(problem, variance, pull) - injection
        short = value - _seen(view, problem, voltage, power) - spread * multiplier
        step = np.einsum("tij,jt->it", gain, short - rows @ away)
        change = away + _times_knowledge(problem, variance, rows.T @ step)
        multiplier = multiplier + step
        injection = injection + change
        gap = np.abs(change).max(axis=0)
        if gap.max(initial=0.0) < _ACCURACY_PU or not np.isfinite(gap).all():
            break
        # What is still far from the optimum need not be known well.
        accuracy = max(_FINE, min(_ROUGH, 1e-4 * float(gap.max(initial=0.0))))
    solved = np.asarray(gap < 10 * _ACCURACY_PU)
    power = _node_power(problem, injection)
    voltage = _flow(view, power, injection[-1], voltage)
    for found in (voltage, power, injection, multiplier):
        found[:, ~solved] = np.nan
    return Solution(injection.T, voltage, power, multiplier.T, gain, typical, solved)


def _seen(view: View, problem: Problem, voltage: Complex, power: Complex) -> Float:
    """Return what the measurements would be in a state, (measurement, interval)."""
    nodes, held = problem.vm_node, view.op.held
    seen = np.empty((len(nodes) + 2, voltage.shape[1]))
    seen[: len(nodes)] = np.abs(voltage[nodes])
    head = voltage[held[0]] * (view.head_row @ voltage).conj() - power[held].sum(axis=0)
    seen[-2], seen[-1] = head.real, head.imag
    return seen


def _pull(
    view: View,
    problem: Problem,
    voltage: Complex,
    power: Complex,
    multiplier: Float,
    accuracy: float,
) -> Float:
    """Return ``H(x)^T multiplier``, (unknown, interval)."""
    weight: dict[int, Float] = {}
    for row, node in enumerate(problem.vm_node.tolist()):
        weight[node] = weight.get(node, 0.0) + multiplier[row]
    injection, source = gradient(
        view, voltage, power, weight, multiplier[-2] + 1j * multiplier[-1], accuracy
    )
    at_points = injection[problem.node]
    return np.concatenate([at_points.real, at_points.imag, source[None]])
