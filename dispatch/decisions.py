"""Why a set-point is not another: what limits it, what the next best costs, what would change it.

These need the plan solved again, some ten times an asset, so they are made when somebody asks and
not in each cycle. The plan is taken to a gap of `EXACT_GAP`, so that a difference of two plans is
one of costs and not of gaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import xarray as xr

from dispatch.check import check_input
from dispatch.compare import COLUMNS
from dispatch.decision_edges import LOAD_KW, Lever
from dispatch.decision_limits import Shadow, kind_of, limits, most_kw
from dispatch.decision_next import PUSH_SHARE, Push, next_best
from dispatch.diagnose import diagnose
from dispatch.plan import InfeasiblePlan, PlanInput, Reason, Value
from dispatch.reasons import reason
from dispatch.solve import optimum
from grid.errors import BadInputError

EXACT_GAP = 1e-9
"""Relative distance to the optimum at which the plans of a comparison stop."""


def decisions(
    plan_input: PlanInput,
    *,
    step: int = 0,
    assets: Sequence[str] | None = None,
    by_kw: float | None = None,
    nodes: int = 2000,
) -> tuple[Reason, ...]:
    """Return for each set-point of a step what holds it and what else it could be.

    Parameters
    ----------
    plan_input : PlanInput
    step : int
    assets : sequence of str, optional
        All of the plan and its grid connection when not given; of the connection are told limits
        alone.
    by_kw : float, optional
        By how much set-points are pushed; `PUSH_SHARE` of its rating each when not given.

    Raises
    ------
    BadInputError
        When the step or an asset is none of the plan.
    InfeasiblePlan
        When there is no plan.
    """
    check_input(plan_input)
    known = [*map(str, plan_input.asset_ids), str(plan_input.grid.id)]
    if not 0 <= step < plan_input.n:
        raise BadInputError(f"step {step} of the plan: must be within 0 to {plan_input.n - 1}")
    for asset in assets or ():
        if asset not in known:
            raise BadInputError(f"{asset!r} is no asset of this plan; there are {', '.join(known)}")
    found = optimum(plan_input, gap=EXACT_GAP, nodes=nodes)
    if found.schedule is None:
        raise InfeasiblePlan(diagnose(plan_input, found.pairs, nodes=nodes))
    shadow = Shadow(plan_input, found)
    lever = Lever(plan_input, found, step, EXACT_GAP, nodes)
    told: list[Reason] = []
    for asset in known if assets is None else assets:
        told += limits(shadow, asset, step)
        if asset == plan_input.grid.id:
            continue
        push = _push(shadow, found.schedule, asset, step, by_kw)
        if push is not None:
            told += next_best(plan_input, found, push, gap=EXACT_GAP, nodes=nodes)
            told += _edges(plan_input, lever, asset, step)
    return tuple(told)


def _push(
    shadow: Shadow, schedule: xr.Dataset, asset: str, step: int, by_kw: float | None
) -> Push | None:
    """Return what is pushed of an asset; None when it has nothing to give or take in the step."""
    given = shadow.input
    most = most_kw(shadow, asset, step)
    if most <= 0.0:
        return None
    row = list(map(str, given.asset_ids)).index(asset)
    flows = {name: float(schedule[name].values[row, step]) for name in COLUMNS}
    net = flows["discharge_kw"] + flows["produce_kw"] + flows["shed_kw"] - flows["charge_kw"]
    by = PUSH_SHARE * most if by_kw is None else by_kw
    if kind_of(given, asset) != "genset":
        return Push(asset, step, net, by)
    genset = given.genset[row - given.rows("genset").start]
    running = bool(schedule["on"].values[row, step])
    return Push(asset, step, net, by, running, genset.min_power_kw)


def _edges(plan_input: PlanInput, lever: Lever, asset: str, step: int) -> Iterator[Reason]:
    if not lever.by_price and _follows(lever, asset):
        yield reason(asset, "edge.follows_load")
        return
    what = "price" if lever.by_price else "load"
    now = _now(plan_input, lever, step)
    for up, way in ((True, "above"), (False, "below")):
        edge = lever.edge(asset, up=up)
        params: dict[str, Value] = {}
        if edge is None:
            limit = now + lever.reach[int(up)]
            key = "price_limit" if lever.by_price else "load_limit_kw"
            yield reason(asset, f"edge.no_{what}_{way}", **{key: limit})
            continue
        more, then = edge
        net = float(then.net_kw[lever.rows.index(asset)])
        names = ("price_then", "price_now") if lever.by_price else ("load_then_kw", "load_now_kw")
        params = dict(zip(names, (now + more, now), strict=True))
        params |= {"given_kw": max(0.0, net), "taken_kw": max(0.0, -net)}
        yield reason(asset, f"edge.{what}_{way}", **params)


def _follows(lever: Lever, asset: str) -> bool:
    """Return whether an asset gives what the load of an island is, kW by kW."""
    row, now = lever.rows.index(asset), lever.at(0.0)
    assert now is not None
    near = [lever.at(more) for more in (-2.0 * LOAD_KW, 2.0 * LOAD_KW)]
    return any(one is not None and abs(one.net_kw[row] - now.net_kw[row]) > LOAD_KW for one in near)


def _now(plan_input: PlanInput, lever: Lever, step: int) -> float:
    """Return the price of the step that the community pays or gets, or its load."""
    if not lever.by_price:
        return float(plan_input.demand_kw[step])
    now = lever.at(0.0)
    assert now is not None
    prices = plan_input.sell_price if now.slope < 0.0 else plan_input.buy_price
    return float(prices[step])
