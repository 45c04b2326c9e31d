"""Which buses the measurements determine, whatever the unknown injections are.

An unknown injection that no measurement notices may be anything; a bus whose voltage it moves is
unobservable. Those combinations of unknowns are the null space of the measurements' derivative
(Monticelli, State Estimation in Electric Power Systems, 1999, chapter 7).
"""

from __future__ import annotations

import numpy as np

from networks.estimation.linear import Jacobian
from networks.estimation.problem import Problem
from networks.estimation.solve import measured_rows
from networks.model import Bool, Float

_RANK = 1e-7
"""Singular values below this share of the largest are none: meters do not see that far."""
_MOVED = 1e-6
"""Share of its answer to the unknowns by which a voltage that is determined may move."""


def unobservable(problem: Problem, derivative: Jacobian) -> Bool:
    """Return which nodes are unobservable, (interval, node)."""
    known = np.concatenate([problem.metered | problem.usual, problem.present], axis=1)
    patterns, back = np.unique(known, axis=0, return_inverse=True)
    rows = measured_rows(problem, derivative)
    found = np.array(
        [_of(pattern, rows, derivative.vm, problem.source_usual) for pattern in patterns],
        dtype=np.bool_,
    )
    return np.asarray(found[back.ravel()])


def _of(known: Bool, rows: Float, vm: Float, source_usual: bool) -> Bool:
    injections = vm.shape[1] - 1
    free = np.flatnonzero(np.append(~known[:injections], not source_usual))
    if not len(free):
        return np.zeros(len(vm), dtype=np.bool_)
    blind = _null_space(rows[known[injections:]][:, free])
    if not blind.shape[1]:
        return np.zeros(len(vm), dtype=np.bool_)
    answer = vm[:, free]
    moved = np.linalg.norm(answer @ blind, axis=1)
    return np.asarray(moved > _MOVED * np.linalg.norm(answer, axis=1))


def _null_space(matrix: Float) -> Float:
    """Return an orthonormal basis of what the rows of a matrix do not notice, (column, vector)."""
    if not len(matrix):
        return np.eye(matrix.shape[1])
    _, size, right = np.linalg.svd(matrix)
    rank = int((size > _RANK * size.max(initial=0.0)).sum())
    return np.asarray(right[rank:].T)
