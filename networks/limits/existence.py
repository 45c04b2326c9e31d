"""Whether a state of the network exists and is the only one near.

With the voltages of the sources held, the other nodes obey ``v = w + Z conj(s / v)``. Around
given voltages `u`, for any positive weights `h`, the right side is a contraction of the set
``|v_j - u_j| <= r h_j`` where ``max_i sum_j |Z_ij| |s_j| h_j / (|u_j| - r h_j)^2 / h_i < 1``, and
maps the set into itself where ``max_i (|d_i| + r sum_j |Z_ij| |s_j| h_j / ((|u_j| - r h_j)
|u_j|)) / h_i <= r``, `d` being how far it moves `u`. Then exactly one solution is in the set.

This is the condition of Wang, Bernstein, Le Boudec and Paolone (IEEE Trans. Smart Grid 9(2),
2018, doi:10.1109/TSG.2016.2572060) with the solution itself as the known one, which is far less
strict than the condition around the idle network of Bolognani and Zampieri (IEEE Trans. Power
Syst. 31(1), 2016, doi:10.1109/TPWRS.2015.2395452) that it comes from. On one line it holds at
the high-voltage solution and at no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from networks.equipment import Complex, Float, Int

WEIGHT_LEAST = 0.2
POWER_STEPS = 20
HALVINGS = 40
RESIDUAL_PU = 1e-8
"""A state is solved when no node's power is further off than this share of the base."""

_MOST = 200
_NEWTON_STEPS = 40


@dataclass(frozen=True, eq=False)
class Reduced:
    """A network seen from its sources, with the whole impedance matrix.

    Attributes
    ----------
    ybus : scipy.sparse.csr_array, complex128 (node, node)
    held, others : int64
        Nodes whose voltage is held, and the other ones.
    held_pu : complex128 (source,)
    impedance : complex128 (other, other)
    idle : complex128 (other,)
        Voltages without injections.
    """

    ybus: Any
    held: Int
    others: Int
    held_pu: Complex
    impedance: Complex
    idle: Complex


def reduced(ybus: Any, held: Int, held_pu: Complex) -> Reduced:
    """Return a network without the nodes whose voltage is held."""
    from scipy.sparse.linalg import splu

    others = np.delete(np.arange(ybus.shape[0], dtype=np.int64), held)
    rows = ybus[others]
    impedance = np.zeros((0, 0), dtype=np.complex128)
    if len(others):
        identity = np.eye(len(others), dtype=np.complex128)
        impedance = np.asarray(splu(rows[:, others].tocsc()).solve(identity), np.complex128)
    towards = np.asarray(rows[:, held] @ held_pu, dtype=np.complex128)
    return Reduced(ybus, held, others, held_pu, impedance, -(impedance @ towards))


def solve(net: Reduced, power: Complex) -> tuple[Complex, Float]:
    """Return node voltages to the last digits, and the largest mismatch of each interval.

    The mismatch is fed back until it does not fall any more; where that diverges, the method of
    Newton and Raphson is tried.

    Parameters
    ----------
    power : complex128 (node, interval)
        Into the network, per unit.

    Returns
    -------
    voltage : complex128 (node, interval)
    residual : float64 (interval,)
        Per unit; not finite where nothing was found.
    """
    voltage = np.empty(power.shape, dtype=np.complex128)
    voltage[net.held] = net.held_pu[:, None]
    voltage[net.others] = net.idle[:, None]
    best = mismatch(net, voltage, power)
    found = voltage.copy()
    with np.errstate(all="ignore"):
        for _ in range(_MOST):
            current = (power / voltage).conj()[net.others] - (net.ybus @ voltage)[net.others]
            voltage[net.others] += net.impedance @ current
            now = mismatch(net, voltage, power)
            better = now < best
            found[:, better], best = voltage[:, better], np.where(better, now, best)
            if not better.any() and (best < RESIDUAL_PU).all():
                break
        for column in np.flatnonzero(~(best < RESIDUAL_PU)):
            tried = _newton(net, power[:, column])
            if mismatch(net, tried[:, None], power[:, [column]])[0] < best[column]:
                found[:, column] = tried
    return found, mismatch(net, found, power)


