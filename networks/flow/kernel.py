"""The power flow in compiled code: a block of intervals at a time, with time as the inner axis.

Real and imaginary parts are apart and a block stays in the processor's cache, so that each
entry of the factors is one vector instruction over the block's intervals. Blocks do not see
each other: cores take ranges of intervals, and the result is the same for any number of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numba import njit

from networks.model import Bool, Complex

if TYPE_CHECKING:
    from networks.flow.operator import Operator

WIDTH = 32
"""Intervals of a block: a hundred nodes of them fit a core's second cache."""

T = TypeVar("T")
compiled: Callable[..., Any] = njit(cache=True, nogil=True)
"""No `fastmath`: with fused products the last bits follow how a function happened to be compiled,
afresh or from the cache, for contiguous arrays or for slices, and equal work differs."""


@compiled
def substitute(factors: Any, xr: Any, xi: Any) -> None:
    """Solve ``L U x = x`` in place, x (row, interval)."""
    l_start, l_column, lower, u_start, u_column, upper, pivot = factors
    width = xr.shape[1]
    for i in range(len(pivot)):
        for k in range(l_start[i], l_start[i + 1]):
            j, a, b = l_column[k], lower[k].real, lower[k].imag
            for w in range(width):
                xr[i, w] -= a * xr[j, w] - b * xi[j, w]
                xi[i, w] -= a * xi[j, w] + b * xr[j, w]
    for i in range(len(pivot) - 1, -1, -1):
        for k in range(u_start[i], u_start[i + 1]):
            j, a, b = u_column[k], upper[k].real, upper[k].imag
            for w in range(width):
                xr[i, w] -= a * xr[j, w] - b * xi[j, w]
                xi[i, w] -= a * xi[j, w] + b * xr[j, w]
        a, b = pivot[i].real, pivot[i].imag
        for w in range(width):
            real = a * xr[i, w] - b * xi[i, w]
            xi[i, w] = a * xi[i, w] + b * xr[i, w]
            xr[i, w] = real


@compiled
def iterate_block(factors: Any, idle: Any, block: Any, limits: Any, converged: Any) -> int:
    """Solve one block; `block` is (pr, pi, vr, vi, xr, xi, change), rows in the factors' order.

    Rows beyond those of the factors are left alone. Voltages are left in `vr` and `vi`.
    Returns the iterations.
    """
    pr, pi, vr, vi, xr, xi, change = block
    tolerance, most = limits
    rows, width = len(idle), pr.shape[1]
    for i in range(rows):
        for w in range(width):
            vr[i, w] = idle[i].real
            vi[i, w] = idle[i].imag
    taken = 0
    for _ in range(int(most)):
        taken += 1
        for i in range(rows):
            for w in range(width):
                size = 1.0 / (vr[i, w] * vr[i, w] + vi[i, w] * vi[i, w])
                xr[i, w] = (pr[i, w] * vr[i, w] + pi[i, w] * vi[i, w]) * size
                xi[i, w] = (pr[i, w] * vi[i, w] - pi[i, w] * vr[i, w]) * size
        substitute(factors, xr, xi)
        change[:] = 0.0
        for i in range(rows):
            a, b = idle[i].real, idle[i].imag
            for w in range(width):
                real, imag = xr[i, w] + a, xi[i, w] + b
                gap = (real - vr[i, w]) ** 2 + (imag - vi[i, w]) ** 2
                change[w] = max(change[w], gap)
                vr[i, w] = real
                vi[i, w] = imag
        if change.max() < tolerance * tolerance:
            break
    for w in range(width):
        sound = change[w] < tolerance * tolerance
        for i in range(rows):
            sound = sound and np.isfinite(vr[i, w]) and np.isfinite(vi[i, w])
        converged[w] = sound
    return taken


@compiled
def new_block(rows: int, width: int) -> Any:
    """Return the arrays of a block."""
    shape = (rows, width)
    return (
        np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape),
        np.zeros(shape), np.zeros(shape), np.zeros(width),
    )  # fmt: skip


@compiled
def load_block(values: Any, order: Any, first: int, width: int, real: Any, imag: Any) -> None:
    """Read a block of complex (row, interval), rows in the factors' order."""
    for i in range(len(order)):
        row = order[i]
        for w in range(width):
            value = values[row, first + w]
            real[i, w] = value.real
            imag[i, w] = value.imag
        # What is beyond the end repeats the last interval.
        for w in range(width, real.shape[1]):
            real[i, w] = real[i, width - 1]
            imag[i, w] = imag[i, width - 1]


@compiled
def store_block(values: Any, order: Any, first: int, width: int, real: Any, imag: Any) -> None:
    """Write what :func:`load_block` reads."""
    for i in range(len(order)):
        row = order[i]
        for w in range(width):
            values[row, first + w] = complex(real[i, w], imag[i, w])


