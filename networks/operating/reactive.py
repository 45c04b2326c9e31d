"""Reactive power of inverters: cos phi(P), Q(U), and the state in which they settle.

cos phi(P) follows the inverter's own power. Q(U) follows the voltage that it moves, so that it and
the power flow are a fixed point. All intervals are solved at once. Each round finds where the
inverters would settle if voltages answered in a straight line, one inverter after the other: the
descent of a convex function by its coordinates, as no characteristic rises and reactance is
positive, so that it cannot swing. The power flow then says what the voltages are, and an interval
whose gap does not shrink is damped. Nothing is drawn or timed: the result is the same each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from grid.errors import BadInputError, Finding, Severity
from grid.interval import label
from networks.flow.operator import operator
from networks.injection import check_inputs
from networks.model import Bool, Float, Int, NetworkModel
from networks.operating.characteristics import CosPhiOfP, Inverter, QOfU
from networks.operating.state import Injections
from networks.operating.strain import node_voltages

TOLERANCE = 1e-7
"""Of the rated apparent power: how near to its characteristic an inverter settles."""
MAX_ITERATIONS = 100
_SHRINKS = 0.9
_LEAST_STEP = 1.0 / 64.0
_SWEEPS = 200


@dataclass(frozen=True, eq=False)
class Settled:
    """The state in which inverters settle.

    Attributes
    ----------
    injections : Injections
        With the inverters' reactive power, for :func:`networks.operating.state.solved`.
    injected_kvar, absorbed_kvar : float64 (interval, inverter)
    residual_kvar : float64 (interval,)
        Largest distance of an inverter from its characteristic.
    converged : bool (interval,)
    iterations : int64 (interval,)
    findings : tuple of Finding
        ``network.reactive_unsettled``, one for all intervals that did not settle.
    """

    injections: Injections
    injected_kvar: Float
    absorbed_kvar: Float
    residual_kvar: Float
    converged: Bool
    iterations: Int
    findings: tuple[Finding, ...]


def settle(
    model: NetworkModel,
    drawn: Injections,
    inverters: Sequence[Inverter],
    power_kw: Float,
    *,
    most_iterations: int = MAX_ITERATIONS,
) -> Settled:
    """Return the state in which inverters settle.

    Active power goes before reactive: what the rated apparent power leaves is the most.

    Parameters
    ----------
    drawn : Injections
        Everything but the reactive power of the inverters; their active power is in it.
    power_kw : float64 (interval, inverter)
        The active power that each injects, 0 or more.

    Raises
    ------
    BadInputError
        Naming the inverter whose bus is unknown or dead, or whose power is not finite, below 0 or
        above its rated apparent power.
    SolverError
        When a power flow has no solution.
    """
    power_kw = _checked(model, drawn, inverters, power_kw)
    rated = np.array([one.rated_kva for one in inverters])
    most = np.sqrt(np.maximum(rated**2 - power_kw**2, 0.0))
    moves = _moves(model, inverters)
    count = len(power_kw)
    given, gap = np.zeros_like(power_kw), np.zeros_like(power_kw)
    length, last, residual = np.ones(count), np.full(count, np.inf), np.zeros(count)
    iterations = np.zeros(count, dtype=np.int64)
    active = np.arange(count)
    for number in range(1, most_iterations + 1):
        vm_pu = _voltages(model, _with(model, drawn, inverters, given, active), inverters)
        wanted = _wanted(inverters, vm_pu, power_kw[active])
        gap[active] = np.clip(wanted, -most[active], most[active]) - given[active]
        residual[active] = np.abs(gap[active] / rated).max(axis=1, initial=0.0)
        iterations[active] = number
        slow = active[residual[active] > _SHRINKS * last[active]]
        length[slow] = np.maximum(length[slow] / 2.0, _LEAST_STEP)
        last[active] = residual[active]
        left = residual[active] > TOLERANCE
        active, vm_pu, wanted = active[left], vm_pu[left], wanted[left]
        if not active.size:
            break
        aim = _aim(inverters, given[active], vm_pu, wanted, most[active], moves)
        given[active] += length[active, None] * (aim - given[active])
    converged = residual <= TOLERANCE
    return Settled(
        injections=_with(model, drawn, inverters, given, np.arange(count)),
        injected_kvar=np.maximum(given, 0.0),
        absorbed_kvar=np.maximum(-given, 0.0),
        residual_kvar=np.abs(gap).max(axis=1, initial=0.0),
        converged=converged,
        iterations=iterations,
        findings=_unsettled(model, drawn, inverters, gap, converged),
    )


def _moves(model: NetworkModel, inverters: Sequence[Inverter]) -> Float:
    """Return how a voltage moves per kvar of an inverter, (inverter, inverter), without load."""
    op = operator(model)
    row = np.full(len(model.node_kv), -1, dtype=np.int64)
    row[op.others] = np.arange(len(op.others))
    at = row[model.node[[model.position(one.bus) for one in inverters]]]
    there = np.flatnonzero(at >= 0)
    unit = np.zeros((len(op.others), len(there)), dtype=np.complex128)
    # A kvar is the current conj(j q / v).
    unit[at[there], np.arange(len(there))] = -1j / op.idle[at[there]].conj()
    change = op.solve(unit * (1e-3 / model.base_mva))[at[there]]
    idle = op.idle[at[there]]
    moves = np.zeros((len(inverters), len(inverters)))
    moves[np.ix_(there, there)] = (idle.conj()[:, None] * change).real / np.abs(idle)[:, None]
    return moves


def _aim(
    inverters: Sequence[Inverter],
    given: Float,
    vm_pu: Float,
    wanted: Float,
    most: Float,
    moves: Float,
) -> Float:
    """Return where the inverters would settle if voltages answered in a straight line."""
    aim = given.copy()
    for column, one in enumerate(inverters):
        if isinstance(one.curve, CosPhiOfP):
            aim[:, column] = np.clip(wanted[:, column], -most[:, column], most[:, column])
    rated = np.array([one.rated_kva for one in inverters])
    for _ in range(_SWEEPS):
        before = aim.copy()
        for column, one in enumerate(inverters):
            if isinstance(one.curve, CosPhiOfP):
                continue
            own = moves[column, column]
            without = vm_pu[:, column] + (aim - given) @ moves[column] - own * aim[:, column]
            at, values = np.array(one.curve.points).T
            kvar = values * one.rated_kva
            # On the characteristic, v - own q rises: the voltage without its own part tells q.
            found = np.interp(without, at - own * kvar, kvar)
            aim[:, column] = np.clip(found, -most[:, column], most[:, column])
        if np.abs((aim - before) / rated).max(initial=0.0) < 0.1 * TOLERANCE:
            break
    return aim


def _checked(
    model: NetworkModel, drawn: Injections, inverters: Sequence[Inverter], power_kw: Float
) -> Float:
    check_inputs(model, *drawn.inputs, drawn.starts)
    power_kw = np.asarray(power_kw, dtype=np.float64)
    shape = (len(drawn.starts), len(inverters))
    if power_kw.shape != shape:
        raise BadInputError(f"power_kw has shape {power_kw.shape}, must be {shape}")
    for column, one in enumerate(inverters):
        at = model.position(one.bus)
        if model.node[at] < 0:
            raise BadInputError(f"{model.bus_label(at)}: an inverter here is cut off")
        values = power_kw[:, column]
        wrong = np.flatnonzero(~((values >= 0.0) & (values <= one.rated_kva * (1 + 1e-9))))
        if wrong.size:
            when = label(int(drawn.starts[wrong[0]].astype(np.int64)))
            raise BadInputError(
                f"inverter at {model.bus_label(at)} {when}: power_kw is {values[wrong[0]]}, must "
                f"be within 0 to {one.rated_kva:g}"
            )
    return power_kw


def _with(
    model: NetworkModel,
    drawn: Injections,
    inverters: Sequence[Inverter],
    given: Float,
    steps: Int,
) -> Injections:
    """Return some intervals of the injections with the inverters' reactive power added."""
    absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = (
        values[steps] for values in drawn.inputs
    )
    absorbed_kvar, injected_kvar = absorbed_kvar.copy(), injected_kvar.copy()
    for column, one in enumerate(inverters):
        at = model.position(one.bus)
        injected_kvar[:, at] += np.maximum(given[steps, column], 0.0)
        absorbed_kvar[:, at] += np.maximum(-given[steps, column], 0.0)
    inputs = (absorbed_kw, injected_kw, absorbed_kvar, injected_kvar)
    return replace(drawn, inputs=inputs, starts=drawn.starts[steps])


