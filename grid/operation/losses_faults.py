"""Ways in which energy goes round a meter, for trials whose truth is known.

Each returns a :data:`grid.operation.losses_months.Wrong`: a function from net kW without
fault, (usage_point, step), to what flows and what the meters carry. All begin at a
day counted from the first step.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grid.operation.losses_months import STEPS_A_DAY, Feeder, Wrong

Floats = npt.NDArray[np.float64]

_DIVERTED_MAX = 0.9


def bypass(
    feeder: Feeder, row: int, kwh_per_day: float, first_day: int, *, since_day: int = 0
) -> Wrong:
    """Return a bypass with the shape of the household's own load.

    It is a part of that load when the household takes enough: then its meter
    counts less. Else it comes on top, and its meter counts what it did before.
    """

    def wrong(net_kw: Floats) -> tuple[Floats, Floats]:
        steps = first_day * STEPS_A_DAY + np.arange(net_kw.shape[1])
        own = feeder.load_kw[row, steps % feeder.load_kw.shape[1]]
        since = slice(since_day * STEPS_A_DAY, None)
        share = kwh_per_day / (own[since].mean() * 24.0)
        true_kw, metered_kw = net_kw.copy(), net_kw.copy()
        if share <= _DIVERTED_MAX:
            metered_kw[row, since] -= share * own[since]
        else:
            true_kw[row, since] += share * own[since]
        return true_kw, metered_kw

    return wrong


def constant(row: int, kwh_per_day: float, *, since_day: int = 0) -> Wrong:
    """Return a constant power that is taken before the meter."""

    def wrong(net_kw: Floats) -> tuple[Floats, Floats]:
        true_kw = net_kw.copy()
        true_kw[row, since_day * STEPS_A_DAY :] += kwh_per_day / 24.0
        return true_kw, net_kw

    return wrong


def counts(row: int, factor: float, *, since_day: int = 0) -> Wrong:
    """Return a meter that counts `factor` of what passes.

    0 where it stands still, -1 with its current transformers reversed, 2/3 with a phase lost, 1/3
    with one phase reversed.
    """

    def wrong(net_kw: Floats) -> tuple[Floats, Floats]:
        metered_kw = net_kw.copy()
        metered_kw[row, since_day * STEPS_A_DAY :] *= factor
        return net_kw, metered_kw

    return wrong


def both(first: Wrong, second: Wrong) -> Wrong:
    """Return two faults at once."""

    def wrong(net_kw: Floats) -> tuple[Floats, Floats]:
        true_first, metered_first = first(net_kw)
        true_second, metered_second = second(net_kw)
        return (
            true_first + true_second - net_kw,
            metered_first + metered_second - net_kw,
        )

    return wrong
