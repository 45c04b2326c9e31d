"""A plan's problem as arrays for HiGHS, where its variables stand in them, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from dispatch.plan import Floats

COST_SCALE = 1000.0
"""HiGHS sees thousandths of the currency: its tolerance of 1e-7 then lies below the tie-breaks."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What HiGHS found: ``"optimal"``, ``"limit"`` (node limit, feasible) or ``"infeasible"``.

    `gap` is relative; `objective` is what was minimised, in its own unit. `columns` and `duals`
    are in the order of the compiled arrays, duals in objective units per unit of right-hand
    side. All but `gap` are those with the binaries held at their values.
    """

    status: str
    gap: float
    objective: float
    columns: Floats
    duals: Floats


@dataclass(frozen=True, eq=False)
class Place:
    """Where the variables or rows of one name stand.

    Attributes
    ----------
    first : int
    row : dict of str to int, optional
        Of each asset; None where there is one for each step alone.
    steps : int
    """

    first: int
    row: dict[str, int] | None
    steps: int

    @property
    def size(self) -> int:
        """Return how many there are."""
        return self.steps * (1 if self.row is None else len(self.row))

    def at(self, index: tuple[str | int, ...]) -> int:
        """Return where (asset, step) or (step,) stands."""
        before = 0 if self.row is None else self.row[str(index[0])]
        return self.first + before * self.steps + int(index[-1])


@dataclass(frozen=True, eq=False)
class Numbers:
    """What differs from roll to roll; costs and offset times `COST_SCALE`.

    Attributes
    ----------
    cost, low, high : ndarray (column,)
    row_low, row_high : ndarray (row,)
    offset : float
    """

    cost: Floats
    low: Floats
    high: Floats
    row_low: Floats
    row_high: Floats
    offset: float


@dataclass(frozen=True, eq=False)
class Problem:
    """A problem as arrays.

    Attributes
    ----------
    numbers : Numbers
    start, index, value : ndarray
        Its rows, compressed.
    binary : bool (column,)
    column, row : Mapping of str to Place
    form : object, optional
        The template that its rows are of; None when there are others besides.
    """

    numbers: Numbers
    start: npt.NDArray[np.int32]
    index: npt.NDArray[np.int32]
    value: Floats
    binary: npt.NDArray[np.bool_]
    column: Mapping[str, Place]
    row: Mapping[str, Place]
    form: object | None

    @cached_property
    def lp(self) -> Any:
        """The problem as HiGHS takes it."""
        lp = highspy.HighsLp()
        numbers = self.numbers
        lp.num_row_, lp.num_col_ = len(numbers.row_low), len(numbers.low)
        lp.offset_, lp.col_cost_ = numbers.offset, numbers.cost
        lp.col_lower_, lp.col_upper_ = numbers.low, numbers.high
        lp.row_lower_, lp.row_upper_ = numbers.row_low, numbers.row_high
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_, lp.a_matrix_.index_ = self.start, self.index
        lp.a_matrix_.value_ = self.value
        if self.binary.any():
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[int(one)] for one in self.binary]
        return lp

    def values(self, answer: Answer, name: str) -> Floats:
        """Return the values of the variables of one name; none when there are none."""
        return _of(self.column, answer.columns, name)

    def duals(self, answer: Answer, name: str) -> Floats:
        """Return the duals of the rows of one name; none when there are none."""
        return _of(self.row, answer.duals, name)


def _of(places: Mapping[str, Place], values: Floats, name: str) -> Floats:
    place = places.get(name)
    return values[:0] if place is None else values[place.first : place.first + place.size]
