"""What the next-best action would cost: the plan again, with one set-point pushed the other way.

The rest of the plan may answer as it likes; what it then costs more is the price of the push. A
genset is also switched: on where it stands, off where it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dispatch.plan import LinearCut, PlanInput, Reason
from dispatch.reasons import reason
from dispatch.solve import Optimum, optimum

PUSH_SHARE = 0.1
"""By how much of its rating a set-point is pushed when nobody says by how many kW."""


@dataclass(frozen=True, slots=True)
class Push:
    """A set-point of a plan, and how far it is pushed.

    Attributes
    ----------
    asset : str
    step : int
    given_kw : float
        Given less taken in the plan.
    by_kw : float
    running : bool or None
        Of a genset.
    least_kw : float
        Of a genset: what it gives at least while it runs.
    """

    asset: str
    step: int
    given_kw: float
    by_kw: float
    running: bool | None = None
    least_kw: float = 0.0


def at_least(plan_input: PlanInput, asset: str, step: int, power_kw: float) -> PlanInput:
    """Return an input in which an asset gives, less what it takes, at least so much in a step."""
    cut = LinearCut(step, f"{asset} pushed", {asset: -1.0}, -power_kw)
    return replace(plan_input, cuts=(*plan_input.cuts, cut))


def at_most(plan_input: PlanInput, asset: str, step: int, power_kw: float) -> PlanInput:
    """Return an input in which an asset gives, less what it takes, at most so much in a step."""
    cut = LinearCut(step, f"{asset} pushed", {asset: 1.0}, power_kw)
    return replace(plan_input, cuts=(*plan_input.cuts, cut))


def next_best(
    plan_input: PlanInput, found: Optimum, push: Push, *, gap: float, nodes: int
) -> Iterator[Reason]:
    """Yield what a push up, a push down and a switch would cost, currency, or that none can be."""
    asset, step, by_kw = push.asset, push.step, push.by_kw

    def cost(pushed: PlanInput) -> float | None:
        other = optimum(pushed, gap=gap, nodes=nodes)
        if other.schedule is None:
            return None
        return other.answer.objective - found.answer.objective

    def told(name: str, pushed: PlanInput, **params: float) -> Reason:
        more = cost(pushed)
        if more is None:
            return reason(asset, f"next.no_{name}", **params)
        # a plan is as cheap as it can be: below 0 is what floats leave
        return reason(asset, f"next.{name}", cost=max(0.0, more), **params)

    if push.running is False:
        least = max(push.least_kw, by_kw)
        yield told("on", at_least(plan_input, asset, step, least), by_kw=least)
        return
    given_kw = push.given_kw
    yield told("more", at_least(plan_input, asset, step, given_kw + by_kw), by_kw=by_kw)
    yield told("less", at_most(plan_input, asset, step, given_kw - by_kw), by_kw=by_kw)
    if push.running:
        yield told("off", at_most(plan_input, asset, step, 0.0))