def _voltages(model: NetworkModel, drawn: Injections, inverters: Sequence[Inverter]) -> Float:
    nodes = model.node[[model.position(one.bus) for one in inverters]]
    vm_pu: Float = np.abs(node_voltages(model, drawn)[nodes]).T
    return vm_pu


def _wanted(inverters: Sequence[Inverter], vm_pu: Float, power_kw: Float) -> Float:
    """Return what the characteristics ask for in kvar into the network, (interval, inverter)."""
    wanted = np.empty_like(power_kw)
    for column, one in enumerate(inverters):
        at, values = np.array(one.curve.points).T
        if isinstance(one.curve, QOfU):
            wanted[:, column] = np.interp(vm_pu[:, column], at, values) * one.rated_kva
        else:
            active = power_kw[:, column]
            cos_phi = np.interp(active / one.rated_kw, at, values)
            wanted[:, column] = -active * np.tan(np.arccos(cos_phi))
    return wanted


def _unsettled(
    model: NetworkModel,
    drawn: Injections,
    inverters: Sequence[Inverter],
    gap: Float,
    converged: Bool,
) -> tuple[Finding, ...]:
    left = np.flatnonzero(~converged)
    if not left.size:
        return ()
    step, column = np.unravel_index(int(np.abs(gap[left]).argmax()), gap[left].shape)
    subject = f"inverter at {model.bus_label(model.position(inverters[int(column)].bus))}"
    at = label(int(drawn.starts[left[step]].astype(np.int64)))
    text = (
        f"{subject} {at}: is {abs(gap[left][step, column]):.3f} kvar from its characteristic "
        f"({len(left)} of {len(converged)} intervals do not settle)"
    )
    return (Finding("network.reactive_unsettled", subject, at, Severity.WARNING, text),)
