"""What a planner looks at of many intervals, in compiled code: no state is ever kept whole.

Each block of intervals is read, solved and summed up while it is in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from networks.flow.kernel import WIDTH, arguments, compiled, iterate_block, new_block, spread
from networks.flow.operator import Operator, operator
from networks.flow.solve import loading_scale
from networks.model import Bool, Branches, Complex, Float, Int, NetworkModel

_DEAD = -1


@dataclass(frozen=True, eq=False)
class Summary:
    """A long power flow summed up.

    Attributes
    ----------
    converged : bool (interval,)
        False for all intervals of a block of which one has no solution yet: nothing of them is in
        the other values.
    losses_kw, head_kw, head_kvar, residual_mva : float64 (interval,)
        `head_kw` and `head_kvar` enter at the sources.
    vm_pu_lowest, vm_pu_highest : float64 (interval,)
    line_percent, trafo_percent : float64 (interval,)
        Highest loading.
    node_lowest, node_highest : float64 (node,)
        Voltage per unit.
    line_highest, trafo_highest : float64 (branch,)
        Loading in percent.
    line_losses_kw, trafo_losses_kw : float64 (branch,)
        Sum over the intervals.
    """

    converged: Bool
    losses_kw: Float
    head_kw: Float
    head_kvar: Float
    residual_mva: Float
    vm_pu_lowest: Float
    vm_pu_highest: Float
    line_percent: Float
    trafo_percent: Float
    node_lowest: Float
    node_highest: Float
    line_highest: Float
    trafo_highest: Float
    line_losses_kw: Float
    trafo_losses_kw: Float


@compiled
def _read(inputs: Any, place: Any, first: int, width: int, scale: float, pr: Any, pi: Any) -> bool:
    """Fill a block with the power of intervals from `first` on; False when a value is no load."""
    pr[:] = 0.0
    pi[:] = 0.0
    sound = True
    absorbed, injected, absorbed_q, injected_q = inputs
    for w in range(pr.shape[1]):
        # What is beyond the end repeats the last interval.
        step = first + min(w, width - 1)
        for column in range(len(place)):
            a, b = absorbed[step, column], injected[step, column]
            c, d = absorbed_q[step, column], injected_q[step, column]
            sound = sound and 0.0 <= a < np.inf and 0.0 <= b < np.inf
            sound = sound and 0.0 <= c < np.inf and 0.0 <= d < np.inf
            if place[column] >= 0:
                pr[place[column], w] += (b - a) * scale
                pi[place[column], w] += (d - c) * scale
    return sound


@compiled
def _voltages(vr: Any, vi: Any, width: int, first: int, by_step: Any, low: Any, high: Any) -> None:
    for i in range(vr.shape[0]):
        for w in range(width):
            size = vr[i, w] * vr[i, w] + vi[i, w] * vi[i, w]
            low[i] = min(low[i], size)
            high[i] = max(high[i], size)
            by_step[4, first + w] = min(by_step[4, first + w], size)
            by_step[5, first + w] = max(by_step[5, first + w], size)


@compiled
def _branches(
    vr: Any, vi: Any, width: int, first: int, rows: Any, by_step: Any, peak: Any, lost: Any
) -> None:
    """Loading squared and losses per unit of each branch; lines first, then transformers."""
    f, t, y, scale, lines = rows
    for k in range(len(f)):
        a, b = f[k], t[k]
        out = 6 if k < lines else 7
        for w in range(width):
            v1, u1, v2, u2 = vr[a, w], vi[a, w], vr[b, w], vi[b, w]
            c1 = y[k, 0].real * v1 - y[k, 0].imag * u1 + y[k, 1].real * v2 - y[k, 1].imag * u2
            d1 = y[k, 0].real * u1 + y[k, 0].imag * v1 + y[k, 1].real * u2 + y[k, 1].imag * v2
            c2 = y[k, 2].real * v1 - y[k, 2].imag * u1 + y[k, 3].real * v2 - y[k, 3].imag * u2
            d2 = y[k, 2].real * u1 + y[k, 2].imag * v1 + y[k, 3].real * u2 + y[k, 3].imag * v2
            load = max((c1 * c1 + d1 * d1) * scale[k, 0], (c2 * c2 + d2 * d2) * scale[k, 1])
            peak[k] = max(peak[k], load)
            by_step[out, first + w] = max(by_step[out, first + w], load)
            lost[k] += v1 * c1 + u1 * d1 + v2 * c2 + u2 * d2


@compiled
def _balance(block: Any, width: int, first: int, matrix: Any, others: int, by_step: Any) -> None:
    """Losses, what the sources give, and the largest mismatch squared, per unit."""
    start, column, value = matrix
    pr, pi, vr, vi, xr, xi, _ = block
    for i in range(vr.shape[0]):
        for w in range(width):
            xr[i, w] = 0.0
            xi[i, w] = 0.0
        for k in range(start[i], start[i + 1]):
            j, a, b = column[k], value[k].real, value[k].imag
            for w in range(width):
                xr[i, w] += a * vr[j, w] - b * vi[j, w]
                xi[i, w] += a * vi[j, w] + b * vr[j, w]
        for w in range(width):
            p = vr[i, w] * xr[i, w] + vi[i, w] * xi[i, w]
            q = vi[i, w] * xr[i, w] - vr[i, w] * xi[i, w]
            by_step[0, first + w] += p
            if i < others:
                gap = (p - pr[i, w]) ** 2 + (q - pi[i, w]) ** 2
                by_step[3, first + w] = max(by_step[3, first + w], gap)
            else:
                by_step[1, first + w] += p - pr[i, w]
                by_step[2, first + w] += q - pi[i, w]


@compiled
def _sum_up(
    solver: Any, held: Any, inputs: Any, place: Any, scale: float, rows: Any, matrix: Any,
    by_step: Any, converged: Any, low: Any, high: Any, peak: Any, lost: Any,
) -> bool:  # fmt: skip
    """Sum up a range of intervals; False at the first value that is no load."""
    factors, idle, limits = solver
    others = len(idle)
    block = new_block(others + len(held), WIDTH)
    for i in range(len(held)):
        block[2][others + i] = held[i].real
        block[3][others + i] = held[i].imag
    sound = np.zeros(WIDTH, np.bool_)
    count = inputs[0].shape[0]
    by_step[4] = np.inf
    for first in range(0, count, WIDTH):
        width = min(WIDTH, count - first)
        if not _read(inputs, place, first, width, scale, block[0], block[1]):
            return False
        iterate_block(factors, idle, block, limits, sound)
        if not sound.all():
            continue
        converged[first : first + width] = True
        _balance(block, width, first, matrix, others, by_step)
        _voltages(block[2], block[3], width, first, by_step, low, high)
        _branches(block[2], block[3], width, first, rows, by_step, peak, lost)
    return True


def sum_up(
    model: NetworkModel, inputs: Sequence[Float], positions: Int, *, cores: int | None = None
) -> Summary | None:
    """Return a long power flow summed up, or None when an input is not finite or below 0.

    Parameters
    ----------
    inputs : four float64 (interval, column)
        In the order of :data:`networks.injection.INPUTS`.
    positions : int64 (column,)
        Position of each column's bus; two columns may be of one bus.
    cores : int, optional
        See :func:`networks.flow.kernel.spread`.
    """
    op = operator(model)
    place, order = _order(model, op)
    node = model.node[positions]
    at = np.where(node >= 0, place[node], _DEAD)
    factors, _, idle, limits = arguments(op)
    live, rows = _branch_rows(model, place)
    matrix = model.ybus[order][:, order].tocsr()
    matrix.sort_indices()
    entries = (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data)
    count, size, branches = len(inputs[0]), len(order), len(rows[0])
    by_step, converged = np.zeros((8, count)), np.zeros(count, dtype=np.bool_)
    arrays = tuple(np.ascontiguousarray(one, dtype=np.float64) for one in inputs)

    def work(first: int, last: int) -> tuple[bool, Float, Float, Float, Float]:
        extremes = (
            np.full(size, np.inf), np.zeros(size), np.zeros(branches), np.zeros(branches),
        )  # fmt: skip
        part = by_step[:, first:last]
        sound = _sum_up(
            (factors, idle, limits), op.held_pu, tuple(one[first:last] for one in arrays), at,
            1e-3 / model.base_mva, rows, entries, part, converged[first:last], *extremes,
        )  # fmt: skip
        return bool(sound), *extremes

    done = spread(count, work, cores=cores)
    if not all(one[0] for one in done):
        return None
    low = np.sqrt(np.min([one[1] for one in done], axis=0))[place]
    high = np.sqrt(np.max([one[2] for one in done], axis=0))[place]
    peak = np.sqrt(np.max([one[3] for one in done], axis=0))
    lost = np.sum([one[4] for one in done], axis=0) * (model.base_mva * 1e3)
    base_kw = model.base_mva * 1e3
    highest, losses = _by_table(model, live, peak), _by_table(model, live, lost)
    return Summary(
        converged=converged,
        losses_kw=by_step[0] * base_kw,
        head_kw=by_step[1] * base_kw,
        head_kvar=by_step[2] * base_kw,
        residual_mva=np.sqrt(by_step[3]) * model.base_mva,
        vm_pu_lowest=np.sqrt(by_step[4]),
        vm_pu_highest=np.sqrt(by_step[5]),
        line_percent=np.sqrt(by_step[6]),
        trafo_percent=np.sqrt(by_step[7]),
        node_lowest=low,
        node_highest=high,
        line_highest=highest[0],
        trafo_highest=highest[1],
        line_losses_kw=losses[0],
        trafo_losses_kw=losses[1],
    )


def _order(model: NetworkModel, op: Operator) -> tuple[Int, Int]:
    """Return (row of each node, node of each row): the factors' order, then the sources."""
    order = np.concatenate([op.others[op.factor.order], op.held])
    place = np.empty(len(model.node_kv), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place, order


def _branch_rows(model: NetworkModel, place: Int) -> tuple[list[Int], tuple[Any, ...]]:
    """Return the live rows of lines and transformers, and what compiled code needs of them."""
    tables: tuple[Branches, ...] = (model.line, model.trafo)
    live = [np.flatnonzero(table.from_node >= 0) for table in tables]
    f, t, y, scale = [], [], [], []
    for table, on in zip(tables, live, strict=True):
        f.append(place[table.from_node[on]])
        t.append(place[table.to_node[on]])
        names = ("yff", "yft", "ytf", "ytt")
        y.append(np.stack([getattr(table, name)[on] for name in names], axis=1))
        scale.append(np.stack(loading_scale(model, table, on), axis=1) ** 2)
    y_all: Complex = np.concatenate(y)
    rows = (np.concatenate(f), np.concatenate(t), y_all, np.concatenate(scale), len(live[0]))
    return live, rows


def _by_table(model: NetworkModel, live: list[Int], values: Float) -> list[Float]:
    made, first = [], 0
    for table, on in zip((model.line, model.trafo), live, strict=True):
        whole = np.zeros(len(table))
        whole[on] = values[first : first + len(on)]
        made.append(whole)
        first += len(on)
    return made
