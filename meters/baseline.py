r"""What would have flowed without an event: a baseline of like days.

The method is PJM's default customer baseline load (PJM Manual 11, Energy & Ancillary Services
Market Operations, section 10, "high 4 of 5" with symmetric additive adjustment): of the last 5
workdays the 4 with the most energy in the hours of the event, of the last 3 Saturdays, or Sundays
and holidays, the 2; their mean at each time of day, moved by what the day of the event differed
from them in three hours before it:

.. math:: b_t = \max\Big(0,\; \tfrac1X \sum_{d \in H} e_{d,t} + \tfrac1{|W|} \sum_{w \in W}
          \big(e_w - \tfrac1X \sum_{d \in H} e_{d,w}\big)\Big)

Everything is in whole Wh, rounded half up, so that whoever computes it finds the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from meters.vee.like_days import DayClass

Ints = npt.NDArray[np.int64]

ADJUST_S = 3 * 3600
"""Length of the window that the baseline is adjusted by."""

BEFORE_S = 3600
"""Time between that window and the event."""

METHOD = "high {x} of {y} like days, symmetric additive adjustment"


@dataclass(frozen=True, eq=False)
class Baseline:
    """A baseline and what it was made of.

    Attributes
    ----------
    energy_wh : int64 (slot,)
    chosen : tuple of int
        Positions of the days that it is the mean of.
    adjustment_wh : int
        By how much each slot was moved; below 0 where the day took less than they did.
    """

    energy_wh: Ints
    chosen: tuple[int, ...]
    adjustment_wh: int


def high_x_of_y(kind: DayClass) -> tuple[int, int]:
    """Return how many days of how many are taken for a class of days."""
    return (4, 5) if kind is DayClass.WORKDAY else (2, 3)


def baseline(
    days: Ints, x: int, *, before: Ints | None = None, own: Ints | None = None
) -> Baseline:
    """Return the baseline from the last like days.

    Parameters
    ----------
    days : int64 (day, slot)
        Energy in the slots of the event on the last like days, the nearest first, Wh; at least
        `x`, all of them known.
    x : int
        How many of them are taken: those with the most energy, of equals the nearest.
    before : int64 (day, slot), optional
        Energy of the same days in the window of the adjustment.
    own : int64 (slot,), optional
        Energy of the day of the event there; without it nothing is adjusted.
    """
    order = np.argsort(-days.sum(axis=1), kind="stable")[:x]
    chosen = np.sort(order)
    mean = _rounded(days[chosen].sum(axis=0), x)
    moved = 0
    if before is not None and own is not None and own.size:
        missed = x * int(own.sum()) - int(before[chosen].sum())
        moved = int(_rounded(np.array([missed]), x * own.size)[0])
    return Baseline(np.maximum(mean + moved, 0), tuple(chosen.tolist()), moved)


def _rounded(total: Ints, count: int) -> Ints:
    """Return total / count, rounded half up."""
    found: Ints = (2 * total + count) // (2 * count)
    return found
