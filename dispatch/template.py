"""The Pyomo model compiled once: a few of its steps, unrolled over the horizon, then patched.

Rows look back a bounded number of steps and hold facts of the site alone. So the model of that
many steps and one more has every row there is: its last step's rows are those of any later step,
moved. A roll brings bounds, costs and right-hand sides (:mod:`dispatch.statement`), and rows that
come and go (:mod:`dispatch.extras`) are set below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt
import pyomo.environ as pyo
import scipy.sparse as sp
from pyomo.common.gc_manager import PauseGC
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from dispatch.assets import REGISTRY
from dispatch.extras import Extras, Index
from dispatch.model import owners, stated
from dispatch.plan import Floats, PlanInput
from dispatch.problem import COST_SCALE, Numbers, Place, Problem
from dispatch.statement import Statement, keeps_reserve, statement

Ints = npt.NDArray[np.int64]

_KEPT = 8
"""Templates that are kept: those of a site with and without reserve, elastic, of two horizons."""


@dataclass(frozen=True, eq=False)
class Template:
    """Rows of a problem whose numbers are patched.

    Attributes
    ----------
    columns, rows : dict of str to Place
    matrix : scipy.sparse.csr_array (row, column)
    sense : int8 (row,)
        1 at most, -1 at least, 0 equal.
    binary : bool (column,)
    """

    columns: dict[str, Place]
    rows: dict[str, Place]
    matrix: sp.csr_array[np.float64]
    sense: npt.NDArray[np.int8]
    binary: npt.NDArray[np.bool_]


_kept: dict[tuple[Any, ...], Template] = {}


def template(problem: Statement) -> Template:
    """Return the template of a problem; compiled when there is none yet."""
    known = _kept.pop(problem.key, None)
    if known is None:
        known = _unrolled(problem)
        while len(_kept) >= _KEPT:
            del _kept[next(iter(_kept))]
    _kept[problem.key] = known
    return known


def forget() -> None:
    """Drop every template, so that the next plan compiles its own."""
    _kept.clear()


def patched(problem: Statement) -> Problem:
    """Return the problem for HiGHS, with the numbers of this roll."""
    form = template(problem)
    blocks, extras = problem.blocks.values(), problem.extras
    added = len(form.binary)
    place = {(c.name, c.index): added + i for i, c in enumerate(extras.columns)}

    def seat(name: str, index: Index) -> int:
        own = place.get((name, index))
        return form.columns[name].at(index) if own is None else own

    def joined(name: str, more: list[float]) -> Floats:
        parts = [np.asarray(getattr(one, name), dtype=np.float64).ravel() for one in blocks]
        return np.concatenate([*parts, np.array(more, dtype=np.float64)])

    side = np.concatenate([problem.sides[name].ravel() for name in form.rows])
    infinite = highspy.kHighsInf
    numbers = Numbers(
        cost=joined("cost", [c.cost for c in extras.columns]) * COST_SCALE,
        low=joined("low", [0.0] * len(extras.columns)),
        high=joined("high", [c.high for c in extras.columns]),
        row_low=np.append(
            np.where(form.sense == 1, -infinite, side), [row.low for row in extras.rows]
        ),
        row_high=np.append(
            np.where(form.sense == -1, infinite, side), [row.high for row in extras.rows]
        ),
        offset=problem.constant * COST_SCALE,
    )
    matrix = form.matrix
    if not extras.rows:
        return Problem(
            numbers, matrix.indptr, matrix.indices, matrix.data,
            form.binary, form.columns, form.rows, form,
        )  # fmt: skip
    entries = [(seat(name, index), c) for row in extras.rows for c, name, index in row.terms]
    ends = len(matrix.data) + np.cumsum([len(row.terms) for row in extras.rows])
    return Problem(
        numbers,
        np.append(matrix.indptr, ends).astype(np.int32),
        np.append(matrix.indices, [at for at, _ in entries]).astype(np.int32),
        np.append(matrix.data, [c for _, c in entries]),
        np.append(form.binary, [c.binary for c in extras.columns]).astype(np.bool_),
        form.columns | _listed([c.name for c in extras.columns], added),
        form.rows | _listed([row.name for row in extras.rows], len(side)),
        None,
    )


def _listed(names: list[str], first: int) -> dict[str, Place]:
    """Return the places of what stands one after the other, name by name."""
    return {
        name: Place(first + names.index(name), None, names.count(name))
        for name in dict.fromkeys(names)
    }


def memory(plan_input: PlanInput) -> int:
    """Return how many steps back the rows of a site look."""
    capped = int(plan_input.co2_cap_kg is not None)
    return max(capped, *(kind.memory(plan_input) for kind in REGISTRY.values()))


def shortened(plan_input: PlanInput, steps: int) -> PlanInput:
    """Return the first steps of an input, without cuts."""
    series: dict[str, Any] = {k: v[..., :steps] for k, v in plan_input.series().items()}
    return replace(plan_input, **series, cuts=())


def _unrolled(problem: Statement) -> Template:
    given = problem.plan_input
    n = given.n
    steps = min(n, memory(given) + 2)
    short = shortened(given, steps)
    if keeps_reserve(given):
        dark = np.zeros(steps, dtype=np.bool_)
        short = replace(short, grid_available=dark, reserve_kw=np.ones(steps))
    few = statement(short, elastic=problem.elastic)
    model = stated(replace(few, extras=Extras()))
    with PauseGC():
        form = LinearStandardFormCompiler().write(model, mixed_form=True)
    ids = owners(given)
    columns = _places(list(problem.blocks), ids, n)
    rows = _places([c.name for c in model.component_objects(pyo.Constraint)], ids, n)
    at_column = np.array([_place(columns, variable) for variable in form.columns])
    at_row = np.array([_place(rows, entry.constraint) for entry in form.rows])
    entries = form.A.tocoo()
    r, c, value = at_row[entries.row], at_column[entries.col], entries.data
    last = steps - 1
    if steps < n:
        _must_repeat(r, c, value, last)
        late = r[:, 1] == last
        moves = np.arange(1, n - last)
        more_r = np.repeat(r[late], len(moves), axis=0)
        more_c = np.repeat(c[late], len(moves), axis=0)
        for more in (more_r, more_c):
            more[:, 1] += np.tile(moves, int(late.sum()))
        r, c = np.concatenate([r, more_r]), np.concatenate([c, more_c])
        value = np.concatenate([value, np.repeat(value[late], len(moves))])
    shape = (sum(one.size for one in rows.values()), sum(one.size for one in columns.values()))
    matrix = sp.coo_array((value, (r.sum(axis=1), c.sum(axis=1))), shape=shape).tocsr()
    matrix.sort_indices()
    matrix.indptr, matrix.indices = matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32)
    sense = np.zeros(shape[0], dtype=np.int8)
    for entry, kind in form.rows:
        place = rows[entry.parent_component().name]
        sense[place.first : place.first + place.size] = kind
    binary = np.concatenate(
        [np.full(one.low.size, one.binary, dtype=np.bool_) for one in problem.blocks.values()]
    )
    return Template(columns, rows, matrix, sense, binary)


def _places(names: list[str], ids: dict[str, tuple[str, ...]], steps: int) -> dict[str, Place]:
    places, first = {}, 0
    for name in names:
        row = {asset: i for i, asset in enumerate(ids[name])} if name in ids else None
        places[name] = Place(first, row, steps)
        first += places[name].size
    return places


def _place(places: dict[str, Place], part: Any) -> tuple[int, int]:
    """Return where step 0 of a variable or constraint of Pyomo stands, and its step."""
    place, index = places[part.parent_component().name], part.index()
    asset, step = index if isinstance(index, tuple) else ("", index)
    return place.at((asset, 0)), step


def _must_repeat(r: Ints, c: Ints, value: Floats, last: int) -> None:
    """Refuse rows of the last two steps that are not the same, moved: memory was too short."""

    def pattern(step: int) -> list[tuple[int, int, int, float]]:
        here = r[:, 1] == step
        ahead = step - c[here, 1]
        return sorted(zip(r[here, 0], c[here, 0], ahead, value[here], strict=True))

    if pattern(last) != pattern(last - 1):
        raise AssertionError("a row looks back further than its asset's memory")
