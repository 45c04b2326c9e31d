"""Intervals with their bounds, and what may be added in them, as compiled code takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from networks.model import Bool, Complex, Float, Int


@dataclass(frozen=True, eq=False)
class Additions:
    """What may be added, one candidate after another, power per kW of its size.

    Attributes
    ----------
    start : int64 (candidate + 1,)
    row : int64 (entry,)
        Row of :class:`Frame`.
    value : complex128 (entry,)
        Per unit per kW, positive into the network.
    """

    start: Int
    row: Int
    value: Complex

    def __len__(self) -> int:
        return len(self.start) - 1


@dataclass(frozen=True, eq=False)
class Intervals:
    """Some intervals, ready to be judged.

    Attributes
    ----------
    position : int64 (step,)
        In the series.
    power : complex128 (row, step)
        Of what is there, per unit into the network; rows whose voltage is not held.
    profile : float64 (step,)
        Of its size, what an addition gives or takes.
    high, low : float64 (row, step)
        Squares of the voltages allowed.
    by_rise : bool (row, step)
        Where `high` comes from the rise that is allowed.
    allowed : float64 (branch, step)
        Squares of the loadings allowed, in percent.
    state : complex128 (node, step)
        Voltages without the addition.
    """

    position: Int
    power: Complex
    profile: Float
    high: Float
    low: Float
    by_rise: Bool
    allowed: Float
    state: Complex

    def __len__(self) -> int:
        return len(self.position)

    def with_others(self, more: Intervals) -> Intervals:
        """Return these and others."""
        return Intervals(
            *(
                np.concatenate([getattr(self, name), getattr(more, name)], axis=-1)
                for name in Intervals.__dataclass_fields__
            )
        )
