"""Which measurement is wrong, whether that can be told, and when nothing is wrong.

Each residual is divided by its own standard deviation (the largest normalised residual test;
Monticelli, State Estimation in Electric Power Systems, 1999, chapter 9). Taking out a measurement
of normalised residual `r` lowers the sum of squares by ``r^2``, so that two measurements whose
squares differ by less than a chi-squared variable of one degree of freedom can, explain an error
equally well: then something is wrong, and nobody can say which of them it is. What is usual at a
usage point without a meter is a guess and never wrong: where an unusual load explains a residual
as well as a wrong meter does, nothing is called wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from networks.estimation.problem import ABSENT, Problem, unknown
from networks.estimation.solve import Solution, knowledge_of_rows, measured_rows
from networks.model import Bool, Float, Int

FALSE_ALARMS = 0.01
"""Share of clean intervals in which anything is called wrong."""

CONFUSED = 6.63
"""Difference of squares within which two measurements explain an error equally well: the
chi-squared value of one degree of freedom that is exceeded once in a hundred times."""

CLEAN, IDENTIFIED, DETECTED = "clean", "identified", "detected, not identifiable"


@dataclass(frozen=True, eq=False)
class Residuals:
    """Normalised residuals of injections of points, then of the problem's measurements.

    Attributes
    ----------
    normalised : float64 (interval, 2 point + measurement)
        NaN where nothing is known, 0 where nothing else speaks of it.
    measured : bool (interval, 2 point + measurement)
        Whether it is of a meter, and not of what is usual.
    threshold : float64 (interval,)
        Beyond which the largest one of a meter is no accident.
    """

    normalised: Float
    measured: Bool
    threshold: Float

    @property
    def broken(self) -> Bool:
        """Whether a meter is wrong, (interval,)."""
        squares = np.nan_to_num(self.normalised) ** 2
        of_meters = np.where(self.measured, squares, 0.0).max(axis=1)
        of_others = np.where(self.measured, 0.0, squares).max(axis=1)
        wrong = (of_meters > self.threshold**2) & (of_others < of_meters - CONFUSED)
        return np.asarray(wrong)

    def suspects(self, step: int) -> Int:
        """Return what explains an interval's error equally well, the likeliest first."""
        squares = np.where(self.measured[step], np.nan_to_num(self.normalised[step]) ** 2, 0.0)
        order = np.argsort(-squares, kind="stable")
        near = squares[order] > max(squares[order[0]] - CONFUSED, 0.0)
        return np.asarray(order[near], dtype=np.int64)


def residuals(problem: Problem, solution: Solution) -> Residuals:
    """Return the normalised residuals of a solution."""
    rows = measured_rows(problem, solution.derivative)
    gain, multiplier = solution.gain, solution.multiplier
    own = multiplier / np.sqrt(np.maximum(np.einsum("tii->ti", gain), 1e-300))
    points = 2 * len(problem.node)
    moved = knowledge_of_rows(problem, rows)[:, :points]
    away = np.einsum("tui,ti->tu", moved, multiplier)
    spread = np.einsum("tui,tui->tu", moved @ gain, moved)
    variance = problem.variance[:, :points] + (problem.shared[:, :points] ** 2).sum(axis=2)
    # What nothing else speaks of has no residual.
    heard = spread > 1e-6 * variance
    of_points = np.where(heard, away / np.sqrt(np.maximum(spread, 1e-300)), 0.0)
    normalised = np.concatenate([of_points, own], axis=1)
    measured = np.concatenate([problem.metered, problem.present], axis=1)
    known = np.concatenate([problem.metered | problem.usual, problem.present], axis=1)
    normalised[~known] = np.nan
    unique, back = np.unique(np.maximum(measured.sum(axis=1), 1), return_inverse=True)
    limits = [NormalDist().inv_cdf(1.0 - FALSE_ALARMS / (2.0 * n)) for n in unique.tolist()]
    return Residuals(normalised, measured, np.array(limits)[back])


def without(problem: Problem, step: Int, which: Int, usual: Problem | None) -> Problem:
    """Return the problem without some measurements, each ``which`` of an interval ``step``.

    Parameters
    ----------
    usual : Problem, optional
        The same with no injection metered: what stands in for a meter that is left out.
    """
    points = 2 * len(problem.node)
    present, spread = problem.present.copy(), problem.spread.copy()
    mean, variance = problem.mean.copy(), problem.variance.copy()
    shared, metered, known = problem.shared.copy(), problem.metered.copy(), problem.usual.copy()
    for at, one in zip(step.tolist(), which.tolist(), strict=True):
        if one >= points:
            present[at, one - points] = False
            spread[at, one - points] *= ABSENT
            continue
        metered[at, one] = False
        if usual is None:
            variance[at, one] = unknown(problem.model) ** 2
        else:
            mean[at, one], variance[at, one] = usual.mean[at, one], usual.variance[at, one]
            shared[at, one], known[at, one] = usual.shared[at, one], usual.usual[at, one]
    return replace(
        problem, present=present, spread=spread, mean=mean, variance=variance, shared=shared,
        metered=metered, usual=known,
    )  # fmt: skip
