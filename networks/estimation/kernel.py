"""What an estimate spends its time in, compiled: its power flows and its many small inverses."""

from __future__ import annotations

from typing import Any

import numpy as np

from networks.flow.kernel import (
    WIDTH,
    compiled,
    load_block,
    new_block,
    store_block,
    substitute,
)
from networks.flow.operator import Operator
from networks.model import Complex, Float


@compiled
def _flow(
    factors: Any, order: Any, unit: Any, source: Any, power: Any, voltage: Any, limits: Any
) -> None:
    """Iterate ``v = Z conj(s / v) + unit source`` in place."""
    rows, count = len(order), power.shape[1]
    pr, pi, vr, vi, xr, xi, change = new_block(rows, WIDTH)
    held = np.empty(WIDTH)
    least, most = limits
    for first in range(0, count, WIDTH):
        width = min(WIDTH, count - first)
        load_block(power, order, first, width, pr, pi)
        load_block(voltage, order, first, width, vr, vi)
        held[:] = source[first + width - 1]
        held[:width] = source[first : first + width]
        for _ in range(int(most)):
            for i in range(rows):
                for w in range(WIDTH):
                    size = 1.0 / (vr[i, w] * vr[i, w] + vi[i, w] * vi[i, w])
                    xr[i, w] = (pr[i, w] * vr[i, w] + pi[i, w] * vi[i, w]) * size
                    xi[i, w] = (pr[i, w] * vi[i, w] - pi[i, w] * vr[i, w]) * size
            substitute(factors, xr, xi)
            change[:] = 0.0
            for i in range(rows):
                a, b = unit[i].real, unit[i].imag
                for w in range(WIDTH):
                    real, imag = xr[i, w] + a * held[w], xi[i, w] + b * held[w]
                    gap = (real - vr[i, w]) ** 2 + (imag - vi[i, w]) ** 2
                    change[w] = max(change[w], gap)
                    vr[i, w] = real
                    vi[i, w] = imag
            if not change.max() >= least * least:
                break
        store_block(voltage, order, first, width, vr, vi)


def flow(
    op: Operator, unit: Complex, source: Float, power: Complex, voltage: Complex,
    limits: tuple[float, int],
) -> None:  # fmt: skip
    """Find the voltages of the nodes that are not held, in place.

    Parameters
    ----------
    unit : complex128 (other,)
        Voltages without injections while the source holds 1 pu.
    source : float64 (interval,)
    power, voltage : complex128 (node, interval)
        Per unit; voltages to start from.
    limits : (float, int)
        Change per unit at which to stop, and the most iterations.
    """
    order = op.factor.order
    at = op.others[order]
    _flow(op.factor.arrays, at, unit[order], source, power, voltage, limits)


@compiled
def invert(matrices: Any) -> None:
    """Invert positive definite matrices (interval, row, row) in place, by Gauss and Jordan."""
    count, rows, _ = matrices.shape
    for t in range(count):
        m = matrices[t]
        for k in range(rows):
            pivot = 1.0 / m[k, k]
            m[k, k] = 1.0
            for j in range(rows):
                m[k, j] *= pivot
            for i in range(rows):
                if i != k:
                    share = m[i, k]
                    m[i, k] = 0.0
                    for j in range(rows):
                        m[i, j] -= share * m[k, j]
