"""Where the next meter tells most about voltages."""

from __future__ import annotations

import numpy as np
import xarray as xr

from networks.estimation.problem import Accuracy, Problem
from networks.estimation.solve import Solution, knowledge_of_rows, measured_rows
from networks.model import Float


def ranking(problem: Problem, solution: Solution, accuracy: Accuracy | None = None) -> xr.Dataset:
    """Return what a meter at each point without one would do, the best first.

    A meter measures voltage, active and reactive power. Of the average interval, since what is
    usual changes with the time of day and a meter does not.

    Returns
    -------
    xarray.Dataset
        (point,), only those without a meter: `vm_sd_pu`, the root mean square over buses of the
        standard deviation that is left with the meter, and `gain_percent`, how much less that is
        than without. Attribute `vm_sd_pu`: what it is without.
    """
    accuracy = accuracy or Accuracy()
    jacobian = solution.derivative
    voltages = jacobian.vm[np.unique(problem.model.node[problem.model.node >= 0])]
    prior = _mean_knowledge(problem)
    posterior = _posterior(problem, solution, prior)
    through = posterior @ voltages.T
    before = float(np.einsum("bu,ub->", voltages, through))
    points = len(problem.node)
    without = np.flatnonzero(~problem.metered[:, :points].any(axis=0))
    left = []
    for point in without.tolist():
        rows = np.zeros((3, voltages.shape[1]))
        rows[0] = jacobian.vm[problem.node[point]]
        rows[1, point] = rows[2, points + point] = 1.0
        noise = _noise(problem, point, accuracy)
        seen = rows @ posterior @ rows.T + np.diag(noise)
        told = rows @ through
        left.append(before - float(np.einsum("ib,ij,jb->", told, np.linalg.inv(seen), told)))
    count = len(voltages)
    sd = np.sqrt(np.maximum(left, 0.0) / count)
    now = float(np.sqrt(before / count))
    order = np.argsort(sd, kind="stable")
    names = np.array(problem.point, dtype=str)[without][order]
    return xr.Dataset(
        {
            "vm_sd_pu": ("point", sd[order], {"units": "1"}),
            "gain_percent": ("point", 100.0 * (1.0 - sd[order] / now), {"units": "%"}),
        },
        {"point": names},
        {"vm_sd_pu": now},
    )


def _mean_knowledge(problem: Problem) -> Float:
    """Return the average covariance of what is known without measurements, (unknown, unknown)."""
    prior = np.diag(problem.variance.mean(axis=0))
    if problem.shared.shape[2]:
        prior = prior + np.einsum("tuf,tvf->uv", problem.shared, problem.shared) / len(
            problem.shared
        )
    return np.asarray(prior)


def _posterior(problem: Problem, solution: Solution, prior: Float) -> Float:
    rows = measured_rows(problem, solution.derivative)
    seen = rows @ prior @ rows.T + np.diag(np.median(problem.spread, axis=0))
    told = rows @ prior
    return np.asarray(prior - told.T @ np.linalg.solve(seen, told))


def _noise(problem: Problem, point: int, accuracy: Accuracy) -> Float:
    """Return the variances that a meter of voltage and power would have at a point."""
    unit = 1e-3 / problem.model.base_mva
    points = len(problem.node)
    floor = accuracy.floor_kw * unit
    size = np.abs(problem.mean[:, [point, points + point]]).mean(axis=0)
    percent = np.array([accuracy.active_percent, accuracy.reactive_percent])
    power = np.hypot(size * percent / 100.0, floor) ** 2
    both: Float = np.concatenate([[(accuracy.voltage_percent / 100.0) ** 2], power])
    return both


def voltage_deviation(problem: Problem, solution: Solution) -> Float:
    """Return the standard deviation of each node's voltage, (interval, node), per unit."""
    rows, voltages = measured_rows(problem, solution.derivative), solution.derivative.vm
    moved = knowledge_of_rows(problem, voltages)
    told = np.einsum("iu,tun->tin", rows, moved, optimize=True)
    variance = np.einsum("nu,tun->tn", voltages, moved, optimize=True)
    variance -= np.einsum("tin,tin->tn", told, solution.gain @ told)
    deviation: Float = np.sqrt(np.maximum(variance, 0.0))
    return deviation
