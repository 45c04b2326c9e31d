"""The two iterations of an estimate in compiled code, a block of intervals at a time.

They are those of :mod:`networks.estimation.solve` and :mod:`networks.estimation.linear`; long
batches spend most of their time in them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from networks.flow.factor import Factor
from networks.flow.kernel import WIDTH, compiled, new_block, substitute
from networks.model import Complex, Float


@compiled
def _load(values: Any, order: Any, first: int, width: int, real: Any, imag: Any) -> None:
    for i in range(len(order)):
        for w in range(real.shape[1]):
            # What is beyond the end repeats the last interval.
            value = values[order[i], first + min(w, width - 1)]
            real[i, w] = value.real
            imag[i, w] = value.imag


@compiled
def _store(values: Any, order: Any, first: int, width: int, real: Any, imag: Any) -> None:
    for i in range(len(order)):
        for w in range(width):
            values[order[i], first + w] = complex(real[i, w], imag[i, w])


@compiled
def _flow(
    factors: Any, order: Any, unit: Any, source: Any, power: Any, voltage: Any, limits: Any
) -> None:
    """Iterate ``v = Z conj(s / v) + unit source`` in place."""
    rows, count = power.shape
    pr, pi, vr, vi, xr, xi, change = new_block(rows, WIDTH)
    least, most = limits
    for first in range(0, count, WIDTH):
        width = min(WIDTH, count - first)
        _load(power, order, first, width, pr, pi)
        _load(voltage, order, first, width, vr, vi)
        for _ in range(int(most)):
            for i in range(rows):
                for w in range(WIDTH):
                    size = 1.0 / (vr[i, w] * vr[i, w] + vi[i, w] * vi[i, w])
                    xr[i, w] = (pr[i, w] * vr[i, w] + pi[i, w] * vi[i, w]) * size
                    xi[i, w] = (pr[i, w] * vi[i, w] - pi[i, w] * vr[i, w]) * size
            substitute(factors, xr, xi)
            change[:] = 0.0
            for i in range(rows):
                a, b = unit[order[i]].real, unit[order[i]].imag
                for w in range(WIDTH):
                    held = source[first + min(w, width - 1)]
                    real, imag = xr[i, w] + a * held, xi[i, w] + b * held
                    gap = (real - vr[i, w]) ** 2 + (imag - vi[i, w]) ** 2
                    change[w] = max(change[w], gap)
                    vr[i, w] = real
                    vi[i, w] = imag
            if not change.max() >= least * least:
                break
        _store(voltage, order, first, width, vr, vi)


@compiled
def _adjoint(
    factors: Any, order: Any, pull: Any, weight: Any, turned: Any, answer: Any, limits: Any
) -> bool:
    """Iterate ``t = conj(c) - conj(pull Z^T t)``; leave `t` and ``Z^T t``. False when it strays."""
    rows, count = pull.shape
    ar, ai, tr, ti, xr, xi, change = new_block(rows, WIDTH)
    cr, ci = np.zeros((rows, WIDTH)), np.zeros((rows, WIDTH))
    least, most = limits
    for first in range(0, count, WIDTH):
        width = min(WIDTH, count - first)
        _load(pull, order, first, width, ar, ai)
        _load(weight, order, first, width, cr, ci)
        tr[:] = cr
        ti[:] = -ci
        settled = False
        for _ in range(int(most)):
            xr[:] = tr
            xi[:] = ti
            substitute(factors, xr, xi)
            change[:] = 0.0
            for i in range(rows):
                for w in range(WIDTH):
                    real = cr[i, w] - (ar[i, w] * xr[i, w] - ai[i, w] * xi[i, w])
                    imag = -ci[i, w] + (ar[i, w] * xi[i, w] + ai[i, w] * xr[i, w])
                    gap = (real - tr[i, w]) ** 2 + (imag - ti[i, w]) ** 2
                    change[w] = max(change[w], gap)
                    tr[i, w] = real
                    ti[i, w] = imag
            settled = change.max() <= least * least
            if settled:
                break
        if not settled:
            return False
        xr[:] = tr
        xi[:] = ti
        substitute(factors, xr, xi)
        _store(turned, order, first, width, tr, ti)
        _store(answer, order, first, width, xr, xi)
    return True


def flow(
    factor: Factor, unit: Complex, source: Float, power: Complex, start: Complex,
    accuracy_pu: float, most: int,
) -> Complex:  # fmt: skip
    """Return the voltages of the nodes that are not held, complex (other, interval).

    Parameters
    ----------
    unit : complex128 (other,)
        Voltages without injections while the source holds 1 pu.
    source : float64 (interval,)
    power, start : complex128 (other, interval)
        Per unit.
    """
    voltage = start.copy()
    limits = (accuracy_pu, most)
    _flow(factor.arrays, factor.order, unit, source, power, voltage, limits)
    return voltage


def adjoint(
    factor: Factor, pull: Complex, weight: Complex, least: float, most: int
) -> tuple[Complex, Complex] | None:
    """Return ``conj(y)`` and ``Z^T conj(y)`` of ``y = c - a Z^T conj(y)``, or None if it strays.

    Parameters
    ----------
    factor : Factor
        Of the transposed admittances.
    pull, weight : complex128 (other, interval)
        `a` and `c`.
    """
    turned, answer = np.empty_like(pull), np.empty_like(pull)
    limits = (least, most)
    if not _adjoint(factor.arrays, factor.order, pull, weight, turned, answer, limits):
        return None
    return turned, answer
