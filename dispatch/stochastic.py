r"""One first step for several futures: the two-stage stochastic plan.

Each scenario :math:`s` is a problem of its own with its weight :math:`\pi_s`; what is sent to
devices in the first step is the same in all of them, while the grid, and while islanded the
forming batteries, make up what the future turns out to be (Birge and Louveaux, Introduction to
Stochastic Programming, 2011, section 2.1):

.. math:: \min \sum_s \pi_s\,c_s(x_s) \qquad x_{s,0} = x_{1,0} \text{ for the controls}
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch import highs
from dispatch.check import check_input
from dispatch.extras import Pairs
from dispatch.plan import Floats, InfeasiblePlan, PlanInput
from dispatch.problem import Answer, Numbers, Problem
from dispatch.solve import both_ways, schedule_of, widened
from dispatch.statement import statement
from dispatch.template import patched
from grid.errors import BadInputError

CONTROLS = (
    "charge", "discharge", "on", "output", "shed", "ev_charge", "ev_discharge", "flexible",
)  # fmt: skip
_SUM = 1e-9


def first_step(
    futures: Sequence[PlanInput],
    probability: Floats,
    *,
    gap: float = 1e-3,
    nodes: int = 2000,
) -> xr.Dataset:
    """Return the schedule of the first future, whose first step is that of all.

    Parameters
    ----------
    futures : sequence of PlanInput
        The same facts and state, other series.
    probability : float64 (future,)
        Above 0, 1 in sum.

    Raises
    ------
    BadInputError
        Futures that differ in more than their series, or weights that are none.
    InfeasiblePlan
        When one of the futures has no schedule with a common first step.
    SolverError
    """
    _check(futures, probability)
    pairs: Pairs = frozenset()
    rounds = 0
    while True:
        stated = [statement(future, pairs) for future in futures]
        if any(one.key != stated[0].key for one in stated):
            raise BadInputError("futures must have the same assets, steps and grid")
        parts = [patched(one) for one in stated]
        whole = joined(parts, probability, _controls(futures[0], parts[0]))
        answer = highs.optimise(whole, gap=gap, nodes=nodes, small=not pairs)
        if answer.status == "infeasible":
            raise InfeasiblePlan(())
        schedules = [
            schedule_of(future, part, _own(answer, k, part))
            for k, (future, part) in enumerate(zip(futures, parts, strict=True))
        ]
        found = (both_ways(f, s) for f, s in zip(futures, schedules, strict=True))
        broken = frozenset().union(*found) - pairs
        if not broken:
            return schedules[0]
        rounds += 1
        pairs |= widened(broken, rounds, futures[0].n)


def _check(futures: Sequence[PlanInput], probability: Floats) -> None:
    if not futures or len(futures) != len(probability):
        raise BadInputError(
            f"{len(probability)} probabilities for {len(futures)} futures, must be one for each"
        )
    if not (probability > 0.0).all() or abs(float(probability.sum()) - 1.0) > _SUM:
        raise BadInputError(
            f"probabilities are {probability.tolist()}, must be above 0 and sum to 1"
        )
    for future in futures:
        check_input(future)


def _controls(plan_input: PlanInput, problem: Problem) -> npt.NDArray[np.int64]:
    """Return the columns that are the same in every future."""
    chosen: list[int] = []
    islanded = not bool(plan_input.grid_available[0])
    forming = {str(b.id) for b in plan_input.battery if b.forming and islanded}
    for name in CONTROLS:
        place = problem.column.get(name)
        if place is not None and place.row is not None:
            free = forming if name in ("charge", "discharge") else set()
            chosen += [place.at((asset, 0)) for asset in place.row if asset not in free]
    return np.array(chosen, dtype=np.int64)


def _own(answer: Answer, number: int, part: Problem) -> Answer:
    """Return the answer of one future; futures have as many columns each."""
    size = len(part.numbers.low)
    columns = answer.columns[number * size : (number + 1) * size]
    return Answer(answer.status, answer.gap, answer.objective, columns, answer.duals)


def joined(
    parts: Sequence[Problem], probability: Floats, controls: npt.NDArray[np.int64]
) -> Problem:
    """Return one problem of several, with `controls` the same in all."""
    size, links = len(parts[0].numbers.low), len(controls)
    first = np.arange(1, len(parts))[:, None] * size
    ties = np.empty((len(parts) - 1, links, 2), dtype=np.int64)
    ties[:, :, 0], ties[:, :, 1] = controls[None], controls[None] + first
    entries = np.cumsum([0, *(part.start[-1] for part in parts)])
    starts = [part.start[:-1] + at for part, at in zip(parts, entries[:-1], strict=True)]
    tie_starts = entries[-1] + 2 * np.arange(links * (len(parts) - 1) + 1)

    def of(name: str, weigh: bool = False) -> Floats:
        return np.concatenate(
            [
                getattr(part.numbers, name) * (weight if weigh else 1.0)
                for part, weight in zip(parts, probability.tolist(), strict=True)
            ]
        )

    nothing = np.zeros(links * (len(parts) - 1))
    numbers = Numbers(
        cost=of("cost", weigh=True),
        low=of("low"),
        high=of("high"),
        row_low=np.append(of("row_low"), nothing),
        row_high=np.append(of("row_high"), nothing),
        offset=float(
            sum(p.numbers.offset * w for p, w in zip(parts, probability.tolist(), strict=True))
        ),
    )
    return Problem(
        numbers,
        np.concatenate([*starts, tie_starts]).astype(np.int32),
        np.concatenate(
            [*(part.index + k * size for k, part in enumerate(parts)), ties.ravel()]
        ).astype(np.int32),
        np.concatenate([*(part.value for part in parts), np.tile([1.0, -1.0], len(nothing))]),
        np.concatenate([part.binary for part in parts]),
        parts[0].column,
        parts[0].row,
        None,
    )
