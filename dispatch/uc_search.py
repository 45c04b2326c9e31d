"""The search for a commitment of hundreds of generators: first a good one, then the proof.

A relaxation leaves most generators on, or off, through all hours. With those held the rest is a
small problem, whose answer starts the search of the whole one; its bound is that of the whole one
alone. Like every search here it stops by gap and nodes, never by the clock.
"""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from dispatch import highs
from dispatch.problem import Answer
from grid.errors import SolverError

MANY = 1000
"""Binaries from which on a search finds its first good answer too late by itself."""

WHOLE = 1e-6


def search(
    compiled: highs.Compiled, states: npt.NDArray[np.int32], *, gap: float, nodes: int
) -> Answer:
    """Solve a commitment.

    Parameters
    ----------
    compiled : Compiled
        Its binaries are the states.
    states : ndarray of int, shape (generator, hour)
        Columns of the states.
    gap : float
    nodes : int
        Of each of the two searches.

    Raises
    ------
    SolverError
        When HiGHS fails; see :func:`dispatch.highs.optimise`.
    """
    if states.size < MANY:
        return highs.optimise(compiled, gap=gap, nodes=nodes, small=False)
    relaxed = _relaxed(compiled)
    if highs.verdict(relaxed) == "infeasible":
        return highs.INFEASIBLE
    share = np.array(relaxed.getSolution().col_value)[states]
    start = _first(compiled, states, share, gap, nodes)
    solver = highs.solver_of(compiled.lp, gap, nodes, small=False)
    if start is not None:
        highs.must(solver.setSolution(start), "a first answer")
    status = highs.verdict(solver)
    if status == "infeasible":
        return highs.INFEASIBLE
    where, chosen = highs.commitment(compiled, solver)
    held = _relaxed(compiled)
    highs.must(held.changeColsBounds(len(where), where, chosen, chosen), "bounds")
    return Answer(status, float(solver.getInfo().mip_gap), *highs.held_flows(held))


def _relaxed(compiled: highs.Compiled) -> Any:
    """Return a solver of the problem without whole numbers."""
    solver = highs.solver_of(compiled.lp, 0.0, 0, small=False)
    where = np.flatnonzero(compiled.binary).astype(np.int32)
    continuous = np.full(len(where), highspy.HighsVarType.kContinuous)
    highs.must(solver.changeColsIntegrality(len(where), where, continuous), "integrality")
    return solver


def _first(
    compiled: highs.Compiled,
    states: npt.NDArray[np.int32],
    share: npt.NDArray[np.float64],
    gap: float,
    nodes: int,
) -> Any:
    """Return an answer in which generators that the relaxation leaves alone are held, or none."""
    whole = np.round(share)
    alone = (np.abs(share - whole) < WHOLE).all(axis=1) & (whole == whole[:, :1]).all(axis=1)
    columns, values = states[alone].ravel(), whole[alone].ravel()
    solver = highs.solver_of(compiled.lp, gap, nodes, small=False)
    highs.must(solver.changeColsBounds(len(columns), columns, values, values), "bounds")
    try:
        return None if highs.verdict(solver) == "infeasible" else solver.getSolution()
    except SolverError:
        # it stopped by its nodes with nothing found: the whole search is on its own
        return None