@compiled
def _range(
    factors: Any, order: Any, idle: Any, power: Any, out: Any, converged: Any, limits: Any
) -> int:
    rows, count = power.shape
    block = new_block(rows, WIDTH)
    sound = np.zeros(WIDTH, np.bool_)
    most = 0
    for first in range(0, count, WIDTH):
        width = min(WIDTH, count - first)
        load_block(power, order, first, width, block[0], block[1])
        most = max(most, iterate_block(factors, idle, block, limits, sound))
        for w in range(width):
            converged[first + w] = sound[w]
        store_block(out, order, first, width, block[2], block[3])
    return most


@compiled
def _adjoint(factors: Any, order: Any, given: Any, turned: Any, slope: Any, limits: Any) -> bool:
    """Iterate ``t = conj(c) - s / v^2 conj(Z^T t)``; False when it does not settle."""
    voltage, power, weight = given
    rows, count = len(order), power.shape[1]
    ar, ai, tr, ti, xr, xi, change = new_block(rows, WIDTH)
    vr, vi, cr, ci, _, _, size = new_block(rows, WIDTH)
    least, most = limits
    for first in range(0, count, WIDTH):
        width = min(WIDTH, count - first)
        load_block(voltage, order, first, width, vr, vi)
        load_block(power, order, first, width, ar, ai)
        load_block(weight, order, first, width, cr, ci)
        for i in range(rows):
            for w in range(WIDTH):
                size[w] = 1.0 / (vr[i, w] * vr[i, w] + vi[i, w] * vi[i, w])
                vr[i, w] *= size[w]
                vi[i, w] *= size[w]
                real = vr[i, w] * vr[i, w] - vi[i, w] * vi[i, w]
                imag = -2.0 * vr[i, w] * vi[i, w]
                pull = ar[i, w] * real - ai[i, w] * imag
                ai[i, w] = ar[i, w] * imag + ai[i, w] * real
                ar[i, w] = pull
                tr[i, w] = cr[i, w]
                ti[i, w] = -ci[i, w]
        settled = False
        for _ in range(int(most)):
            xr[:] = tr
            xi[:] = ti
            substitute(factors, xr, xi)
            change[:] = 0.0
            for i in range(rows):
                for w in range(WIDTH):
                    real = cr[i, w] - (ar[i, w] * xr[i, w] + ai[i, w] * xi[i, w])
                    imag = -ci[i, w] - (ai[i, w] * xr[i, w] - ar[i, w] * xi[i, w])
                    gap = (real - tr[i, w]) ** 2 + (imag - ti[i, w]) ** 2
                    change[w] = max(change[w], gap)
                    tr[i, w] = real
                    ti[i, w] = imag
            settled = change.max() <= least * least
            if settled:
                break
        if not settled:
            return False
        for i in range(rows):
            for w in range(WIDTH):
                real = xr[i, w] * vr[i, w] - xi[i, w] * vi[i, w]
                xi[i, w] = xr[i, w] * vi[i, w] + xi[i, w] * vr[i, w]
                xr[i, w] = real
        store_block(turned, order, first, width, tr, ti)
        store_block(slope, order, first, width, xr, xi)
    return True


def adjoint(
    op: Operator, voltage: Complex, power: Complex, weight: Complex, least: float, most: int
) -> tuple[Complex, Complex] | None:
    """Return what :func:`networks.flow.adjoint.adjoint` does, or None when it does not settle."""
    factor = op.transposed_factor
    turned, slope = np.zeros_like(power), np.zeros_like(power)
    given, limits = (voltage, power, weight), (least, most)
    at = op.others[factor.order]
    return (turned, slope) if _adjoint(factor.arrays, at, given, turned, slope, limits) else None


def arguments(op: Operator) -> tuple[Any, ...]:
    """Return (factors, order, idle voltages in that order, limits) of an operator."""
    from networks.flow.operator import MAX_ITERATIONS, TOLERANCE_PU

    one = op.factor
    return one.arrays, one.order, op.idle[one.order], (TOLERANCE_PU, MAX_ITERATIONS)


def spread(count: int, work: Callable[[int, int], T], *, cores: int | None = None) -> list[T]:
    """Return `work` of ranges of intervals, one range to a core, in order.

    Parameters
    ----------
    cores : int, optional
        At most so many; all that this process may use when not given.
    """
    allowed = len(os.sched_getaffinity(0)) if cores is None else cores
    cores = max(1, min(allowed, count // (4 * WIDTH)))
    edge = [count * number // cores // WIDTH * WIDTH for number in range(cores)] + [count]
    if cores == 1:
        return [work(0, count)]
    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(work, edge[:-1], edge[1:]))


def voltages(op: Operator, power: Complex) -> tuple[Complex, int, Bool]:
    """Return what :func:`networks.flow.operator.iterate` does, of the nodes that are not held.

    Parameters
    ----------
    power : complex128 (other, interval)
    """
    factors, order, idle, limits = arguments(op)
    out = np.empty(power.shape, dtype=np.complex128)
    converged = np.zeros(power.shape[1], dtype=np.bool_)

    def work(first: int, last: int) -> int:
        part = slice(first, last)
        taken: int = _range(
            factors, order, idle, power[:, part], out[:, part], converged[part], limits
        )
        return taken

    return out, max(spread(power.shape[1], work)), converged