def mismatch(net: Reduced, voltage: Complex, power: Complex) -> Float:
    """Return the largest difference of power and voltages at a node, per unit (interval,)."""
    entering = voltage * np.asarray(net.ybus @ voltage).conj()
    off: Float = np.abs(entering - power)[net.others].max(axis=0, initial=0.0)
    return off


def _newton(net: Reduced, power: Complex) -> Complex:
    """Return node voltages of one interval by Newton and Raphson's method, as far as it comes."""
    inner = net.ybus.toarray()[np.ix_(net.others, net.others)].conj()
    voltage = np.empty(len(power), dtype=np.complex128)
    voltage[net.held], voltage[net.others] = net.held_pu, net.idle
    for _ in range(_NEWTON_STEPS):
        current = np.asarray(net.ybus @ voltage)[net.others].conj()
        v = voltage[net.others]
        off = power[net.others] - v * current
        # d(v conj(Y v)) = diag(conj(Y v)) dv + diag(v) conj(Y) conj(dv)
        straight, turned = np.diag(current), v[:, None] * inner
        matrix = np.block(
            [
                [(straight + turned).real, -(straight - turned).imag],
                [(straight + turned).imag, (straight - turned).real],
            ]
        )
        try:
            step = np.linalg.solve(matrix, np.concatenate([off.real, off.imag]))
        except np.linalg.LinAlgError:
            return np.full(len(power), np.nan + 0j)
        voltage[net.others] += step[: len(v)] + 1j * step[len(v) :]
        if not np.isfinite(voltage).all() or np.abs(step).max() < 1e-14:
            break
    return voltage


def existence(net: Reduced, voltage: Complex, power: Complex) -> tuple[Float, Float]:
    """Return how surely the given voltages are a state of the network, and the only one near.

    Parameters
    ----------
    voltage, power : complex128 (node, interval)

    Returns
    -------
    margin : float64 (interval,)
        1 less the contraction factor at the given voltages, in the norm whose weights come near
        to the best ones; not above 0 where the condition is not met.
    unique_within_pu : float64 (interval,)
        No other state has all its voltages this near; 0 where the condition is not met.
    """
    if not len(net.others):
        return np.ones(power.shape[1]), np.zeros(power.shape[1])
    given, v = voltage[net.others], np.abs(voltage[net.others])
    load, size = np.abs(power[net.others]), np.abs(net.impedance)
    moved = np.abs(given - net.idle[:, None] - net.impedance @ (power[net.others] / given).conj())
    weight = np.ones(v.shape)
    for _ in range(POWER_STEPS):
        weight = size @ (load / v**2 * weight)
        most = weight.max(axis=0)
        weight = np.where(most > 0.0, weight / np.where(most > 0.0, most, 1.0), 1.0)
        np.maximum(weight, WEIGHT_LEAST, out=weight)
    reach = (v / weight).min(axis=0) * (1.0 - 1e-9)
    pull = load * weight

    def within(radius: Float) -> Float:
        """Return the contraction factor of each interval within a radius."""
        by_node = size @ (pull / (v - radius * weight) ** 2)
        factor: Float = (by_node / weight).max(axis=0)
        return factor

    margin = 1.0 - within(np.zeros(v.shape[1]))
    radius, beyond = np.zeros(v.shape[1]), reach
    for _ in range(HALVINGS):
        tried = (radius + beyond) / 2.0
        holds = within(tried) < 1.0
        radius, beyond = np.where(holds, tried, radius), np.where(holds, beyond, tried)
    into = moved + radius * (size @ (pull / ((v - radius * weight) * v)))
    met = (margin > 0.0) & (radius > 0.0) & ((into / weight).max(axis=0) <= radius)
    alone = radius * weight.min(axis=0)
    return np.where(met, margin, np.minimum(margin, 0.0)), np.where(met, alone, 0.0)
