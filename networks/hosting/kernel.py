"""Which limit an addition breaks first, in compiled code: no state is ever kept whole.

A *column* is one interval with one addition of one size. Columns are read, solved and judged
a block at a time while the block is in the processor's cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from networks.flow.kernel import WIDTH, compiled, iterate_block, new_block, spread
from networks.hosting.frame import Frame
from networks.hosting.intervals import Additions, Intervals
from networks.model import Bool, Float, Int

NO_SOLUTION = -1
"""What is broken where the power flow has no solution."""


@compiled
def _fill(base: Any, profile: Any, added: Any, columns: Any, first: int, width: int, block: Any
          ) -> None:  # fmt: skip
    start, row, value = added
    step, which, size = columns
    pr, pi = block[0], block[1]
    for w in range(pr.shape[1]):
        # What is beyond the end repeats the last column.
        column = first + min(w, width - 1)
        t, c = step[column], which[column]
        for i in range(base.shape[0]):
            pr[i, w] = base[i, t].real
            pi[i, w] = base[i, t].imag
        scale = size[column] * profile[t]
        for k in range(start[c], start[c + 1]):
            pr[row[k], w] += value[k].real * scale
            pi[row[k], w] += value[k].imag * scale


@compiled
def _judge(block: Any, bounds: Any, rows: Any, at: Any, most: Any, whose: Any) -> None:
    """Note the largest excess of each column and whose it is: nodes high, nodes low, branches.

    `bounds` are inverses of the squares allowed, by step; `at` is the step of each column.
    """
    high, low, allowed = bounds
    f, t, y, scale = rows
    vr, vi = block[2], block[3]
    nodes, width = high.shape[0], len(at)
    most[:] = -np.inf
    for i in range(nodes):
        for w in range(width):
            size = vr[i, w] * vr[i, w] + vi[i, w] * vi[i, w]
            above, below = size * high[i, at[w]] - 1.0, 1.0 - size * low[i, at[w]]
            if above > most[w]:
                most[w], whose[w] = above, i
            if below > most[w]:
                most[w], whose[w] = below, nodes + i
    for k in range(len(f)):
        a, b = f[k], t[k]
        for w in range(width):
            v1, u1, v2, u2 = vr[a, w], vi[a, w], vr[b, w], vi[b, w]
            c1 = y[k, 0].real * v1 - y[k, 0].imag * u1 + y[k, 1].real * v2 - y[k, 1].imag * u2
            d1 = y[k, 0].real * u1 + y[k, 0].imag * v1 + y[k, 1].real * u2 + y[k, 1].imag * v2
            c2 = y[k, 2].real * v1 - y[k, 2].imag * u1 + y[k, 3].real * v2 - y[k, 3].imag * u2
            d2 = y[k, 2].real * u1 + y[k, 2].imag * v1 + y[k, 3].real * u2 + y[k, 3].imag * v2
            load = max((c1 * c1 + d1 * d1) * scale[k, 0], (c2 * c2 + d2 * d2) * scale[k, 1])
            over = load * allowed[k, at[w]] - 1.0
            if over > most[w]:
                most[w], whose[w] = over, 2 * nodes + k


@compiled
def _range(
    solver: Any, held: Any, base: Any, profile: Any, added: Any, bounds: Any, rows: Any,
    columns: Any, out: Any,
) -> None:  # fmt: skip
    factors, idle, limits = solver
    others = len(idle)
    block = new_block(others + len(held), WIDTH)
    for i in range(len(held)):
        block[2][others + i] = held[i].real
        block[3][others + i] = held[i].imag
    sound = np.zeros(WIDTH, np.bool_)
    at, whose = np.zeros(WIDTH, np.int64), np.zeros(WIDTH, np.int64)
    most = np.zeros(WIDTH)
    count = len(columns[0])
    for first in range(0, count, WIDTH):
        width = min(WIDTH, count - first)
        for w in range(WIDTH):
            at[w] = columns[0][first + min(w, width - 1)]
        _fill(base, profile, added, columns, first, width, block)
        iterate_block(factors, idle, block, limits, sound)
        _judge(block, bounds, rows, at, most, whose)
        for w in range(width):
            out[0][first + w] = most[w] if sound[w] else np.inf
            out[1][first + w] = whose[w] if sound[w] else NO_SOLUTION


def excesses(
    frame: Frame, intervals: Intervals, added: Additions, step: Int, which: Int, size_kw: Float
) -> tuple[Float, Int]:
    """Return how far each column is beyond the limit that it breaks most, and which that is.

    Parameters
    ----------
    step, which : int64 (column,)
        Position in `intervals` and in `added`.
    size_kw : float64 (column,)

    Returns
    -------
    excess : float64 (column,)
        Relative, of squares; not above 0 where every limit is kept; infinite without a solution.
    broken : int64 (column,)
        Row of a limit as :meth:`networks.hosting.frame.Frame.limit` takes it.
    """
    excess, broken = np.empty(len(step)), np.empty(len(step), dtype=np.int64)
    additions = (added.start, added.row, added.value)
    bounds = (1.0 / intervals.high, 1.0 / intervals.low, 1.0 / intervals.allowed)

    def work(first: int, last: int) -> None:
        part = slice(first, last)
        _range(
            frame.solver, frame.held, intervals.power, intervals.profile, additions, bounds,
            frame.rows, (step[part], which[part], size_kw[part]), (excess[part], broken[part]),
        )  # fmt: skip

    if len(step):
        spread(len(step), work)
    return excess, broken


TOLERANCE = 1e-9


def kept(excess: Float) -> Bool:
    """Return whether every limit is kept, but for the last digits of the power flow."""
    return np.asarray(excess <= TOLERANCE, dtype=np.bool_)
